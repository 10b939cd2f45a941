//! The negative controls: an oracle that finds nothing in a broken run proves nothing.

use super::*;
use snap_sim::{Credit, Latest};

/// A run of one job that succeeded.
fn sound() -> Verdict {
    let job = Job::new("r-1", "081234567890");
    let credit = Credit {
        at_ms: 1,
        customer: job.canonical_customer(),
        amount: job.amount.clone(),
        external_id: "1".to_owned(),
    };
    let report = ReferenceReport {
        profile: "finpay".to_owned(),
        reference: "r-1".to_owned(),
        reference_no: None,
        status: Latest::Success,
        inquiries: 1,
        top_ups: 1,
        status_inquiries: 0,
        reversed: false,
        credits: vec![credit],
    };
    Verdict {
        published: BTreeMap::from([("r-1".to_owned(), job)]),
        ledger: BTreeMap::from([("r-1".to_owned(), report)]),
        totals: snap_sim::Verdict {
            credits: 1,
            double_credits: 0,
            reversed: 0,
            total: "10000.00".to_owned(),
            references: 1,
            pending_effects: 0,
            requests: 3,
            top_ups: 1,
            refused: 0,
            redirects_followed: 0,
            max_in_flight: 1,
        },
        external_ids: vec!["1".to_owned(), "2".to_owned()],
        jobs: BTreeMap::from([(
            "r-1".to_owned(),
            serde_json::json!({ "partnerReferenceNo": "r-1", "state": "succeeded" }),
        )]),
        dead: Vec::new(),
        events: vec![event("e-1", "topup.succeeded", "2003800")],
        log: "accepted 6281*****7890".to_owned(),
        secrets: vec!["81234567890".to_owned()],
        max_in_flight: 2,
    }
}

fn event(id: &str, kind: &str, code: &str) -> Event {
    let envelope = serde_json::json!({ "id": id, "type": kind, "subject": "r-1", "data": { "responseCode": code } });
    Event {
        raw: envelope.to_string().into_bytes(),
        envelope,
        routing_key: kind.to_owned(),
        properties: lapin::BasicProperties::default().with_message_id(id.into()).with_delivery_mode(2),
    }
}

fn broken(spoil: impl FnOnce(&mut Verdict)) -> String {
    let mut verdict = sound();
    spoil(&mut verdict);
    verdict.findings().join("; ")
}

fn state(verdict: &mut Verdict, state: &str) {
    verdict.jobs.get_mut("r-1").unwrap()["state"] = serde_json::json!(state);
}

#[test]
fn the_oracle_is_content_with_a_sound_run_told_twice() {
    let mut verdict = sound();
    verdict.events.push(event("e-1", "topup.succeeded", "2003800"));
    assert_eq!(verdict.findings(), Findings::new());
}

#[test]
fn the_oracle_finds_what_is_wrong_with_money() {
    let twice = broken(|run| {
        let report = run.ledger.get_mut("r-1").unwrap();
        report.credits.push(report.credits[0].clone());
    });
    assert!(twice.contains("credited 2 times"), "{twice}");
    let unpaid = broken(|run| run.ledger.get_mut("r-1").unwrap().credits.clear());
    assert!(unpaid.contains("succeeded without a credit"), "{unpaid}");
    let rejected = broken(|run| state(run, "rejected"));
    assert!(rejected.contains("rejected and credited"), "{rejected}");
    let other = broken(|run| run.ledger.get_mut("r-1").unwrap().credits[0].amount = "10000.01".to_owned());
    assert!(other.contains("another amount"), "{other}");
    let nobody = broken(|run| run.published.clear());
    assert!(nobody.contains("asked for by nobody"), "{nobody}");
}

#[test]
fn the_oracle_finds_what_is_lost_or_untold() {
    assert!(broken(|run| run.jobs.clear()).contains("is lost"));
    assert!(broken(|run| state(run, "unconfirmed")).contains("still unconfirmed"));
    assert!(broken(|run| state(run, "dead")).contains("dead without a dead letter"));
    assert!(broken(|run| run.events.clear()).contains("told as"));
    assert!(broken(|run| run.events.push(event("e-2", "topup.succeeded", "2003800"))).contains("told as"));
    assert!(broken(|run| run.events.push(event("e-2", "topup.rejected", "2003800"))).contains("told as"));
    assert!(broken(|run| run.events.push(event("e-1", "topup.succeeded", "2003900"))).contains("two contents"));
}

#[test]
fn the_oracle_finds_what_is_wrong_with_requests_and_logs() {
    assert!(broken(|run| run.external_ids.push("1".to_owned())).contains("used again"));
    assert!(broken(|run| run.external_ids.push("a-b".to_owned())).contains("not 1 to 32 digits"));
    assert!(broken(|run| run.totals.refused = 1).contains("badly made"));
    assert!(broken(|run| run.totals.max_in_flight = 3).contains("at one time"));
    for form in ["6281234567890", "081234567890", "+6281234567890"] {
        assert!(broken(|run| run.log.push_str(form)).contains("the log tells"));
    }
}
