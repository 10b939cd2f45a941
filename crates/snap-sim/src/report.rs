//! What the ledger tells.

use serde::Serialize;

use crate::fault::Latest;

/// The ledger in a few numbers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Verdict {
    /// Credits that stand (those taken back are not among them).
    pub credits: u64,
    /// Credits beyond the first of a reference.
    pub double_credits: u64,
    /// Credits taken back (status 04).
    pub reversed: u64,
    /// Sum of the standing credits, as `10000.00`.
    pub total: String,
    /// References that a top-up was ever asked for.
    pub references: u64,
    /// Late commits that are still to come.
    pub pending_effects: u64,
    /// Requests of every kind.
    pub requests: u64,
    /// Top-up requests.
    pub top_ups: u64,
    /// Requests refused because of signature, token, headers, fields or a reused external id.
    pub refused: u64,
    /// Clients that followed a redirect.
    pub redirects_followed: u64,
    /// The most requests that were in the works at one time.
    pub max_in_flight: u64,
}

/// One credit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Credit {
    /// When, in Unix milliseconds.
    pub at_ms: i64,
    /// Whom, `62…`.
    pub customer: String,
    /// How much, as `10000.00`.
    pub amount: String,
    /// `X-EXTERNAL-ID` of the request that caused it.
    pub external_id: String,
}

/// What the ledger knows of one reference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ReferenceReport {
    /// The mount's name.
    pub profile: String,
    /// `partnerReferenceNo`.
    pub reference: String,
    /// The provider's own number, where a top-up took effect or was accepted.
    pub reference_no: Option<String>,
    /// What a status inquiry would say now, were nothing hidden.
    pub status: Latest,
    /// Account inquiries that named it.
    pub inquiries: u32,
    /// Top-up requests.
    pub top_ups: u32,
    /// Status inquiries.
    pub status_inquiries: u32,
    /// Whether its credit was taken back.
    pub reversed: bool,
    /// Every credit, the reversed one too.
    pub credits: Vec<Credit>,
}

/// What a request did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Effect {
    /// Nothing.
    None,
    /// Money was credited.
    Credited,
    /// Money was credited once more to a known reference.
    CreditedAgain,
    /// Accepted (202); the credit, if one will come, is already in the ledger.
    Accepted,
    /// Will take effect after the client has gone.
    Late,
    /// The reference was known; nothing more happened.
    Repeated,
}

/// One request that arrived.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RequestRecord {
    /// When, in Unix milliseconds.
    pub at_ms: i64,
    /// The mount's name.
    pub profile: String,
    /// Service digits.
    pub service: u8,
    /// `partnerReferenceNo` or `originalPartnerReferenceNo`.
    pub reference: Option<String>,
    /// `X-EXTERNAL-ID`.
    pub external_id: Option<String>,
    /// SHA-256 of the body, lower-case hex.
    pub body_sha256: String,
    /// What it did.
    pub effect: Effect,
    /// The seven digits that were answered, or meant to be; none where the answer had none.
    pub code: Option<String>,
    /// The fault it met.
    pub fault: Option<crate::Fault>,
}
