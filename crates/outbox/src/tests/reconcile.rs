//! M12: a store that may have forgotten something says so.

use std::fs;

use super::*;

fn wal(path: &Path) -> PathBuf {
    PathBuf::from(format!("{}-wal", path.display()))
}

/// Copies the store's files as they are, as after a power loss at this moment. The side file stays behind.
fn image(from: &Path, to: &Path, with_wal: bool) {
    fs::copy(from, to).unwrap();
    if with_wal {
        fs::copy(wal(from), wal(to)).unwrap();
    }
    fs::copy(format!("{}.lock", from.display()), format!("{}.lock", to.display())).unwrap();
}

#[tokio::test]
async fn m12_an_older_copy_put_back_starts_in_reconcile_mode_until_an_operator_clears_it() {
    let fixture = Fixture::new();
    fixture.driven("ref-1").await;
    fixture.store.close().await;
    let copy = fixture.dir.path().join("backup");
    fs::copy(fixture.path(), &copy).unwrap();

    let store = Store::open(&fixture.path(), t(0), &options()).unwrap().store;
    store.accept(vec![new_job("ref-2")]).await.unwrap();
    store.close().await;
    let newer = fs::read(fixture.path()).unwrap();

    fs::copy(&copy, fixture.path()).unwrap();
    let opened = Store::open(&fixture.path(), t(7), &options()).unwrap();
    let mark = opened.reconcile.unwrap();
    assert_eq!(mark.since, t(7));
    assert!(mark.reason.contains("1 commits of 2"), "{}", mark.reason);
    opened.store.close().await;

    // It stands over restarts and for every process.
    let opened = Store::open(&fixture.path(), t(8), &OpenOptions::default()).unwrap();
    assert_eq!(opened.reconcile, Some(mark));
    opened.store.close().await;

    // The newer file put back in its turn does not know what happened meanwhile.
    fs::write(fixture.path(), newer).unwrap();
    let opened = Store::open(&fixture.path(), t(9), &options()).unwrap();
    assert!(opened.reconcile.is_some());
    opened.store.clear_reconcile(audit_entry("reconcile_clear")).await.unwrap();
    assert_eq!(opened.store.reconcile().await.unwrap(), None);
    opened.store.close().await;
    let opened = Store::open(&fixture.path(), t(9), &options()).unwrap();
    assert!(opened.reconcile.is_none());
    opened.store.mark_reconcile(None, audit_entry("reconcile_mark")).await.unwrap();
    assert!(opened.store.reconcile().await.unwrap().is_some());
}

#[tokio::test]
async fn m12_a_store_without_its_wal_starts_in_reconcile_mode() {
    let fixture = Fixture::new();
    fixture.driven("ref-1").await;
    assert!(fs::metadata(wal(&fixture.path())).unwrap().len() > 0);
    let whole = fixture.dir.path().join("whole.db");
    image(&fixture.path(), &whole, true);
    let cut = fixture.dir.path().join("cut.db");
    image(&fixture.path(), &cut, false);

    let opened = Store::open(&whole, t(1), &options()).unwrap();
    assert!(opened.reconcile.is_none(), "a crash is no restore");
    assert!(opened.store.find(&reference("ref-1")).await.unwrap().is_some());
    assert!(Store::open(&cut, t(1), &options()).unwrap().reconcile.is_some());
}

#[tokio::test]
async fn m12_one_flipped_bit_in_the_wal_is_noticed_though_sqlite_finds_nothing_wrong() {
    let fixture = Fixture::new();
    for n in 0..20 {
        fixture.driven(&format!("ref-{n}")).await;
    }
    let image_path = fixture.dir.path().join("image.db");
    image(&fixture.path(), &image_path, true);
    let mut bytes = fs::read(wal(&image_path)).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(wal(&image_path), bytes).unwrap();
    let opened = Store::open(&image_path, t(1), &options()).unwrap();
    assert!(opened.reconcile.unwrap().reason.contains("an older copy, or its -wal file was lost"));
}

