//! The exchanges and queues of the contract: declared by the worker, or provisioned and only checked.

use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, ExchangeKind};

use super::{AmqpError, OPERATION_LIMIT, in_time};

/// A message that was delivered this often without being recorded is dead-lettered by the broker.
const DELIVERY_LIMIT: i32 = 50;

/// The names in one namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    /// Where producers publish.
    pub exchange: String,
    /// The job queue.
    pub jobs: String,
    /// Where the broker dead-letters to.
    pub dlx: String,
    /// The broker's dead letters, drained into the store.
    pub dead: String,
    /// Where outcomes are published.
    pub events: String,
    /// Keeps outcomes where nobody listens yet.
    pub outcomes: String,
    /// The exchange whose argument is the namespace's mark, and the queue whose one consumer is the custodian (M13). The worker
    /// always declares both itself.
    pub custodian: String,
    /// Keeps the newest word of how far the custodian's store has come.
    pub witness: String,
}

/// The routing key of jobs.
pub const JOBS_KEY: &str = "jobs";

impl Names {
    /// The names in `namespace`.
    pub fn new(namespace: &str) -> Self {
        let name = |suffix: &str| format!("{namespace}.{suffix}");
        Self {
            exchange: namespace.to_owned(),
            jobs: name("jobs"),
            dlx: name("dlx"),
            dead: name("dead"),
            events: name("events"),
            outcomes: name("outcomes"),
            custodian: name("custodian"),
            witness: name("witness"),
        }
    }

    pub(super) fn exchanges(&self) -> [(&str, ExchangeKind); 3] {
        [(&self.exchange, ExchangeKind::Direct), (&self.dlx, ExchangeKind::Fanout), (&self.events, ExchangeKind::Topic)]
    }

    pub(super) fn queues(&self) -> [(&str, FieldTable); 3] {
        let mut jobs = quorum();
        jobs.insert("x-dead-letter-exchange".into(), text(&self.dlx));
        jobs.insert("x-dead-letter-strategy".into(), text("at-least-once"));
        jobs.insert("x-overflow".into(), text("reject-publish"));
        jobs.insert("x-delivery-limit".into(), AMQPValue::LongInt(DELIVERY_LIMIT));
        [(&self.jobs, jobs), (&self.dead, quorum()), (&self.outcomes, quorum())]
    }

    /// Queue, exchange and routing key of the witness, which the worker binds itself.
    pub(crate) fn witness_binding(&self) -> (&str, &str, &str) {
        (&self.witness, &self.custodian, "")
    }

    /// Queue, exchange and routing key of each.
    pub(crate) fn bindings(&self) -> [(&str, &str, &str); 3] {
        [(&self.jobs, &self.exchange, JOBS_KEY), (&self.dead, &self.dlx, ""), (&self.outcomes, &self.events, "#")]
    }
}

fn text(value: &str) -> AMQPValue {
    AMQPValue::LongString(value.into())
}

fn quorum() -> FieldTable {
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), text("quorum"));
    arguments
}

/// Declares everything; what exists with the same arguments is left as it is.
///
/// # Errors
/// [`AmqpError`]: other arguments exist (406), permissions are missing (403), or the broker was lost.
pub async fn declare(channel: &Channel, names: &Names) -> Result<(), AmqpError> {
    for (name, kind) in names.exchanges() {
        let options = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
        let declared = channel.exchange_declare(name.into(), kind, options, FieldTable::default());
        in_time("declaring an exchange", OPERATION_LIMIT, declared).await?;
    }
    for (name, arguments) in names.queues() {
        let options = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
        let declared = channel.queue_declare(name.into(), options, arguments);
        in_time("declaring a queue", OPERATION_LIMIT, declared).await?;
    }
    for (queue, exchange, key) in names.bindings() {
        let bound = channel.queue_bind(
            queue.into(),
            exchange.into(),
            key.into(),
            QueueBindOptions::default(),
            FieldTable::default(),
        );
        in_time("binding a queue", OPERATION_LIMIT, bound).await?;
    }
    Ok(())
}

/// Checks that every exchange and queue exists; creates nothing.
///
/// # Errors
/// [`AmqpError`]: one is missing (404), or the broker was lost.
pub async fn check(channel: &Channel, names: &Names) -> Result<(), AmqpError> {
    for (name, kind) in names.exchanges() {
        let options = ExchangeDeclareOptions { passive: true, ..ExchangeDeclareOptions::default() };
        let declared = channel.exchange_declare(name.into(), kind, options, FieldTable::default());
        in_time("checking an exchange", OPERATION_LIMIT, declared).await?;
    }
    for (name, _) in names.queues() {
        let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        let declared = channel.queue_declare(name.into(), options, FieldTable::default());
        in_time("checking a queue", OPERATION_LIMIT, declared).await?;
    }
    Ok(())
}
