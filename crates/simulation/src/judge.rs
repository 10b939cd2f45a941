//! The judge: what the provider paid, what the store says, what was told, and what left the worker must agree.

use std::collections::{BTreeMap, BTreeSet};

use outbox::{DeadLetter, DeadLetterFilter, Store, StoreError, Timeline};
use serde_json::Value;
use snap_core::{PartnerReferenceNo, Service};

use crate::plan::Plan;
use crate::provider::{Left, canonical};
use crate::queues::Told;
use crate::scenario::{Customer, Message, Wrong};
use crate::world::State;

/// More than any scenario makes.
const MANY: usize = 1000;

/// What is stored at rest.
pub(crate) struct Seen {
    jobs: BTreeMap<String, Timeline>,
    dead_letters: Vec<DeadLetter>,
    trail: Option<String>,
    damage: Vec<String>,
}

impl Seen {
    pub(crate) async fn of(store: &Store) -> Result<Self, StoreError> {
        let mut jobs = BTreeMap::new();
        for number in 1..=4 {
            let key = format!("SIM-{number}");
            let parsed = PartnerReferenceNo::parse(&key).expect("the scenarios' references are right");
            if let Some(timeline) = store.timeline(&parsed).await? {
                jobs.insert(key, timeline);
            }
        }
        let dead_letters = store.dead_letters(DeadLetterFilter::default(), None, MANY).await?.items;
        let trail = store.audit_verify().await?.err().map(|fault| format!("{fault:?}"));
        Ok(Self { jobs, dead_letters, trail, damage: store.damage().await? })
    }

    fn state(&self, reference: &str) -> &str {
        self.jobs.get(reference).map_or("", |timeline| timeline.job.state())
    }
}

/// What is wrong, a sentence each.
pub(crate) fn judge(plan: &Plan, world: &State, seen: &Seen) -> Vec<String> {
    let mut findings = Vec::new();
    findings.extend(seen.trail.iter().map(|fault| format!("the audit trail is broken: {fault}")));
    findings.extend(seen.damage.iter().map(|damage| format!("the store is damaged: {damage}")));
    for message in plan.scenario.messages.iter().filter(|message| message.wrong == Wrong::Nothing) {
        money(message, world, seen, &mut findings);
        end(plan, message, seen, &mut findings);
        told(message, world, seen, &mut findings);
    }
    wrong(plan, seen, &mut findings);
    requests(world, seen, &mut findings);
    for reference in world.ledger.paid() {
        if !plan.scenario.messages.iter().any(|message| message.reference == reference) {
            findings.push(format!("{reference} was paid, and nobody asked for it"));
        }
    }
    findings
}

/// At most one credit, of the right amount to the right customer; success has one, rejection has none.
fn money(message: &Message, world: &State, seen: &Seen, findings: &mut Vec<String>) {
    let reference = &message.reference;
    let credits = world.ledger.credits(reference);
    if credits.len() > 1 {
        findings.push(format!("{reference} was paid {} times", credits.len()));
    }
    let asked: Value = serde_json::from_slice(&message.body()).unwrap_or_default();
    let customer = canonical(asked["customerNumber"].as_str().unwrap_or_default());
    for credit in credits {
        if credit.customer != customer || Some(credit.amount.as_str()) != asked["amount"]["value"].as_str() {
            findings.push(format!("{reference} was paid otherwise than asked: {credit:?}"));
        }
    }
    match (seen.state(reference), credits.len()) {
        ("succeeded", 0) => findings.push(format!("{reference} succeeded, and was not paid")),
        ("rejected", 1..) => findings.push(format!("{reference} was rejected, and paid")),
        _ => {}
    }
}

