//! One worker to a store.

use crate::harness::Stage;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_worker_on_the_same_store_is_refused_and_told_who_holds_it() {
    let mut stage = Stage::prepare("second").await;
    stage.start();
    let elsewhere = tempfile::tempdir().unwrap();
    let second = stage.second_worker(elsewhere.path());

    let refused = second.ask(&["run"]);

    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(2), "{said}");
    assert!(said.contains(&stage.worker.pid().to_string()), "says which process holds it: {said}");
    assert!(stage.worker.exited().is_none());
    assert_eq!(stage.worker.readyz().unwrap().status, 200, "the first one goes on");

    // A worker that was killed leaves no lock behind.
    stage.worker.kill();
    stage.worker.start();
}
