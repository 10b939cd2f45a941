//! One run: life after life of the process, until everything rests.

use std::path::Path;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use outbox::{DeadLetterFilter, JobFilter, OpenOptions, PlanState, Store, StoreError};
use snap_client::SnapClient;
use testbed::matrix::{Fault as Column, Point};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use worker::amqp::Link;
use worker::app::{AppError, Parts, run_with};
use worker::clock::Clock;
use worker::config::{Config, Environment};
use worker::custody::{Custody, CustodyError, Process, Terms};
use worker::telemetry::metrics::Metrics;

use crate::broker::Brokerage;
use crate::disk::{self, Disk, File};
use crate::judge::{Seen, judge};
use crate::mistake::Mistake;
use crate::operator;
use crate::plan::{Fault, Plan};
use crate::provider::REMEMBERS_FOR;
use crate::scenario::Outage;
use crate::source::Played;
use crate::wire::{Line, QUIET_PERIOD, REQUEST_TIMEOUT};
use crate::world::World;

/// The providers.
const PROVIDERS: [&str; 2] = ["finpay", "midtrans"];
/// A process that died begins again after this.
const RESTART: Duration = Duration::from_millis(500);
/// How often somebody looks whether everything rests.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// A process that does not come to rest within this has hung: doubt is given up after five minutes.
const PATIENCE: Duration = Duration::from_secs(7200);
/// A wrong clock is noticed by people after this.
const SLOW: Duration = Duration::from_secs(240);
/// What died is replayed so often at most.
const REPLAYS: u32 = 3;
/// No plan has so many faults that end a process.
const LIVES: u32 = 40;

/// How a run went.
#[derive(Clone, Debug)]
pub struct Run {
    /// What is wrong with it, a sentence each; empty: nothing.
    pub findings: Vec<String>,
    /// Calls of ports, over all lives.
    pub calls: u64,
    /// Processes.
    pub lives: u32,
    /// From the first start to rest, in the run's own time.
    pub took: Duration,
    /// The faults that took place.
    pub struck: Vec<Fault>,
    /// The points of a job's way that were hit, where it was the only one.
    pub hits: Vec<(Point, Column)>,
    /// Tells one run from another.
    pub trace: u64,
    /// Every call, where they were asked for.
    pub lines: Vec<String>,
}

/// How a life ended.
enum Ended {
    Crashed,
    Stopped,
    /// It could not go on, and said so.
    Fatal(AppError),
    AtRest(Box<Seen>),
    Hung(String),
}

/// Plays a plan.
#[must_use]
pub fn play(plan: &Plan) -> Run {
    play_with(plan, Mistake::None, false)
}

/// Plays a plan with something broken; `told`: every call is kept as text.
///
/// # Panics
/// Where the machine fails: no directory, no store.
#[must_use]
pub fn play_with(plan: &Plan, mistake: Mistake, told: bool) -> Run {
    let directory = directory().expect("a directory is made");
    let mut path = directory.path().join("worker.db");
    let world = World::new(plan, mistake, told);
    Played::world(&world);
    let began = world.state().now();
    let mut lives = 0;
    let mut findings = Vec::new();
    while lives < LIVES {
        lives += 1;
        let account = if mistake == Mistake::OneAccount { 0 } else { world.state().account };
        let mut config = CONFIGS[account].clone();
        config.store.path.clone_from(&path);
        world.state().policies = PROVIDERS.map(|name| (name.to_owned(), config.providers[name].policy())).into();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        let runtime = runtime.expect("a runtime is built");
        let ended = runtime.block_on(async {
            let ended = live(&world, &config).await;
            world.died(RESTART);
            ended
        });
        drop(runtime);
        if world.state().file.take_if(|file| *file == File::IsGone).is_some() {
            disk::bring_back(&path);
        }
        match ended {
            Ended::Crashed if mistake == Mistake::SyncIsALie => disk::forget_last_commit(&path),
            Ended::Crashed if std::mem::take(&mut world.state().restore_wanted) => {
                if disk::restore(&path) {
                    world.state().was_restored();
                }
            }
            Ended::Crashed
            | Ended::Stopped
            | Ended::Fatal(AppError::Fatal | AppError::Store(_) | AppError::Lost { .. }) => {}
            Ended::Fatal(AppError::Custody(CustodyError::Foreign { .. })) if world.state().namespace.is_lost() => {
                path = directory.path().join("another.db");
                world.state().was_given();
                operator::adopt(&path, &world);
            }
            Ended::Fatal(error) => {
                findings.push(format!("the process does not start: {error}"));
                break;
            }
            Ended::Hung(why) => {
                findings.push(why);
                break;
            }
            Ended::AtRest(seen) => {
                findings.extend(judge(plan, &world.state(), &seen));
                break;
            }
        }
    }
    if lives == LIVES {
        findings.push(format!("no rest in {LIVES} lives"));
    }
    let state = world.state();
    let took = Duration::from_millis(u64::try_from(state.now() - began).unwrap_or(0));
    let (trace, lines) = (state.trace.hash(), state.trace.lines().to_vec());
    Run {
        findings,
        calls: state.calls,
        lives,
        took,
        struck: state.struck.clone(),
        hits: state.hits.clone(),
        trace,
        lines,
    }
}

