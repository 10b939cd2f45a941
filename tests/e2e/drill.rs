//! `worker drill`: the evidence that a user can make, and that it is evidence.

use std::process::Command;

use serde_json::Value;

use crate::harness::amqp::depth;
use crate::harness::worker::binary;
use crate::harness::{Stage, long};

/// Runs a drill where nothing is set up but a variable that is meant for another worker.
fn run(args: &[&str]) -> (Option<i32>, Value, String) {
    let nowhere = tempfile::tempdir().unwrap();
    let mut command = Command::new(binary());
    command.args(["drill", "-o", "json"]).args(args).current_dir(nowhere.path());
    command.env("WORKER__AMQP__URL", "amqp://nobody:nothing@127.0.0.1:1/%2f");
    let output = command.output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    let certificate = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}\n{told}", String::from_utf8_lossy(&output.stdout)));
    (output.status.code(), certificate, told)
}

/// A drill in which nothing is wrong, with what it says about itself.
fn passes(args: &[&str]) -> (Value, String) {
    let length = if long() { ["--jobs", "3000", "--seconds", "120", "--kills", "60"] } else { SHORT };
    let (code, certificate, told) = run(&[&length, args].concat());
    assert_eq!(code, Some(0), "{certificate:#}\n{told}");
    assert_eq!(certificate["result"], "pass");
    assert_eq!(certificate["findings"], serde_json::json!([]));
    let number = |name: &str| certificate[name].as_u64().unwrap();
    assert_eq!(number("submitted").to_string(), length[1]);
    assert_eq!((number("doubleCredits"), number("lost")), (0, 0));
    assert_eq!(number("kills").to_string(), length[5]);
    assert!(number("restarts") >= number("kills") && number("longestRecoveryMs") > 0, "{certificate:#}");
    assert!(number("credits") > 0 && number("auditRows") > 0, "{certificate:#}");
    let ends: u64 = certificate["ends"].as_array().unwrap().iter().map(|end| end["count"].as_u64().unwrap()).sum();
    assert_eq!(ends, number("submitted"));
    assert!(!certificate["providerFaults"].as_object().unwrap().is_empty(), "{certificate:#}");
    (certificate, told)
}

const SHORT: [&str; 6] = ["--jobs", "150", "--seconds", "12", "--kills", "5"];

#[test]
fn a_drill_on_the_store_alone_passes_and_leaves_nothing_behind_but_what_was_asked_for() {
    let kept = tempfile::tempdir().unwrap();
    let dir = kept.path().join("drill");
    let (certificate, _) = passes(&["--seed", "11", "--keep", dir.to_str().unwrap()]);
    assert_eq!((&certificate["transport"], &certificate["seed"]), (&Value::from("store"), &Value::from(11)));
    assert_eq!(certificate["events"], Value::Null);
    let gaps = certificate["notExercised"].to_string();
    assert!(gaps.contains("--amqp") && gaps.contains("really full"), "it says what it did not do: {gaps}");
    for file in ["worker.db", "worker.toml", "worker.log"] {
        assert!(dir.join(file).exists(), "{file}");
    }
    // Whoever worked on it is gone: the store can be had.
    let verified = Command::new(binary()).arg("-c").arg(dir.join("worker.toml")).args(["audit", "verify"]).output();
    assert!(verified.unwrap().status.success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drill_through_a_broker_passes_and_takes_its_queues_away() {
    let stage = Stage::prepare("drill").await;
    let (certificate, told) = passes(&["--seed", "12", "--amqp", &stage.broker.url()]);
    assert_eq!(certificate["transport"], "amqp");
    let events = &certificate["events"];
    assert_eq!((&events["missing"], &events["contradictory"]), (&Value::from(0), &Value::from(0)));
    assert_eq!(events["told"], certificate["submitted"]);
    let broken = certificate["broken"].as_object().unwrap();
    assert!(broken.keys().any(|name| name.starts_with("broker")), "{broken:?}");
    let namespace = told.split("queues begin with ").nth(1).and_then(|rest| rest.split(". ").next()).unwrap();
    assert!(namespace.starts_with("topup-drill-"), "{told}");
    for queue in ["jobs", "dead", "outcomes"] {
        assert_eq!(depth(&stage.broker.url(), &format!("{namespace}.{queue}")).await, None, "{queue} is gone");
    }
}

/// The negative control: with a quiet period shorter than the provider's own delay, "not found" is no proof, a late original
/// meets the resend, and the certificate says so.
#[test]
fn a_drill_of_a_worker_whose_protection_is_switched_off_fails() {
    let weak =
        ["status.quiet_period=1ms", "status.first_after=10ms", "status.interval_max=10ms", "request_timeout=300ms"];
    let mut args = vec!["--jobs", "300", "--seconds", "6", "--kills", "1", "--seed", "3"];
    args.extend(weak.iter().flat_map(|setting| ["--set", setting]));
    let (code, certificate, told) = run(&args);
    assert_eq!(code, Some(3), "{certificate:#}\n{told}");
    assert_eq!(certificate["result"], "fail");
    assert!(certificate["doubleCredits"].as_u64().unwrap() > 0, "{certificate:#}");
    assert_eq!(certificate["settings"], serde_json::json!(weak));
    let findings = certificate["findings"].as_array().unwrap();
    assert!(findings.iter().any(|finding| finding["kind"] == "doubleCredit"), "{findings:?}");
}

#[test]
fn what_would_make_it_another_drill_or_call_somebody_else_cannot_be_set() {
    for setting in ["base_url=https://api.example.co.id", "store.url=sqlite:mine.db", "paths.topup=/x", "quiet_period"]
    {
        let output = Command::new(binary()).args(["drill", "--set", setting]).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{setting}");
    }
}
