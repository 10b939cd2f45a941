use insta::assert_snapshot;
use snap_core::LaneFault;

use super::*;
use crate::cli::{ActArgs, Format};
use crate::ops::fixture::{self, Filled, NOW, acting};
use crate::output::Output;

async fn asked(
    filled: &Filled,
    command: ProviderCommand,
    format: Format,
) -> (Result<Exit, CommandError>, String, String) {
    let output = Output::captured(format);
    let ended = fixture::at_desk(filled, &output, async |desk| run(&command, desk).await).await;
    if format == Format::Table {
        assert!(output.written().lines().all(|line| line.chars().count() <= 100), "{}", output.written());
    }
    (ended, output.written(), output.said())
}

fn about(name: &str, act: ActArgs) -> ProviderActArgs {
    ProviderActArgs { name: name.to_owned(), act }
}

/// One lane moves, one has no money, one is not configured any more.
async fn lanes() -> Filled {
    let filled = fixture::filled().await;
    let before = |secs| NOW.minus(std::time::Duration::from_secs(secs));
    let pause = LanePause {
        cause: PauseCause::Fault(LaneFault::InsufficientFunds),
        at: before(7_200),
        probe_at: Some(NOW.plus(std::time::Duration::from_secs(95))),
    };
    filled.store.pause_lane("midtrans", pause, None).await.unwrap();
    let cause = PauseCause::Operator { by: "budi".to_owned(), reason: "contract ended".to_owned() };
    let pause = LanePause { cause, at: before(864_000), probe_at: None };
    filled.store.pause_lane("dana", pause, None).await.unwrap();
    filled
}

#[tokio::test]
async fn the_list_says_why_a_lane_stands_and_what_waits() {
    let filled = lanes().await;
    assert_snapshot!("list_table", asked(&filled, ProviderCommand::List, Format::Table).await.1);
    assert_snapshot!("list_json", asked(&filled, ProviderCommand::List, Format::Json).await.1);
}

#[tokio::test]
async fn a_pause_is_in_the_store_with_its_row_in_the_trail_and_a_resume_ends_it() {
    let filled = lanes().await;
    let (ended, written, said) = asked(&filled, ProviderCommand::Pause(about("finpay", acting())), Format::Table).await;
    assert_eq!(ended.unwrap(), Exit::Done);
    assert_eq!(written, "finpay is paused\n");
    assert!(said.contains("1 job, Rp 10,000"), "{said}");
    let lane = filled.store.lane("finpay").await.unwrap();
    let Some(LanePause { cause: PauseCause::Operator { by, reason }, at: NOW, probe_at: None }) = lane.pause else {
        panic!("{lane:?}")
    };
    assert_eq!((by.as_str(), reason.as_str()), ("sari", "provider says so, INC-7"));

    let (ended, json, _) = asked(&filled, ProviderCommand::Resume(about("finpay", acting())), Format::Json).await;
    assert_eq!(ended.unwrap(), Exit::Done);
    assert_snapshot!("resumed_json", json);
    assert_eq!(filled.store.lane("finpay").await.unwrap().pause, None);
    let trail = filled.store.audit_rows(0, 9).await.unwrap();
    let rows: Vec<_> = trail.iter().map(|row| (row.entry.action.as_str(), row.entry.subject.as_str())).collect();
    assert_eq!(rows, [("provider_pause", "finpay"), ("provider_resume", "finpay")]);
    assert_eq!(trail[0].entry.detail["waitingAmount"], "10000.00");
}

#[tokio::test]
async fn an_operator_resumes_what_a_fault_paused() {
    let filled = lanes().await;
    let (ended, _, said) = asked(&filled, ProviderCommand::Resume(about("midtrans", acting())), Format::Table).await;
    assert_eq!(ended.unwrap(), Exit::Done);
    assert!(said.contains("insufficient_funds") && said.contains("Rp 1,250,000.50"), "{said}");
    assert_eq!(filled.store.lane("midtrans").await.unwrap().pause, None);
}

#[tokio::test]
async fn what_is_so_already_changes_nothing() {
    let filled = lanes().await;
    let (ended, written, said) = asked(&filled, ProviderCommand::Pause(about("dana", acting())), Format::Table).await;
    assert_eq!((ended.unwrap(), written.as_str()), (Exit::Done, ""));
    assert!(said.contains("paused already, by budi"), "{said}");
    let (ended, _, said) = asked(&filled, ProviderCommand::Resume(about("finpay", acting())), Format::Table).await;
    assert_eq!((ended.unwrap(), said.as_str()), (Exit::Done, "finpay is not paused\n"));
    assert!(filled.store.audit_rows(0, 9).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_dry_run_and_nobody_to_ask_change_nothing_and_a_stranger_is_not_found() {
    let filled = lanes().await;
    let dry = ActArgs { dry_run: true, ..acting() };
    let (ended, json, _) = asked(&filled, ProviderCommand::Pause(about("finpay", dry)), Format::Json).await;
    assert_eq!(ended.unwrap(), Exit::Done);
    let shown: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&shown["changed"], &shown["dryRun"], &shown["state"]), (&false.into(), &true.into(), &"moving".into()));
    let unasked = ActArgs { yes: false, ..acting() };
    let (ended, written, _) = asked(&filled, ProviderCommand::Pause(about("finpay", unasked)), Format::Table).await;
    assert_eq!((ended.unwrap_err().exit(), written.as_str()), (Exit::Usage, ""));
    let (ended, _, _) = asked(&filled, ProviderCommand::Pause(about("nobody", acting())), Format::Table).await;
    assert_eq!(ended.unwrap_err().exit(), Exit::NotFound);
    assert_eq!(filled.store.lane("finpay").await.unwrap().pause, None);
    assert!(filled.store.audit_rows(0, 9).await.unwrap().is_empty());
}
