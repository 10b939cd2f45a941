use engine::{Backoff, Job, MoneyState, Policy};
use outbox::{JobId, JobRequest};
use snap_core::{Amount, CustomerNumber, InquiryMode, PartnerReferenceNo, Private};
use std::time::Duration;

use super::*;

const ACCEPTED: Timestamp = Timestamp::from_millis(1_795_316_400_000);
const NOW: Timestamp = Timestamp::from_millis(1_795_316_401_123);

fn stamp() -> Stamp {
    Stamp { id: "01KAMJ7Q3M0000000000000000".to_owned(), at: NOW }
}

fn carried() -> Carried {
    Carried {
        correlation_id: Some("corr-7".to_owned()),
        message_id: Some("msg-7".to_owned()),
        traceparent: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned()),
        tracestate: Some("vendor=1".to_owned()),
    }
}

fn policy() -> Policy {
    let second = Duration::from_secs(1);
    Policy {
        inquiry: InquiryMode::Always,
        inquiry_max_age: second,
        retry: Backoff { initial: second, max: second, multiplier: 2.0, jitter_ppm: 0 },
        attempts: 1,
        first_after: second,
        interval_max: second,
        quiet_period: second,
        give_up_after: second,
        uniqueness_window: second,
        account: None,
    }
}

fn job() -> StoredJob {
    let amount = Amount::from_minor(1_000_000).unwrap();
    StoredJob {
        id: JobId(1),
        version: 3,
        request: JobRequest {
            partner_reference_no: PartnerReferenceNo::parse("78912343452347893").unwrap(),
            provider: "finpay".to_owned(),
            customer_number: CustomerNumber::parse("081234567902").unwrap(),
            amount,
            customer_name: Some(Private::from("Siti Nurhaliza")),
            notes: None,
            beneficiary_provider: None,
            beneficiary_email: Some(Private::from("siti@example.co.id")),
            not_after: None,
            metadata: Private::from(r#"{ "order": 7.50,  "é":"\u00e9" }"#),
        },
        carried: carried(),
        job: Job::accepted(amount, None, true, &policy(), ACCEPTED),
        accepted_at: ACCEPTED,
        due_at: None,
        finished_at: None,
        reference_no: None,
        response_code: None,
        response_message: None,
        fee_amount: None,
        attempts: 1,
        requests: 2,
    }
}

fn bare_job() -> StoredJob {
    let mut job = job();
    job.carried = Carried::default();
    job.request.metadata = Private::from("{}");
    job
}

fn answer() -> AnswerFields {
    AnswerFields {
        reference_no: Some("2211150005490937".to_owned()),
        response_code: Some("2003800".to_owned()),
        response_message: Some("Successful".to_owned()),
        fee_amount: Some(Amount::ZERO),
    }
}

fn dead_letter() -> NewDeadLetter {
    NewDeadLetter {
        id: DeadLetterId::new("01KAMJ7Q3MDEADDEADDEADDEAD"),
        reason: DeadReason::Unresolved,
        detail: "the status budget is used up".to_owned(),
        money_state: MoneyState::MaybeSent,
        response_code: None,
    }
}

fn refused<'a>(id: &'a DeadLetterId, carried: &'a Carried) -> RefusedMessage<'a> {
    RefusedMessage {
        dead_letter: id,
        reason: DeadReason::Malformed,
        detail: "notafter is not a known field; the nearest is notAfter",
        claimed_reference: Some("78912343452347893"),
        provider: Some("finpay"),
        carried,
    }
}

fn action(id: &DeadLetterId) -> Action<'_> {
    Action { dead_letter: id, reason: DeadReason::Unresolved, by: "siti", why: "provider confirmed by mail" }
}

/// The body in one line per member, in its own order and spelling.
fn shown(outcome: &NewOutcome) -> String {
    let body = std::str::from_utf8(&outcome.body).unwrap();
    let value: serde_json::Value = serde_json::from_str(body).unwrap();
    assert_eq!(value["id"], outcome.event_id);
    assert_eq!(value["type"], outcome.event_type);
    let broken = body.replace(",\"", ",\n\"").replace("\"data\":{", "\"data\":{\n");
    format!("terminal: {}\nproperties: {}\n{broken}", outcome.terminal, outcome.headers)
}

/// One of each type, for the schema's test as well.
pub(crate) fn one_of_each() -> Vec<NewOutcome> {
    let id = DeadLetterId::new("01KAMJ7Q3MDEADDEADDEADDEAD");
    let (job, carried, none) = (job(), carried(), Carried::default());
    let nobody = RefusedMessage { provider: None, claimed_reference: None, ..refused(&id, &none) };
    vec![
        succeeded(stamp(), &job, &answer()),
        rejected(stamp(), &job, &answer(), RejectReason::Business),
        dead_lettered(stamp(), &job, &NO_ANSWER, &dead_letter()),
        replayed(stamp(), &job, action(&id)),
        discarded(stamp(), &job, action(&id)),
        message_refused(stamp(), refused(&id, &carried)),
        message_refused(stamp(), nobody),
        message_replayed(stamp(), nobody, "siti", "fixed"),
        message_discarded(stamp(), nobody, "siti", "not ours"),
        succeeded(stamp(), &bare_job(), &NO_ANSWER),
    ]
}

