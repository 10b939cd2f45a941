//! The store: whether it opens, is whole, and has room.

use std::path::Path;
use std::time::Duration;

use futures_util::future::join;
use outbox::{FileSystem, OpenError, OpenOptions, Opened, Reconcile, Store, StoreError};

use super::{Finding, waiting};
use crate::account::forgotten::{self, Elsewhere};
use crate::clock::Clock;
use crate::config::{Config, Retention};
use crate::exit::CommandError;
use crate::output::{age, moment};
use crate::text::chain;

pub(super) const STORE: &str = "store";
/// A file opens at once, whatever its size.
const OPEN_LIMIT: Duration = Duration::from_secs(5);
/// To read all of a file of some gigabytes.
const READ_LIMIT: Duration = Duration::from_secs(20);
/// The worker counts the store as full below 32 MiB; this is some hours before.
const LITTLE_ROOM: u64 = 256 << 20;
/// A worker that has run for long keeps its own time, which drifts from the wall clock.
const CLOCK_SLACK: Duration = Duration::from_secs(60);

pub(super) async fn look(config: &Config, clock: &Clock, findings: &mut Vec<Finding>) {
    let path = &config.store.path;
    let opened = match open(path, clock).await {
        Ok(opened) => Some(opened),
        Err(finding) => {
            findings.push(finding);
            None
        }
    };
    if let Some(Opened { store, reconcile, newest, .. }) = opened {
        let damage = async { tokio::time::timeout(READ_LIMIT, store.damage()).await };
        let (damage, waiting) = join(damage, waiting::look(&store, config.amqp.is_some(), clock.now())).await;
        findings.push(match damage {
            Ok(damage) => {
                let from_future = newest.is_some_and(|newest| newest > clock.wall().plus(CLOCK_SLACK));
                as_opened(path, damage, reconcile.clone(), from_future)
            }
            // It reads on for itself, until this process ends.
            Err(_elapsed) => not_read_to_its_end(path),
        });
        // What cannot be read is damage, and said so.
        findings.extend(waiting.unwrap_or_default());
        if let Some(mark) = &reconcile {
            let noted = store.accounts().await.unwrap_or_default();
            let elsewhere =
                forgotten::elsewhere(&store, config, &noted, mark.unknown_since()).await.unwrap_or_default();
            findings.extend(elsewhere.iter().map(|it| Finding::warning("accounts", it.told(), Elsewhere::hint())));
        }
        let strays = crate::account::strays(&store, config).await.unwrap_or_default();
        findings.extend(strays.iter().map(|stray| Finding::warning("accounts", stray.told(), stray.hint())));
        // Without a limit of its own: there is no writer to wait for.
        store.close().await;
    }
    findings.extend(room(path).await);
    findings.extend(file_system(path));
    findings.push(memory(config));
}

/// A replay must never find its key forgotten.
fn memory(config: &Config) -> Finding {
    let windows = config.providers.values().map(|provider| provider.profile.defaults.uniqueness_window);
    let longest = windows.max().unwrap_or_default();
    let Retention { details, keys } = config.store.retention;
    let keys = keys.map_or_else(|| "for ever".to_owned(), |span| format!("for {}", age(span)));
    let details = details.map_or_else(|| "for ever".to_owned(), |span| format!("for {}", age(span)));
    let detail = format!(
        "every key is kept {keys} after its job's end, details {details}: longer than any replay (the longest \
         uniqueness_window is {})",
        age(longest)
    );
    Finding::ok("idempotency", detail)
}

/// The store; or what keeps it from being looked into.
async fn open(path: &Path, clock: &Clock) -> Result<Opened, Finding> {
    let options = OpenOptions { read_only: true, create: false, ..OpenOptions::default() };
    let (file, now) = (path.to_owned(), clock.now());
    // A disk can hang.
    let opening = tokio::task::spawn_blocking(move || Store::open(&file, now, &options));
    let opened = match tokio::time::timeout(OPEN_LIMIT, opening).await {
        Ok(Ok(opened)) => opened,
        Ok(Err(panicked)) => return Err(Finding::error(STORE, panicked.to_string(), "please report this")),
        Err(_elapsed) => {
            let detail = format!("{} does not open within {} s", path.display(), OPEN_LIMIT.as_secs());
            return Err(Finding::error(STORE, detail, "look at its disk: it hangs"));
        }
    };
    opened.map_err(|error| match error {
        OpenError::Missing(_) => not_there_yet(path),
        OpenError::TooOld { found, known, .. } => {
            let detail = format!("{} has schema {found}; `worker run` brings it to {known}", path.display());
            Finding::warning(STORE, detail, "keep a copy of the file before the first start of a new version")
        }
        error => from_open(error),
    })
}

