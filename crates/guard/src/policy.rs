//! The rules of a lane with its defaults; the micro-benchmarks of `bench` use them too.

use std::time::Duration;

use engine::{Backoff, Policy};
use snap_core::InquiryMode;

/// As a configuration that says nothing makes them.
pub(crate) fn policy() -> Policy {
    Policy {
        inquiry: InquiryMode::Always,
        inquiry_max_age: Duration::from_secs(300),
        retry: Backoff {
            initial: Duration::from_secs(1),
            max: Duration::from_secs(300),
            multiplier: 2.0,
            jitter_ppm: 200_000,
        },
        attempts: 8,
        first_after: Duration::from_secs(30),
        interval_max: Duration::from_secs(1800),
        quiet_period: Duration::from_secs(600),
        give_up_after: Duration::from_secs(86_400),
        uniqueness_window: Duration::from_secs(86_400),
        account: Some(engine::Account::from_bytes(*b"accounts")),
    }
}
