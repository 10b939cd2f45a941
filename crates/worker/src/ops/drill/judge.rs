//! The judge: what is wrong with a run, by the evidence alone. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::evidence::{Event, Evidence, Job};

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    pub(super) kind: Kind,
    /// One sentence.
    pub(super) detail: String,
}

/// What kind of wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Kind {
    /// A reference was credited more than once.
    DoubleCredit,
    /// Credited to another customer, another amount, or for nobody.
    WrongCredit,
    /// A job is unknown, without an end, or nowhere to be seen.
    Lost,
    /// Job and ledger contradict each other.
    Contradiction,
    /// An end was not told.
    EventMissing,
    /// An end was told otherwise, or in two ways.
    EventContradictory,
    /// The audit trail is not what was written.
    Audit,
    /// The provider was called in a way that no worker may.
    BadRequest,
    /// The worker did what it may not while it was broken.
    Behaviour,
}

/// What the evidence says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Judgement {
    /// Count and minor units by state and reason.
    pub(super) ends: BTreeMap<(String, String), (u64, u128)>,
    pub(super) credits: u64,
    /// In minor units.
    pub(super) credited: u128,
    pub(super) double_credits: u64,
    pub(super) lost: u64,
    /// Jobs in front of a person.
    pub(super) unresolved: u64,
    /// Those of them whose money may have moved.
    pub(super) maybe_sent: u64,
    pub(super) events: Option<Events>,
    pub(super) audit_rows: u64,
    pub(super) findings: Vec<Finding>,
}

/// What was told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Events {
    /// Jobs whose end, or need of a person, was told.
    pub(super) told: u64,
    /// Jobs of which nothing was told.
    pub(super) missing: u64,
    /// Jobs told otherwise than they ended, and events that contradict another.
    pub(super) contradictory: u64,
    /// The same event once more.
    pub(super) repeats: u64,
}

/// Judges a run.
pub(super) fn judge(evidence: &Evidence) -> Judgement {
    let mut judgement = Judgement::default();
    ledger(evidence, &mut judgement);
    jobs(evidence, &mut judgement);
    requests(evidence, &mut judgement);
    if let Some(events) = &evidence.events {
        let told = told(evidence, events, &mut judgement);
        judgement.events = Some(told);
    }
    audit(evidence, &mut judgement);
    judgement
}

impl Judgement {
    fn found(&mut self, kind: Kind, detail: impl Into<String>) {
        self.findings.push(Finding { kind, detail: detail.into() });
    }
}

/// At most one credit each, to whom it was asked for, of that amount.
fn ledger(evidence: &Evidence, judgement: &mut Judgement) {
    for report in &evidence.ledger {
        let reference = &report.reference;
        let credits = report.credits.len() as u64;
        judgement.credits += credits;
        if credits > 1 {
            judgement.double_credits += credits - 1;
            judgement.found(Kind::DoubleCredit, format!("{reference} was credited {credits} times"));
        }
        let asked = evidence.submitted.get(reference);
        for credit in &report.credits {
            judgement.credited += minor(&credit.amount);
            match asked {
                None => {
                    judgement.found(Kind::WrongCredit, format!("{reference} was credited, and nobody asked for it"))
                }
                Some(asked) if asked.customer != credit.customer || asked.amount != credit.amount => {
                    let detail = format!("{reference} was credited to another, or another amount: {}", credit.amount);
                    judgement.found(Kind::WrongCredit, detail);
                }
                Some(_) => {}
            }
        }
    }
    // The simulator counts for itself; the two must agree. What was taken back it does not count.
    if judgement.double_credits == 0 && evidence.totals.double_credits > 0 {
        judgement.double_credits = evidence.totals.double_credits;
        judgement.found(Kind::DoubleCredit, format!("the provider counts {} of them", evidence.totals.double_credits));
    }
}

/// Each job has ended as the ledger says, or stands in front of a person.
fn jobs(evidence: &Evidence, judgement: &mut Judgement) {
    let credits: BTreeMap<&str, usize> =
        evidence.ledger.iter().map(|report| (report.reference.as_str(), report.credits.len())).collect();
    let letters: BTreeSet<&str> =
        evidence.dead_letters.iter().filter_map(|letter| letter.partner_reference_no.as_deref()).collect();
    let jobs = by_reference(evidence);
    for (reference, asked) in &evidence.submitted {
        let Some(job) = jobs.get(reference.as_str()) else {
            judgement.lost += 1;
            judgement.found(Kind::Lost, format!("{reference} is unknown to the worker"));
            continue;
        };
        let end = judgement.ends.entry((job.state.clone(), job.reason.clone().unwrap_or_default())).or_default();
        *end = (end.0 + 1, end.1 + minor(&asked.amount));
        let credits = credits.get(reference.as_str()).copied().unwrap_or(0);
        let money = job.money_state.as_str();
        match (job.state.as_str(), credits) {
            ("succeeded", 0) => {
                judgement.found(Kind::Contradiction, format!("{reference} succeeded without a credit"));
            }
            ("rejected" | "discarded", 1..) => {
                judgement.found(Kind::Contradiction, format!("{reference} was {} and credited", job.state));
            }
            ("succeeded" | "rejected" | "discarded", _) => {}
            ("dead", credits) => {
                judgement.unresolved += 1;
                judgement.maybe_sent += u64::from(money == "maybe_sent");
                if !letters.contains(reference.as_str()) {
                    judgement.lost += 1;
                    judgement.found(Kind::Lost, format!("{reference} is dead and in front of nobody"));
                }
                if matches!((money, credits), ("never_sent" | "proven_unpaid", 1..) | ("proven_paid", 0)) {
                    let detail = format!("{reference} is dead as {money}, with {credits} credits");
                    judgement.found(Kind::Contradiction, detail);
                }
            }
            (state, _) => {
                judgement.lost += 1;
                judgement.found(Kind::Lost, format!("{reference} has no end: it is still {state}"));
            }
        }
    }
    if let Some(stranger) = jobs.keys().find(|reference| !evidence.submitted.contains_key(**reference)) {
        judgement.found(Kind::Contradiction, format!("{stranger} is a job that nobody submitted"));
    }
}

