//! The client against a server of raw bytes.

mod replies;
mod support;
mod tokens;
