//! Memory stays flat however many jobs go through.

use std::time::Duration;

use crate::harness::{Stage, eventually, http, long};

/// What the allocator and SQLite's caches may still grow by after the warm-up, in KiB.
const GROWTH_KIB: u64 = 24 * 1024;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_stays_flat_over_many_jobs() {
    let (count, warm_up) = if long() { (100_000, 20_000) } else { (3_000, 1_000) };
    let limit = Duration::from_secs(if long() { 3_000 } else { 240 });
    let mut stage = Stage::prepare("memory").await;
    stage.settings.log_level = "info";
    stage.settings.prefetch = 256;
    stage.start();
    let jobs = stage.jobs("many", count);
    let finished =
        |stage: &Stage| http::total(&stage.worker.metrics(), "topup_jobs_finished_total", &["outcome=\"succeeded\""]);
    let mut warm_kib = 0;
    let mut published = 0;
    for part in jobs.chunks(1_000) {
        stage.publish(part).await;
        published += part.len();
        // A backlog of a few thousand in the broker: the worker's memory must not depend on it.
        let behind = f64::from(u32::try_from(published.saturating_sub(5_000)).unwrap());
        eventually(limit, "the worker keeps up", async || (finished(&stage) >= behind).then_some(())).await;
        if published >= warm_up && warm_kib == 0 {
            let warm = f64::from(u32::try_from(warm_up).unwrap()) / 2.0;
            eventually(limit, "the warm-up is done", async || (finished(&stage) >= warm).then_some(())).await;
            warm_kib = stage.worker.resident_kib();
        }
    }
    stage.settled(limit).await;
    let end_kib = stage.worker.resident_kib();
    eprintln!("resident: {warm_kib} KiB warm, {end_kib} KiB after {count} jobs");
    assert!(end_kib < warm_kib + GROWTH_KIB, "from {warm_kib} KiB to {end_kib} KiB");
    assert_eq!(stage.sim.running().verdict().double_credits, 0);
    assert_eq!(stage.sim.running().verdict().credits, u64::try_from(count).unwrap());
}
