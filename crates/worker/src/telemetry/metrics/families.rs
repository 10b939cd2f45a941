//! The labelled families, and each provider's handles taken out of them.

use std::sync::{Mutex, MutexGuard, PoisonError};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use snap_core::{Class, Service};

/// Seconds; a provider's call takes from a few milliseconds to its request timeout (30 s unless configured).
const REQUEST_BUCKETS: [f64; 13] = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 8.0, 15.0, 30.0, 60.0];
/// The ways a job ends for good.
pub(super) const OUTCOMES: [&str; 3] = ["succeeded", "rejected", "discarded"];

/// One provider's handles, made once.
pub(super) struct ProviderMetrics {
    pub(super) name: String,
    pub(super) accepted: Counter,
    pub(super) double_credits: Counter,
    pub(super) finished: [Counter; OUTCOMES.len()],
    /// By service, then by class.
    pub(super) requests: [[Counter; Class::ALL.len()]; Service::ALL.len()],
    pub(super) request_seconds: [Histogram; Service::ALL.len()],
    /// The causes its lane has stood for so far.
    pub(super) pauses: Mutex<Vec<(&'static str, Gauge)>>,
}

impl ProviderMetrics {
    pub(super) fn resume(&self) -> MutexGuard<'_, Vec<(&'static str, Gauge)>> {
        let pauses = self.pauses.lock().unwrap_or_else(PoisonError::into_inner);
        for (_, gauge) in pauses.iter() {
            gauge.set(0);
        }
        pauses
    }
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(super) struct DeliveryLabels {
    pub(super) result: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(super) struct ProviderLabels {
    pub(super) provider: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(super) struct FinishedLabels {
    pub(super) provider: String,
    pub(super) outcome: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(super) struct RequestLabels {
    pub(super) provider: String,
    pub(super) service: u32,
    pub(super) class: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(super) struct ServiceLabels {
    pub(super) provider: String,
    pub(super) service: u32,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(super) struct LaneLabels {
    pub(super) provider: String,
    pub(super) cause: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(super) struct StateLabels {
    pub(super) provider: String,
    pub(super) state: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(super) struct ReasonLabels {
    pub(super) reason: &'static str,
}

/// The families with a `provider` label; each provider's handles are taken out of them once.
pub(super) struct ProviderFamilies {
    pub(super) accepted: Family<ProviderLabels, Counter>,
    pub(super) double_credits: Family<ProviderLabels, Counter>,
    pub(super) finished: Family<FinishedLabels, Counter>,
    pub(super) requests: Family<RequestLabels, Counter>,
    pub(super) request_seconds: Family<ServiceLabels, Histogram, fn() -> Histogram>,
}

impl Default for ProviderFamilies {
    fn default() -> Self {
        Self {
            accepted: Family::default(),
            double_credits: Family::default(),
            finished: Family::default(),
            requests: Family::default(),
            request_seconds: Family::new_with_constructor(|| Histogram::new(REQUEST_BUCKETS)),
        }
    }
}

impl ProviderFamilies {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register("topup_jobs_accepted", "New jobs, without duplicates", self.accepted.clone());
        registry.register("topup_jobs_finished", "Jobs that ended for good", self.finished.clone());
        registry.register(
            "topup_double_credit_suspected",
            "Jobs of which two attempts look paid",
            self.double_credits.clone(),
        );
        registry.register(
            "topup_provider_requests",
            "Calls to a provider by SNAP service and by the class of their answer",
            self.requests.clone(),
        );
        registry.register(
            "topup_provider_request_seconds",
            "Calls to a provider, answer included",
            self.request_seconds.clone(),
        );
    }

    pub(super) fn provider(&self, name: &str) -> ProviderMetrics {
        let provider = || name.to_owned();
        ProviderMetrics {
            name: provider(),
            accepted: self.accepted.get_or_create_owned(&ProviderLabels { provider: provider() }),
            double_credits: self.double_credits.get_or_create_owned(&ProviderLabels { provider: provider() }),
            finished: OUTCOMES
                .map(|outcome| self.finished.get_or_create_owned(&FinishedLabels { provider: provider(), outcome })),
            requests: Service::ALL.map(|service| {
                Class::ALL.map(|class| {
                    let service = service.code().into();
                    let labels = RequestLabels { provider: provider(), service, class: class.as_str() };
                    self.requests.get_or_create_owned(&labels)
                })
            }),
            request_seconds: Service::ALL.map(|service| {
                let labels = ServiceLabels { provider: provider(), service: service.code().into() };
                self.request_seconds.get_or_create_owned(&labels)
            }),
            pauses: Mutex::default(),
        }
    }
}
