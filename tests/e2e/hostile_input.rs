//! Whatever is put into the queue: a dead letter that names the field, with the raw bytes, and a worker that stays up.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lapin::BasicProperties;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::harness::verdict::text;
use crate::harness::{Stage, eventually, random};

const LIMIT: Duration = Duration::from_secs(90);

/// A message that cannot become a job, and what the dead letter's detail must name (empty: it has no field to name).
struct Hostile {
    body: Vec<u8>,
    names: &'static str,
    reason: &'static str,
}

fn malformed(names: &'static str, body: impl Into<Vec<u8>>) -> Hostile {
    Hostile { body: body.into(), names, reason: "malformed" }
}

/// A good message with one field set to something else.
fn with(names: &'static str, pointer: &str, value: Value) -> Hostile {
    let mut message = good();
    let (parent, field) = pointer.rsplit_once('/').expect("a pointer has a slash");
    message
        .pointer_mut(parent)
        .and_then(Value::as_object_mut)
        .expect("the parent is an object")
        .insert(field.to_owned(), value);
    malformed(names, message.to_string())
}

/// A good message without one field.
fn without(names: &'static str, pointer: &str) -> Hostile {
    let mut message = good();
    let (parent, field) = pointer.rsplit_once('/').expect("a pointer has a slash");
    message.pointer_mut(parent).and_then(Value::as_object_mut).expect("the parent is an object").remove(field);
    malformed(names, message.to_string())
}

/// A good message's text with one piece replaced, for what no JSON library would write.
fn text_with(names: &'static str, from: &str, to: &str) -> Hostile {
    let message = good().to_string();
    assert!(message.contains(from), "{from} is in {message}");
    malformed(names, message.replacen(from, to, 1))
}

fn good() -> Value {
    json!({
        "partnerReferenceNo": format!("hostile-{:016x}", random()),
        "customerNumber": "081234567890",
        "amount": { "value": "10000.00", "currency": "IDR" },
        "provider": "finpay",
        "metadata": { "a": 1 },
    })
}

fn not_a_message() -> Vec<Hostile> {
    let mut deep = good();
    deep["metadata"] = json!("deep");
    let deep = deep.to_string().replace("\"deep\"", &format!("{}1{}", "[".repeat(20_000), "]".repeat(20_000)));
    let mut bodies = vec![
        malformed("", ""),
        malformed("", "{"),
        malformed("", "null"),
        malformed("", "17"),
        malformed("", "\"text\""),
        malformed("", "[]"),
        malformed("", "not json at all"),
        malformed("", format!("{} trailing", good())),
        malformed("", format!("{}{}", good(), good())),
        malformed("", format!("\u{feff}{}", good())),
        malformed("", vec![0_u8; 100]),
        malformed("", deep),
        malformed("", "[".repeat(60_000)),
        malformed("", good().to_string().into_bytes().into_iter().chain([0xff, 0xfe]).collect::<Vec<_>>()),
        with("66", "/metadata", json!({ "big": "x".repeat(66_000) })), // of its length
    ];
    let mut invalid = good().to_string().into_bytes();
    let at = invalid.windows(8).position(|eight| eight == b"hostile-").expect("the reference is there");
    invalid[at] = 0xc3;
    bodies.push(malformed("", invalid));
    bodies
}

