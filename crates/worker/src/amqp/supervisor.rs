//! Keeps the broker edge going. Any error, any end of a stream, any deadline ends the generation; everything is rebuilt after
//! a jittered pause, for ever.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::broker::{Broker, Connection as _, Generation};
use super::{AmqpError, Link, OPERATION_LIMIT};
use crate::clock::Clock;
use crate::custody::{Custodian, CustodyError};
use crate::intake::Intake;
use crate::relay::Relay;

/// Pauses between generations.
const PAUSE_MIN_MS: u64 = 200;
const PAUSE_MAX_MS: u64 = 30_000;
/// Where another process has the namespace, or the broker has not noticed yet that it is gone: so much longer each time.
const PAUSE_BESIDE: Duration = Duration::from_secs(2);
const PAUSE_BESIDE_MAX: Duration = Duration::from_secs(15);

/// Which way a task of a generation carries messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Direction {
    In,
    Out,
    /// None: it keeps the namespace ours.
    Neither,
}

/// Owns the broker edge.
#[derive(Debug)]
pub struct Supervisor<B> {
    /// What makes generations.
    pub broker: B,
    /// What takes deliveries.
    pub intake: Intake,
    /// What publishes outcomes.
    pub relay: Relay,
    /// Whose the namespace is.
    pub custodian: Custodian,
    /// What is known of it.
    pub link: Arc<Link>,
    /// Time and randomness.
    pub clock: Clock,
    /// Consuming stops at once.
    pub stop_consuming: CancellationToken,
    /// Publishing stops when the outbox is empty, or when its limit passes.
    pub stop_publishing: CancellationToken,
}

impl<B: Broker> Supervisor<B> {
    /// Runs generation after generation until both directions are told to stop.
    pub async fn run(self) {
        let mut failures: u32 = 0;
        while !self.stop_publishing.is_cancelled() {
            let started = self.clock.uptime();
            let ended = self.generation().await;
            let Err(error) = ended else { break };
            let text = crate::text::chain(&error);
            self.link.down(Some(text.clone()));
            if let AmqpError::Custody(error) = &error
                && error.is_final()
            {
                // The process ends: nothing is taken, and nothing new begins.
                self.custodian.custody.lose(error);
                return;
            }
            // A generation that worked for a while was no failure to connect.
            failures =
                if self.clock.uptime().saturating_sub(started) > Duration::from_secs(30) { 0 } else { failures + 1 };
            let is_beside = matches!(error, AmqpError::Custody(CustodyError::Beside { .. }));
            let beside = PAUSE_BESIDE.saturating_mul(failures).min(PAUSE_BESIDE_MAX);
            let pause = if is_beside { beside } else { self.pause(failures) };
            warn!(error = %text, pause_ms = pause.as_millis(), "the broker connection ended; it is rebuilt from zero");
            tokio::select! {
                biased;
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

    async fn generation(&self) -> Result<(), AmqpError> {
        let over = CancellationToken::new();
        let _ends_with_this = over.clone().drop_guard();
        let Generation { incoming, publisher, custody, connection } =
            self.broker.connect(&self.custodian, &over).await?;
        self.link.up();

        // Each direction runs as a task of its own; the first that fails ends the generation with its connections.
        let mut tasks = JoinSet::new();
        for incoming in incoming {
            let intake = self.intake.clone().run(incoming, self.stop_consuming.clone(), over.clone());
            tasks.spawn(async move { (Direction::In, intake.await) });
        }
        let relay = self.relay.clone().run(publisher, self.stop_publishing.clone(), over.clone());
        tasks.spawn(async move { (Direction::Out, relay.await) });
        let keeping = self.custodian.clone().keep(custody, self.stop_publishing.clone(), over.clone());
        tasks.spawn(async move { (Direction::Neither, keeping.await) });
        let ended = loop {
            match tasks.join_next().await {
                // Intake ends well when it is told to stop; the relay goes on until the outbox is empty.
                Some(Ok((Direction::In | Direction::Neither, Ok(())))) => {}
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
        connection.close().await;
        ended
    }
}