/// Each job is there and has ended; as its customer has it in store, where the plan leaves it no other way.
fn end(plan: &Plan, message: &Message, seen: &Seen, findings: &mut Vec<String>) {
    let (reference, state) = (&message.reference, seen.state(&message.reference));
    let letters = seen
        .dead_letters
        .iter()
        .filter(|letter| letter.partner_reference_no.as_ref().is_some_and(|key| key.as_str() == reference))
        .count();
    match state {
        "" => findings.push(format!("{reference} is lost")),
        "succeeded" | "rejected" => {}
        "dead" if letters == 0 => findings.push(format!("{reference} is dead without a dead letter")),
        "dead" => {}
        open => findings.push(format!("{reference} is still {open}")),
    }
    let expected = if message.customer.is_paid() { "succeeded" } else { "rejected" };
    if plan.ends_well() && state != expected {
        findings.push(format!("{reference} is {state}, and should be {expected}"));
    }
    if matches!(message.customer, Customer::Unknown | Customer::Refused | Customer::Failing) && state == "succeeded" {
        findings.push(format!("{reference} succeeded, and its customer cannot be paid"));
    }
}

/// The end was told, once by its id, in one form, and nothing else was told as an end; a dead letter was told as that.
fn told(message: &Message, world: &State, seen: &Seen, findings: &mut Vec<String>) {
    let reference = &message.reference;
    let mut ends: BTreeSet<(&str, &str)> = BTreeSet::new();
    let mut bodies: BTreeMap<&str, &[u8]> = BTreeMap::new();
    let mut is_told_dead = false;
    for Told { id, kind, body } in &world.queues.events {
        if bodies.insert(id, body).is_some_and(|earlier| earlier != body.as_slice()) {
            findings.push(format!("event {id} was told in two forms"));
        }
        let parsed: Value = serde_json::from_slice(body).unwrap_or_default();
        if parsed["subject"].as_str() != Some(reference) {
            continue;
        }
        match kind.as_str() {
            "topup.succeeded" | "topup.rejected" | "topup.discarded" => drop(ends.insert((kind, id))),
            "topup.dead_lettered" => is_told_dead = true,
            _ => {}
        }
    }
    let state = seen.state(reference);
    let kinds: Vec<_> = ends.iter().map(|(kind, _)| *kind).collect();
    let kinds: &[&str] = if world.restored && kinds.windows(2).all(|two| two[0] == two[1]) {
        // What was told before the restore is told again, as another event, and not otherwise.
        &kinds[..kinds.len().min(1)]
    } else {
        &kinds
    };
    let is_right = match state {
        "succeeded" => kinds == ["topup.succeeded"],
        "rejected" => kinds == ["topup.rejected"],
        "dead" => is_told_dead && (kinds.is_empty() || world.restored),
        _ => true,
    };
    if !is_right {
        findings.push(format!("{reference} is {state}, and was told as {ends:?}"));
    }
}

/// What is no job stands before a person.
fn wrong(plan: &Plan, seen: &Seen, findings: &mut Vec<String>) {
    let wrong: usize = plan
        .scenario
        .messages
        .iter()
        .filter(|message| message.wrong != Wrong::Nothing)
        .map(|message| message.copies)
        .sum();
    let letters = seen.dead_letters.iter().filter(|letter| letter.job.is_none()).count();
    // A message that comes again may be kept again.
    if (wrong == 0) != (letters == 0) {
        findings.push(format!("{wrong} messages are no jobs, and {letters} dead letters tell of them"));
    }
}

/// What left the worker was on disk with its number, its body and its time before; no number twice; after the end nothing.
fn requests(world: &State, seen: &Seen, findings: &mut Vec<String>) {
    let mut numbers = BTreeSet::new();
    for left in &world.ledger.left {
        if !numbers.insert(&left.external_id) {
            findings.push(format!("the number {} was used twice", left.external_id));
        }
        // A store that was put back does not know what was done after the copy: it asks first, and is judged by the credits.
        if left.service == Service::TopUp && !world.restored {
            intent(left, seen, findings);
        }
    }
}

fn intent(left: &Left, seen: &Seen, findings: &mut Vec<String>) {
    let Left { reference, external_id, sha256, .. } = left;
    let attempts = seen.jobs.get(reference).map_or(&[][..], |timeline| &timeline.attempts);
    let Some(attempt) = attempts.iter().find(|attempt| attempt.external_id.as_str() == external_id) else {
        findings.push(format!("{reference}: a top-up left at {}, and no attempt of it was recorded", left.at));
        return;
    };
    if attempt.body_sha256.as_ref() != Some(sha256) {
        findings.push(format!("{reference}: what left is not what was recorded"));
    }
}
