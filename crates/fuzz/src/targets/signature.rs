//! Signatures: what was signed verifies, and nothing else does.

use std::sync::LazyLock;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ring::{digest, hmac};
use snap_core::{SigningKey, SymmetricKey, VerifyingKey, body_digest};

pub(super) const WORDS: &[&str] = &[
    "POST",
    "/v1.0/emoney/topup",
    "test.access.token",
    "2024-05-01T10:20:30+07:00",
    ":",
    "|",
    "\n",
    "{}",
    "=",
    "==",
    "A",
    "\0",
    "\u{feff}",
    "é",
];

static PRIVATE: LazyLock<SigningKey> = LazyLock::new(|| {
    SigningKey::from_pem(include_str!("../../../snap-core/fixtures/keys/test-only.private.pem")).expect("a fixture")
});

/// A call with its parts; one a line, what follows is the body.
struct Call<'a> {
    bit: usize,
    secret: &'a str,
    method: &'a str,
    path: &'a str,
    token: &'a str,
    timestamp: &'a str,
    body: &'a [u8],
}

impl<'a> Call<'a> {
    fn of(text: &'a str) -> Self {
        let mut parts = text.splitn(7, '\n');
        let mut next = || parts.next().unwrap_or_default();
        let bit = next().bytes().fold(0, |sum: usize, byte| sum.wrapping_mul(31).wrapping_add(usize::from(byte)));
        let (secret, method, path, token, timestamp) = (next(), next(), next(), next(), next());
        Self { bit, secret, method, path, token, timestamp, body: next().as_bytes() }
    }
}

/// `text` with one of its signs replaced by another.
fn altered(text: &str, at: usize) -> String {
    let at = at % (text.chars().count() + 1);
    let other = |sign: char| if sign == '0' { '1' } else { '0' };
    let mut signs: Vec<char> = text.chars().collect();
    match signs.get_mut(at) {
        Some(sign) => *sign = other(*sign),
        None => signs.push('0'),
    }
    signs.into_iter().collect()
}

fn flipped(bytes: &[u8], bit: usize) -> Vec<u8> {
    let mut bytes = if bytes.is_empty() { vec![0xff] } else { bytes.to_vec() };
    let at = bit % (bytes.len() * 8);
    bytes[at / 8] ^= 1 << (at % 8);
    bytes
}

pub(super) fn check_symmetric(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let Call { bit, secret, method, path, token, timestamp, body } = Call::of(&text);
    let key = SymmetricKey::new(secret);
    let signature = key.sign_transaction(method, path, token, body, timestamp);
    assert!(!secret_is_shown(&key, secret), "the secret is shown");
    // The same, by another library.
    let hex: String = digest::digest(&digest::SHA256, body).as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(body_digest(body), hex);
    let signed = format!("{}:{path}:{token}:{hex}:{timestamp}", method.to_ascii_uppercase());
    let expected = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA512, secret.as_bytes()), signed.as_bytes());
    assert_eq!(signature, STANDARD.encode(expected));

    let verifies =
        |key: &SymmetricKey, method: &str, path: &str, token: &str, body: &[u8], at: &str, signature: &str| {
            key.verify_transaction(method, path, token, body, at, signature)
        };
    assert!(verifies(&key, method, path, token, body, timestamp, &signature), "a good signature");
    let other = |text: &str| altered(text, bit);
    let bytes = STANDARD.decode(&signature).expect("it is Base64");
    let forged = [
        verifies(&key, &other(method), path, token, body, timestamp, &signature),
        verifies(&key, method, &other(path), token, body, timestamp, &signature),
        verifies(&key, method, path, &other(token), body, timestamp, &signature),
        verifies(&key, method, path, token, &flipped(body, bit), timestamp, &signature),
        verifies(&key, method, path, token, body, &other(timestamp), &signature),
        verifies(&SymmetricKey::new(other(secret)), method, path, token, body, timestamp, &signature),
        verifies(&key, method, path, token, body, timestamp, &STANDARD.encode(flipped(&bytes, bit))),
        verifies(&key, method, path, token, body, timestamp, &signature[..bit % signature.len()]),
        verifies(&key, method, path, token, body, timestamp, &other(&signature)),
    ];
    assert_eq!(forged, [false; 9], "a forged part verifies");
    // No other text stands for the same signature.
    assert_eq!(verifies(&key, method, path, token, body, timestamp, path), path == signature);
}

fn secret_is_shown(key: &SymmetricKey, secret: &str) -> bool {
    secret.len() > 8 && format!("{key:?}").contains(secret) && !"SymmetricKey([redacted])".contains(secret)
}

pub(super) fn check_asymmetric(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let Call { bit, secret: client_key, method, path, token: signature, timestamp, body } = Call::of(&text);
    let public = PRIVATE.verifying_key();
    let signed = PRIVATE.sign_transaction_asymmetric(method, path, body, timestamp);
    let verifies = |method: &str, path: &str, body: &[u8], at: &str, signature: &str| {
        public.verify_transaction_asymmetric(method, path, body, at, signature)
    };
    assert!(verifies(method, path, body, timestamp, &signed), "a good signature");
    assert!(
        public.verify(&format!("{}:{path}:{}:{timestamp}", method.to_ascii_uppercase(), body_digest(body)), &signed)
    );
    let bytes = STANDARD.decode(&signed).expect("it is Base64");
    let forged = [
        verifies(&altered(method, bit), path, body, timestamp, &signed),
        verifies(method, &altered(path, bit), body, timestamp, &signed),
        verifies(method, path, &flipped(body, bit), timestamp, &signed),
        verifies(method, path, body, &altered(timestamp, bit), &signed),
        verifies(method, path, body, timestamp, &STANDARD.encode(flipped(&bytes, bit))),
        verifies(method, path, body, timestamp, &altered(&signed, bit)),
        public.verify_token_request(path, timestamp, &signed),
    ];
    assert_eq!(forged, [false; 7], "a forged part verifies");
    assert_eq!(verifies(method, path, body, timestamp, signature), signature == signed);
    let token = PRIVATE.sign_token_request(client_key, timestamp);
    assert!(public.verify_token_request(client_key, timestamp, &token));
    assert!(!public.verify_token_request(&altered(client_key, bit), timestamp, &token));
    assert!(!public.verify_token_request(client_key, &altered(timestamp, bit), &token));
}

/// Key files: what is no key is refused without showing it, and what is taken as one does not verify everything.
pub(super) fn check_keys(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    match VerifyingKey::from_pem(&text) {
        Ok(key) => {
            assert!(!key.verify("text", "") && !key.verify("text", &STANDARD.encode([1; 256])));
            assert!(
                !key.verify("text", &STANDARD.encode([0; 256])) && !key.verify("text", &STANDARD.encode([0xff; 256]))
            );
        }
        Err(error) => assert!(error.to_string().len() < 120),
    }
    match SigningKey::from_pem(&text) {
        Ok(key) => {
            let signature = key.sign_token_request("a", "b");
            assert!(key.verifying_key().verify_token_request("a", "b", &signature));
            assert_eq!(VerifyingKey::from_pem(&key.public_key_pem()).ok(), Some(key.verifying_key()));
            assert_eq!(format!("{key:?}"), "SigningKey([redacted])");
        }
        Err(error) => assert!(error.to_string().len() < 120),
    }
}
