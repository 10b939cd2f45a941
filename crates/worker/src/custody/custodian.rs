//! Takes the namespace, looks at its mark again and again, and tells outside of the machine how far the store has come.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use outbox::{AccountName, AuditHead, Behind, Standing, Store};
use snap_core::Timestamp;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::{Custodial, Custody, CustodyError, Found, Mark, Note, Process, Witness, behind};
use crate::account::forgotten::{self, Elsewhere};
use crate::amqp::AmqpError;
use crate::clock::Clock;
use crate::restored::Restored;

/// A process that ended a moment ago may still be on the broker's books, and somebody may read the witness: after so long it is
/// asked again.
pub(super) const HOLD_PAUSE: Duration = Duration::from_millis(150);
/// Somebody who reads the witness has it for a moment.
const READ_TRIES: u32 = 4;
/// For the last word.
const FAREWELL_LIMIT: Duration = Duration::from_secs(3);

/// The keeper of one store's custody.
#[derive(Clone, Debug)]
pub struct Custodian {
    /// What the process knows of it.
    pub custody: Arc<Custody>,
    /// The store.
    pub store: Store,
    /// Whether it asks about everything first.
    pub restored: Restored,
    /// Time and randomness.
    pub clock: Clock,
    /// The namespace.
    pub namespace: Arc<str>,
    /// This process.
    pub process: Arc<Process>,
    /// This life's name.
    pub instance: Arc<str>,
    /// The longest time that a call to a provider may take.
    pub longest_call: Duration,
    /// The account that each provider's section names.
    pub accounts: Arc<[(String, engine::Account)]>,
    /// Over connection and connection.
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
pub(super) struct State {
    /// The mark as it can be declared again.
    mark: Option<String>,
    /// When it was last seen to be ours, since the machine booted.
    seen: Option<Duration>,
    /// Top-ups begin no earlier, since the machine booted: another process may still send.
    not_before: Duration,
    /// When custody was last confirmed.
    confirmed: Option<Timestamp>,
    /// The longest trail that was ever witnessed, and when it was first.
    pub(super) audit: Option<(AuditHead, Timestamp)>,
    /// That the trail is not what was witnessed was said.
    pub(super) complained: bool,
    /// That there is no hold, or no witness, was said.
    pub(super) warned: bool,
    /// What was last told, and when.
    pub(super) told: Option<(u64, AuditHead, Instant)>,
}

impl Custodian {
    /// Of a process that is `process`, with calls of up to `longest_call`.
    pub fn new(custody: Arc<Custody>, store: Store, restored: Restored, clock: Clock, of: Of) -> Self {
        let Of { namespace, process, longest_call, accounts } = of;
        let instance = format!("{:016x}", clock.random()).into();
        let (namespace, state) = (namespace.into(), Arc::default());
        let (process, accounts) = (Arc::new(process), accounts.into());
        Self { custody, store, restored, clock, namespace, process, instance, longest_call, accounts, state }
    }

    /// Takes the namespace, or says whose it is. To be asked before anything is taken.
    ///
    /// # Errors
    /// [`AmqpError::Custody`], or any failure of broker or store.
    pub async fn claim<C: Custodial>(&self, port: &mut C) -> Result<(), AmqpError> {
        let claimed = self.claim_once(port).await;
        if let Err(AmqpError::Custody(CustodyError::Foreign { .. } | CustodyError::Unknown { .. })) = &claimed {
            self.note_refusal().await?;
        }
        claimed
    }

