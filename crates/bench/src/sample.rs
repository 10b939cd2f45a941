//! A job as the store sees it, from its acceptance to the mark of its outcome: as long and as many rows as the real ones.

use engine::{Budget, Evidence, Job, MoneyState, State};
use outbox::{
    Accepted, AnswerFields, AttemptEnd, Carried, HistoryEntry, JobRequest, NewAttempt, NewJob, NewOutcome, Record,
    StoreError, StoredJob,
};
use serde_json::json;
use snap_core::{Amount, CustomerNumber, ExternalId, PartnerReferenceNo, Private, Service, Timestamp};

/// A new job, driven by whoever records it.
pub(crate) fn new_job(reference: &str, at: Timestamp) -> NewJob {
    NewJob {
        request: JobRequest {
            partner_reference_no: PartnerReferenceNo::parse(reference).expect("a short reference"),
            provider: "finpay".to_owned(),
            customer_number: CustomerNumber::parse("081234567902").expect("a phone number"),
            amount: amount(),
            customer_name: None,
            notes: None,
            beneficiary_provider: None,
            beneficiary_email: None,
            not_after: None,
            metadata: Private::from("{}"),
        },
        carried: Carried { message_id: Some(reference.to_owned()), ..Carried::default() },
        job: job(State::Ready { at }),
        at,
        due_at: None,
        on_conflict: Box::new(|_| unreachable!("every reference is new")),
        closes: None,
        audit: None,
    }
}

/// The job, where it was new.
pub(crate) fn accepted(accepted: Accepted) -> Result<StoredJob, StoreError> {
    match accepted {
        Accepted::New(job) => Ok(*job),
        Accepted::Duplicate(_) | Accepted::Conflict { .. } => Err(StoreError::Refused("a key was taken".to_owned())),
    }
}

/// The inquiry, answered, and the top-up that is about to leave under `number`.
pub(crate) fn intent(stored: &StoredJob, number: u64, at: Timestamp) -> Record {
    let inquiry = NewAttempt {
        service: Service::AccountInquiry,
        external_id: ExternalId::new(at, number.wrapping_mul(2)),
        started_at: at,
        body_sha256: Some("ab".repeat(32)),
        end: Some(end(ExternalId::new(at, number.wrapping_mul(2)), "2003700", at)),
    };
    let top_up = NewAttempt {
        service: Service::TopUp,
        external_id: external_id(number, at),
        started_at: at,
        body_sha256: Some("ab".repeat(32)),
        end: None,
    };
    Record {
        attempts: vec![inquiry, top_up],
        history: vec![entry("inquired", at), entry("send_started", at)],
        ..Record::new(stored.id, stored.version, job(State::Sending { before: MoneyState::NeverSent }), at)
    }
}

/// The top-up under `number`, paid, with its outcome; `version` is what the intent was answered with.
pub(crate) fn result(stored: &StoredJob, version: i64, number: u64, at: Timestamp) -> Record {
    let reference = stored.request.partner_reference_no.as_str();
    Record {
        ends: vec![end(external_id(number, at), "2003800", at)],
        history: vec![entry("top_up_paid", at)],
        answer: AnswerFields {
            reference_no: Some(format!("{number:016}")),
            response_code: Some("2003800".to_owned()),
            response_message: Some("Successful".to_owned()),
            fee_amount: Some(Amount::ZERO),
        },
        outcomes: vec![NewOutcome {
            event_id: format!("01M80PREZZ{number:016}"),
            event_type: "topup.succeeded".to_owned(),
            body: vec![b'x'; 700],
            headers: json!({ "job_message_id": reference }).to_string(),
            terminal: true,
        }],
        ..Record::new(stored.id, version, job(State::Succeeded), at)
    }
}

fn external_id(number: u64, at: Timestamp) -> ExternalId {
    ExternalId::new(at, number.wrapping_mul(2).wrapping_add(1))
}

fn end(external_id: ExternalId, code: &str, at: Timestamp) -> AttemptEnd {
    AttemptEnd {
        external_id,
        ended_at: at,
        http_status: Some(200),
        response_code: Some(code.to_owned()),
        class: Some("success".into()),
        detail: None,
    }
}

fn entry(event: &'static str, at: Timestamp) -> HistoryEntry {
    HistoryEntry { at, event: event.into(), detail: serde_json::Value::Null }
}

fn amount() -> Amount {
    Amount::from_minor(1_000_000).expect("a small amount")
}

fn job(state: State) -> Job {
    Job {
        state,
        amount: amount(),
        not_after: None,
        has_customer_name: false,
        budget: Budget { inquiries: 8, attempts: 8, checks: 60 },
        evidence: Evidence {
            money: MoneyState::NeverSent,
            first_sent_at: None,
            last_ended_at: None,
            doubted: false,
            accepted: false,
            mismatch: false,
            replayed: false,
            forgotten: false,
            account: None,
            beside: None,
        },
    }
}
