//! `worker explain`: what a response code means and what the worker does about it. Reads nothing but the configuration,
//! and that only where there is one.

mod question;
pub(super) mod reasons;
#[cfg(test)]
mod runbook;
#[cfg(test)]
mod tests;
mod words;

use std::collections::BTreeMap;
use std::sync::Arc;

use engine::DeadReason;
use serde::Serialize;
use snap_core::{LaneFault, Profile, ResponseCode, Service, TransactionStatus, classify_reply, lane_fault, rows_for};

use super::{World, stdout, timeline};
use crate::cli::ExplainArgs;
use crate::exit::{CommandError, Exit};
use crate::lane::Signal;
use crate::output::{Table, Tone};
use crate::provider::supposed;
use question::Question;
use words::Words;

/// Explains.
///
/// # Errors
/// [`CommandError::Usage`] for what is no code, [`CommandError::NotFound`] for a provider nobody knows, or a
/// configuration that was named and cannot be used.
pub fn run(args: &ExplainArgs, world: &World) -> Result<Exit, CommandError> {
    let Some(question) = Question::read(&args.code) else {
        return Err(CommandError::usage(
            format!("{} is no response code", args.code.join(" ")),
            "give seven digits (4043811), HTTP status and case (404 11), an HTTP status alone (504), a \
             latestTransactionStatus (07), or a reason (unresolved, insufficient_funds)",
        ));
    };
    let profiles = profiles(args, world)?;
    let output = &world.output;
    match question {
        Question::Reason(reason) => {
            let shown = ReasonView::new(reason);
            output.object(&shown, || shown.text(output.color())).map_err(stdout)?;
        }
        Question::Lane(fault) => {
            let shown = FaultView::new(fault);
            output.object(&shown, || shown.text(output.color())).map_err(stdout)?;
        }
        _ => {
            let shown = CodeView::new(question, args.service, &profiles);
            output.object(&shown, || shown.text(output.color())).map_err(stdout)?;
        }
    }
    Ok(Exit::Done)
}

/// The rules to read by, by provider: the configuration's where there is one, else the built-in ones.
type Profiles = BTreeMap<String, Arc<Profile>>;

fn profiles(args: &ExplainArgs, world: &World) -> Result<Profiles, CommandError> {
    let builtin = |name: &str| Some((name.to_owned(), Arc::new(Profile::builtin(name)?)));
    let configured: Profiles = match world.config() {
        Ok(config) => {
            config.providers.into_iter().map(|(name, provider)| (name, Arc::clone(&provider.profile))).collect()
        }
        // Explaining needs no configuration; one that was named has to be there all the same.
        Err(error) if world.global.config.is_some() => return Err(error),
        Err(_none) => Profile::BUILTIN.iter().filter_map(|name| builtin(name)).collect(),
    };
    let Some(name) = &args.provider else { return Ok(configured) };
    let found = configured.get_key_value(name).map(|(name, profile)| (name.clone(), Arc::clone(profile)));
    let known: Vec<_> = configured.keys().map(String::as_str).chain(Profile::BUILTIN.iter().copied()).collect();
    found.or_else(|| builtin(name)).map(|found| Profiles::from([found])).ok_or_else(|| {
        let mut known = known;
        known.sort_unstable();
        known.dedup();
        CommandError::NotFound { what: format!("provider {name}"), hint: format!("known: {}", known.join(", ")) }
    })
}

/// One answer, read.
#[derive(Clone, Copy)]
struct Asked {
    service: Service,
    http_status: u16,
    code: Option<ResponseCode>,
    status: Option<TransactionStatus>,
}

/// What a code means as the answer of services and by the rules of providers that read it alike.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Reading {
    services: Vec<u8>,
    providers: Vec<String>,
    /// The provider's words in the table; empty for a code that is not in it.
    messages: Vec<&'static str>,
    class: &'static str,
    /// The cause a lane is paused with, where the code tells of a fault of ours.
    lane_fault: Option<&'static str>,
    worker: &'static str,
    why: &'static str,
    operator: &'static str,
    sources: Vec<&'static str>,
    /// Another service's number stands in the code.
    foreign: bool,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct CodeView {
    code: String,
    http_status: Option<u16>,
    /// Whether the table of response codes has it; if not, this is the safe reading.
    known: bool,
    readings: Vec<Reading>,
}

impl CodeView {
    fn new(question: Question, service: Option<Service>, profiles: &Profiles) -> Self {
        let mut readings: Vec<Reading> = Vec::new();
        for (provider, profile) in asking(question, service, profiles) {
            for asked in answers(question, service, profile) {
                let reading = Reading::new(provider, profile, asked);
                match readings.iter_mut().find(|known| known.says_the_same(&reading)) {
                    Some(known) => known.join(reading),
                    None => readings.push(reading),
                }
            }
        }
        let (code, http_status) = match question {
            Question::Code(code, Some(status)) => (format!("{code}+{status}"), Some(code.http_status())),
            Question::Code(code, None) => (code.to_string(), Some(code.http_status())),
            Question::Case(http, case) => (format!("{http}xx{case:02}"), Some(http)),
            Question::Http(http) => (http.to_string(), Some(http)),
            Question::Status(status) => (status.to_string(), None),
            Question::Reason(_) | Question::Lane(_) => (String::new(), None),
        };
        let known = readings.iter().any(|reading| !reading.messages.is_empty());
        Self { code, http_status, known, readings }
    }

