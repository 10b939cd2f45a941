//! A refusal that names nothing, by the answer to a status inquiry that went behind its top-up on the same connection (M15).
//! Answers come in the order of their requests: were the refusal another's, the top-up's own answer would come there.

use engine::{Answer, Event, StatusAnswer};
use snap_client::{Answered, Belongs, Reply};
use snap_core::{Profile, Timestamp, TopUpStatusResponse};

use super::status::echo;
use super::{Door, Echo, Expected, Reading, door, status, top_up};

/// What the `answer` makes of the `refusal`.
pub(in crate::provider) fn behind(
    profile: &Profile,
    expected: Expected<'_>,
    refusal: &Reply,
    answer: &Reply,
) -> Reading {
    let in_doubt = |why: &str| Reading { ask_again: false, ..top_up(profile, expected, refusal) }.detail(why);
    let accepted = |why: &str| Reading { event: Event::TopUp(Answer::Accepted), ..in_doubt(why) };
    if is_in_order(profile, expected, answer) {
        // When it was asked is of no account here.
        return match status(profile, expected, Timestamp::from_millis(0), answer).event {
            Event::Checked { answer: StatusAnswer::NotFound | StatusAnswer::Nothing(_), .. } => {
                believed(profile, expected, refusal)
            }
            Event::Checked { answer: StatusAnswer::Failed | StatusAnswer::Cancelled, .. } => {
                believed(profile, expected, refusal)
            }
            _ => accepted("a refusal that names no partnerReferenceNo, of a top-up that a status inquiry knows"),
        };
    }
    let own = top_up(profile, expected, answer);
    match own.event {
        Event::TopUp(_) if own.belongs == Some(Belongs::Named) => own,
        Event::TopUp(Answer::Paid | Answer::Accepted) => {
            accepted("a refusal was followed by a success, and neither names it")
        }
        _ => in_doubt(
            "a refusal that names no partnerReferenceNo may be an earlier top-up's: what was asked behind it got no answer of its own",
        ),
    }
}

/// The refusal is this top-up's own.
fn believed(profile: &Profile, expected: Expected<'_>, refusal: &Reply) -> Reading {
    match refusal {
        Reply::Answered(answered) => {
            top_up(profile, expected, &Reply::Answered(Answered { may_be_earlier: false, ..answered.clone() }))
        }
        other => top_up(profile, expected, other),
    }
}

/// Whether it is the answer to the status inquiry: by its service's own digits, whatever the profile's overrides say, and with nothing
/// that speaks against it. What it says of the top-up is another matter.
fn is_in_order(profile: &Profile, expected: Expected<'_>, answer: &Reply) -> bool {
    let (Door::Open(opened), told) = door::<TopUpStatusResponse>(profile, profile.status_service, answer) else {
        return false;
    };
    let is_its_services = opened.code.is_some_and(|code| {
        code.service() == profile.status_service.code() && code.http_status() == opened.http_status
    });
    let echo = told.as_ref().map_or(Echo::Absent, |told| echo(expected, told));
    let is_open = echo == Echo::Absent && opened.may_be_earlier;
    is_its_services && !opened.surplus && echo != Echo::Anothers && !is_open
}
