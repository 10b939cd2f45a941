//! Deliveries become jobs or dead letters: recorded, committed, acknowledged. *Ack means: recorded here; this store is
//! now the only custodian.*
//!
//! A delivery is taken only when a driving slot is free somewhere (the prefetch is the back-pressure), and what has
//! arrived meanwhile is recorded as one batch and acknowledged by one ack.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use engine::{Event, Job, Policy, apply};
use lapin::message::Delivery;
use outbox::{
    Accepted, Carried, DeadLetterId, Delivered, Duplicate, JobRequest, NewJob, OnConflict, PerhapsSent, Refusal,
    StoreError,
};
use sha2::{Digest as _, Sha256};
use snap_core::Timestamp;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, info, warn};

use crate::amqp::{AmqpError, Deliveries, Source, header, properties_of};
use crate::clock::Clock;
use crate::drive::{Driver, Purpose};
use crate::event::{self, RefusedMessage, Stamp};
use crate::full::wait_for_room;
use crate::lane::{Lane, Slot};
use crate::message::{self, Providers, Refused};
use crate::restored::Restored;
use crate::telemetry::metrics::DeliveryResult;

/// Deliveries recorded together. One batch is recorded at a time, so where a commit takes long this many, or the prefetch,
/// come in by a commit; where it does not, a batch is what has arrived since the last.
const BATCH: usize = 256;
/// Deliveries for a full lane are held back this long while another lane has room.
const PATIENCE: Duration = Duration::from_millis(50);
/// Prefetched deliveries are held back no longer than this for want of a slot.
const HOLD_LIMIT: Duration = Duration::from_secs(300);
/// What is then taken at once: all that has arrived, for any sensible prefetch.
const HELD_BATCH: usize = 4096;
/// A refused body is kept whole up to here, in bytes.
pub const KEPT_BODY_MAX: usize = 1024 * 1024;

/// Takes deliveries.
#[derive(Clone, Debug)]
pub struct Intake {
    /// What drives accepted jobs, and the store.
    pub driver: Arc<Driver>,
    /// The lanes by provider.
    pub lanes: Arc<BTreeMap<String, Arc<Lane>>>,
    /// What a message may name.
    pub providers: Arc<Providers>,
    /// Told whenever a slot becomes free.
    pub room: Arc<Notify>,
    /// Owns the drives.
    pub tracker: TaskTracker,
    /// Whether the store may have forgotten what was sent: every new job is asked about first (M12).
    pub restored: Restored,
}

/// What one delivery becomes.
enum Taken {
    Job(Box<NewJob>, Option<Slot>),
    Refused(Box<Refusal>),
}

