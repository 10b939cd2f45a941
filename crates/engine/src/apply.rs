//! What is known after an event. The money rules M2 to M8 live here.

use snap_core::Timestamp;

use crate::{
    Answer, Budget, DeadReason, Event, Evidence, IllegalEvent, Jitter, Job, MoneyState, Noticed, Policy, Refusal,
    RejectReason, Retry, State, StatusAnswer, Taken,
};

/// What is known of `job` after `event`, which was `noticed` then.
///
/// # Errors
/// [`IllegalEvent`] where the event cannot happen in this state; nothing is changed then.
pub fn apply(
    job: &Job,
    policy: &Policy,
    event: &Event,
    noticed: impl Into<Noticed>,
    jitter: Jitter,
) -> Result<Job, IllegalEvent> {
    let noticed = noticed.into();
    let at = noticed.at;
    let mut next = Next { job: job.clone(), policy, at, noticed, jitter };
    let legal = match (&job.state, event) {
        (State::Sending { before }, Event::TopUp(answer)) => next.attempt_ended(*before, *answer),
        (State::Sending { .. }, Event::Restarted) => {
            next.restarted();
            true
        }
        (_, Event::Late(late)) => {
            next.late(*late);
            true
        }
        (State::Unconfirmed { .. }, Event::OtherAccount) if policy.is_of_another_account(job) => {
            next.dead(DeadReason::OtherAccount);
            true
        }
        (State::Unconfirmed { not_found, refusal, .. }, Event::Checked { asked_at, answer }) => {
            next.checked(*not_found, *refusal, *asked_at, *answer);
            true
        }
        (State::Unconfirmed { .. }, Event::Restarted) => true,
        (State::Unconfirmed { refusal, .. }, Event::StoreRestored) => {
            // A forgotten proof may have been followed by a forgotten attempt: the quiet period starts over.
            next.job.evidence.last_ended_at = Some(at);
            next.job.evidence.forgotten = true;
            next.in_doubt(*refusal);
            true
        }
        (State::Ready { .. } | State::Inquired { .. }, event) => next.before_sending(event),
        (State::Dead { reason }, event) => next.operator(*reason, event),
        (State::Discarded { reason }, Event::Restored) => {
            next.job.state = State::Dead { reason: *reason };
            true
        }
        // Taken back and replayed later, it asks first too.
        (State::Discarded { .. }, Event::StoreRestored) => next.forgotten(),
        _ => false,
    };
    if legal { Ok(next.job) } else { Err(IllegalEvent { state: job.state.name(), event: event.name() }) }
}

pub(crate) struct Next<'a> {
    pub(crate) job: Job,
    pub(crate) policy: &'a Policy,
    pub(crate) at: Timestamp,
    noticed: Noticed,
    jitter: Jitter,
}

