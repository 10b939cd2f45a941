//! The provider's side of SNAP's signatures: written on its own, so that it does not share the client's mistakes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::{digest, hmac, signature};

/// Lower-case hex.
pub(crate) fn hex(bytes: &[u8; 32]) -> [u8; 64] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = [0; 64];
    for (pair, byte) in text.chunks_exact_mut(2).zip(bytes) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 15)];
    }
    text
}

/// SHA-256 of a body.
pub(crate) fn sha256(body: &[u8]) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest::digest(&digest::SHA256, body).as_ref());
    bytes
}

/// What a transaction's signature is about.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Signed<'a> {
    pub(crate) method: &'a str,
    /// Path and, if there is one, query.
    pub(crate) path: &'a str,
    pub(crate) token: &'a str,
    pub(crate) body_sha256: &'a [u8; 32],
    pub(crate) timestamp: &'a str,
}

/// The client secret of a partner.
#[derive(Debug)]
pub(crate) struct Secret(hmac::Key);

impl Secret {
    pub(crate) fn new(secret: &str) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA512, secret.as_bytes()))
    }

    /// Whether `signature` is the standard Base64 of HMAC-SHA512 over `METHOD:path:token:hex(sha256(body)):timestamp`.
    ///
    /// Source: SNAP security standard; seeds 000 and 002.
    pub(crate) fn verifies(&self, signed: &Signed<'_>, signature: &str) -> bool {
        let mut mac = hmac::Context::with_key(&self.0);
        for part in [signed.method, ":", signed.path, ":", signed.token, ":"] {
            mac.update(part.as_bytes());
        }
        mac.update(&hex(signed.body_sha256));
        mac.update(b":");
        mac.update(signed.timestamp.as_bytes());
        let mut text = [0; 88];
        STANDARD.encode_slice(mac.sign(), &mut text).is_ok_and(|length| text[..length] == *signature.as_bytes())
    }
}

/// The registered public key of a partner.
#[derive(Debug)]
pub(crate) struct PublicKey(signature::UnparsedPublicKey<Vec<u8>>);

impl PublicKey {
    /// Reads an SPKI PEM of an RSA key.
    pub(crate) fn from_pem(pem: &str) -> Option<Self> {
        let body = pem.split_once("-----BEGIN PUBLIC KEY-----")?.1.split_once("-----END PUBLIC KEY-----")?.0;
        let body: String = body.split_whitespace().collect();
        let spki = STANDARD.decode(body).ok()?;
        let key = rsa_key_of(&spki)?.to_vec();
        Some(Self(signature::UnparsedPublicKey::new(&signature::RSA_PKCS1_2048_8192_SHA256, key)))
    }

    /// Whether `signature` is the standard Base64 of RSA PKCS#1 v1.5 with SHA-256 over `client key|timestamp`.
    ///
    /// Source: SNAP security standard, service 73.
    pub(crate) fn verifies_token_request(&self, client_key: &str, timestamp: &str, signature: &str) -> bool {
        let message = format!("{client_key}|{timestamp}");
        STANDARD.decode(signature).is_ok_and(|signature| self.0.verify(message.as_bytes(), &signature).is_ok())
    }
}

/// The PKCS#1 key inside a SubjectPublicKeyInfo.
fn rsa_key_of(spki: &[u8]) -> Option<&[u8]> {
    let (tag, inside, rest) = der(spki)?;
    if tag != 0x30 || !rest.is_empty() {
        return None;
    }
    let (tag, _algorithm, inside) = der(inside)?;
    if tag != 0x30 {
        return None;
    }
    match der(inside)? {
        (0x03, [0, key @ ..], []) => Some(key),
        _ => None,
    }
}

