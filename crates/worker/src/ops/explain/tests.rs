use insta::assert_snapshot;
use snap_core::table;

use super::*;
use crate::cli::{Color, Format, GlobalArgs};
use crate::config::Environment;
use crate::output::Output;

fn world(format: Format) -> World {
    let global = GlobalArgs { config: None, output: format, verbose: 0, color: Color::Never };
    // A name that is not there, so that no worker.toml of the folder is read.
    let environment = Environment::from_iter([("WORKER_CONFIG", "/nowhere/worker.toml")]);
    World { global, environment, talk_color: false, output: Output::captured(format) }
}

fn args(words: &[&str]) -> ExplainArgs {
    ExplainArgs { code: words.iter().map(|word| (*word).to_owned()).collect(), service: None, provider: None }
}

fn explained(args: &ExplainArgs, format: Format) -> String {
    let world = world(format);
    assert_eq!(run(args, &world).unwrap(), Exit::Done, "{args:?}");
    let written = world.output.written();
    if format == Format::Table {
        assert!(written.lines().all(|line| line.chars().count() <= 100), "{written}");
    }
    written
}

fn json(args: &ExplainArgs) -> serde_json::Value {
    serde_json::from_str(&explained(args, Format::Json)).unwrap()
}

#[test]
fn every_code_of_the_table_is_explained_with_the_class_the_table_gives_it() {
    for row in table() {
        // `dana` is in the table for comparison; there is no profile of it.
        if row.provider == "dana" || row.code.contains('x') {
            continue;
        }
        let provider = Profile::BUILTIN.contains(&row.provider).then(|| row.provider.to_owned());
        let asked = ExplainArgs { service: row.service, provider, ..args(&[row.code]) };
        let shown = json(&asked);
        assert_eq!(shown["known"], true, "{row:?}");
        let readings = shown["readings"].as_array().unwrap();
        assert!(readings.iter().any(|reading| reading["class"] == row.class.as_str()), "{row:?}: {shown:#}");
        for reading in readings {
            for member in ["worker", "why", "operator"] {
                assert!(reading[member].as_str().is_some_and(|text| !text.is_empty()), "{row:?} {member}");
            }
            let messages = reading["messages"].as_array().unwrap();
            assert!(messages.iter().any(|message| message == row.message), "{row:?}: {messages:?}");
        }
        explained(&asked, Format::Table);
    }
}

#[test]
fn every_case_of_the_standard_is_explained_for_each_service() {
    for row in table().iter().filter(|row| row.code.contains('x')) {
        let shown = json(&args(&[row.code]));
        assert_eq!(shown["known"], true, "{row:?}");
        let readings = shown["readings"].as_array().unwrap().iter();
        let services: Vec<_> = readings
            .flat_map(|reading| reading["services"].as_array().unwrap())
            .map(|no| no.as_u64().unwrap())
            .collect();
        for service in [36, 37, 38, 39, 73] {
            assert!(services.contains(&service), "{row:?}: {services:?}");
        }
    }
}

#[test]
fn a_refusal_a_doubt_and_a_fault_of_ours_are_shown() {
    assert_snapshot!("refused_table", explained(&args(&["4043811"]), Format::Table));
    assert_snapshot!("refused_json", explained(&args(&["4043811"]), Format::Json));
    assert_snapshot!("timeout_table", explained(&args(&["5043800"]), Format::Table));
    assert_snapshot!("deposit_table", explained(&args(&["403", "14"]), Format::Table));
    assert_snapshot!("status_table", explained(&args(&["2003900+07"]), Format::Table));
    assert_snapshot!("reason_table", explained(&args(&["unresolved"]), Format::Table));
    assert_snapshot!("lane_table", explained(&args(&["merchant_limit"]), Format::Table));
}

#[test]
fn providers_that_read_a_code_differently_are_told_apart() {
    let shown = json(&args(&["2003800"]));
    let readings: Vec<_> = shown["readings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|reading| (reading["providers"].clone(), reading["class"].clone()))
        .collect();
    assert_eq!(
        readings,
        [
            (serde_json::json!(["finpay"]), serde_json::json!("success")),
            (serde_json::json!(["midtrans"]), serde_json::json!("pending")),
        ]
    );
    let one = json(&ExplainArgs { provider: Some("midtrans".to_owned()), ..args(&["2003800"]) });
    assert_eq!(one["readings"].as_array().unwrap().len(), 1);
}

#[test]
fn what_nobody_knows_gets_the_safe_reading() {
    for code in ["9993899", "4184499", "5990038"] {
        let shown = json(&args(&[code]));
        assert_eq!(shown["known"], false, "{code}");
        assert_eq!(shown["readings"][0]["class"], "ambiguous", "{code}");
        assert!(shown["readings"][0]["worker"].as_str().unwrap().starts_with("asks for the status"), "{code}");
    }
    let foreign = json(&ExplainArgs { service: Some(Service::TopUp), ..args(&["2003700"]) });
    assert_eq!(
        (&foreign["readings"][0]["class"], &foreign["readings"][0]["foreign"]),
        (&"ambiguous".into(), &true.into())
    );
    let gateway = json(&ExplainArgs { service: Some(Service::TopUp), ..args(&["502"]) });
    assert_eq!(gateway["readings"][0]["class"], "ambiguous");
    assert_snapshot!("unknown_table", explained(&args(&["9993899"]), Format::Table));
}

#[test]
fn every_word_of_ours_is_explained() {
    for reason in DeadReason::ALL {
        assert_eq!(json(&args(&[reason.as_str()]))["reason"], reason.as_str());
        explained(&args(&[reason.as_str()]), Format::Table);
    }
    for fault in LaneFault::ALL {
        assert_eq!(json(&args(&[fault.as_str()]))["laneFault"], fault.as_str());
        explained(&args(&[fault.as_str()]), Format::Table);
    }
}

#[test]
fn what_is_no_code_ends_with_two_and_an_unknown_provider_with_four() {
    let error = run(&args(&["unlucky"]), &world(Format::Table)).unwrap_err();
    assert_eq!(error.exit(), Exit::Usage);
    assert!(error.report(false).contains("hint: give seven digits"), "{}", error.report(false));
    let stranger = ExplainArgs { provider: Some("nobody".to_owned()), ..args(&["4043811"]) };
    let error = run(&stranger, &world(Format::Table)).unwrap_err();
    assert_eq!(error.exit(), Exit::NotFound);
}
