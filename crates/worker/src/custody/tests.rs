//! A custodian over a broker that does as it is told, on a time of its own.

mod copies;
mod elsewhere;

use std::sync::{Arc, Mutex};

use outbox::{NewAudit, OpenOptions, Store};
use serde_json::json;

use super::custodian::HOLD_PAUSE;
use super::*;
use crate::amqp::AmqpError;
use crate::clock::Source;
use crate::restored::Restored;
use crate::stage::locked;

/// A broker: one namespace.
#[derive(Debug, Default)]
struct Namespace {
    mark: Option<String>,
    held_by: Option<String>,
    witness: Option<Vec<u8>>,
    /// The queue's node is away.
    is_half_there: bool,
    told: usize,
}

/// A connection of one life.
#[derive(Clone, Debug)]
struct Port(Arc<Mutex<Namespace>>, String);

impl Custodial for Port {
    async fn look(&mut self, _known: Option<&str>) -> Result<Found, AmqpError> {
        Ok(locked(&self.0).mark.clone().map_or(Found::Missing, Found::Is))
    }

    async fn declare(&mut self, mark: &str) -> Result<Found, AmqpError> {
        Ok(Found::Is(locked(&self.0).mark.get_or_insert_with(|| mark.to_owned()).clone()))
    }

    async fn hold(&mut self) -> Result<Hold, AmqpError> {
        let mut namespace = locked(&self.0);
        if namespace.is_half_there {
            return Ok(Hold::Unavailable("its node is down".to_owned()));
        }
        let by = namespace.held_by.get_or_insert_with(|| self.1.clone());
        Ok(if *by == self.1 { Hold::Had } else { Hold::InUse })
    }

    async fn witness(&mut self) -> Result<Option<Vec<u8>>, AmqpError> {
        Ok(locked(&self.0).witness.clone())
    }

    async fn tell(&mut self, witness: &[u8]) -> Result<bool, AmqpError> {
        let mut namespace = locked(&self.0);
        namespace.told += 1;
        namespace.witness = Some(witness.to_owned());
        Ok(true)
    }

    async fn ended(&mut self) -> AmqpError {
        std::future::pending().await
    }
}

/// A machine's clock that a test sets.
#[derive(Debug, Default)]
struct Machine(Mutex<Duration>);

impl Machine {
    fn sleeps(&self, for_long: Duration) {
        *locked(&self.0) += for_long;
    }
}

impl Source for Machine {
    fn wall(&self) -> Timestamp {
        Timestamp::from_millis(1_795_316_400_000).plus(self.boottime())
    }

    fn boottime(&self) -> Duration {
        *locked(&self.0)
    }

    fn boot(&self) -> String {
        "one".to_owned()
    }

    fn random(&self) -> u64 {
        let mut now = locked(&self.0);
        *now += Duration::from_nanos(1);
        u64::from(now.subsec_nanos())
    }
}

/// One life of a worker on a store.
struct Life {
    custodian: Custodian,
    port: Port,
    store: Store,
    machine: &'static Machine,
    clock: Clock,
}

struct World {
    folder: tempfile::TempDir,
    namespace: Arc<Mutex<Namespace>>,
    machine: &'static Machine,
}

impl World {
    fn new() -> Self {
        let machine = Box::leak(Box::<Machine>::default());
        machine.sleeps(Duration::from_secs(1000));
        Self { folder: tempfile::tempdir().unwrap(), namespace: Arc::default(), machine }
    }

    fn path(&self, store: &str) -> std::path::PathBuf {
        self.folder.path().join(store)
    }

    /// A life on this store; `process` is what its witness will say, if not this one.
    fn life(&self, store: &str, process: Option<Process>) -> Life {
        let clock = Clock::of(self.machine);
        let options = OpenOptions { reserve_bytes: 0, min_free_bytes: 0, ..OpenOptions::default() };
        let opened = Store::open(&self.path(store), clock.now(), &options).unwrap();
        let custody = Arc::new(Custody::new(Terms::default()));
        let process = process.unwrap_or_else(|| Process::here(&self.path(store), "here"));
        let of =
            Of { namespace: "topup".to_owned(), process, longest_call: Duration::from_secs(30), accounts: Vec::new() };
        let restored = Restored::since_start(opened.reconcile);
        let custodian = Custodian::new(custody, opened.store.clone(), restored, clock, of);
        let port = Port(Arc::clone(&self.namespace), custodian.instance.to_string());
        Life { custodian, port, store: opened.store, machine: self.machine, clock }
    }

    /// [`World::life`] in this process, which holds its file: what came before it on it is gone for certain.
    fn here(&self, store: &str) -> Life {
        self.life(store, None)
    }

    fn witness(&self) -> Witness {
        Witness::parse(locked(&self.namespace).witness.as_ref().unwrap()).unwrap()
    }

