//! The only reader of the system time and of randomness.

use std::time::{Duration, UNIX_EPOCH};

use engine::Jitter;
use snap_core::{ExternalId, Timestamp};
use tokio::time::Instant;

/// Time and randomness.
///
/// Decisions use [`Clock::now`]: the wall clock of the process's start plus what a monotonic clock has counted since, so
/// that a jump of the wall clock cannot end a quiet period early. What goes out to a provider uses [`Clock::wall`].
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Timestamp,
    started: Instant,
}

impl Clock {
    /// A clock that starts now.
    pub fn start() -> Self {
        Self { start: wall(), started: Instant::now() }
    }

    /// A clock that starts now, and not before `newest`: a clock that was set back must not reopen what has passed.
    pub fn not_before(newest: Option<Timestamp>) -> Self {
        let clock = Self::start();
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
        self.now().max(wall())
    }

    /// The time for `X-TIMESTAMP`.
    pub fn wall(&self) -> Timestamp {
        wall()
    }

    /// The monotonic instant at which [`Clock::now`] will show `at`.
    pub fn instant(&self, at: Timestamp) -> Instant {
        self.started + at.since(self.start)
    }

    /// Since the process started.
    pub fn uptime(&self) -> Duration {
        self.started.elapsed()
    }

    /// A number nobody can guess.
    pub fn random(&self) -> u64 {
        getrandom::u64().expect("the operating system gives randomness")
    }

    /// A random share of a pause's spread.
    pub fn jitter(&self) -> Jitter {
        Jitter::from_random(getrandom::u32().expect("the operating system gives randomness"))
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

#[expect(clippy::disallowed_methods, clippy::disallowed_types, reason = "this module is where the wall clock is read")]
fn wall() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
