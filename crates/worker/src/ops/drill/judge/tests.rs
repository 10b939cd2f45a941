//! The negative controls: a judge that finds nothing in a broken run proves nothing.

use snap_sim::{Credit, Latest, ReferenceReport};

use super::super::evidence::{Audit, DeadLetter, Submitted, Totals};
use super::*;

/// Two jobs: one succeeded, one is in front of a person.
pub(in super::super) fn sound() -> Evidence {
    let asked = Submitted { customer: "6281234567890".to_owned(), amount: "10000.00".to_owned() };
    let job = |reference: &str, state: &str, reason: Option<&str>, money: &str| Job {
        partner_reference_no: reference.to_owned(),
        state: state.to_owned(),
        reason: reason.map(str::to_owned),
        money_state: money.to_owned(),
    };
    Evidence {
        submitted: ["r-1", "r-2"].map(|reference| (reference.to_owned(), asked.clone())).into(),
        ledger: vec![report("r-1", 1), report("r-2", 0)],
        totals: Totals::default(),
        external_ids: vec!["1".to_owned(), "2".to_owned()],
        jobs: vec![
            job("r-1", "succeeded", None, "proven_paid"),
            job("r-2", "dead", Some("request_refused"), "proven_unpaid"),
        ],
        dead_letters: vec![DeadLetter { partner_reference_no: Some("r-2".to_owned()) }],
        events: Some(vec![event("e-1", "topup.succeeded", "r-1"), event("e-2", "topup.dead_lettered", "r-2")]),
        audit: Audit { sound: true, rows: Some(2), fault: None },
        acts: 2,
    }
}

fn report(reference: &str, credits: usize) -> ReferenceReport {
    let credit = Credit {
        at_ms: 1,
        customer: "6281234567890".to_owned(),
        amount: "10000.00".to_owned(),
        external_id: "1".to_owned(),
    };
    ReferenceReport {
        profile: "finpay".to_owned(),
        reference: reference.to_owned(),
        reference_no: None,
        status: Latest::Success,
        inquiries: 1,
        top_ups: 1,
        status_inquiries: 0,
        reversed: false,
        credits: vec![credit; credits],
    }
}

fn event(id: &str, kind: &str, subject: &str) -> Event {
    let texts = [id, kind, subject].map(str::to_owned);
    let body = texts.concat().into_bytes();
    let [id, kind, subject] = texts;
    Event { id, kind, subject, body }
}

/// What is found once `spoil` has been at it.
#[track_caller]
fn found(kind: Kind, spoil: impl FnOnce(&mut Evidence)) -> Judgement {
    let mut evidence = sound();
    spoil(&mut evidence);
    let judgement = judge(&evidence);
    assert!(judgement.findings.iter().any(|finding| finding.kind == kind), "no {kind:?} in {:?}", judgement.findings);
    judgement
}

fn events(evidence: &mut Evidence) -> &mut Vec<Event> {
    evidence.events.as_mut().unwrap()
}

#[test]
fn it_is_content_with_a_sound_run_whose_events_come_twice() {
    let mut evidence = sound();
    events(&mut evidence).push(event("e-1", "topup.succeeded", "r-1"));
    let judgement = judge(&evidence);
    assert_eq!(judgement.findings, []);
    assert_eq!((judgement.credits, judgement.credited, judgement.lost), (1, 1_000_000, 0));
    assert_eq!((judgement.unresolved, judgement.maybe_sent, judgement.audit_rows), (1, 0, 2));
    assert_eq!(judgement.events, Some(Events { told: 2, missing: 0, contradictory: 0, repeats: 1 }));
    assert_eq!(judgement.ends[&("succeeded".to_owned(), String::new())], (1, 1_000_000));
}

#[test]
fn a_double_credit_is_found() {
    let judgement = found(Kind::DoubleCredit, |run| run.ledger[0] = report("r-1", 3));
    assert_eq!((judgement.double_credits, judgement.credits), (2, 3));
    let told_by_the_provider = found(Kind::DoubleCredit, |run| run.totals.double_credits = 1);
    assert_eq!(told_by_the_provider.double_credits, 1);
}

