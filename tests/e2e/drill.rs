//! `worker drill`: the evidence that a user can make, and that it is evidence.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use snap_sim::{Personality, RepeatPolicy, Running, SimConfig, Simulator};

use crate::harness::amqp::depth;
use crate::harness::worker::binary;
use crate::harness::{Stage, eventually_now, long};
use crate::store_full::SmallDisk;

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
    assert!(
        gaps.contains("--amqp") && gaps.contains("--fill") && gaps.contains("power"),
        "it says what it did not do: {gaps}"
    );
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

#[test]
fn a_drill_that_fills_the_disk_passes() {
    let disk = SmallDisk::mount();
    let (certificate, _) = passes(&["--seed", "13", "--fill", "--keep", disk.dir.join("drill").to_str().unwrap()]);
    assert!(certificate["broken"]["fullDisk"].as_u64() > Some(0), "{certificate:#}");
    assert!(!certificate["notExercised"].to_string().contains("full"), "{certificate:#}");
    assert!(!disk.dir.join("drill/ballast").exists());
}

/// The negative control: with a quiet period shorter than the provider's own delay, "not found" is no proof, a late original
/// meets the resend, and the certificate says so.
#[test]
fn a_drill_of_a_worker_whose_protection_is_switched_off_fails() {
    let weak =
        ["status.quiet_period=1ms", "status.first_after=10ms", "status.interval_max=10ms", "request_timeout=300ms"];
    // So many that some ten are paid twice: of a quarter of them, one run in twenty saw none.
    let mut args = vec!["--jobs", "1200", "--seconds", "6", "--kills", "1", "--seed", "3"];
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

/// A drill under way on this folder, with its worker.
fn under_way(dir: &Path) -> Child {
    let mut command = Command::new(binary());
    command
        .args(["drill", "--seconds", "60", "--kills", "0", "--keep"])
        .arg(dir)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let drill = command.spawn().unwrap();
    eventually_now(Duration::from_secs(30), "its worker runs", || (workers(dir) > 0).then_some(()));
    drill
}

/// How many `worker run` there are on the configuration in this folder.
fn workers(dir: &Path) -> usize {
    let config = dir.join("worker.toml").display().to_string();
    let lines =
        std::fs::read_dir("/proc").unwrap().filter_map(|entry| std::fs::read(entry.ok()?.path().join("cmdline")).ok());
    let is_one = |line: &Vec<u8>| {
        let arguments: Vec<_> = line.split(|byte| *byte == 0).collect();
        arguments.contains(&config.as_bytes()) && arguments.contains(&b"run".as_slice())
    };
    lines.filter(is_one).count()
}

#[test]
fn however_a_drill_ends_its_worker_ends_with_it() {
    let folder = tempfile::tempdir().unwrap();
    for (name, signal, code) in [("int", Signal::INT, Some(2)), ("kill", Signal::KILL, None)] {
        let dir = folder.path().join(name);
        let mut drill = under_way(&dir);
        kill_process(Pid::from_child(&drill), signal).unwrap();
        assert_eq!(drill.wait().unwrap().code(), code);
        eventually_now(Duration::from_secs(30), "its worker is gone", || (workers(&dir) == 0).then_some(()));
    }
}

/// A provider's sandbox, and a configuration for it that names another address.
async fn sandbox(dir: &Path, repeat_policy: RepeatPolicy) -> Running {
    let mut config = SimConfig::single(Personality::Finpay);
    config.behaviour.repeat_policy = repeat_policy;
    let sim = Simulator::start(config, ([127, 0, 0, 1], 0).into()).await.unwrap();
    // What `worker sim` prints is a configuration; only its address is another one.
    let mut other = Command::new(binary());
    other.args(["sim", "--listen", "127.0.0.1:0", "--profile", "finpay"]).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut other = other.spawn().unwrap();
    let mut toml = String::new();
    for line in BufReader::new(other.stdout.take().unwrap()).lines() {
        toml.push_str(&(line.unwrap() + "\n"));
        if toml.matches("'''").count() == 2 {
            break;
        }
    }
    other.kill().unwrap();
    other.wait().unwrap();
    std::fs::write(dir.join("worker.toml"), toml).unwrap();
    sim
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sandbox_is_asked_only_by_who_said_yes_and_whether_it_protects_from_repeats() {
    let ask = |dir: &Path, sim: &Running, more: &[&str]| {
        let mut command = Command::new(binary());
        command.args(["drill", "-o", "json", "--against", &sim.base_url("finpay")]).args(more).current_dir(dir);
        command.args(["--customer", "081234567890", "--amount", "10000.00"]).stdin(Stdio::null()).output().unwrap()
    };
    for (repeat_policy, code, result, credits) in [
        (RepeatPolicy::Reject, 0, "yes", 1),
        (RepeatPolicy::Echo, 3, "unclear", 1),
        (RepeatPolicy::PayAgain, 3, "no", 2),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let sim = sandbox(dir.path(), repeat_policy).await;

        let unasked = ask(dir.path(), &sim, &[]);
        assert_eq!(unasked.status.code(), Some(2));
        assert_eq!(sim.verdict().requests, 0, "nothing is sent before somebody said yes");

        let asked = ask(dir.path(), &sim, &["--yes"]);
        let said = String::from_utf8_lossy(&asked.stderr).into_owned();
        assert_eq!(asked.status.code(), Some(code), "{repeat_policy:?}: {said}");
        let answers: Value = serde_json::from_slice(&asked.stdout).unwrap();
        let items = answers["items"].as_array().unwrap();
        let repeat = items.iter().find(|item| item["question"] == "the same reference once more").unwrap();
        assert_eq!(repeat["result"], result, "{repeat}");
        assert_eq!(sim.verdict().credits, credits);
        assert!(!said.contains("1234567890"), "no whole number is said: {said}");
    }
}
