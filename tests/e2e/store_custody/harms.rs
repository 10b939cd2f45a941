//! More that is done to the file under a worker, and what stops nobody.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Duration;

use super::{LIMIT, beside, is_noticed, none_paid_twice, paid_once, stop, store, with_a_past};
use crate::harness::{eventually, holds_for};

fn cut(path: &Path, length: u64) {
    fs::File::options().write(true).open(path).unwrap().set_len(length).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn m13_c3_a_store_that_is_emptied_in_place_stops_the_worker() {
    is_noticed("emptied", |path| cut(path, 0), "worker.db was cut or written over").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn m13_c3_a_store_that_is_cut_in_the_middle_stops_the_worker() {
    let harm = |path: &Path| cut(path, fs::metadata(path).unwrap().len() / 2 / 4096 * 4096);
    is_noticed("cut", harm, "worker.db was cut").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn m13_c3_a_store_that_is_cut_after_its_first_pages_stops_the_worker() {
    is_noticed("cut-short", |path| cut(path, 3 * 4096), "worker.db was cut").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn m13_c3_a_log_that_is_emptied_in_place_stops_the_worker() {
    is_noticed("log-emptied", |path| cut(&beside(path, "-wal"), 0), "worker.db-wal was cut or written over").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn m13_c3_a_link_to_a_copy_in_the_stores_place_stops_the_worker() {
    let harm = |path: &Path| {
        fs::rename(path, beside(path, ".away")).unwrap();
        fs::copy(beside(path, ".away"), beside(path, ".copy")).unwrap();
        symlink(beside(path, ".copy"), path).unwrap();
    };
    is_noticed("linked", harm, "another file is at ").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn m13_c3_a_folder_that_is_moved_away_stops_the_worker() {
    let harm = |path: &Path| fs::rename(folder(path), folder(path).with_extension("moved")).unwrap();
    is_noticed("folder-moved", harm, "worker.db was removed or moved away").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn m13_c3_a_copy_of_the_folder_in_its_place_stops_the_worker() {
    let harm = |path: &Path| {
        let moved = folder(path).with_extension("swapped");
        fs::rename(folder(path), &moved).unwrap();
        fs::create_dir(folder(path)).unwrap();
        for entry in fs::read_dir(&moved).unwrap() {
            let name = entry.unwrap().file_name();
            if name == "worker.log" {
                // What the worker says goes on being read.
                fs::hard_link(moved.join(&name), folder(path).join(&name)).unwrap();
            } else {
                fs::copy(moved.join(&name), folder(path).join(&name)).unwrap();
            }
        }
        fs::remove_dir_all(&moved).unwrap();
    };
    is_noticed("folder-swapped", harm, "another file is at ").await;
}

fn folder(path: &Path) -> &Path {
    path.parent().unwrap()
}

/// `rm` of the one file that people know of while top-ups are under way; then `kill -9`, and a start.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn m13_c3_a_store_that_is_removed_under_load_and_killed_loses_no_job_and_pays_none_twice() {
    let (mut stage, known) = with_a_past("removed-under-load").await;
    let path = store(&stage);
    let older = beside(&path, ".older");
    stage.sim.slow_down(Duration::from_millis(500));
    (stage.settings.max_in_flight, stage.settings.prefetch) = (4, 8);
    stop(&mut stage);
    stage.start();
    let load = stage.jobs("load", 40);
    stage.publish(&load).await;
    eventually(LIMIT, "it is in the middle of its work", async || {
        (stage.sim.running().verdict().credits > 14).then_some(())
    })
    .await;
    fs::remove_file(&path).unwrap();
    stage.worker.kill();
    stage.sim.slow_down(Duration::ZERO);
    // Whether it noticed or was killed first: what is left beside is not taken for a new store's.
    let refused = stage.worker.ask(&["run"]);
    assert!(!refused.status.success(), "{}", String::from_utf8_lossy(&refused.stderr));
    let restore = ["store", "restore", older.to_str().unwrap(), "--reason", "removed, INC-140", "--yes"];
    stage.worker.ask_json(&restore);
    stage.start();
    // Careful producers publish again what they have heard no end of.
    stage.producer.publish_all(&[known.clone(), load.clone()].concat()).await;
    for job in &load {
        eventually(2 * LIMIT, "it succeeds", async || {
            (stage.worker.state_of(&job.reference).as_deref() == Some("succeeded")).then_some(())
        })
        .await;
    }
    none_paid_twice(&stage);
    paid_once(&stage, &known);
    paid_once(&stage, &load);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn m13_what_only_reads_touches_or_links_the_store_stops_nobody() {
    let (mut stage, known) = with_a_past("harmless").await;
    let path = store(&stage);
    fs::hard_link(&path, beside(&path, ".link")).unwrap();
    let file = fs::File::options().append(true).open(&path).unwrap();
    file.set_modified(fs::metadata(&path).unwrap().modified().unwrap() - Duration::from_secs(60)).unwrap();
    drop(file);
    fs::copy(&path, beside(&path, ".copy")).unwrap();
    fs::remove_file(beside(&path, ".link")).unwrap();
    let again = beside(&path, ".again");
    stage.worker.ask_json(&["store", "backup", again.to_str().unwrap()]);
    let by_sqlite = rusqlite::Connection::open(&path).unwrap();
    by_sqlite.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    by_sqlite.execute_batch("VACUUM").unwrap();
    drop(by_sqlite);
    let more = stage.jobs("more", 5);
    stage.publish(&more).await;
    stage.settled(LIMIT).await;
    let is_ready = async || stage.worker.readyz().is_some_and(|page| page.status == 200);
    holds_for(Duration::from_secs(2), "it goes on", is_ready).await;
    paid_once(&stage, &[known, more].concat());
}
