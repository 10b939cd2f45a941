//! Whether a refusal that names nothing is this top-up's own, or a second answer to one that went by its connection before (M15).

use outbox::StoredJob;
use snap_client::{By, Payload, Reply, Token, UsedConnection, Way};

use super::read::{self, Reading};
use super::{call, ended, expected};
use crate::drive::Driver;
use crate::lane::Lane;

/// What the refusal comes to, when a status inquiry was answered behind it on the same connection, in what is left of the top-up's
/// time. Whatever does not bear the refusal out leaves doubt.
pub(super) async fn confirmed(
    driver: &Driver,
    lane: &Lane,
    token: &Token,
    job: &StoredJob,
    refusal: &Reply,
    used: UsedConnection,
) -> Reading {
    // One turn of the rate limit, which is not waited for: the connection may be closed by then.
    lane.skip_turn();
    let (service, external_id) = (lane.profile.status_service, driver.clock.external_id());
    let asked_at = driver.clock.now();
    let request = lane.profile.status_request(&job.request.partner_reference_no, job.reference_no.as_deref());
    let payload = Payload::new(request.to_body());
    let behind = Way::by(By::Behind(used));
    let (answer, _closed) = call(driver, lane, token, (service, &external_id), payload, behind).await;
    let told = read::status(&lane.profile, expected(job), asked_at, &answer);
    ended(driver, lane, service, external_id, asked_at, told, &answer);
    read::behind(&lane.profile, expected(job), refusal, &answer)
}