    async fn claim_once<C: Custodial>(&self, port: &mut C) -> Result<(), AmqpError> {
        let standing = self.store.standing().await?;
        let note = Note::of(&standing, &self.namespace);
        let noted = note.as_ref().map(|note| note.mark.clone()).filter(|mark| !mark.is_empty());
        let found = port.look(noted.as_deref()).await?;
        self.ours(&found, &standing)?;
        self.take_hold(port, &standing).await?;
        // Who had the hold meanwhile is noted by now.
        let standing = self.store.standing().await?;
        let note = Note::of(&standing, &self.namespace);
        // Whoever gives the namespace to another store has the hold meanwhile: what was seen before it is no news.
        let asked = self.clock.boottime();
        let found = port.look(noted.as_deref()).await?;
        let mark = self.ours(&found, &standing)?;
        let is_new_here = mark.is_none();
        let witness = self.newest_witness(port, !is_new_here).await?;
        if let (None, Some(witness)) = (&mark, &witness)
            && witness.store != standing.store_id
        {
            // Somebody has taken the mark away: whose the namespace was is known all the same.
            return Err(self.foreign(&standing, &witness.store, None).into());
        }
        let proven = witness.as_ref().is_none_or(|witness| self.is_over(witness));
        let instances = self.lives(witness.as_ref(), &standing);
        let mark = match mark {
            Some(mark) => mark.is_whole().then(|| mark.to_string()),
            None => Some(self.set_mark(port, noted, &standing, instances.clone()).await?),
        };
        let text = mark.clone().or_else(|| note.as_ref().map(|note| note.mark.clone())).unwrap_or_default();
        let noting = Note { namespace: self.namespace.to_string(), mark: text, instances, ..Note::default() };
        let behind = witness
            .as_ref()
            .and_then(|witness| Some((witness, behind(witness, &standing, note.as_ref(), &self.process)?)));
        let told_before = self.others_were_used().await?.0;
        if behind.is_some() || self.restored.mark().is_some() {
            self.learn_accounts(witness.as_ref(), is_new_here).await?;
        }
        match behind {
            Some((witness, reason)) => self.fall_behind(witness, reason, noting, proven).await?,
            None if note.as_ref() != Some(&noting) => self.store.note_custody(noting.text()).await?,
            None => {}
        }
        self.knows_others(told_before).await?;
        {
            let mut state = self.state();
            state.mark = mark;
            if let Some(witness) = witness.filter(|witness| witness.store == standing.store_id) {
                state.audit.get_or_insert_with(|| (witness.audit(), witness.audit_at()));
            }
            if !proven {
                state.not_before = self.clock.boottime() + self.custody.terms().may_begin_for();
            }
            state.seen = Some(asked);
            state.told = None;
        }
        self.tell(port, false).await?;
        info!(namespace = %self.namespace, store = standing.store_id, mark = self.state().mark, "this store is the namespace's custodian");
        self.say_so(proven);
        self.confirm();
        Ok(())
    }

    /// Keeps it true until `over`; where `stopping`, the last witness says that nothing is sent any more.
    ///
    /// # Errors
    /// As [`Custodian::claim`].
    pub async fn keep<C: Custodial>(
        self,
        mut port: C,
        stopping: CancellationToken,
        over: CancellationToken,
    ) -> Result<(), AmqpError> {
        let terms = self.custody.terms();
        let mut looked = Instant::now();
        loop {
            tokio::select! {
                biased;
                () = over.cancelled() => break,
                error = port.ended() => return Err(error),
                () = tokio::time::sleep(terms.tell_every) => {}
            }
            let turn = async {
                if looked.elapsed() >= terms.look_every {
                    looked = Instant::now();
                    self.look(&mut port).await?;
                }
                self.confirm();
                self.tell(&mut port, false).await
            };
            let turned = tokio::select! {
                biased;
                () = over.cancelled() => break,
                turned = turn => turned,
            };
            turned?;
        }
        if stopping.is_cancelled() && self.custody.lost_by().is_none() {
            match tokio::time::timeout(FAREWELL_LIMIT, self.tell(&mut port, true)).await {
                Ok(Ok(())) => {}
                // The next start waits until nothing of this one can be under way any more.
                Ok(Err(error)) => warn!(%error, "the broker was not told that this worker has stopped"),
                Err(_elapsed) => warn!("the broker was not told in time that this worker has stopped"),
            }
        }
        Ok(())
    }

    /// Looks at the mark once more.
    async fn look<C: Custodial>(&self, port: &mut C) -> Result<(), AmqpError> {
        let standing = self.store.standing().await?;
        self.take_hold(port, &standing).await?;
        let (asked, known) = (self.clock.boottime(), self.state().mark.clone());
        let found = port.look(known.as_deref()).await?;
        if self.ours(&found, &standing)?.is_none() {
            let note = Note::of(&standing, &self.namespace).unwrap_or_default();
            let set = self.set_mark(port, known, &standing, note.instances).await?;
            self.state().mark = Some(set);
        }
        self.state().seen = Some(asked);
        Ok(())
    }

