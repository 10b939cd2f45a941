//! One custodian (M13): a namespace at the broker is one store's, whoever else comes.

mod moved;
mod trail;
mod two_stores;

use std::fs;
use std::path::Path;
use std::time::Duration;

use lapin::options::ExchangeDeleteOptions;
use rustix::process::Signal;

use crate::harness::{Job, Stage, WorkerProc, amqp, eventually, free_port, http};

const LIMIT: Duration = Duration::from_secs(60);
/// Until the broker takes a silent worker for dead, with some patience.
const HEARTBEATS: Duration = Duration::from_secs(60);
/// A store that takes over waits until the other one can have nothing under way: a minute, and its calls.
const TAKEN_OVER: Duration = Duration::from_secs(180);

/// A worker with a store of its own in `dir`, on the same namespace.
fn another_store(stage: &Stage, dir: &Path) -> WorkerProc {
    let mut settings = stage.settings.clone();
    settings.http_port = free_port();
    WorkerProc::configure(dir, &settings)
}

fn said(output: &std::process::Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn assert_paid_once(stage: &Stage, jobs: &[Job]) {
    for job in jobs {
        assert_eq!(stage.sim.running().credits_of(&job.reference), 1, "{}", job.reference);
    }
}

fn stop(worker: &mut WorkerProc) {
    worker.signal(Signal::TERM);
    assert!(worker.wait_exit(LIMIT).success());
}

/// C1, the smallest input: two folders, 21 keys, and the same 21 again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn m13_a_second_store_on_a_namespace_is_refused_and_told_whose_it_is() {
    let mut stage = Stage::prepare("two-stores").await;
    stage.start();
    let jobs = stage.jobs("once", 21);
    stage.publish(&jobs).await;
    stage.settled(LIMIT).await;

    let elsewhere = tempfile::tempdir().unwrap();
    let mut second = another_store(&stage, elsewhere.path());
    let refused = second.ask(&["run"]);
    let words = said(&refused);
    assert_eq!(refused.status.code(), Some(5), "{words}");
    let namespace = &stage.settings.namespace;
    for part in [
        format!("namespace {namespace} belongs to store "),
        " since 2".to_owned(),
        "worker store adopt --reason".to_owned(),
    ] {
        assert!(words.contains(&part), "{part}: {words}");
    }
    assert_eq!(stage.worker.readyz().unwrap().status, 200, "the first one goes on");

    // With the first one gone it is refused all the same, whatever waits there.
    stop(&mut stage.worker);
    for job in &jobs {
        stage.producer.publish(job).await;
    }
    second.spawn();
    assert_eq!(second.wait_exit(LIMIT).code(), Some(5), "{}", second.log_tail());
    assert!(second.list(&["jobs", "list"]).is_empty(), "it has taken nothing");

    // Its own mark does not keep the first one out.
    stage.start();
    stage.broker_has_no_more(LIMIT).await;
    assert_paid_once(&stage, &jobs);
    stage.verdict().assert_all_succeeded();
}

/// Waits until each of these has succeeded in this worker's store.
async fn all_succeed(worker: &WorkerProc, jobs: &[Job], limit: Duration) {
    for job in jobs {
        eventually(limit, "it succeeds", async || {
            (worker.state_of(&job.reference).as_deref() == Some("succeeded")).then_some(())
        })
        .await;
    }
}

async fn mark_is_taken_away(stage: &Stage) {
    let (_connection, channel) = amqp::open(&stage.broker.url()).await.unwrap();
    let mark = format!("{}.custodian", stage.settings.namespace);
    channel.exchange_delete(mark.as_str().into(), ExchangeDeleteOptions::default()).await.unwrap();
}

