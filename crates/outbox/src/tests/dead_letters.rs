//! What stands before a person.

use super::*;

#[tokio::test]
async fn a_refused_message_is_kept_whole_with_its_event() {
    let fixture = Fixture::new();
    fixture.store.refuse(vec![refusal("dl-1")]).await.unwrap();
    let letter = fixture.store.dead_letter(&DeadLetterId::new("dl-1")).await.unwrap().unwrap();
    assert_eq!(letter.delivered, Some(refusal("dl-1").delivered));
    assert_eq!((letter.reason, letter.money_state), (DeadReason::Malformed, MoneyState::NeverSent));
    assert_eq!((letter.detail.as_str(), letter.closed), ("amount: is cut off", None));
    assert_eq!(fixture.store.unpublished(t(9), 9).await.unwrap()[0].event_id, "e-dl-1");
    assert_eq!(fixture.store.dead_letter_counts().await.unwrap(), [(DeadReason::Malformed, 1)]);
}

#[tokio::test]
async fn a_dead_job_has_an_open_dead_letter_that_closes_when_it_leaves() {
    let fixture = Fixture::new();
    let job = fixture.died("ref-1").await;
    let id = DeadLetterId::new("dl-ref-1");
    let letter = fixture.store.dead_letter(&id).await.unwrap().unwrap();
    assert_eq!((letter.job, letter.closed), (Some(job.id), None));
    assert_eq!((letter.amount, letter.provider.as_deref()), (Some(amount("10000.00")), Some("finpay")));
    assert_eq!(letter.partner_reference_no, Some(reference("ref-1")));

    let replayed = Record {
        due_at: Some(t(5)),
        audit: Some(audit_entry("dlq_replay")),
        outcomes: vec![NewOutcome { terminal: false, ..outcome("e-r", "topup.replayed") }],
        ..Record::new(job.id, job.version, unconfirmed(t(5)), t(5))
    };
    fixture.store.record(replayed).await.unwrap();
    let letter = fixture.store.dead_letter(&id).await.unwrap().unwrap();
    assert_eq!(letter.closed, Some((t(5), ClosedAs::Replayed)));
    assert!(fixture.store.dead_letter_counts().await.unwrap().is_empty());
    let timeline = fixture.timeline("ref-1").await;
    assert_eq!(timeline.dead_letters.len(), 1);
    let types: Vec<_> = timeline.outcomes.iter().map(|outcome| outcome.event_type.as_str()).collect();
    assert_eq!(types, ["topup.dead_lettered", "topup.replayed"]);
    assert_eq!(fixture.store.audit_rows(0, 9).await.unwrap()[0].entry, audit_entry("dlq_replay"));
}

#[tokio::test]
async fn a_discarded_job_can_be_brought_back_under_the_same_dead_letter_and_end_another_way() {
    let fixture = Fixture::new();
    let job = fixture.died("ref-1").await;
    let discarded = engine_job(State::Discarded { reason: DeadReason::Unresolved });
    let discard = Record {
        outcomes: vec![outcome("e-d", "topup.discarded")],
        ..Record::new(job.id, job.version, discarded, t(5))
    };
    fixture.store.record(discard).await.unwrap();
    let id = DeadLetterId::new("dl-ref-1");
    let closed = fixture.store.dead_letter(&id).await.unwrap().unwrap().closed;
    assert_eq!(closed, Some((t(5), ClosedAs::Discarded)));

    let job = fixture.job("ref-1").await;
    fixture.store.record(Record { outcomes: Vec::new(), ..death(&job, "dl-ref-1") }).await.unwrap();
    assert_eq!(fixture.store.dead_letter(&id).await.unwrap().unwrap().closed, None);
    let job = fixture.job("ref-1").await;
    assert_eq!(job.finished_at, None);

    fixture.store.record(success(&job)).await.unwrap();
    let timeline = fixture.timeline("ref-1").await;
    assert_eq!(timeline.dead_letters[0].closed, Some((t(2), ClosedAs::Succeeded)));
    let types: Vec<_> = timeline.outcomes.iter().map(|outcome| outcome.event_type.as_str()).collect();
    assert_eq!(types, ["topup.dead_lettered", "topup.discarded", "topup.succeeded"]);
    let Accepted::Duplicate(duplicate) = fixture.accept_one(new_job("ref-1")).await else { panic!() };
    assert_eq!(duplicate, Duplicate::Finished { outcome: Some(timeline.outcomes[2].id) });
}

