//! One contender, one backlog: how fast, at what cost, and whether everybody was paid once and told.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde::Serialize;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::child::Child;
use crate::contender::{Contender, Trouble};
use crate::jobs::{Job, jobs};
use crate::provider::Ledger;
use crate::queues::{Names, Told};
use crate::scenario::Load;
use crate::stage::Stage;
use crate::used::{Cpu, Used, peak_pss};

/// How often the broker is asked how many outcomes there are. Asking costs it the same for every contender.
const GLANCE: Duration = Duration::from_millis(5);
/// How often it is asked whether the first job was taken.
const START_GLANCE: Duration = Duration::from_millis(1);
/// A contender that gets nothing done for this long is stuck.
const STUCK: Duration = Duration::from_secs(30);
/// A contender may take this long to end.
const STOP_LIMIT: Duration = Duration::from_secs(30);

/// What one run came to.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Run {
    /// From the first job taken to the last outcome in its queue.
    pub(crate) jobs_per_second: f64,
    /// CPU a job, in milliseconds.
    pub(crate) cpu_ms: Cpu,
    /// Largest proportional set size, in MiB.
    pub(crate) peak_pss_mib: f64,
    /// Share of the machine's CPU that went to nobody who took part: how disturbed the run was.
    pub(crate) others_share: f64,
    /// Credits of one reference beyond the first.
    pub(crate) double_credits: u64,
    /// Jobs that were not paid, or of which no outcome was told.
    pub(crate) lost: u64,
    /// Events told again.
    pub(crate) repeated: u64,
}

/// Lets `contender` work off the backlog, in a directory made for it.
pub(crate) async fn run(stage: &Stage, contender: &Contender, load: &Load, dir: &Path) -> anyhow::Result<Run> {
    let (names, waiting) = backlog(stage, contender, load).await?;
    contender.prepare(dir)?;
    stage.calm().await?;
    let mut child = contender.start(stage, load, &names, dir)?;
    let mut memory = JoinSet::new();
    memory.spawn(peak_pss(child.pid()));
    let measured = measure(stage, contender, load, (&names, waiting), &mut child).await;
    let (first, last, ended) = measured.with_context(|| format!("its log ends:\n{}", child.tail()))?;
    end(contender, child)?;
    let peak_kib = memory.join_next().await.context("nobody looked at the memory")??;

    let ledger = stage.provider.ledger()?;
    let told = stage.desk.collect(&names).await?;
    stage.desk.clear(&names).await?;
    Ok(Run {
        jobs_per_second: f64::from(load.jobs) / (ended - first.at).as_secs_f64(),
        cpu_ms: Cpu::a_job(&first, &last, load.jobs),
        peak_pss_mib: f64::from(u32::try_from(peak_kib).unwrap_or(u32::MAX)) / 1024.0,
        others_share: last.others_since(&first),
        double_credits: ledger.double_credits,
        lost: lost(contender, load.jobs, &ledger, &told),
        repeated: told.repeated,
    })
}

/// Jobs that were not paid, or of which no outcome was told, and events that tell anything but a success.
pub(crate) fn lost(contender: &Contender, jobs: u32, ledger: &Ledger, told: &Told) -> u64 {
    let all = u64::from(jobs);
    let unpaid = all.saturating_sub(ledger.credits - ledger.double_credits);
    let untold = if contender.tells() { all.saturating_sub(told.succeeded) } else { 0 };
    unpaid.max(untold) + told.other
}

/// Queues of the run's own, with its jobs in them; their names, and how many messages wait.
pub(crate) async fn backlog(stage: &Stage, contender: &Contender, load: &Load) -> anyhow::Result<(Names, u64)> {
    let names = Names::new(&format!("bench-{:012x}", testbed::random() >> 16));
    stage.provider.reset(load.latency)?;
    stage.provider.trouble(contender.trouble())?;
    stage.desk.lay_out(&names, load.queues).await?;
    let measured = jobs(&names.namespace, "finpay", load.jobs);
    match contender.trouble() {
        Trouble::Alone => stage.desk.publish(&names, measured).await?,
        // Every third message is for the other provider.
        Trouble::Down | Trouble::Silent => {
            let mut others = jobs(&format!("{}-other", names.namespace), "other", load.jobs / 2);
            let mixed = measured.enumerate().flat_map(|(n, job)| -> Vec<Job> {
                let other = if n % 2 == 1 { others.next() } else { None };
                std::iter::once(job).chain(other).collect()
            });
            stage.desk.publish(&names, mixed).await?;
        }
    }
    let waiting = stage.desk.ready(&names.jobs).await?;
    Ok((names, waiting))
}

/// Waits until the first of the waiting jobs has been taken.
pub(crate) async fn first_taken(stage: &Stage, names: &Names, waiting: u64, child: &mut Child) -> anyhow::Result<()> {
    let asked = Instant::now();
    while stage.desk.ready(&names.jobs).await? >= waiting {
        child.must_run()?;
        ensure!(asked.elapsed() < STUCK, "it takes no job for {STUCK:?}");
        sleep(START_GLANCE).await;
    }
    Ok(())
}

/// Waits until so many jobs have ended; when that was.
pub(crate) async fn all_done(
    stage: &Stage,
    contender: &Contender,
    all: u64,
    names: &Names,
    child: &mut Child,
) -> anyhow::Result<Instant> {
    let (mut done, mut moved) = (0, Instant::now());
    loop {
        let seen =
            if contender.tells() { stage.desk.ready(&names.outcomes).await? } else { stage.provider.ledger()?.credits };
        let now = Instant::now();
        if seen >= all {
            return Ok(now);
        }
        if seen > done {
            (done, moved) = (seen, now);
        }
        child.must_run()?;
        ensure!(moved.elapsed() < STUCK, "{done} of {all} jobs are done, then nothing for {STUCK:?}");
        sleep(GLANCE).await;
    }
}

/// Asks it to end and waits, or ends it where asking is of no use.
pub(crate) fn end(contender: &Contender, child: Child) -> anyhow::Result<()> {
    if contender.ends_when_asked() {
        return child.stop(STOP_LIMIT);
    }
    drop(child);
    Ok(())
}

/// CPU at the first job and after the last, and when the last outcome was there.
async fn measure(
    stage: &Stage,
    contender: &Contender,
    load: &Load,
    (names, waiting): (&Names, u64),
    child: &mut Child,
) -> anyhow::Result<(Used, Used, Instant)> {
    first_taken(stage, names, waiting, child).await?;
    let first = Used::read(child.pid(), stage)?;
    let ended = all_done(stage, contender, u64::from(load.jobs), names, child).await?;
    // What the jobs cost after their outcome is told belongs to them as well.
    let last = Used::when_idle(child.pid(), stage).await?;
    Ok((first, last, ended))
}
