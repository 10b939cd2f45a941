//! The endpoints under `/_sim/`.

use serde_json::json;
use snap_sim::Personality::{Finpay, Midtrans};
use snap_sim::RepeatPolicy;

use crate::client::{CUSTOMER, client};

#[tokio::test]
async fn rules_are_added_listed_and_taken_away() {
    let client = client(Finpay).await;
    let (status, answer) =
        client.admin("POST", "script", r#"{"service":38,"times":1,"fault":{"answer":"403xx14"}}"#).await;
    assert_eq!((status, answer), (200, json!({ "ids": [1] })));
    let (_, answer) = client
        .admin("POST", "script", r#"[{"fault":"rst","service":73},{"fault":"timeout","service":37,"commit":false}]"#)
        .await;
    assert_eq!(answer, json!({ "ids": [2, 3] }));
    assert_eq!(client.top_up("R-1", CUSTOMER).await.answer().code(), "4033814");
    assert_eq!(client.top_up("R-1", CUSTOMER).await.answer().code(), "2003800");
    let (_, answer) = client.admin("GET", "script", "").await;
    assert_eq!(
        answer["items"][0],
        json!({ "id": 1, "matched": 2, "fired": 1, "service": 38, "times": 1, "seed": 0, "fault": { "answer": "403xx14" } })
    );
    assert_eq!(client.admin("DELETE", "script/2", "").await.0, 200);
    assert_eq!(client.admin("DELETE", "script/2", "").await.0, 404);
    assert_eq!(client.admin("DELETE", "script", "").await.0, 200);
    assert_eq!(client.admin("GET", "script", "").await.1, json!({ "items": [] }));
}

#[tokio::test]
async fn a_rule_that_cannot_be_read_is_refused_and_none_of_its_batch_is_added() {
    let client = client(Finpay).await;
    for body in
        [r#"[{"fault":"rst"},{"fault":"no_such_fault"}]"#, r#"{"falt":"rst"}"#, r#"{"fault":{"answer":"40314"}}"#, "x"]
    {
        let (status, answer) = client.admin("POST", "script", body).await;
        assert_eq!(status, 400, "{body}");
        assert!(answer["error"].is_string());
    }
    assert_eq!(client.sim.rules(), []);
}

#[tokio::test]
async fn the_ledger_is_told_whole_by_reference_and_by_doubles() {
    let client = client(Midtrans).await;
    client.sim.configure(|behaviour| behaviour.repeat_policy = RepeatPolicy::PayAgain).unwrap();
    for reference in ["A/1", "B", "B"] {
        client.top_up(reference, CUSTOMER).await.answer();
    }
    let (_, ledger) = client.admin("GET", "ledger", "").await;
    assert_eq!(
        (&ledger["credits"], &ledger["doubleCredits"], &ledger["total"]),
        (&json!(3), &json!(1), &json!("30000.00"))
    );
    assert_eq!(ledger["items"].as_array().unwrap().len(), 2);
    let (_, ledger) = client.admin("GET", "ledger?reference=A%2F1", "").await;
    let item = &ledger["items"][0];
    assert_eq!((&item["reference"], &item["status"], &item["topUps"]), (&json!("A/1"), &json!("00"), &json!(1)));
    assert_eq!(
        (&item["credits"][0]["customer"], &item["credits"][0]["amount"]),
        (&json!(CUSTOMER), &json!("10000.00"))
    );
    let (_, ledger) = client.admin("GET", "ledger?doubles=true", "").await;
    assert_eq!(ledger["items"].as_array().unwrap().len(), 1);
    assert_eq!(ledger["items"][0]["reference"], "B");
    let (_, ledger) = client.admin("GET", "ledger?limit=1", "").await;
    assert_eq!(ledger["items"].as_array().unwrap().len(), 1);
    assert_eq!(client.admin("GET", "ledger?limit=x", "").await.0, 400);
}

#[tokio::test]
async fn requests_are_told_and_filtered() {
    let client = client(Finpay).await;
    client.top_up("R-1", CUSTOMER).await.answer();
    client.top_up("R-2", CUSTOMER).await.answer();
    client.status("R-1").await.answer();
    let count = async |query: &str| client.admin("GET", query, "").await.1["items"].as_array().unwrap().len();
    assert_eq!(count("requests").await, 4);
    assert_eq!(count("requests?reference=R-1").await, 2);
    assert_eq!(count("requests?reference=R-1&service=38").await, 1);
    let (_, newest) = client.admin("GET", "requests?limit=1", "").await;
    assert_eq!((&newest["items"][0]["service"], &newest["items"][0]["effect"]), (&json!(39), &json!("none")));
}

#[tokio::test]
async fn settings_change_one_by_one() {
    let client = client(Finpay).await;
    let (status, config) = client
        .admin("POST", "config", r#"{"repeatPolicy":"echo","latencyMs":7,"tokenLifetimeMs":1000,"settleMs":3,"faults":"some","seed":9,"laneFaults":{"*":"deposit_empty"}}"#)
        .await;
    assert_eq!(status, 200);
    assert_eq!(
        (&config["repeatPolicy"], &config["latencyMs"], &config["hangMs"]),
        (&json!("echo"), &json!(7), &json!(30_000))
    );
    assert_eq!(client.top_up("R-1", CUSTOMER).await.answer().code(), "4033814");
    assert_eq!(client.admin("POST", "config", r#"{"laneFaults":{},"faults":"none"}"#).await.0, 200);
    assert_eq!(client.top_up("R-1", CUSTOMER).await.answer().code(), "2003800");
    assert_eq!(client.sim.behaviour().repeat_policy, RepeatPolicy::Echo);
    for body in [
        r#"{"latency":7}"#,
        r#"{"latencyMs":-1}"#,
        r#"{"repeatPolicy":"x"}"#,
        r#"{"laneFaults":{"nobody":"down"}}"#,
        "[]",
        "",
    ] {
        assert_eq!(client.admin("POST", "config", body).await.0, 400, "{body}");
    }
    assert_eq!(client.admin("GET", "config", "").await.1["latencyMs"], 7);
}

#[tokio::test]
async fn a_reset_forgets_everything_but_behaviour_and_tokens() {
    let client = client(Finpay).await;
    client.top_up("R-1", CUSTOMER).await.answer();
    client.admin("POST", "script", r#"{"fault":"rst"}"#).await;
    assert_eq!(client.admin("POST", "reset", "").await.0, 200);
    assert_eq!(client.sim.verdict().requests, 0);
    assert!(
        client.sim.reference("R-1").is_empty() && client.sim.requests().is_empty() && client.sim.rules().is_empty()
    );
    assert_eq!(client.top_up("R-1", CUSTOMER).await.answer().code(), "2003800");
    assert_eq!(client.admin("POST", "revoke-tokens", "").await.0, 200);
    assert_eq!(client.top_up("R-2", CUSTOMER).await.answer().code(), "4013801");
}

#[tokio::test]
async fn the_magic_numbers_are_listed() {
    let client = client(Finpay).await;
    let (_, magic) = client.admin("GET", "magic", "").await;
    assert_eq!(magic["items"][0], json!({ "customer": "6281100000001", "what": "timeout after commit" }));
    assert_eq!(client.admin("GET", "nothing", "").await.0, 404);
    assert_eq!(client.admin("PUT", "config", "{}").await.0, 404);
}
