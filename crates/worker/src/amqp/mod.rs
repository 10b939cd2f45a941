//! The broker edge. [`Supervisor`] keeps a *generation* going, [`Rabbit`] makes them, [`Broker`] is what lies between.
//!
//! What lapin 4.12 does and does not do, and is used or avoided here:
//! - Its own recovery stays off: it wedges silently (a consumer that is pending for ever, connect retries that run out).
//! - No operation has a deadline of its own: every await goes through [`in_time`].
//! - `ack` answering `Ok` means "written to the socket": acks are hints, the unique key in the store is the guarantee.
//! - A consumer stream that ends with `None` was cancelled by the broker: an error, never a quiet end.
//! - Confirms and returned messages are not paired reliably: see `publish`.

mod broker;
mod connect;
mod custody;
mod deliveries;
mod inspect;
mod publish;
mod rabbit;
mod rights;
mod supervisor;
mod topology;

use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

pub use broker::{Broker, Connection, Deliveries, Generation, Publisher};
pub use connect::connect;
pub use custody::Custodies;
pub(crate) use deliveries::header;
pub use deliveries::{Incoming, Source, properties_of};
#[cfg(test)]
pub(crate) use inspect::Depth;
pub(crate) use inspect::{Difference, Found, Inspector, Look, Publishing};
pub use publish::{Outgoing, publish_window};
pub use rabbit::{Confirmed, Connections, Rabbit};
#[cfg(test)]
pub(crate) use rights::Object;
pub(crate) use rights::{Need, Right, Use};
pub use supervisor::Supervisor;
pub use topology::{JOBS_KEY, Names, check, declare};

/// No single AMQP operation may take longer.
pub const OPERATION_LIMIT: Duration = Duration::from_secs(10);

/// Why a generation ended, or an operation failed.
#[derive(Debug, thiserror::Error)]
pub enum AmqpError {
    /// The broker or the library said no.
    #[error("{what}")]
    Broker {
        /// What was tried.
        what: &'static str,
        /// Why.
        #[source]
        source: lapin::Error,
    },
    /// A deadline passed; whether the operation took place is unknown.
    #[error("{what} took longer than {limit:?}")]
    Late {
        /// What was tried.
        what: &'static str,
        /// The deadline.
        limit: Duration,
    },
    /// The broker cancelled a consumer: its queue is gone, or its leader.
    #[error("the broker cancelled the consumer of {queue}")]
    Cancelled {
        /// The queue.
        queue: String,
    },
    /// The broker refused an operation; its connection goes on.
    #[error("{what} was refused: {words}")]
    Refused {
        /// What was tried.
        what: &'static str,
        /// The broker's words.
        words: String,
    },
    /// The broker does not know how to do what is asked: confirms were not on, or it refused a message.
    #[error("{0}")]
    Unusable(&'static str),
    /// The namespace is not this store's, or not to be had.
    #[error(transparent)]
    Custody(#[from] crate::custody::CustodyError),
    /// The store failed while the generation ran.
    #[error("the store failed")]
    Store(#[from] outbox::StoreError),
}

/// Awaits an operation of lapin within a deadline.
pub async fn in_time<T>(
    what: &'static str,
    limit: Duration,
    operation: impl Future<Output = lapin::Result<T>>,
) -> Result<T, AmqpError> {
    match tokio::time::timeout(limit, operation).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(source)) => Err(AmqpError::Broker { what, source }),
        Err(_elapsed) => Err(AmqpError::Late { what, limit }),
    }
}

/// What everybody may know of the broker.
#[derive(Debug, Default)]
pub struct Link {
    connected: AtomicBool,
    blocked: AtomicBool,
    last_error: std::sync::Mutex<Option<String>>,
}

impl Link {
    /// Both connections stand and the consumers are set up.
    pub fn is_connected(&self) -> bool {
        self.connected.load(Ordering::Relaxed)
    }

    /// The broker takes no messages for want of memory or disk.
    pub fn is_blocked(&self) -> bool {
        self.blocked.load(Ordering::Relaxed)
    }

    /// Why the last generation ended.
    pub fn last_error(&self) -> Option<String> {
        self.last_error.lock().expect("nothing panics while it holds the link").clone()
    }

    pub(crate) fn up(&self) {
        self.connected.store(true, Ordering::Relaxed);
    }

    pub(crate) fn down(&self, error: Option<String>) {
        self.connected.store(false, Ordering::Relaxed);
        self.blocked.store(false, Ordering::Relaxed);
        *self.last_error.lock().expect("nothing panics while it holds the link") = error;
    }

    pub(crate) fn set_blocked(&self, blocked: bool) {
        self.blocked.store(blocked, Ordering::Relaxed);
    }
}
