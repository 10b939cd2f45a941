//! Two workers on one store (C7): the first is held up between an intent's commit and its first byte, or before it hears an answer, and
//! a second one takes its job over. No lock keeps the second one out, and no broker: what is left are the rules about intents and
//! about what comes late (M16). The provider pays whatever reaches it.
//!
//! Needs strace, which `tests/run` installs where there is apt.

use std::fs;
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;
use snap_sim::{Case, Fault};

use crate::harness::gate::Held;
use crate::harness::verdict::text;
use crate::harness::{Gate, Hold, Job, Stage, WorkerProc, eventually, eventually_now, http};

const LIMIT: Duration = Duration::from_secs(60);
/// Longer than an intent is good for, which is half of the quiet period.
const HELD: Duration = Duration::from_millis(2500);
const QUIET: Duration = Duration::from_millis(1500);

/// A stage whose store is there already, with the gate in front of the provider that its worker calls.
async fn prepared(name: &str) -> (Stage, Gate) {
    let mut stage = Stage::prepare(name).await;
    let gate = stage.gated().await;
    (stage.settings.amqp_url, stage.settings.quiet_period) = (None, QUIET);
    stage.settings.request_timeout = Duration::from_secs(20);
    stage.start();
    let first = stage.job("first");
    stage.worker.submit(std::slice::from_ref(&first));
    ends(&stage.worker, &first, "succeeded");
    stage.worker.signal(Signal::TERM);
    stage.worker.wait_exit(LIMIT);
    (stage, gate)
}

fn ends(worker: &WorkerProc, job: &Job, state: &str) {
    eventually_now(LIMIT, state, || (worker.state_of(&job.reference)? == state).then_some(()));
}

/// Of the first worker: each look at the store's files after a commit takes longer than an intent is good for, but for a start's
/// first one. What was committed is seen by others meanwhile.
fn held_behind_its_commits(stage: &Stage) -> Command {
    let index = fs::canonicalize(stage.worker.dir()).unwrap().join("worker.db-shm");
    let mut strace = Command::new("strace");
    strace.args(["-f", "-qq", "-o", "/dev/null", "-e", "signal=none", "-e", "trace=statx", "-P"]).arg(index);
    strace.args(["-e", &format!("inject=statx:delay_enter={}:when=2+", HELD.as_micros())]);
    strace
}

/// A second worker on the same file, whom the kernel gives the lock as well; the side file is gone as in the first place.
fn second_worker(stage: &Stage, elsewhere: &std::path::Path) -> WorkerProc {
    fs::remove_file(stage.worker.dir().join("worker.db.lock")).unwrap();
    let mut second = stage.second_worker(elsewhere);
    let mut strace = Command::new("strace");
    strace.args(["-f", "-qq", "-o", "/dev/null", "-e", "signal=none", "-e", "trace=flock"]);
    strace.args(["-e", "inject=flock:retval=0"]);
    second.spawn_under(strace);
    second.wait_ready();
    second
}

/// What is known of the job's top-ups: how many attempts, and what the history says.
fn history(stage: &Stage, job: &Job) -> (usize, Vec<Value>) {
    let shown = stage.worker.ask_json(&["jobs", "show", &job.reference]);
    let timeline = shown["timeline"].as_array().unwrap().clone();
    (timeline.iter().filter(|entry| entry["service"] == 38).count(), timeline)
}

async fn comes_late(stage: &Stage) {
    eventually(LIMIT, "what came late is recorded", async || {
        stage.worker.log().contains("an answer came late; it is recorded").then_some(())
    })
    .await;
}

fn is_sending(stage: &Stage, job: &Job) {
    ends(&stage.worker, job, "sending");
}

