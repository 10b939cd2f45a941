//! Working off replay plans: each item is let go once, in the transaction that changes its job, whoever works them off.

use rusqlite::{Connection, OptionalExtension as _, params};
use snap_core::Timestamp;

use crate::{
    JobId, NewAudit, NewJob, NewOutcome, Plan, PlanFace, PlanId, PlanItemState, PlanPause, PlanState, Record, Store,
    StoreError, Total,
    accept::{self, Taken},
    audit,
    error::Rejected,
    outcomes, record,
    replay_acts::{faces_text, pause},
    replay_plans::find,
    rows::{self, minor},
    task::Room,
    transaction::Transaction,
};

/// What to do with one item whose turn has come.
pub enum PlanAct {
    /// Let its job go: the record leads out of `dead`.
    Job(Box<Record>),
    /// Give its message to the intake; `closes` names the dead letter. The event and the audit row tell of it, if it is taken.
    Message(Box<NewJob>, Box<(NewOutcome, NewAudit)>),
    /// Leave it, for this reason.
    Skip(String),
}

/// Items to let go at once.
pub struct PlanStep {
    /// The plan.
    pub plan: PlanId,
    /// What the caller decided by.
    pub version: i64,
    /// Now.
    pub at: Timestamp,
    /// The next one not before; unix microseconds.
    pub next_at_us: i64,
    /// The canaries have succeeded.
    pub canary_passed: bool,
    /// By the items' numbers.
    pub acts: Vec<(u64, PlanAct)>,
}

/// What came of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlanStepped {
    /// The plan does not run any more, or has changed since the caller read it; nothing was done.
    Stale,
    /// So many were let go. Where somebody else changed a job at the same time its item still waits.
    Released(u64),
}

/// What was found of the items that were let go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settled {
    /// How many came to rest.
    pub ended: u64,
    /// Where to go on looking; `None`: all were looked at.
    pub next: Option<u64>,
}

impl Store {
    /// Lets items go. Each is done once: one that does not wait any more is passed over, and one whose dead letter is not
    /// open any more is skipped.
    ///
    /// # Errors
    /// [`StoreError::Full`] where a message has no room, or any failure of the store.
    pub async fn step_plan(&self, step: PlanStep) -> Result<PlanStepped, StoreError> {
        let (_, stepped) = self.write(Room::Ordinary, Prepared::new(step), work).await?;
        Ok(stepped)
    }

    /// Looks at up to `limit` items that were let go, behind `after`, and notes those that came to rest.
    ///
    /// # Errors
    /// Any failure of the store.
    pub async fn settle_plan(&self, id: PlanId, after: u64, limit: u64, at: Timestamp) -> Result<Settled, StoreError> {
        let found = self.read(move |connection| under_way(connection, id, after, limit)).await?;
        let next = (found.len() as u64 == limit).then(|| found.last().map_or(0, |(no, _)| *no));
        let ended: Vec<u64> = found.into_iter().filter(|(_, ended)| *ended).map(|(no, _)| no).collect();
        if ended.is_empty() {
            return Ok(Settled { next, ..Settled::default() });
        }
        let (_, settled) = self
            .write(Room::Reserved, (id, ended, at), |transaction, (id, ended, at)| settle(transaction, *id, ended, *at))
            .await?;
        Ok(Settled { next, ..settled })
    }
}

/// A step with what can be rendered off the writer thread.
struct Prepared {
    plan: PlanId,
    version: i64,
    at: Timestamp,
    next_at_us: i64,
    canary_passed: bool,
    acts: Vec<(u64, Act)>,
}

enum Act {
    Job(Box<record::Prepared>),
    Message(Box<accept::Prepared>, Box<(NewOutcome, NewAudit)>),
    Skip(String),
}

