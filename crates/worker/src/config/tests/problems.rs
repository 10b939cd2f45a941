//! What is refused, and in which words.

use std::path::Path;

use super::{MINIMAL, after, refused, with};
use crate::config::Config;

fn without(key: &str) -> String {
    MINIMAL.lines().filter(|line| !line.starts_with(key)).map(|line| format!("{line}\n")).collect()
}

#[test]
fn unknown_keys_are_refused_with_the_nearest_known_one() {
    for (text, expected) in [
        (after("[ampq]\nurl = \"x\""), "ampq is not a known key\nhint: did you mean `amqp`?"),
        (
            after("[amqp]\nurl = \"x\"\nprefech = 1"),
            "amqp.prefech is not a known key\nhint: did you mean `amqp.prefetch`?",
        ),
        (after("[http]\nlistn = \"x\""), "http.listn is not a known key\nhint: did you mean `http.listen`?"),
        (
            MINIMAL.replace("[providers.finpay]", "[provider.finpay]"),
            "provider is not a known key\nhint: did you mean `providers`?",
        ),
        (
            with("max_inflight = 1"),
            "providers.finpay.max_inflight is not a known key\nhint: did you mean `providers.finpay.max_in_flight`?",
        ),
        (
            with("attempts = 1"),
            "providers.finpay.attempts is not a known key\nhint: did you mean `providers.finpay.retry.attempts`?",
        ),
        (
            with("paths = { top_up = \"/x\" }"),
            "providers.finpay.paths.top_up is not a known key\nhint: did you mean `providers.finpay.paths.topup`?",
        ),
        (
            with("retry.jiter = 1"),
            "providers.finpay.retry.jiter is not a known key\nhint: did you mean `providers.finpay.retry.jitter`?",
        ),
        (
            with("overrides = [{ code = \"5003800\", clas = \"pending\" }]"),
            "providers.finpay.overrides[0].clas is not a known key\nhint: did you mean `providers.finpay.overrides[0].class`?",
        ),
        (
            with("private_key.path = \"x\"").replace("private_key = { file = \"finpay.pem\" }\n", ""),
            "providers.finpay.private_key.path is not a known key\nhint: the keys here are ",
        ),
        (
            after("[store]\nbananas = 1"),
            "store.bananas is not a known key\nhint: the keys here are keep_details, keep_keys, url",
        ),
    ] {
        let report = refused(&text);
        assert!(report.contains(&format!(": {expected}")), "expected {expected}\n{report}");
    }
}

#[test]
fn what_must_be_there_is_named_where_it_is_missing() {
    for key in
        ["profile", "base_url", "client_key", "client_secret", "private_key", "partner_id", "channel_id", "origin"]
    {
        let report = refused(&without(key));
        assert!(report.contains(&format!(": providers.finpay.{key} is missing\nhint: ")), "{report}");
    }
    assert!(refused("").contains("providers has no provider\nhint: `worker init`"));
    assert!(refused(&after("[amqp]\nprefetch = 1")).contains("amqp.url is missing"));
}

