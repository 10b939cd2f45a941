//! No secret, token, signature, full phone number or name in any log at any level, nor on any page.

use std::time::Duration;

use serde_json::json;
use snap_sim::FaultLevel;

use crate::harness::{Gate, Stage};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_at_its_chattiest_tells_no_secret_and_nobody() {
    let mut stage = Stage::prepare("secrecy").await;
    let gate = Gate::open(stage.sim.running().addr()).await;
    stage.settings.providers =
        ["finpay", "midtrans"].map(|name| (name, format!("{}/{name}", gate.base_url()))).to_vec();
    stage.settings.log_level = "trace";
    stage.settings.request_timeout = Duration::from_millis(1500);
    stage.settings.give_up_after = Duration::from_secs(10);
    stage.sim.behave(|behaviour| {
        behaviour.faults = FaultLevel::Some;
        behaviour.seed = 17;
        behaviour.hang = Duration::from_secs(10);
    });
    stage.start();
    let named = |job: crate::harness::Job| {
        let name = format!("Seeded Name {}", &job.reference[8..16]);
        let email = format!("{}@seeded.example", &job.canonical_customer()[5..]);
        job.with("customerName", json!(name)).with("beneficiaryEmail", json!(email))
    };
    let mut jobs: Vec<_> = stage.jobs("secrecy", 20).into_iter().map(|job| named(job).by("finpay")).collect();
    jobs.extend(
        stage
            .jobs("secrecy", 20)
            .into_iter()
            .map(|job| named(job).by("midtrans").with("beneficiaryProvider", json!("gopay"))),
    );
    stage.publish(&jobs).await;
    // A conflict and a message that cannot be read go through other code.
    let mut impostor = named(stage.job("impostor"));
    impostor.reference.clone_from(&jobs[0].reference);
    stage.producer.publish(&impostor).await;
    let unreadable = jobs[1].json().to_string().replace("\"IDR\"", "\"USD\"");
    stage.producer.publish_body(unreadable.as_bytes(), &jobs[1].properties()).await;
    stage.settled(Duration::from_secs(120)).await;

    stage.verdict().assert_sound();
    let log = stage.worker.log();
    let mut told = gate.credentials_seen();
    assert!(told.len() >= 40, "tokens and signatures were seen: {}", told.len());
    told.push("@seeded.example".to_owned());
    told.push(impostor.canonical_customer()[2..].to_owned());
    for secret in &told {
        assert!(!log.contains(secret.as_str()), "the log tells {secret}");
    }
    let pages = [stage.worker.metrics(), stage.worker.readyz().unwrap().body].concat();
    for job in &jobs {
        assert!(!pages.contains(&job.canonical_customer()[2..]), "health and metrics tell a customer");
        for event in stage.outcomes.about(&job.reference) {
            let raw = String::from_utf8_lossy(&event.raw).into_owned();
            assert!(!raw.contains(&job.canonical_customer()[2..]), "an event tells a customer: {raw}");
        }
    }
}
