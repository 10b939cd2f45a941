//! Carries the plan out, and counts what it did.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use line::Line;
use rustix::process::Signal;
use snap_sim::{Fault, Rule, Running};
use tokio::time::{Instant, sleep, sleep_until};

use super::child::{Commands, Started, Worker};
use super::disk;
use super::judge::{Finding, Kind};
use super::plan::Act;
use crate::ops::simulated::random::Random;
use crate::ops::simulated::stage::PROVIDERS;

/// Every mount of the simulator.
const ALL: &str = "*";
/// Below what any store has: the next longer write fails.
const WRITE_LIMIT_BYTES: u64 = 64 * 1024;
/// With jobs on their way a write comes by then.
const WRITE_COMES: Duration = Duration::from_secs(6);
/// How often a command is tried that finds the store busy.
const TRIES: u32 = 20;
const BETWEEN_TRIES: Duration = Duration::from_millis(250);

/// What was done, and seen while doing it.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    pub(super) kills: u64,
    /// Starts after the first one.
    pub(super) restarts: u64,
    pub(super) longest_recovery: Duration,
    /// By the act's word.
    pub(super) broken: BTreeMap<&'static str, u64>,
    /// Changes by operators that were answered with success.
    pub(super) acts: u64,
    pub(super) findings: Vec<Finding>,
}

/// Breaks things around one worker.
pub(super) struct Breaker<'a> {
    pub(super) sim: &'a Running,
    /// Another account: a simulator of the same kind with a ledger of its own.
    pub(super) other: &'a Running,
    pub(super) proxy: Option<&'a Line>,
    pub(super) commands: &'a Commands,
    pub(super) worker: &'a mut Worker,
    /// Where the store is.
    pub(super) folder: &'a Path,
    pub(super) tally: Tally,
    pub(super) random: Random,
}

