//! M13: what the store knows of its custody, and a store that is behind what is witnessed of it.

use std::time::Duration;

use super::*;

fn behind(at: i64, settled_at: i64, beyond: u64) -> Behind {
    Behind {
        at: t(at),
        settled_at: t(settled_at),
        reason: "the witness knows of more".to_owned(),
        known_until: None,
        beyond,
        custody: "{\"instances\":[\"b\"]}".to_owned(),
    }
}

#[tokio::test]
async fn m13_a_store_says_which_it_is_how_far_it_has_come_and_what_was_noted_of_its_custody() {
    let fixture = Fixture::new();
    let fresh = fixture.store.standing().await.unwrap();
    assert_eq!((fresh.store_id.len(), fresh.commits, fresh.custody, fresh.oldest), (16, 0, None, None));
    assert_eq!(fresh.audit, fixture.store.audit_verify().await.unwrap().unwrap());
    fixture.store.accept(vec![new_job("ref-1")]).await.unwrap();
    fixture.store.audit_append(audit_entry("a")).await.unwrap();
    fixture.store.note_custody("noted".to_owned()).await.unwrap();
    let later = fixture.store.standing().await.unwrap();
    assert_eq!((&later.store_id, later.commits, later.custody.as_deref()), (&fresh.store_id, 3, Some("noted")));
    assert_eq!(later.audit, fixture.store.audit_verify().await.unwrap().unwrap());
    assert!(later.oldest.is_some());
}

#[tokio::test]
async fn m13_a_store_that_is_behind_the_witness_asks_first_and_goes_on_beyond_it() {
    let fixture = Fixture::new();
    fixture.store.accept(vec![new_job("ref-1")]).await.unwrap();
    let mark = fixture.store.fell_behind(behind(50, 900, 40)).await.unwrap();
    assert_eq!((mark.since, mark.known_until), (t(900), reconcile_newest(&fixture).await));
    assert_eq!(mark.asks_at(t(60)), t(900), "what still runs elsewhere may send until then");
    assert_eq!(mark.asks_at(t(950)), t(950));
    let standing = fixture.store.standing().await.unwrap();
    assert_eq!((standing.commits, standing.custody), (41, Some(behind(0, 0, 0).custody)));
    fixture.store.close().await;
    let opened = Store::open(&fixture.path(), t(60), &options()).unwrap();
    assert_eq!(opened.reconcile, Some(mark), "its side file has followed");
}

async fn reconcile_newest(fixture: &Fixture) -> Option<Timestamp> {
    fixture.store.known_until(None).await.unwrap()
}

#[tokio::test]
async fn m13_what_may_still_be_sent_elsewhere_is_not_forgotten_by_another_mark() {
    let fixture = Fixture::new();
    fixture.store.accept(vec![new_job("ref-1")]).await.unwrap();
    fixture.store.fell_behind(behind(50, 900, 40)).await.unwrap();
    let mark = fixture.store.mark_reconcile(None, NewAudit { at: t(60), ..audit_entry("restored") }).await.unwrap();
    assert_eq!(mark.since, t(900).plus(Duration::from_millis(1)), "and what was asked about is asked about anew");
}

#[tokio::test]
async fn m13_an_adopted_namespace_knows_no_key_since_its_first_custodian_and_leaves_a_row() {
    let fixture = Fixture::new();
    fixture.store.accept(vec![new_job("ref-1")]).await.unwrap();
    let adoption = Adoption {
        settled_at: t(900),
        reason: "taken over".to_owned(),
        known_until: Some(t(-1000)),
        custody: "{}".to_owned(),
        audit: NewAudit { at: t(60), ..audit_entry("store_adopt") },
    };
    let mark = fixture.store.adopt(adoption).await.unwrap();
    assert_eq!((mark.since, mark.known_until), (t(900), Some(t(-1000))));
    assert_eq!(mark.perhaps_sent(), PerhapsSent { since: t(-1000), until: t(900) });
    assert_eq!(fixture.store.audit_rows(0, 9).await.unwrap().len(), 1);
    // A message that was refused before may have been replayed by the other one.
    let sent = fixture.store.perhaps_sent(t(10)).await.unwrap();
    assert_eq!(sent, Some(PerhapsSent { since: t(-1000), until: t(900) }));
    let later = t(10).plus(Duration::from_secs(3600));
    assert_eq!(fixture.store.perhaps_sent(later).await.unwrap().map(|sent| sent.until), Some(t(900)));
}

#[tokio::test]
async fn m13_the_head_of_a_trail_that_was_cut_is_not_in_it_any_more() {
    let fixture = Fixture::new();
    for action in ["a", "b", "c"] {
        fixture.store.audit_append(audit_entry(action)).await.unwrap();
    }
    let head = fixture.store.standing().await.unwrap().audit;
    assert!(fixture.store.has_audit_head(&head).await.unwrap());
    let cut = "DELETE FROM audit WHERE seq = 3; \
               UPDATE meta SET audit_rows = 2, audit_hash = (SELECT hash FROM audit WHERE seq = 2)";
    raw(&fixture.path()).execute_batch(cut).unwrap();
    assert!(fixture.store.audit_verify().await.unwrap().is_ok(), "by itself it is sound");
    assert!(!fixture.store.has_audit_head(&head).await.unwrap());
    fixture.store.audit_append(audit_entry("d")).await.unwrap();
    assert!(!fixture.store.has_audit_head(&head).await.unwrap(), "another row in its place is not it");
    assert!(fixture.store.has_audit_head(&AuditHead { rows: 0, hash: "0".repeat(64) }).await.unwrap());
}
