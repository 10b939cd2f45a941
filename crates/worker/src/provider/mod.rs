//! One job, one call: builds the request the profile asks for, sends it, and reads what came back.

mod confirm;
mod read;
mod supposed;

use std::time::Duration;

use outbox::StoredJob;
use snap_client::{Answered, By, Fuse, NotSentReason, Payload, Reply, Token, TokenFailure, UsedConnection, Way};
use snap_core::{ExternalId, LaneFault, Service, Timestamp, TopUpDetails};

pub(crate) use read::without_effect;
pub use read::{Expected, Reading, reading};
pub(crate) use supposed::supposed;

use crate::drive::Driver;
use crate::lane::{Lane, Moment, Signal};

/// A request ready to be signed: exactly these bytes are recorded, signed and sent.
#[derive(Clone, Debug)]
pub struct Request {
    /// Its number, never used before (M5).
    pub external_id: ExternalId,
    /// Its body.
    pub payload: Payload,
}

/// A call that ended.
#[derive(Clone, Debug)]
pub struct Called {
    /// The service called.
    pub service: Service,
    /// The request's number.
    pub external_id: ExternalId,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended: by an answer, an error or a timeout.
    pub ended_at: Timestamp,
    /// What it tells.
    pub reading: Reading,
}

/// The top-up of a job as it stands, by its inquiry where there was one.
///
/// # Errors
/// Why the provider's request cannot be built from what is known.
pub fn top_up_request(driver: &Driver, lane: &Lane, job: &StoredJob) -> Result<Request, String> {
    let request = lane.profile.top_up_request(&details(job)).map_err(|error| error.to_string())?;
    Ok(Request { external_id: driver.clock.external_id(), payload: Payload::new(request.to_body()) })
}

/// Sends a top-up whose intent is on disk, unless `fuse` says why it is no good any more (M16).
pub async fn send(
    driver: &Driver,
    lane: &Lane,
    token: &Token,
    job: &StoredJob,
    request: Request,
    fuse: Fuse<'_>,
) -> Called {
    let Request { external_id, payload } = request;
    let started_at = driver.clock.now();
    // M15: what is sent again after a doubt goes by a connection that has carried nothing, so that its refusal is its own.
    let by = if job.job.evidence.doubted { By::New } else { By::Any };
    let way = Way { by, fuse };
    let (reply, used) = call(driver, lane, token, (Service::TopUp, &external_id), payload, way).await;
    let mut reading = match &reply {
        Reply::NotSent { why: NotSentReason::Stale, detail, .. } => Reading::held_back(detail),
        reply => read::top_up(&lane.profile, expected(job), reply),
    };
    if reading.ask_again {
        reading = confirm::confirmed(driver, lane, token, job, &reply, used).await;
    } else {
        reading.keep(used);
    }
    ended(driver, lane, Service::TopUp, external_id, started_at, reading, &reply)
}

/// Asks for the account. Where the reading says so the answer is not believed, and a new connection is to be asked.
pub async fn inquire(driver: &Driver, lane: &Lane, token: &Token, job: &StoredJob, by: By) -> Called {
    let external_id = driver.clock.external_id();
    let started_at = driver.clock.now();
    let service = Service::AccountInquiry;
    match lane.profile.account_inquiry_request(&details(job)) {
        Ok(request) => {
            let payload = Payload::new(request.to_body());
            let (reply, used) = call(driver, lane, token, (service, &external_id), payload, Way::by(by)).await;
            let reading = read::inquiry(&lane.profile, expected(job), &reply);
            reading.keep(used);
            ended(driver, lane, service, external_id, started_at, reading, &reply)
        }
        Err(error) => {
            let reading = Reading::unbuildable(error.to_string());
            Called { service, external_id, started_at, ended_at: started_at, reading }
        }
    }
}

/// Asks what became of the top-up. Where the reading says so, [`check_again`] is to follow.
pub async fn check(driver: &Driver, lane: &Lane, token: &Token, job: &StoredJob, by: By) -> Called {
    let service = lane.profile.status_service;
    let external_id = driver.clock.external_id();
    let started_at = driver.clock.now();
    let request = lane.profile.status_request(&job.request.partner_reference_no, job.reference_no.as_deref());
    let payload = Payload::new(request.to_body());
    let (reply, used) = call(driver, lane, token, (service, &external_id), payload, Way::by(by)).await;
    let reading = read::status(&lane.profile, expected(job), started_at, &reply);
    reading.keep(used);
    ended(driver, lane, service, external_id, started_at, reading, &reply)
}

/// Asks once more, where the `first` answer may be that to an earlier request of its connection (M15): that is closed by then, and what
/// comes by a new one is the provider's word.
pub async fn check_again(driver: &Driver, lane: &Lane, token: &Token, job: &StoredJob, first: &Called) -> Called {
    let (reference, external_id, detail) =
        (&job.request.partner_reference_no, &first.external_id, first.reading.detail.as_deref());
    tracing::info!(provider = %lane.name, %reference, %external_id, detail, "a status answer may be that of another top-up; it is asked again");
    let again = check(driver, lane, token, job, By::New).await;
    Called { reading: again.reading.after(&first.reading), ..again }
}

