//! `worker store`: what is in its file, whose namespace it has, and entering and leaving the mode in which every job is asked about
//! first (M12, M13).

mod adopt;
pub mod backup;
mod clock;
mod info;
mod leave;
pub mod restore;
#[cfg(test)]
mod tests;

use engine::{Event, State};
use outbox::{JobFilter, KnownJob, Reconcile, StoreError, StoredJob, Total};
use serde::Serialize;
use serde_json::json;
use snap_core::Timestamp;

use super::act::{Actor, ask};
use super::jobs::Rupiah;
use super::{Desk, stdout};
use crate::account::forgotten::{self, Elsewhere};
use crate::cli::{ActArgs, StoreCommand, StoreRestoredArgs};
use crate::exit::{CommandError, Exit};
use crate::output::{age, counted, moment, rupiah};
use crate::restored::as_it_may_stand;
use crate::transition::Transition;
use crate::wake::must_ask_first;

/// Jobs read at a time.
const PART: usize = 500;
/// A running worker changes jobs meanwhile; what it changed is read again, so often.
const ROUNDS: usize = 5;

/// Runs one of the commands.
///
/// # Errors
/// [`CommandError::Refused`] where jobs cannot be marked, [`CommandError::Declined`], or any failure of the store.
pub async fn run(command: &StoreCommand, desk: &Desk<'_>) -> Result<Exit, CommandError> {
    match command {
        StoreCommand::Info => info::show(desk).await?,
        // These open no store: see `backup` and `restore`.
        StoreCommand::Backup(_) | StoreCommand::Restore(_) => {}
        StoreCommand::Restored(args) => restored(args, desk).await?,
        StoreCommand::Reconciled(act) => reconciled(act, desk).await?,
        StoreCommand::ClockCorrected(args) => clock::corrected(args, desk).await?,
        StoreCommand::Adopt(args) => adopt::adopt(args, desk).await?,
    }
    Ok(Exit::Done)
}

const BEGUN: &str = "every job is asked about before anything is sent: start the worker";
const ENDED: &str = "the store counts as knowing everything; a running worker follows within a second";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Done {
    /// Since when the store asked first; null where it did not.
    since: Option<String>,
    cause: Option<String>,
    /// Until when it knows every key; null where nobody can say, and where it knows everything.
    known_until: Option<String>,
    /// Jobs, dead letters too, that are to be asked about before anything is sent.
    marked: u64,
    amount: Rupiah,
    changed: bool,
    dry_run: bool,
}

async fn restored(args: &StoreRestoredArgs, desk: &Desk<'_>) -> Result<(), CommandError> {
    let act = &args.act;
    let copied_at = args.copied_at.map(|when| when.at(desk.now));
    let known_until = desk.store.known_until(copied_at).await?;
    let unasked = unasked(desk.now, desk).await?;
    desk.output.say(&preview_of_restored(known_until, &unasked, desk));
    say_elsewhere(known_until, desk).await?;
    if act.dry_run {
        let mark = Reconcile { since: desk.now, reason: outbox::SAID_SO.to_owned(), known_until };
        return tell(Some(&mark), &unasked, None, act, desk);
    }
    ask(act, desk.output, "was the store put back from a copy?")?;
    let shown = json!({
        "copiedAt": copied_at.map(Timestamp::to_rfc3339),
        "knownUntil": known_until.map(Timestamp::to_rfc3339),
        "marked": unasked.len(),
        "amount": sum(&unasked).to_string(),
    });
    let audit = Actor::of(act, desk.environment).audit(desk.now, "store_restored", "store", shown);
    let mark = desk.store.mark_reconcile(copied_at, audit).await?;
    tell(Some(&mark), &unasked, Some(BEGUN), act, desk)
}

