//! A provider: whether its settings fit together, it is reachable and gives a token, and its clock agrees with ours.

use std::time::Duration;

use snap_client::{SnapClient, TokenExchange, TokenFailure};
use snap_core::Timestamp;

use super::{Finding, from_problem};
use crate::clock::Clock;
use crate::config::ProviderConfig;

/// Beyond this the signatures' timestamps begin to be in danger; `Date` itself has whole seconds.
const SKEW_NOTICED: Duration = Duration::from_secs(30);
/// Providers that look at `X-TIMESTAMP` allow some minutes.
const SKEW_TOO_MUCH: Duration = Duration::from_secs(300);

pub(super) async fn look(provider: &ProviderConfig, clock: &Clock) -> Vec<Finding> {
    let name = format!("provider {}", provider.name);
    let client = match provider.client() {
        Ok(client) => client,
        Err(error) => return error.problems.iter().map(|problem| from_problem(&name, problem)).collect(),
    };
    let mut findings = vec![token(&name, provider, &client, clock).await];
    for exchange in client.take_token_exchanges() {
        findings.extend(skew(&provider.name, &exchange));
    }
    findings
}

async fn token(name: &str, provider: &ProviderConfig, client: &SnapClient, clock: &Clock) -> Finding {
    let before = clock.uptime();
    match client.token(clock.wall()).await {
        Ok(_) => {
            let took = clock.uptime().saturating_sub(before).as_millis();
            Finding::ok(name, format!("{} gave a token in {took} ms", provider.base_url))
        }
        Err(failure) => Finding::error(name, format!("{}: {failure}", provider.base_url), hint(&failure)),
    }
}

const fn hint(failure: &TokenFailure) -> &'static str {
    match failure {
        TokenFailure::Unreachable { .. } => {
            "look at base_url, the network, and whether the provider lets this address in"
        }
        TokenFailure::Refused { .. } => {
            "look at client_key and private_key, whether the provider has the public half of it, and at this machine's clock"
        }
        TokenFailure::Unusable { .. } => "look at base_url and paths.token: something else answers there",
        TokenFailure::Trouble { .. } => "the provider is in trouble; try again later",
    }
}

/// By the `Date` header of the token's answer, where there was one.
fn skew(provider: &str, exchange: &TokenExchange) -> Option<Finding> {
    let name = format!("clock {provider}");
    // The header was written at some moment of the call, and has whole seconds.
    let (earliest, latest) = (exchange.started, exchange.started.plus(exchange.elapsed));
    let date = exchange.date?;
    let skew = distance(date, earliest, latest);
    let detail = match skew.as_secs() {
        0 | 1 => return Some(Finding::ok(name, "agrees with the provider's")),
        seconds if date < earliest => format!("is {seconds} s ahead of the provider's"),
        seconds => format!("is {seconds} s behind the provider's"),
    };
    let hint = "let this machine's clock follow a time server: X-TIMESTAMP is signed";
    Some(match skew {
        skew if skew >= SKEW_TOO_MUCH => Finding::error(name, detail, hint),
        skew if skew >= SKEW_NOTICED => Finding::warning(name, detail, hint),
        _ => Finding::ok(name, detail),
    })
}

fn distance(date: Timestamp, earliest: Timestamp, latest: Timestamp) -> Duration {
    earliest.since(date).max(date.since(latest))
}

#[cfg(test)]
mod tests {
    use super::super::Status;
    use super::*;

    fn found(ahead_ms: i64) -> Finding {
        let started = Timestamp::from_millis(1_714_533_630_000);
        let exchange = TokenExchange {
            started,
            elapsed: Duration::from_millis(200),
            http_status: Some(200),
            code: None,
            date: Some(Timestamp::from_millis(started.as_millis() + ahead_ms)),
            granted: true,
            detail: None,
        };
        skew("finpay", &exchange).unwrap()
    }

    #[test]
    fn a_second_is_no_skew() {
        for ahead in [-999, 0, 100, 1_000] {
            assert_eq!(found(ahead).detail, "agrees with the provider's", "{ahead}");
        }
    }

    #[test]
    fn the_more_skew_the_worse() {
        assert_eq!(found(10_200), Finding::ok("clock finpay", "is 10 s behind the provider's"));
        assert_eq!(found(-45_000).status, Status::Warning);
        assert_eq!(found(-45_000).detail, "is 45 s ahead of the provider's");
        assert_eq!(found(400_000).status, Status::Error);
    }
}
