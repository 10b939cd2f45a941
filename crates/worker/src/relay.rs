//! Outcomes to the broker: publishes what is unpublished with confirms, and marks each after its confirm.

use std::sync::Arc;
use std::time::Duration;

use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable};
use outbox::{OutboxRow, OutcomeId, Store};
use snap_core::Timestamp;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::amqp::{AmqpError, Outgoing, Publisher};
use crate::clock::Clock;
use crate::event::{CONTENT_TYPE, Properties};
use crate::full::until_written;

/// Events published before their confirms are awaited.
const WINDOW: usize = 256;
/// The outbox is looked into at least this often: other processes write into it too.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// An event that nobody is bound to is tried again after this, doubling.
const UNROUTED_FIRST: Duration = Duration::from_secs(1);
const UNROUTED_MAX: Duration = Duration::from_secs(300);
/// Persistent, in AMQP's number.
const PERSISTENT: u8 = 2;

/// Publishes outcomes.
#[derive(Clone, Debug)]
pub struct Relay {
    /// Where they are.
    pub store: Store,
    /// Time.
    pub clock: Clock,
    /// Told when there may be something new.
    pub published: Arc<Notify>,
}

impl Relay {
    /// Publishes until `stop` and the outbox is empty, or until `over`.
    ///
    /// # Errors
    /// [`AmqpError`] ends the generation; what was not marked is published again, with the same ids.
    pub async fn run(
        self,
        publisher: impl Publisher,
        stop: CancellationToken,
        over: CancellationToken,
    ) -> Result<(), AmqpError> {
        let mut looked_ahead: Option<Instant> = None;
        loop {
            let news = self.published.notified();
            let now = self.clock.now();
            let mut window = self.store.unpublished(now, WINDOW).await?;
            if window.is_empty() && looked_ahead.is_none_or(|at| at.elapsed() >= LOOK_EVERY) {
                // Nothing is put off beyond that: the clock was set back since, or another process has a later one.
                window = self.store.due_later_than(now.plus(UNROUTED_MAX), WINDOW).await?;
                looked_ahead = Some(Instant::now());
            }
            if window.is_empty() {
                tokio::select! {
                    biased;
                    () = over.cancelled() => return Ok(()),
                    // Before `stop`: what ended last is published as well.
                    () = news => {}
                    () = stop.cancelled() => return Ok(()),
                    () = tokio::time::sleep(LOOK_EVERY) => {}
                }
                continue;
            }
            self.publish(&publisher, &over, window).await?;
            if over.is_cancelled() {
                return Ok(());
            }
        }
    }

    async fn publish(
        &self,
        publisher: &impl Publisher,
        over: &CancellationToken,
        window: Vec<OutboxRow>,
    ) -> Result<(), AmqpError> {
        let outgoing = window.iter().map(|row| Outgoing {
            message_id: &row.event_id,
            routing_key: &row.event_type,
            body: &row.body,
            properties: properties(row),
        });
        let taken = publisher.publish(outgoing.collect(), over).await?;
        self.mark(&window, &taken).await
    }

    async fn mark(&self, window: &[OutboxRow], taken: &[bool]) -> Result<(), AmqpError> {
        let now = self.clock.now();
        let (mut published, mut postponed) = (Vec::new(), Vec::new());
        for (row, taken) in window.iter().zip(taken) {
            if *taken {
                published.push(row.id);
            } else {
                postponed.push((row.id, now.plus(pause(row.postponed))));
            }
        }
        debug!(published = published.len(), postponed = postponed.len(), "a window of outcomes");
        if !postponed.is_empty() {
            warn!(count = postponed.len(), "outcomes were not taken by any queue; they stay in the outbox");
        }
        self.written(published, postponed, now).await
    }

    async fn written(
        &self,
        published: Vec<OutcomeId>,
        postponed: Vec<(OutcomeId, Timestamp)>,
        now: Timestamp,
    ) -> Result<(), AmqpError> {
        if !published.is_empty() {
            until_written(&self.store, || self.store.mark_published(published.clone(), now)).await?;
        }
        if !postponed.is_empty() {
            until_written(&self.store, || self.store.postpone(postponed.clone())).await?;
        }
        Ok(())
    }
}

fn pause(postponed: u32) -> Duration {
    UNROUTED_FIRST.saturating_mul(1 << postponed.min(16)).min(UNROUTED_MAX)
}

fn properties(row: &OutboxRow) -> BasicProperties {
    let kept = Properties::read(&row.headers);
    let mut headers = FieldTable::default();
    for (name, value) in kept.headers() {
        headers.insert(name.into(), AMQPValue::LongString(value.into()));
    }
    let properties = BasicProperties::default()
        .with_content_type(CONTENT_TYPE.into())
        .with_delivery_mode(PERSISTENT)
        .with_message_id(row.event_id.as_str().into())
        .with_type(row.event_type.as_str().into())
        .with_headers(headers);
    match &kept.correlation_id {
        Some(id) => properties.with_correlation_id(id.as_str().into()),
        None => properties,
    }
}

#[cfg(test)]
mod tests;
