//! `worker audit`: who did what, and whether the trail is what was written. Reads only.

#[cfg(test)]
mod tests;

use outbox::{AuditFault, AuditFilter, AuditHead, AuditRow, Store};
use serde::Serialize;
use serde_json::Value;
use snap_core::Timestamp;

use super::custody::Seen;
use super::stdout;
use crate::cli::{AuditCommand, AuditListArgs, AuditVerifyArgs};
use crate::config::AmqpSection;
use crate::exit::{CommandError, Exit};
use crate::output::{Cell, Column, Output, Table, Tone, moment};
use crate::text::chain;

/// For the broker to say what was seen of the trail.
const LOOK_LIMIT: std::time::Duration = std::time::Duration::from_secs(15);
/// Rows read at a time for an export.
const PART: usize = 1000;

/// Runs one of the commands.
///
/// # Errors
/// A cursor that is none, or any failure of the store.
pub async fn run(
    command: &AuditCommand,
    store: &Store,
    amqp: Option<&AmqpSection>,
    now: Timestamp,
    output: &Output,
) -> Result<Exit, CommandError> {
    match command {
        AuditCommand::List(args) => list(args, store, now, output).await,
        AuditCommand::Verify(args) => verify(args, store, amqp, output).await,
        AuditCommand::Export(args) => export(args.filter.at(now), store, output).await,
    }
}

#[derive(Serialize)]
struct RowView<'a> {
    seq: u64,
    at: String,
    by: &'a str,
    action: &'a str,
    subject: &'a str,
    reason: &'a str,
    detail: &'a Value,
    hash: &'a str,
}

impl<'a> RowView<'a> {
    fn new(row: &'a AuditRow) -> Self {
        let entry = &row.entry;
        Self {
            seq: row.seq,
            at: entry.at.to_rfc3339(),
            by: &entry.by,
            action: &entry.action,
            subject: &entry.subject,
            reason: &entry.reason,
            detail: &entry.detail,
            hash: &row.hash,
        }
    }
}

async fn list(args: &AuditListArgs, store: &Store, now: Timestamp, output: &Output) -> Result<Exit, CommandError> {
    let filter = AuditFilter { oldest_first: args.oldest_first, ..args.filter.at(now) };
    let after = args.page.after.as_deref().map(cursor).transpose()?;
    let page = store.audit(filter, after, args.page.limit as usize).await?;
    let next = page.next.map(|seq| seq.to_string());
    let items: Vec<_> = page.items.iter().map(RowView::new).collect();
    output.list("audit rows", &items, next.as_deref(), || table(&page.items)).map_err(stdout)?;
    Ok(Exit::Done)
}

fn cursor(text: &str) -> Result<u64, CommandError> {
    text.parse().map_err(|_no_number| {
        CommandError::usage(format!("--after {text} is no cursor of this list"), "take `next` of the page before")
    })
}

