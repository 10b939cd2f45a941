//! Whether an image is one that a power loss may leave of this store.

use std::{collections::BTreeMap, path::Path};

use serde::{Deserialize, Serialize};

use super::{
    super::*,
    facts::{Facts, Level},
    life::{self, last_record, number, restarted},
};

/// What is wrong with an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) enum Fault {
    /// The store does not open.
    Refused,
    /// It opens in the mode in which everything is asked about.
    Reconcile,
    /// SQLite finds damage, or parts of one transaction.
    Damaged,
    /// Something that was acknowledged is not there.
    Lost,
    /// Something is there that nobody wrote.
    Invented,
    /// A start does not get on with it.
    Unrecovered,
}

/// What was found in an image.
#[derive(Debug, Default)]
pub(super) struct Finding {
    pub(super) faults: Vec<(Fault, String)>,
    /// Something that was begun and not acknowledged is not there.
    pub(super) unfinished: bool,
}

impl Finding {
    fn fault(&mut self, fault: Fault, text: String) {
        self.faults.push((fault, text));
    }

    fn must(&mut self, holds: bool, fault: Fault, text: impl FnOnce() -> String) {
        if !holds {
            self.fault(fault, text());
        }
    }
}

/// Opens the image as a worker does, looks at everything in it, and lets a start go through it.
pub(super) async fn judge(path: &Path, facts: &Facts) -> Finding {
    let mut finding = Finding::default();
    let opened = match Store::open(path, t(5), &life::options()) {
        Ok(opened) => opened,
        Err(error) => {
            finding.fault(Fault::Refused, error.to_string());
            return finding;
        }
    };
    if let Some(reconcile) = opened.reconcile {
        finding.fault(Fault::Reconcile, reconcile.reason);
    }
    whole(path, &mut finding);
    match rows(path) {
        Ok(found) => jobs(&found, facts, &mut finding),
        Err(error) => finding.fault(Fault::Damaged, error.to_string()),
    }
    trail(&opened.store, facts, &mut finding).await;
    if finding.faults.is_empty()
        && let Err(error) = goes_on(&opened.store, path, facts, &mut finding).await
    {
        finding.fault(Fault::Unrecovered, error.to_string());
    }
    opened.store.close().await;
    finding
}

/// SQLite's own check, and that of what one transaction writes into several tables either all is there or nothing.
fn whole(path: &Path, finding: &mut Finding) {
    let says =
        |sql: &str| raw(path).query_row(sql, [], |row| row.get::<_, String>(0)).unwrap_or_else(|e| e.to_string());
    let integrity = says("SELECT coalesce(group_concat(integrity_check, '; '), '') FROM pragma_integrity_check()");
    finding.must(integrity == "ok", Fault::Damaged, || integrity.clone());
    let foreign = says("SELECT count(*) || '' FROM pragma_foreign_key_check()");
    finding.must(foreign == "0", Fault::Damaged, || format!("{foreign} references to nothing"));
    let halves = says(
        "SELECT count(*) || '' FROM jobs WHERE (state = 'succeeded') <> (outcome_id IS NOT NULL)
           OR shrunk_at IS NULL AND ((state = 'ready') <> (engine IS NULL) OR (state = 'ready') <> (requests = 0)
             OR requests <> (SELECT count(*) FROM job_records, json_each(happened, '$.requests') WHERE job_id = jobs.id))
           OR shrunk_at IS NOT NULL AND (engine IS NOT NULL OR customer_number IS NOT NULL OR first_engine IS NOT NULL)
           OR (state = 'dead') <> EXISTS (SELECT * FROM dead_letters d WHERE d.job_id = jobs.id AND closed_at IS NULL)
           OR (state IN ('succeeded', 'dead')) <> EXISTS (SELECT * FROM outcomes o WHERE o.job_id = jobs.id)",
    );
    finding.must(halves == "0", Fault::Damaged, || format!("{halves} jobs of which one transaction is in parts"));
    let apart = says(
        "SELECT count(*) || '' FROM outcomes FULL JOIN outbox ON outcome_id = id WHERE id IS NULL OR outcome_id IS NULL",
    );
    finding.must(apart == "0", Fault::Damaged, || format!("{apart} outcomes without their place in the outbox"));
}

