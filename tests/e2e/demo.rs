//! The README's first command: the main job on real input, and what it says about it.

use std::process::Command;

use serde_json::Value;

use crate::harness::worker::binary;
use crate::harness::{Stage, long};

/// Runs the demo where nothing is set up, and reads what it says.
fn demo(more: &[&str]) -> Value {
    let nowhere = tempfile::tempdir().unwrap();
    let count = if long() { "1000" } else { "200" };
    let mut command = Command::new(binary());
    let output =
        command.args(["demo", "--jobs", count, "-o", "json"]).args(more).current_dir(nowhere.path()).output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{}: {told}", output.status);
    let verdict: Value = serde_json::from_slice(&output.stdout).unwrap();
    let names: Vec<_> = verdict.as_object().unwrap().keys().map(String::as_str).collect();
    let promised = "credits dead doubleCredits elapsedMs jobsPerSecond lost rejected submitted succeeded transport";
    let mut sorted = names.clone();
    sorted.sort_unstable();
    assert_eq!(sorted.join(" "), promised);
    assert_eq!(verdict["submitted"].to_string(), count);
    assert_eq!((&verdict["doubleCredits"], &verdict["lost"]), (&Value::from(0), &Value::from(0)), "{verdict}");
    let [succeeded, rejected, dead] = ["succeeded", "rejected", "dead"].map(|name| verdict[name].as_u64().unwrap());
    assert_eq!((succeeded + rejected + dead).to_string(), count, "{verdict}");
    assert!(verdict["credits"].as_u64().unwrap() >= succeeded, "{verdict}");
    verdict
}

#[test]
fn the_demo_needs_nothing_and_pays_each_job_once() {
    let verdict = demo(&[]);
    assert_eq!(verdict["succeeded"], verdict["submitted"]);
    assert_eq!(verdict["credits"], verdict["submitted"]);
}

#[test]
fn the_demo_at_a_wild_provider_pays_nothing_twice_and_loses_nothing() {
    demo(&["--faults", "wild"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_demo_through_a_broker_pays_each_job_once() {
    let stage = Stage::prepare("demo").await;
    let verdict = demo(&["--amqp", &stage.broker.url(), "--faults", "some"]);
    assert_eq!(verdict["transport"], "amqp");
}

#[test]
fn what_the_demo_keeps_can_be_looked_at() {
    let kept = tempfile::tempdir().unwrap();
    let dir = kept.path().join("demo");
    let verdict = demo(&["--faults", "wild", "--keep", dir.to_str().unwrap()]);
    let ask = |args: &[&str]| -> Value {
        let output = Command::new(binary())
            .arg("-c")
            .arg(dir.join("worker.toml"))
            .args(args)
            .args(["-o", "json"])
            .output()
            .unwrap();
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let jobs = ask(&["jobs", "list", "--limit", "100000"]);
    assert_eq!(Value::from(jobs["items"].as_array().unwrap().len()), verdict["submitted"]);
    let letters = ask(&["dlq", "list", "--limit", "100000"]);
    // Beside the jobs there are messages that cannot become one, which the demo also sends.
    let dead = letters["items"].as_array().unwrap().iter().filter(|letter| !letter["partnerReferenceNo"].is_null());
    assert_eq!(Value::from(dead.count()), verdict["dead"]);
}
