//! Publishing windows of messages with confirms. Every publisher of this program comes through here.
//!
//! One task owns a publishing channel. A window is published, all its confirms are awaited within a deadline, and a
//! message counts as taken only if its confirm is an ack *and* its `message_id` came back on none of them: lapin attaches
//! a returned message to whichever confirm completes next. A deadline ends the connection, never just the future: a
//! publish that was given up may still happen.

use std::collections::HashSet;
use std::future::Future;

use futures_util::future::try_join_all;
use lapin::options::BasicPublishOptions;
use lapin::{BasicProperties, Channel, Confirmation};
use tokio_util::sync::CancellationToken;

use super::{AmqpError, Link, OPERATION_LIMIT};

/// Messages written between two looks at the clock: few enough for a slow line.
const WRITTEN_TOGETHER: usize = 32;

/// A message to publish.
#[derive(Clone, Debug)]
pub struct Outgoing<'a> {
    /// Its id, unique in the window; also among its properties.
    pub message_id: &'a str,
    /// Where it goes.
    pub routing_key: &'a str,
    /// Its body.
    pub body: &'a [u8],
    /// Its properties, `message_id` among them.
    pub properties: BasicProperties,
}

/// Publishes a window, mandatory and persistent by its properties; for each message whether a queue has it.
///
/// The deadline does not run while `link` says that the broker is blocked: a new connection would block again, and what
/// was published is only waiting.
///
/// # Errors
/// [`AmqpError`]: the channel or connection ended, a deadline passed, or `over` was cancelled; nothing is known then.
pub async fn publish_window(
    channel: &Channel,
    exchange: &str,
    window: Vec<Outgoing<'_>>,
    link: &Link,
    over: &CancellationToken,
) -> Result<Vec<bool>, AmqpError> {
    let mut publishes = Vec::with_capacity(window.len());
    let mut ids = Vec::with_capacity(window.len());
    for Outgoing { message_id, routing_key, body, properties } in window {
        let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
        publishes.push(channel.basic_publish(exchange.into(), routing_key.into(), options, body, properties));
        ids.push(message_id);
    }
    // Several at once: a publish that is awaited ends only when its frames are written, a trip to the connection's thread.
    let mut confirms = Vec::with_capacity(ids.len());
    let mut publishes = publishes.into_iter();
    while !publishes.as_slice().is_empty() {
        let together = try_join_all(publishes.by_ref().take(WRITTEN_TOGETHER));
        confirms.extend(unless_blocked("basic.publish", link, over, together).await?);
    }
    let (mut acked, mut returned) = (Vec::with_capacity(ids.len()), HashSet::new());
    for confirm in confirms {
        let (is_ack, message) = match unless_blocked("a confirm", link, over, confirm).await? {
            Confirmation::Ack(message) => (true, message),
            Confirmation::Nack(message) => (false, message),
            Confirmation::NotRequested => return Err(AmqpError::Unusable("the channel gives no confirms")),
        };
        acked.push(is_ack);
        if let Some(id) = message.and_then(|message| message.delivery.properties.message_id().clone()) {
            returned.insert(id.as_str().to_owned());
        }
    }
    Ok(ids.into_iter().zip(acked).map(|(id, acked)| acked && !returned.contains(id)).collect())
}

async fn unless_blocked<T>(
    what: &'static str,
    link: &Link,
    over: &CancellationToken,
    operation: impl Future<Output = lapin::Result<T>>,
) -> Result<T, AmqpError> {
    let mut operation = std::pin::pin!(operation);
    loop {
        tokio::select! {
            biased;
            done = &mut operation => return done.map_err(|source| AmqpError::Broker { what, source }),
            () = over.cancelled() => return Err(AmqpError::Unusable("the connection is over")),
            () = tokio::time::sleep(OPERATION_LIMIT) => {
                if !link.is_blocked() {
                    return Err(AmqpError::Late { what, limit: OPERATION_LIMIT });
                }
            }
        }
    }
}