impl Intake {
    /// Takes deliveries until `stop` (nothing more is taken) or `over` (the connection is gone).
    ///
    /// # Errors
    /// [`AmqpError`] where the consumer or its channel ended, or the store failed.
    pub async fn run(
        self,
        mut incoming: impl Deliveries,
        stop: CancellationToken,
        over: CancellationToken,
    ) -> Result<(), AmqpError> {
        loop {
            let batch = tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                () = over.cancelled() => return Ok(()),
                batch = self.next(&mut incoming) => batch?,
            };
            let Some(last) = batch.last().map(|delivery| delivery.delivery_tag) else { continue };
            // Not to be cut short: what is recorded is acked, unless the connection is gone.
            match self.record(incoming.source(), &batch, &over).await {
                Ok(true) => incoming.ack_up_to(last).await?,
                Ok(false) => return Ok(()),
                Err(error) => {
                    self.driver.fatal.cancel();
                    return Err(error.into());
                }
            }
        }
    }

    async fn next(&self, incoming: &mut impl Deliveries) -> Result<Vec<Arc<Delivery>>, AmqpError> {
        let limit = match incoming.source() {
            Source::Dead => BATCH,
            // Held for longer, the broker would take them for lost (its consumer timeout is 30 minutes), and count it
            // against them. They wait in the store then.
            Source::Jobs => match tokio::time::timeout(HOLD_LIMIT, self.wait_for_slots()).await {
                Ok(slots) => slots.min(BATCH),
                Err(_elapsed) => HELD_BATCH,
            },
        };
        incoming.batch(limit).await
    }

    /// Waits until some lane could do with a job; answers how many.
    async fn wait_for_slots(&self) -> usize {
        loop {
            let freed = self.room.notified();
            let free: usize =
                self.lanes.values().filter(|lane| lane.has_room()).map(|lane| lane.free_slots().max(1)).sum();
            if free > 0 {
                return free;
            }
            freed.await;
        }
    }

    /// Gives a lane that is full but moves a moment to make room: what is parked in the store has to be claimed again. A
    /// lane that already has parked jobs does not move fast enough to be waited for.
    async fn wait_for_own_slots(&self, jobs: &mut [NewJob], slots: &mut [Option<Slot>]) {
        let all_have_one = async {
            loop {
                let freed = self.room.notified();
                let mut missing = false;
                for (job, slot) in jobs.iter_mut().zip(slots.iter_mut()).filter(|(_, slot)| slot.is_none()) {
                    let lane = self.lanes.get(&job.request.provider).filter(|lane| lane.moves_freely());
                    let Some(lane) = lane else { continue };
                    *slot = lane.try_slot();
                    match slot {
                        Some(_) => job.due_at = None,
                        None => missing = true,
                    }
                }
                if !missing {
                    return;
                }
                freed.await;
            }
        };
        match tokio::time::timeout(PATIENCE, all_have_one).await {
            Ok(()) => {}
            Err(_elapsed) => debug!("a lane is slow; its jobs wait in the store"),
        }
    }

    /// Records a batch; false where `over` came before there was room to record it.
    async fn record(
        &self,
        source: Source,
        batch: &[Arc<Delivery>],
        over: &CancellationToken,
    ) -> Result<bool, StoreError> {
        let (mut jobs_done, mut refusals_done) = (false, false);
        loop {
            let now = self.driver.clock.now();
            let perhaps_sent = self.restored.mark().map(|mark| mark.perhaps_sent());
            let (mut jobs, mut slots, mut refusals) = (Vec::new(), Vec::new(), Vec::new());
            for delivery in batch {
                match self.take(source, delivery, now, perhaps_sent) {
                    Taken::Job(job, slot) if !jobs_done => {
                        jobs.push(*job);
                        slots.push(slot);
                    }
                    Taken::Refused(refusal) if !refusals_done => refusals.push(*refusal),
                    _ => {}
                }
            }
            if perhaps_sent.is_none() {
                self.wait_for_own_slots(&mut jobs, &mut slots).await;
            }
            let (accepted, refused) = tokio::join!(self.accept(jobs, slots), self.refuse(refusals));
            // What is recorded stays recorded, and is not recorded again when the rest is tried once more.
            (jobs_done, refusals_done) = (jobs_done || accepted.is_ok(), refusals_done || refused.is_ok());
            match accepted.and(refused) {
                // M12: nothing is acked, and nothing more is taken, until there is room again.
                Err(StoreError::Full | StoreError::Busy) => {
                    warn!("no room in the store: deliveries wait in the broker");
                    tokio::select! {
                        biased;
                        () = over.cancelled() => return Ok(false),
                        () = wait_for_room(&self.driver.store) => {}
                    }
                }
                Err(error) => return Err(error),
                Ok(()) => return Ok(true),
            }
        }
    }

    async fn accept(&self, jobs: Vec<NewJob>, slots: Vec<Option<Slot>>) -> Result<(), StoreError> {
        if jobs.is_empty() {
            return Ok(());
        }
        for (accepted, slot) in self.driver.store.accept(jobs).await?.into_iter().zip(slots) {
            self.accepted(accepted, slot);
        }
        Ok(())
    }

    async fn refuse(&self, refusals: Vec<Refusal>) -> Result<(), StoreError> {
        let refused = refusals.len();
        if refused == 0 {
            return Ok(());
        }
        self.driver.store.refuse(refusals).await?;
        for _ in 0..refused {
            self.driver.metrics.delivery(DeliveryResult::Refused);
        }
        self.driver.published.notify_one();
        Ok(())
    }

    fn accepted(&self, accepted: Accepted, slot: Option<Slot>) {
        let metrics = &self.driver.metrics;
        match accepted {
            Accepted::New(job) => {
                metrics.delivery(DeliveryResult::Accepted);
                metrics.job_accepted(&job.request.provider);
                debug!(reference = %job.request.partner_reference_no, provider = %job.request.provider, "accepted");
                match slot {
                    Some(slot) => {
                        self.driver.start(&self.tracker, slot, *job, Purpose::Work);
                    }
                    None => {
                        if let Some(lane) = self.lanes.get(&job.request.provider) {
                            lane.parked();
                        }
                    }
                }
            }
            Accepted::Duplicate(duplicate) => {
                metrics.delivery(DeliveryResult::Duplicate);
                if let Duplicate::Finished { outcome: Some(_) } = duplicate {
                    self.driver.published.notify_one();
                }
            }
            Accepted::Conflict { dead_letter, fields } => {
                metrics.delivery(DeliveryResult::Conflict);
                info!(dead_letter = dead_letter.as_str(), ?fields, "a known key came with other content");
                self.driver.published.notify_one();
            }
        }
    }

    fn take(
        &self,
        source: Source,
        delivery: &Arc<Delivery>,
        now: Timestamp,
        perhaps_sent: Option<PerhapsSent>,
    ) -> Taken {
        let carried = carried(delivery);
        if source == Source::Dead {
            let refused = undeliverable(delivery);
            return Taken::Refused(Box::new(self.refusal(delivered(delivery), &carried, &refused, now)));
        }
        let content_type = delivery.properties.content_type().as_ref().map(lapin::types::ShortString::as_str);
        match message::parse(&delivery.data, content_type, &self.providers) {
            Ok(request) => {
                let lane = self.lanes.get(&request.provider);
                let Some(lane) = lane else {
                    let refused = Refused {
                        reason: engine::DeadReason::UnknownProvider,
                        field: Some("provider".to_owned()),
                        detail: "provider: no lane serves it".to_owned(),
                        claimed_reference: Some(request.partner_reference_no.to_string()),
                        provider: None,
                    };
                    return Taken::Refused(Box::new(self.refusal(delivered(delivery), &carried, &refused, now)));
                };
                let slot = if perhaps_sent.is_some() { None } else { lane.try_slot() };
                let due_at = slot.is_none().then_some(now);
                let kept = Arc::clone(delivery);
                let asked = Asked { request, carried, delivered: move || delivered(&kept), due_at, at: now };
                Taken::Job(Box::new(new_job(&self.driver.clock, &lane.policy, asked, perhaps_sent)), slot)
            }
            Err(refused) => Taken::Refused(Box::new(self.refusal(delivered(delivery), &carried, &refused, now))),
        }
    }

    fn refusal(&self, delivered: Delivered, carried: &Carried, refused: &Refused, now: Timestamp) -> Refusal {
        info!(reason = refused.reason.as_str(), field = refused.field.as_deref(), "a delivery cannot become a job");
        refusal(&self.driver.clock, delivered, carried, refused, now)
    }
}

