//! Sending jobs: to the broker with confirms, or into the store.

use std::time::Duration;

use indicatif::ProgressBar;
use lapin::BasicProperties;
use lapin::options::ConfirmSelectOptions;
use outbox::{Accepted, Carried, OpenOptions, Opened, PerhapsSent, Store};
use tokio_util::sync::CancellationToken;

use super::{Job, Sent};
use crate::amqp::{self, AmqpError, JOBS_KEY, Link, Names, OPERATION_LIMIT, Outgoing, in_time, publish_window};
use crate::clock::Clock;
use crate::config::{AmqpSection, Config};
use crate::exit::CommandError;
use crate::intake::{Asked, body_of, new_job};

/// Jobs sent before their confirms are awaited, or written as one commit: a running worker must not wait long for its own.
const WINDOW: usize = 256;
const CONNECT_LIMIT: Duration = Duration::from_secs(10);
/// Persistent, in AMQP's number.
const PERSISTENT: u8 = 2;

/// Publishes, and answers for each job whether a queue has it.
pub(super) async fn to_broker(
    section: &AmqpSection,
    jobs: &[Job],
    clock: &Clock,
    bar: &ProgressBar,
) -> Result<Vec<Sent>, CommandError> {
    let config = section.connection()?;
    let names = Names::new(&config.namespace);
    let connection = amqp::connect(&config, "submit", CONNECT_LIMIT).await?;
    let channel = in_time("opening a channel", OPERATION_LIMIT, connection.create_channel()).await?;
    if config.declare {
        amqp::declare(&channel, &names).await?;
    }
    in_time("confirm.select", OPERATION_LIMIT, channel.confirm_select(ConfirmSelectOptions::default())).await?;
    let (link, over) = (Link::default(), CancellationToken::new());
    let mut sent = Vec::with_capacity(jobs.len());
    for window in jobs.chunks(WINDOW) {
        let ids: Vec<String> = window.iter().map(|_| clock.ulid()).collect();
        let outgoing = window.iter().zip(&ids).map(|(job, id)| Outgoing {
            message_id: id,
            routing_key: JOBS_KEY,
            body: &job.body,
            properties: BasicProperties::default()
                .with_content_type("application/json".into())
                .with_delivery_mode(PERSISTENT)
                .with_message_id(id.as_str().into()),
        });
        match publish_window(&channel, &names.exchange, outgoing.collect(), &link, &over).await {
            Ok(taken) => sent.extend(taken.into_iter().map(|taken| if taken { Sent::Taken } else { Sent::NotTaken })),
            Err(source) => return Err(broken_off(source, sent.len(), jobs.len())),
        }
        bar.set_position(sent.len() as u64);
    }
    // What is confirmed is safe, however the connection ends.
    drop(tokio::time::timeout(Duration::from_secs(2), connection.close(200, "bye".into())).await);
    Ok(sent)
}

fn broken_off(source: AmqpError, confirmed: usize, of: usize) -> CommandError {
    CommandError::BrokenOff { confirmed, of, source }
}

/// Writes into the store, beside a running worker or without one.
pub(super) async fn to_store(
    config: &Config,
    jobs: &[Job],
    clock: &Clock,
    bar: &ProgressBar,
) -> Result<Vec<Sent>, CommandError> {
    let Opened { store, reconcile, .. } = Store::open(&config.store.path, clock.now(), &OpenOptions::default())?;
    let perhaps_sent = reconcile.map(|mark| mark.perhaps_sent());
    let mut sent = Vec::with_capacity(jobs.len());
    let mut ended = Ok(());
    for window in jobs.chunks(WINDOW) {
        match store_window(&store, config, window, clock, perhaps_sent).await {
            Ok(window) => sent.extend(window),
            Err(error) => {
                ended = Err(error);
                break;
            }
        }
        bar.set_position(sent.len() as u64);
    }
    store.close().await;
    ended.map(|()| sent)
}

async fn store_window(
    store: &Store,
    config: &Config,
    jobs: &[Job],
    clock: &Clock,
    perhaps_sent: Option<PerhapsSent>,
) -> Result<Vec<Sent>, CommandError> {
    let now = clock.now();
    let mut new = Vec::with_capacity(jobs.len());
    for job in jobs {
        let name = &job.request.provider;
        let provider = config.providers.get(name).ok_or_else(|| {
            CommandError::usage(
                format!("provider {name} is not configured"),
                "`worker check` looks at the configuration",
            )
        })?;
        let message_id = clock.ulid();
        let properties = serde_json::json!({ "contentType": "application/json", "messageId": message_id });
        let body = job.body.clone();
        let asked = Asked {
            request: job.request.clone(),
            carried: Carried { message_id: Some(message_id), ..Carried::default() },
            delivered: move || body_of(&body, properties.clone(), serde_json::json!({})),
            due_at: Some(now),
            at: now,
        };
        new.push(new_job(clock, &provider.policy(), asked, perhaps_sent));
    }
    let accepted = store.accept(new).await?;
    Ok(accepted.into_iter().map(Sent::from).collect())
}

impl From<Accepted> for Sent {
    fn from(accepted: Accepted) -> Self {
        match accepted {
            Accepted::New(_) => Self::Taken,
            Accepted::Duplicate(_) => Self::Duplicate,
            Accepted::Conflict { dead_letter, fields } => {
                Self::Conflict { dead_letter: dead_letter.to_string(), fields }
            }
        }
    }
}
