//! Replay plans: a frozen set of dead letters that an operator lets go, how fast, and how it stands.

use rusqlite::{Connection, OptionalExtension as _, Row, params};
use snap_core::{Amount, Timestamp};

use crate::{
    DeadLetterId, JobId, Page, PlanId, Store, StoreError, Total,
    error::Rejected,
    filter::one_more,
    rows::{self, unreadable},
};

/// How a plan stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlanState {
    /// Its set is being written; it was never started.
    Draft,
    /// Its items are let go, or under way.
    Running,
    /// It stands until an operator resumes it.
    Paused,
    /// Every item came to rest.
    Done,
    /// An operator ended it: what had not been let go stays where it was.
    Cancelled,
}

/// Why a plan stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlanPause {
    /// An operator said so.
    Operator,
    /// One of the first ones did not succeed.
    Canary,
    /// Too many did not succeed.
    Failures,
    /// One died in a way that none of the set had died before.
    NewFailure,
    /// The lane of the next one stands.
    Lane,
    /// The next one would pass the amount that was allowed.
    MaxAmount,
    /// The store was restored from a copy: what the plan has done since is forgotten.
    Restored,
}

/// What became of an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlanItemState {
    /// Its turn has not come.
    Waiting,
    /// A rule forbade it when the plan was made.
    Refused,
    /// When its turn came there was nothing to replay any more, or a rule forbade it.
    Skipped,
    /// It was let go and is under way.
    Replayed,
    /// It ended paid.
    Succeeded,
    /// It ended unpaid.
    Rejected,
    /// It stands before a person again.
    Dead,
    /// An operator closed it meanwhile.
    Discarded,
}

macro_rules! words {
    ($of:ident, $($variant:ident = $word:literal),+) => {
        impl $of {
            /// All of them.
            pub const ALL: [Self; [$($word),+].len()] = [$(Self::$variant),+];

            /// The word for it.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }

            pub(crate) fn parse(word: &str) -> Option<Self> {
                Self::ALL.into_iter().find(|one| one.as_str() == word)
            }
        }
    };
}

words!(PlanState, Draft = "draft", Running = "running", Paused = "paused", Done = "done", Cancelled = "cancelled");
words!(
    PlanPause,
    Operator = "operator",
    Canary = "canary_failed",
    Failures = "too_many_failures",
    NewFailure = "new_failure",
    Lane = "lane_stands",
    MaxAmount = "max_amount",
    Restored = "store_restored"
);
words!(
    PlanItemState,
    Waiting = "waiting",
    Refused = "refused",
    Skipped = "skipped",
    Replayed = "replayed",
    Succeeded = "succeeded",
    Rejected = "rejected",
    Dead = "dead",
    Discarded = "discarded"
);

/// How fast a plan goes, and what stops it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanTerms {
    /// Between two items, in microseconds; at least 1.
    pub interval_us: i64,
    /// So many have to succeed before the rest is let go; 0: none.
    pub canary: u64,
    /// The share of ended items that may fail, in percent.
    pub max_failed_pct: u8,
    /// The amount that may be let go; `None`: any.
    pub max_amount: Option<Total>,
}

/// A reason and response code with which something died.
pub type PlanFace = (String, Option<String>);

/// How many items stand how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PlanCounts {
    /// All of them.
    pub items: u64,
    /// Whose turn has not come.
    pub waiting: u64,
    /// That a rule forbade from the start.
    pub refused: u64,
    /// That were not replayed when their turn came.
    pub skipped: u64,
    /// Under way.
    pub replayed: u64,
    /// Paid.
    pub succeeded: u64,
    /// Unpaid for good.
    pub rejected: u64,
    /// Before a person again.
    pub dead: u64,
    /// Closed by an operator.
    pub discarded: u64,
    /// Unpaid for good, as was shown: their `notAfter` had passed.
    pub expired: u64,
}

impl PlanCounts {
    /// What was let go.
    pub const fn released(&self) -> u64 {
        self.replayed + self.ended()
    }

    /// What was let go and came to rest.
    pub const fn ended(&self) -> u64 {
        self.succeeded + self.failed() + self.expired
    }

    /// What was let go and did not succeed, though it might have.
    pub const fn failed(&self) -> u64 {
        self.rejected + self.dead + self.discarded
    }
}

