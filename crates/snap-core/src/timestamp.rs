//! A moment in time and its three spellings. Knows no clock.

use std::time::Duration;

use jiff::{civil, tz::Offset};
use serde::{Deserialize, Serialize};

/// Jakarta keeps UTC+7 all year.
const JAKARTA: Offset = Offset::constant(7);
/// What can be spelled with a four-digit year: 0000-01-01T00:00:00+07:00 to 9999-12-30T22:00:00Z.
const SPELLABLE_MS: (i64, i64) = (-62_167_244_400_000, 253_402_207_200_000);

/// A moment, in milliseconds since the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(i64);

/// A text that is not an RFC 3339 time with seconds and an offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an RFC 3339 time with offset, such as 2024-05-01T10:20:30+07:00")]
pub struct TimestampError;

impl Timestamp {
    /// From milliseconds since the Unix epoch.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the Unix epoch.
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// Later by `duration`, at most the latest moment there is; whole milliseconds.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        let millis = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        Self(self.0.saturating_add(millis))
    }

    /// Earlier by `duration`, at least the earliest moment there is; whole milliseconds.
    #[must_use]
    pub fn minus(self, duration: Duration) -> Self {
        let millis = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        Self(self.0.saturating_sub(millis))
    }

    /// How long after `earlier` this is; zero when it is not after it.
    pub fn since(self, earlier: Self) -> Duration {
        let millis = i128::from(self.0) - i128::from(earlier.0);
        u64::try_from(millis).map_or(Duration::ZERO, Duration::from_millis)
    }

    /// In Jakarta time with three decimals, `2026-11-22T10:00:01.123+07:00`; outside years 0 to 9999 the nearest.
    pub fn to_rfc3339(self) -> String {
        let at = self.in_jakarta();
        let millis = at.millisecond().unsigned_abs();
        let mut text = seconds_form(at);
        text.push('.');
        text.push(digit(millis / 100));
        push_pair(&mut text, millis % 100);
        text.push_str("+07:00");
        text
    }

    /// In Jakarta time without decimals, `2024-05-01T10:20:30+07:00`, 25 characters.
    /// Source: SNAP Developer Site, `X-TIMESTAMP` and `transactionDate`.
    pub fn to_snap(self) -> String {
        let mut text = seconds_form(self.in_jakarta());
        text.push_str("+07:00");
        text
    }

    /// Reads an RFC 3339 time; the offset must be there, digits beyond the millisecond are cut.
    ///
    /// # Errors
    /// [`TimestampError`] for any other form: no offset, a blank for the `T`, lower case, a leap second, an impossible date.
    pub fn parse_rfc3339(text: &str) -> Result<Self, TimestampError> {
        let bytes = text.as_bytes();
        let (stem, rest) = bytes.split_at_checked(19).ok_or(TimestampError)?;
        let at = civil_datetime(stem).ok_or(TimestampError)?;
        let (millis, zone) = fraction_millis(rest).ok_or(TimestampError)?;
        let offset = offset(zone).ok_or(TimestampError)?;
        let whole = offset.to_timestamp(at).ok().ok_or(TimestampError)?;
        Ok(Self(whole.as_millisecond().saturating_add(millis)))
    }

    fn in_jakarta(self) -> civil::DateTime {
        let millis = self.0.clamp(SPELLABLE_MS.0, SPELLABLE_MS.1);
        let at = jiff::Timestamp::from_millisecond(millis).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
        JAKARTA.to_datetime(at)
    }
}

/// `YYYY-MM-DDThh:mm:ss`, with room for what follows. Several are spelled for each job: no formatter.
fn seconds_form(at: civil::DateTime) -> String {
    let year = at.year().unsigned_abs();
    let mut text = String::with_capacity("YYYY-MM-DDThh:mm:ss.fff+07:00".len());
    push_pair(&mut text, year / 100);
    push_pair(&mut text, year % 100);
    for (before, value) in
        [('-', at.month()), ('-', at.day()), ('T', at.hour()), (':', at.minute()), (':', at.second())]
    {
        text.push(before);
        push_pair(&mut text, u16::from(value.unsigned_abs()));
    }
    text
}

fn push_pair(text: &mut String, value: u16) {
    text.push(digit(value / 10 % 10));
    text.push(digit(value % 10));
}

fn digit(value: u16) -> char {
    char::from_digit(u32::from(value), 10).unwrap_or('0')
}

/// `YYYY-MM-DDThh:mm:ss`, exactly 19 bytes.
fn civil_datetime(stem: &[u8]) -> Option<civil::DateTime> {
    let [y1, y2, y3, y4, b'-', mo1, mo2, b'-', d1, d2, b'T', h1, h2, b':', mi1, mi2, b':', s1, s2] = *stem else {
        return None;
    };
    let year = i16::from(pair(y1, y2)?) * 100 + i16::from(pair(y3, y4)?);
    let (month, day) = (pair(mo1, mo2)?, pair(d1, d2)?);
    let (hour, minute, second) = (pair(h1, h2)?, pair(mi1, mi2)?, pair(s1, s2)?);
    civil::DateTime::new(year, month, day, hour, minute, second, 0).ok()
}

/// Splits `.fff` (one to nine digits, or nothing) off the front; the rest is the offset.
fn fraction_millis(rest: &[u8]) -> Option<(i64, &[u8])> {
    let Some(digits_on) = rest.strip_prefix(b".") else {
        return Some((0, rest));
    };
    let count = digits_on.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if !(1..=9).contains(&count) {
        return None;
    }
    let (digits, zone) = digits_on.split_at(count);
    let millis = digits.iter().chain(b"000").take(3).fold(0, |sum, byte| sum * 10 + i64::from(byte - b'0'));
    Some((millis, zone))
}

