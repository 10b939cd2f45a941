//! What a reply tells: bytes in, [`Reading`] out. No I/O; the money rules M2, M7, M8 and M9 as far as they are about
//! answers. What follows from a reading is the engine's to say.

use std::time::Duration;

use engine::{Answer, Event, Retry, StatusAnswer};
use outbox::AnswerFields;
use serde::de::DeserializeOwned;
use snap_client::{Answered, Belongs, Reply, UsedConnection};
use snap_core::{
    AccountInquiryResponse, Amount, Class, LaneFault, LenientMoney, Profile, ResponseCode, Service, Timestamp,
    TopUpResponse, TopUpStatusResponse, classify_reply, lane_fault,
};

mod behind;
mod overrides;
mod status;

pub(super) use behind::behind;
pub(crate) use overrides::without_effect;
pub(super) use status::status;

use crate::lane::Signal;

/// What one reply tells about the job, about the lane, and for the record.
#[derive(Clone, Debug)]
pub struct Reading {
    /// What happened to the job.
    pub event: Event,
    /// What it tells about the lane.
    pub signal: Signal,
    /// The token was refused: refresh it, and look again.
    pub token_refused: Option<LaneFault>,
    /// The class, for attempts and metrics.
    pub class: Class,
    /// As answered.
    pub http_status: Option<u16>,
    /// As answered, where it is seven digits.
    pub code: Option<ResponseCode>,
    /// Why, in a few words without personal data.
    pub detail: Option<String>,
    /// What goes into the job's columns and its outcome; `None` where the reply says nothing about the outcome.
    pub fields: Option<AnswerFields>,
    /// How surely it is the answer to this request; `None` where it may be another's, or was not understood: its connection
    /// carries nothing more then (M15).
    pub belongs: Option<Belongs>,
    /// It may be the answer to an earlier request of its connection, or of another top-up: what it says against the job is not
    /// believed, and has to be asked again by a new connection, or (a top-up) borne out behind it (M15).
    pub ask_again: bool,
}

/// What the answer has to agree with.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// `partnerReferenceNo`.
    pub reference: &'a str,
    /// The amount.
    pub amount: Amount,
    /// The job brings a name of its own.
    pub has_customer_name: bool,
}

/// A reply that says nothing about the job, sorted by what it says about the lane.
enum Door {
    /// No byte was written.
    NotSent(String),
    /// Bytes were written and no answer was read.
    Silent { http_status: Option<u16>, detail: String },
    /// An answer with a class.
    Open(Box<Opened>),
}

struct Opened {
    http_status: u16,
    code: Option<ResponseCode>,
    class: Class,
    retry_after: Option<Duration>,
    /// More bytes came right behind it.
    surplus: bool,
    /// A request of the same service went by its connection before.
    may_be_earlier: bool,
    /// The code fits the HTTP status, and is one of the service that was called or one that the profile reads as such.
    agrees: bool,
}

fn door<T: Coded + DeserializeOwned>(profile: &Profile, service: Service, reply: &Reply) -> (Door, Option<T>) {
    match reply {
        Reply::NotSent { why, detail, .. } => (Door::NotSent(format!("{why}: {detail}")), None),
        Reply::Silent { why, detail, http_status, .. } => {
            (Door::Silent { http_status: *http_status, detail: format!("{why}: {detail}") }, None)
        }
        Reply::Answered(Answered { http_status, body, retry_after, surplus, may_be_earlier, .. }) => {
            let parsed: Option<T> = snap_core::parse_answer(body).ok();
            let code = parsed.as_ref().and_then(Coded::code).and_then(|code| ResponseCode::parse(code).ok());
            let class = classify_reply(profile, service, *http_status, code);
            let agrees = code.is_some_and(|code| {
                let is_known = code.service() == service.code() || profile.class_override(service, code).is_some();
                code.http_status() == *http_status && is_known
            });
            let (http_status, retry_after) = (*http_status, *retry_after);
            let (surplus, may_be_earlier) = (*surplus, *may_be_earlier);
            let opened = Opened { http_status, code, class, retry_after, surplus, may_be_earlier, agrees };
            (Door::Open(Box::new(opened)), parsed)
        }
    }
}

/// Every answer carries a response code, or should.
trait Coded {
    fn code(&self) -> Option<&str>;
    fn message(&self) -> Option<&str>;
}

