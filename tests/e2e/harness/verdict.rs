//! The oracle: judges a run from outside, by the provider's ledger, the worker's own lists, the events and the log.

mod controls;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use snap_sim::ReferenceReport;

use super::amqp::Event;
use super::{Job, Stage};

/// What an oracle saw of a run.
pub(crate) struct Verdict {
    published: BTreeMap<String, Job>,
    ledger: BTreeMap<String, ReferenceReport>,
    totals: snap_sim::Verdict,
    external_ids: Vec<String>,
    jobs: BTreeMap<String, Value>,
    dead: Vec<Value>,
    events: Vec<Event>,
    log: String,
    secrets: Vec<String>,
    max_in_flight: u64,
}

/// What is wrong with a run, one sentence each.
type Findings = Vec<String>;

impl Verdict {
    /// Looks at everything there is.
    pub(crate) fn of(stage: &Stage) -> Self {
        let sim = stage.sim.running();
        let by_reference = |value: Value| (text(&value, "partnerReferenceNo").to_owned(), value);
        Self {
            published: stage.published().clone(),
            ledger: sim.references().into_iter().map(|report| (report.reference.clone(), report)).collect(),
            totals: sim.verdict(),
            external_ids: sim.requests().into_iter().filter_map(|request| request.external_id).collect(),
            jobs: stage.worker.list(&["jobs", "list"]).into_iter().map(by_reference).collect(),
            dead: stage.worker.list(&["dlq", "list"]),
            events: stage.outcomes.all(),
            log: stage.worker.log(),
            secrets: secrets(stage),
            // Of each of the two lanes; and the provider holds what a dead process has left there for a while.
            max_in_flight: u64::from(stage.settings.max_in_flight) * 2 * stage.worker.lives.max(1),
        }
    }

    /// Asserts every safety rule, and that nothing is still under way.
    pub(crate) fn assert_sound(&self) {
        let findings = self.findings();
        assert!(findings.is_empty(), "{} findings:\n{}", findings.len(), findings.join("\n"));
    }

    /// Of a run in which the worker's clock was wrong: the provider refuses requests from another hour.
    pub(crate) fn of_a_wrong_clock(mut self) -> Self {
        self.totals.refused = 0;
        self
    }

    /// What is wrong, one sentence each.
    pub(crate) fn findings(&self) -> Vec<String> {
        let mut findings = Findings::new();
        self.money(&mut findings);
        self.requests(&mut findings);
        self.nothing_lost(&mut findings);
        self.told(&mut findings);
        self.secrecy(&mut findings);
        findings
    }

    /// Asserts [`Verdict::assert_sound`], and that each job succeeded.
    pub(crate) fn assert_all_succeeded(&self) {
        self.assert_sound();
        let others: Vec<_> = self.published.keys().filter(|reference| self.state(reference) != "succeeded").collect();
        assert!(others.is_empty(), "did not succeed: {others:?}");
    }

    /// The state of a job, in the contract's word; empty where the worker does not know it.
    pub(crate) fn state(&self, reference: &str) -> &str {
        self.jobs.get(reference).map_or("", |job| text(job, "state"))
    }

    /// How often a reference was credited, taken back or not.
    pub(crate) fn credits(&self, reference: &str) -> usize {
        self.ledger.get(reference).map_or(0, |report| report.credits.len())
    }

    /// Top-up requests that the provider saw for a reference.
    pub(crate) fn top_ups(&self, reference: &str) -> u32 {
        self.ledger.get(reference).map_or(0, |report| report.top_ups)
    }

    /// The open dead letters.
    pub(crate) fn dead_letters(&self) -> &[Value] {
        &self.dead
    }

    /// The open dead letter of a job.
    pub(crate) fn dead_letter_of(&self, reference: &str) -> Option<&Value> {
        self.dead.iter().find(|letter| text(letter, "partnerReferenceNo") == reference)
    }

    /// Rules 1 and 5: at most one credit; success means one, equal; rejection means none.
    fn money(&self, findings: &mut Findings) {
        if self.totals.double_credits > 0 {
            findings.push(format!("{} double credits", self.totals.double_credits));
        }
        for (reference, report) in &self.ledger {
            if report.credits.len() > 1 {
                findings.push(format!("{reference} was credited {} times", report.credits.len()));
            }
            let Some(job) = self.published.get(reference) else {
                findings.push(format!("{reference} was asked for by nobody"));
                continue;
            };
            for credit in &report.credits {
                if credit.customer != job.canonical_customer() || credit.amount != job.amount {
                    findings.push(format!("{reference}: credited {} to another, or another amount", credit.amount));
                }
            }
        }
        for reference in self.published.keys() {
            match (self.state(reference), self.credits(reference)) {
                ("succeeded", 0) => findings.push(format!("{reference} succeeded without a credit")),
                ("rejected", 1..) => findings.push(format!("{reference} was rejected and credited")),
                _ => {}
            }
        }
    }

