//! The configuration: `worker.toml`, overridden by `WORKER__SECTION__KEY`, checked as a whole.
//!
//! [`Config::load`] reads and checks everything but the secrets: these are read when a client or connection is made
//! from them, so that a command that needs none works without. [`Environment`] is the only reader of the process's
//! environment.

mod amqp;
mod environment;
mod error;
mod file;
mod overrides;
mod provider;
mod resolve;
mod schema;
mod secret;
#[cfg(test)]
mod tests;
mod unknown_keys;
mod warning;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use amqp::{AmqpConfig, AmqpSection};
pub use environment::Environment;
pub use error::{ConfigError, Problem};
pub use file::{LogFormat, LogLevel};
pub use provider::{ProviderConfig, RetryConfig};
pub use schema::json_schema;
pub use secret::{Secret, SecretSource};
pub use warning::Warning;

/// Where the configuration is looked for if nobody says.
pub const DEFAULT_FILE: &str = "worker.toml";
/// The environment variable that names the file.
pub const FILE_VARIABLE: &str = "WORKER_CONFIG";

/// Everything that can be set, checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// The file it was read from; it need not exist where the environment says everything.
    pub file: PathBuf,
    /// Where a job names no provider; one of `providers`.
    pub default_provider: Option<String>,
    /// The broker; none: run from the store alone.
    pub amqp: Option<AmqpSection>,
    /// The store.
    pub store: StoreConfig,
    /// Health and metrics.
    pub http: HttpConfig,
    /// What is logged, and how.
    pub log: LogConfig,
    /// By name; at least one.
    pub providers: BTreeMap<String, ProviderConfig>,
}

/// Where the store is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreConfig {
    /// The SQLite file.
    pub path: PathBuf,
    /// For how long it keeps what ended.
    pub retention: Retention,
}

/// For how long after a job's end something is kept. Whoever sets less than is safe gets no configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Its details: customer, requests, history; `None`: for ever.
    pub details: Option<Duration>,
    /// Its key, with what is left of it; `None`: for ever.
    pub keys: Option<Duration>,
}

/// The health and metrics endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpConfig {
    /// Where it listens; none: not at all.
    pub listen: Option<SocketAddr>,
}

/// What is logged, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogConfig {
    /// Before `-v` and `-vv`.
    pub level: LogLevel,
    /// Of the lines.
    pub format: LogFormat,
}

/// The file named by `-c`, else by `WORKER_CONFIG`, else `./worker.toml`.
#[must_use]
pub fn file_of(named: Option<&Path>, environment: &Environment) -> PathBuf {
    let by_environment = || environment.get(FILE_VARIABLE).filter(|name| !name.is_empty()).map(PathBuf::from);
    named.map(Path::to_owned).or_else(by_environment).unwrap_or_else(|| DEFAULT_FILE.into())
}

impl Config {
    /// Reads the file named by `-c`, else by `WORKER_CONFIG`, else `./worker.toml`, and what overrides it.
    ///
    /// # Errors
    /// [`ConfigError`] with every problem that was found, each with its key and a hint.
    pub fn load(named: Option<&Path>, environment: &Environment) -> Result<Self, ConfigError> {
        let file = file_of(named, environment);
        let text = match std::fs::read_to_string(&file) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && overrides::any(environment) => String::new(),
            Err(error) => {
                return Err(ConfigError::about(
                    &file,
                    Problem::whole(
                        format!("cannot be read: {error}"),
                        "`worker init` writes one; name another with -c FILE or WORKER_CONFIG",
                    ),
                ));
            }
        };
        Self::parse(&text, &file, environment)
    }

    /// As [`Config::load`], from the text of a file; relative paths are relative to the file's folder.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn parse(text: &str, file: &Path, environment: &Environment) -> Result<Self, ConfigError> {
        let mut table = error::parse_toml(text).map_err(|problem| ConfigError::about(file, problem))?;
        let schema = schema::Schema::new();
        let overridden =
            overrides::apply(&mut table, environment, &schema).map_err(|problem| ConfigError::about(file, problem))?;
        let mut problems = unknown_keys::problems(&table, &schema);
        if problems.is_empty() {
            match file::File::from_table(table) {
                Ok(contents) => match resolve::resolve(contents, file, environment) {
                    Ok(config) => return Ok(config),
                    Err(found) => problems = found,
                },
                Err(problem) => problems.push(problem),
            }
        }
        for problem in &mut problems {
            problem.set_by = problem.key.as_ref().and_then(|key| overridden.get(key)).cloned();
        }
        Err(ConfigError::new(file, problems))
    }

    /// As long as any provider can be asked about a top-up, or refuses its reference: its story is kept for so long.
    #[must_use]
    pub fn asking_horizon(&self) -> Duration {
        resolve::asked(&self.providers).1
    }

    /// What works but should not stay so: for `check`.
    #[must_use]
    pub fn warnings(&self) -> Vec<Warning> {
        warning::warnings(self)
    }
}
