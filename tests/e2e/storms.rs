//! Storms: the worker under load while lines, broker, provider and processes break at random; minutes of it with `E2E_LONG`.
//! `E2E_SEED=…` plays one again.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use lapin::options::QueueDeleteOptions;
use line::{Flow, Line};
use rustix::process::Signal;
use testbed::matrix::{Fault, Point, Technique, executed};

use crate::harness::worker::PROCESS_LIMIT;
use crate::harness::{Dice, Job, Stage, amqp, eventually, eventually_now, http, long};
use crate::store_full::SmallDisk;

const LIMIT: Duration = Duration::from_secs(180);

/// A stage in a storm.
struct Storm {
    stage: Stage,
    dice: Dice,
    jobs: Vec<Job>,
    done: BTreeMap<&'static str, usize>,
}

impl Storm {
    fn new(name: &str, mut stage: Stage) -> Self {
        let mut dice = Dice::new(name);
        stage.settings.prefetch = 24;
        stage.settings.request_timeout = Duration::from_millis(1500);
        let latency = dice.span(Duration::from_millis(5), Duration::from_millis(60));
        stage.sim.slow_down(latency);
        Self { stage, dice, jobs: Vec::new(), done: BTreeMap::new() }
    }

    async fn load(&mut self, count: usize) {
        let jobs = self.stage.jobs("storm", count);
        self.stage.publish(&jobs).await;
        self.jobs.extend(jobs);
    }

    /// The moment is what is random; it is not a wait for anything.
    async fn a_while(&mut self, from: u64, to: u64) {
        tokio::time::sleep(self.dice.span(Duration::from_millis(from), Duration::from_millis(to))).await;
    }

    /// A second worker on the store is refused, while this one is held as well.
    fn second_is_refused(&self) {
        let elsewhere = tempfile::tempdir().unwrap();
        let mut second = self.stage.second_worker(elsewhere.path());
        second.spawn();
        let status = second.wait_exit(PROCESS_LIMIT);
        assert_eq!(status.code(), Some(2), "{}", second.log());
    }

    async fn ready(&self) {
        eventually(LIMIT, "the worker is ready", async || self.stage.worker.readyz().filter(|page| page.status == 200))
            .await;
    }

    async fn red(&self) {
        eventually(LIMIT, "the worker says that it is not ready", async || {
            self.stage.worker.readyz().filter(|page| page.status == 503)
        })
        .await;
    }

    fn stop(&mut self) {
        self.stage.worker.signal(Signal::TERM);
        let status = self.stage.worker.wait_exit(PROCESS_LIMIT);
        assert_eq!(status.code(), Some(0), "{status}\n{}", self.stage.worker.log_tail());
    }

    /// The broker has lost what was in a queue that was deleted: who has not heard asks again.
    async fn publish_again(&self) {
        let told = self.stage.outcomes.terminal_by_reference();
        let untold: Vec<Job> = self.jobs.iter().filter(|job| !told.contains_key(&job.reference)).cloned().collect();
        self.stage.producer.publish_all(&untold).await;
    }

    async fn passes(self) {
        self.stage.settled(LIMIT).await;
        self.stage.verdict().assert_all_succeeded();
        eprintln!("{} jobs, each credited once: {:?}", self.jobs.len(), self.done);
        assert!(self.done.values().sum::<usize>() >= 3, "a storm it was");
    }
}