    /// Rules 4 and 13, and M11: numbers are never reused, the cap is kept, nobody follows a redirect, each signature is right.
    fn requests(&self, findings: &mut Findings) {
        let distinct: BTreeSet<_> = self.external_ids.iter().collect();
        if distinct.len() != self.external_ids.len() {
            findings.push(format!("{} external ids were used again", self.external_ids.len() - distinct.len()));
        }
        if let Some(odd) =
            self.external_ids.iter().find(|id| id.len() > 32 || !id.bytes().all(|byte| byte.is_ascii_digit()))
        {
            findings.push(format!("an external id is not 1 to 32 digits: {odd}"));
        }
        if self.totals.redirects_followed > 0 {
            findings.push("a redirect was followed".to_owned());
        }
        if self.totals.refused > 0 {
            findings.push(format!("the provider refused {} requests as badly made", self.totals.refused));
        }
        if self.totals.max_in_flight > self.max_in_flight {
            findings
                .push(format!("{} requests at one time, of {} allowed", self.totals.max_in_flight, self.max_in_flight));
        }
    }

    /// Rule 15: each accepted job has ended or is visible in front of a person.
    fn nothing_lost(&self, findings: &mut Findings) {
        for reference in self.published.keys() {
            match self.state(reference) {
                "succeeded" | "rejected" | "discarded" => {}
                "dead" if self.dead_letter_of(reference).is_some() => {}
                "dead" => findings.push(format!("{reference} is dead without a dead letter")),
                "" => findings.push(format!("{reference} is lost: the worker does not know it")),
                state => findings.push(format!("{reference} is still {state}")),
            }
        }
        for reference in self.jobs.keys().filter(|reference| !self.published.contains_key(*reference)) {
            findings.push(format!("{reference} is a job that nobody published"));
        }
    }

    /// Rule 16: an outcome event for each end, with one id, and repeats byte for byte.
    fn told(&self, findings: &mut Findings) {
        let mut bodies: BTreeMap<&str, &[u8]> = BTreeMap::new();
        let mut terminal: BTreeMap<&str, BTreeSet<(&str, &str)>> = BTreeMap::new();
        for event in &self.events {
            let message_id = event.properties.message_id().as_ref().map(|id| id.as_str());
            if message_id != Some(event.id()) || event.id().is_empty() {
                findings.push(format!("event {} has message_id {message_id:?}", event.id()));
            }
            if event.routing_key != event.kind() || *event.properties.delivery_mode() != Some(2) {
                findings.push(format!("event {} is not routed by its type, or not persistent", event.id()));
            }
            if bodies.insert(event.id(), &event.raw).is_some_and(|earlier| earlier != event.raw) {
                findings.push(format!("event {} came with two contents", event.id()));
            }
            if event.is_terminal() {
                terminal.entry(event.text("subject")).or_default().insert((event.kind(), event.id()));
            }
        }
        for reference in self.published.keys() {
            let told = terminal.get(reference.as_str()).cloned().unwrap_or_default();
            let kinds: Vec<_> = told.iter().map(|(kind, _)| *kind).collect();
            match self.state(reference) {
                state @ ("succeeded" | "rejected" | "discarded") if kinds != [format!("topup.{state}")] => {
                    findings.push(format!("{reference} is {state}, and told as {told:?}"));
                }
                "dead" if !kinds.is_empty() => findings.push(format!("{reference} is dead, and told as {told:?}")),
                _ => {}
            }
        }
    }

    /// Rule 11: no secret, token, full phone number or name in the log.
    fn secrecy(&self, findings: &mut Findings) {
        for secret in self.secrets.iter().filter(|secret| self.log.contains(secret.as_str())) {
            let line = self.log.lines().find(|line| line.contains(secret.as_str())).unwrap_or_default();
            findings.push(format!("the log tells {secret:?}: {line}"));
        }
    }
}

/// Texts that no log may contain: credentials, key material, customers in every form, names.
fn secrets(stage: &Stage) -> Vec<String> {
    let known = stage.sim.credentials();
    let key = known.private_key_pem.as_deref().unwrap_or_default();
    let mut secrets = vec![known.client_secret.clone(), "Bearer ".to_owned(), "guest:guest".to_owned()];
    secrets.extend(key.lines().filter(|line| line.len() > 40).map(str::to_owned));
    for job in stage.published().values() {
        // Without the country code or the leading zero: so that each of the three forms is found.
        secrets.push(job.canonical_customer()[2..].to_owned());
        secrets.extend(job.json().get("customerName").and_then(Value::as_str).map(str::to_owned));
    }
    secrets
}

/// A member of a JSON object as text; empty where there is none.
pub(crate) fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}
