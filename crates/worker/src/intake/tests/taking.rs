//! Intake by itself: what it takes, what it records once, and when it acknowledges.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use engine::DeadReason;
use lapin::BasicProperties;
use lapin::message::Delivery;
use lapin::types::{AMQPValue, FieldTable};
use outbox::StoreError;
use snap_core::Service;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::amqp::{AmqpError, Deliveries, Source};
use crate::intake::Intake;
use crate::lane::Slot;
use crate::restored::Restored;
use crate::stage::{Stage, job, locked};

/// The slots of a lane with one caller, and so many lanes.
const SLOTS: usize = 4;
const LANES: usize = 2;

#[tokio::test(start_paused = true)]
async fn as_many_are_taken_as_could_be_driven() {
    let stage = Stage::new(1);
    let seen = Seen::default();
    taking(&stage, queue(Source::Jobs, &seen, vec![]), Duration::ZERO).await;
    assert_eq!(seen.limits(), [LANES * SLOTS]);
}

/// The back-pressure: what nobody could drive stays with the broker, but not for longer than a broker waits for an ack.
#[tokio::test(start_paused = true)]
async fn where_no_lane_has_a_slot_nothing_is_taken_for_five_minutes() {
    let stage = Stage::new(1);
    let _held = stage.lanes.values().flat_map(|lane| std::iter::from_fn(|| lane.try_slot())).collect::<Vec<Slot>>();
    let seen = Seen::default();
    taking(&stage, queue(Source::Jobs, &seen, vec![]), Duration::from_secs(299)).await;
    assert!(seen.limits().is_empty());
    taking(&stage, queue(Source::Jobs, &seen, vec![]), Duration::from_secs(301)).await;
    assert_eq!(seen.limits(), [4096]);
}

#[tokio::test(start_paused = true)]
async fn a_slot_that_becomes_free_lets_one_more_in() {
    let stage = Stage::new(1);
    let mut held: Vec<Slot> = stage.lanes.values().flat_map(|lane| std::iter::from_fn(|| lane.try_slot())).collect();
    let seen = Seen::default();
    let taken = taking(&stage, queue(Source::Jobs, &seen, vec![]), Duration::from_secs(20));
    let freed = async {
        tokio::time::sleep(Duration::from_secs(10)).await;
        assert!(seen.limits().is_empty());
        held.pop();
    };
    tokio::join!(taken, freed);
    assert_eq!(seen.limits(), [1]);
}

/// A full lane that moves is given a moment: its job is driven at once, and need not be claimed from the store.
#[tokio::test(start_paused = true)]
async fn a_job_of_a_full_lane_gets_the_slot_that_becomes_free() {
    let stage = Stage::new(1);
    let mut held: Vec<Slot> = std::iter::from_fn(|| stage.lane().try_slot()).collect();
    let seen = Seen::default();
    let taken = taking(&stage, queue(Source::Jobs, &seen, vec![vec![of_job(1)]]), Duration::from_secs(5));
    let freed = async {
        tokio::time::sleep(Duration::from_millis(30)).await;
        held.pop();
    };
    tokio::join!(taken, freed);
    assert_eq!((stage.provider.times(Service::TopUp), stage.lane().moves_freely()), (1, true));
}

#[tokio::test(start_paused = true)]
async fn a_job_of_a_full_lane_waits_in_the_store() {
    let stage = Stage::new(1);
    let _held: Vec<Slot> = std::iter::from_fn(|| stage.lane().try_slot()).collect();
    let seen = Seen::default();
    let began = stage.now();
    taking(&stage, queue(Source::Jobs, &seen, vec![vec![of_job(1)]]), Duration::from_secs(5)).await;
    assert_eq!((seen.acked(), stage.lane().moves_freely()), (vec![1], false), "it is parked");
    let due = stage.driver.store.next_due(&stage.lane().name).await.unwrap();
    assert_eq!((due, stage.provider.asked().len()), (Some(began), 0));
}

/// What is recorded of a batch stays recorded, and is not recorded again with the rest.
#[tokio::test(start_paused = true)]
async fn m12_of_a_batch_that_is_recorded_in_two_goes_nothing_is_recorded_twice() {
    for late in ["accept::Prepared", "dead_letters::Refusal"] {
        let stage = Stage::new(1);
        stage.disk.fails(late, StoreError::Busy);
        let seen = Seen::default();
        let batch = vec![of_job(1), of(2, b"{}".to_vec(), BasicProperties::default())];
        taking(&stage, queue(Source::Jobs, &seen, vec![batch]), Duration::from_secs(5)).await;
        let counted = |result: &str| stage.counted(&format!("topup_deliveries_total{{result=\"{result}\"}}"));
        let counts = ["accepted", "duplicate", "refused"].map(|result| counted(result).unwrap_or_default());
        assert_eq!((counts, stage.letters().await.len()), (["1", "0", "1"].map(str::to_owned), 1), "{late}");
        assert_eq!(seen.acked(), [2], "{late}");
    }
}

