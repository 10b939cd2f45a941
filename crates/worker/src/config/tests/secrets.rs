//! Secrets: where they come from, and that they go nowhere else.

use std::os::unix::fs::PermissionsExt as _;

use secrecy::ExposeSecret as _;

use super::{MINIMAL, parse, parse_in, refused, with};
use crate::config::{Config, SecretSource};

/// PKCS#8, published, for tests only.
const KEY: &str = include_str!("../../../../snap-core/fixtures/keys/test-only.private.pem");

fn plain() -> String {
    let plain = MINIMAL.replace("{ env = \"FINPAY_CLIENT_SECRET\" }", "\"pl41n-s3cret\"");
    plain.replace("{ file = \"finpay.pem\" }", &format!("\"\"\"\n{KEY}\"\"\""))
}

#[test]
fn a_secret_is_read_from_a_variable_a_file_or_the_configuration() {
    let config = parse_in(MINIMAL, &[("FINPAY_CLIENT_SECRET", "from-env")]);
    let secret = &config.providers["finpay"].client_secret;
    assert_eq!(secret.reveal().unwrap().expose_secret(), "from-env");
    assert_eq!(secret.source(), &SecretSource::Env("FINPAY_CLIENT_SECRET".to_owned()));

    let config = parse(&plain());
    assert_eq!(config.providers["finpay"].client_secret.reveal().unwrap().expose_secret(), "pl41n-s3cret");

    let folder = tempfile::tempdir().unwrap();
    let file = MINIMAL.replace("{ env = \"FINPAY_CLIENT_SECRET\" }", "{ file = \"secret\" }");
    for (contents, secret) in
        [("from-file", "from-file"), ("line\n", "line"), ("line\r\n", "line"), (" s \n\n", " s \n")]
    {
        std::fs::write(folder.path().join("secret"), contents).unwrap();
        let config = Config::parse(&file, &folder.path().join("worker.toml"), &<_>::default()).unwrap();
        assert_eq!(config.providers["finpay"].client_secret.reveal().unwrap().expose_secret(), secret);
    }
}

#[test]
fn a_missing_secret_stops_only_who_needs_it() {
    let config = parse(MINIMAL);
    let error = config.providers["finpay"].client_config().unwrap_err().to_string();
    assert!(
        error.contains("providers.finpay.client_secret comes from the environment variable FINPAY_CLIENT_SECRET, which is not set\nhint: "),
        "{error}"
    );
    let config = parse_in(MINIMAL, &[("FINPAY_CLIENT_SECRET", "x")]);
    let error = config.providers["finpay"].client().unwrap_err().to_string();
    assert!(
        error.contains("providers.finpay.private_key comes from /etc/topup/finpay.pem, which cannot be read"),
        "{error}"
    );
    let empty = parse_in(MINIMAL, &[("FINPAY_CLIENT_SECRET", "")]);
    assert!(empty.providers["finpay"].client_secret.reveal().is_err(), "an empty variable is none");
}

#[test]
fn a_client_is_made_from_the_section() {
    let config = parse(&plain().replace("https://snap.example.test", "http://127.0.0.1:1/base"));
    let finpay = &config.providers["finpay"];
    let client = finpay.client_config().unwrap();
    assert_eq!((client.pool_size, client.name.as_str()), (64, "finpay"));
    assert_eq!(client.request_timeout, finpay.request_timeout);
    finpay.client().unwrap();

    let no_key = parse(&plain().replace(KEY, "no key\n").replace("https://snap.example.test", "http://127.0.0.1:1"));
    let error = no_key.providers["finpay"].client().unwrap_err().to_string();
    assert!(error.contains("providers.finpay.private_key is of no use") && error.contains("hint: PKCS#8"), "{error}");
}

#[test]
fn the_brokers_url_is_a_secret_too() {
    let text = format!("[amqp]\nurl = {{ env = \"AMQP_URL\" }}\n{MINIMAL}");
    let config = parse_in(&text, &[("AMQP_URL", "amqp://u:p4ss@h")]);
    assert_eq!(config.amqp.unwrap().connection().unwrap().url.expose_secret(), "amqp://u:p4ss@h");
    assert!(parse(&text).amqp.unwrap().connection().is_err());
}

#[test]
fn no_secret_is_printed() {
    let config = parse_in(
        &format!("[amqp]\nurl = \"amqp://u:p4ss@h\"\n{}", plain()),
        &[("WORKER__PROVIDERS__FINPAY__PRIVATE_KEY", "0ther-s3cret")],
    );
    let environment: crate::config::Environment = [("TOKEN", "env-s3cret")].into_iter().collect();
    let connection = config.amqp.as_ref().unwrap().connection().unwrap();
    let printed = format!("{config:?} {environment:?} {connection:?} {:?}", config.providers["finpay"].client_config());
    for secret in ["s3cret", "p4ss", "PRIVATE KEY"] {
        assert!(!printed.contains(secret), "{secret} in {printed}");
    }
}

#[test]
fn no_secret_comes_back_in_a_message() {
    for text in [
        MINIMAL.replace("{ env = \"FINPAY_CLIENT_SECRET\" }", "777777"),
        MINIMAL.replace("{ env = \"FINPAY_CLIENT_SECRET\" }", "777777.5"),
        MINIMAL.replace("{ env = \"FINPAY_CLIENT_SECRET\" }", "\"777777"),
        MINIMAL.replace("{ env = \"FINPAY_CLIENT_SECRET\" }", "[\"777777\"]"),
        MINIMAL.replace("{ env = \"FINPAY_CLIENT_SECRET\" }", "{ env = \"777777\", file = \"777777\" }"),
        MINIMAL.replace("{ env = \"FINPAY_CLIENT_SECRET\" }", "{ plain = \"777777\" }"),
        with("client_secret = \"777777\""),
    ] {
        let report = refused(&text);
        assert!(!report.contains("777777"), "{report}");
    }
}

#[test]
fn check_warns_of_plain_secrets_and_of_files_that_others_can_read() {
    let warnings = parse(&plain()).warnings();
    let keys: Vec<&str> = warnings.iter().map(|warning| warning.key.as_str()).collect();
    assert_eq!(keys, ["providers.finpay.client_secret", "providers.finpay.private_key"]);

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("finpay.pem");
    std::fs::write(&file, KEY).unwrap();
    let config = Config::parse(MINIMAL, &folder.path().join("worker.toml"), &<_>::default()).unwrap();
    for (mode, warned) in [(0o644, true), (0o640, true), (0o400, false), (0o600, false)] {
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
        let warning = config.warnings().into_iter().find(|warning| warning.key == "providers.finpay.private_key");
        assert_eq!(warning.is_some(), warned, "{mode:o} {warning:?}");
        assert!(warning.is_none_or(|warning| warning.to_string().contains("hint: chmod 0400")));
    }
}

#[test]
fn check_warns_of_what_cannot_have_been_meant() {
    for (lines, key) in [
        ("status.quiet_period = \"5s\"", "providers.finpay.status.quiet_period"),
        ("status.uniqueness_window = \"5m\"", "providers.finpay.status.uniqueness_window"),
        ("connect_timeout = \"30s\"", "providers.finpay.connect_timeout"),
    ] {
        let warnings = parse(&with(lines)).warnings();
        assert_eq!(warnings.iter().map(|warning| warning.key.as_str()).collect::<Vec<_>>(), [key], "{lines}");
    }
    let open = parse(&super::after("[http]\nlisten = \"0.0.0.0:9464\"")).warnings();
    assert_eq!(open[0].key, "http.listen");
    assert!(parse(MINIMAL).warnings().is_empty());
}
