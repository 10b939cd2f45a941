//! Builds the parts, owns every task, stops them in order.

mod clock;
mod parts;
mod recovery;
mod told;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use outbox::{Health, OpenError, Opened, Standing, Store, StoreError};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{error, info, warn};

pub use parts::{Lanes, Parts, config_providers};
pub(crate) use parts::{clients, lanes};
use recovery::recover;
use told::{readiness, render};

use crate::account;
use crate::amqp::{Broker, Link, Supervisor};
use crate::config::{Config, ConfigError};
use crate::custody::{self, Custodian, CustodyError, Of};
use crate::drive::Driver;
use crate::http::Probe;
use crate::intake::Intake;
use crate::relay::Relay;
use crate::replay::{Replayer, Rules};
use crate::restored::Restored;
use crate::retention::Forgetting;
use crate::wake::{Kept, Wake};

/// The relay gets this long to empty the outbox at a stop.
const FLUSH_LIMIT: Duration = Duration::from_secs(10);
/// A drive gets its provider's `request_timeout` and this much more to record what came back.
const RECORD_LIMIT: Duration = Duration::from_secs(10);

/// Why the service did not start, or ended by itself.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// The store was not opened.
    #[error("failed to open the store")]
    Open(#[from] OpenError),
    /// The store failed while starting or running: recovery decides from what is on disk.
    #[error("the store failed")]
    Store(#[from] StoreError),
    /// A setting or a secret cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The health and metrics address cannot be used.
    #[error("failed to listen on {address}")]
    Listen {
        /// `http.listen`.
        address: std::net::SocketAddr,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The namespace is not this store's, or not any more (M13).
    #[error(transparent)]
    Custody(CustodyError),
    /// The file at the store's path is not the store any more: it was removed, moved or replaced (M13).
    #[error("the store was lost while running: {detail}")]
    Lost {
        /// What happened to which file.
        detail: String,
    },
    /// The store failed while running; the process has to end.
    #[error("the store failed while running; what is on disk decides at the next start")]
    Fatal,
}

/// Runs the service until `shutdown`, then stops in order: consuming, drives, relay, broker, store.
///
/// # Errors
/// [`AppError`]; nothing is lost by any of them.
pub async fn run(config: Config, shutdown: CancellationToken) -> Result<(), AppError> {
    let (config, parts) = parts::real(config).await?;
    run_with(&config, parts, shutdown).await
}

/// [`run`] over these parts.
///
/// # Errors
/// [`AppError`]; nothing is lost by any of them.
pub async fn run_with<B: Broker>(
    config: &Config,
    parts: Parts<B>,
    shutdown: CancellationToken,
) -> Result<(), AppError> {
    let app = tokio::select! {
        biased;
        started = App::of(config, parts) => started?,
        // It waits for room, and nothing has begun: no lane runs before `of` is over.
        () = shutdown.cancelled() => return Ok(()),
    };
    app.until(shutdown).await
}

/// A running service.
#[derive(Debug)]
pub struct App {
    driver: Arc<Driver>,
    lanes: Arc<Lanes>,
    link: Arc<Link>,
    drives: TaskTracker,
    edge: TaskTracker,
    loops: TaskTracker,
    stop_consuming: CancellationToken,
    stop_publishing: CancellationToken,
    stop_serving: CancellationToken,
    drain_limit: Duration,
}

impl App {
    /// Opens the store, recovers, and starts every task.
    ///
    /// # Errors
    /// [`AppError`].
    pub async fn start(config: Config) -> Result<Self, AppError> {
        let (config, parts) = parts::real(config).await?;
        Self::of(&config, parts).await
    }

    /// Recovers, and starts every task over these parts.
    ///
    /// # Errors
    /// [`AppError`].
    pub async fn of<B: Broker>(config: &Config, parts: Parts<B>) -> Result<Self, AppError> {
        let Parts { clock, opened, metrics, clients, broker, custody, process, link, edge } = parts;
        let room = Arc::new(Notify::new());
        let lanes = Arc::new(lanes(config, clients, &room));
        let Opened { store, reconcile, newest, .. } = opened;
        let (clock, reconcile) = clock::continued(&clock, &store, newest, reconcile).await?;
        let restored = Restored::since_start(reconcile);
        let driver = Arc::new(Driver {
            store,
            clock,
            metrics,
            shutdown: CancellationToken::new(),
            fatal: CancellationToken::new(),
            published: Arc::new(Notify::new()),
            custody,
        });
        let listener = listen(config).await?;
        who_starts(config, &driver.store).await?;
        let namespace = config.amqp.as_ref().map(|amqp| amqp.namespace.as_str());
        if let Some(error) = custody::elsewhere(&driver.store, namespace).await? {
            return Err(AppError::Custody(error));
        }
        let longest = config.providers.values().map(|provider| provider.request_timeout).max().unwrap_or_default();
        let app = Self {
            driver,
            lanes: Arc::clone(&lanes),
            link,
            drives: TaskTracker::new(),
            edge,
            loops: TaskTracker::new(),
            stop_consuming: CancellationToken::new(),
            stop_publishing: CancellationToken::new(),
            stop_serving: CancellationToken::new(),
            drain_limit: longest.saturating_add(RECORD_LIMIT),
        };
        // Before the recovery: where that waits for room, somebody has to be able to see why.
        let serving = app.stop_serving.clone().drop_guard();
        let began = app.serve(listener, &lanes, broker.is_some());
        account::at_start(&app.driver.store, config, clock.now()).await?;
        let mark = restored.mark();
        let custody = &app.driver.custody;
        account::forgotten_at_start(&app.driver.store, custody, config, mark.as_deref(), broker.is_some()).await?;
        recover(&app.driver, &lanes, &restored).await?;
        let wakes = app.prepare_lanes(&lanes, &restored).await?;
        // From here on nothing is waited for: who gives up a start has given up nothing that had begun.
        for (wake, kept) in wakes {
            app.own(wake.run(kept));
        }
        let forgetting = Forgetting { store: app.driver.store.clone(), clock, retention: config.store.retention };
        app.own(forgetting.run(app.driver.shutdown.clone(), app.driver.fatal.clone()));
        let replayer = Replayer::new(app.driver.store.clone(), clock, Rules::of(config));
        app.own(replayer.run(app.driver.shutdown.clone(), app.driver.fatal.clone()));
        if let Some(broker) = broker {
            let namespace = config.amqp.as_ref().map_or_else(String::new, |amqp| amqp.namespace.clone());
            let of = Of { namespace, process, longest_call: longest, accounts: account::forgotten::named(config) };
            let store = app.driver.store.clone();
            let custodian = Custodian::new(Arc::clone(&app.driver.custody), store, restored.clone(), clock, of);
            let intake = Intake {
                driver: Arc::clone(&app.driver),
                lanes: Arc::clone(&lanes),
                providers: Arc::new(config_providers(&config.providers, config.default_provider.as_deref())),
                room,
                tracker: app.drives.clone(),
                restored,
            };
            let relay = Relay { store: app.driver.store.clone(), clock, published: Arc::clone(&app.driver.published) };
            let supervisor = Supervisor {
                broker,
                intake,
                relay,
                custodian,
                link: Arc::clone(&app.link),
                clock,
                stop_consuming: app.stop_consuming.clone(),
                stop_publishing: app.stop_publishing.clone(),
            };
            app.own(supervisor.run());
        }
        serving.disarm();
        began.store(true, Ordering::Relaxed);
        info!(providers = lanes.len(), start_ms = clock.uptime().as_millis(), "the worker runs");
        Ok(app)
    }

    /// The store, for who started the service in its own process.
    pub fn store(&self) -> &Store {
        &self.driver.store
    }

    /// Its lanes, for who records jobs in its own process.
    pub fn lanes(&self) -> Arc<Lanes> {
        Arc::clone(&self.lanes)
    }

    /// Runs until `shutdown`, a failure of the store, or the loss of its namespace, then stops in order.
    ///
    /// # Errors
    /// [`AppError::Fatal`] where the store failed, [`AppError::Custody`] where the namespace is not this store's.
    pub async fn until(self, shutdown: CancellationToken) -> Result<(), AppError> {
        tokio::select! {
            biased;
            () = shutdown.cancelled() => info!("stopping: nothing new is taken"),
            () = self.driver.fatal.cancelled() => error!("stopping: the store failed"),
            () = self.driver.custody.lost() => {
                let why = self.driver.custody.lost_by();
                error!(error = why.as_ref().map(tracing::field::display), "stopping: the namespace is not this store's to work on");
            }
            // Whoever met it, and whether or not there is work: what is on disk decides, at the next start (M12).
            _ = self.driver.store.health_when(|health| matches!(health, Health::Failed { .. })) => {
                error!("stopping: the store failed");
                self.driver.fatal.cancel();
            }
        }
        self.stop().await
    }

    async fn stop(self) -> Result<(), AppError> {
        let has_failed =
            |driver: &Driver| driver.fatal.is_cancelled() || matches!(driver.store.health(), Health::Failed { .. });
        let failed = has_failed(&self.driver);
        self.stop_consuming.cancel();
        self.driver.shutdown.cancel();
        self.drives.close();
        let drain = if failed { RECORD_LIMIT } else { self.drain_limit };
        if !self.drives.is_empty() {
            info!(
                jobs = self.drives.len(),
                limit_s = drain.as_secs(),
                "what has been sent is waited for and recorded; a second signal ends at once, and nothing is lost by it"
            );
        }
        if tokio::time::timeout(drain, self.drives.wait()).await.is_err() {
            warn!(limit_s = drain.as_secs(), "some drives did not end in time; the next start settles them");
        }
        self.stop_publishing.cancel();
        self.loops.close();
        if tokio::time::timeout(FLUSH_LIMIT, self.loops.wait()).await.is_err() {
            warn!(
                limit_s = FLUSH_LIMIT.as_secs(),
                "the outbox was not empty in time; the rest is published after the next start"
            );
        }
        self.stop_serving.cancel();
        self.edge.close();
        let failed = failed || has_failed(&self.driver);
        // The end of the trail leaves the machine with the log (M13).
        let audit = self.driver.store.standing().await.map(|standing| standing.audit).ok();
        self.driver.store.close().await;
        if failed {
            return Err(ended_by(self.driver.store.health()));
        }
        if let Some(error) = self.driver.custody.lost_by() {
            return Err(AppError::Custody(error));
        }
        let (audit_rows, audit_head) = audit.map(|audit| (audit.rows, audit.hash)).unzip();
        info!(audit_rows, audit_head, "stopped");
        Ok(())
    }

    /// Spawns a loop that lives as long as the service: one that panics takes the process down, for a service that looks
    /// alive and takes nothing is worse than a restart.
    fn own(&self, work: impl Future<Output = ()> + Send + 'static) {
        let guard = FatalOnPanic(self.driver.fatal.clone());
        self.loops.spawn(async move {
            let _guard = guard;
            work.await;
        });
    }

    /// Reads how every lane stood; none runs yet.
    async fn prepare_lanes(&self, lanes: &Lanes, restored: &Restored) -> Result<Vec<(Wake, Kept)>, AppError> {
        let mut wakes = Vec::with_capacity(lanes.len());
        for lane in lanes.values() {
            let wake = Wake {
                lane: Arc::clone(lane),
                driver: Arc::clone(&self.driver),
                tracker: self.drives.clone(),
                restored: restored.clone(),
            };
            let kept = wake.prepare().await?;
            wakes.push((wake, kept));
        }
        Ok(wakes)
    }

    /// Serves health and metrics; the answer is to be set when the service takes jobs.
    fn serve(&self, listener: Option<TcpListener>, lanes: &Arc<Lanes>, amqp: bool) -> Arc<AtomicBool> {
        let began = Arc::new(AtomicBool::new(false));
        let Some(listener) = listener else { return began };
        let readiness = {
            let (driver, link, lanes) = (Arc::clone(&self.driver), Arc::clone(&self.link), Arc::clone(lanes));
            let began = Arc::clone(&began);
            Box::new(move || {
                let ready = readiness(began.load(Ordering::Relaxed), &driver, amqp.then_some(&*link), &lanes);
                Box::pin(async move { ready }) as _
            })
        };
        let metrics = {
            let (driver, link) = (Arc::clone(&self.driver), Arc::clone(&self.link));
            Box::new(move || {
                let (driver, link) = (Arc::clone(&driver), Arc::clone(&link));
                Box::pin(async move { render(&driver, &link).await.map_err(|error| error.to_string()) }) as _
            })
        };
        let probe = Arc::new(Probe { readiness, metrics });
        self.edge.spawn(crate::http::serve(listener, probe, self.stop_serving.clone()));
        began
    }
}

struct FatalOnPanic(CancellationToken);

/// Why a store that failed ends the service.
fn ended_by(health: Health) -> AppError {
    match health {
        Health::Failed { detail } if StoreError::Failed(detail.clone()).is_of_a_lost_file() => {
            AppError::Lost { detail }
        }
        _ => AppError::Fatal,
    }
}

impl Drop for FatalOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            error!("a loop of the service panicked");
            self.0.cancel();
        }
    }
}

/// One line that says which worker this is.
async fn who_starts(config: &Config, store: &Store) -> Result<(), StoreError> {
    let Standing { store_id, audit, .. } = store.standing().await?;
    info!(
        version = env!("CARGO_PKG_VERSION"),
        config = %config.file.display(),
        store = %config.store.path.display(),
        store_id,
        namespace = config.amqp.as_ref().map(|amqp| amqp.namespace.as_str()),
        listen = config.http.listen.map(tracing::field::display),
        audit_rows = audit.rows,
        audit_head = audit.hash,
        "the worker starts"
    );
    Ok(())
}

async fn listen(config: &Config) -> Result<Option<TcpListener>, AppError> {
    let Some(address) = config.http.listen else { return Ok(None) };
    match TcpListener::bind(address).await {
        Ok(listener) => Ok(Some(listener)),
        Err(source) => Err(AppError::Listen { address, source }),
    }
}