#[tokio::test]
async fn m12_a_lost_store_a_lost_side_file_and_another_store_s_file_are_noticed() {
    let lost = Fixture::new();
    lost.driven("ref-1").await;
    lost.store.close().await;
    fs::remove_file(lost.path()).unwrap();
    let opened = Store::open(&lost.path(), t(1), &options()).unwrap();
    assert!(opened.created);
    assert!(opened.reconcile.unwrap().reason.starts_with("another store stood here"));

    let sideless = Fixture::new();
    sideless.driven("ref-1").await;
    sideless.store.close().await;
    fs::remove_file(format!("{}.lock", sideless.path().display())).unwrap();
    // Whoever opens it first marks it.
    let opened = Store::open(&sideless.path(), t(1), &OpenOptions::default()).unwrap();
    assert_eq!(opened.reconcile.unwrap().reason, "its side file is missing");
    opened.store.close().await;
    assert!(Store::open(&sideless.path(), t(1), &options()).unwrap().reconcile.is_some());
}

#[tokio::test]
async fn a_new_store_and_one_used_by_commands_beside_a_worker_are_whole() {
    let fixture = Fixture::new();
    let beside = fixture.beside();
    for n in 0..10 {
        fixture.driven(&format!("ref-{n}")).await;
        beside.audit_append(audit_entry("a")).await.unwrap();
    }
    assert_eq!(fixture.beside().reconcile().await.unwrap(), None);
    beside.close().await;
    let (_fixture, opened) = fixture.reopened().await;
    assert!(opened.reconcile.is_none());
}

#[tokio::test]
async fn m12_a_copy_put_back_while_the_store_asks_first_is_asked_about_anew() {
    // Found by the model: asked about after the first restore and found unpaid, copied, sent and paid, the copy put back.
    // With the time of the first restore the job counts as asked about, and is sent again.
    let fixture = Fixture::new();
    fixture.driven("ref-1").await;
    fixture.store.close().await;
    fs::remove_file(format!("{}.lock", fixture.path().display())).unwrap();
    let opened = Store::open(&fixture.path(), t(5), &options()).unwrap();
    assert_eq!(opened.reconcile.unwrap().since, t(5));
    opened.store.close().await;
    let copy = fixture.dir.path().join("backup");
    fs::copy(fixture.path(), &copy).unwrap();

    let store = Store::open(&fixture.path(), t(6), &options()).unwrap().store;
    store.accept(vec![new_job("ref-2")]).await.unwrap();
    store.close().await;
    fs::copy(&copy, fixture.path()).unwrap();
    let opened = Store::open(&fixture.path(), t(9), &options()).unwrap();
    assert_eq!(opened.reconcile.unwrap().since, t(9));
    opened.store.close().await;
    let opened = Store::open(&fixture.path(), t(10), &options()).unwrap();
    assert_eq!(opened.reconcile.unwrap().since, t(9), "a restart is no restore");
    opened.store.mark_reconcile(None, audit_entry("reconcile_mark")).await.unwrap();
    assert_ne!(
        opened.store.reconcile().await.unwrap().unwrap().since,
        t(9),
        "nor is a restore that only a person knows of lost"
    );
}

/// A closed store with a job accepted at each of these times.
async fn closed_with(accepted: &[i64]) -> Fixture {
    let fixture = Fixture::new();
    for &at in accepted {
        fixture.accept_one(NewJob { at: t(at), ..new_job(&format!("ref-{at}")) }).await;
    }
    fixture.store.close().await;
    fixture
}

fn put_back(fixture: &Fixture, now: i64, with_side_file: bool) -> Opened {
    if !with_side_file {
        fs::remove_file(format!("{}.lock", fixture.path().display())).unwrap();
    }
    Store::open(&fixture.path(), t(now), &options()).unwrap()
}

