//! `worker dlq discard`, `restore` and `purge`: closing, taking it back, and forgetting what is closed.

use std::time::Duration;

use engine::{Event, State};
use outbox::{CloseDeadLetter, ClosedAs, DeadLetter, NewOutcome, Record, StoreError, StoredJob};
use serde::Serialize;
use serde_json::{Value, json};

use super::choice::{Item, chosen, named, preview, tell};
use super::shown::{job_of, moved_on};
use crate::cli::{DlqActArgs, DlqPurgeArgs, DlqRestoreArgs};
use crate::event::{self, RefusedMessage, Stamp};
use crate::exit::{CommandError, Exit};
use crate::ops::act::{Actor, ask};
use crate::ops::jobs::Rupiah;
use crate::ops::{Desk, stdout};
use crate::output::{age, counted, rupiah};
use crate::replay::carried;
use crate::text::chain;
use crate::transition::{Operator, Transition};

/// Closes for good, as far as an operator says so.
pub(super) async fn discard(args: &DlqActArgs, desk: &Desk<'_>) -> Result<Exit, CommandError> {
    let letters = chosen(&args.choice, desk).await?;
    desk.output.say(&format!("discard {}", preview(&letters)));
    let in_doubt = letters.iter().filter(|letter| letter.money_state == engine::MoneyState::MaybeSent).count();
    if in_doubt > 0 {
        desk.output.say(&format!(
            "{in_doubt} of them may have been paid: nobody will ask the provider about them any more; `dlq check` asks now"
        ));
    }
    work(letters, &args.act, "discard", desk, async |letter, actor| discard_one(letter, actor, desk).await).await
}

/// Takes a discard back.
pub(super) async fn restore(args: &DlqRestoreArgs, desk: &Desk<'_>) -> Result<Exit, CommandError> {
    let letters = named(&args.ids, desk).await?;
    desk.output.say(&format!("restore {}", preview(&letters)));
    work(letters, &args.act, "restore", desk, async |letter, actor| restore_one(letter, actor, desk).await).await
}

/// Asks once, then goes through all of them; what a rule forbids for one leaves the others.
pub(super) async fn work(
    letters: Vec<DeadLetter>,
    act: &crate::cli::ActArgs,
    verb: &'static str,
    desk: &Desk<'_>,
    one: impl AsyncFn(&DeadLetter, &Actor) -> Result<Item, CommandError>,
) -> Result<Exit, CommandError> {
    if act.dry_run {
        let planned: Vec<_> = letters.iter().map(|letter| Item::done(letter, "planned", None)).collect();
        return tell(&planned, true, desk);
    }
    ask(act, desk.output, &format!("{verb} {}?", counted(letters.len() as u64, "dead letter")))?;
    let actor = Actor::of(act, desk.environment);
    let bar = desk.output.progress(letters.len() as u64, verb);
    let mut items = Vec::with_capacity(letters.len());
    for letter in &letters {
        items.push(match one(letter, &actor).await {
            // Of this one only: another operator or the worker was there first, or it is not in the state it must be in.
            Err(CommandError::Store(StoreError::Fenced { .. })) => {
                Item::moved_on(letter, moved_on(letter, desk).await.to_string())
            }
            Err(moved @ CommandError::MovedOn { .. }) => Item::moved_on(letter, moved.to_string()),
            Err(CommandError::Store(error @ (StoreError::DeadLetterState { .. } | StoreError::PastRetention(_)))) => {
                Item::failed(letter, chain(&error))
            }
            Err(CommandError::Refused { what, .. }) => Item::failed(letter, what),
            other => other?,
        });
        bar.inc(1);
    }
    bar.finish_and_clear();
    tell(&items, false, desk)
}

/// Against acting on what has changed since it was shown.
pub(super) fn must_be_open(letter: &DeadLetter) -> Result<(), CommandError> {
    match letter.closed {
        None => Ok(()),
        Some((_, how)) => Err(refused(format!("it is closed already: {}", how.as_str()))),
    }
}

pub(super) fn refused(what: impl Into<String>) -> CommandError {
    CommandError::Refused { what: what.into(), hint: "`worker dlq show ID` says what may be done".to_owned() }
}

/// The record of an operator's event; its provider's rules need not be configured any more for these.
fn recorded(
    (letter, job): (&DeadLetter, &StoredJob),
    event: &Event,
    actor: &Actor,
    desk: &Desk<'_>,
) -> Result<Record, CommandError> {
    let rules = desk.config.providers.get(&job.request.provider).or_else(|| desk.config.providers.values().next());
    let Some(rules) = rules else { return Err(refused("no provider is configured")) };
    let policy = rules.policy();
    let operator = Operator { by: &actor.by, why: &actor.reason };
    let act = Transition { letter: Some(letter), operator: Some(operator), ..Transition::of(job, &policy, desk.now) };
    act.record(event, desk.clock).map_err(|illegal| refused(illegal.to_string()))
}

