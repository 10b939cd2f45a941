//! One custodian (M13): a namespace at the broker belongs to one store, and a worker of it begins a top-up only while it knows
//! that this is so.
//!
//! [`Custody`] is what a drive asks before a top-up: one number and the clock. [`Custodian`] keeps it true: it takes the
//! namespace over a connection before anything is taken from it, looks at the mark again and again, and tells outside of the
//! machine how far the store has come. What it asks of a broker is [`Custodial`]. Decision 0016 has the reasons.

mod custodian;
mod mark;
mod note;
mod port;
mod process;
mod refusal;
mod telling;
mod witness;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use outbox::StoredJob;
use snap_core::Timestamp;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::output::moment;
use crate::restored::Restored;
use crate::wake::must_ask_first;

pub use custodian::{Custodian, Of};
pub use mark::Mark;
pub use note::{Note, elsewhere};
pub use port::{Custodial, Found, Hold};
pub use process::Process;
pub use witness::{Witness, behind};

/// Between the commit of an intent and its first byte: what takes longer is not sent (M16).
pub const SEND_WITHIN: Duration = Duration::from_secs(5);

/// How long what is known of the custody is good for. The same for every worker: another store counts on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// No top-up begins longer than this after the mark was seen.
    pub fresh_for: Duration,
    /// How often it is looked at; a third of that, so that two looks may fail.
    pub look_every: Duration,
    /// How often the witness is told at most. What a worker did in so long before it died is in no witness.
    pub tell_every: Duration,
    /// How often it is told though nothing has changed, so that its time says that a worker lives.
    pub remind_every: Duration,
}

impl Default for Terms {
    fn default() -> Self {
        Self {
            fresh_for: Duration::from_secs(60),
            look_every: Duration::from_secs(20),
            tell_every: Duration::from_millis(500),
            remind_every: Duration::from_secs(60),
        }
    }
}

impl Terms {
    /// How long a store from which the namespace was taken may still begin a top-up.
    pub fn may_begin_for(&self) -> Duration {
        self.fresh_for + SEND_WITHIN
    }

    /// And how long until such a top-up has ended, where a call takes up to `longest_call`.
    pub fn may_send_for(&self, longest_call: Duration) -> Duration {
        self.may_begin_for() + longest_call
    }
}

/// Why a worker is not the custodian of its namespace.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CustodyError {
    /// The namespace is another store's.
    #[error("namespace {namespace} belongs to store {store}{}; this is store {ours}", since_when(*since))]
    Foreign {
        /// The namespace.
        namespace: String,
        /// This store.
        ours: String,
        /// Whose it is.
        store: String,
        /// Since when, where that can be read.
        since: Option<Timestamp>,
    },
    /// The mark is not one that this version has made.
    #[error("the mark of namespace {namespace} is not one that this version knows: {found}")]
    Unknown {
        /// The namespace.
        namespace: String,
        /// What stands there.
        found: String,
    },
    /// The store has noted another namespace than the one that it is to work on, and holds what may be paid there.
    #[error("{}", belongs_elsewhere(ours, namespace, (*since, *refused_at), configured.as_deref()))]
    Elsewhere {
        /// This store.
        ours: String,
        /// The namespace that it has noted.
        namespace: String,
        /// Since when that is its own; `None`: it was refused it, or nobody can say.
        since: Option<Timestamp>,
        /// When it was refused it; `None`: it was not.
        refused_at: Option<Timestamp>,
        /// What the configuration names; `None`: no broker.
        configured: Option<String>,
    },
    /// Another process works under this store's id.
    #[error("another process works with a store of this id on namespace {namespace}{who}: nothing is taken meanwhile")]
    Beside {
        /// The namespace.
        namespace: String,
        /// What its witness says of it: a fragment, or nothing.
        who: String,
    },
    /// Another process has worked under this store's id: what this one believes may be old.
    #[error("the store does not know everything that was done under its id: {reason}")]
    Behind {
        /// What was found.
        reason: String,
    },
}

impl CustodyError {
    /// Whether the process has to end: waiting changes nothing.
    pub const fn is_final(&self) -> bool {
        !matches!(self, Self::Beside { .. })
    }
}

fn since_when(since: Option<Timestamp>) -> String {
    since.map_or_else(String::new, |since| format!(" since {}", moment(since)))
}

fn belongs_elsewhere(
    ours: &str,
    namespace: &str,
    (since, refused_at): (Option<Timestamp>, Option<Timestamp>),
    configured: Option<&str>,
) -> String {
    let belongs = match refused_at {
        Some(at) => format!("was refused namespace {namespace} at {}", moment(at)),
        None => format!("belongs to namespace {namespace}{}", since_when(since)),
    };
    let named = configured.map_or_else(|| "no broker".to_owned(), |named| format!("namespace {named}"));
    format!("store {ours} {belongs}, and holds what may be paid there; the configuration names {named}")
}

