//! M14: evidence belongs to an account.

use super::*;
use crate::{Account, DeadReason, MoneyState, RejectReason, Step, next_step};

const A: Account = Account::from_bytes(*b"accountA");
const B: Account = Account::from_bytes(*b"accountB");

fn of(account: Account) -> Policy {
    Policy { account: Some(account), ..policy() }
}

fn under(account: Account, job: &Job, events: &[(i64, Event)]) -> Job {
    events.iter().fold(job.clone(), |job, (secs, event)| {
        apply(&job, &of(account), event, at(*secs), Jitter::NONE).unwrap_or_else(|error| panic!("{error}: {job:?}"))
    })
}

fn doubt_at_a() -> Job {
    under(A, &fresh(), &[(1, inquired()), (1, Event::SendStarted), (10, Event::TopUp(Answer::Unknown))])
}

fn refuses(account: Account, job: &Job, event: &Event) -> bool {
    apply(job, &of(account), event, at(5000), Jitter::NONE).is_err()
}

#[test]
fn m14_a_doubt_is_asked_about_at_its_own_account_only() {
    let job = doubt_at_a();
    assert_eq!(job.evidence.account, Some(A));
    assert_eq!(next_step(&job, &of(A), at(40)), Step::CheckStatus);
    assert_eq!(next_step(&job, &of(B), at(40)), Step::OtherAccount);
    // Nothing is said about it before it would be asked: the section may be put right until then.
    assert!(matches!(next_step(&job, &of(B), at(11)), Step::WaitUntil(_)));
    let dead = under(B, &job, &[(40, Event::OtherAccount)]);
    assert_eq!(dead.state, State::Dead { reason: DeadReason::OtherAccount });
    assert_eq!((dead.evidence.money, dead.evidence.account), (MoneyState::MaybeSent, Some(A)));
    assert_eq!(dead.budget.checks, job.budget.checks, "no question is used up");
    assert!(refuses(A, &job, &Event::OtherAccount), "it is the account that is asked");
}

#[test]
fn m14_no_answer_of_another_account_settles_a_doubt() {
    let answers = [
        StatusAnswer::Paid { amount_seen: true },
        StatusAnswer::NotFound,
        StatusAnswer::Failed,
        StatusAnswer::Cancelled,
        StatusAnswer::Refunded,
        StatusAnswer::Pending,
        StatusAnswer::Inconsistent,
        StatusAnswer::Nothing(COUNTED),
    ];
    for answer in answers {
        let job = under(B, &doubt_at_a(), &[checked(700, answer)]);
        assert_eq!(job.state, State::Dead { reason: DeadReason::OtherAccount }, "{answer:?}");
        assert_eq!(job.evidence.money, MoneyState::MaybeSent);
        assert!(refuses(B, &job, &asked(800, answer).1), "an operator asks the wrong account: {answer:?}");
    }
    // One "not found" of the right account, one of the wrong one.
    let once = under(A, &doubt_at_a(), &[checked(700, StatusAnswer::NotFound)]);
    let twice = under(B, &once, &[checked(2000, StatusAnswer::NotFound)]);
    assert_eq!(twice.state, State::Dead { reason: DeadReason::OtherAccount });
}

#[test]
fn m14_a_replay_asks_only_where_the_old_account_is_configured_again() {
    let dead = under(B, &doubt_at_a(), &[(40, Event::OtherAccount)]);
    assert!(refuses(B, &dead, &Event::Replayed));
    let replayed = under(A, &dead, &[(5000, Event::Replayed)]);
    assert_eq!(name(&replayed), "unconfirmed");
    assert_eq!(next_step(&replayed, &of(A), at(5000)), Step::CheckStatus);
    let paid = under(A, &replayed, &[checked(5001, StatusAnswer::Paid { amount_seen: true })]);
    assert_eq!(name(&paid), "succeeded");
    // An operator who asks that account by hand.
    let settled = under(A, &dead, &[asked(5001, StatusAnswer::Paid { amount_seen: true })]);
    assert_eq!(name(&settled), "succeeded");
    // Any other dead letter in doubt is bound to its account as well.
    let mut unresolved = doubt_at_a();
    unresolved.state = State::Dead { reason: DeadReason::Unresolved };
    assert!(refuses(B, &unresolved, &Event::Replayed));
}

#[test]
fn m14_what_was_never_sent_or_is_proven_unpaid_moves_to_the_new_account() {
    let proven = [checked(40, StatusAnswer::NotFound), checked(610, StatusAnswer::NotFound)];
    let proven = under(A, &doubt_at_a(), &proven);
    for unpaid in [fresh(), proven.clone()] {
        let sent = under(B, &unpaid, &[(700, inquired()), (700, Event::SendStarted)]);
        assert_eq!(sent.evidence.account, Some(B));
        let doubt = under(B, &sent, &[(710, Event::TopUp(Answer::Unknown))]);
        assert_eq!(next_step(&doubt, &of(B), at(750)), Step::CheckStatus);
        assert_eq!(next_step(&doubt, &of(A), at(750)), Step::OtherAccount, "the old one is another one now");
    }
    let mut dead = proven.clone();
    dead.state = State::Dead { reason: DeadReason::RetriesExhausted };
    assert_eq!(name(&under(B, &dead, &[(5000, Event::Replayed)])), "ready");
    // Proven at the old one, it is not asked about at the new one, which knows nothing of it.
    let refused = under(B, &proven, &[(700, Event::InquiryRefused)]);
    assert_eq!(refused.state, State::Rejected { reason: RejectReason::Business });
    assert_eq!(name(&under(A, &proven, &[(700, Event::InquiryRefused)])), "unconfirmed");
}

#[test]
fn m14_a_doubt_of_before_accounts_were_recorded_counts_as_sent_to_the_one_that_is_asked_first() {
    let old = unconfirmed();
    assert_eq!(old.evidence.account, None);
    assert_eq!(next_step(&old, &of(A), at(40)), Step::CheckStatus);
    let asked = under(A, &old, &[checked(40, StatusAnswer::Nothing(COUNTED))]);
    assert_eq!(asked.evidence.account, Some(A));
    assert_eq!(next_step(&asked, &of(B), at(5000)), Step::OtherAccount);
    // Rows of then are read, and none of their members has changed.
    let text = serde_json::to_string(&old).unwrap();
    assert!(!text.contains("account") && !text.contains("beside"), "{text}");
    assert_eq!(serde_json::from_str::<Job>(&text).unwrap(), old);
    let text = serde_json::to_string(&asked).unwrap();
    assert!(text.contains(&format!("\"account\":\"{A}\"")), "{text}");
    assert_eq!(serde_json::from_str::<Job>(&text).unwrap(), asked);
}
