//! M13: the file is the store. Every way to take it from under a store that runs, on real files, with its neighbours.

use std::{
    fs,
    os::unix::fs::{OpenOptionsExt as _, symlink},
};

use super::*;

/// What a job is answered with where the file is not the store any more.
fn assert_lost(error: &StoreError) {
    assert!(error.is_of_a_lost_file(), "{error}");
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    PathBuf::from(format!("{}{suffix}", path.display()))
}

/// A store in a folder inside the fixture's, so that the folder can be moved.
fn in_a_folder(options: &OpenOptions) -> (Fixture, PathBuf) {
    let dir = Arc::new(tempfile::tempdir().unwrap());
    let folder = dir.path().join("folder");
    fs::create_dir(&folder).unwrap();
    let path = folder.join("s.db");
    let store = Store::open(&path, t(0), options).unwrap().store;
    (Fixture { dir, store }, path)
}

/// Nothing looks while nothing is written: what is found is found by the group.
fn unwatched() -> OpenOptions {
    OpenOptions { look_for_room_every: std::time::Duration::from_secs(3600), ..options() }
}

/// Puts what is in `bytes` over a file in its place, as `cp` does.
fn copy_over(path: &Path, bytes: &[u8]) {
    use std::io::Write as _;
    let mut file = fs::OpenOptions::new().write(true).truncate(true).open(path).unwrap();
    file.write_all(bytes).unwrap();
}

/// Takes the end of a file away; what names the store is before it.
fn cut_by(path: &Path, length: fn(u64) -> u64) {
    let file = fs::OpenOptions::new().write(true).open(path).unwrap();
    file.set_len(length(file.metadata().unwrap().len())).unwrap();
}

/// Moves all that is in the log into the file.
async fn fold(store: &Store) {
    store.fold().await.unwrap();
}

/// One way to take the file from under a store.
type Harm = fn(&Path);

const HARMS: &[(&str, Harm)] = &[
    ("rm of all", |path| {
        for suffix in ["", "-wal", "-shm", ".lock", ".reserve"] {
            fs::remove_file(beside(path, suffix)).unwrap();
        }
    }),
    ("rm of the file", |path| fs::remove_file(path).unwrap()),
    ("mv away", |path| fs::rename(path, beside(path, ".away")).unwrap()),
    ("mv of another over it", |path| fs::rename(beside(path, ".older"), path).unwrap()),
    ("mv of a copy of now over it", |path| {
        fs::copy(path, beside(path, ".now")).unwrap();
        fs::rename(beside(path, ".now"), path).unwrap();
    }),
    ("cp of an older copy over it", |path| copy_over(path, &fs::read(beside(path, ".older")).unwrap())),
    ("cp of another store over it", |path| copy_over(path, &fs::read(beside(path, ".other")).unwrap())),
    ("cp of something else over it", |path| copy_over(path, b"no store at all")),
    ("truncated", |path| copy_over(path, b"")),
    ("cut in its first page", |path| fs::OpenOptions::new().write(true).open(path).unwrap().set_len(4096).unwrap()),
    ("cut in the middle", |path| cut_by(path, |length| length / 2)),
    ("cut by its last page", |path| cut_by(path, |length| length - 4096)),
    ("cut by its last byte", |path| cut_by(path, |length| length - 1)),
    ("rm of the log", |path| fs::remove_file(beside(path, "-wal")).unwrap()),
    ("mv of a log over the log", |path| {
        fs::copy(beside(path, "-wal"), beside(path, ".log")).unwrap();
        fs::rename(beside(path, ".log"), beside(path, "-wal")).unwrap();
    }),
    ("a log that is cut", |path| copy_over(&beside(path, "-wal"), b"")),
    ("an older log over the log", |path| {
        copy_over(&beside(path, "-wal"), &fs::read(beside(path, ".older-wal")).unwrap());
    }),
    ("rm of the index of the log", |path| fs::remove_file(beside(path, "-shm")).unwrap()),
    ("its folder was moved", |path| {
        let folder = path.parent().unwrap();
        fs::rename(folder, folder.with_file_name("moved")).unwrap();
    }),
    ("another folder is there", |path| {
        let folder = path.parent().unwrap();
        fs::rename(folder, folder.with_file_name("moved")).unwrap();
        fs::create_dir(folder).unwrap();
    }),
    ("its folder was moved, and a link leads to a copy of it", |path| {
        let folder = path.parent().unwrap();
        let (moved, copied) = (folder.with_file_name("moved"), folder.with_file_name("copied"));
        fs::create_dir(&copied).unwrap();
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            fs::copy(entry.path(), copied.join(entry.file_name())).unwrap();
        }
        fs::rename(folder, moved).unwrap();
        symlink(copied, folder).unwrap();
    }),
];