#[test]
fn values_that_cannot_work_are_named() {
    for (text, expected) in [
        (
            after("default_provider = \"finpya\""),
            "default_provider names `finpya`, which is not configured\nhint: did you mean `finpay`?",
        ),
        (after("[store]\nurl = \"postgres://h/db\""), "store.url is PostgreSQL, which is not supported yet"),
        (after("[store]\nurl = \"worker.db\""), "store.url is no store"),
        (after("[store]\nurl = \"sqlite::memory:\""), "store.url names no file"),
        (after("[store]\nurl = \"sqlite:\""), "store.url names no file"),
        (after("[http]\nlisten = \"localhost\""), "http.listen is no address with a port"),
        (after("[log]\nlevel = \"verbose\""), "log.level has a value that does not fit: unknown variant `verbose`"),
        (after("[amqp]\nurl = \"x\"\nnamespace = \"a b\""), "amqp.namespace cannot begin the name of a queue"),
        (after("[amqp]\nurl = \"x\"\nnamespace = \"amq.x\""), "amqp.namespace cannot begin the name of a queue"),
        (after("[amqp]\nurl = \"x\"\nprefetch = 0"), "amqp.prefetch is 0"),
        (after("[amqp]\nurl = \"x\"\nprefetch = 70000"), "amqp.prefetch has a value that does not fit"),
        (
            MINIMAL.replace("\"finpay\"", "\"finpai\""),
            "providers.finpay.profile names `finpai`, which there is not\nhint: did you mean `finpay`?",
        ),
        (MINIMAL.replace("\"finpay\"", "\"dana\""), "hint: the profiles are finpay, midtrans"),
        (
            MINIMAL.replace("https://snap", "http://snap"),
            "providers.finpay.base_url must be https: plain http is for loopback",
        ),
        (MINIMAL.replace("https://snap", "https://u:p@snap"), "providers.finpay.base_url must not carry a user"),
        (MINIMAL.replace(".test\"", ".test/?a=1\""), "providers.finpay.base_url must not carry a query"),
        (MINIMAL.replace("\"partner-7\"", "\"\""), "providers.finpay.partner_id is empty"),
        (MINIMAL.replace("\"partner-7\"", "\"a b\""), "providers.finpay.partner_id cannot stand in a header"),
        (
            MINIMAL.replace("\"95221\"", "95221"),
            "providers.finpay.channel_id has a value that does not fit: invalid type: integer `95221`, expected a string\nhint: text stands in double quotes",
        ),
        (with("max_in_flight = 0"), "providers.finpay.max_in_flight is 0"),
        (with("rate_limit = -1"), "providers.finpay.rate_limit has a value that does not fit"),
        (with("request_timeout = \"0s\""), "providers.finpay.request_timeout must be longer than zero"),
        (
            with("request_timeout = \"30\""),
            "providers.finpay.request_timeout has a value that does not fit: not a duration",
        ),
        (
            with("request_timeout = 30"),
            "providers.finpay.request_timeout has a value that does not fit: invalid type: integer `30`",
        ),
        (with("request_timeout = \"1.5s\""), "not a duration"),
        (with("probe_initial = \"10m\""), "providers.finpay.probe_initial is longer than probe_max"),
        (with("retry.initial = \"10m\""), "providers.finpay.retry.initial is longer than max"),
        (with("retry.multiplier = 0.5"), "providers.finpay.retry.multiplier is 0.5"),
        (with("retry.multiplier = nan"), "providers.finpay.retry.multiplier is NaN"),
        (with("retry.jitter = 1.5"), "providers.finpay.retry.jitter is 1.5"),
        (with("retry.jitter = -0.1"), "providers.finpay.retry.jitter is -0.1"),
        (with("retry.attempts = 0"), "providers.finpay.retry.attempts is 0"),
        (with("status.give_up_after = \"0ms\""), "providers.finpay.status.give_up_after must be longer than zero"),
        (with("paths.topup = \"topup\""), "providers.finpay.paths.topup is no plain path"),
        (with("status_service = 38"), "providers.finpay.status_service does not tell the status"),
        (with("token_body = \"grantType\""), "providers.finpay.token_body is no JSON object"),
        (with("external_id_max = 9"), "providers.finpay.external_id_max is less than the 32 digits"),
        (with("phone_max = 0"), "providers.finpay.phone_max must be at least 1"),
        (
            with("inquiry = \"allways\""),
            "providers.finpay.inquiry has a value that does not fit: unknown variant `allways`",
        ),
        (
            with("overrides = [{ code = \"50038\", class = \"pending\" }]"),
            "providers.finpay.overrides[0].code has a value that does not fit",
        ),
        (
            with("overrides = [{ code = \"2003900\", class = \"success\", service = 39 }]"),
            "providers.finpay.overrides[0] has no effect: a status inquiry (service 39) answered with 2003900 is read the same \
             without it\nhint: leave it out; there `success`",
        ),
        (with("retry = 3"), "providers.finpay.retry has a value that does not fit"),
        ("providers = 3".to_owned(), "providers has a value that does not fit"),
    ] {
        let report = refused(&text);
        assert!(report.contains(expected), "expected {expected}\n{report}");
    }
}

#[test]
fn names_that_would_not_fit_into_urls_metrics_and_variables_are_refused() {
    for name in ["Finpay", "1pay", "fin__pay", "\"fin pay\"", "\"fin/pay\"", "-pay", "\"\"", &"x".repeat(33)] {
        let report = refused(&MINIMAL.replace("providers.finpay", &format!("providers.{name}")));
        assert!(report.contains("cannot be a provider's name\nhint: "), "{report}");
    }
}

#[test]
fn all_problems_are_told_at_once() {
    let text = without("client_key").replace("\"partner-7\"", "\"\"").replace("https://", "ftp://");
    let report = refused(&format!("[http]\nlisten = \"x\"\n{text}"));
    assert_eq!(report.matches("hint: ").count(), 4, "{report}");
}

#[test]
fn broken_toml_is_told_with_its_place() {
    let report = refused("[log]\nlevel = \"info\nformat = 1");
    assert!(report.contains("/etc/topup/worker.toml is not TOML at line 2, column "), "{report}");
    assert!(refused(&with("rate_limit = 1\nrate_limit = 2")).contains("is not TOML at line 12"));
}

#[test]
fn what_stands_in_the_file_does_nothing_to_the_terminal() {
    for text in [after("[log]\nlevel = \"\\u001b[2J\\nhint: none\""), with("\"\\u001b[2J\" = 1"), with("\"a\\nb\" = 1")]
    {
        let error = Config::parse(&text, Path::new("/etc/topup/worker.toml"), &<_>::default()).expect_err(&text);
        let report = error.to_string();
        assert!(!report.contains('\u{1b}') && report.lines().count() == 2, "{report:?}");
    }
}
