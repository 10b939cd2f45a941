//! M12 on a full disk.

use std::{fs, process::Command, time::Duration};

use super::*;
use crate::task::Room;

const HOUR: Duration = Duration::from_secs(3600);

/// Lets the file grow by so many pages and no more: to SQLite that is a full disk.
pub(super) async fn room_for_pages(store: &Store, pages: i64) {
    let limit = store.write(Room::Reserved, pages, |transaction, pages| {
        let now: i64 = transaction.query_row("PRAGMA page_count", [], |row| row.get(0))?;
        transaction.query_row(&format!("PRAGMA max_page_count = {}", now + *pages), [], |_| Ok(()))?;
        Ok(())
    });
    limit.await.unwrap();
}

/// Takes jobs in until the store is full; answers how many there are then.
pub(super) async fn fill(store: &Store) -> i64 {
    for n in 0.. {
        match store.accept(vec![new_job(&format!("fill-{n}"))]).await {
            Ok(_) => {}
            Err(error) => {
                assert_eq!(error, StoreError::Full);
                return n;
            }
        }
    }
    unreachable!()
}

fn reserve(fixture: &Fixture) -> PathBuf {
    fixture.dir.path().join("s.db.reserve")
}

fn with_hands_off() -> Fixture {
    let dir = tempfile::tempdir().unwrap();
    let options = OpenOptions { look_for_room_every: HOUR, ..options() };
    let store = Store::open(&dir.path().join("s.db"), t(0), &options).unwrap().store;
    Fixture { dir: Arc::new(dir), store }
}

#[tokio::test]
async fn m12_a_full_disk_refuses_intents_and_keeps_results_room() {
    let fixture = with_hands_off();
    let store = &fixture.store;
    let in_flight = fixture.driven("in-flight").await;
    store.record(intent(&in_flight, 1)).await.unwrap();
    let in_flight = fixture.job("in-flight").await;
    let not_begun = fixture.driven("not-begun").await;
    fixture.waiting("waits", t(1)).await;
    assert!(reserve(&fixture).exists());

    room_for_pages(store, 0).await;
    let accepted = fill(store).await;
    assert_eq!(store.health(), Health::Full);
    assert!(!reserve(&fixture).exists(), "the reserve makes room for results");

    // What was acknowledged is there, and nothing of what was refused.
    assert_eq!(count(&fixture.path(), "SELECT count(*) FROM jobs"), accepted + 3);

    // The room the reserve gave is for results: even now no job, claim or intent gets any of it.
    room_for_pages(store, 16).await;
    assert!(matches!(store.accept(vec![new_job("x")]).await, Err(StoreError::Full)));
    assert!(matches!(store.refuse(vec![refusal("x")]).await, Err(StoreError::Full)));
    assert!(matches!(store.claim_due("finpay", t(9), 9).await, Err(StoreError::Full)));
    assert_eq!(store.record(intent(&not_begun, 2)).await.unwrap_err(), StoreError::Full);
    assert_eq!(fixture.job("not-begun").await, not_begun);
    let body = vec![b'x'; 20_000];
    let outcomes = vec![NewOutcome { body, ..outcome("e-1", "topup.succeeded") }];
    store.record(Record { ends: vec![end(1)], outcomes, ..success(&in_flight) }).await.unwrap();
    assert_eq!(fixture.job("in-flight").await.job.state, State::Succeeded);
    store.mark_published(vec![OutcomeId(1)], t(9)).await.unwrap();

    // Room again: the reserve is taken first, then intents go on.
    room_for_pages(store, 10_000).await;
    store.look_for_room().await;
    assert_eq!(store.health_when(|health| *health != Health::Full).await, Health::Writable);
    assert!(reserve(&fixture).exists());
    store.record(intent(&not_begun, 2)).await.unwrap();
    assert!(matches!(fixture.accept_one(new_job("x")).await, Accepted::New(_)));
    assert_eq!(store.claim_due("finpay", t(9), 9).await.unwrap().len(), 1);
}

