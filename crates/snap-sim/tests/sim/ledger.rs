//! What the ledger counts and tells.

use snap_sim::{Effect, LaneFault, Latest, Personality, RepeatPolicy};

use serde_json::json;

use crate::client::{BOTH, CUSTOMER, Heard, client, client_of, client_with, top_up_body};

#[tokio::test]
async fn a_repeat_is_rejected_echoed_or_paid_again() {
    for by in BOTH {
        let client = client(by).await;
        let first = client.top_up("R-1", CUSTOMER).await.answer().json();
        assert_eq!(client.top_up("R-1", CUSTOMER).await.answer().code(), "4093801");

        client.sim.configure(|behaviour| behaviour.repeat_policy = RepeatPolicy::Echo).unwrap();
        assert_eq!(client.top_up("R-1", CUSTOMER).await.answer().json(), first);
        let mut other = top_up_body(by, "R-1", CUSTOMER);
        other["amount"]["value"] = json!("20000.00");
        assert_eq!(client.send(&client.draft(client.path("emoney/topup"), &other)).await.answer().code(), "4043818");
        assert_eq!(client.top_up("R-1", "6281977817903").await.answer().code(), "4043818");
        assert_eq!(client.sim.verdict().credits, 1);

        client.sim.configure(|behaviour| behaviour.repeat_policy = RepeatPolicy::PayAgain).unwrap();
        let mut again = client.top_up("R-1", CUSTOMER).await.answer().json();
        assert_ne!(again["referenceNo"], first["referenceNo"], "another transaction");
        again["referenceNo"] = first["referenceNo"].clone();
        assert_eq!(again, first);
        let verdict = client.sim.verdict();
        assert_eq!((verdict.credits, verdict.double_credits, verdict.total.as_str()), (2, 1, "20000.00"));
        assert_eq!(client.sim.credits_of("R-1"), 2);
        let effects: Vec<Effect> =
            client.sim.requests().iter().filter(|record| record.service == 38).map(|record| record.effect).collect();
        let first = if by == Personality::Finpay { Effect::Credited } else { Effect::Accepted };
        assert_eq!(
            effects,
            [first, Effect::Repeated, Effect::Repeated, Effect::Repeated, Effect::Repeated, Effect::CreditedAgain]
        );
    }
}

#[tokio::test]
async fn an_earlier_failure_is_echoed_as_a_failure() {
    let client = client_of(Personality::Finpay, |behaviour| behaviour.repeat_policy = RepeatPolicy::Echo).await;
    let failing = "6281100000011";
    assert_eq!(client.top_up("R-1", failing).await.answer().code(), "2023800");
    assert_eq!(client.top_up("R-1", failing).await.answer().code(), "5003800");
    assert_eq!(client.sim.verdict().credits, 0);
}

#[tokio::test]
async fn a_reference_is_known_with_all_that_happened_to_it() {
    let client = client(Personality::Finpay).await;
    client.inquiry("R-1", "6281977817152").await.answer();
    let mut body = top_up_body(Personality::Finpay, "R-1", "6281977817152");
    body["customerName"] = json!("de** pu***i");
    let draft = client.draft(client.path("emoney/topup"), &body).with("X-EXTERNAL-ID", "0042");
    assert_eq!(client.send(&draft).await.answer().message(), "Request has been processed successfully");
    client.status("R-1").await.answer();
    client.status("R-1").await.answer();
    let [report] = &client.sim.reference("R-1")[..] else { panic!("one report") };
    assert_eq!((report.profile.as_str(), report.status, report.reversed), ("finpay", Latest::Success, false));
    assert_eq!((report.inquiries, report.top_ups, report.status_inquiries), (1, 1, 2));
    let [credit] = &report.credits[..] else { panic!("one credit") };
    assert_eq!(
        (credit.customer.as_str(), credit.amount.as_str(), credit.external_id.as_str()),
        ("6281977817152", "10000.00", "0042")
    );
    assert!(client.sim.reference("R-2").is_empty());
    assert_eq!(client.sim.references(), client.sim.reference("R-1"));
}

#[tokio::test]
async fn every_request_is_written_down() {
    let client = client(Personality::Midtrans).await;
    client.top_up("R-1", "6281100000080").await.answer();
    client.status("R-1").await.answer();
    let records = client.sim.requests();
    let told: Vec<_> = records
        .iter()
        .map(|record| (record.service, record.reference.as_deref(), record.code.as_deref(), record.effect))
        .collect();
    assert_eq!(
        told,
        [
            (73, None, Some("2007300"), Effect::None),
            (38, Some("R-1"), Some("4043811"), Effect::None),
            (36, Some("R-1"), Some("4043601"), Effect::None),
        ]
    );
    assert_eq!(records[1].external_id.as_deref(), Some("00000000000000000000000000000001"));
    assert_eq!(records[1].body_sha256.len(), 64);
    assert_eq!(records[1].profile, "midtrans");
    let verdict = client.sim.verdict();
    assert_eq!((verdict.requests, verdict.top_ups, verdict.references, verdict.credits), (3, 1, 1, 0));
}

