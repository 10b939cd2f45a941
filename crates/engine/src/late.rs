//! What came back to a driver that was fenced off meanwhile (M16): evidence like any other, and applied to the job as it is
//! now. What it proves it proves about its own attempt; beside a later attempt, "paid" is a second credit until the opposite
//! is shown.

use crate::apply::Next;
use crate::{Answer, Beside, DeadReason, MoneyState, State, StatusAnswer, Taken};

/// An answer that came late.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LateAnswer {
    /// What it says.
    pub said: Late,
    /// A top-up attempt of this job was begun after the one that it is about, or after the question was asked.
    pub later: bool,
    /// It names the provider's number under which the job's credit is known already: it is the same credit.
    pub same_number: bool,
}

/// What a late answer says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Late {
    /// Of an attempt.
    TopUp(Answer),
    /// Of a status inquiry.
    Status(StatusAnswer),
}

impl LateAnswer {
    /// Its name in a job's history.
    pub(crate) const fn name(self) -> &'static str {
        match self.said {
            Late::TopUp(answer) => match answer {
                Answer::Paid => "late_top_up_paid",
                Answer::Accepted => "late_top_up_accepted",
                Answer::Refused => "late_top_up_refused",
                Answer::Wrong => "late_top_up_wrong",
                Answer::NotExecuted { .. } => "late_top_up_not_executed",
                Answer::NotSent => "late_not_sent",
                Answer::Unknown => "late_top_up_unknown",
                Answer::Duplicate => "late_top_up_duplicate",
                Answer::Inconsistent => "late_top_up_inconsistent",
            },
            Late::Status(answer) => match answer {
                StatusAnswer::Paid { .. } => "late_status_paid",
                StatusAnswer::Pending => "late_status_pending",
                StatusAnswer::Refunded => "late_status_refunded",
                StatusAnswer::Cancelled => "late_status_cancelled",
                StatusAnswer::Failed => "late_status_failed",
                StatusAnswer::NotFound => "late_status_not_found",
                StatusAnswer::Inconsistent => "late_status_inconsistent",
                StatusAnswer::Nothing(_) => "late_status_unanswered",
            },
        }
    }

    const fn meaning(self) -> Meaning {
        match self.said {
            Late::TopUp(Answer::Paid) => Meaning::Paid { amount_seen: true },
            Late::Status(StatusAnswer::Paid { amount_seen }) => Meaning::Paid { amount_seen },
            Late::TopUp(Answer::Accepted) | Late::Status(StatusAnswer::Pending) => Meaning::Accepted,
            Late::TopUp(Answer::Inconsistent) | Late::Status(StatusAnswer::Inconsistent) => Meaning::Mismatch,
            Late::Status(StatusAnswer::Refunded) => Meaning::Refunded,
            Late::TopUp(Answer::Duplicate) => Meaning::Known,
            Late::TopUp(Answer::Unknown) => Meaning::Unknown,
            Late::TopUp(Answer::Refused | Answer::Wrong | Answer::NotExecuted { .. } | Answer::NotSent)
            | Late::Status(
                StatusAnswer::Cancelled | StatusAnswer::Failed | StatusAnswer::NotFound | StatusAnswer::Nothing(_),
            ) => Meaning::Nothing,
        }
    }
}

/// What a late answer shows of its attempt.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Meaning {
    Paid {
        amount_seen: bool,
    },
    Accepted,
    Mismatch,
    Refunded,
    /// Something of this reference is there already.
    Known,
    /// It may have been executed until now.
    Unknown,
    /// It was not executed, or nothing is said: whoever looks after the job now goes on.
    Nothing,
}

impl Meaning {
    /// The provider has made something of the attempt.
    const fn taken(self) -> Option<Taken> {
        match self {
            Self::Paid { .. } => Some(Taken::Paid),
            Self::Accepted | Self::Mismatch | Self::Refunded => Some(Taken::Accepted),
            Self::Known | Self::Unknown | Self::Nothing => None,
        }
    }
}