    fn text(&self, color: bool) -> String {
        let mut text = String::new();
        for reading in &self.readings {
            if !text.is_empty() {
                text.push('\n');
            }
            let of = format!("answer to {}", reading.services());
            text.push_str(&format!("{}  {of}\n\n", Tone::Strong.paint(&self.code, color)));
            text.push_str(&reading.facts().render(color));
        }
        text
    }
}

/// The providers whose rules the question is about: a status service only some of them have.
fn asking(question: Question, service: Option<Service>, profiles: &Profiles) -> Vec<(&str, &Profile)> {
    let named = service.or(match question {
        Question::Code(code, _) => Service::from_code(code.service()),
        _ => None,
    });
    let all = || profiles.iter().map(|(name, profile)| (name.as_str(), &**profile));
    match named.filter(|service| service.asks_status()) {
        Some(status) if all().any(|(_, profile)| profile.status_service == status) => {
            all().filter(|(_, profile)| profile.status_service == status).collect()
        }
        _ => all().collect(),
    }
}

/// The answers a question is about, as this provider would give them.
fn answers(question: Question, service: Option<Service>, profile: &Profile) -> Vec<Asked> {
    let each = [Service::AccountInquiry, Service::TopUp, profile.status_service, Service::AccessToken];
    let services = service.map_or_else(|| each.to_vec(), |service| vec![service]);
    let asked = |service, http_status, code, status| Asked { service, http_status, code, status };
    let code_of = |http: u16, service: Service, case: u8| {
        ResponseCode::parse(&format!("{http:03}{:02}{case:02}", service.code())).ok()
    };
    match question {
        Question::Code(code, status) => {
            // A number that is no service of ours is read as the answer of the call that moves money.
            let own = Service::from_code(code.service()).unwrap_or(Service::TopUp);
            vec![asked(service.unwrap_or(own), code.http_status(), Some(code), status)]
        }
        Question::Case(http, case) => {
            services.into_iter().map(|service| asked(service, http, code_of(http, service, case), None)).collect()
        }
        Question::Http(http) => services.into_iter().map(|service| asked(service, http, None, None)).collect(),
        Question::Status(status) => {
            let service = profile.status_service;
            vec![asked(service, 200, code_of(200, service, 0), Some(status))]
        }
        Question::Reason(_) | Question::Lane(_) => Vec::new(),
    }
}

impl Reading {
    fn new(provider: &str, profile: &Profile, asked: Asked) -> Self {
        let Asked { service, http_status, code, status } = asked;
        let class =
            status.map_or_else(|| classify_reply(profile, service, http_status, code), TransactionStatus::class);
        let foreign = code.is_some_and(|code| code.service() != service.code());
        let own_code = code.filter(|_| !foreign);
        let (words, fault) = told(profile, asked, own_code);
        let pattern = match (code, status) {
            (Some(code), Some(status)) => format!("{code}+{status}"),
            (Some(code), None) => code.to_string(),
            (None, _) => String::new(),
        };
        // The table gives service 39 for the status of all; 36 is the same question under another number.
        let spelled_39 = (service == Service::TransferStatus).then(|| {
            let (http, rest) = pattern.split_at_checked(3).unwrap_or_default();
            format!("{http}39{}", rest.get(2..).unwrap_or_default())
        });
        let rows: Vec<_> = [Some(pattern), spelled_39]
            .into_iter()
            .flatten()
            .flat_map(|pattern| rows_for(&profile.name, &pattern).copied().collect::<Vec<_>>())
            .filter(|row| row.service.is_none_or(|of| of == service || (of.asks_status() && service.asks_status())))
            .collect();
        let Words { worker, why, operator } = words;
        Self {
            services: vec![service.code()],
            providers: vec![provider.to_owned()],
            messages: distinct(rows.iter().map(|row| row.message)),
            class: class.as_str(),
            lane_fault: fault.map(LaneFault::as_str),
            worker,
            why,
            operator,
            sources: distinct(rows.iter().map(|row| row.source)),
            foreign,
        }
    }

    fn says_the_same(&self, other: &Self) -> bool {
        (self.class, self.lane_fault, self.worker, self.operator, self.foreign)
            == (other.class, other.lane_fault, other.worker, other.operator, other.foreign)
    }

