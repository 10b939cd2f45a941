//! The broker's side of a run: queues of its own, the backlog that is published before a contender starts, how many
//! outcomes there are, and which.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use clap::ValueEnum;
use futures_util::StreamExt as _;
use lapin::options::{
    BasicConsumeOptions, BasicPublishOptions, ConfirmSelectOptions, ExchangeDeclareOptions, ExchangeDeleteOptions,
    QueueBindOptions, QueueDeclareOptions, QueueDeleteOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties, ExchangeKind};
use serde::{Deserialize, Serialize};
use tokio::time::timeout;

use crate::jobs::Job;

/// Messages published before their confirms are awaited.
const WINDOW: usize = 1000;
/// The next outcome of a queue that has some must come by then.
const NEXT: Duration = Duration::from_secs(20);

/// Which kind of queue jobs and outcomes go through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub(crate) enum QueueKind {
    /// Classic, durable
    #[default]
    Classic,
    /// Quorum, what the worker declares by itself
    Quorum,
}

impl QueueKind {
    /// Its name in the broker's arguments.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Classic => "classic",
            Self::Quorum => "quorum",
        }
    }
}

/// The names of a run's exchanges and queues, as the worker makes them from its namespace.
#[derive(Clone, Debug)]
pub(crate) struct Names {
    /// The first part of all of them.
    pub(crate) namespace: String,
    /// The job queue.
    pub(crate) jobs: String,
    /// Where outcomes are published.
    pub(crate) events: String,
    /// Where outcomes wait.
    pub(crate) outcomes: String,
    dlx: String,
    dead: String,
}

impl Names {
    /// The names in a namespace.
    pub(crate) fn new(namespace: &str) -> Self {
        let name = |suffix: &str| format!("{namespace}.{suffix}");
        Self {
            namespace: namespace.to_owned(),
            jobs: name("jobs"),
            events: name("events"),
            outcomes: name("outcomes"),
            dlx: name("dlx"),
            dead: name("dead"),
        }
    }
}

/// What the outcome queue held in the end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Told {
    /// Jobs of which a success was told.
    pub(crate) succeeded: u64,
    /// Events beyond the first of a job: allowed, an event is told at least once.
    pub(crate) repeated: u64,
    /// Events that tell anything but a success.
    pub(crate) other: u64,
}

/// A connection of the bench itself.
pub(crate) struct Desk {
    channel: Channel,
    _connection: Connection,
}

impl Desk {
    /// Connects.
    pub(crate) async fn open(url: &str) -> anyhow::Result<Self> {
        let properties = ConnectionProperties::default().with_connection_name("bench".into());
        let connection = Connection::connect(url, properties).await.context("failed to connect to the broker")?;
        let channel = connection.create_channel().await.context("failed to open a channel")?;
        channel.confirm_select(ConfirmSelectOptions::default()).await.context("failed to switch confirms on")?;
        Ok(Self { channel, _connection: connection })
    }

    /// Declares exchanges and queues as the worker would, but of this kind.
    pub(crate) async fn lay_out(&self, names: &Names, kind: QueueKind) -> anyhow::Result<()> {
        let text = |value: &str| AMQPValue::LongString(value.into());
        let exchanges = [
            (&names.namespace, ExchangeKind::Direct),
            (&names.dlx, ExchangeKind::Fanout),
            (&names.events, ExchangeKind::Topic),
        ];
        for (name, exchange) in exchanges {
            let options = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
            let declared =
                self.channel.exchange_declare(name.as_str().into(), exchange, options, FieldTable::default());
            declared.await.context("failed to declare an exchange")?;
        }
        let mut plain = FieldTable::default();
        plain.insert("x-queue-type".into(), text(kind.as_str()));
        let mut jobs = plain.clone();
        jobs.insert("x-dead-letter-exchange".into(), text(&names.dlx));
        jobs.insert("x-overflow".into(), text("reject-publish"));
        if kind == QueueKind::Quorum {
            jobs.insert("x-dead-letter-strategy".into(), text("at-least-once"));
            jobs.insert("x-delivery-limit".into(), AMQPValue::LongInt(50));
        }
        for (name, arguments) in [(&names.jobs, jobs), (&names.dead, plain.clone()), (&names.outcomes, plain)] {
            let options = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
            let declared = self.channel.queue_declare(name.as_str().into(), options, arguments);
            declared.await.context("failed to declare a queue")?;
        }
        let bindings = [
            (&names.jobs, &names.namespace, "jobs"),
            (&names.dead, &names.dlx, ""),
            (&names.outcomes, &names.events, "#"),
        ];
        for (queue, exchange, key) in bindings {
            let options = QueueBindOptions::default();
            let (queue, exchange) = (queue.as_str().into(), exchange.as_str().into());
            let bound = self.channel.queue_bind(queue, exchange, key.into(), options, FieldTable::default());
            bound.await.context("failed to bind a queue")?;
        }
        Ok(())
    }

