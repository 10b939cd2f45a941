//! Key files: PEM armour and the one DER wrapping `ring` does not read, SubjectPublicKeyInfo (RFC 5280).

use base64::{Engine, engine::general_purpose::STANDARD};

/// Why a key file cannot be used. Never carries key material.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// There is no block of the kind needed.
    #[error("no `-----BEGIN {wanted}-----` block")]
    NoBlock {
        /// The label of the block.
        wanted: &'static str,
    },
    /// A PKCS#1 private key where PKCS#8 is needed.
    #[error("an RSA PRIVATE KEY (PKCS#1), but PKCS#8 is needed: openssl pkcs8 -topk8 -nocrypt -in FILE")]
    Pkcs1,
    /// A private key with a passphrase.
    #[error("an encrypted private key; decrypt it first: openssl pkcs8 -in FILE")]
    Encrypted,
    /// The text between the lines is not Base64.
    #[error("the key block is not Base64")]
    NotBase64,
    /// Not an RSA key of 2048 bits or more (4096 at most for a private one), or damaged.
    #[error("not a usable RSA key of 2048 to 4096 bits")]
    Unusable,
}

pub(crate) const PRIVATE: &str = "PRIVATE KEY";
pub(crate) const PUBLIC: &str = "PUBLIC KEY";

/// `AlgorithmIdentifier { rsaEncryption, NULL }`. Source: RFC 3279 section 2.3.1.
const RSA_ALGORITHM: [u8; 15] =
    [0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00];
const SEQUENCE: u8 = 0x30;
const BIT_STRING: u8 = 0x03;
const INTEGER: u8 = 0x02;

/// The DER bytes of the first block with this label.
pub(crate) fn der_from_pem(pem: &str, label: &'static str) -> Result<Vec<u8>, KeyError> {
    let Some(body) = block(pem, label) else {
        return Err(match label {
            PRIVATE if block(pem, "RSA PRIVATE KEY").is_some() => KeyError::Pkcs1,
            PRIVATE if block(pem, "ENCRYPTED PRIVATE KEY").is_some() => KeyError::Encrypted,
            wanted => KeyError::NoBlock { wanted },
        });
    };
    let compact: String = body.chars().filter(|sign| !sign.is_ascii_whitespace()).collect();
    STANDARD.decode(compact).map_err(|_position| KeyError::NotBase64)
}

fn block<'a>(pem: &'a str, label: &str) -> Option<&'a str> {
    let (_, after) = pem.split_once(&format!("-----BEGIN {label}-----"))?;
    let (body, _) = after.split_once(&format!("-----END {label}-----"))?;
    Some(body)
}

/// A SubjectPublicKeyInfo block around a PKCS#1 public key.
pub(crate) fn public_pem_from_pkcs1(pkcs1: &[u8]) -> String {
    let bits = [&[0], pkcs1].concat();
    let spki = element(SEQUENCE, &[&RSA_ALGORITHM[..], &element(BIT_STRING, &bits)].concat());
    let text = STANDARD.encode(spki);
    let mut pem = format!("-----BEGIN {PUBLIC}-----\n");
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(64));
        pem.push_str(line);
        pem.push('\n');
        rest = after;
    }
    pem.push_str(&format!("-----END {PUBLIC}-----\n"));
    pem
}

/// The PKCS#1 public key inside a SubjectPublicKeyInfo, with a modulus of 2048 to 8192 bits.
pub(crate) fn pkcs1_from_spki(spki: &[u8]) -> Option<&[u8]> {
    let fields = whole(SEQUENCE, spki)?;
    let bits = whole(BIT_STRING, fields.strip_prefix(&RSA_ALGORITHM)?)?;
    let pkcs1 = bits.strip_prefix(&[0])?;
    let (modulus, exponent) = split(INTEGER, whole(SEQUENCE, pkcs1)?)?;
    whole(INTEGER, exponent)?;
    let modulus = modulus.strip_prefix(&[0])?;
    (256..=1024).contains(&modulus.len()).then_some(pkcs1)
}

/// The contents of the one element that fills `input`.
fn whole(tag: u8, input: &[u8]) -> Option<&[u8]> {
    split(tag, input).and_then(|(contents, rest)| rest.is_empty().then_some(contents))
}

/// The contents of the first element, and what follows it. Lengths up to two bytes, which is any RSA key.
fn split(tag: u8, input: &[u8]) -> Option<(&[u8], &[u8])> {
    let (len, rest) = match *input.strip_prefix(&[tag])? {
        [len @ 0..=0x7f, ref rest @ ..] => (usize::from(len), rest),
        [0x81, len @ 0x80..=0xff, ref rest @ ..] => (usize::from(len), rest),
        [0x82, high @ 1..=0xff, low, ref rest @ ..] => (usize::from(u16::from_be_bytes([high, low])), rest),
        _ => return None,
    };
    rest.split_at_checked(len)
}

