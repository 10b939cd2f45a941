//! What a store has forgotten, or what another one sent before it, may have been sent to whichever account was configured
//! then (M14). Both accounts pay whatever reaches them; both ledgers are judged together.

use std::path::Path;
use std::process::Output;

use super::*;
use crate::harness::{WorkerProc, free_port};

/// A store that takes over waits until the other one can have nothing under way: a minute, and its calls.
const TAKEN_OVER: Duration = Duration::from_secs(180);
const BACKUP: &str = "before.db";

fn all_said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn credits(stage: &Stage, b: &Sim, job: &Job) -> (u32, u32) {
    let of = |sim: &Sim| u32::try_from(sim.running().credits_of(&job.reference)).unwrap();
    (of(&stage.sim), of(b))
}

fn ends_in(worker: &WorkerProc, job: &Job, state: &str, limit: Duration) {
    let ended = eventually_now(limit, "the job comes to rest", || {
        worker.state_of(&job.reference).filter(|state| ["dead", "succeeded", "rejected"].contains(&state.as_str()))
    });
    assert_eq!(ended, state, "{}", job.reference);
}

fn letter_of(worker: &WorkerProc, job: &Job) -> Value {
    let letters = worker.list(&["dlq", "list"]);
    let of_job = letters.iter().find(|letter| text(letter, "partnerReferenceNo") == job.reference);
    of_job.unwrap_or_else(|| panic!("no letter of {}: {letters:?}", job.reference)).clone()
}

/// Nobody can say which account has paid it: it stands before a person, and is told so.
fn stands_before_a_person(worker: &WorkerProc, job: &Job, limit: Duration) -> Value {
    ends_in(worker, job, "dead", limit);
    let letter = letter_of(worker, job);
    assert_eq!((text(&letter, "reason"), text(&letter, "moneyState")), ("other_account", "maybe_sent"), "{letter}");
    assert!(text(&letter, "detail").contains("another account"), "{letter}");
    letter
}

/// A store that has come to a namespace of another, and takes it over.
fn adopt(second: &mut WorkerProc) -> Output {
    second.spawn();
    assert_eq!(second.wait_exit(LIMIT).code(), Some(5), "{}", second.log_tail());
    let adopted = second.ask(&["store", "adopt", "--reason", "kiosk-1 burnt down, INC-140", "--yes"]);
    assert!(adopted.status.success(), "{}", all_said(&adopted));
    adopted
}

fn restore(worker: &WorkerProc, dir: &Path) -> String {
    let file = dir.join(BACKUP).display().to_string();
    let shown = worker.ask(&["store", "restore", &file, "--dry-run"]);
    assert!(shown.status.success(), "{}", all_said(&shown));
    let done = worker.ask(&["store", "restore", &file, "--reason", "the disk died, INC-141", "--yes"]);
    assert!(done.status.success(), "{}", all_said(&done));
    all_said(&shown)
}

fn accounts_of_check(worker: &WorkerProc) -> Vec<String> {
    let found = worker.ask(&["check", "-o", "json"]);
    let found: Value = serde_json::from_slice(&found.stdout).unwrap();
    let items = found["items"].as_array().unwrap().iter().filter(|item| text(item, "check") == "accounts");
    items.map(|item| format!("{} {} | {}", text(item, "status"), text(item, "detail"), text(item, "hint"))).collect()
}

/// A store with a copy of it: of two jobs that A has paid since, the copy knows one as waiting, and the other not at all.
async fn copied_then_paid_by_a(name: &str) -> (Stage, Job, Job) {
    let mut stage = Stage::prepare(name).await;
    stage.start();
    let first = stage.job("first");
    stage.publish(std::slice::from_ref(&first)).await;
    stage.settled(LIMIT).await;
    stage.pause("finpay").await;
    let waiting = stage.job("waiting");
    stage.publish(std::slice::from_ref(&waiting)).await;
    stage.broker_has_no_more(LIMIT).await;
    let file = stage.worker.dir().join(BACKUP).display().to_string();
    let copied = stage.worker.ask(&["store", "backup", &file]);
    assert!(copied.status.success(), "{}", all_said(&copied));
    stage.resume("finpay");
    let forgotten = stage.job("forgotten");
    stage.publish(std::slice::from_ref(&forgotten)).await;
    stage.settled(LIMIT).await;
    for job in [&first, &waiting, &forgotten] {
        assert_eq!(stage.sim.running().credits_of(&job.reference), 1, "A has paid {}", job.reference);
    }
    stop(&mut stage);
    (stage, waiting, forgotten)
}

