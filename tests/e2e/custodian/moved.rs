//! C1 by another door: a store that holds jobs goes on under another namespace, or without a broker, while what it holds is paid
//! elsewhere. It begins nothing until an operator says so, and asks first then.

use std::fs;
use std::process::Output;
use std::time::Duration;

use super::{LIMIT, TAKEN_OVER, all_succeed, another_store, assert_paid_once, clone_of, said, stop};
use crate::harness::{Job, Stage, WorkerProc, eventually, eventually_now};

const MOVES: [&str; 5] = ["store", "adopt", "--reason", "its jobs are this store's alone, INC-150", "--yes"];

/// A store with jobs that it has acknowledged and not sent; a minute later they are paid by another one, which has its namespace
/// since then. The worker's settings are the first one's, and it does not run.
async fn its_namespace_is_adopted_away(name: &str) -> (Stage, WorkerProc, tempfile::TempDir, Vec<Job>) {
    let mut stage = Stage::prepare(name).await;
    stage.start();
    let held = jobs_are_held(&mut stage).await;
    stop(&mut stage.worker);

    let elsewhere = tempfile::tempdir().unwrap();
    let mut second = another_store(&stage, elsewhere.path());
    second.spawn();
    assert_eq!(second.wait_exit(LIMIT).code(), Some(5), "{}", second.log_tail());
    assert_eq!(second.ask_json(&MOVES)["changed"], true);
    second.start();
    // Producers publish again what they have heard nothing of.
    stage.producer.publish_all(&held).await;
    all_succeed(&second, &held, TAKEN_OVER).await;
    assert_paid_once(&stage, &held);
    // The operator's pause of the first store's lane was for the hand-over.
    stage.resume("finpay");
    (stage, second, elsewhere, held)
}

/// Publishes some jobs to a worker whose lane an operator has paused: it holds them, and nothing of them was sent.
async fn jobs_are_held(stage: &mut Stage) -> Vec<Job> {
    stage.pause("finpay").await;
    let held = stage.jobs("held", 5);
    stage.publish(&held).await;
    eventually(LIMIT, "it holds them", async || {
        held.iter().all(|job| stage.worker.state_of(&job.reference).is_some()).then_some(())
    })
    .await;
    stage.broker_has_no_more(LIMIT).await;
    held
}

/// Starts a worker that must end, and must pay nothing beyond the `credits` that each job has: its exit code; `None`: it pays.
fn ends_or_pays(stage: &Stage, worker: &mut WorkerProc, jobs: &[Job], credits: u64) -> Option<i32> {
    worker.spawn();
    let ended = eventually_now(LIMIT, "it ends, or pays", || match worker.exited() {
        Some(ended) => Some(ended.code()),
        None => jobs.iter().any(|job| stage.sim.running().credits_of(&job.reference) > credits).then_some(None),
    });
    worker.kill();
    ended
}

/// Starts a worker that must end with exit code 5 and pay nothing; what it has said is in its log.
fn begins_nothing(stage: &Stage, worker: &mut WorkerProc, jobs: &[Job], credits: u64) {
    let ended = ends_or_pays(stage, worker, jobs, credits);
    let paid: Vec<_> = jobs.iter().map(|job| stage.sim.running().credits_of(&job.reference)).collect();
    assert!(paid.iter().all(|paid| *paid == credits), "credits of each job: {paid:?}");
    assert_eq!(ended, Some(5), "{}", worker.log_tail());
}

fn assert_told(words: &str, parts: &[&str]) {
    for part in parts {
        assert!(words.contains(part), "{part}: {words}");
    }
}

/// `check` says before `run` would.
fn assert_checked(worker: &WorkerProc, parts: &[&str]) {
    let check: Output = worker.ask(&["check", "-o", "json"]);
    assert_eq!(check.status.code(), Some(2), "{}", said(&check));
    let found: serde_json::Value = serde_json::from_slice(&check.stdout).unwrap();
    let of_custody: Vec<_> =
        found["items"].as_array().unwrap().iter().filter(|finding| finding["check"] == "custody").collect();
    let [told] = of_custody[..] else { panic!("one finding: {of_custody:?}") };
    assert_eq!(told["status"], "error", "{told}");
    assert_told(told["detail"].as_str().unwrap(), parts);
    assert!(told["hint"].as_str().unwrap().contains("worker store adopt --reason TEXT"), "{told}");
}

