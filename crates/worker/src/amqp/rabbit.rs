//! RabbitMQ: a generation is two connections (consume, publish) with their channels.

use std::sync::Arc;
use std::time::Duration;

use lapin::Channel;
use lapin::options::ConfirmSelectOptions;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::info;

use super::broker::{Broker, Connection, Generation, Publisher};
use super::{
    AmqpError, Custodies, Incoming, Link, Names, OPERATION_LIMIT, Outgoing, Source, check, connect, declare,
    deliveries, in_time, publish_window,
};
use crate::config::AmqpConfig;
use crate::custody::Custodian;

/// A connection that does not come about by then is given up.
const CONNECT_LIMIT: Duration = Duration::from_secs(15);
/// Closing a blocked connection hangs.
const CLOSE_LIMIT: Duration = Duration::from_secs(2);

/// A RabbitMQ.
#[derive(Debug)]
pub struct Rabbit {
    /// Where it is.
    pub config: AmqpConfig,
    /// Told where it takes no messages.
    pub link: Arc<Link>,
    /// Owns the tasks that watch for that.
    pub tracker: TaskTracker,
}

impl Broker for Rabbit {
    type Deliveries = Incoming;
    type Publisher = Confirmed;
    type Custody = Custodies;
    type Connection = Connections;

    async fn connect(&self, custodian: &Custodian, over: &CancellationToken) -> Result<Generation<Self>, AmqpError> {
        let names = Names::new(&self.config.namespace);
        let consume = Arc::new(connect(&self.config, "consume", CONNECT_LIMIT).await?);
        let publish = Arc::new(connect(&self.config, connect::PUBLISH, CONNECT_LIMIT).await?);

        // Before anything else: a foreign namespace is left as it is.
        let link = Arc::clone(&self.link);
        let mut custody = Custodies::new(Arc::clone(&consume), Arc::clone(&publish), names.clone(), link);
        custodian.claim(&mut custody).await?;
        let setup = in_time("opening a channel", OPERATION_LIMIT, consume.create_channel()).await?;
        if self.config.declare {
            declare(&setup, &names).await?;
        } else {
            check(&setup, &names).await?;
        }
        let jobs = deliveries::consume(&consume, &names.jobs, self.config.prefetch, Source::Jobs).await?;
        let dead = deliveries::consume(&consume, &names.dead, self.config.prefetch, Source::Dead).await?;
        let channel = in_time("opening a channel", OPERATION_LIMIT, publish.create_channel()).await?;
        let confirms = channel.confirm_select(ConfirmSelectOptions::default());
        in_time("confirm.select", OPERATION_LIMIT, confirms).await?;
        info!(namespace = %self.config.namespace, "connected to the broker");

        connect::watch_blocking(&publish, Arc::clone(&self.link), over.clone(), &self.tracker);
        Ok(Generation {
            incoming: vec![jobs, dead],
            publisher: Confirmed { channel, exchange: names.events.clone(), link: Arc::clone(&self.link) },
            custody,
            connection: Connections([consume, publish]),
        })
    }
}

/// A channel with confirms, and the exchange for outcomes.
#[derive(Debug)]
pub struct Confirmed {
    channel: Channel,
    exchange: String,
    link: Arc<Link>,
}

impl Publisher for Confirmed {
    async fn publish(&self, window: Vec<Outgoing<'_>>, over: &CancellationToken) -> Result<Vec<bool>, AmqpError> {
        publish_window(&self.channel, &self.exchange, window, &self.link, over).await
    }
}

/// To consume, and to publish.
#[derive(Debug)]
pub struct Connections([Arc<lapin::Connection>; 2]);

impl Connection for Connections {
    async fn close(self) {
        for connection in self.0 {
            drop(tokio::time::timeout(CLOSE_LIMIT, connection.close(200, "bye".into())).await);
        }
    }
}
