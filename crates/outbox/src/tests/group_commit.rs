//! The writer commits what waits as one group.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use super::*;
use crate::{error::Rejected, task::Room};

#[tokio::test(flavor = "multi_thread")]
async fn records_that_wait_together_are_committed_together() {
    let dir = tempfile::tempdir().unwrap();
    let (commits, commands) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (seen_commits, seen_commands) = (Arc::clone(&commits), Arc::clone(&commands));
    let on_commit: CommitObserver = Arc::new(move |sample: CommitSample| {
        assert!(sample.took > Duration::ZERO);
        seen_commits.fetch_add(1, Ordering::Relaxed);
        seen_commands.fetch_add(sample.commands, Ordering::Relaxed);
    });
    let options = OpenOptions { on_commit: Some(on_commit), ..options() };
    let store = Store::open(&dir.path().join("s.db"), t(0), &options).unwrap().store;
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..500 {
        let store = store.clone();
        tasks.spawn(async move {
            let Accepted::New(job) = store.accept(vec![new_job(&format!("ref-{n}"))]).await.unwrap().remove(0) else {
                panic!()
            };
            let sent = store.record(intent(&job, n)).await.unwrap();
            let done = Record { ends: vec![end(n)], ..success(&StoredJob { version: sent.version, ..*job }) };
            store.record(done).await.unwrap();
        });
    }
    tasks.join_all().await;
    let (commits, commands) = (commits.load(Ordering::Relaxed), commands.load(Ordering::Relaxed));
    assert_eq!(commands, 1500);
    assert!(commits < 750, "{commits} commits for {commands} commands");
    let path = dir.path().join("s.db");
    assert_eq!(count(&path, "SELECT count(*) FROM outcomes"), 500);
    assert_eq!(usize::try_from(count(&path, "SELECT commit_seq FROM meta")).unwrap(), commits);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_wal_starts_over_while_the_writer_is_busy() {
    let fixture = Fixture::new();
    let body = vec![b'x'; 20_000];
    for n in 0..1500 {
        let job = fixture.driven(&format!("ref-{n}")).await;
        let record = success(&job);
        let outcomes = vec![NewOutcome { body: body.clone(), ..record.outcomes[0].clone() }];
        fixture.store.record(Record { outcomes, ..record }).await.unwrap();
    }
    let wal = std::fs::metadata(format!("{}-wal", fixture.path().display())).unwrap().len();
    // 1500 bodies of 5 pages and as many small commits of 5 and more: over 60 MiB if it never started over.
    assert!(wal < 40 << 20, "{wal} bytes of WAL");
    assert_eq!(count(&fixture.path(), "SELECT count(*) FROM outcomes"), 1500);
}

#[tokio::test]
async fn another_process_that_holds_the_write_lock_is_waited_for() {
    let fixture = Fixture::new();
    let other = raw(&fixture.path());
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut accept = std::pin::pin!(fixture.store.accept(vec![new_job("ref-1")]));
    let waited = tokio::time::timeout(Duration::from_millis(300), accept.as_mut()).await;
    assert!(waited.is_err(), "it cannot have been committed");
    other.execute_batch("COMMIT").unwrap();
    assert!(matches!(accept.await.unwrap()[0], Accepted::New(_)));
}

/// Sets how long the handle's writer waits for the lock each time it tries.
async fn waits(store: &Store, each_time: Duration) {
    let set =
        store.write(Room::Reserved, each_time, |transaction, each_time| Ok(transaction.busy_timeout(*each_time)?));
    set.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_that_is_held_too_long_is_told_to_the_callers_and_a_command_hears_of_it_first() {
    const EACH_TIME: Duration = Duration::from_millis(50);
    let fixture = Fixture::new();
    let beside = fixture.beside();
    for store in [&fixture.store, &beside] {
        waits(store, EACH_TIME).await;
    }
    let other = raw(&fixture.path());
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    assert_eq!(beside.audit_append(audit_entry("a")).await.unwrap_err(), StoreError::Busy);
    let begun = std::time::Instant::now();
    assert!(matches!(fixture.store.accept(vec![new_job("ref-1")]).await, Err(StoreError::Busy)));
    assert!(begun.elapsed() >= 5 * EACH_TIME, "the worker tries six times");
    assert_eq!(fixture.store.health(), Health::Writable, "nothing is wrong with the store");
    other.execute_batch("COMMIT").unwrap();
    assert!(matches!(fixture.accept_one(new_job("ref-1")).await, Accepted::New(_)));
}

#[tokio::test(flavor = "multi_thread")]
async fn m12_a_writer_that_panicked_has_failed_the_store() {
    let fixture = Fixture::new();
    let panics = fixture.store.write(Room::Reserved, (), |_, ()| -> Result<(), Rejected> { panic!("a defect") });
    panics.await.unwrap_err();
    fixture.store.health_when(|health| matches!(health, Health::Failed { .. })).await;
    fixture.store.accept(vec![new_job("ref-1")]).await.unwrap_err();
}

#[tokio::test(flavor = "multi_thread")]
async fn again_and_again_the_wal_is_moved_into_the_file_when_it_has_grown() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s.db");
    let options = OpenOptions { checkpoint_frames: 64, ..options() };
    let fixture = Fixture { store: Store::open(&path, t(0), &options).unwrap().store, dir: Arc::new(dir) };
    let length = || std::fs::metadata(&path).unwrap().len();
    let end_one = async |n: usize| {
        let job = fixture.driven(&format!("ref-{n}")).await;
        // So large that what is moved makes the file grow.
        let large = NewOutcome { body: vec![b'x'; 20_000], ..success(&job).outcomes[0].clone() };
        fixture.store.record(Record { outcomes: vec![large], ..success(&job) }).await.unwrap();
    };
    let moved = async |than: u64| {
        let grows = async {
            while length() <= than {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), grows).await.expect("it is moved each time");
    };
    // Whoever does not see that the WAL has started over waits for more each time; the housekeeper may miss it once.
    for round in 1..8 {
        let before = length();
        // Some fifteen frames each.
        for n in 0..16 {
            end_one(1_000 * round + n).await;
        }
        moved(before).await;
    }
}

#[tokio::test]
async fn a_command_that_is_refused_before_its_first_change_is_done_once() {
    let fixture = Fixture::new();
    let done = Arc::new(AtomicUsize::new(0));
    let refused = fixture.store.write(Room::Ordinary, Arc::clone(&done), |_, done| {
        done.fetch_add(1, Ordering::Relaxed);
        Err::<(), _>(Rejected::Caller(StoreError::Busy))
    });
    assert_eq!(refused.await.unwrap_err(), StoreError::Busy);
    assert_eq!(done.load(Ordering::Relaxed), 1);
}
