//! Replay plans: frozen, worked off once, whoever does it and whatever dies in between.

use super::*;

fn item(job: &StoredJob, letter: &str) -> NewPlanItem {
    NewPlanItem {
        dead_letter: DeadLetterId::new(letter),
        job: Some(job.id),
        reference: Some(job.request.partner_reference_no.to_string()),
        amount: Some(job.request.amount),
        money_state: MoneyState::MaybeSent,
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

fn step(plan: PlanId, acts: Vec<(u64, PlanAct)>) -> PlanStep {
    PlanStep { plan, at: t(20), next_at_us: 21_000, canary_passed: false, acts }
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

    let stepped = fixture.store.step_plan(step(id, vec![(1, let_go(&job))])).await.unwrap();
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
    let (one, other) = tokio::join!(
        fixture.store.step_plan(step(first, vec![(1, let_go(&job))])),
        fixture.store.step_plan(step(second, vec![(1, let_go(&job))])),
    );
    assert_eq!((one.unwrap(), other.unwrap()), (PlanStepped::Released(1), PlanStepped::Released(0)));
    assert_eq!(audits(&fixture.store, "dlq_replayed").await, 1);
    let skipped = fixture.store.plan_items(second, None, 1).await.unwrap().items.remove(0);
    assert_eq!(skipped.state, PlanItemState::Skipped);
    assert_eq!(skipped.detail.as_deref(), Some("its dead letter was closed meanwhile: replayed"));
    assert_eq!(fixture.store.plan(second).await.unwrap().unwrap().state, PlanState::Done);
    // And the same step of the same plan a second time does nothing.
    let again = fixture.store.step_plan(step(first, vec![(1, let_go(&job))])).await.unwrap();
    assert_eq!(again, PlanStepped::Released(0));
}

#[tokio::test]
async fn m10_an_item_whose_job_changed_meanwhile_waits_to_be_looked_at_anew() {
    let fixture = Fixture::new();
    let job = fixture.died("dead-1").await;
    let id = fixture.store.make_plan(plan_of(vec![item(&job, "dl-dead-1")])).await.unwrap();
    // A check by an operator, which leaves it dead.
    fixture.store.record(Record::new(job.id, job.version, job.job.clone(), t(15))).await.unwrap();
    let stepped = fixture.store.step_plan(step(id, vec![(1, let_go(&job))])).await.unwrap();
    assert_eq!(stepped, PlanStepped::Released(0));
    assert_eq!(fixture.store.waiting_plan_items(id, 10).await.unwrap().len(), 1);
    let now = fixture.job("dead-1").await;
    assert_eq!(fixture.store.step_plan(step(id, vec![(1, let_go(&now))])).await.unwrap(), PlanStepped::Released(1));
}

#[tokio::test]
async fn a_plan_goes_on_where_it_was_after_a_crash_and_is_done_when_all_came_to_rest() {
    let fixture = Fixture::new();
    let (one, two) = (fixture.died("dead-1").await, fixture.died("dead-2").await);
    let id = fixture.store.make_plan(plan_of(vec![item(&one, "dl-dead-1"), item(&two, "dl-dead-2")])).await.unwrap();
    fixture.store.step_plan(step(id, vec![(1, let_go(&one))])).await.unwrap();
    let (fixture, _) = fixture.reopened().await;
    let left = fixture.store.waiting_plan_items(id, 10).await.unwrap();
    assert_eq!(left.iter().map(|item| item.no).collect::<Vec<_>>(), [2]);
    fixture.store.step_plan(step(id, vec![(2, let_go(&two))])).await.unwrap();
    assert_eq!(fixture.store.settle_plan(id, 0, 10, t(30)).await.unwrap(), Settled::default());

    let (one, two) = (fixture.job("dead-1").await, fixture.job("dead-2").await);
    fixture.store.record(success(&one)).await.unwrap();
    fixture.store.record(death(&two, "dl-again")).await.unwrap();
    let first = fixture.store.settle_plan(id, 0, 1, t(30)).await.unwrap();
    assert_eq!((first.ended, first.next), (1, Some(1)));
    let second = fixture.store.settle_plan(id, 1, 1, t(30)).await.unwrap();
    assert_eq!(second.deaths, [("unresolved".to_owned(), Some("5043800".to_owned()))]);
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
    let learnt = vec![("request_refused".to_owned(), None)];
    let store = &fixture.store;
    assert!(store.pause_plan(id, PlanPause::NewFailure, "news".to_owned(), t(12), learnt, None).await.unwrap());
    assert!(!store.pause_plan(id, PlanPause::Operator, "x".to_owned(), t(12), Vec::new(), None).await.unwrap());
    assert_eq!(store.step_plan(step(id, vec![(1, let_go(&job))])).await.unwrap(), PlanStepped::NotRunning);
    let plan = store.plan(id).await.unwrap().unwrap();
    assert_eq!((plan.pause.unwrap().0, plan.known.len()), (PlanPause::NewFailure, 2));

    store.resume_plan(id, t(13), Some(Total::from_minor(7)), audit_entry("plan_resume")).await.unwrap();
    let plan = store.plan(id).await.unwrap().unwrap();
    assert_eq!(
        (plan.state, plan.terms.max_amount, plan.next_at_us),
        (PlanState::Running, Some(Total::from_minor(7)), t(13).as_millis() * 1_000)
    );
    let refused = store.resume_plan(id, t(13), None, audit_entry("plan_resume")).await;
    assert_eq!(refused, Err(StoreError::PlanState { id, why: "is running".to_owned() }));

    store.cancel_plan(id, t(14), audit_entry("plan_cancel")).await.unwrap();
    assert_eq!(store.step_plan(step(id, vec![(1, let_go(&job))])).await.unwrap(), PlanStepped::NotRunning);
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
        PlanAct::Message(Box::new(new), told)
    };
    let acts = vec![
        (1, take("key-1", "dl-1", None)),
        (2, take("key-1", "dl-2", None)),
        (3, take("key-1", "dl-3", Some("99999.00"))),
    ];
    assert_eq!(store.step_plan(step(id, acts)).await.unwrap(), PlanStepped::Released(2));
    let items = store.plan_items(id, None, 10).await.unwrap().items;
    let states: Vec<_> = items.iter().map(|item| item.state).collect();
    assert_eq!(states, [PlanItemState::Replayed, PlanItemState::Replayed, PlanItemState::Skipped]);
    assert_eq!((items[0].job, items[0].job.is_some()), (items[1].job, true));
    assert!(items[2].detail.as_deref().unwrap().contains("differs in amount"), "{:?}", items[2].detail);
    assert_eq!(count(&fixture.path(), "SELECT count(*) FROM job_requests"), 1);
    assert_eq!(count(&fixture.path(), "SELECT count(*) FROM outcomes WHERE event_type = 'topup.replayed'"), 2);
}
