//! What an operator or a producer asks for: one noun a file.

mod act;
pub mod audit;
pub mod check;
pub mod completions;
mod custody;
pub mod demo;
pub mod dlq;
pub mod drill;
pub mod explain;
#[cfg(test)]
pub(crate) mod fixture;
pub mod init;
pub mod jobs;
pub mod provider;
pub mod schema;
pub mod sim;
mod simulated;
pub mod store;
pub mod submit;
mod timeline;

pub(crate) use act::host;

use std::future::Future;

use outbox::{OpenError, OpenOptions, Opened, Store};
use snap_core::Timestamp;

use crate::cli::{Command, GlobalArgs, ProviderCommand, StoreCommand};
use crate::clock::Clock;
use crate::config::{Config, Environment, file_of};
use crate::exit::{CommandError, Exit};
use crate::output::Output;
use crate::{app, signals, telemetry::log};

/// What every command finds around it.
#[derive(Debug)]
pub struct World {
    /// What holds for every command.
    pub global: GlobalArgs,
    /// The process's environment.
    pub environment: Environment,
    /// Whether talk on stderr is coloured.
    pub talk_color: bool,
    /// Where data and talk go.
    pub output: Output,
}

/// What a command of an operator finds on the desk.
#[derive(Debug)]
pub struct Desk<'a> {
    /// The store; open for reading only where the command changes nothing.
    pub store: &'a Store,
    /// The configuration.
    pub config: &'a Config,
    /// Time and randomness.
    pub clock: &'a Clock,
    /// Now.
    pub now: Timestamp,
    /// The process's environment.
    pub environment: &'a Environment,
    /// Where data and talk go.
    pub output: &'a Output,
}

/// Runs one command.
///
/// # Errors
/// [`CommandError`], which knows the exit code and what to say.
pub fn run(command: &Command, world: &World) -> Result<Exit, CommandError> {
    let output = &world.output;
    match command {
        Command::Run => return service(world),
        Command::Completions { shell } => output.write(&completions::script(*shell)).map_err(stdout)?,
        Command::Schema { document } => {
            let schema = schema::schema(*document, crate::config::json_schema);
            // A schema is JSON in every form.
            output.write(&format!("{schema:#}\n")).map_err(stdout)?;
        }
        Command::Init(args) => {
            let file = file_of(world.global.config.as_deref(), &world.environment);
            init::write(&file, args.provider.as_str())?;
            output.say(&format!("wrote {}; `worker check` says what is missing in it", file.display()));
            output.object(&serde_json::json!({ "file": file }), String::new).map_err(stdout)?;
        }
        Command::Explain(args) => return explain::run(args, world),
        _ => {
            log::start(log::FOR_COMMANDS, world.global.verbose, world.talk_color);
            return command_in_runtime(command, world);
        }
    }
    Ok(Exit::Done)
}

fn service(world: &World) -> Result<Exit, CommandError> {
    let config = world.config()?;
    log::start(config.log, world.global.verbose, world.talk_color);
    in_runtime(Threads::Several, async {
        let work = |shutdown| Box::pin(app::run(config, shutdown));
        signals::until_told(work).await.map_err(|source| CommandError::io("listen to signals", source))??;
        Ok(Exit::Done)
    })
}

fn command_in_runtime(command: &Command, world: &World) -> Result<Exit, CommandError> {
    let (output, clock) = (&world.output, Clock::start());
    match command {
        Command::Demo(args) => in_runtime(Threads::Several, async { Box::pin(demo::run(args, output)).await }),
        Command::Drill(args) => in_runtime(Threads::Several, async { Box::pin(drill::run(args, world, &clock)).await }),
        Command::Sim(args) => in_runtime(Threads::Several, sim::run(args, output)),
        Command::Check => in_runtime_left_behind(async { Box::pin(check::run(world, &clock)).await }),
        Command::Submit(args) => {
            let config = world.config()?;
            in_runtime(Threads::One, async { Box::pin(submit::run(args, &config, &clock, output)).await })
        }
        Command::Jobs(command) => {
            let config = world.config()?;
            in_runtime(Threads::One, async {
                let store = open_for_reading(&config, &clock)?;
                let ended = jobs::run(command, &store, clock.now(), output).await;
                store.close().await;
                ended
            })
        }
        Command::Dlq(command) => {
            at_desk(world, &clock, Access::to_act(command.acts()), async |desk| Box::pin(dlq::run(command, desk)).await)
        }
        Command::Audit(command) => {
            let config = world.config()?;
            in_runtime(Threads::One, async {
                let store = open_for_reading(&config, &clock)?;
                let ended = audit::run(command, &store, config.amqp.as_ref(), clock.now(), output).await;
                store.close().await;
                ended
            })
        }
        Command::Provider(command) => {
            let acts = match command {
                ProviderCommand::List => false,
                ProviderCommand::Pause(args) | ProviderCommand::Resume(args) => !args.act.dry_run,
            };
            at_desk(world, &clock, Access::to_act(acts), async |desk| provider::run(command, desk).await)
        }
        Command::Store(StoreCommand::Backup(args)) => {
            store::backup::run(args, &world.config()?, &clock, output)?;
            Ok(Exit::Done)
        }
        Command::Store(StoreCommand::Restore(args)) => {
            let config = world.config()?;
            in_runtime(Threads::One, async {
                store::restore::run(args, &config, &clock, &world.environment, output).await?;
                Ok(Exit::Done)
            })
        }
        Command::Store(command) => {
            let access = match command {
                StoreCommand::Info | StoreCommand::Backup(_) | StoreCommand::Restore(_) => Access::Reading,
                StoreCommand::Restored(args) if args.act.dry_run => Access::Reading,
                StoreCommand::Adopt(args) if args.act.dry_run => Access::Reading,
                StoreCommand::Restored(_) | StoreCommand::Adopt(_) => Access::Alone,
                StoreCommand::Reconciled(act) => Access::to_act(!act.dry_run),
                StoreCommand::ClockCorrected(args) if args.act.dry_run => Access::Reading,
                StoreCommand::ClockCorrected(_) => Access::Alone,
            };
            at_desk(world, &clock, access, async |desk| store::run(command, desk).await)
        }
        Command::Run
        | Command::Init(_)
        | Command::Explain(_)
        | Command::Schema { .. }
        | Command::Completions { .. } => Ok(Exit::Done),
    }
}

