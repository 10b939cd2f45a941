//! What a status inquiry's reply tells. Beside the status that it names, whatever shows that the provider knows the top-up is
//! evidence (M2): what was accepted is never sent again.

use engine::{Event, Retry, StatusAnswer};
use snap_client::{Belongs, Reply};
use snap_core::{Class, Profile, Timestamp, TopUpStatusResponse, TransactionStatus};

use super::{
    Door, Echo, Expected, Opened, Ours, Reading, amount_differs, door, fields, kept_number, ours, why_in_question,
};
use crate::lane::Signal;

/// What a status inquiry's reply tells; it was asked at `asked_at`.
pub(in crate::provider) fn status(
    profile: &Profile,
    expected: Expected<'_>,
    asked_at: Timestamp,
    reply: &Reply,
) -> Reading {
    let reading = status_alone(profile, expected, asked_at, reply);
    let left = match reading.event {
        Event::Checked { answer: StatusAnswer::Pending, .. } => None,
        // What shows that the top-up is known stays (M2), whosever it is.
        Event::Checked { answer: StatusAnswer::Paid { .. } | StatusAnswer::Refunded, .. } => {
            Some(StatusAnswer::Pending)
        }
        Event::Checked { answer: StatusAnswer::Nothing(_), .. }
            if reading.token_refused.is_none() && !matches!(reading.signal, Signal::Fault(_)) =>
        {
            None
        }
        // Of another top-up, by name: that it goes before a person.
        _ if reading.ask_again => None,
        _ => Some(StatusAnswer::Nothing(Retry::Counted(None))),
    };
    match left {
        Some(answer) if !reading.is_its_own(reply) => {
            let reading = reading.in_question(Event::Checked { asked_at, answer }, Class::Ambiguous);
            Reading { fields: None, ..reading }
        }
        _ => reading,
    }
}

/// The same, were it the answer to this request.
fn status_alone(profile: &Profile, expected: Expected<'_>, asked_at: Timestamp, reply: &Reply) -> Reading {
    let (door, answer) = door::<TopUpStatusResponse>(profile, profile.status_service, reply);
    let checked = |answer| Event::Checked { asked_at, answer };
    let nothing = |retry| checked(StatusAnswer::Nothing(retry));
    let opened = match door {
        Door::NotSent(detail) => {
            return Reading::new(nothing(Retry::Free), Signal::Unreachable, Class::RetrySafe).detail(detail);
        }
        Door::Silent { http_status, detail } => {
            let reading = Reading::new(nothing(Retry::Counted(None)), Signal::Nothing, Class::RetrySafe).detail(detail);
            return Reading { http_status, ..reading };
        }
        Door::Open(opened) => *opened,
    };
    let echo = answer.as_ref().map_or(Echo::Absent, |answer| echo(expected, answer));
    let told = tells(profile, &opened);
    // A success that names another top-up goes before a person; whatever else it says, it says it of the other.
    let may_be_paid = told == Some(Tells::Status) && echo == Echo::Anothers;
    if echo.is_in_question(&opened) && !may_be_paid {
        return Reading::new(nothing(Retry::Counted(None)), Signal::Nothing, Class::Ambiguous)
            .of(&opened)
            .detail(why_in_question(echo));
    }
    match ours(&opened) {
        Some(Ours::Token(fault)) => {
            return Reading::new(nothing(Retry::Free), Signal::Nothing, opened.class).of(&opened).token_refused(fault);
        }
        Some(Ours::Lane(fault)) => {
            return Reading::new(nothing(Retry::Free), Signal::Fault(fault), opened.class).of(&opened);
        }
        None => {}
    }
    let (status, class) = match (told, &answer) {
        (Some(Tells::Status), Some(answer)) => named(expected, echo, answer),
        (Some(Tells::Pending), _) => (StatusAnswer::Pending, Class::Pending),
        (Some(Tells::NotFound), answer) => not_found(echo, answer.as_ref()),
        _ if opened.http_status == 503 => {
            return Reading::new(nothing(Retry::Free), Signal::Unreachable, opened.class).of(&opened);
        }
        _ => (StatusAnswer::Nothing(Retry::Counted(opened.retry_after)), opened.class),
    };
    let signal = match status {
        StatusAnswer::Nothing(_) => Signal::Nothing,
        _ => Signal::Fine,
    };
    let mut told = fields(&opened, answer.as_ref());
    told.reference_no = answer.as_ref().and_then(number);
    let reading = Reading::new(checked(status), signal, class).of(&opened).belonging(belongs(&opened, echo, status));
    // Only an answer that settles the top-up may replace what its own answer said.
    match status {
        StatusAnswer::Paid { .. } | StatusAnswer::Cancelled | StatusAnswer::Failed | StatusAnswer::Refunded => {
            reading.told(told)
        }
        StatusAnswer::Inconsistent => {
            let reading = reading.detail("the status names another amount or partnerReferenceNo");
            Reading { ask_again: echo == Echo::Anothers, ..reading }
        }
        _ => reading,
    }
}

