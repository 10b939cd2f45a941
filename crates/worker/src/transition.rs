//! One transition of a job: an event is applied, and its record says what that changed. What is told to the outside follows
//! from the state before and the state after, and from nothing else: no caller assembles it by what it believes.

use engine::{DeadReason, Event, IllegalEvent, Noticed, Policy, RejectReason, State, apply};
use outbox::{AnswerFields, DeadLetter, DeadLetterId, NewDeadLetter, NewOutcome, Record, StoredJob};
use snap_core::Timestamp;

use crate::clock::Clock;
use crate::event::{self, Action, Stamp};
use crate::notes::Notes;
use crate::provider::Called;

/// A job's state, as far as the outside is told of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The worker still has something to do.
    Open,
    /// It was credited.
    Succeeded,
    /// It ended without a credit.
    Rejected(RejectReason),
    /// It needs a person.
    Dead(DeadReason),
    /// A person closed it.
    Discarded,
}

impl From<&State> for Phase {
    fn from(state: &State) -> Self {
        match state {
            State::Ready { .. } | State::Inquired { .. } | State::Sending { .. } | State::Unconfirmed { .. } => {
                Self::Open
            }
            State::Succeeded => Self::Succeeded,
            State::Rejected { reason } => Self::Rejected(*reason),
            State::Dead { reason } => Self::Dead(*reason),
            State::Discarded { .. } => Self::Discarded,
        }
    }
}

/// The operator whose act a transition is.
#[derive(Clone, Copy, Debug)]
pub struct Operator<'a> {
    /// Their name.
    pub by: &'a str,
    /// Their reason.
    pub why: &'a str,
}

/// What a change of a job's state tells the outside.
#[derive(Debug, Default)]
pub struct Announcement {
    /// The event; none where the change is nobody's business outside.
    pub outcome: Option<NewOutcome>,
    /// The dead letter as it is from now on, where the job is dead.
    pub dead_letter: Option<NewDeadLetter>,
}

/// A change of a job's state that is about to be recorded.
#[derive(Debug)]
pub struct Change<'a> {
    /// Before it.
    pub before: Phase,
    /// The job after it.
    pub after: &'a StoredJob,
    /// What the provider told on the way.
    pub answer: &'a AnswerFields,
    /// The dead letter that the job has, or had before it was discarded.
    pub letter: Option<&'a DeadLetter>,
    /// Whose act it is, where it is not the worker's own.
    pub operator: Option<Operator<'a>>,
}

impl Change<'_> {
    /// What it tells. `detail` says in words why the job is dead now, where it was not before.
    pub fn announcement(&self, stamp: Stamp, clock: &Clock, detail: impl FnOnce(DeadReason) -> String) -> Announcement {
        let Self { before, after, answer, .. } = *self;
        let outcome = |outcome| Announcement { outcome: Some(outcome), dead_letter: None };
        match (before, Phase::from(&after.job.state)) {
            (Phase::Succeeded, Phase::Succeeded) | (Phase::Rejected(_), Phase::Rejected(_)) => Announcement::default(),
            (_, Phase::Succeeded) => outcome(event::succeeded(stamp, after, answer)),
            (_, Phase::Rejected(reason)) => outcome(event::rejected(stamp, after, answer, reason)),
            (_, Phase::Dead(reason)) => self.dead(reason, stamp, clock, detail),
            (Phase::Dead(_), Phase::Open) => self.acted(|action| event::replayed(stamp, after, action)),
            (Phase::Dead(_), Phase::Discarded) => self.acted(|action| event::discarded(stamp, after, action)),
            (_, Phase::Open | Phase::Discarded) => Announcement::default(),
        }
    }

    fn dead(
        &self,
        reason: DeadReason,
        stamp: Stamp,
        clock: &Clock,
        detail: impl FnOnce(DeadReason) -> String,
    ) -> Announcement {
        let is_the_same = self.before == Phase::Dead(reason);
        // A job that is dead as before has its dead letter renewed, where the caller knows it.
        if is_the_same && self.letter.is_none() {
            return Announcement::default();
        }
        let kept = self.letter.filter(|letter| letter.reason == reason);
        let known = self.letter.and_then(|letter| letter.response_code.clone());
        let dead_letter = NewDeadLetter {
            id: self.letter.map_or_else(|| DeadLetterId::new(clock.ulid()), |letter| letter.id.clone()),
            reason,
            detail: kept.map_or_else(|| detail(reason), |letter| letter.detail.clone()),
            money_state: self.after.job.evidence.money,
            response_code: self.answer.response_code.clone().or(known).or_else(|| match self.letter {
                Some(_) => None,
                None => self.after.response_code.clone(),
            }),
        };
        let outcome = event::dead_lettered(stamp, self.after, self.answer, &dead_letter);
        Announcement { outcome: Some(outcome).filter(|_| !is_the_same), dead_letter: Some(dead_letter) }
    }

    fn acted(&self, told: impl FnOnce(Action<'_>) -> NewOutcome) -> Announcement {
        // The engine lets nobody but an operator do this to a dead letter.
        let (Some(letter), Some(Operator { by, why })) = (self.letter, self.operator) else {
            return Announcement::default();
        };
        let action = Action { dead_letter: &letter.id, reason: letter.reason, by, why };
        Announcement { outcome: Some(told(action)), dead_letter: None }
    }
}

/// An event that happens to a job outside a drive.
#[derive(Clone, Copy, Debug)]
pub struct Transition<'a> {
    /// The job as it was read, or shown: the record names its version, and is fenced off where the job has moved on.
    pub job: &'a StoredJob,
    /// Its provider's rules.
    pub policy: &'a Policy,
    /// Now.
    pub at: Noticed,
    /// The moment that the event counts from, where that is still to come: another store may send until then (M13).
    pub counts_from: Option<Timestamp>,
    /// The call that told of the event.
    pub called: Option<&'a Called>,
    /// The job's dead letter, where it has one.
    pub letter: Option<&'a DeadLetter>,
    /// Whose act it is, where it is not the worker's own.
    pub operator: Option<Operator<'a>>,
}

impl<'a> Transition<'a> {
    /// Of the worker's own.
    pub fn of(job: &'a StoredJob, policy: &'a Policy, at: impl Into<Noticed>) -> Self {
        Self { job, policy, at: at.into(), counts_from: None, called: None, letter: None, operator: None }
    }

    /// Applies `event`, and gives the record of it: state, history, dead letter and outcome in one transaction.
    ///
    /// # Errors
    /// [`IllegalEvent`] where it cannot happen to the job as it is.
    pub fn record(&self, event: &Event, clock: &Clock) -> Result<Record, IllegalEvent> {
        let Self { job, policy, at, counts_from, called, letter, operator } = *self;
        let from = counts_from.unwrap_or(at.at);
        let counts = Noticed { at: at.at.max(from), ..at };
        let next = apply(&job.job, policy, event, counts, clock.jitter())?;
        let mut notes = Notes::of(&job.job.state);
        if let Some(called) = called {
            notes.answered(called);
        }
        notes.event(event, at.at);
        let after = StoredJob { job: next, ..job.clone() };
        let due = after.job.due_at();
        Ok(notes.record_by(&after, due, at.at, clock, (letter, operator)))
    }
}

#[cfg(test)]
mod tests;
