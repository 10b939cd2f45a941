//! What the service tells of itself over HTTP.

use outbox::{Health, StoreError};

use super::Lanes;
use crate::amqp::Link;
use crate::drive::Driver;
use crate::http::{Degraded, Readiness};
use crate::telemetry::metrics::StoreSnapshot;

/// Whether it takes jobs.
pub(super) fn readiness(began: bool, driver: &Driver, link: Option<&Link>, lanes: &Lanes) -> Readiness {
    let store = match driver.store.health() {
        Health::Writable if !began => Err("the start is not over: what the last process left is looked at".to_owned()),
        Health::Writable => Ok(()),
        Health::Full => Err("the store is full: nothing is taken and nothing is sent until there is room".to_owned()),
        Health::Failed { detail } => Err(format!("the store failed: {detail}")),
    };
    let broker = link.map(|link| match link.is_connected() {
        true => Ok(()),
        false => Err(link.last_error().unwrap_or_else(|| "the broker is not connected yet".to_owned())),
    });
    // Every lane waits: what is taken is not sent yet.
    let held = driver.custody.why_not(&driver.clock).into_iter().flat_map(|(_, since)| {
        let of = move |name: &String| Degraded { provider: name.clone(), cause: "custody".to_owned(), since };
        lanes.keys().map(of)
    });
    let degraded = lanes
        .values()
        .filter_map(|lane| {
            let pause = lane.pause()?;
            let cause = pause.cause.as_str().to_owned();
            Some(Degraded { provider: lane.name.to_string(), cause, since: pause.since })
        })
        .chain(held)
        .chain(lanes.values().filter_map(|lane| {
            let (since, _) = lane.witness.doubt()?;
            Some(Degraded { provider: lane.name.to_string(), cause: "clock_doubted".to_owned(), since })
        }))
        .collect();
    Readiness { store, broker, degraded }
}

/// Its metrics, as text.
pub(super) async fn render(driver: &Driver, link: &Link) -> Result<String, StoreError> {
    let store = &driver.store;
    let snapshot = StoreSnapshot {
        jobs: store.open_totals().await?,
        dead_letters: store.dead_letter_counts().await?,
        outbox: store.outbox_backlog().await?,
    };
    driver.metrics.amqp_connected(link.is_connected());
    driver.metrics.amqp_blocked(link.is_blocked());
    driver.metrics.custodian(driver.custody.may_begin(&driver.clock));
    Ok(driver.metrics.render(&snapshot, driver.clock.now()))
}
