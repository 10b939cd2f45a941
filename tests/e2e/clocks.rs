//! A clock that is wrong, and put right again (M17): it does no lasting harm.

use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};
use snap_core::Timestamp;
use snap_sim::Fault;

use crate::harness::blow::{Blow, under_faketime};
use crate::harness::{Job, Stage, eventually, http};

const LIMIT: Duration = Duration::from_secs(60);
const THREE_DAYS: &str = "259200";
const HOUR: Duration = Duration::from_secs(3600);

/// In an hour by a clock that is right.
#[expect(clippy::disallowed_types, reason = "the machine's own clock is the one that is right")]
fn in_an_hour() -> Value {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("it is after 1970");
    let millis = i64::try_from((now + HOUR).as_millis()).expect("it is before the end of time");
    json!(Timestamp::from_millis(millis).to_rfc3339())
}

fn with_not_after(stage: &Stage, name: &str, count: usize) -> Vec<Job> {
    stage.jobs(name, count).into_iter().map(|job| job.with("notAfter", in_an_hour())).collect()
}

/// The wall clock of the worker to be started is off by so many seconds.
fn start_with(stage: &mut Stage, seconds: &str) {
    stage.reconfigure();
    Blow::set_clock(stage, seconds);
    let env = under_faketime(stage.worker.dir());
    stage.worker.spawn_under(env);
    stage.worker.wait_ready();
}

fn stop(stage: &mut Stage) {
    stage.worker.signal(Signal::TERM);
    stage.worker.wait_exit(LIMIT);
}

async fn succeed(stage: &mut Stage, jobs: &[Job]) {
    stage.publish(jobs).await;
    for job in jobs {
        let state = eventually(LIMIT, "it ends", async || {
            stage
                .worker
                .state_of(&job.reference)
                .filter(|state| ["succeeded", "rejected", "dead"].contains(&state.as_str()))
        });
        assert_eq!(state.await, "succeeded", "{}", job.reference);
    }
}

/// One run with a clock that is off, then runs with one that is right.
async fn one_run_with(name: &str, seconds: &str, end: fn(&mut Stage)) {
    let mut stage = Stage::prepare(name).await;
    start_with(&mut stage, seconds);
    // What the wrong clock meets is a job and a message that is none: both are noted by it, with their events.
    let first = stage.job("wrong");
    stage.producer.publish(&first).await;
    eventually(LIMIT, "it is known", async || stage.worker.state_of(&first.reference)).await;
    end(&mut stage);
    stage.remember(std::slice::from_ref(&first));
    for life in ["right", "again"] {
        start_with(&mut stage, "+0");
        let jobs = with_not_after(&stage, life, 3);
        succeed(&mut stage, &jobs).await;
        stop(&mut stage);
    }
    start_with(&mut stage, "+0");
    // Nothing that waited by the wrong clock goes on waiting by it.
    stage.outcomes.wait_for("topup.succeeded", &first.reference).await;
    stage.settled(LIMIT).await;
    stage.verdict().of_a_wrong_clock().assert_all_succeeded();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn m17_c11_one_run_three_days_ahead_rejects_nothing_that_comes_after_the_clock_was_put_right() {
    one_run_with("c11-ahead", &format!("+{THREE_DAYS}"), stop).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn m17_one_run_three_days_behind_holds_up_nothing_that_comes_after_the_clock_was_put_right() {
    one_run_with("c11-behind", &format!("-{THREE_DAYS}"), stop).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn m17_c11_one_run_a_year_ahead_that_was_killed_rejects_nothing_that_comes_afterwards() {
    one_run_with("c11-year", "+31536000", |stage| stage.worker.kill()).await;
}

/// A doubt that was noted by a clock that was ahead: asked about in time, paid once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn m17_a_doubt_noted_ahead_of_time_is_settled_when_the_clock_was_put_right() {
    let mut stage = Stage::prepare("c11-doubt").await;
    stage.sim.fault("lost", 38, Fault::Rst, Some(false), Some(1));
    stage.sim.fault("hidden", 38, Fault::Rst, Some(true), Some(1));
    // Not so far that the provider refuses its requests, and longer than anything waits here.
    start_with(&mut stage, "+240");
    let jobs = [stage.job("lost"), stage.job("hidden")];
    stage.publish(&jobs).await;
    for job in &jobs {
        eventually(LIMIT, "it is in doubt", async || {
            // What was paid may be found so at once.
            let state = stage.worker.state_of(&job.reference);
            matches!(state.as_deref(), Some("unconfirmed" | "succeeded")).then_some(())
        })
        .await;
    }
    stage.worker.kill();
    start_with(&mut stage, "+0");
    stage.settled(LIMIT).await;
    let verdict = stage.verdict().of_a_wrong_clock();
    verdict.assert_all_succeeded();
    assert_eq!(verdict.credits(&jobs[0].reference) + verdict.credits(&jobs[1].reference), 2);
}

/// The clock jumps while the worker runs, and the provider's `Date` tells: what has a `notAfter` waits until they agree.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn m17_what_has_a_not_after_waits_while_the_providers_date_contradicts_the_clock() {
    let mut stage = Stage::prepare("c11-date").await;
    // The clock is behind by two minutes; by it nothing is too late.
    start_with(&mut stage, "-120");
    let first = stage.jobs("first", 2);
    succeed(&mut stage, &first).await;
    let jobs = with_not_after(&stage, "waits", 2);
    stage.publish(&jobs).await;
    let page = eventually(LIMIT, "it is told", async || {
        stage.worker.readyz().filter(|page| page.body.contains("clock_doubted"))
    })
    .await;
    assert_eq!(page.status, 200, "{}", page.body);
    let offset = http::total(&stage.worker.metrics(), "topup_clock_offset_seconds", &["provider=\"finpay\""]);
    assert!((-121.0..=-118.0).contains(&offset), "{offset}");
    let more = stage.jobs("more", 1);
    succeed(&mut stage, &more).await;
    for job in &jobs {
        assert_eq!(stage.worker.state_of(&job.reference).as_deref(), Some("ready"), "neither expired nor sent");
    }
    // Nothing else is asked of the provider: they find out by themselves.
    Blow::set_clock(&stage, "+0");
    stage.settled(LIMIT).await;
    stage.verdict().of_a_wrong_clock().assert_all_succeeded();
}
