//! The signatures against known answers. The vectors and their sources: `fixtures/vectors.toml`.

#![expect(clippy::unwrap_used, reason = "a test ends at the first surprise")]

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{Deserialize, de::DeserializeOwned};
use snap_core::{
    Amount, CustomerNumber, PartnerReferenceNo, Private, Profile, Service, SigningKey, SymmetricKey, Timestamp,
    TopUpDetails, VerifyingKey, body_digest, string_to_sign_asymmetric, string_to_sign_token_request,
};

const MIDTRANS_PUBLIC: &str = include_str!("../fixtures/keys/midtrans-sample.public.pem");
const TEST_ONLY_PRIVATE: &str = include_str!("../fixtures/keys/test-only.private.pem");

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Symmetric {
    id: String,
    #[serde(rename = "source")]
    _source: String,
    secret: String,
    token: String,
    timestamp: String,
    path: String,
    body: String,
    digest: String,
    signature: String,
}

impl Symmetric {
    fn key(&self) -> SymmetricKey {
        SymmetricKey::new(&self.secret)
    }

    fn holds_for(&self, method: &str, path: &str, token: &str, body: &str, timestamp: &str) -> bool {
        self.key().verify_transaction(method, path, token, body.as_bytes(), timestamp, &self.signature)
    }

