//! A store that was put back from an older copy: everything is asked about first, until an operator ends it.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use snap_sim::{Case, Fault, RepeatPolicy};

use crate::harness::{Job, Stage, eventually};

const LIMIT: Duration = Duration::from_secs(60);
/// By the contract a running worker notices within a second; a busy machine gets a little more.
const NOTICED: Duration = Duration::from_secs(3);

fn store(stage: &Stage) -> PathBuf {
    stage.worker.dir().join("worker.db")
}

/// Status inquiries that the provider saw for a job.
fn asked(stage: &Stage, job: &Job) -> usize {
    let requests = stage.sim.running().requests();
    let about = requests.iter().filter(|request| request.reference.as_deref() == Some(&job.reference));
    about.filter(|request| matches!(request.service, 36 | 39)).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn m12_a_running_worker_stops_asking_first_when_an_operator_says_that_the_store_knows_everything() {
    let mut stage = Stage::prepare("restored").await;
    stage.start();
    let known = stage.job("known");
    stage.publish(std::slice::from_ref(&known)).await;
    stage.settled(LIMIT).await;
    stage.worker.signal(rustix::process::Signal::TERM);
    stage.worker.wait_exit(LIMIT);
    let copy = stage.worker.dir().join("copy.db");
    fs::copy(store(&stage), &copy).unwrap();

    // It goes on for a while, and the older copy comes back.
    stage.start();
    let forgotten = stage.job("forgotten");
    stage.publish(std::slice::from_ref(&forgotten)).await;
    stage.settled(LIMIT).await;
    stage.worker.kill();
    for suffix in ["-wal", "-shm"] {
        // Of a worker that was killed; of one that stopped there is none.
        if let Err(error) = fs::remove_file(format!("{}{suffix}", store(&stage).display())) {
            assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
        }
    }
    fs::copy(&copy, store(&stage)).unwrap();
    stage.start();

    // What the store does not know comes again: it is asked about, and found paid.
    stage.producer.publish(&forgotten).await;
    let again = eventually(LIMIT, "it is known again", async || stage.worker.state_of(&forgotten.reference)).await;
    assert_ne!(again, "ready");
    eventually(LIMIT, "it is found paid", async || {
        (stage.worker.state_of(&forgotten.reference).as_deref() == Some("succeeded")).then_some(())
    })
    .await;
    let new = stage.job("new");
    stage.publish(std::slice::from_ref(&new)).await;
    stage.outcomes.wait_for("topup.succeeded", &new.reference).await;
    assert!(asked(&stage, &new) >= 2, "not found twice before it is sent");

    let said = stage.worker.ask(&["store", "reconciled", "--reason", "checked with producers", "--yes"]);
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    let noticed = "an operator says that the store knows everything again";
    eventually(NOTICED, "the worker notices", async || stage.worker.log().contains(noticed).then_some(())).await;
    let later = stage.jobs("later", 5);
    stage.publish(&later).await;
    stage.settled(LIMIT).await;
    for job in &later {
        assert_eq!(asked(&stage, job), 0, "it is sent at once");
    }

    // Nothing of all this was paid twice.
    let references = [&known, &forgotten, &new].into_iter().chain(&later);
    for job in references {
        assert_eq!(stage.sim.running().credits_of(&job.reference), 1, "{}", job.reference);
    }
}

/// What is copied, and put back.
const BOTH: [&str; 2] = ["worker.db", "worker.db.lock"];

fn copy(stage: &Stage, from: &str, to: &str) {
    for name in BOTH {
        let path = |prefix: &str| stage.worker.dir().join(format!("{prefix}{name}"));
        fs::copy(path(from), path(to)).unwrap();
    }
}

fn stop(stage: &mut Stage) {
    stage.worker.signal(rustix::process::Signal::TERM);
    stage.worker.wait_exit(LIMIT);
    assert!(!stage.worker.dir().join("worker.db-wal").exists(), "a worker that stopped leaves one file");
}

async fn until_succeeded(stage: &Stage, jobs: &[Job]) {
    for job in jobs {
        eventually(LIMIT, "it succeeds", async || {
            (stage.worker.state_of(&job.reference).as_deref() == Some("succeeded")).then_some(())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn m12_a_store_that_came_back_with_its_side_file_asks_first_when_an_operator_says_so() {
    let act = ["--reason", "machine set back, INC-131", "--yes"];
    let mut stage = Stage::prepare("set-back").await;
    // Whatever reaches it is paid: only our own care protects.
    stage.sim.behave(|behaviour| behaviour.repeat_policy = RepeatPolicy::PayAgain);
    stage.start();
    let known = stage.job("known");
    stage.publish(std::slice::from_ref(&known)).await;
    stage.settled(LIMIT).await;
    assert!(stage.worker.ask(&[&["provider", "pause", "finpay"][..], &act].concat()).status.success());
    eventually(LIMIT, "the lane stands", async || {
        stage.worker.log().contains("an operator paused the lane").then_some(())
    })
    .await;
    let waiting = stage.jobs("waiting", 3);
    stage.publish(&waiting).await;
    for job in &waiting {
        let state = eventually(LIMIT, "it waits", async || stage.worker.state_of(&job.reference)).await;
        assert_eq!(state, "ready");
    }
    stop(&mut stage);
    copy(&stage, "", "copy-of-");

    // It goes on, and pays what waits in the copy and what the copy does not know.
    stage.start();
    assert!(stage.worker.ask(&[&["provider", "resume", "finpay"][..], &act].concat()).status.success());
    let forgotten = stage.jobs("forgotten", 3);
    stage.publish(&forgotten).await;
    stage.settled(LIMIT).await;
    stop(&mut stage);
    copy(&stage, "copy-of-", "");

    let looked = stage.worker.ask(&["check"]);
    let looked = String::from_utf8_lossy(&looked.stdout).into_owned();
    assert!(!looked.contains("may have forgotten"), "nothing on this machine tells of it: {looked}");
    assert!(looked.contains("the store is behind"), "the broker's witness does: {looked}");
    let said = stage.worker.ask_json(&[&["store", "restored"][..], &act].concat());
    assert_eq!((&said["marked"], &said["changed"]), (&3.into(), &true.into()), "{said}");
    assert!(said["knownUntil"].is_string(), "{said}");
    stage.start();
    let refused = stage.worker.ask(&[&["store", "restored"][..], &act].concat());
    assert_eq!(refused.status.code(), Some(5), "not beside a running worker");
    assert!(String::from_utf8_lossy(&refused.stderr).contains("hint: stop the worker, say it again, then start it"));

    for job in &forgotten {
        stage.producer.publish(job).await;
    }
    assert!(stage.worker.ask(&[&["provider", "resume", "finpay"][..], &act].concat()).status.success());
    until_succeeded(&stage, &waiting).await;
    until_succeeded(&stage, &forgotten).await;
    for job in [&[known][..], &waiting, &forgotten].concat() {
        assert_eq!(stage.sim.running().credits_of(&job.reference), 1, "{}", job.reference);
    }
    let trail = stage.worker.list(&["audit", "list"]);
    assert!(trail.iter().any(|row| row["action"] == "store_restored"), "{trail:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn m12_a_key_that_the_copy_does_not_know_stands_before_a_person_after_the_uniqueness_window() {
    let window = Duration::from_secs(4);
    let mut stage = Stage::prepare("forgets").await;
    stage.settings.uniqueness_window = Some(window);
    stage.sim.behave(|behaviour| behaviour.repeat_policy = RepeatPolicy::PayAgain);
    stage.start();
    let known = stage.job("known").by("midtrans").with("beneficiaryProvider", "gopay".into());
    stage.publish(std::slice::from_ref(&known)).await;
    stage.settled(LIMIT).await;
    stop(&mut stage);
    copy(&stage, "", "copy-of-");
    stage.start();
    let forgotten = stage.job("forgotten").by("midtrans").with("beneficiaryProvider", "gopay".into());
    stage.publish(std::slice::from_ref(&forgotten)).await;
    stage.settled(LIMIT).await;
    stop(&mut stage);

    // The older copy comes back, the provider forgets, and the broker delivers again.
    copy(&stage, "copy-of-", "");
    fs::remove_file(stage.worker.dir().join("worker.db.lock")).unwrap();
    tokio::time::sleep(window).await;
    stage.sim.fault("forgotten", 36, Fault::Answer(Case::new(404, 1)), None, None);
    stage.start();
    stage.producer.publish(&forgotten).await;
    eventually(LIMIT, "it stands before a person", async || {
        (stage.worker.state_of(&forgotten.reference).as_deref() == Some("dead")).then_some(())
    })
    .await;
    let letter = stage.worker.list(&["dlq", "list"]).pop().unwrap();
    assert_eq!((&letter["reason"], &letter["moneyState"]), (&"unresolved".into(), &"maybe_sent".into()), "{letter}");
    assert!(asked(&stage, &forgotten) >= 2);
    assert_eq!(stage.sim.running().credits_of(&forgotten.reference), 1);
    assert!(stage.worker.log().contains("a key that the store does not know counts as perhaps sent"));
}
