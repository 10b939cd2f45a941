//! Our own faults stop the lane, not the jobs.

use std::time::Duration;

use serde_json::json;
use snap_sim::LaneFault;

use crate::harness::{Stage, eventually, holds_for, http};

const LIMIT: Duration = Duration::from_secs(120);

/// Whether finpay's lane is paused, for a cause whose label contains this.
fn paused(stage: &Stage, cause: &str) -> bool {
    http::total(&stage.worker.metrics(), "topup_lane_paused", &["provider=\"finpay\"", cause]) >= 1.0
}

/// Ten jobs meet this fault of the account, wait for it to be over, and all succeed.
async fn ten_jobs_wait_out(name: &str, fault: LaneFault, cause: &str) {
    let mut stage = Stage::prepare(name).await;
    // Far fewer than the probes will need, if probes used up a job's budget.
    stage.settings.attempts = 3;
    stage.sim.lane_fault("finpay", Some(fault));
    stage.start();
    let jobs: Vec<_> = stage.jobs("waiting", 10).into_iter().map(|job| job.by("finpay")).collect();
    stage.publish(&jobs).await;
    let cause = format!("cause=\"{cause}\"");
    eventually(LIMIT, "the lane pauses by itself", async || paused(&stage, &cause).then_some(())).await;

    // The other provider's lane goes on.
    let others: Vec<_> = stage
        .jobs("other", 5)
        .into_iter()
        .map(|job| job.by("midtrans").with("beneficiaryProvider", json!("gopay")))
        .collect();
    stage.publish(&others).await;
    for job in &others {
        stage.outcomes.wait_for("topup.succeeded", &job.reference).await;
    }
    let span = Duration::from_secs(3);
    holds_for(span, "all jobs wait, none is dead", async || {
        stage.outcomes.dead_lettered().is_empty() && paused(&stage, "")
    })
    .await;
    let page = stage.worker.readyz().unwrap();
    assert_eq!(page.status, 200, "a paused lane is not a worker that is not ready");
    assert!(page.body.contains("degraded") && page.body.contains("finpay"), "{}", page.body);

    stage.sim.lane_fault("finpay", None);
    stage.settled(LIMIT).await;
    stage.verdict().assert_all_succeeded();
    eventually(LIMIT, "the lane is open again", async || (!paused(&stage, "")).then_some(())).await;
}

macro_rules! lane {
    ($($test:ident: $fault:ident, $cause:literal;)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $test() {
            ten_jobs_wait_out(stringify!($test), LaneFault::$fault, $cause).await;
        }
    )*};
}

lane! {
    ten_jobs_wait_out_an_empty_deposit: DepositEmpty, "insufficient_funds";
    ten_jobs_wait_out_a_merchant_limit: MerchantLimit, "merchant_limit";
    ten_jobs_wait_out_a_refused_signature: Unauthorized, "unauthorized";
    ten_jobs_wait_out_an_unknown_partner: PartnerNotFound, "partner_not_found";
    ten_jobs_wait_out_a_refused_token_request: TokenRefused, "token_refused";
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_provider_that_is_down_uses_up_no_budget() {
    let mut stage = Stage::prepare("down").await;
    stage.settings.attempts = 2;
    stage.start();
    stage.sim.running().pause_listening().await;
    let jobs: Vec<_> = stage.jobs("down", 10).into_iter().map(|job| job.by("finpay")).collect();
    stage.publish(&jobs).await;
    eventually(LIMIT, "the lane pauses", async || paused(&stage, "").then_some(())).await;
    holds_for(Duration::from_secs(4), "nobody is dead", async || stage.outcomes.dead_lettered().is_empty()).await;
    stage.sim.running().resume_listening().await.unwrap();
    stage.settled(LIMIT).await;
    stage.verdict().assert_all_succeeded();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pause_outlives_a_restart_only_as_long_as_its_cause() {
    let mut stage = Stage::prepare("pauserestart").await;
    stage.sim.lane_fault("finpay", Some(LaneFault::DepositEmpty));
    stage.start();
    let jobs: Vec<_> = stage.jobs("restart", 5).into_iter().map(|job| job.by("finpay")).collect();
    stage.publish(&jobs).await;
    eventually(LIMIT, "the lane pauses", async || paused(&stage, "").then_some(())).await;
    stage.worker.kill();
    stage.sim.lane_fault("finpay", None);
    stage.worker.start();
    stage.settled(LIMIT).await;
    stage.verdict().assert_all_succeeded();
}
