//! Looking at the topology and at what our user may do with it, without an effect.
//!
//! AMQP can ask whether something is there, and nothing else: of types, arguments and permissions only its refusals tell.
//! So each look is an operation that the broker must refuse, or that does nothing:
//! - a declare with an argument that is impossible: what is missing is not made, what is there is compared first, and
//!   the refusal names what differs and how it is; without the right to configure that is refused before all;
//! - an unbind of a routing key that nobody uses, which wants the same rights as to bind, on an exchange that to publish;
//! - a consume with an impossible priority, which is refused after the right to read was looked at;
//! - a publish that is rolled back, which a broker with an alarm does not read.
//!
//! Each has a channel of its own, since a refusal ends the channel. The broker writes refusals to its log. Of bindings
//! AMQP tells nothing.

mod refusal;

use std::time::Duration;

use lapin::options::{
    BasicConsumeOptions, BasicPublishOptions, ExchangeDeclareOptions, ExchangeUnbindOptions, QueueDeclareOptions,
};
use lapin::protocol::AMQPErrorKind;
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Connection, ErrorKind};

use super::rights::{Kind, Need, Object, Right};
use super::{AmqpError, Names, in_time};
use crate::event::kind::SUCCEEDED;
use refusal::{Declared, Value};
pub(super) use refusal::{No, Told};

/// Nobody binds by it.
const NOBODYS_KEY: &str = "worker check: nobody binds by this";
/// Every broker has it.
const NOBODYS_SOURCE: &str = "amq.fanout";
/// More than a queue has arguments: no look goes on for ever.
const ROUNDS: usize = 24;

/// Looks, by one connection.
#[derive(Debug)]
pub(crate) struct Inspector<'a> {
    pub(crate) connection: &'a Connection,
    pub(crate) names: &'a Names,
    /// Of each operation.
    pub(crate) limit: Duration,
}

/// How an object stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Look {
    pub(crate) object: Object,
    pub(crate) found: Found,
    /// Of a queue that is there.
    pub(crate) depth: Option<Depth>,
}

/// What was found of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    Missing,
    AsExpected,
    /// It is there, and this user may not see more.
    Unseen,
    /// In all of these.
    Differs(Vec<Difference>),
    /// The broker's words, which say neither.
    Unclear(String),
}

/// What the broker does with what is published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Publishing {
    Taken,
    /// In the broker's words.
    Refused(String),
    /// Nobody reads it.
    Blocked,
}

/// What waits in a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Depth {
    pub(crate) messages: u32,
    pub(crate) consumers: u32,
}

/// What differs in an object. `Display` is a fragment: `durable is false (expected true)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Difference {
    /// An argument's name, `type`, `durable` and the like.
    pub(crate) what: String,
    pub(crate) expected: String,
    pub(crate) current: String,
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} is {} (expected {})", self.what, self.current, self.expected)
    }
}

