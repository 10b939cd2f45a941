//! The job message: taken exactly where the contract takes it, with nothing changed; refused without repeating a value.

use outbox::JobRequest;
use snap_core::PartnerReferenceNo;
use worker::message::{self, AMOUNT_FIELDS, BODY_MAX, FIELDS, METADATA_MAX, ProviderRule, Providers, Refused};

use super::{phone, timestamps};
use crate::reading::{Json, is_fit_to_show, minor_units, repeats_no_number};

pub(super) const WORDS: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    "\"",
    "null",
    "true",
    "{}",
    "\"\"",
    "\\u0000",
    "\\ud83d",
    "\\u0061",
    "1e999",
    "10000.000",
    "10000.0",
    "-1.00",
    "0.00",
    "1",
    "\"amount\":{\"value\":\"10000.00\",\"currency\":\"IDR\"}",
    "\"partnerReferenceNo\":\"A1\"",
    "\"customerNumber\":\"081977817902\"",
    "\"provider\":\"midtrans\"",
    "\"provider\":\"finpay\"",
    "\"metadata\":{\"a\":1}",
    "\"notAfter\":\"2026-11-22T10:00:00+07:00\"",
    "\"notafter\":1",
    "\"beneficiaryProvider\":\"gopay\"",
    "\"notes\":\"a b\"",
    "\"customerName\":\"Siti Aminah\"",
    "\"beneficiaryEmail\":\"siti@example.test\"",
    "value",
    "currency",
    "IDR",
    "USD",
    "\u{feff}",
    "081977817902",
    "+62",
    " ",
    "\n",
    "é",
    "\u{202e}",
];

pub(super) fn check(data: &[u8]) {
    holds(|body| message::parse(body, None, &providers()), data);
}

/// Two providers, the first of which serves messages that name none.
pub(super) fn providers() -> Providers {
    let rule =
        |name: &str, needs_beneficiary_provider| ProviderRule { name: name.to_owned(), needs_beneficiary_provider };
    Providers::new(vec![rule("finpay", false), rule("midtrans", true)], Some("finpay"))
}

/// What has to hold for whatever `parse` makes of `body`.
pub fn holds(parse: impl Fn(&[u8]) -> Result<JobRequest, Refused>, body: &[u8]) {
    let json = Json::read(body);
    let fault = json.as_ref().map_or(Some("no JSON"), |json| fault(body, json));
    match parse(body) {
        Ok(request) => {
            assert_eq!(fault, None, "taken although there is a fault");
            let json = json.expect("without a fault there is JSON");
            is_what_was_sent(&request, &json);
            comes_back(&parse, &request);
            is_refused_with_a_fault_added(&parse, body);
        }
        Err(refused) => {
            assert!(fault.is_some(), "refused without a fault: {refused}");
            says_no_value(&refused, body, json.as_ref());
        }
    }
    if let Some(claimed) = message::claimed_reference(body) {
        assert!(PartnerReferenceNo::parse(&claimed).is_ok(), "claims {claimed:?}");
    }
}

