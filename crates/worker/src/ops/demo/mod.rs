//! `worker demo`: the main job on real input with nothing installed — embedded store, provider simulator, real HTTP with
//! real signatures — or the same through RabbitMQ.

mod feed;
mod play;
mod verdict;

use std::fmt::Write as _;

use outbox::DeadLetter;

use crate::cli::{DemoArgs, Faults};
use crate::exit::{CommandError, Exit};
use crate::ops::simulated::folder::Folder;
use crate::output::{Cell, Column, Output, Table, Tone, counted};
use crate::signals;
use play::{Play, Played, play};
use verdict::Verdict;

/// Plays the demo and shows what came of it.
///
/// # Errors
/// [`CommandError`]: the folder cannot be used, the broker cannot be reached, or the run did not come to its end.
pub async fn run(args: &DemoArgs, output: &Output) -> Result<Exit, CommandError> {
    let folder = Folder::open(args.keep.as_deref(), "demo")?;
    let bar = output.progress(u64::from(args.jobs), "top-ups");
    output.say(&format!(
        "{} top-ups through {}, provider faults: {}",
        args.jobs,
        if args.amqp.is_some() { "RabbitMQ" } else { "the store alone" },
        args.faults.name()
    ));
    let playing = Play {
        jobs: args.jobs as usize,
        amqp: args.amqp.as_deref(),
        faults: args.faults.into(),
        seed: args.seed,
        directory: &folder.path,
        keep: args.keep.is_some(),
    };
    let progress = |ended| bar.set_position(ended);
    let played = signals::until_told(|stopped| async move {
        tokio::select! {
            played = play(&playing, &progress) => played.map_err(CommandError::from),
            () = stopped.cancelled() => Err(CommandError::usage("the demo was stopped", "start it again; it begins anew")),
        }
    });
    let played = Box::pin(played).await.map_err(|source| CommandError::io("listen to signals", source)).flatten();
    bar.finish_and_clear();
    let Played { verdict, dead_letters } = match played {
        Ok(played) => played,
        Err(error) => {
            folder.close();
            return Err(error);
        }
    };
    let wrote = output.object(&verdict, || text(&verdict, &dead_letters, args, output.color()));
    let written = wrote.map_err(|source| CommandError::File { what: "write to stdout".to_owned(), source });
    folder.close();
    written?;
    let clean = verdict.lost == 0 && verdict.double_credits == 0;
    Ok(if clean { Exit::Done } else { Exit::SomeFailed })
}

fn text(verdict: &Verdict, dead_letters: &[DeadLetter], args: &DemoArgs, color: bool) -> String {
    let mut text = outcomes(verdict).render(color);
    text.push('\n');
    text.push_str(&ledger(verdict).render(color));
    if !dead_letters.is_empty() {
        text.push_str("\nDead letters, oldest first (the first few are messages that producers got wrong):\n");
        text.push_str(&dead(dead_letters).render(color));
    }
    text.push_str(&next(args));
    text
}

fn outcomes(verdict: &Verdict) -> Table {
    let columns = [Column::left("OUTCOME"), Column::left("PROVIDER"), Column::left("REASON"), Column::right("JOBS")];
    let mut table = Table::new(columns);
    for ((outcome, provider, reason), count) in &verdict.ends {
        let tone = match outcome.as_str() {
            "succeeded" => Tone::Good,
            "dead" => Tone::Bad,
            _ => Tone::Plain,
        };
        let reason = (!reason.is_empty()).then_some(reason);
        table.row([Cell::toned(outcome, tone), Cell::new(provider), Cell::maybe(reason), Cell::new(count.to_string())]);
    }
    table
}

fn ledger(verdict: &Verdict) -> Table {
    let mut table = Table::new([Column::left("THE PROVIDER'S LEDGER SAYS"), Column::right("")]);
    let judged = |count: u64| Cell::toned(count.to_string(), if count == 0 { Tone::Good } else { Tone::Bad });
    table.row([Cell::new("credits"), Cell::new(verdict.credits.to_string())]);
    table.row([Cell::new("double credits"), judged(verdict.double_credits)]);
    table.row([Cell::new("lost"), judged(verdict.lost)]);
    let pace = format!(
        "{} in {} ms: {} a second",
        counted(verdict.submitted as u64, "job"),
        verdict.elapsed_ms,
        verdict.jobs_per_second
    );
    table.row([Cell::new(pace), Cell::new("")]);
    table
}

fn dead(dead_letters: &[DeadLetter]) -> Table {
    let columns = [Column::left("ID"), Column::left("REASON"), Column::left("MONEY"), Column::left("DETAIL")];
    let mut table = Table::new(columns);
    for letter in dead_letters {
        table.row([
            Cell::new(letter.id.as_str()),
            Cell::new(letter.reason.as_str()),
            Cell::new(letter.money_state.as_str()),
            Cell::new(&letter.detail),
        ]);
    }
    table
}

fn next(args: &DemoArgs) -> String {
    let mut text = String::from("\nNext:\n");
    let mut line = |command: &str, what: &str| {
        // Writing to a string does not fail.
        writeln!(text, "  {command:<58}{what}").expect("a string takes any text");
    };
    if let Some(folder) = &args.keep {
        let config = folder.join("worker.toml");
        let config = config.display();
        line(&format!("worker jobs list -c {config}"), "every job");
        line(&format!("worker jobs stats -c {config}"), "by state, in rupiah");
        line(&format!("worker dlq list -c {config}"), "what stands before a person");
        line(&format!("worker dlq show ID -c {config}"), "one of them, with its message");
    } else {
        line("worker demo --keep demo", "leaves the store behind, to look into");
        if !matches!(args.faults, Faults::Wild) {
            line("worker demo --faults wild", "the same with a provider that misbehaves");
        }
    }
    if args.amqp.is_none() {
        line("worker demo --amqp amqp://guest:guest@127.0.0.1:5672/%2f", "the same through RabbitMQ");
    }
    line("worker init", "a commented worker.toml for a real provider");
    text
}
