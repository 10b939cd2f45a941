//! M12 on a disk that fails in other ways than being full.

use std::process::Command;

use super::*;

const CHILD: &str = "tests::broken_disk::this_does_nothing_unless_its_files_are_limited";
const STORE: &str = "OUTBOX_TEST_LIMITED_STORE";

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
