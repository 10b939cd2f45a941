//! A store with one job of every kind, at fixed times, for the snapshots of tables and JSON.

use std::path::{Path, PathBuf};
use std::time::Duration;

use engine::{DeadReason, Job, MoneyState, RejectReason, State};
use outbox::{
    Accepted, AnswerFields, AttemptEnd, Carried, DeadLetterId, Delivered, HistoryEntry, JobRequest, NewAttempt,
    NewDeadLetter, NewJob, NewOutcome, OpenOptions, OutcomeId, Record, Refusal, Store, StoredJob,
};
use serde_json::{Value, json};
use snap_core::{Amount, CustomerNumber, ExternalId, PartnerReferenceNo, Private, Service, Timestamp};

use super::Desk;
use crate::cli::ActArgs;
use crate::clock::{Clock, Source};
use crate::config::{Config, Environment};
use crate::output::Output;

/// 2026-11-22T10:00:00+07:00.
pub(super) const START: Timestamp = Timestamp::from_millis(1_795_316_400_000);
/// Three hours and some later: when the operator looks.
pub(crate) const NOW: Timestamp = Timestamp::from_millis(START.as_millis() + 11_000_000);
/// The dead letter of a job.
pub(super) const UNRESOLVED: &str = "01JD9WZ0Q0V4T8K3M5N7P9R1S2";
/// The dead letter of a message.
pub(super) const MALFORMED: &str = "01JD9WZ0Q0V4T8K3M5N7P9R1S3";
pub(super) const CONFLICT: &str = "01JD9WZ0Q0V4T8K3M5N7P9R1S4";

/// A store in a folder of its own.
pub(crate) struct Filled {
    pub(crate) store: Store,
    pub(crate) path: PathBuf,
    _folder: tempfile::TempDir,
}

/// `millis` after the start.
const fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(START.as_millis() + millis)
}

/// An empty store.
pub(crate) fn empty() -> Filled {
    let folder = tempfile::tempdir().unwrap();
    let options = OpenOptions { reserve_bytes: 0, ..OpenOptions::default() };
    let path = folder.path().join("worker.db");
    let opened = Store::open(&path, START, &options).unwrap();
    Filled { store: opened.store, path, _folder: folder }
}

/// A configuration with two providers.
pub(crate) fn config() -> Config {
    config_with("k", |_| String::new())
}

/// [`config`], with this key, and with more behind each provider's own settings.
pub(crate) fn config_with(private_key: &str, more: impl Fn(&str) -> String) -> Config {
    let key = Value::from(private_key);
    let section = |name: &str| {
        format!(
            "[providers.{name}]\nprofile = \"{name}\"\nbase_url = \"https://snap.example.test\"\nclient_key = \"k\"\n\
             client_secret = \"s\"\nprivate_key = {key}\npartner_id = \"p\"\nchannel_id = \"95221\"\n\
             origin = \"www.example.co.id\"\n{}",
            more(name)
        )
    };
    let text = format!("default_provider = \"finpay\"\n{}{}", section("finpay"), section("midtrans"));
    Config::parse(&text, Path::new("worker.toml"), &Environment::default()).unwrap()
}

/// A wall clock that shows this, whatever the machine's says; it goes on with the runtime's time.
#[derive(Debug)]
struct Fixed(Timestamp);

impl Source for Fixed {
    fn wall(&self) -> Timestamp {
        self.0
    }

    fn boottime(&self) -> Duration {
        Duration::from_secs(3600)
    }

    fn boot(&self) -> String {
        "fixture".to_owned()
    }

    fn random(&self) -> u64 {
        Clock::start().random()
    }
}

/// A clock of the fixture's own: the store's rows have fixed dates, and beside the machine's clock they would be as old as
/// the source is.
pub(crate) fn clock() -> Clock {
    const FIXED: &Fixed = &Fixed(NOW);
    Clock::of(FIXED)
}

