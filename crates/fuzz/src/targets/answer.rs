//! A provider's answer as these targets see it: who answers what with which status, and the members as they were written.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use snap_client::{Answered, Bytes, NotSentReason, Reply, Silence};
use snap_core::{Amount, Profile, Timestamp};
use worker::provider::{Expected, Reading};

use crate::reading::{is_fit_to_show, minor_units, repeats_no_number};

/// The reference of the top-up that is answered.
pub(super) const REFERENCE: &str = "78912343452347893";
/// When the status was asked for.
pub(super) const ASKED_AT: Timestamp = Timestamp::from_millis(1_795_312_800_000);

pub(super) const WORDS: &[&str] = &[
    "finpay 200\n",
    "midtrans 200\n",
    "midtrans 202\n",
    "finpay 404\n",
    "finpay 409\n",
    "finpay 503\n",
    "finpay silent\n",
    "finpay not_sent\n",
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    "\"",
    "null",
    "\"2003800\"",
    "\"2023800\"",
    "\"2003700\"",
    "\"2003900\"",
    "\"2003600\"",
    "\"4043901\"",
    "\"4093800\"",
    "\"4043818\"",
    "\"4043814\"",
    "\"4013800\"",
    "\"4013801\"",
    "\"4033814\"",
    "\"4293800\"",
    "\"4033805\"",
    "\"4003800\"",
    "2003800",
    "\"responseCode\":",
    "\"partnerReferenceNo\":\"78912343452347893\"",
    "\"originalPartnerReferenceNo\":\"78912343452347893\"",
    "\"latestTransactionStatus\":\"00\"",
    "\"07\"",
    "\"06\"",
    "\"04\"",
    "\"03\"",
    "\"amount\":{\"value\":\"10000.00\",\"currency\":\"IDR\"}",
    "\"10000.0\"",
    "\"10000.01\"",
    "10000",
    "1e4",
    "1.0E4",
    "\"currency\":\"USD\"",
    "\"referenceNo\":\"2211150005490937\"",
    "\\u0000",
    "\\u001b[2J",
    "\"feeAmount\":",
    "\"minAmount\":",
    "\"maxAmount\":",
    "\"customerName\":\"sa**m\"",
    "\u{feff}",
];

/// One answer, with what the provider was asked about.
pub(super) struct Case {
    pub(super) profile: Profile,
    pub(super) amount: Amount,
    pub(super) reply: Reply,
    /// The HTTP status; none where there was no answer.
    pub(super) http: Option<u16>,
    /// The members, where the body is an object that has each once.
    pub(super) members: BTreeMap<String, String>,
    /// Every member is a text, a number, or money: nothing stands where a text belongs.
    pub(super) is_plain: bool,
}

/// The first line is the provider and its HTTP status (`finpay 200`, `finpay silent`, `finpay not_sent`), the rest the body.
pub(super) fn case(data: &[u8]) -> Case {
    let (head, body) = match data.iter().position(|byte| *byte == b'\n') {
        Some(end) => (&data[..end], &data[end + 1..]),
        None => (&data[..0], data),
    };
    let head = String::from_utf8_lossy(head);
    let mut words = head.split_ascii_whitespace();
    let profile = Profile::builtin(words.next().unwrap_or_default());
    let profile = profile.or_else(|| Profile::builtin("finpay")).expect("it is built in");
    let (how, amount) = (words.next().unwrap_or("200"), words.next().unwrap_or("10000.00"));
    let amount = Amount::parse_strict(amount).unwrap_or(Amount::MAX);
    let elapsed = Duration::from_millis(5);
    let detail = "no answer".to_owned();
    let reply = match how {
        "silent" => Reply::Silent { why: Silence::Timeout, detail, http_status: None, elapsed },
        "not_sent" => Reply::NotSent { why: NotSentReason::Connect, detail, elapsed },
        status => Reply::Answered(Answered {
            http_status: status.parse().unwrap_or(200),
            body: Bytes::copy_from_slice(body),
            surplus: false,
            may_be_earlier: false,
            retry_after: None,
            date: None,
            elapsed,
        }),
    };
    let http = if let Reply::Answered(answered) = &reply { Some(answered.http_status) } else { None };
    // Where the bytes are no text, nothing is sure but what is not believed.
    let members = http.and_then(|_| members(&String::from_utf8_lossy(body))).unwrap_or_default();
    let is_plain = std::str::from_utf8(body).is_ok()
        && members.iter().all(|(name, raw)| match raw.as_bytes().first() {
            Some(b'{') => name.to_ascii_lowercase().ends_with("amount"),
            Some(b'[') | None => false,
            Some(b'"') => serde_json::from_str::<String>(raw).is_ok(),
            Some(_) => true,
        });
    Case { profile, amount, reply, http, members, is_plain }
}

