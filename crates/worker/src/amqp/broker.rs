//! What intake, relay and supervisor know of a broker. RabbitMQ is one ([`super::Rabbit`]).
//!
//! Static throughout: nothing is boxed on the way of a message.

use std::future::Future;
use std::sync::Arc;

use lapin::message::Delivery;
use tokio_util::sync::CancellationToken;

use super::{AmqpError, Outgoing, Source};
use crate::custody::{Custodial, Custodian};

/// Deliveries of one queue.
pub trait Deliveries: Send + 'static {
    /// What the queue holds.
    fn source(&self) -> Source;

    /// Waits for a delivery, and takes with it what has arrived already, up to `limit`. To be dropped while it waits loses
    /// nothing.
    ///
    /// # Errors
    /// [`AmqpError`]: the consumer or its channel ended.
    fn batch(&mut self, limit: usize) -> impl Future<Output = Result<Vec<Arc<Delivery>>, AmqpError>> + Send;

    /// Acknowledges everything up to `tag`: all of it is recorded.
    ///
    /// # Errors
    /// [`AmqpError`]; whether the broker knows of it is unknown then.
    fn ack_up_to(&self, tag: u64) -> impl Future<Output = Result<(), AmqpError>> + Send;
}

/// Publishes with confirms.
pub trait Publisher: Send + Sync + 'static {
    /// Publishes a window, and says of each message whether a queue has it. It ends: by confirms, or by an error.
    ///
    /// # Errors
    /// [`AmqpError`]: the channel or connection ended, a deadline passed, or `over` was cancelled; nothing is known then.
    fn publish(
        &self,
        window: Vec<Outgoing<'_>>,
        over: &CancellationToken,
    ) -> impl Future<Output = Result<Vec<bool>, AmqpError>> + Send;
}

/// Connects, again and again.
pub trait Broker: Send + Sync + 'static {
    /// What comes in.
    type Deliveries: Deliveries;
    /// What goes out.
    type Publisher: Publisher;
    /// What keeps the namespace ours.
    type Custody: Custodial;
    /// What has to be kept, and closed.
    type Connection: Connection;

    /// One generation: everything new. The custodian claims the namespace before anything is taken from it (M13). `over` is
    /// cancelled when it ends.
    ///
    /// # Errors
    /// [`AmqpError`]: no connection, the queues are not as they have to be, or the namespace is not ours.
    fn connect(
        &self,
        custodian: &Custodian,
        over: &CancellationToken,
    ) -> impl Future<Output = Result<Generation<Self>, AmqpError>> + Send;
}

/// What one generation works with.
#[derive(Debug)]
pub struct Generation<B: Broker + ?Sized> {
    /// The queues that are consumed.
    pub incoming: Vec<B::Deliveries>,
    /// Where outcomes go.
    pub publisher: B::Publisher,
    /// Whose the namespace is.
    pub custody: B::Custody,
    /// What carries both.
    pub connection: B::Connection,
}

/// What carries a generation.
pub trait Connection: Send {
    /// Says goodbye, within a limit of its own.
    fn close(self) -> impl Future<Output = ()> + Send;
}
