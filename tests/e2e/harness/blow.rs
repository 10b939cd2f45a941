//! A fault of the whole worker, at a moment that the story chooses: it must be started for it, is struck, and goes on.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rustix::process::{Pid, Resource, Rlimit, Signal, prlimit};
use testbed::matrix::{Fault, Technique};
use testbed::power::{self, Disk, Names, Recording};

use super::{Dice, Job, Stage, eventually, http, store};
use crate::store_full::SmallDisk;

const LIMIT: Duration = Duration::from_secs(120);
/// Ignores the signal of the limit on file sizes, so that it is an error of the write.
const IGNORING_LIMITS: &str = "trap '' XFSZ; exec \"$0\" \"$@\"";
/// As far as the clock jumps, forward and then back: more than a provider takes for a clock.
const JUMP: &str = "3600";

/// A fault that is to come.
pub(crate) struct Blow {
    fault: Fault,
    before: BTreeMap<String, Vec<u8>>,
    disk: Option<SmallDisk>,
    /// Job messages that will be delivered once more.
    again: Vec<Job>,
}

impl Blow {
    /// Sets the stage for it; nothing runs yet.
    pub(crate) fn prepare(stage: &mut Stage, fault: Fault) -> Self {
        let disk = (fault == Fault::DiskFull).then(SmallDisk::mount);
        if let Some(disk) = &disk {
            stage.settings.store = disk.dir.join("worker.db").display().to_string();
        }
        stage.reconfigure();
        Self { fault, before: BTreeMap::new(), disk, again: Vec::new() }
    }

    /// Starts the worker so that it can be struck.
    pub(crate) fn start(&mut self, stage: &mut Stage) {
        let dir = stage.worker.dir().to_owned();
        match self.fault {
            Fault::PowerLoss => {
                self.before = store::files(&dir);
                stage.worker.spawn_under(power::record(&canonical(stage).join("trace")));
            }
            Fault::IoError => {
                let mut shell = Command::new("sh");
                shell.args(["-c", IGNORING_LIMITS]);
                stage.worker.spawn_under(shell);
            }
            Fault::ClockJump => {
                if !dir.join("clock").exists() {
                    Self::set_clock(stage, "+0");
                }
                stage.worker.spawn_under(under_faketime(&dir));
            }
            _ => stage.worker.spawn(),
        }
        stage.worker.wait_ready();
    }

    /// These job messages come again, where that is the fault.
    pub(crate) fn again(&mut self, jobs: &[Job]) {
        self.again = jobs.to_vec();
    }

    /// Strikes; afterwards the worker runs, and nothing is wrong any more.
    pub(crate) async fn strike(&self, stage: &mut Stage, dice: &mut Dice) {
        match self.fault {
            Fault::Kill => {
                stage.worker.kill();
                stage.worker.start();
            }
            Fault::Stop => {
                stage.worker.signal(Signal::TERM);
                let status = stage.worker.wait_exit(LIMIT);
                assert_eq!(status.code(), Some(0), "{status}\n{}", stage.worker.log_tail());
                stage.worker.start();
            }
            Fault::PowerLoss => {
                self.power_goes(stage, dice);
                stage.worker.start();
            }
            Fault::DiskFull => self.fill(stage).await,
            Fault::IoError => {
                Self::fail_writes(stage);
                // Something must be written for it to fail.
                stage.worker.ask(&["provider", "pause", "midtrans", "--reason", "a write", "--yes"]);
                let job = stage.job("written");
                stage.publish(&[job]).await;
                let status = stage.worker.wait_exit(LIMIT);
                assert!(!status.success(), "{status}");
                stage.worker.start();
                stage.worker.ask(&["provider", "resume", "midtrans", "--reason", "a write", "--yes"]);
            }
            Fault::ClockJump => {
                Self::jump(stage).await;
            }
            Fault::Zombie => {
                stage.worker.signal(Signal::STOP);
                let elsewhere = tempfile::tempdir().expect("a temporary directory");
                let mut second = stage.second_worker(elsewhere.path());
                second.spawn();
                let status = second.wait_exit(LIMIT);
                assert_eq!(status.code(), Some(2), "{}", second.log());
                stage.worker.signal(Signal::CONT);
            }
            Fault::Duplicate => {
                let known = duplicates(stage);
                stage.producer.publish_all(&self.again).await;
                eventually(LIMIT, "they are known", async || {
                    (duplicates(stage) >= known + self.again.len()).then_some(())
                })
                .await;
            }
            other => panic!("{other:?} is no fault of the worker"),
        }
    }

