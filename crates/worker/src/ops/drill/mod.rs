//! `worker drill`: evidence for users. A real `worker run` is killed, frozen and cut off while it works, at a provider that
//! misbehaves and would pay twice; then a judge that shares no code with it looks at the ledger, the lists, the events and
//! the audit trail. With `--against`, a provider's own sandbox is asked whether its profile holds.

mod against;
mod breaker;
mod certificate;
mod child;
mod disk;
mod edges;
mod evidence;
mod judge;
mod plan;
mod storm;
mod url;

use std::time::Duration;

use snap_sim::Behaviour;
use tokio::time::Instant;

use self::certificate::{Certificate, Heading, Outcome};
use self::child::{Commands, Worker, can_limit_writes};
use self::judge::judge;
use self::plan::{Frame, plan};
use self::storm::{Storm, Weathered, line_to, overrides};
use super::World;
use super::simulated::folder::Folder;
use super::simulated::queues;
use super::simulated::stage::{PROVIDERS, Setting, Stage};
use super::stdout;
use crate::cli::{DrillArgs, Faults};
use crate::clock::Clock;
use crate::config::Environment;
use crate::exit::{CommandError, Exit};
use crate::signals;

/// Requests the simulator remembers one by one, to count faults and numbers that were used again.
const REQUEST_LOG: usize = 1_000_000;
/// So small that much is left at the broker when the worker is killed.
const PREFETCH: u16 = 32;
/// Every answer of the provider takes this long, so that something is always under way.
const LATENCY: Duration = Duration::from_millis(25);
/// How long a 202 stays pending.
const SETTLE: Duration = Duration::from_millis(150);
/// A lost request takes effect this late: a third of the drilled worker's quiet period.
const LATE_COMMIT: Duration = Duration::from_millis(500);
/// A silent connection is kept so long.
const HANG: Duration = Duration::from_secs(20);

/// Runs a drill and prints its certificate.
///
/// # Errors
/// [`CommandError`]: the folder, a setting or the broker cannot be used, or the drill cannot go on.
pub async fn run(args: &DrillArgs, world: &World, clock: &Clock) -> Result<Exit, CommandError> {
    if let Some(url) = &args.against.against {
        return against::run(url, &args.against, world, clock).await;
    }
    let output = &world.output;
    let seed = args.seed.unwrap_or_else(|| clock.random() >> 32);
    let folder = Folder::open(args.keep.as_deref(), "drill")?;
    if args.fill {
        disk::may_be_filled(&folder.path).inspect_err(|_| folder.close())?;
    }
    output.say(&format!(
        "{} top-ups through {}, provider faults: {}, {} kills within {} s, seed {seed}",
        args.jobs,
        if args.amqp.is_some() { "RabbitMQ" } else { "the store alone" },
        args.faults.name(),
        args.kills,
        args.seconds,
    ));
    let bar = output.progress(u64::from(args.jobs), "top-ups");
    let progress = |done: u64| bar.set_position(done);
    let drilled = signals::until_told(|stopped| drill(args, seed, &folder, world, clock, stopped, &progress));
    let drilled = Box::pin(drilled).await.map_err(|source| CommandError::io("listen to signals", source)).flatten();
    bar.finish_and_clear();
    let written = drilled.and_then(|certificate| {
        output.object(&certificate, || certificate.text(output.color())).map_err(stdout)?;
        Ok(certificate.result)
    });
    folder.close();
    match written? {
        Outcome::Pass => Ok(Exit::Done),
        Outcome::Fail => {
            let again = format!("worker drill --seed {seed} --keep DIR");
            output.say(&format!("hint: `{again}` breaks the same again and leaves store and log behind to look into"));
            Ok(Exit::SomeFailed)
        }
    }
}

