//! What came of a drill, for people and for machines.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use super::judge::{Events, Finding, Judgement};
use super::plan::Act;
use super::storm::Weathered;
use crate::ops::jobs::Rupiah;
use crate::output::{Cell, Column, Table, Tone, counted, rupiah};

/// The acts that are kills, once and twice; they have lines of their own.
const KILLS: [&str; 2] = [Act::Kill.name(), Act::KillTwice(Duration::ZERO).name()];
/// Findings shown to people; a machine gets all of them.
const SHOWN: usize = 20;

/// The one object of `-o json`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Certificate {
    pub(super) result: Outcome,
    pub(super) version: &'static str,
    pub(super) seed: u64,
    pub(super) elapsed_ms: u64,
    pub(super) transport: &'static str,
    /// Settings of the drilled worker that are not the drill's own.
    pub(super) settings: Vec<String>,
    pub(super) submitted: u64,
    pub(super) submitted_twice: u64,
    pub(super) ends: Vec<End>,
    pub(super) credits: u64,
    pub(super) credited: Rupiah,
    pub(super) double_credits: u64,
    pub(super) lost: u64,
    /// In front of a person.
    pub(super) unresolved: u64,
    /// Those of them whose money may have moved.
    pub(super) maybe_sent: u64,
    /// `null` without a broker.
    pub(super) events: Option<Events>,
    pub(super) audit_rows: u64,
    pub(super) kills: u64,
    pub(super) restarts: u64,
    pub(super) longest_recovery_ms: u64,
    /// What was broken, by kind.
    pub(super) broken: BTreeMap<&'static str, u64>,
    /// Requests that met a fault of the provider's own, by kind.
    pub(super) provider_faults: BTreeMap<String, u64>,
    /// What this drill says nothing about.
    pub(super) not_exercised: Vec<String>,
    pub(super) findings: Vec<Finding>,
    #[serde(skip)]
    credited_minor: u128,
}

/// Whether all is well.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Outcome {
    /// Nothing was found.
    Pass,
    /// Something was.
    Fail,
}

/// How jobs ended.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct End {
    pub(super) state: String,
    pub(super) reason: Option<String>,
    pub(super) count: u64,
    pub(super) amount: Rupiah,
    #[serde(skip)]
    minor: u128,
}

/// What the certificate says beside the judgement.
#[derive(Clone, Debug)]
pub(super) struct Heading {
    pub(super) seed: u64,
    pub(super) elapsed: Duration,
    pub(super) transport: &'static str,
    pub(super) settings: Vec<String>,
    pub(super) not_exercised: Vec<String>,
}

impl Certificate {
    pub(super) fn new(heading: Heading, weathered: Weathered, judgement: Judgement) -> Self {
        let Weathered { evidence, tally, provider_faults, submitted_twice } = weathered;
        let mut findings = judgement.findings;
        findings.extend(tally.findings);
        findings.sort_by_key(|finding| finding.kind);
        let millis = |span: Duration| u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        let end = |((state, reason), (count, minor)): ((String, String), (u64, u128))| End {
            state,
            reason: (!reason.is_empty()).then_some(reason),
            count,
            amount: outbox::Total::from_minor(minor).into(),
            minor,
        };
        Self {
            result: if findings.is_empty() { Outcome::Pass } else { Outcome::Fail },
            version: env!("CARGO_PKG_VERSION"),
            seed: heading.seed,
            elapsed_ms: millis(heading.elapsed),
            transport: heading.transport,
            settings: heading.settings,
            submitted: evidence.submitted.len() as u64,
            submitted_twice,
            ends: judgement.ends.into_iter().map(end).collect(),
            credits: judgement.credits,
            credited: outbox::Total::from_minor(judgement.credited).into(),
            double_credits: judgement.double_credits,
            lost: judgement.lost,
            unresolved: judgement.unresolved,
            maybe_sent: judgement.maybe_sent,
            events: judgement.events,
            audit_rows: judgement.audit_rows,
            kills: tally.kills,
            restarts: tally.restarts,
            longest_recovery_ms: millis(tally.longest_recovery),
            broken: tally.broken,
            provider_faults,
            not_exercised: heading.not_exercised,
            findings,
            credited_minor: judgement.credited,
        }
    }

    /// For people.
    pub(super) fn text(&self, color: bool) -> String {
        let mut text = self.facts().render(color);
        text.push('\n');
        text.push_str(&self.jobs().render(color));
        text.push('\n');
        text.push_str(&self.judged().render(color));
        text.push('\n');
        text.push_str(&self.broken().render(color));
        if !self.findings.is_empty() {
            text.push_str(&format!("\n{}\n", Tone::Bad.paint(&counted(self.findings.len() as u64, "finding"), color)));
            for finding in self.findings.iter().take(SHOWN) {
                text.push_str(&format!("  {}\n", crate::output::plain_text(&finding.detail)));
            }
            if self.findings.len() > SHOWN {
                text.push_str(&format!("  and {} more: -o json has all of them\n", self.findings.len() - SHOWN));
            }
        }
        let (word, tone) = match self.result {
            Outcome::Pass => ("PASS", Tone::Good),
            Outcome::Fail => ("FAIL", Tone::Bad),
        };
        text.push_str(&format!("\n{}\n", tone.paint(word, color)));
        text
    }