    fn connection_is_lost(&self) {
        locked(&self.namespace).held_by = None;
    }
}

impl Life {
    async fn claims(&mut self) -> Result<(), CustodyError> {
        match self.custodian.claim(&mut self.port).await {
            Ok(()) => Ok(()),
            Err(AmqpError::Custody(error)) => Err(error),
            Err(error) => panic!("{error}"),
        }
    }

    fn may_begin(&self) -> bool {
        self.custodian.custody.may_begin(&self.clock)
    }

    async fn id(&self) -> String {
        self.store.standing().await.unwrap().store_id
    }

    /// A commit, and a row of the trail.
    async fn acts(&self) {
        let at = self.clock.now();
        let [by, action, subject, reason] = ["sari", "provider_pause", "finpay", "why"].map(str::to_owned);
        self.store.audit_append(NewAudit { at, by, action, subject, reason, detail: json!({}) }).await.unwrap();
    }
}

#[tokio::test]
async fn m13_the_first_store_to_come_has_the_namespace_and_another_one_is_told_so() {
    let world = World::new();
    let (mut first, mut second) = (world.here("a.db"), world.here("b.db"));
    assert!(!first.may_begin(), "nothing begins before it is known whose it is");
    first.claims().await.unwrap();
    assert!(first.may_begin());
    let error = second.claims().await.unwrap_err();
    let CustodyError::Foreign { store, since: Some(_), .. } = &error else { panic!("{error}") };
    assert_eq!(*store, first.id().await);
    assert!(error.is_final() && !second.may_begin());
    // Over its own death it stays its own.
    world.connection_is_lost();
    first.store.close().await;
    let mut again = world.here("a.db");
    again.claims().await.unwrap();
    assert!(again.may_begin());
    assert_eq!(again.custodian.restored.mark(), None, "it knows its own past");
}

#[tokio::test]
async fn m13_custody_that_was_not_seen_for_a_minute_begins_nothing_whatever_slept() {
    let world = World::new();
    let mut life = world.here("a.db");
    life.claims().await.unwrap();
    life.machine.sleeps(Duration::from_secs(59));
    assert!(life.may_begin());
    life.machine.sleeps(Duration::from_secs(2));
    assert!(!life.may_begin());
    life.claims().await.unwrap();
    assert!(life.may_begin());
}

#[tokio::test]
async fn m13_without_a_broker_there_is_nothing_to_wait_for() {
    let machine = Box::leak(Box::<Machine>::default());
    let clock = Clock::of(machine);
    let custody = Custody::without_broker();
    machine.sleeps(Duration::from_secs(1_000_000));
    assert!(custody.may_begin(&clock) && custody.why_not(&clock).is_none());
}

#[tokio::test]
async fn m13_a_copy_of_the_store_waits_beside_the_first_and_says_who_is_there() {
    let world = World::new();
    let mut first = world.here("a.db");
    first.claims().await.unwrap();
    first.store.close().await;
    std::fs::copy(world.path("a.db"), world.path("copy.db")).unwrap();
    std::fs::copy(world.path("a.db.lock"), world.path("copy.db.lock")).unwrap();
    let mut copy = world.here("copy.db");
    let error = copy.claims().await.unwrap_err();
    assert!(!error.is_final() && error.to_string().contains("process"), "{error}");
    assert!(!copy.may_begin());
}

/// The copy of a whole machine: its file looks like the first one. What the first does in its last half second nobody witnesses.
#[tokio::test]
async fn m13_a_copy_that_another_one_was_beside_asks_first_when_that_one_dies() {
    for in_order in [false, true] {
        let world = World::new();
        let mut first = world.life("a.db", Some(Process::default()));
        first.claims().await.unwrap();
        first.store.close().await;
        for file in ["a.db", "a.db.lock"] {
            std::fs::copy(world.path(file), world.path(&format!("copy-of-{file}"))).unwrap();
        }
        let mut copy = world.life("copy-of-a.db", Some(Process::default()));
        copy.claims().await.unwrap_err();
        // The copy's supervisor starts it again meanwhile.
        copy.store.close().await;
        if in_order {
            let mut first = world.life("a.db", Some(Process::default()));
            first.custodian.instance = world.witness().instance.into();
            first.custodian.tell(&mut first.port, true).await.unwrap();
        }
        world.connection_is_lost();
        let mut copy = world.life("copy-of-a.db", Some(Process::default()));
        copy.claims().await.unwrap();
        let mark = copy.custodian.restored.mark();
        assert_eq!(mark.is_none(), in_order, "{mark:?}");
        if let Some(mark) = mark {
            assert!(mark.reason.contains("a moment ago"), "{}", mark.reason);
        }
        // Once is enough.
        let noted = Note::of(&copy.store.standing().await.unwrap(), "topup").unwrap();
        assert_eq!(noted.beside, None);
    }
}

