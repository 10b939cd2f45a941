//! Service 37: who the customer is, what he may be sent, what it costs. Moves nothing.

use serde::{Deserialize, Serialize};

use crate::{LenientMoney, Money, PartnerReferenceNo, Private, ResponseCode, answer, lenient};

/// The question. Built by [`Profile::account_inquiry_request`](crate::Profile::account_inquiry_request).
/// Source: seed 003; docs.midtrans.com/reference/customer-top-up-account-inquiry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AccountInquiryRequest {
    /// The producer's number; not sent to Midtrans.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partner_reference_no: Option<PartnerReferenceNo>,
    /// The phone number as the provider wants it.
    pub customer_number: Private,
    /// How much is to be sent.
    pub amount: Money,
    /// When the top-up was asked for, in SNAP's form.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transaction_date: Option<String>,
    /// Which wallet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub additional_info: Option<AccountInquiryInfo>,
}

/// Midtrans' part of the question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AccountInquiryInfo {
    /// `gopay`, `ovo` and so on.
    pub beneficiary_provider: String,
}

impl AccountInquiryRequest {
    /// The bytes to sign and send.
    pub fn to_body(&self) -> Vec<u8> {
        answer::body_of(self)
    }
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AccountInquiryResponse {
    /// The response code as answered, even if it is none.
    #[serde(default, deserialize_with = "lenient::text")]
    pub response_code: Option<String>,
    /// For people; never decides anything.
    #[serde(default, deserialize_with = "lenient::text")]
    pub response_message: Option<String>,
    /// The provider's number.
    #[serde(default, deserialize_with = "lenient::text")]
    pub reference_no: Option<String>,
    /// The producer's number as echoed.
    #[serde(default, deserialize_with = "lenient::text")]
    pub partner_reference_no: Option<String>,
    /// The phone number, masked or not: never compare it.
    #[serde(default, deserialize_with = "lenient::private")]
    pub customer_number: Option<Private>,
    /// The name, to be echoed in the top-up byte for byte.
    #[serde(default, deserialize_with = "lenient::private")]
    pub customer_name: Option<Private>,
    /// The least that may be sent.
    #[serde(default)]
    pub min_amount: Option<LenientMoney>,
    /// The most that may be sent.
    #[serde(default)]
    pub max_amount: Option<LenientMoney>,
    /// How much was asked about.
    #[serde(default)]
    pub amount: Option<LenientMoney>,
    /// What it costs, to be echoed in the top-up.
    #[serde(default)]
    pub fee_amount: Option<LenientMoney>,
    /// Free text.
    #[serde(default, deserialize_with = "lenient::text")]
    pub fee_type: Option<String>,
}

impl AccountInquiryResponse {
    /// The response code, if it is one.
    pub fn code(&self) -> Option<ResponseCode> {
        answer::code(self.response_code.as_deref())
    }
}
