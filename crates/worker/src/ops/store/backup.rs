//! `worker store backup`: one moment of the store in one file.

use std::fs;
use std::path::Path;

use outbox::{OpenError, Store};
use serde::Serialize;
use snap_core::Timestamp;

use crate::cli::StoreBackupArgs;
use crate::clock::Clock;
use crate::config::Config;
use crate::exit::CommandError;
use crate::ops::stdout;
use crate::output::{Output, counted};
use crate::text::chain;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Done {
    file: String,
    bytes: u64,
    store_id: String,
    commits: i64,
    jobs: u64,
    dead_letters: u64,
    audit_rows: u64,
    copied_at: String,
    /// The newest time in it; null where nothing was accepted yet.
    newest: Option<String>,
}

/// Makes the copy. It blocks.
///
/// # Errors
/// [`CommandError::Open`]; there is no file then.
pub fn run(args: &StoreBackupArgs, config: &Config, clock: &Clock, output: &Output) -> Result<(), CommandError> {
    let now = clock.now();
    let facts = Store::back_up(&config.store.path, &args.to, now).map_err(|error| of_the_copy(error, &args.to))?;
    let done = Done {
        file: args.to.display().to_string(),
        bytes: fs::metadata(&args.to).map_or(0, |file| file.len()),
        store_id: facts.store_id,
        commits: facts.commits,
        jobs: facts.jobs,
        dead_letters: facts.dead_letters,
        audit_rows: facts.audit_rows,
        copied_at: now.to_rfc3339(),
        newest: facts.newest.map(Timestamp::to_rfc3339),
    };
    let text = || {
        format!(
            "{}: {} and {} of store {}, read once more and sound\n",
            done.file,
            counted(done.jobs, "job"),
            counted(done.dead_letters, "dead letter"),
            done.store_id
        )
    };
    output.object(&done, text).map_err(stdout)
}

/// What is wrong with the place of the copy: nothing is wrong with the store.
fn of_the_copy(error: OpenError, to: &Path) -> CommandError {
    let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match &error {
        OpenError::Io { what: "make", .. } => CommandError::usage(
            chain(&error),
            format!(
                "name a file in a folder that is there: {} has to be, and be writable by this user",
                folder.display()
            ),
        ),
        _ => error.into(),
    }
}