    fn holds_with(&self, signature: &str) -> bool {
        let Self { path, token, body, timestamp, .. } = self;
        self.key().verify_transaction("POST", path, token, body.as_bytes(), timestamp, signature)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TokenRequest {
    id: String,
    #[serde(rename = "source")]
    _source: String,
    key: String,
    client_key: String,
    timestamp: String,
    signature: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asymmetric {
    id: String,
    #[serde(rename = "source")]
    _source: String,
    key: String,
    string_to_sign: String,
    body: Option<String>,
    signature: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BodyDigest {
    id: String,
    #[serde(rename = "source")]
    _source: String,
    body: String,
    digest: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Naive {
    how: String,
    body: String,
    digest_begins: String,
}

fn vectors<T: DeserializeOwned>(kind: &str) -> Vec<T> {
    let mut file: toml::Table = toml::from_str(include_str!("../fixtures/vectors.toml")).unwrap();
    file.remove(kind).unwrap().try_into().unwrap()
}

fn symmetric(id: &str) -> Symmetric {
    vectors::<Symmetric>("symmetric").into_iter().find(|vector| vector.id == id).unwrap()
}

fn verifying_key(name: &str) -> VerifyingKey {
    match name {
        "midtrans-sample" => VerifyingKey::from_pem(MIDTRANS_PUBLIC).unwrap(),
        "test-only" => test_only_key().verifying_key(),
        other => panic!("no key {other}"),
    }
}

fn test_only_key() -> SigningKey {
    SigningKey::from_pem(TEST_ONLY_PRIVATE).unwrap()
}

/// The same signature with one bit turned: still Base64, of the same length.
fn tampered(signature: &str) -> String {
    let mut bytes = STANDARD.decode(signature).unwrap();
    bytes[0] ^= 1;
    STANDARD.encode(bytes)
}

#[test]
fn every_vector_is_there() {
    let mut ids: Vec<String> = vectors::<Symmetric>("symmetric").into_iter().map(|vector| vector.id).collect();
    ids.extend(vectors::<TokenRequest>("token_request").into_iter().map(|vector| vector.id));
    ids.extend(vectors::<Asymmetric>("asymmetric").into_iter().map(|vector| vector.id));
    ids.extend(vectors::<BodyDigest>("digest").into_iter().map(|vector| vector.id));
    ids.sort();
    assert_eq!(ids, ["G1", "G2", "G3", "G4", "G5", "G6", "G7", "P1", "P2", "P3", "P4", "P7"]);
    assert_eq!(vectors::<Naive>("naive").len(), 6);
}

#[test]
fn symmetric_signatures_are_the_known_ones_and_verify() {
    for vector in vectors::<Symmetric>("symmetric") {
        let Symmetric { id, token, timestamp, path, body, digest, signature, .. } = &vector;
        assert_eq!(&body_digest(body.as_bytes()), digest, "{id}");
        let signed = vector.key().sign_transaction("POST", path, token, body.as_bytes(), timestamp);
        assert_eq!(&signed, signature, "{id}");
        assert!(vector.holds_with(signature), "{id}");
    }
}

#[test]
fn a_method_in_lower_case_is_signed_in_upper_case() {
    let g1 = symmetric("G1");
    assert!(g1.holds_for("post", &g1.path, &g1.token, &g1.body, &g1.timestamp));
}

#[test]
fn anything_tampered_with_does_not_verify() {
    for vector in vectors::<Symmetric>("symmetric") {
        let Symmetric { id, token, timestamp, path, body, signature, .. } = &vector;
        assert!(!vector.holds_for("PUT", path, token, body, timestamp), "{id}: method");
        assert!(!vector.holds_for("POST", &format!("{path}/"), token, body, timestamp), "{id}: path");
        assert!(!vector.holds_for("POST", path, &format!("Bearer {token}"), body, timestamp), "{id}: token");
        assert!(!vector.holds_for("POST", path, token, &format!("{body}\n"), timestamp), "{id}: body");
        assert!(!vector.holds_for("POST", path, token, &body.replacen('e', "f", 1), timestamp), "{id}: one letter");
        let later = timestamp.replace(":3", ":4").replace(":16", ":17");
        assert!(!vector.holds_for("POST", path, token, body, &later), "{id}: timestamp");
        assert!(!vector.holds_with(&tampered(signature)), "{id}: signature");
        let Symmetric { secret, .. } = &vector;
        let other = SymmetricKey::new(format!("{secret} "));
        assert!(!other.verify_transaction("POST", path, token, body.as_bytes(), timestamp, signature), "{id}: secret");
    }
}

#[test]
fn only_standard_base64_of_the_whole_signature_is_taken() {
    let g1 = symmetric("G1");
    let signature = g1.signature.as_str();
    let bytes = STANDARD.decode(signature).unwrap();
    assert!(!g1.holds_with(""), "nothing");
    assert!(!g1.holds_with(signature.trim_end_matches('=')), "no padding");
    assert!(!g1.holds_with(&format!("{signature}\n")), "a line end");
    assert!(!g1.holds_with(&format!(" {signature}")), "a blank");
    assert!(!g1.holds_with(&signature.replace('/', "_").replace('+', "-")), "the URL alphabet");
    assert!(!g1.holds_with(&signature.to_lowercase()), "another case");
    assert!(!g1.holds_with(&signature.replace("Cg==", "Ch==")), "other unused bits");
    assert!(!g1.holds_with(&STANDARD.encode(&bytes[..63])), "cut short");
    assert!(!g1.holds_with(&STANDARD.encode([&bytes[..], &[0]].concat())), "too long");
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    assert!(!g1.holds_with(&hex), "hex");
}

#[test]
fn what_a_naive_serialiser_would_hash_does_not_verify() {
    let g5 = symmetric("G5");
    assert_eq!(g5.body.len(), 168);
    for Naive { how, body, digest_begins } in vectors("naive") {
        assert!(body_digest(body.as_bytes()).starts_with(&digest_begins), "{how}");
        assert!(!g5.holds_for("POST", &g5.path, &g5.token, &body, &g5.timestamp), "{how}");
    }
}

#[test]
fn token_requests_verify_and_tampered_ones_do_not() {
    for TokenRequest { id, key, client_key, timestamp, signature, .. } in vectors("token_request") {
        let key = verifying_key(&key);
        assert!(key.verify_token_request(&client_key, &timestamp, &signature), "{id}");
        assert!(!key.verify_token_request(&format!("{client_key}x"), &timestamp, &signature), "{id}: client key");
        assert!(!key.verify_token_request(&client_key, &timestamp.replace(':', "."), &signature), "{id}: timestamp");
        assert!(!key.verify_token_request(&client_key, &timestamp, &tampered(&signature)), "{id}: signature");
        assert!(!key.verify_token_request(&client_key, &timestamp, &format!("{signature}\n")), "{id}: a line end");
        assert!(!key.verify_token_request(&client_key, &timestamp, ""), "{id}: nothing");
    }
}

#[test]
fn the_token_request_g6_is_signed_as_known() {
    let all = vectors::<TokenRequest>("token_request");
    let TokenRequest { client_key, timestamp, signature, .. } = all.iter().find(|vector| vector.id == "G6").unwrap();
    assert_eq!(string_to_sign_token_request(client_key, timestamp), "test-client-key|2024-05-01T10:20:30+07:00");
    assert_eq!(&test_only_key().sign_token_request(client_key, timestamp), signature);
}

#[test]
fn asymmetric_transactions_verify_and_tampered_ones_do_not() {
    for Asymmetric { id, key, string_to_sign, signature, .. } in vectors("asymmetric") {
        let (right, wrong) = match key.as_str() {
            "test-only" => (verifying_key("test-only"), verifying_key("midtrans-sample")),
            _ => (verifying_key("midtrans-sample"), verifying_key("test-only")),
        };
        assert!(right.verify(&string_to_sign, &signature), "{id}");
        assert!(!wrong.verify(&string_to_sign, &signature), "{id}: key");
        assert!(!right.verify(&string_to_sign, &tampered(&signature)), "{id}: signature");
        assert!(!right.verify(&string_to_sign.replace("/v1.0", "/v1.1"), &signature), "{id}: path");
        assert!(!right.verify(&string_to_sign.replace("POST", "PUT"), &signature), "{id}: method");
    }
}

#[test]
fn the_asymmetric_transaction_g7_is_signed_as_known() {
    let all = vectors::<Asymmetric>("asymmetric");
    let g7 = all.iter().find(|vector| vector.id == "G7").unwrap();
    let (path, at) = ("/v1.0/emoney/topup", "2024-05-01T10:20:30+07:00");
    let body = g7.body.as_ref().unwrap().as_bytes();
    assert_eq!(string_to_sign_asymmetric("POST", path, body, at), g7.string_to_sign);
    assert_eq!(test_only_key().sign_transaction_asymmetric("POST", path, body, at), g7.signature);
    let key = verifying_key("test-only");
    assert!(key.verify_transaction_asymmetric("POST", path, body, at, &g7.signature));
    assert!(!key.verify_transaction_asymmetric("POST", path, b"{}", at, &g7.signature));
    assert!(!key.verify_transaction_asymmetric("POST", "/", body, at, &g7.signature));
    assert!(!key.verify_transaction_asymmetric("POST", path, body, "2024-05-01T10:20:31+07:00", &g7.signature));
}

#[test]
fn body_digests_are_the_known_ones() {
    for BodyDigest { id, body, digest, .. } in vectors("digest") {
        assert_eq!(body_digest(body.as_bytes()), digest, "{id}");
    }
    assert_eq!(body_digest(b""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

#[test]
fn midtrans_sample_key_is_the_published_one() {
    let (_, text) = MIDTRANS_PUBLIC.split_once("-----BEGIN PUBLIC KEY-----").unwrap();
    let (text, _) = text.split_once("-----END").unwrap();
    let spki = STANDARD.decode(text.replace('\n', "")).unwrap();
    assert_eq!(body_digest(&spki), "9c12a84a902354de8bc9efbbe86bb73442174c41b4cbab8d603456ced4dc5f37");
}

/// The top-up of G1 to G4.
fn details<'a>(reference: &'a PartnerReferenceNo, number: &'a CustomerNumber) -> TopUpDetails<'a> {
    TopUpDetails {
        partner_reference_no: reference,
        customer_number: number,
        customer_name: None,
        amount: Amount::parse_strict("10000.00").unwrap(),
        fee: None,
        notes: None,
        beneficiary_provider: None,
        beneficiary_email: None,
        transaction_date: Timestamp::parse_rfc3339("2024-05-01T10:20:30+07:00").unwrap(),
    }
}

#[test]
fn the_profiles_build_the_bodies_of_the_vectors_byte_for_byte() {
    let reference = PartnerReferenceNo::parse("TU20240501000000000001").unwrap();
    let number = CustomerNumber::parse("081234567890").unwrap();
    let known = details(&reference, &number);
    let (masked, full): (Private, Private) = ("sa**m".into(), "Siti Aminah".into());
    let finpay = Profile::builtin("finpay").unwrap();
    let midtrans = Profile::builtin("midtrans").unwrap();

    let g1 = TopUpDetails { customer_name: Some(&masked), fee: Some(Amount::ZERO), ..known };
    let g4 = TopUpDetails {
        customer_name: Some(&full),
        notes: Some("TopUp 001"),
        beneficiary_provider: Some("gopay"),
        ..known
    };
    let built = [
        ("G1", finpay.path(Service::TopUp), finpay.top_up_request(&g1).unwrap().to_body()),
        ("G2", finpay.path(Service::AccountInquiry), finpay.account_inquiry_request(&known).unwrap().to_body()),
        ("G3", finpay.path(Service::TopUpStatus), finpay.status_request(&reference, None).to_body()),
        ("G4", midtrans.path(Service::TopUp), midtrans.top_up_request(&g4).unwrap().to_body()),
    ];
    for (id, path, body) in built {
        let vector = symmetric(id);
        assert_eq!(path, vector.path, "{id}");
        assert_eq!(String::from_utf8(body).unwrap(), vector.body, "{id}");
    }
}
