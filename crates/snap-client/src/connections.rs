//! The connections that carry transactions: made when needed, used again while they are good, closed when idle.
//!
//! Everything is switched off by not being there that could send twice, elsewhere or for ever: no redirects, no proxies,
//! no cookies, no retry of what may have been sent. What a connection hands back unsent goes out on another one.

use std::error::Error as StdError;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hyper::Uri;
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::connect::HttpConnector;
use snap_core::{Service, Timestamp};
use tokio::time::Instant;
use tower_service::Service as _;

use crate::connection::{Connection, Heard, Outgoing, Unheard};
use crate::reply::{Answered, NotSentReason, Reply, Silence};
use crate::socket::Sockets;
use crate::trouble::{detail, not_sent_reason};
use crate::{ClientConfig, Fuse, headers};

/// Below the idle limits met in the field (5 s for Node, 60–75 s for load balancers) only where that costs nothing:
/// a closed connection is noticed before it is used again, so this bounds silent drops by firewalls.
const IDLE: Duration = Duration::from_secs(15);

/// The connections to one provider.
pub(crate) struct Connections {
    connector: HttpsConnector<Sockets>,
    /// The address as the connector wants it.
    target: Uri,
    connect_limit: Duration,
    request_timeout: Duration,
    pool: Arc<Pool>,
}

/// Connections that wait for the next request.
struct Pool {
    /// The latest used last, so that what is not needed grows old.
    idle: Mutex<Vec<Idle>>,
    idle_max: usize,
}

struct Idle {
    connection: Box<Connection>,
    since: Instant,
    /// The service whose answer came last and did not name its request: a copy of it would pass for the answer to the next
    /// request of that service, and for no other's.
    unnamed: Option<Service>,
}

/// The connection that an answer came by; dropped, it is closed (M15).
///
/// Whether the answer belongs to the request is known only to the reader of the body, so keeping it is the caller's to do.
#[must_use = "a connection whose answer was understood is to be kept"]
#[derive(Default)]
pub struct UsedConnection(Option<Used>);

struct Used {
    connection: Box<Connection>,
    pool: Arc<Pool>,
    service: Service,
}

/// How surely an answer that was understood belongs to its request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Belongs {
    /// It names the request's own reference.
    Named,
    /// It names none: by its service alone.
    ByService,
}

impl UsedConnection {
    /// None: nothing to keep.
    pub const fn none() -> Self {
        Self(None)
    }

    /// The next request may go by it: its answer was whole and understood, and says that it `belongs` to its request.
    ///
    /// Where that is by service alone, the next request is one of another service, so that a copy of the answer that comes
    /// late is known for what it is.
    pub fn keep(self, belongs: Belongs) {
        let Some(Used { connection, pool, service }) = self.0 else { return };
        let unnamed = (belongs == Belongs::ByService).then_some(service);
        pool.put_back(Idle { connection, since: Instant::now(), unnamed });
    }
}

impl Connections {
    pub(crate) fn new(config: &ClientConfig, tls: rustls::ClientConfig, target: Uri) -> Self {
        let mut tcp = HttpConnector::new();
        tcp.set_nodelay(true);
        tcp.enforce_http(false);
        // Divided among the addresses of a name, so that one that is dead does not use it up.
        tcp.set_connect_timeout(Some(connect_limit(config)));
        let mut connector = HttpsConnector::from((Sockets(tcp), tls));
        if target.scheme_str() == Some("https") {
            connector.enforce_https();
        }
        Self {
            connector,
            target,
            connect_limit: connect_limit(config),
            request_timeout: config.request_timeout,
            pool: Arc::new(Pool { idle: Mutex::default(), idle_max: config.pool_size }),
        }
    }

