//! The wire: prepared requests out, what was seen of their answers in. Everything above it (token, signature, headers) is
//! the same whatever carries it.

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http_body_util::Full;
use hyper::Request;
use snap_core::{Service, Timestamp};

use crate::connections::Connections;
use crate::endpoint::BaseUrl;
use crate::transport::Transport;
use crate::{ClientConfig, ConfigError, Reply, UsedConnection, Way};

/// Carries requests to one provider, each at most once.
///
/// What it answers is a claim about money: [`Reply::NotSent`] only where no byte of the request can have left.
pub trait Wire: Send + Sync + 'static {
    /// Sends a transaction, its way, unless the fuse says why not immediately before its first byte, and reads the answer, with the
    /// connection that it came by; `now` is only used to read a `Retry-After` date.
    fn transaction<'a>(
        &'a self,
        service: Service,
        request: Request<Bytes>,
        now: Timestamp,
        way: Way<'a>,
    ) -> BoxFuture<'a, (Reply, UsedConnection)>;

    /// Sends a token request and reads the answer, with the `X-TIMESTAMP` that came with it.
    fn token(&self, request: Request<Bytes>, now: Timestamp) -> BoxFuture<'_, (Reply, Option<Timestamp>)>;

    /// Gives up what is kept for the next request and has not been needed for a while.
    fn close_idle(&self);
}

/// HTTP/1.1 over TCP and TLS.
pub(crate) struct Network {
    /// For transactions.
    connections: Connections,
    /// For token requests.
    transport: Transport,
}

impl Network {
    pub(crate) fn new(config: &ClientConfig, base: &BaseUrl) -> Result<Self, ConfigError> {
        let tls = crate::trust::tls_config(config, base.is_https())?;
        Ok(Self {
            connections: Connections::new(config, tls.clone(), base.server()?),
            transport: Transport::new(config, tls, base.is_https())?,
        })
    }
}

impl Wire for Network {
    fn transaction<'a>(
        &'a self,
        service: Service,
        request: Request<Bytes>,
        now: Timestamp,
        way: Way<'a>,
    ) -> BoxFuture<'a, (Reply, UsedConnection)> {
        Box::pin(self.connections.send(service, request.map(Full::new), now, way))
    }

    fn token(&self, request: Request<Bytes>, now: Timestamp) -> BoxFuture<'_, (Reply, Option<Timestamp>)> {
        let request = reqwest::Request::try_from(request).expect("the token endpoint is a URL that reqwest made");
        Box::pin(self.transport.send(request, now))
    }

    fn close_idle(&self) {
        self.connections.close_idle();
    }
}
