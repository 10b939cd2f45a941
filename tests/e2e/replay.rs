//! Replays, judged by the ledger of a provider that would pay again: what was paid is closed, what was not is credited once,
//! whoever acts and whatever dies in between.

use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use snap_sim::{Case, Fault};

use crate::harness::verdict::text;
use crate::harness::{Job, Stage, eventually};

const LIMIT: Duration = Duration::from_secs(90);
const ACT: [&str; 3] = ["--reason", "provider is back, INC-7", "--yes"];

/// A stage on which `paid` top-ups were credited and `unpaid` were not, and nobody knows of either: every one is a dead
/// letter that may have been sent. The provider is well again.
async fn in_doubt(name: &str, paid: usize, unpaid: usize, window: Option<Duration>) -> (Stage, Vec<Job>) {
    let mut stage = Stage::prepare(name).await;
    stage.settings.request_timeout = Duration::from_millis(800);
    stage.settings.quiet_period = Duration::from_millis(900);
    stage.settings.give_up_after = Duration::from_secs(2);
    stage.settings.uniqueness_window = window;
    stage.sim.fault("paid", 38, Fault::Rst, Some(true), None);
    stage.sim.fault("unpaid", 38, Fault::Rst, Some(false), None);
    stage.sim.fault("", 39, Fault::Answer(Case::new(500, 0)), None, None);
    stage.start();
    let jobs = [stage.jobs("paid", paid), stage.jobs("unpaid", unpaid)].concat();
    stage.publish(&jobs).await;
    eventually(LIMIT, "all of them are dead letters", async || {
        (stage.worker.list(&["dlq", "list"]).len() == paid + unpaid).then_some(())
    })
    .await;
    stage.sim.running().clear_rules();
    let letters = stage.worker.list(&["dlq", "list"]);
    assert!(letters.iter().all(|letter| text(letter, "moneyState") == "maybe_sent"), "{letters:?}");
    (stage, jobs)
}

fn act(stage: &Stage, args: &[&str]) -> (Option<i32>, Value) {
    let output = stage.worker.ask(&[args, &ACT, &["-o", "json"]].concat());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code(), serde_json::from_slice(&output.stdout).unwrap_or(Value::String(said)))
}

fn audits(stage: &Stage, action: &str) -> usize {
    stage.worker.list(&["audit", "list"]).iter().filter(|row| text(row, "action") == action).count()
}

fn plan(stage: &Stage, id: i64) -> Value {
    stage.worker.ask_json(&["dlq", "plans", "show", &id.to_string()])
}

async fn done(stage: &Stage, id: i64) -> Value {
    eventually(LIMIT, "the plan is done", async || {
        let plan = plan(stage, id);
        (text(&plan, "state") == "done").then_some(plan)
    })
    .await
}

/// Waits until every job succeeded and was told of, whoever let it go.
async fn succeeded(stage: &Stage, jobs: &[Job]) {
    for job in jobs {
        stage.outcomes.wait_for("topup.succeeded", &job.reference).await;
    }
    stage.settled(LIMIT).await;
}

