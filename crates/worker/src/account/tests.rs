use std::path::Path;

use super::*;
use crate::config::Environment;
use crate::ops::fixture;

fn section(name: &str, changes: &[(&str, &str)]) -> String {
    let mut keys = vec![
        ("profile", "\"finpay\""),
        ("base_url", "\"https://a.example.test/snap\""),
        ("client_key", "\"key-a\""),
        ("client_secret", "\"secret-a\""),
        ("private_key", "\"pem-a\""),
        ("partner_id", "\"P-1\""),
        ("channel_id", "\"95221\""),
        ("origin", "\"www.example.co.id\""),
    ];
    for (key, value) in changes {
        keys.retain(|(known, _)| known != key);
        keys.push((key, value));
    }
    let lines: String = keys.into_iter().map(|(key, value)| format!("{key} = {value}\n")).collect();
    format!("[providers.{name}]\n{lines}")
}

fn config(text: &str) -> Config {
    Config::parse(text, Path::new("worker.toml"), &Environment::default()).unwrap()
}

fn account(changes: &[(&str, &str)]) -> Account {
    of(&config(&section("finpay", changes)).providers["finpay"])
}

#[test]
fn m14_an_account_is_its_profile_address_partner_and_client_key_and_nothing_else() {
    let plain = account(&[]);
    let same: [&[(&str, &str)]; 6] = [
        &[("base_url", "\"HTTPS://A.Example.Test:443/snap/\"")],
        &[("client_secret", "\"another\"")],
        &[("private_key", "\"another\"")],
        &[("channel_id", "\"1\""), ("origin", "\"other.example.co.id\"")],
        &[("paths", "{ token = \"/elsewhere\" }")],
        &[("max_in_flight", "1"), ("request_timeout", "\"3s\"")],
    ];
    for changes in same {
        assert_eq!(account(changes), plain, "{changes:?}");
    }
    let other = [
        ("base_url", "\"https://b.example.test/snap\""),
        ("base_url", "\"https://a.example.test/SNAP\""),
        ("base_url", "\"https://a.example.test\""),
        ("partner_id", "\"P-2\""),
        ("client_key", "\"key-b\""),
        ("profile", "\"midtrans\""),
    ];
    for change in other {
        assert_ne!(account(&[change]), plain, "{change:?}");
    }
    // No two settings run into one another.
    assert_ne!(
        account(&[("partner_id", "\"P-1k\""), ("client_key", "\"ey-a\"")]),
        account(&[("partner_id", "\"P-1\""), ("client_key", "\"key-a\"")])
    );
    let renamed = config(&section("other", &[]));
    assert_eq!(of(&renamed.providers["other"]), plain, "a section's name is ours alone");
}

/// A store with one job in doubt at the account of `config`, and its names noted.
async fn in_doubt(config: &Config) -> fixture::Filled {
    let filled = fixture::empty();
    fixture::in_doubt_at(&filled.store, of(&config.providers["finpay"])).await;
    at_start(&filled.store, config, fixture::NOW).await.unwrap();
    filled
}

#[tokio::test]
async fn m14_what_is_in_doubt_at_another_account_is_told_with_its_money_and_what_to_do() {
    let a = config(&section("finpay", &[]));
    let filled = in_doubt(&a).await;
    let strays = async |text: String| strays(&filled.store, &config(&text)).await.unwrap();
    assert_eq!(strays(section("finpay", &[("client_secret", "\"rotated\"")])).await, []);

    let changed = strays(section("finpay", &[("partner_id", "\"P-2\"")])).await;
    assert_eq!(changed.len(), 1);
    assert!(
        changed[0].told().starts_with(
            "1 job of finpay (Rp 10,000) may have been paid by https://a.example.test/snap as partner P-1 (profile finpay, account "
        ),
        "{}",
        changed[0].told()
    );
    assert!(changed[0].told().contains("names https://a.example.test/snap as partner P-2"), "{}", changed[0].told());
    assert!(changed[0].hint().contains("put the old section back under its name"), "{}", changed[0].hint());

    let removed = strays(section("another", &[("partner_id", "\"P-2\"")])).await;
    assert!(removed[0].told().contains("there is no such section now"), "{}", removed[0].told());

    let renamed = strays(section("old-finpay", &[])).await;
    assert!(renamed[0].hint().contains("section old-finpay names that account"), "{}", renamed[0].hint());

    let swapped = strays(format!("{}{}", section("finpay", &[("partner_id", "\"P-2\"")]), section("other", &[]))).await;
    assert!(swapped[0].hint().contains("section other names that account"), "{}", swapped[0].hint());
}

#[tokio::test]
async fn m14_the_names_of_accounts_hold_no_secrets() {
    let a = config(&section("finpay", &[]));
    let filled = in_doubt(&a).await;
    at_start(&filled.store, &config(&section("finpay", &[("partner_id", "\"P-2\"")])), fixture::NOW).await.unwrap();
    let names = filled.store.accounts().await.unwrap();
    assert_eq!(names.iter().map(|name| name.partner_id.as_str()).collect::<std::collections::BTreeSet<_>>().len(), 2);
    let text = format!("{names:?}");
    assert!(!text.contains("key-a") && !text.contains("secret-a") && !text.contains("pem-a"), "{text}");
}
