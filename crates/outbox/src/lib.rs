//! The durable store of the worker: idempotency keys, jobs, attempts, history, outcomes, dead letters, lanes, audit.
//!
//! [`Store`] is a cheap handle. Every write goes to one writer thread, which takes whatever is waiting, commits it as
//! one group, and only then answers: an `Ok` means that it is on disk, synced (M1). Reads run on a few connections of
//! their own and see what is committed. No SQLite type leaves this crate.
//!
//! What the callers may rely on:
//! - A future that is dropped does not undo its command: the writer has it and commits it.
//! - A job is changed only by who knows its `version`; everyone else is [`StoreError::Fenced`] and has changed nothing (M10).
//! - State, history, attempts, outcomes, dead letter and audit row of one [`Record`] are one transaction.
//! - [`StoreError::Full`] means that nothing was written (M12). [`StoreError::Failed`] means that nobody knows: end the
//!   process and let recovery decide from what is on disk.
//!
//! This crate must not know HTTP, AMQP, or what an event body looks like; the state machine it knows only as a value.

mod accept;
mod accounts;
mod amend;
mod audit;
mod audit_queries;
mod backup;
mod claim;
mod clock;
mod connection;
mod custody;
mod dead_letter_queries;
mod dead_letters;
mod error;
mod facts;
mod filter;
mod health;
mod here;
mod housekeeper;
mod integrity;
mod lanes;
mod lock;
mod migrate;
mod open;
mod operator;
mod outcomes;
mod past;
mod queries;
mod readers;
mod reconcile;
mod record;
mod replay_acts;
mod replay_plans;
mod replay_steps;
mod reserve;
mod restore;
mod rows;
mod shrink;
mod standing;
mod store;
mod task;
mod tombstones;
mod transaction;
mod types;
mod writer;

pub use accept::{Accepted, Duplicate, NewJob, OnConflict};
pub use accounts::{AccountName, OpenDoubt};
pub use amend::Amendment;
pub use audit::{AuditFault, AuditHead, AuditRow, NewAudit};
pub use audit_queries::AuditFilter;
pub use claim::{RecoverScope, RecoveryReport};
pub use clock::StoredClock;
pub use custody::system::FileSystem;
pub use dead_letter_queries::{DeadLetterFace, DeadLetterFilter, DeadLetterGroup};
pub use dead_letters::{CloseDeadLetter, ClosedAs, DeadLetter, Delivered, NewDeadLetter, Refusal};
pub use error::{OpenError, StoreError};
pub use facts::StoreFacts;
pub use filter::Page;
pub use health::Health;
pub use here::{Between, Passage, Passing};
pub use lanes::{Lane, LanePause, PauseCause, Resume};
pub use open::{CommitObserver, CommitSample, OpenOptions, Opened};
pub use outcomes::{NewOutcome, OutboxBacklog, OutboxRow, Outcome};
pub use queries::{JobFilter, StateTotal, Timeline};
pub use reconcile::{PerhapsSent, Reconcile, SAID_SO};
pub use record::{AnswerFields, Attempt, AttemptEnd, HistoryEntry, NewAttempt, Record, Recorded};
pub use replay_acts::{NewPlan, NewPlanItem};
pub use replay_plans::{Plan, PlanCounts, PlanFace, PlanItem, PlanItemState, PlanPause, PlanState, PlanTerms};
pub use replay_steps::{PlanAct, PlanStep, PlanStepped, Settled};
pub use restore::{Restored, Restoring};
pub use shrink::Swept;
pub use standing::{Adoption, Behind, Standing};
pub use store::Store;
pub use tombstones::{KnownJob, Tombstone};
pub use types::{Carried, DeadLetterId, JobId, JobRequest, OutcomeId, PlanId, StoredJob, Total};

#[cfg(test)]
mod tests;
