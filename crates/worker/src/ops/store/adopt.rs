//! `worker store adopt`: takes a namespace at the broker over from another store (M13).

use std::sync::Arc;
use std::time::Duration;

use outbox::{AccountName, Adoption};
use serde::Serialize;
use serde_json::json;
use snap_core::Timestamp;

use super::{leave, sum, unasked};
use crate::account::forgotten::{self, Elsewhere};
use crate::amqp::{self, Custodies, Link, Names};
use crate::cli::StoreAdoptArgs;
use crate::custody::{Custodial as _, Found, Hold, Mark, Note, Process, Terms, Witness};
use crate::exit::CommandError;
use crate::ops::act::{Actor, ask};
use crate::ops::jobs::Rupiah;
use crate::ops::{Desk, host, stdout};
use crate::output::{age, counted, moment, rupiah};

const CONNECT_LIMIT: Duration = Duration::from_secs(10);

/// Whose the namespace is.
enum Whose {
    /// This store's.
    Ours,
    /// Nobody's: who comes first takes it.
    Free,
    /// Another's.
    Other(Other),
}

struct Other {
    /// In words: its id, or what stands there instead of one.
    store: String,
    since: Option<Timestamp>,
    /// Since when the namespace has had a custodian, this one or another.
    first: Option<Timestamp>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Done {
    /// Null where the store goes on without a broker.
    pub(super) namespace: Option<String>,
    /// Whose it was; null where it was nobody else's.
    pub(super) from: Option<String>,
    pub(super) since: Option<String>,
    /// The namespace that this store had noted; null where that is the same, or none.
    pub(super) leaves: Option<String>,
    /// Since when a key that this store does not know may have been sent; null where nobody can say.
    pub(super) known_until: Option<String>,
    /// Until then the other store may still send.
    pub(super) asks_from: Option<String>,
    /// Jobs of this store, dead letters too, that are to be asked about before anything is sent.
    pub(super) marked: u64,
    pub(super) amount: Rupiah,
    pub(super) changed: bool,
    pub(super) dry_run: bool,
}

/// Runs the command.
///
/// # Errors
/// [`CommandError::Refused`] where a worker has the namespace, [`CommandError::Declined`], or any failure of broker or store.
pub(super) async fn adopt(args: &StoreAdoptArgs, desk: &Desk<'_>) -> Result<(), CommandError> {
    let configured = desk.config.amqp.as_ref().map(|amqp| amqp.namespace.as_str());
    let left = leave::Left::of(desk, configured).await?;
    let Some(section) = &desk.config.amqp else {
        return match left {
            Some(left) => leave::leave(args, left, None, desk).await,
            None => Err(CommandError::usage("no broker is configured", "a namespace is of a broker: see [amqp]")),
        };
    };
    let config = section.connection()?;
    let connection = Arc::new(amqp::connect(&config, "adopt", CONNECT_LIMIT).await?);
    let names = Names::new(&config.namespace);
    let mut broker = Custodies::new(Arc::clone(&connection), Arc::clone(&connection), names, Arc::new(Link::default()));
    let standing = desk.store.standing().await?;
    let witness = broker.witness().await?.and_then(|body| Witness::parse(&body));
    let found = broker.look(None).await?;
    let namespace = config.namespace.as_str();
    if let Some(left) = &left {
        left.must_be_let_go(&connection, &standing.store_id, desk).await?;
    }
    let (other, left) = match (whose(&found, witness.as_ref(), &standing.store_id), left) {
        (Whose::Other(other), left) => (other, left),
        (Whose::Ours, Some(left)) => {
            must_be_let_go(&mut broker, witness.as_ref(), namespace, desk).await?;
            return leave::leave(args, left, Some((namespace, &found)), desk).await;
        }
        (Whose::Free, Some(left)) => return leave::leave(args, left, Some((namespace, &found)), desk).await,
        (Whose::Ours, None) => return nothing(namespace, "is this store's already", args, desk),
        (Whose::Free, None) => return nothing(namespace, "is nobody's: `worker run` takes it", args, desk),
    };
    must_be_let_go(&mut broker, witness.as_ref(), namespace, desk).await?;

    let longest_call = desk.config.providers.values().map(|provider| provider.request_timeout).max();
    let others = Terms::default().may_send_for(longest_call.unwrap_or_default());
    let settled_at = desk.now.plus(others);
    let known_until = match args.published_since {
        Some(when) => Some(when.at(desk.now)),
        // What it does not know of the namespace that it leaves is unknown too.
        None if left.is_some() => desk.store.known_until(None).await?.min(other.first),
        None => other.first,
    };
    let unasked = unasked(desk.now, desk).await?;
    if let Some(left) = &left {
        desk.output.say(&left.preview(Some(namespace)));
    }
    desk.output.say(&preview(namespace, &other, witness.as_ref(), &standing.store_id, desk));
    let (marked, amount) = (unasked.len() as u64, sum(&unasked));
    // What nobody can tell counts as any account (M14).
    let told = witness.as_ref().and_then(|witness| witness.accounts.clone());
    let in_use = told.unwrap_or_else(|| vec![AccountName::unknown(desk.now)]);
    let since = known_until.unwrap_or(Timestamp::from_millis(0));
    for elsewhere in forgotten::elsewhere(desk.store, desk.config, &in_use, since).await? {
        desk.output.say(&format!("{}\nhint: {}", elsewhere.told(), Elsewhere::hint()));
    }
    desk.output.say(&of_jobs(known_until, settled_at, (marked, amount), desk));
    let mut done = Done {
        namespace: Some(namespace.to_owned()),
        from: Some(other.store.clone()),
        since: other.since.map(Timestamp::to_rfc3339),
        leaves: left.as_ref().map(|left| left.namespace.clone()),
        known_until: known_until.map(Timestamp::to_rfc3339),
        asks_from: Some(settled_at.to_rfc3339()),
        marked,
        amount: amount.into(),
        changed: false,
        dry_run: args.act.dry_run,
    };
    if args.act.dry_run {
        return tell(&done, "", desk);
    }
    ask(&args.act, desk.output, "is that store's worker gone for good?")?;
    // However long that took: where the broker cannot keep the hold, the other one may have seen its mark until now.
    let settled_at = desk.clock.now().plus(others);
    done.asks_from = Some(settled_at.to_rfc3339());

    let first = [other.first.unwrap_or(Timestamp::from_millis(0)), standing.oldest.unwrap_or(desk.now)];
    let mark = Mark::new(&standing.store_id, desk.now, first[0].min(first[1])).to_string();
    desk.store.learn_accounts(in_use).await?;
    let instance = format!("{:016x}", desk.clock.random());
    let (namespace_noted, instances) = (namespace.to_owned(), vec![instance.clone()]);
    let note = Note { namespace: namespace_noted, mark: mark.clone(), instances, ..Note::default() };
    let shown = json!({
        "from": other.store,
        "since": done.since,
        "leaves": done.leaves,
        "knownUntil": done.known_until,
        "asksFrom": done.asks_from,
        "witnessedCommits": witness.as_ref().map(|witness| witness.commits),
        "witnessedAudit": witness.as_ref().map(|witness| format!("{}:{}", witness.audit_rows, witness.audit_head)),
        "marked": marked,
        "amount": amount.to_string(),
    });
    let audit = Actor::of(&args.act, desk.environment).audit(desk.now, "store_adopt", namespace, shown);
    let reason = format!("namespace {namespace} was taken over from store {}", other.store);
    // First of all: whatever becomes of the mark, this store asks about everything.
    desk.store.adopt(Adoption { settled_at, reason, known_until, custody: note.text(), audit }).await?;
    if found != Found::Missing {
        broker.remove_mark().await?;
    }
    if let Found::Is(present) = broker.declare(&mark).await?
        && present != mark
    {
        return Err(CommandError::Refused {
            what: format!("another store came first: {present}"),
            hint: "stop its worker, and say it again; this store asks about everything first meanwhile".to_owned(),
        });
    }
    let standing = desk.store.standing().await?;
    let witness = Witness {
        store: standing.store_id,
        instance,
        commits: standing.commits,
        audit_rows: standing.audit.rows,
        audit_head: standing.audit.hash,
        audit_at: desk.now.as_millis(),
        at: desk.now.as_millis(),
        stopped: true,
        process: Process::here(&desk.config.store.path, &host(desk.environment)),
        accounts: Some(forgotten::told(desk.store.accounts().await?, desk.now)),
    };
    if !broker.tell(&witness.body()).await? {
        desk.output.say("the broker does not keep how far this store has come; its worker tells it again");
    }
    drop(tokio::time::timeout(CONNECT_LIMIT, connection.close(200, "bye".into())).await);
    done.changed = true;
    tell(&done, "the namespace is this store's: start its worker, which asks about everything first\n", desk)
}

fn whose(found: &Found, witness: Option<&Witness>, ours: &str) -> Whose {
    let other = |store: &str, since, first| Whose::Other(Other { store: store.to_owned(), since, first });
    match found {
        Found::Is(text) => match Mark::parse(text) {
            Some(mark) if mark.store == ours => Whose::Ours,
            Some(mark) => other(&mark.store, mark.since, mark.first),
            None => other(text, None, None),
        },
        Found::Missing => match witness {
            // Its mark was taken away.
            Some(witness) if witness.store != ours => other(&witness.store, None, None),
            _ => Whose::Free,
        },
    }
}

/// Whoever works on it has to be stopped: what it holds in its hands comes to this store.
pub(super) async fn must_be_let_go(
    broker: &mut Custodies,
    witness: Option<&Witness>,
    namespace: &str,
    desk: &Desk<'_>,
) -> Result<(), CommandError> {
    match broker.hold().await? {
        Hold::Had => Ok(()),
        Hold::Unavailable(why) => {
            desk.output.say(&format!("whether a worker has it at this moment cannot be told: {why}"));
            Ok(())
        }
        Hold::InUse => {
            let who = witness.map_or_else(String::new, |witness| {
                let Process { host, pid, .. } = &witness.process;
                format!(": process {pid} on {host}, last heard of {}", moment(witness.at()))
            });
            Err(CommandError::Refused {
                what: format!("a worker has namespace {namespace}{who}"),
                hint: "stop it; of one that was killed or cut off the broker knows after some 20 s".to_owned(),
            })
        }
    }
}

fn preview(namespace: &str, other: &Other, witness: Option<&Witness>, ours: &str, desk: &Desk<'_>) -> String {
    let since = other.since.map_or_else(String::new, |since| format!(" since {}", moment(since)));
    let mut text = format!("namespace {namespace} belongs to store {}{since}; this is store {ours}", other.store);
    if let Some(witness) = witness {
        let how = if witness.stopped { "it stopped in order" } else { "it did not stop in order" };
        let ago = age(desk.now.since(witness.at()));
        text.push_str(&format!(
            "\nlast heard of {} ({ago} ago), from process {} on {}: {how}",
            moment(witness.at()),
            witness.process.pid,
            witness.process.host
        ));
    }
    text
}

pub(super) fn of_jobs(
    known_until: Option<Timestamp>,
    settled_at: Timestamp,
    (marked, amount): (u64, outbox::Total),
    desk: &Desk<'_>,
) -> String {
    let mut text = format!(
        "{}, {}, of this store, dead letters among them, are asked about before anything is sent, from {} on: until then the \
         other store may still send\n",
        counted(marked, "job"),
        rupiah(amount.minor()),
        moment(settled_at)
    );
    match known_until {
        None => text.push_str(
            "nobody can say since when another store had the namespace: new jobs end as unresolved, before a person; \
             --published-since TIME says that no message that comes is older",
        ),
        Some(until) => {
            text.push_str(&format!(
                "a key that it does not know counts as perhaps sent since {}: where that is longer ago than the provider's \
                 uniqueness window it ends as unresolved, before a person; --published-since TIME says that no message that \
                 comes is older\n",
                moment(until)
            ));
            let windows = desk.config.providers.iter().map(|(name, provider)| {
                let window = provider.policy().uniqueness_window;
                let over = if desk.now.since(until) > window { ": it is over" } else { "" };
                format!("  {name}: uniqueness window {}{over}", age(window))
            });
            text.push_str(&windows.collect::<Vec<_>>().join("\n"));
        }
    }
    text
}

fn nothing(namespace: &str, why: &str, args: &StoreAdoptArgs, desk: &Desk<'_>) -> Result<(), CommandError> {
    desk.output.say(&format!("namespace {namespace} {why}"));
    let done = Done {
        namespace: Some(namespace.to_owned()),
        from: None,
        since: None,
        leaves: None,
        known_until: None,
        asks_from: None,
        marked: 0,
        amount: outbox::Total::default().into(),
        changed: false,
        dry_run: args.act.dry_run,
    };
    tell(&done, "", desk)
}

pub(super) fn tell(done: &Done, text: &str, desk: &Desk<'_>) -> Result<(), CommandError> {
    desk.output.object(done, || text.to_owned()).map_err(stdout)
}
