//! The HTTP client with everything switched off that could send twice, elsewhere or for ever, and the reading of
//! what it reports.

use std::error::Error as StdError;
use std::path::Path;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::{Certificate, Client, Request, Response};
use snap_core::Timestamp;
use tokio::time::Instant;

use crate::reply::{Answered, NotSentReason, Reply, Silence};
use crate::{ClientConfig, ConfigError, headers};

/// Answers are a few hundred bytes; more than this is not one.
const BODY_LIMIT: usize = 64 * 1024;
/// Below the idle limits met in the field (5 s for Node, 60–75 s for load balancers) only where that costs nothing:
/// hyper notices a closed connection before it is reused, so this bounds silent drops by firewalls.
const IDLE: Duration = Duration::from_secs(15);
/// Enough for a cause, short enough for a column.
const DETAIL_LIMIT: usize = 200;

/// Sends prepared requests, once each.
pub(crate) struct Transport {
    http: Client,
}

impl Transport {
    pub(crate) fn new(config: &ClientConfig, scheme_is_https: bool) -> Result<Self, ConfigError> {
        if rustls::crypto::CryptoProvider::get_default().is_none() {
            // Losing the race to another client of this process is fine: it installs the same provider.
            drop(rustls::crypto::ring::default_provider().install_default());
        }
        // A connect that hangs must end as "not sent", so it has to end before the whole call does.
        let connect_limit = config.connect_timeout.min(config.request_timeout - config.request_timeout / 10);
        #[expect(clippy::disallowed_methods, reason = "this is the one place that may, and here is what it sets")]
        let mut builder = Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .no_proxy()
            .referer(false)
            .http1_only()
            .https_only(scheme_is_https)
            .tls_version_min(reqwest::tls::Version::TLS_1_2)
            .connect_timeout(connect_limit)
            .timeout(config.request_timeout)
            .pool_max_idle_per_host(config.pool_size)
            .pool_idle_timeout(IDLE)
            .tcp_nodelay(true)
            .user_agent(headers::USER_AGENT);
        if let Some(path) = &config.ca_file {
            builder = builder.tls_certs_only(authorities(path)?);
        } else if !scheme_is_https {
            // No TLS will happen: do not ask the system for authorities it may not have.
            builder = builder.tls_certs_only([]);
        }
        let http = builder.build().map_err(|error| ConfigError::Http(detail(error)))?;
        Ok(Self { http })
    }

    /// Sends the request and reads the answer; `now` is only used to read a `Retry-After` date.
    pub(crate) async fn send(&self, request: Request, now: Timestamp) -> Reply {
        let started = Instant::now();
        let response = match self.http.execute(request).await {
            Ok(response) => response,
            Err(error) => return without_answer(error, started.elapsed()),
        };
        let http_status = response.status().as_u16();
        let date = headers::date(response.headers());
        let retry_after = headers::retry_after(response.headers(), date.unwrap_or(now));
        match read_body(response).await {
            Ok(body) => Reply::Answered(Answered { http_status, body, retry_after, date, elapsed: started.elapsed() }),
            Err((why, detail)) => {
                Reply::Silent { why, detail, http_status: Some(http_status), elapsed: started.elapsed() }
            }
        }
    }
}

fn authorities(path: &Path) -> Result<Vec<Certificate>, ConfigError> {
    let pem = std::fs::read(path).map_err(|source| ConfigError::File {
        setting: "ca_file",
        path: path.to_owned(),
        source,
    })?;
    let problem = |problem: String| ConfigError::Setting { setting: "ca_file", problem };
    let certificates =
        Certificate::from_pem_bundle(&pem).map_err(|error| problem(format!("is not PEM: {}", detail(error))))?;
    if certificates.is_empty() {
        return Err(problem("holds no certificate".to_owned()));
    }
    Ok(certificates)
}

async fn read_body(mut response: Response) -> Result<Bytes, (Silence, String)> {
    let too_large = || (Silence::TooLarge, format!("the answer is longer than {BODY_LIMIT} bytes"));
    if response.content_length().is_some_and(|announced| announced > BODY_LIMIT as u64) {
        return Err(too_large());
    }
    // Nearly every answer is one chunk, which is then handed on as it is.
    let Some(first) = next_chunk(&mut response).await? else { return Ok(Bytes::new()) };
    if first.len() > BODY_LIMIT {
        return Err(too_large());
    }
    let Some(second) = next_chunk(&mut response).await? else { return Ok(first) };
    let mut body = BytesMut::from(first);
    let mut next = Some(second);
    while let Some(chunk) = next {
        if body.len() + chunk.len() > BODY_LIMIT {
            return Err(too_large());
        }
        body.extend_from_slice(&chunk);
        next = next_chunk(&mut response).await?;
    }
    Ok(body.freeze())
}

async fn next_chunk(response: &mut Response) -> Result<Option<Bytes>, (Silence, String)> {
    response.chunk().await.map_err(|error| {
        let why = if error.is_timeout() { Silence::Timeout } else { Silence::Truncated };
        (why, detail(error))
    })
}

/// The only place where "not sent" is decided: a failed connect, and nothing else.
fn without_answer(error: reqwest::Error, elapsed: Duration) -> Reply {
    if error.is_connect() {
        let why = not_sent_reason(&error);
        return Reply::NotSent { why, detail: detail(error), elapsed };
    }
    let why = if error.is_timeout() {
        Silence::Timeout
    } else if causes(&error).any(|cause| cause.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_parse)) {
        Silence::NotHttp
    } else {
        Silence::Reset
    };
    Reply::Silent { why, detail: detail(error), http_status: None, elapsed }
}

fn not_sent_reason(error: &reqwest::Error) -> NotSentReason {
    // The system's resolver is reported by a private type; its words only choose the name of the reason.
    if error.is_dns() || causes(error).any(|cause| cause.to_string() == "dns error") {
        NotSentReason::Dns
    } else if error.is_timeout() {
        NotSentReason::ConnectTimeout
    } else if causes(error).any(is_tls) {
        NotSentReason::Tls
    } else {
        NotSentReason::Connect
    }
}

/// An `io::Error` does not list what it wraps among its sources, so it has to be looked into, as often as it is wrapped.
fn is_tls(cause: &(dyn StdError + 'static)) -> bool {
    cause.is::<rustls::Error>()
        || cause.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref).is_some_and(|inner| is_tls(inner))
}

fn causes<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(error.source(), |cause| (*cause).source())
}

/// The chain of causes without the URL, printable and short.
fn detail(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    for cause in causes(&error) {
        let cause = cause.to_string();
        if !text.ends_with(&cause) {
            text.push_str(": ");
            text.push_str(&cause);
        }
    }
    text.chars().flat_map(char::escape_debug).take(DETAIL_LIMIT).collect()
}