#[tokio::test]
async fn a_dead_letter_says_how_its_job_left() {
    let rejected = State::Rejected { reason: engine::RejectReason::Business };
    let discarded = State::Discarded { reason: DeadReason::Unresolved };
    let ends = [
        (State::Succeeded, ClosedAs::Succeeded),
        (rejected, ClosedAs::Rejected),
        (discarded, ClosedAs::Discarded),
        (State::Ready { at: t(5) }, ClosedAs::Replayed),
    ];
    let fixture = Fixture::new();
    for (number, (state, closed_as)) in ends.into_iter().enumerate() {
        let key = format!("ref-{number}");
        let job = fixture.died(&key).await;
        fixture.store.record(Record::new(job.id, job.version, engine_job(state), t(5))).await.unwrap();
        let letters = fixture.timeline(&key).await.dead_letters;
        assert_eq!(letters[0].closed, Some((t(5), closed_as)));
    }
}

#[tokio::test]
async fn a_dead_job_that_dies_another_way_has_one_open_dead_letter() {
    let fixture = Fixture::new();
    let job = fixture.died("ref-1").await;
    fixture.store.record(death(&job, "dl-second")).await.unwrap();
    let letters = fixture.timeline("ref-1").await.dead_letters;
    assert_eq!(letters[0].closed, Some((t(2), ClosedAs::Superseded)));
    assert_eq!((letters[1].id.as_str(), letters[1].closed), ("dl-second", None));
}

#[tokio::test]
async fn a_dead_letter_s_id_taken_by_something_else_is_refused() {
    let fixture = Fixture::new();
    fixture.died("ref-1").await;
    let other = fixture.driven("ref-2").await;
    let error = fixture.store.record(death(&other, "dl-ref-1")).await.unwrap_err();
    assert!(matches!(error, StoreError::DeadLetterState { why: "belongs to something else", .. }), "{error}");
    assert_eq!(fixture.job("ref-2").await, other);
    let error = fixture.store.refuse(vec![refusal("dl-9"), refusal("dl-ref-1")]).await.unwrap_err();
    assert!(matches!(error, StoreError::Refused(_)), "{error}");
    assert_eq!(fixture.store.dead_letter(&DeadLetterId::new("dl-9")).await.unwrap(), None);
}

#[tokio::test]
async fn a_refused_message_given_another_chance_is_closed_with_what_became_of_it() {
    let fixture = Fixture::new();
    fixture.store.refuse(vec![refusal("dl-1"), refusal("dl-2")]).await.unwrap();
    let closes = |id: &str| Some(DeadLetterId::new(id));
    let edited = NewJob { closes: closes("dl-1"), audit: Some(audit_entry("dlq_edit")), ..new_job("ref-1") };
    fixture.accept_one(edited).await;
    fixture.store.refuse(vec![Refusal { closes: closes("dl-2"), ..refusal("dl-3") }]).await.unwrap();
    let closed = async |id: &str| {
        fixture.store.dead_letter(&DeadLetterId::new(id)).await.unwrap().unwrap().closed.map(|(_, how)| how)
    };
    assert_eq!(closed("dl-1").await, Some(ClosedAs::Replayed));
    assert_eq!(closed("dl-2").await, Some(ClosedAs::Superseded));
    assert_eq!(closed("dl-3").await, None);

    let twice = NewJob { closes: closes("dl-1"), ..new_job("ref-2") };
    let error = fixture.store.accept(vec![twice]).await.unwrap_err();
    assert!(matches!(error, StoreError::DeadLetterState { why: "is closed already", .. }), "{error}");
    assert_eq!(fixture.store.find(&reference("ref-2")).await.unwrap(), None);
}