#[tokio::test]
async fn m13_a_file_that_is_not_the_store_any_more_is_noticed_before_the_next_answer() {
    for (name, harm) in HARMS {
        let (fixture, path) = in_a_folder(&unwatched());
        let other = Fixture::new();
        other.store.close().await;
        fs::copy(other.path(), beside(&path, ".other")).unwrap();
        fixture.driven("ref-1").await;
        fold(&fixture.store).await;
        fs::copy(&path, beside(&path, ".older")).unwrap();
        fixture.driven("ref-2").await;
        fold(&fixture.store).await;
        fixture.driven("ref-3").await;
        fs::copy(beside(&path, "-wal"), beside(&path, ".older-wal")).unwrap();
        let job = fixture.driven("ref-4").await;

        harm(&path);

        let refused = fixture.store.accept(vec![new_job("ref-5")]).await.expect_err(name);
        assert_lost(&refused);
        assert!(matches!(fixture.store.health(), Health::Failed { .. }), "{name}: for good");
        // Neither an intent nor an answer is believed from here on.
        let refused = fixture.store.record(intent(&job, 1)).await.expect_err(name);
        assert_lost(&refused);
        let refused = fixture.store.find(&reference("ref-1")).await;
        assert!(refused.is_err() || !path.exists() || *name != "mv away", "{name}");
        fixture.store.close().await;
    }
}

/// SQLite may come upon a page that is not there before the look does: it is told by its cause all the same.
#[tokio::test]
async fn m13_a_file_that_was_cut_anywhere_is_told_as_cut_whoever_comes_upon_it_first() {
    const PAGE: u64 = 4096;
    let mut left = 0;
    loop {
        let (fixture, path) = in_a_folder(&unwatched());
        for n in 0..20 {
            fixture.driven(&format!("ref-{n}")).await;
        }
        fold(&fixture.store).await;
        let length = fs::metadata(&path).unwrap().len();
        if left * PAGE >= length {
            assert!(left > 20, "there were pages to lose: {left}");
            return;
        }
        fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(left * PAGE).unwrap();

        if let Err(error) = fixture.store.audit_verify().await {
            assert!(error.is_of_a_lost_file(), "{left} pages, read: {error}");
        }
        let error = fixture.store.accept(vec![new_job("ref-new")]).await.expect_err("it is noticed");
        assert!(error.is_of_a_lost_file(), "{left} pages, written: {error}");
        fixture.store.close().await;
        left += 1;
    }
}

#[tokio::test]
async fn m13_a_backup_written_over_a_store_that_has_moved_nothing_yet_is_noticed() {
    // It has more commits than the file under the log, and fewer than the store: only how it is laid out tells.
    let (fixture, path) = in_a_folder(&unwatched());
    fixture.driven("ref-1").await;
    Store::back_up(&path, &beside(&path, ".backup"), t(9)).unwrap();
    fixture.driven("ref-2").await;
    copy_over(&path, &fs::read(beside(&path, ".backup")).unwrap());
    assert_lost(&fixture.store.accept(vec![new_job("ref-3")]).await.unwrap_err());
}

#[tokio::test]
async fn m13_what_comes_again_is_not_acknowledged_either() {
    let (fixture, path) = in_a_folder(&unwatched());
    fixture.driven("ref-1").await;
    fs::remove_file(&path).unwrap();
    // It changes nothing, and its delivery would be acknowledged.
    assert_lost(&fixture.store.accept(vec![new_job("ref-1")]).await.unwrap_err());
}

