//! `worker jobs`: jobs as the store knows them. Reads only; customers are shown masked.

mod export;
#[cfg(test)]
mod tests;
mod view;
mod watch;

use outbox::{JobId, KnownJob, StateTotal, Store, Total};
use serde::Serialize;
use snap_core::{PartnerReferenceNo, Timestamp};

use super::{stdout, timeline};
use crate::cli::{JobsCommand, JobsListArgs, JobsStatsArgs};
use crate::exit::{CommandError, Exit};
use crate::output::{Cell, Column, Output, Table, Tone, age, rupiah};

pub(super) use view::{JobView, Rupiah};

/// Runs one of the commands.
///
/// # Errors
/// [`CommandError::NotFound`], a cursor that is none, or any failure of the store.
pub async fn run(command: &JobsCommand, store: &Store, now: Timestamp, output: &Output) -> Result<Exit, CommandError> {
    match command {
        JobsCommand::List(args) => list(args, store, now, output).await?,
        JobsCommand::Show(args) => show(&args.reference, store, output).await?,
        JobsCommand::Stats(args) => stats(args, store, now, output).await?,
        JobsCommand::Export(args) => export::export(args.filter.at(now), store, output).await?,
        JobsCommand::Watch(args) => watch::watch(args, store, now, output).await?,
    }
    Ok(Exit::Done)
}

async fn list(args: &JobsListArgs, store: &Store, now: Timestamp, output: &Output) -> Result<(), CommandError> {
    let mut filter = args.filter.at(now);
    filter.oldest_first = args.oldest_first;
    let after = args.page.after.as_deref().map(cursor).transpose()?;
    let page = store.jobs(filter, after, args.page.limit as usize).await?;
    let next = page.next.map(|id| id.to_string());
    let items: Vec<_> = page.items.iter().map(JobView::new).collect();
    output.list("jobs", &items, next.as_deref(), || table(&page.items, now)).map_err(stdout)
}

fn cursor(text: &str) -> Result<JobId, CommandError> {
    text.parse().map(JobId).map_err(|_no_number| {
        CommandError::usage(format!("--after {text} is no cursor of this list"), "take `next` of the page before")
    })
}

fn table(jobs: &[KnownJob], now: Timestamp) -> Table {
    let mut table = Table::new([
        Column::left("REFERENCE"),
        Column::left("PROVIDER"),
        Column::left("CUSTOMER"),
        Column::right("AMOUNT"),
        Column::left("STATE"),
        Column::left("CODE"),
        Column::right("AGE"),
    ]);
    for job in jobs {
        let state = job.state();
        let (provider, customer, amount, code) = match job {
            KnownJob::Whole(job) => (
                &job.request.provider,
                Some(job.request.customer_number.masked()),
                job.request.amount,
                job.response_code.as_ref(),
            ),
            KnownJob::Tombstone(left) => (&left.provider, None, left.amount, left.response_code.as_ref()),
        };
        table.row([
            Cell::new(job.partner_reference_no().as_str()),
            Cell::new(provider),
            Cell::maybe(customer.as_ref()),
            Cell::new(rupiah(amount.minor().into())),
            Cell::toned(state, tone_of_state(state)),
            Cell::maybe(code),
            Cell::new(age(now.since(job.accepted_at()))),
        ]);
    }
    table
}

/// How a state looks to an operator.
pub(super) fn tone_of_state(state: &str) -> Tone {
    match state {
        "succeeded" => Tone::Good,
        "unconfirmed" | "sending" => Tone::Notice,
        "dead" => Tone::Bad,
        "discarded" => Tone::Faint,
        _ => Tone::Plain,
    }
}

#[derive(Serialize)]
struct Shown<'a> {
    #[serde(flatten)]
    job: JobView<'a>,
    timeline: Vec<timeline::Entry>,
}

async fn show(reference: &PartnerReferenceNo, store: &Store, output: &Output) -> Result<(), CommandError> {
    let Some(found) = store.timeline(reference).await? else {
        return Err(CommandError::NotFound {
            what: format!("job {reference}"),
            hint: format!(
                "`worker jobs list --match {reference}` looks for a part of it, `worker dlq list` for messages that became no job"
            ),
        });
    };
    let shown = Shown { job: JobView::new(&found.job), timeline: timeline::entries(&found, &store.accounts().await?) };
    let text = || {
        let color = output.color();
        let state = found.job.state();
        let title =
            format!("{}  {}", Tone::Strong.paint(reference.as_str(), color), tone_of_state(state).paint(state, color));
        format!("{title}\n\n{}\n{}", shown.job.facts().render(color), timeline::table(&shown.timeline).render(color))
    };
    output.object(&shown, text).map_err(stdout)
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct StatsItem<'a> {
    provider: &'a str,
    state: &'a str,
    count: u64,
    amount: Rupiah,
    oldest_at: String,
    oldest_age_seconds: u64,
}

impl<'a> StatsItem<'a> {
    fn new(total: &'a StateTotal, now: Timestamp) -> Self {
        Self {
            provider: &total.provider,
            state: &total.state,
            count: total.count,
            amount: total.amount.into(),
            oldest_at: total.oldest.to_rfc3339(),
            oldest_age_seconds: now.since(total.oldest).as_secs(),
        }
    }
}

async fn stats(args: &JobsStatsArgs, store: &Store, now: Timestamp, output: &Output) -> Result<(), CommandError> {
    let totals = store.totals(args.filter.at(now)).await?;
    let items: Vec<_> = totals.iter().map(|total| StatsItem::new(total, now)).collect();
    output.list("jobs", &items, None, || stats_table(&totals, now)).map_err(stdout)
}

fn stats_table(totals: &[StateTotal], now: Timestamp) -> Table {
    let mut table = Table::new([
        Column::left("PROVIDER"),
        Column::left("STATE"),
        Column::right("JOBS"),
        Column::right("AMOUNT"),
        Column::right("OLDEST"),
    ]);
    for total in totals {
        table.row([
            Cell::new(&total.provider),
            Cell::toned(&total.state, tone_of_state(&total.state)),
            Cell::new(total.count.to_string()),
            Cell::new(rupiah(total.amount.minor())),
            Cell::new(age(now.since(total.oldest))),
        ]);
    }
    if let [_, _, ..] = totals {
        let count: u64 = totals.iter().map(|total| total.count).sum();
        let amount = totals.iter().fold(Total::default(), |sum, total| sum.plus(total.amount));
        table.row([
            Cell::toned("together", Tone::Strong),
            Cell::new(""),
            Cell::toned(count.to_string(), Tone::Strong),
            Cell::toned(rupiah(amount.minor()), Tone::Strong),
            Cell::new(""),
        ]);
    }
    table
}
