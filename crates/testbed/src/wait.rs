//! Waiting for a condition, with a limit.

use std::future::Future;
use std::time::{Duration, Instant};

/// How often a condition is looked at.
const GLANCE: Duration = Duration::from_millis(25);

/// Waits until `look` gives a value.
///
/// # Panics
/// With `what`, where that takes longer than `limit`.
pub async fn eventually<T, F, Fut>(limit: Duration, what: &str, mut look: F) -> T
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Option<T>>,
{
    let started = Instant::now();
    loop {
        if let Some(value) = look().await {
            return value;
        }
        assert!(started.elapsed() < limit, "not within {limit:?}: {what}");
        tokio::time::sleep(GLANCE).await;
    }
}

/// [`eventually`] for what is looked at without async.
///
/// # Panics
/// With `what`, where that takes longer than `limit`.
pub fn eventually_now<T>(limit: Duration, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(value) = look() {
            return value;
        }
        assert!(started.elapsed() < limit, "not within {limit:?}: {what}");
        std::thread::sleep(GLANCE);
    }
}