    fn join(&mut self, other: Self) {
        for service in other.services {
            if !self.services.contains(&service) {
                self.services.push(service);
            }
        }
        for provider in other.providers {
            if !self.providers.contains(&provider) {
                self.providers.push(provider);
            }
        }
        self.messages = distinct(self.messages.iter().copied().chain(other.messages));
        self.sources = distinct(self.sources.iter().copied().chain(other.sources));
    }

    fn services(&self) -> String {
        let named = |&code: &u8| format!("{code} {}", Service::from_code(code).map_or("request", timeline::asked));
        self.services.iter().map(named).collect::<Vec<_>>().join(", ")
    }

    fn facts(&self) -> Table {
        let says = match &self.messages[..] {
            [] => "it is not in the table of response codes; this is the safe reading".to_owned(),
            messages => messages.join("; "),
        };
        let foreign = self
            .foreign
            .then(|| format!("the code names another service than was asked ({}): it proves nothing", self.services()));
        Table::facts([
            ("provider", Some(self.providers.join(", "))),
            ("says", Some(says)),
            ("note", foreign),
            ("class", Some(self.class.to_owned())),
            ("lane", self.lane_fault.map(|fault| format!("can pause it: {fault}"))),
            ("worker", Some(self.worker.to_owned())),
            ("why", Some(self.why.to_owned())),
            ("operator", Some(self.operator.to_owned())),
            ("source", self.sources.first().map(|&source| source.to_owned())),
        ])
    }
}

fn distinct<'a>(texts: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut seen = Vec::new();
    for text in texts {
        if !seen.contains(&text) {
            seen.push(text);
        }
    }
    seen
}

/// What the worker would make of the answer: the same reading as live.
fn told(profile: &Profile, asked: Asked, own_code: Option<ResponseCode>) -> (Words, Option<LaneFault>) {
    let Asked { service, http_status, code, status } = asked;
    let Some(reading) = supposed(profile, service, http_status, code, status) else {
        return of_token(http_status, own_code);
    };
    match (reading.token_refused, reading.signal) {
        (Some(fault @ LaneFault::Unauthorized), _) => return (words::UNAUTHORIZED, Some(fault)),
        (Some(fault), _) => return (words::TOKEN_REFRESHED, Some(fault)),
        (None, Signal::Fault(fault)) => return (words::of_fault(fault), Some(fault)),
        _ => {}
    }
    let is_answered_status = service.asks_status()
        && status.is_none()
        && own_code.is_some_and(|code| (code.http_status(), code.case()) == (200, 0));
    if is_answered_status {
        return (words::STATUS_ANSWERED, None);
    }
    (words::of_event(&reading.event), None)
}

/// As the token exchange reads it.
fn of_token(http_status: u16, code: Option<ResponseCode>) -> (Words, Option<LaneFault>) {
    let busy = code.is_some_and(|code| code.http_status() == 403 && matches!(code.case(), 4 | 6));
    match http_status {
        200..=299 => (words::TOKEN_GRANTED, None),
        400..=499 if !busy && !matches!(http_status, 408 | 409 | 429) => {
            // Whatever the code names, the lane is paused for want of a token.
            let fault = LaneFault::TokenRefused;
            (words::of_fault(code.and_then(lane_fault).unwrap_or(fault)), Some(fault))
        }
        _ => (words::TOKEN_TROUBLE, None),
    }
}

/// A dead letter's reason.
#[derive(Serialize)]
struct ReasonView {
    reason: &'static str,
    meaning: &'static str,
    money: &'static str,
    #[serde(rename = "lookAt")]
    look_at: &'static str,
    replay: &'static str,
}

impl ReasonView {
    fn new(reason: DeadReason) -> Self {
        let reasons::ReasonWords { meaning, money, look_at, replay } = reasons::of(reason);
        Self { reason: reason.as_str(), meaning, money, look_at, replay }
    }

    fn text(&self, color: bool) -> String {
        let facts = Table::facts([
            ("means", Some(self.meaning.to_owned())),
            ("money", Some(self.money.to_owned())),
            ("look at", Some(self.look_at.to_owned())),
            ("replay", Some(self.replay.to_owned())),
        ]);
        format!("{}  why a dead letter is one\n\n{}", Tone::Strong.paint(self.reason, color), facts.render(color))
    }
}

/// A cause of a paused lane.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct FaultView {
    lane_fault: &'static str,
    worker: &'static str,
    why: &'static str,
    operator: &'static str,
}

impl FaultView {
    fn new(fault: LaneFault) -> Self {
        let Words { worker, why, operator } = words::of_fault(fault);
        Self { lane_fault: fault.as_str(), worker, why, operator }
    }

    fn text(&self, color: bool) -> String {
        let facts = Table::facts([
            ("worker", Some(self.worker.to_owned())),
            ("why", Some(self.why.to_owned())),
            ("operator", Some(self.operator.to_owned())),
        ]);
        format!("{}  why a lane stands\n\n{}", Tone::Strong.paint(self.lane_fault, color), facts.render(color))
    }
}
