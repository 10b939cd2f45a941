//! What a part of the worker stands on in a test: the real store, lanes and client, over a provider and a disk that do as
//! they are told.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use outbox::{Accepted, Between, Carried, DeadLetter, DeadLetterFilter, OpenOptions, Passage, Passing};
use outbox::{JobRequest, Store, StoreError, StoredJob};
use serde_json::{Value, json};
use snap_client::{
    Answered, BoxFuture, By, Bytes, NotSentReason, Reply, Request, SnapClient, UsedConnection, Way, Wire,
};
use snap_core::{Service, Timestamp};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clock::{Clock, Source};
use crate::config::Config;
use crate::custody::Custody;
use crate::drive::{Driver, Purpose};
use crate::intake::{Asked, body_of, new_job};
use crate::lane::{Gate, Lane, LaneParts};
use crate::message::{self, Providers};
use crate::ops::fixture::{NOW, config_with};
use crate::telemetry::metrics::{Metrics, StoreSnapshot};

/// The lanes; jobs are for the first.
const LANES: [&str; 2] = ["finpay", "midtrans"];
/// One way to the provider and back.
const WAY: Duration = Duration::from_millis(20);

/// The clocks of a stage: they go on with the runtime's time, and are wrong as they are told to be.
#[derive(Debug)]
pub(crate) struct Clocks {
    begun: tokio::time::Instant,
    /// How far the wall clock is off, in milliseconds.
    off: std::sync::atomic::AtomicI64,
    /// How long the machine has slept, in milliseconds.
    slept: std::sync::atomic::AtomicI64,
    boot: std::sync::atomic::AtomicI64,
}

impl Clocks {
    /// For the rest of the tests' process: a source is one for good.
    pub(crate) fn begin() -> &'static Self {
        let (begun, zero) = (tokio::time::Instant::now(), std::sync::atomic::AtomicI64::default);
        Box::leak(Box::new(Self { begun, off: zero(), slept: zero(), boot: zero() }))
    }

    /// The wall clock is set by so much.
    pub(crate) fn set(&self, off: Duration, ahead: bool) {
        let by = i64::try_from(off.as_millis()).expect("a test's durations are short");
        self.off.fetch_add(if ahead { by } else { -by }, Ordering::Relaxed);
    }

    /// The machine sleeps: what counts monotonically stands.
    pub(crate) fn sleep(&self, span: Duration) {
        let by = i64::try_from(span.as_millis()).expect("a test's durations are short");
        self.slept.fetch_add(by, Ordering::Relaxed);
    }

    /// The machine boots anew.
    pub(crate) fn boot(&self) {
        self.boot.fetch_add(1, Ordering::Relaxed);
    }

    /// Since the stage began.
    fn passed(&self) -> Duration {
        self.begun.elapsed() + Duration::from_millis(self.slept.load(Ordering::Relaxed).unsigned_abs())
    }
}

impl Source for Clocks {
    fn wall(&self) -> Timestamp {
        let true_time = NOW.plus(self.passed()).as_millis();
        Timestamp::from_millis(true_time + self.off.load(Ordering::Relaxed))
    }

    fn boottime(&self) -> Duration {
        Duration::from_secs(3600) + self.passed()
    }

    fn boot(&self) -> String {
        format!("boot-{}", self.boot.load(Ordering::Relaxed))
    }

    fn random(&self) -> u64 {
        Clock::start().random()
    }
}

/// The world of one part.
pub(crate) struct Stage {
    pub(crate) clocks: &'static Clocks,
    pub(crate) driver: Arc<Driver>,
    pub(crate) lanes: Arc<BTreeMap<String, Arc<Lane>>>,
    pub(crate) room: Arc<Notify>,
    pub(crate) providers: Arc<Providers>,
    pub(crate) provider: Arc<Provider>,
    pub(crate) disk: Arc<Disk>,
    _folder: tempfile::TempDir,
}