#[tokio::test]
async fn m12_while_the_reserve_cannot_be_had_again_the_store_stays_full() {
    let fixture = with_hands_off();
    room_for_pages(&fixture.store, 0).await;
    fill(&fixture.store).await;
    room_for_pages(&fixture.store, 10_000).await;
    // Something stands in its place.
    fs::create_dir(reserve(&fixture)).unwrap();
    fixture.store.look_for_room().await;
    fixture.store.audit_append(audit_entry("behind the probe")).await.unwrap();
    assert_eq!(fixture.store.health(), Health::Full);
    fs::remove_dir(reserve(&fixture)).unwrap();
    fixture.store.look_for_room().await;
    fixture.store.audit_append(audit_entry("behind the probe")).await.unwrap();
    assert_eq!(fixture.store.health(), Health::Writable);
}

#[tokio::test]
async fn m12_a_group_that_does_not_fit_takes_its_results_and_refuses_its_intents() {
    let fixture = with_hands_off();
    let mut jobs = Vec::new();
    for n in 0..10 {
        jobs.push(fixture.driven(&format!("ref-{n}")).await);
    }
    // Two small results fit beside what is there; ten jobs of a page each do not.
    room_for_pages(&fixture.store, 2).await;
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..10 {
        let store = fixture.store.clone();
        let mut new = new_job(&format!("big-{n}"));
        new.request.metadata = Private::from(format!("{{\"a\":\"{}\"}}", "x".repeat(4000)));
        tasks.spawn(async move { ("accept", store.accept(vec![new]).await.map(drop)) });
    }
    for job in jobs.drain(..2) {
        let store = fixture.store.clone();
        let record = Record { outcomes: Vec::new(), ..success(&job) };
        tasks.spawn(async move { ("record", store.record(record).await.map(drop)) });
    }
    let done = tasks.join_all().await;
    let stored = done.iter().filter(|(what, result)| *what == "accept" && result.is_ok()).count();
    for (what, result) in &done {
        match (*what, result) {
            ("record", result) => assert_eq!(*result, Ok(())),
            (_, result) => assert!(matches!(result, Ok(()) | Err(StoreError::Full)), "{result:?}"),
        }
    }
    assert!(stored < 10);
    assert_eq!(count(&fixture.path(), "SELECT count(*) FROM jobs"), 10 + i64::try_from(stored).unwrap());
}

#[tokio::test]
async fn m12_the_store_finds_room_again_by_itself() {
    let dir = tempfile::tempdir().unwrap();
    let options = OpenOptions { look_for_room_every: Duration::from_millis(20), ..options() };
    let store = Store::open(&dir.path().join("s.db"), t(0), &options).unwrap().store;
    room_for_pages(&store, 0).await;
    fill(&store).await;
    room_for_pages(&store, 10_000).await;
    let again = tokio::time::timeout(Duration::from_secs(10), store.health_when(|health| *health == Health::Writable));
    again.await.expect("within ten seconds");
    store.accept(vec![new_job("x")]).await.unwrap();
}

#[tokio::test]
async fn a_command_beside_the_worker_that_finds_no_room_does_not_stay_full() {
    let fixture = Fixture::new();
    let beside = fixture.beside();
    room_for_pages(&beside, 0).await;
    fill(&beside).await;
    assert_eq!(beside.health(), Health::Writable);
    room_for_pages(&beside, 100).await;
    beside.accept(vec![new_job("x")]).await.unwrap();
}

/// Where the file system is, for the test that is run on it.
pub(super) fn its_dir() -> Option<PathBuf> {
    #[expect(clippy::disallowed_methods, reason = "how a test tells its child what to do")]
    std::env::var_os(DIR).map(PathBuf::from)
}

const CHILD: &str = "tests::full_disk::this_does_nothing_outside_its_file_system";
const DIR: &str = "OUTBOX_TEST_FULL_FILE_SYSTEM";

/// The same on a file system that really is full, where this user may mount one.
#[test]
fn m12_on_a_full_file_system_too_where_one_can_be_mounted() {
    on_a_small_file_system(CHILD);
}

