//! `worker dlq check`: asks the provider what became of a top-up, and records the answer. Moves no money.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use engine::{DeadReason, Event, MoneyState, State, apply};
use outbox::{AnswerFields, AttemptEnd, DeadLetter, HistoryEntry, NewAttempt, NewDeadLetter, Record, StoredJob};
use serde_json::{Value, json};
use snap_client::{Token, TokenFailure};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::choice::{Item, chosen, preview};
use super::close::{job_of, must_be_open, refused, work};
use crate::app::{clients, lanes};
use crate::cli::DlqActArgs;
use crate::drive::Driver;
use crate::event::{self, Stamp};
use crate::exit::{CommandError, Exit};
use crate::lane::Lane;
use crate::ops::Desk;
use crate::ops::act::Actor;
use crate::provider::{self, Called};
use crate::telemetry::metrics::Metrics;

/// Asks about each of them, one after the other.
pub(super) async fn check(args: &DlqActArgs, desk: &Desk<'_>) -> Result<Exit, CommandError> {
    let letters = chosen(&args.choice, desk).await?;
    desk.output.say(&format!("ask the provider about {}; nothing is sent", preview(&letters)));
    let caller = if args.act.dry_run { None } else { Some(Caller::new(desk)?) };
    work(letters, &args.act, "check", desk, async |letter, actor| match &caller {
        Some(caller) => caller.check(letter, actor, desk).await,
        None => Ok(Item::done(letter, "planned", None)),
    })
    .await
}

/// What a call needs, in a process that runs no lanes.
struct Caller {
    driver: Driver,
    lanes: BTreeMap<String, Arc<Lane>>,
}

impl Caller {
    fn new(desk: &Desk<'_>) -> Result<Self, CommandError> {
        let driver = Driver {
            store: desk.store.clone(),
            clock: *desk.clock,
            metrics: Arc::new(Metrics::new(desk.config.providers.keys().map(String::as_str), false)),
            shutdown: CancellationToken::new(),
            fatal: CancellationToken::new(),
            published: Arc::new(Notify::new()),
        };
        Ok(Self { driver, lanes: lanes(desk.config, clients(desk.config)?, &Arc::new(Notify::new())) })
    }

    async fn check(&self, letter: &DeadLetter, actor: &Actor, desk: &Desk<'_>) -> Result<Item, CommandError> {
        must_be_open(letter)?;
        let Some(job) = job_of(letter, desk).await? else {
            return Err(refused("it never became a job: there is nothing to ask about"));
        };
        match job.job.evidence.money {
            MoneyState::NeverSent => return Err(refused("it was never sent: there is nothing to ask about")),
            MoneyState::Returned => return Err(refused("it was refunded, which is final")),
            MoneyState::MaybeSent | MoneyState::ProvenUnpaid | MoneyState::ProvenPaid => {}
        }
        let lane = self.lane_of(&job, desk).await?;
        lane.turn().await;
        let called = match self.ask(lane, &job).await {
            Ok(called) => called,
            Err(failure) => return Ok(Item::unreachable(letter, format!("no token: {failure}"))),
        };
        let event = &called.reading.event;
        let jitter = desk.clock.jitter();
        let next = apply(&job.job, &lane.policy, event, called.ended_at, jitter)
            .map_err(|illegal| refused(illegal.to_string()))?;
        let (word, detail) = (word(event, &next.state), detail(&called));
        let record = record(letter, &job, next, &called, actor, desk);
        desk.store.record(record).await?;
        Ok(Item::done(letter, word, detail))
    }

    /// The lane that asks the account that the job may have been paid by: its own, or another one that names the account (M14).
    async fn lane_of(&self, job: &StoredJob, desk: &Desk<'_>) -> Result<&Arc<Lane>, CommandError> {
        let provider = &job.request.provider;
        let own = self.lanes.get(provider);
        if let Some(lane) = own.filter(|lane| !lane.policy.is_of_another_account(&job.job)) {
            return Ok(lane);
        }
        let account = job.job.evidence.account;
        let is_its = |lane: &&Arc<Lane>| account.is_some() && lane.policy.account == account;
        if let Some(lane) = self.lanes.values().find(is_its) {
            return Ok(lane);
        }
        let (Some(account), Some(_)) = (account, own) else {
            return Err(refused(format!("provider {provider} is not configured")));
        };
        let account = crate::account::words(account, &desk.store.accounts().await?);
        Err(refused(format!("it may have been paid by {account}, which no section names: no other one can tell")))
    }