macro_rules! coded {
    ($($answer:ty),*) => {$(
        impl Coded for $answer {
            fn code(&self) -> Option<&str> {
                self.response_code.as_deref()
            }
            fn message(&self) -> Option<&str> {
                self.response_message.as_deref()
            }
        }
    )*};
}
coded!(AccountInquiryResponse, TopUpResponse, TopUpStatusResponse);

/// Where a refusal points when it is not about the job.
enum Ours {
    Token(LaneFault),
    Lane(LaneFault),
}

/// 409 00 and 409 01, 404 14 "paid", 404 18 "same reference, other parameters".
fn knows_the_reference(opened: &Opened) -> bool {
    let inconsistent = opened
        .code
        .is_some_and(|code| (code.http_status(), code.service(), code.case()) == (404, Service::TopUp.code(), 18));
    opened.class == Class::Duplicate || (inconsistent && opened.http_status == 404)
}

fn ours(opened: &Opened) -> Option<Ours> {
    // A code that disagrees with its HTTP status, or answers another service, says nothing about the lane either.
    let code = opened.code.filter(|_| opened.agrees)?;
    match opened.class {
        Class::AuthRefresh => Some(Ours::Token(LaneFault::TokenRefused)),
        Class::ConfigError | Class::RetrySafe => match lane_fault(code)? {
            // 401 00 can hide an expired token: one forced refresh, then it is a configuration fault (M8).
            fault @ LaneFault::Unauthorized => Some(Ours::Token(fault)),
            fault => Some(Ours::Lane(fault)),
        },
        _ => None,
    }
}

impl Reading {
    /// The request could not even be built: it is wrong in itself.
    pub fn unbuildable(why: String) -> Self {
        Self::new(Event::InquiryWrong, Signal::Nothing, Class::ConfigError).detail(why)
    }

    /// It was held back: no byte of it left (M16).
    pub(super) fn held_back(why: &str) -> Self {
        Self::new(Event::TopUp(Answer::NotSent), Signal::Nothing, Class::RetrySafe).detail(why)
    }

    /// Keeps the connection that the answer came by, where the answer is surely that of its request; else it is closed.
    pub fn keep(&self, used: UsedConnection) {
        if let Some(belongs) = self.leaves() {
            used.keep(belongs);
        }
    }

    /// How surely it is the answer to this request and to no later one. The same reference is sent again after some refusals, and asked
    /// about again after a "not found": a copy of one would name that request too.
    fn leaves(&self) -> Option<Belongs> {
        let comes_again = matches!(
            self.event,
            Event::TopUp(Answer::NotExecuted { .. } | Answer::Wrong)
                | Event::Checked { answer: StatusAnswer::NotFound, .. }
        );
        self.belongs.filter(|_| !comes_again)
    }

    fn new(event: Event, signal: Signal, class: Class) -> Self {
        let (token_refused, http_status, code, detail, fields, belongs) = (None, None, None, None, None, None);
        let ask_again = false;
        Self { event, signal, token_refused, class, http_status, code, detail, fields, belongs, ask_again }
    }

    /// It decides, names nothing, and may be the answer to an earlier request: what is left of it is this event.
    fn in_question(self, event: Event, class: Class) -> Self {
        let detail = Some(EARLIER.to_owned());
        let (signal, token_refused, belongs, ask_again) = (Signal::Nothing, None, None, true);
        Self { event, signal, token_refused, class, detail, belongs, ask_again, ..self }
    }

    /// Whether it can only be the answer to its own request.
    fn is_its_own(&self, reply: &Reply) -> bool {
        self.belongs == Some(Belongs::Named) || !matches!(reply, Reply::Answered(Answered { may_be_earlier: true, .. }))
    }

    fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    fn of(mut self, opened: &Opened) -> Self {
        self.http_status = Some(opened.http_status);
        self.code = opened.code;
        self
    }

    fn token_refused(mut self, fault: LaneFault) -> Self {
        self.token_refused = Some(fault);
        self
    }

    fn told(mut self, fields: AnswerFields) -> Self {
        self.fields = Some(fields);
        self
    }

    fn belonging(mut self, belongs: Option<Belongs>) -> Self {
        self.belongs = belongs;
        self
    }
}

/// Whose reference an answer names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Echo {
    Ours,
    Absent,
    Anothers,
}

