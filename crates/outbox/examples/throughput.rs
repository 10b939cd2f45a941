//! How many jobs a second the store alone carries: three durable commands a job (accepted, intent, result) and the mark
//! of its outcome, from many tasks at once.
//!
//! `cargo run --release -p outbox --example throughput -- DIR [JOBS] [CONCURRENCY]`

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use engine::{Budget, Evidence, Job, MoneyState, State};
use outbox::{
    Accepted, AnswerFields, AttemptEnd, Carried, CommitSample, HistoryEntry, JobRequest, NewAttempt, NewJob,
    NewOutcome, OpenOptions, Record, Store, StoreError,
};
use serde_json::{Value, json};
use snap_core::{Amount, CustomerNumber, ExternalId, PartnerReferenceNo, Private, Service, Timestamp};

#[tokio::main]
#[expect(clippy::print_stdout, reason = "it is what this example is for")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let dir = arguments.next().ok_or("which directory?")?;
    let jobs: u64 = arguments.next().map_or(Ok(20_000), |text| text.parse())?;
    let concurrency: u64 = arguments.next().map_or(Ok(64), |text| text.parse())?;

    let (commits, commands, slowest) =
        (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let seen = (Arc::clone(&commits), Arc::clone(&commands), Arc::clone(&slowest));
    let options = OpenOptions {
        exclusive: true,
        on_commit: Some(Arc::new(move |sample: CommitSample| {
            seen.0.fetch_add(1, Ordering::Relaxed);
            seen.1.fetch_add(sample.commands as u64, Ordering::Relaxed);
            seen.2.fetch_max(u64::try_from(sample.took.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
        })),
        ..OpenOptions::default()
    };
    let store = Store::open(&Path::new(&dir).join("throughput.db"), Timestamp::from_millis(0), &options)?.store;

    let (begun, cpu) = (Instant::now(), cpu());
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..concurrency {
        let store = store.clone();
        tasks.spawn(async move {
            for n in 0..jobs / concurrency {
                job(&store, &format!("{:08x}-{task}-{n}", std::process::id()), n).await?;
            }
            Ok::<_, StoreError>(())
        });
    }
    for done in tasks.join_all().await {
        done?;
    }
    let (took, cpu) = (begun.elapsed(), self::cpu() - cpu);
    store.close().await;
    let (commits, commands) = (commits.load(Ordering::Relaxed), commands.load(Ordering::Relaxed));
    println!(
        "{jobs} jobs in {took:.2?}: {} jobs/s, {} µs of CPU a job, {commits} commits of {} commands, slowest {:.1?}",
        u128::from(jobs) * 1_000_000 / took.as_micros(),
        cpu.as_micros() / u128::from(jobs),
        commands / commits.max(1),
        Duration::from_micros(slowest.load(Ordering::Relaxed)),
    );
    Ok(())
}

/// One job, from its acceptance to the mark of its outcome.
async fn job(store: &Store, key: &str, n: u64) -> Result<(), StoreError> {
    let at = Timestamp::from_millis(1_700_000_000_000);
    let external_id = ExternalId::new(at, n);
    let accepted = store.accept(vec![new_job(key, at)]).await?;
    let [Accepted::New(job)] = accepted.as_slice() else {
        return Err(StoreError::Refused("a key was taken".to_owned()));
    };
    let attempt = NewAttempt {
        service: Service::TopUp,
        external_id: external_id.clone(),
        started_at: at,
        body_sha256: Some("ab".repeat(32)),
        end: None,
    };
    let intent = Record {
        attempts: vec![attempt],
        history: vec![entry("inquired", at), entry("send_started", at)],
        ..Record::new(job.id, job.version, state(State::Sending { before: MoneyState::NeverSent }), at)
    };
    let version = store.record(intent).await?.version;
    let result = Record {
        ends: vec![AttemptEnd {
            external_id,
            ended_at: at,
            http_status: Some(200),
            response_code: Some("2003800".to_owned()),
            class: Some("success".into()),
            detail: None,
        }],
        history: vec![entry("top_up", at)],
        answer: AnswerFields { response_code: Some("2003800".to_owned()), ..AnswerFields::default() },
        outcomes: vec![NewOutcome {
            event_id: key.to_owned(),
            event_type: "topup.succeeded".to_owned(),
            body: vec![b'x'; 800],
            headers: json!({"message_id": key}),
            terminal: true,
        }],
        ..Record::new(job.id, version, state(State::Succeeded), at)
    };
    let outcomes = store.record(result).await?.outcomes;
    store.mark_published(outcomes, at).await
}

fn entry(event: &'static str, at: Timestamp) -> HistoryEntry {
    HistoryEntry { at, event: event.into(), detail: Value::Null }
}

fn state(state: State) -> Job {
    Job {
        state,
        amount: Amount::from_minor(1_000_000).unwrap_or(Amount::ZERO),
        not_after: None,
        has_customer_name: true,
        budget: Budget { inquiries: 5, attempts: 5, checks: 10 },
        evidence: Evidence {
            money: MoneyState::NeverSent,
            first_sent_at: None,
            last_ended_at: None,
            doubted: false,
            accepted: false,
            mismatch: false,
        },
    }
}

fn new_job(key: &str, at: Timestamp) -> NewJob {
    NewJob {
        request: JobRequest {
            partner_reference_no: PartnerReferenceNo::parse(key).expect("a short key"),
            provider: "finpay".to_owned(),
            customer_number: CustomerNumber::parse("081234567902").expect("a phone number"),
            amount: Amount::from_minor(1_000_000).expect("a small amount"),
            customer_name: None,
            notes: None,
            beneficiary_provider: None,
            beneficiary_email: None,
            not_after: None,
            metadata: Private::from("{}"),
        },
        carried: Carried::default(),
        job: state(State::Ready { at }),
        at,
        due_at: None,
        on_conflict: Box::new(|_| unreachable!("every key is new")),
        closes: None,
        audit: None,
    }
}

/// CPU this process has used.
fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let ticks = stat.split_ascii_whitespace().skip(13).take(2).filter_map(|field| field.parse::<u64>().ok());
    Duration::from_millis(10 * ticks.sum::<u64>())
}
