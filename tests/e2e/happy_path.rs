//! A job goes in, money moves once, and the outcome comes back in the contract's shape.

use std::time::Duration;

use lapin::types::{AMQPValue, FieldTable};
use serde_json::json;

use crate::harness::{Stage, eventually, http};

const LIMIT: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jobs_for_both_providers_are_credited_once_and_told_once() {
    let mut stage = Stage::prepare("happy").await;
    stage.start();
    let mut jobs: Vec<_> = stage.jobs("fin", 20).into_iter().map(|job| job.by("finpay")).collect();
    let midtrans =
        stage.jobs("mid", 20).into_iter().map(|job| job.by("midtrans").with("beneficiaryProvider", json!("gopay")));
    jobs.extend(midtrans);

    stage.publish(&jobs).await;
    stage.settled(LIMIT).await;

    let verdict = stage.verdict();
    verdict.assert_all_succeeded();
    let told = stage.outcomes.terminal_by_reference();
    assert!(told.values().all(|times| *times == 1), "without a fault nothing is told twice: {told:?}");
    let metrics = stage.worker.metrics();
    let count = |name: &str, labels: &[&str]| http::total(&metrics, name, labels);
    assert_eq!(count("topup_jobs_accepted_total", &["provider=\"finpay\""]), 20.0);
    assert_eq!(count("topup_deliveries_total", &["result=\"accepted\""]), 40.0);
    assert_eq!(count("topup_jobs_finished_total", &["provider=\"midtrans\"", "outcome=\"succeeded\""]), 20.0);
    assert_eq!(
        count("topup_provider_requests_total", &["provider=\"finpay\"", "service=\"38\"", "class=\"success\""]),
        20.0
    );
    assert_eq!(
        count("topup_provider_requests_total", &["provider=\"midtrans\"", "service=\"38\"", "class=\"pending\""]),
        20.0
    );
    assert_eq!(count("topup_amqp_connected", &[]), 1.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outcome_carries_what_the_contract_promises() {
    let mut stage = Stage::prepare("outcome").await;
    stage.start();
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let job = stage.job("told").of("25000.00").with("metadata", json!({ "order": 17, "nested": { "ä": [1, null] } }));
    stage.remember(std::slice::from_ref(&job));
    let mut headers = FieldTable::default();
    headers.insert("traceparent".into(), AMQPValue::LongString(trace.into()));
    let properties = job.properties().with_headers(headers);

    stage.producer.publish_body(&job.body(), &properties).await;
    let event = stage.outcomes.wait_for("topup.succeeded", &job.reference).await;

    assert_eq!(event.text("specversion"), "1.0");
    assert_eq!(event.text("source"), "/topup/finpay");
    assert_eq!(event.text("datacontenttype"), "application/json");
    assert_eq!(event.text("jobmessageid"), format!("m-{}", job.reference));
    assert_eq!(&event.text("traceparent")[3..35], &trace[3..35], "the trace id stays the same");
    assert!(event.text("time").ends_with("+07:00"), "{}", event.text("time"));
    assert_eq!(event.data("partnerReferenceNo"), &json!(job.reference));
    assert_eq!(event.data("provider"), &json!("finpay"));
    assert_eq!(event.data("amount"), &json!({ "value": "25000.00", "currency": "IDR" }));
    assert_eq!(event.data("metadata"), &json!({ "order": 17, "nested": { "ä": [1, null] } }));
    assert_eq!(event.data("responseCode"), &json!("2003800"));
    assert_eq!(event.data("reason"), &json!(null));
    assert_eq!(event.data("attempts"), &json!(1));
    let masked = event.data("customerNumber").as_str().unwrap();
    let canonical = job.canonical_customer();
    assert!(
        masked.starts_with(&canonical[..4])
            && masked.ends_with(&canonical[canonical.len() - 4..])
            && masked.contains("****"),
        "{masked}"
    );
    let properties = &event.properties;
    assert_eq!(properties.content_type().as_ref().map(|text| text.as_str()), Some("application/cloudevents+json"));
    assert_eq!(
        properties.correlation_id().as_ref().map(|text| text.as_str()),
        Some(format!("c-{}", job.reference).as_str())
    );
    let headers = properties.headers().clone().unwrap_or_default();
    assert!(headers.inner().contains_key("x-job-message-id"), "{headers:?}");
    assert!(headers.inner().contains_key("traceparent"), "{headers:?}");
    stage.settled(LIMIT).await;
    stage.verdict().assert_all_succeeded();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_topology_has_the_contracts_arguments() {
    use lapin::options::ExchangeDeclareOptions;
    let mut stage = Stage::prepare("topology").await;
    stage.start();
    let (_connection, channel) = crate::harness::amqp::open(&stage.broker.url()).await.unwrap();
    let namespace = stage.settings.namespace.as_str();
    let name = |suffix: &str| format!("{namespace}{suffix}");

    // RabbitMQ refuses to declare what exists with other arguments.
    for (suffix, kind) in [("", "direct"), (".dlx", "fanout"), (".events", "topic")] {
        let kind = lapin::ExchangeKind::Custom(kind.into());
        let options = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
        channel.exchange_declare(name(suffix).into(), kind, options, FieldTable::default()).await.unwrap();
    }
    crate::harness::amqp::provide_queues(&stage.broker.url(), namespace).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_broker_submitted_jobs_are_worked_off_from_the_store() {
    let mut stage = Stage::prepare("storeonly").await;
    stage.settings.amqp_url = None;
    stage.start();
    let jobs = stage.jobs("submitted", 10);
    stage.remember(&jobs);
    stage.worker.submit(&jobs);

    eventually(LIMIT, "the running worker notices and finishes what was submitted", async || {
        jobs.iter().all(|job| stage.worker.state_of(&job.reference).as_deref() == Some("succeeded")).then_some(())
    })
    .await;
    assert_eq!(stage.sim.running().verdict().credits, 10);
    assert_eq!(stage.sim.running().verdict().double_credits, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_comes_after_its_not_after_is_rejected_as_expired_and_never_sent() {
    let mut stage = Stage::prepare("expired").await;
    stage.start();
    let job = stage.job("late").with("notAfter", json!("2020-01-01T00:00:00+07:00"));
    stage.publish(std::slice::from_ref(&job)).await;
    let event = stage.outcomes.wait_for("topup.rejected", &job.reference).await;
    assert_eq!(event.data("reason"), &json!("expired"));
    stage.settled(LIMIT).await;
    let verdict = stage.verdict();
    verdict.assert_sound();
    assert_eq!(verdict.top_ups(&job.reference), 0);
}
