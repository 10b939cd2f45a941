//! Recording what happened.

use super::*;

#[tokio::test]
async fn m10_a_stale_version_is_fenced_and_changes_nothing() {
    let fixture = Fixture::new();
    let job = fixture.driven("ref-1").await;
    fixture.store.record(intent(&job, 1)).await.unwrap();
    let before = fixture.timeline("ref-1").await;
    let stale = Record { audit: Some(audit_entry("x")), ends: vec![end(1)], ..success(&job) };
    let error = fixture.store.record(stale).await.unwrap_err();
    assert_eq!(error, StoreError::Fenced { id: job.id, expected: 1, found: 2 });
    let after = fixture.timeline("ref-1").await;
    assert_eq!((&after.job, &after.history, &after.attempts), (&before.job, &before.history, &before.attempts));
    assert!(after.outcomes.is_empty() && fixture.store.audit_rows(0, 9).await.unwrap().is_empty());
}

#[tokio::test]
async fn m10_of_two_records_at_the_same_version_one_wins() {
    let fixture = Fixture::new();
    let other = fixture.beside();
    let job = fixture.driven("ref-1").await;
    let (ours, theirs) = tokio::join!(fixture.store.record(intent(&job, 1)), other.record(intent(&job, 2)));
    assert_eq!(u8::from(ours.is_ok()) + u8::from(theirs.is_ok()), 1, "{ours:?} {theirs:?}");
    assert_eq!(fixture.timeline("ref-1").await.attempts.len(), 1);
}

#[tokio::test]
async fn m1_an_intent_is_on_disk_with_its_attempt_before_record_returns() {
    let fixture = Fixture::new();
    let job = fixture.driven("ref-1").await;
    let recorded = fixture.store.record(intent(&job, 1)).await.unwrap();
    assert_eq!(recorded, Recorded { version: 2, attempts: 1, outcomes: Vec::new() });
    // Seen by a stranger, thus committed.
    let path = fixture.path();
    assert_eq!(count(&path, "SELECT count(*) FROM jobs WHERE state = 'sending' AND due_at IS NULL"), 1);
    assert_eq!(
        count(
            &path,
            "SELECT count(*) FROM job_records WHERE happened ->> '$.requests[0].service' = 38 AND happened ->> '$.requests[0].end' IS NULL"
        ),
        1
    );
}

#[tokio::test]
async fn state_history_attempts_and_outcome_are_one_transaction() {
    let fixture = Fixture::new();
    let job = fixture.driven("ref-1").await;
    fixture.store.record(intent(&job, 1)).await.unwrap();
    let job = fixture.job("ref-1").await;

    // The last part fails: an end of an attempt that there is not. Nothing of the record may stay.
    let broken = Record { ends: vec![end(1), end(99)], ..success(&job) };
    let error = fixture.store.record(broken).await.unwrap_err();
    assert!(matches!(error, StoreError::Refused(_)), "{error:?}");
    let untouched = fixture.timeline("ref-1").await;
    assert_eq!(untouched.job, KnownJob::Whole(Box::new(job.clone())));
    assert_eq!((untouched.history.len(), untouched.outcomes.len()), (1, 0));
    assert_eq!(untouched.attempts[0].end, None);

    let recorded = fixture.store.record(Record { ends: vec![end(1)], ..success(&job) }).await.unwrap();
    let done = fixture.timeline("ref-1").await;
    let ended = done.job.whole().unwrap();
    assert_eq!((ended.job.state, ended.version), (State::Succeeded, recorded.version));
    assert_eq!((ended.finished_at, ended.fee_amount), (Some(t(2)), Some(Amount::ZERO)));
    assert_eq!(ended.reference_no.as_deref(), Some("2211150005490937"));
    assert_eq!(done.history, [entry("send_started"), entry("topped_up")]);
    assert_eq!(done.attempts[0].end, Some(end(1)));
    assert_eq!(done.outcomes.iter().map(|outcome| outcome.id).collect::<Vec<_>>(), recorded.outcomes);
}

#[tokio::test]
async fn a_record_that_fails_does_not_sink_the_others_of_its_group() {
    let fixture = Fixture::new();
    let mut records = Vec::new();
    for n in 0..20 {
        let job = fixture.driven(&format!("ref-{n}")).await;
        let ends = if n % 5 == 0 { vec![end(1), end(99)] } else { vec![end(1)] };
        records.push(Record { attempts: vec![attempt(1)], ends, ..success(&job) });
    }
    let mut tasks = tokio::task::JoinSet::new();
    for record in records {
        let store = fixture.store.clone();
        tasks.spawn(async move { (record.id, store.record(record).await) });
    }
    while let Some(done) = tasks.join_next().await {
        let (id, result) = done.unwrap();
        assert_eq!(result.is_err(), (id.0 - 1) % 5 == 0, "{id}: {result:?}");
    }
    assert_eq!(count(&fixture.path(), "SELECT count(*) FROM job_records"), 16);
    assert_eq!(count(&fixture.path(), "SELECT count(*) FROM outcomes"), 16);
    assert_eq!(fixture.store.health(), Health::Writable);
}