impl Echo {
    fn of(ours: &str, theirs: Option<&str>) -> Self {
        match theirs {
            None | Some("") => Self::Absent,
            Some(theirs) if theirs == ours => Self::Ours,
            Some(_) => Self::Anothers,
        }
    }

    /// Whether it can be what another request was answered: by its name, or because it did not come alone (M15).
    fn is_in_question(self, opened: &Opened) -> bool {
        self == Self::Anothers || (self == Self::Absent && opened.surplus)
    }

    /// Of a refusal: most name no reference, and a copy of one would refuse the next request.
    fn of_refusal(self, opened: &Opened) -> Option<Belongs> {
        (opened.agrees && self == Self::Ours).then_some(Belongs::Named)
    }
}

const ANOTHERS: &str = "another partnerReferenceNo came back";
const EARLIER: &str = "it names no partnerReferenceNo, and may be the answer to an earlier request of its connection";
const NOT_ALONE: &str = "it names no partnerReferenceNo, and more bytes came right behind it";

fn why_in_question(echo: Echo) -> &'static str {
    if echo == Echo::Anothers { ANOTHERS } else { NOT_ALONE }
}

fn fields(opened: &Opened, answer: Option<&impl Coded>) -> AnswerFields {
    AnswerFields {
        reference_no: None,
        response_code: opened.code.map(|code| code.as_str().to_owned()),
        response_message: answer.and_then(Coded::message).map(crate::text::printable),
        fee_amount: None,
    }
}

/// The longest number of the provider, in characters. Source: SNAP, `referenceNo`, `String(64)`.
const REFERENCE_NO_MAX: usize = 64;

/// The provider's number, to be asked with and told on. An empty one is none, and must not take the place of one that is
/// known; a part of one would name another top-up.
fn kept_number(number: Option<&str>) -> Option<String> {
    let fits = |number: &&str| {
        !number.is_empty() && number.chars().count() <= REFERENCE_NO_MAX && !number.contains(char::is_control)
    };
    number.filter(fits).map(str::to_owned)
}

fn amount_differs(ours: Amount, theirs: Option<LenientMoney>) -> bool {
    theirs.is_some_and(|theirs| !theirs.agrees_with(ours))
}

/// What a reply of this service tells; it was asked at `asked_at`. `None` for the token service, whose answers say nothing
/// about a job.
pub fn reading(
    profile: &Profile,
    service: Service,
    expected: Expected<'_>,
    asked_at: Timestamp,
    reply: &Reply,
) -> Option<Reading> {
    match service {
        Service::TopUp => Some(top_up(profile, expected, reply)),
        Service::AccountInquiry => Some(inquiry(profile, expected, reply)),
        Service::TopUpStatus | Service::TransferStatus => Some(status(profile, expected, asked_at, reply)),
        Service::AccessToken => None,
    }
}

/// What a top-up's reply tells.
pub(super) fn top_up(profile: &Profile, expected: Expected<'_>, reply: &Reply) -> Reading {
    let reading = top_up_alone(profile, expected, reply);
    let is_refusal =
        matches!(reading.event, Event::TopUp(Answer::NotExecuted { .. } | Answer::Refused | Answer::Wrong));
    if is_refusal && !reading.is_its_own(reply) {
        return reading.in_question(Event::TopUp(Answer::Unknown), Class::Ambiguous);
    }
    reading
}