/// Never: without a broker there is nobody to ask, and nobody else.
const FOR_EVER: u64 = u64::MAX;

/// Whether top-ups may begin, as the whole process knows it.
#[derive(Debug)]
pub struct Custody {
    terms: Terms,
    /// Until when they may, in milliseconds since the machine booted; 0: not yet, or not any more.
    until_ms: AtomicU64,
    /// The mode that began in this life, as the store was found to be behind: what was claimed before has passed the question.
    asks: OnceLock<Restored>,
    /// Providers of which another account than the present one may have been in use in what the store has forgotten (M14);
    /// `None`: that is not known yet.
    others_were_used: Mutex<Option<BTreeSet<String>>>,
    opened: Notify,
    why_not: Mutex<Option<(String, Timestamp)>>,
    lost: CancellationToken,
    lost_by: Mutex<Option<CustodyError>>,
}

impl Custody {
    /// Of a store that works through a broker: nothing begins before it is confirmed.
    pub fn new(terms: Terms) -> Self {
        Self::until(terms, 0, None)
    }

    /// Of a store without a broker.
    pub fn without_broker() -> Self {
        Self::until(Terms::default(), FOR_EVER, Some(BTreeSet::new()))
    }

    fn until(terms: Terms, until_ms: u64, others_were_used: Option<BTreeSet<String>>) -> Self {
        Self {
            terms,
            until_ms: AtomicU64::new(until_ms),
            asks: OnceLock::new(),
            others_were_used: Mutex::new(others_were_used),
            opened: Notify::new(),
            why_not: Mutex::new(None),
            lost: CancellationToken::new(),
            lost_by: Mutex::new(None),
        }
    }

    /// How long what is known is good for.
    pub const fn terms(&self) -> Terms {
        self.terms
    }

    /// Whether a top-up may begin now. The clock counts the time that a process or a machine slept.
    pub fn may_begin(&self, clock: &Clock) -> bool {
        let until = self.until_ms.load(Ordering::Relaxed);
        until == FOR_EVER || millis(clock.boottime()) < until
    }

    /// Whether the job has to be asked about before anything of it is sent, though it was claimed already.
    pub fn must_ask(&self, job: &StoredJob) -> bool {
        let mark = self.asks.get().and_then(Restored::mark);
        mark.is_some_and(|mark| must_ask_first(job, mark.since))
    }

    /// Whether another account of this provider than the present one may have been in use in what the store has forgotten;
    /// `None`: what the broker knows of that was not read yet.
    pub fn others_were_used(&self, provider: &str) -> Option<bool> {
        let known = self.others_were_used.lock().unwrap_or_else(PoisonError::into_inner);
        known.as_ref().map(|providers| providers.contains(provider))
    }

    /// The providers of which it is so.
    pub(crate) fn knows_others(&self, providers: BTreeSet<String>) {
        *self.others_were_used.lock().unwrap_or_else(PoisonError::into_inner) = Some(providers);
    }

    /// Waits until top-ups may begin again, or may not for longer than this.
    pub async fn opened(&self, clock: &Clock, limit: Duration) {
        let opened = self.opened.notified();
        if !self.may_begin(clock) {
            // Whether it is open is looked at again.
            drop(tokio::time::timeout(limit, opened).await);
        }
    }

    /// Why top-ups wait for the custody, and since when; `None`: they do not, or nobody has said.
    pub fn why_not(&self, clock: &Clock) -> Option<(String, Timestamp)> {
        if self.may_begin(clock) {
            return None;
        }
        self.why_not.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Ends when the process has to end for want of custody.
    pub async fn lost(&self) {
        self.lost.cancelled().await;
    }

    /// Why it has to.
    pub fn lost_by(&self) -> Option<CustodyError> {
        self.lost_by.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether it was ever this process's.
    fn was_had(&self) -> bool {
        self.until_ms.load(Ordering::Relaxed) != 0
    }

    /// The mark was this store's at `seen`, since the machine booted.
    fn confirm(&self, seen: Duration) {
        *self.why_not.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.until_ms.store(millis(seen + self.terms.fresh_for), Ordering::Relaxed);
        self.opened.notify_waiters();
    }

    fn say_why_not(&self, why: String, since: Timestamp) {
        *self.why_not.lock().unwrap_or_else(PoisonError::into_inner) = Some((why, since));
    }

    /// Whatever is driven already is asked about too, for as long as this mode lasts.
    fn asks_by(&self, restored: &Restored) {
        self.asks.get_or_init(|| restored.clone());
    }

    /// Nothing begins any more, and the process has to end.
    pub(crate) fn lose(&self, error: &CustodyError) {
        // Not 0: it may have been had.
        self.until_ms.store(1, Ordering::Relaxed);
        self.lost_by.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(|| error.clone());
        self.lost.cancel();
    }
}

fn millis(since_boot: Duration) -> u64 {
    u64::try_from(since_boot.as_millis()).unwrap_or(FOR_EVER - 1)
}

#[cfg(test)]
mod tests;