/// M14: where what is forgotten may have been sent to another account than is configured now.
async fn say_elsewhere(known_until: Option<Timestamp>, desk: &Desk<'_>) -> Result<(), CommandError> {
    let (noted, since) = (desk.store.accounts().await?, known_until.unwrap_or(Timestamp::from_millis(0)));
    for elsewhere in forgotten::elsewhere(desk.store, desk.config, &noted, since).await? {
        desk.output.say(&format!("{}\nhint: {}", elsewhere.told(), Elsewhere::hint()));
    }
    Ok(())
}

/// What an operator is shown before the store counts as put back.
fn preview_of_restored(known_until: Option<Timestamp>, unasked: &[StoredJob], desk: &Desk<'_>) -> String {
    let mut text = format!(
        "{}, {}, dead letters among them, are asked about before anything is sent\n",
        counted(unasked.len() as u64, "job"),
        rupiah(sum(unasked).minor())
    );
    match known_until {
        None => {
            text.push_str("nobody can say until when it knows every key: new jobs end as unresolved, before a person")
        }
        Some(until) => {
            text.push_str(&format!(
                "it knows every key up to {}: another counts as perhaps sent since then, and where that is longer ago than \
                 the provider's uniqueness window it ends as unresolved, before a person\n",
                moment(until)
            ));
            for (name, provider) in &desk.config.providers {
                let window = provider.policy().uniqueness_window;
                let over = if desk.now.since(until) > window { ": it is over" } else { "" };
                text.push_str(&format!("  {name}: uniqueness window {}{over}\n", age(window)));
            }
            text.push_str(
                "has a worker run on it since it was put back, then say --copied-at with the time of the copy, or one before it",
            );
        }
    }
    text
}

async fn reconciled(act: &ActArgs, desk: &Desk<'_>) -> Result<(), CommandError> {
    let Some(mark) = desk.store.reconcile().await? else {
        desk.output.say("the store is not in this mode: it knows of everything that was done");
        return tell(None, &[], None, act, desk);
    };
    let unasked = unasked(mark.since, desk).await?;
    all_configured(&unasked, desk)?;
    desk.output.say(&preview(&mark, &unasked));
    if mark.since > desk.now {
        return Err(CommandError::Refused {
            what: format!("until {} another process may still send under this store's name", moment(mark.since)),
            hint: "say it again then: what is new is sent at once from there on".to_owned(),
        });
    }
    if act.dry_run {
        return tell(Some(&mark), &unasked, None, act, desk);
    }
    ask(act, desk.output, "does the store know everything again?")?;
    let mut left = unasked.clone();
    for _ in 0..ROUNDS {
        for job in &left {
            mark_one(job, &mark, desk).await?;
        }
        left = self::unasked(mark.since, desk).await?;
        all_configured(&left, desk)?;
        if left.is_empty() {
            break;
        }
    }
    // What was shown is what is ended: a copy that was put back meanwhile is another matter.
    if desk.store.reconcile().await?.map(|now| now.since) != Some(mark.since) {
        return Err(CommandError::MovedOn { what: "the asking has ended, or has begun anew".to_owned() });
    }
    if !left.is_empty() {
        let what = format!("{} change faster than they can be marked", counted(left.len() as u64, "job"));
        return Err(CommandError::Refused { what, hint: "stop the worker and say it again".to_owned() });
    }
    let shown = json!({
        "since": mark.since.to_rfc3339(),
        "cause": mark.reason,
        "marked": unasked.len(),
        "amount": sum(&unasked).to_string(),
    });
    let audit = Actor::of(act, desk.environment).audit(desk.now, "store_reconciled", "store", shown);
    desk.store.clear_reconcile(audit).await?;
    tell(Some(&mark), &unasked, Some(ENDED), act, desk)
}

/// What was not asked about since the store came back, dead letters too.
async fn unasked(since: Timestamp, desk: &Desk<'_>) -> Result<Vec<StoredJob>, CommandError> {
    let states = ["ready", "inquired", "unconfirmed", "dead", "discarded"].map(str::to_owned).to_vec();
    let filter = JobFilter { states, oldest_first: true, ..JobFilter::default() };
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = desk.store.jobs(filter.clone(), after, PART).await?;
        // Nothing can be done to what is past retention any more.
        for job in page.items.into_iter().filter_map(KnownJob::whole) {
            if must_ask_first(&job, since) || may_be_replayed(&job, since) {
                found.push(job);
            }
        }
        after = page.next;
        if after.is_none() {
            return Ok(found);
        }
    }
}