/// The first worker has committed its intent and is held up; it goes on before the second one has asked, or after it has paid.
async fn held_up(name: &str, freeze: bool) {
    let (mut stage, _gate) = prepared(name).await;
    stage.worker.spawn_under(held_behind_its_commits(&stage));
    stage.worker.wait_ready();
    let job = stage.job("held");
    stage.worker.submit(std::slice::from_ref(&job));
    is_sending(&stage, &job);
    assert_eq!(stage.sim.running().credits_of(&job.reference), 0, "it is held up");
    if freeze {
        stage.worker.signal_wrapped(Signal::STOP);
    }
    let elsewhere = tempfile::tempdir().unwrap();
    let second = second_worker(&stage, elsewhere.path());
    ends(&second, &job, "succeeded");
    if freeze {
        assert_eq!(stage.sim.running().credits_of(&job.reference), 1, "by the second one");
        stage.worker.signal_wrapped(Signal::CONT);
    }
    comes_late(&stage).await;
    assert_eq!(stage.sim.running().credits_of(&job.reference), 1, "{}", stage.worker.log_tail());
    let (attempts, timeline) = history(&stage, &job);
    assert_eq!(attempts, 2, "{timeline:?}");
    assert_eq!(stage.sim.running().reference(&job.reference)[0].top_ups, 1, "the held one has not left: {timeline:?}");
    ends(&second, &job, "succeeded");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn m16_c7_an_intent_that_was_held_up_while_a_second_worker_took_over_does_not_leave() {
    held_up("held", false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn m16_c7_an_intent_of_a_worker_that_was_frozen_until_the_second_one_had_paid_does_not_leave() {
    held_up("frozen", true).await;
}

/// The first worker's top-up has reached the provider, and the answer is held up until the second worker has brought the job to
/// this state.
async fn answered_late(
    name: &str,
    on: impl FnOnce(&Stage),
    state: &str,
) -> (Stage, WorkerProc, Job, tempfile::TempDir) {
    let (mut stage, gate) = prepared(name).await;
    on(&stage);
    let job = stage.job("late");
    let mut held: Held = gate.hold("/topup", &job.reference, Hold::BeforeTheAnswer);
    stage.worker.start();
    stage.worker.submit(std::slice::from_ref(&job));
    held.reached().await;
    let elsewhere = tempfile::tempdir().unwrap();
    let second = second_worker(&stage, elsewhere.path());
    ends(&second, &job, state);
    held.go_on();
    comes_late(&stage).await;
    (stage, second, job, elsewhere)
}

fn letter_of(worker: &WorkerProc, job: &Job) -> Option<Value> {
    let letters = worker.list(&["dlq", "list"]);
    letters.into_iter().find(|letter| text(letter, "partnerReferenceNo") == job.reference)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn m16_c7_a_success_that_comes_late_is_kept_beside_the_status_that_found_it_paid() {
    let (stage, second, job, _folder) = answered_late("late-success", |_| {}, "succeeded").await;
    assert_eq!(stage.sim.running().credits_of(&job.reference), 1);
    let (attempts, timeline) = history(&stage, &job);
    assert_eq!(attempts, 1, "{timeline:?}");
    let attempt = timeline.iter().find(|entry| entry["service"] == 38).unwrap();
    assert_eq!(attempt["responseCode"], "2003800", "its own answer is there: {timeline:?}");
    assert_eq!(second.state_of(&job.reference).as_deref(), Some("succeeded"));
    assert!(letter_of(&second, &job).is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn m16_c7_a_refusal_that_comes_late_settles_nothing_of_what_the_second_worker_has_paid() {
    for (name, case) in [("late-404", Case::new(404, 11)), ("late-429", Case::new(429, 0))] {
        let refuse = |stage: &Stage| stage.sim.fault("late", 38, Fault::Answer(case), None, Some(1));
        let (stage, second, job, _folder) = answered_late(name, refuse, "succeeded").await;
        assert_eq!(stage.sim.running().credits_of(&job.reference), 1);
        let (attempts, timeline) = history(&stage, &job);
        assert_eq!(attempts, 2, "{timeline:?}");
        assert_eq!(second.state_of(&job.reference).as_deref(), Some("succeeded"));
        assert!(letter_of(&second, &job).is_none(), "{name}");
    }
}

/// A provider that does not find for longer than the quiet period what it has paid: nothing protects from that, and it is told.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn m16_c7_a_success_that_comes_late_beside_another_paid_attempt_is_an_alarm() {
    let hidden = |stage: &Stage| {
        stage.sim.fault("late", 39, Fault::Report(snap_sim::Latest::NotFound), None, None);
    };
    let (stage, second, job, _folder) = answered_late("late-twice", hidden, "succeeded").await;
    assert_eq!(stage.sim.running().credits_of(&job.reference), 2, "the provider has paid twice");
    let letter = letter_of(&second, &job).expect("it stands before a person");
    assert_eq!(text(&letter, "reason"), "double_credit_suspected", "{letter}");
    let told = http::total(&stage.worker.metrics(), "topup_double_credit_suspected_total", &[]);
    assert!(told >= 1.0, "{}", stage.worker.log_tail());
    assert!(stage.worker.log().contains("two attempts of this job look paid"), "{}", stage.worker.log_tail());
}
