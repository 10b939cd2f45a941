//! AMQP properties and headers as they come over the wire: the broker's facts about a death, what outcomes carry on.

use lapin::message::Delivery;
use lapin::protocol::basic::parse_properties;
use outbox::Carried;
use serde_json::Value;
use worker::amqp::properties_of;
use worker::{intake, message};

use super::message::providers;
use crate::reading::is_fit_to_show;

pub(super) const WORDS: &[&str] = &[
    "\u{b}traceparentS",
    "traceparent",
    "tracestate",
    "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    "ff-",
    "-01",
    "00000000000000000000000000000000",
    "0000000000000000",
    "x-death",
    "x-first-death-queue",
    "x-first-death-reason",
    "topup.jobs",
    "rejected",
    "application/json",
    "; charset=utf-8",
    "charset=latin1",
    "S\0\0\0\u{5}",
    "F\0\0\0\0",
    "A\0\0\0\0",
    "x\0\0\0\u{1}",
    "d",
    "f",
    "D",
    "T",
    "V",
    "t\u{1}",
    "\0\0\0\u{1}",
    "\r\n",
    "\u{1b}[2J",
    "é",
];

/// A message that is taken whatever else comes with it.
const BODY: &[u8] =
    br#"{"partnerReferenceNo":"A1","customerNumber":"081977817902","amount":{"value":"10000.00","currency":"IDR"}}"#;

pub(super) fn check(data: &[u8]) {
    let Ok((_, properties)) = parse_properties(data) else { return };
    let mut delivery = Delivery::mock(7, "topup".into(), "jobs".into(), false, BODY.to_vec());
    delivery.properties = properties;
    let carried = intake::carried(&delivery);
    is_carried(&carried, &delivery);
    let dead = intake::undeliverable(&delivery);
    is_fit_to_show(&dead.detail, 400);
    assert_eq!(dead.claimed_reference.as_deref(), Some("A1"));
    is_kept(&delivery);
    content_type(&delivery);
}

fn is_carried(carried: &Carried, delivery: &Delivery) {
    let texts = [&carried.correlation_id, &carried.message_id, &carried.traceparent, &carried.tracestate];
    for text in texts.into_iter().flatten() {
        assert!(!text.is_empty() && text.len() <= 255, "{text:?}");
        assert!(!text.contains(char::is_control), "{text:?} would break a header");
    }
    let said = |text: &Option<lapin::types::ShortString>| text.as_ref().map(|text| text.as_str().to_owned());
    for (carried, sent) in [
        (&carried.message_id, said(delivery.properties.message_id())),
        (&carried.correlation_id, said(delivery.properties.correlation_id())),
    ] {
        let fits = |text: &String| !text.is_empty() && !text.contains(char::is_control);
        assert_eq!(*carried, sent.filter(fits), "an id was changed or lost");
    }
    assert!(carried.tracestate.is_none() || carried.traceparent.is_some(), "a tracestate without its parent");
    let Some(parent) = &carried.traceparent else { return };
    // W3C Trace Context, version 00.
    let parts: Vec<&str> = parent.split('-').collect();
    let lengths: Vec<usize> = parts.iter().map(|part| part.len()).collect();
    assert_eq!((lengths.as_slice(), parts[0]), ([2, 32, 16, 2].as_slice(), "00"), "{parent}");
    let is_hex = |part: &&str| part.bytes().all(|byte| b"0123456789abcdef".contains(&byte));
    assert!(parts.iter().all(is_hex), "{parent}");
    let is_zero = |part: &str| part.bytes().all(|byte| byte == b'0');
    assert!(!is_zero(parts[1]) && !is_zero(parts[2]), "{parent} names no trace");
}

/// What stands beside a dead letter can be read again from the store.
fn is_kept(delivery: &Delivery) {
    let (properties, headers) = properties_of(delivery);
    for kept in [properties, headers] {
        assert!(kept.is_object());
        let text = kept.to_string();
        let again: Result<Value, _> = serde_json::from_str(&text);
        let again = again.unwrap_or_else(|error| panic!("what was kept cannot be read again: {error}"));
        assert!(is_same(&kept, &again), "what was kept comes back changed: {kept} {again}");
    }
}

/// The same, but for the last digit of a float.
fn is_same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => one == other || one.is_f64() && other.is_f64(),
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| is_same(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            let is_there = |name: &String, value: &Value| other.get(name).is_some_and(|other| is_same(value, other));
            one.len() == other.len() && one.iter().all(|(name, value)| is_there(name, value))
        }
        (one, other) => one == other,
    }
}

fn content_type(delivery: &Delivery) {
    let content_type = delivery.properties.content_type().as_ref().map(lapin::types::ShortString::as_str);
    let is_taken = message::parse(BODY, content_type, &providers()).map_err(|refused| {
        is_fit_to_show(&refused.detail, 400);
        assert_eq!(refused.field.as_deref(), Some("content_type"));
    });
    let sent = content_type.unwrap_or_default().to_ascii_lowercase();
    let parts: Vec<&str> = sent.split(';').map(str::trim).collect();
    let is_json = sent.is_empty() || parts[0] == "application/json";
    let foreign = parts[1..]
        .iter()
        .filter_map(|part| part.split_once('='))
        .any(|(name, value)| name.trim() == "charset" && value.trim().trim_matches('"') != "utf-8");
    assert_eq!(is_taken.is_ok(), is_json && !foreign, "{content_type:?}");
}
