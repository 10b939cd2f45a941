//! What the single steps of a job cost: `cargo bench -p bench`.

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput};
use engine::{Answer, Event, Jitter, Job, MoneyState, State, apply, next_step};
use futures_util::future::try_join_all;
use outbox::{AnswerFields, NewJob, OpenOptions, OutcomeId, Store, StoredJob};
use snap_core::{
    AccountInquiryResponse, Amount, CustomerNumber, PartnerReferenceNo, Private, Profile, SigningKey, SymmetricKey,
    Timestamp, TopUpDetails, TopUpResponse, parse_answer,
};
use snap_sim::Credentials;
use tokio::runtime::Runtime;
use worker::event::{Stamp, succeeded};
use worker::message::{ProviderRule, Providers, parse};

#[path = "../../guard/src/policy.rs"]
mod policy;
#[path = "../src/sample.rs"]
mod sample;

const AT: Timestamp = Timestamp::from_millis(1_714_533_630_007);
const MESSAGE: &str = r#"{"partnerReferenceNo":"TU-20261122-000001","customerNumber":"081977817902","amount":{"value":"10000.00","currency":"IDR"},"provider":"finpay"}"#;
const INQUIRED: &str = r#"{"responseCode":"2003700","responseMessage":"Successful","referenceNo":"2211150005490937","partnerReferenceNo":"TU-20261122-000001","customerNumber":"081977817902","customerName":"Budi Santoso","minAmount":{"value":"1000.00","currency":"IDR"},"maxAmount":{"value":"20000000.00","currency":"IDR"},"amount":{"value":"10000.00","currency":"IDR"},"feeAmount":{"value":"0.00","currency":"IDR"}}"#;
const PAID: &str = r#"{"responseCode":"2003800","responseMessage":"Successful","referenceNo":"2211150005490937","partnerReferenceNo":"TU-20261122-000001","customerNumber":"081977817902","customerName":"Budi Santoso","amount":{"value":"10000.00","currency":"IDR"},"feeAmount":{"value":"0.00","currency":"IDR"}}"#;
/// Jobs that go through the store together, as they do at 64 in flight.
const GROUP: u64 = 64;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    wire(&mut criterion);
    decisions(&mut criterion);
    store(&mut criterion);
    criterion.final_summary();
}

/// Signatures, messages, requests, answers, events.
fn wire(criterion: &mut Criterion) {
    let profile = Profile::builtin("finpay").expect("it is built in");
    let reference = PartnerReferenceNo::parse("TU-20261122-000001").expect("a reference");
    let customer = CustomerNumber::parse("081977817902").expect("a phone number");
    let name = Private::from("Budi Santoso");
    let details = TopUpDetails {
        partner_reference_no: &reference,
        customer_number: &customer,
        customer_name: Some(&name),
        amount: amount(),
        fee: Some(Amount::ZERO),
        notes: None,
        beneficiary_provider: None,
        beneficiary_email: None,
        transaction_date: AT,
    };
    let body = profile.top_up_request(&details).expect("everything is there").to_body();
    let known = Credentials::throwaway();
    let secret = SymmetricKey::new(&known.client_secret);
    let (token, timestamp) = ("t".repeat(64), profile.spell_timestamp(AT));
    criterion.bench_function("sign a transaction", |bencher| {
        bencher.iter(|| secret.sign_transaction("POST", "/v1.0/emoney/topup", &token, black_box(&body), &timestamp));
    });
    let key = SigningKey::from_pem(known.private_key_pem.as_deref().expect("the test key")).expect("a key");
    criterion.bench_function("sign a token request", |bencher| {
        bencher.iter(|| key.sign_token_request(&known.client_key, black_box(&timestamp)));
    });
    let rule = ProviderRule { name: "finpay".to_owned(), needs_beneficiary_provider: false };
    let providers = Providers::new(vec![rule], None);
    criterion.bench_function("parse a job message", |bencher| {
        bencher.iter(|| parse(black_box(MESSAGE.as_bytes()), Some("application/json"), &providers));
    });
    criterion.bench_function("build the body of a top-up", |bencher| {
        bencher.iter(|| profile.top_up_request(black_box(&details)).map(|request| request.to_body()));
    });
    criterion.bench_function("parse the answer to an inquiry", |bencher| {
        bencher.iter(|| parse_answer::<AccountInquiryResponse>(black_box(INQUIRED.as_bytes())));
    });
    criterion.bench_function("parse the answer to a top-up", |bencher| {
        bencher.iter(|| parse_answer::<TopUpResponse>(black_box(PAID.as_bytes())));
    });
    let (stored, answer) = (stored(), AnswerFields::default());
    criterion.bench_function("build an outcome event", |bencher| {
        bencher.iter(|| {
            let stamp = Stamp { id: "01M80PREZZNF2PA64PJ7QZWX8H".to_owned(), at: AT };
            succeeded(stamp, black_box(&stored), &answer)
        });
    });
}

