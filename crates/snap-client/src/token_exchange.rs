//! The record of one request to the token endpoint, for metrics and the attempts table.

use std::time::Duration;

use snap_core::{AccessTokenResponse, Private, ResponseCode, Timestamp, UnreadableAnswer, parse_answer};
use tokio::time::Instant;

use crate::{Answered, Reply, TokenFailure};

/// One request to the token endpoint, however many callers waited for it.
#[derive(Debug, Clone)]
pub struct TokenExchange {
    /// When it started, by the caller's clock.
    pub started: Timestamp,
    /// The same moment by a clock that nobody can set.
    pub asked_at: Instant,
    /// From its start to its end.
    pub elapsed: Duration,
    /// As answered; none when no status line came.
    pub http_status: Option<u16>,
    /// The body's `responseCode`, where it had one.
    pub code: Option<ResponseCode>,
    /// The provider's clock by its `Date` header (whole seconds), to watch the skew with.
    pub date: Option<Timestamp>,
    /// The provider's clock by its `X-TIMESTAMP` header, unless it gave back the request's own.
    pub timestamp: Option<Timestamp>,
    /// Whether a token came of it.
    pub granted: bool,
    /// What went wrong, where something did; free of URLs, bodies and secrets.
    pub detail: Option<String>,
}

/// What an answer to service 73 says.
pub(crate) struct Read {
    pub(crate) http_status: Option<u16>,
    pub(crate) code: Option<ResponseCode>,
    pub(crate) outcome: Result<Grant, TokenFailure>,
}

/// A token and how long it was promised to live.
pub(crate) struct Grant {
    pub(crate) token: Private,
    pub(crate) lifetime: Duration,
}

/// The token that a reply to the token request grants, and how long it was promised to live; public so that the reading can
/// be held against any answer without a server.
///
/// # Errors
/// [`TokenFailure`], where it grants none.
pub fn token_of(reply: &Reply) -> Result<(Private, Duration), TokenFailure> {
    read(reply).outcome.map(|grant| (grant.token, grant.lifetime))
}

/// Reads the reply to a token request; HTTP status and code must agree before a token is believed.
pub(crate) fn read(reply: &Reply) -> Read {
    let answered = match reply {
        Reply::Answered(answered) => answered,
        Reply::NotSent { why, detail, .. } => {
            let outcome = Err(TokenFailure::Unreachable { why: *why, detail: detail.clone() });
            return Read { http_status: None, code: None, outcome };
        }
        Reply::Silent { why, detail, http_status, .. } => {
            let outcome = Err(TokenFailure::Trouble {
                http_status: *http_status,
                code: None,
                retry_after: None,
                detail: format!("{why}: {detail}"),
            });
            return Read { http_status: *http_status, code: None, outcome };
        }
    };
    let body = parse_answer::<AccessTokenResponse>(&answered.body);
    let code = body.as_ref().ok().and_then(AccessTokenResponse::code);
    Read { http_status: Some(answered.http_status), code, outcome: outcome(answered, body, code) }
}

fn outcome(
    answered: &Answered,
    body: Result<AccessTokenResponse, UnreadableAnswer>,
    code: Option<ResponseCode>,
) -> Result<Grant, TokenFailure> {
    let http_status = answered.http_status;
    // The more pessimistic of the two: a 200 page can carry a 401 code, and the reverse.
    let status = match code {
        Some(code) if is_success(http_status) => code.http_status(),
        _ => http_status,
    };
    if is_success(status) {
        let body = body.map_err(|error| unusable(&error.to_string()))?;
        let lifetime = body.lifetime();
        let token = body.access_token.ok_or_else(|| unusable("the answer has no accessToken"))?;
        return Ok(Grant { token, lifetime });
    }
    match status {
        429 | 408 | 500.. => Err(trouble(answered, code)),
        // "Activity count limit" and "not allowed at this time": later, not never.
        403 if code.is_some_and(|code| matches!(code.case(), 4 | 6)) => Err(trouble(answered, code)),
        // A conflict of message ids; the next request carries another timestamp.
        409 => Err(trouble(answered, code)),
        400..=499 => Err(TokenFailure::Refused { http_status, code }),
        300..=399 => Err(unusable(&format!("HTTP {status}, a redirect, which is not followed"))),
        _ => Err(unusable(&format!("HTTP {status}"))),
    }
}

const fn is_success(status: u16) -> bool {
    matches!(status, 200..=299)
}

fn trouble(answered: &Answered, code: Option<ResponseCode>) -> TokenFailure {
    TokenFailure::Trouble {
        http_status: Some(answered.http_status),
        code,
        retry_after: answered.retry_after,
        detail: code.map_or_else(
            || format!("HTTP {}", answered.http_status),
            |code| format!("HTTP {}, code {code}", answered.http_status),
        ),
    }
}

fn unusable(detail: &str) -> TokenFailure {
    TokenFailure::Unusable { detail: detail.to_owned() }
}
