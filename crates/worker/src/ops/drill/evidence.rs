//! What the judge looks at, and where it is got from: the simulator's ledger, the worker's own lists as any operator gets
//! them, and the messages that arrived. Nothing of the worker's store or engine is used here.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::time::Duration;

use anyhow::Context as _;
use futures_util::StreamExt as _;
use lapin::options::{BasicConsumeOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use serde::Deserialize;
use serde_json::Value;
use snap_sim::{ReferenceReport, Running};
use tokio::time::timeout;

use super::child::Commands;
use crate::amqp::{self, Names, in_time};
use crate::config::AmqpSection;

const LIMIT: Duration = Duration::from_secs(15);

/// A job as it was submitted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Submitted {
    /// `62…`.
    pub(super) customer: String,
    /// `10000.00`.
    pub(super) amount: String,
}

/// A job as the worker shows it.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Job {
    pub(super) partner_reference_no: String,
    pub(super) state: String,
    pub(super) reason: Option<String>,
    pub(super) money_state: String,
}

/// An open dead letter as the worker shows it.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DeadLetter {
    pub(super) partner_reference_no: Option<String>,
}

/// The verdict of `audit verify`.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Audit {
    pub(super) sound: bool,
    pub(super) rows: Option<u64>,
    pub(super) fault: Option<String>,
}

/// An outcome event as its consumer got it.
#[derive(Clone, Debug)]
pub(super) struct Event {
    pub(super) id: String,
    pub(super) kind: String,
    /// Empty where there is none.
    pub(super) subject: String,
    pub(super) body: Vec<u8>,
}

/// What the simulators count for themselves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Totals {
    /// Credits beyond the first of a reference, at one account.
    pub(super) double_credits: u64,
    /// Requests refused as badly made.
    pub(super) refused: u64,
    pub(super) redirects_followed: u64,
}

impl Totals {
    /// Over all accounts.
    fn of(verdicts: impl Iterator<Item = snap_sim::Verdict>) -> Self {
        verdicts.fold(Self::default(), |totals, verdict| Self {
            double_credits: totals.double_credits + verdict.double_credits,
            refused: totals.refused + verdict.refused,
            redirects_followed: totals.redirects_followed + verdict.redirects_followed,
        })
    }
}

/// One report a reference: whoever was credited at two accounts was credited twice.
fn merged(reports: impl Iterator<Item = ReferenceReport>) -> Vec<ReferenceReport> {
    let mut by_reference = BTreeMap::<String, ReferenceReport>::new();
    for report in reports {
        match by_reference.entry(report.reference.clone()) {
            Entry::Vacant(vacant) => {
                vacant.insert(report);
            }
            Entry::Occupied(mut known) => known.get_mut().credits.extend(report.credits),
        }
    }
    by_reference.into_values().collect()
}

/// Everything there is to judge.
#[derive(Clone, Debug)]
pub(super) struct Evidence {
    /// By `partnerReferenceNo`.
    pub(super) submitted: BTreeMap<String, Submitted>,
    pub(super) ledger: Vec<ReferenceReport>,
    pub(super) totals: Totals,
    /// `X-EXTERNAL-ID` of every request that is remembered.
    pub(super) external_ids: Vec<String>,
    pub(super) jobs: Vec<Job>,
    pub(super) dead_letters: Vec<DeadLetter>,
    /// `None` where there is no broker.
    pub(super) events: Option<Vec<Event>>,
    pub(super) audit: Audit,
    /// Changes by operators that were answered with success.
    pub(super) acts: u64,
}

/// Asks for all of it; the worker is at rest, or has stopped.
///
/// # Errors
/// A command fails, or the broker cannot be reached.
pub(super) async fn gather(
    submitted: BTreeMap<String, Submitted>,
    acts: u64,
    accounts: &[&Running],
    commands: &Commands,
    amqp: Option<&AmqpSection>,
) -> anyhow::Result<Evidence> {
    let jobs = commands.lines(&["jobs", "export"]).await?;
    let dead_letters = commands.lines(&["dlq", "list", "--limit", "1000000"]).await?;
    // Its exit code says the same as its object: a broken trail is evidence, not a failure.
    let verified = commands.ask(&["audit", "verify", "-o", "json"], b"").await?.context("worker audit verify hangs")?;
    let audit = serde_json::from_slice(&verified.stdout).context("worker audit verify prints no verdict")?;
    let events = match amqp {
        Some(section) => Some(events(section).await?),
        None => None,
    };
    Ok(Evidence {
        submitted,
        ledger: merged(accounts.iter().flat_map(|sim| sim.references())),
        totals: Totals::of(accounts.iter().map(|sim| sim.verdict())),
        external_ids: accounts
            .iter()
            .flat_map(|sim| sim.requests())
            .filter_map(|request| request.external_id)
            .collect(),
        jobs,
        dead_letters,
        events,
        audit,
        acts,
    })
}

/// Every message in the outcome queue; the worker publishes no more.
async fn events(section: &AmqpSection) -> anyhow::Result<Vec<Event>> {
    let config = section.connection()?;
    let queue = Names::new(&config.namespace).outcomes;
    let connection = amqp::connect(&config, "drill's judge", LIMIT).await?;
    let channel = in_time("opening a channel", LIMIT, connection.create_channel()).await?;
    let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
    let declared = channel.queue_declare(queue.as_str().into(), passive, FieldTable::default());
    let waiting = in_time("looking at the outcome queue", LIMIT, declared).await?.message_count();
    let options = BasicConsumeOptions { no_ack: true, ..BasicConsumeOptions::default() };
    let consuming = channel.basic_consume(queue.as_str().into(), "".into(), options, FieldTable::default());
    let mut deliveries = in_time("consuming the outcomes", LIMIT, consuming).await?;
    let mut events = Vec::new();
    while events.len() < waiting as usize {
        let delivery = timeout(LIMIT, deliveries.next()).await.context("the broker does not hand out every outcome")?;
        let delivery = delivery.context("the consumer of the outcomes was cancelled")??;
        events.push(event(delivery.data.clone()));
    }
    drop(timeout(LIMIT, connection.close(200, "bye".into())).await);
    Ok(events)
}

/// What cannot be read has no id, which the judge finds.
fn event(body: Vec<u8>) -> Event {
    let envelope: Value = serde_json::from_slice(&body).unwrap_or_default();
    let text = |name: &str| envelope[name].as_str().unwrap_or_default().to_owned();
    Event { id: text("id"), kind: text("type"), subject: text("subject"), body }
}

/// A job's message as a producer wrote it.
///
/// # Errors
/// It is none.
pub(super) fn submitted(body: &[u8]) -> anyhow::Result<(String, Submitted)> {
    let message: Value = serde_json::from_slice(body)?;
    let text = |value: &Value| value.as_str().map(str::to_owned).context("a job is not what it should be");
    let digits = text(&message["customerNumber"])?;
    let customer = digits.strip_prefix('0').map_or_else(|| digits.clone(), |rest| format!("62{rest}"));
    Ok((text(&message["partnerReferenceNo"])?, Submitted { customer, amount: text(&message["amount"]["value"])? }))
}
