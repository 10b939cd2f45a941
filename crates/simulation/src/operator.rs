//! The operator: replays what died, once everything rests and with the lanes that stand set going, as the runbook says, and ends the
//! asking after a restore.

use std::path::Path;

use engine::{Event, MoneyState, State, StatusAnswer};
use outbox::{AccountName, Adoption, OpenOptions, StoredJob};
use outbox::{DeadLetter, DeadLetterFilter, NewAudit, NewPlan, NewPlanItem, PlanId, PlanTerms, Resume};
use outbox::{Store, StoreError};
use serde_json::{Value, json};
use snap_core::Timestamp;
use worker::clock::Clock;
use worker::config::Config;
use worker::custody::{Mark, Note, Process, Terms, Witness};
use worker::replay::{Rules, Verdict, verdict};
use worker::transition::{Operator, Transition};

use crate::judge::jobs;
use crate::mistake::Mistake;
use crate::provider::Known;
use crate::queues::Told;
use crate::source::Played;
use crate::wire::REQUEST_TIMEOUT;
use crate::world::{START, World};

/// More than any scenario makes.
const MANY: usize = 1000;
/// Between two items of a plan, in microseconds.
const INTERVAL_US: i64 = 1_500_000;

/// Lets go whatever may be replayed, as one plan; `None`: there is nothing.
pub(crate) async fn replay(store: &Store, config: &Config, now: Timestamp) -> Result<Option<PlanId>, StoreError> {
    let rules = Rules::of(config);
    let mut items = Vec::new();
    let mut known = Vec::new();
    for letter in store.dead_letters(DeadLetterFilter::default(), None, MANY).await?.items {
        let Some(id) = letter.job else { continue };
        let job = store.job(id).await?;
        let verdict = verdict(&letter, job.as_ref(), &rules, now);
        if matches!(verdict, Verdict::AsksFirst | Verdict::Sends) {
            known.push((letter.reason.as_str().to_owned(), letter.response_code.clone()));
            items.push(item(letter));
        }
    }
    if items.is_empty() {
        return Ok(None);
    }
    // With no job left there is none to probe with, and a plan waits where a lane stands.
    for lane in store.lanes().await?.into_iter().filter(|lane| lane.pause.is_some()) {
        let audit = said(now, "provider_resume", &lane.provider);
        store.resume_lane(&lane.provider, Resume::Operator, Some(audit)).await?;
    }
    let terms = PlanTerms { interval_us: INTERVAL_US, canary: 0, max_failed_pct: 100, max_amount: None };
    let (by, reason) = ("sari".to_owned(), "the provider is back".to_owned());
    let audit = said(now, "dlq_replay", "plan");
    let plan = NewPlan { by, reason, at: now, terms, known, items, audit };
    store.make_plan(plan).await.map(Some)
}

/// What an operator was shown, and what the provider said of it meanwhile.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    job: StoredJob,
    letter: DeadLetter,
    answer: StatusAnswer,
}

/// Another process takes over what is in flight, as a start does (M16). What cannot be written is left.
pub(crate) async fn fence(world: &World) {
    let Some(store) = world.store() else { return };
    let clock = Clock::of(&Played);
    for timeline in jobs(&store).await.unwrap_or_default().into_values() {
        let Some(job) = timeline.job.whole() else { continue };
        if !matches!(job.job.state, State::Sending { .. } | State::Unconfirmed { .. }) {
            continue;
        }
        let policy = world.state().policies[&job.request.provider].clone();
        if let Ok(record) = Transition::of(&job, &policy, clock.now()).record(&Event::Restarted, &clock) {
            drop(store.record(record).await);
        }
    }
}

/// Shows each open dead letter, and asks what became of its top-up.
pub(crate) async fn ask(world: &World) {
    let Some(store) = world.store() else { return };
    for timeline in jobs(&store).await.unwrap_or_default().into_values() {
        let letter = timeline.dead_letters.iter().find(|letter| letter.closed.is_none()).cloned();
        let (Some(letter), Some(job)) = (letter, timeline.job.whole()) else { continue };
        let mut state = world.state();
        let policy = &state.policies[&job.request.provider];
        if job.job.evidence.money != MoneyState::MaybeSent || policy.is_of_another_account(&job.job) {
            continue;
        }
        let answer = match state.ledger.known(state.account, job.request.partner_reference_no.as_str(), state.now()) {
            Known::Not => StatusAnswer::NotFound,
            Known::Open => StatusAnswer::Pending,
            Known::Paid => StatusAnswer::Paid { amount_seen: true },
            Known::Failed => StatusAnswer::Failed,
        };
        state.asked.push(Asked { job, letter, answer });
    }
}

