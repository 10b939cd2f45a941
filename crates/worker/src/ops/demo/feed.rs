//! Brings the demo's messages to the worker: through the store, or through RabbitMQ like any producer.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use lapin::BasicProperties;
use lapin::options::ConfirmSelectOptions;
use outbox::{Carried, NewJob, Refusal, Store};
use tokio_util::sync::CancellationToken;

use crate::amqp::{self, JOBS_KEY, Link, Names, Outgoing, in_time, publish_window};
use crate::clock::Clock;
use crate::config::{AmqpSection, Config};
use crate::intake::{Asked, body_of, new_job, refusal};
use crate::message;
use crate::ops::simulated::jobs::Message;

const WINDOW: usize = 256;
const LIMIT: Duration = Duration::from_secs(10);

/// Records messages the way the intake would.
pub(super) async fn through_store(
    store: &Store,
    config: &Config,
    messages: &[Message],
    recorded: &dyn Fn(),
) -> anyhow::Result<()> {
    let clock = Clock::start();
    let providers = crate::app::config_providers(&config.providers, config.default_provider.as_deref());
    for window in messages.chunks(WINDOW) {
        let now = clock.now();
        let (mut jobs, mut refusals): (Vec<NewJob>, Vec<Refusal>) = (Vec::new(), Vec::new());
        for Message { body, .. } in window {
            let carried = Carried::default();
            let kept = body.clone();
            let delivered = move || body_of(&kept, serde_json::json!({}), serde_json::json!({}));
            match message::parse(body, None, &providers) {
                Ok(request) => {
                    let provider =
                        config.providers.get(&request.provider).context("a parsed provider is configured")?;
                    let policy = provider.policy();
                    let asked = Asked { request, carried, delivered, due_at: Some(now), at: now };
                    jobs.push(new_job(&clock, &policy, asked, None));
                }
                Err(refused) => refusals.push(refusal(&clock, delivered(), &carried, &refused, now)),
            }
        }
        if !jobs.is_empty() {
            store.accept(jobs).await?;
            recorded();
        }
        if !refusals.is_empty() {
            store.refuse(refusals).await?;
        }
    }
    Ok(())
}

/// Publishes messages with confirms.
pub(super) async fn through_amqp(section: &AmqpSection, messages: &[Message]) -> anyhow::Result<()> {
    let config = section.connection()?;
    let names = Names::new(&config.namespace);
    let connection = amqp::connect(&config, "demo producer", LIMIT).await?;
    let channel = in_time("opening a channel", LIMIT, connection.create_channel()).await?;
    amqp::declare(&channel, &names).await?;
    in_time("confirm.select", LIMIT, channel.confirm_select(ConfirmSelectOptions::default())).await?;
    let (link, over) = (Arc::new(Link::default()), CancellationToken::new());
    for window in messages.chunks(WINDOW) {
        let outgoing = window.iter().map(|message| Outgoing {
            message_id: &message.reference,
            routing_key: JOBS_KEY,
            body: &message.body,
            properties: BasicProperties::default()
                .with_content_type("application/json".into())
                .with_delivery_mode(2)
                .with_message_id(message.reference.as_str().into()),
        });
        let taken = publish_window(&channel, &names.exchange, outgoing.collect(), &link, &over).await?;
        anyhow::ensure!(taken.into_iter().all(|taken| taken), "the broker did not take every message");
    }
    drop(tokio::time::timeout(LIMIT, connection.close(200, "bye".into())).await);
    Ok(())
}
