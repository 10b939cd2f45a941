//! The harness' own foundation: a broker that can be killed and comes back with what it had confirmed.

use std::time::Duration;

use lapin::BasicProperties;
use lapin::options::{ConfirmSelectOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};

use crate::harness::{Broker, amqp, eventually};

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
