//! The other side of the broker: a producer that publishes with confirms, and a consumer that collects outcome events.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::StreamExt as _;
use lapin::message::Delivery;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions, ConfirmSelectOptions, QueueBindOptions,
    QueueDeclareOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};
use serde_json::Value;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::{Job, eventually};

/// A call to the broker that takes longer than this has failed.
const CALL_LIMIT: Duration = Duration::from_secs(15);

/// A connection, one try: a broker that is down is found by asking again.
async fn connect(url: &str) -> Result<Connection, String> {
    let once = ConnectionProperties::default().configure_backoff(|backoff| backoff.with_max_times(0));
    match timeout(CALL_LIMIT, Connection::connect(url, once)).await {
        Ok(connected) => connected.map_err(|error| error.to_string()),
        Err(_) => Err("no answer in time".to_owned()),
    }
}

/// A channel of a new connection; keep both.
pub(crate) async fn open(url: &str) -> Result<(Connection, Channel), String> {
    let connection = connect(url).await?;
    let channel = timeout(CALL_LIMIT, connection.create_channel()).await;
    match channel {
        Ok(Ok(channel)) => Ok((connection, channel)),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("no channel in time".to_owned()),
    }
}

/// Options of a publish whose message comes back when no queue wants it.
pub(crate) fn mandatory() -> BasicPublishOptions {
    BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() }
}

/// A system that wants top-ups: publishes until the broker has confirmed.
pub(crate) struct Producer {
    url: String,
    namespace: String,
    link: tokio::sync::Mutex<Option<(Connection, Channel)>>,
}

impl Producer {
    /// A producer for the topology of this namespace.
    pub(crate) fn new(url: &str, namespace: &str) -> Self {
        Self { url: url.to_owned(), namespace: namespace.to_owned(), link: tokio::sync::Mutex::new(None) }
    }

    /// Publishes a job, again and again until it is confirmed, as a careful producer does.
    pub(crate) async fn publish(&self, job: &Job) {
        self.publish_body(&job.body(), &job.properties()).await;
    }

    /// Publishes these jobs a window at a time, each until it is confirmed.
    pub(crate) async fn publish_all(&self, jobs: &[Job]) {
        for window in jobs.chunks(100) {
            let messages: Vec<_> = window.iter().map(|job| (job.body(), job.properties())).collect();
            self.publish_window(&messages).await;
        }
    }

    /// Publishes these bytes until they are confirmed.
    pub(crate) async fn publish_body(&self, body: &[u8], properties: &BasicProperties) {
        self.publish_window(&[(body.to_vec(), properties.clone())]).await;
    }

    async fn publish_window(&self, messages: &[(Vec<u8>, BasicProperties)]) {
        eventually(Duration::from_secs(120), "the broker confirms what was published", async || {
            match timeout(CALL_LIMIT, self.try_window(messages)).await {
                Ok(true) => Some(()),
                Ok(false) | Err(_) => {
                    *self.link.lock().await = None;
                    None
                }
            }
        })
        .await;
    }

    async fn try_window(&self, messages: &[(Vec<u8>, BasicProperties)]) -> bool {
        let mut link = self.link.lock().await;
        if link.is_none() {
            let Ok((connection, channel)) = open(&self.url).await else { return false };
            if channel.confirm_select(ConfirmSelectOptions::default()).await.is_err() {
                return false;
            }
            *link = Some((connection, channel));
        }
        let Some((_, channel)) = link.as_ref() else { return false };
        let mut confirms = Vec::with_capacity(messages.len());
        for (body, properties) in messages {
            let options = mandatory();
            let exchange = self.namespace.as_str().into();
            match channel.basic_publish(exchange, "jobs".into(), options, body, properties.clone()).await {
                Ok(confirm) => confirms.push(confirm),
                Err(_) => return false,
            }
        }
        for confirm in confirms {
            // One returned message is enough to publish the window again: duplicates are ordinary.
            let Ok(confirmed) = confirm.await else { return false };
            if !confirmed.is_ack() || confirmed.take_message().is_some() {
                return false;
            }
        }
        true
    }
}

/// An outcome event as its consumer got it.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    /// The CloudEvents envelope.
    pub(crate) envelope: Value,
    /// The bytes it came as.
    pub(crate) raw: Vec<u8>,
    /// The routing key it was published with.
    pub(crate) routing_key: String,
    /// Its AMQP properties.
    pub(crate) properties: BasicProperties,
}

impl Event {
    /// A member of the envelope as text; empty where there is none.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.envelope.get(name).and_then(Value::as_str).unwrap_or_default()
    }

    /// The stable id.
    pub(crate) fn id(&self) -> &str {
        self.text("id")
    }

    /// `topup.succeeded` and so on.
    pub(crate) fn kind(&self) -> &str {
        self.text("type")
    }

    /// A member of `data`.
    pub(crate) fn data(&self, name: &str) -> &Value {
        self.envelope.get("data").and_then(|data| data.get(name)).unwrap_or(&Value::Null)
    }

    /// Whether it tells how a top-up ended.
    pub(crate) fn is_terminal(&self) -> bool {
        matches!(self.kind(), "topup.succeeded" | "topup.rejected" | "topup.discarded")
    }
}

