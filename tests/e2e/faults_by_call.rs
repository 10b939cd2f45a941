//! The unmodified binary with one job under way meets a fault at its n-th system call of a kind. The trace tells where the
//! job was (`harness::witness`), so each run says which cell of the fault matrix it has executed.
//!
//! Needs strace, which `tests/run` installs where there is apt.

mod exact;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::time::Duration;

use rustix::process::Signal;
use snap_sim::{Case, Fault as Script};
use testbed::matrix::{Fault, Point, Technique, executed};
use testbed::power::{self, Disk, Names, Recording};

use crate::harness::witness::{Witness, may_be};
use crate::harness::{Dice, Job, Stage, eventually_now, http, long, store};

const LIMIT: Duration = Duration::from_secs(90);
/// Moments of each fault and scene in a run of all tests.
const MOMENTS: usize = 2;
const CALLS: [&str; 8] = ["pwrite64", "fdatasync", "fsync", "sendto", "writev", "recvfrom", "write", "read"];

/// What goes on while it happens.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Scene {
    /// A job is inquired, sent, and succeeds.
    Plain,
    /// A top-up is lost; asked about, proven unpaid, sent again.
    Lost,
    /// A top-up is refused, and the job stands before a person.
    Refused,
    /// The worker starts, after one that was killed with a top-up on the wire.
    Start,
    /// The worker stops, and moves its WAL into the file.
    Close,
}

impl Scene {
    const ALL: [Self; 5] = [Self::Plain, Self::Lost, Self::Refused, Self::Start, Self::Close];

    const fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Lost => "lost",
            Self::Refused => "refused",
            Self::Start => "start",
            Self::Close => "close",
        }
    }

    /// Where the job or the worker is, by the trace.
    fn points(self, witness: &Witness<'_>) -> Vec<Point> {
        match self {
            Self::Plain | Self::Lost | Self::Refused => witness.points(),
            Self::Start if !witness.is_consuming() => vec![Point::Recovering],
            Self::Close if witness.is_moving() => vec![Point::Maintaining],
            Self::Start | Self::Close => Vec::new(),
        }
    }
}

/// A call to break: its name, and which of them on its thread.
type Moment = (String, u32);

struct Sweep {
    stage: Stage,
    dir: PathBuf,
    fault: Fault,
    dice: Dice,
    /// What strace is told besides.
    more: Vec<&'static str>,
    /// The kill comes from here, once the job is told, and not from strace.
    kills_when_told: bool,
    counts: BTreeMap<Point, u64>,
}

impl Sweep {
    async fn new(name: &str, fault: Fault) -> Self {
        let mut stage = Stage::prepare(name).await;
        stage.settings.providers.truncate(1);
        stage.settings.quiet_period = Duration::from_millis(300);
        stage.settings.first_after = Duration::from_millis(60);
        stage.settings.interval_max = Duration::from_millis(100);
        stage.sim.fault(Scene::Refused.name(), 38, Script::Answer(Case::new(400, 1)), None, None);
        stage.start();
        stage.worker.kill();
        let dir = fs::canonicalize(stage.worker.dir()).unwrap();
        Self {
            stage,
            dir,
            fault,
            dice: Dice::new(name),
            more: Vec::new(),
            kills_when_told: false,
            counts: BTreeMap::new(),
        }
    }

    /// Publishes the scene's job, and sets the scene.
    async fn prepare(&mut self, scene: Scene) -> Job {
        let job = self.stage.job(scene.name());
        if scene == Scene::Lost {
            self.stage.sim.fault(&job.reference, 38, Script::Fin, Some(false), Some(1));
        }
        self.stage.publish(std::slice::from_ref(&job)).await;
        if scene == Scene::Start {
            self.stage.sim.fault(&job.reference, 38, Script::Timeout, Some(true), Some(1));
            self.stage.worker.start();
            eventually_now(LIMIT, "the top-up is on the wire", || {
                self.stage.sim.running().reference(&job.reference).iter().any(|known| known.top_ups > 0).then_some(())
            });
            self.stage.worker.kill();
        }
        job
    }

    fn spawn(&mut self, more: &[&str]) {
        // The last one's must not be taken for this one's.
        let trace = self.dir.join("trace");
        if trace.exists() {
            fs::remove_file(&trace).unwrap();
        }
        let mut traced = power::witness(&trace);
        traced.args(&self.more).args(more);
        self.stage.worker.spawn_under(traced);
    }

