//! The same key published again: before, during and after; with the same content and with other content.

use std::time::Duration;

use serde_json::json;

use crate::harness::verdict::text;
use crate::harness::{Hold, Stage, eventually, holds_for, http};

const LIMIT: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_job_before_during_and_after_is_one_top_up() {
    let mut stage = Stage::prepare("again").await;
    let gate = stage.gated().await;
    let job = stage.job("again");
    let mut held = gate.hold("/topup", &job.reference, Hold::BeforeTheAnswer);
    stage.start();

    // Three times before the worker can have finished the first …
    stage.publish(&[job.clone(), job.clone(), job.clone()]).await;
    held.reached().await;
    // … while its top-up is on its way …
    stage.publish(std::slice::from_ref(&job)).await;
    eventually(LIMIT, "the duplicates are taken", async || duplicates(&stage, 3.0)).await;
    held.go_on();
    let first = stage.outcomes.wait_for("topup.succeeded", &job.reference).await;
    // … and after it: in another notation, which is the same content.
    let mut other = job.clone().with("metadata", json!({ "second": true }));
    other.customer = format!("+{}", job.canonical_customer());
    stage.producer.publish(&other).await;

    eventually(LIMIT, "the outcome is published again", async || {
        (stage.outcomes.terminal_by_reference().get(&job.reference).copied() >= Some(2)).then_some(())
    })
    .await;
    assert!(
        stage.outcomes.about(&job.reference).iter().all(|event| event.id() == first.id() && event.raw == first.raw)
    );
    stage.settled(LIMIT).await;
    let verdict = stage.verdict();
    verdict.assert_all_succeeded();
    assert_eq!(verdict.top_ups(&job.reference), 1);
    assert_eq!(http::total(&stage.worker.metrics(), "topup_jobs_accepted_total", &[]), 1.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_content_under_the_same_key_is_a_conflict_that_names_the_fields() {
    let mut stage = Stage::prepare("conflict").await;
    stage.start();
    let job = stage.job("taken");
    stage.publish(std::slice::from_ref(&job)).await;
    stage.outcomes.wait_for("topup.succeeded", &job.reference).await;
    let mut impostor = stage.job("impostor").of("99000.00");
    impostor.reference.clone_from(&job.reference);

    stage.producer.publish(&impostor).await;

    let refused = eventually(LIMIT, "the conflict is told", async || {
        stage.outcomes.all().into_iter().find(|event| event.kind() == "topup.message_refused")
    })
    .await;
    assert_eq!(refused.data("reason"), &json!("idempotency_conflict"));
    assert_eq!(refused.data("claimedPartnerReferenceNo"), &json!(job.reference));
    assert!(refused.envelope.get("subject").is_none(), "nobody may take it for the first job's fate");
    assert!(refused.envelope["data"].get("partnerReferenceNo").is_none());
    stage.settled(LIMIT).await;
    let verdict = stage.verdict();
    verdict.assert_all_succeeded();
    let [letter] = verdict.dead_letters() else { panic!("one dead letter: {:?}", verdict.dead_letters()) };
    assert_eq!(text(letter, "reason"), "idempotency_conflict");
    let detail = text(letter, "detail");
    assert!(detail.contains("customerNumber") && detail.contains("amount"), "{detail}");
    assert!(
        !detail.contains("10000") && !detail.contains(&job.canonical_customer()[2..]),
        "not the earlier values: {detail}"
    );
    assert_eq!(verdict.top_ups(&job.reference), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_job_stays_dead_when_its_message_comes_again() {
    use snap_sim::{Case, Fault};
    let mut stage = Stage::prepare("deadagain").await;
    stage.sim.fault("refused", 38, Fault::Answer(Case::new(400, 1)), None, None);
    stage.start();
    let job = stage.job("refused");
    stage.publish(std::slice::from_ref(&job)).await;
    stage.outcomes.wait_for("topup.dead_lettered", &job.reference).await;

    stage.producer.publish(&job).await;
    eventually(LIMIT, "the duplicate is taken", async || duplicates(&stage, 1.0)).await;

    let quiet = Duration::from_millis(500);
    holds_for(quiet, "nothing more is asked of the provider", async || {
        stage.sim.running().reference(&job.reference)[0].top_ups == 1
    })
    .await;
    let verdict = stage.verdict();
    verdict.assert_sound();
    assert_eq!(verdict.state(&job.reference), "dead");
}

fn duplicates(stage: &Stage, at_least: f64) -> Option<()> {
    (http::total(&stage.worker.metrics(), "topup_deliveries_total", &["result=\"duplicate\""]) >= at_least)
        .then_some(())
}
