//! Planted mistakes. Each wraps the engine or a step of what surrounds it, and each has to be found.

use std::time::Duration;

use engine::{
    Answer, Budget, Event, IllegalEvent, Jitter, Job, MoneyState, Policy, RejectReason, Retry, State, StatusAnswer,
    apply,
};

use crate::time::NOW;

/// A mistake that somebody could make.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mistake {
    /// A top-up without an answer is sent again.
    ResendsOnDoubt,
    /// An attempt that a restart finds is sent again.
    ResendsAfterRestart,
    /// The first "not found" is believed.
    BelievesNotFoundAtOnce,
    /// Two "not found" are believed before the quiet period is over.
    IgnoresTheQuietPeriod,
    /// The quiet period counts from the beginning of the attempt.
    QuietFromTheBeginning,
    /// One "not found" is enough if it is late.
    OneLateNotFoundIsEnough,
    /// "Not found" counts on after another answer.
    RowIsNotBroken,
    /// "Not found" is believed after the provider may have forgotten.
    IgnoresTheWindow,
    /// What the provider has said to have is sent again when it denies it.
    ResendsWhatWasAccepted,
    /// A refusal clears an older doubt.
    RefusalClearsDoubt,
    /// The budget of status inquiries never shrinks.
    ChecksNeverShrink,
    /// The budget of attempts never shrinks.
    AttemptsNeverShrink,
    /// Doubt ends as failed when the budget is used up.
    DoubtTimesOut,
    /// A timeout is taken for "not sent".
    TimeoutIsNotSent,
    /// "In progress" is taken for paid.
    PendingIsPaid,
    /// "In progress" is taken for failed.
    PendingIsFailed,
    /// Another amount is taken for success.
    MismatchIsPaid,
    /// A replay sends without asking.
    ReplaySkipsTheQuestion,
    /// What was refunded can be replayed.
    ReplaysRefunds,
    /// "Not found" to an operator proves a dead letter unpaid.
    OperatorsNotFoundIsProof,
    /// What ended can be replayed.
    ReplaysWhatEnded,
    /// The top-up leaves before its intent is on disk.
    SendsBeforeTheIntent,
    /// A copy that is not the store's any more is written all the same.
    StaleCopyWrites,
    /// Deliveries are acknowledged before they are on disk.
    AcksBeforeCommit,
    /// Outcomes are marked before their confirm.
    MarksBeforeConfirm,
    /// The outcome's event is written in a transaction of its own.
    EventApart,
    /// A start leaves what was being driven.
    StartForgetsTheDriven,
    /// A store that was put back goes on as if nothing was forgotten.
    TrustsOldCopies,
    /// The mark of a restore keeps the time of an earlier one.
    KeepsTheFirstRestore,
    /// A replay's time counts as the earliest at which what was forgotten can have been sent.
    ForgetsTheReplay,
    /// A doubt of a restored store keeps what was proven before.
    RestoreKeepsTheRow,
    /// A key that a copy does not know counts as a new one from its arrival on.
    TakesUnknownForNew,
    /// An answer counts for whatever request it is heard by.
    BelievesAnothersAnswer,
    /// What shows that the provider knows the top-up, and does not settle it, is not remembered.
    ForgetsWhatTheProviderKnows,
    /// Whichever account is configured is asked about a doubt, and its "not found" believed.
    AsksTheWrongAccount,
    /// What a store has forgotten counts as sent to whichever account is asked first.
    TakesOneForAll,
    /// An intent leaves however old it is.
    IntentWithoutFuse,
    /// What comes back to a drive that was fenced off is dropped.
    DropsWhatComesLate,
}

