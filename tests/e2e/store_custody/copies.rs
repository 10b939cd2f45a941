//! Copies of a store that are not all of it (C2): none of them is taken for a new store, nor for all that was done. Without a
//! broker, whose witness would tell as well: what is in the copy has to be enough.

use std::fs;
use std::path::Path;

use super::{LIMIT, beside, paid_once, stop, store};
use crate::harness::{Job, Stage, WorkerProc, eventually, free_port};

/// How a copy is made of the store at the first path, as files beside the second one.
type Copy = fn(&Path, &Path);

/// A worker on the copy, in a folder of its own and without a broker.
fn on_copy(stage: &Stage, folder: &Path) -> WorkerProc {
    let mut settings = stage.settings.clone();
    (settings.amqp_url, settings.http_port) = (None, free_port());
    WorkerProc::configure(folder, &settings)
}

/// Submits these jobs, and each of them succeeds.
async fn all_succeed(name: &str, worker: &WorkerProc, jobs: &[Job]) {
    worker.submit(jobs);
    for job in jobs {
        let state = eventually(LIMIT, "it ends", async || {
            worker.state_of(&job.reference).filter(|state| state == "succeeded" || state == "dead")
        });
        assert_eq!(state.await, "succeeded", "{name}: {}", worker.log_tail());
    }
}

fn copy_with(from: &Path, to: &Path, suffixes: &[&str]) {
    for suffix in suffixes {
        fs::copy(beside(from, suffix), beside(to, suffix)).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn m13_c2_a_copy_that_lacks_commits_asks_about_every_key_that_it_does_not_know() {
    let mut stage = Stage::prepare("partial").await;
    // It never had one: a copy of a store with a namespace is not started without it.
    stage.settings.amqp_url = None;
    stage.start();
    let jobs = stage.jobs("paid", 30);
    all_succeed("the store", &stage.worker, &jobs[..10]).await;
    let from = store(&stage);
    fs::copy(beside(&from, "-wal"), beside(&from, ".earlier-wal")).unwrap();
    all_succeed("the store", &stage.worker, &jobs[10..]).await;

    let copies: [(&str, Copy); 6] = [
        ("file-and-index", |from, to| copy_with(from, to, &["", "-shm"])),
        ("file-and-side-file", |from, to| copy_with(from, to, &["", ".lock"])),
        ("half-of-the-log", |from, to| {
            copy_with(from, to, &["", "-wal"]);
            let log = fs::File::options().write(true).open(beside(to, "-wal")).unwrap();
            log.set_len(log.metadata().unwrap().len() / 2).unwrap();
        }),
        ("an-earlier-log", |from, to| {
            fs::copy(from, to).unwrap();
            fs::copy(beside(from, ".earlier-wal"), beside(to, "-wal")).unwrap();
        }),
        ("an-empty-log", |from, to| {
            fs::copy(from, to).unwrap();
            fs::write(beside(to, "-wal"), b"").unwrap();
        }),
        ("by-its-hard-link", |from, to| {
            // The name is the same file's, but not its log's.
            fs::hard_link(from, beside(from, ".link")).unwrap();
            fs::copy(beside(from, ".link"), to).unwrap();
            fs::remove_file(beside(from, ".link")).unwrap();
        }),
    ];
    let made: Vec<_> = copies
        .iter()
        .map(|(name, copy)| {
            let folder = tempfile::tempdir().unwrap();
            copy(&from, &folder.path().join("worker.db"));
            (name, folder)
        })
        .collect();
    stop(&mut stage);
    for (name, folder) in made {
        let mut worker = on_copy(&stage, folder.path());
        worker.start();
        all_succeed(name, &worker, &jobs).await;
        paid_once(&stage, &jobs);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn m13_c2_a_piece_of_the_file_is_no_store() {
    let mut stage = Stage::prepare("piece").await;
    stage.start();
    let jobs = stage.jobs("paid", 3);
    stage.publish(&jobs).await;
    stage.settled(LIMIT).await;
    stop(&mut stage);
    let whole = fs::read(store(&stage)).unwrap();
    for length in [0, 100, 4096, 8192, whole.len() / 2 / 4096 * 4096] {
        let folder = tempfile::tempdir().unwrap();
        let worker = on_copy(&stage, folder.path());
        fs::write(folder.path().join("worker.db"), &whole[..length]).unwrap();
        let refused = worker.ask(&["run"]);
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(matches!(refused.status.code(), Some(1 | 2 | 5)), "{length}: {:?} {said}", refused.status);
        assert!(said.contains("hint: "), "{length}: {said}");
        let told = worker.ask(&["check"]);
        assert!(!told.status.success(), "{length}: {}", String::from_utf8_lossy(&told.stdout));
    }
    paid_once(&stage, &jobs);
}