impl Next<'_> {
    /// Nothing of the present attempt has left yet.
    fn before_sending(&mut self, event: &Event) -> bool {
        match event {
            Event::Inquired { customer_name, fee, min, max } => {
                let amount = self.job.amount;
                if min.is_some_and(|min| amount < min) || max.is_some_and(|max| amount > max) {
                    self.refuse(Refusal::Reject(RejectReason::AmountOutOfRange));
                } else {
                    self.job.state = State::Inquired { at: self.at, customer_name: customer_name.clone(), fee: *fee };
                }
            }
            Event::InquiryFailed(Retry::Free) => self.job.state = State::Ready { at: self.at },
            Event::InquiryFailed(Retry::Counted(wish)) => {
                let used = self.policy.attempts.saturating_sub(self.job.budget.inquiries);
                self.job.budget.inquiries = self.job.budget.inquiries.saturating_sub(1);
                if self.job.budget.inquiries == 0 {
                    self.dead(DeadReason::RetriesExhausted);
                } else {
                    self.job.state = State::Ready { at: self.policy.retry_at(self.at, used, *wish, self.jitter) };
                }
            }
            Event::InquiryRefused => self.refuse(Refusal::Reject(RejectReason::Business)),
            Event::InquiryWrong => self.refuse(Refusal::Request),
            Event::SendStarted => return self.send_started(),
            Event::Expired => {
                if !self.noticed.is_too_late(&self.job) {
                    return false;
                }
                self.refuse(Refusal::Reject(RejectReason::Expired));
            }
            Event::Restarted => {}
            Event::StoreRestored => {
                // M12: intents may have been forgotten, so this one may have been sent. Ask before anything is sent.
                // A forgotten attempt cannot have begun before the job was due; it may well have begun then. Replayed, it may
                // have been due before, and that was forgotten.
                let due = self.job.due_at().unwrap_or(self.at).min(self.at);
                let replayed = self.job.evidence.replayed;
                let earliest = if replayed { self.job.evidence.earliest_forgotten() } else { due };
                let evidence = &mut self.job.evidence;
                evidence.first_sent_at.get_or_insert(earliest);
                evidence.last_ended_at = Some(self.at);
                evidence.money = MoneyState::MaybeSent;
                evidence.forgotten = true;
                self.in_doubt(None);
            }
            _ => return false,
        }
        true
    }

    fn send_started(&mut self) -> bool {
        let inquiry_missing = matches!(self.job.state, State::Ready { .. }) && self.policy.wants_inquiry(&self.job);
        let too_late = self.noticed.is_too_late(&self.job) || self.noticed.is_undecided(&self.job);
        if inquiry_missing || self.job.budget.attempts == 0 || too_late {
            return false;
        }
        self.job.budget.attempts -= 1;
        let evidence = &mut self.job.evidence;
        evidence.first_sent_at.get_or_insert(self.at);
        evidence.account = self.policy.account;
        self.job.state = State::Sending { before: evidence.money };
        evidence.money = MoneyState::MaybeSent;
        true
    }

    /// An attempt that a restart finds is perhaps sent.
    fn restarted(&mut self) {
        self.job.evidence.last_ended_at = Some(self.at);
        if self.job.evidence.beside.is_some_and(|beside| beside.taken == Taken::Paid) {
            return self.double_credit();
        }
        self.in_doubt(None);
    }

    pub(crate) fn attempt_ended(&mut self, before: MoneyState, answer: Answer) -> bool {
        self.job.evidence.last_ended_at = Some(self.at);
        if let Some(beside) = self.job.evidence.beside
            && self.ended_beside(beside, answer)
        {
            return true;
        }
        match answer {
            Answer::Paid => self.succeeded(),
            Answer::Accepted => {
                self.job.evidence.accepted = true;
                self.in_doubt(None);
            }
            Answer::Inconsistent => {
                // It has taken something: whatever it was, it must not be sent again.
                self.job.evidence.accepted = true;
                self.job.evidence.mismatch = true;
                self.in_doubt(None);
            }
            Answer::Unknown => self.in_doubt(None),
            Answer::Duplicate => {
                // What collides with a resend is the original, which arrived late: "not found" proves nothing any more.
                self.job.evidence.accepted |= self.job.evidence.doubted;
                self.in_doubt(None);
            }
            Answer::Refused => self.not_executed(before, true, Some(Refusal::Reject(RejectReason::Business)), None),
            Answer::Wrong => self.not_executed(before, true, Some(Refusal::Request), None),
            Answer::NotSent => self.not_executed(before, false, None, Some(Retry::Free)),
            Answer::NotExecuted { sent, retry } => self.not_executed(before, sent, None, Some(retry)),
        }
        true
    }

    /// The attempt that just ended was provably not executed.
    fn not_executed(&mut self, before: MoneyState, sent: bool, refusal: Option<Refusal>, retry: Option<Retry>) {
        if retry == Some(Retry::Free) {
            self.job.budget.attempts = self.job.budget.attempts.saturating_add(1);
        }
        // M3: a refusal proves only its own attempt. Where an earlier one was in doubt, the provider is asked again.
        if sent && self.job.evidence.doubted {
            self.in_doubt(refusal);
            return;
        }
        let evidence = &mut self.job.evidence;
        evidence.money = if sent { MoneyState::ProvenUnpaid } else { before };
        if !evidence.doubted {
            evidence.first_sent_at = None;
        }
        match (refusal, retry) {
            (Some(refusal), _) => self.conclude(refusal),
            (None, Some(Retry::Counted(_))) if self.job.budget.attempts == 0 => self.dead(DeadReason::RetriesExhausted),
            (None, Some(Retry::Counted(wish))) => {
                let used = self.policy.attempts.saturating_sub(self.job.budget.attempts).saturating_sub(1);
                self.job.state = State::Ready { at: self.policy.retry_at(self.at, used, wish, self.jitter) };
            }
            (None, _) => self.job.state = State::Ready { at: self.at },
        }
    }

    fn checked(&mut self, not_found: u32, refusal: Option<Refusal>, asked_at: Timestamp, answer: StatusAnswer) {
        if self.policy.is_of_another_account(&self.job) {
            return self.dead(DeadReason::OtherAccount);
        }
        if !self.may_be_anywhere() {
            // Recorded without an account, it counts as sent to the one that is asked first.
            let evidence = &mut self.job.evidence;
            evidence.account = evidence.account.or(self.policy.account);
        }
        if answer == StatusAnswer::Nothing(Retry::Free) {
            self.job.state = State::Unconfirmed { at: self.at, not_found, refusal };
            return;
        }
        let asked = self.policy.checks().saturating_sub(self.job.budget.checks);
        self.job.budget.checks = self.job.budget.checks.saturating_sub(1);
        // M17: what was recorded before ages are vouched for may have ended at any time up to then.
        let ended = self.job.evidence.last_ended_at.map(|ended| self.noticed.ended(ended));
        let quiet_end = ended.unwrap_or(self.at).plus(self.policy.quiet_period);
        let not_found = match answer {
            StatusAnswer::Paid { amount_seen } if amount_seen || !self.job.evidence.mismatch => {
                return self.succeeded();
            }
            StatusAnswer::Paid { .. } | StatusAnswer::Inconsistent => {
                self.job.evidence.accepted = true;
                self.job.evidence.mismatch = true;
                return self.dead(DeadReason::InconsistentAnswer);
            }
            StatusAnswer::Refunded => {
                self.job.evidence.money = MoneyState::Returned;
                return self.dead(DeadReason::Refunded);
            }
            StatusAnswer::Cancelled | StatusAnswer::Failed if self.may_be_anywhere() => {
                return self.dead(DeadReason::OtherAccount);
            }
            StatusAnswer::Cancelled => return self.settled_unpaid(RejectReason::Cancelled),
            StatusAnswer::Failed => return self.settled_unpaid(RejectReason::Business),
            StatusAnswer::NotFound if ended.is_some_and(|ended| asked_at < ended) => not_found,
            StatusAnswer::NotFound => not_found.saturating_add(1),
            StatusAnswer::Pending => {
                self.job.evidence.accepted = true;
                0
            }
            // An unanswered question breaks the row: "two in a row" stays the strict reading.
            StatusAnswer::Nothing(_) => 0,
        };
        if answer == StatusAnswer::NotFound && not_found >= 2 && asked_at >= quiet_end && !self.noticed.is_doubted {
            return self.not_found_is_proof(refusal);
        }
        if self.job.budget.checks == 0 {
            return self.unresolved();
        }
        let at = self.policy.next_check(self.at, asked.saturating_add(1), quiet_end, self.jitter);
        self.job.state = State::Unconfirmed { at, not_found, refusal };
    }

    /// M4: asked twice, late enough, and the provider does not know it.
    fn not_found_is_proof(&mut self, refusal: Option<Refusal>) {
        let evidence = &self.job.evidence;
        let window = self.policy.uniqueness_window;
        let latest = self.noticed.latest();
        // What began after now was noted by a clock that was wrong: its age is not known.
        let too_old = evidence.first_sent_at.is_none_or(|first| first > latest || latest.since(first) > window);
        if evidence.accepted || too_old {
            return self.unresolved();
        }
        if self.may_be_anywhere() {
            return self.dead(DeadReason::OtherAccount);
        }
        self.job.evidence.money = MoneyState::ProvenUnpaid;
        self.job.evidence.forgotten = false;
        if let Some(refusal) = refusal {
            self.conclude(refusal);
        } else if self.noticed.is_too_late(&self.job) {
            self.conclude(Refusal::Reject(RejectReason::Expired));
        } else if self.job.budget.attempts == 0 {
            self.dead(DeadReason::RetriesExhausted);
        } else {
            // What is sent again may be in doubt again, and then has to be asked about as long as the first.
            self.job.budget.checks = self.policy.checks();
            self.job.state = State::Ready { at: self.at };
        }
    }

    /// M14: what was forgotten may have been sent to another account than the one that is asked: it is settled by who has it,
    /// and by nobody who does not know it or has not paid it.
    const fn may_be_anywhere(&self) -> bool {
        self.job.evidence.forgotten && self.noticed.others_were_used
    }

    fn operator(&mut self, reason: DeadReason, event: &Event) -> bool {
        match event {
            Event::Replayed if matches!(reason, DeadReason::Refunded | DeadReason::DoubleCreditSuspected) => {
                return false;
            }
            Event::Replayed
                if self.job.evidence.money == MoneyState::MaybeSent && self.policy.is_of_another_account(&self.job) =>
            {
                return false;
            }
            Event::Replayed => {
                self.job.budget = Budget::full(self.policy);
                self.job.evidence.replayed = true;
                self.job.state = match self.job.evidence.money {
                    MoneyState::NeverSent | MoneyState::ProvenUnpaid => State::Ready { at: self.at },
                    MoneyState::MaybeSent => State::Unconfirmed { at: self.at, not_found: 0, refusal: None },
                    MoneyState::ProvenPaid | MoneyState::Returned => return false,
                };
            }
            Event::Amended { not_after, has_customer_name } => {
                // What may have been sent is locked: the provider may compare a repeat with what it has.
                let Evidence { money, doubted, accepted, .. } = self.job.evidence;
                let is_unsent = matches!(money, MoneyState::NeverSent | MoneyState::ProvenUnpaid);
                if !is_unsent || doubted || accepted {
                    return false;
                }
                (self.job.not_after, self.job.has_customer_name) = (*not_after, *has_customer_name);
            }
            Event::Discarded => self.job.state = State::Discarded { reason },
            Event::AskedByOperator { answer } => return self.checked_by_operator(reason, *answer),
            Event::StoreRestored => return self.forgotten(),
            _ => return false,
        }
        true
    }

    /// An operator asks about what stands before them. It starts nothing: what is not settled stays where it is.
    fn checked_by_operator(&mut self, reason: DeadReason, answer: StatusAnswer) -> bool {
        let nothing_to_ask = matches!(self.job.evidence.money, MoneyState::NeverSent | MoneyState::Returned);
        if nothing_to_ask || self.policy.is_of_another_account(&self.job) {
            return false;
        }
        if reason == DeadReason::DoubleCreditSuspected {
            // An answer is about the reference: it cannot say of how many attempts it is true.
            return true;
        }
        match answer {
            StatusAnswer::Paid { amount_seen } if amount_seen || !self.job.evidence.mismatch => self.succeeded(),
            StatusAnswer::Paid { .. } | StatusAnswer::Inconsistent => {
                self.it_has_something();
                self.job.evidence.mismatch = true;
                self.dead(DeadReason::InconsistentAnswer);
            }
            StatusAnswer::Refunded => {
                self.job.evidence.money = MoneyState::Returned;
                self.dead(DeadReason::Refunded);
            }
            StatusAnswer::Cancelled | StatusAnswer::Failed if self.may_be_anywhere() => {}
            StatusAnswer::Cancelled => self.settled_unpaid(RejectReason::Cancelled),
            StatusAnswer::Failed => self.settled_unpaid(RejectReason::Business),
            StatusAnswer::Pending => self.it_has_something(),
            // One "not found" is no proof, and a dead letter waits for no second one.
            StatusAnswer::NotFound | StatusAnswer::Nothing(_) => {}
        }
        true
    }

    /// Against whatever an attempt before it has proven.
    pub(crate) fn it_has_something(&mut self) {
        let evidence = &mut self.job.evidence;
        evidence.accepted = true;
        evidence.doubted = true;
        evidence.money = MoneyState::MaybeSent;
        evidence.first_sent_at = evidence.first_sent_at.or(evidence.last_ended_at).or(Some(self.at));
    }

    /// M12: an operator may have replayed it, and that was forgotten: a replay asks first, however it died.
    fn forgotten(&mut self) -> bool {
        let double = self.job.state.is_double_credit();
        let evidence = &mut self.job.evidence;
        if evidence.money == MoneyState::Returned || double {
            return false;
        }
        let earliest = evidence.earliest_forgotten();
        evidence.first_sent_at.get_or_insert(earliest);
        evidence.last_ended_at = Some(self.at);
        evidence.doubted = true;
        evidence.forgotten = true;
        evidence.money = MoneyState::MaybeSent;
        true
    }

    /// The provider's word that this top-up will not be paid, where no earlier attempt speaks against it.
    fn refuse(&mut self, refusal: Refusal) {
        // Proven unpaid at an account that is not asked any more, it is not asked about at this one.
        if self.job.evidence.doubted && !self.policy.is_of_another_account(&self.job) {
            self.job.evidence.last_ended_at.get_or_insert(self.at);
            self.in_doubt(Some(refusal));
        } else {
            self.conclude(refusal);
        }
    }

    fn conclude(&mut self, refusal: Refusal) {
        match refusal {
            Refusal::Reject(reason) => self.job.state = State::Rejected { reason },
            Refusal::Request => self.dead(DeadReason::RequestRefused),
        }
    }

    /// M2: the money may have moved; ask.
    pub(crate) fn in_doubt(&mut self, refusal: Option<Refusal>) {
        self.job.evidence.doubted = true;
        self.job.evidence.money = MoneyState::MaybeSent;
        if self.job.budget.checks == 0 {
            return self.unresolved();
        }
        let at = self.policy.first_check(self.at, self.jitter);
        self.job.state = State::Unconfirmed { at, not_found: 0, refusal };
    }

    pub(crate) fn succeeded(&mut self) {
        if self.job.evidence.beside.is_some() {
            return self.double_credit();
        }
        self.job.evidence.money = MoneyState::ProvenPaid;
        self.job.evidence.mismatch = false;
        self.job.state = State::Succeeded;
    }

    fn settled_unpaid(&mut self, reason: RejectReason) {
        self.job.evidence.money = MoneyState::ProvenUnpaid;
        self.job.state = State::Rejected { reason };
    }

    /// M6: doubt never times out into "failed".
    fn unresolved(&mut self) {
        let mismatch = self.job.evidence.mismatch;
        self.dead(if mismatch { DeadReason::InconsistentAnswer } else { DeadReason::Unresolved });
    }

    pub(crate) fn dead(&mut self, reason: DeadReason) {
        self.job.state = State::Dead { reason };
    }
}