impl Stage {
    /// With lanes of so many callers each.
    pub(crate) fn new(callers: usize) -> Self {
        let folder = tempfile::tempdir().expect("a directory is made");
        let clocks = Clocks::begin();
        let (clock, disk) = (Clock::of(clocks), Arc::new(Disk::default()));
        let options = OpenOptions { reserve_bytes: 0, min_free_bytes: 0, ..OpenOptions::default() };
        let between: Arc<dyn Between> = Arc::<Disk>::clone(&disk);
        let opened = Store::open_here(&folder.path().join("worker.db"), clock.now(), &options, between);
        let driver = Driver {
            store: opened.expect("a new store opens").store,
            clock,
            metrics: Arc::new(Metrics::new(LANES, true)),
            shutdown: CancellationToken::new(),
            fatal: CancellationToken::new(),
            published: Arc::new(Notify::new()),
            custody: Arc::new(Custody::without_broker()),
        };
        let (config, room, provider) = (config(), Arc::new(Notify::new()), Arc::new(Provider::default()));
        let lane = |name: &str| {
            let of = &config.providers[name];
            let wire: Arc<dyn Wire> = Arc::<Provider>::clone(&provider);
            let client = SnapClient::over(of.client_config().expect("the secrets are there"), wire);
            let parts = LaneParts {
                name: name.into(),
                profile: Arc::clone(&of.profile),
                policy: of.policy(),
                send_within: of.send_within(),
                client: client.expect("the settings are right"),
                max_in_flight: callers,
                rate_limit: 0,
                gate: Gate::new(Duration::from_secs(2), Duration::from_secs(20)),
            };
            (name.to_owned(), Arc::new(Lane::new(parts, Arc::clone(&room))))
        };
        let lanes = Arc::new(BTreeMap::from(LANES.map(lane)));
        let providers = crate::app::config_providers(&config.providers, config.default_provider.as_deref());
        Self {
            clocks,
            driver: Arc::new(driver),
            lanes,
            room,
            providers: Arc::new(providers),
            provider,
            disk,
            _folder: folder,
        }
    }

    pub(crate) fn lane(&self) -> &Arc<Lane> {
        &self.lanes[LANES[0]]
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.driver.clock.now()
    }

    /// A job that was accepted, to be driven at once.
    pub(crate) async fn accepted(&self, reference: &str) -> StoredJob {
        self.accepted_with(reference, Carried::default()).await
    }

    /// [`Stage::accepted`], with what its message brought along.
    pub(crate) async fn accepted_with(&self, reference: &str, carried: Carried) -> StoredJob {
        self.accepted_until(reference, carried, None).await
    }

    /// [`Stage::accepted_with`], not to be sent after this.
    pub(crate) async fn accepted_until(
        &self,
        reference: &str,
        carried: Carried,
        not_after: Option<Timestamp>,
    ) -> StoredJob {
        let body = job(reference);
        let request = message::parse(&body, None, &self.providers).expect("the message is right");
        let request = JobRequest { not_after, ..request };
        let delivered = move || body_of(&body, Value::Null, Value::Null);
        let asked = Asked { request, carried, delivered, due_at: None, at: self.now() };
        let new = new_job(&self.driver.clock, &self.lane().policy, asked, None);
        match self.driver.store.accept(vec![new]).await.expect("the store takes it").remove(0) {
            Accepted::New(job) => *job,
            other => panic!("it is not new: {other:?}"),
        }
    }

    /// Drives these jobs side by side until each waits or rests, and says how they stand then.
    pub(crate) async fn driven(&self, jobs: Vec<StoredJob>) -> Vec<StoredJob> {
        let (ids, tracker): (Vec<_>, _) = (jobs.iter().map(|job| job.id).collect(), TaskTracker::new());
        for job in jobs {
            let slot = self.lane().try_slot().expect("there is a slot");
            self.driver.start(&tracker, slot, job, Purpose::Work);
        }
        tracker.close();
        tracker.wait().await;
        let mut stand = Vec::new();
        for id in ids {
            stand.push(self.driver.store.job(id).await.expect("the store is read").expect("it is there"));
        }
        stand
    }

    /// [`Stage::driven`] of one job, from its acceptance.
    pub(crate) async fn one(&self) -> StoredJob {
        let job = self.accepted("PART-1").await;
        self.driven(vec![job]).await.remove(0)
    }

