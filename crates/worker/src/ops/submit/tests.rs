use std::path::Path;

use insta::assert_snapshot;

use super::*;
use crate::cli::Format;
use crate::config::Environment;

const CONFIG: &str = "[http]\nlisten = \"off\"\n[providers.finpay]\nprofile = \"finpay\"\n\
    base_url = \"http://127.0.0.1:1\"\nclient_key = \"k\"\nclient_secret = { env = \"NOT_NEEDED\" }\n\
    private_key = { file = \"not-needed.pem\" }\npartner_id = \"p\"\nchannel_id = \"95221\"\norigin = \"www.example.co.id\"\n";

fn job(reference: &str, amount: &str) -> String {
    format!(
        "{{\"partnerReferenceNo\":\"{reference}\",\"customerNumber\":\"081977817902\",\
         \"amount\":{{\"value\":\"{amount}\",\"currency\":\"IDR\"}}}}\n"
    )
}

struct Producer {
    folder: tempfile::TempDir,
}

impl Producer {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn config(&self) -> Config {
        Config::parse(CONFIG, &self.folder.path().join("worker.toml"), &Environment::default()).unwrap()
    }

    async fn submit(&self, text: &str, format: Format) -> (Result<Exit, CommandError>, String) {
        let file = self.folder.path().join("jobs.jsonl");
        std::fs::write(&file, text).unwrap();
        let output = Output::captured(format);
        let ended = run(&SubmitArgs { file }, &self.config(), &Clock::start(), &output).await;
        (ended, output.written())
    }

    async fn summary(&self, text: &str) -> (Exit, serde_json::Value) {
        let (ended, written) = self.submit(text, Format::Json).await;
        (ended.unwrap(), serde_json::from_str(&written).unwrap())
    }

    async fn jobs(&self) -> Vec<outbox::StoredJob> {
        let path = self.config().store.path;
        let options = outbox::OpenOptions { read_only: true, ..outbox::OpenOptions::default() };
        let opened = outbox::Store::open(&path, Clock::start().now(), &options).unwrap();
        let page = opened.store.jobs(outbox::JobFilter::default(), None, 100).await.unwrap();
        opened.store.close().await;
        page.items.into_iter().filter_map(outbox::KnownJob::whole).collect()
    }
}

#[tokio::test]
async fn jobs_are_in_the_store_and_due_at_once() {
    let producer = Producer::new();
    let (exit, summary) = producer.summary(&(job("A-1", "10000.00") + &job("A-2", "20000.50"))).await;
    assert_eq!(exit, Exit::Done);
    assert_eq!(
        summary,
        serde_json::json!({
            "submitted": 2, "duplicates": 0, "conflicts": 0, "notTaken": 0,
            "amount": { "value": "30000.50", "currency": "IDR" }, "transport": "store", "problems": [],
        })
    );
    let jobs = producer.jobs().await;
    assert_eq!(jobs.len(), 2);
    assert!(jobs.iter().all(|job| job.due_at.is_some() && job.carried.message_id.is_some()));
}

#[tokio::test]
async fn the_same_file_again_does_nothing() {
    let producer = Producer::new();
    let file = job("A-1", "10000.00") + &job("A-2", "20000.00");
    producer.summary(&file).await;
    let (exit, summary) = producer.summary(&file).await;
    assert_eq!(exit, Exit::Done);
    assert_eq!((&summary["submitted"], &summary["duplicates"]), (&0.into(), &2.into()));
    assert_eq!(producer.jobs().await.len(), 2);
}

#[tokio::test]
async fn a_known_key_with_other_content_ends_with_three_and_names_the_fields() {
    let producer = Producer::new();
    producer.summary(&job("A-1", "10000.00")).await;
    let (exit, summary) = producer.summary(&(job("A-2", "10000.00") + &job("A-1", "20000.00"))).await;
    assert_eq!(exit, Exit::SomeFailed);
    assert_eq!(summary["submitted"], 1);
    let problem = &summary["problems"][0];
    assert_eq!(problem["line"], 2);
    assert_eq!(problem["problem"], "conflict");
    assert_eq!(problem["fields"], serde_json::json!(["amount"]));
    assert!(problem["deadLetterId"].as_str().is_some_and(|id| id.len() == 26));
    let (_, table) = producer.submit(&job("A-1", "20000.00"), Format::Table).await;
    assert!(table.contains("differs in amount; dead letter 01"), "{table}");
}

#[tokio::test]
async fn one_job_that_is_not_valid_keeps_all_of_them_back() {
    let producer = Producer::new();
    let file = job("A-1", "10000.00") + &job("A-2", "10000") + &job("A-3", "10000.00").replace("IDR", "USD");
    let (ended, written) = producer.submit(&file, Format::Table).await;
    let error = ended.unwrap_err();
    assert_eq!(error.exit(), Exit::Usage);
    assert_eq!(written, "");
    let report = error.report(false).replace(&producer.folder.path().display().to_string(), "DIR");
    assert_snapshot!("not_valid", report);
    assert!(!producer.config().store.path.exists(), "nothing was written");
}

#[tokio::test]
async fn a_file_that_is_not_there_ends_with_two() {
    let producer = Producer::new();
    let args = SubmitArgs { file: Path::new("no-such-file.jsonl").to_owned() };
    let error = run(&args, &producer.config(), &Clock::start(), &Output::captured(Format::Table)).await.unwrap_err();
    assert_eq!(error.exit(), Exit::Usage);
    assert!(error.report(false).starts_with("error: failed to read no-such-file.jsonl: "), "{}", error.report(false));
}

#[tokio::test]
async fn a_broker_that_is_not_there_is_no_success() {
    let producer = Producer::new();
    let config = format!("{CONFIG}\n[amqp]\nurl = \"amqp://127.0.0.1:1\"\n");
    let config = Config::parse(&config, &producer.folder.path().join("worker.toml"), &Environment::default()).unwrap();
    let file = producer.folder.path().join("jobs.jsonl");
    std::fs::write(&file, job("A-1", "10000.00")).unwrap();
    let output = Output::captured(Format::Json);
    let error = run(&SubmitArgs { file }, &config, &Clock::start(), &output).await.unwrap_err();
    assert_eq!(error.exit(), Exit::Unexpected);
    assert_eq!(output.written(), "");
    assert!(error.report(false).contains("hint: "), "{}", error.report(false));
}
