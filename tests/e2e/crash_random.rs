//! `kill -9` of the worker at random moments under load, again and again.

use std::time::Duration;

use serde_json::json;
use snap_sim::FaultLevel;

use crate::harness::{Dice, Stage, long};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_random_during_300_jobs_nothing_is_lost_or_paid_twice() {
    storm("crashes", FaultLevel::None, 300, 10).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_random_at_a_faulty_provider_nothing_is_lost_or_paid_twice() {
    let (jobs, kills) = if long() { (3_000, 60) } else { (120, 6) };
    storm("wildcrashes", FaultLevel::Wild, jobs, kills).await;
}

async fn storm(name: &str, faults: FaultLevel, count: usize, kills: usize) {
    let mut dice = Dice::new(name);
    let mut stage = Stage::prepare(name).await;
    stage.settings.request_timeout = Duration::from_millis(1500);
    stage.settings.prefetch = 24;
    let seed = dice.roll();
    stage.sim.behave(|behaviour| {
        behaviour.faults = faults;
        behaviour.seed = seed;
        behaviour.latency = Duration::from_millis(30);
        behaviour.hang = Duration::from_secs(20);
    });
    stage.start();
    let mut jobs: Vec<_> = stage.jobs("storm", count / 2).into_iter().map(|job| job.by("finpay")).collect();
    jobs.extend(
        stage
            .jobs("storm", count / 2)
            .into_iter()
            .map(|job| job.by("midtrans").with("beneficiaryProvider", json!("ovo"))),
    );
    stage.publish(&jobs).await;

    for _ in 0..kills {
        // The moment of the kill is what is random here; it is not a wait for anything.
        tokio::time::sleep(dice.span(Duration::from_millis(20), Duration::from_millis(900))).await;
        stage.worker.kill();
        // Now and then it is killed while it recovers.
        stage.worker.spawn();
        if !dice.roll().is_multiple_of(4) {
            stage.worker.wait_ready();
        }
    }
    stage.worker.wait_ready();
    stage.settled(Duration::from_secs(180)).await;

    let verdict = stage.verdict();
    verdict.assert_sound();
    if faults == FaultLevel::None {
        verdict.assert_all_succeeded();
    }
}