/// A desk with `filled` on it, where it is [`NOW`].
pub(super) async fn at_desk<T>(filled: &Filled, output: &Output, work: impl AsyncFnOnce(&Desk<'_>) -> T) -> T {
    let (config, clock, environment) = (config(), clock(), Environment::from_iter([("USER", "sari")]));
    work(&Desk { store: &filled.store, config: &config, clock: &clock, now: NOW, environment: &environment, output })
        .await
}

/// The clock of a machine that is a year ahead of the fixture.
pub(super) fn a_year_ahead() -> Clock {
    const AHEAD: &Fixed = &Fixed(Timestamp::from_millis(NOW.as_millis() + 365 * 86_400_000));
    Clock::of(AHEAD)
}

/// `--reason`, `--by` and `--yes`.
pub(super) fn acting() -> ActArgs {
    ActArgs {
        reason: Some("provider says so, INC-7".to_owned()),
        by: Some("sari".to_owned()),
        yes: true,
        dry_run: false,
    }
}

/// One job that was accepted long after today.
pub(super) async fn of_the_year_2100() -> Filled {
    let filled = empty();
    let then = Timestamp::from_millis(4_102_444_800_000);
    accept(&filled.store, "78912343452347890", "finpay", "081977817901", 1_000_000, then).await;
    filled
}

/// One job in each state that matters, and two refused messages.
pub(crate) async fn filled() -> Filled {
    let filled = empty();
    let store = &filled.store;
    accept(store, "78912343452347890", "finpay", "081977817901", 1_000_000, at(0)).await;
    succeed(store).await;
    reject(store).await;
    doubt(store).await;
    give_up(store).await;
    for (id, reason, detail, body) in [
        (MALFORMED, DeadReason::Malformed, "amount.value is not an amount with two decimals", MALFORMED_BODY),
        (
            CONFLICT,
            DeadReason::IdempotencyConflict,
            "partnerReferenceNo is taken by a job that differs in: amount",
            "{}",
        ),
    ] {
        store.refuse(vec![refusal(id, reason, detail, body.as_bytes())]).await.unwrap();
    }
    filled
}

const MALFORMED_BODY: &str = r#"{
  "partnerReferenceNo": "78912343452347899",
  "customerNumber": "+6281977817902",
  "amount": { "value": "10000", "currency": "IDR" }
}"#;

async fn succeed(store: &Store) {
    let job = accept(store, "78912343452347891", "finpay", "081977817902", 1_000_000, at(1_000)).await;
    let sending = recorded(store, sending(&job, at(1_020))).await;
    let mut record = changed(&sending, State::Succeeded, MoneyState::ProvenPaid, at(1_180));
    record.history.push(event(at(1_180), "top_up_paid", Value::Null));
    record.ends.push(end(&job, Service::TopUp, at(1_180), 200, "2003800", "success"));
    record.answer = answer("2003800", "Request has been processed successfully");
    record.outcomes.push(outcome("topup.succeeded", "01JD9WZ0Q0V4T8K3M5N7P9R1A1", true));
    let outcomes = store.record(record).await.unwrap().outcomes;
    published(store, outcomes, at(1_190)).await;
}

async fn reject(store: &Store) {
    let job = accept(store, "78912343452347892", "finpay", "081977817903", 5_000_000, at(2_000)).await;
    let rejected = State::Rejected { reason: RejectReason::Business };
    let mut record = changed(&job, rejected, MoneyState::ProvenUnpaid, at(2_100));
    record.answer = answer("4043811", "Invalid Customer. Not found");
    record.outcomes.push(outcome("topup.rejected", "01JD9WZ0Q0V4T8K3M5N7P9R1A2", true));
    store.record(record).await.unwrap();
}

async fn doubt(store: &Store) {
    let job = accept(store, "ORDER-2026-11-22-000000000042", "midtrans", "081977817904", 125_000_050, at(3_000)).await;
    let waiting = State::Unconfirmed { at: at(12_000_000), not_found: 1, refusal: None };
    let mut record = changed(&job, waiting, MoneyState::MaybeSent, at(3_100));
    record.due_at = Some(at(12_000_000));
    store.record(record).await.unwrap();
}

/// A job whose request the provider refuses as wrong before anything was sent, and its dead letter.
pub(super) const NEVER_SENT: &str = "01JD9WZ0Q0V4T8K3M5N7P9R1S6";

/// Adds [`NEVER_SENT`] to a store.
pub(super) async fn never_sent(store: &Store) -> StoredJob {
    let job = accept(store, "78912343452347896", "finpay", "081977817906", 4_000_000, at(5_000)).await;
    let dead = State::Dead { reason: DeadReason::RequestRefused };
    let mut record = changed(&job, dead, MoneyState::NeverSent, at(5_100));
    record.dead_letter = Some(NewDeadLetter {
        id: DeadLetterId::new(NEVER_SENT),
        reason: DeadReason::RequestRefused,
        detail: "the provider refuses this request as wrong: Invalid Field Format customerName".to_owned(),
        money_state: MoneyState::NeverSent,
        response_code: Some("4003701".to_owned()),
    });
    record.outcomes.push(outcome("topup.dead_lettered", "01JD9WZ0Q0V4T8K3M5N7P9R1A6", false));
    recorded(store, record).await
}

