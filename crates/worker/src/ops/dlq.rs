//! `worker dlq`: what stands before a person. Whatever changes a job is an event of the engine.

mod amend;
mod check;
mod choice;
mod close;
mod edit;
mod groups;
mod message;
mod next;
mod plans;
mod replay;
mod shown;
#[cfg(test)]
mod tests;

use outbox::{DeadLetter, DeadLetterFilter, DeadLetterId, KnownJob, Store, Timeline};
use serde::Serialize;
use snap_core::Timestamp;

use super::explain::reasons;
use super::jobs::Rupiah;
use super::{Desk, stdout, timeline};
use crate::cli::{DlqCommand, DlqListArgs};
use crate::exit::{CommandError, Exit};
use crate::output::{Cell, Column, Output, Table, Tone, age, moment, rupiah};
use crate::replay::Rules;
use message::MessageView;

/// Runs one of the commands.
///
/// # Errors
/// [`CommandError::NotFound`], a rule that forbids it, nobody to ask, or any failure of the store.
pub async fn run(command: &DlqCommand, desk: &Desk<'_>) -> Result<Exit, CommandError> {
    let Desk { store, now, output, .. } = *desk;
    match command {
        DlqCommand::Groups(args) => groups::groups(args, store, now, output).await?,
        DlqCommand::List(args) => list(args, store, now, output).await?,
        DlqCommand::Show(args) => show(&args.id, desk).await?,
        DlqCommand::Check(args) => return Box::pin(check::check(args, desk)).await,
        DlqCommand::Replay(args) => return Box::pin(replay::replay(args, desk)).await,
        DlqCommand::Plans(command) => return Box::pin(plans::run(command, desk)).await,
        DlqCommand::Edit(args) => return edit::edit(args, desk).await,
        DlqCommand::Discard(args) => return close::discard(args, desk).await,
        DlqCommand::Restore(args) => return close::restore(args, desk).await,
        DlqCommand::Purge(args) => return close::purge(args, desk).await,
    }
    Ok(Exit::Done)
}

/// A dead letter by the contract's field names.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct LetterView<'a> {
    id: &'a str,
    partner_reference_no: Option<&'a str>,
    claimed_partner_reference_no: Option<&'a str>,
    provider: Option<&'a str>,
    reason: &'static str,
    detail: &'a str,
    money_state: &'static str,
    response_code: Option<&'a str>,
    amount: Option<Rupiah>,
    attempts: u32,
    dead_at: String,
    closed_at: Option<String>,
    closed_as: Option<&'static str>,
}

impl<'a> LetterView<'a> {
    fn new(letter: &'a DeadLetter) -> Self {
        Self {
            id: letter.id.as_str(),
            partner_reference_no: letter.partner_reference_no.as_ref().map(|reference| reference.as_str()),
            claimed_partner_reference_no: letter.claimed_reference.as_deref(),
            provider: letter.provider.as_deref(),
            reason: letter.reason.as_str(),
            detail: &letter.detail,
            money_state: letter.money_state.as_str(),
            response_code: letter.response_code.as_deref(),
            amount: letter.amount.map(Rupiah::from),
            attempts: letter.attempts,
            dead_at: letter.dead_at.to_rfc3339(),
            closed_at: letter.closed.map(|(at, _)| at.to_rfc3339()),
            closed_as: letter.closed.map(|(_, how)| timeline::closed_word(how)),
        }
    }
}

async fn list(args: &DlqListArgs, store: &Store, now: Timestamp, output: &Output) -> Result<(), CommandError> {
    let after = args.page.after.clone().map(DeadLetterId::new);
    let filter = DeadLetterFilter { closed_too: args.closed, ..args.filter.at(now) };
    let page = store.dead_letters(filter, after, args.page.limit as usize).await?;
    let items: Vec<_> = page.items.iter().map(LetterView::new).collect();
    let next = page.next.as_ref().map(DeadLetterId::as_str);
    output.list("dead letters", &items, next, || table(&page.items, now)).map_err(stdout)
}

/// Two lines for each: what it is above, whose it is and what it is about below.
fn table(letters: &[DeadLetter], now: Timestamp) -> Table {
    let mut table = Table::new([
        Column::left("ID / REFERENCE"),
        Column::left("REASON"),
        Column::left("MONEY"),
        Column::right("AGE"),
        Column::left("DETAIL"),
    ]);
    for letter in letters {
        let reference = letter.partner_reference_no.as_ref().map(|reference| reference.as_str());
        let claimed = letter.claimed_reference.as_ref().map(|claimed| format!("claims {claimed}"));
        let origin = [letter.provider.as_deref(), letter.response_code.as_deref()];
        let origin = origin.into_iter().flatten().collect::<Vec<_>>().join(" ");
        let amount = letter.amount.map(|amount| rupiah(amount.minor().into()));
        table.row([
            Cell::new(letter.id.as_str()).below(Cell::new(reference.or(claimed.as_deref()).unwrap_or_default())),
            Cell::toned(letter.reason.as_str(), Tone::Bad).below(Cell::new(origin)),
            Cell::toned(letter.money_state.as_str(), tone_of_money(letter))
                .below(Cell::new(amount.unwrap_or_default())),
            Cell::new(age(now.since(letter.dead_at))),
            detail(letter),
        ]);
    }
    table
}

