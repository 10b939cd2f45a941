//! The broker: whether it is reachable and lets us in, has the exchanges and queues of the contract as they should be, and
//! lets our user do its work.

use std::time::Duration;

use lapin::uri::AMQPUri;
use lapin::{Connection, ErrorKind};
use secrecy::ExposeSecret as _;

use super::{Finding, from_problem};
use crate::amqp::{self, AmqpError, Difference, Found, Inspector, Look, Names, Need, Publishing, Right, Use};
use crate::config::{AmqpConfig, AmqpSection};
use crate::output::counted;
use crate::text::chain;

pub(super) const BROKER: &str = "broker";
pub(super) const TOPOLOGY: &str = "topology";
const PERMISSIONS: &str = "permissions";
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// A broker that answers at all answers at once.
const OPERATION_LIMIT: Duration = Duration::from_secs(4);
/// To say good-bye is a courtesy.
const CLOSE_LIMIT: Duration = Duration::from_secs(1);
/// AMQP's reply codes.
const ACCESS_REFUSED: u16 = 403;
const NOT_ALLOWED: u16 = 530;

pub(super) async fn look(section: &AmqpSection, findings: &mut Vec<Finding>) {
    let config = match section.connection() {
        Ok(config) => config,
        Err(error) => return findings.extend(error.problems.iter().map(|problem| from_problem(BROKER, problem))),
    };
    let account = Account::of(&config);
    let connection = match amqp::connect(&config, "check", CONNECT_LIMIT).await {
        Ok(connection) => connection,
        Err(error) => return findings.push(Finding::error(BROKER, chain(&error), connect_hint(&error))),
    };
    let lets_in = format!("reachable, and lets user {} into virtual host {}", account.user, account.vhost);
    findings.push(Finding::ok(BROKER, lets_in));
    let place = Place { names: Names::new(&config.namespace), declare: config.declare, account };
    if let Err(error) = place.look(&connection, findings).await {
        let hint = "look at the broker's log, and whether its node is overloaded";
        findings.push(Finding::error(BROKER, format!("was lost while it was looked at: {}", chain(&error)), hint));
    }
    // It is only looked at: how the connection ends is of no interest.
    drop(tokio::time::timeout(CLOSE_LIMIT, connection.close(200, "bye".into())).await);
}

/// Who we are at the broker.
struct Account {
    user: String,
    vhost: String,
}

impl Account {
    fn of(config: &AmqpConfig) -> Self {
        match config.url.expose_secret().parse::<AMQPUri>() {
            Ok(uri) => Self { user: uri.authority.userinfo.username, vhost: uri.vhost },
            // It was read before.
            Err(_unreadable) => Self { user: String::new(), vhost: "/".to_owned() },
        }
    }
}

/// A namespace, and who looks at it.
struct Place {
    names: Names,
    declare: bool,
    account: Account,
}

impl Place {
    async fn look(&self, connection: &Connection, findings: &mut Vec<Finding>) -> Result<(), AmqpError> {
        let inspector = Inspector { connection, names: &self.names, limit: OPERATION_LIMIT };
        let looks = inspector.topology().await?;
        self.topology(&looks, findings);
        findings.extend(depths(&looks));
        let is_new = looks.iter().any(|look| look.found == Found::Missing && look.object.name == self.names.jobs);
        // Asked of who makes the queue, not of who finds it there.
        let needs = self.names.needs(self.declare).into_iter().filter(|need| is_new || need.to != Use::DeadLetter);
        let refused = inspector.refused(needs.collect()).await?;
        findings.push(self.permissions(&refused));
        let events = &self.names.events;
        let is_there = looks.iter().any(|look| look.object.name == *events && look.found != Found::Missing);
        if is_there && !refused.iter().any(|need| need.to == Use::Publish) {
            findings.extend(match inspector.publishing().await? {
                Publishing::Taken => None,
                Publishing::Refused(words) => {
                    let hint = format!("`rabbitmqctl list_topic_permissions -p '{}'` may say why", self.account.vhost);
                    let detail = format!("outcomes cannot be published to exchange {events}: {words}");
                    Some(Finding::error(PERMISSIONS, detail, hint))
                }
                Publishing::Blocked => Some(Finding::error(
                    BROKER,
                    "takes no messages: its memory or disk alarm is on",
                    "`rabbitmq-diagnostics alarms` at the broker says which; outcomes wait in the store meanwhile",
                )),
            });
        }
        Ok(())
    }