    /// The mark, where it is this store's; `None` where there is none.
    fn ours(&self, found: &Found, standing: &Standing) -> Result<Option<Mark>, CustodyError> {
        let Found::Is(text) = found else { return Ok(None) };
        match Mark::parse(text) {
            Some(mark) if mark.store == standing.store_id => Ok(Some(mark)),
            Some(mark) => Err(self.foreign(standing, &mark.store, mark.since)),
            None => Err(CustodyError::Unknown { namespace: self.namespace.to_string(), found: text.clone() }),
        }
    }

    fn foreign(&self, standing: &Standing, store: &str, since: Option<Timestamp>) -> CustodyError {
        let (namespace, ours) = (self.namespace.to_string(), standing.store_id.clone());
        CustodyError::Foreign { namespace, ours, store: store.to_owned(), since }
    }

    /// Declares the mark: as it was noted, so that its times stay, or a new one. What is declared is noted before.
    async fn set_mark<C: Custodial>(
        &self,
        port: &mut C,
        noted: Option<String>,
        standing: &Standing,
        instances: Vec<String>,
    ) -> Result<String, AmqpError> {
        if noted.is_some() {
            warn!(namespace = %self.namespace, "the namespace's mark was taken away; it is declared again");
        }
        let now = self.clock.now();
        // What the store has sent before it had a mark is its custody too.
        let first = standing.oldest.map_or(now, |oldest| oldest.min(now));
        let mark = noted.unwrap_or_else(|| Mark::new(&standing.store_id, now, first).to_string());
        let note = Note::of(standing, &self.namespace).unwrap_or_default();
        let noting = Note { namespace: self.namespace.to_string(), mark: mark.clone(), instances, ..note.clone() };
        if note != noting {
            self.store.note_custody(noting.text()).await?;
        }
        let found = port.declare(&mark).await?;
        // Another one may have come first.
        self.ours(&found, standing)?;
        info!(namespace = %self.namespace, mark, "the namespace has a mark now");
        Ok(mark)
    }

    /// Where there is a mark there should be a witness, but for a moment.
    pub(super) async fn newest_witness<C: Custodial>(
        &self,
        port: &mut C,
        expected: bool,
    ) -> Result<Option<Witness>, AmqpError> {
        let mut body = port.witness().await?;
        for _ in 1..READ_TRIES {
            if body.is_some() || !expected {
                break;
            }
            tokio::time::sleep(HOLD_PAUSE).await;
            body = port.witness().await?;
        }
        let Some(body) = body else { return Ok(None) };
        let witness = Witness::parse(&body);
        if witness.is_none() {
            warn!(namespace = %self.namespace, "the newest witness at the broker cannot be read; nothing is compared with it");
        }
        Ok(witness)
    }

    /// Whether nothing is sent any more by the life that the witness tells of.
    pub(super) fn is_over(&self, witness: &Witness) -> bool {
        witness.instance == *self.instance || witness.stopped || witness.process.is_gone(&self.process)
    }

    /// The lives whose witness is this store's own past.
    fn lives(&self, witness: Option<&Witness>, standing: &Standing) -> Vec<String> {
        let of_witness = witness.filter(|witness| witness.store == standing.store_id).map(|witness| &witness.instance);
        // Nothing was told yet of the lives since: the last one that was is still what may be found.
        let last = of_witness.cloned().or_else(|| Note::of(standing, &self.namespace)?.instances.first().cloned());
        let mut lives: Vec<_> = last.into_iter().collect();
        if !lives.iter().any(|life| *life == *self.instance) {
            lives.push(self.instance.to_string());
        }
        lives
    }