    fn facts(&self) -> Table {
        let transport = if self.transport == "amqp" { "RabbitMQ" } else { "the store alone" };
        let settings = (!self.settings.is_empty()).then(|| self.settings.join(", "));
        Table::facts([
            ("drill of worker", Some(self.version.to_owned())),
            ("seed", Some(self.seed.to_string())),
            ("took", Some(seconds(self.elapsed_ms))),
            ("jobs through", Some(transport.to_owned())),
            ("own settings", settings),
        ])
    }

    fn jobs(&self) -> Table {
        let columns = [Column::left("JOBS"), Column::left("REASON"), Column::right("COUNT"), Column::right("AMOUNT")];
        let mut table = Table::new(columns);
        for end in &self.ends {
            let tone = match end.state.as_str() {
                "succeeded" => Tone::Good,
                "rejected" | "discarded" => Tone::Plain,
                _ => Tone::Notice,
            };
            table.row([
                Cell::toned(&end.state, tone),
                Cell::maybe(end.reason.as_ref()),
                Cell::new(end.count.to_string()),
                Cell::new(rupiah(end.minor)),
            ]);
        }
        table
    }

    fn judged(&self) -> Table {
        let mut table = Table::new([Column::left("THE JUDGE SAYS"), Column::right("")]);
        let judged = |count: u64| Cell::toned(count.to_string(), if count == 0 { Tone::Good } else { Tone::Bad });
        let plain = |count: u64| Cell::new(count.to_string());
        table.row([Cell::new(format!("credits, {}", rupiah(self.credited_minor))), plain(self.credits)]);
        table.row([Cell::new("double credits"), judged(self.double_credits)]);
        table.row([Cell::new("lost"), judged(self.lost)]);
        let maybe = format!("in front of a person ({} perhaps paid)", self.maybe_sent);
        table.row([Cell::new(maybe), plain(self.unresolved)]);
        match &self.events {
            Some(events) => {
                table.row([Cell::new(format!("outcomes told ({} repeats)", events.repeats)), plain(events.told)]);
                table.row([Cell::new("outcomes missing"), judged(events.missing)]);
                table.row([Cell::new("outcomes contradictory"), judged(events.contradictory)]);
            }
            None => table.row([Cell::new("outcomes told"), Cell::new("-")]),
        }
        table.row([Cell::new("audit rows, the chain is followed"), plain(self.audit_rows)]);
        table
    }

    fn broken(&self) -> Table {
        let mut table = Table::new([Column::left("WHAT WAS BROKEN"), Column::right("")]);
        let mut row = |what: String, count: String| table.row([Cell::new(what), Cell::new(count)]);
        row("kill -9 of the worker".to_owned(), self.kills.to_string());
        let [_, twice] = KILLS.map(|name| self.broken.get(name).copied().unwrap_or(0));
        row("  of them while it recovered from another one".to_owned(), twice.to_string());
        let slowest = format!("restarts (the slowest was ready after {} ms)", self.longest_recovery_ms);
        row(slowest, self.restarts.to_string());
        for (name, count) in self.broken.iter().filter(|(name, _)| !KILLS.contains(name)) {
            row(words(name).to_owned(), count.to_string());
        }
        let (faults, kinds) = (self.provider_faults.values().sum::<u64>(), self.provider_faults.len() as u64);
        row(format!("requests that met a fault of the provider's, of {}", counted(kinds, "kind")), faults.to_string());
        row("jobs submitted twice".to_owned(), self.submitted_twice.to_string());
        for what in &self.not_exercised {
            table.row([Cell::toned(format!("not exercised: {what}"), Tone::Notice), Cell::none()]);
        }
        table
    }
}

fn seconds(millis: u64) -> String {
    format!("{}.{} s", millis / 1000, millis % 1000 / 100)
}

/// What an act's word in JSON means.
fn words(name: &'static str) -> &'static str {
    match name {
        "freeze" => "the worker frozen (SIGSTOP) and let go on",
        "secondWorker" => "a second worker on the same store, refused",
        "storeRemoved" => "the store's files moved away under the worker, which ended",
        "storeSwapped" => "an older copy put in the store's place under the worker, which ended",
        "lockRemoved" => "the side file taken away, a second worker refused",
        "secondStore" => "another store on the same namespace, refused",
        "otherAccount" => "the configuration names another account for a while",
        "clockAhead" => "the worker's wall clock four minutes ahead for a while",
        "clockBehind" => "the worker's wall clock four minutes behind for a while",
        "operatorPause" => "a lane paused and resumed by an operator",
        "writeRefused" => "the store's writes refused (a limit on file sizes)",
        "fullDisk" => "the disk full",
        "providerAway" => "the provider's port closed",
        "providerSilent" => "the provider executes, and says nothing",
        "providerResets" => "the provider resets every request",
        "providerUnavailable" => "the provider says 503 to everything",
        "depositEmpty" => "the deposit empty (403 14)",
        "unauthorized" => "the credentials refused (401 00)",
        "brokerCut" => "connections to the broker closed",
        "brokerReset" => "connections to the broker reset",
        "brokerStall" => "connections to the broker silent",
        "brokerAway" => "the broker out of reach",
        other => other,
    }
}

#[cfg(test)]
mod tests;
