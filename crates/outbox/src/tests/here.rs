//! A store without threads, and what stands between it and its callers.

use std::{future::ready, sync::Mutex};

use super::*;
use crate::{Between, Passage, Passing};

/// Answers each command with what it was told to, once; what passes is noted.
#[derive(Default)]
struct Gate {
    before: Mutex<Option<StoreError>>,
    after: Mutex<Option<StoreError>>,
    passed: Mutex<Vec<Passing>>,
}

impl Between for Gate {
    fn before(&self, what: Passing) -> Passage<'_> {
        self.passed.lock().unwrap().push(what);
        Box::pin(ready(self.before.lock().unwrap().take().map_or(Ok(()), Err)))
    }

    fn after(&self, _what: Passing) -> Passage<'_> {
        Box::pin(ready(self.after.lock().unwrap().take().map_or(Ok(()), Err)))
    }
}

fn here() -> (Fixture, Arc<Gate>) {
    let dir = tempfile::tempdir().unwrap();
    let gate = Arc::new(Gate::default());
    let between: Arc<dyn Between> = Arc::clone(&gate) as Arc<dyn Between>;
    let store = Store::open_here(&dir.path().join("s.db"), t(0), &options(), between).unwrap().store;
    (Fixture { dir: Arc::new(dir), store }, gate)
}

#[tokio::test]
async fn each_command_passes_what_stands_between_and_does_what_it_does_with_threads() {
    let (fixture, gate) = here();
    let job = fixture.succeeded("ref-1").await;
    assert_eq!(count(&fixture.path(), "SELECT count(*) FROM jobs WHERE state = 'succeeded'"), 1);
    assert_eq!(fixture.store.job(job.id).await.unwrap(), Some(job));
    let passed: Vec<_> = gate.passed.lock().unwrap().clone();
    let writes = passed.iter().filter(|what| matches!(what, Passing::Write(_))).count();
    assert_eq!((passed.len(), writes), (4, 2), "{passed:?}");
}

#[tokio::test]
async fn m12_what_is_refused_before_it_is_done_leaves_nothing_and_full_and_failed_stay() {
    let (fixture, gate) = here();
    let refused = |error: StoreError| *gate.before.lock().unwrap() = Some(error);
    refused(StoreError::Busy);
    assert_eq!(fixture.store.accept(vec![new_job("ref-1")]).await.unwrap_err(), StoreError::Busy);
    assert_eq!(fixture.store.health(), Health::Writable);

    refused(StoreError::Full);
    assert_eq!(fixture.store.accept(vec![new_job("ref-1")]).await.unwrap_err(), StoreError::Full);
    assert_eq!(fixture.store.health(), Health::Full);
    fixture.store.look_for_room().await;
    assert_eq!(fixture.store.health(), Health::Writable);

    let failed = StoreError::Failed("disk I/O error".to_owned());
    refused(failed.clone());
    assert_eq!(fixture.store.find(&reference("ref-1")).await.unwrap_err(), failed);
    assert!(matches!(fixture.store.health(), Health::Failed { .. }));
    assert_eq!(fixture.store.audit_append(audit_entry("a")).await.unwrap_err(), failed);
    assert_eq!(count(&fixture.path(), "SELECT count(*) FROM jobs"), 0);
}

#[tokio::test]
async fn m12_what_is_refused_after_it_was_done_is_there() {
    let (fixture, gate) = here();
    *gate.after.lock().unwrap() = Some(StoreError::Busy);
    assert_eq!(fixture.store.accept(vec![new_job("ref-1")]).await.unwrap_err(), StoreError::Busy);
    assert!(matches!(fixture.accept_one(new_job("ref-1")).await, Accepted::Duplicate(_)));
}

#[tokio::test]
async fn a_store_without_threads_moves_its_wal_when_told_and_gives_up_the_file_when_closed() {
    let (fixture, _) = here();
    fixture.driven("ref-1").await;
    let whole = std::fs::metadata(fixture.path()).unwrap().len();
    for n in 0..50 {
        fixture.driven(&format!("more-{n}")).await;
    }
    assert_eq!(std::fs::metadata(fixture.path()).unwrap().len(), whole);
    fixture.store.fold().await.unwrap();
    assert!(std::fs::metadata(fixture.path()).unwrap().len() > whole);
    let cache = fixture.store.read(|reader| Ok(connection::read_setting(reader, "cache_size")?));
    assert_eq!(cache.await.unwrap(), "-512");

    assert!(matches!(Store::open(&fixture.path(), t(0), &options()), Err(OpenError::Locked { .. })));
    fixture.store.close().await;
    assert_eq!(fixture.store.accept(vec![new_job("x")]).await.unwrap_err(), StoreError::Closed);
    assert_eq!(fixture.store.find(&reference("ref-1")).await.unwrap_err(), StoreError::Closed);
    assert_eq!(fixture.store.fold().await.unwrap_err(), StoreError::Closed);
    let opened = Store::open(&fixture.path(), t(0), &options()).unwrap();
    assert!(opened.reconcile.is_none());
    assert_eq!(count(&fixture.path(), "SELECT count(*) FROM jobs"), 51);
}