/// `Z` or `±hh:mm`.
fn offset(zone: &[u8]) -> Option<Offset> {
    let (sign, h1, h2, m1, m2) = match *zone {
        [b'Z'] => return Some(Offset::UTC),
        [b'+', h1, h2, b':', m1, m2] => (1, h1, h2, m1, m2),
        [b'-', h1, h2, b':', m1, m2] => (-1, h1, h2, m1, m2),
        _ => return None,
    };
    let (hours, minutes) = (pair(h1, h2)?, pair(m1, m2)?);
    if hours > 23 || minutes > 59 {
        return None;
    }
    Offset::from_seconds(sign * (i32::from(hours) * 3600 + i32::from(minutes) * 60)).ok()
}

fn pair(tens: u8, ones: u8) -> Option<i8> {
    let both = tens.is_ascii_digit() && ones.is_ascii_digit();
    if both { i8::try_from((tens - b'0') * 10 + (ones - b'0')).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str) -> Result<i64, TimestampError> {
        Timestamp::parse_rfc3339(text).map(Timestamp::as_millis)
    }

    #[test]
    fn a_moment_is_spelled_in_jakarta_time() {
        let at = Timestamp::from_millis(1_714_533_630_007);
        assert_eq!(at.to_snap(), "2024-05-01T10:20:30+07:00");
        assert_eq!(at.to_rfc3339(), "2024-05-01T10:20:30.007+07:00");
        assert_eq!(Timestamp::from_millis(0).to_rfc3339(), "1970-01-01T07:00:00.000+07:00");
        assert_eq!(Timestamp::from_millis(-1).to_rfc3339(), "1970-01-01T06:59:59.999+07:00");
    }

    #[test]
    fn any_offset_is_read() {
        let expected = Ok(1_714_533_630_000);
        for text in [
            "2024-05-01T10:20:30+07:00",
            "2024-05-01T03:20:30Z",
            "2024-05-01T03:20:30.000Z",
            "2024-05-01T03:20:30-00:00",
            "2024-04-30T21:50:30-05:30",
            "2024-05-02T03:19:30+23:59",
        ] {
            assert_eq!(parse(text), expected, "{text}");
        }
        assert_eq!(parse("2024-05-01T03:20:30.1239Z"), Ok(1_714_533_630_123));
        assert_eq!(parse("2024-05-01T03:20:30.5Z"), Ok(1_714_533_630_500));
        assert_eq!(parse("1969-12-31T23:59:59.999Z"), Ok(-1));
        assert_eq!(parse("2024-02-29T00:00:00Z"), Ok(1_709_164_800_000));
    }

    #[test]
    fn anything_but_a_full_time_with_offset_is_refused() {
        for text in [
            "",
            "2024-05-01",
            "2024-05-01T10:20:30",
            "2024-05-01T10:20+07:00",
            "2024-05-01 10:20:30+07:00",
            "2024-05-01t10:20:30z",
            "2024-05-01T10:20:30+07",
            "2024-05-01T10:20:30+0700",
            "2024-05-01T10:20:30+24:00",
            "2024-05-01T10:20:30+07:60",
            "2024-05-01T10:20:30.+07:00",
            "2024-05-01T10:20:30.1234567890Z",
            "2024-05-01T10:20:30,5Z",
            "2024-05-01T24:00:00Z",
            "2024-05-01T10:60:30Z",
            "2024-06-30T23:59:60Z",
            "2023-02-29T00:00:00Z",
            "2024-13-01T00:00:00Z",
            "2024-00-01T00:00:00Z",
            "+002024-05-01T10:20:30Z",
            "2024-05-01T10:20:30Z ",
            "2024-05-01T10:20:30+07:00[Asia/Jakarta]",
            "２０２４-05-01T10:20:30Z",
            "2024-05-01T10:20:3٣Z",
            "2024-05-0:T10:20:30Z",
        ] {
            assert_eq!(parse(text), Err(TimestampError), "{text:?}");
        }
    }

    #[test]
    fn the_ends_of_time_neither_panic_nor_wrap() {
        let (first, last) = (Timestamp::from_millis(i64::MIN), Timestamp::from_millis(i64::MAX));
        assert_eq!(last.plus(Duration::MAX), last);
        assert_eq!(first.minus(Duration::MAX), first);
        assert_eq!(first.since(last), Duration::ZERO);
        assert_eq!(last.since(first), Duration::from_millis(u64::MAX));
        assert_eq!(first.to_snap(), "0000-01-01T00:00:00+07:00");
        assert_eq!(last.to_snap(), "9999-12-31T05:00:00+07:00");
        assert!(parse("9999-12-31T23:59:59.999Z").is_err());
    }

    #[test]
    fn it_is_stored_as_milliseconds() {
        let at = Timestamp::from_millis(1_714_533_630_007);
        assert_eq!(serde_json::to_string(&at).unwrap(), "1714533630007");
        assert_eq!(serde_json::from_str::<Timestamp>("1714533630007").unwrap(), at);
    }

    /// It is enough that it came back.
    fn returns<T>(_: T) {}

    proptest! {
        #[test]
        fn what_is_spelled_reads_back(millis in SPELLABLE_MS.0..=SPELLABLE_MS.1) {
            let at = Timestamp::from_millis(millis);
            prop_assert_eq!(Timestamp::parse_rfc3339(&at.to_rfc3339()), Ok(at));
            prop_assert_eq!(at.to_snap().len(), 25);
            prop_assert_eq!(at.to_rfc3339().len(), 29);
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,40}", digits in "[0-9:TZ.+-]{15,35}") {
            prop_assert!(Timestamp::parse_rfc3339(&text).is_err());
            returns(Timestamp::parse_rfc3339(&digits));
        }
    }
}
