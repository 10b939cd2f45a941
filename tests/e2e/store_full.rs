//! The store cannot be written: nothing is acknowledged or sent meanwhile, and it goes on when there is room.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rustix::process::{Pid, Resource, Rlimit, prlimit};
use serde_json::json;

use crate::harness::worker::{PROCESS_LIMIT, binary};
use crate::harness::{Job, Leash, Stage, eventually, holds_for, http};

const LIMIT: Duration = Duration::from_secs(120);

/// A file system of a few dozen MiB.
pub(crate) struct SmallDisk {
    /// Where it is.
    pub(crate) dir: PathBuf,
    _leash: Leash,
}

impl SmallDisk {
    /// Mounts one.
    pub(crate) fn mount() -> Self {
        let dir = tempfile::Builder::new().prefix("e2e-disk-").tempdir().expect("a temporary directory").keep();
        let leash = Leash::tie(&format!("sleep 1; umount -l '{0}'; rmdir '{0}'", dir.display()));
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", "size=48m,mode=700", "tmpfs"]).arg(&dir).status();
        assert!(
            mounted.is_ok_and(|status| status.success()),
            "a small tmpfs is needed for this test: run it as root, with the right to mount"
        );
        Self { dir, _leash: leash }
    }

    /// Fills what is left.
    pub(crate) fn fill(&self) {
        let mut ballast =
            std::fs::File::options().create(true).append(true).open(self.ballast()).expect("the ballast opens");
        for block in [1 << 20, 4096, 1] {
            while ballast.write_all(&vec![0; block]).is_ok() {}
        }
    }

    /// Makes room again.
    pub(crate) fn empty(&self) {
        std::fs::remove_file(self.ballast()).expect("the ballast goes");
    }

    fn ballast(&self) -> PathBuf {
        self.dir.join("ballast")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let gone =
            Command::new("umount").arg("-l").arg(&self.dir).status().and_then(|_| std::fs::remove_dir(&self.dir));
        assert!(gone.is_ok() || std::thread::panicking(), "the small disk is unmounted");
    }
}

/// Jobs whose records take some room.
fn bulky(stage: &Stage, count: usize) -> Vec<Job> {
    stage
        .jobs("bulky", count)
        .into_iter()
        .map(|job| job.with("metadata", json!({ "bulk": "b".repeat(3_000) })))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_stops_taking_and_sending_until_there_is_room() {
    let disk = SmallDisk::mount();
    let mut stage = Stage::prepare("diskfull").await;
    stage.settings.store = store_on(&disk.dir);
    stage.sim.slow_down(Duration::from_millis(20));
    stage.start();
    let before = bulky(&stage, 20);
    stage.publish(&before).await;
    stage.settled(LIMIT).await;

    disk.fill();
    let meanwhile = bulky(&stage, 400);
    stage.publish(&meanwhile).await;
    let page = eventually(LIMIT, "the worker says that the store is full", async || {
        stage.worker.readyz().filter(|page| page.status == 503)
    })
    .await;
    assert!(
        page.body.to_lowercase().contains("full") || page.body.to_lowercase().contains("space"),
        "it says why: {}",
        page.body
    );
    let in_flight = stage.settings.request_timeout + Duration::from_secs(1);
    let settled = eventually(in_flight + LIMIT, "what was in flight comes to its end", async || {
        let now = stage.sim.running().verdict();
        tokio::time::sleep(Duration::from_secs(1)).await; // a second without a request
        (stage.sim.running().verdict().top_ups == now.top_ups).then_some(now)
    })
    .await;
    let accepted = || http::total(&stage.worker.metrics(), "topup_jobs_accepted_total", &[]);
    let taken = accepted();
    holds_for(Duration::from_secs(3), "nothing is taken and nothing is sent while the disk is full", async || {
        stage.sim.running().verdict().top_ups == settled.top_ups
            && accepted() <= taken
            && stage.worker.readyz().is_some_and(|page| page.status == 503)
    })
    .await;
    assert!(stage.worker.exited().is_none(), "a full disk is no reason to end");
    assert!(taken < 420.0, "the disk was full before all was taken");

    disk.empty();
    eventually(LIMIT, "the worker is ready again", async || stage.worker.readyz().filter(|page| page.status == 200))
        .await;
    stage.settled(LIMIT).await;
    stage.verdict().assert_all_succeeded();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_on_a_full_disk_nothing_is_lost_or_paid_twice() {
    let disk = SmallDisk::mount();
    let mut stage = Stage::prepare("diskkill").await;
    stage.settings.store = store_on(&disk.dir);
    stage.sim.slow_down(Duration::from_millis(50));
    stage.start();
    let jobs = bulky(&stage, 300);
    stage.publish(&jobs).await;
    eventually(LIMIT, "some are done", async || (stage.sim.running().verdict().credits >= 30).then_some(())).await;
    disk.fill();
    eventually(LIMIT, "the worker says that the store is full", async || {
        stage.worker.readyz().filter(|page| page.status == 503)
    })
    .await;
    stage.worker.kill();
    disk.empty();
    stage.worker.start();
    stage.settled(LIMIT).await;
    stage.verdict().assert_all_succeeded();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_that_fails_in_another_way_ends_the_worker_and_the_next_one_recovers() {
    let mut stage = Stage::prepare("writefails").await;
    stage.sim.slow_down(Duration::from_millis(30));
    stage.settings.log_level = "error"; // the limit below is for the store, not for the log
    stage.reconfigure();
    let worker = binary();
    // A limit on file sizes is an error to whoever ignores its signal.
    let plain = stage.worker.command(&[]);
    let mut shell = Command::new("sh");
    shell.args(["-c", "trap '' XFSZ; exec \"$0\" -c worker.toml run"]).arg(&worker).current_dir(stage.worker.dir());
    shell.envs(plain.get_envs().filter_map(|(name, value)| value.map(|value| (name.to_owned(), value.to_owned()))));
    stage.worker.spawn_as(&mut shell);
    stage.worker.wait_ready();
    let jobs = bulky(&stage, 400);
    stage.publish(&jobs).await;
    eventually(LIMIT, "some are done", async || (stage.sim.running().verdict().credits >= 30).then_some(())).await;

    let pid = Pid::from_raw(i32::try_from(stage.worker.pid()).unwrap());
    prlimit(pid, Resource::Fsize, Rlimit { current: Some(64 * 1024), maximum: Some(64 * 1024) }).unwrap();
    let status = stage.worker.wait_exit(PROCESS_LIMIT);
    assert!(!status.success(), "{status}");

    stage.worker.start();
    stage.settled(LIMIT).await;
    stage.verdict().assert_all_succeeded();
}

fn store_on(dir: &Path) -> String {
    dir.join("worker.db").display().to_string()
}