/// A line to who listens there, and its place in `url`.
async fn line_for(url: &str) -> (Line, String) {
    let (scheme, rest) = url.split_once("://").expect("a URL has a scheme");
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let (user, host) = authority.rsplit_once('@').map_or((None, authority), |(user, host)| (Some(user), host));
    let line = Line::to(host.to_owned()).await.expect("a port on loopback");
    let user = user.map_or(String::new(), |user| format!("{user}@"));
    let url = format!("{scheme}://{user}{}/{path}", line.address());
    (line, url)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn m1_lines_that_break_in_every_way_lose_nothing_and_pay_nothing_twice() {
    let mut storm = Storm::new("lines", Stage::prepare("lines").await);
    let (broker, url) = line_for(storm.stage.settings.amqp_url.as_deref().unwrap()).await;
    storm.stage.settings.amqp_url = Some(url);
    let (provider, url) = line_for(&storm.stage.settings.providers[0].1).await;
    storm.stage.settings.providers = vec![("finpay", url)];
    storm.stage.start();
    let (span, longest) = if long() { (240, 14_000) } else { (12, 2_000) };
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(span) {
        storm.load(8).await;
        storm.a_while(0, 300).await;
        let slow = storm.dice.span(Duration::from_millis(1), Duration::from_millis(300));
        let line = if storm.dice.below(2) == 0 { &broker } else { &provider };
        let act = match storm.dice.below(12) {
            0 => {
                line.cut(false);
                "cut"
            }
            1 => {
                line.cut(true);
                "reset"
            }
            2 => {
                line.stall(true);
                "held"
            }
            3 => {
                line.flow(Flow::Held, Flow::Free);
                "half open, not heard"
            }
            4 => {
                line.flow(Flow::Free, Flow::Held);
                "half open, not hearing"
            }
            5 => {
                line.flow(Flow::Late(slow), Flow::Late(slow));
                "late"
            }
            6 => {
                line.flow(Flow::Free, Flow::Dripping(slow / 50));
                "dripping"
            }
            7 => {
                line.away(true);
                "away"
            }
            8 => {
                storm.stage.sim.running().pause_listening().await;
                "provider away"
            }
            9 => {
                storm.stage.worker.kill();
                storm.stage.worker.spawn();
                "killed"
            }
            10 => {
                storm.stage.worker.signal(Signal::STOP);
                storm.second_is_refused();
                "held, a second one refused"
            }
            _ => {
                storm.second_is_refused();
                "a second one refused"
            }
        };
        *storm.done.entry(act).or_default() += 1;
        storm.a_while(100, longest).await;
        for line in [&broker, &provider] {
            line.stall(false);
            line.away(false);
        }
        if act == "provider away" {
            storm.stage.sim.running().resume_listening().await.unwrap();
        }
        storm.stage.worker.signal(Signal::CONT);
        if act == "killed" {
            // Whoever asks for the store before it holds it would be the worker.
            storm.stage.worker.wait_ready();
        }
    }
    storm.passes().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_is_killed_stopped_and_blocked_loses_nothing() {
    broker_storm("brokerstorm", ["killed", "stopped", "blocked"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_is_robbed_of_its_queues_is_waited_for_until_they_are_provided_again() {
    broker_storm("queuestorm", ["robbed", "unheard", "robbed"]).await;
}

async fn broker_storm(name: &str, mut acts: [&'static str; 3]) {
    let mut storm = Storm::new(name, Stage::prepare_with_own_broker(name).await);
    storm.stage.start();
    storm.stage.broker.settle_new_queues().await;
    storm.stop();
    // From here on somebody else provides the queues.
    storm.stage.settings.declare = false;
    storm.stage.start();
    for _ in 0..if long() { 6 } else { 1 } {
        for left in (1..acts.len()).rev() {
            acts.swap(left, storm.dice.below(left + 1));
        }
        for act in acts {
            storm.load(40).await;
            storm.a_while(0, 500).await;
            match act {
                "killed" => killed(&mut storm).await,
                "stopped" => {
                    storm.stage.broker.freeze();
                    storm.a_while(500, if long() { 25_000 } else { 2_000 }).await;
                    storm.stage.broker.thaw();
                }
                "blocked" => blocked(&mut storm).await,
                "robbed" => robbed(&mut storm).await,
                _ => unheard(&mut storm).await,
            }
            *storm.done.entry(act).or_default() += 1;
            storm.ready().await;
            storm.load(5).await;
        }
    }
    storm.publish_again().await;
    storm.passes().await;
}

/// The broker dies; told to stop meanwhile the worker ends in order; one that is started finds no broker.
async fn killed(storm: &mut Storm) {
    storm.stage.broker.kill();
    storm.red().await;
    storm.stop();
    executed(Point::StoppingCut, Fault::BrokerDown, Technique::Broker, 1);
    storm.stage.worker.spawn();
    storm.stage.broker.boot();
}

/// The broker takes nothing more; told to stop meanwhile the worker ends in order.
async fn blocked(storm: &mut Storm) {
    // There must be something to tell: only who publishes is blocked.
    storm.stage.pause("finpay").await;
    storm.load(10).await;
    storm.stage.broker.ctl(&["set_vm_memory_high_watermark", "0.0000001"]);
    storm.stage.resume("finpay");
    eventually(LIMIT, "the worker knows that it is blocked", async || {
        (http::sample(&storm.stage.worker.metrics(), "topup_amqp_blocked", &[]) == Some(1.0)).then_some(())
    })
    .await;
    storm.stop();
    executed(Point::StoppingCut, Fault::Blocked, Technique::Broker, 1);
    storm.stage.worker.spawn();
    storm.stage.broker.ctl(&["set_vm_memory_high_watermark", "0.4"]);
}

/// The queue of jobs is gone, with what was in it.
async fn robbed(storm: &mut Storm) {
    let (_connection, channel) = amqp::open(&storm.stage.broker.url()).await.unwrap();
    let queue = format!("{}.jobs", storm.stage.settings.namespace);
    channel.queue_delete(queue.as_str().into(), QueueDeleteOptions::default()).await.unwrap();
    storm.red().await;
    assert!(storm.stage.worker.exited().is_none(), "it waits for its queue");
    amqp::provide_queues(&storm.stage.broker.url(), &storm.stage.settings.namespace).await;
    storm.stage.broker.settle_new_queues().await;
    executed(Point::QueueGone, Fault::BrokerDown, Technique::Broker, 1);
    storm.ready().await;
    storm.publish_again().await;
}

/// Nobody hears outcomes: they come back, and stay in the store until somebody does.
async fn unheard(storm: &mut Storm) {
    storm.publish_again().await;
    storm.stage.settled(LIMIT).await;
    let (_connection, channel) = amqp::open(&storm.stage.broker.url()).await.unwrap();
    let queue = format!("{}.outcomes", storm.stage.settings.namespace);
    channel.queue_delete(queue.as_str().into(), QueueDeleteOptions::default()).await.unwrap();
    let before = storm.stage.worker.log().len();
    storm.load(5).await;
    eventually(LIMIT, "the worker says that nobody takes outcomes", async || {
        storm.stage.worker.log()[before..].contains("were not taken by any queue").then_some(())
    })
    .await;
    amqp::provide_queues(&storm.stage.broker.url(), &storm.stage.settings.namespace).await;
    storm.stage.broker.settle_new_queues().await;
    executed(Point::Returned, Fault::BrokerDown, Technique::Broker, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn m12_a_small_disk_that_fills_up_again_and_again_under_load_loses_nothing() {
    let disk = SmallDisk::mount();
    let mut storm = Storm::new("diskstorm", Stage::prepare("diskstorm").await);
    storm.stage.settings.store = disk.dir.join("worker.db").display().to_string();
    storm.stage.start();
    for _ in 0..if long() { 40 } else { 4 } {
        storm.load(40).await;
        storm.a_while(0, 400).await;
        disk.fill();
        storm.a_while(50, 1_500).await;
        if storm.dice.below(2) == 0 {
            storm.stage.worker.kill();
            disk.empty();
            storm.stage.worker.spawn();
            *storm.done.entry("full, killed").or_default() += 1;
        } else {
            disk.empty();
            *storm.done.entry("full").or_default() += 1;
        }
        storm.ready().await;
    }
    storm.passes().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn m10_of_two_workers_started_at_one_time_one_recovers_and_works() {
    let mut storm = Storm::new("twostarts", Stage::prepare("twostarts").await);
    storm.stage.sim.slow_down(Duration::from_millis(300));
    storm.stage.start();
    for _ in 0..if long() { 30 } else { 4 } {
        storm.load(20).await;
        storm.a_while(50, 600).await;
        storm.stage.worker.kill();
        let open = storm.stage.worker.list(&["jobs", "list", "--state", "sending"]).len();
        let elsewhere = tempfile::tempdir().unwrap();
        let mut second = storm.stage.second_worker(elsewhere.path());
        if storm.dice.below(2) == 0 {
            second.spawn();
            storm.stage.worker.spawn();
        } else {
            storm.stage.worker.spawn();
            second.spawn();
        }
        let refused =
            eventually_now(LIMIT, "one of them is refused", || second.exited().or_else(|| storm.stage.worker.exited()));
        assert_eq!(refused.code(), Some(2), "{}", second.log());
        if second.exited().is_none() {
            // The other one has it: the first takes over, once more.
            storm.stage.worker.wait_exit(PROCESS_LIMIT);
            second.kill();
            storm.stage.worker.start();
        }
        storm.ready().await;
        executed(Point::Recovering, Fault::Zombie, Technique::TwoWorkers, u64::from(open > 0));
        *storm.done.entry("two starts").or_default() += 1;
    }
    storm.passes().await;
}