/// A plan as it is on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Its number.
    pub id: PlanId,
    /// Grows with every change: who decides by an older one is told so, and nothing is done.
    pub version: i64,
    /// How it stands.
    pub state: PlanState,
    /// Who made it.
    pub by: String,
    /// Why.
    pub reason: String,
    /// When.
    pub created_at: Timestamp,
    /// When it was done or cancelled.
    pub finished_at: Option<Timestamp>,
    /// Why it stands, more about it, and since when.
    pub pause: Option<(PlanPause, String, Timestamp)>,
    /// How fast, and what stops it.
    pub terms: PlanTerms,
    /// The next item is let go at this time, in microseconds, or later.
    pub next_at_us: i64,
    /// Items that had been let go when the canaries began.
    pub canary_from: u64,
    /// The canaries succeeded.
    pub canary_passed: bool,
    /// Items that had ended, and failed, when it was last resumed.
    pub before: (u64, u64),
    /// Reasons and codes of the set.
    pub known: Vec<PlanFace>,
    /// How many items stand how.
    pub counts: PlanCounts,
    /// The amount of all but refused and skipped ones.
    pub amount: Total,
    /// The amount of what was let go.
    pub released: Total,
}

/// An item of a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanItem {
    /// Its place, from 1.
    pub no: u64,
    /// The dead letter.
    pub dead_letter: DeadLetterId,
    /// The job, where there is one.
    pub job: Option<JobId>,
    /// The key, or the key the message claims.
    pub reference: Option<String>,
    /// The job's amount.
    pub amount: Option<Amount>,
    /// What was known about the money when the plan was made.
    pub money_state: engine::MoneyState,
    /// What became of it.
    pub state: PlanItemState,
    /// More about it.
    pub detail: Option<String>,
    /// Since when it stands so.
    pub at: Timestamp,
}

/// The columns [`plan`] reads, in its order.
const PLAN: &str = "id, state, by, reason, created_at, finished_at, pause_cause, pause_detail, paused_at, interval_us, \
     next_at_us, canary, canary_from, canary_passed, max_failed_pct, max_amount, ended_before, failed_before, known, items, \
     waiting, refused, skipped, replayed, succeeded, rejected, dead, discarded, amount, released, version, expired";
/// The columns [`item`] reads, in its order.
const ITEM: &str = "item_no, dead_letter_id, job_id, reference, amount, money_state, state, detail, at";

impl Store {
    /// One plan.
    ///
    /// # Errors
    /// Any failure to read.
    pub async fn plan(&self, id: PlanId) -> Result<Option<Plan>, StoreError> {
        self.read(move |connection| find(connection, id)).await
    }

    /// A page of plans, the newest first, older than `after` where given.
    ///
    /// # Errors
    /// Any failure to read.
    pub async fn plans(&self, after: Option<PlanId>, limit: usize) -> Result<Page<Plan, PlanId>, StoreError> {
        let before = after.map_or(i64::MAX, |after| after.0);
        self.read(move |connection| {
            let mut statement = connection
                .prepare_cached(&format!("SELECT {PLAN} FROM plans WHERE id < ?1 ORDER BY id DESC LIMIT ?2"))?;
            let plans = rows::collect(statement.query([before, one_more(limit)])?, plan)?;
            Ok(Page::cut(plans, limit, |plan| plan.id))
        })
        .await
    }

    /// The plans that run or stand, and cancelled ones with items under way, the oldest first.
    ///
    /// # Errors
    /// Any failure to read.
    pub async fn open_plans(&self) -> Result<Vec<Plan>, StoreError> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(&format!(
                "SELECT {PLAN} FROM plans INDEXED BY plans_open
                 WHERE (finished_at IS NULL OR (state = 'cancelled' AND replayed > 0)) AND state <> 'draft' ORDER BY id"
            ))?;
            let found = statement.query([])?;
            rows::collect(found, plan)
        })
        .await
    }

    /// A page of a plan's items, in their order, behind `after` where given.
    ///
    /// # Errors
    /// Any failure to read.
    pub async fn plan_items(
        &self,
        id: PlanId,
        after: Option<u64>,
        limit: usize,
    ) -> Result<Page<PlanItem, u64>, StoreError> {
        let after = after.unwrap_or(0).cast_signed();
        self.read(move |connection| {
            let mut statement = connection.prepare_cached(&format!(
                "SELECT {ITEM} FROM plan_items WHERE plan_id = ?1 AND item_no > ?2 ORDER BY item_no LIMIT ?3"
            ))?;
            let items = rows::collect(statement.query(params![id.0, after, one_more(limit)])?, item)?;
            Ok(Page::cut(items, limit, |item| item.no))
        })
        .await
    }

    /// The next items of a plan whose turn has not come.
    ///
    /// # Errors
    /// Any failure to read.
    pub async fn waiting_plan_items(&self, id: PlanId, limit: u64) -> Result<Vec<PlanItem>, StoreError> {
        self.read(move |connection| {
            let mut statement = connection.prepare_cached(&format!(
                "SELECT {ITEM} FROM plan_items INDEXED BY plan_items_open
                 WHERE plan_id = ?1 AND state = 'waiting' ORDER BY item_no LIMIT ?2"
            ))?;
            let found = statement.query([id.0, limit.cast_signed()])?;
            rows::collect(found, item)
        })
        .await
    }

    /// The plan in which a dead letter waits for its turn, if there is one.
    ///
    /// # Errors
    /// Any failure to read.
    pub async fn plan_that_waits_for(&self, id: &DeadLetterId) -> Result<Option<PlanId>, StoreError> {
        let id = id.clone();
        self.read(move |connection| {
            let found = connection
                .prepare_cached(
                    "SELECT p.id FROM plan_items i INDEXED BY plan_items_waiting JOIN plans p ON p.id = i.plan_id
                     WHERE i.dead_letter_id = ?1 AND i.state = 'waiting' AND p.finished_at IS NULL AND p.state <> 'draft'
                     LIMIT 1",
                )?
                .query_row([id.as_str()], |row| row.get(0))
                .optional()?;
            Ok(found.map(PlanId))
        })
        .await
    }
}

