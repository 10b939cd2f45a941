//! Whether the store may have forgotten what was sent (M12), as the running worker knows it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use outbox::{Store, StoreError};
use snap_core::Timestamp;
use tracing::info;

/// Stands for "it knows everything".
const WHOLE: i64 = i64::MIN;

/// Since when every job is asked about before anything is sent; clones are the same.
#[derive(Clone, Debug)]
pub struct Restored(Arc<AtomicI64>);

impl Restored {
    /// As the store said when it was opened.
    #[must_use]
    pub fn since_start(since: Option<Timestamp>) -> Self {
        Self(Arc::new(AtomicI64::new(since.map_or(WHOLE, Timestamp::as_millis))))
    }

    /// Since when; `None`: the store knows everything.
    #[must_use]
    pub fn since(&self) -> Option<Timestamp> {
        let since = self.0.load(Ordering::Relaxed);
        (since != WHOLE).then(|| Timestamp::from_millis(since))
    }

    /// Notices that an operator has ended it: what was not asked about by then is marked in the store itself. It costs
    /// nothing where the store knows everything.
    ///
    /// # Errors
    /// Any failure to read.
    pub async fn look(&self, store: &Store) -> Result<(), StoreError> {
        if self.since().is_none() || store.reconcile().await?.is_some() {
            return Ok(());
        }
        if self.0.swap(WHOLE, Ordering::Relaxed) != WHOLE {
            info!(
                "an operator says that the store knows everything again: new jobs are not asked about first any more"
            );
        }
        Ok(())
    }
}
