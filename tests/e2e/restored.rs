//! A store that was put back from an older copy: everything is asked about first, until an operator ends it.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

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
