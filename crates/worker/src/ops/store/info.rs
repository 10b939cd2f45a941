//! `worker store info`: what is in the store's file, who holds it, and whether it asks first.

use std::fs;
use std::path::Path;

use outbox::{Reconcile, Store};
use serde::Serialize;
use snap_core::Timestamp;

use crate::custody::{self, CustodyError, Note};
use crate::exit::CommandError;
use crate::ops::{Desk, stdout};
use crate::output::{counted, moment};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Info {
    path: String,
    store_id: String,
    /// The namespace at the broker that it works on; null without a broker.
    namespace: Option<String>,
    /// Since when that is this store's, as it has noted it; null where it was never its own.
    custodian_since: Option<String>,
    /// The namespace that the store has noted, where it may not work on the configured one for that; else null.
    belongs_to: Option<String>,
    schema: i64,
    commits: i64,
    jobs: u64,
    dead_letters: u64,
    audit_rows: u64,
    newest: Option<String>,
    bytes: u64,
    wal_bytes: u64,
    /// A worker runs on it.
    held: bool,
    /// Its process, where that can be told.
    pid: Option<u32>,
    /// Null where the store knows everything that was done.
    asking: Option<Asking>,
    /// It is a backup, and was made then.
    copied_at: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Asking {
    since: String,
    cause: String,
    known_until: Option<String>,
}

impl From<Reconcile> for Asking {
    fn from(mark: Reconcile) -> Self {
        Self {
            since: mark.since.to_rfc3339(),
            cause: mark.reason,
            known_until: mark.known_until.map(Timestamp::to_rfc3339),
        }
    }
}

/// Shows it.
///
/// # Errors
/// Any failure of the store.
pub(super) async fn show(desk: &Desk<'_>) -> Result<(), CommandError> {
    let path = &desk.config.store.path;
    let (facts, mark) = (desk.store.facts().await?, desk.store.reconcile().await?);
    let bytes = |suffix: &str| {
        let name = format!("{}{suffix}", path.display());
        fs::metadata(name).map_or(0, |file| file.len())
    };
    let namespace = desk.config.amqp.as_ref().map(|amqp| amqp.namespace.clone());
    let noted = match &namespace {
        Some(namespace) => Note::of(&desk.store.standing().await?, namespace),
        None => None,
    };
    let custodian_since = noted.as_ref().and_then(Note::since);
    let elsewhere = custody::elsewhere(desk.store, namespace.as_deref()).await?;
    let belongs_to = elsewhere.map(|found| match found {
        CustodyError::Elsewhere { namespace, .. } => namespace,
        other => other.to_string(),
    });
    let asks_since = mark.as_ref().map(|mark| (mark.since, mark.reason.clone()));
    let info = Info {
        path: path.display().to_string(),
        store_id: facts.store_id,
        custodian_since: custodian_since.map(Timestamp::to_rfc3339),
        belongs_to,
        namespace,
        schema: facts.schema,
        commits: facts.commits,
        jobs: facts.jobs,
        dead_letters: facts.dead_letters,
        audit_rows: facts.audit_rows,
        newest: facts.newest.map(Timestamp::to_rfc3339),
        bytes: bytes(""),
        wal_bytes: bytes("-wal"),
        held: Store::is_held(path),
        pid: Store::holder(path),
        asking: mark.map(Asking::from),
        copied_at: facts.copied_at.map(Timestamp::to_rfc3339),
    };
    desk.output.object(&info, || text(&info, path, (facts.newest, custodian_since), asks_since)).map_err(stdout)
}

fn text(
    info: &Info,
    path: &Path,
    (newest, custodian_since): (Option<Timestamp>, Option<Timestamp>),
    asks: Option<(Timestamp, String)>,
) -> String {
    let worker = match (info.held, info.pid) {
        (true, Some(pid)) => format!("process {pid}"),
        (true, None) => "runs".to_owned(),
        (false, _) => "does not run".to_owned(),
    };
    let asks = match asks {
        Some((since, cause)) => format!("since {} ({cause})", moment(since)),
        None if info.jobs == 0 => "no: it has no jobs".to_owned(),
        None => "no: it knows everything that was done".to_owned(),
    };
    let namespace = match (&info.namespace, custodian_since) {
        _ if info.belongs_to.is_some() => {
            let (belongs, named) = (info.belongs_to.as_deref().unwrap_or_default(), info.namespace.as_deref());
            let named = named.map_or_else(|| "no broker".to_owned(), |named| format!("namespace {named}"));
            format!("{belongs}; the configuration names {named}, and `worker run` refuses it")
        }
        (None, _) => "none: it works without a broker".to_owned(),
        (Some(namespace), Some(since)) => {
            format!("{namespace}, since {} (`worker check` asks the broker)", moment(since))
        }
        (Some(namespace), None) => format!("{namespace}, which was never its own"),
    };
    let newest = newest.map_or_else(|| "nothing yet".to_owned(), moment);
    let has = [(info.jobs, "job"), (info.dead_letters, "dead letter"), (info.audit_rows, "audit row")];
    let lines = [
        ("file", path.display().to_string()),
        ("store", format!("{}, schema {}", info.store_id, info.schema)),
        ("namespace", namespace),
        ("size", format!("{} KiB, and {} KiB of log", info.bytes >> 10, info.wal_bytes >> 10)),
        ("has", has.map(|(count, what)| counted(count, what)).join(", ")),
        ("newest", newest),
        ("commits", info.commits.to_string()),
        ("worker", worker),
        ("asks first", asks),
    ];
    lines.iter().map(|(name, value)| format!("{name:<12}{value}\n")).collect()
}