#[test]
fn a_credit_to_another_of_another_amount_or_for_nobody_is_found() {
    found(Kind::WrongCredit, |run| run.ledger[0].credits[0].customer = "6281234567891".to_owned());
    found(Kind::WrongCredit, |run| run.ledger[0].credits[0].amount = "10000.01".to_owned());
    found(Kind::WrongCredit, |run| run.ledger.push(report("r-9", 1)));
}

#[test]
fn a_lost_job_is_found() {
    assert_eq!(found(Kind::Lost, |run| drop(run.jobs.remove(0))).lost, 1);
    for state in ["ready", "inquired", "sending", "unconfirmed"] {
        assert_eq!(found(Kind::Lost, |run| run.jobs[0].state = state.to_owned()).lost, 1);
    }
    assert_eq!(found(Kind::Lost, |run| run.dead_letters.clear()).lost, 1);
}

#[test]
fn an_end_that_the_ledger_contradicts_is_found() {
    found(Kind::Contradiction, |run| run.ledger[0] = report("r-1", 0));
    found(Kind::Contradiction, |run| run.ledger.clear());
    found(Kind::Contradiction, |run| run.jobs[0].state = "rejected".to_owned());
    found(Kind::Contradiction, |run| run.jobs[0].state = "discarded".to_owned());
    found(Kind::Contradiction, |run| run.ledger[1] = report("r-2", 1));
    found(Kind::Contradiction, |run| run.jobs[1].money_state = "proven_paid".to_owned());
    found(Kind::Contradiction, |run| drop(run.submitted.remove("r-2")));
}

#[test]
fn an_end_that_was_not_told_is_found() {
    let judgement = found(Kind::EventMissing, |run| drop(events(run).remove(0)));
    assert_eq!(judgement.events, Some(Events { told: 1, missing: 1, contradictory: 0, repeats: 0 }));
    found(Kind::EventMissing, |run| drop(events(run).remove(1)));
}

#[test]
fn a_contradictory_event_is_found() {
    let judgement = found(Kind::EventContradictory, |run| events(run).push(event("e-3", "topup.rejected", "r-1")));
    assert_eq!(judgement.events, Some(Events { told: 1, missing: 0, contradictory: 1, repeats: 0 }));
    found(Kind::EventContradictory, |run| events(run).push(event("e-3", "topup.succeeded", "r-1")));
    found(Kind::EventContradictory, |run| events(run).push(event("e-3", "topup.succeeded", "r-2")));
    found(Kind::EventContradictory, |run| events(run).push(event("e-3", "topup.succeeded", "r-9")));
    found(Kind::EventContradictory, |run| events(run)[0].kind = "topup.rejected".to_owned());
    found(Kind::EventContradictory, |run| events(run)[0].id.clear());
    found(Kind::EventContradictory, |run| {
        let again = Event { body: b"else".to_vec(), ..events(run)[0].clone() };
        events(run).push(again);
    });
}

#[test]
fn a_broken_audit_trail_is_found() {
    let judgement = found(Kind::Audit, |run| {
        run.audit = Audit { sound: false, rows: None, fault: Some("audit row 2 is not what was written".to_owned()) };
    });
    assert_eq!(judgement.findings[0].detail, "audit row 2 is not what was written");
    found(Kind::Audit, |run| run.audit.rows = Some(1));
    found(Kind::Audit, |run| run.audit.rows = None);
}

#[test]
fn requests_that_no_worker_may_make_are_found() {
    found(Kind::BadRequest, |run| run.external_ids.push("1".to_owned()));
    found(Kind::BadRequest, |run| run.totals.refused = 1);
    found(Kind::BadRequest, |run| run.totals.redirects_followed = 1);
}

#[test]
fn without_a_broker_nothing_is_missed() {
    let judgement = judge(&Evidence { events: None, ..sound() });
    assert_eq!((judgement.events, judgement.findings), (None, Vec::new()));
}
