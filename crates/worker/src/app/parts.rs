//! What a service is made of.

use std::collections::BTreeMap;
use std::sync::Arc;

use outbox::{OpenOptions, Opened, Store};
use snap_client::SnapClient;
use tokio::sync::Notify;
use tokio_util::task::TaskTracker;

use super::AppError;
use crate::amqp::{Link, Rabbit};
use crate::clock::Clock;
use crate::config::{AmqpConfig, AmqpSection, Config, ConfigError, Environment};
use crate::custody::{Custody, Process, Terms};
use crate::lane::{Gate, Lane, LaneParts};
use crate::message::{ProviderRule, Providers};
use crate::ops::host;
use crate::telemetry::metrics::Metrics;

/// What a service is made of beside its settings: everything through which it touches the world.
#[derive(Debug)]
pub struct Parts<B> {
    /// Time and randomness.
    pub clock: Clock,
    /// The store, held exclusively.
    pub opened: Opened,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// The providers' clients by the providers' names.
    pub clients: BTreeMap<String, SnapClient>,
    /// The broker, where there is one.
    pub broker: Option<B>,
    /// Whether the namespace is this store's.
    pub custody: Arc<Custody>,
    /// The process that this is.
    pub process: Process,
    /// What is known of the broker.
    pub link: Arc<Link>,
    /// Owns the tasks of the broker's connections and of the HTTP server.
    pub edge: TaskTracker,
}

/// The parts that make the service of a configuration: RabbitMQ, the network, the system's clock.
pub(super) async fn real(config: Config) -> Result<(Config, Parts<Rabbit>), AppError> {
    let clock = Clock::start();
    // Before anything is opened: a secret that cannot be read stops the start.
    let amqp: Option<AmqpConfig> = config.amqp.as_ref().map(AmqpSection::connection).transpose()?;
    let clients = clients(&config)?;
    let metrics = Arc::new(Metrics::new(config.providers.keys().map(String::as_str), config.amqp.is_some()));
    let opened = open(&config, &clock, &metrics).await?;
    let (link, edge) = (Arc::new(Link::default()), TaskTracker::new());
    let broker = amqp.map(|config| Rabbit { config, link: Arc::clone(&link), tracker: edge.clone() });
    let custody = if config.amqp.is_some() { Custody::new(Terms::default()) } else { Custody::without_broker() };
    let process = Process::here(&config.store.path, &host(&Environment::read()));
    Ok((config, Parts { clock, opened, metrics, clients, broker, custody: Arc::new(custody), process, link, edge }))
}

/// The lanes by provider.
pub type Lanes = BTreeMap<String, Arc<Lane>>;

/// Opens the store as the one worker.
async fn open(config: &Config, clock: &Clock, metrics: &Arc<Metrics>) -> Result<Opened, AppError> {
    let observer = Arc::clone(metrics);
    let options = OpenOptions {
        exclusive: true,
        on_commit: Some(Arc::new(move |sample| observer.store_committed(sample.took))),
        ..OpenOptions::default()
    };
    let (path, now) = (config.store.path.clone(), clock.now());
    let opened = tokio::task::spawn_blocking(move || Store::open(&path, now, &options)).await;
    Ok(opened.expect("opening the store does not panic")?)
}

/// The providers' clients by name; nothing is connected yet.
pub(crate) fn clients(config: &Config) -> Result<BTreeMap<String, SnapClient>, ConfigError> {
    config.providers.iter().map(|(name, provider)| Ok((name.clone(), provider.client()?))).collect()
}

/// The lanes of a configuration, at rest; a provider without a client has none.
pub(crate) fn lanes(config: &Config, mut clients: BTreeMap<String, SnapClient>, room: &Arc<Notify>) -> Lanes {
    let mut lanes = Lanes::new();
    for (name, provider) in &config.providers {
        let Some(client) = clients.remove(name) else { continue };
        let parts = LaneParts {
            name: name.as_str().into(),
            profile: Arc::clone(&provider.profile),
            policy: provider.policy(),
            send_within: provider.send_within(),
            client,
            max_in_flight: provider.max_in_flight,
            rate_limit: provider.rate_limit,
            gate: Gate::new(provider.probe_initial, provider.probe_max),
        };
        lanes.insert(name.clone(), Arc::new(Lane::new(parts, Arc::clone(room))));
    }
    lanes
}

/// What a job message may name.
pub fn config_providers(
    providers: &BTreeMap<String, crate::config::ProviderConfig>,
    default: Option<&str>,
) -> Providers {
    let rules = providers
        .iter()
        .map(|(name, provider)| ProviderRule {
            name: name.clone(),
            needs_beneficiary_provider: provider.profile.top_up_fields.beneficiary_provider,
        })
        .collect();
    Providers::new(rules, default)
}
