//! The health and metrics server: three read-only pages on `http.listen`.
//!
//! It answers one request a connection, without a body, within limits; what it says comes from a [`Probe`]. It must not
//! know the store or the broker, and shows no personal data.

use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde::Serialize;
use snap_core::Timestamp;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::telemetry::metrics;

/// Whether the process can do its work, and which lanes stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Readiness {
    /// Whether the store is writable, or why not.
    pub store: Result<(), String>,
    /// Whether the broker is connected, or why not; `None` where none is configured.
    pub broker: Option<Result<(), String>>,
    /// The lanes that stand.
    pub degraded: Vec<Degraded>,
}

/// A lane that stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Degraded {
    /// The provider's name.
    pub provider: String,
    /// Why, in one word.
    pub cause: String,
    /// Since when.
    pub since: Timestamp,
}

/// Asks for something at the time of a request.
pub type Ask<T> = Box<dyn Fn() -> BoxFuture<'static, T> + Send + Sync>;

/// What the pages ask.
pub struct Probe {
    /// For `/readyz`.
    pub readiness: Ask<Readiness>,
    /// For `/metrics`: the text, or why there is none.
    pub metrics: Ask<Result<String, String>>,
}

impl fmt::Debug for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Probe").finish_non_exhaustive()
    }
}

/// What bounds a client.
#[derive(Clone, Copy)]
struct Limits {
    /// Requests at once; a scraper and a few probes need no more, and a file descriptor is worth something.
    connections: usize,
    /// From accept to the end of the headers.
    header: Duration,
    /// For the probe to answer.
    probe: Duration,
    /// From accept to the last byte of the answer.
    connection: Duration,
    /// For requests under way when the server stops.
    drain: Duration,
}

const LIMITS: Limits = Limits {
    connections: 64,
    header: Duration::from_secs(5),
    probe: Duration::from_secs(5),
    connection: Duration::from_secs(15),
    drain: Duration::from_secs(2),
};
/// Headers and the request line together, in bytes; hyper's least.
const HEAD_MAX: usize = 8192;

/// Serves until `shutdown`, then lets the requests under way end.
pub async fn serve(listener: TcpListener, probe: Arc<Probe>, shutdown: CancellationToken) {
    serve_within(LIMITS, listener, probe, shutdown).await;
}

async fn serve_within(limits: Limits, listener: TcpListener, probe: Arc<Probe>, shutdown: CancellationToken) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = shutdown.cancelled() => break,
            Some(ended) = connections.join_next() => note_end(ended),
            accepted = listener.accept(), if connections.len() < limits.connections => match accepted {
                Ok((stream, _peer)) => {
                    connections.spawn(connection(limits, stream, Arc::clone(&probe)));
                }
                Err(error) => {
                    // Out of file descriptors, mostly: trying again at once would spin.
                    warn!(%error, "the health server failed to accept a connection");
                    sleep(Duration::from_millis(100)).await;
                }
            },
        }
    }
    drop(listener);
    let drained = timeout(limits.drain, async {
        while let Some(ended) = connections.join_next().await {
            note_end(ended);
        }
    });
    if drained.await.is_err() {
        connections.shutdown().await;
    }
}

fn note_end(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        warn!(%error, "a request to the health server failed");
    }
}

async fn connection(limits: Limits, stream: TcpStream, probe: Arc<Probe>) {
    let service = service_fn(|request| {
        let probe = Arc::clone(&probe);
        async move { Ok::<_, Infallible>(respond(limits, &request, &probe).await) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header)
        .keep_alive(false)
        .max_buf_size(HEAD_MAX)
        .serve_connection(TokioIo::new(stream), service);
    match timeout(limits.connection, served).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => debug!(%error, "a client of the health server was not understood"),
        Err(_elapsed) => debug!("a client of the health server was too slow"),
    }
}

async fn respond(limits: Limits, request: &Request<Incoming>, probe: &Probe) -> Response<Full<Bytes>> {
    let path = request.uri().path();
    if !matches!(path, "/healthz" | "/readyz" | "/metrics") {
        return page(StatusCode::NOT_FOUND, TEXT, "not found\n");
    }
    if request.method() != Method::GET {
        let mut response = page(StatusCode::METHOD_NOT_ALLOWED, TEXT, "only GET\n");
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET"));
        return response;
    }
    match path {
        "/readyz" => {
            let readiness = timeout(limits.probe, (probe.readiness)()).await;
            ready_page(&readiness.unwrap_or_else(|_elapsed| no_answer()))
        }
        "/metrics" => match timeout(limits.probe, (probe.metrics)()).await {
            Ok(Ok(text)) => page(StatusCode::OK, metrics::CONTENT_TYPE, text),
            Ok(Err(why)) => page(StatusCode::SERVICE_UNAVAILABLE, TEXT, format!("{why}\n")),
            Err(_elapsed) => page(StatusCode::SERVICE_UNAVAILABLE, TEXT, "no answer in time\n"),
        },
        _ => page(StatusCode::OK, TEXT, "ok\n"),
    }
}

const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";

#[derive(Serialize)]
struct ReadyPage<'a> {
    status: &'static str,
    reasons: Vec<String>,
    degraded: Vec<DegradedLane<'a>>,
}

#[derive(Serialize)]
struct DegradedLane<'a> {
    provider: &'a str,
    cause: &'a str,
    since: String,
}

fn ready_page(readiness: &Readiness) -> Response<Full<Bytes>> {
    let store = readiness.store.as_ref().err().map(|why| format!("store: {why}"));
    let broker = readiness.broker.as_ref().and_then(|broker| broker.as_ref().err()).map(|why| format!("broker: {why}"));
    let reasons: Vec<_> = store.into_iter().chain(broker).collect();
    let (code, status) =
        if reasons.is_empty() { (StatusCode::OK, "ready") } else { (StatusCode::SERVICE_UNAVAILABLE, "unavailable") };
    let degraded = readiness.degraded.iter().map(|lane| DegradedLane {
        provider: &lane.provider,
        cause: &lane.cause,
        since: lane.since.to_rfc3339(),
    });
    let body = ReadyPage { status, reasons, degraded: degraded.collect() };
    let mut body = serde_json::to_vec(&body).expect("text always serialises");
    body.push(b'\n');
    page(code, JSON, body)
}

fn no_answer() -> Readiness {
    Readiness { store: Err("no answer in time".to_owned()), broker: None, degraded: Vec::new() }
}

fn page(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests;
