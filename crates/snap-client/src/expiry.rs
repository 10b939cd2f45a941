//! How long a token may be used, by the monotonic clock.

use std::time::Duration;

use tokio::time::Instant;

/// Clock and transport differences beyond the length of one call.
const ALLOWANCE: Duration = Duration::from_secs(5);
/// The refresh starts at most this long before it is needed, so that nobody has to wait for it.
const EARLY_AT_MOST: Duration = Duration::from_secs(60);

/// When a token is still good and when to ask for the next one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lifetime {
    /// A call started before this ends before the provider forgets the token.
    pub(crate) usable_until: Instant,
    /// From here on one caller fetches the next token while the others go on with this one.
    pub(crate) refresh_from: Instant,
}

impl Lifetime {
    /// `asked_at` is the start of the token request, the earliest moment the lifetime can count from;
    /// `call` is the longest a call made with the token may take.
    pub(crate) fn new(asked_at: Instant, lifetime: Duration, call: Duration) -> Self {
        let margin = (call + ALLOWANCE).min(lifetime / 2);
        let usable = lifetime - margin;
        let early = (lifetime / 10).min(EARLY_AT_MOST).min(usable / 2);
        Self { usable_until: asked_at + usable, refresh_from: asked_at + (usable - early) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STANDARD: Duration = Duration::from_secs(900);

    #[tokio::test(start_paused = true)]
    async fn a_token_is_left_before_a_call_with_it_could_outlive_it() {
        let asked_at = Instant::now();
        let call = Duration::from_secs(30);
        let lifetime = Lifetime::new(asked_at, STANDARD, call);
        assert!(lifetime.usable_until + call < asked_at + STANDARD);
        assert!(lifetime.refresh_from < lifetime.usable_until);
    }

    #[tokio::test(start_paused = true)]
    async fn a_lifetime_shorter_than_a_call_is_used_for_half_of_it() {
        let asked_at = Instant::now();
        let lifetime = Lifetime::new(asked_at, Duration::from_secs(2), Duration::from_secs(30));
        assert_eq!(lifetime.usable_until, asked_at + Duration::from_secs(1));
        assert!(lifetime.refresh_from > asked_at);
    }
}
