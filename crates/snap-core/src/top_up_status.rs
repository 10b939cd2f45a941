//! Services 39 and 36: what became of a top-up.

use serde::{Deserialize, Serialize};

use crate::{LenientMoney, PartnerReferenceNo, ResponseCode, Service, TransactionStatus, answer, lenient};

/// The question. Built by [`Profile::status_request`](crate::Profile::status_request).
/// Source: SNAP Developer Site, customer top-up; hub.finpay.id topupstatus; docs.midtrans.com transfer-status-inquiry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TopUpStatusRequest {
    /// The producer's number of the top-up.
    pub original_partner_reference_no: PartnerReferenceNo,
    /// The provider's number of the top-up; may be empty where it is mandatory and not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub original_reference_no: Option<String>,
    /// The service that was called: `38`.
    pub service_code: String,
}

/// The same question of service 36 (Midtrans).
pub type TransferStatusRequest = TopUpStatusRequest;

impl TopUpStatusRequest {
    /// About the top-up with this number.
    pub fn new(reference: PartnerReferenceNo, original_reference_no: Option<String>) -> Self {
        Self {
            original_partner_reference_no: reference,
            original_reference_no,
            service_code: Service::TopUp.to_string(),
        }
    }

    /// The bytes to sign and send.
    pub fn to_body(&self) -> Vec<u8> {
        answer::body_of(self)
    }
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TopUpStatusResponse {
    /// The response code as answered, even if it is none; says nothing about the top-up.
    #[serde(default, deserialize_with = "lenient::text")]
    pub response_code: Option<String>,
    /// For people; never decides anything.
    #[serde(default, deserialize_with = "lenient::text")]
    pub response_message: Option<String>,
    /// The provider's number of the top-up.
    #[serde(default, deserialize_with = "lenient::text")]
    pub original_reference_no: Option<String>,
    /// The producer's number of the top-up as echoed.
    #[serde(default, deserialize_with = "lenient::text")]
    pub original_partner_reference_no: Option<String>,
    /// The provider's number of the top-up under the name that a top-up's own answer has for it.
    #[serde(default, deserialize_with = "lenient::text")]
    pub reference_no: Option<String>,
    /// The producer's number of the top-up under the name that a top-up's own answer has for it.
    #[serde(default, deserialize_with = "lenient::text")]
    pub partner_reference_no: Option<String>,
    /// The external id of the top-up.
    #[serde(default, deserialize_with = "lenient::text")]
    pub original_external_id: Option<String>,
    /// The service that was called, `38`.
    #[serde(default, deserialize_with = "lenient::text")]
    pub service_code: Option<String>,
    /// How much; Finpay says `0` beside status 07.
    #[serde(default)]
    pub amount: Option<LenientMoney>,
    /// Two digits as answered. See [`TopUpStatusResponse::status`].
    #[serde(default, deserialize_with = "lenient::text")]
    pub latest_transaction_status: Option<String>,
    /// For people.
    #[serde(default, deserialize_with = "lenient::text")]
    pub transaction_status_desc: Option<String>,
}

/// The same answer of service 36 (Midtrans).
pub type TransferStatusResponse = TopUpStatusResponse;

impl TopUpStatusResponse {
    /// The response code, if it is one.
    pub fn code(&self) -> Option<ResponseCode> {
        answer::code(self.response_code.as_deref())
    }

    /// What became of the top-up; none for a missing or unknown status, which says nothing.
    pub fn status(&self) -> Option<TransactionStatus> {
        self.latest_transaction_status.as_deref().and_then(TransactionStatus::parse)
    }
}
