//! C1 in other ways: whoever comes when, and however it spells the broker, one store takes from a namespace.

use std::time::Duration;

use super::{LIMIT, another_store, assert_paid_once, stop};
use crate::harness::worker::Settings;
use crate::harness::{Stage, WorkerProc, eventually, eventually_now, free_port};

/// 21 keys, and the same 21 again, for two workers that both believe that the namespace is theirs. One of them ends.
async fn one_of_them_works(name: &str, at_once: bool, second: impl FnOnce(&Stage, &mut Settings)) {
    let mut stage = Stage::prepare(name).await;
    stage.reconfigure();
    let elsewhere = tempfile::tempdir().unwrap();
    let mut settings = stage.settings.clone();
    settings.http_port = free_port();
    second(&stage, &mut settings);
    let mut second = WorkerProc::configure(elsewhere.path(), &settings);
    stage.worker.spawn();
    if !at_once {
        stage.worker.wait_ready();
    }
    second.spawn();
    let jobs = stage.jobs("once", 21);
    stage.publish(&jobs).await;
    stage.settled(LIMIT).await;
    stage.producer.publish_all(&jobs).await;
    stage.broker_has_no_more(LIMIT).await;
    eventually(LIMIT, "each is known", async || {
        let known = |worker: &WorkerProc| worker.list(&["jobs", "list"]).len();
        (known(&stage.worker).max(known(&second)) == jobs.len()).then_some(())
    })
    .await;
    assert_paid_once(&stage, &jobs);
    // Who finds the hold taken waits for a moment before it asks again, and ends.
    let ends = eventually_now(LIMIT, "one of them ends", || {
        let ends = [stage.worker.exited(), second.exited()].map(|end| end.and_then(|status| status.code()));
        ends.iter().any(Option::is_some).then_some(ends)
    });
    assert!(ends == [Some(5), None] || ends == [None, Some(5)], "{ends:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn m13_c1_of_two_stores_that_come_at_the_same_moment_one_works() {
    one_of_them_works("at-once", true, |_, _| {}).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn m13_c1_another_spelling_of_the_same_broker_is_the_same_namespace() {
    let spelled = |stage: &Stage, settings: &mut Settings| {
        settings.amqp_url = Some(stage.broker.url_of("guest:guest").replace("127.0.0.1", "localhost"));
    };
    one_of_them_works("spelled", false, spelled).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn m13_c1_a_store_that_declares_nothing_is_refused_as_well() {
    one_of_them_works("declares-nothing", false, |_, settings| settings.declare = false).await;
}

/// The first one dies with deliveries that it has not acknowledged; what has jobs of its own comes in its place.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn m13_c1_a_store_with_jobs_of_its_own_does_not_take_what_another_one_left_when_it_died() {
    let mut stage = Stage::prepare("died").await;
    let elsewhere = tempfile::tempdir().unwrap();
    // It was at work without a broker before.
    let mut alone = stage.settings.clone();
    (alone.amqp_url, alone.http_port) = (None, free_port());
    let mut before = WorkerProc::configure(elsewhere.path(), &alone);
    before.start();
    let own = stage.job("own");
    before.submit(std::slice::from_ref(&own));
    eventually(LIMIT, "it is paid", async || {
        (before.state_of(&own.reference).as_deref() == Some("succeeded")).then_some(())
    })
    .await;
    stop(&mut before);
    let mut second = another_store(&stage, elsewhere.path());

    (stage.settings.max_in_flight, stage.settings.prefetch) = (2, 4);
    stage.sim.slow_down(Duration::from_millis(400));
    stage.start();
    let jobs = stage.jobs("left", 12);
    stage.publish(&jobs).await;
    eventually(LIMIT, "it is in the middle of its work", async || {
        (3..9).contains(&stage.sim.running().verdict().credits).then_some(())
    })
    .await;
    stage.worker.kill();
    second.spawn();
    // What a worker took that should not have come at all shows within the time of some top-ups.
    let ended = second.wait_exit(LIMIT);
    assert_eq!(ended.code(), Some(5), "{}", second.log_tail());
    stage.sim.slow_down(Duration::ZERO);
    stage.start();
    stage.producer.publish_all(&jobs).await;
    stage.broker_has_no_more(LIMIT).await;
    stage.settled(LIMIT).await;
    assert_paid_once(&stage, &jobs);
    assert_eq!(second.list(&["jobs", "list"]).len(), 1, "its own only");
}
