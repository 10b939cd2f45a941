//! `worker check`: looks at everything the service needs. Moves no money and changes nothing.
//!
//! The parts look side by side, each within a limit of its own, so that one that hangs hides nothing of the others.

mod broker;
mod custody;
mod provider;
mod store;
#[cfg(test)]
mod tests;
mod waiting;

use std::time::Duration;

use futures_util::future::{join_all, join3};
use serde::Serialize;

use super::{World, stdout};
use crate::clock::Clock;
use crate::config::{Config, ConfigError, Problem, Warning};
use crate::exit::{CommandError, Exit};
use crate::output::{Cell, Column, Table, Tone};

/// Looks, and tells what it found.
///
/// # Errors
/// Only what keeps it from telling.
pub async fn run(world: &World, clock: &Clock) -> Result<Exit, CommandError> {
    let findings = match world.config() {
        Ok(config) => look(&config, clock).await,
        Err(CommandError::Config(error)) => from_config(&error),
        Err(other) => return Err(other),
    };
    world.output.list("findings", &findings, None, || table(&findings)).map_err(stdout)?;
    let is_wrong = findings.iter().any(|finding| finding.status == Status::Error);
    Ok(if is_wrong { Exit::Usage } else { Exit::Done })
}

/// How something stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Status {
    Ok,
    /// It works, but should not stay so.
    Warning,
    /// It does not work.
    Error,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Finding {
    check: String,
    status: Status,
    detail: String,
    hint: Option<String>,
}

impl Finding {
    fn ok(check: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { check: check.into(), status: Status::Ok, detail: detail.into(), hint: None }
    }

    fn warning(check: impl Into<String>, detail: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { check: check.into(), status: Status::Warning, detail: detail.into(), hint: Some(hint.into()) }
    }

    fn error(check: impl Into<String>, detail: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { check: check.into(), status: Status::Error, detail: detail.into(), hint: Some(hint.into()) }
    }

    /// Where even what is well leaves something to say.
    fn with_hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }
}

const CONFIG: &str = "config";
/// Longer than whatever they do by turns, where each step has a limit too.
const STORE_LIMIT: Duration = Duration::from_secs(30);
const BROKER_LIMIT: Duration = Duration::from_secs(15);
const PROVIDER_LIMIT: Duration = Duration::from_secs(12);

async fn look(config: &Config, clock: &Clock) -> Vec<Finding> {
    let mut findings = vec![Finding::ok(CONFIG, format!("{} is read", config.file.display()))];
    findings.extend(from_warnings(config.warnings()));
    let of_store = within(store::STORE, STORE_LIMIT, async |found| store::look(config, clock, found).await);
    let of_broker = within(broker::BROKER, BROKER_LIMIT, async |found| {
        let elsewhere = custody::elsewhere(config, clock).await;
        match &config.amqp {
            Some(section) => {
                broker::look(section, found).await;
                // Where it cannot be reached there is no more to say; nor of a namespace that the store does not come to.
                if elsewhere.is_none() && found.iter().any(|finding| finding.check == broker::TOPOLOGY) {
                    custody::look(config, clock, found).await;
                }
            }
            None => found.push(Finding::ok(broker::BROKER, "none is configured: jobs come by `worker submit`")),
        }
        found.extend(elsewhere);
    });
    let of_providers =
        join_all(
            config.providers.values().map(|provider| {
                let name = provider::name(provider);
                async move {
                    within(&name, PROVIDER_LIMIT, async |found| provider::look(provider, clock, found).await).await
                }
            }),
        );
    let (of_store, of_broker, of_providers) = join3(of_store, of_broker, of_providers).await;
    findings.extend(of_store.into_iter().chain(of_broker).chain(of_providers.into_iter().flatten()));
    once(findings)
}

/// What a part found within its time, and that it was given up where that ran out.
async fn within(part: &str, limit: Duration, look: impl AsyncFnOnce(&mut Vec<Finding>)) -> Vec<Finding> {
    let mut found = Vec::new();
    if tokio::time::timeout(limit, look(&mut found)).await.is_err() {
        let detail = format!("is not looked at to its end: {} s were not enough", limit.as_secs());
        found.push(Finding::error(part, detail, "something hangs, or the machine is overloaded: try again"));
    }
    found
}

/// What two sections have in common, a key file that others can read, is said once.
fn once(findings: Vec<Finding>) -> Vec<Finding> {
    let mut seen = Vec::with_capacity(findings.len());
    for finding in findings {
        if !seen.contains(&finding) {
            seen.push(finding);
        }
    }
    seen
}

fn from_config(error: &ConfigError) -> Vec<Finding> {
    let file = error.file.display();
    let about_file = |problem: &Problem| Problem { what: format!("{file} {}", problem.what), ..problem.clone() };
    let named =
        error.problems.iter().map(|problem| if problem.key.is_some() { problem.clone() } else { about_file(problem) });
    named.map(|problem| from_problem(CONFIG, &problem)).collect()
}

fn from_problem(check: &str, problem: &Problem) -> Finding {
    let key = problem.key.as_ref().map(|key| format!("{key} ")).unwrap_or_default();
    let set_by = problem.set_by.as_ref().map(|variable| format!(" (set by {variable})")).unwrap_or_default();
    Finding::error(check, format!("{key}{}{set_by}", problem.what), &problem.hint)
}

/// What several keys have in common is one finding that names them.
fn from_warnings(warnings: Vec<Warning>) -> Vec<Finding> {
    let mut alike: Vec<(Vec<String>, String, String)> = Vec::new();
    for Warning { key, what, hint } in warnings {
        match alike.iter_mut().find(|(_, known, hinted)| *known == what && *hinted == hint) {
            Some((keys, ..)) => keys.push(key),
            None => alike.push((vec![key], what, hint)),
        }
    }
    let finding = |(keys, what, hint): (Vec<String>, String, String)| match &keys[..] {
        [key] => Finding::warning(CONFIG, format!("{key} {what}"), hint),
        keys => Finding::warning(CONFIG, format!("each of {}: {what}", keys.join(", ")), hint),
    };
    alike.into_iter().map(finding).collect()
}

fn table(findings: &[Finding]) -> Table {
    let mut table = Table::new([Column::left("CHECK"), Column::left(""), Column::left("FOUND")]);
    for finding in findings {
        let (word, tone) = match finding.status {
            Status::Ok => ("ok", Tone::Good),
            Status::Warning => ("warning", Tone::Notice),
            Status::Error => ("ERROR", Tone::Bad),
        };
        let found = Cell::new(&finding.detail);
        let found = match &finding.hint {
            Some(hint) => found.below(Cell::new(format!("hint: {hint}"))),
            None => found,
        };
        table.row([Cell::new(&finding.check), Cell::toned(word, tone), found]);
    }
    table
}
