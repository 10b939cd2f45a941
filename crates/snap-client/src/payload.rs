//! A request's body with its digest: computed once, recorded, signed and sent.

use bytes::Bytes;

/// The bytes of one request and their digest, which belong together.
#[derive(Clone, PartialEq, Eq)]
pub struct Payload {
    bytes: Bytes,
    digest: String,
}

impl Payload {
    /// These bytes, exactly as they will be sent.
    pub fn new(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        Self { digest: snap_core::body_digest(&bytes), bytes }
    }

    /// SHA-256 of the bytes in lower-case hex.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// The bytes.
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        self.bytes
    }
}

impl std::fmt::Debug for Payload {
    /// Bodies carry names and phone numbers, so only their length is shown.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Payload").field("bytes", &self.bytes.len()).field("digest", &self.digest).finish()
    }
}