/// Lets a lane go that stood in the copy.
fn let_go(worker: &WorkerProc) {
    worker.ask_json(&["provider", "resume", "finpay", "--reason", "goes on", "--yes"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn m14_what_a_restored_store_has_forgotten_is_not_paid_again_by_another_account() {
    let (mut stage, waiting, forgotten) = copied_then_paid_by_a("restored-elsewhere").await;
    let b = move_to_b(&mut stage).await;
    let shown = restore(&stage.worker, stage.worker.dir());

    // Told at the command, by `check`, and at the start: before anything is asked.
    let told = accounts_of_check(&stage.worker);
    stage.worker.start();
    let log = stage.worker.log();
    let_go(&stage.worker);
    stage.producer.publish(&forgotten).await;
    for job in [&waiting, &forgotten] {
        let state = eventually_now(LIMIT, "it comes to rest", || {
            stage.worker.state_of(&job.reference).filter(|state| ["dead", "succeeded"].contains(&state.as_str()))
        });
        assert_eq!(credits(&stage, &b, job), (1, 0), "{} is {state}", job.reference);
        stands_before_a_person(&stage.worker, job, LIMIT);
    }
    let (ours, theirs) = (stage.sim.running().base_url("finpay"), b.running().base_url("finpay"));
    for said in [&shown, &told.join("\n"), &log] {
        assert!(said.contains(&ours) && said.contains(&theirs), "both accounts are named: {said}");
        assert!(said.contains("1 job of finpay"), "how many jobs: {said}");
    }
    assert!(
        told.iter().any(|told| told.starts_with("warning") && told.contains("put the old section back")),
        "{told:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn m14_what_another_store_has_sent_is_not_paid_again_by_another_account_of_who_adopts() {
    let mut stage = Stage::prepare("adopted-elsewhere").await;
    stage.start();
    let paid = stage.jobs("paid", 2);
    stage.publish(&paid).await;
    stage.settled(LIMIT).await;
    stop(&mut stage);
    let b = Sim::start().await;
    let elsewhere = tempfile::tempdir().unwrap();
    let mut settings = stage.settings.clone();
    settings.http_port = free_port();
    settings.credentials = b.credentials().clone();
    settings.providers = ["finpay", "midtrans"].map(|name| (name, b.running().base_url(name))).to_vec();
    let mut second = WorkerProc::configure(elsewhere.path(), &settings);
    let adopted = adopt(&mut second);
    second.start();
    let log = second.log();
    stage.producer.publish_all(&paid).await;
    for job in &paid {
        let state = eventually_now(TAKEN_OVER, "it comes to rest", || {
            second.state_of(&job.reference).filter(|state| ["dead", "succeeded"].contains(&state.as_str()))
        });
        assert_eq!(credits(&stage, &b, job), (1, 0), "{} is {state}", job.reference);
        stands_before_a_person(&second, job, LIMIT);
    }
    let told = accounts_of_check(&second);
    let theirs = b.running().base_url("finpay");
    for said in [&all_said(&adopted), &told.join("\n"), &log] {
        assert!(said.contains(&theirs) && said.contains("finpay"), "what is asked now is named: {said}");
        assert!(
            said.contains("may have sent it to another account") || said.contains("may have been sent to"),
            "{said}"
        );
    }
}

/// A, then B, then A again, with a copy of the first A: that B was in use is known to the broker's witness alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn m14_an_account_that_was_used_in_between_is_known_by_the_witness() {
    let (mut stage, waiting, _) = copied_then_paid_by_a("there-and-back").await;
    let b = move_to_b(&mut stage).await;
    stage.worker.start();
    let by_b = stage.job("by-b");
    stage.publish(std::slice::from_ref(&by_b)).await;
    ends_in(&stage.worker, &by_b, "succeeded", LIMIT);
    assert_eq!(credits(&stage, &b, &by_b), (0, 1));
    stop(&mut stage);
    back_to_a(&mut stage);
    restore(&stage.worker, stage.worker.dir());
    stage.worker.start();
    let_go(&stage.worker);
    stage.producer.publish(&by_b).await;
    stands_before_a_person(&stage.worker, &by_b, LIMIT);
    // A knows it: that settles it, whoever else was in use.
    ends_in(&stage.worker, &waiting, "succeeded", LIMIT);
    assert_eq!((credits(&stage, &b, &by_b), credits(&stage, &b, &waiting)), ((0, 1), (1, 0)));
    let told = accounts_of_check(&stage.worker).join("\n");
    for said in [&told, &stage.worker.log()] {
        assert!(said.contains("another account was in use") || said.contains("may have been sent to"), "{said}");
    }
}

/// Keys that the copy does not know come in every way there is; the old section, under its name again, settles one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn m14_a_key_that_a_restored_store_does_not_know_is_settled_by_the_old_section_only() {
    let (mut stage, waiting, forgotten) = copied_then_paid_by_a("unknown-key").await;
    let b = move_to_b(&mut stage).await;
    restore(&stage.worker, stage.worker.dir());
    let never = stage.job("never-sent");
    stage.worker.submit(&[never.clone(), forgotten.clone()]);
    stage.worker.start();
    let_go(&stage.worker);
    stage.producer.publish(&forgotten).await;
    for job in [&waiting, &forgotten, &never] {
        stands_before_a_person(&stage.worker, job, LIMIT);
    }
    // A replay asks, and sends nothing.
    let id = text(&letter_of(&stage.worker, &forgotten), "id").to_owned();
    stage.worker.ask_json(&[&["dlq", "replay", &id, "--detach"][..], &ACT].concat());
    eventually_now(LIMIT, "it is asked again", || {
        let letters = stage.worker.list(&["dlq", "list"]);
        let letter = letters.iter().find(|letter| text(letter, "partnerReferenceNo") == forgotten.reference)?;
        (text(letter, "id") != id).then_some(())
    });
    assert_eq!((credits(&stage, &b, &forgotten), credits(&stage, &b, &never)), ((1, 0), (0, 0)));

    stop(&mut stage);
    back_to_a(&mut stage);
    stage.worker.start();
    for (job, expected) in [(&forgotten, "succeeded"), (&never, "dead"), (&waiting, "succeeded")] {
        let id = text(&letter_of(&stage.worker, job), "id").to_owned();
        stage.worker.ask_json(&[&["dlq", "check", &id][..], &ACT].concat());
        is_in(&stage, job, expected);
    }
    let all = [&waiting, &forgotten, &never].map(|job| credits(&stage, &b, job));
    assert_eq!(all, [(1, 0), (1, 0), (0, 0)], "each by A, and nothing twice");
}

/// The old section under another name is asked by `dlq check`, as any doubt at another account is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn m14_what_was_forgotten_is_found_by_a_check_of_the_old_section_under_another_name() {
    let (mut stage, _, forgotten) = copied_then_paid_by_a("forgotten-renamed").await;
    let old = old_section(&stage);
    let b = move_to_b(&mut stage).await;
    let mut file = fs::File::options().append(true).open(stage.worker.dir().join("worker.toml")).unwrap();
    writeln!(file, "\n{old}").unwrap();
    restore(&stage.worker, stage.worker.dir());
    stage.worker.start();
    let_go(&stage.worker);
    stage.producer.publish(&forgotten).await;
    let letter = stands_before_a_person(&stage.worker, &forgotten, LIMIT);
    stage.worker.ask_json(&[&["dlq", "check", text(&letter, "id")][..], &ACT].concat());
    is_in(&stage, &forgotten, "succeeded");
    assert_eq!(credits(&stage, &b, &forgotten), (1, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn m14_a_restore_with_the_same_account_all_along_goes_on_by_itself() {
    let (mut stage, waiting, forgotten) = copied_then_paid_by_a("same-account").await;
    restore(&stage.worker, stage.worker.dir());
    assert_eq!(accounts_of_check(&stage.worker), [""; 0]);
    stage.worker.start();
    let_go(&stage.worker);
    let never = stage.job("never-sent");
    stage.publish(&[forgotten.clone(), never.clone()]).await;
    for job in [&waiting, &forgotten, &never] {
        ends_in(&stage.worker, job, "succeeded", LIMIT);
        assert_eq!(stage.sim.running().credits_of(&job.reference), 1, "{}", job.reference);
    }
    assert!(stage.worker.list(&["dlq", "list"]).is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn m14_a_namespace_that_is_adopted_with_the_same_account_goes_on_by_itself() {
    let mut stage = Stage::prepare("adopted-same").await;
    stage.start();
    let paid = stage.job("paid");
    stage.publish(std::slice::from_ref(&paid)).await;
    stage.settled(LIMIT).await;
    stop(&mut stage);
    let elsewhere = tempfile::tempdir().unwrap();
    let mut settings = stage.settings.clone();
    settings.http_port = free_port();
    let mut second = WorkerProc::configure(elsewhere.path(), &settings);
    adopt(&mut second);
    second.start();
    assert_eq!(accounts_of_check(&second), [""; 0]);
    let never = stage.job("never-sent");
    stage.producer.publish_all(&[paid.clone(), never.clone()]).await;
    for job in [&paid, &never] {
        ends_in(&second, job, "succeeded", TAKEN_OVER);
        assert_eq!(stage.sim.running().credits_of(&job.reference), 1, "{}", job.reference);
    }
}
