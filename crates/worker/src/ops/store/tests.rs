mod files;
mod places;

use engine::MoneyState;
use insta::assert_snapshot;
use outbox::{DeadLetterId, NewAudit};

use serde_json::Value;

use super::*;
use crate::cli::{Format, StoreBackupArgs, StoreRestoreArgs, When};
use crate::clock::Clock;
use crate::config::Environment;
use crate::ops::fixture::{self, Filled, NOW, UNRESOLVED, acting};
use crate::output::Output;

/// A store that came back from an older copy.
async fn restored() -> Filled {
    let filled = fixture::filled().await;
    let audit = NewAudit {
        at: NOW,
        by: "sari".to_owned(),
        action: "store_restored".to_owned(),
        subject: "store".to_owned(),
        reason: "copy of last night".to_owned(),
        detail: Value::Null,
    };
    filled.store.mark_reconcile(None, audit).await.unwrap();
    filled
}

async fn asked(filled: &Filled, act: ActArgs, format: Format) -> (Result<Exit, CommandError>, String, String) {
    done(filled, StoreCommand::Reconciled(act), format).await
}

async fn done(filled: &Filled, command: StoreCommand, format: Format) -> (Result<Exit, CommandError>, String, String) {
    let output = Output::captured(format);
    let ended = fixture::at_desk(filled, &output, async |desk| run(&command, desk).await).await;
    (ended, output.written(), output.said())
}

#[tokio::test]
async fn m12_what_was_not_asked_about_stays_marked_and_the_mode_ends_with_a_row_in_the_trail() {
    let filled = restored().await;
    let (ended, json, said) = asked(&filled, acting(), Format::Json).await;
    ended.unwrap();
    assert_snapshot!("reconciled_json", json);
    assert_snapshot!("reconciled_said", said);
    assert_eq!(filled.store.reconcile().await.unwrap(), None);
    for job in filled.store.jobs(JobFilter::default(), None, 9).await.unwrap().items {
        let may_be_sent = ["ready", "inquired"].contains(&job.state());
        assert!(!may_be_sent, "{} is asked about first", job.partner_reference_no());
    }
    let letter = filled.store.dead_letter(&DeadLetterId::new(UNRESOLVED)).await.unwrap().unwrap();
    assert_eq!((letter.closed, letter.money_state), (None, MoneyState::MaybeSent));
    let last = filled.store.audit_rows(1, 9).await.unwrap();
    assert_eq!((last.len(), last[0].entry.action.as_str()), (1, "store_reconciled"));
}

#[tokio::test]
async fn a_dry_run_marks_nothing_and_a_store_that_knows_everything_has_nothing_to_leave() {
    let filled = restored().await;
    let (ended, _, _) = asked(&filled, ActArgs { dry_run: true, ..acting() }, Format::Table).await;
    ended.unwrap();
    assert!(filled.store.reconcile().await.unwrap().is_some());
    let whole = fixture::filled().await;
    let (ended, _, said) = asked(&whole, acting(), Format::Table).await;
    ended.unwrap();
    assert_eq!(said, "the store is not in this mode: it knows of everything that was done\n");
    assert!(whole.store.audit_rows(0, 9).await.unwrap().is_empty());
}

fn put_back(copied_at: Option<When>, act: ActArgs) -> StoreCommand {
    StoreCommand::Restored(StoreRestoredArgs { copied_at, act })
}

#[tokio::test]
async fn m12_an_operator_says_that_the_store_was_put_back_and_every_job_is_asked_about() {
    let filled = fixture::filled().await;
    let (ended, json, said) = done(&filled, put_back(None, acting()), Format::Json).await;
    ended.unwrap();
    assert_snapshot!("restored_json", json);
    assert_snapshot!("restored_said", said);
    let mark = filled.store.reconcile().await.unwrap().unwrap();
    assert_eq!((mark.since, mark.known_until), (NOW, filled.store.known_until(None).await.unwrap()));
    let rows = filled.store.audit_rows(0, 9).await.unwrap();
    assert_eq!((rows.len(), rows[0].entry.action.as_str()), (1, "store_restored"));
    assert_eq!(rows[0].entry.reason, "provider says so, INC-7");

    let (ended, again, _) = done(&filled, put_back(None, acting()), Format::Table).await;
    ended.unwrap();
    assert_eq!(again, "every job is asked about before anything is sent: start the worker\n");
    assert_eq!(filled.store.reconcile().await.unwrap(), Some(mark), "said once more it is the same");
}

#[tokio::test]
async fn m12_the_time_of_the_copy_is_taken_where_a_worker_has_run_on_it_since() {
    let filled = fixture::filled().await;
    let copied_at = Some(When::At(fixture::START));
    let dry = put_back(copied_at, ActArgs { dry_run: true, ..acting() });
    let (ended, json, _) = done(&filled, dry, Format::Json).await;
    ended.unwrap();
    let told: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(told["knownUntil"], fixture::START.to_rfc3339());
    assert_eq!((&told["changed"], filled.store.reconcile().await.unwrap()), (&Value::Bool(false), None));
    done(&filled, put_back(copied_at, acting()), Format::Json).await.0.unwrap();
    assert_eq!(filled.store.reconcile().await.unwrap().unwrap().known_until, Some(fixture::START));

    // What was taken in since then is marked with it.
    done(&filled, StoreCommand::Reconciled(acting()), Format::Json).await.0.unwrap();
    let letter = filled.store.dead_letter(&DeadLetterId::new(UNRESOLVED)).await.unwrap().unwrap();
    let dead = filled.store.job(letter.job.unwrap()).await.unwrap().unwrap();
    assert!(dead.accepted_at > fixture::START);
    assert_eq!(dead.job.evidence.first_sent_at, Some(fixture::START));
}

