//! The answers of a provider in good health, by the samples of the providers' pages.

use std::time::Duration;

use serde_json::json;
use snap_sim::Personality::{Finpay, Midtrans};

use crate::client::{CUSTOMER, client, client_of, top_up_body};

#[tokio::test]
async fn finpays_inquiry_gives_name_fee_and_range() {
    let client = client(Finpay).await;
    let answer = client.inquiry("R-1", CUSTOMER).await.answer();
    let mut json = answer.json();
    assert_eq!(answer.status, 200);
    assert!(json["referenceNo"].take().is_string());
    assert_eq!(
        json,
        json!({
            "responseCode": "2003700", "responseMessage": "Request has been processed successfully",
            "referenceNo": null, "partnerReferenceNo": "R-1", "customerNumber": "XXXXXXXX7902",
            "customerName": "Zoë \"Z\" O**",
            "minAmount": { "value": "1000.00", "currency": "IDR" }, "maxAmount": { "value": "20000000.00", "currency": "IDR" },
            "amount": { "value": "10000.00", "currency": "IDR" }, "feeAmount": { "value": "0.00", "currency": "IDR" },
            "feeType": "Admin fee",
        })
    );
}

#[tokio::test]
async fn midtrans_inquiry_gives_a_name_and_no_reference() {
    let client = client(Midtrans).await;
    let json = client.inquiry("R-1", CUSTOMER).await.answer().json();
    assert_eq!(json["responseCode"], "2003700");
    assert_eq!(json["customerName"], "Zoë \"Z\" O**");
    assert_eq!(json["customerNumber"], CUSTOMER);
    assert!(json.get("partnerReferenceNo").is_none() && json.get("feeAmount").is_none());
}

#[tokio::test]
async fn finpays_top_up_is_final_at_once() {
    let client = client(Finpay).await;
    let answer = client.top_up("R-1", CUSTOMER).await.answer();
    let mut json = answer.json();
    let number = json["referenceNo"].take();
    assert_eq!((answer.status, number.as_str().unwrap().len()), (200, 16));
    assert_eq!(
        json,
        json!({
            "responseCode": "2003800", "responseMessage": "Request has been processed successfully", "referenceNo": null,
            "partnerReferenceNo": "R-1", "customerNumber": "081977817902",
            "amount": { "value": "10000.00", "currency": "IDR" },
        })
    );
    let status = client.status("R-1").await.answer().json();
    assert_eq!(
        status,
        json!({
            "responseCode": "2003900", "responseMessage": "Request has been processed successfully",
            "originalPartnerReferenceNo": "R-1", "originalReferenceNo": number,
            "originalExternalId": "00000000000000000000000000000001", "serviceCode": "38",
            "amount": { "value": "10000.00", "currency": "IDR" },
            "latestTransactionStatus": "00", "transactionStatusDesc": "Success",
        })
    );
}

#[tokio::test]
async fn midtrans_top_up_is_pending_until_it_settles() {
    let client = client_of(Midtrans, |behaviour| behaviour.settle = Duration::from_secs(3600)).await;
    let answer = client.top_up("R-1", CUSTOMER).await.answer();
    assert_eq!((answer.status, answer.code()), (202, "2023800".into()));
    assert!(answer.json().get("amount").is_none());
    assert_eq!(client.latest("R-1").await, "03");
    client.sim.configure(|behaviour| behaviour.settle = Duration::ZERO).unwrap();
    assert_eq!(client.top_up("R-2", CUSTOMER).await.answer().code(), "2023800");
    let status = client.status("R-2").await.answer();
    assert_eq!((status.status, status.code()), (200, "2003600".into()));
    assert_eq!(status.json()["latestTransactionStatus"], "00");
    assert_eq!(status.json()["serviceCode"], "38");
    assert_eq!(client.latest("R-1").await, "03");
    // The credit stands in the ledger from the acceptance on.
    assert_eq!(client.sim.verdict().credits, 2);
}

#[tokio::test]
async fn not_found_has_a_shape_for_each_personality() {
    let answer = client(Finpay).await.status("nobody").await.answer();
    assert_eq!((answer.status, answer.code()), (200, "2003900".into()));
    let json = answer.json();
    assert_eq!(json["latestTransactionStatus"], "07");
    assert_eq!(json["amount"], json!({ "value": "0", "currency": "IDR" }));
    assert_eq!(json["originalReferenceNo"], "");

    let answer = client(Midtrans).await.status("nobody").await.answer();
    assert_eq!((answer.status, answer.code()), (404, "4043601".into()));
    assert!(answer.json().get("latestTransactionStatus").is_none());
}

#[tokio::test]
async fn the_providers_number_in_a_status_inquiry_has_to_be_the_right_one() {
    let client = client(Finpay).await;
    let number = client.top_up("R-1", CUSTOMER).await.answer().json()["referenceNo"].clone();
    for (number, code) in [(number, "2003900"), (json!("2200000000099999"), "4043918")] {
        let body = json!({ "originalPartnerReferenceNo": "R-1", "originalReferenceNo": number, "serviceCode": "38" });
        assert_eq!(client.send(&client.draft(client.status_path(), &body)).await.answer().code(), code);
    }
}

#[tokio::test]
async fn name_and_fee_have_to_come_from_the_inquiry() {
    let client = client(Finpay).await;
    // A number that ends in 5 pays a fee.
    let customer = "6281977817905";
    let quote = client.inquiry("R-1", customer).await.answer().json();
    assert_eq!(quote["feeAmount"]["value"], "1500.00");
    let send = async |name: &serde_json::Value, fee: &str| {
        let mut body = top_up_body(Finpay, "R-1", customer);
        body["customerName"] = name.clone();
        body["feeAmount"]["value"] = json!(fee);
        let answer = client.send(&client.draft(client.path("emoney/topup"), &body)).await.answer();
        (answer.code(), answer.message())
    };
    let name = &quote["customerName"];
    assert_eq!(
        send(&json!("Zoë \"Z\" o**"), "1500.00").await,
        ("4003801".into(), "Invalid Field Format customerName".into())
    );
    assert_eq!(send(name, "0.00").await, ("4003801".into(), "Invalid Field Format feeAmount".into()));
    assert_eq!(client.sim.credits_of("R-1"), 0);
    assert_eq!(send(name, "1500.00").await.0, "2003800");
}

#[tokio::test]
async fn every_answer_waits_for_the_latency() {
    let client = client_of(Finpay, |behaviour| behaviour.latency = Duration::from_millis(80)).await;
    let start = tokio::time::Instant::now();
    assert_eq!(client.top_up("R-1", CUSTOMER).await.answer().code(), "2003800");
    assert!(start.elapsed() >= Duration::from_millis(80));
}
