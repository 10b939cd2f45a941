//! A store that has noted a namespace, and is to work on another one or without a broker.

use super::super::note::{Note, elsewhere};
use super::*;
use crate::ops::fixture;

const SINCE: Timestamp = Timestamp::from_millis(1_795_000_000_000);

/// A store with jobs that was the custodian of `topup`.
fn its_own() -> Note {
    let mark = Mark::new("0123456789abcdef", SINCE, SINCE).to_string();
    Note { namespace: "topup".to_owned(), mark, ..Note::default() }
}

async fn told(store: &Store, note: &Note, configured: Option<&str>) -> Option<String> {
    store.note_custody(note.text()).await.unwrap();
    elsewhere(store, configured).await.unwrap().map(|error| {
        assert!(error.is_final());
        error.to_string()
    })
}

#[tokio::test]
async fn m13_c1_a_store_that_holds_jobs_may_work_on_the_namespace_that_it_has_noted_and_on_no_other() {
    let filled = fixture::filled().await;
    let store = &filled.store;
    for configured in [None, Some("topup"), Some("other")] {
        assert_eq!(elsewhere(store, configured).await.unwrap(), None, "it never had a namespace");
    }
    assert_eq!(told(store, &its_own(), Some("topup")).await, None);
    for (configured, words) in [(Some("other"), "names namespace other"), (None, "names no broker")] {
        let told = told(store, &its_own(), configured).await.unwrap();
        assert!(told.contains("belongs to namespace topup since 2026-11-18") && told.contains(words), "{told}");
    }
    // Where the mark was cut, or a twin had the namespace, nobody can say since when.
    let beside = Note { mark: String::new(), beside: Some("another".to_owned()), ..its_own() };
    let beside = told(store, &beside, Some("other")).await.unwrap();
    assert!(beside.contains("belongs to namespace topup, and holds"), "{beside}");
    let refused = Note { mark: String::new(), refused_at: Some(SINCE.as_millis()), ..its_own() };
    let refused = told(store, &refused, None).await.unwrap();
    assert!(refused.contains("was refused namespace topup at 2026-11-18"), "{refused}");
    // Once it was its own it is, whatever was before.
    let both = Note { refused_at: Some(0), ..its_own() };
    assert!(told(store, &both, None).await.unwrap().contains("since 2026-11-18"));
    // An operator's word for no broker leaves no namespace.
    assert_eq!(told(store, &Note::default(), None).await, None);
    assert_eq!(told(store, &Note::default(), Some("other")).await, None);
}

#[tokio::test]
async fn m13_c1_a_store_that_holds_nothing_goes_where_it_is_told() {
    let empty = fixture::empty();
    for configured in [None, Some("topup"), Some("other")] {
        assert_eq!(told(&empty.store, &its_own(), configured).await, None);
    }
}

/// Puts the fixture's jobs into the world, as a store of its own.
async fn with_jobs(world: &World, name: &str) {
    let filled = fixture::filled().await;
    filled.store.close().await;
    for suffix in ["", ".lock"] {
        let from = format!("{}{suffix}", filled.path.display());
        std::fs::copy(from, world.path(&format!("{name}{suffix}"))).unwrap();
    }
}

#[tokio::test]
async fn m13_c1_a_store_with_jobs_notes_that_it_was_refused_and_a_new_one_does_not() {
    let world = World::new();
    let mut first = world.here("a.db");
    first.claims().await.unwrap();
    with_jobs(&world, "b.db").await;
    let (mut holds, mut new) = (world.here("b.db"), world.here("c.db"));
    for life in [&mut holds, &mut new] {
        assert!(matches!(life.claims().await.unwrap_err(), CustodyError::Foreign { .. }));
    }
    assert_eq!(elsewhere(&new.store, Some("other")).await.unwrap(), None);
    let refused = elsewhere(&holds.store, Some("other")).await.unwrap().unwrap().to_string();
    assert!(refused.contains("was refused namespace topup at"), "{refused}");
    assert_eq!(elsewhere(&holds.store, Some("topup")).await.unwrap(), None, "there it asks again");
    let commits = holds.store.standing().await.unwrap().commits;
    holds.claims().await.unwrap_err();
    assert_eq!(holds.store.standing().await.unwrap().commits, commits, "it is noted once");

    // The namespace is let go, and is its own from then on.
    *locked(&world.namespace) = Namespace::default();
    holds.claims().await.unwrap();
    let belongs = elsewhere(&holds.store, None).await.unwrap().unwrap().to_string();
    assert!(belongs.contains("belongs to namespace topup since 2026"), "{belongs}");
}

#[tokio::test]
async fn m13_c1_a_mark_of_nobody_that_is_known_is_a_refusal_too() {
    let world = World::new();
    locked(&world.namespace).mark = Some("topup.unrouted".to_owned());
    with_jobs(&world, "a.db").await;
    let mut life = world.here("a.db");
    assert!(matches!(life.claims().await.unwrap_err(), CustodyError::Unknown { .. }));
    assert!(elsewhere(&life.store, None).await.unwrap().is_some());
}