    /// Publishes jobs, each until it is confirmed.
    pub(crate) async fn publish(&self, names: &Names, jobs: impl Iterator<Item = Job>) -> anyhow::Result<()> {
        let mut jobs = jobs.peekable();
        let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
        while jobs.peek().is_some() {
            let mut confirms = Vec::with_capacity(WINDOW);
            for job in jobs.by_ref().take(WINDOW) {
                let properties = BasicProperties::default()
                    .with_content_type("application/json".into())
                    .with_delivery_mode(2)
                    .with_message_id(job.reference.as_str().into());
                let exchange = names.namespace.as_str().into();
                let published = self.channel.basic_publish(exchange, "jobs".into(), options, &job.body, properties);
                confirms.push(published.await.context("failed to publish a job")?);
            }
            for confirm in confirms {
                let confirmed = confirm.await.context("failed to publish a job")?;
                ensure!(confirmed.is_ack() && confirmed.take_message().is_none(), "the broker did not take a job");
            }
        }
        Ok(())
    }

    /// How many messages of a queue are ready: neither delivered nor acknowledged.
    pub(crate) async fn ready(&self, queue: &str) -> anyhow::Result<u64> {
        let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        let declared = self.channel.queue_declare(queue.into(), options, FieldTable::default()).await;
        Ok(declared.with_context(|| format!("failed to look at the queue {queue}"))?.message_count().into())
    }

    /// Takes every outcome out of its queue.
    pub(crate) async fn collect(&self, names: &Names) -> anyhow::Result<Told> {
        let waiting = self.ready(&names.outcomes).await?;
        let tag = format!("{}-collector", names.namespace);
        let options = BasicConsumeOptions { no_ack: true, ..BasicConsumeOptions::default() };
        let queue = names.outcomes.as_str().into();
        let consumer = self.channel.basic_consume(queue, tag.as_str().into(), options, FieldTable::default());
        let mut consumer = consumer.await.context("failed to consume the outcomes")?;
        let mut subjects: HashMap<String, u64> = HashMap::new();
        let mut told = Told::default();
        for _ in 0..waiting {
            let next = timeout(NEXT, consumer.next()).await.context("the outcomes do not all come")?;
            let delivery = next.context("the consumer of the outcomes ended")??;
            let event: Envelope = serde_json::from_slice(&delivery.data).context("an outcome cannot be read")?;
            match event.subject {
                Some(subject) if event.kind == "topup.succeeded" => *subjects.entry(subject).or_default() += 1,
                _ => told.other += 1,
            }
        }
        self.channel.basic_cancel(tag.as_str().into(), Default::default()).await.context("failed to end a consumer")?;
        told.succeeded = subjects.len() as u64;
        told.repeated = subjects.values().map(|times| times - 1).sum();
        Ok(told)
    }

    /// Takes a run's exchanges and queues away.
    pub(crate) async fn clear(&self, names: &Names) -> anyhow::Result<()> {
        let custodian = format!("{}.custodian", names.namespace);
        let witness = format!("{}.witness", names.namespace);
        for queue in [&names.jobs, &names.dead, &names.outcomes, &custodian, &witness] {
            let deleted = self.channel.queue_delete(queue.as_str().into(), QueueDeleteOptions::default());
            deleted.await.context("failed to delete a queue")?;
        }
        for exchange in [&names.namespace, &names.dlx, &names.events, &custodian] {
            let deleted = self.channel.exchange_delete(exchange.as_str().into(), ExchangeDeleteOptions::default());
            deleted.await.context("failed to delete an exchange")?;
        }
        Ok(())
    }
}

/// An outcome event, as far as it is counted.
#[derive(Deserialize)]
struct Envelope {
    #[serde(rename = "type")]
    kind: String,
    subject: Option<String>,
}
