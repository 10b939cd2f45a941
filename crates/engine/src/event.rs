//! What happened to a top-up.

use std::time::Duration;

use snap_core::{Amount, Private, Timestamp};

use crate::LateAnswer;

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The inquiry was answered.
    Inquired {
        /// The provider's name of the customer.
        customer_name: Option<Private>,
        /// The provider's fee.
        fee: Option<Amount>,
        /// The least that may be topped up.
        min: Option<Amount>,
        /// The most that may be topped up.
        max: Option<Amount>,
    },
    /// The inquiry gave nothing to go on.
    InquiryFailed(Retry),
    /// The inquiry was refused for this customer or amount.
    InquiryRefused,
    /// The inquiry was refused as a wrong request.
    InquiryWrong,
    /// A top-up attempt is about to leave.
    SendStarted,
    /// The attempt ended.
    TopUp(Answer),
    /// A status inquiry ended.
    Checked {
        /// When it was asked.
        asked_at: Timestamp,
        /// What it told.
        answer: StatusAnswer,
    },
    /// What came back to a driver that was fenced off meanwhile (M16).
    Late(LateAnswer),
    /// It is to be asked about, at an account that the configuration does not name any more (M14).
    OtherAccount,
    /// An operator asked about a dead letter. Of a job that is not dead any more it is refused: that is the worker's to ask.
    AskedByOperator {
        /// What it told.
        answer: StatusAnswer,
    },
    /// The process restarted and found the job like this.
    Restarted,
    /// `notAfter` passed before the top-up was started.
    Expired,
    /// The store was restored from an older copy: what it says about this job may be old.
    StoreRestored,
    /// An operator amends what has never taken effect: the producer's deadline and name. Amount and identity stay.
    Amended {
        /// No top-up is started after this.
        not_after: Option<Timestamp>,
        /// The job brings a name of its own.
        has_customer_name: bool,
    },
    /// An operator replays a dead letter.
    Replayed,
    /// An operator closes a dead letter.
    Discarded,
    /// An operator takes the closing back.
    Restored,
}

impl Event {
    /// Its name in a job's history.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Inquired { .. } => "inquired",
            Self::InquiryFailed(_) => "inquiry_failed",
            Self::InquiryRefused => "inquiry_refused",
            Self::InquiryWrong => "inquiry_wrong",
            Self::SendStarted => "send_started",
            Self::TopUp(answer) => match answer {
                Answer::Paid => "top_up_paid",
                Answer::Accepted => "top_up_accepted",
                Answer::Refused => "top_up_refused",
                Answer::Wrong => "top_up_wrong",
                Answer::NotExecuted { .. } => "top_up_not_executed",
                Answer::NotSent => "not_sent",
                Answer::Unknown => "top_up_unknown",
                Answer::Duplicate => "top_up_duplicate",
                Answer::Inconsistent => "top_up_inconsistent",
            },
            Self::Checked { answer, .. } | Self::AskedByOperator { answer } => match answer {
                StatusAnswer::Paid { .. } => "status_paid",
                StatusAnswer::Pending => "status_pending",
                StatusAnswer::Refunded => "status_refunded",
                StatusAnswer::Cancelled => "status_cancelled",
                StatusAnswer::Failed => "status_failed",
                StatusAnswer::NotFound => "status_not_found",
                StatusAnswer::Inconsistent => "status_inconsistent",
                StatusAnswer::Nothing(_) => "status_unanswered",
            },
            Self::Late(late) => late.name(),
            Self::OtherAccount => "other_account",
            Self::Restarted => "restarted",
            Self::Expired => "expired",
            Self::StoreRestored => "store_restored",
            Self::Amended { .. } => "amended",
            Self::Replayed => "replayed",
            Self::Discarded => "discarded",
            Self::Restored => "restored",
        }
    }
}

/// What trying again costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Retry {
    /// It uses up one of the budget, and waits by the schedule or as long as the provider asks.
    Counted(Option<Duration>),
    /// It costs nothing: the fault was the lane's (our credentials, our deposit, the provider down), or a token that has
    /// been refreshed. The lane bounds how often that happens.
    Free,
}

/// What one top-up attempt tells about the money.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Answer {
    /// Credited, and final (M7).
    Paid,
    /// The provider has it and has not decided.
    Accepted,
    /// Refused for this customer or amount.
    Refused,
    /// Refused as a wrong request.
    Wrong,
    /// Provably not executed (M8).
    NotExecuted {
        /// Bytes of it were written.
        sent: bool,
        /// What trying again costs.
        retry: Retry,
    },
    /// The intent was no good any more when its first byte was to leave, and nothing was sent (M16). It costs nothing.
    NotSent,
    /// The money may have moved (M2).
    Unknown,
    /// The provider says that it knows this reference already (409 00, 409 01, 404 14, 404 18).
    Duplicate,
    /// It looks like a success, of something else: another amount or reference came back.
    Inconsistent,
}

/// What one status inquiry tells about the top-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StatusAnswer {
    /// 00, and what it names is ours.
    Paid {
        /// The answer carried the amount, and it is ours.
        amount_seen: bool,
    },
    /// 01, 02 or 03.
    Pending,
    /// 04.
    Refunded,
    /// 05.
    Cancelled,
    /// 06.
    Failed,
    /// 07, or "transaction not found".
    NotFound,
    /// Another amount or reference came back.
    Inconsistent,
    /// Nothing about the top-up.
    Nothing(Retry),
}

/// An event that cannot happen in this state; nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{event} cannot happen to a job that is {state}")]
pub struct IllegalEvent {
    /// The state's word.
    pub state: &'static str,
    /// The event's name.
    pub event: &'static str,
}