fn stamp(desk: &Desk<'_>) -> Stamp {
    Stamp { id: desk.clock.ulid(), at: desk.now }
}

async fn discard_one(letter: &DeadLetter, actor: &Actor, desk: &Desk<'_>) -> Result<Item, CommandError> {
    must_be_open(letter)?;
    let shown = json!({ "reason": letter.reason.as_str(), "moneyState": letter.money_state.as_str() });
    let audit = actor.audit(desk.now, "dlq_discard", letter.id.as_str(), shown);
    match job_of(letter, desk).await? {
        Some(job) => {
            let mut record = recorded((letter, &job), &Event::Discarded, actor, desk)?;
            record.audit = Some(audit);
            desk.store.record(record).await?;
        }
        None => {
            let outcome = message_discarded(letter, actor, desk).await?;
            let close = CloseDeadLetter { id: letter.id.clone(), at: desk.now, outcome: Some(outcome), audit };
            desk.store.discard_refused(close).await?;
        }
    }
    Ok(Item::done(letter, "discarded", None))
}

async fn message_discarded(letter: &DeadLetter, actor: &Actor, desk: &Desk<'_>) -> Result<NewOutcome, CommandError> {
    // Lists come without the message.
    let whole = desk.store.dead_letter(&letter.id).await?;
    let carried = whole.and_then(|letter| letter.delivered).map(|delivered| carried(&delivered)).unwrap_or_default();
    let message = RefusedMessage {
        dead_letter: &letter.id,
        reason: letter.reason,
        detail: &letter.detail,
        claimed_reference: letter.claimed_reference.as_deref(),
        provider: letter.provider.as_deref(),
        carried: &carried,
    };
    Ok(event::message_discarded(stamp(desk), message, &actor.by, &actor.reason))
}

async fn restore_one(letter: &DeadLetter, actor: &Actor, desk: &Desk<'_>) -> Result<Item, CommandError> {
    if !matches!(letter.closed, Some((_, ClosedAs::Discarded))) {
        let how = letter.closed.map_or("open", |(_, how)| how.as_str());
        return Err(refused(format!("only what was discarded can be restored, and this is {how}")));
    }
    let audit = actor.audit(desk.now, "dlq_restore", letter.id.as_str(), Value::Null);
    let Some(job) = job_of(letter, desk).await? else {
        desk.store.restore_refused(&letter.id, audit).await?;
        return Ok(Item::done(letter, "restored", None));
    };
    if !matches!(job.job.state, State::Discarded { .. }) {
        return Err(refused(format!("its job is {}", job.job.state.name())));
    }
    // Producers were told that it ended: they are told that it needs a person again.
    let mut record = recorded((letter, &job), &Event::Restored, actor, desk)?;
    record.audit = Some(audit);
    desk.store.record(record).await?;
    Ok(Item::done(letter, "restored", None))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Purged {
    before: String,
    count: u64,
    amount: Rupiah,
    changed: bool,
    dry_run: bool,
}

/// Deletes what has been closed for long.
pub(super) async fn purge(args: &DlqPurgeArgs, desk: &Desk<'_>) -> Result<Exit, CommandError> {
    let horizon = desk.config.asking_horizon();
    if args.older_than < horizon {
        return Err(CommandError::Refused {
            what: format!("what was closed in the last {} can still be asked about or restored", age(horizon)),
            hint: format!("--older-than {} or more", age(horizon + Duration::from_secs(86_400))),
        });
    }
    let before = desk.now.minus(args.older_than);
    let (count, amount) = (desk.store.count_purgeable(before).await?, desk.store.purgeable_amount(before).await?);
    desk.output.say(&format!(
        "purge {}, {}: closed, with their messages, gone for good; their jobs stay",
        counted(count, "dead letter"),
        rupiah(amount.minor())
    ));
    let changes = !args.act.dry_run && count > 0;
    let purged = if changes {
        ask(&args.act, desk.output, "delete them?")?;
        let shown = json!({ "before": before.to_rfc3339(), "count": count, "amount": amount.to_string() });
        let audit = Actor::of(&args.act, desk.environment).audit(desk.now, "dlq_purge", "dead letters", shown);
        desk.store.purge_dead_letters(before, audit).await?
    } else {
        count
    };
    let dry_run = args.act.dry_run;
    let done = Purged { before: before.to_rfc3339(), count: purged, amount: amount.into(), changed: changes, dry_run };
    let text = || if changes { format!("{purged} purged\n") } else { String::new() };
    desk.output.object(&done, text).map_err(stdout)?;
    Ok(Exit::Done)
}
