//! Everything a story needs in one place: broker, provider, worker, producer, consumer, and what was published.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tempfile::TempDir;

use super::worker::Settings;
use super::{
    Broker, Gate, Job, Leash, Outcomes, Producer, Sim, Verdict, WorkerProc, eventually, free_port, http, random,
};

/// A story's stage.
pub(crate) struct Stage {
    /// The broker; a story that harms it brings its own.
    pub(crate) broker: Arc<Broker>,
    /// The provider.
    pub(crate) sim: Sim,
    /// How the worker will be configured by [`Stage::start`].
    pub(crate) settings: Settings,
    /// The worker.
    pub(crate) worker: WorkerProc,
    /// Who wants top-ups.
    pub(crate) producer: Producer,
    /// Who hears how they ended.
    pub(crate) outcomes: Outcomes,
    published: BTreeMap<String, Job>,
    dir: TempDir,
    _leash: Leash,
}

impl Stage {
    /// A stage on the shared broker; nothing runs yet but the provider.
    pub(crate) async fn prepare(name: &str) -> Self {
        static SHARED: OnceLock<Arc<Broker>> = OnceLock::new();
        let broker = SHARED.get_or_init(|| Arc::new(Broker::start()));
        Self::on(Arc::clone(broker), &unique(name), ["guest:guest"; 3]).await
    }

    /// A stage on a broker that the story may kill.
    pub(crate) async fn prepare_with_own_broker(name: &str) -> Self {
        Self::on(Arc::new(Broker::start()), &unique(name), ["guest:guest"; 3]).await
    }

    /// Its worker knows one provider, Finpay, and that is behind a gate.
    pub(crate) async fn gated(&mut self) -> Gate {
        let gate = Gate::open(self.sim.running().addr()).await;
        self.settings.providers = vec![("finpay", format!("{}/finpay", gate.base_url()))];
        gate
    }

    /// A stage on this broker, with the users of worker, producer and consumer.
    pub(crate) async fn on(broker: Arc<Broker>, namespace: &str, users: [&str; 3]) -> Self {
        let dir = tempfile::Builder::new().prefix("e2e-worker-").tempdir().expect("a temporary directory");
        let sim = Sim::start().await;
        let [worker_url, producer_url, consumer_url] = users.map(|user| broker.url_of(user));
        let mut settings = Settings::quick(namespace, sim.credentials());
        settings.amqp_url = Some(worker_url);
        settings.providers = ["finpay", "midtrans"].map(|name| (name, sim.running().base_url(name))).to_vec();
        Self {
            producer: Producer::new(&producer_url, namespace),
            outcomes: Outcomes::collect(&consumer_url, namespace),
            worker: WorkerProc::configure(dir.path(), &settings),
            published: BTreeMap::new(),
            broker,
            sim,
            settings,
            _leash: Leash::tie(&format!("sleep 1; rm -rf '{}'", dir.path().display())),
            dir,
        }
    }

    /// Starts the worker with the settings as they are now.
    pub(crate) fn start(&mut self) {
        self.reconfigure();
        self.worker.start();
    }

    /// Writes the settings as they are now into the config of a worker that does not run.
    pub(crate) fn reconfigure(&mut self) {
        self.worker = WorkerProc::configure(self.dir.path(), &self.settings);
    }

    /// Lets a lane stand, by an operator.
    pub(crate) async fn pause(&self, provider: &str) {
        self.worker.ask_json(&["provider", "pause", provider, "--reason", "held", "--yes"]);
        let of = format!("provider=\"{provider}\"");
        eventually(Duration::from_secs(60), "the lane stands", async || {
            (http::total(&self.worker.metrics(), "topup_lane_paused", &[&of]) >= 1.0).then_some(())
        })
        .await;
    }

    /// Lets it go on.
    pub(crate) fn resume(&self, provider: &str) {
        self.worker.ask_json(&["provider", "resume", provider, "--reason", "goes on", "--yes"]);
    }

