//! An operator's act on a job that has moved on since it was shown (C13): it says so, changes nothing, and nothing false is told.

use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use snap_sim::{Case, Fault, Latest};

use crate::harness::verdict::text;
use crate::harness::{Job, Stage, eventually, holds_for};

const LIMIT: Duration = Duration::from_secs(90);
const ACT: [&str; 3] = ["--reason", "provider is back, INC-7", "--yes"];
/// How long a status inquiry takes while operators ask.
const SLOW: Duration = Duration::from_secs(1);
/// Between two questions of the worker about one job.
const PAUSE: Duration = Duration::from_secs(9);

/// Dead letters that may have been sent and were not paid; and how the provider answers status inquiries from now on.
async fn in_doubt(name: &str, count: usize, top_up: Fault, status: Option<Fault>) -> (Stage, Vec<Job>) {
    let mut stage = Stage::prepare(name).await;
    stage.settings.request_timeout = Duration::from_secs(3);
    stage.settings.quiet_period = Duration::from_millis(3200);
    stage.settings.give_up_after = Duration::from_secs(4);
    let commit = if top_up == Fault::Rst { Some(false) } else { None };
    stage.sim.fault("", 38, top_up, commit, None);
    stage.sim.fault("", 39, Fault::Answer(Case::new(500, 0)), None, None);
    stage.start();
    let jobs = stage.jobs("moved", count);
    stage.publish(&jobs).await;
    eventually(LIMIT, "all of them are dead letters", async || {
        (stage.worker.list(&["dlq", "list"]).len() == count).then_some(())
    })
    .await;
    stage.sim.running().clear_rules();
    if let Some(fault) = status {
        stage.sim.fault("", 39, fault, None, None);
    }
    // What is let go is asked about at once, and then left alone while the operators' commands go on.
    stage.worker.signal(rustix::process::Signal::TERM);
    stage.worker.wait_exit(LIMIT);
    (stage.settings.first_after, stage.settings.interval_max) = (PAUSE, PAUSE);
    stage.start();
    stage.sim.slow_down(SLOW);
    (stage, jobs)
}

/// An operator's command that runs beside the story.
fn begin(stage: &Stage, args: &[&str]) -> std::process::Child {
    let mut command: Command = stage.worker.command(&[args, &ACT, &["-o", "json"]].concat());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().expect("the command starts")
}

fn ended(child: std::process::Child) -> (Option<i32>, Value) {
    let output = child.wait_with_output().expect("the command ends");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code(), serde_json::from_slice(&output.stdout).unwrap_or(Value::String(said)))
}

fn item<'a>(told: &'a Value, letter: &str) -> &'a Value {
    let items = told["items"].as_array().unwrap_or_else(|| panic!("no items: {told}"));
    items.iter().find(|item| text(item, "id") == letter).expect("it is told of")
}

fn letter_of(stage: &Stage, job: &Job) -> String {
    let letters = stage.worker.list(&["dlq", "list"]);
    let letter = letters.iter().find(|letter| text(letter, "partnerReferenceNo") == job.reference);
    text(letter.expect("it is a dead letter"), "id").to_owned()
}

/// The last of those that `dlq check --all` goes through, which it does in the order of their ids.
fn last(stage: &Stage, jobs: &[Job]) -> (String, Job) {
    let mut letters: Vec<_> = jobs.iter().map(|job| (letter_of(stage, job), job.clone())).collect();
    letters.sort_by(|one, two| one.0.cmp(&two.0));
    letters.pop().expect("there are some")
}

