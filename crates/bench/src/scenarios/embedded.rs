//! The worker without a broker, as `worker demo` runs it: store, simulator and worker in one process.

use std::process::Command;

use anyhow::{Context as _, ensure};
use serde::{Deserialize, Serialize};

use super::Bench;
use crate::report::Section;
use crate::scenario::Scenario;
use crate::stats::Spread;

const JOBS: u32 = 10_000;

/// What the demo says of itself.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Demo {
    elapsed_ms: u64,
    jobs_per_second: u64,
    double_credits: u64,
    lost: u64,
}

/// Runs it so often.
pub(super) async fn measure(bench: &Bench, scenario: &Scenario, rounds: usize) -> anyhow::Result<Section> {
    let jobs = bench.jobs.unwrap_or(JOBS);
    let mut demos = Vec::new();
    // One more than counted: the first is the warm-up.
    for round in 0..=rounds {
        bench.progress.says(&format!("embedded: round {round} of {rounds}"));
        bench.stage.calm().await?;
        let demo = demo(bench, jobs)?;
        if round > 0 {
            bench.progress.line(&format!("  embedded          {:>8} jobs/s", demo.jobs_per_second));
            demos.push(demo);
        }
    }
    #[expect(clippy::cast_precision_loss, reason = "thousands of jobs a second")]
    let speed = Spread::of(demos.iter().map(|demo| demo.jobs_per_second as f64));
    let speed = speed.map_or_else(String::new, |speed| speed.show(0));
    let text = format!("{speed} jobs/s, simulator included, two providers with 64 in flight each\n");
    let wrong = demos.iter().map(|demo| demo.double_credits + demo.lost).sum();
    Ok(Section::new(scenario, demos, text).with_wrong(wrong))
}

fn demo(bench: &Bench, jobs: u32) -> anyhow::Result<Demo> {
    let dir = bench.stage.directory(&format!("demo-{:012x}", testbed::random() >> 16))?;
    let output = Command::new(&bench.worker)
        .args(["demo", "--jobs", &jobs.to_string(), "-o", "json", "--keep"])
        .arg(&dir)
        .output()
        .context("failed to run worker demo")?;
    ensure!(output.status.success(), "worker demo failed:\n{}", String::from_utf8_lossy(&output.stderr));
    std::fs::remove_dir_all(&dir).context("failed to remove the demo's store")?;
    serde_json::from_slice(&output.stdout).context("what worker demo says cannot be read")
}