/// What the answers of all services can say, and what money says.
const KNOWN: [&str; 17] = [
    "responseCode",
    "responseMessage",
    "referenceNo",
    "partnerReferenceNo",
    "customerNumber",
    "customerName",
    "minAmount",
    "maxAmount",
    "amount",
    "feeAmount",
    "originalReferenceNo",
    "originalPartnerReferenceNo",
    "serviceCode",
    "latestTransactionStatus",
    "accessToken",
    "value",
    "currency",
];

/// The members of a body as they stand in it; none where it is no object, or says one of them twice.
fn members(body: &str) -> Option<BTreeMap<String, String>> {
    let mut members = BTreeMap::new();
    for (name, raw) in serde_json::from_str::<Pairs<'_>>(body).ok()?.0 {
        let is_twice = members.insert(name.clone(), raw.get().to_owned()).is_some();
        if is_twice && KNOWN.contains(&name.as_str()) {
            return None;
        }
    }
    Some(members)
}

struct Pairs<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Pairs<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Each;
        impl<'de> Visitor<'de> for Each {
            type Value = Pairs<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs<'de>, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }
        deserializer.deserialize_map(Each)
    }
}

/// Whether an answer's claim is there, and is ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Claim {
    Absent,
    Ours,
    Other,
}

impl Case {
    pub(super) fn expected(&self) -> Expected<'_> {
        Expected { reference: REFERENCE, amount: self.amount, has_customer_name: false }
    }

    /// The text of a member, or a number as it was written; none for null.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        let raw = self.members.get(name)?;
        match raw.as_bytes().first() {
            Some(b'"') => serde_json::from_str(raw).ok(),
            Some(b'{' | b'[') | None => None,
            Some(_) => Some(raw.clone()).filter(|raw| raw != "null"),
        }
    }

    /// Status and code agree, and the code is the service's: what stands for the case.
    pub(super) fn code(&self, service: u8) -> Option<(u16, u8)> {
        let code = self.text("responseCode").filter(|code| code.len() == 7)?;
        let part =
            |from: usize, to: usize| code.get(from..to).filter(|part| part.bytes().all(|byte| byte.is_ascii_digit()));
        let (http, named): (u16, u8) = (part(0, 3)?.parse().ok()?, part(3, 5)?.parse().ok()?);
        let case = part(5, 7)?.parse().ok()?;
        (Some(http) == self.http && named == service).then_some((http, case))
    }

    pub(super) fn reference(&self, name: &str) -> Claim {
        match self.text(name).as_deref() {
            None | Some("") => Claim::Absent,
            Some(REFERENCE) => Claim::Ours,
            Some(_) => Claim::Other,
        }
    }

    /// The amount that a member names: `Err` where it names none that can be read.
    pub(super) fn money(&self, name: &str) -> Option<Result<u128, ()>> {
        let raw = self.members.get(name).filter(|raw| *raw != "null")?;
        let inner = if raw.starts_with('{') { members(raw) } else { None };
        let Some(inner) = inner else { return Some(Err(())) };
        let inner = Self { members: inner, profile: self.profile.clone(), reply: self.reply.clone(), ..*self };
        let is_rupiah = inner.text("currency").is_none_or(|currency| currency.eq_ignore_ascii_case("IDR"));
        let has_shape = ["value", "currency"]
            .iter()
            .all(|name| inner.members.get(*name).is_none_or(|raw| !raw.starts_with(['{', '['])));
        let value = inner.text("value").filter(|_| is_rupiah && has_shape);
        let fits = |value: &str| value.split('.').next().is_some_and(|whole| whole.len() <= 16);
        Some(value.filter(|value| fits(value)).and_then(|value| minor_units(&value)).ok_or(()))
    }

    pub(super) fn amount_claim(&self) -> Claim {
        match self.money("amount") {
            None => Claim::Absent,
            Some(Ok(units)) if units == u128::from(self.amount.minor()) => Claim::Ours,
            Some(_) => Claim::Other,
        }
    }
}

/// What has to hold for every reading: nothing of the customer in it, and what is kept of it is fit to be shown.
pub(super) fn is_discreet(reading: &Reading, data: &[u8]) {
    let input = String::from_utf8_lossy(data);
    let detail = reading.detail.as_deref().unwrap_or_default();
    repeats_no_number(detail, &input);
    is_fit_to_show(detail, 200);
    if let Some(message) = reading.fields.as_ref().and_then(|fields| fields.response_message.as_deref()) {
        is_fit_to_show(message, 150);
    }
    if let Some(reference) = reading.fields.as_ref().and_then(|fields| fields.reference_no.as_deref()) {
        is_fit_to_show(reference, 64);
    }
}
