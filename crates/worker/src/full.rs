//! Waiting for room in the store (M12).

use outbox::{Health, Store};

/// Waits until the store can be written again, or has failed for good.
pub async fn wait_for_room(store: &Store) {
    let mut health = store.subscribe();
    if health.wait_for(|health| *health != Health::Full).await.is_err() {
        tracing::debug!("the store was closed while waiting for room");
    }
}