/// The same, were it the answer to this request.
fn top_up_alone(profile: &Profile, expected: Expected<'_>, reply: &Reply) -> Reading {
    let (door, answer) = door::<TopUpResponse>(profile, Service::TopUp, reply);
    let not_executed = |sent, retry| Event::TopUp(Answer::NotExecuted { sent, retry });
    let unknown = Event::TopUp(Answer::Unknown);
    let opened = match door {
        Door::NotSent(detail) => {
            return Reading::new(not_executed(false, Retry::Free), Signal::Unreachable, Class::RetrySafe)
                .detail(detail);
        }
        Door::Silent { http_status, detail } => {
            let reading = Reading::new(unknown, Signal::Nothing, Class::Ambiguous).detail(detail);
            return Reading { http_status, ..reading };
        }
        Door::Open(opened) => *opened,
    };
    let echo = Echo::of(expected.reference, answer.as_ref().and_then(|answer| answer.partner_reference_no.as_deref()));
    let is_taken = matches!(opened.class, Class::Success | Class::Pending);
    let mut told = fields(&opened, answer.as_ref());
    if !is_taken && echo.is_in_question(&opened) {
        return Reading::new(unknown, Signal::Nothing, Class::Ambiguous)
            .of(&opened)
            .told(told)
            .detail(why_in_question(echo));
    }
    let has_to_name = profile.echoes_reference || echo.is_in_question(&opened) || opened.may_be_earlier;
    let is_sure = echo == Echo::Ours || !has_to_name;
    // A status inquiry names this number, and is refused when it is another one's: neither the number of somebody else's
    // top-up may be kept, nor one of an answer that is not believed (a repeat would get a number of its own).
    told.reference_no =
        answer.as_ref().filter(|_| is_taken && is_sure).and_then(|answer| kept_number(answer.reference_no.as_deref()));
    let reading = match (ours(&opened), opened.class) {
        (Some(Ours::Token(fault)), class) => {
            return Reading::new(not_executed(true, Retry::Free), Signal::Nothing, class)
                .of(&opened)
                .token_refused(fault)
                .belonging(echo.of_refusal(&opened));
        }
        (Some(Ours::Lane(fault)), class) => {
            return Reading::new(not_executed(true, Retry::Free), Signal::Fault(fault), class)
                .of(&opened)
                .belonging(echo.of_refusal(&opened));
        }
        (None, class @ (Class::Success | Class::Pending)) => {
            let amount = answer.as_ref().and_then(|answer| answer.amount);
            taken(profile, expected, echo, is_sure, class, amount)
        }
        (None, class @ Class::RetrySafe) => {
            Reading::new(not_executed(true, Retry::Counted(opened.retry_after)), Signal::Fine, class)
                .belonging(echo.of_refusal(&opened))
        }
        (None, class @ Class::BusinessReject) => {
            Reading::new(Event::TopUp(Answer::Refused), Signal::Fine, class).belonging(echo.of_refusal(&opened))
        }
        (None, class @ Class::ConfigError) => {
            Reading::new(Event::TopUp(Answer::Wrong), Signal::Wrong, class).belonging(echo.of_refusal(&opened))
        }
        (None, class) if knows_the_reference(&opened) => {
            Reading::new(Event::TopUp(Answer::Duplicate), Signal::Nothing, class)
        }
        (None, class @ (Class::Ambiguous | Class::Duplicate | Class::AuthRefresh)) => {
            Reading::new(unknown, Signal::Nothing, class)
        }
    };
    reading.of(&opened).told(told)
}

/// What a success or a 202 tells (M7).
fn taken(
    profile: &Profile,
    expected: Expected<'_>,
    echo: Echo,
    is_sure: bool,
    class: Class,
    amount: Option<LenientMoney>,
) -> Reading {
    let inconsistent =
        |what| Reading::new(Event::TopUp(Answer::Inconsistent), Signal::Fine, Class::Ambiguous).detail(what);
    if echo == Echo::Anothers {
        return inconsistent(ANOTHERS);
    }
    if amount_differs(expected.amount, amount) {
        return inconsistent("another amount came back");
    }
    let belongs = if echo == Echo::Ours { Belongs::Named } else { Belongs::ByService };
    match class {
        Class::Success if is_sure && profile.ok_is_final => {
            Reading::new(Event::TopUp(Answer::Paid), Signal::Fine, class)
        }
        class if is_sure => Reading::new(Event::TopUp(Answer::Accepted), Signal::Fine, class),
        // It may be the answer to another request. Asked about, and never sent again: most likely it is ours.
        class => {
            let class = if class == Class::Success { Class::Ambiguous } else { class };
            return Reading::new(Event::TopUp(Answer::Accepted), Signal::Nothing, class)
                .detail("the answer names no partnerReferenceNo");
        }
    }
    .belonging(Some(belongs))
}

/// What an account inquiry's reply tells.
pub(super) fn inquiry(profile: &Profile, expected: Expected<'_>, reply: &Reply) -> Reading {
    let reading = inquiry_alone(profile, expected, reply);
    let decides = matches!(reading.event, Event::Inquired { .. } | Event::InquiryRefused | Event::InquiryWrong)
        || matches!(reading.signal, Signal::Fault(_))
        || reading.token_refused.is_some();
    if decides && !reading.is_its_own(reply) {
        return reading.in_question(Event::InquiryFailed(Retry::Counted(None)), Class::RetrySafe);
    }
    reading
}