#[tokio::test]
async fn a_refused_message_is_discarded_restored_and_purged_but_a_job_s_dead_letter_is_not() {
    let fixture = Fixture::new();
    fixture.store.refuse(vec![refusal("dl-1")]).await.unwrap();
    fixture.died("ref-1").await;
    let close = |id: &str| CloseDeadLetter {
        id: DeadLetterId::new(id),
        at: t(5),
        outcome: Some(outcome("e-x", "topup.discarded")),
        audit: audit_entry("dlq_discard"),
    };
    let error = fixture.store.discard_refused(close("dl-ref-1")).await.unwrap_err();
    assert!(matches!(error, StoreError::DeadLetterState { why: "belongs to a job", .. }), "{error}");
    let error = fixture.store.discard_refused(close("dl-9")).await.unwrap_err();
    assert_eq!(error, StoreError::UnknownDeadLetter(DeadLetterId::new("dl-9")));

    assert!(fixture.store.discard_refused(close("dl-1")).await.unwrap().is_some());
    let id = DeadLetterId::new("dl-1");
    fixture.store.restore_refused(&id, audit_entry("dlq_restore")).await.unwrap();
    assert!(fixture.store.restore_refused(&id, audit_entry("dlq_restore")).await.is_err());
    fixture.store.discard_refused(close("dl-1")).await.unwrap();

    assert_eq!(fixture.store.count_purgeable(t(5)).await.unwrap(), 0);
    assert_eq!(fixture.store.count_purgeable(t(6)).await.unwrap(), 1);
    assert_eq!(fixture.store.purge_dead_letters(t(6), audit_entry("dlq_purge")).await.unwrap(), 1);
    assert_eq!(fixture.store.dead_letter(&id).await.unwrap(), None);
    assert!(fixture.store.dead_letter(&DeadLetterId::new("dl-ref-1")).await.unwrap().is_some());
    assert_eq!(fixture.store.audit_rows(0, 9).await.unwrap().len(), 4);
}

#[tokio::test]
async fn what_a_purge_would_delete_is_told_in_rupiah_too() {
    let fixture = Fixture::new();
    for key in ["ref-1", "ref-2", "ref-3"] {
        let job = fixture.died(key).await;
        if key != "ref-3" {
            fixture.store.record(success(&job)).await.unwrap();
        }
    }
    assert_eq!(fixture.store.purgeable_amount(t(2)).await.unwrap(), Total::default());
    assert_eq!(fixture.store.purgeable_amount(t(3)).await.unwrap(), Total::from_minor(2_000_000));
}

