//! What an answer would tell, were it to come: for `worker explain`, by the same reading as live.

use std::time::Duration;

use snap_client::{Answered, Reply};
use snap_core::{Amount, Profile, ResponseCode, Service, Timestamp, TransactionStatus};

use super::read::{self, Expected, Reading};

/// The reading of an answer with this HTTP status, code and `latestTransactionStatus`, all else being as it should.
/// `None` for the token service, whose answers say nothing about a job.
pub(crate) fn supposed(
    profile: &Profile,
    service: Service,
    http_status: u16,
    code: Option<ResponseCode>,
    status: Option<TransactionStatus>,
) -> Option<Reading> {
    let mut body = serde_json::json!({
        "partnerReferenceNo": "-",
        "customerName": "-",
        "feeAmount": { "value": "0.00", "currency": "IDR" },
    });
    if let Some(code) = code {
        body["responseCode"] = code.as_str().into();
    }
    if let Some(status) = status {
        body["latestTransactionStatus"] = status.code().into();
    }
    let reply = Reply::Answered(Answered {
        http_status,
        body: if code.is_some() { body.to_string().into() } else { "".into() },
        surplus: false,
        may_be_earlier: false,
        retry_after: None,
        date: None,
        elapsed: Duration::ZERO,
    });
    let expected = Expected { reference: "-", amount: Amount::ZERO, has_customer_name: true };
    read::reading(profile, service, expected, Timestamp::from_millis(0), &reply)
}
