//! What the store costs at a given number of stored jobs: throughput with CPU and WAL bytes a job, the commits and the
//! longest gap between two, claims, the outbox, gauges, start and recovery, memory, idling.
//!
//! ```text
//! cargo run --release -p outbox --example scale -- fill DIR JOBS
//! cargo run --release -p outbox --example scale -- measure DIR JOBS [cache=KIB] [in=place] [PART...]
//! ```
//! `fill` makes a template once; `measure` copies it and works on the copy, or with `in=place` takes it, where two would not
//! fit. Parts: see [`PARTS`]; all where none is named.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use outbox::{JobFilter, OpenOptions, RecoverScope, Store, StoreError};
use snap_core::Timestamp;

use crate::{
    load::Relay,
    meter::{Commits, Usage, pss_kib},
};

mod load;
mod meter;
mod rows;

type Error = Box<dyn std::error::Error>;

const PARTS: [&str; 10] =
    ["load64", "load256", "idle", "start", "gauges", "purge", "totals", "claims", "outbox", "shrink"];
/// Jobs of one measured load.
const LOAD: u64 = 40_000;
/// Jobs under way when the process ends, for the recovery.
const UNFINISHED: u64 = 10_000;
/// Refused messages to purge.
const REFUSED: u64 = 40_000;
/// A time after everything that is due.
const LATER: Timestamp = Timestamp::from_millis(4_000_000_000_000);

#[tokio::main]
async fn main() -> Result<(), Error> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (Some(what), Some(dir), Some(jobs)) = (arguments.first(), arguments.get(1), arguments.get(2)) else {
        return Err("fill|measure DIR JOBS [cache=KIB] [PART...]".into());
    };
    let (dir, jobs) = (PathBuf::from(dir), jobs.parse()?);
    let template = dir.join(format!("fill-{jobs}.db"));
    match what.as_str() {
        "fill" => fill(&template, jobs).await,
        "measure" => {
            let run = dir.join(format!("run-{jobs}.db"));
            let rest = arguments.get(3..).unwrap_or_default();
            remove(&run)?;
            if rest.iter().any(|option| option == "in=place") {
                fs::rename(&template, &run)?;
                fs::rename(beside(&template, ".lock"), beside(&run, ".lock"))?;
            } else if jobs > 0 {
                fs::copy(&template, &run)?;
                fs::copy(beside(&template, ".lock"), beside(&run, ".lock"))?;
                fs::File::open(&run)?.sync_all()?;
            }
            let cache_kib = match rest.iter().find_map(|option| option.strip_prefix("cache=")) {
                Some(kib) => kib.parse()?,
                None => OpenOptions::default().cache_kib,
            };
            let parts = rest.iter().filter(|part| !part.contains('=')).cloned().collect();
            let bench = Bench { path: run.clone(), cache_kib, commits: Commits::default(), next: jobs, stored: jobs };
            let done = bench.measure(parts).await;
            remove(&run)?;
            done
        }
        other => Err(format!("{other} is neither fill nor measure").into()),
    }
}

async fn fill(template: &Path, jobs: u64) -> Result<(), Error> {
    remove(template)?;
    let begun = Instant::now();
    let store = open(template, OpenOptions::default().cache_kib, &Commits::default())?;
    load::drive(&store, 0, jobs, 1024, Relay::Marks).await?;
    store.close().await;
    let bytes = fs::metadata(template)?.len();
    say(&format!("{jobs} jobs in {:.1?}, {} bytes a job", begun.elapsed(), bytes / jobs.max(1)));
    Ok(())
}

fn open(path: &Path, cache_kib: u32, commits: &Commits) -> Result<Store, Error> {
    let on_commit = Some(commits.observer());
    let options = OpenOptions { exclusive: true, cache_kib, on_commit, ..OpenOptions::default() };
    Ok(Store::open(path, rows::at(0), &options)?.store)
}

/// One store under measurement.
struct Bench {
    path: PathBuf,
    cache_kib: u32,
    commits: Commits,
    /// The number of the next job.
    next: u64,
    stored: u64,
}

impl Bench {
    async fn measure(mut self, parts: Vec<String>) -> Result<(), Error> {
        for part in PARTS {
            if !parts.is_empty() && !parts.iter().any(|wanted| wanted == part) {
                continue;
            }
            let store = open(&self.path, self.cache_kib, &self.commits)?;
            match part {
                "load64" => self.load(&store, 64).await?,
                "load256" => self.load(&store, 256).await?,
                "idle" => self.idle().await,
                "start" => self.start(store.clone()).await?,
                "gauges" => self.gauges(&store).await?,
                "totals" => self.timed("totals", 1, async || store.totals(JobFilter::default()).await).await?,
                "purge" => self.purge(&store).await?,
                "claims" => self.claims(&store).await?,
                "shrink" => self.shrink(&store).await?,
                _ => self.outbox(&store).await?,
            }
            store.close().await;
        }
        Ok(())
    }