    /// One question; a token that is refused is refreshed once.
    async fn ask(&self, lane: &Lane, job: &StoredJob) -> Result<Called, TokenFailure> {
        let mut token: Token = lane.client.token(self.driver.clock.wall()).await?;
        let called = provider::check(&self.driver, lane, &token, job).await;
        if called.reading.token_refused.is_none() {
            return Ok(called);
        }
        token = lane.client.refresh_token(&token, self.driver.clock.wall()).await?;
        Ok(provider::check(&self.driver, lane, &token, job).await)
    }
}

/// What the answer made of it, in one word.
fn word(event: &Event, next: &State) -> &'static str {
    match next {
        State::Succeeded => "succeeded",
        State::Rejected { .. } => "rejected",
        State::Dead { reason: DeadReason::Refunded } => "refunded",
        State::Dead { reason: DeadReason::InconsistentAnswer } => "inconsistent_answer",
        // What stays where it is is told by what was answered: `status_not_found`, `status_pending`, …
        _ => event.name().trim_start_matches("status_"),
    }
}

fn detail(called: &Called) -> Option<String> {
    let reading = &called.reading;
    let code = reading.code.map(|code| code.to_string());
    let known = [code.as_deref(), Some(reading.class.as_str()), reading.detail.as_deref()];
    Some(known.into_iter().flatten().collect::<Vec<_>>().join(" "))
}

fn record(
    letter: &DeadLetter,
    job: &StoredJob,
    next: engine::Job,
    called: &Called,
    actor: &Actor,
    desk: &Desk<'_>,
) -> Record {
    let at = called.ended_at;
    let reading = &called.reading;
    let answer = reading.fields.clone().unwrap_or_default();
    let more = reading.detail.as_ref().map_or(Value::Null, |detail| json!({ "detail": detail }));
    let after = StoredJob { job: next, ..job.clone() };
    let stamp = Stamp { id: desk.clock.ulid(), at };
    let mut record = Record::new(job.id, job.version, after.job.clone(), at);
    record.history.push(HistoryEntry { at, event: reading.event.name().into(), detail: more });
    record.attempts.push(NewAttempt {
        service: called.service,
        external_id: called.external_id.clone(),
        started_at: called.started_at,
        body_sha256: None,
        end: Some(AttemptEnd {
            external_id: called.external_id.clone(),
            ended_at: at,
            http_status: reading.http_status,
            response_code: reading.code.map(|code| code.as_str().to_owned()),
            class: Some(reading.class.as_str().into()),
            detail: reading.detail.clone(),
        }),
    });
    match &after.job.state {
        State::Dead { reason } => {
            let renewed = renewed(letter, *reason, &after, &answer);
            if *reason != letter.reason {
                record.outcomes.push(event::dead_lettered(stamp, &after, &answer, &renewed));
            }
            record.dead_letter = Some(renewed);
        }
        State::Rejected { reason } => record.outcomes.push(event::rejected(stamp, &after, &answer, *reason)),
        _ => record.outcomes.push(event::succeeded(stamp, &after, &answer)),
    }
    let shown = json!({
        "answer": reading.event.name(),
        "responseCode": reading.code.map(|code| code.to_string()),
        "state": after.job.state.name(),
        "moneyState": after.job.evidence.money.as_str(),
    });
    record.answer = answer;
    record.audit = Some(actor.audit(at, "dlq_check", letter.id.as_str(), shown));
    record
}

/// The same dead letter, as it stands now.
fn renewed(letter: &DeadLetter, reason: DeadReason, job: &StoredJob, answer: &AnswerFields) -> NewDeadLetter {
    let detail = match reason {
        reason if reason == letter.reason => letter.detail.clone(),
        DeadReason::Refunded => "asked by an operator, the provider reports the top-up as refunded".to_owned(),
        _ => "asked by an operator, the provider names another amount or reference".to_owned(),
    };
    NewDeadLetter {
        id: letter.id.clone(),
        reason,
        detail,
        money_state: job.job.evidence.money,
        response_code: answer.response_code.clone().or_else(|| letter.response_code.clone()),
    }
}