fn as_opened(
    path: &Path,
    damage: Result<Vec<String>, StoreError>,
    reconcile: Option<Reconcile>,
    from_future: bool,
) -> Finding {
    let name = path.display();
    let keep = "stop the worker, and put the last good copy back: `worker store restore FILE` keeps what is there (docs/runbook.md)";
    match damage {
        Err(error) => Finding::error(STORE, format!("{name} cannot be read: {}", chain(&error)), keep),
        Ok(damage) if !damage.is_empty() => {
            Finding::error(STORE, format!("{name} is damaged: {}", damage.join("; ")), keep)
        }
        Ok(_) if from_future => {
            let hint = "set this machine's clock: waiting times and tokens depend on it";
            Finding::error(STORE, format!("{name} has a job from the future: the clock runs wrong"), hint)
        }
        Ok(_) => match reconcile {
            Some(reconcile) => {
                let since = reconcile
                    .known_until
                    .map_or_else(|| "always".to_owned(), |until| format!("since {}", moment(until)));
                let detail = format!(
                    "{name} may have forgotten what was sent ({}): every job is asked about first, and a key that it does not \
                     know counts as perhaps sent {since}",
                    reconcile.reason
                );
                let hint = "that is right after a restore, and docs/runbook.md says how to end it: `worker store reconciled --dry-run`";
                Finding::warning(STORE, detail, hint)
            }
            None => Finding::ok(STORE, format!("{name} opens, and every page of it is sound")),
        },
    }
}

fn not_read_to_its_end(path: &Path) -> Finding {
    let detail = format!(
        "{} opens; to read every page of it takes longer than {} s, so damage is not excluded",
        path.display(),
        READ_LIMIT.as_secs()
    );
    Finding::warning(STORE, detail, "`worker store backup FILE` reads all of it, in its own time, and stops at damage")
}

fn from_open(error: OpenError) -> Finding {
    let error = CommandError::Open(error);
    Finding::error(STORE, chain(&error), error.hint().unwrap_or_default())
}

/// What the store stands on, where something speaks against it.
fn file_system(path: &Path) -> Option<Finding> {
    let found = FileSystem::at(folder_of(path))?;
    of_file_system(path, found)
}

fn of_file_system(path: &Path, found: FileSystem) -> Option<Finding> {
    let name = path.display();
    match found {
        FileSystem::Local => None,
        FileSystem::Network(system) => Some(Finding::error(
            "file system",
            format!("{name} is on a network file system ({system}): `worker run` refuses it"),
            "put the store on a local disk of this machine: a lock there does not hold on another machine",
        )),
        FileSystem::Unknown(system) => Some(Finding::warning(
            "file system",
            format!("{name} is on {system}, and nothing tells whether another machine has it too"),
            "make sure that it is this machine's alone, and that what is synced there outlives a power loss",
        )),
    }
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn not_there_yet(path: &Path) -> Finding {
    let folder = folder_of(path);
    match rustix::fs::access(folder, rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK) {
        Ok(()) => Finding::ok(STORE, format!("{} is not there yet; `worker run` makes it", path.display())),
        Err(error) => {
            let detail = format!("{} is not there, and cannot be made: {error}", path.display());
            Finding::error(STORE, detail, format!("let the worker's user write to {}", folder.display()))
        }
    }
}

async fn room(path: &Path) -> Option<Finding> {
    let folder = folder_of(path).to_owned();
    // A disk can hang.
    let looking = tokio::task::spawn_blocking(move || rustix::fs::statvfs(&folder));
    let Ok(Ok(system)) = tokio::time::timeout(OPEN_LIMIT, looking).await else {
        return Some(Finding::error(
            "disk",
            "does not say what is free on it",
            "look at the disk of the store: it hangs",
        ));
    };
    let system = system.ok()?;
    let free = system.f_bavail.saturating_mul(system.f_frsize);
    let detail = format!("{} MiB are free on its disk", free >> 20);
    Some(if free < LITTLE_ROOM {
        Finding::warning("disk", detail, "below 32 MiB the worker takes no jobs and sends nothing")
    } else {
        Finding::ok("disk", detail)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn m12_a_network_file_system_is_an_error_one_that_cannot_be_told_a_warning_and_a_local_one_is_silent() {
        let path = Path::new("/var/lib/topup/worker.db");
        let of = |found| of_file_system(path, found).map(|finding| finding.status);
        assert_eq!(of(FileSystem::Network("NFS")), Some(super::super::Status::Error));
        assert_eq!(of(FileSystem::Unknown("FUSE")), Some(super::super::Status::Warning));
        assert_eq!(of(FileSystem::Local), None);
    }
}
