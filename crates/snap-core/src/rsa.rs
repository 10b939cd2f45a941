//! The asymmetric signature: RSA PKCS#1 v1.5 with SHA-256, for the token call and for calls without a token.

use std::{fmt, sync::Arc};

use base64::{Engine, engine::general_purpose::STANDARD};
use ring::{
    rand::SystemRandom,
    signature::{RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, RsaKeyPair, UnparsedPublicKey},
};

use crate::{
    key_pem::{self, KeyError},
    signing::{string_to_sign_asymmetric, string_to_sign_token_request},
};

/// Our private key.
#[derive(Clone)]
pub struct SigningKey(Arc<RsaKeyPair>);

impl SigningKey {
    /// From a PKCS#8 PEM file, `-----BEGIN PRIVATE KEY-----`, unencrypted, 2048 to 4096 bits.
    ///
    /// # Errors
    /// [`KeyError`]; also [`KeyError::Unusable`] where the parts of the key do not belong together.
    pub fn from_pem(pem: &str) -> Result<Self, KeyError> {
        let der = key_pem::der_from_pem(pem, key_pem::PRIVATE)?;
        let pair = RsaKeyPair::from_pkcs8(&der).map_err(|_why| KeyError::Unusable)?;
        // A damaged key shows itself at the first signature: make that one now.
        sign(&pair, b"self-test").ok_or(KeyError::Unusable)?;
        Ok(Self(Arc::new(pair)))
    }

    /// The `X-SIGNATURE` of the token call, in standard Base64. `timestamp` is the header's, byte for byte.
    pub fn sign_token_request(&self, client_key: &str, timestamp: &str) -> String {
        self.sign(&string_to_sign_token_request(client_key, timestamp))
    }

    /// The `X-SIGNATURE` of a call without a token, in standard Base64.
    pub fn sign_transaction_asymmetric(&self, method: &str, path: &str, body: &[u8], timestamp: &str) -> String {
        self.sign(&string_to_sign_asymmetric(method, path, body, timestamp))
    }

    /// The public half as the provider wants it: X.509 SubjectPublicKeyInfo, PEM. Source: docs.finpay.id, signature.
    pub fn public_key_pem(&self) -> String {
        key_pem::public_pem_from_pkcs1(self.0.public().as_ref())
    }

    /// The public half.
    pub fn verifying_key(&self) -> VerifyingKey {
        VerifyingKey(self.0.public().as_ref().into())
    }

    fn sign(&self, text: &str) -> String {
        STANDARD.encode(sign(&self.0, text.as_bytes()).expect("a key that signed when it was loaded signs again"))
    }
}

fn sign(pair: &RsaKeyPair, message: &[u8]) -> Option<Vec<u8>> {
    let mut signature = vec![0; pair.public().modulus_len()];
    pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature).ok()?;
    Some(signature)
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey([redacted])")
    }
}

/// The public key of whoever signed.
#[derive(Clone, PartialEq, Eq)]
pub struct VerifyingKey(Box<[u8]>);

impl VerifyingKey {
    /// From a SubjectPublicKeyInfo PEM file, `-----BEGIN PUBLIC KEY-----`.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn from_pem(pem: &str) -> Result<Self, KeyError> {
        let spki = key_pem::der_from_pem(pem, key_pem::PUBLIC)?;
        key_pem::pkcs1_from_spki(&spki).map(|pkcs1| Self(pkcs1.into())).ok_or(KeyError::Unusable)
    }

    /// Whether `signature` is this key's signature of the token call; standard Base64 with padding only.
    pub fn verify_token_request(&self, client_key: &str, timestamp: &str, signature: &str) -> bool {
        self.verify(&string_to_sign_token_request(client_key, timestamp), signature)
    }

    /// Whether `signature` is this key's signature of a call without a token.
    pub fn verify_transaction_asymmetric(
        &self,
        method: &str,
        path: &str,
        body: &[u8],
        timestamp: &str,
        signature: &str,
    ) -> bool {
        self.verify(&string_to_sign_asymmetric(method, path, body, timestamp), signature)
    }

    /// Whether `signature` is this key's signature of `text`, a string to sign made elsewhere.
    pub fn verify(&self, text: &str, signature: &str) -> bool {
        let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &self.0);
        STANDARD.decode(signature).is_ok_and(|signature| key.verify(text.as_bytes(), &signature).is_ok())
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerifyingKey(RSA, {} bytes)", self.0.len())
    }
}