    fn trace(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.dir.join("trace")).unwrap_or_default()).into_owned()
    }

    fn is_told(&self, job: &Job) -> bool {
        let told = |event: &crate::harness::amqp::Event| event.is_terminal() || event.kind() == "topup.dead_lettered";
        self.stage.outcomes.about(&job.reference).iter().any(told)
    }

    /// The scene without a fault: the calls in which it may be broken.
    async fn calls_of(&mut self, scene: Scene) -> Vec<Moment> {
        let job = self.prepare(scene).await;
        self.spawn(&[]);
        eventually_now(LIMIT, "the job is told", || self.is_told(&job).then_some(()));
        self.stage.settled(LIMIT).await;
        if scene == Scene::Close {
            self.stage.worker.signal_wrapped(Signal::TERM);
            self.stage.worker.wait_exit(LIMIT);
        }
        self.stage.worker.kill();
        let trace = self.trace();
        let recording = Recording::read(&trace, &self.dir, store::is_not_kept).unwrap();
        assert_eq!(scene.points(&Witness::of(&recording, &job.reference)), [], "it was seen through to its end");

        let (named, file) = (hex(&job.reference), format!("{}>", hex("/worker.db")));
        let mut counts: BTreeMap<(&str, &str), u32> = BTreeMap::new();
        let mut moments = BTreeSet::new();
        let (mut delivered, mut consuming) = (false, false);
        for line in trace.lines() {
            delivered |= line.contains(&named);
            consuming |= line.contains("\\x00\\x3c\\x00\\x14");
            let Some((thread, call)) = line.split_once(' ') else { continue };
            let Some((name, _)) = call.trim_start().split_once('(') else { continue };
            if CALLS.contains(&name) {
                let count = counts.entry((thread, name)).or_default();
                *count += 1;
                let is_of_it = match scene {
                    Scene::Plain | Scene::Lost | Scene::Refused => delivered,
                    Scene::Start => !consuming,
                    Scene::Close => line.contains(&file),
                };
                if is_of_it {
                    // A start makes a few calls more or less.
                    moments.extend((count.saturating_sub(4).max(1)..=*count).map(|when| (name.to_owned(), when)));
                }
            }
        }
        moments.into_iter().collect()
    }

    /// The moments to break, by chance: a few, in the long form most of them.
    fn chosen(&mut self, mut moments: Vec<Moment>) -> Vec<Moment> {
        let wanted = if long() { 60 } else { MOMENTS };
        (0..wanted.min(moments.len())).map(|_| moments.swap_remove(self.dice.below(moments.len()))).collect()
    }

    /// Every moment of every scene, among these calls.
    async fn run(mut self, calls: &[&str], inject: &str) {
        let (mut runs, mut hits) = (0, 0);
        for scene in Scene::ALL {
            let mut moments = self.calls_of(scene).await;
            moments.retain(|(name, _)| calls.contains(&name.as_str()));
            for (name, when) in self.chosen(moments) {
                runs += 1;
                hits += u32::from(self.once(scene, &format!("inject={name}:{inject}:when={when}")).await);
            }
        }
        self.ends().await;
        eprintln!("{:?}: {hits} of {runs} runs were hit: {:?}", self.fault, self.counts);
        assert!(hits * 2 >= runs, "the sweep hits its calls: {hits} of {runs}");
    }

    /// The oracle judges all of it; then it is counted.
    async fn ends(&mut self) {
        self.stage.worker.start();
        self.stage.settled(LIMIT).await;
        let verdict = self.stage.verdict();
        verdict.assert_sound();
        for reference in self.stage.published().keys() {
            let expected = if reference.starts_with(Scene::Refused.name()) { "dead" } else { "succeeded" };
            assert_eq!(verdict.state(reference), expected, "{reference}");
        }
        for (point, count) in &self.counts {
            let by = if self.fault == Fault::PowerLoss { Technique::PowerLoss } else { Technique::SystemCalls };
            executed(*point, self.fault, by, *count);
        }
    }

    /// One scene, one fault; whether it was hit.
    async fn once(&mut self, scene: Scene, inject: &str) -> bool {
        let job = self.prepare(scene).await;
        let before = store::files(&self.dir);
        self.spawn(&["-e", inject, "-e", "signal=SIGTERM,SIGSTOP"]);
        eventually_now(LIMIT, "it ends, stops, or does its job", || {
            let over = self.stage.worker.exited().is_some() || self.is_stopped();
            (over || self.is_told(&job)).then_some(())
        });
        if scene == Scene::Close {
            self.close();
        }
        if self.kills_when_told {
            self.stage.worker.kill();
        }
        let hit = match self.fault {
            _ if self.kills_when_told => true,
            Fault::Zombie => self.is_stopped(),
            Fault::DiskFull | Fault::IoError => self.trace().contains("(INJECTED)"),
            Fault::Stop => self.trace().matches("--- SIGTERM").count() > usize::from(scene == Scene::Close),
            _ => self.stage.worker.exited().is_some_and(|status| status.signal() == Some(9)),
        };
        if self.fault == Fault::Zombie && hit {
            self.beside_a_held_one(&job);
        }
        if self.fault == Fault::Stop && hit {
            let status = self.stage.worker.wait_exit(LIMIT);
            // Each thread has its n-th call: the second signal is for who has no time. Before it listens there is no order.
            let early = scene == Scene::Start && status.signal() == Some(15);
            assert!(early || matches!(status.code(), Some(0 | 130)), "{status}");
        }
        let trace = self.trace();
        self.stage.worker.kill();
        if hit {
            let whole = &trace[..the_fault(&trace, self.fault)];
            let recording = Recording::read(whole, &self.dir, store::is_not_kept).unwrap();
            let witness = Witness::of(&recording, &job.reference);
            let mut points = scene.points(&witness);
            let state = self.stage.worker.state_of(&job.reference);
            // Proven, where it is not asked about again.
            let after = Recording::read(&trace, &self.dir, store::is_not_kept).unwrap();
            let proven = Witness::of(&after, &job.reference).asked() == witness.asked();
            points.retain(|&point| point != Point::ProvenUnpaid || (proven && state.as_deref() != Some("unconfirmed")));
            if matches!(self.fault, Fault::Kill | Fault::PowerLoss) {
                let contradicts = points.iter().find(|&&point| !may_be(point, state.as_deref()));
                assert_eq!(contradicts, None, "{inject}: the store says {state:?}, of {points:?}");
            }
            for point in points {
                *self.counts.entry(point).or_default() += 1;
            }
            if self.fault == Fault::PowerLoss {
                let mut disk = Disk::new(&recording, &before, BTreeSet::new(), Names::ByDirectory);
                disk.play_to(usize::MAX);
                store::put_back(&self.dir, &disk.image(&mut self.dice));
            }
        }
        if !self.is_told(&job) || self.fault == Fault::PowerLoss {
            self.stage.worker.start();
            self.stage.settled(LIMIT).await;
            self.stage.worker.kill();
        }
        hit
    }

    /// Tells it to stop once nothing is left to do, unless it has ended or is held already.
    fn close(&mut self) {
        let is_over = |sweep: &mut Self| sweep.stage.worker.exited().is_some() || sweep.is_stopped();
        eventually_now(LIMIT, "it ends, is held, or has nothing left to do", || {
            let left = http::total(&self.stage.worker.metrics(), "topup_outbox_pending", &[]);
            (is_over(self) || left < 0.5).then_some(())
        });
        if !is_over(self) {
            self.stage.worker.signal_wrapped(Signal::TERM);
            eventually_now(LIMIT, "it ends, or is held", || is_over(self).then_some(()));
        }
    }

    fn is_stopped(&self) -> bool {
        self.fault == Fault::Zombie && self.trace().contains("--- stopped by SIGSTOP")
    }

    /// The worker is held, and holds its store: nobody else gets it. Then it goes on, or is killed.
    fn beside_a_held_one(&mut self, job: &Job) {
        let elsewhere = tempfile::tempdir().unwrap();
        let mut second = self.stage.second_worker(elsewhere.path());
        second.spawn();
        let status = second.wait_exit(LIMIT);
        let said = second.log();
        assert_eq!(status.code(), Some(2), "{said}");
        assert!(said.contains("worker.db") && said.contains("hint: "), "the store is held: {said}");
        if self.dice.below(2) == 0 {
            // Each thread has its n-th call, and is held at it.
            eventually_now(LIMIT, "it goes on where it was", || {
                self.stage.worker.signal_group(Signal::CONT);
                self.is_told(job).then_some(())
            });
        }
    }
}

