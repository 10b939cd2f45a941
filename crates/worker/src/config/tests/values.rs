//! Values and defaults.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

use super::{MINIMAL, after, parse, parse_in, with};
use crate::config::{Config, LogFormat, LogLevel, json_schema};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(86_400);

/// Every key of the documented configuration.
const DOCUMENTED: &str = r#"
default_provider = "finpay"

[amqp]
url = "amqp://guest:guest@127.0.0.1:5672/%2f"
namespace = "topup"
prefetch = 128
declare = true

[store]
url = "sqlite:worker.db"

[http]
listen = "127.0.0.1:9464"

[log]
level = "info"
format = "auto"

[providers.finpay]
profile = "finpay"
base_url = "https://snapstag.finnet.co.id"
client_key = "client-key"
client_secret = { env = "FINPAY_CLIENT_SECRET" }
private_key = { file = "finpay.pem" }
partner_id = "partner-7"
channel_id = "95221"
origin = "www.example.co.id"
max_in_flight = 64
rate_limit = 0
connect_timeout = "3s"
request_timeout = "30s"
probe_initial = "5s"
probe_max = "5m"
paths = { token = "/t", inquiry = "/i", topup = "/u", status = "/s" }

[providers.finpay.retry]
initial = "1s"
max = "5m"
multiplier = 2.0
jitter = 0.2
attempts = 8

[providers.finpay.status]
first_after = "30s"
interval_max = "30m"
quiet_period = "10m"
give_up_after = "24h"
uniqueness_window = "24h"
"#;

#[test]
fn the_documented_configuration_is_read_as_documented() {
    let config = parse(DOCUMENTED);
    assert_eq!(config.default_provider.as_deref(), Some("finpay"));
    let amqp = config.amqp.as_ref().unwrap();
    assert_eq!((amqp.namespace.as_str(), amqp.prefetch, amqp.declare), ("topup", 128, true));
    assert_eq!(config.store.path, PathBuf::from("/etc/topup/worker.db"));
    assert_eq!(config.http.listen, Some("127.0.0.1:9464".parse().unwrap()));
    assert_eq!((config.log.level, config.log.format), (LogLevel::Info, LogFormat::Auto));
    let finpay = &config.providers["finpay"];
    assert_eq!(finpay.base_url, "https://snapstag.finnet.co.id");
    assert_eq!((finpay.client_key.as_str(), finpay.partner_id.as_str()), ("client-key", "partner-7"));
    assert_eq!((finpay.channel_id.as_str(), finpay.origin.as_deref()), ("95221", Some("www.example.co.id")));
    assert_eq!((finpay.max_in_flight, finpay.rate_limit), (64, 0));
    assert_eq!((finpay.connect_timeout, finpay.request_timeout), (3 * SECOND, 30 * SECOND));
    assert_eq!((finpay.probe_initial, finpay.probe_max), (5 * SECOND, 5 * MINUTE));
    let paths = &finpay.profile.paths;
    assert_eq!([&paths.token, &paths.inquiry, &paths.topup, &paths.status], ["/t", "/i", "/u", "/s"]);
    let policy = finpay.policy();
    assert_eq!((policy.retry.initial, policy.retry.max, policy.attempts), (SECOND, 5 * MINUTE, 8));
    assert_eq!((policy.retry.multiplier, policy.retry.jitter_ppm), (2.0, 200_000));
    assert_eq!((policy.first_after, policy.interval_max), (30 * SECOND, 30 * MINUTE));
    assert_eq!((policy.quiet_period, policy.inquiry_max_age), (10 * MINUTE, 5 * MINUTE));
    assert_eq!((policy.give_up_after, policy.uniqueness_window), (DAY, DAY));
}

#[test]
fn what_is_left_out_is_the_documented_default() {
    // The paths of the documented example stand for others, all else is the default.
    let paths = "paths = { token = \"/t\", inquiry = \"/i\", topup = \"/u\", status = \"/s\" }";
    let documented = parse(&DOCUMENTED.replace(paths, ""));
    let amqp = "[amqp]\nurl = \"amqp://guest:guest@127.0.0.1:5672/%2f\"\n";
    let minimal = format!("default_provider = \"finpay\"\n{amqp}{MINIMAL}")
        .replace("https://snap.example.test", "https://snapstag.finnet.co.id");
    assert_eq!(format!("{:?}", parse(&minimal)), format!("{documented:?}"));
}

#[test]
fn the_defaults_in_the_schema_are_the_real_ones() {
    let schema = json_schema();
    let defaults = |section: &str| {
        let properties = schema.pointer(&format!("/$defs/{section}/properties")).unwrap().as_object().unwrap();
        properties
            .iter()
            .filter_map(|(key, property)| Some(format!("{key} = {}\n", property.get("default")?)))
            .collect::<String>()
    };
    let spelled_out = format!(
        "[amqp]\nurl = \"amqp://h\"\n{}[store]\n{}[http]\n{}[log]\n{}{MINIMAL}{}[providers.finpay.retry]\n{}",
        defaults("Amqp"),
        defaults("Store"),
        defaults("Http"),
        defaults("Log"),
        defaults("Provider"),
        defaults("Retry"),
    );
    assert!(spelled_out.matches(" = ").count() > 25, "{spelled_out}");
    assert_eq!(format!("{:?}", parse(&spelled_out)), format!("{:?}", parse(&after("[amqp]\nurl = \"amqp://h\""))));
}

