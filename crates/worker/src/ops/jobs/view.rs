//! A job as operators and scripts see it: the contract's field names, no name, no full phone number.

use engine::State;
use outbox::{KnownJob, StoredJob, Tombstone, Total};
use serde::Serialize;
use snap_core::{Amount, Timestamp};

use crate::output::{Table, moment, rupiah};

/// Money as the contract writes it; wide enough for sums.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Rupiah {
    value: String,
    currency: &'static str,
}

impl From<Amount> for Rupiah {
    fn from(amount: Amount) -> Self {
        Self { value: amount.to_string(), currency: "IDR" }
    }
}

impl From<Total> for Rupiah {
    fn from(total: Total) -> Self {
        Self { value: total.to_string(), currency: "IDR" }
    }
}

/// A job.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct JobView<'a> {
    partner_reference_no: &'a str,
    provider: &'a str,
    /// Masked; null where the details are past retention.
    customer_number: Option<String>,
    amount: Rupiah,
    state: &'a str,
    /// Of `rejected`, `dead` and `discarded`.
    reason: Option<&'a str>,
    money_state: &'a str,
    reference_no: Option<&'a str>,
    response_code: Option<&'a str>,
    response_message: Option<&'a str>,
    fee_amount: Option<Rupiah>,
    attempts: u32,
    requests: u32,
    accepted_at: String,
    due_at: Option<String>,
    finished_at: Option<String>,
    not_after: Option<String>,
    beneficiary_provider: Option<&'a str>,
    /// Since when only this is known of it; null while everything is.
    shrunk_at: Option<String>,
    #[serde(skip)]
    job: &'a KnownJob,
}

impl<'a> JobView<'a> {
    /// What is shown of `job`.
    pub(crate) fn new(job: &'a KnownJob) -> Self {
        match job {
            KnownJob::Whole(whole) => Self::whole(whole, job),
            KnownJob::Tombstone(left) => Self::tombstone(left, job),
        }
    }

    fn whole(of: &'a StoredJob, job: &'a KnownJob) -> Self {
        let rfc3339 = |at: Option<Timestamp>| at.map(Timestamp::to_rfc3339);
        Self {
            partner_reference_no: of.request.partner_reference_no.as_str(),
            provider: &of.request.provider,
            customer_number: Some(of.request.customer_number.masked()),
            amount: of.request.amount.into(),
            state: of.job.state.name(),
            reason: reason(&of.job.state),
            money_state: of.job.evidence.money.as_str(),
            reference_no: of.reference_no.as_deref(),
            response_code: of.response_code.as_deref(),
            response_message: of.response_message.as_deref(),
            fee_amount: of.fee_amount.map(Rupiah::from),
            attempts: of.attempts,
            requests: of.requests,
            accepted_at: of.accepted_at.to_rfc3339(),
            due_at: rfc3339(of.due_at),
            finished_at: rfc3339(of.finished_at),
            not_after: rfc3339(of.request.not_after),
            beneficiary_provider: of.request.beneficiary_provider.as_deref(),
            shrunk_at: None,
            job,
        }
    }

    fn tombstone(left: &'a Tombstone, job: &'a KnownJob) -> Self {
        Self {
            partner_reference_no: left.partner_reference_no.as_str(),
            provider: &left.provider,
            customer_number: None,
            amount: left.amount.into(),
            state: &left.state,
            reason: left.reason.as_deref(),
            money_state: &left.money_state,
            reference_no: left.reference_no.as_deref(),
            response_code: left.response_code.as_deref(),
            response_message: left.response_message.as_deref(),
            fee_amount: left.fee_amount.map(Rupiah::from),
            attempts: left.attempts,
            requests: left.requests,
            accepted_at: left.accepted_at.to_rfc3339(),
            due_at: None,
            finished_at: Some(left.finished_at.to_rfc3339()),
            not_after: None,
            beneficiary_provider: left.beneficiary_provider.as_deref(),
            shrunk_at: Some(left.shrunk_at.to_rfc3339()),
            job,
        }
    }

    /// What is known, line by line; what is not known has no line.
    pub(crate) fn facts(&self) -> Table {
        let at = |at: Option<Timestamp>| at.map(moment);
        let answer = self.response_code.map(|code| format!("{code} {}", self.response_message.unwrap_or_default()));
        let provider = match self.beneficiary_provider {
            Some(wallet) => format!("{} ({wallet})", self.provider),
            None => self.provider.to_owned(),
        };
        let (amount, fee) = match self.job {
            KnownJob::Whole(job) => (job.request.amount, job.fee_amount),
            KnownJob::Tombstone(left) => (left.amount, left.fee_amount),
        };
        let (due, finished, not_after, shrunk) = match self.job {
            KnownJob::Whole(job) => (job.due_at, job.finished_at, job.request.not_after, None),
            KnownJob::Tombstone(left) => (None, Some(left.finished_at), None, Some(left.shrunk_at)),
        };
        let gone = shrunk.map(|at| format!("past retention since {}: customer, requests, history", moment(at)));
        let facts = [
            ("provider", Some(provider)),
            ("customer", self.customer_number.clone()),
            ("amount", Some(rupiah(amount.minor().into()))),
            ("fee", fee.map(|fee| rupiah(fee.minor().into()))),
            ("reason", self.reason.map(str::to_owned)),
            ("money", Some(self.money_state.to_owned())),
            ("provider's number", self.reference_no.map(str::to_owned)),
            ("last answer", answer),
            ("top-up attempts", Some(format!("{} (of {} requests)", self.attempts, self.requests))),
            ("accepted", at(Some(self.job.accepted_at()))),
            ("next look", at(due)),
            ("finished", at(finished)),
            ("not after", at(not_after)),
            ("details", gone),
        ];
        Table::facts(facts)
    }
}

const fn reason(state: &State) -> Option<&'static str> {
    match state {
        State::Rejected { reason } => Some(reason.as_str()),
        State::Dead { reason } | State::Discarded { reason } => Some(reason.as_str()),
        _ => None,
    }
}
