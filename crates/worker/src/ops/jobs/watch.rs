//! `worker jobs watch`: the totals, again and again.

use std::collections::BTreeMap;
use std::io::IsTerminal as _;

use outbox::{StateTotal, Store};
use serde::Serialize;
use snap_core::Timestamp;
use tokio::time::Instant;

use super::{StatsItem, tone_of_state};
use crate::cli::{Format, JobsWatchArgs};
use crate::exit::CommandError;
use crate::ops::stdout;
use crate::output::{Cell, Column, Output, Table, age, moment, rupiah};

/// A look that took long is not repeated before so many times as long.
const REST: u32 = 10;
/// To the top of the screen, and what is below is gone.
const CLEAR: &str = "\u{1b}[H\u{1b}[2J";

#[derive(Serialize)]
struct Look<'a> {
    at: String,
    items: Vec<StatsItem<'a>>,
}

pub(super) async fn watch(
    args: &JobsWatchArgs,
    store: &Store,
    start: Timestamp,
    output: &Output,
) -> Result<(), CommandError> {
    let is_screen = output.format() == Format::Table && output.is_process() && std::io::stdout().is_terminal();
    let started = Instant::now();
    let mut before: Option<BTreeMap<(String, String), u64>> = None;
    let mut rounds = 0;
    loop {
        let began = Instant::now();
        let now = start.plus(started.elapsed());
        let totals = store.totals(args.filter.at(now)).await?;
        let took = began.elapsed();
        let look =
            Look { at: now.to_rfc3339(), items: totals.iter().map(|total| StatsItem::new(total, now)).collect() };
        match output.format() {
            // One look a line, that a reader can take one by one.
            Format::Json | Format::Jsonl => {
                let line = serde_json::to_string(&look).map_err(|error| stdout(error.into()))?;
                output.write(&(line + "\n")).map_err(stdout)?;
            }
            Format::Table => {
                let head = if is_screen { CLEAR } else { "" };
                let table = table(&totals, before.as_ref(), now).render(output.color());
                output.write(&format!("{head}{}\n\n{table}\n", moment(now))).map_err(stdout)?;
            }
        }
        before = Some(totals.into_iter().map(|total| ((total.provider, total.state), total.count)).collect());
        rounds += 1;
        if output.reader_left() || args.rounds.is_some_and(|wanted| rounds >= wanted) {
            return Ok(());
        }
        tokio::time::sleep_until(began + args.every.max(took * REST)).await;
    }
}

fn table(totals: &[StateTotal], before: Option<&BTreeMap<(String, String), u64>>, now: Timestamp) -> Table {
    let mut table = Table::new([
        Column::left("PROVIDER"),
        Column::left("STATE"),
        Column::right("JOBS"),
        Column::right("CHANGE"),
        Column::right("AMOUNT"),
        Column::right("OLDEST"),
    ]);
    for total in totals {
        let key = (total.provider.clone(), total.state.clone());
        let change = before.map_or(0, |before| change(before.get(&key).copied().unwrap_or(0), total.count));
        table.row([
            Cell::new(&total.provider),
            Cell::toned(&total.state, tone_of_state(&total.state)),
            Cell::new(total.count.to_string()),
            Cell::new(if change == 0 { String::new() } else { format!("{change:+}") }),
            Cell::new(rupiah(total.amount.minor())),
            Cell::new(age(now.since(total.oldest))),
        ]);
    }
    table
}

fn change(before: u64, now: u64) -> i64 {
    let number = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    number(now) - number(before)
}
