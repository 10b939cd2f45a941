//! Waiting for room in the store (M12).

use std::future::Future;

use outbox::{Health, Store, StoreError};

/// Waits until the store can be written again, or has failed for good.
pub async fn wait_for_room(store: &Store) {
    store.health_when(|health| *health != Health::Full).await;
}

/// Repeats a write that is not to be given up until there is room for it.
///
/// # Errors
/// Any failure but want of room and a store that is locked for the moment: nothing was written by those.
pub async fn until_written<T, W>(store: &Store, mut write: impl FnMut() -> W) -> Result<T, StoreError>
where
    W: Future<Output = Result<T, StoreError>>,
{
    loop {
        match write().await {
            Err(StoreError::Full | StoreError::Busy) => wait_for_room(store).await,
            written => return written,
        }
    }
}