/// In memory where that can be had: what a disk does is the plan's to say.
fn directory() -> std::io::Result<tempfile::TempDir> {
    tempfile::tempdir_in("/dev/shm").or_else(|_no_such_place| tempfile::tempdir())
}

/// One life of the process.
async fn live(world: &World, config: &Config) -> Ended {
    let stop = CancellationToken::new();
    world.born(stop.clone());
    let parts = parts(world, config);
    let store = parts.opened.store.clone();
    world.state().store = Some(store.clone());
    tokio::select! {
        biased;
        () = world.crash() => Ended::Crashed,
        ended = run_with(config, parts, stop) => match ended {
            Ok(()) if !world.state().is_stopping() => {
                Ended::Hung("the process ended, and nobody had told it to".to_owned())
            }
            Ok(()) => Ended::Stopped,
            Err(error @ AppError::Custody(_)) => Ended::Fatal(error),
            Err(_) if world.state().failures == 0 => {
                Ended::Hung("the process gave up, and nothing had failed".to_owned())
            }
            Err(error) => Ended::Fatal(error),
        },
        ended = rest(world, config, &store) => ended,
        () = keep_house(world, &store) => Ended::Crashed,
    }
}

/// What a store's own thread does: now and then it looks for room. Goes on for ever.
async fn keep_house(world: &World, store: &Store) {
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let is_over = {
            let mut state = world.state();
            let is_over = state.full_until.is_some() && !state.disk_is_full();
            if is_over {
                state.full_until = None;
            }
            is_over
        };
        if is_over {
            store.look_for_room().await;
        }
    }
}

/// Waits for rest, and looks around then.
async fn rest(world: &World, config: &Config, store: &Store) -> Ended {
    let began = tokio::time::Instant::now();
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let quiet = {
            let mut state = world.state();
            let now = state.now();
            state.ledger.settle(now);
            // A store that was robbed of its namespace finds out, and ends.
            let is_lost = state.namespace.is_lost() && state.mistake != Mistake::NoMark;
            state.queues.is_empty() && state.ledger.is_quiet() && !is_lost
        };
        let open = open(store).await;
        if began.elapsed() > PATIENCE {
            return Ended::Hung(format!(
                "no rest in {PATIENCE:?}; open: {open:?}, the broker's queue is empty: {quiet}"
            ));
        }
        if began.elapsed() > SLOW && world.state().off != 0 && !open.as_ref().is_ok_and(Vec::is_empty) {
            // Jobs may wait for it: somebody puts the clock right, and starts the worker anew.
            world.put_clock_right();
        }
        // A store that fails by plan, and a stop, end the process by themselves.
        let Ok(open) = open else { continue };
        if quiet && open.is_empty() && !world.state().is_stopping() {
            if world.state().file == Some(File::IsGone) {
                // It had nothing more to do, and did not look.
                return Ended::Crashed;
            }
            match act(world, config, store).await {
                Ok(false) => {}
                // What is done now has to come to rest as well; what failed is tried again.
                Ok(true) | Err(_) => continue,
            }
            return match Seen::of(store).await {
                Ok(seen) => Ended::AtRest(Box::new(seen)),
                Err(error) => Ended::Hung(format!("what is stored cannot be read: {error}")),
            };
        }
    }
}

