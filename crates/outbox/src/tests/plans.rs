//! Hot queries search an index and sort nothing, whatever the number of stored rows.

use super::*;
use crate::{claim, dead_letter_queries, outcomes, queries, rows};

fn plan(sql: &str) -> String {
    let mut connection = rusqlite::Connection::open_in_memory().unwrap();
    migrate::migrate(&mut connection, Path::new("m.db")).unwrap();
    let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
    let empty = vec![rusqlite::types::Null; statement.parameter_count()];
    let lines = statement.query_map(rusqlite::params_from_iter(empty), |row| row.get::<_, String>(3)).unwrap();
    lines.map(Result::unwrap).collect::<Vec<_>>().join("; ")
}

fn assert_searches(sql: &str, expected: &str) {
    let plan = plan(sql);
    assert!(plan.contains(expected) && !plan.contains("SCAN") && !plan.contains("TEMP B-TREE"), "{plan}");
}

#[test]
fn what_is_due_is_searched_in_the_partial_index() {
    assert_searches(
        &format!("SELECT {} {}", rows::JOB, claim::DUE),
        "SEARCH s USING INDEX jobs_open (provider=? AND due_at<?)",
    );
    assert_searches(claim::NEXT_DUE, "SEARCH job_states USING COVERING INDEX jobs_open (provider=? AND due_at>?)");
}

#[test]
fn the_outbox_is_searched_in_the_partial_index() {
    assert_searches(
        outcomes::UNPUBLISHED,
        "SEARCH outbox USING INDEX outbox_unpublished ((next_at,queued_at)>(?,?) AND next_at<?)",
    );
}

#[test]
fn a_key_and_a_number_are_searched() {
    let by = |clause: &str| format!("SELECT {} FROM jobs WHERE {clause}", rows::JOB);
    assert_searches(&by("partner_reference_no = ?"), "SEARCH r USING INDEX sqlite_autoindex_job_requests_1");
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