/// The worst hand-over: the first worker is frozen in the middle of its work, with deliveries that it has not acknowledged, jobs
/// that it has not sent and answers that it has not read; it wakes up when the namespace is another's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn m13_a_store_that_takes_a_namespace_over_asks_first_and_the_other_one_sends_nothing_when_it_wakes() {
    let mut stage = Stage::prepare("handover").await;
    stage.sim.slow_down(Duration::from_millis(400));
    (stage.settings.max_in_flight, stage.settings.prefetch) = (2, 4);
    stage.start();
    let jobs = stage.jobs("handed", 14);
    stage.publish(&jobs).await;
    eventually(LIMIT, "it is in the middle of its work", async || {
        (2..9).contains(&stage.sim.running().verdict().credits).then_some(())
    })
    .await;
    stage.worker.signal(Signal::STOP);

    let elsewhere = tempfile::tempdir().unwrap();
    let mut second = another_store(&stage, elsewhere.path());
    second.spawn();
    assert_eq!(second.wait_exit(LIMIT).code(), Some(5), "{}", second.log_tail());
    let adopt = ["store", "adopt", "--reason", "kiosk-1 burnt down, INC-140", "--yes"];
    let early = second.ask(&adopt);
    assert_eq!(early.status.code(), Some(5), "not from a worker that is connected: {}", said(&early));
    assert!(said(&early).contains("a worker has namespace"), "{}", said(&early));
    let looked = eventually(HEARTBEATS, "the broker lets go of the frozen one", async || {
        let tried = second.ask(&["store", "adopt", "--dry-run"]);
        tried.status.success().then_some(tried)
    })
    .await;
    assert!(said(&looked).contains("are asked about before anything is sent"), "{}", said(&looked));
    let done = second.ask_json(&adopt);
    assert_eq!(done["changed"], true, "{done}");
    second.start();
    assert!(second.log().contains("every job is asked about before anything is sent"));
    stage.worker.signal(Signal::CONT);

    // It ends by itself, and says why; and it stays out.
    assert_eq!(stage.worker.wait_exit(LIMIT).code(), Some(5), "{}", stage.worker.log_tail());
    assert!(stage.worker.log().contains("worker store adopt --reason"), "{}", stage.worker.log_tail());
    // Producers publish everything again, and what was not acknowledged comes again by itself.
    stage.producer.publish_all(&jobs).await;
    all_succeed(&second, &jobs, TAKEN_OVER).await;
    assert_paid_once(&stage, &jobs);
    let trail = second.list(&["audit", "list"]);
    let row = trail.iter().find(|row| row["action"] == "store_adopt").unwrap();
    assert!(row["detail"]["from"].is_string() && row["detail"]["asksFrom"].is_string(), "{row}");
    let check = second.ask(&["check"]);
    assert!(
        String::from_utf8_lossy(&check.stdout).contains("this store's since"),
        "{}",
        String::from_utf8_lossy(&check.stdout)
    );
}

/// Copies a worker's folder as it is, beside it, with the config for another port.
fn clone_of(stage: &Stage, dir: &Path) -> WorkerProc {
    for entry in fs::read_dir(stage.worker.dir()).unwrap() {
        let entry = entry.unwrap();
        if entry.file_name().to_str().is_some_and(|name| name.starts_with("worker.db")) {
            fs::copy(entry.path(), dir.join(entry.file_name())).unwrap();
        }
    }
    another_store(stage, dir)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn m13_a_copy_of_the_whole_store_takes_nothing_beside_the_first_and_asks_first_after_it() {
    let mut stage = Stage::prepare("clone").await;
    stage.start();
    let early = stage.jobs("early", 5);
    stage.publish(&early).await;
    stage.settled(LIMIT).await;
    let elsewhere = tempfile::tempdir().unwrap();
    let mut copy = clone_of(&stage, elsewhere.path());

    copy.spawn();
    eventually(LIMIT, "the copy says that it is one too many", async || {
        copy.readyz()
            .filter(|page| page.status == 503 && page.body.contains("another process works with a store of this id"))
    })
    .await;
    let later = stage.jobs("later", 20);
    stage.publish(&later).await;
    stage.settled(LIMIT).await;
    assert!(copy.exited().is_none(), "it waits");
    for job in &later {
        assert_eq!(copy.state_of(&job.reference), None, "the copy has taken nothing");
    }

    // The first one is gone at once, and its producers publish everything again.
    stage.worker.kill();
    copy.wait_ready();
    // What was done in the last half second is in no witness: that it is a copy is enough.
    assert!(copy.log().contains("does not know everything"), "it knows that it is behind: {}", copy.log_tail());
    stage.producer.publish_all(&[early.clone(), later.clone()].concat()).await;
    all_succeed(&copy, &later, TAKEN_OVER).await;
    assert_paid_once(&stage, &early);
    assert_paid_once(&stage, &later);
}

/// A disk that was set back as a whole: the side file came back too, and nobody says a word.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn m13_a_store_that_came_back_with_its_side_file_is_behind_the_witness_and_asks_first() {
    let both = ["worker.db", "worker.db.lock"];
    let mut stage = Stage::prepare("set-back").await;
    stage.start();
    let known = stage.jobs("known", 3);
    stage.publish(&known).await;
    stage.settled(LIMIT).await;
    stop(&mut stage.worker);
    let kept = tempfile::tempdir().unwrap();
    for file in both {
        fs::copy(stage.worker.dir().join(file), kept.path().join(file)).unwrap();
    }
    stage.start();
    let forgotten = stage.jobs("forgotten", 5);
    stage.publish(&forgotten).await;
    stage.settled(LIMIT).await;
    stop(&mut stage.worker);

    for file in both {
        fs::copy(kept.path().join(file), stage.worker.dir().join(file)).unwrap();
    }
    stage.start();
    assert!(stage.worker.log().contains("that the broker's witness knows of"), "{}", stage.worker.log_tail());
    stage.producer.publish_all(&forgotten).await;
    all_succeed(&stage.worker, &forgotten, LIMIT).await;
    assert_paid_once(&stage, &[known, forgotten].concat());
    // It has told of itself since, and is not behind a second time.
    let said = stage.worker.ask(&["store", "reconciled", "--reason", "producers checked", "--yes"]);
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    stop(&mut stage.worker);
    stage.start();
    let check = stage.worker.ask(&["check"]);
    let check = String::from_utf8_lossy(&check.stdout).into_owned();
    assert!(!check.contains("may have forgotten") && check.contains("witness agrees"), "{check}");
    let verdict = stage.worker.ask_json(&["audit", "verify"]);
    assert_eq!(verdict["sound"], true, "{verdict}");
}

