//! The store on temporary files. What is asked of one file alone stands beside it.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use engine::{Budget, DeadReason, Evidence, Job, MoneyState, State};
use serde_json::{Value, json};
use snap_core::{Amount, CustomerNumber, ExternalId, PartnerReferenceNo, Private, Service, Timestamp};

use crate::*;

mod accept;
mod accounts;
mod audit;
mod broken_disk;
mod claim;
mod clock;
mod custody;
mod dead_letters;
mod full_disk;
mod group_commit;
mod here;
mod kill;
mod lanes;
mod opening;
mod outcomes;
pub(crate) mod plans;
#[cfg(target_os = "linux")]
mod power_loss;
mod queries;
mod reconcile;
mod record;
mod recover;
mod replay;
mod restoring;
mod scale;
mod shrink;
mod standing;
mod tried_again;

/// A store of a test's own.
struct Fixture {
    dir: Arc<tempfile::TempDir>,
    store: Store,
}

/// What tests open with: no free space is asked for, and a small reserve is kept.
fn options() -> OpenOptions {
    OpenOptions {
        exclusive: true,
        min_free_bytes: 0,
        reserve_bytes: 64 << 10,
        cache_kib: 2048,
        ..OpenOptions::default()
    }
}

fn t(millis: i64) -> Timestamp {
    Timestamp::from_millis(1_700_000_000_000 + millis)
}

impl Drop for Fixture {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            plans::check_what_was_run();
        }
    }
}

impl Fixture {
    fn new() -> Self {
        let dir = Arc::new(tempfile::tempdir().unwrap());
        let store = Store::open(&dir.path().join("s.db"), t(0), &options()).unwrap().store;
        Self { dir, store }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("s.db")
    }

    /// As `worker jobs` and the like do, beside a running worker.
    fn beside(&self) -> Store {
        Store::open(&self.path(), t(0), &OpenOptions::default()).unwrap().store
    }

    async fn reopened(self) -> (Self, Opened) {
        self.store.close().await;
        let opened = Store::open(&self.path(), t(0), &options()).unwrap();
        (Self { store: opened.store.clone(), dir: Arc::clone(&self.dir) }, opened)
    }

    async fn accept_one(&self, new: NewJob) -> Accepted {
        self.store.accept(vec![new]).await.unwrap().remove(0)
    }

    /// A new job that the caller drives.
    async fn driven(&self, key: &str) -> StoredJob {
        match self.accept_one(new_job(key)).await {
            Accepted::New(job) => *job,
            other => panic!("{other:?}"),
        }
    }

    /// A new job that waits.
    async fn waiting(&self, key: &str, due_at: Timestamp) -> JobId {
        match self.accept_one(NewJob { due_at: Some(due_at), ..new_job(key) }).await {
            Accepted::New(job) => job.id,
            other => panic!("{other:?}"),
        }
    }

    async fn job(&self, key: &str) -> StoredJob {
        self.store.find(&reference(key)).await.unwrap().unwrap()
    }

    async fn timeline(&self, key: &str) -> Timeline {
        self.store.timeline(&reference(key)).await.unwrap().unwrap()
    }

    /// A job that succeeded, with its outcome.
    async fn succeeded(&self, key: &str) -> StoredJob {
        let job = self.driven(key).await;
        self.store.record(success(&job)).await.unwrap();
        self.job(key).await
    }

    /// A job that died, with its dead letter.
    async fn died(&self, key: &str) -> StoredJob {
        let job = self.driven(key).await;
        self.store.record(death(&job, &format!("dl-{key}"))).await.unwrap();
        self.job(key).await
    }
}

/// Another connection that looks past the handle.
fn raw(path: &Path) -> rusqlite::Connection {
    let connection = rusqlite::Connection::open(path).unwrap();
    connection.busy_timeout(std::time::Duration::from_secs(5)).unwrap();
    connection
}

fn count(path: &Path, sql: &str) -> i64 {
    raw(path).query_row(sql, [], |row| row.get(0)).unwrap()
}

fn reference(key: &str) -> PartnerReferenceNo {
    PartnerReferenceNo::parse(key).unwrap()
}

fn amount(text: &str) -> Amount {
    Amount::parse_strict(text).unwrap()
}

