//! `bench bound`: the same flow without durability, which the worker is measured against. Consume, account inquiry,
//! top-up, outcome event with its confirm, ack; no store, no log, no metrics, no retries.
//!
//! It is meant to be a good program: many jobs at a time, confirms awaited by each job for itself, one keep-alive pool,
//! everything that can be made once made once. It calls the provider with reqwest of its own, so that it stays what it
//! is when the worker's client changes.

mod event;
mod provider;

use std::sync::Arc;

use anyhow::{Context as _, bail};
use futures_util::StreamExt as _;
use lapin::message::Delivery;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions, ConfirmSelectOptions,
};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Confirmation, Connection, ConnectionProperties};
use serde::Deserialize;
use snap_core::{Amount, CustomerNumber, PartnerReferenceNo};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::cli::BoundArgs;
use crate::queues::Names;
use provider::Provider;

/// Runs until it is killed, or something fails.
pub(crate) async fn run(args: &BoundArgs) -> anyhow::Result<()> {
    let names = Names::new(&args.namespace);
    let provider = Provider::connect(&args.provider, args.in_flight).await?;
    let consuming = connect(&args.amqp, "bound consume").await?;
    let publishing = connect(&args.amqp, "bound publish").await?;
    let incoming = consuming.create_channel().await.context("failed to open a channel")?;
    incoming.basic_qos(args.prefetch, BasicQosOptions { global: false }).await.context("failed to set the prefetch")?;
    let outgoing = publishing.create_channel().await.context("failed to open a channel")?;
    outgoing.confirm_select(ConfirmSelectOptions::default()).await.context("failed to switch confirms on")?;
    let flow = Arc::new(Flow { provider, outgoing, names, event: !args.no_event });
    let mut deliveries = incoming
        .basic_consume(
            flow.names.jobs.as_str().into(),
            "".into(),
            BasicConsumeOptions::default(),
            FieldTable::default(),
        )
        .await
        .context("failed to consume")?;

    let slots = Arc::new(Semaphore::new(args.in_flight as usize));
    let mut jobs = JoinSet::new();
    loop {
        let slot = Arc::clone(&slots).acquire_owned().await?;
        let delivery = deliveries.next().await.context("the consumer ended")??;
        let flow = Arc::clone(&flow);
        jobs.spawn(async move {
            let done = flow.job(delivery).await;
            drop(slot);
            done
        });
        while let Some(done) = jobs.try_join_next() {
            done??;
        }
    }
}

async fn connect(url: &str, purpose: &str) -> anyhow::Result<Connection> {
    let properties = ConnectionProperties::default().with_connection_name(purpose.into());
    Connection::connect(url, properties).await.context("failed to connect to the broker")
}

/// What every job needs.
struct Flow {
    provider: Provider,
    outgoing: Channel,
    names: Names,
    event: bool,
}

/// A job message, as far as this program needs it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Message {
    partner_reference_no: PartnerReferenceNo,
    customer_number: String,
    amount: Value,
}

#[derive(Deserialize)]
struct Value {
    value: String,
    currency: String,
}

/// A job as it is worked on.
struct Job {
    reference: PartnerReferenceNo,
    customer: CustomerNumber,
    amount: Amount,
    accepted_at: snap_core::Timestamp,
}

impl Flow {
    async fn job(&self, delivery: Delivery) -> anyhow::Result<()> {
        let job = parse(&delivery.data)?;
        let account = self.provider.inquire(&job).await?;
        let answer = self.provider.top_up(&job, &account).await?;
        if self.event {
            self.publish(&job, &answer, delivery.properties.correlation_id()).await?;
        }
        delivery.acker.ack(BasicAckOptions::default()).await.context("failed to acknowledge")?;
        Ok(())
    }

    async fn publish(
        &self,
        job: &Job,
        answer: &snap_core::TopUpResponse,
        correlation_id: &Option<lapin::types::ShortString>,
    ) -> anyhow::Result<()> {
        let event = event::succeeded(job, answer);
        let mut properties = BasicProperties::default()
            .with_content_type(event::CONTENT_TYPE.into())
            .with_delivery_mode(2)
            .with_message_id(event.id.into())
            .with_type(event::KIND.into());
        if let Some(id) = correlation_id {
            properties = properties.with_correlation_id(id.clone());
        }
        let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
        let exchange = self.names.events.as_str().into();
        let confirm = self
            .outgoing
            .basic_publish(exchange, event::KIND.into(), options, &event.body, properties)
            .await
            .context("failed to publish")?;
        match confirm.await.context("no confirm")? {
            Confirmation::Ack(None) => Ok(()),
            other => bail!("an event was not taken: {other:?}"),
        }
    }
}

fn parse(body: &[u8]) -> anyhow::Result<Job> {
    let message: Message = serde_json::from_slice(body).context("a job message cannot be read")?;
    anyhow::ensure!(message.amount.currency == "IDR", "a currency is not IDR");
    Ok(Job {
        reference: message.partner_reference_no,
        customer: CustomerNumber::parse(&message.customer_number).context("a customer number cannot be read")?,
        amount: Amount::parse_strict(&message.amount.value).context("an amount cannot be read")?,
        accepted_at: crate::clock::now(),
    })
}
