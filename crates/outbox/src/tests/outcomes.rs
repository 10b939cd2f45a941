//! The outbox proper.

use super::*;

#[tokio::test]
async fn an_event_waits_until_it_is_marked_and_is_read_as_it_was_written() {
    let fixture = Fixture::new();
    let job = fixture.driven("ref-1").await;
    let recorded = fixture.store.record(success(&job)).await.unwrap();
    assert_eq!(fixture.store.unpublished(t(1), 9).await.unwrap(), []);
    let rows = fixture.store.unpublished(t(2), 9).await.unwrap();
    let written = outcome("e-ref-1", "topup.succeeded");
    assert_eq!(rows.len(), 1);
    assert_eq!((rows[0].id, &rows[0].event_id), (recorded.outcomes[0], &written.event_id));
    assert_eq!(
        (&rows[0].event_type, &rows[0].body, &rows[0].headers),
        (&written.event_type, &written.body, &written.headers)
    );
    fixture.store.mark_published(vec![rows[0].id], t(9)).await.unwrap();
    assert_eq!(fixture.store.unpublished(t(99), 9).await.unwrap(), []);
    assert_eq!(fixture.timeline("ref-1").await.outcomes[0].published_at, Some(t(9)));
}

#[tokio::test]
async fn what_nobody_takes_comes_later_and_can_be_asked_for_by_its_time() {
    let fixture = Fixture::new();
    for n in 0..5 {
        fixture.succeeded(&format!("ref-{n}")).await;
    }
    let ids = |rows: Vec<OutboxRow>| rows.iter().map(|row| row.id.0).collect::<Vec<_>>();
    assert_eq!(ids(fixture.store.unpublished(t(9), 2).await.unwrap()), [1, 2]);

    fixture.store.postpone(vec![(OutcomeId(1), t(60)), (OutcomeId(2), t(50))]).await.unwrap();
    assert_eq!(ids(fixture.store.unpublished(t(9), 9).await.unwrap()), [3, 4, 5]);
    let late = fixture.store.unpublished(t(60), 9).await.unwrap();
    assert_eq!(late.last().unwrap().postponed, 1);
    assert_eq!(ids(late), [3, 4, 5, 2, 1]);
    assert_eq!(ids(fixture.store.due_later_than(t(49), 9).await.unwrap()), [2, 1]);
    assert_eq!(ids(fixture.store.due_later_than(t(49), 1).await.unwrap()), [2]);
    assert_eq!(ids(fixture.store.due_later_than(t(50), 9).await.unwrap()), [1]);
    let backlog = OutboxBacklog { pending: 5, oldest: Some(t(2)) };
    assert_eq!(fixture.store.outbox_backlog().await.unwrap(), backlog);
}

#[tokio::test]
async fn the_debug_form_of_an_event_shows_no_body() {
    let shown = format!("{:?}", NewOutcome { body: b"6281234567902".to_vec(), ..outcome("e-1", "topup.succeeded") });
    assert!(shown.contains("e-1") && !shown.contains("62812") && !shown.contains("54, 50"), "{shown}");
}

#[tokio::test]
async fn an_event_between_two_that_the_broker_took_still_waits() {
    let fixture = Fixture::new();
    for n in 0..6 {
        fixture.succeeded(&format!("ref-{n}")).await;
    }
    // In no order, with a gap: the broker took neither the fourth nor the first.
    let taken = [5, 2, 6, 3].map(OutcomeId).to_vec();
    fixture.store.mark_published(taken, t(9)).await.unwrap();
    let rows = fixture.store.unpublished(t(9), 9).await.unwrap();
    assert_eq!(rows.iter().map(|row| row.id.0).collect::<Vec<_>>(), [1, 4]);
}
