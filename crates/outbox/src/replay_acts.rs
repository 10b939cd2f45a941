//! What operators do to replay plans: make, pause, resume, cancel.

use std::time::Duration;

use rusqlite::params;
use snap_core::{Amount, Timestamp};

use crate::{
    DeadLetterId, JobId, NewAudit, Plan, PlanFace, PlanId, PlanItemState, PlanPause, PlanState, PlanTerms, Store,
    StoreError, Total, audit, error::Rejected, replay_plans::find, rows::minor, task::Room, transaction::Transaction,
};

/// Items of one step of a freeze, and the pause between two steps: the writer is free for most of the time.
const STEP: usize = 128;
const PAUSE: Duration = Duration::from_millis(5);

/// A plan to make.
#[derive(Clone, Debug)]
pub struct NewPlan {
    /// Who.
    pub by: String,
    /// Why.
    pub reason: String,
    /// Now.
    pub at: Timestamp,
    /// How fast, and what stops it.
    pub terms: PlanTerms,
    /// Reasons and codes of the set.
    pub known: Vec<PlanFace>,
    /// The set, in the order in which it is let go.
    pub items: Vec<NewPlanItem>,
    /// What the audit trail says about it.
    pub audit: NewAudit,
}

/// An item of a plan to make.
#[derive(Clone, Debug)]
pub struct NewPlanItem {
    /// The dead letter.
    pub dead_letter: DeadLetterId,
    /// The job; `None` for a refused message.
    pub job: Option<JobId>,
    /// The key, or the key the message claims.
    pub reference: Option<String>,
    /// The job's amount.
    pub amount: Option<Amount>,
    /// What is known about the money.
    pub money_state: engine::MoneyState,
    /// It will end unpaid, for its `notAfter` has passed.
    pub expires: bool,
    /// Why it may not be replayed; `None`: it may.
    pub refused: Option<String>,
}

/// A part of a plan on its way to the writer.
struct Part {
    plan: NewPlan,
    /// The number it got, with the items that are written.
    begun: Option<(PlanId, usize)>,
}

