//! An intent is good for moments (M16): what stands between its commit and its first byte takes longer than that. The provider
//! pays whatever reaches it.
//!
//! Needs strace, which `tests/run` installs where there is apt.

use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};
use worker::clock::Clock;

use crate::harness::{Hold, Job, Stage, eventually_now};

const LIMIT: Duration = Duration::from_secs(120);

/// strace that delays what these calls do to this file, for so long; `when` as its manual has it.
fn delays(stage: &Stage, file: &str, calls: &str, by: Duration, when: &str) -> Command {
    let path = std::fs::canonicalize(stage.worker.dir()).unwrap().join(file);
    let mut strace = Command::new("strace");
    strace.args(["-f", "-qq", "-o", "/dev/null", "-e", "signal=none", "-P"]).arg(path);
    strace.args(["-e", &format!("trace={calls}")]);
    strace.args(["-e", &format!("inject={calls}:delay_enter={}:{when}", by.as_micros())]);
    strace
}

fn ends(stage: &Stage, job: &Job) -> String {
    eventually_now(LIMIT, "the job comes to rest", || {
        let state = stage.worker.state_of(&job.reference)?;
        ["succeeded", "rejected", "dead"].contains(&state.as_str()).then_some(state)
    })
}

fn history(stage: &Stage, job: &Job) -> Vec<String> {
    let shown = stage.worker.ask_json(&["jobs", "show", &job.reference]);
    let entries = shown["timeline"].as_array().unwrap().iter();
    entries.filter_map(|entry| entry["event"].as_str().map(str::to_owned)).collect()
}

/// A store that is there already, so that a start writes little.
async fn prepared(name: &str) -> Stage {
    let mut stage = Stage::prepare(name).await;
    stage.settings.providers.truncate(1);
    stage.settings.quiet_period = Duration::from_secs(2);
    stage.start();
    let first = stage.job("first");
    stage.publish(std::slice::from_ref(&first)).await;
    assert_eq!(ends(&stage, &first), "succeeded");
    stop(&mut stage);
    stage
}

fn stop(stage: &mut Stage) {
    stage.worker.signal(Signal::TERM);
    stage.worker.wait_exit(LIMIT);
}

/// Of a worker under strace.
fn stop_wrapped(stage: &mut Stage) {
    stage.worker.signal_wrapped(Signal::TERM);
    stage.worker.wait_exit(LIMIT);
}

/// One of these commits is the intent's, whatever a start commits: it is held up for longer than the intent is good for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn m16_an_intent_whose_commit_was_held_up_is_not_sent_and_the_next_one_is() {
    let mut stage = prepared("held").await;
    let mut held = 0;
    for nth in 1..=7 {
        let job = stage.job(&format!("held{nth}"));
        let strace = delays(&stage, "worker.db-wal", "fsync,fdatasync", Duration::from_secs(3), &format!("when={nth}"));
        stage.worker.spawn_under(strace);
        stage.worker.wait_ready();
        stage.publish(std::slice::from_ref(&job)).await;
        assert_eq!(ends(&stage, &job), "succeeded", "commit {nth}");
        assert_eq!(stage.sim.running().credits_of(&job.reference), 1, "commit {nth}");
        let history = history(&stage, &job);
        let top_ups = stage.sim.running().reference(&job.reference)[0].top_ups;
        assert_eq!(top_ups, 1, "what is held back does not reach the provider: {history:?}");
        held += usize::from(history.iter().any(|event| event == "not_sent"));
        stop_wrapped(&mut stage);
    }
    assert!(held >= 1, "one of these commits was an intent's");
    stage.verdict().assert_sound();
}

