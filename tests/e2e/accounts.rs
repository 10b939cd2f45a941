//! Evidence belongs to an account (M14): the configuration names another one while a top-up is in doubt. Both providers pay
//! whatever reaches them.

mod forgotten;

use std::fs;
use std::io::Write as _;
use std::time::Duration;

use serde_json::Value;
use snap_sim::{Credentials, Fault, Latest};

use crate::harness::verdict::text;
use crate::harness::{Job, Sim, Stage, eventually, eventually_now};

const LIMIT: Duration = Duration::from_secs(60);
const ACT: [&str; 3] = ["--reason", "the old section is back, INC-140", "--yes"];

fn stop(stage: &mut Stage) {
    stage.worker.signal(rustix::process::Signal::TERM);
    stage.worker.wait_exit(LIMIT);
}

fn is_in(stage: &Stage, job: &Job, state: &str) {
    eventually_now(LIMIT, "the job comes to be in that state", || {
        (stage.worker.state_of(&job.reference)? == state).then_some(())
    });
}

/// A pays a job, its answer is lost, and the worker is stopped before it asks.
async fn paid_by_a(name: &str) -> (Stage, Job) {
    let mut stage = Stage::prepare(name).await;
    stage.settings.first_after = Duration::from_secs(4);
    let job = stage.job("doubt");
    stage.sim.fault(&job.reference, 38, Fault::Fin, Some(true), Some(1));
    stage.start();
    stage.publish(std::slice::from_ref(&job)).await;
    is_in(&stage, &job, "unconfirmed");
    stop(&mut stage);
    assert_eq!(stage.sim.running().credits_of(&job.reference), 1, "A has paid it");
    (stage, job)
}

/// The configuration names B from now on.
async fn move_to_b(stage: &mut Stage) -> Sim {
    let b = Sim::start().await;
    stage.settings.credentials = b.credentials().clone();
    stage.settings.providers = ["finpay", "midtrans"].map(|name| (name, b.running().base_url(name))).to_vec();
    stage.reconfigure();
    b
}

/// The configuration names A again.
fn back_to_a(stage: &mut Stage) {
    stage.settings.credentials = stage.sim.credentials().clone();
    stage.settings.providers = ["finpay", "midtrans"].map(|name| (name, stage.sim.running().base_url(name))).to_vec();
    stage.reconfigure();
}

/// Finpay's section as it is, under the name `finpay-old`.
fn old_section(stage: &Stage) -> String {
    let now = fs::read_to_string(stage.worker.dir().join("worker.toml")).unwrap();
    let (_, section) = now.split_once("[providers.finpay]").unwrap();
    let (section, _) = section.split_once("[providers.midtrans]").unwrap();
    let secret = format!("\"{}\"", stage.sim.credentials().client_secret);
    let section = section.replace("[providers.finpay", "[providers.finpay-old");
    format!("[providers.finpay-old]{}", section.replace("{ env = \"E2E_CLIENT_SECRET\" }", &secret))
}

fn asked(sim: &Sim, job: &Job) -> u32 {
    sim.running().reference(&job.reference).iter().map(|known| known.top_ups + known.status_inquiries).sum()
}

/// What was paid by A is not asked about with these credentials, and stands before a person.
async fn is_another_account(name: &str, change: impl FnOnce(&mut Credentials)) {
    let (mut stage, job) = paid_by_a(name).await;
    change(&mut stage.settings.credentials);
    stage.reconfigure();
    stage.worker.start();
    is_in(&stage, &job, "dead");
    let letters = stage.worker.list(&["dlq", "list"]);
    assert_eq!(text(&letters[0], "reason"), "other_account");
    assert_eq!((asked(&stage.sim, &job), stage.sim.running().credits_of(&job.reference)), (1, 1), "nobody is asked");
}