#[test]
fn midtrans_waits_longer_and_remembers_longer() {
    let text = MINIMAL.replace("\"finpay\"", "\"midtrans\"").replace("origin = \"www.example.co.id\"", "");
    let policy = parse(&text).providers["finpay"].policy();
    assert_eq!(
        (policy.first_after, policy.quiet_period, policy.uniqueness_window),
        (10 * MINUTE, 10 * MINUTE, 50 * DAY)
    );
}

#[test]
fn without_a_broker_the_store_alone_is_used() {
    assert!(parse(MINIMAL).amqp.is_none());
}

#[test]
fn durations_go_down_to_milliseconds_and_up_to_days() {
    for (written, meant) in [
        ("5ms", Duration::from_millis(5)),
        ("30s", 30 * SECOND),
        ("10m", 10 * MINUTE),
        ("24h", DAY),
        ("50d", 50 * DAY),
        ("1h30m", 90 * MINUTE),
    ] {
        let config = parse(&with(&format!("status.give_up_after = \"{written}\"")));
        assert_eq!(config.providers["finpay"].policy().give_up_after, meant, "{written}");
    }
}

#[test]
fn shares_of_a_pause_become_parts_per_million_exactly() {
    for (written, ppm) in [("0", 0), ("0.0", 0), ("0.2", 200_000), ("0.333333", 333_333), ("1", 1_000_000)] {
        let config = parse(&with(&format!("retry.jitter = {written}")));
        assert_eq!(config.providers["finpay"].retry.jitter_ppm, ppm, "{written}");
    }
}

#[test]
fn paths_are_relative_to_the_file_and_absolute_ones_are_not() {
    for (url, path) in [
        ("sqlite:worker.db", "/etc/topup/worker.db"),
        ("sqlite:data/w.db", "/etc/topup/data/w.db"),
        ("sqlite:/var/lib/topup/w.db", "/var/lib/topup/w.db"),
        ("sqlite:///var/lib/topup/w.db", "/var/lib/topup/w.db"),
    ] {
        let config = parse(&after(&format!("[store]\nurl = \"{url}\"")));
        assert_eq!(config.store.path, PathBuf::from(path), "{url}");
    }
    let config = parse(&with("ca_file = \"tls/ca.pem\""));
    assert_eq!(config.providers["finpay"].ca_file, Some(PathBuf::from("/etc/topup/tls/ca.pem")));
}

#[test]
fn the_http_endpoint_can_be_switched_off() {
    assert_eq!(parse(&after("[http]\nlisten = \"off\"")).http.listen, None);
}

#[test]
fn plain_http_is_for_loopback() {
    for url in ["http://127.0.0.1:8080/snap", "http://[::1]:8080", "http://localhost:8080"] {
        let config = parse(&MINIMAL.replace("https://snap.example.test", url));
        assert_eq!(config.providers["finpay"].base_url, url);
    }
}

#[test]
fn the_file_is_the_named_one_else_that_of_the_environment() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, level: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, after(&format!("[log]\nlevel = \"{level}\""))).unwrap();
        path
    };
    let (named, other) = (file("named.toml", "debug"), file("other.toml", "warn"));
    let environment = [("WORKER_CONFIG", other.to_str().unwrap())].into_iter().collect();
    let level = |named| Config::load(named, &environment).unwrap().log.level;
    assert_eq!(level(Some(named.as_path())), LogLevel::Debug);
    assert_eq!(level(None), LogLevel::Warn);

    let absent = folder.path().join("absent.toml");
    let error = Config::load(Some(&absent), &environment).unwrap_err().to_string();
    assert!(error.contains("absent.toml cannot be read") && error.contains("hint: `worker init`"), "{error}");
}

#[test]
fn the_environment_alone_can_be_the_configuration() {
    let absent = tempfile::tempdir().unwrap().path().join("worker.toml");
    let variables = [
        ("WORKER__PROVIDERS__FINPAY__PROFILE", "finpay"),
        ("WORKER__PROVIDERS__FINPAY__BASE_URL", "https://snap.example.test"),
        ("WORKER__PROVIDERS__FINPAY__CLIENT_KEY", "client-key"),
        ("WORKER__PROVIDERS__FINPAY__CLIENT_SECRET", "s3cret"),
        ("WORKER__PROVIDERS__FINPAY__PRIVATE_KEY__FILE", "finpay.pem"),
        ("WORKER__PROVIDERS__FINPAY__PARTNER_ID", "1234"),
        ("WORKER__PROVIDERS__FINPAY__CHANNEL_ID", "95221"),
        ("WORKER__PROVIDERS__FINPAY__ORIGIN", "www.example.co.id"),
    ];
    let config = Config::load(Some(&absent), &variables.into_iter().collect()).unwrap();
    assert_eq!(config.providers["finpay"].partner_id, "1234");
    assert_eq!(format!("{:?}", parse_in("", &variables).providers.keys()), "[\"finpay\"]");
}

#[test]
fn the_schema_is_closed_everywhere_and_knows_no_null() {
    let schema = json_schema();
    let text = schema.to_string();
    assert!(!text.contains("null"), "{text}");
    for (name, section) in schema["$defs"].as_object().unwrap() {
        if section.get("properties").is_some() {
            assert_eq!(section["additionalProperties"], Value::Bool(false), "{name}");
        }
    }
}
