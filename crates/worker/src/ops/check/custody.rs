//! Whose the namespace is (M13), and whether the store is behind what is witnessed of it.

use outbox::{OpenOptions, Opened, Standing, Store};

use super::{Finding, from_problem};
use crate::app::AppError;
use crate::clock::Clock;
use crate::config::Config;
use crate::custody::{self, Found, Mark, Note, Process, Witness, behind};
use crate::exit::CommandError;
use crate::ops::custody::Seen;
use crate::output::{age, moment};
use crate::text::chain;

pub(super) const CUSTODY: &str = "custody";

/// The store, where it can be read; what keeps it from that is told elsewhere.
async fn open(config: &Config, clock: &Clock) -> Option<Store> {
    let options = OpenOptions { read_only: true, create: false, ..OpenOptions::default() };
    let (path, now) = (config.store.path.clone(), clock.now());
    let opened = tokio::task::spawn_blocking(move || Store::open(&path, now, &options)).await.ok()?;
    opened.ok().map(|Opened { store, .. }| store)
}

/// What this store has.
async fn standing(config: &Config, clock: &Clock) -> Option<Standing> {
    let store = open(config, clock).await?;
    let standing = store.standing().await.ok();
    store.close().await;
    standing
}

/// That the store has noted another namespace, which keeps `worker run` from starting whatever the broker says.
pub(super) async fn elsewhere(config: &Config, clock: &Clock) -> Option<Finding> {
    let store = open(config, clock).await?;
    let configured = config.amqp.as_ref().map(|amqp| amqp.namespace.as_str());
    let found = custody::elsewhere(&store, configured).await;
    store.close().await;
    let error = CommandError::from(AppError::Custody(found.ok()??));
    Some(Finding::error(CUSTODY, error.to_string(), error.hint().unwrap_or_default()))
}

pub(super) async fn look(config: &Config, clock: &Clock, findings: &mut Vec<Finding>) {
    let Some(section) = &config.amqp else { return };
    let amqp = match section.connection() {
        Ok(amqp) => amqp,
        Err(error) => return findings.extend(error.problems.iter().map(|problem| from_problem(CUSTODY, problem))),
    };
    match Seen::at(&amqp).await {
        Ok(seen) => {
            let standing = standing(config, clock).await;
            let here = Process::here(&config.store.path, "");
            let standing = standing.as_ref().map(|standing| (standing, &here));
            findings.extend(told(&amqp.namespace, &seen, standing, clock));
        }
        Err(error) => {
            let hint = "see what is said of the broker and of its permissions";
            findings.push(Finding::error(CUSTODY, format!("cannot be looked at: {}", chain(&error)), hint));
        }
    }
}

const ADOPT: &str = "set store.url to that store; where it is gone for good, `worker store adopt --dry-run` says what taking \
                     over would mean; a store that holds no jobs may have another amqp.namespace";

fn told(namespace: &str, seen: &Seen, standing: Option<(&Standing, &Process)>, clock: &Clock) -> Vec<Finding> {
    let ours = standing.map(|(standing, _)| standing.store_id.as_str());
    let mut findings = Vec::new();
    match &seen.mark {
        Found::Missing => match &seen.witness {
            Some(witness) if Some(witness.store.as_str()) != ours => {
                let detail = format!("{namespace}: its mark was taken away, and it was store {}'s", witness.store);
                findings.push(Finding::error(CUSTODY, detail, ADOPT));
            }
            _ => findings.push(Finding::ok(CUSTODY, format!("{namespace}: nobody's yet; `worker run` takes it"))),
        },
        Found::Is(text) => findings.push(match Mark::parse(text) {
            None => Finding::error(
                CUSTODY,
                format!("{namespace}: its mark is not one that this version knows: {text}"),
                format!("look at the exchange {namespace}.custodian: who made it?"),
            ),
            Some(Mark { store, since, .. }) => {
                let since = since.map_or_else(String::new, |since| format!(" since {}", moment(since)));
                if Some(store.as_str()) == ours {
                    Finding::ok(CUSTODY, format!("{namespace}: this store's{since}, which is {store}"))
                } else if let Some(ours) = ours {
                    let detail = format!("{namespace} belongs to store {store}{since}; this is store {ours}");
                    Finding::error(CUSTODY, detail, ADOPT)
                } else {
                    Finding::warning(CUSTODY, format!("{namespace} belongs to store {store}{since}"), ADOPT)
                }
            }
        }),
    }
    if let (Some(witness), Some((standing, here))) = (&seen.witness, standing)
        && witness.store == standing.store_id
    {
        findings.push(witnessed(namespace, witness, (standing, here), clock));
    }
    findings
}

