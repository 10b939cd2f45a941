//! The broker edge: one *generation* is two connections (consume, publish) with their channels. Any error, any end of a
//! stream, any deadline ends the generation; everything is rebuilt after a jittered pause, for ever.
//!
//! What lapin 4.12 does and does not do, and is used or avoided here:
//! - Its own recovery stays off: it wedges silently (a consumer that is pending for ever, connect retries that run out).
//! - No operation has a deadline of its own: every await goes through [`in_time`].
//! - `ack` answering `Ok` means "written to the socket": acks are hints, the unique key in the store is the guarantee.
//! - A consumer stream that ends with `None` was cancelled by the broker: an error, never a quiet end.
//! - Confirms and returned messages are not paired reliably: see `publish`.

mod connect;
mod deliveries;
mod inspect;
mod publish;
mod rights;
mod topology;

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

pub use connect::connect;
pub(crate) use deliveries::header;
pub use deliveries::{Incoming, Source, properties_of};
#[cfg(test)]
pub(crate) use inspect::Depth;
pub(crate) use inspect::{Difference, Found, Inspector, Look, Publishing};
pub use publish::{Outgoing, publish_window};
#[cfg(test)]
pub(crate) use rights::Object;
pub(crate) use rights::{Need, Right, Use};
pub use topology::{JOBS_KEY, Names, check, declare};

use crate::clock::Clock;
use crate::config::AmqpConfig;
use crate::intake::Intake;
use crate::relay::Relay;

/// No single AMQP operation may take longer.
pub const OPERATION_LIMIT: Duration = Duration::from_secs(10);
/// A connection that does not come about by then is given up.
const CONNECT_LIMIT: Duration = Duration::from_secs(15);
/// Pauses between generations.
const PAUSE_MIN_MS: u64 = 200;
const PAUSE_MAX_MS: u64 = 30_000;

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
    /// The broker does not know how to do what is asked: confirms were not on, or it refused a message.
    #[error("{0}")]
    Unusable(&'static str),
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

/// Which way a task of a generation carries messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Direction {
    In,
    Out,
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

    fn up(&self) {
        self.connected.store(true, Ordering::Relaxed);
    }

    fn down(&self, error: Option<String>) {
        self.connected.store(false, Ordering::Relaxed);
        self.blocked.store(false, Ordering::Relaxed);
        *self.last_error.lock().expect("nothing panics while it holds the link") = error;
    }

    pub(crate) fn set_blocked(&self, blocked: bool) {
        self.blocked.store(blocked, Ordering::Relaxed);
    }
}

/// Owns the broker edge.
#[derive(Debug)]
pub struct Supervisor {
    /// Where the broker is.
    pub config: AmqpConfig,
    /// What takes deliveries.
    pub intake: Intake,
    /// What publishes outcomes.
    pub relay: Relay,
    /// What is known of it.
    pub link: Arc<Link>,
    /// Time and randomness.
    pub clock: Clock,
    /// Consuming stops at once.
    pub stop_consuming: CancellationToken,
    /// Publishing stops when the outbox is empty, or when its limit passes.
    pub stop_publishing: CancellationToken,
}

impl Supervisor {
    /// Runs generation after generation until both directions are told to stop.
    pub async fn run(self, tracker: TaskTracker) {
        let mut failures: u32 = 0;
        while !self.stop_publishing.is_cancelled() {
            let started = self.clock.uptime();
            let ended = self.generation(&tracker).await;
            let Err(error) = ended else { break };
            let text = crate::text::chain(&error);
            self.link.down(Some(text.clone()));
            // A generation that worked for a while was no failure to connect.
            failures =
                if self.clock.uptime().saturating_sub(started) > Duration::from_secs(30) { 0 } else { failures + 1 };
            let pause = self.pause(failures);
            warn!(error = %text, pause_ms = pause.as_millis(), "the broker connection ended; it is rebuilt from zero");
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.stop_publishing.cancelled() => {}
            }
        }
        self.link.down(None);
    }

    /// Full jitter between 0.2 s and a limit that doubles to 30 s.
    fn pause(&self, failures: u32) -> Duration {
        let limit = PAUSE_MIN_MS.saturating_mul(1 << failures.min(10)).min(PAUSE_MAX_MS);
        Duration::from_millis(PAUSE_MIN_MS + self.clock.random() % limit.max(1))
    }

    async fn generation(&self, tracker: &TaskTracker) -> Result<(), AmqpError> {
        let names = Names::new(&self.config.namespace);
        let consume = connect(&self.config, "consume", CONNECT_LIMIT).await?;
        let publish = connect(&self.config, connect::PUBLISH, CONNECT_LIMIT).await?;
        let over = CancellationToken::new();
        let _ends_with_this = over.clone().drop_guard();

        let setup = in_time("opening a channel", OPERATION_LIMIT, consume.create_channel()).await?;
        if self.config.declare {
            declare(&setup, &names).await?;
        } else {
            check(&setup, &names).await?;
        }
        let jobs = deliveries::consume(&consume, &names.jobs, self.config.prefetch, Source::Jobs).await?;
        let dead = deliveries::consume(&consume, &names.dead, self.config.prefetch, Source::Dead).await?;
        let channel = in_time("opening a channel", OPERATION_LIMIT, publish.create_channel()).await?;
        in_time(
            "confirm.select",
            OPERATION_LIMIT,
            channel.confirm_select(lapin::options::ConfirmSelectOptions::default()),
        )
        .await?;
        self.link.up();
        info!(namespace = %self.config.namespace, "connected to the broker");

        connect::watch_blocking(&publish, Arc::clone(&self.link), over.clone(), tracker);
        // Each direction runs as a task of its own; the first that fails ends the generation with its connections.
        let mut tasks = JoinSet::new();
        for incoming in [jobs, dead] {
            let intake = self.intake.clone().run(incoming, self.stop_consuming.clone(), over.clone());
            tasks.spawn(async move { (Direction::In, intake.await) });
        }
        let relay = self.relay.clone().run(
            channel,
            names.events.clone(),
            Arc::clone(&self.link),
            self.stop_publishing.clone(),
            over.clone(),
        );
        tasks.spawn(async move { (Direction::Out, relay.await) });
        let ended = loop {
            match tasks.join_next().await {
                // Intake ends well when it is told to stop; the relay goes on until the outbox is empty.
                Some(Ok((Direction::In, Ok(())))) => {}
                Some(Ok((_, ended))) => break ended,
                Some(Err(_panicked)) => break Err(AmqpError::Unusable("a task of the broker edge panicked")),
                None => break Ok(()),
            }
        };
        over.cancel();
        // They end by `over`; what was recorded and not acknowledged comes again.
        let rest = async { while tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(OPERATION_LIMIT, rest).await.is_err() {
            // Not to be cut off: what is being recorded is driven once it is.
            warn!("the broker edge takes long to end; it is left to itself");
            tasks.detach_all();
        }
        for connection in [consume, publish] {
            // Bounded: closing a blocked connection hangs.
            drop(tokio::time::timeout(Duration::from_secs(2), connection.close(200, "bye".into())).await);
        }
        ended
    }
}
