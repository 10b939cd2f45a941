//! Replay plans: frozen, worked off once, whoever does it and whatever dies in between.

use super::*;

fn item(job: &StoredJob, letter: &str) -> NewPlanItem {
    NewPlanItem {
        dead_letter: DeadLetterId::new(letter),
        job: Some(job.id),
        reference: Some(job.request.partner_reference_no.to_string()),
        amount: Some(job.request.amount),
        money_state: MoneyState::MaybeSent,
        expires: false,
        refused: None,
    }
}

fn plan_of(items: Vec<NewPlanItem>) -> NewPlan {
    NewPlan {
        by: "sari".to_owned(),
        reason: "INC-1".to_owned(),
        at: t(10),
        terms: PlanTerms { interval_us: 1_000, canary: 0, max_failed_pct: 20, max_amount: None },
        known: vec![("unresolved".to_owned(), Some("5043800".to_owned()))],
        items,
        audit: audit_entry("dlq_replay"),
    }
}

/// What an executor would record for the item of `job`.
fn let_go(job: &StoredJob) -> PlanAct {
    let mut record = Record::new(job.id, job.version, unconfirmed(t(20)), t(20));
    record.due_at = Some(t(20));
    record.history.push(entry("replayed"));
    record.audit = Some(audit_entry("dlq_replayed"));
    PlanAct::Job(Box::new(record))
}

fn step_of(plan: PlanId, version: i64, acts: Vec<(u64, PlanAct)>) -> PlanStep {
    PlanStep { plan, version, at: t(20), next_at_us: 21_000, canary_passed: false, acts }
}

/// A step by the plan as it is now.
async fn step(store: &Store, plan: PlanId, acts: Vec<(u64, PlanAct)>) -> Result<PlanStepped, StoreError> {
    let version = store.plan(plan).await?.unwrap().version;
    store.step_plan(step_of(plan, version, acts)).await
}

async fn audits(store: &Store, action: &str) -> usize {
    let rows = store.audit_rows(0, 1_000).await.unwrap();
    rows.iter().filter(|row| row.entry.action == action).count()
}

#[tokio::test]
async fn a_plan_holds_the_set_that_was_shown_and_runs_from_its_last_step_on() {
    let fixture = Fixture::new();
    let job = fixture.died("dead-1").await;
    let mut items = vec![item(&job, "dl-dead-1")];
    items.extend((2..=300).map(|no| NewPlanItem {
        dead_letter: DeadLetterId::new(format!("dl-{no:04}")),
        job: None,
        refused: (no % 3 == 0).then(|| "too old".to_owned()),
        ..item(&job, "x")
    }));
    let id = fixture.store.make_plan(plan_of(items)).await.unwrap();
    let plan = fixture.store.plan(id).await.unwrap().unwrap();
    assert_eq!(
        (plan.state, plan.counts.items, plan.counts.waiting, plan.counts.refused),
        (PlanState::Running, 300, 200, 100)
    );
    assert_eq!(plan.amount, Total::from_minor(200 * u128::from(job.request.amount.minor())));
    let page = fixture.store.plan_items(id, None, 299).await.unwrap();
    assert_eq!((page.items.len(), page.next), (299, Some(299)));
    let rest = fixture.store.plan_items(id, page.next, 10).await.unwrap();
    assert_eq!((rest.items[0].dead_letter.as_str(), rest.items[0].state), ("dl-0300", PlanItemState::Refused));
    assert_eq!(audits(&fixture.store, "dlq_replay").await, 1);
    let rows = fixture.store.audit_rows(0, 10).await.unwrap();
    assert_eq!(rows[0].entry.subject, format!("plan {id}"));
}

#[tokio::test]
async fn an_item_is_let_go_with_its_job_its_audit_row_and_its_place_in_the_plan() {
    let fixture = Fixture::new();
    let job = fixture.died("dead-1").await;
    let id = fixture.store.make_plan(plan_of(vec![item(&job, "dl-dead-1")])).await.unwrap();
    let found = fixture.store.plan_that_waits_for(&DeadLetterId::new("dl-dead-1")).await.unwrap();
    assert_eq!(found, Some(id));

    let stepped = step(&fixture.store, id, vec![(1, let_go(&job))]).await.unwrap();
    assert_eq!(stepped, PlanStepped::Released(1));
    assert_eq!(fixture.job("dead-1").await.job.state.name(), "unconfirmed");
    let letter = fixture.store.dead_letter(&DeadLetterId::new("dl-dead-1")).await.unwrap().unwrap();
    assert_eq!(letter.closed, Some((t(20), ClosedAs::Replayed)));
    assert_eq!(audits(&fixture.store, "dlq_replayed").await, 1);
    let plan = fixture.store.plan(id).await.unwrap().unwrap();
    assert_eq!((plan.counts.waiting, plan.counts.replayed, plan.next_at_us), (0, 1, 21_000));
    assert_eq!(plan.released.minor(), u128::from(job.request.amount.minor()));
    assert_eq!(fixture.store.plan_that_waits_for(&DeadLetterId::new("dl-dead-1")).await.unwrap(), None);
}

