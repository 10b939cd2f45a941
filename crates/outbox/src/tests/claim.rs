//! Handing out what is due.

use std::collections::BTreeSet;

use super::*;

#[tokio::test]
async fn what_is_due_is_handed_out_the_longest_due_first_and_only_in_its_lane() {
    let fixture = Fixture::new();
    for (key, due) in [("c", 30), ("a", 10), ("later", 99), ("b", 20)] {
        fixture.waiting(key, t(due)).await;
    }
    let mut elsewhere = NewJob { due_at: Some(t(1)), ..new_job("elsewhere") };
    elsewhere.request.provider = "midtrans".to_owned();
    fixture.accept_one(elsewhere).await;
    fixture.driven("driven").await;

    assert_eq!(fixture.store.next_due("finpay").await.unwrap(), Some(t(10)));
    let two = fixture.store.claim_due("finpay", t(50), 2).await.unwrap();
    let keys = |jobs: &[StoredJob]| -> Vec<String> {
        jobs.iter().map(|job| job.request.partner_reference_no.to_string()).collect()
    };
    assert_eq!(keys(&two), ["a", "b"]);
    assert_eq!((two[0].version, two[0].due_at), (2, None));
    assert_eq!(two[0], fixture.job("a").await);
    assert_eq!(keys(&fixture.store.claim_due("finpay", t(50), 9).await.unwrap()), ["c"]);
    assert!(fixture.store.claim_due("finpay", t(50), 9).await.unwrap().is_empty());
    assert_eq!(fixture.store.next_due("finpay").await.unwrap(), Some(t(99)));
    assert_eq!(fixture.store.next_due("nobody").await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn m10_two_connections_that_race_for_what_is_due_share_it_without_overlap() {
    let fixture = Fixture::new();
    let jobs = (0..200).map(|n| NewJob { due_at: Some(t(n)), ..new_job(&format!("ref-{n}")) }).collect();
    fixture.store.accept(jobs).await.unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for store in [fixture.store.clone(), fixture.beside(), fixture.store.clone()] {
        tasks.spawn(async move {
            let mut mine = Vec::new();
            loop {
                let jobs = store.claim_due("finpay", t(1000), 7).await.unwrap();
                if jobs.is_empty() {
                    return mine;
                }
                mine.extend(jobs.into_iter().map(|job| job.id));
            }
        });
    }
    let all: Vec<JobId> = tasks.join_all().await.into_iter().flatten().collect();
    assert_eq!(all.len(), 200);
    assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), 200);
}

#[tokio::test]
async fn m10_who_claimed_a_job_fences_off_who_knew_it_before() {
    let fixture = Fixture::new();
    fixture.waiting("ref-1", t(1)).await;
    let before = fixture.job("ref-1").await;
    let claimed = fixture.store.claim_due("finpay", t(1), 1).await.unwrap().remove(0);
    assert!(matches!(fixture.store.record(intent(&before, 1)).await, Err(StoreError::Fenced { .. })));
    fixture.store.record(intent(&claimed, 1)).await.unwrap();
}

#[tokio::test]
async fn a_released_job_is_due_again_and_its_version_is_new() {
    let fixture = Fixture::new();
    let job = fixture.driven("ref-1").await;
    let version = fixture.store.release(job.id, job.version, t(7)).await.unwrap();
    assert_eq!(version, 2);
    let error = fixture.store.release(job.id, job.version, t(8)).await.unwrap_err();
    assert_eq!(error, StoreError::Fenced { id: job.id, expected: 1, found: 2 });
    assert_eq!(fixture.store.release(JobId(9), 1, t(8)).await.unwrap_err(), StoreError::UnknownJob(JobId(9)));
    assert_eq!(fixture.store.next_due("finpay").await.unwrap(), Some(t(7)));
    assert_eq!(fixture.store.claim_due("finpay", t(7), 1).await.unwrap()[0].version, 3);
}

#[tokio::test]
async fn a_job_that_cannot_be_read_does_not_stand_before_the_others() {
    let fixture = Fixture::new();
    fixture.waiting("bad", t(1)).await;
    fixture.waiting("good", t(2)).await;
    raw(&fixture.path()).execute("UPDATE job_requests SET first_engine = '{' WHERE id = 1", []).unwrap();
    let due = fixture.store.claim_due("finpay", t(9), 9).await.unwrap();
    assert_eq!(due.iter().map(|job| job.id).collect::<Vec<_>>(), [JobId(2)]);
    assert!(fixture.store.claim_due("finpay", t(9), 9).await.unwrap().is_empty());
    let error = fixture.store.find(&reference("bad")).await.unwrap_err();
    assert!(matches!(&error, StoreError::Unreadable { row, .. } if row == "jobs 1"), "{error}");
    assert_eq!(fixture.store.health(), Health::Writable);
}

#[tokio::test]
async fn to_find_nothing_due_is_no_commit() {
    let fixture = Fixture::new();
    fixture.driven("ref-1").await;
    let commits = || count(&fixture.path(), "SELECT commit_seq FROM meta");
    let before = commits();
    for _ in 0..5 {
        assert!(fixture.store.claim_due("finpay", t(9), 9).await.unwrap().is_empty());
    }
    assert_eq!(commits(), before);
}
