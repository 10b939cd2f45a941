//! The only reader of the system time and of randomness.

use std::cell::RefCell;
use std::time::{Duration, UNIX_EPOCH};

use engine::Jitter;
use snap_core::{ExternalId, Timestamp};
use tokio::time::Instant;

/// Where the wall clock's time and randomness come from.
pub trait Source: std::fmt::Debug + Sync {
    /// The wall clock's time.
    fn wall(&self) -> Timestamp;
    /// Since the machine booted: it goes on while the machine sleeps, and nobody can set it.
    fn boottime(&self) -> Duration;
    /// A number nobody can guess, never given out before.
    fn random(&self) -> u64;
}

/// The operating system.
#[derive(Debug)]
struct System;

impl Source for System {
    fn wall(&self) -> Timestamp {
        wall()
    }

    fn boottime(&self) -> Duration {
        boottime()
    }

    fn random(&self) -> u64 {
        POOL.with_borrow_mut(Pool::draw)
    }
}

/// Time and randomness.
///
/// Decisions use [`Clock::now`]: the wall clock of the process's start plus what a monotonic clock has counted since, so
/// that a jump of the wall clock cannot end a quiet period early. What goes out to a provider uses [`Clock::wall`].
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Timestamp,
    started: Instant,
    source: &'static dyn Source,
}

impl Clock {
    /// A clock that starts now.
    pub fn start() -> Self {
        Self::of(&System)
    }

    /// A clock of this source that starts now.
    pub fn of(source: &'static dyn Source) -> Self {
        Self { start: source.wall(), started: Instant::now(), source }
    }

    /// The same source's clock, started anew and not before `newest`: a clock that was set back must not reopen what has
    /// passed.
    #[must_use]
    pub fn not_before(&self, newest: Option<Timestamp>) -> Self {
        let clock = Self::of(self.source);
        match newest {
            Some(newest) if newest > clock.start => Self { start: newest, ..clock },
            _ => clock,
        }
    }

    /// The time for decisions and records.
    pub fn now(&self) -> Timestamp {
        self.start.plus(self.started.elapsed())
    }

    /// The later of both clocks: a machine that slept, or whose clock was set right, must not start what has expired.
    pub fn latest(&self) -> Timestamp {
        self.now().max(self.wall())
    }

    /// The time for `X-TIMESTAMP`.
    pub fn wall(&self) -> Timestamp {
        self.source.wall()
    }

    /// The monotonic instant at which [`Clock::now`] will show `at`.
    pub fn instant(&self, at: Timestamp) -> Instant {
        self.started + at.since(self.start)
    }

    /// Since the machine booted, the time it slept included. Two readings of one boot tell an age that no wall clock and no
    /// sleep can falsify (M16, M17).
    pub fn boottime(&self) -> Duration {
        self.source.boottime()
    }

    /// Since the process started.
    pub fn uptime(&self) -> Duration {
        self.started.elapsed()
    }

    /// A number nobody can guess.
    pub fn random(&self) -> u64 {
        self.source.random()
    }

    /// A random share of a pause's spread.
    pub fn jitter(&self) -> Jitter {
        Jitter::from_random((self.random() >> 32) as u32)
    }

    /// A number for one request, never given out before.
    pub fn external_id(&self) -> ExternalId {
        ExternalId::new(self.now(), self.random())
    }

    /// A time-ordered id for an event or a dead letter.
    pub fn ulid(&self) -> String {
        let random = u128::from(self.random()) << 64 | u128::from(self.random());
        crate::ulid::ulid(self.now(), random)
    }
}

/// The operating system's randomness, fetched a page at a time: a job needs some eight numbers, and each would be a system
/// call. A number is given out once and wiped.
struct Pool {
    numbers: [u64; 128],
    left: usize,
}

thread_local! {
    static POOL: RefCell<Pool> = const { RefCell::new(Pool { numbers: [0; 128], left: 0 }) };
}

impl Pool {
    fn draw(&mut self) -> u64 {
        if self.left == 0 {
            let mut bytes = [0; 8 * 128];
            getrandom::fill(&mut bytes).expect("the operating system gives randomness");
            for (number, bytes) in self.numbers.iter_mut().zip(bytes.as_chunks::<8>().0) {
                *number = u64::from_ne_bytes(*bytes);
            }
            self.left = self.numbers.len();
        }
        self.left -= 1;
        std::mem::take(&mut self.numbers[self.left])
    }
}

#[expect(clippy::disallowed_methods, clippy::disallowed_types, reason = "this module is where the wall clock is read")]
fn wall() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// Source: `clock_gettime(2)`: `CLOCK_MONOTONIC` stands while the machine sleeps, `CLOCK_BOOTTIME` does not.
fn boottime() -> Duration {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    let id = rustix::time::ClockId::Boottime;
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    let id = rustix::time::ClockId::Monotonic;
    let read = rustix::time::clock_gettime(id);
    // Neither is ever negative.
    Duration::try_from(read).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    /// How far the wall clock that a process sees is ahead of the kernel's, in days.
    #[cfg(target_os = "linux")]
    fn days_ahead() -> i64 {
        let stat = std::fs::read_to_string("/proc/stat").unwrap();
        let booted = stat.lines().find_map(|line| line.strip_prefix("btime ")).unwrap();
        let kernel = booted.trim().parse::<i64>().unwrap() + i64::try_from(boottime().as_secs()).unwrap();
        (wall().as_millis() / 1000 - kernel + 43_200).div_euclid(86_400)
    }

    /// `tests/run` runs every suite twice; a second run with the same clock would show nothing.
    #[cfg(target_os = "linux")]
    #[expect(
        clippy::disallowed_methods,
        reason = "what tests/run says of the clock reaches a test by its environment alone"
    )]
    #[test]
    fn the_wall_clock_is_as_far_ahead_as_the_run_says() {
        let said = std::env::var("CLOCK_AHEAD_DAYS").map_or(0, |days| days.parse().unwrap());
        assert_eq!(days_ahead(), said);
    }

    #[test]
    fn no_number_comes_twice_over_several_pages_of_randomness_and_threads() {
        let draw = || (0..1000).map(|_| Clock::start().random()).collect::<Vec<_>>();
        let other = std::thread::spawn(draw);
        let numbers: HashSet<u64> = draw().into_iter().chain(other.join().unwrap()).collect();
        assert_eq!(numbers.len(), 2000);
        assert!(!numbers.contains(&0), "a wiped number was given out");
    }
}
