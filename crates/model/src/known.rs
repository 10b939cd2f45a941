//! What the store knows of the job, and beside it what an onlooker who trusts nobody would note down.

use std::hash::{Hash, Hasher};

use engine::{Answer, Budget, Event, Evidence, Job, Late, LateAnswer, State, StatusAnswer};
use snap_core::Timestamp;

use crate::time::{NOW, after_now, shift, shift_job, ticks};

/// A job with the onlooker's notes about what is recorded of it. Both become durable together.
#[derive(Clone, Debug)]
pub struct Known {
    /// As the engine sees it.
    pub job: Job,
    /// As the onlooker sees it.
    pub facts: Facts,
}

/// The onlooker's notes. They are kept without the engine: from the events alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Facts {
    /// An attempt is recorded and no end of it.
    pub open: bool,
    /// An attempt ended in doubt, and nothing has proven it unpaid since.
    pub doubt: bool,
    /// Ticks since the last attempt ended; no further than the quiet period.
    pub ended: u8,
    /// "Not found" answers in a row since the last attempt ended; 2 is all that is asked for.
    pub row: u8,
    /// The last of them was asked after the quiet period.
    pub late: bool,
    /// The provider has said that it has the top-up.
    pub told: bool,
    /// The provider has named another amount or reference.
    pub mismatch: bool,
}

impl Facts {
    /// Two "not found" in a row since the end of the last attempt, the last after the quiet period (M4).
    const fn proof(self) -> bool {
        self.row >= 2 && self.late
    }

    /// The attempt has ended as far as anybody can tell: the client gave up or died.
    pub const fn attempt_ended(&mut self, doubt: bool) {
        (self.open, self.ended, self.row, self.late) = (false, 0, 0, false);
        self.doubt |= doubt;
    }

    /// Notes what came late: it is about an attempt of before, but where nothing was begun since.
    const fn note_late(&mut self, late: LateAnswer) {
        if self.open
            && !late.later
            && let Late::TopUp(answer) = late.said
        {
            let doubt = matches!(answer, Answer::Accepted | Answer::Unknown | Answer::Duplicate | Answer::Inconsistent);
            self.attempt_ended(doubt);
        }
        match late.said {
            Late::TopUp(Answer::Unknown) if !self.open => self.attempt_ended(true),
            Late::TopUp(Answer::Paid | Answer::Accepted | Answer::Duplicate | Answer::Inconsistent)
            | Late::Status(
                StatusAnswer::Paid { .. } | StatusAnswer::Pending | StatusAnswer::Refunded | StatusAnswer::Inconsistent,
            ) => (self.row, self.late, self.doubt) = (0, false, true),
            _ => {}
        }
        self.told |= matches!(late.said, Late::TopUp(Answer::Accepted) | Late::Status(StatusAnswer::Pending));
        self.mismatch |=
            matches!(late.said, Late::TopUp(Answer::Inconsistent) | Late::Status(StatusAnswer::Inconsistent));
    }

    /// Notes an event of the engine; `quiet` is the quiet period in ticks.
    pub fn note(&mut self, event: &Event, quiet: u8) {
        match event {
            Event::SendStarted => {
                self.open = true;
                // Whether it may is judged before this is noted.
                (self.doubt, self.row, self.late) = (false, 0, false);
            }
            Event::TopUp(answer) => {
                self.attempt_ended(matches!(
                    answer,
                    Answer::Accepted | Answer::Unknown | Answer::Duplicate | Answer::Inconsistent
                ));
                self.told |= *answer == Answer::Accepted;
                self.mismatch |= *answer == Answer::Inconsistent;
            }
            Event::Late(late) => self.note_late(*late),
            Event::Restarted if self.open => self.attempt_ended(true),
            // Something may have been sent and forgotten.
            Event::StoreRestored => self.attempt_ended(true),
            Event::Checked { asked_at, answer } => match answer {
                StatusAnswer::NotFound => {
                    // Asked before the attempt ended, it says nothing about it.
                    let asked = ticks_before_now(*asked_at);
                    if asked <= self.ended {
                        self.row = (self.row + 1).min(2);
                        self.late = self.ended - asked >= quiet;
                        self.doubt &= !self.proof();
                    }
                }
                answer => self.told_otherwise(*answer),
            },
            // An operator's "not found" is no part of a proof.
            Event::AskedByOperator { answer: StatusAnswer::NotFound } => {}
            Event::AskedByOperator { answer } => self.told_otherwise(*answer),
            _ => {}
        }
    }

    /// An answer that is not "not found".
    fn told_otherwise(&mut self, answer: StatusAnswer) {
        match answer {
            // Says nothing at all: the lane's fault.
            StatusAnswer::Nothing(engine::Retry::Free) => {}
            StatusAnswer::Nothing(engine::Retry::Counted(_)) => (self.row, self.late) = (0, false),
            answer => {
                // It has something, whatever was proven.
                (self.row, self.late, self.doubt) = (0, false, true);
                self.told |= answer == StatusAnswer::Pending;
                self.mismatch |= answer == StatusAnswer::Inconsistent;
            }
        }
    }
}

fn ticks_before_now(time: Timestamp) -> u8 {
    u8::try_from(-after_now(time)).unwrap_or(u8::MAX)
}

impl Known {
    /// One tick passes. `most`: what the onlooker counts to.
    pub fn tick(&mut self, most: u8) {
        shift_job(&mut self.job);
        if !self.facts.open {
            self.facts.ended = (self.facts.ended + 1).min(most);
        }
    }
}

impl Hash for Known {
    /// Every part of the job; destructured, so that a new one cannot be forgotten.
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        let Job { state, amount: _, not_after, has_customer_name: _, budget, evidence } = &self.job;
        match state {
            State::Ready { at } => (0_u8, after_now(*at)).hash(hasher),
            State::Inquired { at, customer_name: _, fee: _ } => (1_u8, after_now(*at)).hash(hasher),
            State::Sending { before } => (2_u8, before).hash(hasher),
            State::Unconfirmed { at, not_found, refusal } => {
                let refusal = refusal.map(|refusal| match refusal {
                    engine::Refusal::Reject(reason) => Some(reason),
                    engine::Refusal::Request => None,
                });
                (3_u8, after_now(*at), not_found, refusal).hash(hasher);
            }
            State::Succeeded => 4_u8.hash(hasher),
            State::Rejected { reason } => (5_u8, reason).hash(hasher),
            State::Dead { reason } => (6_u8, reason).hash(hasher),
            State::Discarded { reason } => (7_u8, reason).hash(hasher),
        }
        let Budget { inquiries, attempts, checks } = budget;
        let Evidence {
            money,
            first_sent_at,
            last_ended_at,
            doubted,
            accepted,
            mismatch,
            replayed,
            forgotten,
            account,
            beside,
        } = evidence;
        not_after.map(after_now).hash(hasher);
        (inquiries, attempts, checks).hash(hasher);
        (money, first_sent_at.map(after_now), last_ended_at.map(after_now)).hash(hasher);
        (doubted, accepted, mismatch, replayed, forgotten, account, beside, self.facts).hash(hasher);
    }
}

/// A time that passes with the others, hashed by its distance from the present.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment(pub Timestamp);

impl Moment {
    /// The present.
    pub const PRESENT: Self = Self(NOW);

    /// One tick passes; it is remembered no longer than `most` ticks.
    pub fn tick(&mut self, most: u8) {
        shift(&mut self.0);
        self.0 = self.0.max(NOW.minus(ticks(most)));
    }
}

impl Hash for Moment {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        after_now(self.0).hash(hasher);
    }
}
