//! What the broker's refusals say. Its words are RabbitMQ's own; where they are others, they are passed on as they are.

use std::collections::BTreeMap;

use lapin::ExchangeKind;
use lapin::protocol::AMQPError;
use lapin::types::{AMQPValue, FieldTable};

use super::Difference;
use crate::amqp::rights::{Kind, Object};

/// AMQP's reply codes.
const ACCESS_REFUSED: u16 = 403;
const NOT_FOUND: u16 = 404;
const PRECONDITION_FAILED: u16 = 406;

/// Must be the name of an exchange, so a number is refused; compared after all else.
const IMPOSSIBLE_OF_EXCHANGE: &str = "alternate-exchange";
/// Must be one of a few words; compared after all else that a quorum queue has.
const IMPOSSIBLE_OF_QUEUE: &str = "x-queue-leader-locator";

/// The broker's no to one operation; its connection goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::amqp) struct No {
    pub(super) code: u16,
    pub(super) text: String,
}

/// What a no to a declare tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::amqp) enum Told {
    /// This user may not configure it.
    Forbidden,
    /// It is not there, and was not made.
    Missing,
    /// It is there, and this differs; whatever is compared later may as well.
    Differs { key: String, expected: Value, current: Value },
    /// Something else.
    Other(String),
}

/// A setting in the broker's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::amqp) enum Value {
    None,
    Is {
        text: String,
        /// AMQP's name of its type, where it is an argument's.
        of: Option<String>,
    },
}

/// An object as it is declared: with an argument that is impossible, so that the broker must refuse it.
#[derive(Clone, Debug)]
pub(super) struct Declared {
    pub(super) object: Object,
    pub(super) durable: bool,
    pub(super) auto_delete: bool,
    pub(super) internal: bool,
    pub(super) kind: ExchangeKind,
    arguments: BTreeMap<String, AMQPValue>,
}

impl No {
    pub(in crate::amqp) fn new(error: &AMQPError) -> Self {
        Self { code: error.get_id(), text: crate::output::plain_text(error.get_message().as_str()) }
    }

    /// A right is missing.
    pub(in crate::amqp) fn is_forbidden(&self) -> bool {
        self.code == ACCESS_REFUSED && !self.is_in_use()
    }

    /// Another consumer has the queue for itself.
    pub(in crate::amqp) fn is_in_use(&self) -> bool {
        self.code == ACCESS_REFUSED && self.text.contains("in exclusive use")
    }

    /// It is not there, or its node is not.
    pub(in crate::amqp) fn is_missing(&self) -> bool {
        self.code == NOT_FOUND
    }

    /// The broker's words.
    pub(in crate::amqp) fn text(&self) -> &str {
        &self.text
    }

    /// The broker's words.
    pub(in crate::amqp) fn into_text(self) -> String {
        self.text
    }

    /// Whether it is a refusal of a right on this object, and not on another that the operation names.
    pub(super) fn is_about(&self, object: &Object) -> bool {
        let kind = match object.kind {
            Kind::Exchange => "exchange",
            Kind::Queue => "queue",
        };
        self.is_forbidden() && self.text.contains(&format!("{kind} '{}'", object.name))
    }

    pub(in crate::amqp) fn told(self) -> Told {
        match self.code {
            ACCESS_REFUSED => Told::Forbidden,
            NOT_FOUND => Told::Missing,
            // Compared is only what is there; what is not would have to be made, and that is impossible.
            PRECONDITION_FAILED => match inequivalent(&self.text) {
                Some((key, expected, current)) => Told::Differs { key, expected, current },
                None if self.text.contains("invalid arg") || self.text.contains("invalid type") => Told::Missing,
                None => Told::Other(self.text),
            },
            _ => Told::Other(self.text),
        }
    }
}

/// `inequivalent arg 'durable' for queue 'topup.jobs' in vhost '/': received 'true' but current is 'false'`
fn inequivalent(text: &str) -> Option<(String, Value, Value)> {
    let (_, rest) = text.split_once("inequivalent arg '")?;
    let (key, rest) = rest.split_once("' for ")?;
    let (_, rest) = rest.split_once("': received ")?;
    let (expected, current) = rest.split_once(" but current is ")?;
    Some((key.to_owned(), Value::read(expected)?, Value::read(current)?))
}