#[tokio::test]
async fn m10_two_plans_over_one_dead_letter_let_it_go_once() {
    let fixture = Fixture::new();
    let job = fixture.died("dead-1").await;
    let first = fixture.store.make_plan(plan_of(vec![item(&job, "dl-dead-1")])).await.unwrap();
    let second = fixture.store.make_plan(plan_of(vec![item(&job, "dl-dead-1")])).await.unwrap();
    // Both read the job before either wrote.
    let version = fixture.store.plan(first).await.unwrap().unwrap().version;
    let (one, other) = tokio::join!(
        fixture.store.step_plan(step_of(first, version, vec![(1, let_go(&job))])),
        fixture.store.step_plan(step_of(second, version, vec![(1, let_go(&job))])),
    );
    assert_eq!((one.unwrap(), other.unwrap()), (PlanStepped::Released(1), PlanStepped::Released(0)));
    assert_eq!(audits(&fixture.store, "dlq_replayed").await, 1);
    let skipped = fixture.store.plan_items(second, None, 1).await.unwrap().items.remove(0);
    assert_eq!(skipped.state, PlanItemState::Skipped);
    assert_eq!(skipped.detail.as_deref(), Some("its dead letter was closed meanwhile: replayed"));
    assert_eq!(fixture.store.plan(second).await.unwrap().unwrap().state, PlanState::Done);
    // And the same step of the same plan a second time does nothing.
    let again = step(&fixture.store, first, vec![(1, let_go(&job))]).await.unwrap();
    assert_eq!(again, PlanStepped::Released(0));
}

#[tokio::test]
async fn m10_an_item_whose_job_changed_meanwhile_waits_to_be_looked_at_anew() {
    let fixture = Fixture::new();
    let job = fixture.died("dead-1").await;
    let id = fixture.store.make_plan(plan_of(vec![item(&job, "dl-dead-1")])).await.unwrap();
    // A check by an operator, which leaves it dead.
    fixture.store.record(Record::new(job.id, job.version, job.job.clone(), t(15))).await.unwrap();
    let stepped = step(&fixture.store, id, vec![(1, let_go(&job))]).await.unwrap();
    assert_eq!(stepped, PlanStepped::Released(0));
    assert_eq!(fixture.store.waiting_plan_items(id, 10).await.unwrap().len(), 1);
    let now = fixture.job("dead-1").await;
    assert_eq!(step(&fixture.store, id, vec![(1, let_go(&now))]).await.unwrap(), PlanStepped::Released(1));
}

#[tokio::test]
async fn a_plan_goes_on_where_it_was_after_a_crash_and_is_done_when_all_came_to_rest() {
    let fixture = Fixture::new();
    let (one, two) = (fixture.died("dead-1").await, fixture.died("dead-2").await);
    let id = fixture.store.make_plan(plan_of(vec![item(&one, "dl-dead-1"), item(&two, "dl-dead-2")])).await.unwrap();
    step(&fixture.store, id, vec![(1, let_go(&one))]).await.unwrap();
    let (fixture, _) = fixture.reopened().await;
    let left = fixture.store.waiting_plan_items(id, 10).await.unwrap();
    assert_eq!(left.iter().map(|item| item.no).collect::<Vec<_>>(), [2]);
    step(&fixture.store, id, vec![(2, let_go(&two))]).await.unwrap();
    assert_eq!(fixture.store.settle_plan(id, 0, 10, t(30)).await.unwrap(), Settled::default());

    let (one, two) = (fixture.job("dead-1").await, fixture.job("dead-2").await);
    fixture.store.record(success(&one)).await.unwrap();
    fixture.store.record(death(&two, "dl-again")).await.unwrap();
    let first = fixture.store.settle_plan(id, 0, 1, t(30)).await.unwrap();
    assert_eq!((first.ended, first.next), (1, Some(1)));
    let second = fixture.store.settle_plan(id, 1, 1, t(30)).await.unwrap();
    assert_eq!((second.ended, second.next), (1, Some(2)));
    let plan = fixture.store.plan(id).await.unwrap().unwrap();
    assert_eq!((plan.state, plan.counts.succeeded, plan.counts.dead), (PlanState::Done, 1, 1));
    assert!(fixture.store.open_plans().await.unwrap().is_empty());
    assert_eq!(fixture.store.plans(None, 10).await.unwrap().items.len(), 1);
}

