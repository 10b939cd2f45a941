//! What a drive has to record: gathered step by step, written as one transaction.

use std::borrow::Cow;

use engine::{DeadReason, Event, State};
use outbox::{AnswerFields, AttemptEnd, DeadLetter, HistoryEntry, NewAttempt, Record, StoredJob};
use serde_json::json;
use snap_core::Timestamp;

use crate::clock::Clock;
use crate::event::Stamp;
use crate::provider::{Called, Request};
use crate::transition::{Announcement, Change, Operator, Phase};

/// What is known but not yet on disk.
#[derive(Debug)]
pub struct Notes {
    /// The job's state on disk.
    before: Phase,
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
    /// Made once per record, so that a repeated write is the same.
    told: Option<Announcement>,
}

impl Notes {
    /// Nothing yet, of a job that is in this state on disk.
    pub fn of(state: &State) -> Self {
        Self {
            before: state.into(),
            history: Vec::new(),
            attempts: Vec::new(),
            ends: Vec::new(),
            answer: AnswerFields::default(),
            detail: None,
            in_flight: false,
            before_intent: (0, 0),
            why: None,
            told: None,
        }
    }

    /// Notes of what came late; `known`: the request stands among the job's already.
    pub(crate) fn late(state: &State, known: bool) -> Self {
        Self { in_flight: known, ..Self::of(state) }
    }

    /// What its dead letter says instead of what its reason says by itself.
    pub(crate) fn dies_of(&mut self, why: Option<String>) {
        self.why = why;
    }

    /// What was answered says nothing about how the job ended.
    pub(crate) fn forget_answer(&mut self) {
        self.answer = AnswerFields::default();
    }

    /// An event happened.
    pub fn event(&mut self, event: &Event, at: Timestamp) {
        let detail = self.history_detail();
        self.history.push(HistoryEntry { at, event: Cow::Borrowed(event.name()), detail });
        self.told = None;
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
        self.record_by(job, due, now, clock, (None, None))
    }

    /// [`Notes::record`] of a job that has this dead letter, by this operator's act.
    pub(crate) fn record_by(
        &mut self,
        job: &StoredJob,
        due: Option<Timestamp>,
        now: Timestamp,
        clock: &Clock,
        (letter, operator): (Option<&DeadLetter>, Option<Operator<'_>>),
    ) -> Record {
        let stays_open = self.before == Phase::Open && job.job.state.is_open();
        if self.told.is_none() && !self.history.is_empty() && !stays_open {
            let change = Change { before: self.before, after: job, answer: &self.answer, letter, operator };
            let stamp = Stamp { id: clock.ulid(), at: now };
            let told = change.announcement(stamp, clock, |reason| match (&self.why, letter) {
                (Some(why), _) => why.clone(),
                (None, Some(_)) => found_by_operator(reason),
                (None, None) => self.dead_detail(reason, job),
            });
            self.told = Some(told);
        }
        let mut record = Record::new(job.id, job.version, job.job.clone(), now);
        record.due_at = due;
        record.history.clone_from(&self.history);
        record.attempts.clone_from(&self.attempts);
        record.ends.clone_from(&self.ends);
        record.answer = self.answer.clone();
        if let Some(told) = &self.told {
            record.dead_letter.clone_from(&told.dead_letter);
            record.outcomes.extend(told.outcome.clone());
        }
        record
    }

    /// The record is on disk.
    pub fn recorded(&mut self, job: &mut StoredJob) {
        merge(job, std::mem::take(&mut self.answer));
        *self = Self { in_flight: self.in_flight, ..Self::of(&job.job.state) };
    }

    fn dead_detail(&self, reason: DeadReason, job: &StoredJob) -> String {
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
            DeadReason::OtherAccount if job.job.evidence.forgotten => {
                "the store may have forgotten that it was sent, to another account than the one that is asked"
            }
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

/// Why a dead letter has another reason after an operator asked about it.
fn found_by_operator(reason: DeadReason) -> String {
    match reason {
        DeadReason::Refunded => "asked by an operator, the provider reports the top-up as refunded".to_owned(),
        _ => "asked by an operator, the provider names another amount or reference".to_owned(),
    }
}

fn merge(job: &mut StoredJob, answer: AnswerFields) {
    let AnswerFields { reference_no, response_code, response_message, fee_amount } = answer;
    job.reference_no = reference_no.or_else(|| job.reference_no.take());
    job.response_code = response_code.or_else(|| job.response_code.take());
    job.response_message = response_message.or_else(|| job.response_message.take());
    job.fee_amount = fee_amount.or(job.fee_amount);
}
