//! RabbitMQ as the keeper of a namespace's custody (M13).
//!
//! The mark is the `alternate-exchange` of the exchange `<namespace>.custodian`: declared again with another value it is refused,
//! and the refusal names the value it has, so it is a compare-and-set that outlives every process. The hold is an exclusive
//! consumer of the empty queue `<namespace>.custodian`: classic, for a quorum queue refuses nobody. The witness lies in
//! `<namespace>.witness`, which keeps the newest message only; whoever looks at it puts it back. A refusal ends its channel, so
//! each question has one of its own.

use std::sync::Arc;

use futures_util::StreamExt as _;
use lapin::options::{
    BasicConsumeOptions, BasicGetOptions, BasicNackOptions, ConfirmSelectOptions, ExchangeDeclareOptions,
    ExchangeDeleteOptions, QueueBindOptions, QueueDeclareOptions,
};
use lapin::protocol::AMQPErrorKind;
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Connection, Consumer, ErrorKind, ExchangeKind};
use tokio_util::sync::CancellationToken;

use super::inspect::{No, Told};
use super::{AmqpError, Link, Names, OPERATION_LIMIT, Outgoing, in_time, publish_window};
use crate::custody::{Custodial, Found, Hold};

const MARK: &str = "alternate-exchange";
/// The one message that a witness is.
const WITNESS_ID: &str = "witness";

/// A namespace's custody, over the connections of one generation.
#[derive(Debug)]
pub struct Custodies {
    consume: Arc<Connection>,
    publish: Arc<Connection>,
    names: Names,
    link: Arc<Link>,
    hold: Option<(Channel, Consumer)>,
    telling: Option<Channel>,
    /// The queue for the witness is there, and bound.
    is_ready: bool,
}

impl Custodies {
    /// Over these connections: what is published goes by the second one, which the broker may block.
    pub fn new(consume: Arc<Connection>, publish: Arc<Connection>, names: Names, link: Arc<Link>) -> Self {
        Self { consume, publish, names, link, hold: None, telling: None, is_ready: false }
    }

    /// Takes the mark away, whatever it is.
    ///
    /// # Errors
    /// [`AmqpError`].
    pub(crate) async fn remove_mark(&self) -> Result<(), AmqpError> {
        let name = self.names.custodian.as_str();
        let removed = self.ask("deleting the namespace's mark", async |channel| {
            channel.exchange_delete(name.into(), ExchangeDeleteOptions::default()).await
        });
        // The queue was bound to what is gone.
        removed.await?.map_err(|no| refused("deleting the namespace's mark", no))
    }

    /// Whether the mark's exchange is there; a look at one that is not costs a refusal each time.
    async fn is_there(&self) -> Result<bool, AmqpError> {
        let name = self.names.custodian.as_str();
        let asked = self.ask("looking for the namespace's mark", async |channel| {
            let passive = ExchangeDeclareOptions { passive: true, ..ExchangeDeclareOptions::default() };
            channel.exchange_declare(name.into(), ExchangeKind::Fanout, passive, FieldTable::default()).await
        });
        match asked.await? {
            Ok(()) => Ok(true),
            Err(no) if no.is_missing() => Ok(false),
            Err(no) => Err(refused("looking for the namespace's mark", no)),
        }
    }

    /// Declares the mark's exchange with this argument; what it is instead where that is refused.
    async fn declared(&self, mark: AMQPValue) -> Result<Option<Found>, AmqpError> {
        let name = self.names.custodian.as_str();
        let mut arguments = FieldTable::default();
        arguments.insert(MARK.into(), mark);
        let asked = self.ask("declaring the namespace's mark", async |channel| {
            let durable = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
            channel.exchange_declare(name.into(), ExchangeKind::Fanout, durable, arguments).await
        });
        let Err(no) = asked.await? else { return Ok(None) };
        if no.is_forbidden() {
            return Err(refused("declaring the namespace's mark", no));
        }
        let words = no.text().to_owned();
        Ok(Some(match no.told() {
            Told::Missing => Found::Missing,
            Told::Differs { key, current, .. } if key == MARK => Found::Is(current.into_text()),
            // Another type of exchange, or words that are not known.
            Told::Differs { key, current, .. } => Found::Is(format!("{key} is {}", current.into_text())),
            Told::Forbidden | Told::Other(_) => Found::Is(cut_mark(&words).unwrap_or(words)),
        }))
    }

    async fn make_ready(&mut self) -> Result<Result<(), No>, AmqpError> {
        if self.is_ready {
            return Ok(Ok(()));
        }
        let (queue, exchange) = (self.names.witness.as_str(), self.names.custodian.as_str());
        let made = self.ask("declaring the witness's queue", async |channel| {
            let durable = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
            channel.queue_declare(queue.into(), durable, newest_only()).await?;
            let options = QueueBindOptions::default();
            channel.queue_bind(queue.into(), exchange.into(), "".into(), options, FieldTable::default()).await
        });
        let made = made.await?;
        self.is_ready = made.is_ok();
        Ok(made)
    }

    /// One operation on a channel of its own.
    async fn ask<T>(
        &self,
        what: &'static str,
        operation: impl AsyncFnOnce(&Channel) -> lapin::Result<T>,
    ) -> Result<Result<T, No>, AmqpError> {
        let channel = in_time("opening a channel", OPERATION_LIMIT, self.consume.create_channel()).await?;
        match soft(in_time(what, OPERATION_LIMIT, operation(&channel)).await)? {
            Ok(done) => {
                in_time("closing a channel", OPERATION_LIMIT, channel.close(200, "looked".into())).await?;
                Ok(Ok(done))
            }
            Err(no) => Ok(Err(no)),
        }
    }
}

