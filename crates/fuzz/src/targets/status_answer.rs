//! Answers to the status inquiry: what they say is believed of this top-up only.

use engine::{Event, StatusAnswer};
use snap_core::Service;
use worker::provider;

use super::answer::{ASKED_AT, Claim, case, is_discreet};
use super::top_up_answer::Reads;

const KNOWN: [&str; 8] = ["00", "01", "02", "03", "04", "05", "06", "07"];

pub(super) fn check(data: &[u8]) {
    holds(provider::reading, data);
}

/// What has to hold for whatever `read` makes of an answer to a status inquiry.
pub fn holds(read: impl Reads, data: &[u8]) {
    let case = case(data);
    let service = case.profile.status_service;
    let reading = read(&case.profile, service, case.expected(), ASKED_AT, &case.reply).expect("a status service");
    is_discreet(&reading, data);
    let Event::Checked { asked_at, answer } = reading.event else { panic!("a status is {:?}", reading.event) };
    assert_eq!(asked_at, ASKED_AT);
    let asked = if service == Service::TransferStatus { 36 } else { 39 };
    let code = case.code(asked);
    let status = case.text("latestTransactionStatus").filter(|_| code == Some((200, 0)));
    let names = [case.reference("originalPartnerReferenceNo"), case.reference("partnerReferenceNo")];
    let reference = match names {
        [Claim::Other, _] | [_, Claim::Other] => Claim::Other,
        [Claim::Ours, _] | [_, Claim::Ours] => Claim::Ours,
        [Claim::Absent, Claim::Absent] => Claim::Absent,
    };
    let amount = case.amount_claim();
    let says = |expected: &[&str]| {
        assert!(
            status.as_deref().is_some_and(|status| expected.contains(&status)),
            "{answer:?} by {status:?}, {code:?}"
        );
        assert_ne!(reference, Claim::Other, "{answer:?}, said of another top-up");
    };
    match answer {
        StatusAnswer::Paid { amount_seen } => {
            says(&["00"]);
            assert_eq!(amount_seen, amount == Claim::Ours, "the amount was seen");
            assert_ne!(amount, Claim::Other, "paid, another amount");
        }
        StatusAnswer::Pending if case.http == Some(202) => {
            // What cannot be read names nothing.
            assert!(reference != Claim::Other || !case.is_plain, "{answer:?}, said of another top-up");
        }
        StatusAnswer::Pending if status.as_deref().is_none_or(|status| !KNOWN.contains(&status)) => {
            assert_eq!(code, Some((200, 0)), "known by {code:?}");
            let is_numbered = case.text("originalReferenceNo").is_some() || case.text("referenceNo").is_some();
            let is_known = reference == Claim::Ours || reference == Claim::Absent && is_numbered;
            assert!(is_known, "{answer:?} of {reference:?}");
        }
        StatusAnswer::Pending => says(&["01", "02", "03"]),
        StatusAnswer::Refunded => says(&["04"]),
        StatusAnswer::Cancelled => says(&["05"]),
        StatusAnswer::Failed => says(&["06"]),
        StatusAnswer::NotFound if code == Some((404, 1)) => {}
        StatusAnswer::NotFound => says(&["07"]),
        StatusAnswer::Inconsistent => {
            assert_eq!(status.as_deref(), Some("00"));
            assert!(reference == Claim::Other || amount == Claim::Other, "nothing differs");
        }
        StatusAnswer::Nothing(_) => {
            let is_known = status.as_deref().is_some_and(|status| KNOWN.contains(&status));
            let was_told = case.is_plain && is_known && reference != Claim::Other;
            assert!(!was_told, "a status was not understood: {status:?}");
            let shows = case.is_plain && code == Some((200, 0)) && reference == Claim::Ours;
            assert!(!shows, "the provider knows it, and that was not seen: {status:?}");
        }
    }
    if reading.fields.is_some() {
        let settles = matches!(
            answer,
            StatusAnswer::Paid { .. } | StatusAnswer::Refunded | StatusAnswer::Cancelled | StatusAnswer::Failed
        );
        assert!(settles, "{answer:?} replaces what was known");
    }
}