/// Tag, contents and what follows of the first DER value.
fn der(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = bytes.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = if first < 0x80 {
        (usize::from(first), rest)
    } else {
        let (digits, rest) =
            rest.split_at_checked(usize::from(first & 0x7f)).filter(|(digits, _)| digits.len() <= 3)?;
        (digits.iter().fold(0, |length, &byte| length << 8 | usize::from(byte)), rest)
    };
    let (contents, rest) = rest.split_at_checked(length)?;
    Some((tag, contents, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Credentials;

    // Vectors: the published and the generated ones of fixtures G1 and G6 (throw-away key and secret).
    const BODY: &[u8] = br#"{"partnerReferenceNo":"TU20240501000000000001","customerNumber":"081234567890","customerName":"sa**m","amount":{"value":"10000.00","currency":"IDR"},"feeAmount":{"value":"0.00","currency":"IDR"},"transactionDate":"2024-05-01T10:20:30+07:00"}"#;
    const SIGNATURE: &str = "ICOj0PGaMHgvn35xnFqIQzSRnsCDgutBPc41A//LdGy33ElA8+JtO/3ozCC4LpbRY/5Gag/y9HaaLU1xv2gcCg==";
    const TOKEN_SIGNATURE: &str = "JlbB2bAmV2N31GuX4JRo5eN9oQrxeFWK+8RbFmy2ogl66uOl8t95QOdBtCL3LhVNIS48b8iLU6nUok9zdEgavuV+JcpH5g21cvA8sRFlgChY47HzR44bj1a3bYU/R1iJMVFYTD09u7vOEAl42u+4xhYW6WR+SYNQFz2IE3ZuAkMeqMbQ2VdKDwtamAV44CYWuBeVRtr8TRQf4V2OlhpMI+0Y6DwIwm9QJc0bRfS02+PFZU6GQlwnTCvRVb7POygItMdd6aRqsJ7I8XGdQtOBiihLBiqg8vtGTTTZ+HH5dWjIUOeoZIsUnFX3EVSBGW/Rqp8lHEtxxx3eomUkqQZVoA==";

    fn signed<'a>(path: &'a str, sha256: &'a [u8; 32]) -> Signed<'a> {
        Signed {
            method: "POST",
            path,
            token: "test.access.token",
            body_sha256: sha256,
            timestamp: "2024-05-01T10:20:30+07:00",
        }
    }

    #[test]
    fn the_generated_vector_verifies_and_nothing_near_it() {
        let secret = Secret::new("test-client-secret-not-real");
        let hash = sha256(BODY);
        assert_eq!(&hex(&hash), b"28ed80186e4defc71bde543cec426c2833f0a71202adfb777dfc98ca341100a1");
        let path = "/v1.0/emoney/topup";
        assert!(secret.verifies(&signed(path, &hash), SIGNATURE));
        assert!(!secret.verifies(&signed("/v1.0/emoney/topup/", &hash), SIGNATURE));
        assert!(!secret.verifies(&signed(path, &sha256(b"{}")), SIGNATURE));
        assert!(!secret.verifies(&signed(path, &hash), &SIGNATURE.to_lowercase()));
        assert!(!secret.verifies(&signed(path, &hash), SIGNATURE.trim_end_matches('=')));
        assert!(!secret.verifies(&signed(path, &hash), ""));
        assert!(!Secret::new("another").verifies(&signed(path, &hash), SIGNATURE));
    }

    #[test]
    fn the_published_vector_verifies() {
        // github Midtrans/SNAP-BI-Signature-Demo @ a00d82b, sample-code/symmetricSignature.
        let body = br#"{"partnerReferenceNo":"2020102900000000000001","amount":{"value":"12345678.00","currency":"IDR"},"feeAmount":{"value":"12345678.00","currency":"IDR"},"merchantId":"00007100010926","terminalId":"213141251124","validityPeriod":"2009-07-03T12:08:56-07:00"}"#;
        let hash = sha256(body);
        let signed = Signed {
            method: "POST",
            path: "/v1.0/qr/qr-mpm-generate",
            token: "myaccesstoken",
            body_sha256: &hash,
            timestamp: "2024-03-05T10:37:16.196Z",
        };
        assert!(Secret::new("myclientsecret").verifies(
            &signed,
            "wmzT7yjg1SxxCsxNsFgCR9SYXiZGGbceF6fV8xe97sAMHxZ+7OEBMIBmvb6Sj6GcksGp3iv77DiomgSbcST3XQ=="
        ));
    }

    #[test]
    fn the_token_vector_verifies_and_nothing_near_it() {
        let key = PublicKey::from_pem(&Credentials::throwaway().public_key_pem).unwrap();
        assert!(key.verifies_token_request("test-client-key", "2024-05-01T10:20:30+07:00", TOKEN_SIGNATURE));
        assert!(!key.verifies_token_request("test-client-kez", "2024-05-01T10:20:30+07:00", TOKEN_SIGNATURE));
        assert!(!key.verifies_token_request("test-client-key", "2024-05-01T10:20:31+07:00", TOKEN_SIGNATURE));
        assert!(!key.verifies_token_request("test-client-key", "2024-05-01T10:20:30+07:00", "x"));
        assert!(PublicKey::from_pem("no key").is_none());
    }
}