#[tokio::test]
async fn m12_the_mark_says_until_when_the_copy_knows_every_key() {
    let fixture = closed_with(&[3, 5]).await;
    let opened = put_back(&fixture, 100, false);
    let mark = opened.reconcile.unwrap();
    assert_eq!((mark.since, mark.known_until, mark.unknown_since()), (t(100), Some(t(5)), t(5)));

    // In the mode it takes in a key that the copy did not know; a second restore knows no more than the first.
    opened.store.accept(vec![NewJob { at: t(110), ..new_job("ref-110") }]).await.unwrap();
    opened.store.close().await;
    let opened = put_back(&fixture, 120, false);
    let mark = opened.reconcile.unwrap();
    assert_eq!((mark.since, mark.known_until), (t(120), Some(t(5))));
    let marked =
        opened.store.mark_reconcile(None, NewAudit { at: t(130), ..audit_entry("store_restored") }).await.unwrap();
    assert_eq!((marked.since, marked.known_until), (t(130), Some(t(5))));

    // Once an operator has ended it, that is over.
    opened.store.clear_reconcile(audit_entry("store_reconciled")).await.unwrap();
    opened.store.close().await;
    let opened = put_back(&fixture, 140, false);
    assert_eq!(opened.reconcile.unwrap().known_until, Some(t(110)));
}

#[tokio::test]
async fn m12_an_empty_store_and_another_s_know_no_key() {
    let lost = closed_with(&[3]).await;
    fs::remove_file(lost.path()).unwrap();
    let mark = put_back(&lost, 100, true).reconcile.unwrap();
    assert_eq!((mark.known_until, mark.unknown_since()), (None, Timestamp::from_millis(0)));

    let (here, other) = (closed_with(&[3]).await, closed_with(&[3, 5, 7]).await);
    fs::copy(other.path(), here.path()).unwrap();
    let opened = put_back(&here, 100, true);
    let mark = opened.reconcile.unwrap();
    assert!(mark.reason.starts_with("another store stood here"), "{}", mark.reason);
    assert_eq!(mark.known_until, None, "what was sent by the other is in none of its jobs");
    let marked = opened.store.mark_reconcile(Some(t(5)), audit_entry("store_restored")).await.unwrap();
    assert_eq!(marked.known_until, None, "and an operator's word is about this one");
}

#[tokio::test]
async fn m12_a_copy_that_left_no_trace_is_marked_by_an_operator_with_a_row_in_the_trail() {
    let fixture = closed_with(&[3, 5]).await;
    let opened = put_back(&fixture, 100, true);
    assert_eq!(opened.reconcile, None, "nothing tells of it");
    let store = opened.store;
    let trail = store.audit_rows(0, 9).await.unwrap().len();
    for (copied_at, known_until) in [(Some(t(4)), t(4)), (Some(t(50)), t(5)), (None, t(5))] {
        assert_eq!(store.known_until(copied_at).await.unwrap(), Some(known_until));
    }
    let audit = NewAudit { at: t(100), ..audit_entry("store_restored") };
    let marked = store.mark_reconcile(Some(t(4)), audit.clone()).await.unwrap();
    assert_eq!((marked.since, marked.known_until), (t(100), Some(t(4))));
    assert_eq!(store.reconcile().await.unwrap(), Some(marked.clone()));
    assert_eq!(store.mark_reconcile(None, audit).await.unwrap(), marked, "said once more it is the same");
    assert_eq!(store.audit_rows(0, 9).await.unwrap().len(), trail + 2);
}

