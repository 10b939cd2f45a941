//! Jobs placed at every point that can be held from outside, and one fault that hits all of them at once.
//!
//! A gate holds requests to the provider, a line holds what is said to and by the broker, a paused lane holds a job that has
//! not begun. What each job's point is, is seen before the fault: in the store, at the provider, in the queue.

use std::time::Duration;

use line::{Flow, Line};
use rustix::process::Signal;
use snap_sim::{Case, Fault as Script};
use testbed::matrix::{Fault, Point, Technique, executed};

use crate::harness::blow::Blow;
use crate::harness::gate::Held;
use crate::harness::worker::PROCESS_LIMIT;
use crate::harness::{Dice, Gate, Hold, Job, Stage, Verdict, amqp, eventually, http};

const LIMIT: Duration = Duration::from_secs(120);
/// Twice, and a little: closing a connection, and what an outcome is waited for.
const STOP_LIMIT: Duration = Duration::from_secs(45);

/// A stage with jobs at known points.
struct Placed {
    stage: Stage,
    line: Line,
    blow: Blow,
    gate: Gate,
    held: Vec<Held>,
    jobs: Vec<(Point, Job)>,
}

impl Placed {
    async fn new(stage: Stage) -> Self {
        Self::before(stage, Fault::Kill).await
    }

    /// For a fault that the worker must be started for.
    async fn before(mut stage: Stage, fault: Fault) -> Self {
        let broker = stage.broker.url();
        let (user, rest) = broker.split_once('@').expect("the broker has users");
        let (upstream, host) = rest.split_once('/').expect("and virtual hosts");
        let line = Line::to(upstream.to_owned()).await.expect("a port on loopback");
        stage.settings.amqp_url = Some(format!("{user}@{}/{host}", line.address()));
        let gate = Gate::open(stage.sim.running().addr()).await;
        stage.settings.providers[0].1 = format!("{}/finpay", gate.base_url());
        // A request that is held for longer would be a late original, which the quiet period is there for.
        stage.settings.request_timeout = Duration::from_secs(100);
        stage.sim.fault("lost", 38, Script::Fin, Some(true), Some(2));
        stage.sim.fault("refused", 38, Script::Answer(Case::new(400, 1)), None, None);
        let mut blow = Blow::prepare(&mut stage, fault);
        stage.worker.start();
        stage.broker.settle_new_queues().await;
        stage.pause("midtrans").await;
        stage.worker.signal(Signal::TERM);
        stage.worker.wait_exit(PROCESS_LIMIT);
        blow.start(&mut stage);
        let mut placed = Self { stage, line, blow, gate, held: Vec::new(), jobs: Vec::new() };
        placed.at_the_provider().await;
        placed.at_the_broker().await;
        placed
    }

    async fn publish(&mut self, point: Point, job: Job) {
        self.stage.publish(std::slice::from_ref(&job)).await;
        self.jobs.push((point, job));
    }

    /// Jobs whose request is held, and one that has not begun.
    async fn at_the_provider(&mut self) {
        let requests = [
            (Point::InquirySent, "sent", "/account-inquiry", Hold::BeforeTheProvider),
            (Point::InquiryAnswered, "sent", "/account-inquiry", Hold::BeforeTheAnswer),
            (Point::TopUpSent, "sent", "/topup", Hold::BeforeTheProvider),
            (Point::TopUpAnswered, "sent", "/topup", Hold::BeforeTheAnswer),
            (Point::StatusSent, "lost", "/topup-status", Hold::BeforeTheProvider),
            (Point::StatusAnswered, "lost", "/topup-status", Hold::BeforeTheAnswer),
        ];
        for (point, name, path, hold) in requests {
            let job = self.stage.job(name);
            let mut held = self.gate.hold(path, &job.reference, hold);
            self.publish(point, job).await;
            held.reached().await;
            self.held.push(held);
        }
        let waiting = self.stage.job("waiting").by("midtrans").with("beneficiaryProvider", "gopay".into());
        self.publish(Point::Waiting, waiting.clone()).await;
        self.is(&waiting, "ready").await;
    }

