//! What a clock that was wrong left behind is put right in one transaction (M17).

use engine::Correction;

use super::*;

const THREE_DAYS: i64 = 3 * 86_400_000;

fn stored() -> StoredClock {
    StoredClock { boot: "boot-1".to_owned(), offset_ms: 7, known_since: t(1) }
}

/// In doubt since `ended`, to be asked about at `due`.
async fn in_doubt(store: &Store, key: &str, ended: i64, due: i64) -> StoredJob {
    let job = accepted(store, key).await;
    let mut next = job.job.clone();
    next.state = State::Unconfirmed { at: t(due), not_found: 1, refusal: None };
    let evidence = &mut next.evidence;
    (evidence.money, evidence.doubted) = (MoneyState::MaybeSent, true);
    (evidence.first_sent_at, evidence.last_ended_at) = (Some(t(ended - 10)), Some(t(ended)));
    let mut record = Record::new(job.id, job.version, next, t(ended));
    record.due_at = Some(t(due));
    store.record(record).await.unwrap();
    store.job(job.id).await.unwrap().unwrap()
}

async fn accepted(store: &Store, key: &str) -> StoredJob {
    match store.accept(vec![new_job(key)]).await.unwrap().remove(0) {
        Accepted::New(job) => *job,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn m17_the_clock_is_noted_and_read_back() {
    let fixture = Fixture::new();
    assert_eq!(fixture.store.clock().await.unwrap(), None);
    assert_eq!(fixture.store.set_clock(Some(stored()), None, None).await.unwrap(), 0);
    assert_eq!(fixture.store.clock().await.unwrap(), Some(stored()));
}

#[tokio::test]
async fn m17_what_waits_by_a_clock_that_was_ahead_is_moved_by_just_that_and_the_rest_stays() {
    let fixture = Fixture::new();
    let store = &fixture.store;
    let right = in_doubt(store, "right", 1_000, 4_000).await;
    let wrong = in_doubt(store, "wrong", THREE_DAYS + 5_000, THREE_DAYS + 9_000).await;
    let ahead = Some((t(THREE_DAYS + 2_000), std::time::Duration::from_millis(THREE_DAYS.unsigned_abs())));
    let correction = Correction { now: t(6_000), ahead, unknown_since: None };
    assert_eq!(store.wrong_times(correction).await.unwrap(), 1);
    let audit = audit_entry("clock_corrected");
    assert_eq!(store.set_clock(Some(stored()), Some(correction), Some(audit)).await.unwrap(), 1);
    assert_eq!(store.job(right.id).await.unwrap().unwrap(), right);
    let moved = store.job(wrong.id).await.unwrap().unwrap();
    let evidence = moved.job.evidence;
    assert_eq!((evidence.first_sent_at, evidence.last_ended_at), (Some(t(4_990)), Some(t(5_000))));
    assert_eq!((moved.due_at, moved.version), (Some(t(9_000)), wrong.version + 1));
    let timeline = store.timeline(&moved.request.partner_reference_no).await.unwrap().unwrap();
    assert_eq!(timeline.history.last().map(|entry| entry.event.to_string()).as_deref(), Some("clock_corrected"));
    assert!(timeline.outcomes.is_empty());
    assert_eq!(store.audit_rows(0, 9).await.unwrap().len(), 1);
}

#[tokio::test]
async fn m17_due_times_that_nobody_can_tell_are_looked_at_now_and_events_go_out() {
    let fixture = Fixture::new();
    let store = &fixture.store;
    let doubt = in_doubt(store, "doubt", THREE_DAYS, THREE_DAYS + 9_000).await;
    let given_back = accepted(store, "given-back").await;
    store.release(given_back.id, given_back.version, t(THREE_DAYS)).await.unwrap();
    let driven = accepted(store, "driven").await;
    let correction = Correction { now: t(6_000), ahead: None, unknown_since: None };
    store.set_clock(None, Some(correction), None).await.unwrap();
    let job = store.job(doubt.id).await.unwrap().unwrap();
    assert_eq!(job.due_at, Some(t(6_000)));
    assert_eq!(job.job.evidence.last_ended_at, Some(t(6_000)), "its quiet period begins anew");
    assert_eq!(store.job(given_back.id).await.unwrap().unwrap().due_at, Some(t(6_000)));
    assert_eq!(store.job(driven.id).await.unwrap().unwrap(), driven);
    assert_eq!(store.next_due("finpay").await.unwrap(), Some(t(6_000)));
}
