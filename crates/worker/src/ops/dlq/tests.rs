mod acting;
mod replaying;

use insta::assert_snapshot;

use super::*;
use crate::cli::{DlqFilterArgs, DlqGroupsArgs, DlqShowArgs, Format, Money, Reason};
use crate::ops::fixture::{self, Filled, MALFORMED, UNRESOLVED};

async fn asked(filled: &Filled, command: DlqCommand, format: Format) -> String {
    let output = Output::captured(format);
    let exit = fixture::at_desk(filled, &output, async |desk| run(&command, desk).await).await.unwrap();
    assert_eq!(exit, Exit::Done);
    let written = output.written();
    if format == Format::Table {
        assert!(written.lines().all(|line| line.chars().count() <= 100), "{written}");
        assert!(!written.contains("819778"), "no full phone number: {written}");
    }
    written
}

fn show_of(id: &str) -> DlqCommand {
    DlqCommand::Show(DlqShowArgs { id: id.to_owned() })
}

#[tokio::test]
async fn the_list_is_a_table_and_json() {
    let filled = fixture::filled().await;
    assert_snapshot!("list_table", asked(&filled, DlqCommand::List(DlqListArgs::default()), Format::Table).await);
    assert_snapshot!("list_json", asked(&filled, DlqCommand::List(DlqListArgs::default()), Format::Json).await);
}

#[tokio::test]
async fn the_list_is_filtered() {
    let filled = fixture::filled().await;
    let ids = async |args| {
        let json = asked(&filled, DlqCommand::List(args), Format::Json).await;
        let list: serde_json::Value = serde_json::from_str(&json).unwrap();
        let items = list["items"].as_array().unwrap().clone();
        items.iter().map(|letter| letter["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let default = DlqFilterArgs::default;
    let ids = async |filter| ids(DlqListArgs { filter, ..DlqListArgs::default() }).await;
    let by_reason = DlqFilterArgs { reason_code: Some(Reason(engine::DeadReason::Malformed)), ..default() };
    assert_eq!(ids(by_reason).await, [MALFORMED]);
    let by_money = DlqFilterArgs { money: Some(Money(engine::MoneyState::MaybeSent)), ..default() };
    assert_eq!(ids(by_money).await, [UNRESOLVED]);
    let by_code = DlqFilterArgs { code: Some(snap_core::ResponseCode::parse("5003900").unwrap()), ..default() };
    assert_eq!(ids(by_code).await, [UNRESOLVED]);
    let by_provider = DlqFilterArgs { provider: Some("midtrans".to_owned()), ..default() };
    assert!(ids(by_provider).await.is_empty());
    let since = DlqFilterArgs { since: Some("1h".parse().unwrap()), ..default() };
    assert_eq!(ids(since).await.len(), 2);
}

#[tokio::test]
async fn groups_are_a_table_and_json_and_each_can_be_listed() {
    let filled = fixture::filled().await;
    let groups = || DlqCommand::Groups(DlqGroupsArgs::default());
    assert_snapshot!("groups_table", asked(&filled, groups(), Format::Table).await);
    let json = asked(&filled, groups(), Format::Json).await;
    assert_snapshot!("groups_json", json);
    let list: serde_json::Value = serde_json::from_str(&json).unwrap();
    for item in list["items"].as_array().unwrap() {
        let arguments = ["worker", "dlq", "list", "--group", item["group"].as_str().unwrap()];
        let crate::cli::Command::Dlq(command) = <crate::cli::Cli as clap::Parser>::parse_from(arguments).command else {
            panic!("dlq list");
        };
        let listed: serde_json::Value = serde_json::from_str(&asked(&filled, command, Format::Json).await).unwrap();
        assert_eq!(listed["items"].as_array().unwrap().len() as u64, item["count"].as_u64().unwrap());
    }
}

#[tokio::test]
async fn a_jobs_dead_letter_is_shown_with_its_history() {
    let filled = fixture::filled().await;
    assert_snapshot!("show_job_table", asked(&filled, show_of(UNRESOLVED), Format::Table).await);
    let shown: serde_json::Value =
        serde_json::from_str(&asked(&filled, show_of(UNRESOLVED), Format::Json).await).unwrap();
    assert_eq!(shown["partnerReferenceNo"], "78912343452347893");
    assert_eq!(shown["message"], serde_json::Value::Null);
    assert!(shown["history"].as_array().unwrap().len() > 5);
}

#[tokio::test]
async fn a_refused_message_is_shown_masked_to_people_and_whole_to_machines() {
    let filled = fixture::filled().await;
    assert_snapshot!("show_message_table", asked(&filled, show_of(MALFORMED), Format::Table).await);
    assert_snapshot!("show_message_json", asked(&filled, show_of(MALFORMED), Format::Json).await);
}

#[tokio::test]
async fn a_dead_letter_that_is_not_there_ends_with_four() {
    let filled = fixture::empty();
    let output = Output::captured(Format::Json);
    let ended = fixture::at_desk(&filled, &output, async |desk| run(&show_of("nobody"), desk).await).await;
    let error = ended.unwrap_err();
    assert_eq!(error.exit(), Exit::NotFound);
}