/// A job as it lies on disk, read past the store.
struct Row {
    state: String,
    /// Customer, amount, metadata, correlation id.
    asked: String,
    /// The numbers of its requests, and of those that ended.
    requests: String,
    ends: String,
    /// Event, type, body, headers.
    outcome: Option<String>,
    published: bool,
    shrunk: bool,
}

fn rows(path: &Path) -> rusqlite::Result<BTreeMap<String, Row>> {
    let connection = raw(path);
    let mut statement = connection.prepare(
        "SELECT partner_reference_no, state, concat_ws(' ', customer_number, amount, metadata, correlation_id),
           (SELECT coalesce(group_concat(r.value ->> 'id'), '') FROM job_records p, json_each(happened, '$.requests') r
            WHERE p.job_id = j.id),
           (SELECT coalesce(group_concat(r.value ->> 'id'), '') FROM job_records p, json_each(happened, '$.ends') r
            WHERE p.job_id = j.id),
           (SELECT group_concat(concat_ws(' ', event_id, event_type, CAST(body AS TEXT), headers)) FROM outcomes o
            WHERE o.job_id = j.id),
           EXISTS (SELECT * FROM outcomes o JOIN outbox ON outcome_id = o.id WHERE o.job_id = j.id AND published_at IS NOT NULL),
           shrunk_at IS NOT NULL
         FROM jobs j",
    )?;
    let rows = statement.query_map([], |row| {
        let [state, asked, requests, ends] = [row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?];
        Ok((
            row.get(0)?,
            Row { state, asked, requests, ends, outcome: row.get(5)?, published: row.get(6)?, shrunk: row.get(7)? },
        ))
    })?;
    rows.collect()
}

/// Each job has come as far as was acknowledged and no further than was tried, with the content it was given.
fn jobs(found: &BTreeMap<String, Row>, facts: &Facts, finding: &mut Finding) {
    for (key, reach) in &facts.jobs {
        let level = found.get(key).map_or(Level::Nothing, level);
        finding.must(level >= reach.acknowledged, Fault::Lost, || {
            format!("{key} is {level:?}, and {:?} was acknowledged", reach.acknowledged)
        });
        finding.must(level <= reach.tried, Fault::Invented, || {
            format!("{key} is {level:?}, and {:?} was the last that was tried", reach.tried)
        });
        finding.unfinished |= level < reach.tried;
    }
    for (key, row) in found {
        finding.must(facts.jobs.contains_key(key), Fault::Invented, || format!("{key}, which nobody accepted"));
        if facts.jobs.contains_key(key) {
            content(key, row, finding);
        }
    }
}

fn level(row: &Row) -> Level {
    match row.state.as_str() {
        "ready" => Level::Accepted,
        "sending" | "unconfirmed" => Level::Sending,
        _ if row.shrunk => Level::Shrunk,
        _ if row.published => Level::Marked,
        _ => Level::Ended,
    }
}