impl Prepared {
    fn new(step: PlanStep) -> Self {
        let prepare = |act| match act {
            PlanAct::Job(record) => Act::Job(Box::new(record::Prepared::new(*record))),
            PlanAct::Message(job, told) => Act::Message(Box::new(accept::Prepared::new(*job)), told),
            PlanAct::Skip(why) => Act::Skip(why),
        };
        Self {
            plan: step.plan,
            version: step.version,
            at: step.at,
            next_at_us: step.next_at_us,
            canary_passed: step.canary_passed,
            acts: step.acts.into_iter().map(|(no, act)| (no, prepare(act))).collect(),
        }
    }
}

fn work(transaction: &Transaction<'_>, step: &mut Prepared) -> Result<PlanStepped, Rejected> {
    let Some(mut plan) =
        find(transaction, step.plan)?.filter(|plan| plan.state == PlanState::Running && plan.version == step.version)
    else {
        return Ok(PlanStepped::Stale);
    };
    let before = plan.counts.released();
    for (no, act) in &step.acts {
        release(transaction, &mut plan, *no, act, step.at)?;
    }
    plan.next_at_us = step.next_at_us;
    plan.canary_passed |= step.canary_passed;
    write_counts(transaction, &plan, step.at)?;
    Ok(PlanStepped::Released(plan.counts.released() - before))
}

fn release(transaction: &Transaction<'_>, plan: &mut Plan, no: u64, act: &Act, at: Timestamp) -> Result<(), Rejected> {
    let Some(item) = waiting(transaction, plan.id, no)? else { return Ok(()) };
    let (state, job, amount, detail) = match act {
        Act::Skip(why) => (PlanItemState::Skipped, None, None, Some(why.clone())),
        _ if item.closed.is_some() => (PlanItemState::Skipped, None, None, item.closed),
        Act::Job(prepared) => match record::write(transaction, prepared) {
            Ok(_) => (PlanItemState::Replayed, None, item.amount, None),
            // Somebody else was there first, and the fence comes before any change: looked at anew at the next step.
            Err(Rejected::Caller(StoreError::Fenced { .. })) => return Ok(()),
            Err(other) => return Err(other),
        },
        Act::Message(prepared, told) => {
            let (outcome, entry) = told.as_ref();
            let request = prepared.request();
            match accept::take(transaction, prepared)? {
                Taken::Conflict(id, fields) => {
                    let entry = NewAudit { action: format!("{}_conflict", entry.action), ..entry.clone() };
                    audit::append(transaction, &entry)?;
                    let why =
                        format!("its key is taken by a job that differs in {}: dead letter {id}", fields.join(", "));
                    (PlanItemState::Skipped, None, None, Some(why))
                }
                Taken::New(id) => {
                    outcomes::insert(transaction, None, outcome, at)?;
                    audit::append(transaction, entry)?;
                    (PlanItemState::Replayed, Some(id), Some(minor(request.amount)), None)
                }
                Taken::Duplicate(_) => {
                    outcomes::insert(transaction, None, outcome, at)?;
                    audit::append(transaction, entry)?;
                    let id = job_with(transaction, request.partner_reference_no.as_str())?;
                    let why = "a job with this key and content was there already".to_owned();
                    (PlanItemState::Replayed, id, None, Some(why))
                }
            }
        }
    };
    move_item(transaction, plan.id, no, state, job, detail.as_deref(), at)?;
    plan.counts.waiting -= 1;
    *count_of(plan, state) += 1;
    if let Some(amount) = amount.and_then(rows::amount) {
        plan.released = plan.released.plus(Total::from_minor(amount.minor().into()));
    }
    if state == PlanItemState::Skipped
        && let Some(amount) = item.amount.and_then(rows::amount)
    {
        plan.amount = Total::from_minor(plan.amount.minor().saturating_sub(amount.minor().into()));
    }
    Ok(())
}

/// An item whose turn has come.
struct Waiting {
    amount: Option<i64>,
    /// What became of its dead letter meanwhile.
    closed: Option<String>,
}

