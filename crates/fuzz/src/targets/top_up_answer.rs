//! Answers to a top-up: M2, M7 and M8, written down a second time.

use engine::{Answer, Event};
use snap_client::Reply;
use snap_core::{Profile, Service, Timestamp};
use worker::provider::{self, Expected, Reading};

use super::answer::{ASKED_AT, Case, Claim, case, is_discreet};

pub(super) fn check(data: &[u8]) {
    holds(provider::reading, data);
}

/// Reads an answer of a service to a question about a top-up.
pub trait Reads: Fn(&Profile, Service, Expected<'_>, Timestamp, &Reply) -> Option<Reading> {}
impl<F: Fn(&Profile, Service, Expected<'_>, Timestamp, &Reply) -> Option<Reading>> Reads for F {}

/// What has to hold for whatever `read` makes of an answer to a top-up.
pub fn holds(read: impl Reads, data: &[u8]) {
    let case = case(data);
    let reading = read(&case.profile, Service::TopUp, case.expected(), ASKED_AT, &case.reply).expect("service 38");
    is_discreet(&reading, data);
    let Event::TopUp(answer) = reading.event else { panic!("a top-up's answer is {:?}", reading.event) };
    let code = case.code(38);
    let claims = [case.reference("partnerReferenceNo"), case.amount_claim()];
    let is_ours = !claims.contains(&Claim::Other);
    match answer {
        Answer::Paid => {
            assert_eq!(code, Some((200, 0)), "paid");
            let is_named = claims[0] == Claim::Ours || !case.profile.echoes_reference;
            assert!(is_ours && is_named && case.profile.ok_is_final, "paid, and not this one: {claims:?}");
        }
        Answer::Accepted => {
            assert!(is_ours, "accepted, and not this one: {claims:?}");
            let is_final = case.profile.ok_is_final && claims[0] == Claim::Ours;
            let is_accepted = code == Some((202, 0)) || code == Some((200, 0)) && !is_final;
            assert!(is_accepted, "accepted by {code:?}");
        }
        Answer::Inconsistent => {
            assert!(matches!(code, Some((200 | 202, 0))) && !is_ours, "{code:?} {claims:?}");
        }
        Answer::NotExecuted { sent, .. } => {
            assert_eq!(sent, case.http.is_some(), "bytes written");
            assert!(!sent || is_refused_at_the_door(code), "not executed by {code:?}");
            assert_ne!(claims[0], Claim::Other, "not executed, said of another top-up");
        }
        Answer::Refused | Answer::Wrong => {
            let refuses = matches!(code, Some((400 | 401 | 403 | 404 | 405, _)));
            let is_doubt = matches!(code, Some((403, 16) | (404, 0 | 1 | 4 | 14 | 18)));
            assert!(refuses && !is_doubt, "{answer:?} by {code:?}");
            assert_ne!(claims[0], Claim::Other, "refused, said of another top-up");
        }
        Answer::Duplicate => {
            assert!(matches!(code, Some((409, 0 | 1) | (404, 14 | 18))), "a duplicate by {code:?}");
        }
        Answer::Unknown => is_doubtful(&case, code),
        Answer::NotSent => panic!("no answer says that it was held back"),
    }
    if reading.belongs.is_some() {
        assert!(is_ours && code.is_some(), "kept a connection after {code:?} {claims:?}");
    }
    let kept = reading.fields.and_then(|fields| fields.reference_no);
    if let Some(kept) = kept {
        assert!(matches!(answer, Answer::Paid | Answer::Accepted | Answer::Inconsistent), "{answer:?} kept {kept}");
        assert_ne!(claims[0], Claim::Other, "the number of another top-up was kept");
        assert_eq!(case.text("referenceNo").as_deref(), Some(kept.as_str()));
    }
}

/// M8 and M9: the provider's own words for "I did not even begin".
fn is_refused_at_the_door(code: Option<(u16, u8)>) -> bool {
    matches!(code, Some((401, 0 | 1 | 3) | (429, 0) | (403, 1 | 4 | 6 | 14 | 19 | 20) | (404, 8 | 16)))
}

/// What is in doubt is not a plain success: that would ask for ever about what is known.
fn is_doubtful(case: &Case, code: Option<(u16, u8)>) {
    assert!(!matches!(case.reply, Reply::NotSent { .. }), "nothing was sent, and that is known");
    let is_success = case.is_plain && matches!(code, Some((200 | 202, 0)));
    assert!(!is_success, "a success of {code:?} was not understood");
}