/// The first fault that a reader of the contract finds.
fn fault(body: &[u8], json: &Json) -> Option<&'static str> {
    let text = |name: &str| json.get(name).and_then(Json::text);
    let is = |wrong: bool, what: &'static str| wrong.then_some(what);
    let required = |name: &str| text(name).is_none();
    let free = |name: &str, most: usize| {
        json.get(name).is_some_and(|value| {
            value.text().is_none_or(|text| {
                text.trim().is_empty() || text.chars().count() > most || text.chars().any(char::is_control)
            })
        })
    };
    let (amount, metadata) = (json.get("amount"), json.get("metadata"));
    let in_amount = |name: &str| amount.and_then(|amount| amount.get(name)).and_then(Json::text).unwrap_or_default();
    let known = |names: &[&str], json: &Json| json.members().iter().all(|(name, _)| names.contains(&name.as_str()));
    let note = |sign: char| sign.is_ascii_alphanumeric() || sign == ' ' || sign == '_';
    let phone = text("customerNumber").and_then(phone::canonical);
    let provider = if json.get("provider").is_some() { text("provider").unwrap_or_default() } else { "finpay" };
    let value = in_amount("value");
    let units = minor_units(value).filter(|_| value.find('.').is_some_and(|at| at <= 16 && value.len() - at == 3));
    let reference = text("partnerReferenceNo").unwrap_or_default();
    let not_after = json.get("notAfter").map(|_| timestamps::millis(text("notAfter").unwrap_or_default()));
    let is_object = |json: Option<&Json>| json.is_none_or(|json| matches!(json, Json::Object(_)));
    [
        is(body.len() > BODY_MAX, "too long"),
        is(!matches!(json, Json::Object(_)), "no object"),
        is(json.has_twice(), "a member twice"),
        is(json.has_nul(), "a NUL"),
        is(json.depth() > 120, "too deep"),
        is(!known(&FIELDS, json), "an unknown field"),
        is(required("partnerReferenceNo") || PartnerReferenceNo::parse(reference).is_err(), "no reference"),
        is(phone.is_none(), "no phone number"),
        is(!is_object(amount) || !amount.is_some_and(|amount| known(&AMOUNT_FIELDS, amount)), "no amount"),
        is(units.is_none_or(|units| units == 0), "no value"),
        is(in_amount("currency") != "IDR", "no currency"),
        is(free("customerName", 100) || free("beneficiaryProvider", 40) || free("beneficiaryEmail", 50), "a text"),
        is(free("notes", 50) || !text("notes").unwrap_or_default().chars().all(note), "notes"),
        is(not_after == Some(timestamps::Expected::None), "no time"),
        is(!is_object(metadata), "metadata"),
        is(!["finpay", "midtrans"].contains(&provider), "no provider"),
        is(provider == "midtrans" && json.get("beneficiaryProvider").is_none(), "no beneficiaryProvider"),
        is(raw_metadata(body).is_some_and(|raw| raw > METADATA_MAX), "metadata too long"),
    ]
    .into_iter()
    .flatten()
    .next()
}

/// The length of `metadata` as it stands in the message.
fn raw_metadata(body: &[u8]) -> Option<usize> {
    #[derive(serde::Deserialize)]
    struct Body<'a> {
        #[serde(borrow)]
        metadata: Option<&'a serde_json::value::RawValue>,
    }
    serde_json::from_slice::<Body<'_>>(body).ok()?.metadata.map(|raw| raw.get().len())
}

fn is_what_was_sent(request: &JobRequest, json: &Json) {
    let sent = |name: &str| json.get(name).and_then(Json::text);
    let private = |text: &Option<snap_core::Private>| text.as_ref().map(|text| text.expose().to_owned());
    assert_eq!(Some(request.partner_reference_no.as_str()), sent("partnerReferenceNo"));
    assert_eq!(Some(request.customer_number.expose().to_owned()), sent("customerNumber").and_then(phone::canonical));
    let amount = json.get("amount").and_then(|amount| amount.get("value")).and_then(Json::text);
    assert_eq!(Some(request.amount.to_string().as_str()), amount);
    assert_eq!(request.provider, sent("provider").unwrap_or("finpay"));
    assert_eq!(private(&request.customer_name).as_deref(), sent("customerName"));
    assert_eq!(private(&request.notes).as_deref(), sent("notes"));
    assert_eq!(request.beneficiary_provider.as_deref(), sent("beneficiaryProvider"));
    assert_eq!(private(&request.beneficiary_email).as_deref(), sent("beneficiaryEmail"));
    match sent("notAfter").map(timestamps::millis) {
        Some(timestamps::Expected::Moment(at)) => assert_eq!(request.not_after.map(|at| at.as_millis()), Some(at)),
        Some(_) => assert!(request.not_after.is_some()),
        None => assert_eq!(request.not_after, None),
    }
    let kept = Json::read(request.metadata.expose().as_bytes());
    assert_eq!(kept.as_ref(), Some(json.get("metadata").unwrap_or(&Json::Object(Vec::new()))), "metadata was changed");
}

