//! How cost grows, in steps of SQLite's machine: a number that does not depend on the computer.

use rusqlite::{Connection, StatementStatus};

use super::*;
use crate::{claim, outcomes};

/// A store with so many finished jobs and so many that wait.
fn stored(finished: i64, waiting: i64) -> Connection {
    let mut connection = Connection::open_in_memory().unwrap();
    migrate::migrate(&mut connection, Path::new("m.db")).unwrap();
    let engine = serde_json::to_string(&ready()).unwrap();
    connection
        .execute(
            "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < ?1)
             INSERT INTO job_requests (id, customer_number, metadata, first_engine)
             SELECT n, '6281234567902', '{}', ?2 FROM n",
            rusqlite::params![finished + waiting, engine],
        )
        .unwrap();
    for sql in [
        "INSERT INTO job_states (job_id, partner_reference_no, provider, amount, accepted_at, state, version, due_at,
           finished_at)
         SELECT id, 'ref-' || id, 'finpay', 1000000, id, iif(id <= ?1, 'succeeded', 'ready'), 1, iif(id <= ?1, NULL, id * 7919 % 100003),
           iif(id <= ?1, id, NULL) FROM job_requests",
        "INSERT INTO outcomes (id, event_id, event_type, terminal, body, headers, created_at)
         SELECT id, 'e-' || id, 'topup.succeeded', 1, x'7b7d', '{}', id FROM job_requests WHERE ?1 = ?1",
        "INSERT INTO outbox (outcome_id, queued_at, next_at, published_at)
         SELECT id, id, id, iif(id <= ?1, id, NULL) FROM job_requests",
    ] {
        connection.execute(sql, [finished]).unwrap();
    }
    connection
}

fn steps(connection: &Connection, sql: &str, params: impl rusqlite::Params) -> (usize, i32) {
    let mut statement = connection.prepare(sql).unwrap();
    let mut found = statement.query(params).unwrap();
    let mut count = 0;
    while found.next().unwrap().is_some() {
        count += 1;
    }
    drop(found);
    (count, statement.get_status(StatementStatus::VmStep))
}

#[test]
fn to_claim_costs_the_same_whatever_is_stored_and_whatever_waits() {
    let claim = |finished, waiting| {
        let sql = claim::due();
        steps(&stored(finished, waiting), &sql, rusqlite::params!["finpay", i64::MAX, 64])
    };
    let (found, small) = claim(100, 1_000);
    assert_eq!(found, 64);
    assert_eq!(claim(40_000, 1_000), (64, small));
    assert_eq!(claim(100, 40_000), (64, small));
}

#[test]
fn to_find_nothing_due_and_nothing_to_publish_costs_a_few_steps() {
    let connection = stored(40_000, 0);
    assert!(steps(&connection, claim::NEXT_DUE, ["finpay"]).1 < 30);
    let unpublished = rusqlite::params![i64::MIN, i64::MAX, 100];
    assert!(steps(&connection, outcomes::UNPUBLISHED, unpublished).1 < 60);
    let (found, recovery) = steps(&connection, claim::UNFINISHED, [false]);
    assert!(found == 0 && recovery < 30, "{recovery}");
}

#[test]
fn to_read_within_the_outbox_costs_the_page_and_not_what_waits() {
    let page = |waiting: i64| {
        let params = rusqlite::params![waiting / 2, i64::MAX, 100];
        steps(&stored(0, waiting), outcomes::UNPUBLISHED, params)
    };
    let (found, small) = page(1_000);
    assert_eq!(found, 100);
    assert_eq!(page(40_000), (100, small));
}