impl Mistake {
    /// All of them.
    pub const ALL: [Self; 38] = [
        Self::ResendsOnDoubt,
        Self::ResendsAfterRestart,
        Self::BelievesNotFoundAtOnce,
        Self::IgnoresTheQuietPeriod,
        Self::QuietFromTheBeginning,
        Self::OneLateNotFoundIsEnough,
        Self::RowIsNotBroken,
        Self::IgnoresTheWindow,
        Self::ResendsWhatWasAccepted,
        Self::RefusalClearsDoubt,
        Self::ChecksNeverShrink,
        Self::AttemptsNeverShrink,
        Self::DoubtTimesOut,
        Self::TimeoutIsNotSent,
        Self::PendingIsPaid,
        Self::PendingIsFailed,
        Self::MismatchIsPaid,
        Self::ReplaySkipsTheQuestion,
        Self::ReplaysRefunds,
        Self::OperatorsNotFoundIsProof,
        Self::ReplaysWhatEnded,
        Self::SendsBeforeTheIntent,
        Self::StaleCopyWrites,
        Self::AcksBeforeCommit,
        Self::MarksBeforeConfirm,
        Self::EventApart,
        Self::StartForgetsTheDriven,
        Self::TrustsOldCopies,
        Self::KeepsTheFirstRestore,
        Self::ForgetsTheReplay,
        Self::RestoreKeepsTheRow,
        Self::TakesUnknownForNew,
        Self::BelievesAnothersAnswer,
        Self::ForgetsWhatTheProviderKnows,
        Self::AsksTheWrongAccount,
        Self::TakesOneForAll,
        Self::IntentWithoutFuse,
        Self::DropsWhatComesLate,
    ];

    /// The rules with the mistake.
    pub fn policy(self, mut policy: Policy) -> Policy {
        match self {
            Self::IgnoresTheQuietPeriod => policy.quiet_period = Duration::ZERO,
            Self::IgnoresTheWindow => policy.uniqueness_window = Duration::from_secs(1_000_000),
            _ => {}
        }
        policy
    }