/// Adds a job of Rp 10,000 that is in doubt at this account.
pub(crate) async fn in_doubt_at(store: &Store, account: engine::Account) -> StoredJob {
    let mut job = accept(store, "78912343452347897", "finpay", "081977817907", 1_000_000, at(6_000)).await;
    job.job.evidence.account = Some(account);
    let sending = recorded(store, sending(&job, at(6_020))).await;
    let waiting = State::Unconfirmed { at: at(36_020), not_found: 0, refusal: None };
    let mut record = changed(&sending, waiting, MoneyState::MaybeSent, at(36_020));
    record.due_at = Some(at(36_020));
    record.ends.push(end(&job, Service::TopUp, at(36_020), 504, "5043800", "ambiguous"));
    recorded(store, record).await
}

async fn give_up(store: &Store) {
    let job = accept(store, "78912343452347893", "finpay", "081977817905", 2_500_000, at(4_000)).await;
    let sending = recorded(store, sending(&job, at(4_020))).await;
    let waiting = State::Unconfirmed { at: at(34_020), not_found: 0, refusal: None };
    let mut record = changed(&sending, waiting, MoneyState::MaybeSent, at(34_020));
    record.history.push(event(at(34_020), "top_up_unknown", json!({ "detail": "no answer in time" })));
    record.ends.push(AttemptEnd {
        http_status: None,
        response_code: None,
        detail: Some("timeout".to_owned()),
        ..end(&job, Service::TopUp, at(34_020), 0, "", "ambiguous")
    });
    let waiting = recorded(store, record).await;
    let dead = State::Dead { reason: DeadReason::Unresolved };
    let mut record = changed(&waiting, dead, MoneyState::MaybeSent, at(7_200_000));
    record.history.push(event(at(7_200_000), "status_unknown", Value::Null));
    record.attempts.push(NewAttempt {
        service: Service::TopUpStatus,
        external_id: external_id(&job, Service::TopUpStatus),
        started_at: at(7_199_900),
        body_sha256: None,
        end: Some(end(&job, Service::TopUpStatus, at(7_200_000), 500, "5003900", "retry_safe")),
    });
    record.dead_letter = Some(NewDeadLetter {
        id: DeadLetterId::new(UNRESOLVED),
        reason: DeadReason::Unresolved,
        detail: "no status inquiry settled it within 24h".to_owned(),
        money_state: MoneyState::MaybeSent,
        response_code: Some("5003900".to_owned()),
    });
    record.outcomes.push(outcome("topup.dead_lettered", "01JD9WZ0Q0V4T8K3M5N7P9R1A3", false));
    store.record(record).await.unwrap();
}

