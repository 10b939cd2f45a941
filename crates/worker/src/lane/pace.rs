//! Requests per second: evenly spaced turns, no bursts saved up.

use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

#[derive(Debug)]
pub(super) struct Pace {
    every: Option<Duration>,
    next: Mutex<Option<Instant>>,
}

impl Pace {
    pub(super) fn per_second(limit: u32) -> Self {
        let every = (limit > 0).then(|| Duration::from_secs(1) / limit.max(1));
        Self { every, next: Mutex::new(None) }
    }

    pub(super) async fn turn(&self) {
        if let Some(at) = self.book(Instant::now()) {
            tokio::time::sleep_until(at).await;
        }
    }

    /// Takes the next turn without waiting for it.
    pub(super) fn skip(&self) {
        self.book(Instant::now());
    }

    fn book(&self, now: Instant) -> Option<Instant> {
        let every = self.every?;
        let mut next = self.next.lock().expect("nothing panics while it holds the pace");
        let at = next.map_or(now, |next| next.max(now));
        *next = Some(at + every);
        (at > now).then_some(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_are_spaced_evenly_and_idle_time_is_not_saved_up() {
        let pace = Pace::per_second(10);
        let start = Instant::now();
        let tenth = Duration::from_millis(100);
        assert_eq!(pace.book(start), None);
        assert_eq!(pace.book(start), Some(start + tenth));
        assert_eq!(pace.book(start), Some(start + 2 * tenth));
        let later = start + Duration::from_secs(60);
        assert_eq!(pace.book(later), None);
        assert_eq!(pace.book(later), Some(later + tenth));
        assert_eq!(Pace::per_second(0).book(start), None);
    }
}