    /// What is known after `event`, with the mistake; `None` where the mistake plays no part.
    ///
    /// # Errors
    /// As [`apply`].
    pub fn apply(self, job: &Job, policy: &Policy, event: &Event) -> Option<Result<Job, IllegalEvent>> {
        let right = |job: &Job, event: &Event| apply(job, policy, event, NOW, Jitter::NONE);
        let unconfirmed = matches!(job.state, State::Unconfirmed { .. });
        let mut before = job.clone();
        match (self, event) {
            (Self::ResendsOnDoubt, Event::TopUp(Answer::Unknown)) if before.budget.attempts > 0 => {
                Some(right(job, event).map(|job| Job { state: State::Ready { at: NOW }, ..job }))
            }
            (Self::ResendsAfterRestart, Event::Restarted) if before.budget.attempts > 0 => {
                Some(right(job, event).map(|job| Job { state: State::Ready { at: NOW }, ..job }))
            }
            (Self::BelievesNotFoundAtOnce, Event::Checked { answer: StatusAnswer::NotFound, .. }) if unconfirmed => {
                Some(twice_not_found(before, policy))
            }
            (Self::OneLateNotFoundIsEnough, Event::Checked { answer: StatusAnswer::NotFound, .. }) => {
                if let State::Unconfirmed { not_found, .. } = &mut before.state {
                    *not_found = 1;
                }
                Some(right(&before, event))
            }
            (Self::RowIsNotBroken, Event::Checked { answer: StatusAnswer::Nothing(_), .. })
            | (Self::RestoreKeepsTheRow, Event::StoreRestored)
                if unconfirmed =>
            {
                let State::Unconfirmed { not_found: kept, .. } = before.state else { return None };
                Some(right(job, event).map(|mut job| {
                    if let State::Unconfirmed { not_found, .. } = &mut job.state {
                        *not_found = kept;
                    }
                    job
                }))
            }
            (Self::QuietFromTheBeginning, Event::Checked { .. }) if unconfirmed => {
                before.evidence.last_ended_at = before.evidence.first_sent_at;
                Some(right(&before, event))
            }
            (Self::ForgetsTheReplay, Event::StoreRestored) => {
                before.evidence.replayed = false;
                Some(right(&before, event))
            }
            (Self::ResendsWhatWasAccepted, Event::Checked { .. }) if unconfirmed => {
                before.evidence.accepted = false;
                Some(right(&before, event))
            }
            (Self::RefusalClearsDoubt, Event::TopUp(Answer::Refused | Answer::Wrong | Answer::NotExecuted { .. })) => {
                before.evidence.doubted = false;
                Some(right(&before, event))
            }
            (Self::ChecksNeverShrink, Event::Checked { .. }) => Some(
                right(job, event)
                    .map(|job| Job { budget: Budget { checks: before.budget.checks, ..job.budget }, ..job }),
            ),
            (Self::AttemptsNeverShrink, _) => Some(
                right(job, event).map(|job| Job { budget: Budget { attempts: policy.attempts, ..job.budget }, ..job }),
            ),
            (Self::DoubtTimesOut, Event::Checked { .. }) if unconfirmed && before.budget.checks == 1 => {
                Some(right(job, event).map(|job| match job.state {
                    State::Dead { .. } => Job { state: State::Rejected { reason: RejectReason::Business }, ..job },
                    _ => job,
                }))
            }
            (Self::TimeoutIsNotSent, Event::TopUp(Answer::Unknown)) => {
                let answer = Answer::NotExecuted { sent: false, retry: Retry::Counted(None) };
                Some(right(job, &Event::TopUp(answer)))
            }
            (Self::PendingIsPaid, Event::TopUp(Answer::Accepted))
            | (Self::MismatchIsPaid, Event::TopUp(Answer::Inconsistent)) => {
                Some(right(job, &Event::TopUp(Answer::Paid)))
            }
            (Self::MismatchIsPaid, Event::Checked { asked_at, answer: StatusAnswer::Inconsistent }) => {
                let answer = StatusAnswer::Paid { amount_seen: true };
                Some(right(job, &Event::Checked { asked_at: *asked_at, answer }))
            }
            (Self::PendingIsFailed, Event::Checked { asked_at, answer: StatusAnswer::Pending }) => {
                Some(right(job, &Event::Checked { asked_at: *asked_at, answer: StatusAnswer::Failed }))
            }
            (Self::ForgetsWhatTheProviderKnows, Event::Checked { asked_at, answer: StatusAnswer::Pending }) => {
                let answer = StatusAnswer::Nothing(Retry::Counted(None));
                Some(right(job, &Event::Checked { asked_at: *asked_at, answer }))
            }
            (Self::ReplaySkipsTheQuestion, Event::Replayed) if before.evidence.money == MoneyState::MaybeSent => {
                before.evidence.money = MoneyState::ProvenUnpaid;
                Some(right(&before, event))
            }
            (Self::ReplaysRefunds, Event::Replayed) if before.evidence.money == MoneyState::Returned => {
                before.evidence.money = MoneyState::ProvenUnpaid;
                before.state = State::Dead { reason: engine::DeadReason::RetriesExhausted };
                Some(right(&before, event))
            }
            (Self::ReplaysWhatEnded, Event::Replayed) if matches!(before.state, State::Rejected { .. }) => {
                before.state = State::Dead { reason: engine::DeadReason::RequestRefused };
                Some(right(&before, event))
            }
            (Self::OperatorsNotFoundIsProof, Event::AskedByOperator { answer: StatusAnswer::NotFound })
                if matches!(before.state, State::Dead { .. }) =>
            {
                before.evidence.money = MoneyState::ProvenUnpaid;
                Some(Ok(before))
            }
            _ => None,
        }
    }
}

/// Two "not found" as if both had come just now.
fn twice_not_found(mut job: Job, policy: &Policy) -> Result<Job, IllegalEvent> {
    if let State::Unconfirmed { not_found, .. } = &mut job.state {
        *not_found = 1;
    }
    let hasty = Policy { quiet_period: Duration::ZERO, ..policy.clone() };
    let event = Event::Checked { asked_at: NOW, answer: StatusAnswer::NotFound };
    apply(&job, &hasty, &event, NOW, Jitter::NONE)
}
