//! The configuration from the outside: what is written against what holds.

mod environment;
mod problems;
mod profile;
mod retention;
mod secrets;
mod values;

use std::path::Path;

use super::{Config, Environment};

/// Where the files of these tests are said to be.
const FILE: &str = "/etc/topup/worker.toml";

/// The least that is a configuration.
const MINIMAL: &str = r#"
[providers.finpay]
profile = "finpay"
base_url = "https://snap.example.test"
client_key = "client-key"
client_secret = { env = "FINPAY_CLIENT_SECRET" }
private_key = { file = "finpay.pem" }
partner_id = "partner-7"
channel_id = "95221"
origin = "www.example.co.id"
"#;

/// [`MINIMAL`] and more lines of the provider's section.
fn with(lines: &str) -> String {
    format!("{MINIMAL}{lines}\n")
}

/// [`MINIMAL`] after lines that come before any section.
fn after(lines: &str) -> String {
    format!("{lines}\n{MINIMAL}")
}

fn parse(text: &str) -> Config {
    parse_in(text, &[])
}

fn parse_in(text: &str, variables: &[(&str, &str)]) -> Config {
    let environment = variables.iter().copied().collect();
    Config::parse(text, Path::new(FILE), &environment).unwrap_or_else(|error| panic!("{error}\nin\n{text}"))
}

fn refused(text: &str) -> String {
    refused_in(text, &[])
}

/// The report. Every problem names its file and ends with a hint.
fn refused_in(text: &str, variables: &[(&str, &str)]) -> String {
    let environment: Environment = variables.iter().copied().collect();
    let error = Config::parse(text, Path::new(FILE), &environment).expect_err(text);
    for problem in &error.problems {
        assert!(!problem.hint.is_empty() && !problem.what.is_empty(), "{error}");
    }
    let report = error.to_string();
    assert!(report.starts_with(FILE), "{report}");
    assert!(report.lines().last().is_some_and(|line| line.starts_with("hint: ")), "{report}");
    assert_eq!(report.matches("hint: ").count(), error.problems.len(), "{report}");
    report
}
