//! The relay by itself: what it publishes, with what, and when again.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable};
use outbox::Carried;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Relay, pause};
use crate::amqp::{AmqpError, Outgoing, Publisher};
use crate::stage::{Stage, locked};

#[test]
fn an_unrouted_event_is_tried_again_with_growing_pauses() {
    let pauses: Vec<u64> = [0, 1, 2, 8, 9, 40].map(|times| pause(times).as_secs()).to_vec();
    assert_eq!(pauses, [1, 2, 4, 256, 300, 300]);
}

#[tokio::test(start_paused = true)]
async fn what_a_queue_has_is_published_once() {
    let stage = Stage::new(1);
    stage.one().await;
    let published = told(&stage, &[true]).await;
    assert_eq!(published.len(), 1);
    assert_eq!(stage.driver.store.outbox_backlog().await.unwrap().pending, 0);
}

/// Nobody is bound: it is tried again after one second, then after two, and not before.
#[tokio::test(start_paused = true)]
async fn what_no_queue_has_is_published_again_with_growing_pauses() {
    let stage = Stage::new(1);
    stage.one().await;
    let began = Instant::now();
    let published = told(&stage, &[false, false, true]).await;
    let after: Vec<_> = published.iter().map(|(at, ..)| at.duration_since(began).as_secs()).collect();
    assert_eq!(after, [0, 1, 3]);
    assert_eq!(stage.driver.store.outbox_backlog().await.unwrap().pending, 0);
}

/// No pause is that long: the clock was set back since, or another process has a later one.
#[tokio::test(start_paused = true)]
async fn an_event_that_is_put_off_for_longer_than_any_pause_is_published_at_once() {
    let stage = Stage::new(1);
    stage.one().await;
    let store = &stage.driver.store;
    let event = store.unpublished(stage.now(), 1).await.unwrap().remove(0);
    for (secs, published) in [(290, 0), (301, 1)] {
        store.postpone(vec![(event.id, stage.now().plus(Duration::from_secs(secs)))]).await.unwrap();
        assert_eq!(told(&stage, &[true]).await.len(), published, "put off for {secs} s");
    }
}

/// Another process with a later clock writes it, while outcomes of this one come every half second.
#[tokio::test(start_paused = true)]
async fn an_event_of_a_later_clock_is_published_beside_a_steady_flow() {
    let stage = Stage::new(1);
    stage.one().await;
    let (store, news) = (&stage.driver.store, &stage.driver.published);
    let event = store.unpublished(stage.now(), 1).await.unwrap().remove(0);
    let put_off = async |secs| store.postpone(vec![(event.id, stage.now().plus(Duration::from_secs(secs)))]).await;
    put_off(200).await.unwrap();
    let written_at = Duration::from_secs(5);
    let began = Instant::now();
    let flow = async {
        while began.elapsed() < Duration::from_secs(50) {
            tokio::time::sleep(Duration::from_millis(500)).await;
            if began.elapsed() == written_at {
                put_off(3 * 3600).await.unwrap();
            }
            news.notify_one();
        }
    };
    let (published, ()) = tokio::join!(told(&stage, &[true]), flow);
    let after: Vec<_> = published.iter().map(|(at, ..)| at.duration_since(began + written_at)).collect();
    assert!(matches!(after[..], [after] if after <= Duration::from_millis(1100)), "{after:?}");
}

/// The contract's properties: who reads an event finds its kind, its id, and what the job's message brought along.
#[tokio::test(start_paused = true)]
async fn an_event_goes_out_with_its_properties_and_what_its_message_brought_along() {
    let stage = Stage::new(1);
    let text = |text: &str| Some(text.to_owned());
    let carried = Carried {
        correlation_id: text("order-7"),
        message_id: text("m-7"),
        traceparent: text("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
        tracestate: text("a=b"),
    };
    let job = stage.accepted_with("PART-1", carried).await;
    stage.driven(vec![job]).await;
    let (_, id, kind, properties) = told(&stage, &[true]).await.remove(0);
    let texts = [properties.content_type(), properties.message_id(), properties.kind(), properties.correlation_id()];
    let texts = texts.map(|of| of.as_ref().map(|of| of.as_str().to_owned()));
    let expected = ["application/cloudevents+json", &id, &kind, "order-7"];
    assert_eq!(texts, expected.map(|of| Some(of.to_owned())));
    assert_eq!((kind.as_str(), properties.delivery_mode()), ("topup.succeeded", &Some(2)));
    let mut headers = FieldTable::default();
    let traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    for (name, value) in [("x-job-message-id", "m-7"), ("traceparent", traceparent), ("tracestate", "a=b")] {
        headers.insert(name.into(), AMQPValue::LongString(value.into()));
    }
    assert_eq!(properties.headers(), &Some(headers));
}

type Published = (Instant, String, String, BasicProperties);

/// Publishes for a minute; of each event in turn whether a queue has it, in the end all.
async fn told(stage: &Stage, taken: &[bool]) -> Vec<Published> {
    let relay = Relay {
        store: stage.driver.store.clone(),
        clock: stage.driver.clock,
        published: Arc::clone(&stage.driver.published),
    };
    let published = Arc::default();
    let channel = Channel { taken: Mutex::new(taken.iter().copied().collect()), published: Arc::clone(&published) };
    let (stop, over) = (CancellationToken::new(), CancellationToken::new());
    drop(tokio::time::timeout(Duration::from_secs(60), relay.run(channel, stop, over)).await);
    std::mem::take(&mut *locked(&published))
}

struct Channel {
    taken: Mutex<VecDeque<bool>>,
    published: Arc<Mutex<Vec<Published>>>,
}

impl Publisher for Channel {
    async fn publish(&self, window: Vec<Outgoing<'_>>, _over: &CancellationToken) -> Result<Vec<bool>, AmqpError> {
        tokio::time::sleep(Duration::from_millis(1)).await;
        let of = |event: &Outgoing<'_>| {
            (Instant::now(), event.message_id.to_owned(), event.routing_key.to_owned(), event.properties.clone())
        };
        locked(&self.published).extend(window.iter().map(of));
        Ok(window.iter().map(|_| locked(&self.taken).pop_front().unwrap_or(true)).collect())
    }
}