/// One drill, from an empty folder to the certificate; whatever comes, nothing of it stays running.
async fn drill(
    args: &DrillArgs,
    seed: u64,
    folder: &Folder,
    world: &World,
    clock: &Clock,
    stopped: tokio_util::sync::CancellationToken,
    progress: &dyn Fn(u64),
) -> Result<Certificate, CommandError> {
    let started = Instant::now();
    let overrides = overrides(&args.set, &PROVIDERS);
    let namespace = format!("topup-drill-{}", clock.ulid().get(18..).unwrap_or_default().to_lowercase());
    let behaviour = Behaviour {
        faults: args.faults.into(),
        seed,
        latency: LATENCY,
        settle: SETTLE,
        late_commit: LATE_COMMIT,
        hang: HANG,
        ..Behaviour::default()
    };
    let setting = Setting {
        directory: &folder.path,
        behaviour,
        request_log: REQUEST_LOG,
        amqp: args.amqp.as_deref().map(|url| (url, namespace.as_str())),
        prefetch: PREFETCH,
        give_up_after: "2m",
        command: "drill",
        overrides: Environment::from_iter(overrides.clone()),
    };
    let other = Stage::provider(&setting).await?;
    let Stage { sim, config } = Stage::set(setting).await?;
    let line = match &args.amqp {
        Some(url) => line_to(url).await?,
        None => None,
    };
    let (proxy, own) = line.unzip();
    let frame = Frame {
        seed,
        span: Duration::from_secs(args.seconds.into()),
        kills: args.kills,
        amqp: args.amqp.is_some(),
        broker: proxy.is_some(),
        provider: args.faults != Faults::None,
        writes: can_limit_writes(),
        disk: args.fill,
        clock: edges::clock_library().is_some(),
    };
    let commands = Commands::new(&config.file, &world.environment, &overrides)?;
    let log = folder.path.join("worker.log");
    let mut worker = Worker::new(commands.clone(), own.unwrap_or_default(), log, clock.random());
    let storm = Storm {
        seed,
        jobs: args.jobs as usize,
        span: frame.span,
        plan: plan(&frame),
        doubt: config.providers.values().map(|one| one.policy().give_up_after).max().unwrap_or_default(),
        sim: &sim,
        other: &other,
        amqp: config.amqp.as_ref(),
        proxy: proxy.as_ref(),
        commands: &commands,
        worker: &mut worker,
        folder: &folder.path,
    };
    if args.amqp.is_some() {
        world.output.say(&format!("its queues begin with {namespace}. and are removed afterwards"));
    }
    let weathered = tokio::select! {
        weathered = Box::pin(storm.weather(progress)) => weathered.map_err(CommandError::from),
        () = stopped.cancelled() => Err(CommandError::usage("the drill was stopped", "start it again; it begins anew")),
    };
    worker.kill().await?;
    sim.shutdown().await;
    other.shutdown().await;
    if let Some(section) = &config.amqp
        && let Err(error) = queues::take_away(section).await
    {
        world.output.say(&format!("note: the queues {namespace}.* stay at the broker: {error:#}"));
    }
    let weathered = weathered?;
    let judgement = judge(&weathered.evidence);
    let heading = Heading {
        seed,
        elapsed: started.elapsed(),
        transport: if args.amqp.is_some() { "amqp" } else { "store" },
        settings: args.set.iter().map(|setting| format!("{}={}", setting.key, setting.value)).collect(),
        not_exercised: not_exercised(args, &frame, &weathered),
    };
    Ok(Certificate::new(heading, weathered, judgement))
}

/// What this drill says nothing about, and why.
fn not_exercised(args: &DrillArgs, frame: &Frame, weathered: &Weathered) -> Vec<String> {
    let broken = &weathered.tally.broken;
    let mut gaps = Vec::new();
    let mut gap = |is_one: bool, text: &str| {
        if is_one {
            gaps.push(text.to_owned());
        }
    };
    gap(weathered.tally.kills == 0, "kill -9");
    gap(args.amqp.is_none(), "outcome events and loss of the broker (no --amqp)");
    gap(args.amqp.is_some() && !frame.broker, "loss of the broker (an amqps:// line cannot be cut from here)");
    gap(args.faults == Faults::None, "faults of the provider (--faults none)");
    let refused = broken.contains_key("writeRefused");
    gap(!refused && frame.writes, "writes refused (none was under way when they were, or the drill was too short)");
    gap(!refused && !frame.writes, "writes refused (this system cannot limit them from outside)");
    gap(!broken.contains_key("fullDisk"), "a disk that is really full (no --fill)");
    gap(args.amqp.is_none(), "another store on the same namespace (no --amqp)");
    for (name, text) in [
        ("storeRemoved", "the store's files moved away (nothing was to be recorded when they were)"),
        ("storeSwapped", "an older copy in the store's place (nothing was to be recorded when it was put there)"),
    ] {
        gap(!broken.contains_key(name), text);
    }
    gap(!frame.clock, "a wall clock that is wrong (libfaketime is not installed)");
    gap(true, "a loss of power");
    gaps
}