impl World {
    /// The configuration of this command.
    ///
    /// # Errors
    /// [`CommandError::Config`].
    pub fn config(&self) -> Result<Config, CommandError> {
        Ok(Config::load(self.global.config.as_deref(), &self.environment)?)
    }
}

/// How a command has the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Access {
    /// For reading, beside a running worker and without one.
    Reading,
    /// For writing, beside a running worker and without one.
    Beside,
    /// For writing, as the only one: a running worker refuses it.
    Alone,
}

impl Access {
    const fn to_act(acts: bool) -> Self {
        if acts { Self::Beside } else { Self::Reading }
    }
}

/// One command of an operator.
fn at_desk(
    world: &World,
    clock: &Clock,
    access: Access,
    work: impl AsyncFnOnce(&Desk<'_>) -> Result<Exit, CommandError>,
) -> Result<Exit, CommandError> {
    let config = world.config()?;
    in_runtime(Threads::One, async {
        let store = open(&config, clock, access)?;
        let (environment, output) = (&world.environment, &world.output);
        // By the clock of the worker: what is noted beside it waits by that.
        let clock = &clock.beside(store.clock().await?.as_ref());
        let desk = Desk { store: &store, config: &config, clock, now: clock.now(), environment, output };
        let ended = work(&desk).await;
        store.close().await;
        ended
    })
}

/// Beside a running worker and without one.
fn open_for_reading(config: &Config, clock: &Clock) -> Result<Store, CommandError> {
    open(config, clock, Access::Reading)
}

fn open(config: &Config, clock: &Clock, access: Access) -> Result<Store, CommandError> {
    let (read_only, exclusive) = (access == Access::Reading, access == Access::Alone);
    // The reserve is the worker's.
    let options = OpenOptions {
        read_only,
        exclusive,
        create: false,
        reserve_bytes: 0,
        min_free_bytes: 0,
        ..OpenOptions::default()
    };
    match Store::open(&config.store.path, clock.now(), &options) {
        Ok(Opened { store, .. }) => Ok(store),
        Err(OpenError::Locked { pid, .. }) if exclusive => Err(runs_on(pid)),
        Err(error) => Err(error.into()),
    }
}

fn runs_on(pid: Option<u32>) -> CommandError {
    CommandError::Refused {
        what: match pid {
            Some(pid) => format!("process {pid} runs on this store"),
            None => "a worker runs on this store".to_owned(),
        },
        hint: "stop the worker, say it again, then start it".to_owned(),
    }
}

fn stdout(source: std::io::Error) -> CommandError {
    CommandError::io("write to stdout", source)
}

#[derive(Clone, Copy)]
enum Threads {
    /// A command waits for one thing at a time, and starts faster.
    One,
    Several,
}

fn in_runtime<T>(threads: Threads, work: impl Future<Output = Result<T, CommandError>>) -> Result<T, CommandError> {
    runtime(threads)?.block_on(work)
}

/// Does not wait for what was given up and still blocks: a name that is looked up, a file that is read.
fn in_runtime_left_behind<T>(work: impl Future<Output = Result<T, CommandError>>) -> Result<T, CommandError> {
    let runtime = runtime(Threads::One)?;
    let done = runtime.block_on(work);
    runtime.shutdown_background();
    done
}

fn runtime(threads: Threads) -> Result<tokio::runtime::Runtime, CommandError> {
    let mut builder = match threads {
        Threads::One => tokio::runtime::Builder::new_current_thread(),
        Threads::Several => tokio::runtime::Builder::new_multi_thread(),
    };
    builder.enable_all().build().map_err(|source| CommandError::io("start the runtime", source))
}
