//! Durations as an operator writes them: `500ms`, `30s`, `10m`, `1h30m`, `50d`.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serializer, de};

/// A text that is no duration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a duration, such as 500ms, 30s, 10m, 1h30m or 50d")]
pub struct DurationError;

/// Milliseconds of each unit; the longer name first where one begins like the other.
const UNITS: [(&str, u64); 5] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

/// Reads whole numbers with the units `ms`, `s`, `m`, `h`, `d`, added up; no blanks, no bare number.
///
/// # Errors
/// [`DurationError`] for anything else, and beyond what milliseconds in a `u64` hold.
pub fn parse(text: &str) -> Result<Duration, DurationError> {
    let mut rest = text;
    let mut millis = 0_u64;
    loop {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit_on) = rest.split_at(digits);
        let number: u64 = number.parse().map_err(|_not_a_number| DurationError)?;
        let (after, factor) = UNITS
            .iter()
            .find_map(|(unit, factor)| unit_on.strip_prefix(unit).map(|after| (after, *factor)))
            .ok_or(DurationError)?;
        millis = number.checked_mul(factor).and_then(|part| millis.checked_add(part)).ok_or(DurationError)?;
        if after.is_empty() {
            return Ok(Duration::from_millis(millis));
        }
        rest = after;
    }
}

/// The shortest text that [`parse`] reads back, cut to the millisecond; `0s` for nothing.
pub fn format(duration: Duration) -> String {
    let mut millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let mut text = String::new();
    for (unit, factor) in UNITS.iter().rev() {
        if millis >= *factor {
            text.push_str(&format!("{}{unit}", millis / factor));
            millis %= factor;
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

/// For `#[serde(with = "snap_core::duration")]`.
///
/// # Errors
/// What the serializer says.
pub fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&format(*duration))
}

/// For `#[serde(with = "snap_core::duration")]`.
///
/// # Errors
/// Not a string, or not a duration.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse(&text).map_err(de::Error::custom)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn durations_are_read_as_operators_write_them() {
        let millis = |text: &str| parse(text).unwrap().as_millis();
        assert_eq!(millis("500ms"), 500);
        assert_eq!(millis("30s"), 30_000);
        assert_eq!(millis("10m"), 600_000);
        assert_eq!(millis("1h30m"), 5_400_000);
        assert_eq!(millis("50d"), 4_320_000_000);
        assert_eq!(millis("0s"), 0);
        for text in
            ["", "5", "s", "5 s", "-5s", "5.5s", "5w", "5sm", "99999999999999999999s", "999999999999999999d", "٥s"]
        {
            assert_eq!(parse(text), Err(DurationError), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(millis in any::<u64>()) {
            let duration = Duration::from_millis(millis);
            prop_assert_eq!(parse(&format(duration)), Ok(duration));
        }
    }
}
