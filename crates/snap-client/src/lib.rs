//! One signed SNAP call in, one reply out; token cache, limits and deadlines.
//!
//! Owns what happens between a request's bytes and the answer's bytes. It must not know jobs, retries or what an
//! answer means for the money: [`Reply`] says what was seen on the wire, and only [`Reply::NotSent`] proves that
//! nothing left this machine.

mod client;
mod config;
mod connection;
mod connections;
mod endpoint;
mod expiry;
mod fuse;
mod headers;
mod payload;
mod pool;
mod reply;
mod services;
mod socket;
mod token;
mod token_cache;
mod token_exchange;
mod transport;
mod trouble;
mod trust;
mod way;
mod wire;

pub use bytes::Bytes;
pub use client::SnapClient;
pub use config::{ClientConfig, ConfigError};
pub use endpoint::{check_base_url, plain_base_url};
pub use fuse::{Fuse, NO_FUSE};
pub use futures_util::future::BoxFuture;
pub use hyper::Request;
pub use payload::Payload;
pub use pool::{Belongs, UsedConnection};
pub use reply::{Answered, NotSentReason, Reply, Silence};
pub use token::{Token, TokenFailure};
pub use token_exchange::{TokenExchange, token_of};
pub use way::{By, Way};
pub use wire::Wire;
