//! What docs/runbook.md and README.md tell people to type and to look for is there; the runbook's words are those of `explain`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use clap::error::ErrorKind;
use clap::{CommandFactory as _, Parser as _};
use engine::DeadReason;
use snap_core::LaneFault;

use super::reasons::{self, ReasonWords};
use super::words;
use crate::cli::Cli;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap()
}

/// With one blank between words, however the lines are broken.
fn flat(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What stands below this heading, down to the next.
fn section<'a>(text: &'a str, heading: &str) -> &'a str {
    let (_, rest) = text.split_once(&format!("\n{heading}\n")).unwrap_or_else(|| panic!("a section `{heading}`"));
    let end = rest.find("\n## ").into_iter().chain(rest.find("\n### ")).min();
    &rest[..end.unwrap_or(rest.len())]
}

/// A line as a shell cuts it, up to a comment, a pipe, a redirection or the next command.
fn typed(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), String::new(), None);
    for letter in line.chars().chain([' ']) {
        match (quote, letter) {
            (Some(open), _) if letter == open => quote = None,
            (None, '\'' | '"') => quote = Some(letter),
            (None, '#' | '|' | '>' | '<' | '&' | ';') if word.is_empty() => return words,
            (None, _) if letter.is_whitespace() => {
                if !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
            }
            _ => word.push(letter),
        }
    }
    words
}

/// Each `worker …` behind a prompt.
fn typed_commands(text: &str) -> Vec<String> {
    let lines = text.lines().filter_map(|line| line.strip_prefix("$ "));
    lines.filter(|line| line.starts_with("worker ")).map(str::to_owned).collect()
}

/// Each `worker …` between backticks in a line.
fn named_commands(text: &str) -> Vec<String> {
    let lines = text.lines().filter(|line| !line.starts_with("$ "));
    let spans = lines.flat_map(|line| line.split('`').skip(1).step_by(2));
    spans.filter(|span| span.starts_with("worker ")).map(str::to_owned).collect()
}

/// As in "`worker jobs` tells".
fn is_only_named(error: &clap::Error) -> bool {
    let kinds = [ErrorKind::MissingRequiredArgument, ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand];
    kinds.contains(&error.kind())
}

#[test]
fn every_command_line_in_the_runbook_and_the_readme_parses() {
    let (runbook, readme) = (read("docs/runbook.md"), read("README.md"));
    // The README also names commands with a dot or a word in place of what is to be typed.
    let commands = [typed_commands(&runbook), named_commands(&runbook), typed_commands(&readme)].concat();
    assert!(commands.len() > 80, "{}", commands.len());
    for command in commands {
        let words = typed(&command);
        match Cli::try_parse_from(&words) {
            Ok(_) => {}
            Err(error) if words.len() <= 3 && is_only_named(&error) => {}
            Err(error) => panic!("{command}\n{error}"),
        }
    }
}

#[test]
fn every_command_that_settles_something_is_in_the_runbook() {
    let runbook = read("docs/runbook.md");
    for noun in ["dlq", "provider", "store", "audit"] {
        let cli = Cli::command();
        let command = cli.find_subcommand(noun).unwrap();
        let mut verbs = command.get_subcommands().map(clap::Command::get_name);
        let missing = verbs.find(|verb| *verb != "export" && !runbook.contains(&format!("worker {noun} {verb}")));
        assert_eq!(missing, None, "of {noun}");
    }
}

#[test]
fn each_reason_of_a_dead_letter_has_a_section_in_the_words_of_explain() {
    let runbook = read("docs/runbook.md");
    for reason in DeadReason::ALL {
        let section = section(&runbook, &format!("### `{}`", reason.as_str()));
        let ReasonWords { meaning, money, look_at, replay } = reasons::of(reason);
        for words in [
            format!("Means: {meaning}."),
            format!("Money: {money}."),
            format!("Look at: {look_at}."),
            format!("A replay: {replay}."),
        ] {
            assert!(flat(section).contains(&words), "{}: {words}", reason.as_str());
        }
        assert!(section.contains("$ worker dlq "), "{}: what to type", reason.as_str());
    }
}

#[test]
fn each_fault_of_a_lane_has_a_section_in_the_words_of_explain() {
    let runbook = read("docs/runbook.md");
    for fault in LaneFault::ALL {
        let section = flat(section(&runbook, &format!("### `{fault}`")));
        let words = format!("Operator: {}", words::of_fault(fault).operator);
        assert!(section.contains(&words), "{fault}: {words}");
    }
}

#[test]
fn each_alert_leads_to_a_section_that_is_there() {
    let (runbook, alerts) = (read("docs/runbook.md"), read("deploy/prometheus/alerts.yaml"));
    for alert in alerts.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")) {
        assert!(runbook.lines().any(|line| line.starts_with('|') && line.contains(&format!("`{alert}`"))), "{alert}");
    }
    // As GitHub makes them.
    let anchor = |heading: &str| -> String {
        let kept = heading
            .to_lowercase()
            .chars()
            .filter(|c| c.is_alphanumeric() || [' ', '-', '_'].contains(c))
            .collect::<String>();
        kept.replace(' ', "-")
    };
    let headings = runbook.lines().filter(|line| line.starts_with('#'));
    let anchors: BTreeSet<_> = headings.map(|line| anchor(line.trim_start_matches('#').trim())).collect();
    for link in runbook.split("](#").skip(1).filter_map(|rest| rest.split(')').next()) {
        assert!(anchors.contains(link), "#{link} is among {anchors:?}");
    }
}

/// Everything that this program is made of, but its tests.
fn sources() -> String {
    let mut text = String::new();
    let own = root().join("crates/worker/src/ops/explain/runbook.rs");
    let mut folders = vec![root().join("crates/worker/src"), root().join("crates/outbox/src")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") && path != own {
                text.push_str(&std::fs::read_to_string(path).unwrap());
            }
        }
    }
    text
}

#[test]
fn each_log_line_and_metric_in_the_runbook_is_one_that_the_worker_has() {
    let (runbook, sources) = (read("docs/runbook.md"), sources());
    let mut logged = 0;
    for item in runbook.split("\n- Log: ").skip(1) {
        let item = flat(item.split("\n- ").next().unwrap().split("\n\n").next().unwrap());
        for line in item.split('"').skip(1).step_by(2) {
            logged += 1;
            assert!(sources.contains(&format!("\"{line}\"")), "log line: {line}");
        }
    }
    assert!(logged >= 10, "{logged}");
    let known = read(
        "crates/worker/src/telemetry/metrics/snapshots/worker__telemetry__metrics__tests__every_name_and_label_is_the_contracts.snap",
    );
    let names: BTreeSet<_> =
        known.lines().map(|line| line.split('{').next().unwrap().trim_end_matches("_bucket")).collect();
    let is_in_name = |letter: char| letter.is_ascii_lowercase() || letter == '_';
    for metric in runbook.split(|letter| !is_in_name(letter)).filter(|word| word.starts_with("topup_")) {
        assert!(names.contains(metric), "{metric} is among {names:?}");
    }
}
