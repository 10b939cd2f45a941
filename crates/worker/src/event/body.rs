//! The members of an event's body, in the order in which they are written.

use outbox::{AnswerFields, StoredJob};
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use snap_core::{Money, Timestamp};

use super::{Action, RefusedMessage};

/// The CloudEvents attributes; those without a value are left out, never null.
#[derive(Serialize)]
pub(super) struct Envelope<'a, D> {
    pub(super) specversion: &'static str,
    pub(super) id: &'a str,
    pub(super) source: &'a str,
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) subject: Option<&'a str>,
    pub(super) time: String,
    pub(super) datacontenttype: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) traceparent: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) tracestate: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) jobmessageid: Option<&'a str>,
    pub(super) data: D,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct JobData<'a> {
    pub(super) partner_reference_no: &'a str,
    pub(super) provider: &'a str,
    pub(super) customer_number: String,
    pub(super) amount: Money,
    pub(super) fee_amount: Option<Money>,
    pub(super) reference_no: Option<&'a str>,
    pub(super) response_code: Option<&'a str>,
    pub(super) response_message: Option<&'a str>,
    pub(super) reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) dead_letter_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) money_state: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) by: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) why: Option<&'a str>,
    pub(super) attempts: u32,
    #[serde(serialize_with = "rfc3339")]
    pub(super) accepted_at: Option<Timestamp>,
    #[serde(serialize_with = "rfc3339")]
    pub(super) finished_at: Option<Timestamp>,
    pub(super) metadata: &'a RawValue,
}

impl<'a> JobData<'a> {
    pub(super) fn of(job: &'a StoredJob, answer: &'a AnswerFields) -> Self {
        let fee = answer.fee_amount.or(job.fee_amount);
        Self {
            partner_reference_no: job.request.partner_reference_no.as_str(),
            provider: &job.request.provider,
            customer_number: job.request.customer_number.masked(),
            amount: Money::idr(job.request.amount),
            fee_amount: fee.map(Money::idr),
            reference_no: answer.reference_no.as_deref().or(job.reference_no.as_deref()),
            response_code: answer.response_code.as_deref().or(job.response_code.as_deref()),
            response_message: answer.response_message.as_deref().or(job.response_message.as_deref()),
            reason: None,
            dead_letter_id: None,
            money_state: None,
            by: None,
            why: None,
            attempts: job.attempts,
            accepted_at: Some(job.accepted_at),
            finished_at: job.finished_at,
            metadata: object(job.request.metadata.expose()),
        }
    }

    pub(super) fn acted(self, action: Action<'a>) -> Self {
        Self {
            reason: Some(action.reason.as_str()),
            dead_letter_id: Some(action.dead_letter.as_str()),
            by: Some(action.by),
            why: Some(action.why),
            ..self
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct MessageData<'a> {
    pub(super) provider: Option<&'a str>,
    pub(super) fee_amount: Option<Money>,
    pub(super) reference_no: Option<&'a str>,
    pub(super) response_code: Option<&'a str>,
    pub(super) response_message: Option<&'a str>,
    pub(super) reason: &'static str,
    pub(super) dead_letter_id: &'a str,
    pub(super) detail: &'a str,
    pub(super) claimed_partner_reference_no: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) by: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) why: Option<&'a str>,
    pub(super) metadata: &'a RawValue,
}

impl<'a> MessageData<'a> {
    pub(super) fn of(message: RefusedMessage<'a>, acted: Option<(&'a str, &'a str)>) -> Self {
        Self {
            provider: message.provider,
            fee_amount: None,
            reference_no: None,
            response_code: None,
            response_message: None,
            reason: message.reason.as_str(),
            dead_letter_id: message.dead_letter.as_str(),
            detail: message.detail,
            claimed_partner_reference_no: message.claimed_reference,
            by: acted.map(|(by, _)| by),
            why: acted.map(|(_, why)| why),
            metadata: object("{}"),
        }
    }
}

/// The stored `metadata` as it is; the intake has read it as JSON before it was stored.
fn object(text: &str) -> &RawValue {
    serde_json::from_str(text).or_else(|_| serde_json::from_str("{}")).expect("an empty object is JSON")
}

fn rfc3339<S: Serializer>(at: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
    at.map(Timestamp::to_rfc3339).serialize(serializer)
}
