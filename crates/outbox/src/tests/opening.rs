//! Opening, closing, and who may.

use std::os::unix::fs::PermissionsExt;

use super::*;

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn every_file_of_the_store_is_for_its_owner_s_eyes_only() {
    let fixture = Fixture::new();
    fixture.driven("ref-1").await;
    for suffix in ["", "-wal", "-shm", ".lock", ".reserve"] {
        let path = PathBuf::from(format!("{}{suffix}", fixture.path().display()));
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
    fixture.store.close().await;
    std::fs::set_permissions(fixture.path(), std::fs::Permissions::from_mode(0o644)).unwrap();
    let store = Store::open(&fixture.path(), t(0), &options()).unwrap().store;
    assert_eq!(mode(&fixture.path()), 0o600);
    store.close().await;
    // What others cannot read anyhow is its owner's affair.
    std::fs::set_permissions(fixture.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
    let store = Store::open(&fixture.path(), t(0), &options()).unwrap().store;
    assert_eq!(mode(&fixture.path()), 0o700);
    store.close().await;
}

#[tokio::test]
async fn m10_a_second_worker_is_refused_and_told_who_holds_the_store() {
    let fixture = Fixture::new();
    let link = fixture.dir.path().join("link.db");
    std::os::unix::fs::symlink(fixture.path(), &link).unwrap();
    for path in [fixture.path(), link, fixture.dir.path().join(".").join("s.db")] {
        let error = Store::open(&path, t(1), &options()).unwrap_err();
        let OpenError::Locked { pid, since, .. } = &error else { panic!("{error}") };
        assert_eq!((*pid, *since), (Some(std::process::id()), Some(t(0))));
    }
    // A command beside it is not.
    fixture.beside().audit_append(audit_entry("a")).await.unwrap();
    fixture.store.close().await;
    Store::open(&fixture.path(), t(1), &options()).unwrap().store.close().await;
}

#[tokio::test]
async fn what_was_stored_is_there_after_closing_and_a_closed_store_says_so() {
    let fixture = Fixture::new();
    let job = fixture.succeeded("ref-1").await;
    fixture.store.close().await;
    assert!(matches!(fixture.store.accept(vec![new_job("x")]).await, Err(StoreError::Closed)));
    assert!(matches!(fixture.store.find(&reference("ref-1")).await, Err(StoreError::Closed)));
    fixture.store.close().await;
    let wal = PathBuf::from(format!("{}-wal", fixture.path().display()));
    assert!(!wal.exists(), "the last one out folds the WAL");
    let opened = Store::open(&fixture.path(), t(0), &options()).unwrap();
    assert!(!opened.created && opened.reconcile.is_none());
    assert_eq!(opened.newest, Some(t(1)));
    assert_eq!(opened.store.find(&reference("ref-1")).await.unwrap(), Some(job));
}

#[tokio::test]
async fn a_worker_that_closes_leaves_all_in_the_file_though_a_command_has_it_open() {
    let fixture = Fixture::new();
    let beside = fixture.beside();
    beside.audit_append(audit_entry("a")).await.unwrap();
    fixture.driven("ref-1").await;
    fixture.store.close().await;
    let file_alone = fixture.dir.path().join("alone.db");
    std::fs::copy(fixture.path(), &file_alone).unwrap();
    assert_eq!(count(&file_alone, "SELECT count(*) FROM jobs"), 1);
    beside.close().await;
}

#[tokio::test]
async fn what_waits_for_the_writer_is_committed_before_the_store_closes() {
    let fixture = Fixture::new();
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..300 {
        let store = fixture.store.clone();
        tasks.spawn(async move { store.accept(vec![new_job(&format!("ref-{n}"))]).await });
    }
    tokio::task::yield_now().await;
    fixture.store.close().await;
    let accepted = tasks.join_all().await.into_iter().filter(Result::is_ok).count();
    assert_eq!(count(&fixture.path(), "SELECT count(*) FROM jobs"), i64::try_from(accepted).unwrap());
}

#[tokio::test]
async fn a_store_open_for_reading_makes_and_changes_nothing() {
    let fixture = Fixture::new();
    fixture.driven("ref-1").await;
    let reading = OpenOptions { read_only: true, ..OpenOptions::default() };
    let opened = Store::open(&fixture.path(), t(0), &reading).unwrap();
    assert!(opened.store.find(&reference("ref-1")).await.unwrap().is_some());
    assert!(matches!(opened.store.accept(vec![new_job("x")]).await, Err(StoreError::ReadOnly)));

    let nowhere = fixture.dir.path().join("nowhere.db");
    assert!(matches!(Store::open(&nowhere, t(0), &reading), Err(OpenError::Missing(_))));
    let unmade = OpenOptions { create: false, ..OpenOptions::default() };
    assert!(matches!(Store::open(&nowhere, t(0), &unmade), Err(OpenError::Missing(_))));
    assert_eq!(
        std::fs::read_dir(fixture.dir.path())
            .unwrap()
            .filter(|entry| { entry.as_ref().unwrap().file_name().to_string_lossy().starts_with("nowhere") })
            .count(),
        0
    );
    let missing_dir = fixture.dir.path().join("no").join("s.db");
    assert!(matches!(Store::open(&missing_dir, t(0), &options()), Err(OpenError::Io { what: "find", .. })));
}

#[tokio::test]
async fn a_stranger_s_file_a_newer_schema_and_rubbish_are_left_as_they_are() {
    let dir = tempfile::tempdir().unwrap();
    let stranger = dir.path().join("stranger.db");
    raw(&stranger).execute_batch("CREATE TABLE users (id INTEGER)").unwrap();
    let newer = dir.path().join("newer.db");
    Store::open(&newer, t(0), &options()).unwrap().store.close().await;
    raw(&newer).execute_batch("PRAGMA user_version = 99; PRAGMA journal_mode = DELETE;").unwrap();
    let rubbish = dir.path().join("rubbish.db");
    std::fs::write(&rubbish, [b'x'; 9000]).unwrap();
    for path in [&stranger, &newer, &rubbish] {
        let before = std::fs::read(path).unwrap();
        let error = Store::open(path, t(0), &options()).unwrap_err();
        match path.file_name().unwrap().to_str().unwrap() {
            "stranger.db" => assert!(matches!(error, OpenError::Foreign(_)), "{error}"),
            "newer.db" => assert!(matches!(error, OpenError::TooNew { found: 99, .. }), "{error}"),
            _ => assert!(matches!(error, OpenError::Damaged { .. }), "{error}"),
        }
        assert_eq!(std::fs::read(path).unwrap(), before);
    }
}

#[tokio::test]
async fn a_file_of_an_older_schema_is_not_read_and_not_migrated_by_who_only_reads() {
    let fixture = Fixture::new();
    fixture.store.close().await;
    raw(&fixture.path()).execute_batch("PRAGMA user_version = 0").unwrap();
    let reading = OpenOptions { read_only: true, ..OpenOptions::default() };
    let error = Store::open(&fixture.path(), t(0), &reading).unwrap_err();
    assert!(matches!(error, OpenError::TooOld { found: 0, .. }), "{error}");
    assert_eq!(count(&fixture.path(), "PRAGMA user_version"), 0);
}

#[tokio::test]
async fn a_file_of_an_unreleased_schema_is_refused_by_whoever_opens_it() {
    let fixture = Fixture::new();
    fixture.store.close().await;
    raw(&fixture.path()).execute_batch("DROP INDEX jobs_open").unwrap();
    let reading = OpenOptions { read_only: true, ..OpenOptions::default() };
    for options in [options(), OpenOptions::default(), reading] {
        let error = Store::open(&fixture.path(), t(0), &options).unwrap_err();
        assert!(matches!(error, OpenError::Unreleased { .. }), "{error}");
    }
}

#[tokio::test]
async fn m12_a_damaged_file_is_refused_and_kept() {
    let fixture = Fixture::new();
    let jobs = (0..500).map(|n| new_job(&format!("ref-{n}"))).collect();
    fixture.store.accept(jobs).await.unwrap();
    fixture.store.close().await;
    let mut bytes = std::fs::read(fixture.path()).unwrap();
    for page in 6..12 {
        bytes[page * 4096..page * 4096 + 200].fill(0xff);
    }
    std::fs::write(fixture.path(), &bytes).unwrap();
    let error = Store::open(&fixture.path(), t(0), &options()).unwrap_err();
    assert!(matches!(error, OpenError::Damaged { .. }), "{error}");
    assert_eq!(std::fs::read(fixture.path()).unwrap(), bytes);
}

#[tokio::test]
async fn an_operator_can_have_the_whole_file_read_for_damage() {
    let fixture = Fixture::new();
    fixture.driven("ref-1").await;
    assert_eq!(fixture.store.damage().await.unwrap(), Vec::<String>::new());
    raw(&fixture.path())
        .execute_batch("PRAGMA ignore_check_constraints = ON; UPDATE job_states SET state = 'nonsense'")
        .unwrap();
    assert_eq!(fixture.store.damage().await.unwrap(), ["CHECK constraint failed in job_states"]);
}

#[tokio::test]
async fn a_file_of_more_than_64_mib_is_not_read_whole_at_every_start() {
    let fixture = Fixture::new();
    fixture.store.accept((0..2000).map(|n| new_job(&format!("ref-{n}"))).collect()).await.unwrap();
    fixture.store.close().await;
    let mut bytes = std::fs::read(fixture.path()).unwrap();
    let middle = bytes.len() / 8192 * 4096;
    bytes[middle..middle + 200].fill(0xff);
    std::fs::write(fixture.path(), &bytes).unwrap();
    let stretched = |bytes| std::fs::File::options().write(true).open(fixture.path()).unwrap().set_len(bytes).unwrap();

    stretched(64 << 20);
    let error = Store::open(&fixture.path(), t(0), &options()).unwrap_err();
    assert!(matches!(error, OpenError::Damaged { .. }), "{error}");
    stretched((64 << 20) + 4096);
    let store = Store::open(&fixture.path(), t(0), &options()).unwrap().store;
    assert_ne!(store.damage().await, Ok(Vec::new()), "who asks is told");
}

#[test]
fn a_link_that_leads_nowhere_is_refused_before_anything_is_made() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s.db");
    std::os::unix::fs::symlink(&path, &path).unwrap();
    let error = Store::open(&path, t(0), &options()).unwrap_err();
    assert!(matches!(error, OpenError::Io { what: "find", .. }), "{error}");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[tokio::test]
async fn a_store_that_keeps_no_reserve_is_not_full_for_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s.db");
    let store = Store::open(&path, t(0), &OpenOptions { reserve_bytes: 0, ..options() }).unwrap().store;
    assert_eq!(store.health(), Health::Writable);
    assert!(!dir.path().join("s.db.reserve").exists());
    store.accept(vec![new_job("x")]).await.unwrap();
}

#[tokio::test]
async fn whether_a_worker_has_the_store_can_be_asked() {
    let fixture = Fixture::new();
    assert!(Store::is_held(&fixture.path()));
    fixture.store.close().await;
    let beside = fixture.beside();
    assert!(!Store::is_held(&fixture.path()), "a command is no worker");
    beside.close().await;
    assert!(!Store::is_held(&fixture.dir.path().join("nowhere.db")));
}

#[tokio::test]
async fn each_reader_has_a_quarter_of_the_cache() {
    let fixture = Fixture::new();
    let reading = OpenOptions { read_only: true, ..options() };
    let reader = Store::open(&fixture.path(), t(0), &reading).unwrap().store;
    for store in [&fixture.store, &reader] {
        let cache = store.read(|reader| Ok(connection::read_setting(reader, "cache_size")?));
        assert_eq!(cache.await.unwrap(), "-512");
    }
}
