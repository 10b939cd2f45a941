//! What is looked at before a request gets in: headers, token, signature, clock, external id.

use hyper::HeaderMap;

use crate::clock;
use crate::config::{Behaviour, Mount, Personality};
use crate::credentials::Credentials;
use crate::refusal::Refusal;
use crate::request::external_id_max;
use crate::seen::{ExternalNo, Seen, external_no};
use crate::signature::{PublicKey, Secret, Signed};
use crate::tokens::Tokens;

/// How far a client's clock may be off, in seconds.
const MAX_SKEW: i64 = 300;

/// A mount with its keys ready.
#[derive(Debug)]
pub(crate) struct Mounted {
    pub(crate) index: usize,
    pub(crate) name: String,
    pub(crate) personality: Personality,
    pub(crate) credentials: Credentials,
    secret: Secret,
    public_key: PublicKey,
}

/// A request as the door sees it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Knock<'a> {
    pub(crate) path: &'a str,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) body_sha256: &'a [u8; 32],
    pub(crate) now_ms: i64,
}

impl Mounted {
    /// Reads the keys of a mount; the error says what is wrong.
    pub(crate) fn new(index: usize, mount: Mount) -> Result<Self, String> {
        let Mount { name, personality, credentials } = mount;
        let is_segment = !name.is_empty()
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
            && name != "_sim"
            && name != "v1.0";
        if !is_segment {
            return Err(format!("mount name {name:?} is no path segment"));
        }
        let public_key = PublicKey::from_pem(&credentials.public_key_pem)
            .ok_or_else(|| format!("public key of {name} is no RSA key in SPKI PEM"))?;
        Ok(Self { index, secret: Secret::new(&credentials.client_secret), public_key, name, personality, credentials })
    }

    /// Whether a token request may be answered.
    pub(crate) fn admit_token_request(&self, knock: &Knock<'_>) -> Result<(), Refusal> {
        content_type(knock.headers)?;
        let client_key = header(knock.headers, "x-client-key", "X-CLIENT-KEY")?;
        let timestamp = header(knock.headers, "x-timestamp", "X-TIMESTAMP")?;
        let signature = header(knock.headers, "x-signature", "X-SIGNATURE")?;
        let at = clock::parse_snap(timestamp).ok_or(Refusal::format("X-TIMESTAMP"))?;
        if client_key != self.credentials.client_key {
            return Err(Refusal::unauthorized("unknown client"));
        }
        if !self.public_key.verifies_token_request(client_key, timestamp, signature) {
            return Err(Refusal::unauthorized("signature"));
        }
        is_fresh(at, knock.now_ms)
    }

    /// Whether a transaction may come in; its external id is used up when the signature is right.
    pub(crate) fn admit(&self, knock: &Knock<'_>, tokens: &Tokens, seen: &Seen) -> Result<ExternalNo, Refusal> {
        let headers = knock.headers;
        content_type(headers)?;
        let token = headers.get("authorization").ok_or(Refusal::no_token())?;
        let token =
            token.to_str().ok().and_then(|value| value.strip_prefix("Bearer ")).ok_or(Refusal::invalid_token())?;
        let timestamp = header(headers, "x-timestamp", "X-TIMESTAMP")?;
        let at = clock::parse_snap(timestamp).ok_or(Refusal::format("X-TIMESTAMP"))?;
        let signature = header(headers, "x-signature", "X-SIGNATURE")?;
        let partner = header(headers, "x-partner-id", "X-PARTNER-ID")?;
        if partner.len() > 36 {
            return Err(Refusal::format("X-PARTNER-ID"));
        }
        let external = header(headers, "x-external-id", "X-EXTERNAL-ID")?;
        if external.len() > external_id_max(self.personality) || !external.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(Refusal::format("X-EXTERNAL-ID"));
        }
        let channel = header(headers, "channel-id", "CHANNEL-ID")?;
        if channel.len() > 5 {
            return Err(Refusal::format("CHANNEL-ID"));
        }
        if self.personality == Personality::Finpay {
            header(headers, "origin", "ORIGIN")?;
        }
        if partner != self.credentials.partner_id {
            return Err(Refusal::partner_not_found());
        }
        if channel != self.credentials.channel_id {
            return Err(Refusal::unauthorized("unknown CHANNEL-ID"));
        }
        if !tokens.is_good(self.index, token, knock.now_ms) {
            return Err(Refusal::invalid_token());
        }
        let signed = Signed { method: "POST", path: knock.path, token, body_sha256: knock.body_sha256, timestamp };
        if !self.secret.verifies(&signed, signature) {
            return Err(Refusal::unauthorized("signature"));
        }
        is_fresh(at, knock.now_ms)?;
        let external = external_no(self.index, external);
        if seen.is_new(external) { Ok(external) } else { Err(Refusal::conflict()) }
    }
}

/// The provider's time.
pub(crate) fn now_ms(behaviour: &Behaviour) -> i64 {
    clock::now_ms().saturating_add(behaviour.clock_ahead_ms)
}

fn is_fresh(at: i64, now_ms: i64) -> Result<(), Refusal> {
    if (now_ms.div_euclid(1000) - at).abs() <= MAX_SKEW {
        Ok(())
    } else {
        Err(Refusal::unauthorized("X-TIMESTAMP is more than 5 minutes off"))
    }
}

fn content_type(headers: &HeaderMap) -> Result<(), Refusal> {
    let media_type = header(headers, "content-type", "Content-Type")?;
    let essence = media_type.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case("application/json") { Ok(()) } else { Err(Refusal::format("Content-Type")) }
}

/// A header that has to be there once and not empty.
fn header<'a>(headers: &'a HeaderMap, key: &'static str, name: &'static str) -> Result<&'a str, Refusal> {
    let mut values = headers.get_all(key).iter();
    let value = values.next().ok_or(Refusal::missing(name))?;
    let value = value.to_str().map_err(|_not_ascii| Refusal::format(name))?;
    match (value.is_empty(), values.next()) {
        (true, _) => Err(Refusal::missing(name)),
        (false, Some(_)) => Err(Refusal::format(name)),
        (false, None) => Ok(value),
    }
}
