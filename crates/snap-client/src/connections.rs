//! The connections that carry transactions: made when needed, used again while they are good, closed when idle.
//!
//! Everything is switched off by not being there that could send twice, elsewhere or for ever: no redirects, no proxies,
//! no cookies, no retry of what may have been sent. What a connection hands back unsent goes out on another one.

use std::error::Error as StdError;
use std::sync::Arc;
use std::time::Duration;

use hyper::Uri;
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::connect::HttpConnector;
use snap_core::{Service, Timestamp};
use tokio::time::Instant;
use tower_service::Service as _;

use crate::connection::{Connection, Heard, Outgoing, Unheard};
use crate::pool::{Pool, UsedConnection};
use crate::reply::{Answered, NotSentReason, Reply, Silence};
use crate::socket::Sockets;
use crate::trouble::{detail, not_sent_reason};
use crate::{By, ClientConfig, Way, headers};

/// The connections to one provider.
pub(crate) struct Connections {
    connector: HttpsConnector<Sockets>,
    /// The address as the connector wants it.
    target: Uri,
    connect_limit: Duration,
    request_timeout: Duration,
    pool: Arc<Pool>,
}

/// A call whose answer came.
#[derive(Clone, Copy)]
struct Call {
    service: Service,
    started: Instant,
    until: Instant,
    may_be_earlier: bool,
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
            pool: Arc::new(Pool::new(config.pool_size)),
        }
    }

    /// Sends the request once, its way, unless the fuse says why not, and reads the answer; `now` is only used to read a `Retry-After`
    /// date.
    pub(crate) async fn send(
        &self,
        service: Service,
        request: Outgoing,
        now: Timestamp,
        way: Way<'_>,
    ) -> (Reply, UsedConnection) {
        let started = Instant::now();
        let Way { mut by, fuse } = way;
        let until = if let By::Behind(used) = &by { used.until() } else { None };
        let until = until.unwrap_or(started + self.request_timeout);
        let mut request = request;
        let reply = loop {
            let (mut connection, reused) = match self.connection(service, &mut by).await {
                Ok(found) => found,
                Err((why, detail)) => break Reply::NotSent { why, detail, elapsed: started.elapsed() },
            };
            if let Some(detail) = fuse() {
                break Reply::NotSent { why: NotSentReason::Stale, detail, elapsed: started.elapsed() };
            }
            let may_be_earlier = connection.carried.insert(service);
            let mut http_status = None;
            let exchange = connection.exchange(request, &mut http_status);
            match tokio::time::timeout_at(until, exchange).await {
                Ok(Ok(heard)) => {
                    let call = Call { service, started, until, may_be_earlier };
                    return self.heard(call, connection, heard, now);
                }
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
        call: Call,
        mut connection: Box<Connection>,
        heard: Heard,
        now: Timestamp,
    ) -> (Reply, UsedConnection) {
        let Call { service, started, until, may_be_earlier } = call;
        let Heard { head, body, interim } = heard;
        let http_status = head.status.as_u16();
        let is_open = connection.rest();
        let surplus = connection.had_surplus();
        // After a 5xx (a proxy's 504 above all) the real answer may still be on its way.
        let used = if is_open && !interim && (200..500).contains(&http_status) {
            UsedConnection::of(connection, Arc::clone(&self.pool), service, until)
        } else {
            UsedConnection::none()
        };
        let date = headers::date(&head.headers);
        let retry_after = headers::retry_after(&head.headers, date.unwrap_or(now));
        let elapsed = started.elapsed();
        let answered = Answered { http_status, body, surplus, may_be_earlier, retry_after, date, elapsed };
        (Reply::Answered(answered), used)
    }

    /// Closes what has been idle for long, or was closed by the peer.
    pub(crate) fn close_idle(&self) {
        self.pool.close_idle();
    }

    /// A connection for a request that goes so, and whether it has carried others.
    async fn connection(
        &self,
        service: Service,
        by: &mut By,
    ) -> Result<(Box<Connection>, bool), (NotSentReason, String)> {
        let kept = match by {
            By::Any => self.pool.take(service),
            By::New => None,
            By::Behind(used) => {
                let closed = || (NotSentReason::Connect, "the connection was closed meanwhile".to_owned());
                return used.take().map(|connection| (connection, true)).ok_or_else(closed);
            }
        };
        match kept {
            Some(connection) => Ok((connection, true)),
            None => self.connect().await.map(|connection| (connection, false)),
        }
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

/// A connect that hangs must end as "not sent", so it has to end before the whole call does.
pub(crate) fn connect_limit(config: &ClientConfig) -> Duration {
    config.connect_timeout.min(config.request_timeout - config.request_timeout / 10)
}
