//! `worker store adopt` where the store has noted another namespace than the configuration names, and holds what may be paid
//! there (M13): an operator's word lets it go on, asking about everything first.

use std::sync::Arc;

use lapin::Connection;
use outbox::Adoption;
use serde_json::json;
use snap_core::Timestamp;

use super::adopt::{Done, must_be_let_go, of_jobs, tell};
use super::{sum, unasked};
use crate::amqp::{AmqpError, Custodies, Link, Names};
use crate::cli::StoreAdoptArgs;
use crate::custody::{Custodial as _, CustodyError, Found, Mark, Note, Terms, Witness, elsewhere};
use crate::exit::CommandError;
use crate::ops::Desk;
use crate::ops::act::{Actor, ask};
use crate::output::moment;
use crate::text::chain;

/// The namespace that a store is to leave.
pub(super) struct Left {
    pub(super) namespace: String,
    since: Option<Timestamp>,
    refused_at: Option<Timestamp>,
}

impl Left {
    /// What this store has to leave before it may work on `configured`; `None`: nothing.
    pub(super) async fn of(desk: &Desk<'_>, configured: Option<&str>) -> Result<Option<Self>, CommandError> {
        Ok(match elsewhere(desk.store, configured).await? {
            Some(CustodyError::Elsewhere { namespace, since, refused_at, .. }) => {
                Some(Self { namespace, since, refused_at })
            }
            _ => None,
        })
    }

    /// Whoever works there under this store's id has what it holds, and will send it. What the broker of this configuration does
    /// not know, or does not tell, nobody can say here.
    pub(super) async fn must_be_let_go(
        &self,
        connection: &Arc<Connection>,
        ours: &str,
        desk: &Desk<'_>,
    ) -> Result<(), CommandError> {
        let (names, link) = (Names::new(&self.namespace), Arc::new(Link::default()));
        let mut there = Custodies::new(Arc::clone(connection), Arc::clone(connection), names, link);
        let looked = async {
            let Found::Is(text) = there.look(None).await? else { return Ok(None) };
            let witness = there.witness().await?.and_then(|body| Witness::parse(&body));
            Ok::<_, AmqpError>(Some((text, witness)))
        };
        match looked.await {
            Ok(None) => desk.output.say(&format!("the broker knows no custodian of namespace {}", self.namespace)),
            Ok(Some((text, witness))) => match Mark::parse(&text) {
                Some(mark) if mark.store == ours => {
                    must_be_let_go(&mut there, witness.as_ref(), &self.namespace, desk).await?;
                }
                Some(Mark { store, .. }) => desk.output.say(&format!(
                    "namespace {} now belongs to store {store}, which pays what was published there again",
                    self.namespace
                )),
                None => {}
            },
            Err(error @ AmqpError::Refused { .. }) => {
                desk.output.say(&format!("namespace {} cannot be looked at: {}", self.namespace, chain(&error)));
            }
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    pub(super) fn preview(&self, configured: Option<&str>) -> String {
        let Self { namespace, since, refused_at } = self;
        let had = match (since, refused_at) {
            (Some(since), _) => format!("belongs to namespace {namespace} since {}", moment(*since)),
            (None, Some(at)) => format!("was refused namespace {namespace} at {}", moment(*at)),
            (None, None) => format!("belongs to namespace {namespace}"),
        };
        format!("this store {had}, and is to go on {}", to(configured))
    }
}

fn to(configured: Option<&str>) -> String {
    configured.map_or_else(|| "without a broker".to_owned(), |named| format!("under namespace {named}"))
}

/// Lets the store go on under a namespace that is its own or nobody's, with the mark that was found there, or without a broker.
pub(super) async fn leave(
    args: &StoreAdoptArgs,
    left: Left,
    named: Option<(&str, &Found)>,
    desk: &Desk<'_>,
) -> Result<(), CommandError> {
    let namespace = named.map(|(namespace, _)| namespace);
    let longest_call = desk.config.providers.values().map(|provider| provider.request_timeout).max();
    let others = Terms::default().may_send_for(longest_call.unwrap_or_default());
    let settled_at = desk.now.plus(others);
    let known_until = match args.published_since {
        Some(when) => Some(when.at(desk.now)),
        None => desk.store.known_until(None).await?,
    };
    let unasked = unasked(desk.now, desk).await?;
    let (marked, amount) = (unasked.len() as u64, sum(&unasked));
    desk.output.say(&left.preview(namespace));
    if namespace.is_none() {
        desk.output.say(&format!("without a broker it cannot be told here who has namespace {} now", left.namespace));
    }
    desk.output.say(&of_jobs(known_until, settled_at, (marked, amount), desk));
    let mut done = Done {
        namespace: namespace.map(str::to_owned),
        from: None,
        since: left.since.map(Timestamp::to_rfc3339),
        leaves: Some(left.namespace.clone()),
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
    ask(&args.act, desk.output, "will nothing else send what this store holds?")?;
    let settled_at = desk.clock.now().plus(others);
    done.asks_from = Some(settled_at.to_rfc3339());

    let shown = json!({
        "leaves": left.namespace,
        "since": done.since,
        "knownUntil": done.known_until,
        "asksFrom": done.asks_from,
        "marked": marked,
        "amount": amount.to_string(),
    });
    let subject = namespace.unwrap_or("store");
    let audit = Actor::of(&args.act, desk.environment).audit(desk.now, "store_adopt", subject, shown);
    let reason = format!("the store left namespace {}, and goes on {}", left.namespace, to(namespace));
    let mark = named.and_then(|(_, found)| match found {
        Found::Is(text) => Mark::parse(text).filter(Mark::is_whole).map(|mark| mark.to_string()),
        Found::Missing => None,
    });
    let note =
        Note { namespace: namespace.unwrap_or_default().to_owned(), mark: mark.unwrap_or_default(), ..Note::default() };
    desk.store.adopt(Adoption { settled_at, reason, known_until, custody: note.text(), audit }).await?;
    done.changed = true;
    tell(
        &done,
        &format!("the store may go on {}: start its worker, which asks about everything first\n", to(namespace)),
        desk,
    )
}
