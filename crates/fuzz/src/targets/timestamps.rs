//! Moments: as producers, providers and operators write them, and as they are written here.

use std::time::Duration;

use snap_core::Timestamp;
use worker::cli::When;

pub(super) const WORDS: &[&str] = &[
    "2026-11-22T10:00:01.123+07:00",
    "2024-02-29T",
    "T",
    "Z",
    "+07:00",
    "-00:00",
    "+23:59",
    ".999999999",
    ".",
    ":60",
    "24:00:00",
    "9999-12-31T23:59:59",
    "0000-01-01T00:00:00",
    "-",
    "t",
    "z",
    "30m",
    "3d",
    " ",
];

/// What can be written with four digits of the year in Jakarta time.
const FIRST: i64 = -62_167_244_400_000;
const LAST: i64 = 253_402_207_200_000;

pub(super) fn check(data: &[u8]) {
    let mut eight = [0; 8];
    eight.iter_mut().zip(data).for_each(|(to, byte)| *to = *byte);
    let any = i64::from_le_bytes(eight);
    written(Timestamp::from_millis(any));
    written(Timestamp::from_millis(FIRST + any.rem_euclid(LAST - FIRST)));
    let text = &*String::from_utf8_lossy(data);
    read(text);
    if let Ok(when) = text.parse::<When>() {
        let now = Timestamp::from_millis(1_795_312_800_000);
        let is_moment = Timestamp::parse_rfc3339(text).is_ok_and(|at| when.at(now) == at);
        let is_span = super::ids::milliseconds(text).is_some() && when.at(now) <= now;
        assert!(is_moment || is_span, "{text:?} is {when:?}");
    }
}

fn written(at: Timestamp) {
    let (long, short) = (at.to_rfc3339(), at.to_snap());
    assert_eq!((long.len(), short.len()), (29, 25), "{long} {short}");
    assert!(long.ends_with("+07:00") && short.ends_with("+07:00"));
    let (long, short) = (Timestamp::parse_rfc3339(&long), Timestamp::parse_rfc3339(&short));
    if (FIRST..=LAST).contains(&at.as_millis()) {
        assert_eq!(long, Ok(at), "another moment came back");
        let seconds = at.as_millis().div_euclid(1_000) * 1_000;
        assert_eq!(short, Ok(Timestamp::from_millis(seconds)));
    } else {
        assert!(long.is_ok() && short.is_ok(), "what was written cannot be read");
    }
    let span = Duration::from_millis(at.as_millis().unsigned_abs());
    assert!(at.plus(span) >= at && at.minus(span) <= at);
    assert_eq!(at.since(at), Duration::ZERO);
}

fn read(text: &str) {
    let read = Timestamp::parse_rfc3339(text).map(Timestamp::as_millis).ok();
    match millis(text) {
        Expected::Moment(expected) => assert_eq!(read, Some(expected), "{text:?}"),
        Expected::None => assert_eq!(read, None, "{text:?}"),
        Expected::Edge => {}
    }
    if let Some(at) = read.filter(|at| (FIRST..=LAST).contains(at)) {
        written(Timestamp::from_millis(at));
    }
}

/// What a text says, reckoned without a library.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Expected {
    Moment(i64),
    None,
    /// In the last days that there are, where libraries differ.
    Edge,
}

/// Milliseconds since 1970.
pub(super) fn millis(text: &str) -> Expected {
    reckon(text.as_bytes()).unwrap_or(Expected::None)
}

fn reckon(text: &[u8]) -> Option<Expected> {
    let form = text.get(..19)?;
    let signs = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')];
    if signs.iter().any(|(at, sign)| form[*at] != *sign) {
        return None;
    }
    let number = |from: usize, to: usize| digits(form.get(from..to)?);
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days_of = [31, if leap { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let longest = days_of.get(usize::try_from(month).ok()?.checked_sub(1)?)?;
    if !(1..=*longest).contains(&day) || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let rest = text.get(19..)?;
    let fraction =
        rest.strip_prefix(b".").map_or(0, |rest| rest.iter().take_while(|byte| byte.is_ascii_digit()).count());
    if (rest.first() == Some(&b'.')) != (fraction > 0) || fraction > 9 {
        return None;
    }
    let (millis, zone) = match fraction {
        0 => (0, rest),
        count => {
            let shown: Vec<u8> = rest[1..=count].iter().copied().chain(*b"000").take(3).collect();
            (digits(&shown)?, &rest[count + 1..])
        }
    };
    let offset = match *zone {
        [b'Z'] => 0,
        [sign @ (b'+' | b'-'), ref hours @ .., b':', _, _] if hours.len() == 2 => {
            let (hours, minutes) = (digits(hours)?, digits(zone.get(4..)?)?);
            if hours > 23 || minutes > 59 {
                return None;
            }
            (hours * 60 + minutes) * if sign == b'-' { -1 } else { 1 }
        }
        _ => return None,
    };
    if year == 9999 && month == 12 || year == 0 && month == 1 {
        return Some(Expected::Edge);
    }
    let before: i64 = days_of.iter().zip(1..month).map(|(days, _)| *days).sum();
    let leaps = |until: i64| until / 4 - until / 100 + until / 400;
    // Of years before this one, from the year 0, which is a leap year.
    let whole_years = if year == 0 { 0 } else { year * 365 + leaps(year - 1) + 1 };
    let days = whole_years + before + day - 1 - 719_528;
    let minutes = days * 1_440 + hour * 60 + minute - offset;
    Some(Expected::Moment((minutes * 60 + second) * 1_000 + millis))
}

fn digits(bytes: &[u8]) -> Option<i64> {
    let all = bytes.iter().all(u8::is_ascii_digit);
    all.then(|| std::str::from_utf8(bytes).ok()?.parse().ok()).flatten()
}
