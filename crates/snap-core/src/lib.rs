//! SNAP BI on the wire: models, amounts, ids, response codes, signatures, provider profiles. No I/O.
//!
//! Everything here is a value or a pure function. Answers of a provider are hostile input: nothing here panics on
//! them, and what cannot be read is reported as unreadable, never guessed.

mod account_inquiry;
mod amount;
mod answer;
mod class;
mod classify;
mod code_override;
mod customer_number;
pub mod duration;
pub mod headers;
mod ids;
mod key_pem;
mod lane_fault;
mod lenient;
mod money;
mod private;
mod profile;
mod request;
mod response_code;
mod rsa;
mod service;
mod signing;
mod table;
mod timestamp;
mod token;
mod top_up;
mod top_up_status;
mod transaction_status;

pub use account_inquiry::{AccountInquiryInfo, AccountInquiryRequest, AccountInquiryResponse};
pub use amount::{Amount, AmountError};
pub use answer::{AnswerHead, UnreadableAnswer, parse_answer};
pub use class::{Class, UnknownClass};
pub use classify::{classify, classify_reply};
pub use code_override::{CodeOverride, CodePattern, PatternError};
pub use customer_number::{CustomerNumber, CustomerNumberError, PhoneForm};
pub use ids::{ExternalId, IdError, PartnerReferenceNo};
pub use key_pem::KeyError;
pub use lane_fault::{LaneFault, UnknownLaneFault, lane_fault};
pub use money::{Currency, LenientMoney, Money};
pub use private::Private;
pub use profile::{
    Defaults, InquiryFields, InquiryMode, OriginalReferenceNo, Paths, Profile, ProfileError, SigningPaths,
    TimestampForm, TopUpFields,
};
pub use request::{RequestError, TopUpDetails, notes_from_reference};
pub use response_code::{ResponseCode, ResponseCodeError};
pub use rsa::{SigningKey, VerifyingKey};
pub use service::{Service, UnknownService};
pub use signing::{SymmetricKey, body_digest, string_to_sign_asymmetric, string_to_sign_token_request};
pub use table::{CodeRow, rows_for, table};
pub use timestamp::{Timestamp, TimestampError};
pub use token::{AccessTokenRequest, AccessTokenResponse};
pub use top_up::{TopUpInfo, TopUpRequest, TopUpResponse};
pub use top_up_status::{TopUpStatusRequest, TopUpStatusResponse, TransferStatusRequest, TransferStatusResponse};
pub use transaction_status::TransactionStatus;