/// Runs a test of this program, which ends with "went through it all", on a file system of 8 MiB.
pub(super) fn on_a_small_file_system(child: &str) {
    let dir = tempfile::tempdir().unwrap();
    let mount = format!("mount -t tmpfs -o size=8m tmpfs {}", dir.path().display());
    let namespaces: [&[&str]; 2] = [&["--mount"], &["--user", "--map-root-user", "--mount"]];
    let may = |flags: &&&[&str]| {
        Command::new("unshare")
            .args(**flags)
            .args(["sh", "-c", &mount])
            .output()
            .is_ok_and(|done| done.status.success())
    };
    let Some(flags) = namespaces.iter().find(may) else {
        println!("no file system can be mounted here: only max_page_count was tried");
        return;
    };
    let this = std::env::current_exe().unwrap();
    let run = format!("{mount} && exec {} --exact {child} --nocapture", this.display());
    let done = Command::new("unshare").args(*flags).args(["sh", "-c", &run]).env(DIR, dir.path()).output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    assert!(done.status.success() && said.contains("went through it all"), "{said}");
}

#[tokio::test]
async fn this_does_nothing_outside_its_file_system() {
    let Some(dir) = its_dir() else { return };
    let path = dir.join("s.db");
    let options = OpenOptions {
        min_free_bytes: 256 << 10,
        reserve_bytes: 256 << 10,
        look_for_room_every: Duration::from_millis(20),
        ..options()
    };
    let store = Store::open(&path, t(0), &options).unwrap().store;
    let mut jobs = Vec::new();
    for n in 0..50 {
        let Accepted::New(job) = store.accept(vec![new_job(&format!("ref-{n}"))]).await.unwrap().remove(0) else {
            panic!()
        };
        store.record(intent(&job, n)).await.unwrap();
        jobs.push(store.job(job.id).await.unwrap().unwrap());
    }

    // Something else takes all there is: low space is seen before anything fails.
    let ballast = dir.join("ballast");
    let take_all = || {
        let mut file = fs::OpenOptions::new().create(true).append(true).open(&ballast).unwrap();
        while std::io::Write::write_all(&mut file, &[1; 4096]).is_ok() {}
    };
    take_all();
    let within = Duration::from_secs(10);
    tokio::time::timeout(within, store.health_when(|health| *health == Health::Full)).await.unwrap();
    assert!(matches!(store.accept(vec![new_job("x")]).await, Err(StoreError::Full)));
    assert!(dir.join("s.db.reserve").exists(), "low is not yet full");

    // The results of all that is in flight go into the reserve.
    for (n, job) in (0..).zip(&jobs) {
        let mut record = Record { ends: vec![end(n)], ..success(job) };
        record.outcomes[0].body = vec![b'x'; 1000];
        store.record(record).await.unwrap();
    }
    assert!(!dir.join("s.db.reserve").exists());
    assert_eq!(store.health(), Health::Full);

    // Even that room ends; then results are refused and can be tried again. Nothing is half there.
    take_all();
    let mut appended = 0;
    let refused = loop {
        match store.audit_append(audit_entry(&"x".repeat(2000))).await {
            Ok(_) => appended += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(refused, StoreError::Full);
    fs::remove_file(&ballast).unwrap();
    tokio::time::timeout(within, store.health_when(|health| *health == Health::Writable)).await.unwrap();
    assert!(dir.join("s.db.reserve").exists());
    store.accept(vec![new_job("x")]).await.unwrap();
    assert_eq!(store.audit_verify().await.unwrap().unwrap().rows, appended);
    store.close().await;

    let opened = Store::open(&path, t(0), &options).unwrap();
    assert!(opened.reconcile.is_none());
    assert_eq!(count(&path, "SELECT count(*) FROM jobs WHERE state = 'succeeded'"), 50);
    opened.store.close().await;

    // A store that is opened with too little room says so at once.
    take_all();
    let file = fs::OpenOptions::new().write(true).open(&ballast).unwrap();
    file.set_len(file.metadata().unwrap().len() - (200 << 10)).unwrap();
    let store = Store::open(&path, t(0), &options).unwrap().store;
    assert_eq!(store.accept(vec![new_job("y")]).await.unwrap_err(), StoreError::Full);
    println!("went through it all");
}
