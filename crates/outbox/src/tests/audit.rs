//! The audit trail.

use super::*;

async fn trail() -> Fixture {
    let fixture = Fixture::new();
    for action in ["a", "b", "c"] {
        fixture.store.audit_append(audit_entry(action)).await.unwrap();
    }
    fixture
}

#[tokio::test]
async fn the_chain_holds_and_its_head_moves_with_every_row() {
    let fixture = trail().await;
    let head = fixture.store.audit_verify().await.unwrap().unwrap();
    let rows = fixture.store.audit_rows(0, 9).await.unwrap();
    assert_eq!((head.rows, &head.hash), (3, &rows[2].hash));
    assert_eq!(rows.iter().map(|row| row.seq).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(rows[1].entry, audit_entry("b"));
    assert_eq!(fixture.store.audit_rows(2, 9).await.unwrap(), rows[2..]);
    let empty = Fixture::new().store.audit_verify().await.unwrap().unwrap();
    assert_eq!(empty, AuditHead { rows: 0, hash: "0".repeat(64) });
}

#[tokio::test]
async fn a_changed_row_a_missing_row_and_a_missing_end_are_found() {
    for (tampering, fault) in [
        ("UPDATE audit SET reason = 'none' WHERE seq = 2", AuditFault::Changed { seq: 2 }),
        ("UPDATE audit SET at = at + 1 WHERE seq = 1", AuditFault::Changed { seq: 1 }),
        ("UPDATE audit SET by = 'sarid', action = 'c' WHERE seq = 3", AuditFault::Changed { seq: 3 }),
        ("DELETE FROM audit WHERE seq = 2", AuditFault::Missing { seq: 2 }),
        ("DELETE FROM audit WHERE seq = 3", AuditFault::Missing { seq: 3 }),
        (
            "INSERT INTO audit SELECT 4, at, by, action, subject, reason, detail, hash FROM audit WHERE seq = 3",
            AuditFault::Changed { seq: 4 },
        ),
        ("UPDATE meta SET audit_hash = zeroblob(32)", AuditFault::Changed { seq: 3 }),
        ("UPDATE meta SET audit_rows = 2", AuditFault::Changed { seq: 3 }),
    ] {
        let fixture = trail().await;
        raw(&fixture.path()).execute_batch(tampering).unwrap();
        assert_eq!(fixture.store.audit_verify().await.unwrap(), Err(fault), "{tampering}");
    }
}

#[tokio::test]
async fn the_trail_is_filtered_and_paged_from_either_end() {
    let fixture = trail().await;
    fixture.store.audit_append(NewAudit { by: "budi".to_owned(), at: t(60), ..audit_entry("b") }).await.unwrap();
    let seqs = |page: &Page<AuditRow, u64>| page.items.iter().map(|row| row.seq).collect::<Vec<_>>();
    let all = AuditFilter::default;
    let page = fixture.store.audit(all(), None, 3).await.unwrap();
    assert_eq!((seqs(&page), page.next), (vec![4, 3, 2], Some(2)));
    let page = fixture.store.audit(all(), page.next, 3).await.unwrap();
    assert_eq!((seqs(&page), page.next), (vec![1], None));
    let found = async |filter| seqs(&fixture.store.audit(filter, None, 9).await.unwrap());
    assert_eq!(found(AuditFilter { oldest_first: true, ..all() }).await, [1, 2, 3, 4]);
    assert_eq!(found(AuditFilter { action: Some("b".to_owned()), ..all() }).await, [4, 2]);
    assert_eq!(found(AuditFilter { since: Some(t(60)), ..all() }).await, [4]);
    assert_eq!(found(AuditFilter { until: Some(t(60)), by: Some("budi".to_owned()), ..all() }).await, [0; 0]);
}