impl Custodial for Custodies {
    async fn look(&mut self, known: Option<&str>) -> Result<Found, AmqpError> {
        if !self.is_there().await? {
            return Ok(Found::Missing);
        }
        if let Some(known) = known
            && self.declared(AMQPValue::LongString(known.into())).await?.is_none()
        {
            return Ok(Found::Is(known.to_owned()));
        }
        // No exchange is named by a number: nothing is made, and as little as can be stands before what is told.
        let found = self.declared(AMQPValue::LongInt(1)).await?;
        Ok(found.unwrap_or_else(|| Found::Is("1".to_owned())))
    }

    async fn declare(&mut self, mark: &str) -> Result<Found, AmqpError> {
        self.is_ready = false;
        match self.declared(AMQPValue::LongString(mark.into())).await? {
            None => Ok(Found::Is(mark.to_owned())),
            Some(_) => self.look(None).await,
        }
    }

    async fn hold(&mut self) -> Result<Hold, AmqpError> {
        if self.hold.is_some() {
            return Ok(Hold::Had);
        }
        let queue = self.names.custodian.as_str();
        let channel = in_time("opening a channel", OPERATION_LIMIT, self.consume.create_channel()).await?;
        let taken = async {
            let durable = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
            channel.queue_declare(queue.into(), durable, classic()).await?;
            let exclusive = BasicConsumeOptions { exclusive: true, ..BasicConsumeOptions::default() };
            channel.basic_consume(queue.into(), "".into(), exclusive, FieldTable::default()).await
        };
        match soft(in_time("taking the namespace's hold", OPERATION_LIMIT, taken).await)? {
            Ok(consumer) => {
                self.hold = Some((channel, consumer));
                Ok(Hold::Had)
            }
            Err(no) if no.is_in_use() => Ok(Hold::InUse),
            Err(no) if no.is_missing() => Ok(Hold::Unavailable(no.text().to_owned())),
            Err(no) => Err(refused("taking the namespace's hold", no)),
        }
    }

    async fn witness(&mut self) -> Result<Option<Vec<u8>>, AmqpError> {
        let queue = self.names.witness.as_str();
        let got = self.ask("reading the witness", async |channel| {
            let Some(message) = channel.basic_get(queue.into(), BasicGetOptions::default()).await? else {
                return Ok(None);
            };
            let back = BasicNackOptions { requeue: true, ..BasicNackOptions::default() };
            channel.basic_nack(message.delivery.delivery_tag, back).await?;
            Ok(Some(message.delivery.data))
        });
        match got.await? {
            Ok(body) => Ok(body),
            Err(no) if no.is_missing() => Ok(None),
            Err(no) => Err(refused("reading the witness", no)),
        }
    }

    async fn tell(&mut self, witness: &[u8]) -> Result<bool, AmqpError> {
        // What is published would wait, and what is waited for be old.
        if self.link.is_blocked() {
            return Ok(false);
        }
        match self.make_ready().await? {
            Ok(()) => {}
            Err(no) if no.is_missing() => return Ok(false),
            Err(no) => return Err(refused("declaring the witness's queue", no)),
        }
        let channel = match &self.telling {
            Some(channel) => channel,
            None => {
                let channel = in_time("opening a channel", OPERATION_LIMIT, self.publish.create_channel()).await?;
                let confirms = channel.confirm_select(ConfirmSelectOptions::default());
                in_time("confirm.select", OPERATION_LIMIT, confirms).await?;
                self.telling.insert(channel)
            }
        };
        let properties = BasicProperties::default()
            .with_content_type("application/json".into())
            .with_delivery_mode(2)
            .with_message_id(WITNESS_ID.into());
        let outgoing = Outgoing { message_id: WITNESS_ID, routing_key: "", body: witness, properties };
        let never = CancellationToken::new();
        let taken = publish_window(channel, &self.names.custodian, vec![outgoing], &self.link, &never).await?;
        Ok(taken == [true])
    }

    async fn ended(&mut self) -> AmqpError {
        let Some((_, consumer)) = &mut self.hold else { return std::future::pending().await };
        loop {
            match consumer.next().await {
                // Nobody has any business to publish there.
                Some(Ok(delivery)) => drop(delivery),
                Some(Err(source)) => return AmqpError::Broker { what: "holding the namespace", source },
                None => return AmqpError::Cancelled { queue: self.names.custodian.clone() },
            }
        }
    }
}

fn classic() -> FieldTable {
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), AMQPValue::LongString("classic".into()));
    arguments
}

fn newest_only() -> FieldTable {
    let mut arguments = classic();
    arguments.insert("x-max-length".into(), AMQPValue::LongInt(1));
    arguments.insert("x-overflow".into(), AMQPValue::LongString("drop-head".into()));
    arguments
}

/// What a broker that cuts its words at 255 bytes has left of the mark.
fn cut_mark(words: &str) -> Option<String> {
    let (_, current) = words.rsplit_once("but current is the value '")?;
    Some(current.to_owned())
}

/// The broker's no apart from a lost connection.
fn soft<T>(done: Result<T, AmqpError>) -> Result<Result<T, No>, AmqpError> {
    match done {
        Ok(done) => Ok(Ok(done)),
        Err(AmqpError::Broker { what, source }) => match source.kind() {
            ErrorKind::ProtocolError(error) if matches!(error.kind(), AMQPErrorKind::Soft(_)) => {
                Ok(Err(No::new(error)))
            }
            _ => Err(AmqpError::Broker { what, source }),
        },
        Err(error) => Err(error),
    }
}

fn refused(what: &'static str, no: No) -> AmqpError {
    AmqpError::Refused { what, words: no.into_text() }
}