impl Value {
    /// `none`, `'false'` or `the value 'quorum' of type 'longstr'`.
    fn read(words: &str) -> Option<Self> {
        if words == "none" {
            return Some(Self::None);
        }
        let typed =
            words.strip_prefix("the value '").and_then(|rest| rest.strip_suffix('\'')?.rsplit_once("' of type '"));
        match typed {
            Some((text, of)) => Some(Self::Is { text: text.to_owned(), of: Some(of.to_owned()) }),
            None => {
                let text = words.strip_prefix('\'')?.strip_suffix('\'')?;
                Some(Self::Is { text: text.to_owned(), of: None })
            }
        }
    }

    /// To be declared; where no type is told it is that of what was `declared`.
    fn argument(&self, declared: Option<&AMQPValue>) -> Option<AMQPValue> {
        let Self::Is { text, of } = self else { return None };
        let of = of.as_deref().unwrap_or(match declared {
            None | Some(AMQPValue::LongString(_)) => "longstr",
            Some(AMQPValue::Boolean(_)) => "bool",
            Some(_) => "long",
        });
        match of {
            "longstr" => Some(AMQPValue::LongString(text.as_str().into())),
            "bool" => text.parse().ok().map(AMQPValue::Boolean),
            _ => text.parse().ok().map(AMQPValue::LongLongInt),
        }
    }

    pub(in crate::amqp) fn into_text(self) -> String {
        match self {
            Self::None => "none".to_owned(),
            Self::Is { text, .. } => text,
        }
    }
}

impl Declared {
    pub(super) fn exchange(name: &str, kind: ExchangeKind) -> Self {
        Self::new(Object::exchange(name), kind, BTreeMap::new())
    }

    pub(super) fn queue(name: &str, arguments: &FieldTable) -> Self {
        let arguments = arguments.inner().iter().map(|(key, value)| (key.to_string(), value.clone())).collect();
        Self::new(Object::queue(name), ExchangeKind::Direct, arguments)
    }

    /// One of which it is only asked whether it may be declared; it may not be there at all, so it is impossible twice.
    pub(super) fn anyhow(object: &Object) -> Self {
        let mut arguments = BTreeMap::new();
        if object.kind == Kind::Queue {
            // The name of an exchange, too.
            arguments.insert("x-dead-letter-exchange".to_owned(), AMQPValue::LongInt(1));
        }
        Self::new(object.clone(), ExchangeKind::Direct, arguments)
    }

    fn new(object: Object, kind: ExchangeKind, mut arguments: BTreeMap<String, AMQPValue>) -> Self {
        match object.kind {
            Kind::Exchange => arguments.insert(IMPOSSIBLE_OF_EXCHANGE.to_owned(), AMQPValue::LongInt(1)),
            Kind::Queue => arguments.insert(IMPOSSIBLE_OF_QUEUE.to_owned(), AMQPValue::LongString("impossible".into())),
        };
        Self { object, durable: true, auto_delete: false, internal: false, kind, arguments }
    }

    pub(super) fn arguments(&self) -> FieldTable {
        let mut table = FieldTable::default();
        for (key, value) in &self.arguments {
            table.insert(key.as_str().into(), value.clone());
        }
        table
    }

    /// Whether all else was compared before it.
    pub(super) fn is_impossible(&self, key: &str) -> bool {
        key == match self.object.kind {
            Kind::Exchange => IMPOSSIBLE_OF_EXCHANGE,
            Kind::Queue => IMPOSSIBLE_OF_QUEUE,
        }
    }

    /// Takes over how it is, so that the next declare tells the next difference; whether that is possible.
    pub(super) fn follow(&mut self, key: &str, current: &Value) -> bool {
        let text = if let Value::Is { text, .. } = current { text.as_str() } else { "" };
        let flag = match key {
            "durable" => &mut self.durable,
            "auto_delete" => &mut self.auto_delete,
            "internal" => &mut self.internal,
            "type" => {
                self.kind = match text {
                    "direct" => ExchangeKind::Direct,
                    "fanout" => ExchangeKind::Fanout,
                    "topic" => ExchangeKind::Topic,
                    "headers" => ExchangeKind::Headers,
                    other => ExchangeKind::Custom(other.to_owned()),
                };
                return !text.is_empty();
            }
            _ => {
                let (changed, known) = match current {
                    Value::None => (self.arguments.remove(key), true),
                    Value::Is { .. } => match current.argument(self.arguments.get(key)) {
                        Some(argument) => (self.arguments.insert(key.to_owned(), argument), true),
                        None => (None, false),
                    },
                };
                drop(changed);
                return known;
            }
        };
        text.parse().map(|value| *flag = value).is_ok()
    }
}

