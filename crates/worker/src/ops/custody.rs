//! What a command sees of a namespace's custody at the broker. It changes nothing.

use std::sync::Arc;
use std::time::Duration;

use crate::amqp::{self, AmqpError, Custodies, Link, Names};
use crate::config::AmqpConfig;
use crate::custody::{Custodial as _, Found, Witness};

const CONNECT_LIMIT: Duration = Duration::from_secs(5);
const CLOSE_LIMIT: Duration = Duration::from_secs(1);

/// The mark, and the newest witness.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) mark: Found,
    /// None where there is none, or where it cannot be read.
    pub(super) witness: Option<Witness>,
}

impl Seen {
    /// Looks at the broker.
    ///
    /// # Errors
    /// [`AmqpError`]: it cannot be reached, or a right is missing.
    pub(super) async fn at(config: &AmqpConfig) -> Result<Self, AmqpError> {
        let connection = Arc::new(amqp::connect(config, "look", CONNECT_LIMIT).await?);
        let (consume, publish) = (Arc::clone(&connection), Arc::clone(&connection));
        let mut broker = Custodies::new(consume, publish, Names::new(&config.namespace), Arc::new(Link::default()));
        let seen = async {
            let witness = broker.witness().await?.and_then(|body| Witness::parse(&body));
            Ok(Self { mark: broker.look(None).await?, witness })
        };
        let seen = seen.await;
        // It is only looked at: how the connection ends is of no interest.
        drop(tokio::time::timeout(CLOSE_LIMIT, connection.close(200, "bye".into())).await);
        seen
    }
}
