//! Every metric, named once. Counting allocates nothing; what the store knows is asked at a scrape.

mod families;

use std::fmt;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use engine::DeadReason;
use outbox::{OutboxBacklog, StateTotal};
use prometheus_client::encoding::text::{encode_eof, encode_registry};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use snap_core::{Class, Service, Timestamp};

use families::{
    DeliveryLabels, LaneLabels, OUTCOMES, ProviderFamilies, ProviderLabels, ProviderMetrics, ReasonLabels, StateLabels,
};

/// The content type of [`Metrics::render`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Seconds; a commit takes one disk sync.
const COMMIT_BUCKETS: [f64; 13] =
    [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0];
/// The states that are not final: a gauge of each is always there.
const OPEN_STATES: [&str; 5] = ["ready", "inquired", "sending", "unconfirmed", "dead"];

/// What became of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DeliveryResult {
    /// A new job.
    Accepted,
    /// The key was known, with the same content.
    Duplicate,
    /// The key was known, with other content.
    Conflict,
    /// It cannot become a job.
    Refused,
}

impl DeliveryResult {
    const ALL: [Self; 4] = [Self::Accepted, Self::Duplicate, Self::Conflict, Self::Refused];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Duplicate => "duplicate",
            Self::Conflict => "conflict",
            Self::Refused => "refused",
        }
    }
}

/// What the store knows, read at a scrape.
#[derive(Clone, Debug, Default)]
pub struct StoreSnapshot {
    /// Jobs by provider and state; final states are not shown.
    pub jobs: Vec<StateTotal>,
    /// Open dead letters by reason.
    pub dead_letters: Vec<(DeadReason, u64)>,
    /// What waits to be published.
    pub outbox: OutboxBacklog,
}

/// All that is counted in this process.
pub struct Metrics {
    registry: Registry,
    deliveries: [Counter; DeliveryResult::ALL.len()],
    providers: Vec<ProviderMetrics>,
    store_commit: Histogram,
    lane_paused: Family<LaneLabels, Gauge>,
    clock_offset: Family<ProviderLabels, Gauge>,
    amqp_connected: Gauge,
    amqp_blocked: Gauge,
    custodian: Gauge,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl Metrics {
    /// The metrics of a process with these providers; `amqp`: whether it has a broker to be connected to.
    pub fn new<'a>(providers: impl IntoIterator<Item = &'a str>, amqp: bool) -> Self {
        let mut registry = Registry::default();
        let deliveries = Family::<DeliveryLabels, Counter>::default();
        let families = ProviderFamilies::default();
        let (lane_paused, clock_offset) = (Family::default(), Family::default());
        let store_commit = Histogram::new(COMMIT_BUCKETS);
        let (amqp_connected, amqp_blocked, custodian) = (Gauge::default(), Gauge::default(), Gauge::default());
        registry.register("topup_deliveries", "Deliveries by what became of them", deliveries.clone());
        families.register(&mut registry);
        registry.register("topup_store_commit_seconds", "Group commits of the store", store_commit.clone());
        registry.register("topup_lane_paused", "1 while a provider's lane stands for this cause", lane_paused.clone());
        registry.register(
            "topup_clock_offset_seconds",
            "How far our clock is ahead of the provider's, by the Date of its last answer",
            clock_offset.clone(),
        );
        if amqp {
            registry.register("topup_amqp_connected", "1 while the broker is connected", amqp_connected.clone());
            registry.register("topup_amqp_blocked", "1 while the broker blocks publishing", amqp_blocked.clone());
            let help = "1 while the namespace is known to be this store's, so that top-ups may begin";
            registry.register("topup_custodian", help, custodian.clone());
        }
        Self {
            deliveries: DeliveryResult::ALL
                .map(|result| deliveries.get_or_create_owned(&DeliveryLabels { result: result.as_str() })),
            providers: providers.into_iter().map(|name| families.provider(name)).collect(),
            registry,
            store_commit,
            lane_paused,
            clock_offset,
            amqp_connected,
            amqp_blocked,
            custodian,
        }
    }

    /// A delivery was dealt with.
    pub fn delivery(&self, result: DeliveryResult) {
        self.deliveries[result as usize].inc();
    }

    /// A new job was recorded; duplicates do not count.
    pub fn job_accepted(&self, provider: &str) {
        if let Some(of) = self.provider(provider) {
            of.accepted.inc();
        }
    }

    /// A job came to rest in `state`, the contract's word; states that are not final do not count.
    pub fn job_finished(&self, provider: &str, state: &str) {
        let outcome = OUTCOMES.iter().position(|outcome| *outcome == state);
        if let (Some(of), Some(outcome)) = (self.provider(provider), outcome) {
            of.finished[outcome].inc();
        }
    }

    /// Two attempts of a job look paid.
    pub fn double_credit_suspected(&self, provider: &str) {
        if let Some(of) = self.provider(provider) {
            of.double_credits.inc();
        }
    }

