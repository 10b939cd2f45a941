use insta::assert_snapshot;

use super::*;
use crate::cli::{Format, JobState, JobsExportArgs, JobsFilterArgs, JobsShowArgs, JobsWatchArgs, Page};
use crate::ops::fixture::{self, Filled, NOW};

async fn asked(filled: &Filled, command: JobsCommand, format: Format) -> String {
    let output = Output::captured(format);
    let exit = run(&command, &filled.store, NOW, &output).await.unwrap();
    assert_eq!(exit, Exit::Done);
    let written = output.written();
    assert!(!written.contains("819778"), "no full phone number: {written}");
    assert!(!written.contains("Siti") && !written.contains("secret to others"), "nothing private: {written}");
    if format == Format::Table && !matches!(command, JobsCommand::Export(_)) {
        assert!(written.lines().all(|line| line.chars().count() <= 100), "{written}");
    }
    written
}

fn list_of(filter: JobsFilterArgs) -> JobsCommand {
    JobsCommand::List(JobsListArgs { filter, ..JobsListArgs::default() })
}

fn everything() -> JobsFilterArgs {
    JobsFilterArgs::default()
}

fn show_of(reference: &str) -> JobsCommand {
    JobsCommand::Show(JobsShowArgs { reference: PartnerReferenceNo::parse(reference).unwrap() })
}

fn stats_of(filter: JobsFilterArgs) -> JobsCommand {
    JobsCommand::Stats(JobsStatsArgs { filter })
}

#[tokio::test]
async fn the_list_is_a_table_and_json() {
    let filled = fixture::filled().await;
    assert_snapshot!("list_table", asked(&filled, list_of(everything()), Format::Table).await);
    assert_snapshot!("list_json", asked(&filled, list_of(everything()), Format::Json).await);
    let lines = asked(&filled, list_of(everything()), Format::Jsonl).await;
    let references: Vec<String> = lines
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["partnerReferenceNo"].to_string())
        .collect();
    assert_eq!(references.len(), 5);
}