/// Everything that is there is as it was written, byte for byte.
fn content(key: &str, row: &Row, finding: &mut Finding) {
    let asked = request(key);
    let whole = format!("{} 1000000 {} c-1", asked.customer_number.expose(), asked.metadata.expose());
    let level = level(row);
    let is_whole = level < Level::Shrunk;
    let asked = if is_whole { whole } else { "1000000".to_owned() };
    let id = external_id(number(key)).to_string();
    let from = |least: Level, text: &str| if level >= least { text.to_owned() } else { String::new() };
    let last = last_record(&StoredJob { request: request(key), ..sample() });
    let told = &last.outcomes[0];
    let body = String::from_utf8(told.body.clone()).unwrap();
    let event = format!("{} {} {body} {}", told.event_id, told.event_type, told.headers);
    for (what, is, wanted) in [
        ("the request", row.asked.clone(), asked),
        ("the intent", row.requests.clone(), if is_whole { from(Level::Sending, &id) } else { String::new() }),
        ("the end", row.ends.clone(), if is_whole { from(Level::Ended, &id) } else { String::new() }),
        ("the outcome", row.outcome.clone().unwrap_or_default(), from(Level::Ended, &event)),
        ("the last state", from(Level::Ended, &row.state), from(Level::Ended, last.job.state.name())),
    ] {
        finding.must(is == wanted, Fault::Invented, || format!("{what} of {key} is {is}, not {wanted}"));
    }
}

fn sample() -> StoredJob {
    StoredJob {
        id: JobId(1),
        version: 1,
        request: request("sample"),
        carried: Carried::default(),
        job: ready(),
        accepted_at: t(0),
        due_at: None,
        finished_at: None,
        reference_no: None,
        response_code: None,
        response_message: None,
        fee_amount: None,
        attempts: 0,
        requests: 0,
    }
}

/// The audit trail is whole, and has every row that was acknowledged.
async fn trail(store: &Store, facts: &Facts, finding: &mut Finding) {
    match store.audit_verify().await {
        Ok(Ok(_)) => {}
        Ok(Err(fault)) => finding.fault(Fault::Damaged, fault.to_string()),
        Err(error) => finding.fault(Fault::Damaged, error.to_string()),
    }
    let rows = store.audit_rows(0, 10_000).await.unwrap_or_default();
    for (seq, subject) in &facts.audit {
        let is_there = rows.iter().any(|row| row.seq == *seq && row.entry.subject == *subject);
        finding.must(is_there, Fault::Lost, || format!("row {seq} of the audit trail, about {subject}"));
    }
    for row in &rows {
        let subject = &row.entry.subject;
        finding.must(facts.audit_tried.contains(subject), Fault::Invented, || format!("an audit row about {subject}"));
    }
    finding.unfinished |= rows.len() < facts.audit_tried.len();
}

/// A start finds a plan for everything, is done at once, knows every key, and the store takes what is new.
async fn goes_on(store: &Store, path: &Path, facts: &Facts, finding: &mut Finding) -> Result<(), StoreError> {
    let report = store.recover(RecoverScope::InFlight, t(10), restarted).await?;
    let accounted = report.recorded + report.released == report.found && report.unreadable == 0;
    finding.must(accounted, Fault::Unrecovered, || format!("{report:?}"));
    let again = store.recover(RecoverScope::InFlight, t(10), restarted).await?;
    finding.must(again == RecoveryReport::default(), Fault::Unrecovered, || format!("the second time: {again:?}"));
    let unfit = count(
        path,
        "SELECT count(*) FROM jobs WHERE state NOT IN ('ready', 'unconfirmed', 'succeeded', 'dead')
           OR (state IN ('ready', 'unconfirmed')) <> (due_at IS NOT NULL)",
    );
    finding.must(unfit == 0, Fault::Unrecovered, || format!("{unfit} jobs in states that a start does not leave"));
    // What was acknowledged to the broker and is forgotten here would be paid again.
    let known: Vec<&String> =
        facts.jobs.iter().filter(|(_, reach)| reach.acknowledged > Level::Nothing).map(|(key, _)| key).collect();
    let taken = store.accept(known.iter().map(|key| new_job(key)).chain([new_job("another")]).collect()).await?;
    for (key, taken) in known.iter().zip(&taken) {
        let is_known = matches!(taken, Accepted::Duplicate(_));
        finding.must(is_known, Fault::Lost, || format!("{key} is taken for a new job"));
    }
    let is_new = matches!(taken.last(), Some(Accepted::New(_)));
    finding.must(is_new, Fault::Unrecovered, || "a new job is not taken".to_owned());
    Ok(())
}
