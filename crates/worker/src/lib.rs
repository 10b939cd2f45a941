//! The worker: RabbitMQ in, account inquiry and top-up, outcomes out.

mod account;
pub mod amqp;
pub mod app;
pub mod cli;
pub mod clock;
pub mod config;
pub mod custody;
pub mod drive;
pub mod event;
pub mod exit;
pub mod full;
pub mod http;
pub mod intake;
pub mod lane;
mod late;
pub mod message;
pub mod notes;
pub mod ops;
pub mod output;
pub mod provider;
pub mod relay;
pub mod replay;
pub mod restored;
pub mod retention;
pub mod signals;
#[cfg(test)]
mod stage;
pub mod telemetry {
    //! Log fields and metrics, named once.
    pub mod log;
    pub mod metrics;
}
pub mod text;
pub mod transition;
pub mod ulid;
pub mod wake;
