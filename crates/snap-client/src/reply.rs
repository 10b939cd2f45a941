//! What one call saw on the wire. Says nothing about money; the caller reads the body.

use std::time::Duration;

use bytes::Bytes;
use snap_core::Timestamp;

/// The end of one call: exactly one of these comes back, always, and never an error.
#[derive(Debug, Clone)]
pub enum Reply {
    /// A whole HTTP answer was read, whatever its status (redirects included: they are not followed).
    Answered(Answered),
    /// Proof that no byte of the request left: no connection was ever made for it, or the caller held it back.
    NotSent {
        /// At which step making the connection failed.
        why: NotSentReason,
        /// For a log or an operator; free of URLs, bodies and secrets.
        detail: String,
        /// From the start of the call to its end.
        elapsed: Duration,
    },
    /// The request, or a part of it, may have reached the provider and no usable answer came back.
    Silent {
        /// What was seen instead of an answer.
        why: Silence,
        /// For a log or an operator; free of URLs, bodies and secrets.
        detail: String,
        /// The status line, where one was read before the silence.
        http_status: Option<u16>,
        /// From the start of the call to its end.
        elapsed: Duration,
    },
}

/// An HTTP answer that was read to its end.
#[derive(Clone)]
pub struct Answered {
    /// 100–999 as it stood in the status line; 3xx is not followed.
    pub http_status: u16,
    /// The whole body, at most 64 KiB, undecoded.
    pub body: Bytes,
    /// More bytes came right behind it, so which of them answers the request is not sure.
    pub surplus: bool,
    /// A request of the same service had gone by its connection before: an answer that names nothing may be a second one to that.
    pub may_be_earlier: bool,
    /// `Retry-After`, from seconds or a date; not bounded here.
    pub retry_after: Option<Duration>,
    /// The provider's clock by its `Date` header (whole seconds), to watch the skew with.
    pub date: Option<Timestamp>,
    /// From the start of the call to the last byte of the answer.
    pub elapsed: Duration,
}

/// Why no connection came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NotSentReason {
    /// The host name did not resolve.
    Dns,
    /// Refused, unreachable or reset before it was established.
    Connect,
    /// The connect limit (DNS, TCP and TLS together) ran out.
    ConnectTimeout,
    /// The TLS handshake failed, a certificate that is not trusted included.
    Tls,
    /// There was one, and the caller's fuse said that it was too late.
    Stale,
}

/// Why there is no answer although something may have been sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Silence {
    /// The total limit ran out, before or within the answer.
    Timeout,
    /// The connection ended before an answer began.
    Reset,
    /// What came back is not HTTP, or its head is endless.
    NotHttp,
    /// The answer began and its connection ended or broke before the body was whole.
    Truncated,
    /// The body passed 64 KiB, or announced that it would.
    TooLarge,
}

impl NotSentReason {
    /// The word used in logs and stored attempts.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Dns => "dns",
            Self::Connect => "connect",
            Self::ConnectTimeout => "connect_timeout",
            Self::Tls => "tls",
            Self::Stale => "stale",
        }
    }
}

impl Silence {
    /// The word used in logs and stored attempts.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::Reset => "reset",
            Self::NotHttp => "not_http",
            Self::Truncated => "truncated",
            Self::TooLarge => "too_large",
        }
    }
}

impl std::fmt::Display for NotSentReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::fmt::Display for Silence {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Reply {
    /// From the start of the call to its end.
    #[must_use]
    pub const fn elapsed(&self) -> Duration {
        match self {
            Self::Answered(answered) => answered.elapsed,
            Self::NotSent { elapsed, .. } | Self::Silent { elapsed, .. } => *elapsed,
        }
    }
}

impl std::fmt::Debug for Answered {
    /// Bodies carry names and phone numbers, so only their length is shown.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Answered")
            .field("http_status", &self.http_status)
            .field("body_bytes", &self.body.len())
            .field("surplus", &self.surplus)
            .field("may_be_earlier", &self.may_be_earlier)
            .field("retry_after", &self.retry_after)
            .field("date", &self.date)
            .field("elapsed", &self.elapsed)
            .finish()
    }
}
