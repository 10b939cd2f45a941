//! The broker's section.

use secrecy::{ExposeSecret as _, SecretString};

use super::{ConfigError, Secret};

/// The broker, as configured.
#[derive(Clone, Debug)]
pub struct AmqpSection {
    /// The URL, a secret because it can hold a password.
    pub url: Secret,
    /// The first part of every exchange's and queue's name.
    pub namespace: String,
    /// Deliveries taken but not acknowledged at a time.
    pub prefetch: u16,
    /// Whether the worker declares the topology; else it only checks it.
    pub declare: bool,
}

/// The broker, ready to connect to.
#[derive(Clone, Debug)]
pub struct AmqpConfig {
    /// `amqp://` or `amqps://`, with the credentials.
    pub url: SecretString,
    /// The first part of every exchange's and queue's name.
    pub namespace: String,
    /// Deliveries taken but not acknowledged at a time.
    pub prefetch: u16,
    /// Whether the worker declares the topology; else it only checks it.
    pub declare: bool,
}

impl AmqpSection {
    /// Whether its URL has a password that is not RabbitMQ's well-known one for loopback.
    pub(super) fn has_password(&self) -> bool {
        let Ok(url) = self.url.reveal() else { return false };
        url.expose_secret().parse::<lapin::uri::AMQPUri>().is_ok_and(|uri| uri.authority.userinfo.password != "guest")
    }

    /// The section with its secret read.
    ///
    /// # Errors
    /// [`ConfigError`] where the URL cannot be had.
    pub fn connection(&self) -> Result<AmqpConfig, ConfigError> {
        let url = self.url.reveal()?;
        if url.expose_secret().parse::<lapin::uri::AMQPUri>().is_err() {
            return Err(self.url.unusable("is no AMQP URL", "write amqp://user:password@host:5672/%2f"));
        }
        Ok(AmqpConfig { url, namespace: self.namespace.clone(), prefetch: self.prefetch, declare: self.declare })
    }
}
