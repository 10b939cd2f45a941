//! How a request is to go: by which connection, and whether it may still leave.

use crate::{Fuse, NO_FUSE, UsedConnection};

/// How a request is to go.
pub struct Way<'a> {
    /// The connection.
    pub by: By,
    /// Looked at last.
    pub fuse: Fuse<'a>,
}

/// By which connection a request goes.
#[derive(Debug, Default)]
pub enum By {
    /// One that was kept, where there is one.
    #[default]
    Any,
    /// One that has carried nothing: whatever is answered there is the answer to this request.
    New,
    /// The one that this answer came by and no other, in what is left of the time of the call that was answered. Answers come in the
    /// order of their requests, so this one's comes after every proper answer to those before it (M15). Where it is closed by now
    /// the reply is [`crate::Reply::NotSent`].
    Behind(UsedConnection),
}

impl Way<'static> {
    /// By this connection, at any time.
    #[must_use]
    pub const fn by(by: By) -> Self {
        Self { by, fuse: NO_FUSE }
    }
}

impl std::fmt::Debug for Way<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Way").field("by", &self.by).finish_non_exhaustive()
    }
}