/// What having no token tells about the lane.
pub fn token_signal(failure: &TokenFailure) -> Signal {
    match failure {
        TokenFailure::Refused { .. } => Signal::Fault(LaneFault::TokenRefused),
        TokenFailure::Unreachable { .. } | TokenFailure::Unusable { .. } | TokenFailure::Trouble { .. } => {
            Signal::Unreachable
        }
    }
}

/// Counts the token requests that ended since the last look.
pub fn note_token_calls(driver: &Driver, lane: &Lane) {
    for exchange in lane.client.take_token_exchanges() {
        let class =
            if exchange.granted { "success" } else { exchange_class(lane, exchange.http_status, exchange.code) };
        driver.metrics.provider_request(&lane.name, Service::AccessToken, class, exchange.elapsed);
        if let Some(date) = exchange.date {
            // The clock may have been set since it was asked: it is compared as it is now.
            let since = exchange.asked_at.elapsed().saturating_sub(exchange.elapsed);
            clock_heard(driver, lane, date, since, exchange.elapsed);
        }
    }
}

/// M17: before a decision that cannot be taken back the provider's clock is heard, once, where nothing was heard of it yet.
pub async fn hear_clock(driver: &Driver, lane: &Lane) {
    if lane.witness.has_heard() || lane.is_paused() {
        return;
    }
    let ask = || async {
        lane.witness.may_be_asked(driver.clock.now());
        // Refused or not, its answer tells the time; where there is none, our clock is all there is.
        drop(lane.client.token(driver.clock.wall()).await);
        note_token_calls(driver, lane);
    };
    lane.witness.first.get_or_init(ask).await;
}

/// M17: while everything waits for the clocks to agree nothing else is asked, and nobody would hear that they do.
pub async fn hear_clock_again(driver: &Driver, lane: &Lane) {
    if lane.is_paused() || !lane.witness.may_be_asked(driver.clock.now()) {
        return;
    }
    if let Ok(token) = lane.client.token(driver.clock.wall()).await {
        drop(lane.client.refresh_token(&token, driver.clock.wall()).await);
    }
    note_token_calls(driver, lane);
}

/// M17: what the `Date` of an answer that came so long ago says of our clock.
fn clock_heard(driver: &Driver, lane: &Lane, date: Timestamp, ago: Duration, elapsed: Duration) {
    let moment = Moment { wall: driver.clock.wall().minus(ago), counted: driver.clock.now().minus(ago) };
    let change = lane.witness.heard(date, moment, elapsed);
    if let Some(ahead) = change.offset {
        driver.metrics.clock_offset(&lane.name, ahead);
    }
    match change.doubted {
        Some(true) => tracing::warn!(
            provider = %lane.name,
            ahead_s = lane.witness.doubt().map(|(_, ahead)| ahead),
            "the provider's clock says that ours is wrong: jobs with notAfter wait, and \"not found\" proves nothing, until they agree"
        ),
        Some(false) => tracing::info!(provider = %lane.name, "our clock and the provider's agree again"),
        None => {}
    }
}

fn exchange_class(lane: &Lane, http: Option<u16>, code: Option<snap_core::ResponseCode>) -> &'static str {
    let class = http.map(|http| snap_core::classify_reply(&lane.profile, Service::AccessToken, http, code));
    class.unwrap_or(snap_core::Class::RetrySafe).as_str()
}

async fn call(
    driver: &Driver,
    lane: &Lane,
    token: &Token,
    (service, external_id): (Service, &ExternalId),
    payload: Payload,
    way: Way<'_>,
) -> (Reply, UsedConnection) {
    let called = lane.client.call_by(token, service, external_id, payload, driver.clock.wall(), way).await;
    if let Reply::Answered(Answered { date: Some(date), elapsed, .. }) = &called.0 {
        clock_heard(driver, lane, *date, Duration::ZERO, *elapsed);
    }
    called
}

fn ended(
    driver: &Driver,
    lane: &Lane,
    service: Service,
    external_id: ExternalId,
    started_at: Timestamp,
    reading: Reading,
    reply: &Reply,
) -> Called {
    driver.metrics.provider_request(&lane.name, service, reading.class.as_str(), reply.elapsed());
    tracing::debug!(
        provider = %lane.name,
        service = service.code(),
        external_id = external_id.as_str(),
        http_status = reading.http_status,
        code = reading.code.map(tracing::field::display),
        class = reading.class.as_str(),
        detail = reading.detail.as_deref(),
        "answered"
    );
    Called { service, external_id, started_at, ended_at: driver.clock.now(), reading }
}

fn expected(job: &StoredJob) -> Expected<'_> {
    Expected {
        reference: job.request.partner_reference_no.as_str(),
        amount: job.request.amount,
        has_customer_name: job.request.customer_name.is_some(),
    }
}

fn details(job: &StoredJob) -> TopUpDetails<'_> {
    let request = &job.request;
    let (customer_name, fee) = match &job.job.state {
        engine::State::Inquired { customer_name, fee, .. } => (customer_name.as_ref(), *fee),
        _ => (None, None),
    };
    TopUpDetails {
        partner_reference_no: &request.partner_reference_no,
        customer_number: &request.customer_number,
        customer_name: customer_name.or(request.customer_name.as_ref()),
        amount: request.amount,
        fee,
        notes: request.notes.as_ref().map(snap_core::Private::expose),
        beneficiary_provider: request.beneficiary_provider.as_deref(),
        beneficiary_email: request.beneficiary_email.as_ref(),
        transaction_date: job.accepted_at,
    }
}
