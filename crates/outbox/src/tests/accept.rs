//! Taking jobs in.

use super::*;

#[tokio::test]
async fn a_new_job_is_stored_as_it_was_asked_for_and_comes_back_the_same() {
    let fixture = Fixture::new();
    let accepted = fixture.driven("ref-1").await;
    assert_eq!((accepted.id, accepted.version, accepted.due_at), (JobId(1), 1, None));
    assert_eq!(accepted.request, request("ref-1"));
    let stored = fixture.job("ref-1").await;
    assert_eq!(stored, accepted);
    assert_eq!(stored.request.metadata.expose(), r#"{ "b": 1,  "a": [] }"#);
    assert_eq!(stored.carried.correlation_id.as_deref(), Some("c-1"));
}

#[tokio::test]
async fn jobs_are_numbered_in_the_order_of_their_arrival_and_all_or_none_are_taken() {
    let fixture = Fixture::new();
    let batch = vec![new_job("b"), new_job("a"), new_job("b")];
    let accepted = fixture.store.accept(batch).await.unwrap();
    assert!(matches!(&accepted[0], Accepted::New(job) if job.id == JobId(1)));
    assert!(matches!(&accepted[1], Accepted::New(job) if job.id == JobId(2)));
    assert!(matches!(&accepted[2], Accepted::Duplicate(Duplicate::Unfinished)));

    let bad = NewJob { closes: Some(DeadLetterId::new("nowhere")), ..new_job("d") };
    let error = fixture.store.accept(vec![new_job("c"), bad]).await.unwrap_err();
    assert_eq!(error, StoreError::UnknownDeadLetter(DeadLetterId::new("nowhere")));
    assert_eq!(fixture.store.find(&reference("c")).await.unwrap(), None);
}

#[tokio::test]
async fn the_same_content_again_makes_no_second_job_whatever_its_spelling() {
    let fixture = Fixture::new();
    fixture.driven("ref-1").await;
    let again = NewJob {
        request: JobRequest {
            customer_number: CustomerNumber::parse("+6281234567902").unwrap(),
            customer_name: None,
            metadata: Private::from("{}"),
            not_after: None,
            ..request("ref-1")
        },
        ..new_job("ref-1")
    };
    assert!(matches!(fixture.accept_one(again).await, Accepted::Duplicate(Duplicate::Unfinished)));
    assert_eq!(count(&fixture.path(), "SELECT count(*) FROM jobs"), 1);
    assert_eq!(fixture.job("ref-1").await.request, request("ref-1"));
}

#[tokio::test]
async fn a_repeat_of_a_finished_job_publishes_its_outcome_again_with_the_same_id_and_body() {
    let fixture = Fixture::new();
    fixture.succeeded("ref-1").await;
    let first = fixture.store.unpublished(t(10), 10).await.unwrap();
    assert_eq!(first.len(), 1);

    // Not yet published: it waits where it is.
    let again = fixture.accept_one(new_job("ref-1")).await;
    let finished = Duplicate::Finished { outcome: Some(first[0].id) };
    assert!(matches!(again, Accepted::Duplicate(duplicate) if duplicate == finished));
    assert_eq!(fixture.store.unpublished(t(10), 10).await.unwrap(), first);

    fixture.store.mark_published(vec![first[0].id], t(11)).await.unwrap();
    assert!(fixture.store.unpublished(t(99), 10).await.unwrap().is_empty());
    let repeat = NewJob { at: t(50), ..new_job("ref-1") };
    assert!(matches!(fixture.accept_one(repeat).await, Accepted::Duplicate(duplicate) if duplicate == finished));
    let second = fixture.store.unpublished(t(50), 10).await.unwrap();
    assert_eq!((second[0].id, &second[0].event_id, &second[0].body), (first[0].id, &first[0].event_id, &first[0].body));
    assert_eq!(fixture.store.outbox_backlog().await.unwrap(), OutboxBacklog { pending: 1, oldest: Some(t(50)) });
}

#[tokio::test]
async fn a_repeat_of_a_dead_job_leaves_it_to_the_operator() {
    let fixture = Fixture::new();
    let before = fixture.died("ref-1").await;
    assert!(matches!(fixture.accept_one(new_job("ref-1")).await, Accepted::Duplicate(Duplicate::Dead)));
    assert_eq!(fixture.job("ref-1").await, before);
}

#[tokio::test]
async fn a_key_taken_by_other_content_is_a_dead_letter_that_names_the_fields_and_leaves_the_first_job_alone() {
    let fixture = Fixture::new();
    let first = fixture.driven("ref-1").await;
    let other = NewJob {
        request: JobRequest {
            customer_number: CustomerNumber::parse("081111111111").unwrap(),
            amount: amount("20000.00"),
            provider: "midtrans".to_owned(),
            beneficiary_provider: Some("gopay".to_owned()),
            ..request("ref-1")
        },
        ..new_job("ref-1")
    };
    let Accepted::Conflict { dead_letter, fields } = fixture.accept_one(other).await else { panic!() };
    assert_eq!(fields, ["customerNumber", "amount", "provider", "beneficiaryProvider"]);
    let letter = fixture.store.dead_letter(&dead_letter).await.unwrap().unwrap();
    assert_eq!(letter.reason, DeadReason::IdempotencyConflict);
    assert_eq!(letter.detail, "differs in customerNumber, amount, provider, beneficiaryProvider");
    assert_eq!((letter.job, letter.partner_reference_no), (None, None));
    assert_eq!(letter.claimed_reference.as_deref(), Some("ref-1"));
    assert!(!letter.detail.contains("20000") && !letter.detail.contains("10000"));
    let events = fixture.store.unpublished(t(9), 9).await.unwrap();
    assert_eq!(events[0].event_type, "topup.message_refused");
    assert_eq!(fixture.job("ref-1").await, first);
}

#[tokio::test]
async fn one_differing_field_is_enough_and_only_it_is_named() {
    let fixture = Fixture::new();
    fixture.driven("ref-1").await;
    let other = NewJob { request: JobRequest { amount: amount("10000.01"), ..request("ref-1") }, ..new_job("ref-1") };
    let Accepted::Conflict { fields, .. } = fixture.accept_one(other).await else { panic!() };
    assert_eq!(fields, ["amount"]);
}
