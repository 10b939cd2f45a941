//! Faults of the whole worker while operators are at work: in the middle of a replay, after a restore, with a dead letter's
//! event in somebody's hands. Each is struck at a moment at which the store shows how far it has come.

use std::fs;
use std::time::Duration;

use lapin::BasicProperties;
use lapin::options::{BasicGetOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use serde_json::Value;
use snap_sim::{Case, Fault as Script};
use testbed::matrix::{Fault, Point, executed};

use crate::harness::blow::Blow;
use crate::harness::verdict::text;
use crate::harness::{Dice, Job, Stage, amqp, eventually, long};

const LIMIT: Duration = Duration::from_secs(120);
const ACT: [&str; 3] = ["--reason", "INC-9", "--yes"];

async fn stage(name: &str, fault: Fault) -> (Stage, Blow, Dice) {
    let mut stage = Stage::prepare(name).await;
    stage.settings.request_timeout = Duration::from_millis(800);
    stage.settings.quiet_period = Duration::from_millis(900);
    stage.settings.give_up_after = Duration::from_secs(2);
    let blow = Blow::prepare(&mut stage, fault);
    (stage, blow, Dice::new(name))
}

fn act(stage: &Stage, args: &[&str]) {
    let done = stage.worker.ask(&[args, &ACT].concat());
    assert!(matches!(done.status.code(), Some(0 | 3)), "{args:?}: {}", String::from_utf8_lossy(&done.stderr));
}

/// All succeeded, each credited once; those that were sent before the fault were not sent again.
async fn each_once(stage: &Stage, fault: Fault, jobs: &[Job], top_ups: u32) {
    for job in jobs {
        stage.outcomes.wait_for("topup.succeeded", &job.reference).await;
    }
    stage.settled(LIMIT).await;
    let verdict = stage.verdict();
    let verdict = if fault == Fault::ClockJump { verdict.of_a_wrong_clock() } else { verdict };
    verdict.assert_all_succeeded();
    for job in jobs {
        assert_eq!(verdict.credits(&job.reference), 1, "{}", job.reference);
        assert_eq!(verdict.top_ups(&job.reference), top_ups, "{}", job.reference);
    }
}

/// A plan over dead letters that were paid, and nobody knows; struck while some are replayed, and others not.
async fn in_a_replay(fault: Fault) {
    let (mut stage, mut blow, mut dice) = stage(&format!("replay{}", fault.word()), fault).await;
    stage.sim.fault("doubt", 38, Script::Rst, Some(true), None);
    stage.sim.fault("doubt", 39, Script::Answer(Case::new(500, 0)), None, None);
    stage.worker.start();
    let jobs = stage.jobs("doubt", 12);
    stage.publish(&jobs).await;
    eventually(LIMIT, "all of them are dead letters", async || {
        (stage.worker.list(&["dlq", "list"]).len() == jobs.len()).then_some(())
    })
    .await;
    stage.settled(LIMIT).await;
    stage.sim.running().clear_rules();
    blow.again(&jobs);
    // Ordered while no worker runs, and the one who ordered it is gone in the middle; then a worker goes on with it.
    stage.worker.kill();
    let args = [&["dlq", "replay", "--all", "--rate", "3/s"], &ACT[..]].concat();
    let mut operator = stage.worker.command(&args);
    let operator = operator.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null()).spawn();
    let mut operator = operator.expect("the operator's command runs");
    waiting(&stage, 12).await;
    operator.kill().unwrap();
    operator.wait().unwrap();
    let left = waiting(&stage, 12).await;
    blow.start(&mut stage);
    let waiting = waiting(&stage, left).await;
    assert!(waiting > 0, "it is half done");

    blow.strike(&mut stage, &mut dice).await;

    executed(Point::Replaying, fault, blow.technique(), waiting);
    executed(Point::HalfReplayed, fault, blow.technique(), 1);
    let plan = eventually(LIMIT, "the plan is done, or halts and is resumed", async || {
        let plan = stage.worker.ask_json(&["dlq", "plans", "show", "1"]);
        match text(&plan, "state") {
            "done" => Some(plan),
            "paused" => {
                // A lane that stood while the clock was wrong, a store that was full: an operator looks, and goes on.
                stage.worker.ask(&[&["provider", "resume", "finpay"], &ACT[..]].concat());
                stage.worker.ask(&[&["dlq", "plans", "resume", "1"], &ACT[..]].concat());
                None
            }
            _ => None,
        }
    })
    .await;
    assert_eq!(plan["counts"]["succeeded"], Value::from(12), "{plan:#}");
    each_once(&stage, fault, &jobs, 1).await;
}

/// How many items of the plan wait, once that is fewer than this.
async fn waiting(stage: &Stage, fewer_than: u64) -> u64 {
    eventually(LIMIT, "the plan goes on", async || {
        let plans = stage.worker.list(&["dlq", "plans", "list"]);
        let waiting = plans.first()?["counts"]["waiting"].as_u64()?;
        (waiting < fewer_than).then_some(waiting)
    })
    .await
}

