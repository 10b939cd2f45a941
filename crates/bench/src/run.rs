//! One contender, one backlog: how fast, at what cost, and whether everybody was paid once and told.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde::Serialize;
use testbed::process;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::child::Child;
use crate::contender::Contender;
use crate::queues::Names;
use crate::scenario::Load;
use crate::stage::Stage;

/// How often the broker is asked how many outcomes there are. Asking costs it the same for every contender.
const GLANCE: Duration = Duration::from_millis(5);
/// How often it is asked whether the first job was taken.
const START_GLANCE: Duration = Duration::from_millis(1);
/// How often memory is looked at.
const SAMPLE: Duration = Duration::from_millis(50);
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
    /// From the start of the process to the first job taken, in milliseconds.
    pub(crate) start_ms: f64,
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

/// CPU of who took part.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Cpu {
    /// The contender.
    pub(crate) contender: f64,
    /// RabbitMQ.
    pub(crate) broker: f64,
    /// The simulator.
    pub(crate) provider: f64,
}

/// CPU used so far.
#[derive(Clone, Copy)]
struct Used {
    contender: Duration,
    broker: Duration,
    provider: Duration,
    bench: Duration,
    machine: Duration,
    at: Instant,
}

impl Used {
    fn read(contender: u32, stage: &Stage) -> anyhow::Result<Self> {
        let cpu = |pid| process::cpu(pid).context("a process that is measured is gone");
        Ok(Self {
            contender: cpu(contender)?,
            broker: cpu(stage.broker_pid()?)?,
            provider: cpu(stage.provider.pid())?,
            bench: cpu(std::process::id())?,
            machine: process::cpu_of_machine().context("the kernel does not tell the machine's CPU")?,
            at: Instant::now(),
        })
    }
}

/// Lets `contender` work off the backlog, in a directory made for it.
pub(crate) async fn run(stage: &Stage, contender: &Contender, load: &Load, dir: &Path) -> anyhow::Result<Run> {
    let names = Names::new(&format!("bench-{:012x}", testbed::random() >> 16));
    stage.provider.reset(load.latency)?;
    stage.desk.lay_out(&names, load.queues).await?;
    stage.desk.publish(&names, crate::jobs::jobs(&names.namespace, "finpay", load.jobs)).await?;
    stage.calm().await?;

    let spawned = Instant::now();
    let mut child = contender.start(stage, load, &names, dir)?;
    let mut memory = JoinSet::new();
    memory.spawn(peak_pss(child.pid()));
    let measured = measure(stage, contender, load, &names, &mut child).await;
    let (first, last, ended) =
        measured.with_context(|| format!("{}; its log ends:\n{}", contender.name, child.tail()))?;
    let peak_kib = finish(memory, child, contender).await?;

    let ledger = stage.provider.ledger()?;
    let told = stage.desk.collect(&names).await?;
    stage.desk.clear(&names).await?;
    let jobs = f64::from(load.jobs);
    let unpaid = u64::from(load.jobs).saturating_sub(ledger.credits - ledger.double_credits);
    let untold = if contender.tells() { u64::from(load.jobs) - told.succeeded } else { 0 };
    let per_job = |end: Duration, start: Duration| end.saturating_sub(start).as_secs_f64() * 1000.0 / jobs;
    Ok(Run {
        jobs_per_second: jobs / (ended - first.at).as_secs_f64(),
        start_ms: (first.at - spawned).as_secs_f64() * 1000.0,
        cpu_ms: Cpu {
            contender: per_job(last.contender, first.contender),
            broker: per_job(last.broker, first.broker),
            provider: per_job(last.provider, first.provider),
        },
        peak_pss_mib: f64::from(u32::try_from(peak_kib).unwrap_or(u32::MAX)) / 1024.0,
        others_share: others(&first, &last),
        double_credits: ledger.double_credits,
        lost: unpaid.max(untold) + told.other,
        repeated: told.repeated,
    })
}

/// CPU at the first job and after the last, and when the last outcome was there.
async fn measure(
    stage: &Stage,
    contender: &Contender,
    load: &Load,
    names: &Names,
    child: &mut Child,
) -> anyhow::Result<(Used, Used, Instant)> {
    let all = u64::from(load.jobs);
    let mut moved = Instant::now();
    while stage.desk.ready(&names.jobs).await? == all {
        child.must_run()?;
        ensure!(moved.elapsed() < STUCK, "it takes no job for {STUCK:?}");
        sleep(START_GLANCE).await;
    }
    let first = Used::read(child.pid(), stage)?;
    let mut done = 0;
    let ended = loop {
        let now_done = match contender.tells() {
            true => stage.desk.ready(&names.outcomes).await?,
            false => stage.provider.ledger()?.credits,
        };
        let now = Instant::now();
        if now_done >= all {
            break now;
        }
        if now_done > done {
            (done, moved) = (now_done, now);
        }
        child.must_run()?;
        ensure!(moved.elapsed() < STUCK, "{done} of {all} jobs are done, then nothing for {STUCK:?}");
        sleep(GLANCE).await;
    };
    // What the jobs cost after their outcome is told belongs to them as well.
    let mut last = Used::read(child.pid(), stage)?;
    for _ in 0..50 {
        sleep(Duration::from_millis(40)).await;
        let now = Used::read(child.pid(), stage)?;
        let idle = now.contender.saturating_sub(last.contender) < Duration::from_micros(400);
        last = now;
        if idle {
            break;
        }
    }
    Ok((first, last, ended))
}

/// Share of the machine that was used by nobody who took part.
fn others(first: &Used, last: &Used) -> f64 {
    let ours = |used: &Used| used.contender + used.broker + used.provider + used.bench;
    let foreign = (last.machine - first.machine).saturating_sub(ours(last).saturating_sub(ours(first)));
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    foreign.as_secs_f64() / ((last.at - first.at).as_secs_f64() * f64::from(u32::try_from(cores).unwrap_or(1)))
}

/// Looks at a process's memory until it is gone; the most it had, in KiB.
async fn peak_pss(pid: u32) -> u64 {
    let mut peak = 0;
    while let Some(kib) = process::pss_kib(pid) {
        peak = peak.max(kib);
        sleep(SAMPLE).await;
    }
    peak
}

async fn finish(mut memory: JoinSet<u64>, child: Child, contender: &Contender) -> anyhow::Result<u64> {
    // The bound knows no orderly end.
    if contender.is_worker() {
        child.stop(STOP_LIMIT)?;
    } else {
        drop(child);
    }
    let peak = memory.join_next().await.context("nobody looked at the memory")?;
    peak.context("looking at the memory failed")
}
