//! What a drive has to record: gathered step by step, written as one transaction.

use std::borrow::Cow;

use engine::{DeadReason, Event, State};
use outbox::{
    AnswerFields, AttemptEnd, DeadLetterId, HistoryEntry, NewAttempt, NewDeadLetter, NewOutcome, Record, StoredJob,
};
use serde_json::json;
use snap_core::Timestamp;

use crate::clock::Clock;
use crate::event::{self, Stamp};
use crate::provider::{Called, Request};

/// What is known but not yet on disk.
#[derive(Debug, Default)]
pub struct Notes {
    history: Vec<HistoryEntry>,
    attempts: Vec<NewAttempt>,
    ends: Vec<AttemptEnd>,
    answer: AnswerFields,
    detail: Option<String>,
    /// The request whose intent is on disk.
    in_flight: bool,
    /// What stands here was there before the intent was noted.
    before_intent: (usize, usize),
    /// What a dead letter says instead of what its reason says by itself.
    why: Option<String>,
    /// The job's open dead letter, which it stays.
    letter: Option<DeadLetterId>,
    /// Made once per record, so that a repeated write is the same.
    ended: Option<Ended>,
}

#[derive(Debug)]
struct Ended {
    outcome: NewOutcome,
    dead_letter: Option<NewDeadLetter>,
}

impl Notes {
    /// Notes of what came late; `known`: the request stands among the job's already.
    pub(crate) fn late(known: bool) -> Self {
        Self { in_flight: known, ..Self::default() }
    }

    /// What its dead letter says, and which one that is where there is one.
    pub(crate) fn dies_of(&mut self, why: Option<String>, letter: Option<DeadLetterId>) {
        (self.why, self.letter) = (why, letter);
    }

    /// What was answered says nothing about how the job ended.
    pub(crate) fn forget_answer(&mut self) {
        self.answer = AnswerFields::default();
    }

    /// An event happened.
    pub fn event(&mut self, event: &Event, at: Timestamp) {
        let detail = self.history_detail();
        self.history.push(HistoryEntry { at, event: Cow::Borrowed(event.name()), detail });
        self.ended = None;
    }

    fn history_detail(&self) -> serde_json::Value {
        match &self.detail {
            Some(detail) => json!({ "detail": detail }),
            None => serde_json::Value::Null,
        }
    }

    /// Why the next event happens, in a few words without personal data.
    pub fn detail(&mut self, detail: impl Into<String>) {
        self.detail = Some(detail.into());
    }

    /// The intent of a top-up attempt, to be recorded before it leaves (M1).
    pub fn started(&mut self, request: &Request, at: Timestamp) {
        self.before_intent = (self.history.len().saturating_sub(1), self.attempts.len());
        self.attempts.push(NewAttempt {
            service: snap_core::Service::TopUp,
            external_id: request.external_id.clone(),
            started_at: at,
            body_sha256: Some(request.payload.digest().to_owned()),
            end: None,
        });
        self.in_flight = true;
    }

    /// The intent was not recorded, so nothing was sent.
    pub fn forget_intent(&mut self) {
        let (history, attempts) = self.before_intent;
        self.history.truncate(history);
        self.attempts.truncate(attempts);
        self.in_flight = false;
    }

    /// A call ended.
    pub fn answered(&mut self, called: &Called) {
        let reading = &called.reading;
        let end = AttemptEnd {
            external_id: called.external_id.clone(),
            ended_at: called.ended_at,
            http_status: reading.http_status,
            response_code: reading.code.map(|code| code.as_str().to_owned()),
            class: Some(Cow::Borrowed(reading.class.as_str())),
            detail: reading.detail.clone(),
        };
        if self.in_flight {
            self.in_flight = false;
            self.ends.push(end);
        } else {
            // A read-only request: it is recorded with its end.
            self.attempts.push(NewAttempt {
                service: called.service,
                external_id: called.external_id.clone(),
                started_at: called.started_at,
                body_sha256: None,
                end: Some(end),
            });
        }
        if let Some(fields) = &reading.fields {
            let reference_no = fields.reference_no.clone().or_else(|| self.answer.reference_no.take());
            self.answer = AnswerFields { reference_no, ..fields.clone() };
        }
        if let Event::Inquired { fee, .. } = &reading.event {
            self.answer.fee_amount = *fee;
        }
        self.detail.clone_from(&reading.detail);
    }

