//! Pauses that outlive the process.

use snap_core::LaneFault;

use super::*;

fn by_operator() -> LanePause {
    let cause = PauseCause::Operator { by: "sari".to_owned(), reason: "maintenance".to_owned() };
    LanePause { cause, at: t(1), probe_at: None }
}

fn by_fault() -> LanePause {
    LanePause { cause: PauseCause::Fault(LaneFault::InsufficientFunds), at: t(2), probe_at: Some(t(9)) }
}

#[tokio::test]
async fn an_operator_s_pause_outlives_the_process_and_only_an_operator_ends_it() {
    let fixture = Fixture::new();
    let audit = Some(audit_entry("provider_pause"));
    let lane = fixture.store.pause_lane("finpay", by_operator(), audit).await.unwrap();
    assert_eq!((lane.version, &lane.pause), (1, &Some(by_operator())));
    let (fixture, _) = fixture.reopened().await;
    assert_eq!(fixture.store.lane("finpay").await.unwrap(), lane);
    assert_eq!(fixture.store.lanes().await.unwrap(), std::slice::from_ref(&lane));

    assert_eq!(fixture.store.pause_lane("finpay", by_fault(), None).await.unwrap(), lane);
    assert_eq!(fixture.store.resume_lane("finpay", Resume::Probe, None).await.unwrap(), lane);
    let audit = Some(audit_entry("provider_resume"));
    let lane = fixture.store.resume_lane("finpay", Resume::Operator, audit).await.unwrap();
    assert_eq!((lane.version, lane.pause), (2, None));
    assert_eq!(fixture.store.audit_rows(0, 9).await.unwrap().len(), 2);
}

#[tokio::test]
async fn m9_a_lane_that_paused_by_itself_resumes_by_probe_or_operator_and_every_process_sees_it() {
    let fixture = Fixture::new();
    let beside = fixture.beside();
    assert_eq!(fixture.store.lane("finpay").await.unwrap().version, 0);
    fixture.store.pause_lane("finpay", by_fault(), None).await.unwrap();
    assert_eq!(beside.lane("finpay").await.unwrap().pause, Some(by_fault()));
    assert_eq!(fixture.store.resume_lane("finpay", Resume::Probe, None).await.unwrap().pause, None);

    fixture.store.pause_lane("finpay", by_fault(), None).await.unwrap();
    let resumed = beside.resume_lane("finpay", Resume::Operator, Some(audit_entry("provider_resume"))).await.unwrap();
    assert_eq!(fixture.store.lane("finpay").await.unwrap(), resumed);
    assert_eq!((resumed.version, resumed.pause), (4, None));
}

#[tokio::test]
async fn to_resume_a_lane_that_is_not_paused_changes_nothing() {
    let fixture = Fixture::new();
    fixture.store.pause_lane("finpay", by_fault(), None).await.unwrap();
    let resumed = fixture.store.resume_lane("finpay", Resume::Probe, None).await.unwrap();
    for by in [Resume::Probe, Resume::Operator] {
        assert_eq!(fixture.store.resume_lane("finpay", by, None).await.unwrap(), resumed);
    }
    assert_eq!(fixture.store.lane("finpay").await.unwrap(), resumed);
}

#[tokio::test]
async fn c13_an_operator_changes_the_pause_that_was_shown_and_no_other() {
    let fixture = Fixture::new();
    let store = &fixture.store;
    let shown = store.pause_lane("finpay", by_fault(), None).await.unwrap();
    // A probe renews it: that is the same pause.
    store.pause_lane("finpay", by_fault(), None).await.unwrap();
    let resumed = store.operate_lane(shown.clone(), None, audit_entry("provider_resume")).await.unwrap();
    assert_eq!(resumed.map(|lane| lane.pause), Some(None));
    // Another operator paused it meanwhile.
    store.pause_lane("finpay", by_operator(), None).await.unwrap();
    assert_eq!(store.operate_lane(shown, None, audit_entry("provider_resume")).await.unwrap(), None);
    assert!(store.lane("finpay").await.unwrap().is_paused_by_operator());
    assert_eq!(store.audit_rows(0, 9).await.unwrap().len(), 1);
}