    /// Jobs that the worker cannot tell of, one whose acknowledgement is lost, one that it has not heard of.
    async fn at_the_broker(&mut self) {
        let mut ends = Vec::new();
        for (point, name) in [(Point::Ended, "ended"), (Point::Dead, "refused")] {
            let job = self.stage.job(name);
            let mut held = self.gate.hold("/topup", &job.reference, Hold::BeforeTheAnswer);
            self.publish(point, job).await;
            held.reached().await;
            ends.push(held);
        }
        self.line.flow(Flow::Held, Flow::Free);
        let unacknowledged =
            self.stage.job("unacknowledged").by("midtrans").with("beneficiaryProvider", "gopay".into());
        self.publish(Point::Acknowledged, unacknowledged.clone()).await;
        self.is(&unacknowledged, "ready").await;
        ends.into_iter().for_each(Held::go_on);
        for (point, state) in [(Point::Ended, "succeeded"), (Point::Dead, "dead")] {
            let job = self.of(point).clone();
            self.is(&job, state).await;
            assert!(self.stage.outcomes.about(&job.reference).is_empty(), "nobody can have been told");
        }
        self.line.stall(true);
        let unheard = self.stage.job("unheard").by("finpay");
        self.publish(Point::Delivered, unheard.clone()).await;
        let queue = format!("{}.jobs", self.stage.settings.namespace);
        eventually(LIMIT, "the broker has handed it over", async || {
            (amqp::depth(&self.stage.broker.url(), &queue).await == Some(0)).then_some(())
        })
        .await;
        assert_eq!(self.stage.worker.state_of(&unheard.reference), None);
    }

    fn of(&self, point: Point) -> &Job {
        &self.jobs.iter().find(|(at, _)| *at == point).expect("a job stands there").1
    }

    async fn is(&self, job: &Job, state: &str) {
        let what = format!("{} is {state}", job.reference);
        eventually(LIMIT, &what, async || {
            (self.stage.worker.state_of(&job.reference).as_deref() == Some(state)).then_some(())
        })
        .await;
    }

    /// This fault has hit all of them.
    fn hit(&self, fault: Fault, by: Technique) {
        for (point, _) in &self.jobs {
            executed(*point, fault, by, 1);
        }
    }

    /// What was on the line is lost, and there is a new one.
    async fn lose_the_line(&self) {
        self.line.cut(true);
        // Its connections end meanwhile; afterwards what they held would still arrive.
        tokio::time::sleep(Duration::from_millis(300)).await;
        self.line.stall(false);
    }

    /// Everything is well again: each job ends as it must, and the one whose acknowledgement was lost came again.
    async fn ends_well(self) {
        self.ends(|verdict| verdict).await;
    }

    async fn ends(mut self, judged: fn(Verdict) -> Verdict) {
        self.held.drain(..).for_each(Held::go_on);
        eventually(LIMIT, "the worker is ready", async || self.stage.worker.readyz().filter(|page| page.status == 200))
            .await;
        self.stage.resume("midtrans");
        self.stage.settled(LIMIT).await;
        let verdict = judged(self.stage.verdict());
        verdict.assert_sound();
        for (point, job) in &self.jobs {
            let (state, credits) = if *point == Point::Dead { ("dead", 0) } else { ("succeeded", 1) };
            assert_eq!((verdict.state(&job.reference), verdict.credits(&job.reference)), (state, credits), "{point:?}");
        }
    }

    fn duplicates(&self) -> f64 {
        http::total(&self.stage.worker.metrics(), "topup_deliveries_total", &["result=\"duplicate\""])
    }

