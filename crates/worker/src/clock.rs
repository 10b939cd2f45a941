//! The only reader of the system time and of randomness.

use std::cell::RefCell;
use std::time::{Duration, UNIX_EPOCH};

use engine::{Correction, Jitter, Noticed};
use outbox::StoredClock;
use snap_core::{ExternalId, Timestamp};
use tokio::time::Instant;

/// Where the wall clock's time and randomness come from.
pub trait Source: std::fmt::Debug + Sync {
    /// The wall clock's time.
    fn wall(&self) -> Timestamp;
    /// Since the machine booted: it goes on while the machine sleeps, and nobody can set it.
    fn boottime(&self) -> Duration;
    /// Which boot of the machine this is: readings of [`Source::boottime`] of one boot belong together. Empty: not known.
    fn boot(&self) -> String;
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

    fn boot(&self) -> String {
        std::fs::read_to_string(BOOT_ID).map(|id| id.trim().to_owned()).unwrap_or_default()
    }

    fn random(&self) -> u64 {
        POOL.with_borrow_mut(Pool::draw)
    }
}

/// Source: `random(4)`: a number made at each boot.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";
/// Clocks that are no further apart agree: a wall clock is steered a little all the time.
const AGREES: Duration = Duration::from_secs(1);

/// Time and randomness.
///
/// Decisions use [`Clock::now`]: the wall clock at the process's start plus what a clock has counted since that goes on
/// while the machine sleeps and that nobody can set. A restart within one boot of the machine goes on with it, whatever
/// became of the wall clock meanwhile ([`Clock::continued`]). What goes out to a provider, and `notAfter`, use
/// [`Clock::wall`].
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Timestamp,
    started: Instant,
    /// Since boot, at the start.
    booted: Duration,
    known_since: Option<Timestamp>,
    source: &'static dyn Source,
}

/// A clock that goes on from what a store has noted of the one before.
#[derive(Debug)]
pub struct Continued {
    /// The clock.
    pub clock: Clock,
    /// To be noted; none where the store has it noted already.
    pub note: Option<StoredClock>,
    /// What an earlier clock noted wrongly.
    pub correction: Option<Correction>,
}

impl Clock {
    /// A clock that starts now.
    pub fn start() -> Self {
        Self::of(&System)
    }

    /// A clock of this source that starts now.
    pub fn of(source: &'static dyn Source) -> Self {
        let (start, booted) = (source.wall(), source.boottime());
        Self { start, started: Instant::now(), booted, known_since: None, source }
    }

    /// The same source's clock as it goes on over a restart (M17). Within one boot the time that has passed is known, whatever
    /// the wall clock says: where that was set back, what was noted ahead of it is known by how much; where it was set
    /// forward, the quiet periods of doubts begin anew. Over boots the wall clock is believed, quiet periods begin anew, and
    /// what is noted after now (`newest` is the newest time in the store) is of a clock that was wrong by nobody knows how
    /// much.
    #[must_use]
    pub fn continued(&self, stored: Option<&StoredClock>, newest: Option<Timestamp>) -> Continued {
        let boot = self.source.boot();
        let clock = Self::of(self.source);
        let note = |clock: &Self, known_since| {
            let offset_ms = clock.start.as_millis().saturating_sub(millis(clock.booted));
            StoredClock { boot: boot.clone(), offset_ms, known_since }
        };
        let of_this_boot = stored.filter(|stored| !boot.is_empty() && stored.boot == boot);
        let Some(stored) = of_this_boot else {
            let clock = Self { known_since: Some(clock.start), ..clock };
            let is_wrong = newest.is_some_and(|newest| newest > clock.start.plus(AGREES));
            let correction = Correction { now: clock.start, ahead: None, unknown_since: None };
            return Continued {
                note: Some(note(&clock, clock.start)),
                correction: is_wrong.then_some(correction),
                clock,
            };
        };
        let goes_on = Timestamp::from_millis(stored.offset_ms.saturating_add(millis(clock.booted)));
        let (ahead, behind) = (goes_on.since(clock.start), clock.start.since(goes_on));
        if ahead > AGREES {
            // The wall clock was set back: it is believed, and what was noted meanwhile is moved by just that.
            let known_since = stored.known_since.minus(ahead);
            let clock = Self { known_since: Some(known_since), ..clock };
            let correction =
                Correction { now: clock.start, ahead: Some((stored.known_since, ahead)), unknown_since: None };
            return Continued { note: Some(note(&clock, known_since)), correction: Some(correction), clock };
        }
        if behind > AGREES {
            let clock = Self { known_since: Some(clock.start), ..clock };
            return Continued { note: Some(note(&clock, clock.start)), correction: None, clock };
        }
        let clock = Self { start: goes_on, known_since: Some(stored.known_since), ..clock };
        Continued { clock, note: None, correction: None }
    }

    /// The clock of a command beside a worker: the worker's, where that runs or ran since the machine booted.
    #[must_use]
    pub fn beside(&self, stored: Option<&StoredClock>) -> Self {
        let boot = self.source.boot();
        match stored.filter(|stored| !boot.is_empty() && stored.boot == boot) {
            Some(stored) => {
                let clock = Self::of(self.source);
                let start = Timestamp::from_millis(stored.offset_ms.saturating_add(millis(clock.booted)));
                Self { start, known_since: Some(stored.known_since), ..clock }
            }
            None => *self,
        }
    }

    /// The time for decisions and records.
    pub fn now(&self) -> Timestamp {
        // In a test on a time of its own only the first goes on; while the machine sleeps, only the second.
        let slept_too = self.source.boottime().saturating_sub(self.booted);
        self.start.plus(self.started.elapsed().max(slept_too))
    }

