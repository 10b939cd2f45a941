//! SIGTERM under load, and what a second signal does.

use std::os::unix::process::ExitStatusExt as _;
use std::time::Duration;

use rustix::process::Signal;
use snap_sim::Fault;
use testbed::matrix::{self, Point, Technique};

use crate::harness::worker::PROCESS_LIMIT;
use crate::harness::{Hold, Stage, eventually};

const LIMIT: Duration = Duration::from_secs(120);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigterm_under_load_exits_0_and_the_next_worker_finishes_the_rest() {
    let mut stage = Stage::prepare("sigterm").await;
    stage.sim.slow_down(Duration::from_millis(100));
    stage.settings.max_in_flight = 8;
    stage.settings.prefetch = 16;
    stage.start();
    let jobs = stage.jobs("load", 200);
    stage.publish(&jobs).await;
    for part in [40, 100] {
        eventually(LIMIT, "a part of the jobs is done", async || {
            (stage.sim.running().verdict().credits >= part).then_some(())
        })
        .await;
        stage.worker.signal(Signal::TERM);
        let status = stage.worker.wait_exit(PROCESS_LIMIT);
        assert_eq!(status.code(), Some(0), "{status}\n{}", stage.worker.log_tail());
        stage.worker.start();
    }
    stage.settled(LIMIT).await;
    stage.verdict().assert_all_succeeded();
    let inquiries: u32 = stage.sim.running().references().iter().map(|report| report.status_inquiries).sum();
    assert_eq!(inquiries, 0, "every call that had begun was waited for, so nothing was in doubt");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_has_left_is_waited_for_and_recorded() {
    let mut stage = Stage::prepare("waits").await;
    let gate = stage.gated().await;
    stage.settings.request_timeout = Duration::from_secs(30);
    let job = stage.job("waits");
    let mut held = gate.hold("/topup", &job.reference, Hold::BeforeTheAnswer);
    stage.start();
    stage.publish(std::slice::from_ref(&job)).await;
    held.reached().await;

    stage.worker.signal(Signal::INT);
    eventually(LIMIT, "the worker has heard the signal", async || {
        stage.worker.log().contains("stopping").then_some(())
    })
    .await;
    assert!(stage.worker.exited().is_none(), "it waits for the answer");
    held.go_on();
    let status = stage.worker.wait_exit(PROCESS_LIMIT);

    assert_eq!(status.code(), Some(0), "{status}");
    stage.worker.start();
    stage.settled(LIMIT).await;
    stage.verdict().assert_all_succeeded();
    assert_eq!(stage.sim.running().reference(&job.reference)[0].status_inquiries, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_signal_ends_it_at_once_with_130_and_nothing_is_lost() {
    let mut stage = Stage::prepare("secondsignal").await;
    let gate = stage.gated().await;
    stage.settings.request_timeout = Duration::from_secs(60);
    let job = stage.job("hasty");
    let mut held = gate.hold("/topup", &job.reference, Hold::BeforeTheAnswer);
    stage.start();
    stage.publish(std::slice::from_ref(&job)).await;
    held.reached().await;
    stage.worker.signal(Signal::TERM);
    eventually(LIMIT, "the worker has heard the signal", async || {
        stage.worker.log().contains("stopping").then_some(())
    })
    .await;

    stage.worker.signal(Signal::TERM);
    let status = stage.worker.wait_exit(Duration::from_secs(5));

    assert_eq!((status.code(), status.signal()), (Some(130), None));
    held.vanish();
    stage.settings.request_timeout = Duration::from_secs(3);
    stage.start();
    stage.settled(LIMIT).await;
    let verdict = stage.verdict();
    verdict.assert_all_succeeded();
    assert_eq!(verdict.top_ups(&job.reference), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_provider_that_never_answers_holds_a_stop_no_longer_than_a_call_may_take() {
    let mut stage = Stage::prepare("stopsilent").await;
    stage.sim.behave(|behaviour| behaviour.hang = Duration::from_secs(60));
    stage.sim.fault("silent", 38, Fault::Timeout, Some(true), Some(1));
    stage.start();
    let job = stage.job("silent");
    stage.publish(std::slice::from_ref(&job)).await;
    eventually(LIMIT, "the top-up is on the wire", async || {
        stage.sim.running().reference(&job.reference).iter().any(|known| known.top_ups > 0).then_some(())
    })
    .await;

    stage.worker.signal(Signal::TERM);
    let status = stage.worker.wait_exit(stage.settings.request_timeout + Duration::from_secs(15));

    assert_eq!(status.code(), Some(0), "{status}");
    matrix::executed(Point::StoppingCut, matrix::Fault::Timeout, Technique::Provider, 1);
    stage.worker.start();
    stage.settled(LIMIT).await;
    let verdict = stage.verdict();
    verdict.assert_all_succeeded();
    assert_eq!(verdict.top_ups(&job.reference), 1, "it was asked about");
}
