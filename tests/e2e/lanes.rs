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

/// Found by `worker drill --seed 3`: a lane that came to stand while its loop was claiming due jobs claimed, for ever, what the
/// drives gave back at once; it never probed, and moved again only after a restart.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lane_that_comes_to_stand_while_jobs_are_claimed_moves_again() {
    let mut stage = Stage::prepare("flapping").await;
    // More places than jobs: the loop always finds one free.
    stage.settings.prefetch = 1000;
    stage.settings.max_in_flight = 256;
    stage.settings.probe = (Duration::from_millis(50), Duration::from_millis(100));
    stage.sim.slow_down(Duration::from_millis(20));
    stage.sim.lane_fault("finpay", Some(LaneFault::Unavailable));
    stage.start();
    let jobs: Vec<_> = stage.jobs("flapping", 600).into_iter().map(|job| job.by("finpay")).collect();
    stage.publish(&jobs).await;
    for _ in 0..8 {
        eventually(LIMIT, "the lane stands", async || paused(&stage, "").then_some(())).await;
        let before = stage.sim.running().verdict().credits;
        stage.sim.lane_fault("finpay", None);
        // It moves again at the first answer to its probe, and comes to stand again while there is much to claim.
        let moves = async || (stage.sim.running().verdict().credits > before).then_some(());
        eventually(LIMIT, "the lane moves again", moves).await;
        if before + 100 > 600 {
            break;
        }
        stage.sim.lane_fault("finpay", Some(LaneFault::Unavailable));
    }
    stage.sim.lane_fault("finpay", None);
    stage.settled(LIMIT).await;
    stage.verdict().assert_all_succeeded();
}
