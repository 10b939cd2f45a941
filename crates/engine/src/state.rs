//! What is known of one top-up.

use serde::{Deserialize, Serialize};
use snap_core::{Amount, Private, Timestamp};

use crate::{Account, DeadReason, MoneyState, Policy, RejectReason};

/// A top-up as far as decisions need it. The store keeps it as one JSON text; fields are only ever added.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// Where it stands.
    pub state: State,
    /// What is to be credited.
    pub amount: Amount,
    /// No top-up is started after this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_after: Option<Timestamp>,
    /// The job message brought a `customerName`.
    pub has_customer_name: bool,
    /// What may still be tried.
    pub budget: Budget,
    /// What the attempts so far have shown.
    pub evidence: Evidence,
}

/// What may still be tried. Each number only counts down, until an operator replays the job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Budget {
    /// Inquiries that may still fail.
    pub inquiries: u32,
    /// Top-up attempts that may still be made.
    pub attempts: u32,
    /// Status inquiries that may still be made.
    pub checks: u32,
}

impl Budget {
    pub(crate) fn full(policy: &Policy) -> Self {
        Self { inquiries: policy.attempts, attempts: policy.attempts, checks: policy.checks() }
    }
}

/// What the attempts so far have shown. Nothing here is ever taken back by a later refusal (M3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// What is known about the money.
    pub money: MoneyState,
    /// When the first attempt that may have been executed began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_sent_at: Option<Timestamp>,
    /// When the last attempt ended: by an answer, an error, a timeout, or the restart that found it unanswered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_ended_at: Option<Timestamp>,
    /// Some attempt was in doubt, settled since or not.
    #[serde(default, skip_serializing_if = "is_false")]
    pub doubted: bool,
    /// The provider once said that it has the top-up (202, or status 00 to 03): it is never sent again.
    #[serde(default, skip_serializing_if = "is_false")]
    pub accepted: bool,
    /// An answer carried another amount or reference, and no later one has put it right.
    #[serde(default, skip_serializing_if = "is_false")]
    pub mismatch: bool,
    /// An operator has replayed it: it may have been due before it is due now.
    #[serde(default, skip_serializing_if = "is_false")]
    pub replayed: bool,
    /// The store may have forgotten an attempt (M12, M13): that was sent to whichever account was in use then (M14).
    #[serde(default, skip_serializing_if = "is_false")]
    pub forgotten: bool,
    /// To whom the last attempt was sent: only this account's answers say anything about it (M14).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<Account>,
    /// What came late of an attempt beside which a later one is not settled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub beside: Option<Beside>,
}

/// What a driver that was fenced off has heard of its attempt, while a later one is out or in doubt (M16).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Beside {
    /// What it has heard.
    pub taken: Taken,
    /// Whose answer it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<Account>,
}

/// What a provider has made of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Taken {
    /// It has it.
    Accepted,
    /// It has credited it.
    Paid,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
const fn is_false(value: &bool) -> bool {
    !*value
}

impl Evidence {
    /// A forgotten attempt cannot have begun before the last known one ended; where none is known nobody can say how long
    /// ago it was, and "not found" will prove nothing.
    pub(crate) fn earliest_forgotten(&self) -> Timestamp {
        self.last_ended_at.unwrap_or(Timestamp::from_millis(0))
    }
}

/// A refusal that waits for the doubt about an earlier attempt to be settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// The top-up will be rejected.
    Reject(RejectReason),
    /// The request itself was refused as wrong.
    Request,
}

/// Where a top-up stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Nothing is under way; the next thing is due at `at`.
    Ready {
        /// When it is due.
        at: Timestamp,
    },
    /// The inquiry was answered.
    Inquired {
        /// When.
        at: Timestamp,
        /// The name as the provider gave it, echoed byte for byte.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        customer_name: Option<Private>,
        /// The fee as the provider gave it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        fee: Option<Amount>,
    },
    /// An attempt is on disk and may have left (M1).
    Sending {
        /// What was known about the money before this attempt.
        before: MoneyState,
    },
    /// The money may have moved; the provider is asked (M2).
    Unconfirmed {
        /// When the next status inquiry is due.
        at: Timestamp,
        /// "Not found" answers in a row.
        not_found: u32,
        /// What to conclude once it is proven that nothing was paid.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        refusal: Option<Refusal>,
    },
    /// The provider confirmed the credit.
    Succeeded,
    /// No money moved and none will.
    Rejected {
        /// Why.
        reason: RejectReason,
    },
    /// It stands before a person.
    Dead {
        /// Why.
        reason: DeadReason,
    },
    /// A person closed it.
    Discarded {
        /// Why it stood before them.
        reason: DeadReason,
    },
}

impl State {
    /// The contract's word.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Ready { .. } => "ready",
            Self::Inquired { .. } => "inquired",
            Self::Sending { .. } => "sending",
            Self::Unconfirmed { .. } => "unconfirmed",
            Self::Succeeded => "succeeded",
            Self::Rejected { .. } => "rejected",
            Self::Dead { .. } => "dead",
            Self::Discarded { .. } => "discarded",
        }
    }

    /// Whether the worker still has something to do about it.
    pub const fn is_open(&self) -> bool {
        matches!(self, Self::Ready { .. } | Self::Inquired { .. } | Self::Sending { .. } | Self::Unconfirmed { .. })
    }

    pub(crate) const fn is_double_credit(&self) -> bool {
        matches!(self, Self::Dead { reason: DeadReason::DoubleCreditSuspected })
    }

    /// Whether it ended for good: succeeded, rejected or discarded.
    pub const fn is_final(&self) -> bool {
        matches!(self, Self::Succeeded | Self::Rejected { .. } | Self::Discarded { .. })
    }
}

impl Job {
    /// A job just accepted at `now`, with full budgets.
    pub fn accepted(
        amount: Amount,
        not_after: Option<Timestamp>,
        has_customer_name: bool,
        policy: &Policy,
        now: Timestamp,
    ) -> Self {
        Self {
            state: State::Ready { at: now },
            amount,
            not_after,
            has_customer_name,
            budget: Budget::full(policy),
            evidence: Evidence {
                money: MoneyState::NeverSent,
                first_sent_at: None,
                last_ended_at: None,
                doubted: false,
                accepted: false,
                mismatch: false,
                replayed: false,
                forgotten: false,
                account: None,
                beside: None,
            },
        }
    }

    /// As it may stand where the store was put back from a copy that does not know its key (M12): perhaps sent at `since`
    /// already, or at any time after it. To be asked about by [`crate::Event::StoreRestored`].
    #[must_use]
    pub fn perhaps_sent_since(mut self, since: Timestamp) -> Self {
        let first = &mut self.evidence.first_sent_at;
        *first = Some(first.map_or(since, |first| first.min(since)));
        self
    }

    /// When the worker should look at it again; `None` where it rests.
    pub const fn due_at(&self) -> Option<Timestamp> {
        match self.state {
            State::Ready { at } | State::Inquired { at, .. } | State::Unconfirmed { at, .. } => Some(at),
            // A `sending` job found at rest is perhaps sent: due at once, and asked about.
            State::Sending { .. } => Some(Timestamp::from_millis(0)),
            State::Succeeded | State::Rejected { .. } | State::Dead { .. } | State::Discarded { .. } => None,
        }
    }

    /// Whether its `notAfter` has passed at `now`.
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.not_after.is_some_and(|not_after| now > not_after)
    }
}