    pub(crate) async fn letters(&self) -> Vec<DeadLetter> {
        let page = self.driver.store.dead_letters(DeadLetterFilter::default(), None, 100).await;
        page.expect("the store is read").items
    }

    /// A line of the metrics: what stands behind its name and labels.
    pub(crate) fn counted(&self, line: &str) -> Option<String> {
        let text = self.driver.metrics.render(&StoreSnapshot::default(), self.now());
        text.lines().find_map(|of| of.strip_prefix(line)?.strip_prefix(' ').map(str::to_owned))
    }
}

/// A message of the first lane.
pub(crate) fn job(reference: &str) -> Vec<u8> {
    let message = json!({
        "partnerReferenceNo": reference,
        "customerNumber": "081977817901",
        "amount": idr("10000.00"),
    });
    message.to_string().into_bytes()
}

/// What a provider says next, and what it was asked. Where nothing is told it says yes.
#[derive(Debug, Default)]
pub(crate) struct Provider {
    next: Mutex<Vec<(Service, Reply)>>,
    asked: Mutex<Vec<(Service, Value)>>,
    /// The services that were called by a new connection, in order.
    by_new: Mutex<Vec<Service>>,
    /// Calls under way, and the most there were at a time.
    under_way: Mutex<(usize, usize)>,
    /// The clock by which its answers are dated; none: they are not.
    dated: Mutex<Option<&'static Clocks>>,
}

impl Provider {
    /// To the next call of a service that nothing is told about yet.
    pub(crate) fn says(&self, service: Service, reply: Reply) {
        locked(&self.next).push((service, reply));
    }

    /// From now on its answers have a `Date`, of the time as it is.
    pub(crate) fn dates_its_answers(&self, clocks: &'static Clocks) {
        *locked(&self.dated) = Some(clocks);
    }

    /// The services called, in order, and what with.
    pub(crate) fn asked(&self) -> Vec<(Service, Value)> {
        locked(&self.asked).clone()
    }

    /// The services that had to be called by a new connection, in order.
    pub(crate) fn by_new(&self) -> Vec<Service> {
        locked(&self.by_new).clone()
    }

    /// How often a service was called.
    pub(crate) fn times(&self, service: Service) -> usize {
        locked(&self.asked).iter().filter(|(asked, _)| *asked == service).count()
    }

    pub(crate) fn most_at_a_time(&self) -> usize {
        locked(&self.under_way).1
    }

    async fn answer(&self, service: Service, body: Bytes) -> Reply {
        let body: Value = serde_json::from_slice(&body).unwrap_or_default();
        locked(&self.asked).push((service, body.clone()));
        {
            let (now, most) = &mut *locked(&self.under_way);
            *now += 1;
            *most = (*now).max(*most);
        }
        tokio::time::sleep(WAY).await;
        locked(&self.under_way).0 -= 1;
        let mut next = locked(&self.next);
        let mut reply = match next.iter().position(|(of, _)| *of == service) {
            Some(place) => next.remove(place).1,
            None => answered(200, &yes(service, &body)),
        };
        if let (Reply::Answered(answered), Some(clocks)) = (&mut reply, *locked(&self.dated)) {
            answered.date = Some(NOW.plus(clocks.passed()));
        }
        reply
    }
}

impl Wire for Provider {
    fn transaction<'a>(
        &'a self,
        service: Service,
        request: Request<Bytes>,
        _now: Timestamp,
        way: Way<'a>,
    ) -> BoxFuture<'a, (Reply, UsedConnection)> {
        if let Some(detail) = (way.fuse)() {
            let reply = Reply::NotSent { why: NotSentReason::Stale, detail, elapsed: Duration::ZERO };
            return Box::pin(async { (reply, UsedConnection::none()) });
        }
        if matches!(way.by, By::New) {
            locked(&self.by_new).push(service);
        }
        Box::pin(async move { (self.answer(service, request.into_body()).await, UsedConnection::none()) })
    }

    fn token(&self, request: Request<Bytes>, _now: Timestamp) -> BoxFuture<'_, (Reply, Option<Timestamp>)> {
        Box::pin(async { (self.answer(Service::AccessToken, request.into_body()).await, None) })
    }

    fn close_idle(&self) {}
}