impl Next<'_> {
    pub(crate) fn late(&mut self, late: LateAnswer) {
        let meaning = late.meaning();
        match self.job.state {
            State::Sending { before } => self.late_while_sending(before, late, meaning),
            State::Unconfirmed { .. } => self.late_in_doubt(late, meaning),
            State::Ready { .. } | State::Inquired { .. } => self.late_before_sending(meaning),
            State::Succeeded => {
                if meaning.taken().is_some() && late.later && !late.same_number {
                    self.double_credit();
                }
            }
            State::Rejected { .. } => self.late_after_an_end(meaning),
            State::Discarded { .. } if meaning.taken().is_some() => self.late_after_an_end(meaning),
            State::Discarded { .. } => {}
            State::Dead { reason } => self.late_before_a_person(reason, late, meaning),
        }
    }

    /// An attempt that ended while something is known of an earlier one beside it; false where it is an end like any other.
    pub(crate) fn ended_beside(&mut self, beside: Beside, answer: Answer) -> bool {
        let executed =
            !matches!(answer, Answer::Refused | Answer::Wrong | Answer::NotExecuted { .. } | Answer::NotSent);
        match beside.taken {
            Taken::Paid if executed => self.double_credit(),
            // Accepted, and beside it an attempt in doubt or paid: that is settled by asking, and "paid" is one too many.
            Taken::Accepted if executed => return false,
            taken => {
                // Only the earlier one is left, and its account is the one to ask.
                self.job.evidence.beside = None;
                self.job.evidence.account = beside.account;
                match taken {
                    Taken::Paid => self.succeeded(),
                    Taken::Accepted => self.in_doubt(None),
                }
            }
        }
        true
    }

    /// Two attempts look paid: nothing that the worker could ask tells how often.
    pub(crate) fn double_credit(&mut self) {
        self.job.evidence.money = MoneyState::ProvenPaid;
        self.dead(DeadReason::DoubleCreditSuspected);
    }

    fn late_while_sending(&mut self, before: MoneyState, late: LateAnswer, meaning: Meaning) {
        match (late.said, late.later) {
            // The very attempt that is out: whoever took the job over has not come to it yet.
            (Late::TopUp(answer), false) => {
                self.attempt_ended(before, answer);
            }
            // Its own end is still to come.
            (Late::Status(_), false) => {}
            (_, true) => {
                self.note_beside(meaning);
                if meaning != Meaning::Nothing {
                    self.job.evidence.doubted = true;
                }
                self.job.evidence.accepted |= meaning == Meaning::Known;
            }
        }
    }

    fn note_beside(&mut self, meaning: Meaning) {
        let Some(taken) = meaning.taken() else { return };
        let evidence = &mut self.job.evidence;
        evidence.accepted = true;
        evidence.mismatch |= meaning == Meaning::Mismatch;
        let most = evidence.beside.map_or(taken, |beside| beside.taken.max(taken));
        evidence.beside = Some(Beside { taken: most, account: self.policy.account });
    }

    fn late_in_doubt(&mut self, late: LateAnswer, meaning: Meaning) {
        match meaning {
            Meaning::Paid { .. } if late.later => return self.double_credit(),
            Meaning::Paid { amount_seen } if amount_seen || !self.job.evidence.mismatch => return self.succeeded(),
            Meaning::Refunded if !late.later => {
                self.job.evidence.money = MoneyState::Returned;
                return self.dead(DeadReason::Refunded);
            }
            Meaning::Nothing => return,
            _ => {}
        }
        if late.later {
            self.note_beside(meaning);
        }
        let evidence = &mut self.job.evidence;
        evidence.accepted |= meaning != Meaning::Unknown;
        evidence.mismatch |= meaning == Meaning::Mismatch;
        if meaning == Meaning::Unknown {
            // It ended only now, and the quiet period counts from there.
            evidence.last_ended_at = Some(evidence.last_ended_at.map_or(self.at, |ended| ended.max(self.at)));
        }
        if let State::Unconfirmed { not_found, .. } = &mut self.job.state {
            *not_found = 0;
        }
    }

    /// It was proven unpaid, and was about to be sent again.
    fn late_before_sending(&mut self, meaning: Meaning) {
        match meaning {
            Meaning::Nothing => {}
            // Every attempt after it is proven unpaid as well: it is the only credit.
            Meaning::Paid { amount_seen } if amount_seen || !self.job.evidence.mismatch => self.succeeded(),
            Meaning::Refunded => {
                self.job.evidence.money = MoneyState::Returned;
                self.dead(DeadReason::Refunded);
            }
            Meaning::Unknown => {
                self.began_before_now();
                self.in_doubt(None);
            }
            Meaning::Paid { .. } | Meaning::Accepted | Meaning::Mismatch | Meaning::Known => {
                self.began_before_now();
                self.job.evidence.accepted = true;
                self.job.evidence.mismatch |= meaning == Meaning::Mismatch;
                self.in_doubt(None);
            }
        }
    }

    /// It ended as unpaid, or a person closed it: what was told is not true.
    fn late_after_an_end(&mut self, meaning: Meaning) {
        match meaning {
            Meaning::Nothing | Meaning::Unknown => {}
            Meaning::Refunded => {
                self.job.evidence.money = MoneyState::Returned;
                self.dead(DeadReason::Refunded);
            }
            Meaning::Paid { .. } | Meaning::Accepted | Meaning::Mismatch | Meaning::Known => {
                self.has_something_late(meaning);
                self.dead(DeadReason::InconsistentAnswer);
            }
        }
    }

    fn late_before_a_person(&mut self, reason: DeadReason, late: LateAnswer, meaning: Meaning) {
        let in_doubt = self.job.evidence.money == MoneyState::MaybeSent;
        match meaning {
            _ if matches!(reason, DeadReason::DoubleCreditSuspected | DeadReason::Refunded) => {}
            Meaning::Nothing => {}
            Meaning::Paid { .. } if late.later && in_doubt => self.double_credit(),
            Meaning::Paid { amount_seen } if amount_seen || !self.job.evidence.mismatch => self.succeeded(),
            Meaning::Refunded if !late.later || !in_doubt => {
                self.job.evidence.money = MoneyState::Returned;
                self.dead(DeadReason::Refunded);
            }
            Meaning::Unknown => {
                self.began_before_now();
                self.job.evidence.doubted = true;
                self.job.evidence.money = MoneyState::MaybeSent;
            }
            Meaning::Paid { .. } | Meaning::Accepted | Meaning::Mismatch | Meaning::Known | Meaning::Refunded => {
                if late.later && in_doubt {
                    self.note_beside(meaning);
                }
                self.has_something_late(meaning);
                if meaning == Meaning::Mismatch {
                    self.dead(DeadReason::InconsistentAnswer);
                }
            }
        }
    }

    fn has_something_late(&mut self, meaning: Meaning) {
        if self.job.evidence.money != MoneyState::MaybeSent {
            self.job.evidence.account = self.policy.account;
        }
        self.it_has_something();
        self.job.evidence.mismatch |= meaning == Meaning::Mismatch;
    }

    /// It ended only now, at the account that this driver asks.
    fn began_before_now(&mut self) {
        let evidence = &mut self.job.evidence;
        if evidence.money != MoneyState::MaybeSent {
            evidence.account = self.policy.account;
        }
        evidence.last_ended_at = Some(evidence.last_ended_at.map_or(self.at, |ended| ended.max(self.at)));
        evidence.first_sent_at = evidence.first_sent_at.or(evidence.last_ended_at);
    }
}