#[tokio::test]
async fn the_request_log_is_a_ring_and_can_be_off() {
    for (capacity, kept) in [(0, 0), (2, 2)] {
        let config = snap_sim::SimConfig { request_log: capacity, ..snap_sim::SimConfig::default() };
        let client = client_with(Personality::Finpay, config).await;
        for reference in ["R-1", "R-2", "R-3"] {
            client.top_up(reference, CUSTOMER).await.answer();
        }
        let records = client.sim.requests();
        assert_eq!(records.len(), kept);
        assert_eq!(client.sim.verdict().credits, 3);
        if kept == 2 {
            assert_eq!(records[1].reference.as_deref(), Some("R-3"));
        }
    }
}

#[tokio::test]
async fn lane_faults_hit_until_they_are_taken_away() {
    let transactions = [
        (LaneFault::DepositEmpty, "4033814"),
        (LaneFault::MerchantLimit, "4033820"),
        (LaneFault::Unauthorized, "4013800"),
        (LaneFault::FeatureNotAllowed, "4033801"),
        (LaneFault::MerchantBlacklisted, "4033819"),
        (LaneFault::InvalidMerchant, "4043808"),
        (LaneFault::PartnerNotFound, "4043816"),
        (LaneFault::RateLimited, "4293800"),
    ];
    for by in BOTH {
        let mut client = client(by).await;
        let set = |client: &crate::client::Client, name: &str, fault: LaneFault| {
            client.sim.configure(|behaviour| behaviour.lane_faults = [(name.to_owned(), fault)].into()).unwrap();
        };
        for (fault, code) in transactions {
            set(&client, by.as_str(), fault);
            for _ in 0..2 {
                assert_eq!(client.top_up("R-1", CUSTOMER).await.answer().code(), code);
            }
            let inquiry = client.inquiry("R-1", CUSTOMER).await.answer().code();
            let only_top_ups = matches!(fault, LaneFault::DepositEmpty | LaneFault::MerchantLimit);
            assert_eq!(inquiry == "2003700", only_top_ups, "{fault:?}: {inquiry}");
        }
        set(&client, "*", LaneFault::Unavailable);
        assert_eq!(client.top_up("R-1", CUSTOMER).await.answer().status, 503);
        set(&client, "*", LaneFault::Down);
        assert!(matches!(client.top_up("R-1", CUSTOMER).await, Heard::Reset));
        for (fault, code) in [(LaneFault::TokenRefused, "4017300"), (LaneFault::TokenFailing, "5007300")] {
            set(&client, by.as_str(), fault);
            assert_eq!(client.top_up("R-1", CUSTOMER).await.answer().code(), "4013801", "tokens are revoked");
            assert_eq!(client.token_request(|_| {}).await.answer().code(), code);
        }
        // The other mount's fault is none of this one's.
        let other = if by == Personality::Finpay { "midtrans" } else { "finpay" };
        set(&client, other, LaneFault::Down);
        client.renew_token().await;
        assert_eq!(client.sim.credits_of("R-1"), 0);
        assert!(client.inquiry("R-9", CUSTOMER).await.answer().code() == "2003700");
        assert!(client.top_up("R-2", CUSTOMER).await.answer().code().starts_with("20"));
        assert!(
            client
                .sim
                .configure(|behaviour| behaviour.lane_faults = [("nobody".to_owned(), LaneFault::Down)].into())
                .is_err()
        );
    }
}

#[tokio::test]
async fn nobody_is_paid_twice_under_random_faults_by_a_client_that_only_sends_once() {
    let mut client = client_of(Personality::Finpay, |behaviour| {
        behaviour.faults = snap_sim::FaultLevel::Wild;
        behaviour.seed = 11;
        behaviour.repeat_policy = RepeatPolicy::PayAgain;
    })
    .await;
    client.patience = std::time::Duration::from_millis(30);
    let mut answered = 0;
    for number in 0..200 {
        if let Heard::Answer(answer) = client.top_up(&format!("R-{number}"), CUSTOMER).await {
            answered += usize::from(answer.code() == "2003800" && answer.status == 200);
        }
    }
    let verdict = client.sim.verdict();
    assert!((20..140).contains(&answered), "{answered} of 200 went well");
    assert_eq!(verdict.double_credits, 0);
    assert_eq!((verdict.references, verdict.top_ups), (200, 200));
    assert!((80..180).contains(&verdict.credits), "{verdict:?}");
}