#[tokio::test]
async fn m13_a_store_that_is_not_written_to_notices_it_by_itself() {
    let often = OpenOptions { look_for_room_every: std::time::Duration::from_millis(5), ..options() };
    for (name, harm) in HARMS.iter().filter(|(name, _)| !name.contains("log")) {
        let (fixture, path) = in_a_folder(&often);
        fixture.driven("ref-1").await;
        fold(&fixture.store).await;
        fs::copy(&path, beside(&path, ".older")).unwrap();
        fs::copy(&path, beside(&path, ".other")).unwrap();
        raw(&beside(&path, ".other")).execute_batch("UPDATE meta SET store_id = '00ff00ff00ff00ff'").unwrap();
        fixture.driven("ref-2").await;
        fold(&fixture.store).await;
        harm(&path);
        let health = fixture.store.health_when(|health| matches!(health, Health::Failed { .. }));
        let told = tokio::time::timeout(std::time::Duration::from_secs(20), health).await.expect(name);
        let Health::Failed { detail } = told else { panic!("{name}") };
        assert!(detail.starts_with("the file is not the store any more: "), "{name}: {detail}");
    }
}

#[tokio::test]
async fn m13_what_only_reads_touches_or_writes_by_the_rules_stops_nobody() {
    let (fixture, path) = in_a_folder(&unwatched());
    fixture.driven("ref-0").await;
    fold(&fixture.store).await;
    let untouched: &[(&str, Harm)] = &[
        ("a backup reads", |path| drop(fs::read(path).unwrap())),
        ("a backup copies", |path| assert!(fs::copy(path, beside(path, ".copy")).unwrap() > 0)),
        ("a touch", |path| {
            let before = fs::metadata(beside(path, ".reserve")).unwrap().modified().unwrap();
            fs::OpenOptions::new().append(true).open(path).unwrap().set_modified(before).unwrap();
        }),
        ("a mode", |path| {
            let mode = std::os::unix::fs::PermissionsExt::from_mode(0o640);
            fs::set_permissions(path, mode).unwrap();
        }),
        ("a hard link", |path| fs::hard_link(path, beside(path, ".link")).unwrap()),
        ("the link goes", |path| fs::remove_file(beside(path, ".link")).unwrap()),
        ("rm of the lock file", |path| fs::remove_file(beside(path, ".lock")).unwrap()),
        ("rm of the reserve", |path| fs::remove_file(beside(path, ".reserve")).unwrap()),
        ("the same copied back", |path| {
            let bytes = fs::read(path).unwrap();
            copy_over(path, &bytes);
        }),
        ("a tool of SQLite writes and checkpoints", |path| {
            let other = raw(path);
            other
                .execute_batch("CREATE TABLE IF NOT EXISTS mine (a); INSERT INTO mine VALUES (zeroblob(100000))")
                .unwrap();
            other.query_row("PRAGMA wal_checkpoint(FULL)", [], |_| Ok(())).unwrap();
        }),
        ("a log that starts over", |path| {
            raw(path).query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
        }),
        ("a vacuum", |path| raw(path).execute_batch("VACUUM").unwrap()),
        ("the vacuum is moved", |path| {
            raw(path).query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
        }),
    ];
    for (n, (name, act)) in untouched.iter().enumerate() {
        act(&path);
        let accepted = fixture.store.accept(vec![new_job(&format!("ref-{n}-a"))]).await;
        assert!(matches!(accepted.as_deref(), Ok([Accepted::New(_)])), "{name}: {accepted:?}");
        fold(&fixture.store).await;
        let accepted = fixture.store.accept(vec![new_job(&format!("ref-{n}-b"))]).await;
        assert!(accepted.is_ok(), "{name}: {accepted:?}");
        assert_eq!(fixture.store.health(), Health::Writable, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn m13_commands_that_write_and_move_the_log_beside_a_busy_worker_stop_nobody() {
    let options = OpenOptions { checkpoint_frames: 40, ..options() };
    let (fixture, path) = in_a_folder(&options);
    let beside = Store::open(&path, t(0), &OpenOptions::default()).unwrap().store;
    let commands = async {
        for _ in 0..150 {
            beside.audit_append(audit_entry("a")).await.unwrap();
            raw(&path).query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(())).unwrap();
        }
    };
    let jobs = async {
        for n in 0..400 {
            fixture.succeeded(&format!("ref-{n}")).await;
        }
    };
    tokio::join!(commands, jobs);
    assert_eq!(fixture.store.health(), Health::Writable);
    beside.close().await;
    assert_eq!(count(&path, "SELECT count(*) FROM jobs WHERE state = 'succeeded'"), 400);
}

#[tokio::test]
async fn m13_a_store_that_was_removed_leaves_word_so_that_the_next_one_asks_first() {
    let (fixture, path) = in_a_folder(&unwatched());
    fixture.driven("ref-1").await;
    for suffix in ["", "-wal", "-shm", ".lock"] {
        fs::remove_file(beside(&path, suffix)).unwrap();
    }
    assert_lost(&fixture.store.accept(vec![new_job("ref-2")]).await.unwrap_err());
    fixture.store.close().await;
    let opened = Store::open(&path, t(9), &options()).unwrap();
    assert!(opened.created);
    let mark = opened.reconcile.expect("it knows that another one was here");
    assert!(mark.reason.starts_with("another store stood here"), "{}", mark.reason);
    assert_eq!(mark.known_until, None);
}

#[tokio::test]
async fn m13_a_store_that_lost_its_file_touches_nothing_that_came_to_its_place() {
    let (fixture, path) = in_a_folder(&unwatched());
    for n in 0..20 {
        fixture.driven(&format!("ref-{n}")).await;
    }
    let other = Fixture::new();
    other.driven("theirs").await;
    for suffix in ["", "-wal"] {
        fs::copy(beside(&other.path(), suffix), beside(&path, &format!(".new{suffix}"))).unwrap();
        fs::rename(beside(&path, &format!(".new{suffix}")), beside(&path, suffix)).unwrap();
    }
    let files = || ["", "-wal"].map(|suffix| fs::read(beside(&path, suffix)).unwrap());
    let before = files();
    assert_lost(&fixture.store.accept(vec![new_job("more")]).await.unwrap_err());
    fixture.store.close().await;
    assert!(files() == before, "its log was neither moved into the new file nor removed");
}

#[tokio::test]
async fn m13_a_copy_over_the_file_is_left_as_it_is_for_a_person_to_look_at() {
    let (fixture, path) = in_a_folder(&unwatched());
    fixture.driven("ref-1").await;
    fold(&fixture.store).await;
    let older = fs::read(&path).unwrap();
    fixture.driven("ref-2").await;
    fold(&fixture.store).await;
    fixture.driven("ref-3").await;
    copy_over(&path, &older);
    assert_lost(&fixture.store.accept(vec![new_job("ref-4")]).await.unwrap_err());
    fixture.store.close().await;
    assert!(fs::read(&path).unwrap() == older, "no log was moved into it");
    assert!(fs::metadata(beside(&path, "-wal")).unwrap().len() > 0);
}

#[tokio::test]
async fn m10_a_second_worker_is_refused_whatever_name_it_comes_by_and_whatever_is_removed() {
    let (fixture, path) = in_a_folder(&options());
    fixture.driven("ref-1").await;
    let refused = |path: &Path| {
        let error = Store::open(path, t(1), &options()).unwrap_err();
        let OpenError::Locked { pid, .. } = error else { panic!("{error}") };
        assert_eq!(pid, Some(std::process::id()), "it is said which process holds it");
    };
    let (hard, soft) = (fixture.dir.path().join("hard.db"), fixture.dir.path().join("soft.db"));
    fs::hard_link(&path, &hard).unwrap();
    symlink(&path, &soft).unwrap();
    refused(&hard);
    refused(&soft);
    fs::remove_file(beside(&path, ".lock")).unwrap();
    refused(&path);
    refused(&path);
    refused(&hard);
    assert!(Store::is_held(&path) && Store::is_held(&hard));
    assert_eq!(Store::holder(&path), Some(std::process::id()));
    // It goes on, and beside it commands do: a removed side file is no restore.
    fixture.driven("ref-2").await;
    let beside = Store::open(&path, t(2), &OpenOptions::default()).unwrap();
    assert_eq!(beside.reconcile, None);
    beside.store.audit_append(audit_entry("a")).await.unwrap();
    beside.store.close().await;
    fixture.store.close().await;
    assert!(!Store::is_held(&path));
    let opened = Store::open(&path, t(3), &options()).unwrap();
    assert_eq!(opened.reconcile, None, "the worker left word of how far it had come");
}

#[tokio::test]
async fn m13_a_new_store_is_in_its_file_before_anything_is_accepted() {
    let fixture = Fixture::new();
    for n in 0..30 {
        fixture.driven(&format!("ref-{n}")).await;
    }
    // The file alone, without its log.
    let copy = fixture.dir.path().join("copy.db");
    fs::copy(fixture.path(), &copy).unwrap();
    for options in [options(), OpenOptions::default()] {
        let opened = Store::open(&copy, t(1), &options).unwrap();
        assert!(!opened.created);
        let mark = opened.reconcile.expect("what is in the file is enough to know that something is missing");
        assert_eq!(mark.reason, "its side file is missing");
        opened.store.close().await;
    }
}

#[tokio::test]
async fn m13_a_file_without_our_schema_is_never_a_new_store() {
    let dir = tempfile::tempdir().unwrap();
    let (log_left_behind, empty, zeros) = (dir.path().join("c.db"), dir.path().join("e.db"), dir.path().join("z.db"));
    // As a first version made it: the schema is in the log alone.
    let made = dir.path().join("made.db");
    let connection = raw(&made);
    connection.execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE t (a)").unwrap();
    fs::copy(&made, &log_left_behind).unwrap();
    assert_eq!(fs::metadata(&log_left_behind).unwrap().len(), 4096);
    fs::write(&empty, b"").unwrap();
    fs::write(&zeros, vec![0; 8192]).unwrap();
    let reading = OpenOptions { read_only: true, ..options() };
    for path in [&log_left_behind, &empty] {
        let before = fs::read(path).unwrap();
        for options in [options(), OpenOptions::default(), reading.clone()] {
            let error = Store::open(path, t(0), &options).unwrap_err();
            assert!(matches!(error, OpenError::NoSchema(_)), "{error}");
        }
        assert_eq!(fs::read(path).unwrap(), before);
    }
    Store::open(&zeros, t(0), &options()).unwrap_err();
}

#[tokio::test]
async fn m13_a_log_without_its_file_is_not_taken_for_the_log_of_a_new_one() {
    let fixture = Fixture::new();
    fixture.driven("ref-1").await;
    let log = fs::read(beside(&fixture.path(), "-wal")).unwrap();
    fixture.store.close().await;
    fs::remove_file(fixture.path()).unwrap();
    fs::write(beside(&fixture.path(), "-wal"), &log).unwrap();
    for options in [options(), OpenOptions::default()] {
        let error = Store::open(&fixture.path(), t(0), &options).unwrap_err();
        assert!(matches!(error, OpenError::Orphan { .. }), "{error}");
    }
    assert!(!fixture.path().exists());
    assert_eq!(fs::read(beside(&fixture.path(), "-wal")).unwrap(), log);
}

#[tokio::test]
async fn m13_a_making_that_broke_off_is_done_again() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s.db");
    let side = lock::SideFile::open(&path).unwrap();
    side.note_making(true).unwrap();
    fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).unwrap();
    let opened = Store::open(&path, t(0), &options()).unwrap();
    assert!(opened.created && opened.reconcile.is_none());
    opened.store.close().await;
    // Emptied later, it is not being made.
    fs::write(&path, b"").unwrap();
    assert!(matches!(Store::open(&path, t(0), &options()), Err(OpenError::NoSchema(_))));
}

#[test]
fn m13_many_processes_that_make_one_store_make_one() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s.db");
    let ids: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..6)
            .map(|_| {
                scope.spawn(|| {
                    let opened = Store::open(&path, t(0), &OpenOptions::default()).unwrap();
                    assert!(opened.reconcile.is_none());
                    count(&path, "SELECT count(DISTINCT store_id) FROM meta")
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(ids, [1; 6]);
}
