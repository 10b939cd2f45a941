//! One drill: jobs come in while things are broken, then all comes to rest, then it is judged.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use line::Line;
use serde::Deserialize;
use snap_sim::Running;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep, sleep_until};

use super::breaker::{Breaker, Tally};
use super::child::{Commands, Worker};
use super::evidence::{self, Evidence, Submitted, gather};
use super::judge::{Finding, Kind};
use super::plan::Act;
use crate::config::AmqpSection;
use crate::ops::simulated::jobs;
use crate::ops::simulated::random::Random;

/// A drill where nothing changes for this long, beyond what the settings let doubt last, is judged as it stands.
const STUCK: Duration = Duration::from_secs(60);
/// How often it is looked whether all is at rest: a process each time.
const LOOK_EVERY: Duration = Duration::from_millis(400);
/// How often the bar moves.
const TICK: Duration = Duration::from_millis(200);
/// A producer tries so long to get rid of its jobs.
const SUBMIT_LIMIT: Duration = Duration::from_secs(120);
/// One batch in so many comes once more, after the next one: careful producers publish until they know.
const TWICE: u64 = 4;

/// What a drill is made of.
pub(super) struct Storm<'a> {
    pub(super) seed: u64,
    pub(super) jobs: usize,
    pub(super) span: Duration,
    pub(super) plan: Vec<(Duration, Act)>,
    /// How long a job may be in doubt.
    pub(super) doubt: Duration,
    pub(super) sim: &'a Running,
    /// Another account.
    pub(super) other: &'a Running,
    pub(super) amqp: Option<&'a AmqpSection>,
    pub(super) proxy: Option<&'a Line>,
    pub(super) commands: &'a Commands,
    pub(super) worker: &'a mut Worker,
    /// Where the store is.
    pub(super) folder: &'a Path,
}

/// What came of it.
#[derive(Debug)]
pub(super) struct Weathered {
    pub(super) evidence: Evidence,
    pub(super) tally: Tally,
    /// Requests of the provider's own faults, by their word.
    pub(super) provider_faults: BTreeMap<String, u64>,
    /// Jobs that were submitted twice.
    pub(super) submitted_twice: u64,
}

impl Storm<'_> {
    /// Weathers the storm, telling `progress` how many jobs were paid.
    ///
    /// # Errors
    /// The drill itself cannot go on; what is wrong with the worker is evidence.
    pub(super) async fn weather(self, progress: &dyn Fn(u64)) -> anyhow::Result<Weathered> {
        let Storm { seed, jobs, span, plan, doubt, sim, other, amqp, proxy, commands, worker, folder } = self;
        let random = Random::new(seed ^ 0x6272_6561_6b65_7221);
        let producers = Mutex::new(());
        let mut breaker = Breaker {
            producers: &producers,
            sim,
            other,
            proxy,
            commands,
            worker,
            folder,
            tally: Tally::default(),
            random,
        };
        breaker.begin().await?;
        let feed = Feed { seed, jobs, span, commands, producers: &producers };
        let both = async { tokio::try_join!(feed.submit(), breaker.carry_out(&plan)) };
        let ((submitted, submitted_twice), ()) =
            ticking(both, || progress(sim.verdict().credits + other.verdict().credits)).await?;
        let Breaker { worker, mut tally, .. } = breaker;
        let patience = STUCK + doubt;
        let accounts = [sim, other];
        rest(&submitted, accounts, commands, worker, amqp.is_some(), patience, progress).await?;
        match worker.stop().await? {
            Some(status) if status.success() => {}
            Some(status) => tally.findings.push(behaviour(format!("told to stop, the worker ended with {status}"))),
            None => {
                tally.findings.push(behaviour("told to stop, the worker did not".to_owned()));
            }
        }
        let evidence = gather(submitted, tally.acts, &accounts, commands, amqp).await?;
        Ok(Weathered { evidence, tally, provider_faults: provider_faults(accounts), submitted_twice })
    }
}

fn behaviour(detail: String) -> Finding {
    Finding { kind: Kind::Behaviour, detail }
}

/// Runs `work` to its end, with a look now and then.
async fn ticking<T>(work: impl Future<Output = T>, look: impl Fn()) -> T {
    let mut work = std::pin::pin!(work);
    loop {
        tokio::select! {
            done = &mut work => return done,
            () = sleep(TICK) => look(),
        }
    }
}

/// The producers: the same executable's `submit`, batch by batch.
struct Feed<'a> {
    seed: u64,
    jobs: usize,
    span: Duration,
    commands: &'a Commands,
    /// Held while jobs are submitted.
    producers: &'a Mutex<()>,
}

