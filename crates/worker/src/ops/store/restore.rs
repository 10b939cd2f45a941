//! `worker store restore`: a copy in the place of the store, and every job is asked about first (M12).

use std::path::Path;

use outbox::{OpenError, OpenOptions, Restoring};
use serde::Serialize;
use serde_json::json;
use snap_core::Timestamp;

use super::{preview_of_restored, say_elsewhere, sum, unasked};
use crate::cli::StoreRestoreArgs;
use crate::clock::Clock;
use crate::config::{Config, Environment};
use crate::exit::CommandError;
use crate::ops::act::{Actor, ask};
use crate::ops::jobs::Rupiah;
use crate::ops::{Desk, runs_on, stdout};
use crate::output::{Output, counted, moment};
use crate::text::chain;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Done {
    file: String,
    store_id: String,
    jobs: u64,
    /// When the copy was made; null where it does not say.
    copied_at: Option<String>,
    /// Until when it knows every key; null where nobody can say.
    known_until: Option<String>,
    /// Jobs, dead letters too, that are to be asked about before anything is sent.
    marked: u64,
    amount: Rupiah,
    /// Where the file that was there is now.
    kept_as: Option<String>,
    changed: bool,
    dry_run: bool,
}

/// Puts the copy in place.
///
/// # Errors
/// [`CommandError::Refused`] beside a running worker or another command, [`CommandError::Declined`], or what is wrong with the
/// copy.
pub async fn run(
    args: &StoreRestoreArgs,
    config: &Config,
    clock: &Clock,
    environment: &Environment,
    output: &Output,
) -> Result<(), CommandError> {
    let (act, now) = (&args.act, clock.now());
    let restoring =
        Restoring::prepare(&config.store.path, &args.from).map_err(|error| of_the_copy(error, &args.from, config))?;
    let facts = restoring.facts().clone();
    let known_until = facts.newest.map(|newest| facts.copied_at.map_or(newest, |copied_at| copied_at.min(newest)));
    let store = restoring.store(now, &OpenOptions::default())?;
    let desk = Desk { store: &store, config, clock, now, environment, output };
    let unasked = unasked(now, &desk).await?;
    output.say(&format!(
        "{} is store {} with {}{}",
        args.from.display(),
        facts.store_id,
        counted(facts.jobs, "job"),
        facts.copied_at.map_or_else(String::new, |at| format!(", copied {}", moment(at)))
    ));
    output.say(&preview_of_restored(known_until, &unasked, &desk));
    say_elsewhere(known_until, &desk).await?;
    store.close().await;
    drop(store);
    let mut done = Done {
        file: args.from.display().to_string(),
        store_id: facts.store_id,
        jobs: facts.jobs,
        copied_at: facts.copied_at.map(Timestamp::to_rfc3339),
        known_until: known_until.map(Timestamp::to_rfc3339),
        marked: unasked.len() as u64,
        amount: sum(&unasked).into(),
        kept_as: None,
        changed: false,
        dry_run: act.dry_run,
    };
    if act.dry_run {
        return output.object(&done, String::new).map_err(stdout);
    }
    ask(act, output, "put it in the place of the store?")?;
    let shown = json!({
        "file": done.file,
        "copiedAt": done.copied_at,
        "knownUntil": done.known_until,
        "marked": done.marked,
        "amount": sum(&unasked).to_string(),
    });
    let audit = Actor::of(act, environment).audit(now, "store_restored", "store", shown);
    let reason = format!("{} was put back", args.from.display());
    let restored = restoring.into_place(&reason, &audit).map_err(|error| refused(error, config))?;
    done.kept_as = restored.aside.map(|aside| aside.display().to_string());
    done.known_until = restored.mark.known_until.map(Timestamp::to_rfc3339);
    done.changed = true;
    output.object(&done, || text(&done)).map_err(stdout)
}

fn text(done: &Done) -> String {
    let kept = done.kept_as.as_ref().map_or_else(String::new, |name| format!("what was there is kept as {name}\n"));
    format!("{kept}{}\n", super::BEGUN)
}

/// What is wrong with what was named: the store itself is as it was.
fn of_the_copy(error: OpenError, from: &Path, config: &Config) -> CommandError {
    let hint = "name a file that `worker store backup` has made, or the store of a worker that was stopped; nothing was \
                changed";
    match &error {
        OpenError::Missing(path) | OpenError::Foreign(path) | OpenError::NoSchema(path) if path == from => {
            CommandError::usage(error.to_string(), hint)
        }
        OpenError::Damaged { path, .. } | OpenError::Sqlite { path, .. } if path == from => {
            CommandError::usage(chain(&error), hint)
        }
        _ => refused(error, config),
    }
}

fn refused(error: OpenError, config: &Config) -> CommandError {
    match error {
        OpenError::Locked { path, pid, .. } if path.canonicalize().ok() == config.store.path.canonicalize().ok() => {
            runs_on(pid)
        }
        OpenError::Locked { path, .. } => CommandError::Refused {
            what: format!("a worker runs on {}: it is a store, and no copy", path.display()),
            hint: "`worker store backup` makes a copy of it".to_owned(),
        },
        OpenError::InUse(path) => CommandError::Refused {
            what: format!("another command has {} open", path.display()),
            hint: "let it end, and say it again".to_owned(),
        },
        error => error.into(),
    }
}
