//! Exchanges and queues of one run.

use std::time::Duration;

use lapin::options::{ExchangeDeleteOptions, QueueDeleteOptions};

use crate::amqp::{self, Names, in_time};
use crate::config::AmqpSection;

const LIMIT: Duration = Duration::from_secs(10);

/// Takes the exchanges and queues of a run away again.
///
/// # Errors
/// The broker cannot be reached, or does not let go of them.
pub(in crate::ops) async fn take_away(section: &AmqpSection) -> anyhow::Result<()> {
    let config = section.connection()?;
    let names = Names::new(&config.namespace);
    let connection = amqp::connect(&config, "clean-up", LIMIT).await?;
    let channel = in_time("opening a channel", LIMIT, connection.create_channel()).await?;
    for queue in [&names.jobs, &names.dead, &names.outcomes, &names.custodian, &names.witness] {
        let deleted = channel.queue_delete(queue.as_str().into(), QueueDeleteOptions::default());
        in_time("deleting a queue", LIMIT, deleted).await?;
    }
    for exchange in [&names.exchange, &names.dlx, &names.events, &names.custodian] {
        let deleted = channel.exchange_delete(exchange.as_str().into(), ExchangeDeleteOptions::default());
        in_time("deleting an exchange", LIMIT, deleted).await?;
    }
    drop(tokio::time::timeout(LIMIT, connection.close(200, "bye".into())).await);
    Ok(())
}
