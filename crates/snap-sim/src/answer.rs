//! Answers as they are written on the wire.

use std::borrow::Cow;

use serde::Serialize;

use crate::case::Case;
use crate::fault::Fault;
use crate::ledger::rupiah;

/// One body for every service; fields that a service does not have stay out.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Answer<'a> {
    #[serde(skip)]
    pub(crate) http: u16,
    /// The amount that was asked for, in minor units.
    #[serde(skip)]
    pub(crate) asked: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) response_code: Option<String>,
    pub(crate) response_message: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) access_token: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) token_type: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) expires_in: Option<Seconds>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) original_partner_reference_no: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) original_reference_no: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) original_external_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) service_code: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reference_no: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) partner_reference_no: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) customer_number: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) customer_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) min_amount: Option<Money<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) max_amount: Option<Money<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) amount: Option<Money<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) fee_amount: Option<Money<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) fee_type: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) latest_transaction_status: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) transaction_status_desc: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) padding: Option<String>,
}

/// An amount on the wire.
#[derive(Debug, Serialize)]
pub(crate) struct Money<'a> {
    value: Cow<'a, str>,
    currency: &'static str,
}

impl<'a> Money<'a> {
    /// An amount with this very text.
    pub(crate) const fn text(value: &'a str) -> Self {
        Self { value: Cow::Borrowed(value), currency: "IDR" }
    }

    /// An amount in minor units.
    pub(crate) fn minor(minor: u64) -> Self {
        Self { value: rupiah(minor).into(), currency: "IDR" }
    }
}

/// `expiresIn`, which providers write in two ways.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum Seconds {
    Text(String),
    Number(i64),
}

impl<'a> Answer<'a> {
    /// An answer with code and message only.
    pub(crate) fn of(case: Case, service: u8) -> Self {
        Self {
            http: case.http(),
            response_code: Some(case.code(service)),
            response_message: case.message().into(),
            ..Self::default()
        }
    }

    /// A success of this service.
    pub(crate) fn success(service: u8) -> Self {
        Self {
            response_message: "Request has been processed successfully".into(),
            ..Self::of(Case::new(200, 0), service)
        }
    }

    pub(crate) fn with_message(mut self, message: impl Into<Cow<'a, str>>) -> Self {
        self.response_message = message.into();
        self
    }

    /// Spoils what this fault spoils in a body; other faults leave it as it is.
    pub(crate) fn spoil(&mut self, fault: Fault, service: u8) {
        match fault {
            Fault::ForeignService => {
                let other = if service == 39 { 38 } else { 39 };
                *self = Self { response_code: Some(Case::new(200, 0).code(other)), http: 200, ..std::mem::take(self) };
            }
            Fault::AmountMismatch => self.amount = Some(Money::minor(self.asked + 100)),
            Fault::ReferenceMismatch => {
                let references = [&mut self.partner_reference_no, &mut self.original_partner_reference_no];
                for reference in references.into_iter().flatten() {
                    *reference = another(reference).into();
                }
            }
            Fault::UnknownCode => self.response_code = Some(Case::new(200, 77).code(service)),
            Fault::MissingCode => self.response_code = None,
            Fault::HugeBody => self.padding = Some("x".repeat(96 * 1024)),
            _ => {}
        }
    }

    pub(crate) fn to_json(&self) -> Vec<u8> {
        let mut body = Vec::with_capacity(384);
        serde_json::to_writer(&mut body, self).expect("an answer has string keys and the vector takes every byte");
        body
    }
}

/// A reference of the same length that is another one.
fn another(reference: &str) -> String {
    let mut text = reference.to_owned();
    let last = text.pop();
    text.push(if last == Some('7') { '8' } else { '7' });
    text
}
