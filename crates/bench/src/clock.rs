//! The only reader of the wall clock here.

use std::time::UNIX_EPOCH;

use snap_core::Timestamp;

/// The time that stands in requests and events.
#[expect(clippy::disallowed_methods, clippy::disallowed_types, reason = "this module is where the wall clock is read")]
pub(crate) fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