/// The same, were it the answer to this request.
fn inquiry_alone(profile: &Profile, expected: Expected<'_>, reply: &Reply) -> Reading {
    let (door, answer) = door::<AccountInquiryResponse>(profile, Service::AccountInquiry, reply);
    let failed = |retry| Event::InquiryFailed(retry);
    let counted = Event::InquiryFailed(Retry::Counted(None));
    let opened = match door {
        Door::NotSent(detail) => {
            return Reading::new(failed(Retry::Free), Signal::Unreachable, Class::RetrySafe).detail(detail);
        }
        Door::Silent { http_status, detail } => {
            let reading = Reading::new(counted, Signal::Nothing, Class::RetrySafe).detail(detail);
            return Reading { http_status, ..reading };
        }
        Door::Open(opened) => *opened,
    };
    let told = fields(&opened, answer.as_ref());
    let theirs = answer.as_ref().filter(|_| profile.inquiry_fields.partner_reference_no);
    let echo = Echo::of(expected.reference, theirs.and_then(|answer| answer.partner_reference_no.as_deref()));
    if echo == Echo::Anothers || (opened.class != Class::Success && echo.is_in_question(&opened)) {
        let why = why_in_question(echo);
        return Reading::new(counted, Signal::Nothing, Class::RetrySafe).of(&opened).detail(why);
    }
    let reading = match (ours(&opened), opened.class, answer) {
        (Some(Ours::Token(fault)), class, _) => {
            return Reading::new(failed(Retry::Free), Signal::Nothing, class).of(&opened).token_refused(fault);
        }
        (Some(Ours::Lane(fault)), class, _) => {
            return Reading::new(failed(Retry::Free), Signal::Fault(fault), class).of(&opened);
        }
        (None, class @ Class::Success, Some(answer)) => match inquired(profile, expected, &answer) {
            Ok(event) => {
                let belongs = if echo == Echo::Ours { Belongs::Named } else { Belongs::ByService };
                return Reading::new(event, Signal::Fine, class).of(&opened).belonging(Some(belongs));
            }
            Err(Unusable::Answer(why)) => {
                return Reading::new(counted, Signal::Nothing, Class::RetrySafe).of(&opened).detail(why);
            }
            Err(Unusable::Job(why)) => Reading::new(Event::InquiryWrong, Signal::Wrong, Class::ConfigError).detail(why),
        },
        (None, class @ Class::BusinessReject, _) => Reading::new(Event::InquiryRefused, Signal::Fine, class),
        (None, class @ Class::ConfigError, _) => Reading::new(Event::InquiryWrong, Signal::Wrong, class),
        (None, class, _) if opened.http_status == 503 => {
            return Reading::new(failed(Retry::Free), Signal::Unreachable, class).of(&opened);
        }
        (None, class, _) => {
            return Reading::new(failed(Retry::Counted(opened.retry_after)), Signal::Nothing, class).of(&opened);
        }
    };
    let belongs = echo.of_refusal(&opened);
    reading.of(&opened).told(told).belonging(belongs)
}

enum Unusable {
    /// The answer cannot be believed; ask again.
    Answer(&'static str),
    /// What the top-up needs is not to be had.
    Job(&'static str),
}

fn inquired(profile: &Profile, expected: Expected<'_>, answer: &AccountInquiryResponse) -> Result<Event, Unusable> {
    let money = |money: Option<LenientMoney>, why| match money {
        None => Ok(None),
        Some(money) => money.amount().map(Some).ok_or(Unusable::Answer(why)),
    };
    let min = money(answer.min_amount, "minAmount is unreadable")?;
    let max = money(answer.max_amount, "maxAmount is unreadable")?;
    let fee = money(answer.fee_amount, "feeAmount is unreadable")?;
    let customer_name = answer.customer_name.clone().filter(|name| !name.expose().is_empty());
    if customer_name.is_none() && !expected.has_customer_name {
        return Err(Unusable::Job("the inquiry gave no customerName and the job has none"));
    }
    if fee.is_none() && profile.top_up_fields.fee_amount && !profile.missing_fee_is_zero {
        return Err(Unusable::Job("the inquiry gave no feeAmount"));
    }
    Ok(Event::Inquired { customer_name, fee, min, max })
}

#[cfg(test)]
mod tests;