fn table(rows: &[AuditRow]) -> Table {
    let mut table = Table::new([
        Column::right("ROW"),
        Column::left("WHEN"),
        Column::left("WHO"),
        Column::left("WHAT"),
        Column::left("WHY"),
    ]);
    for AuditRow { seq, entry, .. } in rows {
        let host = entry.detail["host"].as_str().map(|host| Cell::toned(host, Tone::Faint));
        let who = Cell::new(&entry.by);
        table.row([
            Cell::new(seq.to_string()),
            Cell::new(moment(entry.at)),
            host.map_or(who.clone(), |host| who.below(host)),
            Cell::new(&entry.action).below(Cell::toned(&entry.subject, Tone::Faint)),
            Cell::new(&entry.reason),
        ]);
    }
    table
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Verdict {
    /// Whether the trail is what was written.
    sound: bool,
    rows: Option<u64>,
    /// To be kept elsewhere: `--head` takes it.
    head: Option<String>,
    fault: Option<String>,
    /// What was seen of it outside of the machine, where it was compared with that.
    witness: Option<String>,
    /// Why it was not.
    not_compared: Option<String>,
}

/// What the broker's witness says of the trail.
enum Witnessed {
    /// It has that row, seen then.
    Agrees(String),
    /// It has not.
    Differs(String),
    /// Nothing, for this reason.
    Nothing(String),
}

/// Compares the trail with what was seen of it outside of the machine.
async fn witnessed(store: &Store, rows: u64, amqp: Option<&AmqpSection>) -> Result<Witnessed, CommandError> {
    let Some(section) = amqp else { return Ok(Witnessed::Nothing("no broker is configured".to_owned())) };
    let seen = match section.connection() {
        Ok(config) => tokio::time::timeout(LOOK_LIMIT, Seen::at(&config)).await.map_err(|late| late.to_string()),
        Err(error) => Err(error.to_string()),
    };
    let witness = match seen {
        Ok(Ok(Seen { witness: Some(witness), .. })) => witness,
        Ok(Ok(Seen { witness: None, .. })) => {
            return Ok(Witnessed::Nothing("the broker has no witness of this namespace yet".to_owned()));
        }
        Ok(Err(error)) => return Ok(Witnessed::Nothing(format!("the broker cannot be asked: {}", chain(&error)))),
        Err(why) => return Ok(Witnessed::Nothing(format!("the broker cannot be asked: {why}"))),
    };
    if witness.store != store.standing().await?.store_id {
        return Ok(Witnessed::Nothing(format!("the broker's witness is of another store, {}", witness.store)));
    }
    let (seen, at) = (witness.audit_rows, moment(witness.at()));
    if store.has_audit_head(&witness.audit()).await? {
        return Ok(Witnessed::Agrees(format!("row {seen} is what was witnessed at the broker ({at})")));
    }
    Ok(Witnessed::Differs(if rows < seen {
        format!("it has {rows} rows, and {seen} were witnessed at the broker ({at})")
    } else {
        format!("audit row {seen} is not what was witnessed at the broker ({at})")
    }))
}

async fn verify(
    args: &AuditVerifyArgs,
    store: &Store,
    amqp: Option<&AmqpSection>,
    output: &Output,
) -> Result<Exit, CommandError> {
    let fault = match store.audit_verify().await? {
        Ok(head) => match &args.head {
            Some(kept) if !still_there(kept, &head, store).await? => {
                Err(format!("audit row {} is not the head that was kept", kept.0))
            }
            _ => Ok(head),
        },
        Err(fault @ (AuditFault::Missing { .. } | AuditFault::Changed { .. })) => Err(fault.to_string()),
    };
    let unsound = |fault, not_compared| Verdict {
        sound: false,
        rows: None,
        head: None,
        fault: Some(fault),
        witness: None,
        not_compared,
    };
    let verdict = match fault {
        Ok(AuditHead { rows, hash }) => {
            let head = Some(format!("{rows}:{hash}"));
            let sound = Verdict { sound: true, rows: Some(rows), head, fault: None, witness: None, not_compared: None };
            match witnessed(store, rows, amqp).await? {
                Witnessed::Agrees(witness) => Verdict { witness: Some(witness), ..sound },
                Witnessed::Nothing(why) => Verdict { not_compared: Some(why), ..sound },
                Witnessed::Differs(fault) => unsound(fault, None),
            }
        }
        Err(fault) => unsound(fault, Some("the trail is not sound by itself".to_owned())),
    };
    output.object(&verdict, || verdict.text(output.color())).map_err(stdout)?;
    if verdict.sound {
        return Ok(Exit::Done);
    }
    output.say("hint: keep a copy of the store as it is, and compare it with an export or a backup made before");
    Ok(Exit::Unexpected)
}

async fn still_there((row, hash): &(u64, String), head: &AuditHead, store: &Store) -> Result<bool, CommandError> {
    if *row == 0 || *row > head.rows {
        return Ok(*row == 0 && hash.bytes().all(|sign| sign == b'0'));
    }
    let found = store.audit_rows(row - 1, 1).await?;
    Ok(found.first().is_some_and(|found| found.hash == *hash))
}

impl Verdict {
    fn text(&self, color: bool) -> String {
        let (word, tone) = if self.sound { ("sound", Tone::Good) } else { ("NOT WHAT WAS WRITTEN", Tone::Bad) };
        let facts = Table::facts([
            ("rows", self.rows.map(|rows| rows.to_string())),
            ("head", self.head.clone()),
            ("fault", self.fault.clone()),
            ("witness", self.witness.clone()),
            ("not compared", self.not_compared.clone()),
        ]);
        format!("{}\n\n{}", tone.paint(word, color), facts.render(color))
    }
}

/// Row by row, so that a long trail needs no room.
async fn export(filter: AuditFilter, store: &Store, output: &Output) -> Result<Exit, CommandError> {
    let filter = AuditFilter { oldest_first: true, ..filter };
    let mut after = None;
    loop {
        let page = store.audit(filter.clone(), after, PART).await?;
        let mut lines = String::new();
        for row in &page.items {
            let line = serde_json::to_string(&RowView::new(row)).map_err(|error| stdout(error.into()))?;
            lines.push_str(&line);
            lines.push('\n');
        }
        output.write(&lines).map_err(stdout)?;
        after = page.next;
        if after.is_none() || output.reader_left() {
            return Ok(Exit::Done);
        }
    }
}
