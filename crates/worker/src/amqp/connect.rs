//! Connecting, and watching for a blocked connection.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use lapin::uri::AMQPUri;
use lapin::{Connection, ConnectionProperties, Event};
use secrecy::ExposeSecret as _;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use super::{AmqpError, Link, in_time};
use crate::config::AmqpConfig;

/// The purpose of the connection that outcomes go by.
pub(super) const PUBLISH: &str = "publish";
/// A peer that is silent for twice this long is dead.
const HEARTBEAT_SECS: u16 = 10;

/// Bytes of a frame where we only publish: lapin keeps two buffers of 32 frames. A URL's `?frame_max=` is kept.
const FRAME_MAX_TO_PUBLISH: u32 = 16 * 1024;
/// Bytes of a frame where we consume: RabbitMQ's default. No fewer, for a message's headers come in one frame, however long;
/// the broker does not mind our limit, and lapin ends the connection for a longer one. Who has raised the broker's limit says
/// so by `?frame_max=`. Not the broker's own limit, whatever it is: lapin would enlarge both of its buffers to 32 such frames
/// and touch all of it, and a broker that has no limit asks for more than there is.
const FRAME_MAX_TO_CONSUME: u32 = 128 * 1024;

/// One connection, named `topup-worker <purpose>` in the broker's listings.
///
/// # Errors
/// [`AmqpError`]: the URL cannot be read, the broker cannot be reached or refuses, or `limit` passed.
pub async fn connect(config: &AmqpConfig, purpose: &str, limit: Duration) -> Result<Connection, AmqpError> {
    let mut uri: AMQPUri = match config.url.expose_secret().parse() {
        Ok(uri) => uri,
        // The text may hold a password: the parser's words are not passed on.
        Err(_unreadable) => return Err(AmqpError::Unusable("amqp.url cannot be read")),
    };
    uri.query.heartbeat.get_or_insert(HEARTBEAT_SECS);
    let frame_max = if purpose == PUBLISH { FRAME_MAX_TO_PUBLISH } else { FRAME_MAX_TO_CONSUME };
    uri.query.frame_max.get_or_insert(frame_max);
    let properties = ConnectionProperties::default().with_connection_name(format!("topup-worker {purpose}").into());
    in_time("connecting", limit, Connection::connect_uri(uri, properties)).await
}

/// Keeps [`Link::is_blocked`] true while the broker takes no messages.
pub(super) fn watch_blocking(connection: &Connection, link: Arc<Link>, over: CancellationToken, tracker: &TaskTracker) {
    let mut events = connection.events_listener();
    tracker.spawn(async move {
        loop {
            let event = tokio::select! {
                event = events.next() => event,
                () = over.cancelled() => return,
            };
            match event {
                Some(Event::ConnectionBlocked(reason)) => {
                    warn!(reason = crate::text::printable(&reason), "the broker takes no messages; outcomes wait");
                    link.set_blocked(true);
                }
                Some(Event::ConnectionUnblocked) => {
                    info!("the broker takes messages again");
                    link.set_blocked(false);
                }
                Some(_) => {}
                None => return,
            }
        }
    });
}
