//! The members of an object whose names are known: found in one pass, kept as raw text.
//!
//! A problem names the field and the rule, never the value.

use std::borrow::Cow;
use std::fmt::Display;

use engine::DeadReason;

use super::strict_json::{self, Fault, Kind, shown};

/// What is wrong with a message.
#[derive(Clone, Debug)]
pub(super) struct Problem {
    pub(super) reason: DeadReason,
    pub(super) field: Option<String>,
    pub(super) detail: String,
}

impl Problem {
    /// `field` is at fault; `what` reads on after its name.
    pub(super) fn field(field: &str, what: impl Display) -> Self {
        Self { reason: DeadReason::Malformed, field: Some(field.to_owned()), detail: format!("{field} {what}") }
    }

    /// The message as a whole is at fault.
    pub(super) fn message(what: impl Display) -> Self {
        Self { reason: DeadReason::Malformed, field: None, detail: format!("the message {what}") }
    }
}

impl From<Fault> for Problem {
    fn from(fault: Fault) -> Self {
        Self::field(&fault.path, fault.what)
    }
}

/// The raw text of each member, and the first thing wrong with the object itself.
pub(super) struct Members<'a, const N: usize> {
    names: &'static [&'static str; N],
    path: &'static str,
    raw: [Option<&'a str>; N],
    seen: [bool; N],
    problem: Option<Problem>,
}

impl<'a, const N: usize> Members<'a, N> {
    /// The members of `text`, which stands at `path`; what is wrong is kept, so that the rest can still be asked for.
    pub(super) fn read(text: &'a str, path: &'static str, names: &'static [&'static str; N]) -> Self {
        let mut members = Self { names, path, raw: [None; N], seen: [false; N], problem: None };
        if let Err(error) = strict_json::members(text, |key, raw| members.take(&key, raw)) {
            // What cannot be read hides whatever else is wrong.
            members.problem = Some(not_an_object(text, &error));
        }
        members
    }

    fn take(&mut self, key: &str, raw: &'a str) {
        let Some(index) = self.names.iter().position(|name| *name == key) else {
            // Only the first is told, and only the first may cost something.
            if self.problem.is_none() {
                self.problem = Some(self.unknown(key));
            }
            return;
        };
        self.raw[index] = Some(raw);
        if std::mem::replace(&mut self.seen[index], true) {
            // Nobody can say which one was meant.
            self.raw[index] = None;
            let problem = Problem::field(&self.at(key), "appears twice");
            self.problem.get_or_insert(problem);
        }
    }

    fn unknown(&self, key: &str) -> Problem {
        let field = self.at(&shown(key));
        match nearest(key, self.names.iter().copied()) {
            Some(near) => {
                Problem::field(&field, format_args!("is not a known field; the nearest is {}", self.at(near)))
            }
            None => Problem::field(&field, "is not a known field"),
        }
    }

    fn at(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// Nothing, where each member has a known name and stands there once.
    pub(super) fn check(&self) -> Result<(), Problem> {
        self.problem.clone().map_or(Ok(()), Err)
    }

    /// Whether there was any member with a known name.
    pub(super) fn any(&self) -> bool {
        self.seen.contains(&true)
    }

    /// Whether the member was there at all.
    pub(super) fn has(&self, index: usize) -> bool {
        self.seen[index]
    }

    /// The string in a member; none where it is absent.
    pub(super) fn text(&self, index: usize) -> Result<Option<Cow<'a, str>>, Problem> {
        let Some(raw) = self.raw[index] else { return Ok(None) };
        let wrong = |what: &dyn Display| Err(Problem::field(&self.at(self.names[index]), what));
        match Kind::of(raw) {
            Some(Kind::String) => strict_json::string(raw).map(Some).or_else(|bad| wrong(&bad)),
            Some(Kind::Null) => wrong(&"must be a string, is null; leave the field out"),
            Some(kind) => wrong(&format_args!("must be a string, is {kind}")),
            None => wrong(&"must be a string"),
        }
    }

    /// The string in a member that must be there.
    pub(super) fn required_text(&self, index: usize) -> Result<Cow<'a, str>, Problem> {
        self.text(index)?.ok_or_else(|| self.missing(index))
    }

    /// The raw text of an object in a member; none where it is absent.
    pub(super) fn object(&self, index: usize) -> Result<Option<&'a str>, Problem> {
        let Some(raw) = self.raw[index] else { return Ok(None) };
        match Kind::of(raw) {
            Some(Kind::Object) => Ok(Some(raw)),
            Some(kind) => {
                Err(Problem::field(&self.at(self.names[index]), format_args!("must be an object, is {kind}")))
            }
            None => Err(Problem::field(&self.at(self.names[index]), "must be an object")),
        }
    }

    /// What to say of a member that must be there and is not.
    pub(super) fn missing(&self, index: usize) -> Problem {
        Problem::field(&self.at(self.names[index]), "is missing")
    }
}

/// serde_json's words for bad syntax repeat nothing of the text; those for a wrong type may, so they are not used.
fn not_an_object(text: &str, error: &serde_json::Error) -> Problem {
    match Kind::of(text) {
        Some(Kind::Object) => Problem::message(format_args!("is not JSON: {error}")),
        kind => match (serde_json::from_str::<serde::de::IgnoredAny>(text), kind) {
            (Ok(_), Some(kind)) => Problem::message(format_args!("must be one JSON object, is {kind}")),
            (Ok(_), None) => Problem::message("must be one JSON object"),
            (Err(error), _) => Problem::message(format_args!("is not JSON: {error}")),
        },
    }
}

/// The name most like `word`, where one is like it at all.
pub(super) fn nearest<'n>(word: &str, names: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    const ALIKE: f64 = 0.8;
    const LONGEST: usize = 64;
    if word.len() > LONGEST {
        return None;
    }
    let word = word.to_ascii_lowercase();
    names
        .map(|name| (strsim::jaro_winkler(&word, &name.to_ascii_lowercase()), name))
        .filter(|(likeness, _)| *likeness >= ALIKE)
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .map(|(_, name)| name)
}
