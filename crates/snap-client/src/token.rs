//! The access token of service 73 and the ways of not getting one.

use std::sync::Arc;

use reqwest::header::HeaderValue;
use snap_core::ResponseCode;
use tokio::time::Instant;

use crate::NotSentReason;

/// An access token; cheap to clone, shown nowhere.
#[derive(Clone)]
pub struct Token(Arc<Issued>);

struct Issued {
    /// Tells tokens of one client apart even where the provider issues the same text again.
    serial: u64,
    text: String,
    /// `Bearer <text>`, marked sensitive.
    authorization: HeaderValue,
    lifetime: crate::expiry::Lifetime,
}

impl Token {
    /// `None` where the text cannot stand in a header.
    pub(crate) fn new(serial: u64, text: &str, lifetime: crate::expiry::Lifetime) -> Option<Self> {
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return None;
        }
        let mut authorization = HeaderValue::try_from(format!("Bearer {text}")).ok()?;
        authorization.set_sensitive(true);
        Some(Self(Arc::new(Issued { serial, text: text.to_owned(), authorization, lifetime })))
    }

    pub(crate) fn text(&self) -> &str {
        &self.0.text
    }

    pub(crate) fn authorization(&self) -> HeaderValue {
        self.0.authorization.clone()
    }

    pub(crate) fn is_same_issue(&self, other: &Self) -> bool {
        self.0.serial == other.0.serial
    }

    pub(crate) fn is_usable(&self, now: Instant) -> bool {
        now < self.0.lifetime.usable_until
    }

    pub(crate) fn is_due_for_refresh(&self, now: Instant) -> bool {
        now >= self.0.lifetime.refresh_from
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Token(#{}, [redacted])", self.0.serial)
    }
}

/// Why there is no token. No transaction was sent, so none of these says anything about money.
#[derive(Debug, Clone, thiserror::Error)]
pub enum TokenFailure {
    /// No connection to the token endpoint: the provider cannot be reached.
    #[error("the token endpoint could not be reached: {why}: {detail}")]
    Unreachable {
        /// At which step making the connection failed.
        why: NotSentReason,
        /// For a log or an operator; free of URLs, bodies and secrets.
        detail: String,
    },
    /// The provider says no: our key, client key, clock or address is wrong.
    #[error("the provider refused the token request: HTTP {http_status}{}", code_suffix(*code))]
    Refused {
        /// As answered.
        http_status: u16,
        /// The body's `responseCode`, where it had one.
        code: Option<ResponseCode>,
    },
    /// The answer is neither a token nor a refusal: a redirect, a page, a token that fits no header.
    #[error("the token endpoint's answer is of no use: {detail}")]
    Unusable {
        /// For a log or an operator; free of URLs, bodies and secrets.
        detail: String,
    },
    /// The provider is in trouble: 5xx, 429, a "later" refusal, a timeout or a broken answer.
    #[error("the token endpoint is in trouble: {detail}")]
    Trouble {
        /// As answered; none when the answer never came.
        http_status: Option<u16>,
        /// The body's `responseCode`, where it had one.
        code: Option<ResponseCode>,
        /// What `Retry-After` asked for.
        retry_after: Option<std::time::Duration>,
        /// For a log or an operator; free of URLs, bodies and secrets.
        detail: String,
    },
}

fn code_suffix(code: Option<ResponseCode>) -> String {
    code.map_or_else(String::new, |code| format!(", code {code}"))
}