/// A consumer of the outcome queue that survives a lost broker and keeps all it ever got.
pub(crate) struct Outcomes {
    events: Arc<Mutex<Vec<Event>>>,
    task: JoinHandle<()>,
}

impl Outcomes {
    /// Begins to collect, also while broker or queue do not exist yet.
    pub(crate) fn collect(url: &str, namespace: &str) -> Self {
        let events = Arc::new(Mutex::new(Vec::new()));
        let (url, queue, into) = (url.to_owned(), format!("{namespace}.outcomes"), Arc::clone(&events));
        let task = tokio::spawn(async move {
            loop {
                if let Err(trouble) = consume(&url, &queue, &into).await {
                    tokio::time::sleep(Duration::from_millis(200)).await; // the broker is away: not a busy loop
                    drop(trouble);
                }
            }
        });
        Self { events, task }
    }

    /// All events so far, in the order they came.
    pub(crate) fn all(&self) -> Vec<Event> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The events about one reference.
    pub(crate) fn about(&self, reference: &str) -> Vec<Event> {
        self.all().into_iter().filter(|event| event.text("subject") == reference).collect()
    }

    /// How often each terminal event came, by reference.
    pub(crate) fn terminal_by_reference(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for event in
            self.events.lock().unwrap_or_else(PoisonError::into_inner).iter().filter(|event| event.is_terminal())
        {
            *counts.entry(event.text("subject").to_owned()).or_default() += 1;
        }
        counts
    }

    /// The references of which a dead letter was told.
    pub(crate) fn dead_lettered(&self) -> Vec<String> {
        let dead = |event: &&Event| event.kind() == "topup.dead_lettered";
        self.events
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .filter(dead)
            .map(|event| event.text("subject").to_owned())
            .collect()
    }

    /// Waits for the first event of this type about this reference.
    pub(crate) async fn wait_for(&self, kind: &str, reference: &str) -> Event {
        let what = format!("a {kind} about {reference}");
        eventually(Duration::from_secs(60), &what, async || {
            self.about(reference).into_iter().find(|event| event.kind() == kind)
        })
        .await
    }
}

impl Drop for Outcomes {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn consume(url: &str, queue: &str, into: &Mutex<Vec<Event>>) -> Result<(), String> {
    let (_connection, channel) = open(url).await?;
    let fail = |error: lapin::Error| error.to_string();
    channel.basic_qos(200, BasicQosOptions::default()).await.map_err(fail)?;
    let options = BasicConsumeOptions::default();
    let consuming = channel.basic_consume(queue.into(), "".into(), options, FieldTable::default());
    let mut deliveries = timeout(CALL_LIMIT, consuming).await.map_err(|late| late.to_string())?.map_err(fail)?;
    while let Some(delivery) = deliveries.next().await {
        let delivery = delivery.map_err(fail)?;
        into.lock().unwrap_or_else(PoisonError::into_inner).push(event(&delivery));
        delivery.ack(BasicAckOptions::default()).await.map_err(fail)?;
    }
    Err("the consumer was cancelled".to_owned())
}

fn event(delivery: &Delivery) -> Event {
    Event {
        envelope: serde_json::from_slice(&delivery.data).expect("an outcome event is JSON"),
        raw: delivery.data.clone(),
        routing_key: delivery.routing_key.to_string(),
        properties: delivery.properties.clone(),
    }
}

/// Provides the queues of the contract and what leads into them, as an administrator does; what is there is left alone.
///
/// # Panics
/// One is there with other arguments.
pub(crate) async fn provide_queues(url: &str, namespace: &str) {
    let (_connection, channel) = open(url).await.expect("the broker takes connections");
    let name = |suffix: &str| format!("{namespace}{suffix}");
    let text = |value: &str| AMQPValue::LongString(value.into());
    let quorum = [("x-queue-type", text("quorum"))];
    let jobs = [
        ("x-queue-type", text("quorum")),
        ("x-dead-letter-exchange", text(&name(".dlx"))),
        ("x-dead-letter-strategy", text("at-least-once")),
        ("x-overflow", text("reject-publish")),
        ("x-delivery-limit", AMQPValue::LongInt(50)),
    ];
    let queues = [
        (".jobs", &jobs[..], "", "jobs"),
        (".dead", &quorum[..], ".dlx", ""),
        (".outcomes", &quorum[..], ".events", "#"),
    ];
    for (suffix, arguments, exchange, key) in queues {
        let mut table = FieldTable::default();
        for (key, value) in arguments {
            table.insert((*key).into(), value.clone());
        }
        let (queue, exchange) = (name(suffix), name(exchange));
        let declared = channel.queue_declare(queue.as_str().into(), QueueDeclareOptions::durable(), table).await;
        declared.expect("RabbitMQ refuses to declare what exists with other arguments");
        let options = QueueBindOptions::default();
        let bound = channel.queue_bind(
            queue.as_str().into(),
            exchange.as_str().into(),
            key.into(),
            options,
            FieldTable::default(),
        );
        bound.await.expect("the queue is bound");
    }
}

/// How many messages are ready in a queue.
pub(crate) async fn depth(url: &str, queue: &str) -> Option<u32> {
    let (_connection, channel) = open(url).await.ok()?;
    let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
    let declared = channel.queue_declare(queue.into(), passive, FieldTable::default()).await.ok()?;
    Some(declared.message_count())
}