#[tokio::test]
async fn a_plan_that_stands_lets_nothing_go_until_it_is_resumed_and_never_once_cancelled() {
    let fixture = Fixture::new();
    let job = fixture.died("dead-1").await;
    let id = fixture.store.make_plan(plan_of(vec![item(&job, "dl-dead-1")])).await.unwrap();
    let store = &fixture.store;
    assert!(
        store.pause_plan(id, None, PlanPause::Lane, "it stands".to_owned(), audit_entry("plan_stopped")).await.unwrap()
    );
    assert!(!store.pause_plan(id, None, PlanPause::Operator, "x".to_owned(), audit_entry("plan_pause")).await.unwrap());
    assert_eq!(step(store, id, vec![(1, let_go(&job))]).await.unwrap(), PlanStepped::Stale);
    let plan = store.plan(id).await.unwrap().unwrap();
    assert_eq!(plan.pause.unwrap().0, PlanPause::Lane);

    store.resume_plan(id, t(13), Some(Total::from_minor(7)), audit_entry("plan_resume")).await.unwrap();
    let plan = store.plan(id).await.unwrap().unwrap();
    assert_eq!(
        (plan.state, plan.terms.max_amount, plan.next_at_us),
        (PlanState::Running, Some(Total::from_minor(7)), t(13).as_millis() * 1_000)
    );
    let refused = store.resume_plan(id, t(13), None, audit_entry("plan_resume")).await;
    assert_eq!(refused, Err(StoreError::PlanState { id, why: "is running".to_owned() }));

    store.cancel_plan(id, t(14), audit_entry("plan_cancel")).await.unwrap();
    assert_eq!(step(store, id, vec![(1, let_go(&job))]).await.unwrap(), PlanStepped::Stale);
    assert_eq!(fixture.job("dead-1").await.job.state.name(), "dead");
    assert!(store.cancel_plan(id, t(14), audit_entry("plan_cancel")).await.is_err());
    assert_eq!(store.plan_that_waits_for(&DeadLetterId::new("dl-dead-1")).await.unwrap(), None);
    assert_eq!(store.cancel_plan(PlanId(99), t(14), audit_entry("x")).await, Err(StoreError::UnknownPlan(PlanId(99))));
    assert_eq!((audits(store, "plan_resume").await, audits(store, "plan_cancel").await), (1, 1));
}

#[tokio::test]
async fn a_message_becomes_a_job_once_and_a_conflict_is_told() {
    let fixture = Fixture::new();
    let store = &fixture.store;
    store.refuse(vec![refusal("dl-1"), refusal("dl-2"), refusal("dl-3")]).await.unwrap();
    let message = |letter: &str| NewPlanItem {
        dead_letter: DeadLetterId::new(letter),
        job: None,
        reference: None,
        amount: None,
        money_state: MoneyState::NeverSent,
        expires: false,
        refused: None,
    };
    let id = store.make_plan(plan_of(vec![message("dl-1"), message("dl-2"), message("dl-3")])).await.unwrap();
    let take = |key: &str, letter: &str, amount_of: Option<&str>| {
        let mut new = new_job(key);
        new.closes = Some(DeadLetterId::new(letter));
        new.due_at = Some(t(20));
        if let Some(other) = amount_of {
            new.request.amount = amount(other);
        }
        let told = NewOutcome { terminal: false, ..outcome(&format!("replayed-{letter}"), "topup.replayed") };
        PlanAct::Message(Box::new(new), Box::new((told, audit_entry("dlq_replayed"))))
    };
    let acts = vec![
        (1, take("key-1", "dl-1", None)),
        (2, take("key-1", "dl-2", None)),
        (3, take("key-1", "dl-3", Some("99999.00"))),
    ];
    assert_eq!(step(store, id, acts).await.unwrap(), PlanStepped::Released(2));
    let items = store.plan_items(id, None, 10).await.unwrap().items;
    let states: Vec<_> = items.iter().map(|item| item.state).collect();
    assert_eq!(states, [PlanItemState::Replayed, PlanItemState::Replayed, PlanItemState::Skipped]);
    assert_eq!((items[0].job, items[0].job.is_some()), (items[1].job, true));
    assert!(items[2].detail.as_deref().unwrap().contains("differs in amount"), "{:?}", items[2].detail);
    assert_eq!((audits(store, "dlq_replayed").await, audits(store, "dlq_replayed_conflict").await), (2, 1));
    assert_eq!(count(&fixture.path(), "SELECT count(*) FROM job_requests"), 1);
    assert_eq!(count(&fixture.path(), "SELECT count(*) FROM outcomes WHERE event_type = 'topup.replayed'"), 2);
}