/// What an operator does where everything rests; whether there was something to do.
async fn act(world: &World, config: &Config, store: &Store) -> Result<bool, StoreError> {
    let clock = Clock::of(&Played);
    if store.reconcile().await?.is_some() {
        operator::end_the_asking(store, clock.now()).await?;
        world.state().is_asking = false;
        return Ok(true);
    }
    if world.state().replays == REPLAYS {
        return Ok(false);
    }
    if world.state().outage() != Outage::None {
        // Nobody replays before the provider is back.
        return Ok(!store.dead_letters(DeadLetterFilter::default(), None, 1).await?.items.is_empty());
    }
    let plan = operator::replay(store, config, clock.now()).await?;
    let mut state = world.state();
    state.replays += u32::from(plan.is_some());
    state.replaying = plan.is_some();
    Ok(plan.is_some())
}

/// What has not come to rest in the store, in words.
async fn open(store: &Store) -> Result<Vec<String>, StoreError> {
    let is_end = |state: &str| matches!(state, "succeeded" | "rejected" | "dead" | "discarded");
    let totals = store.totals(JobFilter::default()).await?;
    let mut open: Vec<_> =
        totals.iter().filter(|total| !is_end(&total.state)).map(|total| total.state.clone()).collect();
    let pending = store.outbox_backlog().await?.pending;
    if pending > 0 {
        open.push(format!("{pending} events"));
    }
    let plans = store.open_plans().await?.into_iter().filter(|plan| plan.state == PlanState::Running).count();
    if plans > 0 {
        open.push(format!("{plans} plans"));
    }
    Ok(open)
}

fn parts(world: &World, config: &Config) -> Parts<Brokerage> {
    let clock = Clock::of(&Played);
    let disk = Disk { world: world.clone(), store: config.store.path.clone() };
    let options = OpenOptions { exclusive: true, reserve_bytes: 0, min_free_bytes: 0, ..OpenOptions::default() };
    let opened = Store::open_here(&config.store.path, clock.now(), &options, Arc::new(disk));
    let clients = PROVIDERS.map(|provider| {
        let wire = Line { world: world.clone(), provider, account: world.state().account };
        let client_config = config.providers[provider].client_config().expect("the run's own secrets are there");
        let client = SnapClient::over(client_config, Arc::new(wire)).expect("the run's own settings are right");
        (provider.to_owned(), client)
    });
    Parts {
        clock,
        opened: opened.expect("the run's own store opens"),
        metrics: Arc::new(Metrics::new(PROVIDERS, true)),
        clients: clients.into(),
        broker: Some(Brokerage { world: world.clone() }),
        custody: Arc::new(Custody::new(terms(world.state().mistake))),
        process: Process::here(&config.store.path, "simulation"),
        link: Arc::new(Link::default()),
        edge: TaskTracker::new(),
    }
}

/// Of each account.
static CONFIGS: LazyLock<[Config; 2]> = LazyLock::new(|| ["p", "q"].map(config));

/// As a person would write it, with pauses that leave a run minutes long.
fn config(partner_id: &str) -> Config {
    let key = snap_sim::Credentials::throwaway().private_key_pem.expect("the test key is there");
    let key = serde_json::Value::from(key);
    let mut text =
        "default_provider = \"finpay\"\n[store]\nkeep_details = \"forever\"\n[http]\nlisten = \"off\"\n".to_owned();
    for name in PROVIDERS {
        text.push_str(&format!(
            r#"
[providers.{name}]
profile = "{name}"
base_url = "http://127.0.0.1:9"
client_key = "k"
client_secret = "s"
private_key = {key}
partner_id = "{partner_id}"
channel_id = "95221"
origin = "www.example.co.id"
connect_timeout = "1s"
request_timeout = "{request}s"
probe_initial = "2s"
probe_max = "20s"
[providers.{name}.retry]
initial = "500ms"
max = "10s"
attempts = 8
[providers.{name}.status]
first_after = "2s"
interval_max = "15s"
quiet_period = "{quiet}s"
give_up_after = "5m"
uniqueness_window = "{remembered}s"
"#,
            request = REQUEST_TIMEOUT.as_secs(),
            quiet = QUIET_PERIOD.as_secs(),
            remembered = REMEMBERS_FOR.as_secs(),
        ));
    }
    Config::parse(&text, Path::new("worker.toml"), &Environment::default())
        .expect("the run's own configuration is right")
}

/// As the worker's own, but that the witness is told no more often than the mark is looked at: a run has hours.
fn terms(mistake: Mistake) -> Terms {
    let terms = Terms::default();
    let for_ever = Duration::from_secs(100 * 24 * 3600);
    let fresh_for = if mistake == Mistake::NoFreshness { for_ever } else { terms.fresh_for };
    Terms { fresh_for, tell_every: terms.look_every, ..terms }
}