impl Store {
    /// Writes a plan and its set, then lets it run; answers its number.
    ///
    /// A large set goes in small steps. It runs from the last one on, with the row of the audit trail in the same
    /// transaction; what a crash leaves before is a draft that never runs.
    ///
    /// # Errors
    /// Any failure of the store.
    pub async fn make_plan(&self, plan: NewPlan) -> Result<PlanId, StoreError> {
        let mut part = Part { plan, begun: None };
        loop {
            let (back, (id, written)) =
                self.write(Room::Ordinary, part, |transaction, part| write_part(transaction, part)).await?;
            part = back;
            if written >= part.plan.items.len() {
                return Ok(id);
            }
            part.begun = Some((id, written));
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Lets a running plan stand. `version`, where given, is what the caller decided by. False: the plan did not run, or has
    /// changed since; nothing was done.
    ///
    /// # Errors
    /// [`StoreError::UnknownPlan`], or any failure of the store.
    pub async fn pause_plan(
        &self,
        id: PlanId,
        version: Option<i64>,
        cause: PlanPause,
        detail: String,
        audit: NewAudit,
    ) -> Result<bool, StoreError> {
        let input = (id, version, cause, detail, audit);
        let (_, paused) = self
            .write(Room::Reserved, input, |transaction, (id, version, cause, detail, audit)| {
                let plan = known(transaction, *id)?;
                if plan.state != PlanState::Running || version.is_some_and(|version| version != plan.version) {
                    return Ok(false);
                }
                pause(transaction, *id, *cause, detail, audit.at)?;
                append(transaction, audit)?;
                Ok(true)
            })
            .await?;
        Ok(paused)
    }

    /// Lets a standing plan run again: failures before this moment do not count any more, and canaries that did not all
    /// succeed begin anew. `max_amount`, where given, is what may be let go in all.
    ///
    /// # Errors
    /// [`StoreError::UnknownPlan`], [`StoreError::PlanState`] where it does not stand, or any failure of the store.
    pub async fn resume_plan(
        &self,
        id: PlanId,
        at: Timestamp,
        max_amount: Option<Total>,
        audit: NewAudit,
    ) -> Result<(), StoreError> {
        self.write(Room::Reserved, (id, at, max_amount, audit), |transaction, (id, at, max_amount, audit)| {
            let plan = known(transaction, *id)?;
            if plan.state != PlanState::Paused {
                return Err(is(&plan));
            }
            let counts = plan.counts;
            let max_amount = max_amount.or(plan.terms.max_amount).map(|amount| amount.minor().to_string());
            transaction
                .prepare_cached(
                    "UPDATE plans SET version = version + 1, state = 'running', pause_cause = NULL, pause_detail = NULL, paused_at = NULL,
                       canary_from = iif(canary_passed, canary_from, ?2), ended_before = ?3, failed_before = ?4,
                       max_amount = ?5, next_at_us = ?6
                     WHERE id = ?1",
                )?
                .execute(params![
                    id.0,
                    counts.released().cast_signed(),
                    counts.ended().cast_signed(),
                    counts.failed().cast_signed(),
                    max_amount,
                    micros(*at),
                ])?;
            append(transaction, audit)
        })
        .await?;
        Ok(())
    }

    /// Ends a plan: what was not let go stays where it is.
    ///
    /// # Errors
    /// [`StoreError::UnknownPlan`], [`StoreError::PlanState`] where it has ended, or any failure of the store.
    pub async fn cancel_plan(&self, id: PlanId, at: Timestamp, audit: NewAudit) -> Result<(), StoreError> {
        self.write(Room::Reserved, (id, at, audit), |transaction, (id, at, audit)| {
            let plan = known(transaction, *id)?;
            if plan.finished_at.is_some() {
                return Err(is(&plan));
            }
            transaction
                .prepare_cached(
                    "UPDATE plans SET version = version + 1, state = 'cancelled', finished_at = ?2, pause_cause = NULL, pause_detail = NULL,
                       paused_at = NULL
                     WHERE id = ?1",
                )?
                .execute(params![id.0, at.as_millis()])?;
            append(transaction, audit)
        })
        .await?;
        Ok(())
    }
}

/// Microseconds of a time.
pub(crate) const fn micros(at: Timestamp) -> i64 {
    at.as_millis().saturating_mul(1000)
}

fn append(transaction: &Transaction<'_>, entry: &NewAudit) -> Result<(), Rejected> {
    audit::append(transaction, entry).map(|_seq| ())
}

/// Lets a plan stand.
pub(crate) fn pause(
    transaction: &Transaction<'_>,
    id: PlanId,
    cause: PlanPause,
    detail: &str,
    at: Timestamp,
) -> Result<(), Rejected> {
    transaction
        .prepare_cached(
            "UPDATE plans SET version = version + 1, state = 'paused', pause_cause = ?2, pause_detail = ?3, paused_at = ?4
             WHERE id = ?1",
        )?
        .execute(params![id.0, cause.as_str(), detail, at.as_millis()])?;
    Ok(())
}

/// Lets every running plan stand: the store was restored from a copy, and what they did since is forgotten (M12).
pub(crate) fn pause_all_restored(transaction: &Transaction<'_>, at: Timestamp) -> rusqlite::Result<()> {
    transaction
        .prepare_cached(
            "UPDATE plans SET version = version + 1, state = 'paused', pause_cause = ?1, pause_detail = ?2, paused_at = ?3
             WHERE id IN (SELECT id FROM plans INDEXED BY plans_open
               WHERE (finished_at IS NULL OR (state = 'cancelled' AND replayed > 0)) AND state = 'running')",
        )?
        .execute(params![
            PlanPause::Restored.as_str(),
            "the store was restored from a copy: what this plan did since is forgotten",
            at.as_millis(),
        ])?;
    Ok(())
}

fn known(transaction: &Transaction<'_>, id: PlanId) -> Result<Plan, Rejected> {
    find(transaction, id)?.ok_or_else(|| StoreError::UnknownPlan(id).into())
}

fn is(plan: &Plan) -> Rejected {
    StoreError::PlanState { id: plan.id, why: format!("is {}", plan.state.as_str()) }.into()
}

pub(crate) fn faces_text(faces: &[PlanFace]) -> String {
    serde_json::to_string(faces).expect("texts are JSON")
}

/// Writes the next step, and lets the plan run with the last one; answers its number, and how many items are written.
fn write_part(transaction: &Transaction<'_>, part: &Part) -> Result<(PlanId, usize), Rejected> {
    let (id, from) = match part.begun {
        Some(begun) => begun,
        None => (insert(transaction, &part.plan)?, 0),
    };
    let items = part.plan.items.iter().enumerate().skip(from).take(STEP);
    let mut insert = transaction.prepare_cached(
        "INSERT INTO plan_items (plan_id, item_no, dead_letter_id, job_id, reference, amount, money_state, expires, state,
           detail, at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
    )?;
    let mut to = from;
    for (index, item) in items {
        let state = if item.refused.is_some() { PlanItemState::Refused } else { PlanItemState::Waiting };
        insert.execute(params![
            id.0,
            i64::try_from(index + 1).unwrap_or(i64::MAX),
            item.dead_letter.as_str(),
            item.job.map(|job| job.0),
            item.reference,
            item.amount.map(minor),
            item.money_state.as_str(),
            item.expires,
            state.as_str(),
            item.refused,
            part.plan.at.as_millis(),
        ])?;
        to = index + 1;
    }
    if to == part.plan.items.len() {
        let started = transaction
            .prepare_cached(
                "UPDATE plans SET version = version + 1, state = 'running' WHERE id = ?1 AND state = 'draft'",
            )?
            .execute([id.0])?;
        if started == 0 {
            return Err(is(&known(transaction, id)?));
        }
        let entry = NewAudit { subject: format!("plan {id}"), ..part.plan.audit.clone() };
        audit::append(transaction, &entry)?;
    }
    Ok((id, to))
}

fn insert(transaction: &Transaction<'_>, plan: &NewPlan) -> Result<PlanId, Rejected> {
    let refused = plan.items.iter().filter(|item| item.refused.is_some()).count();
    let allowed = plan.items.iter().filter(|item| item.refused.is_none());
    let amount: u128 = allowed.filter_map(|item| item.amount).map(|amount| u128::from(amount.minor())).sum();
    let number = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
    transaction
        .prepare_cached(
            "INSERT INTO plans (version, state, by, reason, created_at, interval_us, next_at_us, canary, canary_from, canary_passed,
               max_failed_pct, max_amount, ended_before, failed_before, known, items, waiting, refused, skipped, replayed,
               succeeded, rejected, dead, discarded, expired, amount, released)
             VALUES (1, 'draft', ?1, ?2, ?3, ?4, ?5, ?6, 0, 0, ?7, ?8, 0, 0, ?9, ?10, ?11, ?12, 0, 0, 0, 0, 0, 0, 0, ?13,
               '0')",
        )?
        .execute(params![
            plan.by,
            plan.reason,
            plan.at.as_millis(),
            plan.terms.interval_us.max(1),
            micros(plan.at),
            plan.terms.canary.cast_signed(),
            plan.terms.max_failed_pct,
            plan.terms.max_amount.map(|amount| amount.minor().to_string()),
            faces_text(&plan.known),
            number(plan.items.len()),
            number(plan.items.len() - refused),
            number(refused),
            amount.to_string(),
        ])?;
    Ok(PlanId(transaction.last_insert_rowid()))
}
