//! Commands as a shell sees them: exit codes, stdout and stderr, beside a running worker and without one.

use std::process::{Command, Output, Stdio};
use std::time::Duration;

use lapin::ExchangeKind;
use lapin::options::ExchangeDeclareOptions;
use lapin::types::FieldTable;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::harness::verdict::text;
use crate::harness::worker::binary;
use crate::harness::{Job, Leash, Stage, http};

const LIMIT: Duration = Duration::from_secs(60);

fn said(output: &Output) -> String {
    format!("{}\n{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn write_jobs(stage: &Stage, jobs: &[Job]) {
    let lines: String = jobs.iter().map(|job| format!("{}\n", job.json())).collect();
    std::fs::write(stage.worker.dir().join("jobs.jsonl"), lines).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn submitted_jobs_are_confirmed_by_the_broker_and_a_second_time_does_no_harm() {
    let mut stage = Stage::prepare("submit").await;
    stage.start();
    let jobs = stage.jobs("submit", 600);
    stage.remember(&jobs);
    write_jobs(&stage, &jobs);
    for _ in 0..2 {
        let summary = stage.worker.ask_json(&["submit", "jobs.jsonl"]);
        assert_eq!(summary["submitted"], 600);
        assert_eq!(summary["notTaken"], 0);
        assert_eq!(summary["transport"], "amqp");
    }
    stage.settled(LIMIT).await;
    stage.verdict().assert_all_succeeded();
    let event = stage.outcomes.wait_for("topup.succeeded", &jobs[0].reference).await;
    assert_eq!(event.text("jobmessageid").len(), 26, "each message has an id of its own");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jobs_that_no_queue_takes_are_told_and_end_with_three() {
    let mut stage = Stage::prepare("unrouted").await;
    stage.settings.declare = false;
    stage.reconfigure();
    let (_connection, channel) = crate::harness::amqp::open(&stage.broker.url()).await.unwrap();
    let options = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
    let exchange = stage.settings.namespace.as_str();
    channel.exchange_declare(exchange.into(), ExchangeKind::Direct, options, FieldTable::default()).await.unwrap();
    let jobs = stage.jobs("unrouted", 3);
    write_jobs(&stage, &jobs);
    let output = stage.worker.ask(&["submit", "jobs.jsonl", "-o", "json"]);
    assert_eq!(output.status.code(), Some(3), "{}", said(&output));
    let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&summary["submitted"], &summary["notTaken"]), (&0.into(), &3.into()));
    assert_eq!(summary["problems"][2]["partnerReferenceNo"], jobs[2].reference);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_published_of_a_file_with_one_wrong_line() {
    let mut stage = Stage::prepare("allornone").await;
    stage.start();
    let mut jobs = stage.jobs("allornone", 3);
    jobs[1].amount = "25000".to_owned();
    write_jobs(&stage, &jobs);
    let output = stage.worker.ask(&["submit", "jobs.jsonl"]);
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(String::from_utf8_lossy(&output.stderr).contains("line 2: amount.value"), "{}", said(&output));
    assert!(stage.worker.list(&["jobs", "list"]).is_empty());
    assert!(stage.worker.list(&["dlq", "list"]).is_empty());
}

#[test]
fn the_simulator_says_where_it_is_and_ends_in_order() {
    let mut sim = Command::new(binary())
        .args(["sim", "--listen", "127.0.0.1:0", "--profile", "finpay", "-o", "jsonl"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let _leash = Leash::tie(&format!("kill -9 {}", sim.id()));
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(sim.stdout.take().unwrap()), &mut line).unwrap();
    let listening: Value = serde_json::from_str(&line).unwrap();
    let partner = &listening["providers"][0];
    assert_eq!((text(partner, "profile"), text(partner, "baseUrl")), ("finpay", text(&listening, "address")));
    let port = text(&listening, "address").rsplit(':').next().unwrap().parse().unwrap();
    let magic = http::get(port, "/_sim/magic").unwrap();
    assert_eq!(magic.status, 200);
    assert!(magic.body.contains("6281100000"), "{}", magic.body);
    kill_process(Pid::from_child(&sim), Signal::INT).unwrap();
    let output = sim.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert!(said(&output).contains("0 credits"), "{}", said(&output));
}

#[test]
fn completions_are_scripts_of_their_shell() {
    let output = Command::new(binary()).args(["completions", "bash"]).output().unwrap();
    assert!(output.status.success());
    let mut bash = Command::new("bash").args(["-n", "/dev/stdin"]).stdin(Stdio::piped()).spawn().unwrap();
    std::io::Write::write_all(bash.stdin.as_mut().unwrap(), &output.stdout).unwrap();
    drop(bash.stdin.take());
    assert!(bash.wait().unwrap().success());
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let mut worker = Command::new(binary())
        .args(["schema", "config"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(worker.stdout.take());
    let output = worker.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert!(output.stderr.is_empty(), "{}", said(&output));
}

#[test]
fn talk_goes_to_stderr_and_a_missing_configuration_ends_with_two() {
    let folder = tempfile::tempdir().unwrap();
    let ask = |args: &[&str]| Command::new(binary()).current_dir(folder.path()).args(args).output().unwrap();
    for args in [&["run"][..], &["check"], &["jobs", "list"], &["dlq", "list"], &["submit", "-"]] {
        let output = ask(args);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {}", said(&output));
        let told = if args == ["check"] { &output.stdout } else { &output.stderr };
        let told = String::from_utf8_lossy(told);
        assert!(told.contains("worker.toml") && told.contains("hint: "), "{args:?}: {told}");
    }
    assert!(ask(&["init"]).status.success());
    let again = ask(&["init"]);
    assert_eq!(again.status.code(), Some(2));
    assert!(again.stdout.is_empty() && String::from_utf8_lossy(&again.stderr).contains("exists already"));
}
