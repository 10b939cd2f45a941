//! The judge: what the provider paid, what the store says, what was told, and what left the worker must agree.

use std::collections::{BTreeMap, BTreeSet};

use engine::MoneyState;
use outbox::{DeadLetter, DeadLetterFilter, Store, StoreError, Timeline};
use serde_json::Value;
use snap_core::PartnerReferenceNo;

use crate::plan::Plan;
use crate::provider::{Left, canonical};
use crate::queues::Told;
use crate::scenario::{Message, Wrong};
use crate::world::{AGREE_MS, State};

/// More than any scenario makes.
const MANY: usize = 1000;

/// The jobs of any scenario, by reference.
pub(crate) async fn jobs(store: &Store) -> Result<BTreeMap<String, Timeline>, StoreError> {
    let mut jobs = BTreeMap::new();
    for number in 1..=4 {
        let key = format!("SIM-{number}");
        let parsed = PartnerReferenceNo::parse(&key).expect("the scenarios' references are right");
        if let Some(timeline) = store.timeline(&parsed).await? {
            jobs.insert(key, timeline);
        }
    }
    Ok(jobs)
}

/// What is stored at rest.
pub(crate) struct Seen {
    jobs: BTreeMap<String, Timeline>,
    dead_letters: Vec<DeadLetter>,
    trail: Option<String>,
    damage: Vec<String>,
}

impl Seen {
    pub(crate) async fn of(store: &Store) -> Result<Self, StoreError> {
        let jobs = jobs(store).await?;
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
        end(plan, message, world, seen, &mut findings);
        told(message, world, seen, &mut findings);
    }
    wrong(plan, seen, &mut findings);
    dead(world, seen, &mut findings);
    requests(world, &mut findings);
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
    for credit in &credits {
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
fn end(plan: &Plan, message: &Message, world: &State, seen: &Seen, findings: &mut Vec<String>) {
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
    // By whose `notAfter` that was too early is asked where it is told.
    let is_expired = message.not_after().is_some() && state == "rejected" && world.ledger.credits(reference).is_empty();
    let is_right = state == expected || is_expired;
    if plan.ends_well() && !world.lied && !is_right {
        findings.push(format!("{reference} is {state}, and should be {expected}"));
    }
    // No answer of this provider refuses whom it could pay, and none is a success of whom it could not.
    if matches!(state, "succeeded" | "rejected") && !is_right {
        findings.push(format!("{reference} is {state}, and its customer can only be {expected}"));
    }
}

/// What a dead letter says of the money is so, and it was told.
fn dead(world: &State, seen: &Seen, findings: &mut Vec<String>) {
    for letter in &seen.dead_letters {
        let is_told = world.queues.events.iter().any(|told| {
            let parsed: Value = serde_json::from_slice(&told.body).unwrap_or_default();
            parsed["data"]["deadLetterId"].as_str() == Some(letter.id.as_str())
        });
        if !is_told {
            findings.push(format!("the dead letter {} was never told", letter.id));
        }
        let Some(reference) = &letter.partner_reference_no else { continue };
        let credits = world.ledger.credits(reference.as_str()).len();
        let is_so = match letter.money_state {
            MoneyState::NeverSent | MoneyState::ProvenUnpaid => credits == 0,
            MoneyState::ProvenPaid => credits == 1,
            MoneyState::MaybeSent | MoneyState::Returned => true,
        };
        if !is_so {
            let says = letter.money_state.as_str();
            findings.push(format!("{reference} stands before a person as {says}, and was paid {credits} times"));
        }
    }
}

/// The end was told, once by its id, in one form, and nothing else was told as an end; a dead letter was told as that.
fn told(message: &Message, world: &State, seen: &Seen, findings: &mut Vec<String>) {
    let reference = &message.reference;
    let mut ends: BTreeSet<(&str, &str)> = BTreeSet::new();
    let mut bodies: BTreeMap<&str, &[u8]> = BTreeMap::new();
    let mut is_told_dead = false;
    for Told { id, kind, body, at } in &world.queues.events {
        if bodies.insert(id, body).is_some_and(|earlier| earlier != body.as_slice()) {
            findings.push(format!("event {id} was told in two forms"));
        }
        let parsed: Value = serde_json::from_slice(body).unwrap_or_default();
        if parsed["subject"].as_str() != Some(reference) {
            continue;
        }
        let amount = format!("{}.00", message.amount);
        if parsed["data"]["amount"]["value"].as_str() != Some(&amount) {
            findings.push(format!("{reference}: an event tells of another amount: {}", parsed["data"]["amount"]));
        }
        let is_early = message.not_after().is_some_and(|not_after| *at <= not_after - AGREE_MS);
        if parsed["data"]["reason"].as_str() == Some("expired") && is_early {
            findings.push(format!("{reference} was told as expired before its notAfter"));
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

/// Each message that is no job stands before a person, as often as it was kept.
fn wrong(plan: &Plan, seen: &Seen, findings: &mut Vec<String>) {
    let messages = &plan.scenario.messages;
    let wrong = messages.iter().filter(|message| message.wrong != Wrong::Nothing).count();
    let letters = seen.dead_letters.iter().filter(|letter| letter.job.is_none()).count();
    if letters < wrong || wrong == 0 && letters > 0 {
        findings.push(format!("{wrong} messages are no jobs, and {letters} dead letters tell of them"));
    }
}

/// What left the worker was on disk with its number and its body, and its job had not ended; no number twice.
fn requests(world: &State, findings: &mut Vec<String>) {
    let mut numbers = BTreeSet::new();
    for Left { external_id, objection, at, .. } in &world.ledger.left {
        if !numbers.insert(external_id) {
            findings.push(format!("the number {external_id} was used twice"));
        }
        findings.extend(objection.as_ref().map(|objection| format!("{objection} (at {at})")));
    }
}