/// What only reads is not kept from anybody.
fn assert_readable(worker: &WorkerProc, held: &[Job]) {
    for command in [&["jobs", "list"][..], &["store", "info"], &["explain", "4043818"], &["audit", "verify"]] {
        let read = worker.ask(command);
        assert!(read.status.success(), "{command:?}: {}", said(&read));
    }
    assert_eq!(worker.state_of(&held[0].reference).as_deref(), Some("ready"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn m13_c1_a_store_whose_namespace_was_adopted_begins_nothing_under_another_one_and_asks_first_when_told_to() {
    let (mut stage, _second, _elsewhere, held) = its_namespace_is_adopted_away("gone").await;
    let before = stage.settings.namespace.clone();
    let named = format!("{before}-own");
    stage.settings.namespace.clone_from(&named);
    stage.reconfigure();
    begins_nothing(&stage, &mut stage_worker(&stage), &held, 1);
    let told = [format!("belongs to namespace {before} since 2"), format!("names namespace {named}")];
    let told: Vec<_> = told.iter().map(String::as_str).collect();
    assert_told(&stage.worker.log(), &told);
    assert_told(&stage.worker.log(), &["hint: ", "worker store adopt --reason TEXT"]);
    assert_checked(&stage.worker, &told);
    assert_readable(&stage.worker, &held);

    let dry = stage.worker.ask(&["store", "adopt", "--dry-run"]);
    assert!(dry.status.success(), "{}", said(&dry));
    assert_told(
        &said(&dry),
        &[&before, "now belongs to store", "5 jobs, Rp", "are asked about before anything is sent"],
    );
    begins_nothing(&stage, &mut stage_worker(&stage), &held, 1);
    let done = stage.worker.ask_json(&MOVES);
    assert_eq!((&done["changed"], &done["leaves"], &done["marked"]), (&true.into(), &before.clone().into(), &5.into()));
    stage.start();
    // It asks, and finds that they were paid.
    all_succeed(&stage.worker, &held, TAKEN_OVER).await;
    assert_paid_once(&stage, &held);
    let rows = stage.worker.list(&["audit", "list"]);
    let row = rows.iter().find(|row| row["action"] == "store_adopt").unwrap();
    assert_eq!(row["detail"]["leaves"], before, "{row}");
    // The way back is as long.
    stop(&mut stage.worker);
    stage.settings.namespace = before;
    stage.reconfigure();
    begins_nothing(&stage, &mut stage_worker(&stage), &held, 1);
    assert_told(&stage.worker.log(), &[&format!("belongs to namespace {named} since 2")]);
}

/// A process of the stage's worker that is not the stage's own.
fn stage_worker(stage: &Stage) -> WorkerProc {
    WorkerProc::configure(stage.worker.dir(), &stage.settings)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn m13_c1_a_store_whose_namespace_was_adopted_begins_nothing_without_a_broker_and_asks_first_when_told_to() {
    let (mut stage, _second, _elsewhere, held) = its_namespace_is_adopted_away("brokerless").await;
    let namespace = stage.settings.namespace.clone();
    stage.settings.amqp_url = None;
    stage.reconfigure();
    begins_nothing(&stage, &mut stage_worker(&stage), &held, 1);
    let told = [format!("belongs to namespace {namespace} since 2"), "names no broker".to_owned()];
    let told: Vec<_> = told.iter().map(String::as_str).collect();
    assert_told(&stage.worker.log(), &told);
    assert_checked(&stage.worker, &told);
    assert_readable(&stage.worker, &held);
    // A new job is taken down, and stays where it is.
    let later = stage.job("later");
    stage.worker.submit(std::slice::from_ref(&later));
    begins_nothing(&stage, &mut stage_worker(&stage), std::slice::from_ref(&later), 0);

    let done = stage.worker.ask_json(&MOVES);
    assert_eq!((&done["changed"], &done["leaves"]), (&true.into(), &namespace.into()), "{done}");
    stage.start();
    all_succeed(&stage.worker, &held, TAKEN_OVER).await;
    all_succeed(&stage.worker, std::slice::from_ref(&later), TAKEN_OVER).await;
    assert_paid_once(&stage, &held);
    assert_paid_once(&stage, &[later]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn m13_c1_a_copy_of_a_running_store_begins_nothing_under_another_namespace_nor_without_a_broker() {
    let mut stage = Stage::prepare("copied").await;
    stage.start();
    let held = jobs_are_held(&mut stage).await;
    let elsewhere = tempfile::tempdir().unwrap();
    drop(clone_of(&stage, elsewhere.path()));

    let first = stage.settings.clone();
    stage.settings.namespace = format!("{}-copy", first.namespace);
    let mut copy = another_store(&stage, elsewhere.path());
    let resumed = copy.ask(&["provider", "resume", "finpay", "--reason", "goes on", "--yes"]);
    assert!(resumed.status.success(), "{}", said(&resumed));
    let ended = ends_or_pays(&stage, &mut copy, &held, 0);
    // The first one goes on.
    stage.resume("finpay");
    stage.settled(LIMIT).await;
    assert_paid_once(&stage, &held);
    assert_eq!(ended, Some(5), "{}", copy.log_tail());
    assert_told(&copy.log(), &[&format!("belongs to namespace {} since 2", first.namespace)]);
    // Not by an operator's word either, while the first one is at work: what both hold, it sends.
    let refused = copy.ask(&MOVES);
    assert_eq!(refused.status.code(), Some(5), "{}", said(&refused));
    assert_told(&said(&refused), &["a worker has namespace", &first.namespace]);

    stage.settings.amqp_url = None;
    let mut copy = another_store(&stage, elsewhere.path());
    begins_nothing(&stage, &mut copy, &held, 1);
    stage.settings = first;
    stage.verdict().assert_all_succeeded();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn m13_c1_a_store_that_never_had_a_namespace_starts_with_one() {
    let mut stage = Stage::prepare("first-one").await;
    let url = stage.settings.amqp_url.take();
    stage.start();
    stage.pause("finpay").await;
    let own = stage.jobs("own", 3);
    stage.remember(&own);
    stage.worker.submit(&own);
    stop(&mut stage.worker);
    stage.settings.amqp_url = url;
    stage.start();
    let come = stage.jobs("come", 3);
    stage.publish(&come).await;
    stage.resume("finpay");
    stage.settled(LIMIT).await;
    assert_paid_once(&stage, &[own, come].concat());
    stage.verdict().assert_all_succeeded();
}

/// A new folder with the wrong namespace in its config: it holds nothing that could be sent twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn m13_c1_a_refused_store_without_jobs_starts_under_a_namespace_of_its_own() {
    let mut stage = Stage::prepare("mistyped").await;
    stage.start();
    let elsewhere = tempfile::tempdir().unwrap();
    let mut second = another_store(&stage, elsewhere.path());
    second.spawn();
    assert_eq!(second.wait_exit(LIMIT).code(), Some(5), "{}", second.log_tail());
    let info = second.ask(&["store", "info"]);
    let info = String::from_utf8_lossy(&info.stdout).into_owned();
    assert!(!info.contains("it knows everything"), "{info}");
    let first = stage.settings.clone();
    stage.settings.namespace = format!("{}-own", first.namespace);
    let mut second = another_store(&stage, elsewhere.path());
    second.start();
    stop(&mut second);
    // And once more: it still holds nothing.
    stage.settings.namespace = format!("{}-other", first.namespace);
    another_store(&stage, elsewhere.path()).start();
    stage.settings = first;
}

/// A store with jobs of its own that was refused a namespace has noted that: which of the two has what cannot be told.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn m13_c1_a_refused_store_with_jobs_begins_nothing_elsewhere_until_an_operator_says_so() {
    let mut stage = Stage::prepare("refused").await;
    let elsewhere = tempfile::tempdir().unwrap();
    let url = stage.settings.amqp_url.take();
    let mut before = another_store(&stage, elsewhere.path());
    before.start();
    before.ask_json(&["provider", "pause", "finpay", "--reason", "held", "--yes"]);
    eventually(Duration::from_secs(60), "the lane stands", async || {
        before.metrics().contains("topup_lane_paused{provider=\"finpay\"").then_some(())
    })
    .await;
    let own = stage.job("own");
    before.submit(std::slice::from_ref(&own));
    stop(&mut before);
    stage.settings.amqp_url = url;
    stage.start();
    let mut second = another_store(&stage, elsewhere.path());
    second.spawn();
    assert_eq!(second.wait_exit(LIMIT).code(), Some(5), "{}", second.log_tail());
    second.ask_json(&["provider", "resume", "finpay", "--reason", "goes on", "--yes"]);

    let first = stage.settings.clone();
    stage.settings.namespace = format!("{}-own", first.namespace);
    let mut second = another_store(&stage, elsewhere.path());
    begins_nothing(&stage, &mut second, std::slice::from_ref(&own), 0);
    assert_told(&second.log(), &[&format!("was refused namespace {} at 2", first.namespace)]);
    let done = second.ask_json(&MOVES);
    assert_eq!((&done["changed"], &done["marked"]), (&true.into(), &1.into()), "{done}");
    second.start();
    all_succeed(&second, std::slice::from_ref(&own), TAKEN_OVER).await;
    assert_paid_once(&stage, &[own]);
    stage.settings = first;
    assert!(fs::exists(stage.worker.dir().join("worker.db")).unwrap());
}
