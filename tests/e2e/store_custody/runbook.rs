//! C4: a copy is put back while the worker runs, in the ways that old runbooks and habits have, and another worker is started on it
//! at once. The quiet period is a second.

use std::fs;
use std::path::Path;
use std::time::Duration;

use super::{ACT, LIMIT, beside, copy_over, none_paid_twice, paid_once, stop, store};
use crate::harness::{Stage, eventually, eventually_now, holds_for};

/// Puts the copy at the second path in the place of the store at the first.
type PutBack = fn(&Path, &Path);

async fn is_put_back_under_load(name: &str, put_back: PutBack) {
    let mut stage = Stage::prepare(name).await;
    stage.settings.quiet_period = Duration::from_secs(1);
    (stage.settings.max_in_flight, stage.settings.prefetch) = (3, 20);
    stage.start();
    let known = stage.jobs("known", 3);
    stage.publish(&known).await;
    stage.settled(LIMIT).await;
    stop(&mut stage);
    let (path, copy) = (store(&stage), stage.worker.dir().join("copy.db"));
    fs::copy(&path, &copy).unwrap();

    stage.sim.slow_down(Duration::from_millis(700));
    stage.start();
    let jobs = stage.jobs("under-way", 12);
    stage.publish(&jobs).await;
    eventually(LIMIT, "some are paid, and some on their way", async || {
        (stage.sim.running().verdict().credits >= 8).then_some(())
    })
    .await;
    put_back(&path, &copy);
    let elsewhere = tempfile::tempdir().unwrap();
    let mut second = stage.second_worker(elsewhere.path());
    let told = second.ask(&[&["store", "restored"][..], &ACT].concat());
    // Refused or not: neither may let anybody be paid twice.
    eprintln!("{name}: {:?} {}", told.status.code(), String::from_utf8_lossy(&told.stderr));
    second.spawn();
    // Both at work would be the worst: they share what comes again.
    eventually_now(LIMIT, "the second one works, or either ends", || {
        let is_ready = second.readyz().is_some_and(|page| page.status == 200);
        (is_ready || second.exited().is_some() || stage.worker.exited().is_some()).then_some(())
    });
    stage.producer.publish_all(&jobs).await;
    eventually_now(LIMIT, "the first one ends, or all is told", || {
        let told = jobs.iter().all(|job| !stage.outcomes.about(&job.reference).is_empty());
        (told || stage.worker.exited().is_some()).then_some(())
    });
    if stage.worker.exited().is_none() {
        let once = async || jobs.iter().all(|job| stage.sim.running().credits_of(&job.reference) <= 1);
        holds_for(Duration::from_secs(8), "nothing is paid twice while both work", once).await;
    }
    none_paid_twice(&stage);
    stage.worker.wait_exit(LIMIT);
    stage.sim.slow_down(Duration::ZERO);
    if second.exited().is_some() {
        // It came too early, and is started again.
        second = stage.second_worker(elsewhere.path());
        second.spawn();
    }
    second.wait_ready();
    stage.producer.publish_all(&[known.clone(), jobs.clone()].concat()).await;
    for job in &jobs {
        // Where the first one still waited for its answers when the second one came, nothing is sent for some 65 s.
        let state = eventually(3 * LIMIT, "it ends", async || {
            second.state_of(&job.reference).filter(|state| state == "succeeded" || state == "dead")
        });
        assert_eq!(state.await, "succeeded", "{}", second.log_tail());
    }
    paid_once(&stage, &known);
    paid_once(&stage, &jobs);
}

/// The old runbook's own lines.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn m13_c4_a_copy_put_back_by_the_old_runbooks_lines_beside_a_running_worker_pays_nothing_twice() {
    let lines = |path: &Path, copy: &Path| {
        for suffix in ["", "-wal", "-shm", ".lock"] {
            drop(fs::remove_file(beside(path, suffix)));
        }
        fs::copy(copy, path).unwrap();
    };
    is_put_back_under_load("runbook", lines).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn m13_c4_a_copy_moved_over_the_store_beside_a_running_worker_pays_nothing_twice() {
    let moved = |path: &Path, copy: &Path| {
        fs::rename(copy, path).unwrap();
        for suffix in ["-wal", "-shm", ".lock"] {
            drop(fs::remove_file(beside(path, suffix)));
        }
    };
    is_put_back_under_load("moved", moved).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn m13_c4_a_copy_written_over_the_store_without_its_log_beside_a_running_worker_pays_nothing_twice() {
    let written = |path: &Path, copy: &Path| {
        copy_over(copy, path);
        for suffix in ["-wal", "-shm", ".lock"] {
            drop(fs::remove_file(beside(path, suffix)));
        }
    };
    is_put_back_under_load("written", written).await;
}