fn detail(letter: &DeadLetter) -> Cell {
    let detail = Cell::new(&letter.detail);
    match letter.closed {
        Some((_, how)) => detail.below(Cell::toned(format!("closed: {}", timeline::closed_word(how)), Tone::Faint)),
        None => detail,
    }
}

const fn tone_of_money(letter: &DeadLetter) -> Tone {
    match letter.money_state {
        engine::MoneyState::MaybeSent => Tone::Notice,
        _ => Tone::Plain,
    }
}

#[derive(Serialize)]
struct Shown<'a> {
    #[serde(flatten)]
    letter: LetterView<'a>,
    why: Why,
    /// What may be done about it, and what each would do.
    next: Vec<next::Next>,
    /// Of the job; empty for a refused message.
    history: Vec<timeline::Entry>,
    /// Null for a job: it was taken in, and `jobs show` tells of it.
    message: Option<MessageView<'a>>,
}

/// Why it is here, in words.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Why {
    meaning: &'static str,
    money: &'static str,
    look_at: &'static str,
}

impl Why {
    const fn of(letter: &DeadLetter) -> Self {
        let words = reasons::of(letter.reason);
        Self { meaning: words.meaning, money: reasons::of_money(letter.money_state), look_at: words.look_at }
    }
}

async fn show(id: &str, desk: &Desk<'_>) -> Result<(), CommandError> {
    let Desk { store, output, .. } = *desk;
    let id = DeadLetterId::new(id);
    let Some(letter) = store.dead_letter(&id).await? else {
        return Err(CommandError::NotFound {
            what: format!("dead letter {id}"),
            hint: "`worker dlq list` shows the open ones".to_owned(),
        });
    };
    let job = match &letter.partner_reference_no {
        Some(reference) => store.timeline(reference).await?,
        None => None,
    };
    let names = if job.is_some() { store.accounts().await? } else { Vec::new() };
    let verdict = replay::judge(&letter, &Rules::of(desk.config), desk).await?;
    let shown = Shown {
        letter: LetterView::new(&letter),
        why: Why::of(&letter),
        next: next::of(&letter, &verdict, matches!(&job, Some(Timeline { job: KnownJob::Tombstone(_), .. }))),
        history: job.as_ref().map(|job| timeline::entries(job, &names)).unwrap_or_default(),
        message: letter.delivered.as_ref().map(MessageView::new),
    };
    output.object(&shown, || shown_text(&shown, &letter, output.color())).map_err(stdout)
}

fn shown_text(shown: &Shown<'_>, letter: &DeadLetter, color: bool) -> String {
    let view = &shown.letter;
    let title = |text: &str| Tone::Strong.paint(text, color);
    let closed = letter.closed.map(|(at, how)| format!("{} {}", timeline::closed_word(how), moment(at)));
    let facts = Table::facts([
        ("reference", view.partner_reference_no.map(str::to_owned)),
        ("claims to be", view.claimed_partner_reference_no.map(str::to_owned)),
        ("provider", view.provider.map(str::to_owned)),
        ("detail", Some(view.detail.to_owned())),
        ("means", Some(shown.why.meaning.to_owned())),
        ("look at", Some(shown.why.look_at.to_owned())),
        ("money", Some(format!("{}: {}", view.money_state, shown.why.money))),
        ("amount", letter.amount.map(|amount| rupiah(amount.minor().into()))),
        ("response code", view.response_code.map(str::to_owned)),
        ("top-up attempts", letter.job.map(|_| view.attempts.to_string())),
        ("dead since", Some(moment(letter.dead_at))),
        ("closed", closed),
    ]);
    let mut text = format!(
        "{}  {}\n\n{}",
        title(&crate::output::plain_text(view.id)),
        Tone::Bad.paint(view.reason, color),
        facts.render(color)
    );
    if !shown.next.is_empty() {
        text.push_str(&format!("\n{}\n\n{}", title("What may be done"), what_next(&shown.next).render(color)));
    }
    if !shown.history.is_empty() {
        text.push('\n');
        text.push_str(&timeline::table(&shown.history).render(color));
    }
    if let Some(message) = &shown.message {
        text.push_str(&format!("\n{}\n{}", title("Message"), message.text(color)));
    }
    text
}

fn what_next(next: &[next::Next]) -> Table {
    let mut table = Table::new([Column::left("COMMAND"), Column::left("EFFECT")]);
    for step in next {
        let tone = if step.allowed { Tone::Plain } else { Tone::Faint };
        let effect = if step.allowed { step.effect.clone() } else { format!("no: {}", step.effect) };
        table.row([Cell::toned(&step.command, tone), Cell::toned(effect, tone)]);
    }
    table
}
