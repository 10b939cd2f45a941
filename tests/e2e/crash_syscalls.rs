//! The unmodified binary is killed at the n-th system call of a kind, for n = 1, 2, 3 …: between any two effects it has.
//!
//! Needs strace, which `tests/run` installs where there is apt.

use std::process::Command;
use std::time::Duration;

use crate::harness::{Stage, eventually_now, long};

const LIMIT: Duration = Duration::from_secs(90);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_each_sync_of_the_store_nothing_is_lost_or_paid_twice() {
    sweep("fsync", "fsync,fdatasync", 20, 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_each_write_of_the_store_nothing_is_lost_or_paid_twice() {
    sweep("pwrite", "pwrite64", 240, 6).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_each_write_to_a_socket_nothing_is_lost_or_paid_twice() {
    sweep("sendto", "sendto,sendmsg,writev", 45, 1).await;
}

/// Kills at every `step`-th call up to `last`; the long form goes further, with more jobs.
async fn sweep(name: &str, calls: &str, last: u32, step: usize) {
    let (last, step, count) = if long() { (last * 3, step.div_ceil(2), 12) } else { (last, step, 3) };
    let mut stage = Stage::prepare(name).await;
    stage.start();
    stage.worker.kill();
    let mut deaths = 0;
    for moment in (1..=last).step_by(step) {
        let mut traced = Command::new("strace");
        traced.args(["-f", "-qq", "-o", "/dev/null", "-e", &format!("trace={calls}")]);
        traced.args(["-e", &format!("inject={calls}:signal=SIGKILL:when={moment}")]);
        stage.worker.spawn_under(traced);
        let jobs = stage.jobs(name, count);
        stage.publish(&jobs).await;
        // It dies at its moment, or there are not so many calls in a run of these few jobs.
        let died = eventually_now(LIMIT, "it dies, or does its jobs", || {
            let told = stage.outcomes.terminal_by_reference();
            let done = jobs.iter().all(|job| told.contains_key(&job.reference));
            stage.worker.exited().map(|_| true).or(done.then_some(false))
        });
        deaths += u32::from(died);
        stage.worker.kill();
    }
    stage.worker.start();
    stage.settled(LIMIT).await;
    stage.verdict().assert_all_succeeded();
    eprintln!("{name}: killed {deaths} times");
    assert!(deaths >= 10, "the sweep has hit its calls: {deaths}");
}