fn waiting(transaction: &Transaction<'_>, plan: PlanId, no: u64) -> Result<Option<Waiting>, Rejected> {
    let found = transaction
        .prepare_cached(
            "SELECT i.amount, d.id IS NOT NULL, d.closed_as FROM plan_items i
             LEFT JOIN dead_letters d ON d.id = i.dead_letter_id
             WHERE i.plan_id = ?1 AND i.item_no = ?2 AND i.state = 'waiting'",
        )?
        .query_row(params![plan.0, no.cast_signed()], |row| {
            let closed_as: Option<String> = row.get(2)?;
            let closed = match (row.get(1)?, closed_as) {
                (false, _) => Some("its dead letter was purged".to_owned()),
                (true, Some(how)) => Some(format!("its dead letter was closed meanwhile: {how}")),
                (true, None) => None,
            };
            Ok(Waiting { amount: row.get(0)?, closed })
        })
        .optional()?;
    Ok(found)
}

fn job_with(transaction: &Transaction<'_>, key: &str) -> Result<Option<JobId>, Rejected> {
    let found = transaction
        .prepare_cached("SELECT job_id FROM job_states WHERE partner_reference_no = ?1")?
        .query_row([key], |row| row.get(0))
        .optional()?;
    Ok(found.map(JobId))
}

fn move_item(
    transaction: &Transaction<'_>,
    plan: PlanId,
    no: u64,
    state: PlanItemState,
    job: Option<JobId>,
    detail: Option<&str>,
    at: Timestamp,
) -> Result<(), Rejected> {
    transaction
        .prepare_cached(
            "UPDATE plan_items SET state = ?3, job_id = coalesce(?4, job_id), detail = coalesce(?5, detail), at = ?6
             WHERE plan_id = ?1 AND item_no = ?2",
        )?
        .execute(params![plan.0, no.cast_signed(), state.as_str(), job.map(|job| job.0), detail, at.as_millis()])?;
    Ok(())
}

const fn count_of(plan: &mut Plan, state: PlanItemState) -> &mut u64 {
    let counts = &mut plan.counts;
    match state {
        PlanItemState::Waiting => &mut counts.waiting,
        PlanItemState::Refused => &mut counts.refused,
        PlanItemState::Skipped => &mut counts.skipped,
        PlanItemState::Replayed => &mut counts.replayed,
        PlanItemState::Succeeded => &mut counts.succeeded,
        PlanItemState::Rejected => &mut counts.rejected,
        PlanItemState::Dead => &mut counts.dead,
        PlanItemState::Discarded => &mut counts.discarded,
    }
}

/// Writes what the items changed; a plan of which nothing waits or is under way is done.
fn write_counts(transaction: &Transaction<'_>, plan: &Plan, at: Timestamp) -> Result<(), Rejected> {
    let counts = &plan.counts;
    let is_done = plan.state != PlanState::Cancelled && counts.waiting == 0 && counts.replayed == 0;
    transaction
        .prepare_cached(
            "UPDATE plans SET version = version + 1, next_at_us = ?2, canary_passed = ?3, waiting = ?4, skipped = ?5, replayed = ?6,
               succeeded = ?7, rejected = ?8, dead = ?9, discarded = ?10, released = ?11, expired = ?14, amount = ?15,
               state = iif(?12, 'done', state), finished_at = iif(?12, ?13, finished_at),
               pause_cause = iif(?12, NULL, pause_cause), pause_detail = iif(?12, NULL, pause_detail),
               paused_at = iif(?12, NULL, paused_at)
             WHERE id = ?1",
        )?
        .execute(params![
            plan.id.0,
            plan.next_at_us,
            plan.canary_passed,
            counts.waiting.cast_signed(),
            counts.skipped.cast_signed(),
            counts.replayed.cast_signed(),
            counts.succeeded.cast_signed(),
            counts.rejected.cast_signed(),
            counts.dead.cast_signed(),
            counts.discarded.cast_signed(),
            plan.released.minor().to_string(),
            is_done,
            at.as_millis(),
            counts.expired.cast_signed(),
            plan.amount.minor().to_string(),
        ])?;
    Ok(())
}