/// An older copy is put back; struck while the store asks first.
async fn after_a_restore(fault: Fault) {
    let (mut stage, mut blow, mut dice) = stage(&format!("restore{}", fault.word()), fault).await;
    stage.worker.start();
    let known = stage.jobs("known", 2);
    stage.publish(&known).await;
    stage.settled(LIMIT).await;
    stage.worker.signal(rustix::process::Signal::TERM);
    stage.worker.wait_exit(LIMIT);
    let store = stage.worker.dir().join(&stage.settings.store);
    let copy = stage.worker.dir().join("copy.db");
    fs::copy(&store, &copy).unwrap();
    stage.worker.start();
    let forgotten = stage.jobs("forgotten", 3);
    stage.publish(&forgotten).await;
    stage.settled(LIMIT).await;
    stage.worker.signal(rustix::process::Signal::TERM);
    stage.worker.wait_exit(LIMIT);
    fs::copy(&copy, &store).unwrap();
    blow.start(&mut stage);
    assert!(stage.worker.log().contains("the store may not know everything that was done"), "it asks first");
    // Some of what it does not know comes again before the fault, the rest is asked for after it.
    stage.producer.publish_all(&forgotten[..2]).await;
    for job in &forgotten[..2] {
        eventually(LIMIT, "it is known again", async || stage.worker.state_of(&job.reference)).await;
    }
    blow.again(&forgotten[..2]);

    blow.strike(&mut stage, &mut dice).await;

    executed(Point::Restored, fault, blow.technique(), 1);
    // What was asked for and not recorded is asked for again by who has not heard.
    stage.producer.publish_all(&forgotten).await;
    stage.worker.ask(&[&["provider", "resume", "finpay"], &ACT[..]].concat());
    for job in &forgotten {
        eventually(LIMIT, "it is found paid", async || {
            (stage.worker.state_of(&job.reference).as_deref() == Some("succeeded")).then_some(())
        })
        .await;
    }
    act(&stage, &["store", "reconciled"]);
    let all = [known, forgotten].concat();
    stage.settled(LIMIT).await;
    for job in &all {
        assert_eq!(stage.sim.running().credits_of(&job.reference), 1, "{}", job.reference);
        assert_eq!(stage.sim.running().reference(&job.reference)[0].top_ups, 1, "{}: asked first", job.reference);
    }
}

/// Somebody has read a dead letter's event and not acknowledged it; struck, replayed, and read again.
async fn with_a_dead_letter_in_hand(fault: Fault) {
    let (mut stage, mut blow, mut dice) = stage(&format!("inhand{}", fault.word()), fault).await;
    stage.sim.fault("refused", 38, Script::Answer(Case::new(400, 1)), None, Some(1));
    blow.start(&mut stage);
    let (connection, channel) = amqp::open(&stage.broker.url()).await.unwrap();
    let (queue, events) =
        (format!("{}.desk", stage.settings.namespace), format!("{}.events", stage.settings.namespace));
    let options = QueueDeclareOptions::durable();
    channel.queue_declare(queue.as_str().into(), options, FieldTable::default()).await.unwrap();
    let bound = channel.queue_bind(
        queue.as_str().into(),
        events.as_str().into(),
        "topup.dead_lettered".into(),
        QueueBindOptions::default(),
        FieldTable::default(),
    );
    bound.await.unwrap();
    let job = stage.job("refused");
    stage.publish(std::slice::from_ref(&job)).await;
    let read = |properties: &BasicProperties| properties.message_id().as_ref().map(ToString::to_string);
    let first = eventually(LIMIT, "the dead letter is read", async || {
        let got = channel.basic_get(queue.as_str().into(), BasicGetOptions::default()).await.unwrap();
        got.map(|message| read(&message.delivery.properties))
    })
    .await;
    stage.settled(LIMIT).await;
    blow.again(std::slice::from_ref(&job));

    blow.strike(&mut stage, &mut dice).await;

    executed(Point::DeadRead, fault, blow.technique(), 1);
    assert_eq!(stage.worker.state_of(&job.reference).as_deref(), Some("dead"));
    act(&stage, &["dlq", "replay", "--all"]);
    stage.outcomes.wait_for("topup.succeeded", &job.reference).await;
    // Who had it goes without a word; the event comes again, as it was, and changes nothing.
    drop((channel, connection));
    let (_connection, channel) = amqp::open(&stage.broker.url()).await.unwrap();
    let second = eventually(LIMIT, "the dead letter is read again", async || {
        let got = channel.basic_get(queue.as_str().into(), BasicGetOptions::default()).await.unwrap();
        got.map(|message| (message.delivery.redelivered, read(&message.delivery.properties)))
    })
    .await;
    assert_eq!(second, (true, first));
    each_once(&stage, fault, std::slice::from_ref(&job), 2).await;
}

/// Every fault in the long form, otherwise three by chance.
fn some_of(name: &str, mut faults: Vec<Fault>) -> Vec<Fault> {
    let mut dice = Dice::new(name);
    while !long() && faults.len() > 3 {
        faults.swap_remove(dice.below(faults.len()));
    }
    eprintln!("{name}: {faults:?}");
    faults
}

const ALL: [Fault; 8] = [
    Fault::Kill,
    Fault::Stop,
    Fault::PowerLoss,
    Fault::DiskFull,
    Fault::IoError,
    Fault::ClockJump,
    Fault::Zombie,
    Fault::Duplicate,
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn m8_whatever_happens_in_a_replay_each_is_let_go_once() {
    for fault in some_of("inareplay", ALL.to_vec()) {
        in_a_replay(fault).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn m12_whatever_happens_after_a_restore_it_asks_first() {
    for fault in some_of("afterarestore", ALL.to_vec()) {
        after_a_restore(fault).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_happens_with_a_dead_letter_in_hand_nothing_is_replayed_by_reading() {
    for fault in some_of("inhand", vec![Fault::Kill, Fault::Stop, Fault::PowerLoss, Fault::Duplicate]) {
        with_a_dead_letter_in_hand(fault).await;
    }
}