    /// A provider was called and answered, or did not, after `took`. `class` is the response-code table's word.
    pub fn provider_request(&self, provider: &str, service: Service, class: &str, took: Duration) {
        let class = Class::ALL.iter().position(|known| known.as_str() == class);
        if let (Some(of), Some(class)) = (self.provider(provider), class) {
            of.requests[service as usize][class].inc();
            of.request_seconds[service as usize].observe(took.as_secs_f64());
        }
    }

    /// The store committed one group.
    pub fn store_committed(&self, took: Duration) {
        self.store_commit.observe(took.as_secs_f64());
    }

    /// A lane stands for this cause, and for no other.
    pub fn lane_paused(&self, provider: &str, cause: &'static str) {
        let Some(of) = self.provider(provider) else { return };
        let mut pauses = of.resume();
        if !pauses.iter().any(|(known, _)| *known == cause) {
            let labels = LaneLabels { provider: of.name.clone(), cause };
            pauses.push((cause, self.lane_paused.get_or_create_owned(&labels)));
        }
        for (_, gauge) in pauses.iter().filter(|(known, _)| *known == cause) {
            gauge.set(1);
        }
    }

    /// A lane moves again. Its causes go to 0 rather than away: a graph shows when they ended.
    pub fn lane_resumed(&self, provider: &str) {
        if let Some(of) = self.provider(provider) {
            drop(of.resume());
        }
    }

    /// Our clock is ahead of the provider's by so many seconds; below zero it is behind.
    pub fn clock_offset(&self, provider: &str, seconds: i64) {
        self.clock_offset.get_or_create(&ProviderLabels { provider: provider.to_owned() }).set(seconds);
    }

    /// The broker is connected, or not.
    pub fn amqp_connected(&self, connected: bool) {
        self.amqp_connected.set(connected.into());
    }

    /// The broker has blocked publishing, or not.
    pub fn amqp_blocked(&self, blocked: bool) {
        self.amqp_blocked.set(blocked.into());
    }

    /// Top-ups may begin, as far as the namespace's custody goes, or not.
    pub fn custodian(&self, is_ours: bool) {
        self.custodian.set(is_ours.into());
    }

    /// Everything in the OpenMetrics text form, as of `now`.
    pub fn render(&self, store: &StoreSnapshot, now: Timestamp) -> String {
        let providers = self.providers.iter().map(|of| of.name.as_str());
        let gauges = store_gauges(store, now, providers);
        let mut text = String::with_capacity(16 * 1024);
        encode_registry(&mut text, &self.registry)
            .and_then(|()| encode_registry(&mut text, &gauges))
            .and_then(|()| encode_eof(&mut text))
            .expect("a string takes any text");
        text
    }

    fn provider(&self, name: &str) -> Option<&ProviderMetrics> {
        self.providers.iter().find(|of| of.name == name)
    }
}

/// What only the store knows, as gauges. Each open state of each configured provider is there, be it 0.
fn store_gauges<'a>(store: &StoreSnapshot, now: Timestamp, providers: impl Iterator<Item = &'a str>) -> Registry {
    let jobs = Family::<StateLabels, Gauge>::default();
    let amount = Family::<StateLabels, Seconds>::default();
    let oldest = Family::<StateLabels, Seconds>::default();
    for provider in providers {
        for state in OPEN_STATES {
            let labels = StateLabels { provider: provider.to_owned(), state: state.to_owned() };
            jobs.get_or_create(&labels).set(0);
            amount.get_or_create(&labels).set(0.0);
            oldest.get_or_create(&labels).set(0.0);
        }
    }
    for total in store.jobs.iter().filter(|total| OPEN_STATES.contains(&total.state.as_str())) {
        let labels = StateLabels { provider: total.provider.clone(), state: total.state.clone() };
        jobs.get_or_create(&labels).set(count(total.count));
        // Read from the decimal text: a float is only ever a value here, never computed with.
        amount.get_or_create(&labels).set(total.amount.to_string().parse().unwrap_or(f64::INFINITY));
        oldest.get_or_create(&labels).set(now.since(total.oldest).as_secs_f64());
    }
    let dead_letters = Family::<ReasonLabels, Gauge>::default();
    for reason in DeadReason::ALL {
        let open = store.dead_letters.iter().filter(|(of, _)| *of == reason).map(|(_, open)| count(*open)).sum();
        dead_letters.get_or_create(&ReasonLabels { reason: reason.as_str() }).set(open);
    }
    let (pending, outbox_age) = (<Gauge>::default(), Seconds::default());
    pending.set(count(store.outbox.pending));
    outbox_age.set(store.outbox.oldest.map_or(0.0, |oldest| now.since(oldest).as_secs_f64()));

    let mut registry = Registry::default();
    registry.register("topup_jobs", "Jobs in states that are not final", jobs);
    registry.register("topup_amount_idr", "Their amounts in rupiah", amount);
    registry.register("topup_oldest_age_seconds", "The age of the oldest of them", oldest);
    registry.register("topup_dead_letters", "Open dead letters", dead_letters);
    registry.register("topup_outbox_pending", "Events that wait for their confirm", pending);
    registry.register("topup_outbox_oldest_age_seconds", "The age of the oldest of them", outbox_age);
    registry
}

type Seconds = Gauge<f64, AtomicU64>;

fn count(of: u64) -> i64 {
    i64::try_from(of).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
