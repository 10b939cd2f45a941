//! M12 on a disk that fails in other ways than being full.

use std::process::Command;

use super::{full_disk::room_for_pages, *};

const CHILD: &str = "tests::broken_disk::this_does_nothing_unless_its_files_are_limited";
const STORE: &str = "OUTBOX_TEST_LIMITED_STORE";
const FULL_CHILD: &str = "tests::broken_disk::this_does_nothing_either_unless_its_files_are_limited";
const FULL_STORE: &str = "OUTBOX_TEST_LIMITED_FULL_STORE";

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

/// The WAL is moved to make room on a full disk; what the file then does not take is unknown.
#[tokio::test]
async fn m12_a_write_error_while_a_full_wal_is_moved_ends_the_store() {
    let dir = tempfile::tempdir().unwrap();
    let run = format!("trap '' XFSZ; ulimit -f 2000; exec {} --exact {FULL_CHILD} --nocapture", this().display());
    let done = Command::new("sh").args(["-c", &run]).env(FULL_STORE, dir.path().join("s.db")).output().unwrap();
    let said = String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success(), "{said}{}", String::from_utf8_lossy(&done.stderr));
    assert!(said.contains("went through it all"), "{said}");
}

fn this() -> PathBuf {
    std::env::current_exe().unwrap()
}

/// What the parent told its child.
fn told(variable: &str) -> Option<PathBuf> {
    #[expect(clippy::disallowed_methods, reason = "how a test tells its child what to do")]
    std::env::var_os(variable).map(PathBuf::from)
}

fn long_job(number: i64, bytes: usize) -> NewJob {
    let mut new = new_job(&format!("ref-{number}"));
    new.request.metadata = Private::from(format!("{{\"a\":\"{}\"}}", "x".repeat(bytes)));
    new
}

#[tokio::test]
async fn this_does_nothing_unless_its_files_are_limited() {
    let Some(path) = told(STORE) else { return };
    let store = Store::open(&path, t(0), &options()).unwrap().store;
    let mut acknowledged = 0;
    let error = loop {
        match store.accept(vec![long_job(acknowledged, 1000)]).await {
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

#[tokio::test]
async fn this_does_nothing_either_unless_its_files_are_limited() {
    let Some(path) = told(FULL_STORE) else { return };
    let scratch = path.with_extension("scratch");
    let mut file = std::fs::File::create(&scratch).unwrap();
    while std::io::Write::write_all(&mut file, &[0; 4096]).is_ok() {}
    let limit = file.metadata().unwrap().len();
    let pages = i64::try_from(limit / 4096).unwrap();

    // The file comes near its limit; then it is moved whole, and its WAL begins anew.
    let by_hand = OpenOptions { checkpoint_frames: usize::MAX >> 1, ..options() };
    let store = Store::open(&path, t(0), &by_hand).unwrap().store;
    let mut number = 0;
    while count(&path, "PRAGMA page_count") < pages - 32 {
        store.accept(vec![long_job(number, 40_000)]).await.unwrap();
        store.fold().await.unwrap();
        number += 1;
    }
    room_for_pages(&store, 64).await;
    assert_eq!(store.health(), Health::Writable);
    let refused = loop {
        match store.accept(vec![long_job(number, 40_000)]).await {
            Ok(_) => number += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(refused, StoreError::Full);
    // The WAL had room below the limit, and what it holds lies beyond the file's.
    let result = store.audit_append(audit_entry("a")).await;
    assert!(matches!(result, Err(StoreError::Failed(_))), "{result:?}");
    assert!(matches!(store.health(), Health::Failed { .. }));
    println!("went through it all");
}