fn request(key: &str) -> JobRequest {
    JobRequest {
        partner_reference_no: reference(key),
        provider: "finpay".to_owned(),
        customer_number: CustomerNumber::parse("081234567902").unwrap(),
        amount: amount("10000.00"),
        customer_name: Some(Private::from("BUDI SANTOSO")),
        notes: None,
        beneficiary_provider: None,
        beneficiary_email: None,
        not_after: Some(t(3_600_000)),
        metadata: Private::from(r#"{ "b": 1,  "a": [] }"#),
    }
}

fn engine_job(state: State) -> Job {
    Job {
        state,
        amount: amount("10000.00"),
        not_after: Some(t(3_600_000)),
        has_customer_name: true,
        budget: Budget { inquiries: 5, attempts: 5, checks: 10 },
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

fn ready() -> Job {
    engine_job(State::Ready { at: t(0) })
}

fn sending() -> Job {
    engine_job(State::Sending { before: MoneyState::NeverSent })
}

fn unconfirmed(at: Timestamp) -> Job {
    engine_job(State::Unconfirmed { at, not_found: 0, refusal: None })
}

fn new_job(key: &str) -> NewJob {
    NewJob {
        request: request(key),
        carried: Carried {
            correlation_id: Some("c-1".to_owned()),
            message_id: Some("m-1".to_owned()),
            ..Carried::default()
        },
        job: ready(),
        at: t(0),
        due_at: None,
        on_conflict: conflict_notice(key),
        closes: None,
        audit: None,
    }
}

fn conflict_notice(key: &str) -> OnConflict {
    let key = key.to_owned();
    Box::new(move |fields| Refusal {
        reason: DeadReason::IdempotencyConflict,
        detail: format!("differs in {}", fields.join(", ")),
        claimed_reference: Some(key.clone()),
        provider: Some("finpay".to_owned()),
        ..refusal(&format!("dl-conflict-{key}"))
    })
}

fn refusal(id: &str) -> Refusal {
    Refusal {
        id: DeadLetterId::new(id),
        delivered: Delivered {
            body: b"{\"amount\":".to_vec(),
            size: 10,
            sha256: [7; 32],
            properties: json!({"message_id": "m-2"}),
            headers: json!({"x": 1}),
        },
        reason: DeadReason::Malformed,
        detail: "amount: is cut off".to_owned(),
        claimed_reference: None,
        provider: None,
        at: t(0),
        outcome: NewOutcome { terminal: false, ..outcome(&format!("e-{id}"), "topup.message_refused") },
        closes: None,
        audit: None,
    }
}

fn outcome(event_id: &str, event_type: &str) -> NewOutcome {
    NewOutcome {
        event_id: event_id.to_owned(),
        event_type: event_type.to_owned(),
        body: format!("{{\"id\":\"{event_id}\"}}").into_bytes(),
        headers: r#"{"correlation_id":"c-1"}"#.to_owned(),
        terminal: true,
    }
}

fn external_id(number: u64) -> ExternalId {
    ExternalId::new(t(0), number)
}

fn attempt(number: u64) -> NewAttempt {
    NewAttempt {
        service: Service::TopUp,
        external_id: external_id(number),
        started_at: t(1),
        body_sha256: Some("ab".repeat(32)),
        end: None,
    }
}

fn end(number: u64) -> AttemptEnd {
    AttemptEnd {
        external_id: external_id(number),
        ended_at: t(2),
        http_status: Some(200),
        response_code: Some("2003800".to_owned()),
        class: Some("success".into()),
        detail: None,
    }
}

fn entry(event: &'static str) -> HistoryEntry {
    HistoryEntry { at: t(1), event: event.into(), detail: Value::Null }
}

/// The intent of a job that the caller drives.
fn intent(job: &StoredJob, number: u64) -> Record {
    Record {
        attempts: vec![attempt(number)],
        history: vec![entry("send_started")],
        ..Record::new(job.id, job.version, sending(), t(1))
    }
}

fn success(job: &StoredJob) -> Record {
    let event = format!("e-{}", job.request.partner_reference_no);
    Record {
        history: vec![entry("topped_up")],
        outcomes: vec![outcome(&event, "topup.succeeded")],
        answer: AnswerFields {
            reference_no: Some("2211150005490937".to_owned()),
            response_code: Some("2003800".to_owned()),
            response_message: Some("Successful".to_owned()),
            fee_amount: Some(Amount::ZERO),
        },
        ..Record::new(job.id, job.version, engine_job(State::Succeeded), t(2))
    }
}

fn death(job: &StoredJob, id: &str) -> Record {
    Record {
        history: vec![entry("dead")],
        dead_letter: Some(NewDeadLetter {
            id: DeadLetterId::new(id),
            reason: DeadReason::Unresolved,
            detail: "the status budget is used up".to_owned(),
            money_state: MoneyState::MaybeSent,
            response_code: Some("5043800".to_owned()),
        }),
        outcomes: vec![NewOutcome { terminal: false, ..outcome(&format!("e-{id}"), "topup.dead_lettered") }],
        ..Record::new(job.id, job.version, engine_job(State::Dead { reason: DeadReason::Unresolved }), t(2))
    }
}

fn audit_entry(action: &str) -> NewAudit {
    NewAudit {
        at: t(3),
        by: "sari".to_owned(),
        action: action.to_owned(),
        subject: "dl-1".to_owned(),
        reason: "provider says so".to_owned(),
        detail: json!({"count": 1}),
    }
}