    /// Another worker on the same store, with its config in `dir`; it does not run.
    pub(crate) fn second_worker(&self, dir: &std::path::Path) -> WorkerProc {
        let mut settings = self.settings.clone();
        settings.http_port = free_port();
        settings.store = self.worker.dir().join(&self.settings.store).display().to_string();
        WorkerProc::configure(dir, &settings)
    }

    /// A reference that no other test uses.
    pub(crate) fn reference(&self, name: &str) -> String {
        format!("{name}-{:012x}", random() >> 16)
    }

    /// A new job for a new customer.
    pub(crate) fn job(&self, name: &str) -> Job {
        Job::new(&self.reference(name), &customer())
    }

    /// So many new jobs for new customers.
    pub(crate) fn jobs(&self, name: &str, count: usize) -> Vec<Job> {
        (0..count).map(|_| self.job(name)).collect()
    }

    /// Publishes jobs and remembers them for the verdict.
    pub(crate) async fn publish(&mut self, jobs: &[Job]) {
        self.remember(jobs);
        self.producer.publish_all(jobs).await;
    }

    /// Remembers jobs for the verdict that reach the worker in another way.
    pub(crate) fn remember(&mut self, jobs: &[Job]) {
        self.published.extend(jobs.iter().map(|job| (job.reference.clone(), job.clone())));
    }

    /// What was published, by reference: the first content of each.
    pub(crate) fn published(&self) -> &BTreeMap<String, Job> {
        &self.published
    }

    /// Waits until every job message was acknowledged.
    pub(crate) async fn broker_has_no_more(&self, limit: Duration) {
        let queue = format!("{}.jobs", self.settings.namespace);
        eventually(limit, "every delivery is acknowledged", async || {
            let told = self.broker.ctl(&["list_queues", "--no-table-headers", "name", "messages"]);
            let left = told.lines().find_map(|line| line.strip_prefix(queue.as_str()))?;
            (left.trim() == "0").then_some(())
        })
        .await;
    }

    /// Waits until each published job has ended and told so, or stands in front of a person.
    pub(crate) async fn settled(&self, limit: Duration) {
        let started = std::time::Instant::now();
        let told = eventually_told(self, limit);
        told.await;
        let left = limit.saturating_sub(started.elapsed()).max(Duration::from_secs(10));
        eventually(left, "the outbox is empty", async || {
            (http::total(&self.worker.metrics(), "topup_outbox_pending", &[]) < 0.5).then_some(())
        })
        .await;
    }

    /// The oracle's findings, now.
    pub(crate) fn verdict(&self) -> Verdict {
        Verdict::of(self)
    }
}

/// Every published reference has a terminal event or a dead letter's notice.
async fn eventually_told(stage: &Stage, limit: Duration) {
    let what = "each published job has ended, or stands in front of a person";
    let waiting = || -> Vec<String> {
        let mut told: std::collections::BTreeSet<String> = stage.outcomes.terminal_by_reference().into_keys().collect();
        told.extend(stage.outcomes.dead_lettered());
        stage.published.keys().filter(|reference| !told.contains(*reference)).cloned().collect()
    };
    let started = std::time::Instant::now();
    eventually(limit + Duration::from_secs(1), what, async || {
        let missing = waiting();
        if started.elapsed() > limit && !missing.is_empty() {
            let states: Vec<_> = missing.iter().take(5).map(|name| (name, stage.worker.state_of(name))).collect();
            panic!("not within {limit:?}: {what}; {} missing, such as {states:?}", missing.len());
        }
        missing.is_empty().then_some(())
    })
    .await;
}

/// A namespace that no other test uses.
fn unique(name: &str) -> String {
    format!("{name}-{:08x}", random() >> 32)
}

/// A customer number that no other test uses, in one of the three forms.
pub(crate) fn customer() -> String {
    let subscriber = format!("857{:010}", random() % 10_000_000_000);
    match random() % 3 {
        0 => format!("0{subscriber}"),
        1 => format!("62{subscriber}"),
        _ => format!("+62{subscriber}"),
    }
}
