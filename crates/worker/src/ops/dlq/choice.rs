//! Which dead letters a command acts on, and what became of each.

use outbox::{DeadLetter, DeadLetterFilter, DeadLetterId, Total};
use serde::Serialize;

use crate::cli::DlqChoiceArgs;
use crate::exit::{CommandError, Exit};
use crate::ops::jobs::Rupiah;
use crate::ops::{Desk, stdout};
use crate::output::{Cell, Column, Table, Tone, counted, rupiah};

/// Read at a time.
const PART: usize = 500;

/// The chosen ones, the oldest first.
///
/// # Errors
/// [`CommandError::Usage`] for both ids and a filter, or neither; [`CommandError::NotFound`] where nothing is found.
pub(super) async fn chosen(args: &DlqChoiceArgs, desk: &Desk<'_>) -> Result<Vec<DeadLetter>, CommandError> {
    match (args.ids.is_empty(), args.filter.is_empty() && !args.all) {
        (false, false) => Err(CommandError::usage("ids and a filter are given", "give one of them")),
        (true, true) => Err(CommandError::usage(
            "nothing says which dead letters",
            "name ids, or a filter such as --group, or --all for every open one",
        )),
        (false, true) => named(&args.ids, desk).await,
        (true, false) => found(args.filter.at(desk.now), desk).await,
    }
}

/// Those with these ids, open or closed, each once.
pub(super) async fn named(ids: &[String], desk: &Desk<'_>) -> Result<Vec<DeadLetter>, CommandError> {
    let mut letters: Vec<DeadLetter> = Vec::with_capacity(ids.len());
    for id in ids {
        let id = DeadLetterId::new(id.as_str());
        let Some(letter) = desk.store.dead_letter(&id).await? else {
            return Err(CommandError::NotFound {
                what: format!("dead letter {id}"),
                hint: "`worker dlq list` shows the open ones".to_owned(),
            });
        };
        if !letters.iter().any(|known| known.id == letter.id) {
            letters.push(letter);
        }
    }
    Ok(letters)
}

async fn found(filter: DeadLetterFilter, desk: &Desk<'_>) -> Result<Vec<DeadLetter>, CommandError> {
    let (mut letters, mut after) = (Vec::new(), None);
    loop {
        let page = desk.store.dead_letters(filter.clone(), after, PART).await?;
        letters.extend(page.items);
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    if letters.is_empty() {
        return Err(CommandError::NotFound {
            what: "open dead letter that this filter finds".to_owned(),
            hint: "`worker dlq groups` shows what there is".to_owned(),
        });
    }
    Ok(letters)
}

/// Their count, rupiah and what is known of the money, in one line.
pub(super) fn preview(letters: &[DeadLetter]) -> String {
    let amount = |letter: &DeadLetter| letter.amount.map_or(0, |amount| u128::from(amount.minor()));
    let total: u128 = letters.iter().map(amount).sum();
    let mut text = format!("{}, {}", counted(letters.len() as u64, "dead letter"), rupiah(total));
    for state in engine::MoneyState::ALL {
        let of_state: Vec<_> = letters.iter().filter(|letter| letter.money_state == state).collect();
        if !of_state.is_empty() {
            let sum: u128 = of_state.iter().map(|letter| amount(letter)).sum();
            text.push_str(&format!("; {} {} ({})", of_state.len(), state.as_str(), rupiah(sum)));
        }
    }
    text
}

/// What became of one.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Item {
    id: String,
    partner_reference_no: Option<String>,
    amount: Option<Rupiah>,
    /// In one word: `discarded`, `restored`, `succeeded`, … ; `refused` where a rule forbade it; `moved_on` where it has
    /// changed since it was shown; `planned` in a dry run.
    result: &'static str,
    /// Null where the word says all.
    detail: Option<String>,
    #[serde(skip)]
    failed: bool,
    #[serde(skip)]
    money: Total,
}

impl Item {
    pub(super) fn done(letter: &DeadLetter, result: &'static str, detail: Option<String>) -> Self {
        Self::of(letter, result, detail, false)
    }

    pub(super) fn failed(letter: &DeadLetter, detail: impl Into<String>) -> Self {
        Self::of(letter, "refused", Some(detail.into()), true)
    }

    /// It has changed since it was shown, and was left as it is.
    pub(super) fn moved_on(letter: &DeadLetter, detail: impl Into<String>) -> Self {
        Self::of(letter, "moved_on", Some(detail.into()), true)
    }

    /// It could not be done for now; no rule forbids it.
    pub(super) fn unreachable(letter: &DeadLetter, detail: impl Into<String>) -> Self {
        Self::of(letter, "failed", Some(detail.into()), true)
    }

    fn of(letter: &DeadLetter, result: &'static str, detail: Option<String>, failed: bool) -> Self {
        Self {
            id: letter.id.to_string(),
            partner_reference_no: letter.partner_reference_no.as_ref().map(ToString::to_string),
            amount: letter.amount.map(Rupiah::from),
            result,
            detail,
            failed,
            money: letter.amount.map_or(Total::default(), |amount| Total::from_minor(amount.minor().into())),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Summary<'a> {
    items: &'a [Item],
    count: usize,
    amount: Rupiah,
    failed: usize,
    dry_run: bool,
}

/// Tells what became of each; some of several failed is 3, the only one refused is 5.
pub(super) fn tell(items: &[Item], dry_run: bool, desk: &Desk<'_>) -> Result<Exit, CommandError> {
    let failed = items.iter().filter(|item| item.failed).count();
    let amount = items.iter().fold(Total::default(), |sum, item| sum.plus(item.money));
    let summary = Summary { items, count: items.len(), amount: amount.into(), failed, dry_run };
    let text = || {
        let mut table = Table::new([
            Column::left("ID"),
            Column::left("REFERENCE"),
            Column::right("AMOUNT"),
            Column::left("RESULT"),
            Column::left(""),
        ]);
        for item in items {
            let tone = if item.failed { Tone::Bad } else { Tone::Good };
            table.row([
                Cell::new(&item.id),
                Cell::maybe(item.partner_reference_no.as_ref()),
                Cell::new(rupiah(item.money.minor())),
                Cell::toned(item.result, tone),
                Cell::new(item.detail.as_deref().unwrap_or_default()),
            ]);
        }
        table.render(desk.output.color())
    };
    desk.output.object(&summary, text).map_err(stdout)?;
    Ok(match items {
        _ if failed == 0 => Exit::Done,
        [only] if matches!(only.result, "refused" | "moved_on") => Exit::Refused,
        _ => Exit::SomeFailed,
    })
}
