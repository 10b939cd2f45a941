//! The outbox proper: events that wait for their confirm.

use std::fmt;

use snap_core::Timestamp;

use crate::{JobId, OutcomeId, Store, StoreError};

/// An event to publish.
#[derive(Clone, PartialEq, Eq)]
pub struct NewOutcome {
    /// Its id, the same for every publish.
    pub event_id: String,
    /// Its type, and routing key.
    pub event_type: String,
    /// The body, published byte for byte.
    pub body: Vec<u8>,
    /// AMQP properties and headers as a JSON object, in the caller's terms.
    pub headers: serde_json::Value,
    /// Whether it tells how the job ended; it is what a repeated message is answered with.
    pub terminal: bool,
}

/// An event that waits to be published.
#[derive(Clone, PartialEq, Eq)]
pub struct OutboxRow {
    /// Its number.
    pub id: OutcomeId,
    /// Its id.
    pub event_id: String,
    /// Its type.
    pub event_type: String,
    /// The body.
    pub body: Vec<u8>,
    /// AMQP properties and headers.
    pub headers: serde_json::Value,
    /// How often it was postponed since it was last put into the outbox.
    pub postponed: u32,
    /// Where it stands in the outbox, to read on behind it.
    pub cursor: OutboxCursor,
}

/// A place in the outbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct OutboxCursor {
    pub(crate) next_at: i64,
    pub(crate) queued_at: i64,
    pub(crate) id: i64,
}

/// An event in a job's timeline.
#[derive(Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Its number.
    pub id: OutcomeId,
    /// The job; `None` for a refused message.
    pub job: Option<JobId>,
    /// Its id.
    pub event_id: String,
    /// Its type.
    pub event_type: String,
    /// The body.
    pub body: Vec<u8>,
    /// When it was recorded.
    pub created_at: Timestamp,
    /// When the broker confirmed it; `None` while it waits, for the first or for another time.
    pub published_at: Option<Timestamp>,
}

/// What waits in the outbox.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OutboxBacklog {
    /// How many.
    pub pending: u64,
    /// Since when the oldest waits.
    pub oldest: Option<Timestamp>,
}

macro_rules! debug_without_body {
    ($row:ty) => {
        impl fmt::Debug for $row {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($row))
                    .field("event_id", &self.event_id)
                    .field("event_type", &self.event_type)
                    .finish_non_exhaustive()
            }
        }
    };
}

debug_without_body!(NewOutcome);
debug_without_body!(OutboxRow);
debug_without_body!(Outcome);

impl Store {
    /// Events to publish by `now`, the longest due first, behind `after` where given.
    ///
    /// # Errors
    /// Any failure to read.
    pub async fn unpublished(
        &self,
        now: Timestamp,
        after: Option<OutboxCursor>,
        limit: usize,
    ) -> Result<Vec<OutboxRow>, StoreError> {
        let _ = (now, after, limit);
        todo!()
    }

    /// Marks events as confirmed by the broker.
    ///
    /// # Errors
    /// Any failure of the store; the events are then published again, with the same ids.
    pub async fn mark_published(
        &self,
        ids: Vec<OutcomeId>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let _ = (ids, now);
        todo!()
    }

    /// Puts off events that nobody takes, each to its time.
    ///
    /// # Errors
    /// Any failure of the store.
    pub async fn postpone(&self, until: Vec<(OutcomeId, Timestamp)>) -> Result<(), StoreError> {
        drop(until);
        todo!()
    }

    /// How much waits.
    ///
    /// # Errors
    /// Any failure to read.
    pub async fn outbox_backlog(&self) -> Result<OutboxBacklog, StoreError> {
        todo!()
    }
}