/// A copy that starts only when the first one is dead.
#[tokio::test]
async fn m13_a_copied_file_asks_first_though_the_witness_knows_no_more_than_it() {
    for in_order in [false, true] {
        let world = World::new();
        let mut first = world.here("a.db");
        first.claims().await.unwrap();
        if in_order {
            first.custodian.tell(&mut first.port, true).await.unwrap();
        }
        first.store.close().await;
        world.connection_is_lost();
        for file in ["a.db", "a.db.lock"] {
            std::fs::copy(world.path(file), world.path(&format!("copy-of-{file}"))).unwrap();
        }
        let mut copy = world.here("copy-of-a.db");
        copy.claims().await.unwrap();
        let mark = copy.custodian.restored.mark();
        assert_eq!(mark.is_none(), in_order, "{mark:?}");
    }
}

#[tokio::test]
async fn m13_a_store_behind_the_witness_asks_first_before_anything_is_sent() {
    let world = World::new();
    let mut first = world.here("a.db");
    first.claims().await.unwrap();
    first.store.close().await;
    for file in ["a.db", "a.db.lock"] {
        std::fs::copy(world.path(file), world.path(&format!("copy-of-{file}"))).unwrap();
    }
    world.connection_is_lost();
    let mut first = world.here("a.db");
    first.claims().await.unwrap();
    first.acts().await;
    first.custodian.tell(&mut first.port, true).await.unwrap();
    first.store.close().await;
    world.connection_is_lost();

    let mut copy = world.here("copy-of-a.db");
    assert_eq!(copy.custodian.restored.mark(), None, "nothing on its machine tells of it");
    copy.claims().await.unwrap();
    let mark = copy.custodian.restored.mark().unwrap();
    assert!(mark.reason.contains("commits of"), "{}", mark.reason);
    assert!(copy.may_begin(), "what stopped in order sends nothing");
    // It goes on beyond what was witnessed, and is not behind a second time.
    world.connection_is_lost();
    copy.store.close().await;
    let mut again = world.here("copy-of-a.db");
    assert_eq!(
        again.custodian.restored.mark().map(|mark| mark.since),
        Some(mark.since),
        "the mode outlives the process"
    );
    again.claims().await.unwrap();
    assert_eq!(again.custodian.restored.mark().map(|mark| mark.since), Some(mark.since));
}

#[tokio::test]
async fn m13_a_store_that_another_one_worked_for_meanwhile_ends_and_asks_first() {
    let world = World::new();
    let mut first = world.here("a.db");
    first.claims().await.unwrap();
    for _ in 0..9 {
        first.acts().await;
    }
    // Cut off; a copy that was made before works under its name, with fewer commits.
    world.connection_is_lost();
    let theirs = Witness { instance: "another".to_owned(), commits: 3, ..world.witness() };
    locked(&world.namespace).witness = Some(theirs.body());
    let error = first.claims().await.unwrap_err();
    assert!(matches!(error, CustodyError::Behind { .. }) && error.is_final(), "{error}");
    let mark = first.store.reconcile().await.unwrap().expect("the next start asks first");
    assert!(mark.reason.contains("one of both is a copy"), "{}", mark.reason);
}

#[tokio::test]
async fn m13_what_a_process_that_may_live_can_still_send_is_waited_for() {
    let world = World::new();
    let mut first = world.life("a.db", Some(Process::default()));
    first.claims().await.unwrap();
    first.store.close().await;
    world.connection_is_lost();
    let mut second = world.here("a.db");
    second.claims().await.unwrap();
    assert!(!second.may_begin(), "it is of another machine: frozen, perhaps");
    let (why, _) = second.custodian.custody.why_not(&second.clock).unwrap();
    assert!(why.contains("did not stop in order"), "{why}");
    second.machine.sleeps(Terms::default().may_begin_for());
    second.claims().await.unwrap();
    assert!(second.may_begin());

    // One that has stopped in order is not waited for.
    second.custodian.tell(&mut second.port, true).await.unwrap();
    assert!(world.witness().stopped);
    second.store.close().await;
    world.connection_is_lost();
    let mut third = world.life("a.db", Some(Process::default()));
    third.claims().await.unwrap();
    assert!(third.may_begin());
}

#[tokio::test]
async fn m13_a_witness_of_another_store_keeps_the_namespace_where_its_mark_was_taken_away() {
    let world = World::new();
    let (mut first, mut second) = (world.here("a.db"), world.here("b.db"));
    first.claims().await.unwrap();
    locked(&world.namespace).mark = None;
    world.connection_is_lost();
    assert!(matches!(second.claims().await.unwrap_err(), CustodyError::Foreign { .. }));
    assert_eq!(locked(&world.namespace).mark, None, "it has left none of its own");
    world.connection_is_lost();
    first.claims().await.unwrap();
    assert!(locked(&world.namespace).mark.is_some(), "whose it was declares it again");
}