fn yes(service: Service, asked: &Value) -> Value {
    let code = format!("200{:02}00", service.code());
    let mut answer = json!({ "responseCode": code, "responseMessage": "Successful" });
    match service {
        Service::AccessToken => {
            (answer["accessToken"], answer["tokenType"], answer["expiresIn"]) =
                (json!("t"), json!("Bearer"), json!("900"));
        }
        Service::AccountInquiry => {
            (answer["customerName"], answer["feeAmount"]) = (json!("bu** sa****o"), idr("250.00"));
        }
        Service::TopUp => {
            answer["partnerReferenceNo"] = asked["partnerReferenceNo"].clone();
            answer["referenceNo"] = json!("38000000000000000001");
        }
        Service::TopUpStatus | Service::TransferStatus => {
            answer["originalPartnerReferenceNo"] = asked["originalPartnerReferenceNo"].clone();
            answer["latestTransactionStatus"] = json!("00");
            answer["amount"] = idr("10000.00");
        }
    }
    answer
}

pub(crate) fn idr(value: &str) -> Value {
    json!({ "value": value, "currency": "IDR" })
}

/// An answer of the provider.
pub(crate) fn answered(http_status: u16, body: &Value) -> Reply {
    let body = Bytes::from(body.to_string());
    Reply::Answered(Answered {
        http_status,
        body,
        surplus: false,
        may_be_earlier: false,
        retry_after: None,
        date: None,
        elapsed: WAY,
    })
}

/// A refusal in SNAP's words.
pub(crate) fn refused(http: u16, service: Service, case: u8) -> Reply {
    let code = format!("{http}{:02}{case:02}", service.code());
    answered(http, &json!({ "responseCode": code, "responseMessage": "No" }))
}

/// The provider does not know the reference.
pub(crate) fn not_found() -> Reply {
    let code = json!({ "responseCode": "2003900", "responseMessage": "Successful", "latestTransactionStatus": "07" });
    answered(200, &code)
}

/// Nobody was there: no byte has left.
pub(crate) fn not_sent() -> Reply {
    Reply::NotSent { why: NotSentReason::Connect, detail: "refused".to_owned(), elapsed: WAY }
}

/// A disk on which the next commands fail that were told to.
#[derive(Debug, Default)]
pub(crate) struct Disk {
    told: Mutex<Vec<(&'static str, StoreError)>>,
    commands: Mutex<Vec<&'static str>>,
}

impl Disk {
    /// The next command whose type has this in its name fails, and nothing of it is done.
    pub(crate) fn fails(&self, command: &'static str, error: StoreError) {
        locked(&self.told).push((command, error));
    }

    /// Commands so far whose type has this in its name.
    pub(crate) fn times(&self, command: &str) -> usize {
        locked(&self.commands).iter().filter(|name| name.contains(command)).count()
    }
}

impl Between for Disk {
    fn before(&self, what: Passing) -> Passage<'_> {
        let Passing::Write(name) = what else { return Box::pin(async { Ok(()) }) };
        locked(&self.commands).push(name);
        let mut fails = locked(&self.told);
        let place = fails.iter().position(|(command, _)| name.contains(command));
        let failed = place.map(|place| fails.remove(place).1);
        Box::pin(async { failed.map_or(Ok(()), Err) })
    }

    fn after(&self, _what: Passing) -> Passage<'_> {
        Box::pin(async { Ok(()) })
    }
}

pub(crate) fn locked<T>(what: &Mutex<T>) -> MutexGuard<'_, T> {
    what.lock().unwrap_or_else(PoisonError::into_inner)
}

fn config() -> Config {
    let key = snap_sim::Credentials::throwaway().private_key_pem.expect("the test key is there");
    config_with(&key, |name| format!("[providers.{name}.retry]\ninitial = \"700ms\"\nmax = \"10s\"\n"))
}