fn witnessed(namespace: &str, witness: &Witness, (standing, here): (&Standing, &Process), clock: &Clock) -> Finding {
    let heard = format!(
        "last told {} ago by process {} on {}",
        age(clock.now().since(witness.at())),
        witness.process.pid,
        witness.process.host
    );
    match behind(witness, standing, Note::of(standing, namespace).as_ref(), here) {
        Some(why) => {
            let hint = "its next start asks about everything first; is a newer file of this store left somewhere?";
            Finding::error(CUSTODY, format!("the store is behind: {why} ({heard})"), hint)
        }
        None if standing.audit.rows < witness.audit_rows => {
            let rows = standing.audit.rows;
            let detail =
                format!("the audit trail has {rows} rows of {} that were witnessed ({heard})", witness.audit_rows);
            Finding::error(CUSTODY, detail, "`worker audit verify` says more")
        }
        None => Finding::ok(CUSTODY, format!("the broker's witness agrees with the store: {heard}")),
    }
}

#[cfg(test)]
mod tests {
    use outbox::AuditHead;
    use snap_core::Timestamp;

    use super::super::Status;
    use super::*;

    const OURS: &str = "0123456789abcdef";
    const OTHER: &str = "fedcba9876543210";

    fn standing() -> Standing {
        let audit = AuditHead { rows: 2, hash: "a".repeat(64) };
        let note = Note {
            namespace: "topup".to_owned(),
            mark: String::new(),
            instances: vec!["one".to_owned()],
            ..Note::default()
        };
        Standing { store_id: OURS.to_owned(), commits: 7, audit, custody: Some(note.text()), oldest: None }
    }

    fn witness(store: &str, commits: u64, audit_rows: u64) -> Witness {
        Witness {
            store: store.to_owned(),
            instance: "one".to_owned(),
            commits,
            audit_rows,
            audit_head: "a".repeat(64),
            audit_at: 0,
            at: 0,
            stopped: false,
            process: Process::default(),
            accounts: None,
        }
    }

    fn of(mark: Option<&str>, witness: Option<Witness>) -> Vec<Finding> {
        let at = Timestamp::from_millis(1_795_316_400_000);
        let mark = mark.map_or(Found::Missing, |store| Found::Is(Mark::new(store, at, at).to_string()));
        told("topup", &Seen { mark, witness }, Some((&standing(), &Process::default())), &Clock::start())
    }

    #[test]
    fn m13_whose_the_namespace_is_is_told() {
        let all = [
            (of(Some(OURS), None), vec![Status::Ok], "topup: this store's since "),
            (of(Some(OTHER), None), vec![Status::Error], "topup belongs to store fedcba9876543210 since "),
            (of(None, None), vec![Status::Ok], "nobody's yet"),
            (of(None, Some(witness(OTHER, 1, 0))), vec![Status::Error], "its mark was taken away"),
            (of(Some(OURS), Some(witness(OURS, 7, 2))), vec![Status::Ok, Status::Ok], "topup: this store's"),
            (of(Some(OURS), Some(witness(OURS, 8, 2))), vec![Status::Ok, Status::Error], "topup: this store's"),
            (of(Some(OURS), Some(witness(OURS, 7, 3))), vec![Status::Ok, Status::Error], "topup: this store's"),
        ];
        for (found, statuses, words) in all {
            assert_eq!(found.iter().map(|finding| finding.status).collect::<Vec<_>>(), statuses, "{found:?}");
            assert!(found[0].detail.contains(words), "{found:?}");
        }
    }
}
