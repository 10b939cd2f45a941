//! The numbers a decision needs: budgets, pauses, periods. Durations are wall-clock; money rules in `ARCHITECTURE.md`.

use std::time::Duration;

use backoff::ExponentialBackoff;
use backoff::backoff::Backoff as _;
use snap_core::{InquiryMode, Timestamp};

use crate::{Account, Job};

const MILLION: u32 = 1_000_000;

/// Randomness as a number: parts per million of the spread, 0 to 1,000,000.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Jitter(u32);

impl Jitter {
    /// No jitter: every pause is the plain one.
    pub const NONE: Self = Self(MILLION / 2);

    /// Jitter from any random number.
    pub const fn from_random(random: u32) -> Self {
        Self(random % (MILLION + 1))
    }

    /// `base` spread evenly over `base ± ppm`.
    fn around(self, base: Duration, ppm: u32) -> Duration {
        let spread = part(base, ppm);
        base.saturating_sub(spread).saturating_add(part(spread.saturating_mul(2), self.0))
    }

    /// `base` spread evenly over `base` to `base + ppm`: never earlier.
    fn after(self, base: Duration, ppm: u32) -> Duration {
        base.saturating_add(part(part(base, ppm), self.0))
    }
}

fn part(of: Duration, ppm: u32) -> Duration {
    let nanos = of.as_nanos().saturating_mul(u128::from(ppm)) / u128::from(MILLION);
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

/// Growing pauses between retries of what is proven not executed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Backoff {
    /// The first pause.
    pub initial: Duration,
    /// No pause is longer.
    pub max: Duration,
    /// Growth from one pause to the next; at least 1.
    pub multiplier: f64,
    /// Spread around each pause, parts per million of it.
    pub jitter_ppm: u32,
}

impl Backoff {
    /// The pause before retry number `retry` (0 is the first), without jitter.
    ///
    /// The schedule is the `backoff` crate's, with its own randomness and deadline off. The crate is unmaintained
    /// (RUSTSEC-2025-0012); this function is all that touches it.
    pub fn pause(&self, retry: u32) -> Duration {
        let mut schedule = ExponentialBackoff {
            initial_interval: self.initial,
            current_interval: self.initial,
            max_interval: self.max,
            multiplier: self.multiplier,
            randomization_factor: 0.0,
            max_elapsed_time: None,
            ..ExponentialBackoff::default()
        };
        let mut pause = self.initial;
        for _ in 0..=retry {
            pause = schedule.next_backoff().unwrap_or(self.max);
            if pause >= self.max {
                return self.max;
            }
        }
        pause
    }

    fn jittered(&self, retry: u32, jitter: Jitter) -> Duration {
        jitter.around(self.pause(retry), self.jitter_ppm)
    }
}

/// One provider's rules, as far as decisions need them.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// When an inquiry is made.
    pub inquiry: InquiryMode,
    /// An inquiry's result older than this is asked for again.
    pub inquiry_max_age: Duration,
    /// Pauses after what is proven not executed.
    pub retry: Backoff,
    /// Inquiries that may fail, and top-up attempts that may be made.
    pub attempts: u32,
    /// The first status inquiry after the end of an attempt in doubt.
    pub first_after: Duration,
    /// Pauses between status inquiries double up to this.
    pub interval_max: Duration,
    /// "Not found" proves nothing before this much time has passed since the end of the last attempt.
    pub quiet_period: Duration,
    /// Status inquiries are scheduled over this long, then the job stands before a person.
    pub give_up_after: Duration,
    /// The provider refuses a repeated reference for at least this long; later, "not found" proves nothing.
    pub uniqueness_window: Duration,
    /// The account that is asked and sent to (M14); `None`: not known, and nothing depends on it.
    pub account: Option<Account>,
}

/// A provider's `Retry-After` is believed up to here.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(300);
/// Two "not found" are needed, so fewer checks could never settle anything.
const CHECKS_MIN: u32 = 3;

impl Policy {
    /// How many status inquiries fit between `first_after` and `give_up_after`.
    pub fn checks(&self) -> u32 {
        let longest = self.interval_max.max(self.first_after).max(Duration::from_millis(1));
        let mut pause = self.first_after.max(Duration::from_millis(1));
        let (mut at, mut count) = (pause, 1_u32);
        while pause < longest && at < self.give_up_after {
            pause = pause.saturating_mul(2).min(longest);
            at = at.saturating_add(pause);
            count += 1;
        }
        let rest = self.give_up_after.saturating_sub(at).as_nanos() / longest.as_nanos();
        count.saturating_add(u32::try_from(rest).unwrap_or(u32::MAX)).max(CHECKS_MIN)
    }

    /// When the first status inquiry of an attempt that ended at `ended` is due.
    pub(crate) fn first_check(&self, ended: Timestamp, jitter: Jitter) -> Timestamp {
        ended.plus(jitter.after(self.first_after, self.retry.jitter_ppm))
    }

    /// When the next status inquiry is due, `asked` of them being used up.
    pub(crate) fn next_check(&self, now: Timestamp, asked: u32, quiet_end: Timestamp, jitter: Jitter) -> Timestamp {
        let longest = self.interval_max.max(self.first_after);
        let doubled = self.first_after.saturating_mul(1_u32.checked_shl(asked.min(30)).unwrap_or(u32::MAX));
        let at = now.plus(jitter.after(doubled.min(longest), self.retry.jitter_ppm));
        // The end of the quiet period is where "not found" begins to mean something: no reason to sleep past it.
        if quiet_end > now { at.min(quiet_end) } else { at }
    }

    /// When a retry is due: the schedule's pause, or the provider's wish where that is longer.
    pub(crate) fn retry_at(&self, now: Timestamp, retry: u32, wish: Option<Duration>, jitter: Jitter) -> Timestamp {
        let pause = self.retry.jittered(retry, jitter);
        now.plus(wish.map_or(pause, |wish| pause.max(wish.min(RETRY_AFTER_MAX))))
    }

    /// Whether what is open about the job is open at another account than the present one: no answer of this one says
    /// anything about it (M14). What was recorded without an account counts as sent to whichever is asked first.
    pub fn is_of_another_account(&self, job: &Job) -> bool {
        job.evidence.account.zip(self.account).is_some_and(|(theirs, ours)| theirs != ours)
    }

    /// Whether this job's top-up has to be preceded by an inquiry.
    pub fn wants_inquiry(&self, job: &Job) -> bool {
        match self.inquiry {
            InquiryMode::Always => true,
            InquiryMode::WhenNeeded => !job.has_customer_name,
            InquiryMode::Never => false,
        }
    }
}