    /// Sends the request once, unless the fuse says why not, and reads the answer; `now` is only used to read a `Retry-After`
    /// date.
    pub(crate) async fn send(
        &self,
        service: Service,
        request: Outgoing,
        now: Timestamp,
        fuse: Fuse<'_>,
    ) -> (Reply, UsedConnection) {
        let started = Instant::now();
        let mut request = request;
        let reply = loop {
            let (mut connection, reused) = match self.pool.take(service) {
                Some(connection) => (connection, true),
                None => match self.connect().await {
                    Ok(connection) => (connection, false),
                    Err((why, detail)) => break Reply::NotSent { why, detail, elapsed: started.elapsed() },
                },
            };
            if let Some(detail) = fuse() {
                break Reply::NotSent { why: NotSentReason::Stale, detail, elapsed: started.elapsed() };
            }
            let mut http_status = None;
            let exchange = connection.exchange(request, &mut http_status);
            match tokio::time::timeout_at(started + self.request_timeout, exchange).await {
                Ok(Ok(heard)) => return self.heard(service, connection, heard, now, started),
                // It was closed while it was idle, and not a byte was written.
                Ok(Err(Unheard::Unsent(unsent, _))) if reused => request = *unsent,
                Ok(Err(Unheard::Unsent(_, detail))) => {
                    break Reply::NotSent { why: NotSentReason::Connect, detail, elapsed: started.elapsed() };
                }
                Ok(Err(Unheard::Silent(why, detail))) => {
                    break Reply::Silent { why, detail, http_status, elapsed: started.elapsed() };
                }
                Err(_elapsed) => {
                    let (why, detail) = (Silence::Timeout, "the request's time ran out".to_owned());
                    break Reply::Silent { why, detail, http_status, elapsed: started.elapsed() };
                }
            }
        };
        (reply, UsedConnection::none())
    }

    /// A whole answer, and its connection where it may be used again.
    fn heard(
        &self,
        service: Service,
        mut connection: Box<Connection>,
        heard: Heard,
        now: Timestamp,
        started: Instant,
    ) -> (Reply, UsedConnection) {
        let Heard { head, body, interim } = heard;
        let http_status = head.status.as_u16();
        let is_open = connection.rest();
        let surplus = connection.had_surplus();
        // After a 5xx (a proxy's 504 above all) the real answer may still be on its way.
        let used = (is_open && !interim && (200..500).contains(&http_status)).then(|| Used {
            connection,
            pool: Arc::clone(&self.pool),
            service,
        });
        let date = headers::date(&head.headers);
        let retry_after = headers::retry_after(&head.headers, date.unwrap_or(now));
        let answered = Answered { http_status, body, surplus, retry_after, date, elapsed: started.elapsed() };
        (Reply::Answered(answered), UsedConnection(used))
    }

    /// Closes what has been idle for long, or was closed by the peer.
    pub(crate) fn close_idle(&self) {
        let now = Instant::now();
        self.pool.idle().retain_mut(|idle| now - idle.since < IDLE && idle.connection.rest());
    }

    /// Until it returns a connection, nothing of a request has left.
    async fn connect(&self) -> Result<Box<Connection>, (NotSentReason, String)> {
        let failed = |error: &(dyn StdError + 'static)| (not_sent_reason(error), detail(error));
        let connect = async {
            let stream = self.connector.clone().call(self.target.clone()).await.map_err(|error| failed(&*error))?;
            Connection::new(stream).await.map_err(|error| failed(&error))
        };
        tokio::time::timeout(self.connect_limit, connect)
            .await
            .unwrap_or_else(|_elapsed| Err((NotSentReason::ConnectTimeout, "no connection within its time".to_owned())))
    }
}

impl Pool {
    /// One that is open, silent and good for a request of this service.
    fn take(&self, service: Service) -> Option<Box<Connection>> {
        let now = Instant::now();
        loop {
            let Idle { mut connection, since, .. } = {
                let mut idle = self.idle();
                let place = idle.iter().rposition(|idle| idle.unnamed != Some(service))?;
                idle.remove(place)
            };
            // The last look before the request is written (M15).
            if now - since < IDLE && connection.rest() {
                return Some(connection);
            }
        }
    }

    fn put_back(&self, kept: Idle) {
        let mut idle = self.idle();
        if idle.len() < self.idle_max {
            idle.push(kept);
        }
    }

    /// Every change is complete before the lock is let go, so a poisoned one is still whole.
    fn idle(&self) -> MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connect that hangs must end as "not sent", so it has to end before the whole call does.
pub(crate) fn connect_limit(config: &ClientConfig) -> Duration {
    config.connect_timeout.min(config.request_timeout - config.request_timeout / 10)
}

impl std::fmt::Debug for UsedConnection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UsedConnection").field("open", &self.0.is_some()).finish()
    }
}
