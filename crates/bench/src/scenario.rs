//! What is asked of the contenders, by name.

use std::time::Duration;

use serde::Serialize;

use crate::queues::QueueKind;

/// A backlog and how it is to be worked off.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Load {
    /// Jobs that wait before the contender starts.
    pub(crate) jobs: u32,
    /// Jobs in flight at a time.
    pub(crate) in_flight: u32,
    /// Every answer of the provider takes this long.
    #[serde(rename = "latencyMs", serialize_with = "millis")]
    pub(crate) latency: Duration,
    /// The kind of queue.
    pub(crate) queues: QueueKind,
}

impl Load {
    const fn new(jobs: u32, in_flight: u32, latency_ms: u64) -> Self {
        Self { jobs, in_flight, latency: Duration::from_millis(latency_ms), queues: QueueKind::Classic }
    }

    const fn quorum(self) -> Self {
        Self { queues: QueueKind::Quorum, ..self }
    }

    /// Prefetch of the program without durability: eight times what is in flight, twice where that is much already.
    pub(crate) fn bound_prefetch(&self) -> u16 {
        let times = if self.in_flight <= 64 { 8 } else { 2 };
        u16::try_from(self.in_flight * times).unwrap_or(u16::MAX)
    }
}

fn millis<S: serde::Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}

/// Something to measure.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scenario {
    /// What `--scenario` takes.
    pub(crate) name: &'static str,
    /// What it tells.
    pub(crate) about: &'static str,
    /// How it is measured.
    pub(crate) kind: Kind,
    /// Rounds where nothing else is said.
    pub(crate) rounds: usize,
    /// About how long it takes on two cores, in seconds.
    pub(crate) seconds: u32,
    /// Whether a run without `--scenario` has it.
    pub(crate) usual: bool,
}

/// How a scenario is measured.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    /// A backlog, worked off by each of these.
    Backlog(Load, Field),
    /// Starts of the process.
    Start,
    /// Nothing to do.
    Idle,
    /// A start with many unfinished jobs.
    Recovery,
    /// A small store against a large one.
    Stored,
    /// The worker without a broker.
    Embedded,
    /// Where the time of a job goes.
    Stages,
    /// What a job takes, counted.
    Instructions,
}

/// Who competes over a backlog.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Field {
    /// The flow without durability and the worker, each under two names, and the flow without an event.
    Twice,
    /// The flow without durability and the worker.
    Pair,
    /// These two, and the flow without an event.
    Three,
    /// These two, and the worker with 2 ms added to each flush.
    SlowDisk,
    /// The worker with one provider, and beside another one that fails.
    TwoProviders,
}

const AT_ONCE: Load = Load::new(10_000, 64, 0);
const MANY_AT_ONCE: Load = Load::new(10_000, 256, 0);

/// Everything that can be measured, in the order in which it is.
pub(crate) const SCENARIOS: &[Scenario] = &[
    backlog("0ms-64", "throughput and CPU, each program twice", AT_ONCE, Field::Twice, 5, 110),
    backlog("0ms-64-quorum", "the same with quorum queues", AT_ONCE.quorum(), Field::Pair, 5, 45),
    backlog("0ms-256", "256 in flight", MANY_AT_ONCE, Field::Pair, 3, 30),
    backlog("0ms-256-quorum", "256 in flight, quorum queues", MANY_AT_ONCE.quorum(), Field::Pair, 3, 30),
    backlog("50ms-64", "a provider that takes 50 ms", Load::new(3_000, 64, 50), Field::Three, 3, 60),
    backlog("50ms-256", "the same, 256 in flight", Load::new(8_000, 256, 50), Field::Pair, 3, 35),
    backlog("50ms-512", "the same, 512 in flight; memory", Load::new(12_000, 512, 50), Field::Three, 3, 45),
    backlog("flush-64", "2 ms added to each flush of the worker", AT_ONCE, Field::SlowDisk, 3, 50),
    backlog("flush-256", "the same, 256 in flight", MANY_AT_ONCE, Field::SlowDisk, 3, 50),
    backlog("5000", "5,000 in flight, answers after 1 s: memory", Load::new(15_000, 5_000, 1_000), Field::Pair, 1, 40),
    backlog("two-providers", "another provider fails", Load::new(3_000, 64, 50), Field::TwoProviders, 3, 70),
    other("embedded", "the worker without a broker", Kind::Embedded, 5, 15, true),
    other("start", "start of the process to the first job", Kind::Start, 10, 25, true),
    other("recovery", "start with 10,000 unfinished jobs", Kind::Recovery, 5, 25, true),
    other("idle", "CPU with nothing to do, over 30 s", Kind::Idle, 1, 40, true),
    other("stages", "where the CPU of a job goes", Kind::Stages, 1, 25, true),
    other("instructions", "instructions of a job, as valgrind counts them", Kind::Instructions, 1, 45, true),
    other("stored", "1,000,000 stored jobs against 10,000", Kind::Stored, 3, 180, false),
];

const fn backlog(
    name: &'static str,
    about: &'static str,
    load: Load,
    field: Field,
    rounds: usize,
    seconds: u32,
) -> Scenario {
    Scenario { name, about, kind: Kind::Backlog(load, field), rounds, seconds, usual: true }
}

const fn other(
    name: &'static str,
    about: &'static str,
    kind: Kind,
    rounds: usize,
    seconds: u32,
    usual: bool,
) -> Scenario {
    Scenario { name, about, kind, rounds, seconds, usual }
}

/// The scenarios of these names, or the usual ones where none are named.
///
/// # Errors
/// A name that is none.
pub(crate) fn select(names: &[String], quick: bool) -> anyhow::Result<Vec<Scenario>> {
    if names.is_empty() {
        let main = |scenario: &&Scenario| if quick { scenario.name == "0ms-64" } else { scenario.usual };
        return Ok(SCENARIOS.iter().filter(main).copied().collect());
    }
    let find = |name: &String| {
        let found = SCENARIOS.iter().find(|scenario| scenario.name == *name);
        found.copied().ok_or_else(|| anyhow::anyhow!("there is no scenario {name}\nhint: bench --list shows them"))
    };
    names.iter().map(find).collect()
}