/// An operator gives the namespace away while its worker waits for the hold: what that one saw of the mark before is not so any more.
#[tokio::test(start_paused = true)]
async fn m13_a_namespace_that_was_given_away_while_the_hold_was_waited_for_is_not_taken() {
    let world = World::new();
    let mut first = world.here("a.db");
    first.claims().await.unwrap();
    // It is cut off for longer than what it saw is good for, and an operator has the hold.
    first.machine.sleeps(Duration::from_secs(300));
    locked(&world.namespace).held_by = Some("operator".to_owned());
    let given = async {
        tokio::time::sleep(HOLD_PAUSE / 2).await;
        let mut namespace = locked(&world.namespace);
        let mark = Mark::new("fedcba9876543210", first.clock.now(), first.clock.now());
        (namespace.mark, namespace.held_by) = (Some(mark.to_string()), None);
    };
    let custody = Arc::clone(&first.custodian.custody);
    let (claimed, ()) = tokio::join!(first.custodian.claim(&mut first.port), given);
    let may_begin = custody.may_begin(&first.clock);
    assert!(
        matches!(&claimed, Err(AmqpError::Custody(CustodyError::Foreign { store, .. })) if store == "fedcba9876543210"),
        "{claimed:?}; top-ups may begin: {may_begin}"
    );
    assert!(!may_begin);
    assert_eq!(world.witness().store, first.id().await, "and it has told nothing there");
}

#[tokio::test]
async fn m13_a_mark_that_nobody_knows_is_left_alone() {
    let world = World::new();
    locked(&world.namespace).mark = Some("topup.unrouted".to_owned());
    let mut life = world.here("a.db");
    let error = life.claims().await.unwrap_err();
    assert!(matches!(&error, CustodyError::Unknown { found, .. } if found == "topup.unrouted"), "{error}");
    assert!(error.is_final());
}

#[tokio::test]
async fn m13_where_nobody_can_have_the_hold_the_mark_alone_holds() {
    let world = World::new();
    locked(&world.namespace).is_half_there = true;
    let (mut first, mut second) = (world.here("a.db"), world.here("b.db"));
    first.claims().await.unwrap();
    assert!(first.may_begin(), "a node that is away stops nobody's top-ups");
    assert!(matches!(second.claims().await.unwrap_err(), CustodyError::Foreign { .. }));
}

#[tokio::test]
async fn m13_a_shorter_trail_is_witnessed_as_it_was_until_an_operator_says_that_it_is_right() {
    let world = World::new();
    let mut life = world.here("a.db");
    life.claims().await.unwrap();
    life.acts().await;
    life.acts().await;
    life.custodian.tell(&mut life.port, false).await.unwrap();
    let whole = world.witness().audit();
    assert_eq!(whole.rows, 2);
    life.store.close().await;
    let file = rusqlite::Connection::open(world.path("a.db")).unwrap();
    let cut = "DELETE FROM audit WHERE seq > 1;
               UPDATE meta SET audit_rows = 1, audit_hash = (SELECT hash FROM audit WHERE seq = 1)";
    file.execute_batch(cut).unwrap();
    drop(file);
    world.connection_is_lost();
    let mut life = world.here("a.db");
    life.claims().await.unwrap();
    assert_eq!(world.witness().audit(), whole);
    life.acts().await;
    life.custodian.tell(&mut life.port, false).await.unwrap();
    assert_eq!(world.witness().audit(), whole, "another second row is not the one that was seen");

    let row = NewAudit { action: "store_reconciled".to_owned(), ..last(&life.store).await };
    life.machine.sleeps(Duration::from_secs(5));
    let row = NewAudit { at: row.at.plus(Duration::from_secs(5)), ..row };
    life.store.audit_append(row).await.unwrap();
    life.custodian.tell(&mut life.port, false).await.unwrap();
    assert_eq!(world.witness().audit().rows, 3);
}

async fn last(store: &Store) -> NewAudit {
    store.audit_rows(0, 9).await.unwrap().pop().unwrap().entry
}

#[tokio::test]
async fn m13_nothing_is_told_where_nothing_has_changed() {
    let world = World::new();
    let mut life = world.here("a.db");
    life.claims().await.unwrap();
    let told = locked(&world.namespace).told;
    for _ in 0..3 {
        life.custodian.tell(&mut life.port, false).await.unwrap();
    }
    assert_eq!(locked(&world.namespace).told, told);
    life.acts().await;
    life.custodian.tell(&mut life.port, false).await.unwrap();
    assert_eq!(locked(&world.namespace).told, told + 1);
}