async fn accept(store: &Store, reference: &str, provider: &str, phone: &str, minor: u64, at: Timestamp) -> StoredJob {
    let amount = Amount::from_minor(minor).unwrap();
    let job = Job {
        state: State::Ready { at },
        amount,
        not_after: None,
        has_customer_name: true,
        budget: serde_json::from_value(json!({ "inquiries": 8, "attempts": 8, "checks": 60 })).unwrap(),
        evidence: serde_json::from_value(json!({ "money": "never_sent" })).unwrap(),
    };
    let request = request(reference, provider, phone, amount);
    let carried = Carried { message_id: Some(format!("m-{reference}")), ..Carried::default() };
    let on_conflict = Box::new(|_: &[&'static str]| refusal(CONFLICT, DeadReason::IdempotencyConflict, "", b""));
    let new = NewJob { request, carried, job, at, due_at: Some(at), on_conflict, closes: None, audit: None };
    match store.accept(vec![new]).await.unwrap().pop() {
        Some(Accepted::New(job)) => *job,
        other => panic!("a new job, not {other:?}"),
    }
}

/// What a message asks for.
pub(crate) fn request(reference: &str, provider: &str, phone: &str, amount: Amount) -> JobRequest {
    JobRequest {
        partner_reference_no: PartnerReferenceNo::parse(reference).unwrap(),
        provider: provider.to_owned(),
        customer_number: CustomerNumber::parse(phone).unwrap(),
        amount,
        customer_name: Some(Private::from("Siti Rahma")),
        notes: None,
        beneficiary_provider: (provider == "midtrans").then(|| "gopay".to_owned()),
        beneficiary_email: None,
        not_after: None,
        metadata: Private::from(r#"{"order":"secret to others"}"#),
    }
}

/// The inquiry's answer and the intent of a top-up.
fn sending(job: &StoredJob, at: Timestamp) -> Record {
    let state = State::Sending { before: MoneyState::NeverSent };
    let mut record = changed(job, state, MoneyState::MaybeSent, at);
    record.history = vec![event(at, "inquired", Value::Null), event(at, "send_started", Value::Null)];
    let attempt = |service: Service, started_at| NewAttempt {
        service,
        external_id: external_id(job, service),
        started_at,
        body_sha256: None,
        end: None,
    };
    let asked = attempt(Service::AccountInquiry, at.minus(Duration::from_millis(15)));
    let answered = end(job, Service::AccountInquiry, at, 200, "2003700", "success");
    record.attempts = vec![NewAttempt { end: Some(answered), ..asked }, attempt(Service::TopUp, at)];
    record
}

/// [`filled`], long after: what ended and was told is past retention.
pub(super) async fn shrunken() -> Filled {
    let filled = filled().await;
    let swept = filled.store.shrink_some(NOW, NOW, None).await.unwrap();
    assert_eq!((swept.done, swept.next), (1, None));
    filled
}

/// The job after `record`.
async fn recorded(store: &Store, record: Record) -> StoredJob {
    let id = record.id;
    store.record(record).await.unwrap();
    store.job(id).await.unwrap().unwrap()
}

fn changed(job: &StoredJob, state: State, money: MoneyState, at: Timestamp) -> Record {
    let mut next = job.job.clone();
    next.state = state;
    next.evidence.money = money;
    if money == MoneyState::MaybeSent {
        next.evidence.first_sent_at.get_or_insert(at);
    }
    Record::new(job.id, job.version, next, at)
}

fn event(at: Timestamp, event: &'static str, detail: Value) -> HistoryEntry {
    HistoryEntry { at, event: event.into(), detail }
}

fn external_id(job: &StoredJob, service: Service) -> ExternalId {
    ExternalId::parse(&format!("17953164000000000000{}{}", job.id, service.code())).unwrap()
}

fn end(job: &StoredJob, of: Service, at: Timestamp, http: u16, code: &str, class: &'static str) -> AttemptEnd {
    AttemptEnd {
        external_id: external_id(job, of),
        ended_at: at,
        http_status: Some(http),
        response_code: Some(code.to_owned()),
        class: Some(class.into()),
        detail: None,
    }
}

fn answer(code: &str, message: &str) -> AnswerFields {
    AnswerFields {
        reference_no: (code == "2003800").then(|| "2211150005490937".to_owned()),
        response_code: Some(code.to_owned()),
        response_message: Some(message.to_owned()),
        fee_amount: (code == "2003800").then_some(Amount::ZERO),
    }
}

fn outcome(event_type: &str, event_id: &str, terminal: bool) -> NewOutcome {
    NewOutcome {
        event_id: event_id.to_owned(),
        event_type: event_type.to_owned(),
        body: b"{}".to_vec(),
        headers: "{}".to_owned(),
        terminal,
    }
}

async fn published(store: &Store, outcomes: Vec<OutcomeId>, at: Timestamp) {
    store.mark_published(outcomes, at).await.unwrap();
}

pub(super) fn refusal(id: &str, reason: DeadReason, detail: &str, body: &[u8]) -> Refusal {
    Refusal {
        id: DeadLetterId::new(id),
        delivered: Delivered {
            body: body.to_vec(),
            size: body.len() as u64,
            sha256: [0xab; 32],
            properties: json!({ "contentType": "application/json", "routingKey": "jobs" }),
            headers: json!({ "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01" }),
        },
        reason,
        detail: detail.to_owned(),
        claimed_reference: Some("78912343452347899".to_owned()),
        provider: Some("finpay".to_owned()),
        at: at(9_000_000),
        outcome: outcome("topup.message_refused", &format!("{id}-event"), false),
        closes: None,
        audit: None,
    }
}
