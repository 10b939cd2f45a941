//! Service 38: the top-up, the one call that moves money.

use serde::{Deserialize, Serialize};

use crate::{LenientMoney, Money, PartnerReferenceNo, Private, ResponseCode, answer, lenient};

/// The order. Built by [`Profile::top_up_request`](crate::Profile::top_up_request).
/// Source: seeds 000 and 002, members in their order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TopUpRequest {
    /// The producer's number.
    pub partner_reference_no: PartnerReferenceNo,
    /// The phone number as the provider wants it.
    pub customer_number: Private,
    /// The name from the inquiry, or the job's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub customer_name: Option<Private>,
    /// How much.
    pub amount: Money,
    /// The fee from the inquiry.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fee_amount: Option<Money>,
    /// When the top-up was asked for, in SNAP's form.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transaction_date: Option<String>,
    /// Letters, digits, space and underscore, 50 at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub notes: Option<Private>,
    /// Midtrans' part.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub additional_info: Option<TopUpInfo>,
}

/// Midtrans' part of the order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TopUpInfo {
    /// Where to tell the customer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub beneficiary_email: Option<Private>,
    /// `gopay`, `ovo` and so on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub beneficiary_provider: Option<String>,
}

impl TopUpRequest {
    /// The bytes to sign and send.
    pub fn to_body(&self) -> Vec<u8> {
        answer::body_of(self)
    }
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TopUpResponse {
    /// The response code as answered, even if it is none.
    #[serde(default, deserialize_with = "lenient::text")]
    pub response_code: Option<String>,
    /// For people; never decides anything.
    #[serde(default, deserialize_with = "lenient::text")]
    pub response_message: Option<String>,
    /// The provider's number.
    #[serde(default, deserialize_with = "lenient::text")]
    pub reference_no: Option<String>,
    /// The producer's number as echoed; another one means doubt.
    #[serde(default, deserialize_with = "lenient::text")]
    pub partner_reference_no: Option<String>,
    /// The phone number, masked or not: never compare it.
    #[serde(default, deserialize_with = "lenient::private")]
    pub customer_number: Option<Private>,
    /// The name.
    #[serde(default, deserialize_with = "lenient::private")]
    pub customer_name: Option<Private>,
    /// How much; anything but what was sent means doubt.
    #[serde(default)]
    pub amount: Option<LenientMoney>,
    /// The fee, where it is told.
    #[serde(default)]
    pub fee_amount: Option<LenientMoney>,
}

impl TopUpResponse {
    /// The response code, if it is one.
    pub fn code(&self) -> Option<ResponseCode> {
        answer::code(self.response_code.as_deref())
    }
}
