//! Mandatory fields, lengths and formats of the bodies.

use serde_json::{Value, json};
use snap_sim::Personality::{self, Finpay, Midtrans};

use crate::client::{CUSTOMER, Client, client, inquiry_body, status_body, top_up_body};

/// Sets a field, or takes it away where the value is null; `a.b` reaches into an object.
fn changed(mut body: Value, field: &str, value: &Value) -> Value {
    let (object, name) = match field.split_once('.') {
        Some((outer, name)) => (&mut body[outer], name),
        None => (&mut body, field),
    };
    let object = object.as_object_mut().unwrap();
    if value.is_null() {
        object.remove(name)
    } else {
        object.insert(name.into(), value.clone())
    };
    body
}

async fn code_and_message(client: &Client, path: String, body: &Value) -> (String, String) {
    let answer = client.send(&client.draft(path, body)).await.answer();
    (answer.code(), answer.message())
}

/// What a service demands of a field.
enum Demand {
    Mandatory,
    Longest(usize),
    Wrong(Value),
    Fine(Value),
}
use Demand::{Fine, Longest, Mandatory, Wrong};

async fn check(by: Personality, service: u8, demands: Vec<(&'static str, Demand)>) {
    let client = client(by).await;
    let (path, body) = match service {
        37 => (client.path("emoney/account-inquiry"), inquiry_body(by, "R-1", CUSTOMER)),
        38 => (client.path("emoney/topup"), top_up_body(by, "R-1", CUSTOMER)),
        _ => (client.status_path(), status_body(by, "R-1")),
    };
    for (field, demand) in demands {
        let (value, case) = match &demand {
            Mandatory => (Value::Null, "02"),
            Longest(length) => (json!("1".repeat(length + 1)), "01"),
            Wrong(value) => (value.clone(), "01"),
            Fine(value) => {
                let answered = code_and_message(&client, path.clone(), &changed(body.clone(), field, value)).await;
                assert!(!answered.0.starts_with("400"), "{field}: {value}: {answered:?}");
                client.sim.reset();
                continue;
            }
        };
        let (code, message) = code_and_message(&client, path.clone(), &changed(body.clone(), field, &value)).await;
        assert_eq!(code, format!("400{service}{case}"), "{field}: {value}");
        assert!(message.ends_with(&format!(" {field}")), "{field}: {message}");
    }
    assert_eq!(client.sim.verdict().credits, 0);
}

fn amounts(field: &'static str) -> Vec<(&'static str, Demand)> {
    let wrong = [
        "10000",
        "10000.0",
        "10000.000",
        "010000.00",
        "-1.00",
        "1e4",
        "10,000.00",
        " 10000.00",
        "12345678901234567.00",
    ];
    let (value, currency) = match field {
        "amount" => ("amount.value", "amount.currency"),
        _ => ("feeAmount.value", "feeAmount.currency"),
    };
    let mut demands =
        vec![(field, Mandatory), (field, Wrong(json!("10000.00"))), (value, Mandatory), (currency, Mandatory)];
    demands.push((value, Wrong(json!(10000))));
    demands.push((currency, Wrong(json!("USD"))));
    demands.push((currency, Wrong(json!("idr"))));
    demands.extend(wrong.map(|wrong| (value, Wrong(json!(wrong)))));
    demands
}

fn dates() -> Vec<(&'static str, Demand)> {
    let name = "transactionDate";
    vec![
        (name, Mandatory),
        (name, Wrong(json!("2022-09-23T14:56:11Z"))),
        (name, Wrong(json!("2022-09-23 14:56:11+07:00"))),
        (name, Wrong(json!("2022-09-31T14:56:11+07:00"))),
        (name, Wrong(json!("2022-09-23T14:56:11.000+07:00"))),
        (name, Fine(json!("2022-09-23T14:56:11+08:00"))),
    ]
}

fn finpay_customer() -> Vec<(&'static str, Demand)> {
    let name = "customerNumber";
    let wrong = ["6281977817902", "+6281977817902", "0719778179", "08197x817902", "08 1977817902", "08"];
    let mut demands = vec![(name, Mandatory), (name, Longest(16)), (name, Fine(json!("0819778179021234")))];
    demands.extend(wrong.map(|wrong| (name, Wrong(json!(wrong)))));
    demands
}

fn midtrans_customer() -> Vec<(&'static str, Demand)> {
    let name = "customerNumber";
    let wrong = ["081977817902", "+6281977817902", "6371977817902", "62081977817902", "6281x77817902"];
    let mut demands = vec![(name, Mandatory), (name, Longest(20)), (name, Fine(json!("62819778179021234567")))];
    demands.extend(wrong.map(|wrong| (name, Wrong(json!(wrong)))));
    demands
}

fn beneficiary() -> Vec<(&'static str, Demand)> {
    vec![
        ("additionalInfo", Mandatory),
        ("additionalInfo", Wrong(json!("gopay"))),
        ("additionalInfo.beneficiaryProvider", Mandatory),
        ("additionalInfo.beneficiaryProvider", Longest(40)),
        ("additionalInfo.beneficiaryProvider", Wrong(json!(1))),
        ("additionalInfo.beneficiaryEmail", Longest(50)),
        ("additionalInfo.beneficiaryEmail", Fine(Value::Null)),
    ]
}

fn reference() -> Vec<(&'static str, Demand)> {
    let name = "partnerReferenceNo";
    vec![(name, Mandatory), (name, Longest(64)), (name, Wrong(json!(7)))]
}

#[tokio::test]
async fn finpay_checks_every_field_of_a_top_up() {
    let mut demands = reference();
    demands.extend(finpay_customer());
    demands.extend([("customerName", Mandatory), ("customerName", Longest(255)), ("customerName", Wrong(json!(1)))]);
    demands.extend(amounts("amount"));
    demands.extend(amounts("feeAmount"));
    demands.extend(dates());
    check(Finpay, 38, demands).await;
}

#[tokio::test]
async fn finpay_checks_every_field_of_an_inquiry() {
    let mut demands = reference();
    demands.extend(finpay_customer());
    demands.extend(amounts("amount"));
    demands.extend(dates());
    check(Finpay, 37, demands).await;
}

#[tokio::test]
async fn finpay_checks_every_field_of_a_status_inquiry() {
    check(
        Finpay,
        39,
        vec![
            ("originalPartnerReferenceNo", Mandatory),
            ("originalPartnerReferenceNo", Longest(64)),
            ("originalReferenceNo", Mandatory),
            ("originalReferenceNo", Longest(64)),
            ("originalExternalId", Longest(32)),
            ("serviceCode", Mandatory),
            ("serviceCode", Wrong(json!("39"))),
            ("serviceCode", Wrong(json!(38))),
        ],
    )
    .await;
}

#[tokio::test]
async fn midtrans_checks_every_field_of_a_top_up() {
    let mut demands = reference();
    demands.extend(midtrans_customer());
    demands.extend([("customerName", Mandatory), ("customerName", Longest(100))]);
    demands.extend(amounts("amount"));
    demands.extend([
        ("notes", Mandatory),
        ("notes", Longest(50)),
        ("notes", Wrong(json!("no-hyphen"))),
        ("notes", Wrong(json!("no dot."))),
        ("notes", Wrong(json!("é"))),
        ("notes", Fine(json!("A_b 9"))),
    ]);
    demands.extend(beneficiary());
    check(Midtrans, 38, demands).await;
}

#[tokio::test]
async fn midtrans_checks_every_field_of_an_inquiry() {
    let mut demands = midtrans_customer();
    demands.extend(amounts("amount"));
    demands.push(("amount.value", Fine(json!("1.00"))));
    demands.extend(beneficiary());
    check(Midtrans, 37, demands).await;
}

#[tokio::test]
async fn midtrans_checks_every_field_of_a_status_inquiry() {
    check(
        Midtrans,
        36,
        vec![
            ("originalPartnerReferenceNo", Mandatory),
            ("originalReferenceNo", Fine(Value::Null)),
            ("originalExternalId", Longest(36)),
            ("serviceCode", Mandatory),
            ("serviceCode", Wrong(json!("36"))),
        ],
    )
    .await;
}

#[tokio::test]
async fn amounts_out_of_the_providers_range_are_refused() {
    for by in [Finpay, Midtrans] {
        let client = client(by).await;
        for (value, code) in [("0.00", "4043813"), ("999.99", "4043813"), ("20000000.01", "4033802")] {
            let body = changed(top_up_body(by, "R-1", CUSTOMER), "amount.value", &json!(value));
            assert_eq!(code_and_message(&client, client.path("emoney/topup"), &body).await.0, code, "{value}");
        }
        let body = changed(top_up_body(by, "R-1", CUSTOMER), "amount.value", &json!("20000000.00"));
        let (code, _) = code_and_message(&client, client.path("emoney/topup"), &body).await;
        assert!(code.starts_with("20"));
        assert_eq!(client.sim.verdict().total, "20000000.00");
    }
}

#[tokio::test]
async fn a_body_that_cannot_be_read_is_a_bad_request() {
    for by in [Finpay, Midtrans] {
        let client = client(by).await;
        for body in [&b"{"[..], b"[]", b"", b"{\"notes\":\"a\",\"notes\":\"a\"}", b"\xff"] {
            let mut draft = client.top_up_draft("R-1", CUSTOMER);
            draft.body = body.to_vec();
            assert_eq!(client.send(&draft).await.answer().code(), "4003800");
        }
        let mut draft = client.top_up_draft("R-1", CUSTOMER);
        draft.body = vec![b' '; 65 * 1024];
        assert_eq!(client.send(&draft).await.answer().status, 413);
    }
}

#[tokio::test]
async fn nothing_answers_another_path_or_method() {
    let client = client(Finpay).await;
    for path in
        ["/v1.0/emoney/topup", "/finpay/v1.0/transfer/status", "/finpay/v1.0/emoney", "/nobody/v1.0/emoney/topup"]
    {
        assert_eq!(client.send(&client.draft(path.into(), &json!({}))).await.answer().status, 404, "{path}");
    }
    let answer = client.exchange(b"GET /finpay/v1.0/emoney/topup HTTP/1.1\r\nHost: x\r\n\r\n").await.answer();
    assert_eq!((answer.status, answer.code()), (405, "4053800".into()));
}