impl Feed<'_> {
    /// Submits every job until it is confirmed, spread over the span; answers what was submitted, and how much of it twice.
    async fn submit(&self) -> anyhow::Result<(BTreeMap<String, Submitted>, u64)> {
        let mut random = Random::new(self.seed ^ 0x6665_6564_2121_2121);
        // One a second, and the last one before the end, so that something is under way whenever something is broken.
        let batches = usize::try_from(self.span.as_secs()).unwrap_or(usize::MAX).clamp(1, self.jobs);
        let run = format!("DRILL-{:x}", self.seed);
        let mut submitted = BTreeMap::new();
        let (mut twice, mut before) = (0, None::<(usize, Vec<u8>)>);
        let start = Instant::now();
        let all: Vec<usize> = (0..self.jobs).collect();
        for (batch, numbers) in all.chunks(self.jobs.div_ceil(batches)).enumerate() {
            sleep_until(start + Duration::from_secs(batch as u64)).await;
            let mut lines = Vec::new();
            for &number in numbers {
                let message = jobs::job(number, self.seed, &run);
                let (reference, job) = evidence::submitted(&message.body)?;
                submitted.insert(reference, job);
                lines.extend(message.body);
                lines.push(b'\n');
            }
            self.until_taken(&lines).await?;
            // Some of these have ended by now, some have not.
            if let Some((count, lines)) = before.take().filter(|_| random.below(TWICE) == 0) {
                self.until_taken(&lines).await?;
                twice += count as u64;
            }
            before = Some((numbers.len(), lines));
        }
        Ok((submitted, twice))
    }

    async fn until_taken(&self, lines: &[u8]) -> anyhow::Result<()> {
        let until = Instant::now() + SUBMIT_LIMIT;
        loop {
            let output = {
                let _held = self.producers.lock().await;
                self.commands.ask(&["submit", "-"], lines).await?
            };
            if output.as_ref().is_some_and(|output| output.status.success()) {
                return Ok(());
            }
            if Instant::now() > until {
                let said = output.map(|output| String::from_utf8_lossy(&output.stderr).into_owned());
                anyhow::bail!("worker submit does not get rid of its jobs: {}", said.unwrap_or_default());
            }
            sleep(Duration::from_millis(200)).await;
        }
    }
}

#[derive(Deserialize)]
struct Total {
    state: String,
    count: u64,
}

/// Waits until every job has ended or stands in front of a person, every event is out, and nothing is still to come at the
/// provider; or until nothing changes any more, which the judge will find.
async fn rest(
    submitted: &BTreeMap<String, Submitted>,
    accounts: [&Running; 2],
    commands: &Commands,
    worker: &Worker,
    amqp: bool,
    patience: Duration,
    progress: &dyn Fn(u64),
) -> anyhow::Result<()> {
    let (mut last, mut moved) = (None, Instant::now());
    loop {
        let totals: Vec<Total> = commands.lines(&["jobs", "stats"]).await?;
        let is_end = |state: &str| matches!(state, "succeeded" | "rejected" | "dead" | "discarded");
        let ended: u64 = totals.iter().filter(|total| is_end(&total.state)).map(|total| total.count).sum();
        progress(ended);
        let unpublished = if amqp { worker.metric("topup_outbox_pending").await } else { Some(0) };
        let to_come: u64 = accounts.iter().map(|sim| sim.verdict().pending_effects).sum();
        if ended >= submitted.len() as u64 && unpublished == Some(0) && to_come == 0 {
            return Ok(());
        }
        let now = Some((ended, unpublished, to_come));
        if now != last {
            (last, moved) = (now, Instant::now());
        }
        if moved.elapsed() > patience {
            return Ok(());
        }
        sleep(LOOK_EVERY).await;
    }
}

/// How often a request met which fault of the simulators' own.
fn provider_faults(accounts: [&Running; 2]) -> BTreeMap<String, u64> {
    let mut faults = BTreeMap::new();
    for fault in accounts.iter().flat_map(|sim| sim.requests()).filter_map(|request| request.fault) {
        let name = match serde_json::to_value(fault) {
            Ok(serde_json::Value::String(name)) => name,
            Ok(serde_json::Value::Object(one)) => {
                one.into_iter().map(|(name, value)| format!("{name} {}", value.as_str().unwrap_or_default())).collect()
            }
            _ => continue,
        };
        *faults.entry(name).or_default() += 1;
    }
    faults
}

/// The environment that puts `settings` into every provider's section.
pub(super) fn overrides(settings: &[crate::cli::DrillSetting], providers: &[&str]) -> Vec<(String, String)> {
    let variable = |provider: &str, key: &str| {
        format!("WORKER__PROVIDERS__{}__{}", provider.to_uppercase(), key.replace('.', "__").to_uppercase())
    };
    let each = |provider: &&str| {
        let provider = (*provider).to_owned();
        settings.iter().map(move |setting| (variable(&provider, &setting.key), setting.value.clone()))
    };
    providers.iter().flat_map(each).collect()
}

/// A line to the broker that can be broken, and what `worker run` is told to use it; `None` where the URL allows none.
pub(super) async fn line_to(url: &str) -> anyhow::Result<Option<(Line, Vec<(String, String)>)>> {
    let Some((before, upstream, behind)) = super::url::split(url) else { return Ok(None) };
    let proxy = Line::to(upstream).await.context("failed to stand between worker and broker")?;
    let url = format!("{before}{}{behind}", proxy.address());
    Ok(Some((proxy, vec![("WORKER__AMQP__URL".to_owned(), url)])))
}