/// A check of all goes on while another operator replays the last one.
async fn a_check_beside_a_replay(name: &str, top_up: Fault, status: Option<Fault>) -> (Stage, Vec<Job>) {
    let (stage, jobs) = in_doubt(name, 8, top_up, status).await;
    let (letter, job) = last(&stage, &jobs);
    let check = begin(&stage, &["dlq", "check", "--all"]);
    tokio::time::sleep(Duration::from_millis(1200)).await;
    let (code, told) = ended(begin(&stage, &["dlq", "replay", &letter, "--detach"]));
    assert_eq!(code, Some(0), "{told}");
    let (code, told) = ended(check);
    let is_told = |stage: &Stage| {
        let credits = stage.sim.running().credits_of(&job.reference);
        stage.outcomes.terminal_by_reference().contains_key(&job.reference) && credits == 0
    };
    holds_for(Duration::from_secs(1), "no end is told of a job without a credit", async || !is_told(&stage)).await;
    assert_eq!(code, Some(3), "{told}");
    let of = item(&told, &letter);
    assert_eq!(text(of, "result"), "moved_on", "{told}");
    assert!(text(of, "detail").contains("it has moved on"), "{of}");
    (stage, jobs)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c13_a_check_whose_answer_is_not_found_publishes_nothing_about_a_job_that_was_replayed_meanwhile() {
    let (stage, jobs) = a_check_beside_a_replay("c13-not-found", Fault::Rst, None).await;
    stage.sim.slow_down(Duration::ZERO);
    let job = replayed(&stage, &jobs).await;
    stage.outcomes.wait_for("topup.succeeded", &job.reference).await;
    let verdict = stage.verdict();
    verdict.assert_sound();
    assert_eq!(verdict.credits(&job.reference), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c13_a_check_that_gets_no_answer_publishes_nothing_about_a_job_that_was_replayed_meanwhile() {
    let (stage, jobs) =
        a_check_beside_a_replay("c13-trouble", Fault::Rst, Some(Fault::Answer(Case::new(500, 0)))).await;
    stage.sim.slow_down(Duration::ZERO);
    dead_again(&stage, &jobs).await;
    stage.verdict().assert_sound();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c13_a_check_whose_answer_is_pending_publishes_nothing_about_a_job_that_was_replayed_meanwhile() {
    let (stage, jobs) = a_check_beside_a_replay("c13-pending", Fault::PendingForever, None).await;
    stage.sim.slow_down(Duration::ZERO);
    dead_again(&stage, &jobs).await;
    stage.verdict().assert_sound();
}

/// Neighbours: discarded meanwhile, and asked about by two operators at a time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c13_a_check_beside_a_discard_and_beside_a_second_check_says_that_it_has_moved_on() {
    let (stage, jobs) = in_doubt("c13-discard", 3, Fault::Rst, None).await;
    let (letter, job) = last(&stage, &jobs);
    let before = asked(&stage);
    let check = begin(&stage, &["dlq", "check", "--all"]);
    let second = begin(&stage, &["dlq", "check", "--all"]);
    // Each has read its list by the time of its first question.
    eventually(LIMIT, "both have begun to ask", async || (asked(&stage) >= before + 2).then_some(())).await;
    let (code, told) = ended(begin(&stage, &["dlq", "discard", &letter]));
    assert_eq!(code, Some(0), "{told}");
    let (first, second) = (ended(check), ended(second));
    assert_eq!((first.0, second.0), (Some(3), Some(3)), "{first:?} {second:?}");
    assert_eq!(text(item(&first.1, &letter), "result"), "moved_on", "{first:?}");
    assert_eq!(text(item(&second.1, &letter), "result"), "moved_on", "{second:?}");
    stage.outcomes.wait_for("topup.discarded", &job.reference).await;
    let kinds: Vec<_> = stage.outcomes.about(&job.reference).iter().map(|event| event.kind().to_owned()).collect();
    assert_eq!(kinds, ["topup.dead_lettered", "topup.discarded"]);
}

/// A neighbour: the worker itself finds out meanwhile what the check asks about, and the check's own answer is an older one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c13_a_check_whose_answer_is_older_than_what_the_worker_found_out_changes_and_tells_nothing() {
    let (stage, jobs) = in_doubt("c13-poll", 3, Fault::Fin, None).await;
    for (job, shown) in jobs.iter().zip([Latest::NotFound, Latest::Pending, Latest::Failed]) {
        let (letter, reference) = (letter_of(&stage, job), &job.reference);
        assert_eq!(stage.sim.running().credits_of(reference), 1);
        stage.sim.slow_down(Duration::from_millis(2500));
        stage.sim.fault(reference, 39, Fault::Report(shown), None, Some(1));
        let before = asked(&stage);
        let check = begin(&stage, &["dlq", "check", &letter]);
        eventually(LIMIT, "it has been asked", async || (asked(&stage) > before).then_some(())).await;
        stage.sim.slow_down(Duration::ZERO);
        let (code, told) = ended(begin(&stage, &["dlq", "replay", &letter, "--detach"]));
        assert_eq!(code, Some(0), "{told}");
        stage.outcomes.wait_for("topup.succeeded", reference).await;
        let (code, told) = ended(check);
        assert_eq!((code, text(item(&told, &letter), "result")), (Some(5), "moved_on"), "{shown:?}: {told}");
        assert_eq!(stage.worker.state_of(reference).as_deref(), Some("succeeded"), "{shown:?}");
        assert_eq!(stage.sim.running().credits_of(reference), 1, "{shown:?}");
    }
    let ends = |stage: &Stage| stage.outcomes.terminal_by_reference();
    let once = async || ends(&stage).len() == jobs.len() && ends(&stage).values().all(|times| *times == 1);
    holds_for(Duration::from_millis(700), "each end is told once", once).await;
}

/// A neighbour: an editor is open for minutes, and the job has moved on when it is closed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c13_an_edit_of_a_job_that_was_replayed_while_the_editor_was_open_changes_nothing() {
    let mut stage = Stage::prepare("c13-edit").await;
    stage.sim.fault("edited", 37, Fault::Answer(Case::new(400, 1)), None, Some(1));
    stage.start();
    let job = stage.job("edited");
    stage.publish(std::slice::from_ref(&job)).await;
    stage.settled(LIMIT).await;
    let letter = letter_of(&stage, &job);
    let folder = std::fs::canonicalize(stage.worker.dir()).unwrap();
    let editor = "cp \"$1\" opened; while [ ! -e close ]; do sleep 0.05; done; \
                  sed -i 's/\"customerNumber\"/\"customerName\": \"sa**m\", &/' \"$1\"";
    std::fs::write(folder.join("editor"), editor).unwrap();
    let mut command = stage.worker.command(&[&["dlq", "edit", &letter][..], &ACT, &["-o", "json"]].concat());
    command.env("EDITOR", format!("sh {}", folder.join("editor").display())).env_remove("VISUAL");
    let edit = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    eventually(LIMIT, "the editor is open", async || folder.join("opened").exists().then_some(())).await;
    let (code, told) = ended(begin(&stage, &["dlq", "replay", &letter, "--detach"]));
    assert_eq!(code, Some(0), "{told}");
    stage.outcomes.wait_for("topup.succeeded", &job.reference).await;
    std::fs::write(folder.join("close"), "").unwrap();
    let (code, told) = ended(edit);
    assert!(code != Some(0) && told.to_string().contains("it has moved on"), "{code:?} {told}");
    let shown = stage.worker.ask_json(&["jobs", "show", &job.reference]);
    assert_eq!((text(&shown, "state"), &shown["customerName"]), ("succeeded", &Value::Null), "{shown}");
    stage.verdict().assert_all_succeeded();
}

/// How many status inquiries have arrived.
fn asked(stage: &Stage) -> usize {
    let requests = stage.sim.running().requests();
    requests.iter().filter(|request| request.service == 39).count()
}

/// The one that was replayed, once it is told of.
async fn replayed(stage: &Stage, jobs: &[Job]) -> Job {
    let found = eventually(LIMIT, "the replay is told", async || {
        jobs.iter()
            .find(|job| stage.outcomes.about(&job.reference).iter().any(|event| event.kind() == "topup.replayed"))
    })
    .await;
    found.clone()
}

async fn dead_again(stage: &Stage, jobs: &[Job]) {
    let job = replayed(stage, jobs).await;
    eventually(LIMIT, "it is dead again", async || {
        let dead = stage.outcomes.about(&job.reference);
        (dead.iter().filter(|event| event.kind() == "topup.dead_lettered").count() == 2).then_some(())
    })
    .await;
}
