//! Pauses of the lanes, kept so that an operator's outlives the process and every process sees them.

use rusqlite::{Connection, OptionalExtension as _, Row, params};
use snap_core::{LaneFault, Timestamp};

use crate::{
    NewAudit, Store, StoreError, audit,
    error::Rejected,
    rows::{self, unreadable},
    task::Room,
    transaction::Transaction,
};

const LANE: &str = "provider, version, fault, paused_by, reason, at, probe_at";

/// Why a lane is paused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PauseCause {
    /// By itself (M9).
    Fault(LaneFault),
    /// An operator said so; only an operator resumes it.
    Operator {
        /// Who.
        by: String,
        /// Why.
        reason: String,
    },
}

/// A pause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LanePause {
    /// Why.
    pub cause: PauseCause,
    /// Since when.
    pub at: Timestamp,
    /// When the next probe is due, for the reader's eye.
    pub probe_at: Option<Timestamp>,
}

/// A lane as it is on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lane {
    /// The provider.
    pub provider: String,
    /// Its pause.
    pub pause: Option<LanePause>,
    /// Grows with every change, so that a running worker sees that an operator acted.
    pub version: i64,
}

/// Who resumes a lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resume {
    /// A probe succeeded: ends a fault's pause, never an operator's.
    Probe,
    /// An operator: ends any.
    Operator,
}

impl Store {
    /// The lanes that were ever paused.
    ///
    /// # Errors
    /// Any failure to read.
    pub async fn lanes(&self) -> Result<Vec<Lane>, StoreError> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(&format!("SELECT {LANE} FROM lanes ORDER BY provider"))?;
            let found = statement.query([])?;
            rows::collect(found, read)
        })
        .await
    }

    /// One lane; one that was never paused has version 0.
    ///
    /// # Errors
    /// Any failure to read.
    pub async fn lane(&self, provider: &str) -> Result<Lane, StoreError> {
        let provider = provider.to_owned();
        self.read(move |connection| find(connection, &provider)).await
    }

    /// Pauses a lane, or renews its pause. A fault does not replace an operator's pause. Answers how it stands then.
    ///
    /// # Errors
    /// Any failure of the store.
    pub async fn pause_lane(
        &self,
        provider: &str,
        pause: LanePause,
        audit: Option<NewAudit>,
    ) -> Result<Lane, StoreError> {
        let input = (provider.to_owned(), pause, audit);
        let (_, lane) = self
            .write(Room::Reserved, input, |transaction, (provider, pause, audit)| {
                let lane = find(transaction, provider)?;
                let by_fault = matches!(pause.cause, PauseCause::Fault(_));
                let lane = if by_fault && lane.is_paused_by_operator() {
                    lane
                } else {
                    change(transaction, lane, Some(pause.clone()))?
                };
                audit.iter().try_for_each(|entry| audit::append(transaction, entry).map(drop))?;
                Ok(lane)
            })
            .await?;
        Ok(lane)
    }

    /// Resumes a lane. Answers how it stands then.
    ///
    /// # Errors
    /// Any failure of the store.
    pub async fn resume_lane(&self, provider: &str, by: Resume, audit: Option<NewAudit>) -> Result<Lane, StoreError> {
        let input = (provider.to_owned(), by, audit);
        let (_, lane) = self
            .write(Room::Reserved, input, |transaction, (provider, by, audit)| {
                let lane = find(transaction, provider)?;
                let stays = lane.pause.is_none() || (*by == Resume::Probe && lane.is_paused_by_operator());
                let lane = if stays { lane } else { change(transaction, lane, None)? };
                audit.iter().try_for_each(|entry| audit::append(transaction, entry).map(drop))?;
                Ok(lane)
            })
            .await?;
        Ok(lane)
    }
}

impl Store {
    /// Pauses or resumes a lane by an operator's word, where its cause is still what they were shown; none where it is not,
    /// and nothing is changed then.
    ///
    /// # Errors
    /// Any failure of the store.
    pub async fn operate_lane(
        &self,
        shown: Lane,
        pause: Option<LanePause>,
        audit: NewAudit,
    ) -> Result<Option<Lane>, StoreError> {
        let (_, lane) = self
            .write(Room::Reserved, (shown, pause, audit), |transaction, (shown, pause, audit)| {
                let lane = find(transaction, &shown.provider)?;
                // A fault renews its pause with every probe: that is no other pause.
                let cause = |lane: &Lane| lane.pause.as_ref().map(|pause| pause.cause.clone());
                if cause(&lane) != cause(shown) {
                    return Ok(None);
                }
                let lane = change(transaction, lane, pause.clone())?;
                audit::append(transaction, audit)?;
                Ok::<_, Rejected>(Some(lane))
            })
            .await?;
        Ok(lane)
    }
}

impl Lane {
    /// Whether only an operator resumes it.
    pub fn is_paused_by_operator(&self) -> bool {
        matches!(self.pause, Some(LanePause { cause: PauseCause::Operator { .. }, .. }))
    }
}

fn change(transaction: &Transaction<'_>, lane: Lane, pause: Option<LanePause>) -> Result<Lane, Rejected> {
    let (mut fault, mut paused_by, mut reason) = (None, None, None);
    match pause.as_ref().map(|pause| &pause.cause) {
        Some(PauseCause::Fault(cause)) => fault = Some(cause.as_str()),
        Some(PauseCause::Operator { by, reason: why }) => (paused_by, reason) = (Some(by), Some(why)),
        None => {}
    }
    transaction.execute(
        "INSERT INTO lanes (provider, version, fault, paused_by, reason, at, probe_at)
         VALUES (?1, 1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT (provider) DO UPDATE SET version = version + 1, fault = excluded.fault,
           paused_by = excluded.paused_by, reason = excluded.reason, at = excluded.at, probe_at = excluded.probe_at",
        params![
            lane.provider,
            fault,
            paused_by,
            reason,
            pause.as_ref().map(|pause| pause.at.as_millis()),
            pause.as_ref().and_then(|pause| pause.probe_at).map(Timestamp::as_millis),
        ],
    )?;
    Ok(Lane { version: lane.version + 1, pause, ..lane })
}

fn find(connection: &Connection, provider: &str) -> Result<Lane, Rejected> {
    let lane = connection
        .prepare_cached(&format!("SELECT {LANE} FROM lanes WHERE provider = ?1"))?
        .query_row([provider], |row| Ok(read(row)))
        .optional()?
        .transpose()?;
    Ok(lane.unwrap_or_else(|| Lane { provider: provider.to_owned(), pause: None, version: 0 }))
}

fn read(row: &Row<'_>) -> Result<Lane, Rejected> {
    let provider: String = row.get(0)?;
    let cause = match (row.get::<_, Option<String>>(2)?, row.get::<_, Option<String>>(3)?) {
        (Some(fault), _) => Some(PauseCause::Fault(
            fault.parse().map_err(|_unknown| unreadable(format!("lanes {provider}"), "its fault"))?,
        )),
        (None, Some(by)) => {
            Some(PauseCause::Operator { by, reason: row.get::<_, Option<String>>(4)?.unwrap_or_default() })
        }
        (None, None) => None,
    };
    let pause = match (cause, rows::time(row, 5)?) {
        (Some(cause), Some(at)) => Some(LanePause { cause, at, probe_at: rows::time(row, 6)? }),
        _ => None,
    };
    Ok(Lane { provider, pause, version: row.get(1)? })
}
