//! The connections that carry transactions: made when needed, used again while they are good, closed when idle.
//!
//! Everything is switched off by not being there that could send twice, elsewhere or for ever: no redirects, no proxies,
//! no cookies, no retry of what may have been sent. What a connection hands back unsent goes out on another one.

use std::error::Error as StdError;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hyper::Uri;
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::connect::HttpConnector;
use snap_core::Timestamp;
use tokio::time::Instant;
use tower_service::Service as _;

use crate::connection::{Connection, Heard, Outgoing, Unheard};
use crate::reply::{Answered, NotSentReason, Reply, Silence};
use crate::trouble::{detail, not_sent_reason};
use crate::{ClientConfig, Fuse, headers};

/// Below the idle limits met in the field (5 s for Node, 60–75 s for load balancers) only where that costs nothing:
/// a closed connection is noticed before it is used again, so this bounds silent drops by firewalls.
pub(crate) const IDLE: Duration = Duration::from_secs(15);

/// The connections to one provider.
pub(crate) struct Connections {
    connector: HttpsConnector<HttpConnector>,
    /// The address as the connector wants it.
    target: Uri,
    connect_limit: Duration,
    request_timeout: Duration,
    /// The latest used last, so that what is not needed grows old.
    idle: Mutex<Vec<Idle>>,
    idle_max: usize,
}

struct Idle {
    connection: Box<Connection>,
    since: Instant,
}

impl Connections {
    pub(crate) fn new(config: &ClientConfig, tls: rustls::ClientConfig, target: Uri) -> Self {
        let mut tcp = HttpConnector::new();
        tcp.set_nodelay(true);
        tcp.enforce_http(false);
        // Divided among the addresses of a name, so that one that is dead does not use it up.
        tcp.set_connect_timeout(Some(connect_limit(config)));
        let mut connector = HttpsConnector::from((tcp, tls));
        if target.scheme_str() == Some("https") {
            connector.enforce_https();
        }
        Self {
            connector,
            target,
            connect_limit: connect_limit(config),
            request_timeout: config.request_timeout,
            idle: Mutex::default(),
            idle_max: config.pool_size,
        }
    }

    /// Sends the request once, unless the fuse says why not, and reads the answer; `now` is only used to read a `Retry-After`
    /// date.
    pub(crate) async fn send(&self, request: Outgoing, now: Timestamp, fuse: Fuse<'_>) -> Reply {
        let started = Instant::now();
        let mut request = request;
        loop {
            let (mut connection, reused) = match self.take() {
                Some(connection) => (connection, true),
                None => match self.connect().await {
                    Ok(connection) => (connection, false),
                    Err((why, detail)) => return Reply::NotSent { why, detail, elapsed: started.elapsed() },
                },
            };
            if let Some(detail) = fuse() {
                self.put_back(connection);
                return Reply::NotSent { why: NotSentReason::Stale, detail, elapsed: started.elapsed() };
            }
            let mut http_status = None;
            let exchange = connection.exchange(request, &mut http_status);
            match tokio::time::timeout_at(started + self.request_timeout, exchange).await {
                Ok(Ok(heard)) => {
                    self.put_back(connection);
                    return answered(heard, now, started.elapsed());
                }
                // It was closed while it was idle, and not a byte was written.
                Ok(Err(Unheard::Unsent(unsent, _))) if reused => request = *unsent,
                Ok(Err(Unheard::Unsent(_, detail))) => {
                    return Reply::NotSent { why: NotSentReason::Connect, detail, elapsed: started.elapsed() };
                }
                Ok(Err(Unheard::Silent(why, detail))) => {
                    return Reply::Silent { why, detail, http_status, elapsed: started.elapsed() };
                }
                Err(_elapsed) => {
                    let (why, detail) = (Silence::Timeout, "the request's time ran out".to_owned());
                    return Reply::Silent { why, detail, http_status, elapsed: started.elapsed() };
                }
            }
        }
    }

    /// Closes what has been idle for long, or was closed by the peer.
    pub(crate) fn close_idle(&self) {
        let now = Instant::now();
        self.idle().retain_mut(|idle| now - idle.since < IDLE && idle.connection.rest());
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

    fn take(&self) -> Option<Box<Connection>> {
        let now = Instant::now();
        loop {
            let Idle { mut connection, since } = self.idle().pop()?;
            if now - since >= IDLE {
                // The rest has been idle for longer.
                self.idle().clear();
                return None;
            }
            if connection.rest() {
                return Some(connection);
            }
        }
    }

    fn put_back(&self, mut connection: Box<Connection>) {
        if !connection.rest() {
            return;
        }
        let mut idle = self.idle();
        if idle.len() < self.idle_max {
            idle.push(Idle { connection, since: Instant::now() });
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

fn answered(heard: Heard, now: Timestamp, elapsed: Duration) -> Reply {
    let Heard { head, body } = heard;
    let date = headers::date(&head.headers);
    let retry_after = headers::retry_after(&head.headers, date.unwrap_or(now));
    Reply::Answered(Answered { http_status: head.status.as_u16(), body, retry_after, date, elapsed })
}
