//! A job as operators and scripts see it: the contract's field names, no name, no full phone number.

use engine::State;
use outbox::{StoredJob, Total};
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
    /// Masked.
    customer_number: String,
    amount: Rupiah,
    state: &'static str,
    /// Of `rejected`, `dead` and `discarded`.
    reason: Option<&'static str>,
    money_state: &'static str,
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
    #[serde(skip)]
    job: &'a StoredJob,
}

impl<'a> JobView<'a> {
    /// What is shown of `job`.
    pub(crate) fn new(job: &'a StoredJob) -> Self {
        let rfc3339 = |at: Option<Timestamp>| at.map(Timestamp::to_rfc3339);
        Self {
            partner_reference_no: job.request.partner_reference_no.as_str(),
            provider: &job.request.provider,
            customer_number: job.request.customer_number.masked(),
            amount: job.request.amount.into(),
            state: job.job.state.name(),
            reason: reason(&job.job.state),
            money_state: job.job.evidence.money.as_str(),
            reference_no: job.reference_no.as_deref(),
            response_code: job.response_code.as_deref(),
            response_message: job.response_message.as_deref(),
            fee_amount: job.fee_amount.map(Rupiah::from),
            attempts: job.attempts,
            requests: job.requests,
            accepted_at: job.accepted_at.to_rfc3339(),
            due_at: rfc3339(job.due_at),
            finished_at: rfc3339(job.finished_at),
            not_after: rfc3339(job.request.not_after),
            beneficiary_provider: job.request.beneficiary_provider.as_deref(),
            job,
        }
    }

    /// What is known, line by line; what is not known has no line.
    pub(crate) fn facts(&self) -> Table {
        let job = self.job;
        let at = |at: Option<Timestamp>| at.map(moment);
        let answer = self.response_code.map(|code| format!("{code} {}", self.response_message.unwrap_or_default()));
        let provider = match self.beneficiary_provider {
            Some(wallet) => format!("{} ({wallet})", self.provider),
            None => self.provider.to_owned(),
        };
        let facts = [
            ("provider", Some(provider)),
            ("customer", Some(self.customer_number.clone())),
            ("amount", Some(rupiah(job.request.amount.minor().into()))),
            ("fee", job.fee_amount.map(|fee| rupiah(fee.minor().into()))),
            ("reason", self.reason.map(str::to_owned)),
            ("money", Some(self.money_state.to_owned())),
            ("provider's number", self.reference_no.map(str::to_owned)),
            ("last answer", answer),
            ("top-up attempts", Some(format!("{} (of {} requests)", self.attempts, self.requests))),
            ("accepted", at(Some(job.accepted_at))),
            ("next look", at(job.due_at)),
            ("finished", at(job.finished_at)),
            ("not after", at(job.request.not_after)),
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