/// The state machine.
fn decisions(criterion: &mut Criterion) {
    let policy = policy::policy();
    let sending = Job { state: State::Sending { before: MoneyState::NeverSent }, ..job() };
    criterion.bench_function("apply an answer", |bencher| {
        bencher.iter(|| apply(black_box(&sending), &policy, &Event::TopUp(Answer::Paid), AT, Jitter::NONE));
    });
    let ready = job();
    criterion.bench_function("find the next step", |bencher| {
        bencher.iter(|| next_step(black_box(&ready), &policy, AT));
    });
}

/// The store: each figure is the time of a group, on the disk where temporary files go.
fn store(criterion: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime");
    let dir = tempfile::tempdir().expect("a temporary directory");
    let options = OpenOptions { exclusive: true, ..OpenOptions::default() };
    let store = Store::open(&dir.path().join("bench.db"), AT, &options).expect("a store").store;
    let mut number = 0;
    let mut group = criterion.benchmark_group("store, 64 jobs at once");
    group.throughput(Throughput::Elements(GROUP)).measurement_time(Duration::from_secs(4)).sample_size(20);
    group.bench_function("accept", |bencher| {
        bencher.iter_custom(|times| {
            let once = |_| {
                let jobs = new_jobs(&mut number, None);
                timed(|| runtime.block_on(store.accept(jobs)).expect("accepted")).0
            };
            (0..times).map(once).sum()
        });
    });
    group.bench_function("record the intent", |bencher| {
        bencher.iter_custom(|times| {
            let once = |_| {
                let (first, jobs) = accepted(&runtime, &store, &mut number);
                timed(|| runtime.block_on(intents(&store, first, &jobs))).0
            };
            (0..times).map(once).sum()
        });
    });
    group.bench_function("record the result", |bencher| {
        bencher.iter_custom(|times| {
            let once = |_| {
                let (first, jobs) = accepted(&runtime, &store, &mut number);
                let versions = runtime.block_on(intents(&store, first, &jobs));
                timed(|| runtime.block_on(results(&store, first, &jobs, &versions))).0
            };
            (0..times).map(once).sum()
        });
    });
    group.bench_function("mark published", |bencher| {
        bencher.iter_custom(|times| {
            let once = |_| {
                let (first, jobs) = accepted(&runtime, &store, &mut number);
                let versions = runtime.block_on(intents(&store, first, &jobs));
                let outcomes = runtime.block_on(results(&store, first, &jobs, &versions));
                timed(|| runtime.block_on(store.mark_published(outcomes, AT)).expect("marked")).0
            };
            (0..times).map(once).sum()
        });
    });
    group.bench_function("claim what is due", |bencher| {
        bencher.iter_custom(|times| {
            let once = |_| {
                let jobs = new_jobs(&mut number, Some(AT));
                runtime.block_on(store.accept(jobs)).expect("accepted");
                timed(|| runtime.block_on(store.claim_due("finpay", AT, 64)).expect("claimed")).0
            };
            (0..times).map(once).sum()
        });
    });
    group.finish();
    runtime.block_on(store.close());
}

fn timed<T>(work: impl FnOnce() -> T) -> (Duration, T) {
    let started = Instant::now();
    let done = work();
    (started.elapsed(), done)
}

fn new_jobs(number: &mut u64, due_at: Option<Timestamp>) -> Vec<NewJob> {
    let first = *number;
    *number += GROUP;
    (first..*number).map(|n| NewJob { due_at, ..sample::new_job(&format!("BENCH-{n:09}"), AT) }).collect()
}

fn accepted(runtime: &Runtime, store: &Store, number: &mut u64) -> (u64, Vec<StoredJob>) {
    let first = *number;
    let accepted = runtime.block_on(store.accept(new_jobs(number, None))).expect("accepted");
    (first, accepted.into_iter().map(|job| sample::accepted(job).expect("a new job")).collect())
}

async fn intents(store: &Store, first: u64, jobs: &[StoredJob]) -> Vec<i64> {
    let intents = (first..).zip(jobs).map(|(number, job)| store.record(sample::intent(job, number, AT)));
    try_join_all(intents).await.expect("recorded").into_iter().map(|recorded| recorded.version).collect()
}

async fn results(store: &Store, first: u64, jobs: &[StoredJob], versions: &[i64]) -> Vec<OutcomeId> {
    let results = (first..)
        .zip(jobs)
        .zip(versions)
        .map(|((number, job), version)| store.record(sample::result(job, *version, number, AT)));
    try_join_all(results).await.expect("recorded").into_iter().flat_map(|recorded| recorded.outcomes).collect()
}

fn amount() -> Amount {
    Amount::from_minor(1_000_000).expect("a small amount")
}

fn job() -> Job {
    Job::accepted(amount(), None, false, &policy::policy(), AT)
}

/// A job as the worker holds it when its top-up was answered.
fn stored() -> StoredJob {
    let new = sample::new_job("TU-20261122-000001", AT);
    StoredJob {
        id: outbox::JobId(1),
        version: 2,
        request: new.request,
        carried: new.carried,
        job: new.job,
        accepted_at: AT,
        due_at: None,
        finished_at: None,
        reference_no: Some("2211150005490937".to_owned()),
        response_code: Some("2003800".to_owned()),
        response_message: Some("Successful".to_owned()),
        fee_amount: Some(Amount::ZERO),
        attempts: 1,
        requests: 2,
    }
}