/// Records what was answered, on what was shown.
pub(crate) async fn tell(world: &World) {
    let Some(store) = world.store() else { return };
    let clock = Clock::of(&Played);
    let asked = std::mem::take(&mut world.state().asked);
    for Asked { job, letter, answer } in asked {
        let policy = world.state().policies[&job.request.provider].clone();
        let act = Transition {
            letter: Some(&letter),
            operator: Some(Operator { by: "sari", why: "the provider is back" }),
            ..Transition::of(&job, &policy, clock.now())
        };
        let Ok(record) = act.record(&Event::AskedByOperator { answer }, &clock) else { continue };
        let moved_on = matches!(store.record(record).await, Err(StoreError::Fenced { .. }));
        if moved_on && world.state().mistake == Mistake::ToldByGuess {
            let now = StoredJob { job: engine::Job { state: State::Succeeded, ..job.job.clone() }, ..job };
            let told = json!({
                "subject": now.request.partner_reference_no.as_str(),
                "data": { "amount": { "value": now.request.amount.to_string() } },
            });
            let (id, kind) = ("guessed".to_owned(), "topup.succeeded".to_owned());
            let mut state = world.state();
            let at = state.now();
            state.queues.events.push(Told { id, kind, at, body: told.to_string().into_bytes() });
        }
    }
}

/// Lets a new store take the namespace over, before its first worker begins.
pub(crate) fn adopt(path: &Path, world: &World) {
    // Between two lives: no time goes by.
    let now = Clock::of(&Played).wall();
    let options = OpenOptions { reserve_bytes: 0, min_free_bytes: 0, ..OpenOptions::default() };
    let mut state = world.state();
    // When it was given away, and since when it was somebody's, by the clock of the machine.
    let ago = state.now() - state.namespace.given_at.unwrap_or(0);
    let first = Timestamp::from_millis(now.as_millis() - (state.now() - START));
    let is_asking = state.is_asking;
    let theirs = state.namespace.witness.take().and_then(|witness| Witness::parse(&witness));
    // What is between this store and its disk has no part in it.
    drop(state);
    let adopted = async {
        let store = Store::open(path, now, &options).expect("a new store opens").store;
        let standing = store.standing().await?;
        let mark = Mark::new(&standing.store_id, now, Timestamp::from_millis(0)).to_string();
        if is_asking {
            let given_at = Timestamp::from_millis(now.as_millis() - ago);
            let settled_at = given_at.plus(Terms::default().may_send_for(REQUEST_TIMEOUT));
            let adoption = Adoption {
                settled_at,
                reason: "taken over".to_owned(),
                known_until: Some(first),
                custody: Note { instances: vec!["adopter".to_owned()], ..Note::default() }.text(),
                audit: said(now, "store_adopt", "topup"),
            };
            // What the other one used, as its witness tells.
            let in_use = theirs.and_then(|theirs| theirs.accounts);
            store.learn_accounts(in_use.unwrap_or_else(|| vec![AccountName::unknown(now)])).await?;
            store.adopt(adoption).await?;
        }
        let standing = store.standing().await?;
        let witness = Witness {
            store: standing.store_id,
            instance: "adopter".to_owned(),
            commits: standing.commits,
            audit_rows: standing.audit.rows,
            audit_head: standing.audit.hash,
            audit_at: now.as_millis(),
            at: now.as_millis(),
            stopped: true,
            process: Process::default(),
            accounts: Some(store.accounts().await?),
        };
        store.close().await;
        Ok::<_, StoreError>((mark, witness))
    };
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime is built");
    let (mark, witness) = runtime.block_on(adopted).expect("the store takes it");
    state = world.state();
    state.namespace.mark = Some(mark);
    state.namespace.witness = is_asking.then(|| witness.body());
}

/// Says that the store knows everything again.
pub(crate) async fn end_the_asking(store: &Store, now: Timestamp) -> Result<(), StoreError> {
    store.clear_reconcile(said(now, "store_reconciled", "store")).await
}

fn item(letter: DeadLetter) -> NewPlanItem {
    NewPlanItem {
        dead_letter: letter.id,
        job: letter.job,
        reference: letter.partner_reference_no.map(|key| key.to_string()),
        amount: letter.amount,
        money_state: letter.money_state,
        expires: false,
        refused: None,
    }
}

fn said(at: Timestamp, action: &str, subject: &str) -> NewAudit {
    NewAudit {
        at,
        by: "sari".to_owned(),
        action: action.to_owned(),
        subject: subject.to_owned(),
        reason: "the provider is back".to_owned(),
        detail: Value::Null,
    }
}
