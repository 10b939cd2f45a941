//! References, request numbers, response codes, statuses, durations: short texts with one form.

use engine::{DeadReason, MoneyState};
use snap_core::{Class, CodePattern, ExternalId, PartnerReferenceNo, ResponseCode, Timestamp, TransactionStatus};

pub(super) const WORDS: &[&str] = &[
    "2003800",
    "4043811",
    "50x38xx",
    "00",
    "07",
    "78912343452347893",
    "1h30m",
    "500ms",
    "50d",
    "18446744073709551615",
    "\u{0}",
    " ",
    "unresolved",
    "malformed",
    "maybe_sent",
    "success",
    "retry_safe",
    "ms",
    "m",
    "é",
];

pub(super) fn check(data: &[u8]) {
    let text = &*String::from_utf8_lossy(data);
    references(text);
    external_ids(data, text);
    codes(text);
    words(text);
    durations(text);
}

fn references(text: &str) {
    let is_one = (1..=64).contains(&text.len()) && text.bytes().all(|byte| (0x21..=0x7e).contains(&byte));
    let read = PartnerReferenceNo::parse(text).ok();
    assert_eq!(read.is_some(), is_one, "{text:?}");
    let Some(reference) = read else { return };
    assert_eq!(reference.as_str(), text);
    let json = serde_json::to_string(&reference).expect("it is a text");
    assert_eq!(serde_json::from_str::<PartnerReferenceNo>(&json).ok(), Some(reference));
}

fn external_ids(data: &[u8], text: &str) {
    let is_one = (1..=32).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    assert_eq!(ExternalId::parse(text).is_ok(), is_one, "{text:?}");
    let eight = |from: usize| {
        let mut bytes = [0; 8];
        bytes.iter_mut().zip(data.iter().skip(from)).for_each(|(to, byte)| *to = *byte);
        bytes
    };
    let (at, random) = (i64::from_le_bytes(eight(0)), u64::from_le_bytes(eight(8)));
    let new = ExternalId::new(Timestamp::from_millis(at), random);
    assert_eq!(new.as_str().len(), 32, "{new}");
    assert_eq!(ExternalId::parse(new.as_str()).as_ref(), Ok(&new), "made at {at} of {random}");
}

fn codes(text: &str) {
    let is_one = text.len() == 7 && text.bytes().all(|byte| byte.is_ascii_digit());
    let read = ResponseCode::parse(text).ok();
    assert_eq!(read.is_some(), is_one, "{text:?}");
    if let Some(code) = read {
        assert_eq!(code.to_string(), text);
        assert_eq!(format!("{:03}{:02}{:02}", code.http_status(), code.service(), code.case()), text);
    }
    if let Ok(pattern) = text.parse::<CodePattern>() {
        assert_eq!(pattern.to_string(), text);
        assert!(read.is_none_or(|code| pattern.matches(code)), "{text} is not like itself");
    }
}

fn words(text: &str) {
    let statuses = ["00", "01", "02", "03", "04", "05", "06", "07"];
    let status = TransactionStatus::parse(text);
    assert_eq!(status.is_some(), statuses.contains(&text), "{text:?}");
    assert!(status.is_none_or(|status| status.code() == text));
    assert!(text.parse::<Class>().map_or(true, |class| class.as_str() == text));
    assert!(DeadReason::parse(text).is_none_or(|reason| reason.as_str() == text));
    assert!(MoneyState::parse(text).is_none_or(|state| state.as_str() == text));
}

fn durations(text: &str) {
    let expected = milliseconds(text);
    let read = snap_core::duration::parse(text).ok();
    assert_eq!(read.map(|span| span.as_millis()), expected, "{text:?}");
    if let Some(span) = read {
        let written = snap_core::duration::format(span);
        assert_eq!(snap_core::duration::parse(&written), Ok(span), "{text} became {written}");
    }
}

/// What the parts of a duration come to, in milliseconds.
pub(super) fn milliseconds(text: &str) -> Option<u128> {
    let mut rest = text;
    let mut sum = 0_u128;
    while !rest.is_empty() || text.is_empty() {
        let unit_at = rest.find(|sign: char| !sign.is_ascii_digit())?;
        let next = rest[unit_at..].find(|sign: char| sign.is_ascii_digit()).map_or(rest.len(), |at| unit_at + at);
        let factor = match &rest[unit_at..next] {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return None,
        };
        let number: u64 = rest[..unit_at].parse().ok()?;
        sum += u128::from(number) * factor;
        rest = &rest[next..];
    }
    (sum <= u128::from(u64::MAX)).then_some(sum)
}