    /// The worker is dead, and its store what the disk has kept.
    pub(crate) fn power_goes(&self, stage: &mut Stage, dice: &mut Dice) {
        stage.worker.kill();
        let dir = canonical(stage);
        let trace = fs::read_to_string(dir.join("trace")).expect("the trace is read");
        let recording = Recording::read(&trace, &dir, store::is_not_kept).expect("the trace is understood");
        let mut disk = Disk::new(&recording, &self.before, BTreeSet::new(), Names::ByDirectory);
        disk.play_to(usize::MAX);
        store::put_back(&dir, &disk.image(dice));
    }

    /// From now on every longer write is an error.
    pub(crate) fn fail_writes(stage: &Stage) {
        let pid = i32::try_from(stage.worker.pid()).ok().and_then(Pid::from_raw);
        let none = Rlimit { current: Some(16 * 1024), maximum: Some(16 * 1024) };
        prlimit(pid, Resource::Fsize, none).expect("the size of files is limited");
    }

    /// The clock jumps forward, back, and is right again.
    pub(crate) async fn jump(stage: &Stage) {
        for jump in [&format!("+{JUMP}"), &format!("-{JUMP}"), "+0"] {
            Self::set_clock(stage, jump);
            // Every task that looks at the clock looks once.
            tokio::time::sleep(Duration::from_millis(1200)).await;
        }
    }

    /// The clock of a worker that was started for it is off by so many seconds from now on.
    pub(crate) fn set_clock(stage: &Stage, seconds: &str) {
        fs::write(stage.worker.dir().join("clock"), format!("{seconds}\n")).expect("the clock is written");
    }

    /// The disk that the store lies on.
    pub(crate) fn disk(&self) -> &SmallDisk {
        self.disk.as_ref().expect("the store is on a small disk")
    }

    async fn fill(&self, stage: &mut Stage) {
        let disk = self.disk();
        disk.fill();
        let bulk = serde_json::json!({ "bulk": "b".repeat(3_000) });
        let jobs: Vec<Job> =
            stage.jobs("written", 60).into_iter().map(|job| job.with("metadata", bulk.clone())).collect();
        stage.publish(&jobs).await;
        eventually(LIMIT, "the worker says that the store is full", async || {
            stage.worker.readyz().filter(|page| page.status == 503)
        })
        .await;
        disk.empty();
        eventually(LIMIT, "the worker is ready again", async || {
            stage.worker.readyz().filter(|page| page.status == 200)
        })
        .await;
    }

    /// How it is brought about.
    pub(crate) fn technique(&self) -> Technique {
        match self.fault {
            Fault::PowerLoss => Technique::PowerLoss,
            Fault::DiskFull | Fault::IoError => Technique::Disk,
            Fault::ClockJump => Technique::Clock,
            Fault::Zombie => Technique::TwoWorkers,
            _ => Technique::Operators,
        }
    }
}

/// Deliveries that the worker knew already.
pub(crate) fn duplicates(stage: &Stage) -> usize {
    let page = stage.worker.metrics();
    let count = http::total(&page, "topup_deliveries_total", &["result=\"duplicate\""]);
    format!("{count:.0}").parse().expect("a count is a whole number")
}

fn canonical(stage: &Stage) -> PathBuf {
    fs::canonicalize(stage.worker.dir()).expect("the directory is there")
}

/// What tells a worker that it starts another time, by the file `clock` in its directory.
pub(crate) fn under_faketime(dir: &Path) -> Command {
    let mut env = Command::new("env");
    env.arg(format!("LD_PRELOAD={}", libfaketime().display()));
    env.arg(format!("FAKETIME_TIMESTAMP_FILE={}", dir.join("clock").display()));
    env.args(["FAKETIME_NO_CACHE=1", "FAKETIME_DONT_FAKE_MONOTONIC=1", "DONT_FAKE_MONOTONIC=1"]);
    env
}

/// The library that tells a process another time.
fn libfaketime() -> PathBuf {
    let places = ["/usr/lib", "/usr/lib64", "/usr/local/lib"].map(PathBuf::from);
    let multiarch = fs::read_dir("/usr/lib").into_iter().flatten().flatten().map(|entry| entry.path());
    let mut all = multiarch.chain(places).map(|place| place.join("faketime/libfaketimeMT.so.1"));
    all.find(|library| library.exists()).expect("faketime is installed (tests/run installs it where there is apt)")
}