fn element(tag: u8, contents: &[u8]) -> Vec<u8> {
    let len = u16::try_from(contents.len()).expect("an RSA public key is far below 64 KiB");
    let [high, low] = len.to_be_bytes();
    let head = match (high, low) {
        (0, 0..=0x7f) => vec![tag, low],
        (0, _) => vec![tag, 0x81, low],
        _ => vec![tag, 0x82, high, low],
    };
    [&head, contents].concat()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{SigningKey, VerifyingKey};

    const PRIVATE_PEM: &str = include_str!("../fixtures/keys/test-only.private.pem");
    const PUBLIC_PEM: &str = include_str!("../fixtures/keys/midtrans-sample.public.pem");

    #[test]
    fn the_public_half_survives_its_pem() {
        let key = SigningKey::from_pem(PRIVATE_PEM).unwrap();
        assert_eq!(VerifyingKey::from_pem(&key.public_key_pem()), Ok(key.verifying_key()));
    }

    #[test]
    fn a_public_pem_is_written_as_it_was_read() {
        let spki = der_from_pem(PUBLIC_PEM, PUBLIC).unwrap();
        let written = public_pem_from_pkcs1(pkcs1_from_spki(&spki).unwrap());
        assert!(PUBLIC_PEM.ends_with(&written), "{written}");
    }

    #[test]
    fn line_ends_and_indentation_do_not_matter() {
        assert!(SigningKey::from_pem(&PRIVATE_PEM.replace('\n', "\r\n")).is_ok());
        assert!(VerifyingKey::from_pem(&PUBLIC_PEM.replace('\n', "\n    ")).is_ok());
    }

    #[test]
    fn what_is_wrong_with_a_key_file_is_said() {
        let private = |text: &str| SigningKey::from_pem(text).unwrap_err();
        assert_eq!(private(""), KeyError::NoBlock { wanted: "PRIVATE KEY" });
        assert_eq!(private(PUBLIC_PEM), KeyError::NoBlock { wanted: "PRIVATE KEY" });
        assert_eq!(private(&PRIVATE_PEM.replace("PRIVATE KEY", "RSA PRIVATE KEY")), KeyError::Pkcs1);
        assert_eq!(private(&PRIVATE_PEM.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY")), KeyError::Encrypted);
        assert_eq!(private(&PRIVATE_PEM.replacen("MIIE", "M*IE", 1)), KeyError::NotBase64);
        assert_eq!(private(&PRIVATE_PEM.replacen("MIIE", "AAAA", 1)), KeyError::Unusable);
        assert_eq!(VerifyingKey::from_pem(PRIVATE_PEM), Err(KeyError::NoBlock { wanted: "PUBLIC KEY" }));
        assert_eq!(VerifyingKey::from_pem(&PUBLIC_PEM.replacen("MIIB", "AAAA", 1)), Err(KeyError::Unusable));
    }

    #[test]
    fn a_short_modulus_is_refused() {
        let modulus = [&[0][..], &[0xff; 128]].concat();
        let pkcs1 = element(SEQUENCE, &[element(INTEGER, &modulus), element(INTEGER, &[1, 0, 1])].concat());
        assert_eq!(VerifyingKey::from_pem(&public_pem_from_pkcs1(&pkcs1)), Err(KeyError::Unusable));
    }

    #[test]
    fn each_length_has_its_one_form() {
        let forms: [(usize, &[u8]); 6] = [
            (0, &[4, 0]),
            (0x7f, &[4, 0x7f]),
            (0x80, &[4, 0x81, 0x80]),
            (0xff, &[4, 0x81, 0xff]),
            (0x100, &[4, 0x82, 1, 0]),
            (0xffff, &[4, 0x82, 0xff, 0xff]),
        ];
        for (len, head) in forms {
            let contents = vec![7; len];
            let written = element(4, &contents);
            assert_eq!(written.strip_prefix(head), Some(contents.as_slice()), "{len}");
            assert_eq!(split(4, &[written, vec![9]].concat()), Some((contents.as_slice(), &[9][..])), "{len}");
        }
        for longer_than_needed in [vec![4, 0x81, 1, 0], [vec![4, 0x82, 0, 0x80], vec![0; 0x80]].concat()] {
            assert_eq!(split(4, &longer_than_needed), None);
        }
    }

    #[test]
    fn keys_do_not_show_themselves() {
        let key = SigningKey::from_pem(PRIVATE_PEM).unwrap();
        assert_eq!(format!("{key:?}"), "SigningKey([redacted])");
        assert_eq!(format!("{:?}", crate::SymmetricKey::new("secret")), "SymmetricKey([redacted])");
    }

    proptest! {
        #[test]
        fn no_damaged_public_key_panics(at in any::<prop::sample::Index>(), byte in any::<u8>(), len in 0..294_usize) {
            let mut spki = der_from_pem(PUBLIC_PEM, PUBLIC).unwrap();
            let place = at.index(spki.len());
            spki[place] = byte;
            pkcs1_from_spki(&spki);
            prop_assert_eq!(pkcs1_from_spki(&spki[..len.min(spki.len() - 1)]), None);
        }

        #[test]
        fn no_bytes_panic(der in prop::collection::vec(any::<u8>(), 0..64)) {
            prop_assert_eq!(pkcs1_from_spki(&der), None);
        }
    }
}
