//! Backups and what is put back from them.

use std::{fs, os::unix::fs::PermissionsExt as _};

use super::*;

fn beside(path: &Path, suffix: &str) -> PathBuf {
    PathBuf::from(format!("{}{suffix}", path.display()))
}

fn put_back(path: &Path, from: &Path) -> Result<Restored, OpenError> {
    Restoring::prepare(path, from)?
        .into_place("restored from a backup", &NewAudit { at: t(100), ..audit_entry("store_restored") })
}

/// A store with a backup of `before` jobs, and `after` more since; closed.
async fn backed_up(before: usize, after: usize) -> (Fixture, PathBuf) {
    let fixture = Fixture::new();
    for n in 0..before {
        fixture.driven(&format!("before-{n}")).await;
    }
    let backup = fixture.dir.path().join("backup.db");
    Store::back_up(&fixture.path(), &backup, t(50)).unwrap();
    for n in 0..after {
        fixture.driven(&format!("after-{n}")).await;
    }
    fixture.store.close().await;
    (fixture, backup)
}

fn jobs_in(path: &Path) -> i64 {
    count(path, "SELECT count(*) FROM jobs")
}

#[tokio::test(flavor = "multi_thread")]
async fn m12_a_backup_beside_a_busy_worker_is_one_moment_of_it_in_one_file_for_its_owner() {
    let fixture = Fixture::new();
    fixture.driven("first").await;
    let (store, path) = (fixture.store.clone(), fixture.path());
    let mut busy = tokio::task::JoinSet::new();
    busy.spawn(async move {
        for n in 0..400 {
            store.accept(vec![new_job(&format!("ref-{n}"))]).await.unwrap();
        }
    });
    let mut last = 0;
    for n in 0..4 {
        let (from, to) = (path.clone(), fixture.dir.path().join(format!("backup-{n}.db")));
        let facts = {
            let to = to.clone();
            tokio::task::spawn_blocking(move || Store::back_up(&from, &to, t(7)).unwrap()).await.unwrap()
        };
        assert_eq!(facts.copied_at, Some(t(7)));
        assert_eq!(facts.commits, i64::try_from(facts.jobs).unwrap(), "one job a commit: it is one moment");
        assert!(facts.jobs >= last, "and none from before the last one");
        last = facts.jobs;
        assert_eq!(fs::metadata(&to).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(jobs_in(&to), i64::try_from(facts.jobs).unwrap());
        let left = fs::read_dir(fixture.dir.path()).unwrap().map(|entry| entry.unwrap().file_name());
        assert!(!left.into_iter().any(|name| name.to_string_lossy().contains("part")));
    }
    busy.join_all().await;
    assert_eq!(fixture.store.health(), Health::Writable);
}

#[tokio::test]
async fn a_backup_is_never_written_over_anything_and_leaves_nothing_where_it_fails() {
    let fixture = Fixture::new();
    let to = fixture.dir.path().join("mine");
    fs::write(&to, "mine").unwrap();
    for to in [&to, &fixture.path()] {
        let error = Store::back_up(&fixture.path(), to, t(0)).unwrap_err();
        assert!(matches!(error, OpenError::InTheWay(_)), "{error}");
    }
    assert_eq!(fs::read(&to).unwrap(), b"mine");
    let nowhere = fixture.dir.path().join("no").join("backup.db");
    Store::back_up(&fixture.path(), &nowhere, t(0)).unwrap_err();
    let damaged = fixture.dir.path().join("damaged.db");
    fixture.store.accept((0..500).map(|n| new_job(&format!("ref-{n}"))).collect()).await.unwrap();
    fixture.store.close().await;
    let mut bytes = fs::read(fixture.path()).unwrap();
    let middle = bytes.len() / 8192 * 4096;
    bytes[middle..middle + 200].fill(0xff);
    fs::write(&damaged, bytes).unwrap();
    let to = fixture.dir.path().join("backup.db");
    let error = Store::back_up(&damaged, &to, t(0)).unwrap_err();
    assert!(matches!(error, OpenError::Damaged { .. }), "{error}");
    assert!(!to.exists());
    let missing = Store::back_up(&fixture.dir.path().join("nowhere.db"), &to, t(0)).unwrap_err();
    assert!(matches!(missing, OpenError::Missing(_)), "{missing}");
}

#[tokio::test]
async fn m12_a_backup_that_is_put_back_by_hand_is_recognised_whatever_stands_beside_it() {
    let (fixture, backup) = backed_up(3, 0).await;
    // Its side file says the same number: nothing else tells.
    fs::copy(&backup, fixture.path()).unwrap();
    let opened = Store::open(&fixture.path(), t(100), &options()).unwrap();
    let mark = opened.reconcile.unwrap();
    assert!(mark.reason.starts_with("it is a backup of "), "{}", mark.reason);
    assert_eq!(mark.known_until, Some(t(0)), "up to its newest record");
    opened.store.clear_reconcile(audit_entry("store_reconciled")).await.unwrap();
    opened.store.close().await;
    assert!(Store::open(&fixture.path(), t(101), &options()).unwrap().reconcile.is_none(), "said once");
}

#[tokio::test]
async fn m12_a_restore_puts_the_copy_in_place_keeps_what_was_there_and_asks_first() {
    let (fixture, backup) = backed_up(3, 2).await;
    let restoring = Restoring::prepare(&fixture.path(), &backup).unwrap();
    assert_eq!((restoring.facts().jobs, restoring.facts().copied_at), (3, Some(t(50))));
    let shown = restoring.store(t(100), &options()).unwrap();
    assert!(shown.find(&reference("before-2")).await.unwrap().is_some());
    shown.close().await;
    drop(shown);
    let restored = restoring
        .into_place("restored from backup.db", &NewAudit { at: t(100), ..audit_entry("store_restored") })
        .unwrap();
    assert_eq!(restored.mark.known_until, Some(t(0)));
    let aside = restored.aside.unwrap();
    assert_eq!((jobs_in(&aside), jobs_in(&fixture.path())), (5, 3));
    assert_eq!(fs::metadata(fixture.path()).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(backup.exists() && !beside(&fixture.path(), ".restoring").exists());

    let opened = Store::open(&fixture.path(), t(101), &options()).unwrap();
    assert_eq!(opened.reconcile, Some(restored.mark), "and it is not marked once more");
    let rows = opened.store.audit_rows(0, 9).await.unwrap();
    assert_eq!(rows.last().unwrap().entry.action, "store_restored");
    assert!(opened.store.audit_verify().await.unwrap().is_ok());
    opened.store.clear_reconcile(audit_entry("store_reconciled")).await.unwrap();
    opened.store.close().await;
    // The file that was there, put back by hand in its turn, is behind.
    fs::copy(&aside, fixture.path()).unwrap();
    assert!(Store::open(&fixture.path(), t(102), &options()).unwrap().reconcile.is_some());
}

#[tokio::test]
async fn m13_a_restore_is_refused_beside_a_worker_whatever_was_removed_and_beside_a_command() {
    let (fixture, backup) = backed_up(1, 1).await;
    let worker = Store::open(&fixture.path(), t(0), &options()).unwrap().store;
    let hard = fixture.dir.path().join("hard.db");
    fs::hard_link(fixture.path(), &hard).unwrap();
    for round in 0..2 {
        for path in [&fixture.path(), &hard] {
            let error = put_back(path, &backup).unwrap_err();
            assert!(matches!(error, OpenError::Locked { .. }), "{error}");
        }
        if round == 0 {
            fs::remove_file(beside(&fixture.path(), ".lock")).unwrap();
        }
    }
    worker.accept(vec![new_job("goes-on")]).await.unwrap();
    worker.close().await;
    fs::remove_file(&hard).unwrap();

    let command = fixture.beside();
    command.audit_append(audit_entry("a")).await.unwrap();
    let error = put_back(&fixture.path(), &backup).unwrap_err();
    assert!(matches!(error, OpenError::InUse(_)), "{error}");
    command.audit_append(audit_entry("b")).await.unwrap();
    command.close().await;
    put_back(&fixture.path(), &backup).unwrap();
}

#[tokio::test]
async fn what_is_not_a_whole_store_is_not_put_back() {
    let (fixture, backup) = backed_up(200, 1).await;
    let before = fs::read(fixture.path()).unwrap();
    let dir = fixture.dir.path();
    let file = |name: &str, bytes: &[u8]| {
        fs::write(dir.join(name), bytes).unwrap();
        dir.join(name)
    };
    let mut cut = fs::read(&backup).unwrap();
    cut.truncate(cut.len() / 2 / 4096 * 4096);
    let mut flipped = fs::read(&backup).unwrap();
    let middle = flipped.len() / 8192 * 4096;
    flipped[middle + 1..middle + 300].fill(0xff);
    let newer = file("newer.db", &fs::read(&backup).unwrap());
    raw(&newer).execute_batch("PRAGMA user_version = 99").unwrap();
    let no_trail = file("no-trail.db", &fs::read(&backup).unwrap());
    raw(&no_trail).execute_batch("UPDATE meta SET audit_rows = 7").unwrap();
    let stranger = dir.join("stranger.db");
    raw(&stranger).execute_batch("CREATE TABLE users (id INTEGER)").unwrap();
    for from in [
        file("empty.db", b""),
        file("text.db", b"not a database at all"),
        file("cut.db", &cut),
        file("flipped.db", &flipped),
        newer,
        no_trail,
        stranger,
        dir.join("nowhere.db"),
        fixture.path(),
    ] {
        put_back(&fixture.path(), &from).expect_err(&from.display().to_string());
        assert!(fs::read(fixture.path()).unwrap() == before, "{}", from.display());
        assert!(!beside(&fixture.path(), ".restoring").exists());
    }
    assert!(Store::open(&fixture.path(), t(1), &options()).unwrap().reconcile.is_none(), "nothing has happened");
}

#[tokio::test]
async fn m13_a_live_store_is_no_copy_to_restore_from() {
    let (fixture, _) = backed_up(1, 0).await;
    let live = Fixture::new();
    live.driven("ref-1").await;
    let error = put_back(&fixture.path(), &live.path()).unwrap_err();
    assert!(matches!(error, OpenError::Locked { .. }), "{error}");
}

#[tokio::test]
async fn m12_a_copy_with_its_log_is_put_back_with_what_is_in_the_log() {
    let fixture = Fixture::new();
    for n in 0..5 {
        fixture.driven(&format!("ref-{n}")).await;
    }
    let copy = fixture.dir.path().join("copy.db");
    for suffix in ["", "-wal"] {
        fs::copy(beside(&fixture.path(), suffix), beside(&copy, suffix)).unwrap();
    }
    fixture.store.close().await;
    put_back(&fixture.path(), &copy).unwrap();
    assert_eq!(jobs_in(&fixture.path()), 5);
}

#[tokio::test]
async fn m12_a_damaged_store_is_kept_with_its_log_and_a_missing_one_is_put_back() {
    let fixture = Fixture::new();
    fixture.driven("ref-1").await;
    let backup = fixture.dir.path().join("backup.db");
    Store::back_up(&fixture.path(), &backup, t(50)).unwrap();
    let log = fs::read(beside(&fixture.path(), "-wal")).unwrap();
    fixture.store.close().await;
    fs::write(fixture.path(), b"rubbish").unwrap();
    fs::write(beside(&fixture.path(), "-wal"), &log).unwrap();
    let restored = put_back(&fixture.path(), &backup).unwrap();
    let aside = restored.aside.unwrap();
    assert_eq!(fs::read(&aside).unwrap(), b"rubbish");
    assert_eq!(fs::read(beside(&aside, "-wal")).unwrap(), log);
    assert_eq!(jobs_in(&fixture.path()), 1);
    assert!(Store::open(&fixture.path(), t(101), &options()).unwrap().reconcile.is_some());

    // Where only its log is left.
    let (gone, backup) = backed_up(2, 1).await;
    fs::remove_file(gone.path()).unwrap();
    fs::write(beside(&gone.path(), "-wal"), &log).unwrap();
    assert_eq!(put_back(&gone.path(), &backup).unwrap().aside, None);
    assert_eq!(jobs_in(&gone.path()), 2, "no log of another is read as its own");
}

#[tokio::test]
async fn m12_a_restore_that_breaks_off_anywhere_leaves_the_old_store_or_the_new_one() {
    for step in 0..5 {
        // Stopped, and killed with its last commits in the log.
        for killed in [false, true] {
            let (fixture, backup) = backed_up(3, 0).await;
            let store = Store::open(&fixture.path(), t(60), &options()).unwrap().store;
            for n in 0..2 {
                store.accept(vec![new_job(&format!("after-{n}"))]).await.unwrap();
            }
            let log = fs::read(beside(&fixture.path(), "-wal")).unwrap();
            let file = fs::read(fixture.path()).unwrap();
            store.close().await;
            if killed {
                fs::write(fixture.path(), file).unwrap();
                fs::write(beside(&fixture.path(), "-wal"), log).unwrap();
            }
            let mut restoring = Restoring::prepare(&fixture.path(), &backup).unwrap();
            restoring.steps = Some(step);
            let audit = NewAudit { at: t(100), ..audit_entry("store_restored") };
            restoring.into_place("restored", &audit).unwrap_err();

            let opened = Store::open(&fixture.path(), t(101), &options()).unwrap();
            let jobs = jobs_in(&fixture.path());
            match opened.reconcile {
                None => assert_eq!(jobs, 5, "the old one, whole: step {step}"),
                Some(mark) => {
                    assert_eq!(jobs, 3, "the new one: step {step}");
                    assert!(step == 4, "only after the rename");
                    assert_eq!(mark.since, t(100));
                }
            }
            opened.store.close().await;
            // Said again, it is done.
            put_back(&fixture.path(), &backup).unwrap();
            let opened = Store::open(&fixture.path(), t(102), &options()).unwrap();
            assert!(opened.reconcile.is_some());
            assert_eq!(jobs_in(&fixture.path()), 3);
        }
    }
}