/// A parsed message on its way into the store.
pub struct Asked<D> {
    /// What it asks for.
    pub request: JobRequest,
    /// What its outcomes carry on.
    pub carried: Carried,
    /// The message as it came: only looked at where its key is taken by other content.
    pub delivered: D,
    /// When it is due; `None` where the caller drives it at once.
    pub due_at: Option<Timestamp>,
    /// Now.
    pub at: Timestamp,
}

/// A job to record, with what becomes of it where its key is taken by other content. Where the store may not know the key
/// though it was sent (M12, M13), `perhaps_sent` says when: it is asked about first, from the end of that time on, and "not
/// found" is no proof any more once its beginning is longer ago than the uniqueness window.
pub fn new_job<D>(clock: &Clock, policy: &Policy, asked: Asked<D>, perhaps_sent: Option<PerhapsSent>) -> NewJob
where
    D: Fn() -> Delivered + Send + Sync + 'static,
{
    let Asked { request, carried, delivered, due_at, at } = asked;
    let mut job = Job::accepted(request.amount, request.not_after, request.customer_name.is_some(), policy, at);
    let mut due_at = due_at;
    if let Some(PerhapsSent { since, until }) = perhaps_sent {
        job = job.perhaps_sent_since(since.min(at));
        job = apply(&job, policy, &Event::StoreRestored, at.max(until), clock.jitter()).unwrap_or(job);
        due_at = job.due_at();
    }
    let on_conflict: OnConflict = {
        let (clock, carried) = (*clock, carried.clone());
        let (reference, provider) = (request.partner_reference_no.clone(), request.provider.clone());
        Box::new(move |fields| {
            let refused = Refused {
                reason: engine::DeadReason::IdempotencyConflict,
                field: fields.first().map(|&field| field.to_owned()),
                detail: format!("partnerReferenceNo is taken by a job that differs in: {}", fields.join(", ")),
                claimed_reference: Some(reference.to_string()),
                provider: Some(provider.clone()),
            };
            refusal(&clock, delivered(), &carried, &refused, at)
        })
    };
    NewJob { request, carried, job, at, due_at, on_conflict, closes: None, audit: None }
}