/// Before a person, with both accounts named; nobody was asked, nothing was sent.
async fn ends_as_other_account(stage: &Stage, b: &Sim, job: &Job) -> Value {
    let letter = eventually(LIMIT, "it stands before a person", async || {
        let letters = stage.worker.list(&["dlq", "list"]);
        letters.into_iter().find(|letter| text(letter, "partnerReferenceNo") == job.reference)
    })
    .await;
    assert_eq!((text(&letter, "reason"), text(&letter, "moneyState")), ("other_account", "maybe_sent"), "{letter}");
    let detail = text(&letter, "detail");
    assert!(detail.contains(&stage.sim.running().base_url("finpay")), "{detail}");
    assert!(detail.contains(&b.running().base_url("finpay")), "{detail}");
    assert_eq!((stage.sim.running().credits_of(&job.reference), b.running().credits_of(&job.reference)), (1, 0));
    assert_eq!(asked(b, job), 0, "B is not asked");
    letter
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn m14_a_doubt_at_an_account_that_changed_stands_before_a_person_and_is_paid_once() {
    let (mut stage, job) = paid_by_a("moved").await;
    let b = move_to_b(&mut stage).await;

    // Before anything is asked.
    let found = stage.worker.ask(&["check", "-o", "json"]);
    let found: Value = serde_json::from_slice(&found.stdout).unwrap();
    let accounts = found["items"].as_array().unwrap().iter().find(|item| text(item, "check") == "accounts");
    let told = accounts.unwrap_or_else(|| panic!("check tells of it: {found}"));
    assert_eq!(text(told, "status"), "warning");
    assert!(text(told, "detail").starts_with("1 job of finpay (Rp "), "{told}");
    assert!(text(told, "hint").contains("put the old section back under its name"), "{told}");

    stage.worker.start();
    let log = stage.worker.log();
    assert!(log.contains("jobs are in doubt at an account that is not configured any more"), "{log}");
    let letter = ends_as_other_account(&stage, &b, &job).await;

    // To whom the attempt was sent.
    let shown = stage.worker.ask_json(&["jobs", "show", &job.reference]);
    let attempts = shown["timeline"].as_array().unwrap().iter().filter(|entry| entry["service"] == 38);
    let accounts: Vec<_> = attempts.map(|attempt| &attempt["account"]["baseUrl"]).collect();
    assert_eq!(accounts, [&Value::from(stage.sim.running().base_url("finpay"))]);

    // A replay would ask B, and is refused; so is a question.
    let id = text(&letter, "id");
    for verb in ["replay", "check"] {
        let refused = stage.worker.ask(&[&["dlq", verb, id][..], &ACT].concat());
        assert_ne!(refused.status.code(), Some(0), "{verb}: {}", String::from_utf8_lossy(&refused.stdout));
    }
    assert_eq!((asked(&b, &job), b.running().credits_of(&job.reference)), (0, 0));

    // The old section is back under its name.
    stop(&mut stage);
    back_to_a(&mut stage);
    stage.worker.start();
    stage.worker.ask_json(&[&["dlq", "replay", id][..], &ACT].concat());
    is_in(&stage, &job, "succeeded");
    assert_eq!((stage.sim.running().credits_of(&job.reference), b.running().credits_of(&job.reference)), (1, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn m14_the_old_section_under_another_name_is_asked_by_a_check() {
    let (mut stage, job) = paid_by_a("renamed").await;
    let old = old_section(&stage);
    let b = move_to_b(&mut stage).await;
    let mut file = fs::File::options().append(true).open(stage.worker.dir().join("worker.toml")).unwrap();
    writeln!(file, "\n{old}").unwrap();
    stage.worker.start();
    let letter = ends_as_other_account(&stage, &b, &job).await;
    stage.worker.ask_json(&[&["dlq", "check", text(&letter, "id")][..], &ACT].concat());
    is_in(&stage, &job, "succeeded");
    assert_eq!((stage.sim.running().credits_of(&job.reference), asked(&b, &job)), (1, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn m14_another_spelling_of_the_same_account_is_asked() {
    let (mut stage, job) = paid_by_a("spelled").await;
    for (_, base_url) in &mut stage.settings.providers {
        *base_url = format!("{}/", base_url.replace("http://", "HTTP://"));
    }
    stage.reconfigure();
    stage.worker.start();
    is_in(&stage, &job, "succeeded");
    assert_eq!(stage.sim.running().credits_of(&job.reference), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn m14_another_partner_at_the_same_address_is_another_account() {
    is_another_account("partner", |ours| ours.partner_id = "another-partner".to_owned()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn m14_what_was_never_sent_moves_to_the_new_account() {
    let mut stage = Stage::prepare("waiting").await;
    stage.start();
    stage.pause("finpay").await;
    let jobs = stage.jobs("waiting", 5);
    stage.publish(&jobs).await;
    stage.broker_has_no_more(LIMIT).await;
    stop(&mut stage);
    let b = move_to_b(&mut stage).await;
    stage.worker.start();
    stage.resume("finpay");
    for job in &jobs {
        is_in(&stage, job, "succeeded");
        assert_eq!((stage.sim.running().credits_of(&job.reference), b.running().credits_of(&job.reference)), (0, 1));
    }
}

/// C5 in other ways: B says "paid" of what nobody has paid; A has accepted, or has not answered yet when the worker is killed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn m14_c5_what_is_in_doubt_at_a_is_settled_by_nothing_that_b_says() {
    let mut stage = Stage::prepare("settled-by-b").await;
    stage.settings.first_after = Duration::from_secs(20);
    stage.settings.request_timeout = Duration::from_secs(20);
    let job = |name: &str| stage.job(name);
    let (paid, unpaid, on_the_wire) = (job("paid"), job("unpaid"), job("on-the-wire"));
    let accepted = job("accepted").by("midtrans").with("beneficiaryProvider", "gopay".into());
    stage.sim.fault("paid", 38, Fault::Fin, Some(true), Some(1));
    stage.sim.fault("unpaid", 38, Fault::Rst, Some(false), Some(1));
    stage.sim.fault("accepted", 38, Fault::PendingForever, None, Some(1));
    stage.sim.fault("on-the-wire", 38, Fault::Timeout, Some(true), Some(1));
    stage.start();
    let jobs = [paid, unpaid, accepted, on_the_wire];
    stage.publish(&jobs).await;
    for (job, state) in jobs.iter().zip(["unconfirmed", "unconfirmed", "unconfirmed", "sending"]) {
        is_in(&stage, job, state);
    }
    let paid_by_a = |stage: &Stage| jobs.each_ref().map(|job| stage.sim.running().credits_of(&job.reference));
    assert_eq!(paid_by_a(&stage), [1, 0, 0, 1]);
    stage.worker.kill();

    stage.settings.first_after = Duration::from_millis(100);
    let b = move_to_b(&mut stage).await;
    b.fault("unpaid", 39, Fault::Report(Latest::Success), None, None);
    stage.worker.start();
    for job in &jobs {
        let state = eventually_now(LIMIT, "it comes to rest", || {
            stage.worker.state_of(&job.reference).filter(|state| ["dead", "succeeded"].contains(&state.as_str()))
        });
        let by_b = (asked(&b, job), b.running().credits_of(&job.reference));
        assert_eq!((by_b, state.as_str()), ((0, 0), "dead"), "{}", job.reference);
    }
    let letters = stage.worker.list(&["dlq", "list"]);
    assert!(letters.iter().all(|letter| text(letter, "reason") == "other_account"), "{letters:?}");
    assert_eq!((letters.len(), paid_by_a(&stage)), (jobs.len(), [1, 0, 0, 1]));
    assert!(stage.outcomes.terminal_by_reference().is_empty(), "no end was told");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn m14_c5_another_client_key_alone_is_another_account() {
    is_another_account("client-key", |ours| ours.client_key = "another-client".to_owned()).await;
}

/// The section of the account has another name, and nothing else is different.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn m14_c5_a_section_that_was_renamed_asks_and_pays_nothing_of_the_old_name_until_that_is_back() {
    let (mut stage, job) = paid_by_a("section-renamed").await;
    let file = stage.worker.dir().join("worker.toml");
    let before = fs::read_to_string(&file).unwrap();
    let after = before.replace("finpay]", "finpay-new]").replace("finpay.", "finpay-new.");
    fs::write(&file, after.replace("default_provider = \"finpay\"", "default_provider = \"finpay-new\"")).unwrap();
    let checked = stage.worker.ask(&["check"]);
    let told = String::from_utf8_lossy(&checked.stdout).into_owned();
    assert!(told.contains("section finpay-new names that account"), "{told}");
    stage.worker.start();
    assert!(stage.worker.log().contains("jobs wait for a provider that is not configured"));
    // The key comes again, and is a job of the new name's now: that is no second top-up.
    let again = stage.job("again");
    stage.publish(&[again.clone(), job.clone()]).await;
    is_in(&stage, &again, "succeeded");
    stage.broker_has_no_more(LIMIT).await;
    let letters = stage.worker.list(&["dlq", "list"]);
    assert_eq!((letters.len(), text(&letters[0], "reason")), (1, "idempotency_conflict"), "{letters:?}");
    assert_eq!((asked(&stage.sim, &job), stage.sim.running().credits_of(&job.reference)), (1, 1));

    stop(&mut stage);
    fs::write(&file, before).unwrap();
    stage.worker.start();
    is_in(&stage, &job, "succeeded");
    assert_eq!(stage.sim.running().credits_of(&job.reference), 1);
}
