//! What a start does with what the last process left.

use engine::Event;
use outbox::{RecoverScope, StoredJob};
use tracing::{info, warn};

use super::{AppError, Lanes};
use crate::drive::Driver;
use crate::full::until_written;
use crate::restored::{Restored, as_it_may_stand};
use crate::transition::Transition;

/// Everything in flight when the last process ended becomes "perhaps sent" or "ready", by the same `apply` as live.
pub(super) async fn recover(driver: &Driver, lanes: &Lanes, restored: &Restored) -> Result<(), AppError> {
    let now = driver.clock.now();
    let (clock, mark) = (driver.clock, restored.mark());
    let suppose = |job: &StoredJob| {
        if !matches!(job.job.state, engine::State::Sending { .. }) {
            return None;
        }
        // A job whose provider was taken out of the configuration waits as it is: nothing is known of its rules.
        let policy = &lanes.get(&job.request.provider)?.policy;
        let stands = mark.as_ref().map_or_else(|| job.job.clone(), |mark| as_it_may_stand(job, mark));
        let job = StoredJob { job: stands, ..job.clone() };
        Transition::of(&job, policy, now).record(&Event::Restarted, &clock).ok()
    };
    // Without room nothing begins: to end here would be to begin again, and again.
    let store = &driver.store;
    let report = until_written(store, || store.recover(RecoverScope::InFlight, now, &suppose)).await?;
    for total in driver.store.open_totals().await? {
        if !lanes.contains_key(&total.provider) {
            warn!(
                provider = total.provider,
                state = total.state,
                jobs = total.count,
                "jobs wait for a provider that is not configured"
            );
        }
    }
    if report.found > 0 {
        info!(found = report.found, perhaps_sent = report.recorded, "recovered what was under way");
    }
    Ok(())
}