#[tokio::test]
async fn dead_letters_are_filtered_paged_and_grouped_with_their_rupiah() {
    let fixture = Fixture::new();
    for n in 0..3 {
        fixture.died(&format!("ref-{n}")).await;
    }
    fixture
        .store
        .refuse(vec![Refusal { claimed_reference: Some("REF-X".to_owned()), ..refusal("dl-a") }])
        .await
        .unwrap();
    let ids = |page: &Page<DeadLetter, DeadLetterId>| -> Vec<String> {
        page.items.iter().map(|letter| letter.id.to_string()).collect()
    };
    let all = DeadLetterFilter::default;
    let page = fixture.store.dead_letters(all(), None, 2).await.unwrap();
    assert_eq!(ids(&page), ["dl-a", "dl-ref-0"]);
    let page = fixture.store.dead_letters(all(), page.next, 2).await.unwrap();
    assert_eq!((ids(&page), page.next), (vec!["dl-ref-1".to_owned(), "dl-ref-2".to_owned()], None));

    let found = async |filter| ids(&fixture.store.dead_letters(filter, None, 9).await.unwrap());
    assert_eq!(found(DeadLetterFilter { matching: Some("ref-x".to_owned()), ..all() }).await, ["dl-a"]);
    assert_eq!(found(DeadLetterFilter { matching: Some("EF-1".to_owned()), ..all() }).await, ["dl-ref-1"]);
    assert_eq!(found(DeadLetterFilter { reason: Some(DeadReason::Malformed), ..all() }).await, ["dl-a"]);
    assert_eq!(found(DeadLetterFilter { ids: vec![DeadLetterId::new("dl-ref-2")], ..all() }).await, ["dl-ref-2"]);
    assert_eq!(found(DeadLetterFilter { response_code: Some("5043800".to_owned()), ..all() }).await.len(), 3);
    assert_eq!(found(DeadLetterFilter { money_state: Some(MoneyState::MaybeSent), ..all() }).await.len(), 3);
    assert_eq!(
        found(DeadLetterFilter { provider: Some("finpay".to_owned()), since: Some(t(3)), ..all() }).await.len(),
        0
    );
    assert_eq!(found(DeadLetterFilter { until: Some(t(1)), ..all() }).await, ["dl-a"]);

    let groups = fixture.store.dead_letter_groups(all()).await.unwrap();
    assert_eq!(groups.len(), 2);
    assert_eq!((groups[0].count, groups[0].amount.to_string().as_str()), (3, "30000.00"));
    assert_eq!((groups[0].face.reason, groups[0].oldest), (DeadReason::Unresolved, t(2)));
    assert_eq!((groups[1].count, groups[1].amount), (1, Total::default()));
    for group in groups {
        let of_face = DeadLetterFilter { face: Some(group.face), ..all() };
        assert_eq!(found(of_face).await.len() as u64, group.count);
    }
    let without_code = DeadLetterFace { response_code: None, ..of_a_timeout() };
    assert!(found(DeadLetterFilter { face: Some(without_code), ..all() }).await.is_empty());
    assert_eq!(found(DeadLetterFilter { face: Some(of_a_timeout()), ..all() }).await.len(), 3);
}

fn of_a_timeout() -> DeadLetterFace {
    DeadLetterFace {
        provider: Some("finpay".to_owned()),
        reason: DeadReason::Unresolved,
        response_code: Some("5043800".to_owned()),
    }
}

#[tokio::test]
async fn a_purge_goes_in_steps_beside_the_others_and_leaves_what_is_open_or_too_young() {
    let fixture = Fixture::new();
    let refusals = (0..200).map(|n| refusal(&format!("dl-{n:03}"))).collect();
    fixture.store.refuse(refusals).await.unwrap();
    for n in 0..170 {
        let id = DeadLetterId::new(format!("dl-{n:03}"));
        let at = if n < 160 { t(5) } else { t(50) };
        let close = CloseDeadLetter { id, at, outcome: None, audit: audit_entry("dlq_discard") };
        fixture.store.discard_refused(close).await.unwrap();
    }
    let commits = || count(&fixture.path(), "SELECT commit_seq FROM meta");
    let before = commits();
    assert_eq!(fixture.store.purge_dead_letters(t(50), audit_entry("dlq_purge")).await.unwrap(), 160);
    assert_eq!(commits() - before, 3);
    assert_eq!(count(&fixture.path(), "SELECT count(*) FROM dead_letters"), 40);
    assert_eq!(count(&fixture.path(), "SELECT count(*) FROM audit WHERE action = 'dlq_purge'"), 1);
    assert_eq!(fixture.store.purge_dead_letters(t(50), audit_entry("dlq_purge")).await.unwrap(), 0);
}

#[tokio::test]
async fn a_step_of_a_purge_ends_behind_the_message_that_makes_it_large() {
    let fixture = Fixture::new();
    for n in 0..6 {
        let mut large = refusal(&format!("dl-{n}"));
        large.delivered.body = vec![b'x'; 128 << 10];
        fixture.store.refuse(vec![large]).await.unwrap();
        let id = DeadLetterId::new(format!("dl-{n}"));
        let close = CloseDeadLetter { id, at: t(5), outcome: None, audit: audit_entry("dlq_discard") };
        fixture.store.discard_refused(close).await.unwrap();
    }
    let commits = || count(&fixture.path(), "SELECT commit_seq FROM meta");
    let before = commits();
    assert_eq!(fixture.store.purge_dead_letters(t(50), audit_entry("dlq_purge")).await.unwrap(), 6);
    assert_eq!(commits() - before, 2, "three of 128 KiB at a time: the third is beyond 256");
}
