//! What the stories stand on: the broker comes back, the gate holds, the oracle finds what is wrong.

use std::time::Duration;

use lapin::BasicProperties;
use lapin::options::{ConfirmSelectOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};

use crate::harness::{Broker, Gate, Hold, Sim, Stage, amqp, eventually};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_broker_comes_back_after_kill_9_with_confirmed_messages() {
    let broker = Broker::start();
    {
        let (_connection, channel) = amqp::open(&broker.url()).await.unwrap();
        let mut arguments = FieldTable::default();
        arguments.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
        channel.queue_declare("kept".into(), QueueDeclareOptions::durable(), arguments).await.unwrap();
        broker.settle_new_queues().await;
        channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
        for number in 0..20_u8 {
            let properties = BasicProperties::default().with_delivery_mode(2);
            let confirm = channel
                .basic_publish("".into(), "kept".into(), amqp::mandatory(), &[number], properties)
                .await
                .unwrap();
            assert!(confirm.await.unwrap().is_ack());
        }
    }

    broker.kill();
    assert!(amqp::open(&broker.url()).await.is_err(), "nobody listens after kill -9");
    broker.boot();

    eventually(Duration::from_secs(30), "the confirmed messages are there", async || {
        (amqp::depth(&broker.url(), "kept").await == Some(20)).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_broker_answers_again_when_it_is_thawed() {
    let broker = Broker::start();
    let (_connection, channel) = amqp::open(&broker.url()).await.unwrap();
    broker.freeze();
    let declare = channel.queue_declare("late".into(), QueueDeclareOptions::durable(), FieldTable::default());
    let mut declare = std::pin::pin!(declare);
    assert!(
        tokio::time::timeout(Duration::from_millis(500), &mut declare).await.is_err(),
        "a frozen broker does not answer"
    );
    broker.thaw();
    declare.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_gate_holds_one_request_and_lets_the_others_pass() {
    let sim = Sim::start().await;
    let gate = Gate::open(sim.running().addr()).await;
    let post = |body: &'static str| {
        let url = gate.base_url();
        tokio::spawn(async move { post(&url, "/finpay/v1.0/access-token/b2b", body).await })
    };
    let mut unseen = gate.hold("/b2b", "first", Hold::BeforeTheProvider);
    let first = post("{\"first\":1}");
    unseen.reached().await;
    assert_eq!(sim.running().requests().len(), 0, "the provider has not seen it");
    let mut unanswered = gate.hold("/b2b", "second", Hold::BeforeTheAnswer);
    let second = post("{\"second\":2}");
    unanswered.reached().await;
    assert_eq!(sim.running().requests().len(), 1, "the provider has done it");

    let third = post("{\"third\":3}").await.unwrap();
    assert!(third.starts_with("HTTP/1.1 4"), "an unsigned request is refused: {third}");
    unanswered.vanish();
    assert_eq!(second.await.unwrap(), "", "the answer is lost");
    unseen.go_on();
    assert!(first.await.unwrap().starts_with("HTTP/1.1 4"), "late, and answered");
    assert_eq!(sim.running().requests().len(), 3);
}

async fn post(url: &str, path: &str, body: &str) -> String {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let address = url.strip_prefix("http://").unwrap();
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let head = format!("POST {path} HTTP/1.1\r\nhost: {address}\r\ncontent-length: {}\r\n\r\n", body.len());
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(body.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

/// Ten jobs that were acknowledged and have not begun; then the worker is dead, and what `is_lost` names is gone.
async fn after_losing(name: &str, is_lost: fn(&str) -> bool) -> Vec<String> {
    let limit = Duration::from_secs(60);
    let mut stage = Stage::prepare(name).await;
    stage.start();
    let jobs = stage.jobs("before", 3);
    stage.publish(&jobs).await;
    stage.settled(limit).await;
    stage.pause("finpay").await;
    let jobs = stage.jobs("acknowledged", 10);
    stage.publish(&jobs).await;
    for job in &jobs {
        eventually(limit, "it is recorded", async || stage.worker.state_of(&job.reference)).await;
    }
    // What was not acknowledged would come again.
    stage.broker_has_no_more(limit).await;
    stage.worker.kill();
    for entry in std::fs::read_dir(stage.worker.dir()).unwrap().map(Result::unwrap) {
        if entry.file_name().to_str().is_some_and(is_lost) {
            std::fs::remove_file(entry.path()).unwrap();
        }
    }
    if !stage.worker.dir().join("worker.db").exists() {
        // A new store is refused on the lost one's namespace, and an operator has to say so.
        assert_eq!(stage.worker.ask(&["run"]).status.code(), Some(5));
        let adopt = ["store", "adopt", "--reason", "the store is gone, INC-140", "--yes"];
        let adopted = eventually(limit, "the broker has noticed that the worker is dead", async || {
            Some(stage.worker.ask(&adopt)).filter(|output| output.status.success())
        });
        adopted.await;
    }
    stage.worker.start();
    stage.verdict().findings()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_is_gone_after_its_acknowledgements_is_found() {
    let findings = after_losing("storegone", |name| name.starts_with("worker.db")).await;
    assert_eq!(findings.iter().filter(|finding| finding.contains("is lost")).count(), 13, "{findings:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wal_that_is_gone_after_its_acknowledgements_is_found() {
    let findings = after_losing("walgone", |name| name.starts_with("worker.db-")).await;
    assert!(findings.iter().filter(|finding| finding.contains("is lost")).count() >= 10, "{findings:?}");
}
