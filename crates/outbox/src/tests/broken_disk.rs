//! M12 on a disk that fails in other ways than being full.

use std::process::Command;

use super::{full_disk::room_for_pages, *};

const CHILD: &str = "tests::broken_disk::this_does_nothing_unless_its_files_are_limited";
const STORE: &str = "OUTBOX_TEST_LIMITED_STORE";
const MOVING_CHILD: &str = "tests::broken_disk::this_does_nothing_unless_its_file_is_to_grow_beyond_its_limit";
const MOVING_STORE: &str = "OUTBOX_TEST_MOVING_STORE";

/// A file size limit makes a write fail with an error that is not "no space": to the store, any I/O error.
#[tokio::test]
async fn m12_any_other_write_error_ends_the_store_and_what_was_acknowledged_is_there() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s.db");
    // Half-KiB blocks, or KiB, as the shell has it.
    let run = format!("trap '' XFSZ; ulimit -f 2000; exec {} --exact {CHILD} --nocapture", this().display());
    let done = Command::new("sh").args(["-c", &run]).env(STORE, &path).output().unwrap();
    let said = String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success(), "{said}{}", String::from_utf8_lossy(&done.stderr));
    let acknowledged: i64 = said.split_once("acknowledged ").unwrap().1.lines().next().unwrap().parse().unwrap();
    assert!(acknowledged > 20, "{acknowledged}");

    let opened = Store::open(&path, t(1), &options()).unwrap();
    assert!(opened.reconcile.is_none());
    // The one that failed may be there or not.
    let stored = count(&path, "SELECT count(*) FROM jobs");
    assert!((acknowledged..=acknowledged + 1).contains(&stored), "{stored} of {acknowledged}");
    opened.store.accept(vec![new_job("after")]).await.unwrap();
}

/// What the file does not take while room is looked for is unknown.
#[tokio::test]
async fn m12_a_write_error_while_the_wal_is_moved_ends_the_store() {
    let dir = tempfile::tempdir().unwrap();
    let run = format!("trap '' XFSZ; ulimit -f 2000; exec {} --exact {MOVING_CHILD} --nocapture", this().display());
    let done = Command::new("sh").args(["-c", &run]).env(MOVING_STORE, dir.path().join("s.db")).output().unwrap();
    let said = String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success(), "{said}{}", String::from_utf8_lossy(&done.stderr));
    assert!(said.contains("failed as it should"), "{said}");
}

#[tokio::test]
async fn this_does_nothing_unless_its_file_is_to_grow_beyond_its_limit() {
    #[expect(clippy::disallowed_methods, reason = "how a test tells its child what to do")]
    let Some(path) = std::env::var_os(MOVING_STORE).map(PathBuf::from) else { return };
    let limit = rustix::process::getrlimit(rustix::process::Resource::Fsize).current.unwrap();
    let options = OpenOptions { look_for_room_every: std::time::Duration::from_secs(3600), ..options() };
    let store = Store::open(&path, t(0), &options).unwrap().store;
    // Twice so much that the WAL stays below the limit and the file, where it ends up, does not.
    for round in 0..2 {
        room_for_pages(&store, 100_000).await;
        store.look_for_room().await;
        store.health_when(|health| *health == Health::Writable).await;
        // In one commit, which writes each page once.
        let large = |n| {
            let delivered = Delivered { body: vec![b'x'; 20_000], ..refusal("x").delivered };
            Refusal { delivered, ..refusal(&format!("dl-{round}-{n}")) }
        };
        store.refuse((0..limit * 6 / 10 / 20_000).map(large).collect()).await.unwrap();
        room_for_pages(&store, 0).await;
        store.refuse(vec![large(limit)]).await.unwrap_err();
        assert_eq!(matches!(store.health(), Health::Failed { .. }), round == 1, "{:?}", store.health());
    }
    println!("failed as it should");
}

fn this() -> PathBuf {
    std::env::current_exe().unwrap()
}

#[tokio::test]
async fn this_does_nothing_unless_its_files_are_limited() {
    #[expect(clippy::disallowed_methods, reason = "how a test tells its child what to do")]
    let Some(path) = std::env::var_os(STORE).map(PathBuf::from) else { return };
    let store = Store::open(&path, t(0), &options()).unwrap().store;
    let mut acknowledged = 0;
    let error = loop {
        let mut new = new_job(&format!("ref-{acknowledged}"));
        new.request.metadata = Private::from(format!("{{\"a\":\"{}\"}}", "x".repeat(1000)));
        match store.accept(vec![new]).await {
            Ok(_) => acknowledged += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, StoreError::Failed(_)), "{error}");
    assert!(matches!(store.health(), Health::Failed { .. }));
    // For good, and for results as well.
    assert_eq!(store.audit_append(audit_entry("a")).await.unwrap_err(), error);
    assert_eq!(store.claim_due("finpay", t(1), 1).await.unwrap_err(), error);
    println!("acknowledged {acknowledged}");
}