#[tokio::test(start_paused = true)]
async fn m12_without_room_nothing_is_acknowledged_and_nothing_more_is_taken() {
    let stage = Stage::new(1);
    stage.disk.fails("accept::Prepared", StoreError::Full);
    let seen = Seen::default();
    let taken = taking(&stage, queue(Source::Jobs, &seen, vec![vec![of_job(1)]]), Duration::from_secs(60));
    let room = async {
        tokio::time::sleep(Duration::from_secs(30)).await;
        assert_eq!((seen.acked(), seen.limits().len()), (vec![], 1));
        stage.driver.store.look_for_room().await;
    };
    tokio::join!(taken, room);
    assert_eq!(seen.acked(), [1]);
}

#[tokio::test(start_paused = true)]
async fn m12_a_store_that_failed_acknowledges_nothing_and_ends_the_process() {
    let stage = Stage::new(1);
    stage.disk.fails("accept::Prepared", StoreError::Failed("by plan".to_owned()));
    let seen = Seen::default();
    taking(&stage, queue(Source::Jobs, &seen, vec![vec![of_job(1)]]), Duration::from_secs(5)).await;
    assert!(seen.acked().is_empty() && stage.driver.fatal.is_cancelled());
}

/// What the broker gave up on stands before a person, with what the broker says about its death; it is never driven.
#[tokio::test(start_paused = true)]
async fn what_the_broker_dead_lettered_becomes_a_dead_letter() {
    let stage = Stage::new(1);
    let mut headers = FieldTable::default();
    for (name, value) in [("x-first-death-queue", "topup.jobs"), ("x-first-death-reason", "delivery_limit")] {
        headers.insert(name.into(), AMQPValue::LongString(value.into()));
    }
    let died = of(1, job("PART-1"), BasicProperties::default().with_headers(headers));
    let seen = Seen::default();
    taking(&stage, queue(Source::Dead, &seen, vec![vec![died]]), Duration::from_secs(5)).await;
    let letters = stage.letters().await;
    let told: Vec<_> = letters.iter().map(|letter| (letter.reason, letter.detail.as_str())).collect();
    assert_eq!(told, [(DeadReason::Undeliverable, "the broker dead-lettered it from topup.jobs: delivery_limit")]);
    assert_eq!((seen.acked(), seen.limits()[0], stage.provider.asked().len()), (vec![1], 256, 0));
    // The relay is told at once.
    tokio::time::timeout(Duration::ZERO, stage.driver.published.notified()).await.unwrap();
}

/// Takes deliveries for so long.
async fn taking(stage: &Stage, queue: Queue, long: Duration) {
    let intake = Intake {
        driver: Arc::clone(&stage.driver),
        lanes: Arc::clone(&stage.lanes),
        providers: Arc::clone(&stage.providers),
        room: Arc::clone(&stage.room),
        tracker: TaskTracker::new(),
        restored: Restored::since_start(None),
    };
    let (stop, over) = (CancellationToken::new(), CancellationToken::new());
    drop(tokio::time::timeout(long, intake.run(queue, stop, over)).await);
}

/// What a consumer was asked for and told.
#[derive(Clone, Debug, Default)]
struct Seen(Arc<Mutex<(Vec<usize>, Vec<u64>)>>);

impl Seen {
    fn limits(&self) -> Vec<usize> {
        locked(&self.0).0.clone()
    }

    fn acked(&self) -> Vec<u64> {
        locked(&self.0).1.clone()
    }
}

struct Queue {
    source: Source,
    batches: VecDeque<Vec<Arc<Delivery>>>,
    seen: Seen,
}

fn queue(source: Source, seen: &Seen, batches: Vec<Vec<Arc<Delivery>>>) -> Queue {
    Queue { source, batches: batches.into(), seen: seen.clone() }
}

impl Deliveries for Queue {
    fn source(&self) -> Source {
        self.source
    }

    async fn batch(&mut self, limit: usize) -> Result<Vec<Arc<Delivery>>, AmqpError> {
        locked(&self.seen.0).0.push(limit);
        match self.batches.pop_front() {
            Some(batch) => Ok(batch),
            None => std::future::pending().await,
        }
    }

    async fn ack_up_to(&self, tag: u64) -> Result<(), AmqpError> {
        locked(&self.seen.0).1.push(tag);
        Ok(())
    }
}

fn of_job(tag: u64) -> Arc<Delivery> {
    of(tag, job("PART-1"), BasicProperties::default())
}

fn of(tag: u64, body: Vec<u8>, properties: BasicProperties) -> Arc<Delivery> {
    let mut delivery = Delivery::mock(tag, "topup".into(), "jobs".into(), false, body);
    delivery.properties = properties;
    Arc::new(delivery)
}