/// As a trace writes it.
fn hex(text: &str) -> String {
    text.bytes().map(|byte| format!("\\x{byte:02x}")).collect()
}

/// Where in a trace the fault is: the end, where it ended the process.
fn the_fault(trace: &str, fault: Fault) -> usize {
    let at = match fault {
        Fault::DiskFull | Fault::IoError => trace.find("(INJECTED)"),
        Fault::Zombie => trace.find("--- stopped by SIGSTOP"),
        // Each thread has its n-th call, and a scene may close by one: the last is what is looked at.
        Fault::Stop => trace.rfind("--- SIGTERM"),
        _ => None,
    };
    at.map_or(trace.len(), |at| trace[..at].rfind('\n').map_or(0, |line| line + 1))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_the_nth_call_it_goes_on_from_what_is_recorded() {
    Sweep::new("callkill", Fault::Kill).await.run(&CALLS, "signal=SIGKILL").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn m1_when_the_power_goes_at_the_nth_call_nothing_is_lost_or_paid_twice() {
    Sweep::new("callpower", Fault::PowerLoss).await.run(&CALLS, "signal=SIGKILL").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn told_to_stop_at_the_nth_call_it_leaves_in_order() {
    Sweep::new("callterm", Fault::Stop).await.run(&CALLS, "signal=SIGTERM").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn m12_no_room_for_the_nth_write_loses_nothing() {
    Sweep::new("callfull", Fault::DiskFull).await.run(&["pwrite64"], "error=ENOSPC").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn m12_an_error_of_the_nth_write_or_sync_ends_the_worker_and_the_next_one_recovers() {
    Sweep::new("callerror", Fault::IoError).await.run(&["pwrite64", "fdatasync", "fsync"], "error=EIO").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn m10_held_at_the_nth_call_it_keeps_its_store_from_a_second_worker() {
    let calls = ["sendto", "writev", "pwrite64", "fdatasync", "recvfrom"];
    Sweep::new("callheld", Fault::Zombie).await.run(&calls, "signal=SIGSTOP").await;
}
