//! Jobs that ended long ago: what is kept of them, what is not, and what a repeated message is told.

use std::time::Duration;

use super::*;

/// Long after everything ended and was published.
const LATER: Timestamp = Timestamp::from_millis(1_700_000_900_000);

impl Fixture {
    /// A job that succeeded, and whose outcome was confirmed.
    async fn told(&self, key: &str) -> StoredJob {
        let job = self.succeeded(key).await;
        self.publish_all(t(3)).await;
        job
    }

    async fn publish_all(&self, now: Timestamp) {
        let waiting = self.store.unpublished(now, 9_999).await.unwrap();
        self.store.mark_published(waiting.iter().map(|row| row.id).collect(), now).await.unwrap();
    }

    /// Shrinks all that may; answers how many jobs.
    async fn shrink(&self) -> u64 {
        sweep(async |after| self.store.shrink_some(LATER, LATER, after).await.unwrap()).await
    }

    /// Forgets all that may; answers how many keys.
    async fn forget(&self) -> u64 {
        sweep(async |after| self.store.forget_some(LATER, after).await.unwrap()).await
    }

    async fn known(&self, key: &str) -> KnownJob {
        self.timeline(key).await.job
    }

    async fn repeated(&self, key: &str) -> Duplicate {
        match self.accept_one(NewJob { at: LATER, ..new_job(key) }).await {
            Accepted::Duplicate(duplicate) => duplicate,
            other => panic!("{other:?}"),
        }
    }
}

async fn sweep(step: impl AsyncFn(Option<JobId>) -> Swept) -> u64 {
    let (mut after, mut done) = (None, 0);
    loop {
        let swept = step(after).await;
        done += swept.done;
        after = swept.next;
        if after.is_none() {
            return done;
        }
    }
}

fn is_tombstone(job: &KnownJob) -> bool {
    matches!(job, KnownJob::Tombstone(_))
}

#[tokio::test]
async fn a_job_that_ended_long_ago_keeps_what_a_later_question_needs_and_nothing_private() {
    let fixture = Fixture::new();
    let job = fixture.told("ref-1").await;
    let before = fixture.timeline("ref-1").await;
    assert_eq!(fixture.shrink().await, 1);

    let after = fixture.timeline("ref-1").await;
    let KnownJob::Tombstone(left) = &after.job else { panic!("{:?}", after.job) };
    let expected = Tombstone {
        id: job.id,
        partner_reference_no: reference("ref-1"),
        provider: "finpay".to_owned(),
        amount: amount("10000.00"),
        beneficiary_provider: None,
        state: "succeeded".to_owned(),
        reason: None,
        money_state: "never_sent".to_owned(),
        accepted_at: t(0),
        finished_at: t(2),
        shrunk_at: LATER,
        reference_no: Some("2211150005490937".to_owned()),
        response_code: Some("2003800".to_owned()),
        response_message: Some("Successful".to_owned()),
        fee_amount: Some(Amount::ZERO),
        attempts: 0,
        requests: 0,
    };
    assert_eq!(**left, expected);
    assert_eq!(after.outcomes, before.outcomes, "the event stays as it was published");
    assert_eq!((after.history.len(), after.attempts.len()), (0, 0));
    let past = StoreError::PastRetention(reference("ref-1"));
    assert_eq!(fixture.store.find(&reference("ref-1")).await.unwrap_err(), past);
    assert_eq!(fixture.store.job(job.id).await.unwrap_err(), past);
    fixture.store.close().await;

    let rows = |table: &str| count(&fixture.path(), &format!("SELECT count(*) FROM {table}"));
    assert_eq!([rows("job_requests"), rows("job_records"), rows("tombstones"), rows("jobs")], [0, 0, 1, 1]);
    let every_text = "SELECT group_concat(quote(partner_reference_no) || quote(customer_number) || quote(customer_name)
        || quote(notes) || quote(metadata) || quote(engine) || quote(customer_digest)) FROM jobs";
    let left: String = raw(&fixture.path()).query_row(every_text, [], |row| row.get(0)).unwrap();
    assert!(left.contains("ref-1") && !left.contains("81234567902") && !left.contains("BUDI"), "{left}");
}

