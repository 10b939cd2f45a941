//! What is looked at last: whether a request may still leave.

/// Looked at when a connection is there, immediately before the first byte of the request is written: making a connection may
/// take seconds, and so may whatever came before. It answers why the request must not leave any more, in a few words without
/// personal data; the reply is then [`crate::Reply::NotSent`] with [`crate::NotSentReason::Stale`].
pub type Fuse<'a> = &'a (dyn Fn() -> Option<String> + Send + Sync);

/// Of requests that may leave at any time.
pub const NO_FUSE: Fuse<'static> = &|| None;