    /// The store is behind: it asks about everything first. What has begun in this life has passed the question, so it ends
    /// where anything may have begun.
    async fn fall_behind(
        &self,
        witness: &Witness,
        reason: String,
        noting: Note,
        proven: bool,
    ) -> Result<(), AmqpError> {
        let now = self.clock.now();
        // What was told before the store began to ask first is no news: an operator who has put it back has said so, and why.
        let known = self.restored.mark().filter(|mark| (witness.at()..=now).contains(&mark.since));
        let known = known.filter(|_| !self.custody.was_had());
        match &known {
            Some(mark) => info!(found = reason, why = mark.reason, "the store asks first, and has to"),
            None => error!(reason, "the store does not know everything that was done under its id"),
        }
        let others = self.custody.terms().may_send_for(self.longest_call);
        let behind = Behind {
            at: now,
            settled_at: if proven { now } else { now.plus(others) },
            reason: known.map_or_else(|| reason.clone(), |mark| mark.reason.clone()),
            known_until: self.state().confirmed,
            beyond: witness.commits,
            custody: noting.text(),
        };
        let mark = self.store.fell_behind(behind).await?;
        if self.custody.was_had() {
            return Err(CustodyError::Behind { reason }.into());
        }
        self.restored.begin(mark);
        self.custody.asks_by(&self.restored);
        Ok(())
    }

    /// What was done under this store's id, or under the namespace, and is forgotten may have been sent to any account that was in use
    /// then (M14).
    /// Where the namespace was nobody's nothing was done under it.
    async fn learn_accounts(&self, witness: Option<&Witness>, is_new_here: bool) -> Result<(), AmqpError> {
        if witness.is_none() && is_new_here {
            return Ok(());
        }
        let told = witness.and_then(|witness| witness.accounts.clone());
        let told = told.unwrap_or_else(|| vec![AccountName::unknown(self.clock.now())]);
        Ok(self.store.learn_accounts(told).await?)
    }

    /// The providers of which another account was in use in what is forgotten, and since when that is; none where nothing is.
    async fn others_were_used(&self) -> Result<(BTreeSet<String>, Timestamp), AmqpError> {
        let mark = self.restored.mark();
        let since = forgotten::since(mark.as_deref());
        let noted = self.store.accounts().await?;
        let others = forgotten::others_were_used(&noted, &self.accounts, since);
        Ok((if mark.is_some() { others } else { BTreeSet::new() }, since))
    }

    /// From here on it is known; what the start could not tell is told.
    async fn knows_others(&self, told: BTreeSet<String>) -> Result<(), AmqpError> {
        let (others, since) = self.others_were_used().await?;
        let noted = self.store.accounts().await?;
        let untold: BTreeSet<_> = others.difference(&told).cloned().collect();
        if !untold.is_empty() {
            let accounts = forgotten::others_in_words(&noted, &self.accounts, since, &untold);
            warn!(
                accounts,
                hint = Elsewhere::hint(),
                "what the store has forgotten may have been sent to another account than is asked: what that does not know ends before a person"
            );
        }
        // Jobs outlive the mode in which they were forgotten.
        self.custody.knows_others(forgotten::others_were_used(&noted, &self.accounts, since));
        Ok(())
    }

    /// Lets top-ups begin for as long as what was seen is fresh.
    fn confirm(&self) {
        let mut state = self.state();
        let Some(seen) = state.seen else { return };
        if self.clock.boottime() < state.not_before {
            return;
        }
        state.confirmed = Some(self.clock.now());
        drop(state);
        self.custody.confirm(seen);
    }

    fn say_so(&self, proven: bool) {
        if proven {
            return;
        }
        let limit_s = self.custody.terms().may_begin_for().as_secs();
        let why = format!(
            "no top-up begins for {limit_s} s: the process that had the namespace before did not stop in order, and may still \
             send where it is frozen or cut off"
        );
        warn!(limit_s, "{why}");
        self.custody.say_why_not(why, self.clock.now());
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whose custody it is.
#[derive(Debug)]
pub struct Of {
    /// The namespace.
    pub namespace: String,
    /// This process.
    pub process: Process,
    /// The longest time that a call to a provider may take.
    pub longest_call: Duration,
    /// The account that each provider's section names.
    pub accounts: Vec<(String, engine::Account)>,
}