#[tokio::test]
async fn m5_a_repeated_message_of_a_shrunken_job_is_a_duplicate_and_its_outcome_is_told_again_as_it_was() {
    let fixture = Fixture::new();
    fixture.told("ref-1").await;
    let event = fixture.timeline("ref-1").await.outcomes.remove(0);
    fixture.shrink().await;

    assert_eq!(fixture.repeated("ref-1").await, Duplicate::Finished { outcome: Some(event.id) });
    let again = fixture.store.unpublished(LATER, 9).await.unwrap().remove(0);
    assert_eq!((again.event_id, again.event_type, again.body), (event.event_id, event.event_type, event.body));
    assert_eq!(again.headers, r#"{"correlation_id":"c-1"}"#);

    // Nothing of the repeat can be driven, now or after a restart.
    let (fixture, _) = fixture.reopened().await;
    let scope = RecoverScope::Unfinished;
    assert_eq!(fixture.store.recover(scope, LATER, |_| None).await.unwrap(), RecoveryReport::default());
    assert!(fixture.store.claim_due("finpay", LATER, 9).await.unwrap().is_empty());
    assert_eq!(count(&fixture.path(), "SELECT count(*) FROM jobs"), 1);
    assert!(is_tombstone(&fixture.known("ref-1").await));
}

#[tokio::test]
async fn m5_the_same_key_with_other_content_is_a_conflict_that_names_the_fields_after_shrinking_too() {
    let fixture = Fixture::new();
    let wallet = |name: &str| JobRequest { beneficiary_provider: Some(name.to_owned()), ..request("ref-1") };
    let first = NewJob { request: wallet("gopay"), ..new_job("ref-1") };
    let Accepted::New(job) = fixture.accept_one(first).await else { panic!() };
    fixture.store.record(success(&job)).await.unwrap();
    fixture.publish_all(t(3)).await;
    assert_eq!(fixture.shrink().await, 1);

    let same = JobRequest { customer_number: CustomerNumber::parse("+6281234567902").unwrap(), ..wallet("gopay") };
    let again = fixture.accept_one(NewJob { request: same, ..new_job("ref-1") }).await;
    assert!(matches!(again, Accepted::Duplicate(Duplicate::Finished { .. })), "{again:?}");
    let other_customer = CustomerNumber::parse("081234567903").unwrap();
    for (request, expected) in [
        (JobRequest { customer_number: other_customer, ..wallet("gopay") }, "customerNumber"),
        (JobRequest { amount: amount("10000.01"), ..wallet("gopay") }, "amount"),
        (JobRequest { provider: "midtrans".to_owned(), ..wallet("gopay") }, "provider"),
        (wallet("ovo"), "beneficiaryProvider"),
        (JobRequest { beneficiary_provider: None, ..wallet("gopay") }, "beneficiaryProvider"),
    ] {
        let on_conflict: OnConflict = Box::new(move |fields| refusal(&format!("dl-{}-{}", fields[0], fields.len())));
        let outcome = fixture.accept_one(NewJob { request, on_conflict, ..new_job("ref-1") }).await;
        let Accepted::Conflict { fields, dead_letter } = outcome else { panic!("{outcome:?}") };
        assert_eq!(fields, [expected]);
        fixture.store.discard_refused(close(&dead_letter)).await.unwrap();
        fixture.store.purge_dead_letters(LATER, audit_entry("dlq_purge")).await.unwrap();
    }
    assert_eq!(count(&fixture.path(), "SELECT count(*) FROM jobs"), 1);
}

fn close(id: &DeadLetterId) -> CloseDeadLetter {
    CloseDeadLetter { id: id.clone(), at: t(9), outcome: None, audit: audit_entry("dlq_discard") }
}

#[tokio::test]
async fn m12_what_is_open_dead_or_not_yet_told_keeps_everything_and_so_does_what_ended_since() {
    let fixture = Fixture::new();
    fixture.driven("open").await;
    fixture.waiting("waits", t(5)).await;
    fixture.died("dead").await;
    fixture.told("told").await;
    // Its outcome waits; those before it were published.
    fixture.succeeded("untold").await;
    // Its terminal outcome was told, and an earlier event of it was not.
    let job = fixture.died("half-told").await;
    fixture.store.record(success(&job)).await.unwrap();
    let events = fixture.timeline("half-told").await.outcomes;
    fixture.store.mark_published(vec![events[1].id], t(3)).await.unwrap();
    // It ended without an event: nobody was told.
    let job = fixture.driven("silent").await;
    fixture.store.record(Record { outcomes: Vec::new(), ..success(&job) }).await.unwrap();
    let job = fixture.driven("new").await;
    fixture.store.record(Record { at: LATER, ..success(&job) }).await.unwrap();

    let before = fixture.store.jobs(JobFilter::default(), None, 99).await.unwrap().items;
    assert_eq!(fixture.shrink().await, 1);
    for job in before {
        let key = job.partner_reference_no().as_str();
        match key {
            "told" => assert!(is_tombstone(&fixture.known(key).await)),
            key => assert_eq!(fixture.known(key).await, job, "{key}"),
        }
    }
    fixture.publish_all(LATER).await;
    assert_eq!(fixture.shrink().await, 2, "those that were told meanwhile");
    let still_whole = ["open", "waits", "dead", "silent", "new"];
    for key in still_whole {
        assert!(!is_tombstone(&fixture.known(key).await), "{key}");
    }
}

#[tokio::test]
async fn m4_a_dead_letter_that_was_let_go_and_died_again_is_never_shrunken_and_one_that_ended_is() {
    let fixture = Fixture::new();
    let died = fixture.died("again").await;
    fixture.store.record(Record::new(died.id, died.version, unconfirmed(t(5)), t(4))).await.unwrap();
    let replayed = fixture.job("again").await;
    fixture.store.record(death(&replayed, "dl-second")).await.unwrap();
    fixture.publish_all(t(9)).await;
    assert_eq!(fixture.shrink().await, 0);

    let died = fixture.job("again").await;
    let discarded = engine_job(State::Discarded { reason: DeadReason::Unresolved });
    let outcomes = vec![outcome("e-end", "topup.discarded")];
    fixture.store.record(Record { outcomes, ..Record::new(died.id, died.version, discarded, t(9)) }).await.unwrap();
    assert_eq!(fixture.shrink().await, 0, "nobody was told yet");
    fixture.publish_all(t(10)).await;
    assert_eq!(fixture.shrink().await, 1);

    let timeline = fixture.timeline("again").await;
    let KnownJob::Tombstone(left) = &timeline.job else { panic!() };
    assert_eq!((left.state.as_str(), left.reason.as_deref()), ("discarded", Some("unresolved")));
    let events: Vec<_> = timeline.outcomes.iter().map(|event| event.event_type.as_str()).collect();
    assert_eq!(events, ["topup.discarded"], "of its events the one that tells its end");
    assert_eq!(timeline.dead_letters.len(), 2, "its dead letters are a purge's affair");
    // Who had read the job before can do nothing to it any more.
    let late = Record::new(died.id, died.version + 1, unconfirmed(t(20)), t(20));
    assert!(matches!(fixture.store.record(late).await, Err(StoreError::Fenced { .. })));
    assert!(fixture.store.open_totals().await.unwrap().is_empty());
}

#[tokio::test]
async fn m12_a_job_between_two_that_shrink_keeps_everything() {
    let fixture = Fixture::new();
    // Numbers that lie one, two and many apart.
    let stays = |n: i64| matches!(n, 2 | 5 | 6 | 9..=15);
    for n in 1..=18 {
        let key = format!("ref-{n}");
        if stays(n) { drop(fixture.driven(&key).await) } else { drop(fixture.told(&key).await) }
    }
    let before = fixture.store.jobs(JobFilter::default(), None, 99).await.unwrap().items;
    assert_eq!(fixture.shrink().await, 8);
    for job in before {
        let (id, key) = (job.id().0, job.partner_reference_no().as_str());
        if stays(id) {
            assert_eq!(fixture.known(key).await, job);
        } else {
            assert!(is_tombstone(&fixture.known(key).await), "{key}");
        }
    }
}

#[tokio::test]
async fn a_rejected_job_shrinks_too_and_keeps_why() {
    let fixture = Fixture::new();
    let job = fixture.driven("ref-1").await;
    let rejected = engine_job(State::Rejected { reason: engine::RejectReason::Expired });
    let outcomes = vec![outcome("e-1", "topup.rejected")];
    fixture.store.record(Record { outcomes, ..Record::new(job.id, job.version, rejected, t(2)) }).await.unwrap();
    fixture.publish_all(t(3)).await;
    assert_eq!(fixture.shrink().await, 1);
    let KnownJob::Tombstone(left) = fixture.known("ref-1").await else { panic!() };
    assert_eq!((left.state.as_str(), left.reason.as_deref()), ("rejected", Some("expired")));
}

#[tokio::test]
async fn what_a_job_s_records_hold_counts_for_the_bytes_of_a_step() {
    let fixture = Fixture::new();
    for n in 0..40 {
        let job = fixture.driven(&format!("ref-{n}")).await;
        let long = HistoryEntry { detail: json!("x".repeat(20_000)), ..entry("topped_up") };
        fixture.store.record(Record { history: vec![long], ..success(&job) }).await.unwrap();
    }
    fixture.publish_all(t(3)).await;
    let first = fixture.store.shrink_some(LATER, LATER, None).await.unwrap();
    assert!((10..20).contains(&first.done), "256 KiB of 20 kB each: {first:?}");
}

#[tokio::test]
async fn counts_and_rupiah_stay_right() {
    let fixture = Fixture::new();
    for n in 0..5 {
        fixture.told(&format!("ref-{n}")).await;
    }
    fixture.died("dead").await;
    let before = fixture.store.totals(JobFilter::default()).await.unwrap();
    let keys = async |filter| {
        let page = fixture.store.jobs(filter, None, 99).await.unwrap();
        page.items.iter().map(|job| job.partner_reference_no().to_string()).collect::<Vec<_>>()
    };
    let listed = keys(JobFilter::default()).await;
    assert_eq!(fixture.shrink().await, 5);
    assert_eq!(fixture.store.totals(JobFilter::default()).await.unwrap(), before);
    assert_eq!(keys(JobFilter::default()).await, listed);
    let succeeded = JobFilter { states: vec!["succeeded".to_owned()], ..JobFilter::default() };
    assert_eq!(keys(succeeded).await.len(), 5);
    let matching = JobFilter { matching: Some("22111500".to_owned()), ..JobFilter::default() };
    assert_eq!(keys(matching.clone()).await.len(), 5);
    assert_eq!(fixture.store.totals(matching).await.unwrap()[0].count, 5);
    let customer = JobFilter { customer: Some(request("x").customer_number), ..JobFilter::default() };
    assert_eq!(keys(customer).await, ["dead"], "nobody is found by a number that is gone");
}

#[tokio::test]
async fn a_step_is_bounded_in_jobs_and_in_bytes_and_the_next_goes_on_behind_it() {
    let fixture = Fixture::new();
    for n in 0..150 {
        fixture.succeeded(&format!("ref-{n}")).await;
    }
    fixture.publish_all(t(3)).await;
    let step = async |after| fixture.store.shrink_some(LATER, LATER, after).await.unwrap();
    assert_eq!(step(None).await, Swept { done: 64, next: Some(JobId(64)) });
    assert_eq!(step(Some(JobId(64))).await, Swept { done: 64, next: Some(JobId(128)) });
    assert_eq!(step(Some(JobId(128))).await, Swept { done: 22, next: None });
    assert_eq!(step(None).await, Swept { done: 0, next: None });

    let fixture = Fixture::new();
    let mut jobs = Vec::new();
    for n in 0..40 {
        let mut new = new_job(&format!("big-{n}"));
        new.request.metadata = Private::from(format!("{{\"a\":\"{}\"}}", "x".repeat(20_000)));
        let Accepted::New(job) = fixture.accept_one(new).await else { panic!() };
        fixture.store.record(success(&job)).await.unwrap();
        jobs.push(job);
    }
    fixture.publish_all(t(3)).await;
    let first = fixture.store.shrink_some(LATER, LATER, None).await.unwrap();
    assert!((10..20).contains(&first.done), "256 KiB of 20 kB each: {first:?}");
    assert_eq!(first.next, Some(JobId(first.done.cast_signed())));
    assert_eq!(first.done + fixture.shrink().await, 40);
}

#[tokio::test]
async fn many_that_stay_are_passed_over_in_steps_and_nothing_behind_the_first_young_one_is_read() {
    let fixture = Fixture::new();
    fixture.store.accept((0..1500).map(|n| new_job(&format!("open-{n}"))).collect()).await.unwrap();
    fixture.told("ended").await;
    fixture.accept_one(NewJob { at: LATER, ..new_job("young") }).await;
    let step = async |after| fixture.store.shrink_some(LATER, LATER, after).await.unwrap();
    assert_eq!(step(None).await, Swept { done: 0, next: Some(JobId(1024)) });
    assert_eq!(step(Some(JobId(1024))).await, Swept { done: 1, next: None });
}

#[tokio::test]
async fn a_crash_between_two_steps_leaves_whole_jobs_and_tombstones_and_the_next_pass_goes_on() {
    let fixture = Fixture::new();
    for n in 0..100 {
        fixture.succeeded(&format!("ref-{n}")).await;
    }
    fixture.publish_all(t(3)).await;
    fixture.store.shrink_some(LATER, LATER, None).await.unwrap();
    let image = fixture.dir.path().join("image.db");
    for suffix in ["", "-wal", ".lock"] {
        let name = |path: &Path| PathBuf::from(format!("{}{suffix}", path.display()));
        std::fs::copy(name(&fixture.path()), name(&image)).unwrap();
    }

    let opened = Store::open(&image, t(0), &options()).unwrap();
    assert!(opened.reconcile.is_none());
    let after_crash = Fixture { store: opened.store, dir: Arc::clone(&fixture.dir) };
    let all = after_crash.store.jobs(JobFilter::default(), None, 999).await.unwrap().items;
    assert_eq!((all.len(), all.iter().filter(|job| is_tombstone(job)).count()), (100, 64));
    assert_eq!(after_crash.shrink().await, 36);
    for n in 0..100 {
        assert!(matches!(after_crash.repeated(&format!("ref-{n}")).await, Duplicate::Finished { outcome: Some(_) }));
    }
    assert_eq!(after_crash.store.damage().await.unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn m12_a_store_that_may_have_forgotten_something_forgets_nothing_more() {
    let fixture = Fixture::new();
    fixture.told("ref-1").await;
    fixture.told("ref-2").await;
    fixture.shrink().await;
    fixture.told("ref-3").await;
    fixture.store.mark_reconcile(None, audit_entry("reconcile_mark")).await.unwrap();
    let nothing = Swept { done: 0, next: None };
    assert_eq!(fixture.store.shrink_some(LATER, LATER, None).await.unwrap(), nothing);
    assert_eq!(fixture.store.forget_some(LATER, None).await.unwrap(), nothing);
    // What is a tombstone already is known in this mode as in any other: no job is made, so nothing is asked or sent.
    assert!(matches!(fixture.repeated("ref-1").await, Duplicate::Finished { outcome: Some(_) }));
    fixture.store.clear_reconcile(audit_entry("reconcile_clear")).await.unwrap();
    assert_eq!((fixture.shrink().await, fixture.forget().await), (1, 1), "ref-2; ref-1 waits, ref-3 is the newest");
}

#[tokio::test]
async fn m5_a_key_is_forgotten_only_when_it_is_told_and_nothing_that_may_claim_it_is_left() {
    let fixture = Fixture::new();
    for key in ["plain", "claimed", "lettered", "retold", "newest"] {
        let job = fixture.died(key).await;
        fixture.store.record(success(&job)).await.unwrap();
    }
    fixture.publish_all(t(9)).await;
    assert_eq!(fixture.shrink().await, 5);
    fixture.store.purge_dead_letters(LATER, audit_entry("dlq_purge")).await.unwrap();
    let job = fixture.timeline("lettered").await.job.id();
    raw(&fixture.path())
        .execute(
            "INSERT INTO dead_letters (id, job_id, reason, detail, money_state, dead_at, closed_at, closed_as)
             VALUES ('dl-9', ?1, 'unresolved', '', 'maybe_sent', 1, 2, 'succeeded')",
            [job.0],
        )
        .unwrap();
    assert!(matches!(fixture.repeated("retold").await, Duplicate::Finished { .. }));
    let claims = |key: Option<&str>, id: &str| Refusal { claimed_reference: key.map(str::to_owned), ..refusal(id) };
    fixture.store.refuse(vec![claims(Some("claimed"), "dl-a"), claims(None, "dl-b")]).await.unwrap();

    assert_eq!(fixture.forget().await, 0, "a message whose key nobody could read may claim any");
    let unread = DeadLetterId::new("dl-b");
    fixture.store.discard_refused(close(&unread)).await.unwrap();
    assert_eq!(fixture.forget().await, 0, "it can still be restored");
    fixture.store.purge_dead_letters(LATER, audit_entry("dlq_purge")).await.unwrap();
    // The purge took dl-9 with it.
    assert_eq!(fixture.forget().await, 2, "plain and lettered");
    assert!(fixture.store.timeline(&reference("plain")).await.unwrap().is_none());
    for key in ["claimed", "retold", "newest"] {
        assert!(is_tombstone(&fixture.known(key).await), "{key}");
    }
    fixture.store.discard_refused(close(&DeadLetterId::new("dl-a"))).await.unwrap();
    fixture.store.purge_dead_letters(LATER, audit_entry("dlq_purge")).await.unwrap();
    assert_eq!(fixture.forget().await, 1, "claimed");
    // No number is given twice.
    let next = fixture.driven("next").await;
    assert_eq!(next.id, JobId(6));
    let left = [
        "tombstones",
        "outcomes WHERE terminal = 1",
        "outbox o JOIN outcomes e ON e.id = o.outcome_id WHERE terminal = 1",
    ];
    for table in left {
        assert_eq!(count(&fixture.path(), &format!("SELECT count(*) FROM {table}")), 2, "{table}");
    }
}

#[tokio::test]
async fn m5_a_key_that_a_dead_letter_of_its_job_belongs_to_is_not_forgotten() {
    let fixture = Fixture::new();
    let job = fixture.died("ref-1").await;
    fixture.store.record(success(&job)).await.unwrap();
    fixture.told("newest").await;
    assert_eq!((fixture.shrink().await, fixture.forget().await), (2, 0));
    fixture.store.purge_dead_letters(LATER, audit_entry("dlq_purge")).await.unwrap();
    assert_eq!(fixture.forget().await, 1);
}

#[tokio::test]
async fn a_job_whose_last_record_cannot_be_read_keeps_all_there_is() {
    let fixture = Fixture::new();
    fixture.told("bad").await;
    raw(&fixture.path()).execute("UPDATE job_records SET engine = '{'", []).unwrap();
    assert_eq!(fixture.shrink().await, 0);
    assert_eq!(count(&fixture.path(), "SELECT count(*) FROM job_records"), 1);
}

#[tokio::test]
async fn m12_on_a_full_disk_shrinking_makes_the_room_that_new_jobs_need() {
    let dir = tempfile::tempdir().unwrap();
    let options = OpenOptions { look_for_room_every: Duration::from_secs(3600), ..options() };
    let store = Store::open(&dir.path().join("s.db"), t(0), &options).unwrap().store;
    let fixture = Fixture { dir: Arc::new(dir), store };
    for n in 0..200 {
        fixture.succeeded(&format!("ref-{n}")).await;
    }
    fixture.publish_all(t(3)).await;
    full_disk::room_for_pages(&fixture.store, 0).await;
    full_disk::fill(&fixture.store).await;
    assert_eq!(fixture.store.health(), Health::Full);

    assert_eq!(fixture.shrink().await, 200);
    fixture.store.look_for_room().await;
    fixture.store.audit_append(audit_entry("behind the probe")).await.unwrap();
    let jobs: Vec<NewJob> = (0..60).map(|n| new_job(&format!("more-{n}"))).collect();
    let accepted = fixture.store.accept(jobs).await.unwrap();
    assert!(accepted.iter().all(|accepted| matches!(accepted, Accepted::New(_))));
    assert_eq!(fixture.store.health(), Health::Writable);
}

#[test]
fn m12_on_a_file_system_with_little_room_shrinking_gives_the_store_room_again() {
    full_disk::on_a_small_file_system("tests::shrink::this_does_nothing_outside_its_file_system");
}

#[tokio::test]
async fn this_does_nothing_outside_its_file_system() {
    let Some(dir) = full_disk::its_dir() else { return };
    let options = OpenOptions {
        min_free_bytes: 512 << 10,
        reserve_bytes: 256 << 10,
        look_for_room_every: Duration::from_millis(20),
        ..options()
    };
    let path = dir.join("s.db");
    let bulky = |key: String| {
        let mut new = new_job(&key);
        new.request.metadata = Private::from(format!("{{\"a\":\"{}\"}}", "x".repeat(60_000)));
        new
    };
    let store = Store::open(&path, t(0), &options).unwrap().store;
    for n in 0..20 {
        let Accepted::New(job) = store.accept(vec![bulky(format!("ref-{n}"))]).await.unwrap().remove(0) else {
            panic!()
        };
        let outcomes = store.record(success(&job)).await.unwrap().outcomes;
        store.mark_published(outcomes, t(3)).await.unwrap();
    }
    store.fold().await.unwrap();

    // Something else takes all but a little: the store counts as full.
    let ballast = dir.join("ballast");
    let mut file = std::fs::OpenOptions::new().create(true).append(true).open(&ballast).unwrap();
    while std::io::Write::write_all(&mut file, &[1; 4096]).is_ok() {}
    file.set_len(file.metadata().unwrap().len() - (300 << 10)).unwrap();
    let within = Duration::from_secs(10);
    tokio::time::timeout(within, store.health_when(|health| *health == Health::Full)).await.unwrap();
    assert_eq!(store.accept(vec![bulky("x".to_owned())]).await.unwrap_err(), StoreError::Full);

    assert_eq!(sweep(async |after| store.shrink_some(LATER, LATER, after).await.unwrap()).await, 20);
    tokio::time::timeout(within, store.health_when(|health| *health == Health::Writable)).await.unwrap();
    assert!(dir.join("s.db.reserve").exists(), "what results need was not touched");
    for n in 0..5 {
        assert!(matches!(store.accept(vec![bulky(format!("more-{n}"))]).await.unwrap()[0], Accepted::New(_)));
    }
    let again = store.accept(vec![new_job("ref-1")]).await.unwrap();
    assert!(matches!(again[0], Accepted::Duplicate(Duplicate::Finished { .. })));
    store.close().await;
    println!("went through it all");
}

#[tokio::test]
async fn m12_a_store_that_forgets_nothing_is_not_gone_through_step_by_step() {
    let fixture = Fixture::new();
    for n in 0..150 {
        fixture.succeeded(&format!("ref-{n}")).await;
    }
    fixture.publish_all(t(3)).await;
    let whole = |after| fixture.store.shrink_some(LATER, LATER, after);
    assert_eq!(whole(None).await.unwrap(), Swept { done: 64, next: Some(JobId(64)) });
    assert_eq!(whole(Some(JobId(64))).await.unwrap(), Swept { done: 64, next: Some(JobId(128)) });
    fixture.store.mark_reconcile(None, audit_entry("reconcile_mark")).await.unwrap();
    assert_eq!(fixture.store.forget_some(LATER, None).await.unwrap(), Swept { done: 0, next: None });
}

#[tokio::test]
async fn m12_on_a_full_disk_a_step_takes_no_room_beside_what_the_wal_has() {
    let dir = tempfile::tempdir().unwrap();
    let options = OpenOptions { look_for_room_every: Duration::from_secs(3600), ..options() };
    let store = Store::open(&dir.path().join("s.db"), t(0), &options).unwrap().store;
    let fixture = Fixture { dir: Arc::new(dir), store };
    for n in 0..60 {
        fixture.succeeded(&format!("ref-{n}")).await;
    }
    fixture.publish_all(t(3)).await;
    full_disk::room_for_pages(&fixture.store, 0).await;
    full_disk::fill(&fixture.store).await;
    assert_eq!(fixture.store.health(), Health::Full);
    // Results that found room have filled the WAL beyond what it ever had.
    full_disk::room_for_pages(&fixture.store, 10_000).await;
    let wal = || std::fs::metadata(format!("{}-wal", fixture.path().display())).unwrap().len();
    let before = wal();
    while wal() == before {
        fixture.store.audit_append(audit_entry(&"x".repeat(20_000))).await.unwrap();
    }
    let before = wal();
    assert_eq!(fixture.shrink().await, 60);
    assert_eq!(wal(), before);
}