    /// One transaction of everything noted so far. Called again for the same notes it gives the same record.
    pub fn record(&mut self, job: &StoredJob, due: Option<Timestamp>, now: Timestamp, clock: &Clock) -> Record {
        if self.ended.is_none() && !self.history.is_empty() && !job.job.state.is_open() {
            self.ended = Some(self.end(job, now, clock));
        }
        let mut record = Record::new(job.id, job.version, job.job.clone(), now);
        record.due_at = due;
        record.history.clone_from(&self.history);
        record.attempts.clone_from(&self.attempts);
        record.ends.clone_from(&self.ends);
        record.answer = self.answer.clone();
        if let Some(ended) = &self.ended {
            record.dead_letter.clone_from(&ended.dead_letter);
            record.outcomes = vec![ended.outcome.clone()];
        }
        record
    }

    /// One transaction of one event that happened outside a drive: it may kill the job, and then has to say so.
    pub fn of_event(stored: &StoredJob, next: engine::Job, event: &Event, at: Timestamp, clock: &Clock) -> Record {
        let mut notes = Self::default();
        notes.event(event, at);
        let job = StoredJob { job: next, ..stored.clone() };
        let due = job.job.due_at();
        notes.record(&job, due, at, clock)
    }

    /// The record is on disk.
    pub fn recorded(&mut self, job: &mut StoredJob) {
        merge(job, std::mem::take(&mut self.answer));
        *self = Self { in_flight: self.in_flight, ..Self::default() };
    }

    fn end(&self, job: &StoredJob, now: Timestamp, clock: &Clock) -> Ended {
        let stamp = Stamp { id: clock.ulid(), at: now };
        match &job.job.state {
            State::Dead { reason } => {
                let response_code = self.answer.response_code.clone().or_else(|| job.response_code.clone());
                let dead_letter = NewDeadLetter {
                    id: self.letter.clone().unwrap_or_else(|| DeadLetterId::new(clock.ulid())),
                    reason: *reason,
                    detail: self.dead_detail(*reason, job),
                    money_state: job.job.evidence.money,
                    response_code,
                };
                let outcome = event::dead_lettered(stamp, job, &self.answer, &dead_letter);
                Ended { outcome, dead_letter: Some(dead_letter) }
            }
            State::Rejected { reason } => {
                Ended { outcome: event::rejected(stamp, job, &self.answer, *reason), dead_letter: None }
            }
            _ => Ended { outcome: event::succeeded(stamp, job, &self.answer), dead_letter: None },
        }
    }

    fn dead_detail(&self, reason: DeadReason, job: &StoredJob) -> String {
        if let Some(why) = &self.why {
            return why.clone();
        }
        let what = match reason {
            DeadReason::RequestRefused => "the provider refuses this request as wrong",
            DeadReason::RetriesExhausted => "the budget for safe retries is used up",
            DeadReason::Unresolved if job.job.budget.checks > 0 && job.job.evidence.accepted => {
                "the provider took it and does not know it any more; the money may have moved"
            }
            DeadReason::Unresolved if job.job.budget.checks > 0 => {
                "\"not found\" proves nothing so long after it was sent; the money may have moved"
            }
            DeadReason::Unresolved => "the status budget is used up; the money may have moved",
            DeadReason::InconsistentAnswer => "an answer names another amount or reference",
            DeadReason::Refunded => "the provider reports the top-up as refunded",
            DeadReason::OtherAccount => "it may have been paid by an account that is not configured any more",
            DeadReason::DoubleCreditSuspected => "two attempts of this job look paid",
            _ => "it cannot go on",
        };
        let told = self.answer.response_message.as_deref().or(self.detail.as_deref());
        match told.or(job.response_message.as_deref()) {
            Some(told) => format!("{what}: {told}"),
            None => what.to_owned(),
        }
    }
}

fn merge(job: &mut StoredJob, answer: AnswerFields) {
    let AnswerFields { reference_no, response_code, response_message, fee_amount } = answer;
    job.reference_no = reference_no.or_else(|| job.reference_no.take());
    job.response_code = response_code.or_else(|| job.response_code.take());
    job.response_message = response_message.or_else(|| job.response_message.take());
    job.fee_amount = fee_amount.or(job.fee_amount);
}
