//! The clock of a start: it goes on from the one before, and what that noted wrongly is put right (M17).

use outbox::{NewAudit, Reconcile, Store};
use snap_core::Timestamp;
use tracing::warn;

use super::AppError;
use crate::clock::{Clock, Continued};
use crate::full::until_written;

/// The clock to decide by, and the mark of a store that asks first as it is then.
pub(super) async fn continued(
    clock: &Clock,
    store: &Store,
    newest: Option<Timestamp>,
    reconcile: Option<Reconcile>,
) -> Result<(Clock, Option<Reconcile>), AppError> {
    let stored = store.clock().await?;
    let Continued { clock, note, correction } = clock.continued(stored.as_ref(), newest);
    if note.is_none() {
        return Ok((clock, reconcile));
    }
    let audit = correction.map(|correction| NewAudit {
        at: correction.now,
        by: "worker".to_owned(),
        action: "clock_corrected".to_owned(),
        subject: "store".to_owned(),
        reason: match correction.ahead {
            Some((_, ahead)) => {
                format!("the clock that noted its times was {} s ahead of the wall clock", ahead.as_secs())
            }
            None => "it holds times after now: an earlier clock was ahead, or this one is behind".to_owned(),
        },
        detail: serde_json::json!({ "newest": newest.map(Timestamp::to_rfc3339) }),
    });
    let set = || store.set_clock(note.clone(), correction, audit.clone());
    // Without room nothing begins.
    let jobs = until_written(store, set).await?;
    let Some(correction) = correction else { return Ok((clock, reconcile)) };
    let ahead_s = correction.ahead.map(|(_, ahead)| ahead.as_secs());
    warn!(ahead_s, jobs, "the clock was put right: what its times hold up was put right as well");
    let reconcile = if reconcile.is_some() { store.reconcile().await? } else { None };
    Ok((clock, reconcile))
}
