//! Strings to sign, and the symmetric signature. Signs the bytes it is given and never reformats them.
//!
//! Source: SNAP security standard as summarised in Midtrans' SNAP-BI-Signature-Demo and DOKU's signature pages.

use std::fmt;

use base64::{Engine, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256, Sha512};

/// The SHA-256 of a body in lower-case hex. The body is the exact bytes that are sent.
pub fn body_digest(body: &[u8]) -> String {
    const DIGITS: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];
    let mut hex = String::with_capacity(64);
    for byte in Sha256::digest(body) {
        hex.push(DIGITS[usize::from(byte >> 4)]);
        hex.push(DIGITS[usize::from(byte & 0xf)]);
    }
    hex
}

/// `METHOD:path:digest:timestamp`, for a call without a token, and for what a provider calls back.
pub fn string_to_sign_asymmetric(method: &str, path: &str, body: &[u8], timestamp: &str) -> String {
    format!("{}:{path}:{}:{timestamp}", method.to_ascii_uppercase(), body_digest(body))
}

/// `clientKey|timestamp`, for the token call.
pub fn string_to_sign_token_request(client_key: &str, timestamp: &str) -> String {
    format!("{client_key}|{timestamp}")
}

/// The client secret, ready to sign with HMAC-SHA512; its bytes as given, nothing is decoded.
#[derive(Clone)]
pub struct SymmetricKey(Hmac<Sha512>);

impl SymmetricKey {
    /// From the client secret.
    pub fn new(secret: impl AsRef<[u8]>) -> Self {
        Self(Hmac::new_from_slice(secret.as_ref()).expect("HMAC takes a key of any length"))
    }

    /// The `X-SIGNATURE` of a call with a token, in standard Base64. `timestamp` is the header's, byte for byte.
    pub fn sign_transaction(&self, method: &str, path: &str, token: &str, body: &[u8], timestamp: &str) -> String {
        self.sign_transaction_digest(&method.to_ascii_uppercase(), path, token, &body_digest(body), timestamp)
    }

    /// As [`Self::sign_transaction`], of a body whose [`body_digest`] is known already; `method` in capitals.
    pub fn sign_transaction_digest(
        &self,
        method: &str,
        path: &str,
        token: &str,
        body_digest: &str,
        timestamp: &str,
    ) -> String {
        STANDARD.encode(self.mac_of(&[method, path, token, body_digest, timestamp]).finalize().into_bytes())
    }

    /// Whether `signature` is the signature of this call; in constant time, standard Base64 with padding only.
    pub fn verify_transaction(
        &self,
        method: &str,
        path: &str,
        token: &str,
        body: &[u8],
        timestamp: &str,
        signature: &str,
    ) -> bool {
        let mac = self.mac_of(&[&method.to_ascii_uppercase(), path, token, &body_digest(body), timestamp]);
        STANDARD.decode(signature).is_ok_and(|signature| mac.verify_slice(&signature).is_ok())
    }

    /// Over `METHOD:path:token:digest:timestamp`, the string of a call with a token, without writing it.
    fn mac_of(&self, parts: &[&str; 5]) -> Hmac<Sha512> {
        let mut mac = self.0.clone();
        for (place, part) in parts.iter().enumerate() {
            if place > 0 {
                mac.update(b":");
            }
            mac.update(part.as_bytes());
        }
        mac
    }
}

impl fmt::Debug for SymmetricKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SymmetricKey([redacted])")
    }
}
