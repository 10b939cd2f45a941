//! The outcome events: CloudEvents 1.0 in structured JSON. Pure; ids and times come in.
//!
//! An event is built once, stored in the transaction that makes it true, and published byte for byte as stored.

mod body;

use engine::{DeadReason, RejectReason};
use outbox::{AnswerFields, Carried, DeadLetterId, NewDeadLetter, NewOutcome, StoredJob};
use serde::{Deserialize, Serialize};
use snap_core::Timestamp;

use body::{Envelope, JobData, MessageData};

/// Bytes of a usual body: it is written once and need not grow.
const USUAL_BODY: usize = 1024;

/// The body's content type.
pub const CONTENT_TYPE: &str = "application/cloudevents+json";

/// The event types, which are the routing keys.
pub mod kind {
    /// The provider confirmed the credit.
    pub const SUCCEEDED: &str = "topup.succeeded";
    /// No money moved and none will.
    pub const REJECTED: &str = "topup.rejected";
    /// A job needs a person.
    pub const DEAD_LETTERED: &str = "topup.dead_lettered";
    /// A delivery never became a job.
    pub const MESSAGE_REFUSED: &str = "topup.message_refused";
    /// An operator resumed a dead letter.
    pub const REPLAYED: &str = "topup.replayed";
    /// An operator closed a dead letter.
    pub const DISCARDED: &str = "topup.discarded";

    /// All of them.
    pub const ALL: [&str; 6] = [SUCCEEDED, REJECTED, DEAD_LETTERED, MESSAGE_REFUSED, REPLAYED, DISCARDED];
}

/// The event's own identity: what never changes between its publishes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// `id`, and the AMQP `message_id`.
    pub id: String,
    /// `time`.
    pub at: Timestamp,
}

/// Who acted on a dead letter, and why.
#[derive(Clone, Copy, Debug)]
pub struct Action<'a> {
    /// The dead letter.
    pub dead_letter: &'a DeadLetterId,
    /// Why it stood before a person.
    pub reason: DeadReason,
    /// The operator.
    pub by: &'a str,
    /// Their reason.
    pub why: &'a str,
}

/// A delivery that never became a job.
#[derive(Clone, Copy, Debug)]
pub struct RefusedMessage<'a> {
    /// Its dead letter.
    pub dead_letter: &'a DeadLetterId,
    /// Why.
    pub reason: DeadReason,
    /// What is wrong; names the field, repeats no value.
    pub detail: &'a str,
    /// The key it claims, where one could be read.
    pub claimed_reference: Option<&'a str>,
    /// The provider, where it is known.
    pub provider: Option<&'a str>,
    /// What that delivery carried.
    pub carried: &'a Carried,
}

/// What goes beside the body: kept as [`NewOutcome::headers`], read back by the relay.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Properties<T = String> {
    /// AMQP property `correlation_id`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub correlation_id: Option<T>,
    /// Header `x-job-message-id`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job_message_id: Option<T>,
    /// Header `traceparent`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<T>,
    /// Header `tracestate`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tracestate: Option<T>,
}

impl Properties {
    /// Reads what an outcome was stored with; what cannot be read is left out, for the body carries it as well.
    pub fn read(stored: &str) -> Self {
        serde_json::from_str(stored).unwrap_or_default()
    }

    /// The AMQP headers that have a value.
    pub fn headers(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let headers = [
            ("x-job-message-id", &self.job_message_id),
            ("traceparent", &self.traceparent),
            ("tracestate", &self.tracestate),
        ];
        headers.into_iter().filter_map(|(name, value)| Some((name, value.as_deref()?)))
    }

    fn stored(carried: &Carried) -> String {
        let properties = Properties {
            correlation_id: carried.correlation_id.as_deref(),
            job_message_id: carried.message_id.as_deref(),
            traceparent: carried.traceparent.as_deref(),
            tracestate: carried.tracestate.as_deref(),
        };
        serde_json::to_string(&properties).expect("texts always serialise")
    }
}

/// `topup.succeeded`. What `answer` leaves out is taken from the job as stored.
pub fn succeeded(stamp: Stamp, job: &StoredJob, answer: &AnswerFields) -> NewOutcome {
    let data = JobData { finished_at: Some(stamp.at), ..JobData::of(job, answer) };
    about_job(kind::SUCCEEDED, stamp, job, data)
}

