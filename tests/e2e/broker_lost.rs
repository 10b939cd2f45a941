//! The broker is killed, restarted and frozen under load.

use std::time::Duration;

use crate::harness::{Dice, Stage, eventually, http};

const LIMIT: Duration = Duration::from_secs(180);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_killed_and_restarted_under_load_loses_nothing() {
    let mut dice = Dice::new("brokerkill");
    let mut stage = Stage::prepare_with_own_broker("brokerkill").await;
    stage.sim.slow_down(Duration::from_millis(20));
    stage.settings.prefetch = 24;
    stage.start();
    stage.broker.settle_new_queues().await;
    for round in 0..2 {
        let jobs = stage.jobs("load", 150);
        stage.publish(&jobs).await;
        // The moment of the kill is what is random here.
        tokio::time::sleep(dice.span(Duration::from_millis(10), Duration::from_millis(700))).await;
        stage.broker.kill();
        eventually(LIMIT, "the worker says that the broker is gone", async || {
            stage.worker.readyz().filter(|page| page.status == 503 && page.body.to_lowercase().contains("broker"))
        })
        .await;
        stage.broker.boot();
        eventually(LIMIT, "the worker is connected again", async || {
            (http::sample(&stage.worker.metrics(), "topup_amqp_connected", &[]) == Some(1.0)).then_some(())
        })
        .await;
        assert!(stage.worker.exited().is_none(), "round {round}: the worker outlives the broker");
    }
    stage.settled(LIMIT).await;
    stage.verdict().assert_all_succeeded();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jobs_that_were_taken_go_on_while_the_broker_is_away() {
    let mut stage = Stage::prepare_with_own_broker("brokeraway").await;
    stage.sim.slow_down(Duration::from_millis(300));
    stage.start();
    stage.broker.settle_new_queues().await;
    let jobs = stage.jobs("taken", 10);
    stage.publish(&jobs).await;
    eventually(LIMIT, "the jobs are taken", async || {
        (http::total(&stage.worker.metrics(), "topup_jobs_accepted_total", &[]) >= 10.0).then_some(())
    })
    .await;
    stage.broker.kill();
    eventually(LIMIT, "every job is credited without a broker", async || {
        (stage.sim.running().verdict().credits == 10).then_some(())
    })
    .await;
    stage.broker.boot();
    stage.settled(LIMIT).await;
    stage.verdict().assert_all_succeeded();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_broker_is_noticed_and_left_behind() {
    let mut stage = Stage::prepare_with_own_broker("brokerfrozen").await;
    stage.start();
    let before = stage.jobs("before", 20);
    stage.publish(&before).await;
    stage.settled(LIMIT).await;

    stage.broker.freeze();
    eventually(LIMIT, "silence is taken for a lost broker", async || {
        stage.worker.readyz().filter(|page| page.status == 503)
    })
    .await;
    stage.broker.thaw();
    eventually(LIMIT, "the worker is ready again", async || stage.worker.readyz().filter(|page| page.status == 200))
        .await;
    let after = stage.jobs("after", 20);
    stage.publish(&after).await;
    stage.settled(LIMIT).await;
    stage.verdict().assert_all_succeeded();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_started_before_its_broker_waits_for_it() {
    let mut stage = Stage::prepare_with_own_broker("brokerlate").await;
    stage.broker.kill();
    stage.reconfigure();
    stage.worker.spawn();
    eventually(LIMIT, "the worker runs, is healthy and not ready", async || {
        stage.worker.readyz().filter(|page| page.status == 503)
    })
    .await;
    stage.broker.boot();
    stage.worker.wait_ready();
    let jobs = stage.jobs("patient", 10);
    stage.publish(&jobs).await;
    stage.settled(LIMIT).await;
    stage.verdict().assert_all_succeeded();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_broker_dead_letters_is_drained_into_the_store() {
    use crate::harness::verdict::text;
    let mut stage = Stage::prepare("undeliverable").await;
    stage.start();
    let job = stage.job("undeliverable");
    // As the broker itself does when a message was delivered too often.
    let (_connection, channel) = crate::harness::amqp::open(&stage.broker.url()).await.unwrap();
    let exchange = format!("{}.dlx", stage.settings.namespace);
    let options = crate::harness::amqp::mandatory();
    drop(
        channel
            .basic_publish(exchange.as_str().into(), "jobs".into(), options, &job.body(), job.properties())
            .await
            .unwrap(),
    );
    let letter = eventually(LIMIT, "the dead letter is in the store", async || {
        stage.worker.list(&["dlq", "list"]).into_iter().find(|letter| text(letter, "reason") == "undeliverable")
    })
    .await;
    assert_eq!(text(&letter, "moneyState"), "never_sent");
    assert_eq!(stage.sim.running().verdict().top_ups, 0);
}
