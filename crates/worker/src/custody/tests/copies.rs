//! What a copy is told of its past: by a twin that lets go at the last moment, by a witness that an operator knows of.

use outbox::Reconcile;

use super::*;

/// The twin dies while this one still tries: what it did last is in no witness.
#[tokio::test(start_paused = true)]
async fn m13_a_twin_that_lets_go_within_the_tries_is_noted_all_the_same() {
    for in_order in [false, true] {
        let world = World::new();
        let mut first = world.life("a.db", Some(Process::default()));
        first.claims().await.unwrap();
        first.store.close().await;
        for file in ["a.db", "a.db.lock"] {
            std::fs::copy(world.path(file), world.path(&format!("copy-of-{file}"))).unwrap();
        }
        let mut copy = world.life("copy-of-a.db", Some(Process::default()));
        let lets_go = async {
            tokio::time::sleep(HOLD_PAUSE / 2).await;
            let mut namespace = locked(&world.namespace);
            let told = Witness::parse(namespace.witness.as_ref().unwrap()).unwrap();
            namespace.witness = Some(Witness { stopped: in_order, ..told }.body());
            namespace.held_by = None;
        };
        let (claimed, ()) = tokio::join!(copy.custodian.claim(&mut copy.port), lets_go);
        claimed.unwrap();
        let mark = copy.custodian.restored.mark();
        assert_eq!(mark.is_none(), in_order, "{mark:?}");
        assert!(mark.is_none_or(|mark| mark.reason.contains("a moment ago")));
    }
}

/// A backup that an operator has put back: the witness knows of more, and that is what the operator said.
#[tokio::test]
async fn m13_a_store_that_an_operator_has_put_back_keeps_the_operators_reason() {
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

    world.machine.sleeps(Duration::from_secs(60));
    let copy = world.here("copy-of-a.db");
    let row = NewAudit { at: copy.clock.now(), ..row_of("store_restored") };
    copy.store.mark_reconcile(None, row).await.unwrap();
    copy.store.close().await;
    world.machine.sleeps(Duration::from_secs(1));
    let mut copy = world.here("copy-of-a.db");
    copy.claims().await.unwrap();
    let mark = copy.custodian.restored.mark().unwrap();
    assert_eq!(mark.reason, outbox::SAID_SO);
    let kept: Option<Reconcile> = copy.store.reconcile().await.unwrap();
    assert_eq!(kept.as_ref(), Some(&*mark));

    // Whatever works under its name after that is news.
    copy.store.close().await;
    world.connection_is_lost();
    world.machine.sleeps(Duration::from_secs(60));
    let theirs = Witness { instance: "another".to_owned(), at: copy.clock.now().as_millis(), ..world.witness() };
    locked(&world.namespace).witness = Some(theirs.body());
    let mut again = world.here("copy-of-a.db");
    again.claims().await.unwrap();
    let mark = again.custodian.restored.mark().unwrap();
    assert!(mark.reason.contains("one of both is a copy"), "{}", mark.reason);
}

fn row_of(action: &str) -> NewAudit {
    let [by, action, subject, reason] = ["sari", action, "store", "why"].map(str::to_owned);
    NewAudit { at: Timestamp::from_millis(0), by, action, subject, reason, detail: json!({}) }
}
