//! Where the CPU of a job goes: by thread, as the kernel counts it, and by library, as `perf` samples it.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::Context as _;
use serde::Serialize;
use testbed::process::{self, Thread};

use super::Bench;
use crate::child::Child;
use crate::contender::Contender;
use crate::profile;
use crate::queues::QueueKind;
use crate::report::Section;
use crate::run::{all_done, backlog, end, first_taken};
use crate::scenario::{Load, Scenario};
use crate::table::Table;
use crate::used::{Cpu, Used};

const LOAD: Load = Load { jobs: 20_000, in_flight: 64, latency: Duration::ZERO, queues: QueueKind::Classic };
/// Samples a second; not a divisor of anything periodic.
const FREQUENCY: &str = "1999";
/// `perf` writes what it has within this time.
const WRITE_LIMIT: Duration = Duration::from_secs(30);
/// Parts smaller than this are told together, in microseconds a job.
const SMALL: f64 = 0.5;

/// CPU a job of one contender, in microseconds, by part.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Parts {
    name: String,
    threads: BTreeMap<String, f64>,
    libraries: Option<BTreeMap<String, f64>>,
}

/// Measures the worker and the flow without durability.
pub(super) async fn measure(bench: &Bench, scenario: &Scenario) -> anyhow::Result<Section> {
    let load = Load { jobs: bench.jobs.unwrap_or(LOAD.jobs), ..LOAD };
    let mut all = Vec::new();
    for contender in [Contender::worker("worker", &bench.worker), Contender::bound_ev("bound-ev")] {
        bench.progress.says(&format!("stages: {} by thread", contender.name));
        let (cpu, threads) = once(bench, &contender, &load, None).await?;
        bench.progress.says(&format!("stages: {} by library", contender.name));
        let libraries = by_library(bench, &contender, &load).await?;
        let libraries = libraries
            .map(|shares| shares.into_iter().map(|(label, share)| (label, share * cpu.contender * 1000.0)).collect());
        all.push(Parts { name: contender.name, threads, libraries });
    }
    let mut text = table(&all, "thread", |parts| Some(&parts.threads));
    text.push('\n');
    if all.iter().all(|parts| parts.libraries.is_some()) {
        text.push_str(&table(&all, "library", |parts| parts.libraries.as_ref()));
    } else {
        text.push_str("by library: SKIPPED, perf is not installed or not allowed (kernel.perf_event_paranoid)\n");
    }
    Ok(Section::new(scenario, all, text))
}

/// CPU a job, and the same by thread in microseconds; watched by `perf` where it is to write a file.
async fn once(
    bench: &Bench,
    contender: &Contender,
    load: &Load,
    samples: Option<&Path>,
) -> anyhow::Result<(Cpu, BTreeMap<String, f64>)> {
    let stage = &bench.stage;
    let dir = stage.directory(&format!("stages-{:012x}", testbed::random() >> 16))?;
    let (names, waiting) = backlog(stage, contender, load).await?;
    stage.calm().await?;
    let mut child = contender.start(stage, load, &names, &dir)?;
    first_taken(stage, &names, waiting, &mut child).await?;
    // Now that it has all its threads: one that begins while `perf` looks for them would be missed.
    let watcher = samples.map(|file| watch(child.pid(), file, &dir)).transpose()?;
    let (first, begun) = (Used::read(child.pid(), stage)?, process::threads(child.pid()).unwrap_or_default());
    all_done(stage, contender, u64::from(load.jobs), &names, &mut child).await?;
    let (last, ended) = (Used::when_idle(child.pid(), stage).await?, process::threads(child.pid()).unwrap_or_default());
    end(contender, child)?;
    // It ends with the process that it watches.
    if let Some(watcher) = watcher {
        watcher.wait(WRITE_LIMIT)?;
    }
    stage.desk.clear(&names).await?;
    std::fs::remove_dir_all(&dir)?;
    Ok((Cpu::a_job(&first, &last, load.jobs), by_thread(&begun, &ended, load.jobs)))
}

fn watch(pid: u32, file: &Path, dir: &Path) -> anyhow::Result<Child> {
    let mut perf = Command::new("perf");
    perf.args(["record", "-q", "-g", "-F", FREQUENCY, "-p", &pid.to_string(), "-o"]).arg(file);
    Child::start("perf", &mut perf, &dir.join("perf.log"))
}

/// Shares of the samples by library; nothing where there is no `perf` that may watch.
async fn by_library(
    bench: &Bench,
    contender: &Contender,
    load: &Load,
) -> anyhow::Result<Option<BTreeMap<String, f64>>> {
    let allowed = Command::new("perf")
        .args(["record", "-q", "-g", "-o", "/dev/null", "true"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    if !allowed.is_ok_and(|status| status.success()) {
        return Ok(None);
    }
    let file = bench.stage.path().join("perf.data");
    once(bench, contender, load, Some(&file)).await?;
    let script = Command::new("perf").args(["script", "-F", "ip,sym,dso", "-i"]).arg(&file).output();
    let script = script.context("failed to run perf script")?;
    std::fs::remove_file(&file)?;
    let shares = profile::shares(&String::from_utf8_lossy(&script.stdout));
    shares.context("perf saw next to nothing; give it more --jobs").map(Some)
}

/// Microseconds a job of each thread, by its name.
fn by_thread(begun: &[Thread], ended: &[Thread], jobs: u32) -> BTreeMap<String, f64> {
    let mut threads = BTreeMap::new();
    for thread in ended {
        let before = begun.iter().find(|begun| begun.id == thread.id).map_or(Duration::ZERO, |begun| begun.cpu);
        let used = thread.cpu.saturating_sub(before).as_secs_f64() * 1e6 / f64::from(jobs);
        *threads.entry(thread.name.clone()).or_default() += used;
    }
    threads
}

/// A row a part, the largest of the first contender first.
fn table<'a>(
    all: &'a [Parts],
    part: &str,
    parts_of: impl Fn(&'a Parts) -> Option<&'a BTreeMap<String, f64>>,
) -> String {
    let columns: Vec<&BTreeMap<String, f64>> = all.iter().filter_map(parts_of).collect();
    let mut rows: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for (place, column) in columns.iter().enumerate() {
        for (name, used) in *column {
            rows.entry(name).or_insert_with(|| vec![0.0; columns.len()])[place] = *used;
        }
    }
    let (small, mut large): (Vec<_>, Vec<_>) =
        rows.into_iter().partition(|(_, used)| used.iter().all(|used| *used < SMALL));
    large.sort_by(|(_, one), (_, other)| other[0].total_cmp(&one[0]));
    let sum = |rows: &[(&str, Vec<f64>)], place: usize| rows.iter().map(|(_, used)| used[place]).sum::<f64>();
    let places = 0..columns.len();
    let rest: Vec<f64> = places.clone().map(|place| sum(&small, place)).collect();
    let total: Vec<f64> = places.map(|place| sum(&large, place) + rest[place]).collect();
    large.extend([("the rest", rest), ("together", total)]);

    let mut headings = vec![part];
    let names: Vec<String> = all.iter().map(|parts| format!("{}, µs CPU a job", parts.name)).collect();
    headings.extend(names.iter().map(String::as_str));
    let mut table = Table::new(&headings);
    for (name, used) in large {
        table.row(std::iter::once(name.to_owned()).chain(used.iter().map(|used| format!("{used:.1}"))));
    }
    table.render()
}