impl Difference {
    pub(super) fn new(what: String, expected: Value, current: Value) -> Self {
        Self { what, expected: expected.into_text(), current: current.into_text() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(code: u16, text: &str) -> Told {
        No { code, text: text.to_owned() }.told()
    }

    #[test]
    fn the_brokers_words_are_read() {
        let of_queue = "PRECONDITION_FAILED - inequivalent arg 'x-dead-letter-exchange' for queue 'a' in vhost '/': \
                        received the value 'a.dlx' of type 'longstr' but current is none";
        let is = |text: &str, of: Option<&str>| Value::Is { text: text.to_owned(), of: of.map(str::to_owned) };
        let differs = |key: &str, expected, current| Told::Differs { key: key.to_owned(), expected, current };
        assert_eq!(told(406, of_queue), differs("x-dead-letter-exchange", is("a.dlx", Some("longstr")), Value::None));
        let of_exchange = "PRECONDITION_FAILED - inequivalent arg 'type' for exchange 'it's' in vhost '/': \
                           received 'direct' but current is 'fanout'";
        assert_eq!(told(406, of_exchange), differs("type", is("direct", None), is("fanout", None)));
    }

    #[test]
    fn what_is_not_there_and_could_not_be_made_is_missing() {
        for text in [
            "PRECONDITION_FAILED - invalid arg 'x-queue-leader-locator' for queue 'a' in vhost '/': …",
            "PRECONDITION_FAILED - invalid type 'signedint' for arg 'alternate-exchange' in exchange 'a' in vhost '/'",
        ] {
            assert_eq!(told(406, text), Told::Missing, "{text}");
        }
        assert_eq!(told(404, "NOT_FOUND - no queue 'a' in vhost '/'"), Told::Missing);
        assert_eq!(told(403, "ACCESS_REFUSED - …"), Told::Forbidden);
    }

    #[test]
    fn unknown_words_are_passed_on() {
        for (code, text) in [(405, "RESOURCE_LOCKED - it is exclusive"), (406, "PRECONDITION_FAILED - no"), (406, "")] {
            assert_eq!(told(code, text), Told::Other(text.to_owned()));
        }
        let cut = "inequivalent arg 'x-overflow' for queue 'a' in vhost '/': received the value 'reje";
        assert_eq!(told(406, cut), Told::Other(cut.to_owned()));
    }

    #[test]
    fn how_it_is_can_be_declared_next() {
        let mut queue = Declared::queue("a", &FieldTable::default());
        let is = |text: &str, of: &str| Value::Is { text: text.to_owned(), of: Some(of.to_owned()) };
        assert!(queue.follow("durable", &Value::Is { text: "false".to_owned(), of: None }));
        assert!(queue.follow("x-max-length", &is("1000", "signedint")));
        assert!(queue.follow("x-single-active-consumer", &is("true", "bool")));
        // RabbitMQ tells no type where both have the same.
        assert!(queue.follow("x-max-length", &Value::Is { text: "7".to_owned(), of: None }));
        assert_eq!(queue.arguments.get("x-max-length"), Some(&AMQPValue::LongLongInt(7)));
        assert!(queue.follow("x-overflow", &is("drop-head", "longstr")));
        assert!(queue.follow("x-overflow", &Value::None));
        assert!(!queue.follow("x-odd", &is("[]", "table")), "what cannot be said is not guessed");
        assert!(!queue.durable);
        let keys: Vec<_> = queue.arguments().inner().keys().map(ToString::to_string).collect();
        assert_eq!(keys, ["x-max-length", "x-queue-leader-locator", "x-single-active-consumer"]);
        assert!(queue.is_impossible("x-queue-leader-locator") && !queue.is_impossible("alternate-exchange"));
    }

    #[test]
    fn each_is_declared_with_what_is_impossible() {
        for (object, key) in
            [(Object::queue("a"), IMPOSSIBLE_OF_QUEUE), (Object::exchange("a"), IMPOSSIBLE_OF_EXCHANGE)]
        {
            let declared = Declared::anyhow(&object).arguments();
            assert!(declared.inner().contains_key(key), "{object}");
        }
    }
}
