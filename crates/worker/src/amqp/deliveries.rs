//! Deliveries of one queue: batches of what has arrived, acknowledged together.

use std::sync::Arc;

use futures_util::{FutureExt as _, StreamExt as _};
use lapin::message::Delivery;
use lapin::options::{BasicAckOptions, BasicConsumeOptions, BasicQosOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Connection, Consumer};
use serde_json::{Map, Value, json};

use super::broker::Deliveries;
use super::{AmqpError, OPERATION_LIMIT, in_time};

/// What a queue holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// Jobs from producers.
    Jobs,
    /// What the broker dead-lettered.
    Dead,
}

/// A consumer with its channel: an ack belongs to the channel that delivered.
#[derive(Debug)]
pub struct Incoming {
    source: Source,
    queue: String,
    channel: Channel,
    consumer: Consumer,
}

pub(super) async fn consume(
    connection: &Connection,
    queue: &str,
    prefetch: u16,
    source: Source,
) -> Result<Incoming, AmqpError> {
    let channel = in_time("opening a channel", OPERATION_LIMIT, connection.create_channel()).await?;
    // Per consumer, not per channel: quorum queues know no other.
    let qos = channel.basic_qos(prefetch, BasicQosOptions { global: false });
    in_time("basic.qos", OPERATION_LIMIT, qos).await?;
    let consumer =
        channel.basic_consume(queue.into(), "".into(), BasicConsumeOptions::default(), FieldTable::default());
    let consumer = in_time("basic.consume", OPERATION_LIMIT, consumer).await?;
    Ok(Incoming { source, queue: queue.to_owned(), channel, consumer })
}

impl Deliveries for Incoming {
    fn source(&self) -> Source {
        self.source
    }

    async fn batch(&mut self, limit: usize) -> Result<Vec<Arc<Delivery>>, AmqpError> {
        let first = self.consumer.next().await;
        let mut batch = vec![self.taken(first)?];
        while batch.len() < limit {
            match self.consumer.next().now_or_never() {
                Some(next) => batch.push(self.taken(next)?),
                None => break,
            }
        }
        Ok(batch)
    }

    async fn ack_up_to(&self, tag: u64) -> Result<(), AmqpError> {
        let acked = self.channel.basic_ack(tag, BasicAckOptions { multiple: true });
        in_time("basic.ack", OPERATION_LIMIT, acked).await
    }
}

impl Incoming {
    fn taken(&self, next: Option<lapin::Result<Delivery>>) -> Result<Arc<Delivery>, AmqpError> {
        match next {
            Some(Ok(delivery)) => Ok(Arc::new(delivery)),
            Some(Err(source)) => Err(AmqpError::Broker { what: "consuming", source }),
            None => Err(AmqpError::Cancelled { queue: self.queue.clone() }),
        }
    }
}

/// A header that is text.
pub(crate) fn header<'a>(properties: &'a BasicProperties, name: &str) -> Option<&'a str> {
    let headers = properties.headers().as_ref()?;
    match headers.inner().get(name)? {
        AMQPValue::LongString(value) => std::str::from_utf8(value.as_bytes()).ok(),
        AMQPValue::ShortString(value) => Some(value.as_str()),
        _ => None,
    }
}

/// Properties and headers as they are kept beside a dead letter.
pub fn properties_of(delivery: &Delivery) -> (Value, Value) {
    let of = &delivery.properties;
    let mut properties = Map::new();
    let texts = [
        ("contentType", of.content_type()),
        ("contentEncoding", of.content_encoding()),
        ("correlationId", of.correlation_id()),
        ("replyTo", of.reply_to()),
        ("expiration", of.expiration()),
        ("messageId", of.message_id()),
        ("type", of.kind()),
        ("userId", of.user_id()),
        ("appId", of.app_id()),
    ];
    for (name, value) in texts {
        if let Some(value) = value {
            properties.insert(name.to_owned(), json!(value.as_str()));
        }
    }
    if let Some(mode) = of.delivery_mode() {
        properties.insert("deliveryMode".to_owned(), json!(mode));
    }
    if let Some(priority) = of.priority() {
        properties.insert("priority".to_owned(), json!(priority));
    }
    if let Some(timestamp) = of.timestamp() {
        properties.insert("timestamp".to_owned(), json!(timestamp));
    }
    properties.insert("exchange".to_owned(), json!(delivery.exchange.as_str()));
    properties.insert("routingKey".to_owned(), json!(delivery.routing_key.as_str()));
    properties.insert("redelivered".to_owned(), json!(delivery.redelivered));
    let headers = of.headers().as_ref().map_or_else(|| json!({}), |headers| table(headers, 1));
    (Value::Object(properties), headers)
}

/// Levels of tables and arrays that are kept: JSON readers stop at 128, and what cannot be read back is lost.
const DEPTH_MAX: usize = 64;

fn table(fields: &FieldTable, depth: usize) -> Value {
    fields.inner().iter().map(|(name, field)| (name.to_string(), value(field, depth))).collect::<Map<_, _>>().into()
}

/// `depth` is the level of the table or array it stands in.
fn value(field: &AMQPValue, depth: usize) -> Value {
    match field {
        AMQPValue::FieldArray(_) | AMQPValue::FieldTable(_) if depth >= DEPTH_MAX => json!("nested too deeply"),
        AMQPValue::Boolean(value) => json!(value),
        AMQPValue::ShortShortInt(value) => json!(value),
        AMQPValue::ShortShortUInt(value) => json!(value),
        AMQPValue::ShortInt(value) => json!(value),
        AMQPValue::ShortUInt(value) => json!(value),
        AMQPValue::LongInt(value) => json!(value),
        AMQPValue::LongUInt(value) => json!(value),
        AMQPValue::LongLongInt(value) => json!(value),
        AMQPValue::Float(value) => json!(value),
        AMQPValue::Double(value) => json!(value),
        AMQPValue::Timestamp(value) => json!(value),
        AMQPValue::DecimalValue(value) => json!({ "scale": value.scale, "value": value.value }),
        AMQPValue::ShortString(value) => json!(value.as_str()),
        AMQPValue::LongString(value) => json!(String::from_utf8_lossy(value.as_bytes())),
        AMQPValue::ByteArray(value) => json!(value.as_slice()),
        AMQPValue::FieldArray(values) => values.as_slice().iter().map(|field| value(field, depth + 1)).collect(),
        AMQPValue::FieldTable(fields) => table(fields, depth + 1),
        AMQPValue::Void => Value::Null,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_nested_without_end_can_be_read_back() {
        let mut nested = AMQPValue::Void;
        for _ in 0..200 {
            let mut table = FieldTable::default();
            table.insert("a".into(), nested);
            nested = AMQPValue::FieldArray(vec![AMQPValue::FieldTable(table)].into());
        }
        let mut headers = FieldTable::default();
        headers.insert("x".into(), nested);
        let mut delivery = Delivery::mock(1, "topup".into(), "jobs".into(), false, Vec::new());
        delivery.properties = BasicProperties::default().with_headers(headers);
        let (_, kept) = properties_of(&delivery);
        let text = kept.to_string();
        assert!(text.contains("nested too deeply"));
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), kept);
    }
}
