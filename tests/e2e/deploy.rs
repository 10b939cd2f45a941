//! What is shipped beside the binary works with it: the broker's definitions, the alert rules.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use lapin::BasicProperties;
use lapin::options::{BasicConsumeOptions, ConfirmSelectOptions};
use lapin::types::FieldTable;
use snap_sim::LaneFault;

use crate::harness::{Broker, Stage, amqp, eventually, http};

const LIMIT: Duration = Duration::from_secs(90);

/// The users of `definitions.json`.
const USERS: [&str; 3] = [
    "worker:worker-not-for-production",
    "producer:producer-not-for-production",
    "consumer:consumer-not-for-production",
];

fn shipped(path: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy")).join(path)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_shipped_definitions_give_each_user_no_more_than_its_part() {
    let definitions = shipped("rabbitmq/definitions.json");
    let broker = Broker::start_with(&format!("load_definitions = {}", definitions.display()));
    let [worker, producer, consumer] = USERS.map(|user| broker.url_of(user));

    assert_eq!(may_publish(&producer, "topup", "jobs").await, Ok(()));
    assert_eq!(amqp::depth(&consumer, "topup.jobs").await, Some(1), "it is routed");
    assert_eq!(may_publish(&worker, "topup.events", "topup.succeeded").await, Ok(()));
    for (url, exchange) in
        [(&producer, "topup.events"), (&producer, "topup.dlx"), (&consumer, "topup"), (&worker, "topup.dlx")]
    {
        assert!(may_publish(url, exchange, "jobs").await.is_err(), "{exchange} is not for everybody");
    }
    for (url, queue, may) in [
        (&worker, "topup.jobs", true),
        (&worker, "topup.dead", true),
        (&consumer, "topup.outcomes", true),
        (&producer, "topup.jobs", false),
        (&producer, "topup.outcomes", false),
        (&consumer, "topup.jobs", false),
    ] {
        let (_connection, channel) = amqp::open(url).await.unwrap();
        let consuming =
            channel.basic_consume(queue.into(), "".into(), BasicConsumeOptions::default(), FieldTable::default());
        assert_eq!(consuming.await.is_ok(), may, "{queue}");
    }
}

/// Publishes something to an exchange, and tells what the broker says to it.
async fn may_publish(url: &str, exchange: &str, key: &str) -> Result<(), String> {
    let (_connection, channel) = amqp::open(url).await?;
    channel.confirm_select(ConfirmSelectOptions::default()).await.map_err(|error| error.to_string())?;
    let properties = BasicProperties::default().with_delivery_mode(2);
    let publishing = channel.basic_publish(exchange.into(), key.into(), amqp::mandatory(), b"{}", properties).await;
    let confirmed = publishing.map_err(|error| error.to_string())?.await.map_err(|error| error.to_string())?;
    if confirmed.is_ack() && confirmed.take_message().is_none() { Ok(()) } else { Err("not routed".to_owned()) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_may_declare_nothing_runs_on_the_shipped_definitions() {
    let definitions = shipped("rabbitmq/definitions.json");
    let broker = Arc::new(Broker::start_with(&format!("load_definitions = {}", definitions.display())));
    let mut stage = Stage::on(broker, "topup", USERS).await;
    stage.settings.declare = false;
    stage.start();
    let jobs = stage.jobs("provisioned", 10);
    stage.publish(&jobs).await;
    stage.settled(LIMIT).await;
    stage.verdict().assert_all_succeeded();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_metric_in_the_alert_rules_is_one_that_a_worker_emits() {
    let rules = std::fs::read_to_string(shipped("prometheus/alerts.yaml")).unwrap();
    let expressions = rules.lines().filter(|line| !line.contains("summary:") && !line.contains("description:"));
    let named: BTreeSet<&str> = expressions
        .flat_map(|line| line.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_'))
        .filter(|word| word.starts_with("topup_"))
        .collect();
    assert!(named.len() >= 12, "the rules name metrics: {named:?}");

    // A run that has seen everything once: success, refusal, a paused lane.
    let mut stage = Stage::prepare("alerts").await;
    stage.start();
    let job = stage.job("seen");
    stage.publish(std::slice::from_ref(&job)).await;
    stage.outcomes.wait_for("topup.succeeded", &job.reference).await;
    stage.producer.publish_body(b"not a job", &job.properties()).await;
    stage.sim.lane_fault("finpay", Some(LaneFault::DepositEmpty));
    let waits = stage.job("waits");
    stage.publish(&[waits]).await;

    let missing = || -> Vec<&str> {
        let metrics = stage.worker.metrics();
        named.iter().filter(|name| http::sample(&metrics, name, &[]).is_none()).copied().collect()
    };
    let all = eventually(LIMIT, "each metric has a sample", async || missing().is_empty().then_some(()));
    let seen = tokio::time::timeout(LIMIT / 2, all).await;
    assert!(seen.is_ok(), "without a sample: {:?}", missing());
}
