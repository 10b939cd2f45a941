//! The store: whether it opens, is whole, and has room.

use std::path::Path;
use std::time::Duration;

use outbox::{OpenError, OpenOptions, Opened, PauseCause, Store};

use super::{Finding, Status};
use crate::clock::Clock;
use crate::config::{Config, Retention};
use crate::exit::CommandError;
use crate::output::{age, moment};
use crate::text::chain;

const STORE: &str = "store";
/// The worker counts the store as full below 32 MiB; this is some hours before.
const LITTLE_ROOM: u64 = 256 << 20;
/// A worker that has run for long keeps its own time, which drifts from the wall clock.
const CLOCK_SLACK: Duration = Duration::from_secs(60);

pub(super) async fn look(config: &Config, clock: &Clock) -> Vec<Finding> {
    let path = &config.store.path;
    let mut findings = vec![opens(path, clock).await];
    findings.extend(room(path));
    findings.push(memory(config));
    if findings[0].status == Status::Ok && path.exists() {
        findings.extend(lanes(config, clock).await);
    }
    findings
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

/// What stands is no fault of the configuration, and worth a look.
async fn lanes(config: &Config, clock: &Clock) -> Vec<Finding> {
    let options = OpenOptions { read_only: true, create: false, ..OpenOptions::default() };
    let Ok(Opened { store, .. }) = Store::open(&config.store.path, clock.now(), &options) else { return Vec::new() };
    let lanes = store.lanes().await.unwrap_or_default();
    store.close().await;
    let standing = lanes.into_iter().filter_map(|lane| Some((lane.provider, lane.pause?)));
    standing
        .map(|(provider, pause)| {
            let why = match &pause.cause {
                PauseCause::Fault(fault) => fault.to_string(),
                PauseCause::Operator { by, reason } => format!("{by}: {reason}"),
            };
            let detail = format!("stands since {} ({why})", moment(pause.at));
            Finding::warning(format!("lane {provider}"), detail, "`worker provider list` says what waits, and for what")
        })
        .collect()
}

async fn opens(path: &Path, clock: &Clock) -> Finding {
    let options = OpenOptions { read_only: true, create: false, ..OpenOptions::default() };
    let Opened { store, reconcile, newest, .. } = match Store::open(path, clock.now(), &options) {
        Ok(opened) => opened,
        Err(OpenError::Missing(_)) => return not_there_yet(path),
        Err(OpenError::TooOld { found, known, .. }) => {
            let detail = format!("{} has schema {found}; `worker run` brings it to {known}", path.display());
            return Finding::warning(STORE, detail, "keep a copy of the file before the first start of a new version");
        }
        Err(error) => return from_open(error),
    };
    let damage = store.damage().await;
    store.close().await;
    let name = path.display();
    match damage {
        Err(error) => Finding::error(
            STORE,
            format!("{name} cannot be read: {}", chain(&error)),
            "keep a copy of the file before anything else",
        ),
        Ok(damage) if !damage.is_empty() => {
            let hint = "stop the worker, keep a copy of the file and of its -wal, and restore the last good one";
            Finding::error(STORE, format!("{name} is damaged: {}", damage.join("; ")), hint)
        }
        Ok(_) if newest.is_some_and(|newest| newest > clock.wall().plus(CLOCK_SLACK)) => {
            let hint = "set this machine's clock: waiting times and tokens depend on it";
            Finding::error(STORE, format!("{name} has a job from the future: the clock runs wrong"), hint)
        }
        Ok(_) => match reconcile {
            Some(reconcile) => {
                let detail = format!(
                    "{name} may have forgotten what was sent ({}): every job is asked about first",
                    reconcile.reason
                );
                Finding::warning(
                    STORE,
                    detail,
                    "that is right after a restore; `worker store reconciled --dry-run` shows how it ends",
                )
            }
            None => Finding::ok(STORE, format!("{name} opens, and every page of it is sound")),
        },
    }
}

fn from_open(error: OpenError) -> Finding {
    let error = CommandError::Open(error);
    Finding::error(STORE, chain(&error), error.hint().unwrap_or_default())
}

fn not_there_yet(path: &Path) -> Finding {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match rustix::fs::access(folder, rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK) {
        Ok(()) => Finding::ok(STORE, format!("{} is not there yet; `worker run` makes it", path.display())),
        Err(error) => {
            let detail = format!("{} is not there, and cannot be made: {error}", path.display());
            Finding::error(STORE, detail, format!("let the worker's user write to {}", folder.display()))
        }
    }
}

fn room(path: &Path) -> Option<Finding> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let system = rustix::fs::statvfs(folder).ok()?;
    let free = system.f_bavail.saturating_mul(system.f_frsize);
    let detail = format!("{} MiB are free on its disk", free >> 20);
    Some(if free < LITTLE_ROOM {
        Finding::warning("disk", detail, "below 32 MiB the worker takes no jobs and sends nothing")
    } else {
        Finding::ok("disk", detail)
    })
}
