//! The whole table, state by event, as one text: a reviewer sees each change to it.

use super::late::STATUS;
use super::*;
use crate::RejectReason;

pub(super) fn states() -> Vec<(&'static str, Job)> {
    let dead_unsent = after(&fresh(), &[(1, Event::InquiryWrong)]);
    let refunded = after(&unconfirmed(), &[checked(40, StatusAnswer::Refunded)]);
    let inconsistent = after(&unconfirmed(), &[checked(40, StatusAnswer::Inconsistent)]);
    let proven = after(&unconfirmed(), &[checked(40, StatusAnswer::NotFound), checked(610, StatusAnswer::NotFound)]);
    let mut unresolved = unconfirmed();
    unresolved.state = State::Dead { reason: crate::DeadReason::Unresolved };
    let mut rejected = fresh();
    rejected.state = State::Rejected { reason: RejectReason::Business };
    vec![
        ("ready", fresh()),
        ("ready, after doubt", proven.clone()),
        ("inquired", after(&fresh(), &[(1, inquired())])),
        ("sending", sending()),
        ("sending, after doubt", after(&proven, &[(620, inquired()), (620, Event::SendStarted)])),
        ("unconfirmed", unconfirmed()),
        ("unconfirmed, not found once", after(&unconfirmed(), &[checked(40, StatusAnswer::NotFound)])),
        ("unconfirmed, accepted", after(&sending(), &[(10, Event::TopUp(Answer::Accepted))])),
        ("succeeded", after(&sending(), &[(10, Event::TopUp(Answer::Paid))])),
        ("rejected", rejected),
        ("dead, never sent", dead_unsent.clone()),
        ("dead, unresolved", unresolved),
        ("dead, proven unpaid", after(&sending(), &[(10, Event::TopUp(Answer::Wrong))])),
        ("dead, refunded", refunded),
        ("dead, inconsistent", inconsistent),
        ("discarded", after(&dead_unsent, &[(2, Event::Discarded)])),
    ]
}

fn events() -> Vec<Event> {
    let retries = [COUNTED, Retry::Free];
    let mut events = vec![inquired(), Event::InquiryRefused, Event::InquiryWrong, Event::SendStarted];
    events.extend(retries.map(Event::InquiryFailed));
    events.extend(
        [
            Answer::Paid,
            Answer::Accepted,
            Answer::Refused,
            Answer::Wrong,
            Answer::Unknown,
            Answer::Duplicate,
            Answer::Inconsistent,
            Answer::NotSent,
        ]
        .map(Event::TopUp),
    );
    for retry in retries {
        events.extend([true, false].map(|sent| Event::TopUp(Answer::NotExecuted { sent, retry })));
    }
    let answers = STATUS.into_iter().chain([StatusAnswer::Nothing(Retry::Free)]);
    events.extend(answers.clone().map(|answer| checked(1000, answer).1));
    events.extend(answers.map(|answer| Event::AskedByOperator { answer }));
    events.extend([
        Event::Restarted,
        Event::Expired,
        Event::StoreRestored,
        Event::Amended { not_after: Some(at(5000)), has_customer_name: true },
        Event::Replayed,
        Event::Discarded,
        Event::Restored,
    ]);
    events
}

#[test]
fn the_table_of_every_state_and_event() {
    let mut text = String::new();
    for (title, job) in states() {
        text.push_str(&format!("{title} ({})\n", job.evidence.money.as_str()));
        for event in events() {
            let Ok(next) = apply(&job, &policy(), &event, at(1000), Jitter::NONE) else { continue };
            let cost = match &event {
                Event::InquiryFailed(retry)
                | Event::TopUp(Answer::NotExecuted { retry, .. })
                | Event::Checked { answer: StatusAnswer::Nothing(retry), .. }
                | Event::AskedByOperator { answer: StatusAnswer::Nothing(retry) } => match retry {
                    Retry::Free => " free",
                    Retry::Counted(_) => " counted",
                },
                _ => "",
            };
            let sent = match &event {
                Event::TopUp(Answer::NotExecuted { sent: false, .. }) => " unsent",
                _ => "",
            };
            let due = next.due_at().map_or(String::new(), |due| {
                if next.state.name() == "sending" {
                    String::new()
                } else {
                    format!(" +{}s", due.since(at(1000)).as_secs())
                }
            });
            let reason = match &next.state {
                State::Rejected { reason } => format!(" {}", reason.as_str()),
                State::Dead { reason } => format!(" {}", reason.as_str()),
                _ => String::new(),
            };
            let by = if matches!(event, Event::AskedByOperator { .. }) { " operator" } else { "" };
            text.push_str(&format!(
                "  {:<22}{:<16} -> {}{reason}{due} ({}) left {}/{}/{}\n",
                event.name(),
                format!("{cost}{sent}{by}").trim(),
                next.state.name(),
                next.evidence.money.as_str(),
                next.budget.inquiries,
                next.budget.attempts,
                next.budget.checks,
            ));
        }
    }
    insta::assert_snapshot!(text);
}