impl Inspector<'_> {
    /// How each object stands, in the order in which they are declared.
    ///
    /// # Errors
    /// [`AmqpError`]: the broker was lost, or did not answer in time.
    pub(crate) async fn topology(&self) -> Result<Vec<Look>, AmqpError> {
        let mut looks = Vec::new();
        for (name, kind) in self.names.exchanges() {
            looks.push(self.look(Declared::exchange(name, kind)).await?);
        }
        for (name, arguments) in self.names.queues() {
            looks.push(self.look(Declared::queue(name, &arguments)).await?);
        }
        Ok(looks)
    }

    /// Those of the needs that the broker refuses.
    ///
    /// # Errors
    /// As [`Inspector::topology`].
    pub(crate) async fn refused(&self, needs: Vec<Need>) -> Result<Vec<Need>, AmqpError> {
        let mut refused = Vec::new();
        for need in needs {
            if self.is_refused(&need).await? {
                refused.push(need);
            }
        }
        Ok(refused)
    }

    async fn is_refused(&self, need: &Need) -> Result<bool, AmqpError> {
        let Need { right, object, .. } = need;
        let no = match (right, object.kind) {
            (Right::Configure, _) => self.declare(&Declared::anyhow(object)).await?,
            (Right::Write, Kind::Exchange) => self.unbind_nothing_from(object).await?,
            (Right::Read, Kind::Queue) => self.consume_nothing(object).await?,
            (Right::Write, Kind::Queue) | (Right::Read, Kind::Exchange) => self.unbind_nothing(object).await?,
        };
        Ok(no.is_some_and(|no| no.is_forbidden()))
    }

    /// One difference a round, until the broker names only what is impossible.
    async fn look(&self, mut declared: Declared) -> Result<Look, AmqpError> {
        let object = declared.object.clone();
        let depth = match self.is_there(&declared).await? {
            Ok(depth) => depth,
            Err(no) => {
                let found = match no.told() {
                    Told::Missing => Found::Missing,
                    Told::Forbidden => Found::Unseen,
                    Told::Differs { key, .. } => Found::Unclear(key),
                    Told::Other(text) => Found::Unclear(text),
                };
                return Ok(Look { object, found, depth: None });
            }
        };
        let mut differences = Vec::new();
        for _ in 0..ROUNDS {
            // A classic queue does not know what is impossible: then it is as was declared here.
            let Some(no) = self.declare(&declared).await? else { break };
            let found = match no.told() {
                Told::Differs { key, current: Value::None, .. } if declared.is_impossible(&key) => break,
                Told::Differs { key, current, .. } if declared.is_impossible(&key) => {
                    differences.push(Difference::new(key, Value::None, current));
                    break;
                }
                Told::Differs { key, expected, current } => {
                    // Not again: it was not understood how it is.
                    if differences.iter().any(|known: &Difference| known.what == key) {
                        break;
                    }
                    let goes_on = declared.follow(&key, &current);
                    differences.push(Difference::new(key, expected, current));
                    if goes_on {
                        continue;
                    }
                    break;
                }
                Told::Missing => Found::Missing,
                Told::Forbidden => Found::Unseen,
                Told::Other(text) => Found::Unclear(text),
            };
            return Ok(Look { object, found, depth });
        }
        let found = if differences.is_empty() { Found::AsExpected } else { Found::Differs(differences) };
        Ok(Look { object, found, depth })
    }

    /// By a passive declare, which says of a queue how deep it is.
    async fn is_there(&self, declared: &Declared) -> Result<Result<Option<Depth>, No>, AmqpError> {
        let name = declared.object.name.as_str();
        match declared.object.kind {
            Kind::Exchange => {
                let passive = ExchangeDeclareOptions { passive: true, ..ExchangeDeclareOptions::default() };
                let asked = self.ask("checking an exchange", async |channel| {
                    let kind = declared.kind.clone();
                    channel.exchange_declare(name.into(), kind, passive, FieldTable::default()).await
                });
                Ok(asked.await?.map(|()| None))
            }
            Kind::Queue => {
                let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
                let asked = self.ask("checking a queue", async |channel| {
                    channel.queue_declare(name.into(), passive, FieldTable::default()).await
                });
                let depth = asked
                    .await?
                    .map(|queue| Depth { messages: queue.message_count(), consumers: queue.consumer_count() });
                Ok(depth.map(Some))
            }
        }
    }

    /// Makes nothing: what is declared is impossible. None where what is there is declared alike.
    async fn declare(&self, declared: &Declared) -> Result<Option<No>, AmqpError> {
        let (name, arguments) = (declared.object.name.as_str(), declared.arguments());
        let asked = self.ask("looking at an exchange or queue", async |channel| match declared.object.kind {
            Kind::Exchange => {
                let options = ExchangeDeclareOptions {
                    durable: declared.durable,
                    auto_delete: declared.auto_delete,
                    internal: declared.internal,
                    ..ExchangeDeclareOptions::default()
                };
                channel.exchange_declare(name.into(), declared.kind.clone(), options, arguments).await
            }
            Kind::Queue => {
                let options = QueueDeclareOptions {
                    durable: declared.durable,
                    auto_delete: declared.auto_delete,
                    ..QueueDeclareOptions::default()
                };
                channel.queue_declare(name.into(), options, arguments).await.map(drop)
            }
        });
        Ok(asked.await?.err())
    }

    /// Unbinds what is not bound: wants write on the queue, and then read on the exchange. Where the first is missing,
    /// nothing is told of the second.
    async fn unbind_nothing(&self, object: &Object) -> Result<Option<No>, AmqpError> {
        let bindings = self.names.bindings();
        let of_object =
            |(queue, exchange, _): &&(&str, &str, &str)| [*queue, *exchange].contains(&object.name.as_str());
        let witness = self.names.witness_binding();
        let found = bindings.iter().chain([&witness]).find(of_object);
        let Some((queue, exchange, _)) = found else { return Ok(None) };
        let asked = self.ask("looking at a binding", async |channel| {
            channel.queue_unbind((*queue).into(), (*exchange).into(), NOBODYS_KEY.into(), FieldTable::default()).await
        });
        Ok(asked.await?.err().filter(|no| no.is_about(object)))
    }

    /// Unbinds an exchange from one that nobody binds it to: wants write on it, and then read on the other.
    async fn unbind_nothing_from(&self, exchange: &Object) -> Result<Option<No>, AmqpError> {
        let (name, options) = (exchange.name.as_str(), ExchangeUnbindOptions::default());
        let asked = self.ask("looking at an exchange", async |channel| {
            let key = NOBODYS_KEY.into();
            channel.exchange_unbind(name.into(), NOBODYS_SOURCE.into(), key, options, FieldTable::default()).await
        });
        Ok(asked.await?.err().filter(|no| no.is_about(exchange)))
    }

    /// Refused for its priority, if not for the right.
    async fn consume_nothing(&self, queue: &Object) -> Result<Option<No>, AmqpError> {
        let mut arguments = FieldTable::default();
        arguments.insert("x-priority".into(), AMQPValue::LongString("impossible".into()));
        let asked = self.ask("looking at a queue", async |channel| {
            let options = BasicConsumeOptions::default();
            channel.basic_consume(queue.name.as_str().into(), "".into(), options, arguments).await.map(drop)
        });
        Ok(asked.await?.err())
    }

    /// Whether the broker takes outcomes: by a publish that is rolled back, so that no queue gets it. To be asked where the
    /// exchange is there and may be written to.
    ///
    /// # Errors
    /// As [`Inspector::topology`].
    pub(crate) async fn publishing(&self) -> Result<Publishing, AmqpError> {
        let exchange = self.names.events.as_str();
        let asked = self.ask("looking at an exchange", async |channel| {
            channel.tx_select().await?;
            let (options, properties) = (BasicPublishOptions::default(), BasicProperties::default());
            channel.basic_publish(exchange.into(), SUCCEEDED.into(), options, b"", properties).await?;
            channel.tx_rollback().await
        });
        match asked.await {
            Ok(Ok(())) => Ok(Publishing::Taken),
            Ok(Err(no)) => Ok(Publishing::Refused(no.text)),
            // The refusal of a publish comes when it likes: the channel may be closed before the next word.
            Err(AmqpError::Broker { source, .. }) if matches!(source.kind(), ErrorKind::InvalidChannelState(..)) => {
                Ok(Publishing::Refused("the channel was closed".to_owned()))
            }
            // A broker with an alarm reads nothing more of a connection that publishes.
            Err(AmqpError::Late { .. }) => Ok(Publishing::Blocked),
            Err(error) => Err(error),
        }
    }

    /// One operation on a channel of its own.
    async fn ask<T>(
        &self,
        what: &'static str,
        operation: impl AsyncFnOnce(&Channel) -> lapin::Result<T>,
    ) -> Result<Result<T, No>, AmqpError> {
        let channel = in_time("opening a channel", self.limit, self.connection.create_channel()).await?;
        match in_time(what, self.limit, operation(&channel)).await {
            Ok(done) => {
                in_time("closing a channel", self.limit, channel.close(200, "looked".into())).await?;
                Ok(Ok(done))
            }
            Err(AmqpError::Broker { what, source }) => match source.kind() {
                ErrorKind::ProtocolError(error) if matches!(error.kind(), AMQPErrorKind::Soft(_)) => {
                    Ok(Err(No::new(error)))
                }
                _ => Err(AmqpError::Broker { what, source }),
            },
            Err(error) => Err(error),
        }
    }
}