#[tokio::test]
async fn the_list_is_filtered() {
    let filled = fixture::filled().await;
    let references = async |filter| {
        let json = asked(&filled, list_of(filter), Format::Json).await;
        let list: serde_json::Value = serde_json::from_str(&json).unwrap();
        let items = list["items"].as_array().unwrap().clone();
        items.iter().map(|job| job["partnerReferenceNo"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let by_state = JobsFilterArgs { state: vec![JobState::Dead, JobState::Rejected], ..everything() };
    assert_eq!(references(by_state).await, ["78912343452347893", "78912343452347892"]);
    let by_customer = JobsFilterArgs { customer: Some("+6281977817902".parse().unwrap()), ..everything() };
    assert_eq!(references(by_customer).await, ["78912343452347891"]);
    let by_provider = JobsFilterArgs { provider: Some("midtrans".to_owned()), ..everything() };
    assert_eq!(references(by_provider).await, ["ORDER-2026-11-22-000000000042"]);
    let since = JobsFilterArgs { since: Some("2026-11-22T10:00:03+07:00".parse().unwrap()), ..everything() };
    assert_eq!(references(since).await.len(), 2);
    let long_ago = JobsFilterArgs { until: Some("1d".parse().unwrap()), ..everything() };
    assert!(references(long_ago).await.is_empty());
    let matching = JobsFilterArgs { matching: Some("4043811".to_owned()), ..everything() };
    assert_eq!(references(matching).await, ["78912343452347892"]);
}

#[tokio::test]
async fn pages_follow_each_other_to_the_end() {
    let filled = fixture::filled().await;
    let (mut after, mut seen) = (None, Vec::new());
    loop {
        let args =
            JobsListArgs { page: Page { limit: 2, after: after.take() }, oldest_first: true, filter: everything() };
        let json = asked(&filled, JobsCommand::List(args), Format::Json).await;
        let page: serde_json::Value = serde_json::from_str(&json).unwrap();
        for item in page["items"].as_array().unwrap() {
            seen.push(item["acceptedAt"].as_str().unwrap().to_owned());
        }
        match page["next"].as_str() {
            Some(next) => after = Some(next.to_owned()),
            None => break,
        }
    }
    assert_eq!(seen.len(), 5);
    assert!(seen.is_sorted());
}

#[tokio::test]
async fn a_cursor_from_elsewhere_is_a_mistake_of_usage() {
    let filled = fixture::empty();
    let page = Page { limit: 1, after: Some(fixture::UNRESOLVED.to_owned()) };
    let command = JobsCommand::List(JobsListArgs { page, ..JobsListArgs::default() });
    let error = run(&command, &filled.store, NOW, &Output::captured(Format::Table)).await.unwrap_err();
    assert_eq!(error.exit(), Exit::Usage);
}

#[tokio::test]
async fn a_job_is_shown_with_its_timeline() {
    let filled = fixture::filled().await;
    assert_snapshot!("show_table", asked(&filled, show_of("78912343452347893"), Format::Table).await);
    assert_snapshot!("show_json", asked(&filled, show_of("78912343452347893"), Format::Json).await);
    assert_snapshot!("show_succeeded_table", asked(&filled, show_of("78912343452347891"), Format::Table).await);
}

#[tokio::test]
async fn of_a_job_past_retention_is_shown_what_is_left_and_that_the_rest_is_gone() {
    let (filled, whole) = (fixture::shrunken().await, fixture::filled().await);
    assert_snapshot!("show_shrunken_table", asked(&filled, show_of("78912343452347891"), Format::Table).await);
    assert_snapshot!("show_shrunken_json", asked(&filled, show_of("78912343452347891"), Format::Json).await);
    // Counts and rupiah are those of before.
    let stats = async |of| asked(of, stats_of(everything()), Format::Json).await;
    assert_eq!(stats(&filled).await, stats(&whole).await);
    let listed = asked(&filled, list_of(everything()), Format::Table).await;
    assert_eq!(listed.lines().count(), asked(&whole, list_of(everything()), Format::Table).await.lines().count());
    let csv = asked(&filled, JobsCommand::Export(JobsExportArgs::default()), Format::Table).await;
    let row = csv.lines().find(|line| line.starts_with("78912343452347891")).unwrap();
    assert!(
        row.starts_with("78912343452347891,finpay,succeeded,,proven_paid,,10000.00,0.00,2211150005490937,"),
        "{row}"
    );
    assert!(row.ends_with(",IDR,2026-11-22T13:03:20.000+07:00"), "{row}");
}

#[tokio::test]
async fn a_job_that_is_not_there_ends_with_four_and_a_hint() {
    let filled = fixture::empty();
    let error = run(&show_of("nobody"), &filled.store, NOW, &Output::captured(Format::Json)).await.unwrap_err();
    assert_eq!(error.exit(), Exit::NotFound);
    assert_snapshot!("show_not_found", error.report(false));
}

#[tokio::test]
async fn totals_are_by_provider_and_state() {
    let filled = fixture::filled().await;
    assert_snapshot!("stats_table", asked(&filled, stats_of(everything()), Format::Table).await);
    let one = JobsFilterArgs { state: vec![JobState::Succeeded], ..everything() };
    assert_snapshot!("stats_json", asked(&filled, stats_of(one), Format::Json).await);
}

#[tokio::test]
async fn an_empty_store_is_an_empty_list() {
    let filled = fixture::empty();
    assert_eq!(asked(&filled, list_of(everything()), Format::Table).await, "");
    assert_eq!(asked(&filled, stats_of(everything()), Format::Jsonl).await, "");
}

#[tokio::test]
async fn the_export_is_csv_or_json_and_nothing_private() {
    let filled = fixture::filled().await;
    let export = || JobsCommand::Export(JobsExportArgs::default());
    let csv = asked(&filled, export(), Format::Table).await;
    assert_snapshot!("export_csv", csv);
    let commas: Vec<_> = csv.lines().map(|line| line.matches(',').count()).collect();
    assert_eq!(commas, [19; 6]);
    let lines = asked(&filled, export(), Format::Jsonl).await;
    assert_eq!(lines.lines().count(), 5);
    let whole: serde_json::Value = serde_json::from_str(&asked(&filled, export(), Format::Json).await).unwrap();
    let items: Vec<serde_json::Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((whole["items"].as_array().unwrap(), &whole["next"]), (&items, &serde_json::Value::Null));
    let empty: serde_json::Value =
        serde_json::from_str(&asked(&fixture::empty(), export(), Format::Json).await).unwrap();
    assert_eq!(empty, serde_json::json!({ "items": [], "next": null }));
}

#[tokio::test]
async fn the_watch_looks_again_and_says_what_changed() {
    let filled = fixture::filled().await;
    let every = std::time::Duration::from_millis(1);
    let watch = |rounds| JobsCommand::Watch(JobsWatchArgs { filter: everything(), every, rounds: Some(rounds) });
    assert_snapshot!("watch_table", asked(&filled, watch(1), Format::Table).await);
    let lines = asked(&filled, watch(2), Format::Jsonl).await;
    assert_eq!(lines.lines().count(), 2);
    for line in lines.lines() {
        let look: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(look["items"].as_array().unwrap().len(), 5);
    }
}
