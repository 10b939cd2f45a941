//! `worker.toml` and its overrides: used, or refused with a way on; a secret comes back in neither.

use std::path::Path;

use worker::config::{Config, ConfigError, Environment};

use crate::reading::is_fit_to_show;

pub(super) const WORDS: &[&str] = &[
    "[",
    "]",
    "{",
    "}",
    "=",
    "\"",
    "'",
    "\"\"\"",
    "#",
    ",",
    ".",
    "\n",
    "[amqp]\n",
    "[store]\n",
    "[http]\n",
    "[log]\n",
    "[providers.finpay]\n",
    "[providers.midtrans]\n",
    "[providers.finpay.retry]\n",
    "[providers.finpay.status]\n",
    "url = ",
    "profile = \"midtrans\"\n",
    "base_url = \"http://127.0.0.1:1/x\"\n",
    "client_secret = ",
    "private_key = ",
    "{ env = \"NAME\" }",
    "{ file = \"key.pem\" }",
    "max_in_flight = ",
    "rate_limit = ",
    "quiet_period = \"10m\"\n",
    "uniqueness_window = \"50d\"\n",
    "keep_keys = \"forever\"\n",
    "keep_details = \"90d\"\n",
    "overrides = [{ code = \"50x38xx\", class = \"pending\" }]\n",
    "paths = { topup = \"/x\" }\n",
    "request_timeout = \"30s\"\n",
    "0",
    "-1",
    "1e400",
    "nan",
    "inf",
    "true",
    "9223372036854775808",
    "1979-05-27T07:32:00Z",
    "\\u0000",
    "\n---\n",
    "WORKER__AMQP__URL=amqp://u:s3cr3t-pass@h\n",
    "WORKER__PROVIDERS__FINPAY__CLIENT_SECRET=s3cr3t-text\n",
    "WORKER__LOG__LEVEL=debug\n",
    "WORKER__",
    "__",
    "s3cr3t-text",
    "é",
];

/// Between the file and what the environment sets, a line each.
const ENVIRONMENT: &str = "\n---\n";
const FILE: &str = "/etc/topup/worker.toml";

pub(super) fn check(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (text, variables) = text.split_once(ENVIRONMENT).unwrap_or((&text, ""));
    let variables: Vec<(&str, &str)> = variables.lines().filter_map(|line| line.split_once('=')).collect();
    let environment: Environment = variables.iter().copied().collect();
    let secrets = secrets(text, &variables);
    match Config::parse(text, Path::new(FILE), &environment) {
        Ok(config) => can_be_used(&config, &secrets),
        Err(error) => shows_a_way_on(&error, &secrets),
    }
}

fn can_be_used(config: &Config, secrets: &[String]) {
    let shown = format!("{config:?}");
    for secret in secrets {
        assert!(!shown.contains(secret), "a secret is shown: {shown}");
    }
    assert!(!config.providers.is_empty());
    assert!(config.default_provider.as_ref().is_none_or(|name| config.providers.contains_key(name)));
    for (name, provider) in &config.providers {
        assert!((1..=10_000).contains(&provider.max_in_flight), "{name}");
        assert!(!provider.request_timeout.is_zero() && !provider.connect_timeout.is_zero(), "{name}");
        assert!(provider.retry.attempts > 0 && provider.retry.initial <= provider.retry.max, "{name}");
        assert!((1.0..=100.0).contains(&provider.retry.multiplier), "{name}");
        assert!(provider.retry.jitter_ppm <= 1_000_000, "{name}");
        // The memory of keys outlives every time in which the provider may still pay one, or ask about it.
        if let Some(keys) = config.store.retention.keys {
            assert!(keys > provider.profile.defaults.uniqueness_window, "{name}: keys are forgotten too early");
        }
    }
}

fn shows_a_way_on(error: &ConfigError, secrets: &[String]) {
    let said = error.to_string();
    assert!(said.starts_with(FILE), "{said}");
    assert!(said.lines().last().is_some_and(|line| line.starts_with("hint: ") && line.len() > 6), "{said}");
    assert!(!error.problems.is_empty());
    for problem in &error.problems {
        assert!(!problem.hint.is_empty() && !problem.what.is_empty(), "{said}");
    }
    // Two lines each, whatever stands in the file; a value that does not fit is repeated, however long.
    assert_eq!(said.lines().count(), error.problems.len() * 2, "{said:?}");
    said.lines().for_each(|line| is_fit_to_show(line, usize::MAX));
    for secret in secrets {
        assert!(!said.contains(secret), "a secret came back: {said}");
    }
}

/// What stands where a secret belongs and nowhere else, long enough to be told from other words.
fn secrets(text: &str, variables: &[(&str, &str)]) -> Vec<String> {
    let is_secret = |name: &str| ["client_secret", "private_key"].contains(&name);
    let mut secrets = Vec::new();
    let mut all = text.to_owned();
    if let Ok(table) = text.parse::<toml::Table>() {
        let amqp = table.get("amqp").and_then(|amqp| amqp.get("url"));
        let providers = table.get("providers").and_then(toml::Value::as_table);
        let sections = providers.into_iter().flat_map(toml::Table::values).filter_map(toml::Value::as_table);
        let of_providers = sections.flat_map(|section| section.iter().filter(|(name, _)| is_secret(name)));
        let values = amqp.into_iter().chain(of_providers.map(|(_, value)| value));
        secrets.extend(values.filter_map(toml::Value::as_str).map(str::to_owned));
    }
    for (name, value) in variables {
        all.push_str(name);
        all.push_str(value);
        let name = name.to_lowercase();
        let last = name.rsplit("__").next().unwrap_or_default();
        let is_url = name == "worker__amqp__url";
        if name.starts_with("worker__providers__") && is_secret(last) && name.matches("__").count() == 3 || is_url {
            secrets.push((*value).to_owned());
        }
    }
    // What also stands elsewhere may come back from there.
    secrets.retain(|secret| secret.len() >= 6 && all.matches(secret.as_str()).count() == 1);
    secrets
}