/// The dead letter of a delivery that cannot become a job, with the event that tells of it.
pub fn refusal(clock: &Clock, delivered: Delivered, carried: &Carried, refused: &Refused, now: Timestamp) -> Refusal {
    let id = DeadLetterId::new(clock.ulid());
    let message = RefusedMessage {
        dead_letter: &id,
        reason: refused.reason,
        detail: &refused.detail,
        claimed_reference: refused.claimed_reference.as_deref(),
        provider: refused.provider.as_deref(),
        carried,
    };
    let outcome = event::message_refused(Stamp { id: clock.ulid(), at: now }, message);
    Refusal {
        delivered,
        reason: refused.reason,
        detail: refused.detail.clone(),
        claimed_reference: refused.claimed_reference.clone(),
        provider: refused.provider.clone(),
        at: now,
        outcome,
        closes: None,
        audit: None,
        id,
    }
}

fn delivered(delivery: &Delivery) -> Delivered {
    let (properties, headers) = properties_of(delivery);
    body_of(&delivery.data, properties, headers)
}

/// A body as it is kept: whole up to 1 MiB, with its length and SHA-256.
pub fn body_of(data: &[u8], properties: serde_json::Value, headers: serde_json::Value) -> Delivered {
    Delivered {
        body: data.get(..KEPT_BODY_MAX).unwrap_or(data).to_vec(),
        size: data.len() as u64,
        sha256: Sha256::digest(data).into(),
        properties,
        headers,
    }
}

/// What the outcomes of a delivery's job carry on; what would not fit into their headers is left out.
pub fn carried(delivery: &Delivery) -> Carried {
    let of = &delivery.properties;
    let text = |value: &Option<lapin::types::ShortString>| {
        value.as_ref().map(|value| value.as_str().to_owned()).filter(|value| fits(value))
    };
    let traceparent = header(of, "traceparent").filter(|parent| is_traceparent(parent));
    Carried {
        correlation_id: text(of.correlation_id()),
        message_id: text(of.message_id()),
        traceparent: traceparent.map(str::to_owned),
        // Without its parent it means nothing.
        tracestate: header(of, "tracestate")
            .filter(|_| traceparent.is_some())
            .filter(|state| fits(state))
            .map(str::to_owned),
    }
}

/// The longest carried text, in bytes: an AMQP short string.
const CARRIED_MAX: usize = 255;

fn fits(text: &str) -> bool {
    !text.is_empty() && text.len() <= CARRIED_MAX && !text.contains(char::is_control)
}

/// W3C Trace Context: `00-<32 hex>-<16 hex>-<2 hex>`, neither id all zeros; anything else is not carried on.
fn is_traceparent(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let [version, trace, parent, flags] = parts.as_slice() else { return false };
    let is_hex = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
    let names_one = |id: &str, len: usize| id.len() == len && is_hex(id) && id.bytes().any(|byte| byte != b'0');
    *version == "00" && names_one(trace, 32) && names_one(parent, 16) && flags.len() == 2 && is_hex(flags)
}

/// What a delivery from the dead-letter queue becomes, with the broker's facts about its death.
pub fn undeliverable(delivery: &Delivery) -> Refused {
    let reason = header(&delivery.properties, "x-first-death-reason").unwrap_or("unknown");
    let queue = header(&delivery.properties, "x-first-death-queue").unwrap_or("unknown");
    Refused {
        reason: engine::DeadReason::Undeliverable,
        field: None,
        detail: format!(
            "the broker dead-lettered it from {}: {}",
            crate::text::printable(queue),
            crate::text::printable(reason)
        ),
        claimed_reference: message::claimed_reference(&delivery.data),
        provider: None,
    }
}

#[cfg(test)]
mod tests;
