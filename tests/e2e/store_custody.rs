//! The file is the store (M13): what is taken from under a worker, copied in its place or put back stops it before anything is
//! acknowledged or paid twice. The provider pays whatever reaches it.

mod copies;
mod harms;
mod runbook;

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::harness::amqp;
use crate::harness::{Job, Stage, eventually};

const LIMIT: Duration = Duration::from_secs(60);
const ACT: [&str; 3] = ["--reason", "tried, INC-140", "--yes"];

fn store(stage: &Stage) -> PathBuf {
    stage.worker.dir().join("worker.db")
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    PathBuf::from(format!("{}{suffix}", path.display()))
}

/// Writes over a file where it is, as `cp` does.
fn copy_over(from: &Path, to: &Path) {
    let bytes = fs::read(from).unwrap();
    fs::File::options().write(true).truncate(true).open(to).unwrap().write_all(&bytes).unwrap();
}

fn stop(stage: &mut Stage) {
    stage.worker.signal(rustix::process::Signal::TERM);
    stage.worker.wait_exit(LIMIT);
}

fn none_paid_twice(stage: &Stage) {
    for job in stage.published().values() {
        let credits = stage.sim.running().credits_of(&job.reference);
        assert!(credits <= 1, "{} has {credits} credits", job.reference);
    }
}

fn paid_once(stage: &Stage, jobs: &[Job]) {
    for job in jobs {
        assert_eq!(stage.sim.running().credits_of(&job.reference), 1, "{}", job.reference);
    }
}

/// A worker with some paid jobs, and an older copy of its store at `<store>.older` that `worker store backup` made.
async fn with_a_past(name: &str) -> (Stage, Vec<Job>) {
    let mut stage = Stage::prepare(name).await;
    stage.start();
    let mut known = stage.jobs("known", 5);
    stage.publish(&known).await;
    stage.settled(LIMIT).await;
    let older = beside(&store(&stage), ".older");
    let told = stage.worker.ask_json(&["store", "backup", older.to_str().unwrap()]);
    assert_eq!(told["jobs"], 5, "{told}");
    let later = stage.jobs("later", 5);
    stage.publish(&later).await;
    stage.settled(LIMIT).await;
    known.extend(later);
    (stage, known)
}

/// What is done to the file under the worker, and what the worker has to say of it.
type Harm = fn(&Path);

