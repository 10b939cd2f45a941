//! What a restart finds.

use super::*;

/// One job in every state a crash can leave, and some that it must not touch.
async fn crashed() -> Fixture {
    let fixture = Fixture::new();
    fixture.driven("driven").await;
    let job = fixture.driven("sent").await;
    fixture.store.record(intent(&job, 1)).await.unwrap();
    fixture.waiting("claimed", t(1)).await;
    fixture.store.claim_due("finpay", t(1), 1).await.unwrap();
    fixture.waiting("waits", t(500)).await;
    fixture.succeeded("finished").await;
    fixture.died("dead").await;
    let job = fixture.driven("sent-and-due").await;
    fixture.store.record(intent(&job, 1)).await.unwrap();
    raw(&fixture.path()).execute("UPDATE job_states SET due_at = 0 WHERE job_id = ?1", [job.id.0]).unwrap();
    fixture
}

fn restarted(job: &StoredJob) -> Option<Record> {
    matches!(job.job.state, State::Sending { .. }).then(|| Record {
        due_at: Some(t(20)),
        history: vec![entry("restarted")],
        ..Record::new(job.id, job.version, unconfirmed(t(20)), t(10))
    })
}

#[tokio::test]
async fn a_restart_goes_through_what_was_under_way_and_nothing_else() {
    let fixture = crashed().await;
    let untouched = [fixture.job("waits").await, fixture.job("finished").await, fixture.job("dead").await];
    let (fixture, _) = fixture.reopened().await;
    let mut seen = Vec::new();
    let report = fixture
        .store
        .recover(RecoverScope::InFlight, t(10), |job| {
            seen.push(job.request.partner_reference_no.to_string());
            restarted(job)
        })
        .await
        .unwrap();
    assert_eq!(seen, ["driven", "sent", "claimed", "sent-and-due"]);
    let expected = RecoveryReport { found: 4, recorded: 2, released: 2, ..RecoveryReport::default() };
    assert_eq!(report, expected);
    for key in ["sent", "sent-and-due"] {
        let sent = fixture.timeline(key).await;
        assert_eq!((sent.job.state(), fixture.job(key).await.due_at), ("unconfirmed", Some(t(20))));
        assert_eq!(sent.history.last().unwrap().event, "restarted");
    }
    assert_eq!(fixture.job("driven").await.due_at, Some(t(10)));
    assert_eq!(fixture.job("claimed").await.due_at, Some(t(10)));
    assert_eq!([fixture.job("waits").await, fixture.job("finished").await, fixture.job("dead").await], untouched);
}

#[tokio::test]
async fn a_recovery_run_twice_changes_nothing_the_second_time() {
    let fixture = crashed().await;
    fixture.store.recover(RecoverScope::InFlight, t(10), restarted).await.unwrap();
    let before = fixture.store.jobs(JobFilter::default(), None, 99).await.unwrap();
    let report = fixture.store.recover(RecoverScope::InFlight, t(11), restarted).await.unwrap();
    assert_eq!(report, RecoveryReport::default());
    assert_eq!(fixture.store.jobs(JobFilter::default(), None, 99).await.unwrap(), before);
}

#[tokio::test]
async fn m12_after_a_restore_every_unfinished_job_is_gone_through_and_those_that_wait_keep_waiting() {
    let fixture = crashed().await;
    let mut seen = 0;
    let report = fixture
        .store
        .recover(RecoverScope::Unfinished, t(10), |_| {
            seen += 1;
            None
        })
        .await
        .unwrap();
    assert_eq!((seen, report.found, report.released), (5, 5, 3));
    assert_eq!(fixture.job("waits").await.due_at, Some(t(500)));
}

#[tokio::test]
async fn a_job_changed_by_an_operator_meanwhile_is_left_to_him() {
    let fixture = crashed().await;
    let report = fixture
        .store
        .recover(RecoverScope::InFlight, t(10), |job| {
            // As if it had been read before the operator acted.
            Some(Record::new(job.id, job.version - 1, unconfirmed(t(20)), t(10)))
        })
        .await
        .unwrap();
    assert_eq!((report.found, report.fenced, report.recorded), (4, 4, 0));
}

#[tokio::test]
async fn many_jobs_are_recovered_in_steps() {
    let fixture = Fixture::new();
    let jobs = (0..600).map(|n| new_job(&format!("ref-{n}"))).collect();
    fixture.store.accept(jobs).await.unwrap();
    let report = fixture.store.recover(RecoverScope::InFlight, t(10), |_| None).await.unwrap();
    assert_eq!((report.found, report.released), (600, 600));
    assert_eq!(fixture.store.claim_due("finpay", t(10), 999).await.unwrap().len(), 600);
}

/// The state of a job lies in another table than what the state machine knows: neither may stand for the other.
#[tokio::test]
async fn m1_a_sent_job_whose_last_record_is_lost_is_not_driven_as_one_never_sent() {
    for damage in [
        "DELETE FROM job_records",
        "UPDATE job_states SET record_id = NULL",
        "UPDATE job_states SET record_id = 4711",
        "UPDATE job_states SET state = 'inquired'",
    ] {
        let fixture = Fixture::new();
        let job = fixture.driven("sent").await;
        fixture.store.record(intent(&job, 1)).await.unwrap();
        raw(&fixture.path()).execute_batch(damage).unwrap();
        let (fixture, _) = fixture.reopened().await;
        let report = fixture.store.recover(RecoverScope::InFlight, t(10), restarted).await.unwrap();
        let expected = RecoveryReport { found: 1, unreadable: 1, ..RecoveryReport::default() };
        assert_eq!(report, expected, "{damage}");
        assert!(fixture.store.claim_due("finpay", t(1000), 8).await.unwrap().is_empty(), "{damage}");
    }
}

#[tokio::test]
async fn a_due_job_that_cannot_be_read_does_not_stand_before_the_others() {
    for damage in ["DELETE FROM job_requests WHERE id = 1", "UPDATE job_states SET record_id = 4711 WHERE job_id = 1"] {
        let fixture = Fixture::new();
        fixture.waiting("broken", t(1)).await;
        fixture.waiting("whole", t(2)).await;
        raw(&fixture.path()).execute_batch(&format!("PRAGMA foreign_keys = OFF; {damage}")).unwrap();
        let claimed = fixture.store.claim_due("finpay", t(10), 8).await.unwrap();
        let keys: Vec<&str> = claimed.iter().map(|job| job.request.partner_reference_no.as_str()).collect();
        assert_eq!(keys, ["whole"], "{damage}");
        assert_eq!(fixture.store.next_due("finpay").await.unwrap(), None, "{damage}: nobody is woken for it for ever");
    }
}