    /// Something that happened at `at`, by every clock.
    pub fn noticed(&self, at: Timestamp) -> Noticed {
        Noticed { at, wall: self.wall(), known_since: self.known_since, is_doubted: false, others_were_used: false }
    }

    /// The time for `X-TIMESTAMP`.
    pub fn wall(&self) -> Timestamp {
        self.source.wall()
    }

    /// The monotonic instant at which [`Clock::now`] will show `at`, where the machine does not sleep.
    pub fn instant(&self, at: Timestamp) -> Instant {
        Instant::now() + at.since(self.now())
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

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
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
    use crate::stage::Clocks;

    const HOUR: Duration = Duration::from_secs(3600);
    const THREE_DAYS: Duration = Duration::from_secs(3 * 86_400);

    /// A clock as a first start has it, and what it notes.
    fn first(clocks: &'static Clocks) -> (Clock, StoredClock) {
        let Continued { clock, note, correction } = Clock::of(clocks).continued(None, None);
        assert_eq!(correction, None, "a new store holds nothing wrong");
        (clock, note.expect("it is noted"))
    }

    #[tokio::test(start_paused = true)]
    async fn m17_sleep_counts_and_a_wall_clock_that_is_set_does_not() {
        let clocks = Clocks::begin();
        let clock = Clock::of(clocks);
        let began = clock.now();
        tokio::time::advance(HOUR).await;
        assert_eq!(clock.now(), began.plus(HOUR));
        clocks.sleep(2 * HOUR);
        assert_eq!(clock.now(), began.plus(3 * HOUR));
        for ahead in [true, false, false] {
            clocks.set(THREE_DAYS, ahead);
            assert_eq!(clock.now(), began.plus(3 * HOUR));
        }
        assert_eq!(clock.instant(clock.now().plus(HOUR)), Instant::now() + HOUR);
        assert_eq!(clock.noticed(began).wall, began.plus(3 * HOUR).minus(THREE_DAYS));
    }

    #[tokio::test(start_paused = true)]
    async fn m17_a_restart_goes_on_with_the_clock_of_its_boot() {
        let clocks = Clocks::begin();
        let (clock, stored) = first(clocks);
        tokio::time::advance(HOUR).await;
        clocks.sleep(HOUR);
        // A step of a time server.
        clocks.set(Duration::from_millis(900), true);
        let again = Clock::of(clocks).continued(Some(&stored), Some(clock.now()));
        assert_eq!((again.clock.now(), again.note, again.correction), (clock.now(), None, None));
        assert_eq!(again.clock.noticed(clock.now()).known_since, Some(stored.known_since));
    }

    #[tokio::test(start_paused = true)]
    async fn m17_a_wall_clock_that_was_put_back_is_believed_and_what_was_ahead_is_known_by_how_much() {
        let clocks = Clocks::begin();
        clocks.set(THREE_DAYS, true);
        let (clock, stored) = first(clocks);
        let began = clock.now();
        tokio::time::advance(HOUR).await;
        let newest = clock.now();
        clocks.set(THREE_DAYS, false);
        let Continued { clock, note, correction } = Clock::of(clocks).continued(Some(&stored), Some(newest));
        assert_eq!(clock.now(), clock.wall());
        let correction = correction.expect("there is something to put right");
        assert_eq!(correction.ahead, Some((began, THREE_DAYS)));
        assert_eq!(correction.due(newest), clock.now(), "moved by just that");
        let known_since = note.expect("it is noted").known_since;
        assert_eq!(known_since, began.minus(THREE_DAYS), "what has passed since then is known");
    }

    #[tokio::test(start_paused = true)]
    async fn m17_a_wall_clock_that_was_set_forward_counts_no_time_that_never_passed() {
        let clocks = Clocks::begin();
        let (_, stored) = first(clocks);
        tokio::time::advance(HOUR).await;
        clocks.set(THREE_DAYS, true);
        let Continued { clock, note, correction } = Clock::of(clocks).continued(Some(&stored), None);
        assert_eq!((clock.now(), correction), (clock.wall(), None));
        assert_eq!(note.map(|note| note.known_since), Some(clock.now()), "quiet periods begin anew");
    }

    #[tokio::test(start_paused = true)]
    async fn m17_over_a_boot_the_wall_clock_is_believed_and_what_is_noted_after_now_is_not() {
        let clocks = Clocks::begin();
        let (_, stored) = first(clocks);
        clocks.boot();
        let newest = clocks.wall().plus(HOUR);
        for (newest, wrong) in [(newest, true), (clocks.wall(), false)] {
            let Continued { clock, note, correction } = Clock::of(clocks).continued(Some(&stored), Some(newest));
            assert_eq!(note.map(|note| note.known_since), Some(clock.now()));
            assert_eq!(correction.map(|correction| correction.ahead), wrong.then_some(None));
        }
        // Where the boot cannot be told, readings of it prove nothing.
        let nameless = StoredClock { boot: String::new(), ..stored };
        assert!(Clock::of(clocks).continued(Some(&nameless), None).note.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn m17_a_command_notes_times_by_the_workers_clock() {
        let clocks = Clocks::begin();
        clocks.set(THREE_DAYS, true);
        let (worker, stored) = first(clocks);
        clocks.set(THREE_DAYS, false);
        assert_eq!(Clock::of(clocks).beside(Some(&stored)).now(), worker.now());
        clocks.boot();
        assert_eq!(Clock::of(clocks).beside(Some(&stored)).now(), clocks.wall());
    }

    #[test]
    fn this_machine_tells_its_boot() {
        let (clock, again) = (Clock::start(), Clock::start());
        if cfg!(target_os = "linux") {
            assert!(clock.source.boot().len() > 30);
        }
        assert_eq!(clock.source.boot(), again.source.boot());
    }

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