#[tokio::test]
async fn a_step_decided_by_an_older_plan_does_nothing() {
    let fixture = Fixture::new();
    let (one, two) = (fixture.died("dead-1").await, fixture.died("dead-2").await);
    let mut new = plan_of(vec![item(&one, "dl-dead-1"), item(&two, "dl-dead-2")]);
    new.terms.canary = 1;
    let id = fixture.store.make_plan(new).await.unwrap();
    // Both executors read: nothing let go, one canary allowed. One goes first; the other still knows the old plan.
    let version = fixture.store.plan(id).await.unwrap().unwrap().version;
    step(&fixture.store, id, vec![(1, let_go(&one))]).await.unwrap();
    let late = fixture.store.step_plan(step_of(id, version, vec![(2, let_go(&two))])).await.unwrap();
    assert_eq!(late, PlanStepped::Stale);
    let late = fixture.store.pause_plan(id, Some(version), PlanPause::Failures, "x".to_owned(), audit_entry("x")).await;
    assert!(!late.unwrap());
    assert_eq!(fixture.store.plan(id).await.unwrap().unwrap().counts.released(), 1);
}

#[tokio::test]
async fn what_a_cancelled_plan_let_go_is_settled() {
    let fixture = Fixture::new();
    let (one, two) = (fixture.died("dead-1").await, fixture.died("dead-2").await);
    let id = fixture.store.make_plan(plan_of(vec![item(&one, "dl-dead-1"), item(&two, "dl-dead-2")])).await.unwrap();
    step(&fixture.store, id, vec![(1, let_go(&one))]).await.unwrap();
    fixture.store.cancel_plan(id, t(21), audit_entry("plan_cancel")).await.unwrap();
    fixture.store.record(success(&fixture.job("dead-1").await)).await.unwrap();
    assert_eq!(fixture.store.open_plans().await.unwrap().len(), 1);
    fixture.store.settle_plan(id, 0, 10, t(30)).await.unwrap();
    let plan = fixture.store.plan(id).await.unwrap().unwrap();
    assert_eq!((plan.state, plan.counts.replayed, plan.counts.succeeded), (PlanState::Cancelled, 0, 1));
    assert!(fixture.store.open_plans().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_new_kind_of_death_stops_the_plan_in_the_transaction_that_learns_of_it() {
    let fixture = Fixture::new();
    let (one, two) = (fixture.died("dead-1").await, fixture.died("dead-2").await);
    let mut new = plan_of(vec![item(&one, "dl-dead-1"), item(&two, "dl-dead-2")]);
    new.known = vec![("request_refused".to_owned(), None)];
    let id = fixture.store.make_plan(new).await.unwrap();
    step(&fixture.store, id, vec![(1, let_go(&one))]).await.unwrap();
    fixture.store.record(death(&fixture.job("dead-1").await, "dl-again")).await.unwrap();
    assert_eq!(fixture.store.settle_plan(id, 0, 10, t(30)).await.unwrap().ended, 1);
    let plan = fixture.store.plan(id).await.unwrap().unwrap();
    assert_eq!(plan.pause.map(|(cause, ..)| cause), Some(PlanPause::NewFailure));
    assert_eq!(plan.known.len(), 2, "it is no news after a resume");
}

#[tokio::test]
async fn an_item_that_ends_unpaid_as_was_shown_is_no_failure_and_a_skipped_one_waits_no_more() {
    let fixture = Fixture::new();
    let (one, two) = (fixture.died("dead-1").await, fixture.died("dead-2").await);
    let expiring = NewPlanItem { expires: true, ..item(&one, "dl-dead-1") };
    let id = fixture.store.make_plan(plan_of(vec![expiring, item(&two, "dl-dead-2")])).await.unwrap();
    let acts = vec![(1, let_go(&one)), (2, PlanAct::Skip("gone".to_owned()))];
    step(&fixture.store, id, acts).await.unwrap();
    let now = fixture.job("dead-1").await;
    let rejected = Record {
        outcomes: vec![outcome("e-1", "topup.rejected")],
        ..Record::new(now.id, now.version, engine_job(State::Rejected { reason: engine::RejectReason::Expired }), t(25))
    };
    fixture.store.record(rejected).await.unwrap();
    fixture.store.settle_plan(id, 0, 10, t(30)).await.unwrap();
    let plan = fixture.store.plan(id).await.unwrap().unwrap();
    assert_eq!((plan.counts.expired, plan.counts.failed(), plan.counts.skipped), (1, 0, 1));
    assert_eq!(plan.amount, plan.released, "nothing waits any more");
}

#[tokio::test]
async fn m12_a_plan_of_a_copy_stands_when_the_copy_is_put_back() {
    let fixture = Fixture::new();
    let job = fixture.died("dead-1").await;
    let id = fixture.store.make_plan(plan_of(vec![item(&job, "dl-dead-1")])).await.unwrap();
    fixture.store.mark_reconcile(None, audit_entry("store_restored")).await.unwrap();
    let plan = fixture.store.plan(id).await.unwrap().unwrap();
    assert_eq!(plan.pause.map(|(cause, ..)| cause), Some(PlanPause::Restored));
    assert_eq!(step(&fixture.store, id, vec![(1, let_go(&job))]).await.unwrap(), PlanStepped::Stale);
}

#[test]
fn what_was_let_go_is_the_sum_of_all_that_became_of_it() {
    let counts = PlanCounts {
        succeeded: 1,
        rejected: 2,
        dead: 4,
        discarded: 8,
        expired: 16,
        replayed: 32,
        waiting: 64,
        refused: 128,
        skipped: 256,
        items: 511,
    };
    assert_eq!((counts.failed(), counts.ended(), counts.released()), (14, 31, 63));
}

/// A plan over jobs that were let go, and the jobs as they are then.
async fn under_way(fixture: &Fixture, items: Vec<NewPlanItem>, known: Vec<PlanFace>) -> PlanId {
    let acts = items.len() as u64;
    let id = fixture.store.make_plan(NewPlan { known, ..plan_of(items) }).await.unwrap();
    for no in 1..=acts {
        let job = fixture.job(&format!("dead-{no}")).await;
        assert_eq!(step(&fixture.store, id, vec![(no, let_go(&job))]).await.unwrap(), PlanStepped::Released(1));
    }
    id
}

fn rejection(job: &StoredJob) -> Record {
    let reason = engine::RejectReason::Business;
    let event = format!("e-{}", job.request.partner_reference_no);
    Record {
        outcomes: vec![outcome(&event, "topup.rejected")],
        ..Record::new(job.id, job.version, engine_job(State::Rejected { reason }), t(25))
    }
}

#[tokio::test]
async fn m8_the_canaries_once_passed_stay_so_whatever_a_later_step_says() {
    let fixture = Fixture::new();
    let (one, two) = (fixture.died("dead-1").await, fixture.died("dead-2").await);
    let items = vec![item(&one, "dl-dead-1"), item(&two, "dl-dead-2")];
    let id = fixture.store.make_plan(plan_of(items)).await.unwrap();
    let passed = async || fixture.store.plan(id).await.unwrap().unwrap().canary_passed;
    step(&fixture.store, id, vec![(1, let_go(&one))]).await.unwrap();
    assert!(!passed().await);
    for canary_passed in [true, false] {
        let version = fixture.store.plan(id).await.unwrap().unwrap().version;
        let step = PlanStep { canary_passed, ..step_of(id, version, Vec::new()) };
        assert_eq!(fixture.store.step_plan(step).await.unwrap(), PlanStepped::Released(0));
        assert!(passed().await);
    }
}

#[tokio::test]
async fn what_is_under_way_is_looked_at_page_by_page_though_nothing_on_a_page_has_ended() {
    let fixture = Fixture::new();
    let (one, two) = (fixture.died("dead-1").await, fixture.died("dead-2").await);
    let id = under_way(&fixture, vec![item(&one, "dl-dead-1"), item(&two, "dl-dead-2")], Vec::new()).await;
    fixture.store.record(success(&fixture.job("dead-2").await)).await.unwrap();
    let first = fixture.store.settle_plan(id, 0, 1, t(30)).await.unwrap();
    assert_eq!(first, Settled { ended: 0, next: Some(1) });
    let second = fixture.store.settle_plan(id, 1, 1, t(30)).await.unwrap();
    assert_eq!(second, Settled { ended: 1, next: Some(2) });
}

#[tokio::test]
async fn only_an_end_that_was_foretold_counts_as_such_and_every_end_counts_once() {
    let fixture = Fixture::new();
    let mut items = Vec::new();
    for no in 1..=3 {
        let job = fixture.died(&format!("dead-{no}")).await;
        // Of the first two it was said that their time is over.
        items.push(NewPlanItem { expires: no < 3, ..item(&job, &format!("dl-dead-{no}")) });
    }
    let id = under_way(&fixture, items, Vec::new()).await;
    fixture.store.record(success(&fixture.job("dead-1").await)).await.unwrap();
    let discarded = State::Discarded { reason: DeadReason::Unresolved };
    let two = fixture.job("dead-2").await;
    fixture.store.record(Record::new(two.id, two.version, engine_job(discarded), t(25))).await.unwrap();
    fixture.store.record(rejection(&fixture.job("dead-3").await)).await.unwrap();
    assert_eq!(fixture.store.settle_plan(id, 0, 10, t(30)).await.unwrap(), Settled { ended: 3, next: None });
    let counts = fixture.store.plan(id).await.unwrap().unwrap().counts;
    assert_eq!((counts.succeeded, counts.discarded, counts.rejected, counts.expired), (1, 1, 1, 0));
    assert_eq!((counts.failed(), counts.replayed), (2, 0), "a rejection that nobody foretold is a failure");
}

#[tokio::test]
async fn a_plan_that_is_done_or_cancelled_is_not_stopped_by_news() {
    let fixture = Fixture::new();
    let job = fixture.died("dead-1").await;
    let done = under_way(&fixture, vec![item(&job, "dl-dead-1")], Vec::new()).await;
    fixture.store.record(death(&fixture.job("dead-1").await, "dl-again-1")).await.unwrap();
    fixture.store.settle_plan(done, 0, 10, t(30)).await.unwrap();
    let plan = fixture.store.plan(done).await.unwrap().unwrap();
    assert_eq!((plan.state, plan.pause, plan.known.len()), (PlanState::Done, None, 1));

    let (one, two) = (fixture.job("dead-1").await, fixture.died("dead-2").await);
    let items = vec![item(&one, "dl-again-1"), item(&two, "dl-dead-2")];
    let id = fixture.store.make_plan(NewPlan { known: Vec::new(), ..plan_of(items) }).await.unwrap();
    step(&fixture.store, id, vec![(1, let_go(&one))]).await.unwrap();
    fixture.store.cancel_plan(id, t(21), audit_entry("plan_cancel")).await.unwrap();
    fixture.store.record(death(&fixture.job("dead-1").await, "dl-again-2")).await.unwrap();
    fixture.store.settle_plan(id, 0, 10, t(30)).await.unwrap();
    assert_eq!(fixture.store.plan(id).await.unwrap().unwrap().state, PlanState::Cancelled);
}

#[tokio::test]
async fn what_a_plan_is_about_shrinks_by_what_is_skipped_and_not_by_what_is_let_go() {
    let fixture = Fixture::new();
    let (one, two) = (fixture.died("dead-1").await, fixture.died("dead-2").await);
    let items = vec![item(&one, "dl-dead-1"), item(&two, "dl-dead-2")];
    let id = fixture.store.make_plan(plan_of(items)).await.unwrap();
    let each = Total::from_minor(one.request.amount.minor().into());
    let amounts = async || {
        let plan = fixture.store.plan(id).await.unwrap().unwrap();
        (plan.amount, plan.released)
    };
    step(&fixture.store, id, vec![(1, let_go(&one))]).await.unwrap();
    assert_eq!(amounts().await, (each.plus(each), each));
    step(&fixture.store, id, vec![(2, PlanAct::Skip("too old".to_owned()))]).await.unwrap();
    assert_eq!(amounts().await, (each, each));
}
