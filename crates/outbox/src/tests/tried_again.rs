//! M12: what found no room is tried once more where anything has given room, and only then refused.

use super::{full_disk::room_for_pages, *};
use crate::{audit, error::Rejected, task::Room, transaction::Transaction};

/// Writes some pages; the first time it is tried there is no room for them, later there is. Answers how often it was tried.
fn tries_until_there_is_room(transaction: &Transaction<'_>, tries: &mut u32) -> Result<u32, Rejected> {
    *tries += 1;
    let limit = if *tries == 1 { 1 } else { 1 << 20 };
    // Never below what is there.
    transaction.query_row(&format!("PRAGMA max_page_count = {limit}"), [], |_| Ok(()))?;
    audit::append(transaction, &NewAudit { reason: "x".repeat(50_000), ..audit_entry("a") })?;
    Ok(*tries)
}

fn opened(reserve_bytes: u64) -> Fixture {
    let dir = tempfile::tempdir().unwrap();
    let options = OpenOptions { reserve_bytes, look_for_room_every: std::time::Duration::from_secs(3600), ..options() };
    let store = Store::open(&dir.path().join("s.db"), t(0), &options).unwrap().store;
    Fixture { dir: Arc::new(dir), store }
}

/// Looks at the store as it is now for as long as it lives: the WAL cannot start over meanwhile.
async fn looking_back(fixture: &Fixture) -> rusqlite::Connection {
    let reader = raw(&fixture.path());
    reader.execute_batch("BEGIN; SELECT count(*) FROM meta").unwrap();
    fixture.store.audit_append(audit_entry("newer")).await.unwrap();
    reader
}

#[tokio::test]
async fn m12_a_result_is_tried_again_when_the_reserve_has_made_room() {
    let fixture = opened(64 << 10);
    let _reader = looking_back(&fixture).await;
    let (_, tries) = fixture.store.write(Room::Reserved, 0, tries_until_there_is_room).await.unwrap();
    assert_eq!((tries, fixture.store.health()), (2, Health::Full));
}

#[tokio::test]
async fn m12_a_result_is_tried_again_when_the_wal_can_start_over() {
    let fixture = opened(0);
    fixture.store.audit_append(audit_entry("a")).await.unwrap();
    let (_, tries) = fixture.store.write(Room::Reserved, 0, tries_until_there_is_room).await.unwrap();
    assert_eq!((tries, fixture.store.health()), (2, Health::Full));
}

#[tokio::test]
async fn m12_results_are_tried_again_without_the_intents_that_had_no_room() {
    let fixture = opened(0);
    let _reader = looking_back(&fixture).await;
    room_for_pages(&fixture.store, 0).await;
    // Both are of one group: the writer is kept until both wait for it.
    let (let_go, kept) = std::sync::mpsc::channel::<()>();
    let first = fixture.store.write(Room::Reserved, kept, |_, kept| {
        kept.recv().unwrap_err();
        Ok(())
    });
    let intent = fixture.store.write(Room::Ordinary, 0, tries_until_there_is_room);
    let result = fixture.store.write(Room::Reserved, 1, tries_until_there_is_room);
    let (first, intent, result, ()) = tokio::join!(first, intent, result, async { drop(let_go) });
    first.unwrap();
    assert_eq!(intent.unwrap_err(), StoreError::Full);
    assert_eq!(result.unwrap().1, 2);
}

#[tokio::test]
async fn m12_a_result_that_finds_no_room_anywhere_is_refused() {
    let fixture = opened(0);
    let _reader = looking_back(&fixture).await;
    assert_eq!(fixture.store.write(Room::Reserved, 0, tries_until_there_is_room).await.unwrap_err(), StoreError::Full);
    assert_eq!(fixture.store.health(), Health::Full);
}
