//! What the worker's user must be allowed to do with each exchange and queue, and the permissions that allow just that.
//!
//! Source: rabbitmq.com/docs/access-control, the table of operations.

use std::fmt;

use super::Names;

/// An exchange or a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Exchange,
    Queue,
}

/// One of them by its name. `Display` is as the broker's own words: `queue topup.jobs`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Object {
    pub(crate) kind: Kind,
    pub(crate) name: String,
}

/// One of RabbitMQ's three rights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Right {
    Configure,
    Write,
    Read,
}

/// A right on an object, and what it is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Need {
    pub(crate) right: Right,
    pub(crate) object: Object,
    pub(crate) to: Use,
}

/// What a right is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    /// The worker declares it.
    Declare,
    /// The worker binds it.
    Bind,
    /// The broker asks this of who declares a queue that dead-letters there.
    DeadLetter,
    /// The worker takes deliveries.
    Consume,
    /// The worker publishes outcomes.
    Publish,
    /// The worker keeps the namespace its store's (M13): it declares this itself, whoever declares the rest.
    Custody,
    /// `worker submit` publishes jobs; the service does without.
    Submit,
}

/// What stands for any mark of a namespace: who makes the mark's exchange must be allowed to write to what the mark names, though
/// nothing of that name is ever made.
const ANY_MARK: &str = "store.0000000000000000.00000000.00000000";
const MARKS: &str = "store\\.[0-9a-f.]+";

impl Object {
    pub(crate) fn exchange(name: &str) -> Self {
        Self { kind: Kind::Exchange, name: name.to_owned() }
    }

    pub(crate) fn queue(name: &str) -> Self {
        Self { kind: Kind::Queue, name: name.to_owned() }
    }
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            Kind::Exchange => "exchange",
            Kind::Queue => "queue",
        };
        write!(f, "{kind} {}", self.name)
    }
}

impl Right {
    /// RabbitMQ's word.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Configure => "configure",
            Self::Write => "write",
            Self::Read => "read",
        }
    }
}

impl Names {
    /// Everything, in the order in which it is declared.
    pub(crate) fn objects(&self) -> Vec<Object> {
        let exchanges = self.exchanges().map(|(name, _)| Object::exchange(name));
        exchanges.into_iter().chain(self.queues().map(|(name, _)| Object::queue(name))).collect()
    }

    /// What the worker's user needs; much less where the topology is provisioned.
    pub(crate) fn needs(&self, declare: bool) -> Vec<Need> {
        let need = |right, object, to| Need { right, object, to };
        let mut needs = Vec::new();
        if declare {
            needs.extend(self.objects().into_iter().map(|object| need(Right::Configure, object, Use::Declare)));
            for (queue, exchange, _) in self.bindings() {
                needs.push(need(Right::Write, Object::queue(queue), Use::Bind));
                needs.push(need(Right::Read, Object::exchange(exchange), Use::Bind));
            }
            needs.push(need(Right::Write, Object::exchange(&self.dlx), Use::DeadLetter));
        }
        needs.push(need(Right::Read, Object::queue(&self.jobs), Use::Consume));
        needs.push(need(Right::Read, Object::queue(&self.dead), Use::Consume));
        needs.push(need(Right::Write, Object::exchange(&self.events), Use::Publish));
        needs.extend(self.custody().map(|(right, object)| need(right, object, Use::Custody)));
        needs.push(need(Right::Write, Object::exchange(&self.exchange), Use::Submit));
        needs
    }

    /// To take the namespace, to hold it, and to tell how far its store has come.
    fn custody(&self) -> [(Right, Object); 9] {
        let (mark, hold) = (Object::exchange(&self.custodian), Object::queue(&self.custodian));
        let (witness, named) = (Object::queue(&self.witness), Object::exchange(ANY_MARK));
        [
            (Right::Configure, mark.clone()),
            (Right::Configure, hold.clone()),
            (Right::Configure, witness.clone()),
            (Right::Write, mark.clone()),
            (Right::Write, witness.clone()),
            (Right::Write, named),
            (Right::Read, mark),
            (Right::Read, hold),
            (Right::Read, witness),
        ]
    }

    /// The three patterns of `rabbitmqctl set_permissions` that allow what is needed, and nothing else.
    pub(crate) fn patterns(&self, declare: bool) -> [String; 3] {
        let needs = self.needs(declare);
        [Right::Configure, Right::Write, Right::Read].map(|right| {
            let mut names: Vec<&str> = Vec::new();
            for need in needs.iter().filter(|need| need.right == right) {
                if !names.contains(&need.object.name.as_str()) {
                    names.push(&need.object.name);
                }
            }
            self.pattern(&names)
        })
    }

    /// Every name is the namespace, or begins with it and a dot.
    fn pattern(&self, names: &[&str]) -> String {
        if names.contains(&ANY_MARK) {
            let others: Vec<_> = names.iter().copied().filter(|name| *name != ANY_MARK).collect();
            let ours = self.pattern(&others);
            return format!("^({}|{MARKS})$", ours.trim_start_matches('^').trim_end_matches('$'));
        }
        let escaped = self.exchange.replace('.', "\\.");
        let suffixes: Vec<&str> =
            names.iter().filter_map(|name| name.strip_prefix(&*self.exchange)?.strip_prefix('.')).collect();
        let suffix = match suffixes[..] {
            [] => String::new(),
            [one] => format!("\\.{one}"),
            _ => format!("\\.({})", suffixes.join("|")),
        };
        match (names.contains(&&*self.exchange), suffix.is_empty()) {
            (_, true) if names.is_empty() => "^$".to_owned(),
            (true, true) => format!("^{escaped}$"),
            (true, false) => format!("^{escaped}({suffix})?$"),
            (false, _) => format!("^{escaped}{suffix}$"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_declares_nothing_needs_what_the_shipped_definitions_give() {
        let shipped = include_str!("../../../../deploy/rabbitmq/definitions.json");
        let shipped: serde_json::Value = serde_json::from_str(shipped).unwrap();
        let permissions = shipped["permissions"].as_array().unwrap();
        let of_worker = permissions.iter().find(|permission| permission["user"] == "worker").unwrap();
        let [configure, write, read] = Names::new("topup").patterns(false);
        assert_eq!(of_worker["configure"], configure);
        assert_eq!(of_worker["write"], write);
        assert_eq!(of_worker["read"], read);
    }

    #[test]
    fn who_declares_may_configure_each_object_and_no_other() {
        assert_eq!(
            Names::new("a.b").patterns(true),
            [
                "^a\\.b(\\.(dlx|events|jobs|dead|outcomes|custodian|witness))?$",
                "^(a\\.b(\\.(jobs|dead|outcomes|dlx|events|custodian|witness))?|store\\.[0-9a-f.]+)$",
                "^a\\.b(\\.(dlx|events|jobs|dead|custodian|witness))?$"
            ]
        );
    }
}