/// Written anew and read again, it is the same.
fn comes_back(parse: &impl Fn(&[u8]) -> Result<JobRequest, Refused>, request: &JobRequest) {
    let private = |text: &Option<snap_core::Private>| text.as_ref().map(|text| text.expose().to_owned());
    let mut body = serde_json::json!({
        "partnerReferenceNo": request.partner_reference_no,
        "customerNumber": request.customer_number.expose(),
        "amount": { "value": request.amount, "currency": "IDR" },
        "provider": request.provider,
        "customerName": private(&request.customer_name),
        "notes": private(&request.notes),
        "beneficiaryProvider": request.beneficiary_provider,
        "beneficiaryEmail": private(&request.beneficiary_email),
        "notAfter": request.not_after.map(snap_core::Timestamp::to_rfc3339),
    });
    if let Some(members) = body.as_object_mut() {
        members.retain(|_, value| !value.is_null());
    }
    let body = body.to_string();
    let open = body.strip_suffix('}').expect("it was one object");
    let body = format!(r#"{open},"metadata":{}}}"#, request.metadata.expose());
    assert_eq!(parse(body.as_bytes()).as_ref(), Ok(request), "another request came back");
}

/// What was taken is refused once it is too long, has a member twice, or one that nobody knows.
fn is_refused_with_a_fault_added(parse: &impl Fn(&[u8]) -> Result<JobRequest, Refused>, body: &[u8]) {
    let mut padded = body.to_vec();
    padded.resize(BODY_MAX + 1, b' ');
    assert!(parse(&padded).is_err(), "more than 64 KiB were taken");
    let open = body.trim_ascii_end().strip_suffix(b"}").expect("it was one object");
    for member in [
        r#","amount":{"value":"10000.00","currency":"IDR"}}"#,
        r#","\u0061mount":{"value":"10000.00","currency":"IDR"}}"#,
        r#","partnerReferenceNo":"A2"}"#,
        r#","notafter":"2026-11-22T10:00:00+07:00"}"#,
        r#","metadata":{"a":[{"b":1,"c":{},"\u0062":2}]}}"#,
        r#","metadata":{"a":["\u0000"]}}"#,
    ] {
        let more = [open, member.as_bytes()].concat();
        assert!(parse(&more).is_err(), "taken with {member} added");
    }
}

fn says_no_value(refused: &Refused, body: &[u8], json: Option<&Json>) {
    let said = format!("{} {}", refused.field.as_deref().unwrap_or_default(), refused.detail);
    is_fit_to_show(&said, 700);
    repeats_no_number(&said, &String::from_utf8_lossy(body));
    let Some(json) = json else { return };
    // The field is a name of the message's own, as it is shown; the provider's name is repeated.
    let field = refused.field.as_deref().unwrap_or_default();
    let said = if field.is_empty() { refused.detail.clone() } else { refused.detail.replace(field, " ") };
    let provider = json.get("provider").and_then(Json::text);
    let ours = FIELDS.join(" ") + OUR_WORDS;
    let is_known = |text: &str| ours.contains(text) || provider.is_some_and(|name| name.contains(text));
    for value in json.values().into_iter().filter(|value| provider != Some(value)) {
        let words = || value.split(|sign: char| !sign.is_alphanumeric()).filter(|word| !word.is_empty());
        let is_long = |text: &str| text.chars().count() >= 6;
        // A value may happen to be a piece of a sentence of ours, with a name in it: it is one if each of its words is.
        let is_telling = is_long(value) && !words().all(is_known);
        assert!(!is_telling || !said.contains(value), "a value came back: {said:?}");
        let mut telling = words().filter(|word| is_long(word) && !is_known(word));
        assert!(!telling.any(|word| said.contains(word)), "a word of a value came back: {said:?}");
    }
}

/// What refusals say by themselves.
const OUR_WORDS: &str = " 08 10000.00 15 16 2024-05-01T10:20:30+07:00 3339 628 ASCII IDR Indonesian JSON NUL RFC UTF-8 absent amount an and \
    any appears application are array as at be before boolean byte bytes cannot character characters charset code configured contains \
    content control country currency decimals deeply default detail digits empty escape field finpay for from has have in is it known \
    leave letters levels many message midtrans missing mobile more most must nearest needs nested no none not null number object of \
    offset on one only or other out point printable provider range several spaces stands string such taken takes text than that the \
    them then time to too true twice two type utf-8 value with without zero ";
