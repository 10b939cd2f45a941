//! `worker submit`: the producer's side. Every job is looked at before the first one is sent.

mod input;
mod send;
#[cfg(test)]
mod tests;

use serde::Serialize;
use snap_core::Amount;

use super::jobs::Rupiah;
use super::stdout;
use crate::cli::SubmitArgs;
use crate::clock::Clock;
use crate::config::Config;
use crate::exit::{CommandError, Exit};
use crate::output::{Cell, Column, Output, Table, Tone, counted, rupiah};

pub use input::InputError;
use input::Job;

/// Sends the jobs of a file, all or none.
///
/// # Errors
/// [`CommandError::Input`] where a job is not valid: nothing was sent then. A broker or store that fails on the way.
pub async fn run(args: &SubmitArgs, config: &Config, clock: &Clock, output: &Output) -> Result<Exit, CommandError> {
    let text = input::read(&args.file)?;
    let providers = crate::app::config_providers(&config.providers, config.default_provider.as_deref());
    let jobs = input::jobs(&args.file, &text, &providers)?;
    let bar = output.progress(jobs.len() as u64, "jobs");
    let sent = match &config.amqp {
        Some(section) => send::to_broker(section, &jobs, clock, &bar).await,
        None => send::to_store(config, &jobs, clock, &bar).await,
    };
    bar.finish_and_clear();
    let summary = Summary::new(&jobs, sent?, config.amqp.is_some());
    let is_done = summary.problems.is_empty();
    output.object(&summary, || summary.text(output.color())).map_err(stdout)?;
    Ok(if is_done { Exit::Done } else { Exit::SomeFailed })
}

/// What became of one job.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Sent {
    /// The broker confirmed it, or it is in the store.
    Taken,
    /// The store knew it already, with the same content: nothing happens twice.
    Duplicate,
    /// The store knew its key with other content: a dead letter was recorded.
    Conflict { dead_letter: String, fields: Vec<&'static str> },
    /// No queue took it, or the broker refused it.
    NotTaken,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Summary {
    submitted: usize,
    duplicates: usize,
    conflicts: usize,
    not_taken: usize,
    /// Of the submitted ones.
    amount: Rupiah,
    transport: &'static str,
    problems: Vec<Problem>,
    #[serde(skip)]
    minor: u128,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Problem {
    line: usize,
    partner_reference_no: String,
    problem: &'static str,
    fields: Vec<&'static str>,
    dead_letter_id: Option<String>,
}

impl Summary {
    fn new(jobs: &[Job], sent: Vec<Sent>, is_amqp: bool) -> Self {
        let (mut submitted, mut duplicates, mut minor) = (0, 0, 0_u128);
        let mut problems = Vec::new();
        for (job, sent) in jobs.iter().zip(sent) {
            let mut problem = |problem, fields, dead_letter_id| {
                let partner_reference_no = job.request.partner_reference_no.to_string();
                problems.push(Problem { line: job.line, partner_reference_no, problem, fields, dead_letter_id });
            };
            match sent {
                Sent::Taken => {
                    submitted += 1;
                    minor += u128::from(Amount::minor(job.request.amount));
                }
                Sent::Duplicate => duplicates += 1,
                Sent::Conflict { dead_letter, fields } => problem("conflict", fields, Some(dead_letter)),
                Sent::NotTaken => problem("not_taken", Vec::new(), None),
            }
        }
        let count = |kind| problems.iter().filter(|problem| problem.problem == kind).count();
        Self {
            submitted,
            duplicates,
            conflicts: count("conflict"),
            not_taken: count("not_taken"),
            amount: outbox::Total::from_minor(minor).into(),
            transport: if is_amqp { "amqp" } else { "store" },
            problems,
            minor,
        }
    }

    fn text(&self, color: bool) -> String {
        let to = match (self.submitted, self.transport) {
            (0, _) => "",
            (_, "amqp") => "; the broker has them",
            _ => "; they are in the store",
        };
        let some = |count: usize, what: &str| (count > 0).then(|| format!("{count} {what}"));
        let mut text = Table::facts([
            ("submitted", Some(format!("{}, {}{to}", counted(self.submitted as u64, "job"), rupiah(self.minor)))),
            ("duplicates", some(self.duplicates, "were known already; nothing happens twice")),
            ("conflicts", some(self.conflicts, "have a known key with other content; each is a dead letter now")),
            ("not taken", some(self.not_taken, "were refused by the broker, or no queue is bound")),
        ])
        .render(color);
        if !self.problems.is_empty() {
            text.push('\n');
            text.push_str(&self.table().render(color));
        }
        text
    }

    fn table(&self) -> Table {
        let columns = [Column::right("LINE"), Column::left("REFERENCE"), Column::left("PROBLEM"), Column::left("MORE")];
        let mut table = Table::new(columns);
        for problem in &self.problems {
            let fields = (!problem.fields.is_empty()).then(|| format!("differs in {}", problem.fields.join(", ")));
            let letter = problem.dead_letter_id.as_ref().map(|id| format!("dead letter {id}"));
            let more = [fields, letter].into_iter().flatten().collect::<Vec<_>>().join("; ");
            table.row([
                Cell::new(problem.line.to_string()),
                Cell::new(&problem.partner_reference_no),
                Cell::toned(problem.problem, Tone::Bad),
                Cell::new(more),
            ]);
        }
        table
    }
}