impl Reading {
    /// The second answer to the same question, where the first one was in question: it counts, but what the first one showed of being
    /// known is not forgotten (M2).
    pub(in crate::provider) fn after(self, first: &Self) -> Self {
        match (&self.event, &first.event) {
            (
                Event::Checked { asked_at, answer: StatusAnswer::NotFound | StatusAnswer::Nothing(_) },
                Event::Checked { answer: StatusAnswer::Pending, .. },
            ) => Self { event: Event::Checked { asked_at: *asked_at, answer: StatusAnswer::Pending }, ..self },
            _ => self,
        }
    }
}

/// What an answer tells about, by HTTP status and code alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tells {
    /// Its `latestTransactionStatus` counts.
    Status,
    /// The provider has the top-up, and it is not settled.
    Pending,
    /// The provider does not know it.
    NotFound,
}

fn tells(profile: &Profile, opened: &Opened) -> Option<Tells> {
    let service = profile.status_service;
    let is_foreign = opened.code.is_some_and(|code| code.service() != service.code() && !opened.agrees);
    if opened.http_status == 202 {
        // Whatever stands in it: it is not settled, and somebody works on it.
        return (!is_foreign).then_some(Tells::Pending);
    }
    let code = opened.code.filter(|_| opened.agrees)?;
    match (profile.class_override(service, code), code.http_status(), code.case()) {
        (Some(Class::Success), ..) => Some(Tells::Status),
        (Some(Class::Pending), ..) => Some(Tells::Pending),
        // The standard's class is no other reading.
        (None | Some(Class::Ambiguous), 200, 0) => Some(Tells::Status),
        (None | Some(Class::Ambiguous), 404, 1) => Some(Tells::NotFound),
        (None, 200..=299, _) if opened.class == Class::Pending => Some(Tells::Pending),
        _ => None,
    }
}

fn named(expected: Expected<'_>, echo: Echo, answer: &TopUpStatusResponse) -> (StatusAnswer, Class) {
    let unreadable = (StatusAnswer::Nothing(Retry::Counted(None)), Class::Ambiguous);
    let Some(status) = answer.latest_transaction_status.as_deref().and_then(TransactionStatus::parse) else {
        // It does not say how the top-up is, and yet which one it has.
        let is_known = echo == Echo::Ours || (echo == Echo::Absent && number(answer).is_some());
        return if is_known { (StatusAnswer::Pending, Class::Pending) } else { unreadable };
    };
    match status {
        TransactionStatus::Success if echo == Echo::Anothers || amount_differs(expected.amount, answer.amount) => {
            (StatusAnswer::Inconsistent, Class::Ambiguous)
        }
        // Whatever it says, it says it of another top-up.
        _ if echo == Echo::Anothers => unreadable,
        TransactionStatus::Success => (StatusAnswer::Paid { amount_seen: answer.amount.is_some() }, Class::Success),
        TransactionStatus::Initiated | TransactionStatus::Paying | TransactionStatus::Pending => {
            (StatusAnswer::Pending, Class::Pending)
        }
        TransactionStatus::Refunded => (StatusAnswer::Refunded, Class::BusinessReject),
        TransactionStatus::Cancelled => (StatusAnswer::Cancelled, Class::BusinessReject),
        TransactionStatus::Failed => (StatusAnswer::Failed, Class::BusinessReject),
        TransactionStatus::NotFound => (StatusAnswer::NotFound, Class::Ambiguous),
    }
}

/// The provider's code says that it does not know the top-up; a status beside it that says how the top-up is contradicts that.
fn not_found(echo: Echo, answer: Option<&TopUpStatusResponse>) -> (StatusAnswer, Class) {
    let status =
        answer.and_then(|answer| answer.latest_transaction_status.as_deref()).and_then(TransactionStatus::parse);
    match status {
        None | Some(TransactionStatus::NotFound) => (StatusAnswer::NotFound, Class::Ambiguous),
        // Whichever of both is true, the provider has shown that it knows the top-up (M2).
        Some(_) if echo == Echo::Ours => (StatusAnswer::Pending, Class::Pending),
        Some(_) => (StatusAnswer::Nothing(Retry::Counted(None)), Class::Ambiguous),
    }
}

pub(super) fn echo(expected: Expected<'_>, answer: &TopUpStatusResponse) -> Echo {
    let names = [&answer.original_partner_reference_no, &answer.partner_reference_no];
    let [original, plain] = names.map(|name| Echo::of(expected.reference, name.as_deref()));
    match (original, plain) {
        (Echo::Anothers, _) | (_, Echo::Anothers) => Echo::Anothers,
        (Echo::Ours, _) | (_, Echo::Ours) => Echo::Ours,
        (Echo::Absent, Echo::Absent) => Echo::Absent,
    }
}

fn number(answer: &TopUpStatusResponse) -> Option<String> {
    let original = kept_number(answer.original_reference_no.as_deref());
    original.or_else(|| kept_number(answer.reference_no.as_deref()))
}

/// What names nothing leaves no connection: none but status inquiries follow there.
fn belongs(opened: &Opened, echo: Echo, status: StatusAnswer) -> Option<Belongs> {
    let is_understood = opened.agrees && !matches!(status, StatusAnswer::Nothing(_) | StatusAnswer::Inconsistent);
    (echo == Echo::Ours && is_understood).then_some(Belongs::Named)
}