    /// What was recorded and not acknowledged comes again, and is known.
    async fn comes_again(&self) {
        eventually(LIMIT, "what was not acknowledged comes again", async || (self.duplicates() >= 1.0).then_some(()))
            .await;
        executed(Point::Acknowledged, Fault::Duplicate, Technique::Proxy, 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_with_jobs_at_every_point_that_can_be_held() {
    let mut placed = Placed::new(Stage::prepare("placedkill").await).await;
    placed.stage.worker.kill();
    placed.hit(Fault::Kill, Technique::Proxy);
    placed.lose_the_line().await;
    placed.stage.worker.start();
    placed.comes_again().await;
    // The start asked about what was on the wire before it took what came again.
    executed(Point::Recovering, Fault::Duplicate, Technique::Proxy, 1);
    placed.ends_well().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn m1_when_the_power_goes_with_jobs_at_every_point_all_of_them_go_on() {
    let mut placed = Placed::before(Stage::prepare("placedpower").await, Fault::PowerLoss).await;
    placed.blow.power_goes(&mut placed.stage, &mut Dice::new("placedpower"));
    placed.hit(Fault::PowerLoss, Technique::PowerLoss);
    placed.lose_the_line().await;
    placed.stage.worker.start();
    placed.comes_again().await;
    placed.ends_well().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn m12_writes_fail_with_jobs_at_every_point_and_the_next_worker_goes_on() {
    let mut placed = Placed::before(Stage::prepare("placederror").await, Fault::IoError).await;
    Blow::fail_writes(&placed.stage);
    // The answers come, and cannot be recorded.
    placed.held.drain(..).for_each(Held::go_on);
    let status = placed.stage.worker.wait_exit(PROCESS_LIMIT);
    assert!(!status.success(), "{status}");
    placed.hit(Fault::IoError, Technique::Disk);
    placed.lose_the_line().await;
    placed.stage.worker.start();
    placed.comes_again().await;
    placed.ends_well().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn m12_the_disk_is_full_with_jobs_at_every_point_and_all_of_them_go_on() {
    let mut placed = Placed::before(Stage::prepare("placedfull").await, Fault::DiskFull).await;
    placed.blow.disk().fill();
    // The answers come; nothing new is sent, and what is heard again of the broker waits for room.
    placed.held.drain(..).for_each(Held::go_on);
    placed.line.stall(false);
    eventually(LIMIT, "the worker says that the store is full", async || {
        placed.stage.worker.readyz().filter(|page| page.status == 503 && page.body.contains("full"))
    })
    .await;
    assert_eq!(placed.stage.worker.exited(), None, "a full disk is no reason to end");
    placed.hit(Fault::DiskFull, Technique::Disk);
    placed.blow.disk().empty();
    placed.ends_well().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_clock_jumps_with_jobs_at_every_point_and_all_of_them_go_on() {
    let placed = Placed::before(Stage::prepare("placedclock").await, Fault::ClockJump).await;
    Blow::jump(&placed.stage).await;
    placed.hit(Fault::ClockJump, Technique::Clock);
    placed.line.stall(false);
    placed.ends(Verdict::of_a_wrong_clock).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn told_to_stop_with_jobs_at_every_point_while_the_broker_does_not_hear_it() {
    let mut placed = Placed::new(Stage::prepare("placedstop").await).await;
    placed.stage.worker.signal(Signal::TERM);
    eventually(LIMIT, "it has heard the signal", async || placed.stage.worker.log().contains("stopping").then_some(()))
        .await;
    // What is on the wire is waited for; the broker is not heard again.
    placed.held.drain(..).for_each(Held::go_on);
    let status = placed.stage.worker.wait_exit(STOP_LIMIT);
    assert_eq!(status.code(), Some(0), "{status}\n{}", placed.stage.worker.log_tail());
    placed.hit(Fault::Stop, Technique::Proxy);
    executed(Point::StoppingCut, Fault::HalfOpen, Technique::Proxy, 1);
    placed.lose_the_line().await;
    placed.stage.worker.start();
    placed.comes_again().await;
    placed.ends_well().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn half_open_with_jobs_at_every_point_the_line_is_left_and_all_of_them_go_on() {
    let placed = Placed::new(Stage::prepare("placedhalf").await).await;
    eventually(LIMIT, "silence is taken for a lost broker", async || {
        placed.stage.worker.readyz().filter(|page| page.status == 503)
    })
    .await;
    assert_eq!(placed.stage.outcomes.about(&placed.of(Point::Ended).reference).len(), 0);
    placed.hit(Fault::HalfOpen, Technique::Proxy);
    placed.lose_the_line().await;
    placed.comes_again().await;
    placed.ends_well().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_broker_dies_with_jobs_at_every_point_and_all_of_them_go_on() {
    let mut placed = Placed::new(Stage::prepare_with_own_broker("placedbroker").await).await;
    placed.stage.broker.kill();
    placed.line.stall(false);
    eventually(LIMIT, "the worker says that the broker is gone", async || {
        placed.stage.worker.readyz().filter(|page| page.status == 503)
    })
    .await;
    placed.hit(Fault::BrokerDown, Technique::Broker);
    // What was taken goes on without a broker.
    placed.held.drain(..).for_each(Held::go_on);
    placed.stage.broker.boot();
    placed.comes_again().await;
    placed.ends_well().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_broker_blocks_with_jobs_at_every_point_and_all_of_them_go_on() {
    let placed = Placed::new(Stage::prepare_with_own_broker("placedblocked").await).await;
    placed.stage.broker.ctl(&["set_vm_memory_high_watermark", "0.0000001"]);
    placed.line.stall(false);
    eventually(LIMIT, "the worker knows that it is blocked", async || {
        (http::sample(&placed.stage.worker.metrics(), "topup_amqp_blocked", &[]) == Some(1.0)).then_some(())
    })
    .await;
    // The consuming connection is not blocked: what was on its way arrives, and what is done is not told yet.
    let unheard = placed.of(Point::Delivered).clone();
    eventually(LIMIT, "what was delivered is recorded", async || placed.stage.worker.state_of(&unheard.reference))
        .await;
    placed.hit(Fault::Blocked, Technique::Broker);
    placed.stage.broker.ctl(&["set_vm_memory_high_watermark", "0.4"]);
    placed.ends_well().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn delivered_again_at_every_point_each_is_one_job() {
    let placed = Placed::new(Stage::prepare("placedagain").await).await;
    let jobs: Vec<Job> = placed.jobs.iter().map(|(_, job)| job.clone()).collect();
    // Only the broker is heard again; the provider still holds what it held.
    placed.stage.producer.publish_all(&jobs).await;
    placed.line.stall(false);
    // One of the two copies of what it had not heard of is the first.
    let copies = 11.0 - 1.0;
    eventually(LIMIT, "each copy is known for one", async || (placed.duplicates() >= copies).then_some(())).await;
    assert_eq!(placed.jobs.len(), 11);
    assert!(placed.held.len() == 6, "and all that time the requests were held");
    placed.hit(Fault::Duplicate, Technique::Histories);
    placed.ends_well().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn m10_held_with_jobs_at_every_point_it_keeps_its_store_and_goes_on() {
    let placed = Placed::new(Stage::prepare("placedheld").await).await;
    placed.stage.worker.signal(Signal::STOP);
    let elsewhere = tempfile::tempdir().unwrap();
    let mut second = placed.stage.second_worker(elsewhere.path());
    second.spawn();
    let status = second.wait_exit(PROCESS_LIMIT);
    assert_eq!(status.code(), Some(2), "{}", second.log());
    assert!(second.log().contains("worker.db"), "the store is held: {}", second.log());
    placed.hit(Fault::Zombie, Technique::TwoWorkers);
    placed.stage.worker.signal(Signal::CONT);
    placed.line.stall(false);
    placed.ends_well().await;
}
