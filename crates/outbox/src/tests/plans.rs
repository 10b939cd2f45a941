//! Hot queries search an index and sort nothing, whatever the number of stored rows.

//!
//! Every statement that a store of the tests runs is noted, and planned when the test ends: a new one cannot escape. Nobody
//! runs ANALYZE on a store, so a plan depends on the schema alone.

use std::{
    collections::BTreeSet,
    sync::{Mutex, PoisonError},
};

use rusqlite::{
    Connection,
    trace::{TraceEvent, TraceEventCodes},
};

use super::*;
use crate::{claim, dead_letter_queries, outcomes, queries, rows};

/// Statements that may read or sort more than what they answer, with the reason.
const READ_MORE: &[(&str, &str)] = &[
    ("FROM jobs WHERE 1", "a list for an operator: by number, until its page is full"),
    (
        "SELECT provider, state, amount, accepted_at FROM job",
        "totals for an operator: of all jobs, from the narrow table",
    ),
    ("FROM audit WHERE 1", "a list for an operator: by number, until its page is full"),
    ("FROM audit ORDER BY seq", "the whole chain is followed"),
    (
        "FROM dead_letters d LEFT JOIN",
        "dead letters for an operator: as many as are open, all where he asks for closed ones",
    ),
    ("FROM dead_letters INDEXED BY dead_letters_open", "the gauge adds up what is open"),
    ("FROM lanes", "one row a provider"),
    ("FROM accounts", "one row an account"),
    ("SELECT count(*) FROM job_states", "for an operator who asks what the file has"),
    ("SELECT count(*) FROM dead_letters", "for an operator who asks what the file has"),
    ("SELECT count(*) FROM audit", "for an operator who asks what the file has"),
    ("FROM sqlite_schema", "whether a file is empty"),
];

/// Indexes that hold only what is open: to read one through costs what is open, whatever is stored.
const PARTIAL: [&str; 4] = ["jobs_open", "outbox_unpublished", "dead_letters_open", "plans_open"];

static RUN: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// Notes every statement the connection runs.
pub(crate) fn watched(mut connection: Connection) -> Connection {
    let note = |event: TraceEvent<'_>| {
        if let TraceEvent::Stmt(statement, _) = event {
            RUN.lock().unwrap_or_else(PoisonError::into_inner).insert(statement.sql().into_owned());
        }
    };
    connection.trace_v2(TraceEventCodes::SQLITE_TRACE_STMT, Some(note)).unwrap();
    connection
}

/// Plans every statement that was run since.
pub(crate) fn check_what_was_run() {
    let run = std::mem::take(&mut *RUN.lock().unwrap_or_else(PoisonError::into_inner));
    let connection = empty();
    let mut bad = Vec::new();
    for sql in &run {
        let is_planned = ["SELECT", "INSERT", "UPDATE", "DELETE", "WITH"].iter().any(|word| sql.starts_with(word));
        let may_read_more = READ_MORE.iter().any(|(part, _)| sql.contains(part));
        if !is_planned {
            continue;
        }
        let plan = steps(&connection, sql);
        let makes_a_table = plan.iter().any(|step| step.contains("MATERIALIZE") || step.contains("AUTOMATIC"));
        if makes_a_table || !(may_read_more || plan.iter().all(|step| searches(step))) {
            bad.push(format!("{sql}\n  {}", plan.join("\n  ")));
        }
    }
    assert!(bad.is_empty(), "{}", bad.join("\n"));
}

fn searches(step: &str) -> bool {
    let of_what_is_open = |index: &&str| step.ends_with(*index) && step.contains(" INDEX ");
    let reads_all = step.starts_with("SCAN") && step != "SCAN CONSTANT ROW" && !PARTIAL.iter().any(of_what_is_open);
    !reads_all && !step.contains("TEMP B-TREE")
}

fn empty() -> Connection {
    let mut connection = Connection::open_in_memory().unwrap();
    migrate::migrate(&mut connection, Path::new("m.db")).unwrap();
    connection
}

fn steps(connection: &Connection, sql: &str) -> Vec<String> {
    let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
    let nothing = vec![rusqlite::types::Null; statement.parameter_count()];
    let steps = statement.query_map(rusqlite::params_from_iter(nothing), |row| row.get(3)).unwrap();
    steps.map(Result::unwrap).collect()
}

fn plan(sql: &str) -> String {
    steps(&empty(), sql).join("; ")
}

fn assert_searches(sql: &str, expected: &str) {
    let plan = plan(sql);
    assert!(plan.contains(expected) && !plan.contains("SCAN") && !plan.contains("TEMP B-TREE"), "{plan}");
}

#[test]
fn what_is_due_is_searched_in_the_partial_index() {
    assert_searches(&claim::due(), "SEARCH s USING INDEX jobs_open (provider=? AND due_at<?)");
    assert_searches(claim::NEXT_DUE, "SEARCH job_states USING COVERING INDEX jobs_open (provider=? AND due_at>?)");
}

#[test]
fn the_outbox_is_searched_in_the_partial_index() {
    assert_searches(outcomes::UNPUBLISHED, "SEARCH outbox USING INDEX outbox_unpublished (next_at>? AND next_at<?)");
}

#[test]
fn a_key_and_a_number_are_searched() {
    let by = |clause: &str| format!("SELECT {} FROM jobs WHERE {clause}", rows::JOB);
    assert_searches(&by("partner_reference_no = ?"), "SEARCH s USING INDEX sqlite_autoindex_job_states_1");
    assert_searches(&by("id = ?"), "SEARCH s USING INTEGER PRIMARY KEY");
    assert_searches(outcomes::MARK, "INTEGER PRIMARY KEY (rowid>? AND rowid<?)");
    assert_searches(
        "UPDATE dead_letters SET closed_at = ? WHERE job_id = ? AND closed_at IS NULL",
        "USING INDEX dead_letters_by_job",
    );
}

#[test]
fn gauges_and_recovery_read_a_partial_index_and_no_table() {
    for (sql, index) in [
        (claim::UNFINISHED, "SCAN job_states USING COVERING INDEX jobs_open"),
        (outcomes::BACKLOG, "SCAN outbox USING COVERING INDEX outbox_unpublished"),
        (dead_letter_queries::COUNTS, "SCAN dead_letters USING COVERING INDEX dead_letters_open"),
        (queries::OPEN_TOTALS, "SCAN job_states USING COVERING INDEX jobs_open"),
    ] {
        let plan = plan(sql);
        assert!(plan.starts_with(index), "{plan}");
    }
}
