//! The broker: whether it is reachable, lets us in, and has the exchanges and queues of the contract.

use std::time::Duration;

use lapin::{Connection, ErrorKind};

use super::{Finding, from_problem};
use crate::amqp::{self, AmqpError, Names, OPERATION_LIMIT, in_time};
use crate::config::{AmqpConfig, AmqpSection};
use crate::text::chain;

const BROKER: &str = "broker";
const TOPOLOGY: &str = "topology";
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// AMQP's reply codes.
const ACCESS_REFUSED: u16 = 403;
const NOT_FOUND: u16 = 404;
const PRECONDITION_FAILED: u16 = 406;
const NOT_ALLOWED: u16 = 530;

pub(super) async fn look(section: &AmqpSection) -> Vec<Finding> {
    let config = match section.connection() {
        Ok(config) => config,
        Err(error) => return error.problems.iter().map(|problem| from_problem(BROKER, problem)).collect(),
    };
    let connection = match amqp::connect(&config, "check", CONNECT_LIMIT).await {
        Ok(connection) => connection,
        Err(error) => return vec![Finding::error(BROKER, chain(&error), connect_hint(&error))],
    };
    let findings = vec![Finding::ok(BROKER, "reachable, and lets this user in"), topology(&config, &connection).await];
    // It is only looked at: how the connection ends is of no interest.
    drop(tokio::time::timeout(OPERATION_LIMIT, connection.close(200, "bye".into())).await);
    findings
}

async fn topology(config: &AmqpConfig, connection: &Connection) -> Finding {
    let names = Names::new(&config.namespace);
    let missing = match all_there(connection, &names).await {
        Ok(()) => None,
        Err(error) if code(&error) == Some(NOT_FOUND) => Some(chain(&error)),
        Err(error) => return not_usable(&error),
    };
    match missing {
        None if config.declare => match declared_alike(connection, &names).await {
            Ok(()) => Finding::ok(TOPOLOGY, format!("{}: every exchange and queue is as it should be", names.exchange)),
            Err(error) => not_usable(&error),
        },
        None => Finding::ok(TOPOLOGY, format!("{}: every exchange and queue is there", names.exchange)),
        Some(_) if config.declare => Finding::ok(
            TOPOLOGY,
            format!("{}: not complete yet; `worker run` declares what is missing", names.exchange),
        ),
        Some(missing) => Finding::error(TOPOLOGY, missing, "provision it, or set amqp.declare = true"),
    }
}

/// Declares nothing.
async fn all_there(connection: &Connection, names: &Names) -> Result<(), AmqpError> {
    let channel = in_time("opening a channel", OPERATION_LIMIT, connection.create_channel()).await?;
    amqp::check(&channel, names).await
}

/// Only to be asked where everything is there: then it creates nothing, and other arguments show.
async fn declared_alike(connection: &Connection, names: &Names) -> Result<(), AmqpError> {
    let channel = in_time("opening a channel", OPERATION_LIMIT, connection.create_channel()).await?;
    amqp::declare(&channel, names).await
}

fn not_usable(error: &AmqpError) -> Finding {
    let hint = match code(error) {
        Some(PRECONDITION_FAILED) => {
            "it exists with other arguments: empty and delete it so that it is declared anew, or set another amqp.namespace"
        }
        Some(ACCESS_REFUSED) => "give this user the permissions to configure, write and read on the namespace",
        _ => "look at the broker's log",
    };
    Finding::error(TOPOLOGY, chain(error), hint)
}

fn connect_hint(error: &AmqpError) -> &'static str {
    match code(error) {
        Some(ACCESS_REFUSED) => "look at user and password in amqp.url",
        Some(NOT_ALLOWED) => "look at the virtual host in amqp.url: %2f is /",
        _ => "look at host and port in amqp.url, and whether RabbitMQ runs",
    }
}

fn code(error: &AmqpError) -> Option<u16> {
    match error {
        AmqpError::Broker { source, .. } => match source.kind() {
            ErrorKind::ProtocolError(error) => Some(error.get_id()),
            _ => None,
        },
        _ => None,
    }
}
