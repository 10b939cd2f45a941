//! Rows as a worker writes them: what a job carries, its intent, its result with the outcome.

use engine::{Budget, DeadReason, Evidence, Job, MoneyState, State};
use outbox::{
    AnswerFields, AttemptEnd, Carried, CloseDeadLetter, DeadLetterId, Delivered, HistoryEntry, JobRequest, NewAttempt,
    NewAudit, NewJob, NewOutcome, Record, Refusal, StoredJob,
};
use serde_json::{Value, json};
use snap_core::{Amount, CustomerNumber, ExternalId, PartnerReferenceNo, Private, Service, Timestamp};

/// 2026-01-01; the n-th job comes n milliseconds later.
const START: i64 = 1_767_225_600_000;

pub(crate) fn at(n: u64) -> Timestamp {
    Timestamp::from_millis(START + i64::try_from(n).unwrap_or(0))
}

/// The n-th job's key; no two in order stand side by side in an index.
fn key(n: u64) -> String {
    // SplitMix64: a bijection, so no key comes twice.
    let mut mixed = n.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    format!("TOP-{:016x}", mixed ^ (mixed >> 31))
}

pub(crate) fn new_job(n: u64, due_at: Option<Timestamp>) -> NewJob {
    let at = at(n);
    NewJob {
        request: JobRequest {
            partner_reference_no: PartnerReferenceNo::parse(&key(n)).expect("a short key"),
            provider: "finpay".to_owned(),
            customer_number: CustomerNumber::parse("081234567902").expect("a phone number"),
            amount: Amount::from_minor(1_000_000 + n % 1_000).expect("a small amount"),
            customer_name: None,
            notes: None,
            beneficiary_provider: None,
            beneficiary_email: None,
            not_after: Some(Timestamp::from_millis(at.as_millis() + 3_600_000)),
            metadata: Private::from(r#"{"orderId":"ORD-20260101-000001","channel":"mobile"}"#),
        },
        carried: Carried {
            correlation_id: Some(format!("order-{n}")),
            message_id: Some(format!("{n:032x}")),
            traceparent: Some(format!("00-{n:032x}-00f067aa0ba902b7-01")),
            tracestate: None,
        },
        job: job(State::Ready { at }, MoneyState::NeverSent),
        at,
        due_at,
        on_conflict: Box::new(|_| unreachable!("every key is new")),
        closes: None,
        audit: None,
    }
}

/// The inquiry with its answer, and the intent.
pub(crate) fn intent(stored: &StoredJob) -> Record {
    let at = stored.accepted_at;
    let n = at.as_millis().unsigned_abs();
    let inquiry = ExternalId::new(at, n * 2);
    Record {
        attempts: vec![
            NewAttempt {
                service: Service::AccountInquiry,
                external_id: inquiry.clone(),
                started_at: at,
                body_sha256: None,
                end: Some(end(inquiry, at, "2003700")),
            },
            NewAttempt {
                service: Service::TopUp,
                external_id: ExternalId::new(at, n * 2 + 1),
                started_at: at,
                body_sha256: Some("ab".repeat(32)),
                end: None,
            },
        ],
        history: vec![entry("inquired", at), entry("send_started", at)],
        answer: AnswerFields { fee_amount: Some(Amount::ZERO), ..AnswerFields::default() },
        ..Record::new(
            stored.id,
            stored.version,
            job(State::Sending { before: MoneyState::NeverSent }, MoneyState::MaybeSent),
            at,
        )
    }
}

/// The top-up's answer, with the outcome.
pub(crate) fn result(stored: &StoredJob, version: i64) -> Record {
    let at = stored.accepted_at;
    let n = at.as_millis().unsigned_abs();
    let carried = &stored.carried;
    let body = json!({
        "specversion": "1.0", "id": format!("01KE{n:022}"), "source": "/topup/finpay", "type": "topup.succeeded",
        "subject": stored.request.partner_reference_no.as_str(), "time": "2026-01-01T00:00:00.000Z",
        "datacontenttype": "application/json", "traceparent": carried.traceparent, "jobmessageid": carried.message_id,
        "data": {
            "partnerReferenceNo": stored.request.partner_reference_no.as_str(), "provider": "finpay",
            "customerNumber": "62812*****902", "amount": {"value": "10000.00", "currency": "IDR"},
            "feeAmount": {"value": "0.00", "currency": "IDR"}, "referenceNo": format!("22111500{n:016}"),
            "responseCode": "2003800", "responseMessage": "Successful", "reason": null, "attempts": 1,
            "acceptedAt": "2026-01-01T00:00:00.000Z", "finishedAt": "2026-01-01T00:00:00.123Z",
            "metadata": {"orderId": "ORD-20260101-000001", "channel": "mobile"}
        }
    });
    Record {
        ends: vec![end(ExternalId::new(at, n * 2 + 1), at, "2003800")],
        history: vec![entry("top_up_paid", at)],
        answer: AnswerFields {
            reference_no: Some(format!("22111500{n:016}")),
            response_code: Some("2003800".to_owned()),
            response_message: Some("Successful".to_owned()),
            fee_amount: None,
        },
        outcomes: vec![NewOutcome {
            event_id: format!("01KE{n:022}"),
            event_type: "topup.succeeded".to_owned(),
            body: body.to_string().into_bytes(),
            headers: json!({
                "correlation_id": carried.correlation_id, "job_message_id": carried.message_id,
                "traceparent": carried.traceparent
            })
            .to_string(),
            terminal: true,
        }],
        ..Record::new(stored.id, version, job(State::Succeeded, MoneyState::ProvenPaid), at)
    }
}

/// The n-th message that is no job.
pub(crate) fn refusal(n: u64) -> Refusal {
    Refusal {
        id: DeadLetterId::new(format!("01KE{n:022}")),
        delivered: Delivered {
            body: vec![b'{'; 600],
            size: 600,
            sha256: [0; 32],
            properties: json!({"message_id": n}),
            headers: json!({}),
        },
        reason: DeadReason::Malformed,
        detail: "amount: is cut off".to_owned(),
        claimed_reference: None,
        provider: None,
        at: at(n),
        outcome: NewOutcome {
            event_id: format!("01KF{n:022}"),
            event_type: "topup.message_refused".to_owned(),
            body: vec![b'{'; 600],
            headers: "{}".to_owned(),
            terminal: false,
        },
        closes: None,
        audit: None,
    }
}

/// An operator closes it.
pub(crate) fn discard(n: u64) -> CloseDeadLetter {
    CloseDeadLetter { id: DeadLetterId::new(format!("01KE{n:022}")), at: at(n), outcome: None, audit: audit() }
}

pub(crate) fn audit() -> NewAudit {
    NewAudit {
        at: at(0),
        by: "sari".to_owned(),
        action: "dlq_discard".to_owned(),
        subject: "all".to_owned(),
        reason: "a measurement".to_owned(),
        detail: Value::Null,
    }
}

fn end(external_id: ExternalId, at: Timestamp, code: &str) -> AttemptEnd {
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
    HistoryEntry { at, event: event.into(), detail: Value::Null }
}

fn job(state: State, money: MoneyState) -> Job {
    let sent = (money != MoneyState::NeverSent).then(|| at(0));
    Job {
        state,
        amount: Amount::from_minor(1_000_000).expect("a small amount"),
        not_after: Some(at(0)),
        has_customer_name: false,
        budget: Budget { inquiries: 5, attempts: 5, checks: 10 },
        evidence: Evidence {
            money,
            first_sent_at: sent,
            last_ended_at: sent,
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