/// All succeeded, each credited once: what had been paid without being sent again, the rest by one resend.
fn each_once(stage: &Stage, jobs: &[Job]) {
    let verdict = stage.verdict();
    verdict.assert_all_succeeded();
    for job in jobs {
        let sent = if job.reference.starts_with("paid") { 1 } else { 2 };
        assert_eq!(verdict.credits(&job.reference), 1, "{}", job.reference);
        assert_eq!(verdict.top_ups(&job.reference), sent, "{}", job.reference);
    }
    assert_eq!(audits(stage, "dlq_replayed"), jobs.len(), "each was let go once");
    stage.worker.ask_json(&["audit", "verify"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn m8_what_was_paid_is_closed_and_what_was_not_is_credited_once() {
    let (stage, jobs) = in_doubt("replay", 4, 4, None).await;
    let (code, told) = act(&stage, &["dlq", "replay", "--money", "maybe_sent", "--canary", "2", "--wait"]);
    assert_eq!(code, Some(0), "{told:#}");
    assert_eq!((&told["plan"]["state"], &told["plan"]["counts"]["succeeded"]), (&"done".into(), &8.into()));
    succeeded(&stage, &jobs).await;
    each_once(&stage, &jobs);
    for job in &jobs {
        stage.outcomes.wait_for("topup.replayed", &job.reference).await;
    }
    let (code, _) = act(&stage, &["dlq", "replay", "--all"]);
    assert_eq!(code, Some(4), "nothing is left to replay");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn m8_what_is_too_old_is_refused_and_may_still_be_asked_about() {
    let (stage, jobs) = in_doubt("tooold", 1, 1, Some(Duration::from_millis(2100))).await;
    tokio::time::sleep(Duration::from_millis(2200)).await;
    for letter in stage.worker.list(&["dlq", "list"]) {
        let (code, said) = act(&stage, &["dlq", "replay", text(&letter, "id")]);
        assert_eq!(code, Some(5), "{said}");
        assert!(said.as_str().unwrap_or_default().contains("proves nothing any more"), "{said}");
    }
    let (code, said) = act(&stage, &["dlq", "check", "--all"]);
    assert_eq!(code, Some(0), "{said}");
    stage.outcomes.wait_for("topup.succeeded", &jobs[0].reference).await;
    let verdict = stage.verdict();
    verdict.assert_sound();
    let states: Vec<&str> = jobs.iter().map(|job| verdict.state(&job.reference)).collect();
    assert_eq!(states, ["succeeded", "dead"]);
    assert!(jobs.iter().all(|job| verdict.top_ups(&job.reference) == 1), "nothing was sent again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn m8_a_plan_killed_in_the_middle_again_and_again_ends_the_same() {
    let (mut stage, jobs) = in_doubt("killed", 20, 20, None).await;
    let mut command = stage.worker.command(&[&["dlq", "replay", "--all", "--rate", "20/s"], &ACT[..]].concat());
    let mut operator = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    for released in [5, 15, 25] {
        eventually(LIMIT, "the plan is under way", async || {
            let plans = stage.worker.list(&["dlq", "plans", "list"]);
            let waiting = plans.first()?["counts"]["waiting"].as_u64()?;
            (waiting <= 40 - released).then_some(())
        })
        .await;
        stage.worker.kill();
        if operator.try_wait().unwrap().is_none() {
            operator.kill().unwrap();
            operator.wait().unwrap();
        }
        stage.worker.start();
    }
    let plan = done(&stage, 1).await;
    assert_eq!((&plan["counts"]["succeeded"], &plan["counts"]["skipped"]), (&40.into(), &0.into()), "{plan:#}");
    succeeded(&stage, &jobs).await;
    each_once(&stage, &jobs);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn m10_two_operators_over_the_same_items_let_each_go_once() {
    let (mut stage, jobs) = in_doubt("twice", 6, 6, None).await;
    // Without a running worker, so that the two commands do all of it.
    stage.worker.kill();
    let start = || {
        let args = [&["dlq", "replay", "--all", "--rate", "100/s", "-o", "json"], &ACT[..]].concat();
        stage.worker.command(&args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let operators = [start(), start(), start()];
    for operator in operators {
        let output = operator.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(matches!(output.status.code(), Some(0 | 3 | 4 | 5)), "{said}");
    }
    stage.worker.start();
    succeeded(&stage, &jobs).await;
    each_once(&stage, &jobs);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_canary_that_dies_keeps_the_rest_and_a_resume_begins_with_new_ones() {
    let (stage, jobs) = in_doubt("canary", 0, 8, None).await;
    // What is sent again is refused as wrong: a death that the set does not know.
    stage.sim.fault("unpaid", 38, Fault::Answer(Case::new(400, 1)), None, Some(2));
    let (code, told) = act(&stage, &["dlq", "replay", "--all", "--canary", "2", "--rate", "50/s", "--wait"]);
    assert_eq!(code, Some(3), "{told:#}");
    let counts = &told["plan"]["counts"];
    assert_eq!((&told["plan"]["state"], &counts["waiting"]), (&"paused".into(), &6.into()), "{told:#}");
    let dead = usize::try_from(counts["dead"].as_u64().unwrap()).unwrap();
    assert_eq!(stage.worker.list(&["dlq", "list"]).len(), 6 + dead);

    let (code, told) = act(&stage, &["dlq", "plans", "resume", "1"]);
    assert_eq!(code, Some(0), "{told:#}");
    done(&stage, 1).await;
    // The two that died at first are in no plan any more.
    let (code, told) = act(&stage, &["dlq", "replay", "--all", "--wait"]);
    assert_eq!(code, Some(0), "{told:#}");
    succeeded(&stage, &jobs).await;
    let verdict = stage.verdict();
    verdict.assert_all_succeeded();
    assert!(jobs.iter().all(|job| verdict.credits(&job.reference) == 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plan_halts_with_its_lane_and_goes_on_when_it_is_resumed() {
    let (stage, jobs) = in_doubt("lane", 3, 3, None).await;
    act(&stage, &["provider", "pause", "finpay"]);
    let (code, told) = act(&stage, &["dlq", "replay", "--all"]);
    assert_eq!((code, &told["plan"]["pauseCause"]), (Some(3), &"lane_stands".into()), "{told:#}");
    act(&stage, &["provider", "resume", "finpay"]);
    let (code, told) = act(&stage, &["dlq", "plans", "resume", "1"]);
    assert_eq!(code, Some(0), "{told:#}");
    done(&stage, 1).await;
    succeeded(&stage, &jobs).await;
    each_once(&stage, &jobs);
}
