mod taking;

use lapin::BasicProperties;
use lapin::message::Delivery;
use lapin::types::{AMQPValue, FieldTable};
use outbox::Carried;
use serde_json::Value;

use super::{KEPT_BODY_MAX, body_of, carried, is_traceparent};

const TRACEPARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

#[test]
fn a_traceparent_that_names_no_trace_is_not_carried_on() {
    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    const PARENT: &str = "00f067aa0ba902b7";
    assert!(is_traceparent(&format!("00-{TRACE}-{PARENT}-01")));
    for text in [
        format!("ff-{TRACE}-{PARENT}-01"),
        format!("00-{}-{PARENT}-01", "0".repeat(32)),
        format!("00-{TRACE}-{}-01", "0".repeat(16)),
        format!("00-{}-{PARENT}-01", TRACE.to_uppercase()),
        format!("00-{TRACE}-{PARENT}"),
        format!("00-{TRACE}-{PARENT}-01-"),
    ] {
        assert!(!is_traceparent(&text), "{text}");
    }
}

fn delivery(properties: BasicProperties, headers: &[(&str, &str)]) -> Delivery {
    let mut table = FieldTable::default();
    for (name, value) in headers {
        table.insert((*name).into(), AMQPValue::LongString((*value).into()));
    }
    let mut delivery = Delivery::mock(1, "topup".into(), "jobs".into(), false, Vec::new());
    delivery.properties = properties.with_headers(table);
    delivery
}

#[test]
fn what_a_message_brings_along_is_carried_on() {
    let properties = BasicProperties::default().with_correlation_id("order-7".into()).with_message_id("m-7".into());
    let text = |text: &str| Some(text.to_owned());
    let all = Carried {
        correlation_id: text("order-7"),
        message_id: text("m-7"),
        traceparent: text(TRACEPARENT),
        tracestate: text("a=b"),
    };
    assert_eq!(carried(&delivery(properties, &[("traceparent", TRACEPARENT), ("tracestate", "a=b")])), all);
    let no_parent = delivery(BasicProperties::default(), &[("traceparent", "01"), ("tracestate", "a=b")]);
    assert_eq!(carried(&no_parent), Carried::default(), "a state means nothing without its parent");
}

#[test]
fn what_does_not_fit_into_an_outcomes_headers_is_not_carried_on() {
    let state = |state: &str| {
        carried(&delivery(BasicProperties::default(), &[("traceparent", TRACEPARENT), ("tracestate", state)]))
            .tracestate
    };
    let longest = "a".repeat(255);
    assert_eq!(state(&longest), Some(longest.clone()));
    for text in ["", "a\nb", &"a".repeat(256)] {
        assert_eq!(state(text), None, "{text:?}");
    }
    let empty = delivery(BasicProperties::default().with_message_id("".into()), &[]);
    assert_eq!(carried(&empty).message_id, None);
}

#[test]
fn a_body_is_kept_whole_up_to_a_mebibyte() {
    for (len, kept) in [(3, 3), (1_048_576, 1_048_576), (1_048_577, 1_048_576)] {
        let body = body_of(&vec![7; len], Value::Null, Value::Null);
        assert_eq!((body.body.len(), body.size), (kept, len as u64));
    }
    assert_eq!(KEPT_BODY_MAX, 1_048_576);
}