/// The store is slow all the time: nothing leaves with an old intent, and it ends when its time is over.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn m16_on_a_disk_that_is_too_slow_for_any_intent_nothing_is_sent() {
    let mut stage = prepared("slow").await;
    let strace = delays(&stage, "worker.db-wal", "fsync,fdatasync", Duration::from_millis(1500), "when=1+");
    stage.worker.spawn_under(strace);
    stage.worker.wait_ready();
    let job = until(&stage, "slow", Duration::from_secs(9));
    stage.publish(std::slice::from_ref(&job)).await;
    assert_eq!(ends(&stage, &job), "rejected");
    let history = history(&stage, &job);
    assert!(history.iter().any(|event| event == "not_sent"), "{history:?}");
    assert_eq!(stage.sim.running().credits_of(&job.reference), 0);
}

/// C8: its time is over while one of its commits is held up, on the way to the disk or behind it; one of them is its intent's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn m16_c8_no_top_up_leaves_after_its_not_after_whichever_commit_is_slow() {
    for (name, file, calls) in [("sync", "worker.db-wal", "fsync,fdatasync"), ("look", "worker.db-shm", "statx")] {
        let mut stage = prepared(name).await;
        stage.settings.quiet_period = Duration::from_secs(60);
        stage.settings.provider_extra = "inquiry = \"never\"".to_owned();
        stage.reconfigure();
        let mut held = 0;
        for nth in 3..=7 {
            let strace = delays(&stage, file, calls, Duration::from_millis(2_500), &format!("when={nth}"));
            stage.worker.spawn_under(strace);
            stage.worker.wait_ready();
            let after = Duration::from_millis(1_500);
            let (job, end) = (until(&stage, name, after), Clock::start().wall().plus(after));
            let job = job.with("customerName", json!("sa**m"));
            stage.publish(std::slice::from_ref(&job)).await;
            let state = ends(&stage, &job);
            let known = stage.sim.running().reference(&job.reference);
            let credits: Vec<i64> = known.iter().flat_map(|known| &known.credits).map(|credit| credit.at_ms).collect();
            let late = credits.iter().filter(|at| **at > end.as_millis());
            assert_eq!(late.count(), 0, "{name} {nth}: {credits:?} after {}", end.as_millis());
            assert_eq!(credits.len(), usize::from(state == "succeeded"), "{name} {nth}: {state}");
            let history = history(&stage, &job);
            held += usize::from(state == "rejected" && history.iter().any(|event| event == "not_sent"));
            stop_wrapped(&mut stage);
        }
        assert!(held >= 1, "{name}: one of these commits was an intent's");
    }
}

/// C8 where nothing is slow but the provider, or the worker stands still: what was right when the job began is not when it is sent.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn m16_c8_a_not_after_that_passes_while_a_token_or_an_inquiry_is_waited_for_is_kept() {
    let mut stage = Stage::prepare("late-asked").await;
    let gate = stage.gated().await;
    stage.settings.request_timeout = Duration::from_secs(20);
    let soon = Duration::from_millis(1500);
    // The token is waited for, then an inquiry, then one of a worker that is frozen meanwhile.
    for (name, path, frozen) in
        [("token", "/b2b", false), ("inquiry", "/account-inquiry", false), ("frozen", "/account-inquiry", true)]
    {
        let mut held = gate.hold(path, "", Hold::BeforeTheAnswer);
        if name == "token" {
            stage.start();
        }
        let job = until(&stage, name, soon);
        stage.publish(std::slice::from_ref(&job)).await;
        held.reached().await;
        if frozen {
            stage.worker.signal(Signal::STOP);
        }
        tokio::time::sleep(soon).await;
        held.go_on();
        if frozen {
            stage.worker.signal(Signal::CONT);
        }
        assert_eq!(ends(&stage, &job), "rejected", "{name}");
        let shown = stage.worker.ask_json(&["jobs", "show", &job.reference]);
        assert_eq!(shown["reason"], Value::from("expired"), "{name}: {shown}");
        assert_eq!(stage.sim.running().credits_of(&job.reference), 0, "{name}");
    }
}

fn until(stage: &Stage, name: &str, after: Duration) -> Job {
    stage.job(name).with("notAfter", Value::from(Clock::start().wall().plus(after).to_rfc3339()))
}