#[tokio::test]
async fn m12_what_was_refused_before_a_restore_counts_as_perhaps_sent_after_the_mode_too() {
    let fixture = closed_with(&[5]).await;
    let store = put_back(&fixture, 100, true).store;
    assert_eq!(store.perhaps_sent(t(2)).await.unwrap().map(|sent| sent.since), None);
    store.mark_reconcile(None, NewAudit { at: t(100), ..audit_entry("store_restored") }).await.unwrap();
    assert_eq!(
        store.perhaps_sent(t(2)).await.unwrap().map(|sent| sent.since),
        Some(t(2)),
        "replayed at once, and forgotten"
    );
    assert_eq!(
        store.perhaps_sent(t(150)).await.unwrap().map(|sent| sent.since),
        Some(t(5)),
        "its key may have come before"
    );
    store.clear_reconcile(audit_entry("store_reconciled")).await.unwrap();
    assert_eq!(store.perhaps_sent(t(2)).await.unwrap().map(|sent| sent.since), Some(t(2)));
    assert_eq!(store.perhaps_sent(t(150)).await.unwrap().map(|sent| sent.since), None);
}

#[tokio::test]
async fn m12_a_mark_is_later_than_all_that_the_copy_knows_whatever_the_clock_says() {
    let fixture = Fixture::new();
    let job = fixture.driven("ref-1").await;
    let mut record = Record::new(job.id, job.version, job.job.clone(), t(5_000));
    record.job.evidence.last_ended_at = Some(t(5_000));
    record.history = vec![HistoryEntry { at: t(5_000), ..entry("top_up_not_executed") }];
    record.due_at = Some(t(5_000));
    fixture.store.record(record).await.unwrap();
    fixture.store.close().await;
    let copy = fixture.dir.path().join("backup");
    fs::copy(fixture.path(), &copy).unwrap();
    let store = Store::open(&fixture.path(), t(0), &options()).unwrap().store;
    store.accept(vec![new_job("ref-2")]).await.unwrap();
    store.close().await;
    fs::copy(&copy, fixture.path()).unwrap();
    // The clock of this machine is right; that of the first was four seconds ahead.
    let opened = Store::open(&fixture.path(), t(1_000), &options()).unwrap();
    let since = opened.reconcile.unwrap().since;
    let job = opened.store.job(job.id).await.unwrap().unwrap();
    assert!(job.job.evidence.last_ended_at.unwrap() < since, "it is asked about");
    assert_eq!(opened.newest, Some(t(5_000)));
}

#[tokio::test]
async fn m12_a_side_file_that_lagged_behind_is_brought_up_so_that_an_older_copy_is_noticed() {
    let fixture = Fixture::new();
    let side = format!("{}.lock", fixture.path().display());
    fixture.driven("ref-1").await;
    fixture.store.close().await;
    let (copy, noted) = (fs::read(fixture.path()).unwrap(), fs::read(&side).unwrap());
    let store = Store::open(&fixture.path(), t(1), &options()).unwrap().store;
    store.accept(vec![new_job("ref-2")]).await.unwrap();
    store.close().await;

    // The number of a commit need not outlive a power loss.
    fs::write(&side, noted).unwrap();
    let opened = Store::open(&fixture.path(), t(2), &options()).unwrap();
    assert!(opened.reconcile.is_none(), "nothing is missing");
    opened.store.close().await;

    fs::write(fixture.path(), copy).unwrap();
    assert!(Store::open(&fixture.path(), t(3), &options()).unwrap().reconcile.is_some());
}

#[tokio::test]
async fn m12_a_copy_put_where_an_empty_store_stood_is_noticed_though_it_looks_empty_too() {
    let (empty, used, fresh) = (Fixture::new(), Fixture::new(), Fixture::new());
    used.driven("ref-1").await;
    for fixture in [&empty, &used, &fresh] {
        fixture.store.close().await;
    }
    fs::copy(fresh.path(), empty.path()).unwrap();
    let opened = Store::open(&empty.path(), t(1), &options()).unwrap();
    assert!(opened.reconcile.is_some(), "its commits may be in a log that was left behind");
    opened.store.close().await;
    fs::copy(used.path(), fresh.path()).unwrap();
    let mark = Store::open(&fresh.path(), t(1), &options()).unwrap().reconcile.unwrap();
    assert!(mark.reason.starts_with("another store stood here"), "{}", mark.reason);
}
