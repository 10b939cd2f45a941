//! The simulator's only reader of the system time, and SNAP's way to write time.

/// Offset of Jakarta, in seconds.
const JAKARTA: i64 = 7 * 3600;

/// Unix milliseconds now.
pub(crate) fn now_ms() -> i64 {
    #[expect(
        clippy::disallowed_methods,
        clippy::disallowed_types,
        reason = "the simulator is a provider of its own, with its own clock"
    )]
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// `2024-05-01T10:20:30+07:00`.
pub(crate) fn to_snap(unix_ms: i64) -> [u8; 25] {
    let local = unix_ms.div_euclid(1000) + JAKARTA;
    let (days, second) = (local.div_euclid(86_400), local.rem_euclid(86_400));
    let (year, month, day) = civil_from_days(days);
    let mut text = *b"0000-00-00T00:00:00+07:00";
    put(&mut text[0..4], year);
    put(&mut text[5..7], month);
    put(&mut text[8..10], day);
    put(&mut text[11..13], second / 3600);
    put(&mut text[14..16], second / 60 % 60);
    put(&mut text[17..19], second % 60);
    text
}

fn put(into: &mut [u8], mut number: i64) {
    for digit in into.iter_mut().rev() {
        *digit = b'0' + u8::try_from(number.rem_euclid(10)).unwrap_or(0);
        number /= 10;
    }
}

/// Unix seconds of a time in exactly the form `YYYY-MM-DDThh:mm:ss±hh:mm`, or nothing.
pub(crate) fn parse_snap(text: &str) -> Option<i64> {
    let bytes: &[u8; 25] = text.as_bytes().try_into().ok()?;
    let number = |from: usize, to: usize| {
        bytes[from..to]
            .iter()
            .try_fold(0_i64, |number, byte| byte.is_ascii_digit().then(|| number * 10 + i64::from(byte - b'0')))
    };
    let marks = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':'), (22, b':')];
    if marks.iter().any(|&(at, mark)| bytes[at] != mark) {
        return None;
    }
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    let (offset_hour, offset_minute) = (number(20, 22)?, number(23, 25)?);
    let sign = match bytes[19] {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let days = days_from_civil(year, month, day);
    let is_real = (1..=12).contains(&month)
        && civil_from_days(days) == (year, month, day)
        && hour < 24
        && minute < 60
        && second < 60
        && offset_hour <= 14
        && offset_minute < 60;
    is_real
        .then(|| days * 86_400 + hour * 3600 + minute * 60 + second - sign * (offset_hour * 3600 + offset_minute * 60))
}

/// Days since 1970-01-01 of a proleptic Gregorian date.
///
/// Source: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms".
const fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// The reverse of [`days_from_civil`].
const fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + if month <= 2 { 1 } else { 0 };
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_written_and_read_back() {
        // 1714533630 is 2024-05-01T03:20:30Z.
        assert_eq!(&to_snap(1_714_533_630_999), b"2024-05-01T10:20:30+07:00");
        assert_eq!(parse_snap("2024-05-01T10:20:30+07:00"), Some(1_714_533_630));
        assert_eq!(parse_snap("2024-04-30T23:20:30-04:00"), Some(1_714_533_630));
        for seconds in (0..4_000_000_000_i64).step_by(12_345_679) {
            let text = to_snap(seconds * 1000);
            assert_eq!(parse_snap(std::str::from_utf8(&text).unwrap()), Some(seconds));
        }
    }

    #[test]
    fn other_forms_of_time_are_refused() {
        for text in [
            "2024-05-01T10:20:30Z",
            "2024-05-01T10:20:30.123+07:00",
            "2024-05-01 10:20:30+07:00",
            "2024-02-30T10:20:30+07:00",
            "2023-02-29T10:20:30+07:00",
            "2024-13-01T10:20:30+07:00",
            "2024-00-01T10:20:30+07:00",
            "2024-05-01T24:20:30+07:00",
            "2024-05-01T10:60:30+07:00",
            "2024-05-01T10:20:60+07:00",
            "2024-05-01T10:20:30+0700",
            "2024-05-01T10:20:30 07:00",
            "2024-05-01T10:20:30+15:00",
            "+024-05-01T10:20:30+07:00",
            "",
        ] {
            assert_eq!(parse_snap(text), None, "{text}");
        }
    }
}