    fn topology(&self, looks: &[Look], findings: &mut Vec<Finding>) {
        let before = findings.len();
        let missing: Vec<_> =
            looks.iter().filter(|look| look.found == Found::Missing).map(|look| look.object.to_string()).collect();
        if !missing.is_empty() && !self.declare {
            let hint = "provision it as deploy/rabbitmq/definitions.json does, or set amqp.declare = true";
            findings.push(Finding::error(TOPOLOGY, format!("missing: {}", missing.join(", ")), hint));
        }
        for look in looks {
            findings.extend(match &look.found {
                Found::Differs(differences) => Some(self.differs(look, differences)),
                Found::Unclear(words) => {
                    let hint = "the broker's log has the whole of it";
                    Some(Finding::error(TOPOLOGY, format!("{}: {words}", look.object), hint))
                }
                Found::Missing | Found::AsExpected | Found::Unseen => None,
            });
        }
        let (of, unseen) = (&self.names.exchange, looks.iter().any(|look| look.found == Found::Unseen));
        if !missing.is_empty() && self.declare {
            let detail = format!("{of}: not complete yet; `worker run` declares {}", missing.join(", "));
            findings.push(Finding::ok(TOPOLOGY, detail));
        } else if findings.len() == before && unseen {
            let detail = format!("{of}: every exchange and queue is there; how they are is not told to this user");
            let hint =
                format!("`rabbitmqctl list_queues -p '{}' name type durable arguments` shows it", self.account.vhost);
            findings.push(Finding::ok(TOPOLOGY, detail).with_hint(hint));
        } else if findings.len() == before {
            findings.push(Finding::ok(TOPOLOGY, format!("{of}: every exchange and queue is as it should be")));
        }
        if !self.declare {
            findings.push(self.bindings());
        }
    }

    /// What an argument says a policy may say too; not so a type, or whether it lasts.
    fn differs(&self, look: &Look, differences: &[Difference]) -> Finding {
        let words: Vec<_> = differences.iter().map(ToString::to_string).collect();
        let detail = format!("{}: {}", look.object, words.join("; "));
        let by_policy = differences.iter().all(|difference| is_possible_by_policy(&difference.what));
        let vhost = &self.account.vhost;
        if self.declare {
            let hint = "`worker run` cannot work with it: empty and delete it, and it is declared anew; or set another \
                        amqp.namespace";
            Finding::error(TOPOLOGY, detail, hint)
        } else if by_policy {
            let hint = format!("all right where a policy says it: `rabbitmqctl list_policies -p '{vhost}'` lists them");
            Finding::warning(TOPOLOGY, detail, hint)
        } else {
            Finding::error(TOPOLOGY, detail, "provision it anew as deploy/rabbitmq/definitions.json does")
        }
    }

    /// Who provisions has to see to them.
    fn bindings(&self) -> Finding {
        let bindings = self.names.bindings().map(|(queue, exchange, key)| match key {
            "" => format!("{exchange} to {queue}"),
            key => format!("{exchange} to {queue} by {key}"),
        });
        let detail = format!("AMQP does not tell of bindings; they have to be {}", bindings.join(", "));
        let hint = format!(
            "`rabbitmqctl list_bindings -p '{}' source_name destination_name routing_key` lists them",
            self.account.vhost
        );
        Finding::ok(TOPOLOGY, detail).with_hint(hint)
    }

    fn permissions(&self, refused: &[Need]) -> Finding {
        let Account { user, vhost } = &self.account;
        if refused.is_empty() {
            return Finding::ok(PERMISSIONS, format!("user {user} may do all it has to"));
        }
        let rights = [Right::Configure, Right::Write, Right::Read].map(|right| {
            let of_right = refused.iter().filter(|need| need.right == right);
            (right, of_right.map(|need| need.object.to_string()).collect::<Vec<_>>())
        });
        let words = rights.into_iter().filter(|(_, objects)| !objects.is_empty());
        let words: Vec<_> =
            words.map(|(right, objects)| format!("{} {}", right.as_str(), objects.join(", "))).collect();
        let detail = format!("user {user} may not {}", words.join("; nor "));
        let [configure, write, read] = self.names.patterns(self.declare);
        let hint = format!(
            "`rabbitmqctl set_permissions -p '{vhost}' '{user}' '{configure}' '{write}' '{read}'` gives what is needed, in \
             place of what it has"
        );
        if refused.iter().all(|need| need.to == Use::Submit) {
            let detail = format!("{detail}: `worker submit` cannot publish with this configuration");
            return Finding::warning(PERMISSIONS, detail, hint);
        }
        Finding::error(PERMISSIONS, detail, hint)
    }
}

