//! What can go wrong, by name, and how it shows.

use serde::{Deserialize, Serialize};

use crate::case::Case;

/// One misbehaviour of the provider.
///
/// Most of them say only how the answer looks; whether the top-up took effect before is said beside it, by `commit`
/// (of a [`Rule`](crate::Rule), default [`Fault::commits_by_default`]). On services that move no money `commit` means nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Fault {
    /// No fault: overrides a magic number or a random fault.
    None,

    /// The connection stays open and silent for `hang`, then closes.
    Timeout,
    /// Silence; the top-up takes effect `late_commit` after the client has gone away.
    LateCommit,
    /// The top-up takes effect, the connection closes without an answer, and the next `hidden_inquiries` status inquiries do not find it.
    LateVisibility,
    /// The connection is reset (RST).
    Rst,
    /// The connection is closed (FIN) without an answer.
    Fin,
    /// Bytes that are no HTTP.
    NotHttp,
    /// The head of the answer comes byte by byte, one each `drip`, for `hang` at most.
    DripHeaders,
    /// The body comes byte by byte, one each `drip`, for `hang` at most.
    DripBody,
    /// A head that never ends.
    EndlessHeaders,
    /// A body that never ends.
    EndlessBody,
    /// A correct answer with padding: more than 64 KiB.
    HugeBody,
    /// Half of the announced body, then FIN.
    TruncatedBody,

    /// 202, then status 00.
    PendingThenSuccess,
    /// 202, then status 06; no credit.
    PendingThenFailed,
    /// 202, then status 05; no credit.
    PendingThenCancelled,
    /// 202, then status 04: credited and taken back.
    PendingThenRefunded,
    /// 202, then status 03 for ever; no credit.
    PendingForever,
    /// 202, then "not found"; no credit.
    PendingThenLost,

    /// This case as the answer (`{"answer": "403xx14"}`).
    Answer(Case),
    /// 429 with `Retry-After` (`delayMs` of the rule in seconds, rounded up; default 1).
    RateLimited,
    /// 429 without `Retry-After`.
    RateLimitedNoHint,
    /// 502 with an HTML page, as a proxy writes it.
    BadGateway,
    /// 307 to `/_sim/redirected`, which counts those who follow.
    Redirect,

    /// HTTP status and body disagree: committed, a success under HTTP 500; not committed, a refusal (`403xx15`) under HTTP 200.
    HttpDisagrees,
    /// A success with the digits of another service (39; 38 where 39 is asked).
    ForeignService,
    /// Another amount in the answer.
    AmountMismatch,
    /// Another reference in the answer.
    ReferenceMismatch,
    /// A response code that nobody knows: `2993899`.
    UnknownCode,
    /// No response code.
    MissingCode,
    /// HTTP 200 with an empty body.
    EmptyBody,
    /// HTTP 200 with a body that is no JSON.
    GarbageJson,

    /// Inquiry: finpay answers a range that excludes the amount, midtrans refuses with `403xx02`.
    AmountOutOfRange,
    /// Inquiry: no `feeAmount` in the answer.
    WithoutFee,

    /// Status inquiry: this `latestTransactionStatus` whatever the truth is; `07` takes the personality's own shape
    /// (`{"report": "03"}`). The answer is the service's own success and names the reference; `08` is a status that there is
    /// not, and an empty text leaves the member out.
    Report(Latest),
    /// Status inquiry: 202, naming the reference, with this status beside it (`{"in_progress": "03"}`; an empty text: none).
    InProgress(Latest),
    /// Status inquiry: the first for a reference meets a replica that has the top-up in progress (202), every later one a
    /// replica that never learns of it ("not found").
    LaggingReplica,

    /// The answer, and the same once more after `delayMs` of the rule (default 12); the connection goes on.
    AnsweredTwice,
    /// A proxy's 504 at once. When the next request has come by the same connection, this case is answered as the late answer
    /// to the first (`{"late_answer": "404xx11"}`), and the connection goes on.
    LateAnswer(Case),
    /// The answer. When the next request of this service has come by the same connection, this case comes as a second answer to the
    /// first (`{"second_answer": "429xx00"}`), and that request's own answer `delayMs` of the rule (default 12) after it; the
    /// connection goes on.
    SecondAnswer(Case),
    /// An interim answer (103) before the real one; the connection goes on.
    InterimAnswer,
    /// A byte right behind the answer; the connection goes on.
    SurplusByte,
}

impl Fault {
    /// Whether a top-up takes effect before this fault shows, where nothing else is said.
    #[must_use]
    pub const fn commits_by_default(self) -> bool {
        !matches!(
            self,
            Self::Answer(_) | Self::RateLimited | Self::RateLimitedNoHint | Self::Redirect | Self::LateAnswer(_)
        )
    }
}

/// `latestTransactionStatus` on the wire.
///
/// Source: SNAP Developer Site, customer-top-up status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Latest {
    /// 00
    #[serde(rename = "00")]
    Success,
    /// 01
    #[serde(rename = "01")]
    Initiated,
    /// 02
    #[serde(rename = "02")]
    Paying,
    /// 03
    #[serde(rename = "03")]
    Pending,
    /// 04
    #[serde(rename = "04")]
    Refunded,
    /// 05
    #[serde(rename = "05")]
    Cancelled,
    /// 06
    #[serde(rename = "06")]
    Failed,
    /// 07
    #[serde(rename = "07")]
    NotFound,
    /// 08: there is none.
    #[serde(rename = "08")]
    Unknown,
    /// The member is left out.
    #[serde(rename = "")]
    Missing,
}

impl Latest {
    /// The two digits; empty where there are none.
    #[must_use]
    pub const fn digits(self) -> &'static str {
        match self {
            Self::Success => "00",
            Self::Initiated => "01",
            Self::Paying => "02",
            Self::Pending => "03",
            Self::Refunded => "04",
            Self::Cancelled => "05",
            Self::Failed => "06",
            Self::NotFound => "07",
            Self::Unknown => "08",
            Self::Missing => "",
        }
    }

    /// The description beside it.
    #[must_use]
    pub const fn description(self) -> &'static str {
        match self {
            Self::Success => "Success",
            Self::Initiated => "Initiated",
            Self::Paying => "Paying",
            Self::Pending => "Pending",
            Self::Refunded => "Refunded",
            Self::Cancelled => "Canceled",
            Self::Failed => "Failed",
            Self::NotFound => "Not Found",
            Self::Unknown => "Unknown",
            Self::Missing => "",
        }
    }
}

/// A fault as it is carried out: what shows, and whether the top-up took effect before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Act {
    pub(crate) fault: Fault,
    pub(crate) commit: bool,
    /// Overrides the configured duration of this fault, in milliseconds.
    pub(crate) delay_ms: Option<u64>,
}

impl Act {
    pub(crate) const NONE: Self = Self { fault: Fault::None, commit: true, delay_ms: None };

    pub(crate) const fn after(fault: Fault) -> Self {
        Self { fault, commit: true, delay_ms: None }
    }

    pub(crate) const fn before(fault: Fault) -> Self {
        Self { fault, commit: false, delay_ms: None }
    }

    /// A refusal without effect.
    pub(crate) const fn refuse(http: u16, case: u8) -> Self {
        Self::before(Fault::Answer(Case::new(http, case)))
    }
}
