//! Jobs that ended shrink while the worker runs; whoever repeats one is still known.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use snap_sim::{Case, Fault};
use testbed::matrix::{self, Point, Technique, executed};

use crate::harness::blow::{Blow, duplicates};
use crate::harness::verdict::text;
use crate::harness::{Job, Stage, eventually};

const LIMIT: Duration = Duration::from_secs(60);

/// Horizons of weeks in a second or two.
async fn forgetful(name: &str, store: &str) -> Stage {
    let mut stage = Stage::prepare(name).await;
    stage.settings.give_up_after = Duration::from_millis(1500);
    stage.settings.uniqueness_window = Some(Duration::from_millis(1000));
    stage.settings.store_extra = store.to_owned();
    stage
}

/// The jobs of which only a tombstone is left.
fn shrunken(stage: &Stage) -> Vec<String> {
    let jobs = stage.worker.list(&["jobs", "list"]);
    let past = jobs.iter().filter(|job| job["shrunkAt"].is_string());
    past.map(|job| text(job, "partnerReferenceNo").to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn m5_a_job_that_shrank_is_known_when_it_comes_again_and_paid_once_before_and_after_a_restart() {
    let mut stage = forgetful("retention", "keep_details = \"1500ms\"").await;
    stage.sim.fault("refused", 38, Fault::Answer(Case::new(400, 1)), None, None);
    stage.start();
    let dead = stage.job("refused");
    stage.publish(std::slice::from_ref(&dead)).await;
    stage.outcomes.wait_for("topup.dead_lettered", &dead.reference).await;
    let jobs = stage.jobs("ended", 120);
    stage.publish(&jobs).await;
    stage.settled(LIMIT).await;
    let before = stage.worker.ask_json(&["jobs", "stats"]);

    eventually(LIMIT, "all that ended is without details", async || (shrunken(&stage).len() == 120).then_some(()))
        .await;
    let state = |stats: &Value, name: &str| -> (Value, Value) {
        let items = stats["items"].as_array().unwrap();
        let found = items.iter().find(|item| text(item, "state") == name).unwrap();
        (found["count"].clone(), found["amount"].clone())
    };
    let after = stage.worker.ask_json(&["jobs", "stats"]);
    assert_eq!(state(&after, "succeeded"), state(&before, "succeeded"), "counts and rupiah stay");
    assert!(!shrunken(&stage).contains(&dead.reference), "what stands before a person keeps everything");
    let shown = stage.worker.ask_json(&["jobs", "show", &jobs[0].reference]);
    assert_eq!((&shown["customerNumber"], text(&shown, "state")), (&Value::Null, "succeeded"));

    // All of them again, in another notation, while the worker runs …
    let repeats: Vec<_> = jobs
        .iter()
        .map(|job| {
            let mut again = job.clone().with("metadata", json!({ "again": true }));
            again.customer = format!("+{}", job.canonical_customer());
            again
        })
        .collect();
    stage.producer.publish_all(&repeats).await;
    eventually(LIMIT, "each repeat is a duplicate", async || (duplicates(&stage) >= 120).then_some(())).await;
    // … one with another amount, and the dead one …
    let mut impostor = jobs[0].clone();
    impostor.amount = "99000.00".to_owned();
    stage.producer.publish_all(&[impostor, dead.clone()]).await;
    let refused = eventually(LIMIT, "the conflict is told", async || {
        stage.outcomes.all().into_iter().find(|event| event.kind() == "topup.message_refused")
    })
    .await;
    assert_eq!(refused.data("reason"), &json!("idempotency_conflict"));
    eventually(LIMIT, "the dead one too", async || (duplicates(&stage) >= 121).then_some(())).await;

    // … and after it was killed and started again.
    stage.worker.kill();
    stage.start();
    stage.producer.publish_all(&repeats).await;
    eventually(LIMIT, "each is still a duplicate", async || (duplicates(&stage) >= 120).then_some(())).await;
    eventually(LIMIT, "each outcome is told again", async || {
        let told = stage.outcomes.terminal_by_reference();
        jobs.iter().all(|job| told.get(&job.reference).copied() >= Some(3)).then_some(())
    })
    .await;
    stage.settled(LIMIT).await;

    let verdict = stage.verdict();
    verdict.assert_sound();
    for job in &jobs {
        assert_eq!((verdict.top_ups(&job.reference), verdict.credits(&job.reference)), (1, 1));
        assert_eq!(verdict.state(&job.reference), "succeeded");
    }
    assert_eq!((verdict.top_ups(&dead.reference), verdict.state(&dead.reference)), (1, "dead"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_is_forgotten_only_where_the_settings_say_so_and_settings_that_forget_too_early_stop_the_start() {
    let mut stage = forgetful("forgotten", "keep_details = \"1500ms\"\nkeep_keys = \"1600ms\"").await;
    stage.start();
    let jobs = stage.jobs("forgotten", 5);
    stage.publish(&jobs).await;
    stage.settled(LIMIT).await;
    // The newest stays, so that no number is given twice.
    eventually(LIMIT, "one job is left", async || (stage.worker.list(&["jobs", "list"]).len() == 1).then_some(()))
        .await;
    // The control of the story above: without its key a repeat is a new top-up, and this provider pays it.
    let left = stage.worker.list(&["jobs", "list"]);
    let forgotten = jobs.iter().find(|job| job.reference != text(&left[0], "partnerReferenceNo")).unwrap();
    stage.producer.publish(forgotten).await;
    let twice = async || (stage.sim.running().credits_of(&forgotten.reference) == 2).then_some(());
    eventually(LIMIT, "it is paid again", twice).await;
    stage.worker.kill();

    stage.settings.store_extra = "keep_details = \"1400ms\"".to_owned();
    stage.reconfigure();
    for (store, key) in [
        ("keep_details = \"1400ms\"", "store.keep_details is 1s400ms, shorter than providers."),
        ("keep_keys = \"1s\"", "store.keep_keys is 1s, not longer than providers."),
    ] {
        stage.settings.store_extra = store.to_owned();
        stage.reconfigure();
        let output = stage.worker.ask(&["run"]);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(key) && said.contains("hint: "), "{said}");
    }
}

/// Longer than it takes to publish a few jobs, to see them end, and to set the clock.
const KEEP: Duration = Duration::from_secs(6);
const DAY: [&str; 2] = ["+86400", "-86400"];

/// Of these jobs, how many are without details, and how many are gone.
fn forgotten(stage: &Stage, jobs: &[Job]) -> (usize, usize) {
    let known = stage.worker.list(&["jobs", "list"]);
    let of = |job: &&Job| known.iter().find(|known| text(known, "partnerReferenceNo") == job.reference);
    let found: Vec<_> = jobs.iter().filter_map(|job| of(&job)).collect();
    (found.iter().filter(|job| job["shrunkAt"].is_string()).count(), jobs.len() - found.len())
}

/// Two waves of jobs, and the clock is set while the older ones are without details and the others are not; again until it
/// was so. No details go before their time, and no key at all; in the end all details go.
async fn set_while_they_shrink(stage: &mut Stage, name: &str, seconds: &str) -> Vec<Job> {
    for attempt in 0..5 {
        let older = stage.jobs(&format!("{name}old{attempt}"), 8);
        stage.publish(&older).await;
        stage.settled(LIMIT).await;
        let shrunk = |jobs: &[Job]| forgotten(stage, jobs).0;
        eventually(LIMIT, "the older ones are without details", async || (shrunk(&older) == 8).then_some(())).await;
        let younger = stage.jobs(&format!("{name}young{attempt}"), 8);
        let published = Instant::now();
        stage.publish(&younger).await;
        stage.settled(LIMIT).await;
        let between = forgotten(stage, &younger) == (0, 0);

        Blow::set_clock(stage, seconds);
        eventually(LIMIT, "the younger ones are without details too", async || {
            let (shrunk, gone) = forgotten(stage, &younger);
            assert!(shrunk == 0 || published.elapsed() >= KEEP, "{seconds}: too early, {:?}", published.elapsed());
            assert_eq!((gone, forgotten(stage, &older)), (0, (8, 0)), "{seconds}: a key is gone");
            (shrunk == 8).then_some(())
        })
        .await;
        let jobs = [older, younger].concat();
        known_again(stage, &jobs).await;
        Blow::set_clock(stage, "+0");
        if between {
            return jobs;
        }
    }
    panic!("{seconds}: the younger ones had shrunk before the clock was set, five times");
}

/// Who repeats them is told how they ended.
async fn known_again(stage: &Stage, jobs: &[Job]) {
    let all = duplicates(stage) + jobs.len();
    stage.producer.publish_all(jobs).await;
    eventually(LIMIT, "each is a duplicate", async || (duplicates(stage) >= all).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn m5_a_clock_that_is_set_by_a_day_while_jobs_shrink_forgets_no_key_and_no_details_too_early() {
    let mut stage = forgetful("retentionclock", "keep_details = \"6s\"\nkeep_keys = \"1h\"").await;
    let mut blow = Blow::prepare(&mut stage, matrix::Fault::ClockJump);
    blow.start(&mut stage);
    let mut jobs = Vec::new();
    // A running worker counts from its start: not even a key of an hour goes.
    for (name, seconds) in ["ahead", "behind"].into_iter().zip(DAY) {
        jobs.extend(set_while_they_shrink(&mut stage, name, seconds).await);
        executed(Point::Maintaining, matrix::Fault::ClockJump, Technique::Clock, 1);
    }

    // One that starts believes the clock, and its store where that is later: what is kept for longer than it is wrong stays.
    stage.settings.store_extra = "keep_details = \"6s\"\nkeep_keys = \"2d\"".to_owned();
    for seconds in DAY {
        stage.worker.kill();
        stage.reconfigure();
        Blow::set_clock(&stage, seconds);
        blow.start(&mut stage);
        known_again(&stage, &jobs).await;
        // Several passes.
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(forgotten(&stage, &jobs), (jobs.len(), 0), "{seconds}");
        Blow::set_clock(&stage, "+0");
    }
    stage.settled(LIMIT).await;
    let verdict = stage.verdict();
    verdict.assert_sound();
    for job in &jobs {
        assert_eq!((verdict.top_ups(&job.reference), verdict.credits(&job.reference)), (1, 1), "{}", job.reference);
    }
}
