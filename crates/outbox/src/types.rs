//! The nouns that several parts of the store share.

use std::fmt;

use snap_core::{Amount, CustomerNumber, PartnerReferenceNo, Private, Timestamp};

/// A job's row number: jobs are numbered in the order of their arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobId(pub i64);

/// An outcome's row number: outcomes are numbered in the order they were recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OutcomeId(pub i64);

/// A replay plan's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PlanId(pub i64);

/// A dead letter's id: text made by the caller, ordered by time, so that the event that names it can be built before.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeadLetterId(String);

impl DeadLetterId {
    /// The id with this text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DeadLetterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for PlanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for OutcomeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A sum of amounts in minor units; wider than any number of jobs can fill.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Total(u128);

impl Total {
    /// From minor units.
    pub const fn from_minor(minor: u128) -> Self {
        Self(minor)
    }

    /// The minor units.
    pub const fn minor(self) -> u128 {
        self.0
    }

    /// Whole rupiah, rounded down.
    pub const fn whole(self) -> u128 {
        self.0 / 100
    }

    /// Both together.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

/// As on the wire: `48750000.00`.
impl fmt::Display for Total {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:02}", self.0 / 100, self.0 % 100)
    }
}

/// What a producer asked for, parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobRequest {
    /// The idempotency key.
    pub partner_reference_no: PartnerReferenceNo,
    /// The provider's name in the configuration, defaulted.
    pub provider: String,
    /// Who is credited.
    pub customer_number: CustomerNumber,
    /// What is credited.
    pub amount: Amount,
    /// The producer's name of the customer.
    pub customer_name: Option<Private>,
    /// Notes for the provider.
    pub notes: Option<Private>,
    /// The wallet, where the provider serves several.
    pub beneficiary_provider: Option<String>,
    /// The customer's mail address.
    pub beneficiary_email: Option<Private>,
    /// No top-up is started after this.
    pub not_after: Option<Timestamp>,
    /// A JSON object, kept byte for byte; `{}` where there is none.
    pub metadata: Private,
}

/// What the first accepted delivery carried and every outcome of the job carries on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Carried {
    /// AMQP `correlation_id`.
    pub correlation_id: Option<String>,
    /// AMQP `message_id`.
    pub message_id: Option<String>,
    /// W3C `traceparent`.
    pub traceparent: Option<String>,
    /// W3C `tracestate`.
    pub tracestate: Option<String>,
}

/// A job as it is on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredJob {
    /// Its number.
    pub id: JobId,
    /// Grows with every change; who changes the job must name it.
    pub version: i64,
    /// What was asked.
    pub request: JobRequest,
    /// What its outcomes carry on.
    pub carried: Carried,
    /// What the state machine knows.
    pub job: engine::Job,
    /// When it was recorded.
    pub accepted_at: Timestamp,
    /// When it waits to be looked at; `None` while someone drives it and when it rests.
    pub due_at: Option<Timestamp>,
    /// When it ended for good.
    pub finished_at: Option<Timestamp>,
    /// The provider's number of it.
    pub reference_no: Option<String>,
    /// The last response code that told something.
    pub response_code: Option<String>,
    /// The message beside it.
    pub response_message: Option<String>,
    /// The provider's fee.
    pub fee_amount: Option<Amount>,
    /// Top-up attempts so far: requests that can move money.
    pub attempts: u32,
    /// Signed requests so far, of every service.
    pub requests: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_ids_are_told_as_they_are() {
        let told = [JobId(7).to_string(), OutcomeId(8).to_string(), PlanId(9).to_string()];
        assert_eq!(told, ["7", "8", "9"]);
        assert_eq!(DeadLetterId::new("dl-1").to_string(), "dl-1");
    }

    #[test]
    fn a_total_is_told_with_two_decimals_and_in_whole_rupiah() {
        let total = Total::from_minor(123).plus(Total::from_minor(4_056));
        assert_eq!((total.to_string(), total.whole(), total.minor()), ("41.79".to_owned(), 41, 4_179));
    }
}