/// Items under way, and whether each has come to rest.
fn under_way(connection: &Connection, plan: PlanId, after: u64, limit: u64) -> Result<Vec<(u64, bool)>, Rejected> {
    let mut statement = connection.prepare_cached(
        "SELECT i.item_no, s.finished_at IS NOT NULL OR s.state = 'dead'
         FROM plan_items i INDEXED BY plan_items_open CROSS JOIN job_states s ON s.job_id = i.job_id
         WHERE i.plan_id = ?1 AND i.state = 'replayed' AND i.item_no > ?2 ORDER BY i.item_no LIMIT ?3",
    )?;
    let found = statement.query(params![plan.0, after.cast_signed(), limit.cast_signed()])?;
    rows::collect(found, |row| Ok((rows::count(row, 0)?, row.get(1)?)))
}

fn settle(transaction: &Transaction<'_>, id: PlanId, ended: &[u64], at: Timestamp) -> Result<Settled, Rejected> {
    let Some(mut plan) = find(transaction, id)? else { return Err(StoreError::UnknownPlan(id).into()) };
    let (mut settled, mut deaths) = (Settled::default(), Vec::new());
    for &no in ended {
        let found = transaction
            .prepare_cached(
                "SELECT s.state, d.reason, d.response_code, i.expires FROM plan_items i JOIN job_states s ON s.job_id = i.job_id
                 LEFT JOIN dead_letters d ON d.job_id = i.job_id AND d.closed_at IS NULL
                 WHERE i.plan_id = ?1 AND i.item_no = ?2 AND i.state = 'replayed'",
            )?
            .query_row(params![id.0, no.cast_signed()], |row| {
                Ok((row.get::<_, String>(0)?, row.get::<_, Option<String>>(1)?, row.get::<_, Option<String>>(2)?, row.get(3)?))
            })
            .optional()?;
        let Some((state, reason, code, expires)) = found else { continue };
        let state = match state.as_str() {
            "succeeded" => PlanItemState::Succeeded,
            "rejected" => PlanItemState::Rejected,
            "discarded" => PlanItemState::Discarded,
            "dead" => PlanItemState::Dead,
            // An operator was faster: it is under way once more.
            _ => continue,
        };
        let detail = match (state, reason) {
            (PlanItemState::Dead, Some(reason)) => {
                let words = format!("{reason} {}", code.as_deref().unwrap_or_default()).trim_end().to_owned();
                deaths.push((reason, code));
                Some(words)
            }
            _ => None,
        };
        move_item(transaction, id, no, state, None, detail.as_deref(), at)?;
        plan.counts.replayed -= 1;
        if expires && state == PlanItemState::Rejected {
            plan.counts.expired += 1;
        } else {
            *count_of(&mut plan, state) += 1;
        }
        settled.ended += 1;
    }
    write_counts(transaction, &plan, at)?;
    stop_at_news(transaction, &mut plan, &deaths, at)?;
    Ok(settled)
}

/// A plan stops, in the transaction that learns of it, when something died as none of its set had died before; that is no
/// news any more when it is resumed.
fn stop_at_news(
    transaction: &Transaction<'_>,
    plan: &mut Plan,
    deaths: &[PlanFace],
    at: Timestamp,
) -> Result<(), Rejected> {
    let mut news = Vec::new();
    for face in deaths {
        if !plan.known.contains(face) {
            plan.known.push(face.clone());
            news.push(face);
        }
    }
    let Some((reason, code)) = news.first() else { return Ok(()) };
    transaction
        .prepare_cached("UPDATE plans SET known = ?2 WHERE id = ?1")?
        .execute(params![plan.id.0, faces_text(&plan.known)])?;
    if plan.state == PlanState::Running && plan.counts.waiting > 0 {
        let how = format!("{reason} {}", code.as_deref().unwrap_or_default());
        let detail = format!("none of the set had died of {}", how.trim_end());
        pause(transaction, plan.id, PlanPause::NewFailure, &detail, at)?;
    }
    Ok(())
}
