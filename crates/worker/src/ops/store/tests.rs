use engine::MoneyState;
use insta::assert_snapshot;
use outbox::{DeadLetterId, NewAudit};

use super::*;
use crate::cli::Format;
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
    filled.store.mark_reconcile(audit).await.unwrap();
    filled
}

async fn asked(filled: &Filled, act: ActArgs, format: Format) -> (Result<Exit, CommandError>, String, String) {
    let output = Output::captured(format);
    let command = StoreCommand::Reconciled(act);
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