fn by_reference(evidence: &Evidence) -> BTreeMap<&str, &Job> {
    evidence.jobs.iter().map(|job| (job.partner_reference_no.as_str(), job)).collect()
}

/// Every request has a number of its own, is made well, and goes nowhere else.
fn requests(evidence: &Evidence, judgement: &mut Judgement) {
    let distinct: BTreeSet<_> = evidence.external_ids.iter().collect();
    let again = evidence.external_ids.len() - distinct.len();
    if again > 0 {
        judgement.found(Kind::BadRequest, format!("{again} requests had an X-EXTERNAL-ID that was used before"));
    }
    if evidence.totals.refused > 0 {
        let detail = format!("the provider refused {} requests as badly made", evidence.totals.refused);
        judgement.found(Kind::BadRequest, detail);
    }
    if evidence.totals.redirects_followed > 0 {
        judgement.found(Kind::BadRequest, "a redirect was followed");
    }
}

/// Each end is told, by one event, and by no other.
fn told(evidence: &Evidence, events: &[Event], judgement: &mut Judgement) -> Events {
    let mut told = Events::default();
    let mut contents: BTreeMap<&str, &Event> = BTreeMap::new();
    let mut by_subject: BTreeMap<&str, BTreeSet<(&str, &str)>> = BTreeMap::new();
    let mut contradictory = |judgement: &mut Judgement, detail: String| {
        told.contradictory += 1;
        judgement.found(Kind::EventContradictory, detail);
    };
    let mut repeats = 0;
    for event in events {
        if event.id.is_empty() {
            contradictory(judgement, "an event has no id".to_owned());
        } else if let Some(earlier) = contents.insert(&event.id, event) {
            repeats += 1;
            if earlier.body != event.body {
                contradictory(judgement, format!("event {} came with two contents", event.id));
            }
        }
        if !event.subject.is_empty() {
            by_subject.entry(&event.subject).or_default().insert((&event.kind, &event.id));
        }
    }
    let jobs = by_reference(evidence);
    let (mut right, mut missing) = (0, 0);
    for reference in evidence.submitted.keys() {
        let Some(job) = jobs.get(reference.as_str()) else { continue };
        let about = by_subject.remove(reference.as_str()).unwrap_or_default();
        let ends: Vec<&str> = about.iter().map(|(kind, _)| *kind).filter(|kind| is_end(kind)).collect();
        let expected = match job.state.as_str() {
            state @ ("succeeded" | "rejected" | "discarded") => Some(format!("topup.{state}")),
            _ => None,
        };
        match (&expected, &ends[..]) {
            (Some(expected), [kind]) if kind == expected => right += 1,
            (None, []) if about.iter().any(|(kind, _)| *kind == "topup.dead_lettered") => right += 1,
            (_, []) => {
                missing += 1;
                judgement.found(Kind::EventMissing, format!("{reference} is {}, and nobody was told", job.state));
            }
            (_, told) => {
                contradictory(judgement, format!("{reference} is {}, and told as {}", job.state, told.join(", ")))
            }
        }
    }
    if let Some(stranger) = by_subject.keys().next() {
        contradictory(judgement, format!("{stranger} was told of, and nobody submitted it"));
    }
    Events { told: right, missing, repeats, ..told }
}

fn is_end(kind: &str) -> bool {
    matches!(kind, "topup.succeeded" | "topup.rejected" | "topup.discarded")
}

/// The chain is whole, and has a row for each change.
fn audit(evidence: &Evidence, judgement: &mut Judgement) {
    judgement.audit_rows = evidence.audit.rows.unwrap_or(0);
    if !evidence.audit.sound {
        let fault = evidence.audit.fault.as_deref().unwrap_or("the audit trail is not what was written");
        judgement.found(Kind::Audit, fault);
    } else if judgement.audit_rows < evidence.acts {
        let detail = format!("{} changes by operators left {} audit rows", evidence.acts, judgement.audit_rows);
        judgement.found(Kind::Audit, detail);
    }
}

/// Minor units of `10000.00`.
fn minor(amount: &str) -> u128 {
    amount.bytes().filter(u8::is_ascii_digit).fold(0, |minor, digit| minor * 10 + u128::from(digit - b'0'))
}

#[cfg(test)]
pub(super) mod tests;