/// `topup.rejected`.
pub fn rejected(stamp: Stamp, job: &StoredJob, answer: &AnswerFields, reason: RejectReason) -> NewOutcome {
    let data = JobData { finished_at: Some(stamp.at), reason: Some(reason.as_str()), ..JobData::of(job, answer) };
    about_job(kind::REJECTED, stamp, job, data)
}

/// `topup.dead_lettered`.
pub fn dead_lettered(stamp: Stamp, job: &StoredJob, answer: &AnswerFields, dead_letter: &NewDeadLetter) -> NewOutcome {
    let data = JobData {
        reason: Some(dead_letter.reason.as_str()),
        dead_letter_id: Some(dead_letter.id.as_str()),
        money_state: Some(dead_letter.money_state.as_str()),
        ..JobData::of(job, answer)
    };
    about_job(kind::DEAD_LETTERED, stamp, job, data)
}

/// `topup.replayed`, of a job's dead letter.
pub fn replayed(stamp: Stamp, job: &StoredJob, action: Action<'_>) -> NewOutcome {
    let data = JobData::of(job, &NO_ANSWER).acted(action);
    about_job(kind::REPLAYED, stamp, job, data)
}

/// `topup.discarded`, of a job's dead letter.
pub fn discarded(stamp: Stamp, job: &StoredJob, action: Action<'_>) -> NewOutcome {
    let data = JobData { finished_at: Some(stamp.at), ..JobData::of(job, &NO_ANSWER).acted(action) };
    about_job(kind::DISCARDED, stamp, job, data)
}

/// `topup.message_refused`. It has no subject and no `partnerReferenceNo`, so that nobody takes it for the first job's fate.
pub fn message_refused(stamp: Stamp, message: RefusedMessage<'_>) -> NewOutcome {
    let data = MessageData::of(message, None);
    about_message(kind::MESSAGE_REFUSED, stamp, message, &data)
}

/// `topup.replayed` of a message that never became a job: it went through the intake once more.
pub fn message_replayed(stamp: Stamp, message: RefusedMessage<'_>, by: &str, why: &str) -> NewOutcome {
    let data = MessageData::of(message, Some((by, why)));
    about_message(kind::REPLAYED, stamp, message, &data)
}

/// `topup.discarded` of a message that never became a job.
pub fn message_discarded(stamp: Stamp, message: RefusedMessage<'_>, by: &str, why: &str) -> NewOutcome {
    let data = MessageData::of(message, Some((by, why)));
    about_message(kind::DISCARDED, stamp, message, &data)
}

const NO_ANSWER: AnswerFields =
    AnswerFields { reference_no: None, response_code: None, response_message: None, fee_amount: None };

fn about_job(kind: &'static str, stamp: Stamp, job: &StoredJob, data: JobData<'_>) -> NewOutcome {
    let subject = Some(job.request.partner_reference_no.as_str());
    outcome(kind, stamp, subject, Some(&job.request.provider), &job.carried, data)
}

fn about_message(kind: &'static str, stamp: Stamp, message: RefusedMessage<'_>, data: &MessageData<'_>) -> NewOutcome {
    outcome(kind, stamp, None, message.provider, message.carried, data)
}

fn outcome<D: Serialize>(
    kind: &'static str,
    stamp: Stamp,
    subject: Option<&str>,
    provider: Option<&str>,
    carried: &Carried,
    data: D,
) -> NewOutcome {
    let envelope = Envelope {
        specversion: "1.0",
        id: &stamp.id,
        source: &provider.map_or_else(|| "/topup".to_owned(), |provider| format!("/topup/{provider}")),
        kind,
        subject,
        time: stamp.at.to_rfc3339(),
        datacontenttype: "application/json",
        traceparent: carried.traceparent.as_deref(),
        tracestate: carried.tracestate.as_deref(),
        jobmessageid: carried.message_id.as_deref(),
        data,
    };
    let mut body = Vec::with_capacity(USUAL_BODY);
    serde_json::to_writer(&mut body, &envelope).expect("text, numbers and checked JSON always serialise");
    NewOutcome {
        event_type: kind.to_owned(),
        body,
        headers: Properties::stored(carried),
        terminal: subject.is_some() && matches!(kind, kind::SUCCEEDED | kind::REJECTED | kind::DISCARDED),
        event_id: stamp.id,
    }
}

#[cfg(test)]
pub(crate) mod tests;
