//! The port: accepts connections, speaks HTTP on them, and lets a fault take a connection away from HTTP.

use std::convert::Infallible;
use std::future::{pending, poll_fn};
use std::pin::Pin;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::admin;
use crate::answer::Answer;
use crate::case::Case;
use crate::play::{Play, Reply, Stray, Wire, timestamp};
use crate::provider::{Arrived, Provider};
use crate::wire::{self, Played};

/// Longest request body.
const MAX_BODY: usize = 64 * 1024;

/// Serves the port until `stop` resolves (or its sender is dropped), then cuts every connection.
pub(crate) async fn serve(provider: Arc<Provider>, listener: TcpListener, mut stop: oneshot::Receiver<()>) {
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            _ = &mut stop => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                connections.spawn(connection(Arc::clone(&provider), stream));
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                // Out of descriptors, most likely: some will be closed.
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        while connections.try_join_next().is_some() {}
    }
    drop(listener);
    connections.shutdown().await;
}

/// What a fault leaves for its connection.
type Slot = Arc<Mutex<Option<Takeover>>>;

/// The second answer that a connection still has.
type Owed = Arc<Mutex<Option<Stray>>>;

struct Takeover {
    wire: Wire,
    in_flight: InFlight,
}

/// A request that is being worked on.
struct InFlight(Arc<Provider>);

impl InFlight {
    fn enter(provider: Arc<Provider>) -> Self {
        let now = provider.counts.in_flight.fetch_add(1, Relaxed) + 1;
        provider.counts.max_in_flight.fetch_max(now, Relaxed);
        Self(provider)
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.counts.in_flight.fetch_sub(1, Relaxed);
    }
}

/// A late commit that is still to come.
struct PendingEffect<'a>(&'a Provider);

impl<'a> PendingEffect<'a> {
    fn announce(provider: &'a Provider) -> Self {
        provider.counts.pending_effects.fetch_add(1, Relaxed);
        Self(provider)
    }
}

impl Drop for PendingEffect<'_> {
    fn drop(&mut self) {
        self.0.counts.pending_effects.fetch_sub(1, Relaxed);
    }
}

async fn connection(provider: Arc<Provider>, stream: TcpStream) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "nodelay was not set");
    }
    let (mut next, owed) = (Some(stream), Owed::default());
    while let Some(stream) = next.take() {
        next = speak(&provider, stream, &owed).await;
    }
}

/// Speaks HTTP until the connection ends or a fault takes it away; the connection where HTTP goes on after that.
async fn speak(provider: &Arc<Provider>, stream: TcpStream, owed: &Owed) -> Option<TcpStream> {
    let slot = Slot::default();
    let service = {
        let (provider, slot, owed) = (Arc::clone(provider), Arc::clone(&slot), Arc::clone(owed));
        service_fn(move |request| respond(Arc::clone(&provider), Arc::clone(&slot), Arc::clone(&owed), request))
    };
    let mut http = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    let takeover = poll_fn(|context| {
        let polled = Pin::new(&mut http).poll(context);
        // The service runs inside that poll, so what it left is seen at once.
        match locked(&slot).take() {
            Some(takeover) => Poll::Ready(Some(takeover)),
            None => polled.map(|_ended| None),
        }
    })
    .await;
    let Takeover { wire, in_flight } = takeover?;
    let pending = matches!(wire, Wire::Late { .. }).then(|| PendingEffect::announce(provider));
    let played = wire::play(http.into_parts().io.into_inner(), wire).await;
    drop(in_flight);
    let goes_on = match played {
        Played::Closed => None,
        Played::Late(late) => {
            provider.book_late(&late);
            None
        }
        Played::GoesOn(stream) => Some(stream),
    };
    drop(pending);
    goes_on
}

async fn respond(
    provider: Arc<Provider>,
    slot: Slot,
    owed: Owed,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let path = head.uri.path();
    let Ok(body) = Limited::new(body, MAX_BODY).collect().await.map(|body| body.to_bytes()) else {
        return Ok(response(Reply::page(413, "Request Entity Too Large"), None));
    };
    if let Some(path) = path.strip_prefix("/_sim/") {
        return Ok(response(admin::answer(&provider, &head.method, path, head.uri.query(), &body), None));
    }
    let Some((mount, service)) = provider.route(path) else {
        let answer = Answer::of(Case::new(404, 0), 0).with_message("No such path");
        return Ok(response(Reply::of(&answer), None));
    };
    let in_flight = InFlight::enter(Arc::clone(&provider));
    let behaviour = provider.behaviour();
    let arrived = Arrived {
        method: &head.method,
        path: head.uri.path_and_query().map_or(path, |path| path.as_str()),
        headers: &head.headers,
        body: &body,
    };
    let play = provider.handle(mount, service, &behaviour, &arrived);
    if !behaviour.latency.is_zero() {
        tokio::time::sleep(behaviour.latency).await;
    }
    let digits = service.digits(mount.personality);
    let stray = locked(&owed).take_if(|stray| stray.service == digits);
    let play = match (play, stray) {
        (Play::Reply(reply), Some(stray)) => Play::Wire(stray.before(&reply)),
        (Play::Twice(reply, next), None) => {
            *locked(&owed) = Some(next);
            Play::Reply(reply)
        }
        (Play::Twice(reply, next), Some(stray)) => {
            *locked(&owed) = Some(next);
            Play::Wire(stray.before(&reply))
        }
        (play, _) => play,
    };
    match play {
        Play::Reply(reply) | Play::Twice(reply, _) => Ok(response(reply, Some(timestamp(&behaviour)))),
        Play::Wire(wire) => {
            *locked(&slot) = Some(Takeover { wire, in_flight });
            pending().await
        }
    }
}

fn locked<T>(what: &Mutex<T>) -> MutexGuard<'_, T> {
    what.lock().unwrap_or_else(PoisonError::into_inner)
}

fn response(reply: Reply, timestamp: Option<[u8; 25]>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(reply.body)));
    *response.status_mut() = StatusCode::from_u16(reply.http).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(reply.content_type));
    if let Some(Ok(timestamp)) = timestamp.map(|text| HeaderValue::from_bytes(&text)) {
        headers.insert(HeaderName::from_static("x-timestamp"), timestamp);
    }
    if let Some((name, value)) = reply.extra
        && let Ok(value) = HeaderValue::try_from(value)
    {
        headers.insert(HeaderName::from_static(name), value);
    }
    response
}