    fn row(&self, part: &str, text: &str) {
        say(&format!("{:>9} stored | {part:<24} | {text}", self.stored));
    }

    fn take(&mut self, jobs: u64) -> u64 {
        self.next += jobs;
        self.next - jobs
    }

    async fn load(&mut self, store: &Store, concurrency: usize) -> Result<(), Error> {
        // The caches fill first.
        load::drive(store, self.take(LOAD / 8), LOAD / 8, concurrency, Relay::Marks).await?;
        self.commits.take();
        let (begun, before) = (Instant::now(), Usage::now());
        load::drive(store, self.take(LOAD), LOAD, concurrency, Relay::Marks).await?;
        let (took, used, pss) = (begun.elapsed(), Usage::now() - before, pss_kib());
        let each = |total: Duration| total.as_nanos() / u128::from(LOAD) / 100;
        let micros = |total: Duration| format!("{}.{}", each(total) / 10, each(total) % 10);
        let spread = self.commits.take();
        self.row(
            &format!("load of {concurrency}"),
            &format!(
                "{:>6} jobs/s | µs CPU a job {} (writer {}, keeper {}) | bytes a job: WAL {}, file {} | {} a commit, \
                 p50 {:.2?} p99 {:.2?} max {:.1?}, gap {:.1?} | {pss} KiB PSS",
                u128::from(LOAD) * 1_000_000 / took.as_micros(),
                micros(used.process),
                micros(used.writer),
                micros(used.keeper),
                used.wal_bytes / LOAD,
                used.file_bytes / LOAD,
                spread.commands / spread.commits.max(1),
                spread.p50,
                spread.p99,
                spread.max,
                spread.gap,
            ),
        );
        Ok(())
    }

    async fn idle(&self) {
        let before = Usage::now();
        tokio::time::sleep(Duration::from_secs(5)).await;
        let used = Usage::now() - before;
        self.row("idle for 5 s", &format!("{:.2?} CPU, {} KiB PSS", used.process, pss_kib()));
    }

    /// The start of a process that finds jobs under way.
    async fn start(&mut self, store: Store) -> Result<(), Error> {
        let first = self.take(UNFINISHED);
        for n in (first..first + UNFINISHED).step_by(512) {
            let jobs = (n..(n + 512).min(first + UNFINISHED)).map(|n| rows::new_job(n, None)).collect();
            store.accept(jobs).await?;
        }
        store.close().await;
        drop(store);
        let begun = Instant::now();
        let store = open(&self.path, self.cache_kib, &self.commits)?;
        let opened = begun.elapsed();
        let report = store.recover(RecoverScope::InFlight, rows::at(0), |_| None).await?;
        let recovered = begun.elapsed() - opened;
        let claimed = store.claim_due("finpay", LATER, 64).await?.len();
        let all = begun.elapsed();
        self.row(
            "start",
            &format!("open {opened:.2?}, recovery of {} {recovered:.2?}, claim of {claimed}: {all:.2?}", report.found),
        );
        // They end, so that the next part finds none.
        while !store.claim_due("finpay", LATER, 512).await?.is_empty() {}
        store.close().await;
        let store = open(&self.path, self.cache_kib, &self.commits)?;
        let begun = Instant::now();
        let report = store.recover(RecoverScope::InFlight, LATER, |_| None).await?;
        self.row("recovery again", &format!("of {}: {:.2?}", report.found, begun.elapsed()));
        store.close().await;
        Ok(())
    }

    async fn gauges(&self, store: &Store) -> Result<(), Error> {
        self.timed("next_due", 100, async || store.next_due("finpay").await).await?;
        self.timed("unpublished(256)", 100, async || store.unpublished(LATER, 256).await).await?;
        self.timed("open_totals", 20, async || store.open_totals().await).await?;
        self.timed("outbox_backlog", 20, async || store.outbox_backlog().await).await?;
        self.timed("dead_letter_counts", 20, async || store.dead_letter_counts().await).await
    }

    async fn claims(&mut self, store: &Store) -> Result<(), Error> {
        for due in [1_000, 99_000] {
            let first = self.take(due);
            for n in (first..first + due).step_by(512) {
                let due_at = |n: u64| Some(rows::at(n * 7919 % 100_003));
                let jobs = (n..(n + 512).min(first + due)).map(|n| rows::new_job(n, due_at(n))).collect();
                store.accept(jobs).await?;
            }
            let name = format!("claim of 64, {due} more due");
            let mut took = Vec::new();
            for _ in 0..10 {
                let begun = (Instant::now(), Usage::now());
                let jobs = store.claim_due("finpay", LATER, 64).await?;
                took.push((begun.0.elapsed(), (Usage::now() - begun.1).writer));
                for job in jobs {
                    store.release(job.id, job.version, rows::at(job.id.0.unsigned_abs() * 7919 % 100_003)).await?;
                }
            }
            took.sort_unstable();
            self.row(&name, &format!("median {:.2?}, writer's CPU {:.2?}", took[5].0, took[5].1));
        }
        self.gauges(store).await
    }

