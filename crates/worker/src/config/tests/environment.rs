//! `WORKER__SECTION__KEY`.

use std::time::Duration;

use super::{MINIMAL, after, parse_in, refused_in, with};
use crate::config::SecretSource;

#[test]
fn the_environment_overrides_the_file_key_by_key() {
    let config = parse_in(
        &after("default_provider = \"finpay\"\n[amqp]\nurl = \"amqp://file\"\nprefetch = 10"),
        &[
            ("WORKER__AMQP__PREFETCH", "20"),
            ("WORKER__AMQP__DECLARE", "false"),
            ("WORKER__LOG__LEVEL", "debug"),
            ("WORKER__LOG__FORMAT", "\"json\""),
            ("WORKER__STORE__URL", "sqlite:/srv/w.db"),
            ("WORKER__PROVIDERS__FINPAY__BASE_URL", "http://127.0.0.1:8080"),
            ("WORKER__PROVIDERS__FINPAY__MAX_IN_FLIGHT", "7"),
            ("WORKER__PROVIDERS__FINPAY__REQUEST_TIMEOUT", "5ms"),
            ("WORKER__PROVIDERS__FINPAY__RETRY__JITTER", "0.5"),
            ("WORKER__PROVIDERS__FINPAY__RETRY__MULTIPLIER", "3"),
            ("WORKER__PROVIDERS__FINPAY__STATUS__QUIET_PERIOD", "\"1s\""),
            ("WORKER__PROVIDERS__FINPAY__STATUS_SERVICE", "36"),
            ("WORKER__PROVIDERS__FINPAY__OK_IS_FINAL", "false"),
            ("WORKER__PROVIDERS__FINPAY__PATHS__TOPUP", "/rest/topup"),
            ("WORKER__PROVIDERS__FINPAY__OVERRIDES", "[{ code = \"500xx00\", class = \"pending\" }]"),
            ("WORKER_CONFIG", "/elsewhere"),
            ("HOME", "/root"),
        ],
    );
    let amqp = config.amqp.unwrap();
    assert_eq!((amqp.prefetch, amqp.declare), (20, false));
    assert_eq!((config.log.level, config.log.format), (crate::config::LogLevel::Debug, crate::config::LogFormat::Json));
    assert_eq!(config.store.path.to_str(), Some("/srv/w.db"));
    let finpay = &config.providers["finpay"];
    assert_eq!((finpay.base_url.as_str(), finpay.max_in_flight), ("http://127.0.0.1:8080", 7));
    assert_eq!(finpay.request_timeout, Duration::from_millis(5));
    assert_eq!((finpay.retry.jitter_ppm, finpay.retry.multiplier), (500_000, 3.0));
    assert_eq!(finpay.profile.defaults.quiet_period, Duration::from_secs(1));
    assert_eq!((finpay.profile.status_service.code(), finpay.profile.ok_is_final), (36, false));
    assert_eq!((finpay.profile.paths.topup.as_str(), finpay.profile.overrides.len()), ("/rest/topup", 1));
    assert_eq!(finpay.client_key, "client-key", "the file's where nothing overrides it");
}

#[test]
fn text_stays_text_even_where_it_looks_like_a_number() {
    for text in ["95221", "00123", "1e5", "0x1F", "true", "1_000", "12:30:00", "nan", "a=b"] {
        let config = parse_in(MINIMAL, &[("WORKER__PROVIDERS__FINPAY__CHANNEL_ID", text)]);
        assert_eq!(config.providers["finpay"].channel_id, text);
    }
}

#[test]
fn a_secret_from_the_environment_replaces_where_the_file_takes_it_from() {
    let source = |variable: &str, value: &str| {
        let config = parse_in(MINIMAL, &[(variable, value)]);
        config.providers["finpay"].client_secret.source().clone()
    };
    let prefix = "WORKER__PROVIDERS__FINPAY__CLIENT_SECRET";
    assert_eq!(source(prefix, "\"quotes belong to it\""), SecretSource::Plain);
    assert_eq!(source(&format!("{prefix}__ENV"), "OTHER"), SecretSource::Env("OTHER".to_owned()));
    assert_eq!(source(&format!("{prefix}__FILE"), "s.txt"), SecretSource::File("/etc/topup/s.txt".into()));
}

#[test]
fn a_dash_in_a_providers_name_is_found_by_an_underscore() {
    let text = MINIMAL.replace("providers.finpay", "providers.fin-pay");
    let config = parse_in(&text, &[("WORKER__PROVIDERS__FIN_PAY__RATE_LIMIT", "9")]);
    assert_eq!(config.providers["fin-pay"].rate_limit, 9);
    assert_eq!(config.providers.len(), 1);
}

#[test]
fn a_variable_that_names_no_key_is_refused_with_the_nearest() {
    for (variable, expected) in [
        (
            "WORKER__AMQP__PREFECH",
            "amqp.prefech is not a known key (set by WORKER__AMQP__PREFECH)\nhint: did you mean `amqp.prefetch`?",
        ),
        ("WORKER__AMPQ__URL", "ampq is not a known key (set by WORKER__AMPQ__URL)\nhint: did you mean `amqp`?"),
        ("WORKER__STORE__URL__X", "store.url has no keys below it (set by WORKER__STORE__URL__X)\nhint: "),
        ("WORKER__", "is not a known key (set by WORKER__)\nhint: the keys here are "),
        ("WORKER__PROVIDERS__FINPAY__RETRY_ATTEMPTS", "providers.finpay.retry_attempts is not a known key"),
    ] {
        let report = refused_in(MINIMAL, &[(variable, "1")]);
        assert!(report.contains(expected), "{report}");
    }
}

#[test]
fn a_value_that_does_not_fit_names_the_variable_it_came_from() {
    for (variable, value, expected) in [
        ("WORKER__AMQP__PREFETCH", "many", "amqp.prefetch has a value that does not fit: "),
        (
            "WORKER__PROVIDERS__FINPAY__CONNECT_TIMEOUT",
            "3",
            "providers.finpay.connect_timeout has a value that does not fit: ",
        ),
        ("WORKER__PROVIDERS__FINPAY__BASE_URL", "http://10.0.0.1", "providers.finpay.base_url must be https"),
        ("WORKER__PROVIDERS__FINPAY__RATE_LIMIT", "-1", "providers.finpay.rate_limit has a value"),
    ] {
        let report = refused_in(&with(""), &[("WORKER__AMQP__URL", "amqp://h"), (variable, value)]);
        assert!(report.contains(expected) && report.contains(&format!("(set by {variable})")), "{report}");
    }
}