/// Where a policy has the same name without its `x-`.
fn is_possible_by_policy(what: &str) -> bool {
    what.starts_with("x-") && what != "x-queue-type" || what == "alternate-exchange"
}

/// What waits in the queues that are there.
fn depths(looks: &[Look]) -> Option<Finding> {
    let depths: Vec<_> = looks
        .iter()
        .filter_map(|look| {
            let depth = look.depth?;
            Some(format!(
                "{} {} ready, {}",
                look.object.name,
                depth.messages,
                counted(depth.consumers.into(), "consumer")
            ))
        })
        .collect::<Vec<String>>();
    (!depths.is_empty()).then(|| Finding::ok("queues", depths.join("; ")))
}

fn connect_hint(error: &AmqpError) -> &'static str {
    match code(error) {
        Some(ACCESS_REFUSED) => "look at user and password in amqp.url",
        Some(NOT_ALLOWED) => {
            "look at the virtual host in amqp.url: %2f is /; `rabbitmqctl list_permissions -p /` says who may enter it"
        }
        _ => "look at host and port in amqp.url, and whether RabbitMQ runs",
    }
}

fn code(error: &AmqpError) -> Option<u16> {
    match error {
        AmqpError::Broker { source, .. } => match source.kind() {
            ErrorKind::ProtocolError(error) => Some(error.get_id()),
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::both;
    use super::*;
    use crate::amqp::{Depth, Object};

    fn place(declare: bool) -> Place {
        let account = Account { user: "worker".to_owned(), vhost: "/".to_owned() };
        Place { names: Names::new("topup"), declare, account }
    }

    /// Each object as this says it was found; queues have one message.
    fn looks(found: impl Fn(&str) -> Found) -> Vec<Look> {
        let look = |object: Object| {
            let found = found(&object.name);
            let is_there_and_queue = found != Found::Missing && object.to_string().starts_with("queue");
            let depth = is_there_and_queue.then_some(Depth { messages: 1, consumers: 0 });
            Look { object, found, depth }
        };
        Names::new("topup").objects().into_iter().map(look).collect()
    }

    fn told(declare: bool, found: impl Fn(&str) -> Found) -> Vec<Finding> {
        let (looks, mut findings) = (looks(found), Vec::new());
        place(declare).topology(&looks, &mut findings);
        findings.extend(depths(&looks));
        findings
    }

    fn differs(what: &str) -> Found {
        let [expected, current] = ["50", "none"].map(str::to_owned);
        Found::Differs(vec![Difference { what: what.to_owned(), expected, current }])
    }

    #[test]
    fn a_whole_topology_is_one_line() {
        let found = told(true, |_| Found::AsExpected);
        assert_eq!(found[0], Finding::ok(TOPOLOGY, "topup: every exchange and queue is as it should be"));
        assert_eq!(
            found[1].detail,
            "topup.jobs 1 ready, 0 consumers; topup.dead 1 ready, 0 consumers; topup.outcomes 1 ready, 0 consumers"
        );
        assert_eq!(found.len(), 2);
    }

    #[test]
    fn everything_that_is_wrong_is_told_at_once() {
        let wrong = |name: &str| match name {
            "topup" => differs("type"),
            "topup.jobs" => differs("x-delivery-limit"),
            "topup.dead" => Found::Unclear("RESOURCE_LOCKED - it is exclusive".to_owned()),
            "topup.dlx" | "topup.outcomes" => Found::Missing,
            _ => Found::AsExpected,
        };
        both("topology_declared", &told(true, wrong));
        both("topology_provisioned", &told(false, wrong));
    }

    #[test]
    fn what_is_not_shown_is_not_called_right() {
        let found = told(false, |_| Found::Unseen);
        assert!(found[0].detail.contains("not told to this user") && found[0].hint.is_some(), "{found:?}");
    }

    #[test]
    fn rights_that_are_missing_come_with_the_line_that_gives_them() {
        for (declare, name) in [(true, "rights_declared"), (false, "rights_provisioned")] {
            both(name, &[place(declare).permissions(&place(declare).names.needs(declare))]);
        }
        assert_eq!(place(true).permissions(&[]).status, super::super::Status::Ok);
    }

    #[test]
    fn who_only_cannot_submit_is_warned() {
        let needs = place(false).names.needs(false).into_iter().filter(|need| need.to == Use::Submit);
        let told = place(false).permissions(&needs.collect::<Vec<_>>());
        assert_eq!(told.status, super::super::Status::Warning);
        assert!(told.detail.contains("may not write exchange topup: `worker submit`"), "{told:?}");
    }
}
