use insta::assert_snapshot;

use super::super::breaker::Tally;
use super::super::evidence::Evidence;
use super::super::judge::tests::sound;
use super::super::judge::{Kind, judge};
use super::*;

fn certificate(evidence: Evidence, settings: Vec<String>) -> Certificate {
    let judgement = judge(&evidence);
    let tally = Tally {
        kills: 12,
        restarts: 13,
        longest_recovery: Duration::from_millis(314),
        broken: [("freeze", 2), ("kill", 8), ("killWhileRecovering", 2), ("writeRefused", 1)].into(),
        acts: 2,
        findings: Vec::new(),
    };
    let provider_faults = [("answer 500xx00".to_owned(), 4), ("late_commit".to_owned(), 3)].into();
    let heading = Heading {
        seed: 7,
        elapsed: Duration::from_millis(61_234),
        transport: if evidence.events.is_some() { "amqp" } else { "store" },
        settings,
        not_exercised: vec!["a loss of power".to_owned()],
    };
    Certificate::new(heading, Weathered { evidence, tally, provider_faults, submitted_twice: 1 }, judgement)
}

#[test]
fn a_run_that_is_sound_passes() {
    let certificate = certificate(sound(), Vec::new());
    assert_eq!(certificate.result, Outcome::Pass);
    assert_snapshot!("pass", certificate.text(false));
    assert_snapshot!("pass_json", serde_json::to_string_pretty(&certificate).unwrap());
}

#[test]
fn a_run_that_is_not_fails_and_says_why() {
    let mut evidence = Evidence { events: None, ..sound() };
    let credit = evidence.ledger[0].credits[0].clone();
    evidence.ledger[0].credits.push(credit);
    evidence.jobs.remove(1);
    let certificate = certificate(evidence, vec!["status.quiet_period=1ms".to_owned()]);
    assert_eq!(certificate.result, Outcome::Fail);
    assert_snapshot!("fail", certificate.text(false));
}

#[test]
fn what_was_seen_on_the_way_fails_as_well() {
    let evidence = sound();
    let judgement = judge(&evidence);
    let seen = Finding { kind: Kind::Behaviour, detail: "a second worker was let in".to_owned() };
    let tally = Tally { findings: vec![seen], ..Tally::default() };
    let heading = Heading {
        seed: 1,
        elapsed: Duration::ZERO,
        transport: "store",
        settings: Vec::new(),
        not_exercised: Vec::new(),
    };
    let weathered = Weathered { evidence, tally, provider_faults: BTreeMap::new(), submitted_twice: 0 };
    assert_eq!(Certificate::new(heading, weathered, judgement).result, Outcome::Fail);
}