impl Breaker<'_> {
    /// Starts the worker for the first time.
    pub(super) async fn begin(&mut self) -> anyhow::Result<()> {
        self.revive().await?;
        (self.tally.restarts, self.tally.longest_recovery) = (0, Duration::ZERO);
        Ok(())
    }

    /// Carries the plan out; what is late follows at once.
    pub(super) async fn carry_out(&mut self, plan: &[(Duration, Act)]) -> anyhow::Result<()> {
        let start = Instant::now();
        for (at, act) in plan {
            sleep_until(start + *at).await;
            self.look_after_the_worker().await?;
            if self.carry_out_one(*act).await? {
                *self.tally.broken.entry(act.name()).or_default() += 1;
            }
        }
        self.look_after_the_worker().await
    }

    /// Whether it was done.
    async fn carry_out_one(&mut self, act: Act) -> anyhow::Result<bool> {
        match act {
            Act::Kill => {
                self.kill().await?;
                self.revive().await?;
            }
            Act::KillTwice(after) => {
                self.kill().await?;
                self.worker.spawn().await?;
                self.tally.restarts += 1;
                sleep(after).await;
                self.kill().await?;
                self.revive().await?;
            }
            Act::Freeze(span) => {
                self.worker.signal(Signal::STOP)?;
                sleep(span).await;
                self.worker.signal(Signal::CONT)?;
            }
            Act::SecondWorker => self.second_worker().await?,
            Act::SwapStore(swap) => return self.swap_store(swap).await,
            Act::RemoveLock => return self.remove_lock().await,
            Act::SecondStore => return self.second_store().await,
            Act::OtherAccount(span) => return self.other_account(span).await,
            Act::OtherClock(seconds, span) => return self.other_clock(seconds, span).await,
            Act::Operator(span) => self.operator(span).await?,
            Act::WriteLimit => return self.limit_writes().await,
            Act::FullDisk(span) => {
                let ballast = disk::fill(self.folder).await?;
                sleep(span).await;
                ballast.remove()?;
            }
            Act::ProviderAway(span) => {
                self.sim.pause_listening().await;
                sleep(span).await;
                self.sim.resume_listening().await?;
            }
            Act::ProviderSilent(span) => {
                let rule = self.sim.add_rule(Rule::new(Fault::Timeout));
                sleep(span).await;
                self.sim.remove_rule(rule);
            }
            Act::ProviderFault(fault, span) => {
                self.sim.configure(|behaviour| behaviour.lane_faults = [(ALL.to_owned(), fault)].into())?;
                sleep(span).await;
                self.sim.configure(|behaviour| behaviour.lane_faults.clear())?;
            }
            Act::BrokerCut | Act::BrokerReset => {
                let Some(proxy) = self.proxy else { return Ok(false) };
                proxy.cut(act == Act::BrokerReset);
            }
            Act::BrokerStall(span) => {
                let Some(proxy) = self.proxy else { return Ok(false) };
                proxy.stall(true);
                sleep(span).await;
                proxy.stall(false);
            }
            Act::BrokerAway(span) => {
                let Some(proxy) = self.proxy else { return Ok(false) };
                proxy.away(true);
                sleep(span).await;
                proxy.away(false);
            }
        }
        Ok(true)
    }

    async fn kill(&mut self) -> anyhow::Result<()> {
        self.look_after_its_end()?;
        self.tally.kills += u64::from(self.worker.kill().await?);
        Ok(())
    }

    /// Starts the worker and waits until it is ready, however often that takes.
    pub(super) async fn revive(&mut self) -> anyhow::Result<()> {
        for _ in 0..3 {
            self.tally.restarts += 1;
            match self.worker.start().await? {
                Started::Ready(after) => {
                    self.tally.longest_recovery = self.tally.longest_recovery.max(after);
                    return Ok(());
                }
                Started::Ended(status) => self.found(format!("the worker ended while it started: {status}")),
                Started::Late => {
                    self.found("the worker did not get ready in time".to_owned());
                    self.worker.kill().await?;
                }
            }
        }
        anyhow::bail!("the worker does not start any more")
    }

    /// A worker that ended by itself is started again, and told of.
    async fn look_after_the_worker(&mut self) -> anyhow::Result<()> {
        if self.look_after_its_end()? {
            self.revive().await?;
        }
        Ok(())
    }

    pub(super) fn look_after_its_end(&mut self) -> anyhow::Result<bool> {
        let ended = self.worker.ended()?;
        if let Some(status) = ended {
            self.found(format!("the worker ended by itself: {status}"));
        }
        Ok(ended.is_some())
    }

    async fn second_worker(&mut self) -> anyhow::Result<()> {
        // Only who holds the store can refuse it.
        if !matches!(self.worker.start().await?, Started::Ready(_)) {
            return Ok(());
        }
        let second = self.commands.ask(&["run"], b"").await?;
        match second.map(|output| output.status) {
            Some(status) if status.code() == Some(2) => {}
            Some(status) => self.found(format!("a second worker on the same store ended with {status}, not with 2")),
            None => self.found("a second worker on the same store was let in".to_owned()),
        }
        Ok(())
    }

    async fn operator(&mut self, span: Duration) -> anyhow::Result<()> {
        let lane = PROVIDERS[usize::try_from(self.random.below(PROVIDERS.len() as u64)).unwrap_or(0)];
        self.act(&["provider", "pause", lane]).await?;
        sleep(span).await;
        self.act(&["provider", "resume", lane]).await
    }

    /// One change by an operator, tried again while the store is busy.
    async fn act(&mut self, args: &[&str]) -> anyhow::Result<()> {
        let all = [args, &["--yes", "--by", "drill", "--reason", "worker drill"]].concat();
        let mut last = None;
        for _ in 0..TRIES {
            match self.commands.ask(&all, b"").await? {
                Some(output) if output.status.success() => {
                    self.tally.acts += 1;
                    return Ok(());
                }
                other => last = other,
            }
            sleep(BETWEEN_TRIES).await;
        }
        let said =
            last.map_or_else(|| "it hangs".to_owned(), |output| String::from_utf8_lossy(&output.stderr).into_owned());
        self.found(format!("worker {} does not work: {}", args.join(" "), said.trim()));
        Ok(())
    }

    /// Every longer write fails until the worker has noticed; it ends then, and starts again without the limit.
    async fn limit_writes(&mut self) -> anyhow::Result<bool> {
        self.worker.limit_files(Some(WRITE_LIMIT_BYTES))?;
        let until = Instant::now() + WRITE_COMES;
        while Instant::now() < until {
            if let Some(status) = self.worker.ended()? {
                if status.success() {
                    self.found("the worker ended as if nothing were wrong when it could not write".to_owned());
                }
                self.revive().await?;
                return Ok(true);
            }
            sleep(Duration::from_millis(20)).await;
        }
        // It had nothing to write.
        self.worker.limit_files(None)?;
        Ok(false)
    }

    pub(super) fn found(&mut self, detail: String) {
        self.tally.findings.push(Finding { kind: Kind::Behaviour, detail });
    }
}