fn all_configured(jobs: &[StoredJob], desk: &Desk<'_>) -> Result<(), CommandError> {
    match jobs.iter().find(|job| !desk.config.providers.contains_key(&job.request.provider)) {
        None => Ok(()),
        Some(job) => Err(CommandError::Refused {
            what: format!(
                "job {} is of provider {}, which is not configured",
                job.request.partner_reference_no, job.request.provider
            ),
            hint: "configure the provider until its jobs are settled".to_owned(),
        }),
    }
}

/// What an operator can still replay; a replay may have been forgotten.
fn may_be_replayed(job: &StoredJob, since: Timestamp) -> bool {
    matches!(job.job.state, State::Dead { .. } | State::Discarded { .. })
        && job.job.evidence.money != engine::MoneyState::Returned
        && job.job.evidence.last_ended_at.is_none_or(|ended| ended < since)
}

async fn mark_one(job: &StoredJob, mark: &Reconcile, desk: &Desk<'_>) -> Result<(), CommandError> {
    let event = Event::StoreRestored;
    let Some(provider) = desk.config.providers.get(&job.request.provider) else { return Ok(()) };
    let letter = match job.job.state {
        // It stays before a person, who is told that nobody knows any more whether it was sent; a discarded one stays closed.
        State::Dead { .. } => {
            let Some(timeline) = desk.store.timeline(&job.request.partner_reference_no).await? else { return Ok(()) };
            timeline.dead_letters.into_iter().find(|letter| letter.closed.is_none())
        }
        _ => None,
    };
    let stands = StoredJob { job: as_it_may_stand(job, mark), ..job.clone() };
    let policy = provider.policy();
    let (letter, counts_from) = (letter.as_ref(), Some(mark.since));
    let marking = Transition { letter, counts_from, ..Transition::of(&stands, &policy, desk.now) };
    let Ok(record) = marking.record(&event, desk.clock) else { return Ok(()) };
    match desk.store.record(record).await {
        Ok(_) | Err(StoreError::Fenced { .. }) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn sum(jobs: &[StoredJob]) -> Total {
    jobs.iter().fold(Total::default(), |sum, job| sum.plus(Total::from_minor(job.request.amount.minor().into())))
}

fn preview(mark: &Reconcile, unasked: &[StoredJob]) -> String {
    format!(
        "since {} every job is asked about before anything is sent ({})\n\
         {}, {}, were not asked about yet, dead letters among them: they stay marked to be asked about first\n\
         jobs that arrive from now on are new ones again, and are sent at once: a key of the time between the copy and the \
         restore must not come any more, published again by its producer or delivered again by the broker, which may still \
         hold what the lost store had not acknowledged",
        moment(mark.since),
        mark.reason,
        counted(unasked.len() as u64, "job"),
        rupiah(sum(unasked).minor()),
    )
}

fn tell(
    mark: Option<&Reconcile>,
    unasked: &[StoredJob],
    changed: Option<&str>,
    act: &ActArgs,
    desk: &Desk<'_>,
) -> Result<(), CommandError> {
    let done = Done {
        since: mark.map(|mark| mark.since.to_rfc3339()),
        cause: mark.map(|mark| mark.reason.clone()),
        known_until: mark.and_then(|mark| mark.known_until).map(Timestamp::to_rfc3339),
        marked: unasked.len() as u64,
        amount: sum(unasked).into(),
        changed: changed.is_some(),
        dry_run: act.dry_run,
    };
    let text = || changed.map_or_else(String::new, |changed| format!("{changed}\n"));
    desk.output.object(&done, text).map_err(stdout)
}