/// C12: the last rows go, and `meta` is made to match.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn m13_an_audit_trail_without_its_end_is_not_what_was_witnessed() {
    let mut stage = Stage::prepare("trail").await;
    stage.start();
    stage.pause("finpay").await;
    stage.resume("finpay");
    stage.pause("finpay").await;
    eventually(LIMIT, "the broker has heard of it", async || {
        let verdict = stage.worker.ask_json(&["audit", "verify"]);
        verdict["witness"].as_str().is_some_and(|witness| witness.starts_with("row 3 ")).then_some(())
    })
    .await;
    stop(&mut stage.worker);
    assert!(stage.worker.log().contains("audit_head"), "the log has it too");
    let verdict = stage.worker.ask_json(&["audit", "verify"]);
    assert_eq!((&verdict["sound"], &verdict["notCompared"]), (&true.into(), &serde_json::Value::Null), "{verdict}");

    let file = rusqlite::Connection::open(stage.worker.dir().join("worker.db")).unwrap();
    file.execute_batch(
        "DELETE FROM audit WHERE seq > 1;
         UPDATE meta SET audit_rows = 1, audit_hash = (SELECT hash FROM audit WHERE seq = 1)",
    )
    .unwrap();
    drop(file);
    let assert_found = |worker: &WorkerProc| {
        let told = worker.ask(&["audit", "verify"]);
        let text = String::from_utf8_lossy(&told.stdout).into_owned();
        assert_eq!(told.status.code(), Some(1), "{text}");
        assert!(text.contains("it has 1 rows, and 3 were witnessed"), "{text}");
    };
    assert_found(&stage.worker);
    // A worker that goes on with it neither believes it nor forgets what was witnessed.
    stage.start();
    eventually(LIMIT, "it says so", async || {
        stage.worker.log().contains("the audit trail is not what was witnessed of it").then_some(())
    })
    .await;
    assert_found(&stage.worker);

    // Without the broker it says that it has not compared.
    stage.settings.amqp_url = Some("amqp://guest:guest@127.0.0.1:1/%2f".to_owned());
    stop(&mut stage.worker);
    stage.reconfigure();
    let alone = stage.worker.ask_json(&["audit", "verify"]);
    assert!(alone["notCompared"].as_str().is_some_and(|why| why.contains("cannot be asked")), "{alone}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn m13_a_mark_that_is_taken_away_is_declared_again_and_a_foreign_store_stays_out_meanwhile() {
    let mut stage = Stage::prepare("unmarked").await;
    stage.start();
    let first = stage.job("first");
    stage.publish(std::slice::from_ref(&first)).await;
    stage.settled(LIMIT).await;
    mark_is_taken_away(&stage).await;
    eventually(LIMIT, "it is noticed", async || {
        stage.worker.log().contains("the namespace's mark was taken away; it is declared again").then_some(())
    })
    .await;

    // Once more, with nobody there: the witness tells whose it was.
    stop(&mut stage.worker);
    mark_is_taken_away(&stage).await;
    let elsewhere = tempfile::tempdir().unwrap();
    let mut second = another_store(&stage, elsewhere.path());
    second.spawn();
    assert_eq!(second.wait_exit(LIMIT).code(), Some(5), "{}", second.log_tail());
    stage.start();
    let last = stage.job("last");
    stage.publish(std::slice::from_ref(&last)).await;
    stage.settled(LIMIT).await;
    assert_paid_once(&stage, &[first, last]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn m13_a_broker_that_lost_everything_gets_the_mark_of_who_was_there() {
    let mut stage = Stage::prepare_with_own_broker("wiped").await;
    stage.start();
    let first = stage.jobs("first", 3);
    stage.publish(&first).await;
    stage.settled(LIMIT).await;
    for command in ["stop_app", "force_reset", "start_app"] {
        stage.broker.ctl(&[command]);
    }
    let again = stage.jobs("again", 3);
    stage.publish(&again).await;
    stage.settled(LIMIT).await;
    assert_paid_once(&stage, &[first, again].concat());
    eventually(LIMIT, "it may go on", async || {
        (http::sample(&stage.worker.metrics(), "topup_custodian", &[]) == Some(1.0)).then_some(())
    })
    .await;
    let elsewhere = tempfile::tempdir().unwrap();
    let mut second = another_store(&stage, elsewhere.path());
    second.spawn();
    assert_eq!(second.wait_exit(LIMIT).code(), Some(5), "{}", second.log_tail());
}