fn bad_fields() -> Vec<Hostile> {
    let long = |length: usize| json!("x".repeat(length));
    let mut bodies = vec![
        without("partnerReferenceNo", "/partnerReferenceNo"),
        without("customerNumber", "/customerNumber"),
        without("amount", "/amount"),
        without("value", "/amount/value"),
        without("currency", "/amount/currency"),
        with("partnerReferenceNo", "/partnerReferenceNo", json!("")),
        with("partnerReferenceNo", "/partnerReferenceNo", json!("with space")),
        with("partnerReferenceNo", "/partnerReferenceNo", json!("tab\there")),
        with("partnerReferenceNo", "/partnerReferenceNo", json!("umläut")),
        with("partnerReferenceNo", "/partnerReferenceNo", long(65)),
        with("partnerReferenceNo", "/partnerReferenceNo", json!(17)),
        with("partnerReferenceNo", "/partnerReferenceNo", json!(null)),
        with("customerName", "/customerName", long(101)),
        with("customerName", "/customerName", json!(["a"])),
        with("notes", "/notes", long(51)),
        with("notes", "/notes", json!("no <tags>, please")),
        with("beneficiaryProvider", "/beneficiaryProvider", long(41)),
        with("beneficiaryEmail", "/beneficiaryEmail", long(51)),
        with("notAfter", "/notAfter", json!("tomorrow")),
        with("notAfter", "/notAfter", json!("2026-11-22")),
        with("notAfter", "/notAfter", json!("2026-11-22T10:00:00")),
        with("notAfter", "/notAfter", json!("2026-02-30T10:00:00+07:00")),
        with("notAfter", "/notAfter", json!(1_700_000_000)),
        with("metadata", "/metadata", json!("text")),
        with("metadata", "/metadata", json!([1])),
        with("metadata", "/metadata", json!({ "big": "x".repeat(4_096) })),
        with("provider", "/provider", json!(1)),
        with("notafter", "/notafter", json!("2026-11-22T10:00:00+07:00")),
        with("unit", "/amount/unit", json!("sen")),
        with("customerNo", "/customerNo", json!("081234567890")),
        text_with("partnerReferenceNo", "{\"", "{\"partnerReferenceNo\":\"other\",\""),
        text_with("value", "\"currency\"", "\"value\":\"1.00\",\"currency\""),
        text_with("a", "{\"a\":1}", "{\"a\":1,\"a\":2}"),
        text_with("x", "{\"a\":1}", "{\"a\":{\"b\":[{\"x\":1,\"x\":1}]}}"),
        text_with("metadata", "{\"a\":1}", "{\"a\":\"\\u0000\"}"),
        with("notes", "/notes", json!("nul\u{0}")),
        with("customerName", "/customerName", json!("nul\u{0}")),
        Hostile { reason: "unknown_provider", ..with("provider", "/provider", json!("gopay")) },
        with("beneficiaryProvider", "/provider", json!("midtrans")),
    ];
    for amount in [
        "",
        "0.00",
        "0",
        "1",
        "1.0",
        "1.000",
        "10000",
        "-1.00",
        "+1.00",
        "1e3",
        "1.0e3",
        "1,000.00",
        "1.000,00",
        " 1.00",
        "1.00 ",
        "01.00",
        "00.01",
        ".50",
        "1.",
        "NaN",
        "inf",
        "0x10.00",
        "12345678901234567.00",
        "१०.००",
        "1.00\u{0}",
        "1 000.00",
        "Rp1000.00",
    ] {
        bodies.push(with("amount", "/amount/value", json!(amount)));
    }
    for amount in [json!(10000.00), json!(10_000), json!(null), json!(true), json!({ "minor": 1 })] {
        bodies.push(with("amount", "/amount/value", amount));
    }
    for money in [json!("10000.00"), json!(10_000), json!(null), json!([])] {
        bodies.push(with("amount", "/amount", money));
    }
    for currency in [json!("USD"), json!("idr"), json!(""), json!(360), json!(null)] {
        bodies.push(with("currency", "/amount/currency", currency));
    }
    for phone in [
        "",
        "0",
        "08",
        "8123456789",
        "812345678901",
        "+081234567890",
        "0081234567890",
        "006281234567890",
        "62 81234567890",
        "0812-3456-7890",
        "0812 3456 7890",
        "+1 2025550123",
        "0215550123",
        "6221555012",
        "0812345678901234567890",
        "08123456789a",
        "٠٨١٢٣٤٥٦٧٨٩",
        "(0812)3456789",
        "+62",
        "081234567890\n",
        "081234567890\u{0}",
    ] {
        bodies.push(with("customerNumber", "/customerNumber", json!(phone)));
    }
    for phone in [json!(81_234_567_890_u64), json!(null), json!(["081234567890"])] {
        bodies.push(with("customerNumber", "/customerNumber", phone));
    }
    bodies
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_is_no_message_becomes_a_dead_letter_with_its_bytes() {
    refused(not_a_message()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_field_becomes_a_dead_letter_that_names_it() {
    refused(bad_fields()).await;
}

async fn refused(hostile: Vec<Hostile>) {
    let mut stage = Stage::prepare("hostile").await;
    stage.start();
    let properties = BasicProperties::default().with_content_type("application/json".into()).with_delivery_mode(2);
    for message in &hostile {
        stage.producer.publish_body(&message.body, &properties).await;
    }
    // A good one behind them is the proof that the worker stays up.
    let job = stage.job("good");
    stage.publish(std::slice::from_ref(&job)).await;
    stage.outcomes.wait_for("topup.succeeded", &job.reference).await;
    eventually(LIMIT, "each refusal is told", async || (refusals(&stage) >= hostile.len()).then_some(())).await;

    let letters = by_digest(&stage);
    let findings: Vec<_> =
        hostile.iter().filter_map(|message| mistaken(message, letters.get(&digest(&message.body)))).collect();
    assert!(findings.is_empty(), "{} of {}:\n{}", findings.len(), hostile.len(), findings.join("\n"));
    assert!(stage.worker.exited().is_none());
    assert!(
        stage
            .outcomes
            .all()
            .iter()
            .filter(|event| event.kind() == "topup.message_refused")
            .all(|event| event.envelope.get("subject").is_none())
    );
    stage.settled(LIMIT).await;
    stage.verdict().assert_all_succeeded();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_an_enormous_message_the_first_mebibyte_the_length_and_the_digest_are_kept() {
    let mut stage = Stage::prepare("enormous").await;
    stage.start();
    let body: Vec<u8> = (0_u32..2 * 1024 * 1024).map(|at| b'a' + u8::try_from(at % 23).unwrap()).collect();
    stage.producer.publish_body(&body, &BasicProperties::default()).await;
    eventually(LIMIT, "the refusal is told", async || (refusals(&stage) == 1).then_some(())).await;

    let letters = by_digest(&stage);
    let letter = letters.get(&digest(&body)).expect("the digest is of the whole message");
    let message = &letter["message"];
    assert_eq!(message["size"], json!(body.len()));
    assert_eq!(STANDARD.decode(text(message, "bodyBase64")).unwrap(), body[..1024 * 1024]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_content_type_is_refused_and_headers_are_kept() {
    use lapin::types::{AMQPValue, FieldTable};
    let mut stage = Stage::prepare("contenttype").await;
    stage.start();
    let mut headers = FieldTable::default();
    headers.insert("x-tenant".into(), AMQPValue::LongString("seventeen".into()));
    let properties = BasicProperties::default()
        .with_content_type("text/xml".into())
        .with_message_id("odd".into())
        .with_headers(headers);
    let body = good().to_string();
    stage.producer.publish_body(body.as_bytes(), &properties).await;
    eventually(LIMIT, "the refusal is told", async || (refusals(&stage) == 1).then_some(())).await;

    let letters = by_digest(&stage);
    let letter = letters.get(&digest(body.as_bytes())).expect("the dead letter is there");
    assert_eq!(text(letter, "reason"), "malformed");
    assert!(text(letter, "detail").to_lowercase().contains("content"), "{letter}");
    assert_eq!(letter["message"]["headers"]["x-tenant"], json!("seventeen"));
    assert!(letter["message"]["properties"].to_string().contains("odd"), "{letter}");
}

/// A message's headers come in one frame, whatever the consumer asked for: a limit below theirs would end every connection.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_with_long_headers_stops_nobody() {
    use lapin::types::{AMQPValue, FieldTable};
    let mut stage = Stage::prepare("longheaders").await;
    stage.start();
    let mut headers = FieldTable::default();
    headers.insert("x-baggage".into(), AMQPValue::LongString("b".repeat(60 * 1024).into()));
    let properties = BasicProperties::default().with_content_type("application/json".into()).with_headers(headers);
    stage.producer.publish_body(b"no job at all", &properties).await;
    eventually(LIMIT, "the refusal is told", async || (refusals(&stage) == 1).then_some(())).await;
    let letter = by_digest(&stage).remove(&digest(b"no job at all")).expect("the dead letter is there");
    assert_eq!(letter["message"]["headers"]["x-baggage"].as_str().map(str::len), Some(60 * 1024));

    let job = crate::harness::Job::new("after-long-headers", "081977817902");
    stage.publish(std::slice::from_ref(&job)).await;
    stage.settled(LIMIT).await;
    stage.verdict().assert_all_succeeded();
}

fn refusals(stage: &Stage) -> usize {
    stage.outcomes.all().iter().filter(|event| event.kind() == "topup.message_refused").count()
}

/// Every dead letter as `dlq show` tells it, by the digest of its message.
fn by_digest(stage: &Stage) -> BTreeMap<String, Value> {
    let ids: Vec<_> = stage.worker.list(&["dlq", "list"]).iter().map(|letter| text(letter, "id").to_owned()).collect();
    let shown = ids.iter().map(|id| stage.worker.ask_json(&["dlq", "show", id]));
    shown.map(|letter| (text(&letter["message"], "sha256").to_owned(), letter)).collect()
}

fn digest(body: &[u8]) -> String {
    Sha256::digest(body).iter().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").expect("a string takes text");
        hex
    })
}

/// What is wrong with the dead letter of a hostile message.
fn mistaken(message: &Hostile, letter: Option<&Value>) -> Option<String> {
    let start = String::from_utf8_lossy(&message.body[..message.body.len().min(300)]).into_owned();
    let Some(letter) = letter else { return Some(format!("no dead letter for {start:?}")) };
    let detail = text(letter, "detail");
    let raw = &letter["message"];
    let whole = STANDARD.decode(text(raw, "bodyBase64")).unwrap_or_default() == message.body;
    let as_text = match std::str::from_utf8(&message.body) {
        Ok(body) => raw["bodyText"] == json!(body),
        Err(_) => raw["bodyText"].is_null(),
    };
    let right = text(letter, "reason") == message.reason
        && !detail.is_empty()
        && detail.contains(message.names)
        && text(letter, "moneyState") == "never_sent"
        && letter["partnerReferenceNo"].is_null()
        && raw["size"] == json!(message.body.len())
        && whole
        && as_text;
    (!right).then(|| {
        format!(
            "{start:?}: should name {:?} as {}: {} {detail:?} (bytes {whole}, text {as_text})",
            message.names,
            message.reason,
            text(letter, "reason")
        )
    })
}
