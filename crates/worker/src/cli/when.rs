//! A moment as an operator says it.

use std::str::FromStr;
use std::time::Duration;

use snap_core::{Timestamp, duration};

/// A moment: itself, or how long ago it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// Then.
    At(Timestamp),
    /// So long before now.
    Ago(Duration),
}

/// A text that says no moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("neither a time with offset (2026-11-22T10:00:00+07:00) nor how long ago it was (30m, 2h, 3d)")]
pub struct WhenError;

impl When {
    /// The moment, as seen from `now`.
    #[must_use]
    pub fn at(self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(at) => at,
            Self::Ago(span) => now.minus(span),
        }
    }
}

impl FromStr for When {
    type Err = WhenError;

    fn from_str(text: &str) -> Result<Self, WhenError> {
        if let Ok(at) = Timestamp::parse_rfc3339(text) {
            return Ok(Self::At(at));
        }
        duration::parse(text).map(Self::Ago).map_err(|_neither| WhenError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_a_time_or_a_span_before_now() {
        let now = Timestamp::from_millis(1_714_533_630_000);
        let at = |text: &str| text.parse::<When>().map(|when| when.at(now).as_millis());
        assert_eq!(at("2024-05-01T10:20:30+07:00"), Ok(1_714_533_630_000));
        assert_eq!(at("2h"), Ok(1_714_533_630_000 - 7_200_000));
        assert_eq!(at("3d"), Ok(1_714_533_630_000 - 259_200_000));
        for text in ["", "yesterday", "2024-05-01", "2024-05-01T10:20:30", "2", "-2h", "2 h"] {
            assert_eq!(at(text), Err(WhenError), "{text:?}");
        }
    }
}
