//! The HTTP client for token requests, with everything switched off that could send them elsewhere or for ever, and the
//! reading of what it reports. Transactions go by [`crate::connections`].

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::{Client, Request, Response};
use snap_core::Timestamp;
use tokio::time::Instant;

use crate::connection::BODY_LIMIT;
use crate::connections::connect_limit;
use crate::reply::{Answered, NotSentReason, Reply, Silence};
use crate::trouble::{causes, detail, not_sent_reason};
use crate::{ClientConfig, ConfigError, headers};

/// Sends prepared requests, once each.
pub(crate) struct Transport {
    http: Client,
}

impl Transport {
    pub(crate) fn new(
        config: &ClientConfig,
        tls: rustls::ClientConfig,
        scheme_is_https: bool,
    ) -> Result<Self, ConfigError> {
        #[expect(clippy::disallowed_methods, reason = "this is the one place that may, and here is what it sets")]
        let http = Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .no_proxy()
            .referer(false)
            .http1_only()
            .https_only(scheme_is_https)
            .tls_backend_preconfigured(tls)
            .connect_timeout(connect_limit(config))
            .timeout(config.request_timeout)
            // A token lasts minutes, so a kept connection would gain nothing, and an answer that is another's stays away (M15).
            .pool_max_idle_per_host(0)
            .tcp_nodelay(true)
            .user_agent(headers::USER_AGENT)
            .build()
            .map_err(|error| ConfigError::Http(detail(&error.without_url())))?;
        Ok(Self { http })
    }

    /// Sends the request and reads the answer, and the `X-TIMESTAMP` that came with it; `now` is only used to read a
    /// `Retry-After` date.
    pub(crate) async fn send(&self, request: Request, now: Timestamp) -> (Reply, Option<Timestamp>) {
        let started = Instant::now();
        let response = match self.http.execute(request).await {
            Ok(response) => response,
            Err(error) => return (without_answer(&error.without_url(), started.elapsed()), None),
        };
        let http_status = response.status().as_u16();
        let date = headers::date(response.headers());
        let timestamp = headers::timestamp(response.headers());
        let retry_after = headers::retry_after(response.headers(), date.unwrap_or(now));
        let reply = match read_body(response).await {
            Ok(body) => {
                let elapsed = started.elapsed();
                Reply::Answered(Answered {
                    http_status,
                    body,
                    surplus: false,
                    may_be_earlier: false,
                    retry_after,
                    date,
                    elapsed,
                })
            }
            Err((why, detail)) => {
                Reply::Silent { why, detail, http_status: Some(http_status), elapsed: started.elapsed() }
            }
        };
        (reply, timestamp)
    }
}

async fn read_body(mut response: Response) -> Result<Bytes, (Silence, String)> {
    let too_large = || (Silence::TooLarge, format!("the answer is longer than {BODY_LIMIT} bytes"));
    if response.content_length().is_some_and(|announced| announced > BODY_LIMIT as u64) {
        return Err(too_large());
    }
    let mut body = BytesMut::new();
    while let Some(chunk) = next_chunk(&mut response).await? {
        if body.len() + chunk.len() > BODY_LIMIT {
            return Err(too_large());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

async fn next_chunk(response: &mut Response) -> Result<Option<Bytes>, (Silence, String)> {
    response.chunk().await.map_err(|error| {
        let why = if error.is_timeout() { Silence::Timeout } else { Silence::Truncated };
        (why, detail(&error.without_url()))
    })
}

/// A failed connect, and nothing else, is "not sent".
fn without_answer(error: &reqwest::Error, elapsed: Duration) -> Reply {
    if error.is_connect() {
        let why = match not_sent_reason(error) {
            _ if error.is_dns() => NotSentReason::Dns,
            NotSentReason::Connect if error.is_timeout() => NotSentReason::ConnectTimeout,
            why => why,
        };
        return Reply::NotSent { why, detail: detail(error), elapsed };
    }
    let why = if error.is_timeout() {
        Silence::Timeout
    } else if causes(error).any(|cause| cause.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_parse)) {
        Silence::NotHttp
    } else {
        Silence::Reset
    };
    Reply::Silent { why, detail: detail(error), http_status: None, elapsed }
}