#[tokio::test]
async fn only_requests_that_move_money_count_as_attempts() {
    let fixture = Fixture::new();
    let job = fixture.driven("ref-1").await;
    let inquiry = NewAttempt { service: Service::AccountInquiry, end: Some(end(1)), ..attempt(1) };
    let record = Record { attempts: vec![inquiry, attempt(2)], ..intent(&job, 2) };
    assert_eq!(fixture.store.record(record).await.unwrap().attempts, 1);
    let timeline = fixture.timeline("ref-1").await;
    let job = timeline.job.whole().unwrap();
    assert_eq!((job.attempts, job.requests), (1, 2));
    assert_eq!(timeline.attempts.iter().map(|attempt| attempt.no).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(timeline.attempts[0].end, Some(end(1)));
}

#[tokio::test]
async fn an_answer_without_a_field_leaves_what_an_earlier_one_told() {
    let fixture = Fixture::new();
    let job = fixture.driven("ref-1").await;
    let told = AnswerFields { reference_no: Some("77".to_owned()), ..AnswerFields::default() };
    let first = Record { answer: told, ..Record::new(job.id, 1, unconfirmed(t(5)), t(1)) };
    fixture.store.record(first).await.unwrap();
    let told = AnswerFields { response_code: Some("2003900".to_owned()), ..AnswerFields::default() };
    let second = Record { answer: told, ..Record::new(job.id, 2, unconfirmed(t(9)), t(2)) };
    fixture.store.record(second).await.unwrap();
    let job = fixture.job("ref-1").await;
    assert_eq!((job.reference_no.as_deref(), job.response_code.as_deref()), (Some("77"), Some("2003900")));
}

#[tokio::test]
async fn a_job_does_not_die_without_a_dead_letter_and_an_unknown_job_is_named() {
    let fixture = Fixture::new();
    let job = fixture.driven("ref-1").await;
    let error = fixture.store.record(Record { dead_letter: None, ..death(&job, "x") }).await.unwrap_err();
    assert_eq!(error, StoreError::Refused("a job dies without a dead letter".to_owned()));
    let error = fixture.store.record(Record { id: JobId(77), ..success(&job) }).await.unwrap_err();
    assert_eq!(error, StoreError::UnknownJob(JobId(77)));
    assert_eq!(fixture.job("ref-1").await, job);
}

#[tokio::test]
async fn m10_a_job_whose_request_is_leaving_is_not_due() {
    let fixture = Fixture::new();
    let job = fixture.driven("ref-1").await;
    let error = fixture.store.record(Record { due_at: Some(t(0)), ..intent(&job, 1) }).await.unwrap_err();
    assert_eq!(error, StoreError::Refused("a job is sending and due".to_owned()));
    assert_eq!(fixture.job("ref-1").await, job);
}

#[tokio::test]
async fn a_caller_that_goes_away_does_not_undo_its_record() {
    let fixture = Fixture::new();
    let job = fixture.driven("ref-1").await;
    // Nothing is committed before the caller has gone.
    let other = raw(&fixture.path());
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    {
        let mut record = std::pin::pin!(fixture.store.record(success(&job)));
        // Once is enough to hand it to the writer.
        let poll = futures_poll(record.as_mut()).await;
        assert!(poll.is_pending());
    }
    other.execute_batch("COMMIT").unwrap();
    // Whatever comes behind it on the writer is committed after it.
    fixture.driven("ref-2").await;
    assert_eq!(fixture.job("ref-1").await.job.state, State::Succeeded);
}

/// Polls a future once.
async fn futures_poll<F: Future>(mut future: std::pin::Pin<&mut F>) -> std::task::Poll<F::Output> {
    std::future::poll_fn(|context| std::task::Poll::Ready(future.as_mut().poll(context))).await
}

#[tokio::test]
async fn m5_an_amendment_keeps_what_the_request_was_and_changes_only_what_it_may() {
    let fixture = Fixture::new();
    let job = fixture.died("dead-1").await;
    let mut record = Record::new(job.id, job.version, job.job.clone(), t(20));
    record.amendment = Some(Box::new(Amendment {
        customer_name: Some(Private::from("Siti")),
        notes: None,
        beneficiary_email: None,
        not_after: Some(t(99)),
    }));
    record.audit = Some(audit_entry("dlq_edit"));
    fixture.store.record(record.clone()).await.unwrap();
    let amended = fixture.job("dead-1").await;
    assert_eq!(amended.request.customer_name, Some(Private::from("Siti")));
    assert_eq!((amended.request.notes, amended.request.not_after), (None, Some(t(99))));
    assert_eq!(
        (amended.request.amount, amended.request.customer_number),
        (job.request.amount, job.request.customer_number)
    );
    let sql = format!(
        "SELECT count(*) FROM amendments WHERE job_id = {} AND version = {} AND customer_name = 'BUDI SANTOSO'",
        job.id.0, job.version
    );
    assert_eq!(count(&fixture.path(), &sql), 1);
    // From what has changed since it was read.
    assert!(matches!(fixture.store.record(record).await, Err(StoreError::Fenced { .. })));
    assert_eq!(count(&fixture.path(), "SELECT count(*) FROM amendments"), 1);
}

#[tokio::test]
async fn what_a_record_notes_is_stored_in_the_form_that_other_versions_read_and_comes_back_whole() {
    let fixture = Fixture::new();
    let job = fixture.driven("ref-1").await;
    let told = HistoryEntry { detail: json!({"wait_ms": 500}), ..entry("waits") };
    let history = vec![entry("send_started"), told];
    fixture.store.record(Record { history: history.clone(), ..intent(&job, 1) }).await.unwrap();
    let stored: String =
        raw(&fixture.path()).query_row("SELECT happened FROM job_records", [], |row| row.get(0)).unwrap();
    let (at, id) = (t(1).as_millis(), external_id(1));
    let expected = format!(
        "{{\"history\":[{{\"at\":{at},\"event\":\"send_started\"}},\
         {{\"at\":{at},\"event\":\"waits\",\"detail\":{{\"wait_ms\":500}}}}],\
         \"requests\":[{{\"id\":\"{}\",\"service\":38,\"at\":{at},\"sha256\":\"{}\"}}]}}",
        id.as_str(),
        "ab".repeat(32),
    );
    assert_eq!(stored, expected);
    assert_eq!(fixture.timeline("ref-1").await.history, history);
}