/// Reads one plan.
pub(crate) fn find(connection: &Connection, id: PlanId) -> Result<Option<Plan>, Rejected> {
    let mut statement = connection.prepare_cached(&format!("SELECT {PLAN} FROM plans WHERE id = ?1"))?;
    let mut found = statement.query([id.0])?;
    found.next()?.map(plan).transpose()
}

fn plan(row: &Row<'_>) -> Result<Plan, Rejected> {
    let id = PlanId(row.get(0)?);
    let bad = |what: &str| unreadable(format!("plans {id}"), what);
    let total = |column: usize| -> Result<Option<Total>, Rejected> {
        let text: Option<String> = row.get(column)?;
        text.map(|text| text.parse().map(Total::from_minor).map_err(|_form| bad("an amount"))).transpose()
    };
    let pause = match row.get::<_, Option<String>>(6)? {
        Some(word) => {
            let cause = PlanPause::parse(&word).ok_or_else(|| bad("why it stands"))?;
            let since = rows::time(row, 8)?.ok_or_else(|| bad("since when it stands"))?;
            Some((cause, row.get::<_, Option<String>>(7)?.unwrap_or_default(), since))
        }
        None => None,
    };
    Ok(Plan {
        id,
        version: row.get(30)?,
        state: PlanState::parse(row.get_ref(1)?.as_str().unwrap_or_default()).ok_or_else(|| bad("its state"))?,
        by: row.get(2)?,
        reason: row.get(3)?,
        created_at: Timestamp::from_millis(row.get(4)?),
        finished_at: rows::time(row, 5)?,
        pause,
        terms: PlanTerms {
            interval_us: row.get(9)?,
            canary: rows::count(row, 11)?,
            max_failed_pct: row.get(14)?,
            max_amount: total(15)?,
        },
        next_at_us: row.get(10)?,
        canary_from: rows::count(row, 12)?,
        canary_passed: row.get(13)?,
        before: (rows::count(row, 16)?, rows::count(row, 17)?),
        known: serde_json::from_str(row.get_ref(18)?.as_str().unwrap_or_default())
            .map_err(|_syntax| bad("its reasons"))?,
        counts: PlanCounts {
            items: rows::count(row, 19)?,
            waiting: rows::count(row, 20)?,
            refused: rows::count(row, 21)?,
            skipped: rows::count(row, 22)?,
            replayed: rows::count(row, 23)?,
            succeeded: rows::count(row, 24)?,
            rejected: rows::count(row, 25)?,
            dead: rows::count(row, 26)?,
            discarded: rows::count(row, 27)?,
            expired: rows::count(row, 31)?,
        },
        amount: total(28)?.unwrap_or_default(),
        released: total(29)?.unwrap_or_default(),
    })
}

fn item(row: &Row<'_>) -> Result<PlanItem, Rejected> {
    let no = rows::count(row, 0)?;
    let of = format!("plan_items {no}");
    Ok(PlanItem {
        no,
        dead_letter: DeadLetterId::new(row.get::<_, String>(1)?),
        job: row.get::<_, Option<i64>>(2)?.map(JobId),
        reference: row.get(3)?,
        amount: row.get::<_, Option<i64>>(4)?.and_then(rows::amount),
        money_state: rows::money_state(row.get_ref(5)?.as_str().unwrap_or_default(), &of)?,
        state: PlanItemState::parse(row.get_ref(6)?.as_str().unwrap_or_default())
            .ok_or_else(|| unreadable(of, "its state"))?,
        detail: row.get(7)?,
        at: Timestamp::from_millis(row.get(8)?),
    })
}