    async fn outbox(&mut self, store: &Store) -> Result<(), Error> {
        let waiting = 100_000;
        load::drive(store, self.take(waiting), waiting, 1024, Relay::Waits).await?;
        self.row("100,000 unpublished", "");
        self.gauges(store).await?;
        let now = rows::at(u64::from(u32::MAX));
        loop {
            let page = store.unpublished(now, 256).await?;
            if page.is_empty() {
                break;
            }
            store.postpone(page.iter().map(|row| (row.id, LATER)).collect()).await?;
        }
        self.row("100,000 postponed", "");
        self.timed("unpublished(256), none", 100, async || store.unpublished(now, 256).await).await
    }

    /// Commits beside a purge of many refused messages.
    async fn purge(&mut self, store: &Store) -> Result<(), Error> {
        for n in (0..REFUSED).step_by(500) {
            store.refuse((n..n + 500).map(rows::refusal).collect()).await?;
        }
        let mut tasks = tokio::task::JoinSet::new();
        for part in 0..100 {
            let store = store.clone();
            tasks.spawn(async move {
                for n in (part..REFUSED).step_by(100) {
                    store.discard_refused(rows::discard(n)).await?;
                }
                Ok::<_, StoreError>(())
            });
        }
        for done in tasks.join_all().await {
            done?;
        }
        self.load(store, 64).await?;
        let begun = Instant::now();
        let purge = async { Ok::<_, Error>((store.purge_dead_letters(LATER, rows::audit()).await?, begun.elapsed())) };
        let (load, purged) = tokio::join!(self.load(store, 64), purge);
        load?;
        let (purged, took) = purged?;
        self.row("purge beside the last", &format!("{purged} in {took:.1?}"));
        Ok(())
    }

    /// Shrinks half of the template's jobs alone, and half beside a load, at the worker's pace.
    async fn shrink(&mut self, store: &Store) -> Result<(), Error> {
        let used = Usage::now();
        let alone = shrink(store.clone(), rows::at(self.stored / 2), Duration::ZERO, 0).await?;
        let writer = (Usage::now() - used).writer.as_nanos() / u128::from(alone.jobs.max(1)) / 100;
        self.row("shrink alone", &format!("{alone}, writer {}.{} µs CPU a job", writer / 10, writer % 10));
        self.load(store, 64).await?;
        let mut shrinking = tokio::task::JoinSet::new();
        shrinking.spawn(shrink(store.clone(), rows::at(self.stored), Duration::from_millis(5), 4));
        let shrunk = loop {
            self.load(store, 64).await?;
            if let Some(ended) = shrinking.try_join_next() {
                break ended??;
            }
        };
        self.row("shrink beside those but one", &shrunk.to_string());
        self.load(store, 64).await
    }

    async fn timed<T, E: Into<Error>>(
        &self,
        name: &str,
        times: usize,
        what: impl AsyncFn() -> Result<T, E>,
    ) -> Result<(), Error> {
        let mut took = Vec::new();
        for _ in 0..times {
            let (begun, before) = (Instant::now(), Usage::now());
            what().await.map_err(Into::into)?;
            took.push((begun.elapsed(), (Usage::now() - before).process));
        }
        took.sort_unstable();
        let (wall, cpu) = took[times / 2];
        self.row(name, &format!("median {wall:.2?}, CPU {cpu:.2?}, {} KiB PSS", pss_kib()));
        Ok(())
    }
}

/// What a way through the store did.
struct Shrunk {
    jobs: u64,
    took: Duration,
    /// Ascending.
    steps: Vec<Duration>,
}

impl fmt::Display for Shrunk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (median, last) = (self.steps[self.steps.len() / 2], self.steps[self.steps.len() - 1]);
        write!(f, "{} in {:.1?}, {} steps of {median:.2?}, max {last:.1?}", self.jobs, self.took, self.steps.len())
    }
}

async fn shrink(store: Store, before: Timestamp, pause: Duration, rest: u32) -> Result<Shrunk, StoreError> {
    let (mut after, mut jobs, mut steps, begun) = (None, 0, Vec::new(), Instant::now());
    loop {
        let step = Instant::now();
        let swept = store.shrink_some(before, LATER, after).await?;
        let took = step.elapsed();
        steps.push(took);
        (jobs, after) = (jobs + swept.done, swept.next);
        if after.is_none() {
            steps.sort_unstable();
            return Ok(Shrunk { jobs, took: begun.elapsed(), steps });
        }
        tokio::time::sleep(pause.max(took * rest)).await;
    }
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Removes a store with everything beside it.
fn remove(path: &Path) -> Result<(), Error> {
    for suffix in ["", "-wal", "-shm", ".lock", ".reserve"] {
        match fs::remove_file(beside(path, suffix)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "it is what this example is for")]
fn say(text: &str) {
    println!("{text}");
}