/// The worker stops by itself and says why; nothing that came since was acknowledged or paid. Put back from the backup, what
/// came is paid once, and what was paid before is not paid again.
async fn is_noticed(name: &str, harm: Harm, says: &str) {
    let (mut stage, known) = with_a_past(name).await;
    let path = store(&stage);
    harm(&path);
    let new = stage.jobs("new", 20);
    stage.publish(&new).await;
    stage.producer.publish_all(&known).await;

    let status = stage.worker.wait_exit(LIMIT);
    if !path.parent().unwrap().exists() {
        fs::rename(path.parent().unwrap().with_extension("moved"), path.parent().unwrap()).unwrap();
    }
    assert_eq!(status.code(), Some(5), "{}", stage.worker.log_tail());
    let log = stage.worker.log();
    assert!(log.contains("the file is not the store any more") && log.contains(says), "{says}: {log}");
    assert!(log.contains("hint: "), "{log}");
    for job in &new {
        assert_eq!(stage.sim.running().credits_of(&job.reference), 0, "{}", job.reference);
    }
    let queue = format!("{}.jobs", stage.settings.namespace);
    let left = async || amqp::depth(&stage.broker.url_of("guest:guest"), &queue).await.filter(|depth| *depth >= 25);
    eventually(LIMIT, "all of them are the broker's still", left).await;

    // Whatever is there now, a person puts the last copy back.
    let older = beside(&path, ".older");
    let said = stage.worker.ask_json(&[&["store", "restore", older.to_str().unwrap()][..], &ACT].concat());
    assert_eq!(said["changed"], true, "{said}");
    stage.start();
    stage.settled(LIMIT).await;
    paid_once(&stage, &known);
    paid_once(&stage, &new);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn m13_a_store_that_is_removed_under_the_worker_stops_it_before_it_acknowledges() {
    let harm = |path: &Path| {
        for suffix in ["", "-wal", "-shm", ".lock", ".reserve"] {
            fs::remove_file(beside(path, suffix)).unwrap();
        }
    };
    is_noticed("removed", harm, "worker.db was removed or moved away").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn m13_an_older_copy_moved_over_the_store_stops_the_worker() {
    let harm = |path: &Path| {
        fs::copy(beside(path, ".older"), beside(path, ".new")).unwrap();
        fs::rename(beside(path, ".new"), path).unwrap();
    };
    is_noticed("moved-over", harm, "another file is at ").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn m13_an_older_copy_written_over_the_store_stops_the_worker() {
    // Where nothing of this store was moved into its file yet, the copy has more than the file: it is another's all the same.
    is_noticed("written-over", |path| copy_over(&beside(path, ".older"), path), "worker.db").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn m13_a_log_that_is_removed_under_the_worker_stops_it() {
    is_noticed("log-removed", |path| fs::remove_file(beside(path, "-wal")).unwrap(), "worker.db-wal was removed").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn m13_a_store_without_its_lock_file_is_held_all_the_same() {
    let (mut stage, known) = with_a_past("unlocked").await;
    let path = store(&stage);
    let older = beside(&path, ".older");
    let pid = stage.worker.pid().to_string();
    for round in ["removed", "removed again", "with all that the old runbook named"] {
        for suffix in [".lock", ".reserve"] {
            drop(fs::remove_file(beside(&path, suffix)));
        }
        for act in [&["store", "restored"][..], &["store", "restore", older.to_str().unwrap()]] {
            let refused = stage.worker.ask(&[act, &ACT].concat());
            let said = String::from_utf8_lossy(&refused.stderr).into_owned();
            assert_eq!(refused.status.code(), Some(5), "{round}: {said}");
            assert!(said.contains(&format!("process {pid} runs on this store")), "{round}: {said}");
        }
        let elsewhere = tempfile::tempdir().unwrap();
        let refused = stage.second_worker(elsewhere.path()).ask(&["run"]);
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!(refused.status.code(), Some(2), "{round}: {said}");
        assert!(said.contains(&format!("is held by process {pid}")), "{round}: {said}");
    }
    for (name, link) in [("hard", true), ("soft", false)] {
        let other = stage.worker.dir().join(name);
        if link { fs::hard_link(&path, &other) } else { symlink(&path, &other) }.unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        let settled = std::mem::replace(&mut stage.settings.store, name.to_owned());
        let second = stage.second_worker(elsewhere.path());
        stage.settings.store = settled;
        let refused = second.ask(&["run"]);
        assert_eq!(refused.status.code(), Some(2), "{name}: {}", String::from_utf8_lossy(&refused.stderr));
        fs::remove_file(&other).unwrap();
    }

    // It goes on, and neither an operator nor a stop finds anything missing.
    let more = stage.jobs("more", 5);
    stage.publish(&more).await;
    stage.settled(LIMIT).await;
    let info = stage.worker.ask_json(&["store", "info"]);
    assert_eq!((&info["held"], &info["pid"]), (&true.into(), &stage.worker.pid().into()), "{info}");
    stop(&mut stage);
    stage.start();
    assert!(stage.worker.ask_json(&["store", "info"])["asking"].is_null());
    stage.producer.publish_all(&known).await;
    stage.broker_has_no_more(LIMIT).await;
    paid_once(&stage, &known);
    paid_once(&stage, &more);
}

/// Another folder with a worker of the same namespace; its store is still to be put there.
fn another_folder(stage: &mut Stage) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    stage.settings.store = folder.path().join("worker.db").display().to_string();
    stage.reconfigure();
    folder
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn m13_a_copy_of_the_file_without_its_log_asks_first() {
    for with_lock_file in [false, true] {
        let mut stage = Stage::prepare("copied").await;
        stage.start();
        let jobs = stage.jobs("paid", 30);
        stage.publish(&jobs).await;
        stage.settled(LIMIT).await;
        // As people copy: the one file, beside the worker that runs.
        let (from, copy) = (store(&stage), stage.worker.dir().join("copy.db"));
        fs::copy(&from, &copy).unwrap();
        fs::copy(beside(&from, ".lock"), beside(&copy, ".lock")).unwrap();
        stop(&mut stage);
        let folder = another_folder(&mut stage);
        fs::rename(&copy, folder.path().join("worker.db")).unwrap();
        if with_lock_file {
            fs::rename(beside(&copy, ".lock"), folder.path().join("worker.db.lock")).unwrap();
        }
        stage.start();
        assert!(stage.worker.log().contains("the store may not know everything that was done"));
        stage.producer.publish_all(&jobs).await;
        stage.broker_has_no_more(LIMIT).await;
        for job in &jobs {
            eventually(LIMIT, "it is asked about, and found paid", async || {
                (stage.worker.state_of(&job.reference).as_deref() == Some("succeeded")).then_some(())
            })
            .await;
        }
        paid_once(&stage, &jobs);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn m13_a_file_without_our_schema_is_never_a_new_store() {
    let mut stage = Stage::prepare("no-schema").await;
    let folder = another_folder(&mut stage);
    let path = folder.path().join("worker.db");
    // A page of an empty database in WAL mode, as a first version left it until its first checkpoint.
    let mut page = vec![0; 4096];
    page[..16].copy_from_slice(b"SQLite format 3\0");
    page[16..24].copy_from_slice(&[0x10, 0x00, 2, 2, 0, 64, 32, 32]);
    page[31] = 1;
    page[47] = 4;
    page[59] = 1;
    page[100] = 0x0d;
    page[105..107].copy_from_slice(&[0x10, 0x00]);
    for bytes in [page, Vec::new()] {
        fs::write(&path, &bytes).unwrap();
        let refused = stage.worker.ask(&["run"]);
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!(refused.status.code(), Some(2), "{said}");
        assert!(said.contains("has no schema of this program: it is empty, or a copy without its -wal"), "{said}");
        let checked = stage.worker.ask(&["check"]);
        let told = String::from_utf8_lossy(&checked.stdout).into_owned();
        assert!(checked.status.code() == Some(2) && told.contains("has no schema"), "{told}");
        assert_eq!(fs::read(&path).unwrap(), bytes);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn m13_a_store_that_is_removed_for_good_leaves_word_and_nobody_is_paid_again() {
    let (mut stage, known) = with_a_past("gone").await;
    let path = store(&stage);
    for suffix in ["", "-wal", "-shm", ".lock"] {
        fs::remove_file(beside(&path, suffix)).unwrap();
    }
    // It is idle: it notices by itself.
    assert_eq!(stage.worker.wait_exit(LIMIT).code(), Some(5));
    // Started without anything put back, as a supervisor might: another store, which takes nothing of the namespace.
    let refused = stage.worker.ask(&["run"]);
    assert_eq!(refused.status.code(), Some(5), "{}", String::from_utf8_lossy(&refused.stderr));
    // Taken over, it asks first: by the namespace's mark, and by the word that was left.
    let adopted = stage.worker.ask(&[&["store", "adopt"][..], &ACT].concat());
    assert!(adopted.status.success(), "{}", String::from_utf8_lossy(&adopted.stderr));
    stage.start();
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(told.contains("another store stood here"), "{told}");
    stage.producer.publish_all(&known).await;
    for job in &known {
        // Not before the other worker can have nothing under way: some 65 s.
        eventually(3 * LIMIT, "it is asked about, and found paid", async || {
            (stage.worker.state_of(&job.reference).as_deref() == Some("succeeded")).then_some(())
        })
        .await;
    }
    paid_once(&stage, &known);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn m13_a_store_that_goes_while_top_ups_are_under_way_pays_none_of_them_twice() {
    let (mut stage, known) = with_a_past("under-way").await;
    let path = store(&stage);
    let older = beside(&path, ".older");
    stage.sim.slow_down(Duration::from_millis(800));
    let under_way = stage.jobs("under-way", 20);
    stage.publish(&under_way).await;
    eventually(LIMIT, "top-ups are under way", async || {
        let sent = stage.sim.running().requests().into_iter().filter(|request| request.service == 38);
        (sent.count() > known.len()).then_some(())
    })
    .await;
    fs::rename(&path, beside(&path, ".away")).unwrap();
    assert_eq!(stage.worker.wait_exit(LIMIT).code(), Some(5));
    stage.sim.slow_down(Duration::ZERO);
    // The operator takes the last copy although the file is at hand.
    stage.worker.ask_json(&[&["store", "restore", older.to_str().unwrap()][..], &ACT].concat());
    stage.start();
    for job in known.iter().chain(&under_way) {
        stage.producer.publish(job).await;
    }
    stage.settled(LIMIT).await;
    none_paid_twice(&stage);
    paid_once(&stage, &known);
}
