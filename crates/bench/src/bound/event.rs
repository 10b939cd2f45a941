//! The outcome event, with the members that the worker's has.

use serde::Serialize;
use snap_core::{LenientMoney, Money, TopUpResponse};

use super::Job;
use crate::clock;

/// The body's content type.
pub(super) const CONTENT_TYPE: &str = "application/cloudevents+json";
/// Type and routing key.
pub(super) const KIND: &str = "topup.succeeded";

/// An event to publish.
pub(super) struct Event {
    /// Its id.
    pub(super) id: String,
    /// Its body.
    pub(super) body: Vec<u8>,
}

#[derive(Serialize)]
struct Envelope<'a> {
    specversion: &'static str,
    id: &'a str,
    source: &'static str,
    #[serde(rename = "type")]
    kind: &'static str,
    subject: &'a str,
    time: &'a str,
    datacontenttype: &'static str,
    data: Data<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Data<'a> {
    partner_reference_no: &'a str,
    provider: &'static str,
    customer_number: String,
    amount: Money,
    fee_amount: Option<Money>,
    reference_no: Option<&'a str>,
    response_code: Option<&'a str>,
    response_message: Option<&'a str>,
    reason: Option<&'static str>,
    attempts: u32,
    accepted_at: String,
    finished_at: &'a str,
    metadata: Empty,
}

#[derive(Serialize)]
struct Empty {}

/// Tells that the top-up succeeded.
pub(super) fn succeeded(job: &Job, answer: &TopUpResponse) -> Event {
    let id = format!("{:016x}{:016x}", testbed::random(), testbed::random());
    let now = clock::now().to_rfc3339();
    let reference = job.reference.as_str();
    let envelope = Envelope {
        specversion: "1.0",
        id: &id,
        source: "/topup/finpay",
        kind: KIND,
        subject: reference,
        time: &now,
        datacontenttype: "application/json",
        data: Data {
            partner_reference_no: reference,
            provider: "finpay",
            customer_number: job.customer.masked(),
            amount: Money::idr(job.amount),
            fee_amount: answer.fee_amount.and_then(LenientMoney::money),
            reference_no: answer.reference_no.as_deref(),
            response_code: answer.response_code.as_deref(),
            response_message: answer.response_message.as_deref(),
            reason: None,
            attempts: 1,
            accepted_at: job.accepted_at.to_rfc3339(),
            finished_at: &now,
            metadata: Empty {},
        },
    };
    let body = serde_json::to_vec(&envelope).expect("texts and numbers always serialise");
    Event { id, body }
}
