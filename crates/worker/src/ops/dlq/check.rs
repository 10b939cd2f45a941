//! `worker dlq check`: asks the provider what became of a top-up, and records the answer. Moves no money.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use engine::{DeadReason, Event, MoneyState, Noticed, State, StatusAnswer};
use outbox::{DeadLetter, KnownJob, Record, StoreError, StoredJob};
use serde_json::{Value, json};
use snap_client::{By, Token, TokenFailure};
use snap_core::Timestamp;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::choice::{Item, chosen, preview};
use super::close::{must_be_open, refused, work};
use super::shown::{job_of, moved_on};
use crate::account::forgotten;
use crate::app::{clients, lanes};
use crate::cli::DlqActArgs;
use crate::custody::Custody;
use crate::drive::Driver;
use crate::exit::{CommandError, Exit};
use crate::lane::Lane;
use crate::late;
use crate::ops::Desk;
use crate::ops::act::Actor;
use crate::provider::{self, Called};
use crate::telemetry::metrics::Metrics;
use crate::transition::{Operator, Transition};

/// A worker that drives the job changes it meanwhile; what it changed is read again, so often.
const ROUNDS: usize = 5;

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
            // It only asks.
            custody: Arc::new(Custody::without_broker()),
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
        let lanes = self.lanes_of(&job, desk).await?;
        let (lane, called) = match self.ask_each(&lanes, &job).await {
            Ok(asked) => asked,
            Err(failure) => return Ok(Item::unreachable(letter, format!("no token: {failure}"))),
        };
        let Event::Checked { answer, .. } = called.reading.event else {
            return Err(CommandError::Unexpected(anyhow::anyhow!("a status inquiry told of something else")));
        };
        let others_were_used = self.others_were_used(&job, desk).await?;
        let noticed = Noticed { others_were_used, ..called.ended_at.into() };
        let mut record = self.recorded(lane, (letter, &job), (&called, noticed), answer, actor)?;
        let state = record.job.state.clone();
        record.audit = Some(actor.audit(called.ended_at, "dlq_check", letter.id.as_str(), shown(&called, &record)));
        match desk.store.record(record).await {
            Ok(_) => Ok(Item::done(letter, word(&called.reading.event, &state), detail(&called))),
            Err(StoreError::Fenced { .. }) => self.came_too_late(lane, letter, &called, actor, desk).await,
            Err(error) => Err(error.into()),
        }
    }

    fn recorded(
        &self,
        lane: &Lane,
        (letter, job): (&DeadLetter, &StoredJob),
        (called, noticed): (&Called, Noticed),
        answer: StatusAnswer,
        actor: &Actor,
    ) -> Result<Record, CommandError> {
        let operator = Operator { by: &actor.by, why: &actor.reason };
        let act = Transition {
            called: Some(called),
            letter: Some(letter),
            operator: Some(operator),
            ..Transition::of(job, &lane.policy, noticed)
        };
        let event = Event::AskedByOperator { answer };
        act.record(&event, &self.driver.clock).map_err(|illegal| refused(illegal.to_string()))
    }

    /// The job has moved on while the provider was asked. What the answer shows of the money is kept all the same (M16), on the
    /// job as it is now, like any answer that comes late.
    async fn came_too_late(
        &self,
        lane: &Lane,
        letter: &DeadLetter,
        called: &Called,
        actor: &Actor,
        desk: &Desk<'_>,
    ) -> Result<Item, CommandError> {
        let moved = moved_on(letter, desk).await;
        let CommandError::MovedOn { .. } = moved else { return Err(moved) };
        let told = detail(called).map_or_else(String::new, |told| format!("; the provider said {told}"));
        let mut text = format!("{moved}{told}");
        if let Some(state) = self.keep(lane, letter, called, actor, desk).await? {
            text.push_str(&format!(": recorded, and it is {} by that", state.name()));
        }
        Ok(Item::moved_on(letter, text))
    }

    /// Records an answer that came late, and gives what the job is then; nothing where it says nothing new.
    async fn keep(
        &self,
        lane: &Lane,
        letter: &DeadLetter,
        called: &Called,
        actor: &Actor,
        desk: &Desk<'_>,
    ) -> Result<Option<State>, CommandError> {
        let Some(reference) = &letter.partner_reference_no else { return Ok(None) };
        for _ in 0..ROUNDS {
            let Some(timeline) = desk.store.timeline(reference).await? else { return Ok(None) };
            let KnownJob::Whole(job) = &timeline.job else { return Ok(None) };
            let Some(mut record) = late::prepare(&self.driver, lane, &timeline, job, called) else { return Ok(None) };
            record.audit = Some(actor.audit(called.ended_at, "dlq_check", letter.id.as_str(), shown(called, &record)));
            let state = record.job.state.clone();
            match desk.store.record(record).await {
                Err(StoreError::Fenced { .. }) => {}
                recorded => return recorded.map(|_| Some(state)).map_err(Into::into),
            }
        }
        Ok(None)
    }

    /// Who is asked, one after the other until somebody knows it: one, or where what was forgotten may be at several accounts each
    /// that a section names, the present one last (M14).
    async fn lanes_of(&self, job: &StoredJob, desk: &Desk<'_>) -> Result<Vec<&Arc<Lane>>, CommandError> {
        let last = self.lane_of(job, desk).await?;
        if !job.job.evidence.forgotten || job.job.evidence.account.is_some() {
            return Ok(vec![last]);
        }
        let (noted, provider) = (desk.store.accounts().await?, &job.request.provider);
        let since = Timestamp::from_millis(0);
        let was_used = |lane: &&Arc<Lane>| {
            lane.policy.account != last.policy.account
                && lane.profile.name == last.profile.name
                && noted.iter().any(|noted| {
                    noted.may_have_served(provider, since)
                        && (noted.is_unknown() || lane.policy.account == Some(noted.digest))
                })
        };
        Ok(self.lanes.values().filter(was_used).chain([last]).collect())
    }

    /// Whether the job may have been sent, in what was forgotten, to another account than its provider's section names.
    async fn others_were_used(&self, job: &StoredJob, desk: &Desk<'_>) -> Result<bool, CommandError> {
        if !job.job.evidence.forgotten {
            return Ok(false);
        }
        let (noted, mark) = (desk.store.accounts().await?, desk.store.reconcile().await?);
        let others =
            forgotten::others_were_used(&noted, &forgotten::named(desk.config), forgotten::since(mark.as_ref()));
        Ok(others.contains(&job.request.provider))
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

    async fn ask_each<'a>(
        &self,
        lanes: &[&'a Arc<Lane>],
        job: &StoredJob,
    ) -> Result<(&'a Arc<Lane>, Called), TokenFailure> {
        let (last, before) = lanes.split_last().expect("there is a lane to ask");
        for lane in before {
            lane.turn().await;
            let called = self.ask(lane, job).await?;
            let unpaid = [StatusAnswer::NotFound, StatusAnswer::Failed, StatusAnswer::Cancelled];
            if let Event::Checked { answer, .. } = &called.reading.event
                && !unpaid.contains(answer)
                && !matches!(answer, StatusAnswer::Nothing(_))
            {
                return Ok((lane, called));
            }
        }
        last.turn().await;
        Ok((last, self.ask(last, job).await?))
    }

    /// One question; a token that is refused is refreshed once.
    async fn ask(&self, lane: &Lane, job: &StoredJob) -> Result<Called, TokenFailure> {
        let mut token: Token = lane.client.token(self.driver.clock.wall()).await?;
        let called = self.ask_by(lane, &token, job).await;
        if called.reading.token_refused.is_none() {
            return Ok(called);
        }
        token = lane.client.refresh_token(&token, self.driver.clock.wall()).await?;
        Ok(self.ask_by(lane, &token, job).await)
    }

    /// The same, once more where the answer may be that of another top-up.
    async fn ask_by(&self, lane: &Lane, token: &Token, job: &StoredJob) -> Called {
        let called = provider::check(&self.driver, lane, token, job, By::Any).await;
        if !called.reading.ask_again {
            return called;
        }
        lane.turn().await;
        provider::check_again(&self.driver, lane, token, job, &called).await
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

/// For the trail.
fn shown(called: &Called, record: &Record) -> Value {
    json!({
        "answer": called.reading.event.name(),
        "responseCode": called.reading.code.map(|code| code.to_string()),
        "state": record.job.state.name(),
        "moneyState": record.job.evidence.money.as_str(),
    })
}
