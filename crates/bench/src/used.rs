//! CPU and memory of who takes part.

use std::time::Duration;

use anyhow::Context as _;
use serde::Serialize;
use testbed::process;
use tokio::time::{Instant, sleep};

use crate::stage::Stage;

/// How often memory is looked at.
const SAMPLE: Duration = Duration::from_millis(50);
/// How often CPU is looked at while a contender comes to rest …
const REST_GLANCE: Duration = Duration::from_millis(40);
/// … which it has when it used less than this in between …
const REST: Duration = Duration::from_micros(400);
/// … or has been looked at so often.
const REST_LOOKS: u32 = 50;

/// CPU a job, in milliseconds.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Cpu {
    /// The contender.
    pub(crate) contender: f64,
    /// RabbitMQ.
    pub(crate) broker: f64,
    /// The simulator.
    pub(crate) provider: f64,
}

/// CPU used up to a moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Used {
    /// When.
    pub(crate) at: Instant,
    contender: Duration,
    broker: Duration,
    provider: Duration,
    bench: Duration,
    machine: Duration,
}

impl Used {
    /// Up to now.
    pub(crate) fn read(contender: u32, stage: &Stage) -> anyhow::Result<Self> {
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

    /// Up to when the contender has nothing more to do.
    pub(crate) async fn when_idle(contender: u32, stage: &Stage) -> anyhow::Result<Self> {
        let mut last = Self::read(contender, stage)?;
        for _ in 0..REST_LOOKS {
            sleep(REST_GLANCE).await;
            let now = Self::read(contender, stage)?;
            let rests = now.contender.saturating_sub(last.contender) < REST;
            last = now;
            if rests {
                break;
            }
        }
        Ok(last)
    }

    /// Of the contender since then.
    pub(crate) fn contender_since(&self, then: &Self) -> Duration {
        self.contender.saturating_sub(then.contender)
    }

    /// Of the broker since then.
    pub(crate) fn broker_since(&self, then: &Self) -> Duration {
        self.broker.saturating_sub(then.broker)
    }

    /// Share of the machine that was used since then by nobody who takes part.
    pub(crate) fn others_since(&self, then: &Self) -> f64 {
        let ours = |used: &Self| used.contender + used.broker + used.provider + used.bench;
        let machine = self.machine.saturating_sub(then.machine);
        let others = machine.saturating_sub(ours(self).saturating_sub(ours(then)));
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let there_was = (self.at - then.at).as_secs_f64() * f64::from(u32::try_from(cores).unwrap_or(1));
        others.as_secs_f64() / there_was
    }
}

impl Cpu {
    /// Between two moments, for so many jobs.
    pub(crate) fn a_job(first: &Used, last: &Used, jobs: u32) -> Self {
        let ms = |end: Duration, start: Duration| end.saturating_sub(start).as_secs_f64() * 1000.0 / f64::from(jobs);
        Self {
            contender: ms(last.contender, first.contender),
            broker: ms(last.broker, first.broker),
            provider: ms(last.provider, first.provider),
        }
    }
}

/// Looks at a process's memory until it is gone; the most it had, in KiB.
pub(crate) async fn peak_pss(pid: u32) -> u64 {
    let mut peak = 0;
    while let Some(kib) = process::pss_kib(pid) {
        peak = peak.max(kib);
        sleep(SAMPLE).await;
    }
    peak
}
