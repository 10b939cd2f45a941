//! The names of the HTTP headers SNAP defines, once.

/// `Bearer <access token>`, on every call but the token call.
pub const AUTHORIZATION: &str = "Authorization";
/// `application/json`, on every call.
pub const CONTENT_TYPE: &str = "Content-Type";
/// The time of the request, byte for byte the one that was signed.
pub const X_TIMESTAMP: &str = "X-TIMESTAMP";
/// The signature, in standard Base64.
pub const X_SIGNATURE: &str = "X-SIGNATURE";
/// Who calls, on the token call only.
pub const X_CLIENT_KEY: &str = "X-CLIENT-KEY";
/// Who calls, on every other call.
pub const X_PARTNER_ID: &str = "X-PARTNER-ID";
/// The number of this one request, never reused.
pub const X_EXTERNAL_ID: &str = "X-EXTERNAL-ID";
/// The channel the provider issued, up to five characters.
pub const CHANNEL_ID: &str = "CHANNEL-ID";
/// The caller's domain; mandatory at Finpay.
pub const ORIGIN: &str = "ORIGIN";