#[test]
fn succeeded_is_the_contracts_example() {
    insta::assert_snapshot!(shown(&succeeded(stamp(), &job(), &answer())));
}

#[test]
fn what_has_no_value_is_null_in_data_and_left_out_of_the_attributes() {
    insta::assert_snapshot!(shown(&succeeded(stamp(), &bare_job(), &NO_ANSWER)));
}

#[test]
fn rejected_tells_why() {
    insta::assert_snapshot!(shown(&rejected(stamp(), &bare_job(), &answer(), RejectReason::AmountOutOfRange)));
}

#[test]
fn dead_lettered_tells_what_is_known_of_the_money() {
    insta::assert_snapshot!(shown(&dead_lettered(stamp(), &bare_job(), &NO_ANSWER, &dead_letter())));
}

#[test]
fn message_refused_has_no_subject_and_no_reference() {
    let id = DeadLetterId::new("01KAMJ7Q3MDEADDEADDEADDEAD");
    let outcome = message_refused(stamp(), refused(&id, &carried()));
    let body: serde_json::Value = serde_json::from_slice(&outcome.body).unwrap();
    assert!(body.get("subject").is_none() && body["data"].get("partnerReferenceNo").is_none());
    insta::assert_snapshot!(shown(&outcome));
}

#[test]
fn message_refused_without_a_provider_comes_from_topup() {
    let id = DeadLetterId::new("01KAMJ7Q3MDEADDEADDEADDEAD");
    let none = Carried::default();
    let nobody = RefusedMessage { provider: None, claimed_reference: None, ..refused(&id, &none) };
    insta::assert_snapshot!(shown(&message_refused(stamp(), nobody)));
}

#[test]
fn replayed_tells_who_and_why() {
    let id = DeadLetterId::new("01KAMJ7Q3MDEADDEADDEADDEAD");
    insta::assert_snapshot!(shown(&replayed(stamp(), &bare_job(), action(&id))));
}

#[test]
fn discarded_tells_who_and_why_and_is_terminal() {
    let id = DeadLetterId::new("01KAMJ7Q3MDEADDEADDEADDEAD");
    insta::assert_snapshot!(shown(&discarded(stamp(), &bare_job(), action(&id))));
}

#[test]
fn a_message_that_never_was_a_job_can_be_discarded_but_ends_no_job() {
    let id = DeadLetterId::new("01KAMJ7Q3MDEADDEADDEADDEAD");
    let none = Carried::default();
    insta::assert_snapshot!(shown(&message_discarded(stamp(), refused(&id, &none), "siti", "not ours")));
}

#[test]
fn an_answer_of_now_stands_before_what_was_stored_earlier() {
    let mut job = job();
    job.response_code = Some("5043800".to_owned());
    job.reference_no = Some("earlier".to_owned());
    let answer = AnswerFields { response_code: Some("2003900".to_owned()), ..NO_ANSWER };
    let outcome = succeeded(stamp(), &job, &answer);
    let body: serde_json::Value = serde_json::from_slice(&outcome.body).unwrap();
    assert_eq!(body["data"]["responseCode"], "2003900");
    assert_eq!(body["data"]["referenceNo"], "earlier");
}

#[test]
fn no_event_shows_a_name_a_mail_address_or_a_whole_phone_number() {
    for outcome in one_of_each() {
        let body = String::from_utf8(outcome.body).unwrap();
        for secret in ["Siti", "siti@", "81234567902"] {
            assert!(!body.contains(secret), "{body}");
        }
    }
}

#[test]
fn metadata_comes_back_byte_for_byte() {
    let outcome = succeeded(stamp(), &job(), &answer());
    let body = String::from_utf8(outcome.body).unwrap();
    assert!(body.contains(r#""metadata":{ "order": 7.50,  "é":"\u00e9" }"#), "{body}");
}

#[test]
fn properties_survive_the_store() {
    let outcome = succeeded(stamp(), &job(), &answer());
    let read = Properties::read(&outcome.headers);
    assert_eq!(read.correlation_id.as_deref(), Some("corr-7"));
    let headers: Vec<_> = read.headers().collect();
    assert_eq!(
        headers,
        [
            ("x-job-message-id", "msg-7"),
            ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
            ("tracestate", "vendor=1"),
        ]
    );
    assert_eq!(Properties::read("{}"), Properties::default());
    assert_eq!(Properties::read("[1]"), Properties::default());
}

#[test]
fn only_an_end_of_a_job_is_terminal() {
    let terminal: Vec<_> =
        one_of_each().into_iter().filter(|outcome| outcome.terminal).map(|outcome| outcome.event_type).collect();
    assert_eq!(terminal, [kind::SUCCEEDED, kind::REJECTED, kind::DISCARDED, kind::SUCCEEDED]);
}