/// The configuration of the desk, with this store.
fn config_of(filled: &Filled) -> crate::config::Config {
    let mut config = fixture::config();
    config.store.path.clone_from(&filled.path);
    config
}

async fn put_in_place(filled: &Filled, from: &std::path::Path, act: ActArgs) -> (Result<(), CommandError>, Value) {
    let (output, environment) = (Output::captured(Format::Json), Environment::from_iter([("USER", "sari")]));
    let args = StoreRestoreArgs { from: from.to_owned(), act };
    let ended = restore::run(&args, &config_of(filled), &Clock::start(), &environment, &output).await;
    (ended, serde_json::from_str(&output.written()).unwrap_or_default())
}

fn back_up(filled: &Filled, to: &std::path::Path) -> Value {
    let output = Output::captured(Format::Json);
    let args = StoreBackupArgs { to: to.to_owned() };
    backup::run(&args, &config_of(filled), &Clock::start(), &output).unwrap();
    serde_json::from_str(&output.written()).unwrap()
}

#[tokio::test]
async fn m12_a_backup_is_put_back_with_a_row_in_the_trail_and_what_was_there_is_kept() {
    let filled = fixture::filled().await;
    let to = filled.path.with_file_name("backup.db");
    let told = back_up(&filled, &to);
    assert_eq!((&told["jobs"], &told["deadLetters"]), (&5.into(), &3.into()), "{told}");
    let (ended, _) = put_in_place(&filled, &to, acting()).await;
    assert_eq!(ended.unwrap_err().exit(), Exit::Refused, "this test has the store open");
    filled.store.close().await;

    let (ended, dry) = put_in_place(&filled, &to, ActArgs { dry_run: true, ..acting() }).await;
    ended.unwrap();
    assert_eq!((&dry["changed"], &dry["keptAs"]), (&false.into(), &Value::Null), "{dry}");
    let (ended, told) = put_in_place(&filled, &to, acting()).await;
    ended.unwrap();
    assert_eq!((&told["marked"], &told["amount"]), (&dry["marked"], &dry["amount"]), "{told}");
    let kept = told["keptAs"].as_str().unwrap();
    assert!(std::path::Path::new(kept).exists(), "{told}");
    let opened = outbox::Store::open(&filled.path, NOW, &outbox::OpenOptions::default()).unwrap();
    let cause = opened.reconcile.unwrap().reason;
    assert!(cause.ends_with("backup.db was put back"), "{cause}");
    let rows = opened.store.audit_rows(0, 9).await.unwrap();
    assert_eq!((rows.len(), rows[0].entry.action.as_str()), (1, "store_restored"));
    opened.store.close().await;
}

#[tokio::test]
async fn what_a_file_has_and_who_holds_it_is_told() {
    let filled = fixture::filled().await;
    let (ended, json, _) = done(&filled, StoreCommand::Info, Format::Json).await;
    ended.unwrap();
    let told: Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&told["jobs"], &told["held"], &told["asking"]), (&5.into(), &false.into(), &Value::Null), "{told}");
    let (ended, text, _) = done(&restored().await, StoreCommand::Info, Format::Table).await;
    ended.unwrap();
    assert!(text.contains("asks first  since "), "{text}");
}

#[tokio::test]
async fn of_an_empty_store_nobody_can_say_what_it_knows_and_it_is_said() {
    let empty = fixture::empty();
    let (ended, json, said) = done(&empty, put_back(None, acting()), Format::Json).await;
    ended.unwrap();
    assert_eq!(serde_json::from_str::<Value>(&json).unwrap()["knownUntil"], Value::Null);
    assert!(said.contains("nobody can say until when it knows every key"), "{said}");
}

#[tokio::test]
async fn m17_what_a_wrong_clock_noted_is_put_right_by_an_operator_who_is_told_of_what_expired() {
    let filled = fixture::filled().await;
    let command = |dry_run| {
        let act = ActArgs { dry_run, ..acting() };
        StoreCommand::ClockCorrected(crate::cli::StoreClockArgs { wrong_since: When::At(fixture::START), act })
    };
    let before = filled.store.jobs(JobFilter::default(), None, 9).await.unwrap().items;
    let (ended, json, said) = done(&filled, command(true), Format::Json).await;
    ended.unwrap();
    let told: Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&told["jobs"], &told["expired"], &told["changed"]), (&2.into(), &0.into(), &false.into()), "{said}");
    assert_eq!(filled.store.jobs(JobFilter::default(), None, 9).await.unwrap().items, before);

    let (ended, json, _) = done(&filled, command(false), Format::Json).await;
    ended.unwrap();
    assert_eq!(serde_json::from_str::<Value>(&json).unwrap()["changed"], true);
    let letter = filled.store.dead_letter(&DeadLetterId::new(UNRESOLVED)).await.unwrap().unwrap();
    let job = filled.store.job(letter.job.unwrap()).await.unwrap().unwrap();
    // Nobody knows when it was first sent: a replay is refused, a check still asks.
    let rules = crate::replay::Rules::of(&fixture::config());
    let verdict = crate::replay::verdict(&letter, Some(&job), &rules, NOW);
    assert!(verdict.refusal().is_some_and(|why| why.contains("nobody knows when")), "{verdict:?}");
    let trail = filled.store.audit_rows(0, 9).await.unwrap();
    assert_eq!(trail.last().map(|row| row.entry.action.as_str()), Some("clock_corrected"));
}
