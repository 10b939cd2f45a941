//! What may be done about a dead letter next, and what each would do.

use engine::MoneyState;
use outbox::{ClosedAs, DeadLetter};
use serde::Serialize;

use crate::replay::Verdict;

/// One command, as far as it concerns this dead letter.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Next {
    pub(super) command: String,
    pub(super) allowed: bool,
    /// What it would do, or why it may not.
    pub(super) effect: String,
}

/// In the order in which they are worth a thought; `verdict` is what a replay would do. Of a job whose details are past
/// retention nothing is left to resume.
pub(super) fn of(letter: &DeadLetter, verdict: &Verdict, past_retention: bool) -> Vec<Next> {
    let next = |verb: &str, allowed: bool, effect: &str| Next {
        command: format!("worker dlq {verb} {}", letter.id),
        allowed,
        effect: effect.to_owned(),
    };
    let replay = next("replay", verdict.refusal().is_none(), verdict.effect());
    match (letter.closed, letter.job) {
        (Some((_, ClosedAs::Discarded)), _) if past_retention => {
            vec![next("restore", false, "its job's details are past retention")]
        }
        (Some((_, ClosedAs::Discarded)), _) => vec![next("restore", true, "opens it again, as it was")],
        (Some(_), _) => Vec::new(),
        (None, None) => vec![
            next("edit", true, "takes the mended message through the same intake as any delivery"),
            replay,
            next("discard", true, "closes it: topup.discarded; nothing was sent"),
        ],
        (None, Some(_)) => {
            let (may_be_asked, asking) = asking(letter.money_state);
            vec![
                next("check", may_be_asked, asking),
                replay,
                amending(letter.money_state, &next),
                next("discard", true, discarding(letter.money_state)),
            ]
        }
    }
}

/// By what is known of the money; the engine decides by all there is.
fn amending(money: MoneyState, next: &impl Fn(&str, bool, &str) -> Next) -> Next {
    match money {
        MoneyState::NeverSent | MoneyState::ProvenUnpaid => {
            next("edit", true, "amends customerName, notes, beneficiaryEmail, notAfter; the rest of a job is locked")
        }
        _ => next("edit", false, "what may have been sent is locked"),
    }
}

const fn asking(money: MoneyState) -> (bool, &'static str) {
    match money {
        MoneyState::NeverSent => (false, "it was never sent: there is nothing to ask about"),
        MoneyState::Returned => (false, "it was refunded, which is final"),
        MoneyState::MaybeSent => {
            (true, "asks the provider, moves no money: paid closes it as succeeded, failed as rejected")
        }
        MoneyState::ProvenUnpaid | MoneyState::ProvenPaid => {
            (true, "asks the provider once more, moves no money: an attempt that arrived late would show")
        }
    }
}

const fn discarding(money: MoneyState) -> &'static str {
    match money {
        MoneyState::MaybeSent => {
            "closes it: topup.discarded; it may have been paid, and nobody will ask any more: check first"
        }
        MoneyState::ProvenPaid => "closes it: topup.discarded, although it was paid",
        MoneyState::Returned => "closes it: topup.discarded; the money came back",
        MoneyState::NeverSent | MoneyState::ProvenUnpaid => "closes it: topup.discarded; no money moved",
    }
}
