//! A provider: whether its settings fit together, it is reachable and gives a token, and its clock agrees with ours.

use std::time::Duration;

use snap_client::{NotSentReason, SnapClient, TokenExchange, TokenFailure};
use snap_core::Timestamp;

use super::{Finding, from_problem};
use crate::clock::Clock;
use crate::config::ProviderConfig;

/// Beyond this the signatures' timestamps begin to be in danger; `Date` itself has whole seconds.
const SKEW_NOTICED: Duration = Duration::from_secs(30);
/// Providers that look at `X-TIMESTAMP` allow some minutes.
const SKEW_TOO_MUCH: Duration = Duration::from_secs(300);
/// A doctor does not wait as long as a top-up may.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);

/// What its findings are called.
pub(super) fn name(provider: &ProviderConfig) -> String {
    format!("provider {}", provider.name)
}

pub(super) async fn look(provider: &ProviderConfig, clock: &Clock, findings: &mut Vec<Finding>) {
    let name = name(provider);
    let mut hasty = provider.clone();
    hasty.request_timeout = provider.request_timeout.min(ANSWER_LIMIT);
    let client = match hasty.client() {
        Ok(client) => client,
        Err(error) => return findings.extend(error.problems.iter().map(|problem| from_problem(&name, problem))),
    };
    findings.push(token(&name, provider, &client, clock).await);
    findings.extend(client.take_token_exchanges().iter().filter_map(|exchange| skew(&provider.name, exchange)));
}

async fn token(name: &str, provider: &ProviderConfig, client: &SnapClient, clock: &Clock) -> Finding {
    let (base_url, before) = (&provider.base_url, clock.uptime());
    match client.token(clock.wall()).await {
        Ok(_) => {
            let took = clock.uptime().saturating_sub(before).as_millis();
            Finding::ok(name, format!("{base_url} gave a token in {took} ms"))
        }
        Err(failure) => {
            let host = base_url.split_once("//").map_or(base_url.as_str(), |(_, rest)| rest);
            let host = host.split(['/', ':']).next().unwrap_or_default();
            Finding::error(name, format!("{base_url}: {}", words(&failure)), hint(&failure, host))
        }
    }
}

/// At which step it ended.
fn words(failure: &TokenFailure) -> String {
    match failure {
        TokenFailure::Unreachable { why, detail } => {
            let step = match why {
                NotSentReason::Dns => "its name does not resolve",
                NotSentReason::Connect => "it takes no connection",
                NotSentReason::ConnectTimeout => "no connection comes about in time",
                NotSentReason::Tls => "TLS fails",
                NotSentReason::Stale => "it was held back",
            };
            format!("{step} ({detail})")
        }
        other => other.to_string(),
    }
}

fn hint(failure: &TokenFailure, host: &str) -> String {
    match failure {
        TokenFailure::Unreachable { why, .. } => match why {
            NotSentReason::Dns => format!("`getent hosts {host}`: look at base_url, and at this machine's DNS"),
            NotSentReason::Connect => {
                "look at host and port in base_url; if they are right, nothing runs there now".to_owned()
            }
            NotSentReason::Stale => "try again".to_owned(),
            NotSentReason::ConnectTimeout => {
                "a firewall drops it: look at this machine's way out, and whether the provider lets its address in"
                    .to_owned()
            }
            NotSentReason::Tls => format!(
                "`openssl s_client -connect {host}:443` shows the certificate: look at base_url, ca_file and this \
                 machine's clock"
            ),
        },
        TokenFailure::Refused { .. } => {
            "look at client_key and private_key, whether the provider has the public half of it, and at this machine's clock"
                .to_owned()
        }
        TokenFailure::Unusable { .. } => "look at base_url and paths.token: something else answers there".to_owned(),
        TokenFailure::Trouble { .. } => "the provider is in trouble; try again later".to_owned(),
    }
}

/// By the clocks that the token's answer tells of: its `Date`, often that of a door in front, and its `X-TIMESTAMP`.
fn skew(provider: &str, exchange: &TokenExchange) -> Option<Finding> {
    let name = format!("clock {provider}");
    // A whole answer came, or there is nothing to compare.
    exchange.http_status?;
    // The header was written at some moment of the call, and has whole seconds.
    let (earliest, latest) = (exchange.started, exchange.started.plus(exchange.elapsed));
    let told = [(exchange.date, "Date"), (exchange.timestamp, "X-TIMESTAMP")];
    let told = told.into_iter().filter_map(|(told, header)| Some((told?, header)));
    let Some((told, header)) = told.max_by_key(|(told, _)| distance(*told, earliest, latest)) else {
        return Some(Finding::ok(name, "is not compared: the provider's answer has no Date and no X-TIMESTAMP"));
    };
    let skew = distance(told, earliest, latest);
    let detail = match skew.as_secs() {
        0 | 1 => return Some(Finding::ok(name, "agrees with the provider's")),
        seconds if told < earliest => format!("is {seconds} s ahead of the provider's {header}"),
        seconds => format!("is {seconds} s behind the provider's {header}"),
    };
    let hint = "let this machine's clock follow a time server (`timedatectl`): X-TIMESTAMP is signed";
    Some(match skew {
        skew if skew >= SKEW_TOO_MUCH => {
            Finding::error(name, format!("{detail}; {} s is too much", SKEW_TOO_MUCH.as_secs()), hint)
        }
        skew if skew >= SKEW_NOTICED => {
            let limits = format!("from {} s on it is too much", SKEW_TOO_MUCH.as_secs());
            Finding::warning(name, format!("{detail}; {limits}"), hint)
        }
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

    const STARTED: Timestamp = Timestamp::from_millis(1_714_533_630_000);

    fn exchange(date_ahead_ms: Option<i64>, timestamp_ahead_ms: Option<i64>) -> TokenExchange {
        let ahead = |ms: i64| Timestamp::from_millis(STARTED.as_millis() + ms);
        TokenExchange {
            started: STARTED,
            asked_at: tokio::time::Instant::now(),
            elapsed: Duration::from_millis(200),
            http_status: Some(200),
            code: None,
            date: date_ahead_ms.map(ahead),
            timestamp: timestamp_ahead_ms.map(ahead),
            granted: true,
            detail: None,
        }
    }

    fn found(ahead_ms: i64) -> Finding {
        skew("finpay", &exchange(Some(ahead_ms), None)).unwrap()
    }

    #[test]
    fn a_second_is_no_skew() {
        for ahead in [-999, 0, 100, 1_000] {
            assert_eq!(found(ahead).detail, "agrees with the provider's", "{ahead}");
        }
    }

    #[test]
    fn the_more_skew_the_worse() {
        assert_eq!(found(10_200), Finding::ok("clock finpay", "is 10 s behind the provider's Date"));
        assert_eq!(found(-29_999).status, Status::Ok);
        assert_eq!(found(-45_000).status, Status::Warning);
        assert_eq!(found(-45_000).detail, "is 45 s ahead of the provider's Date; from 300 s on it is too much");
        assert_eq!(found(300_200).status, Status::Error);
        assert_eq!(found(400_000).detail, "is 399 s behind the provider's Date; 300 s is too much");
    }

    #[test]
    fn the_worse_of_both_clocks_counts() {
        // A door in front has the right time, what is behind it has not.
        let behind = skew("finpay", &exchange(Some(100), Some(-60_000))).unwrap();
        assert_eq!(behind.detail, "is 60 s ahead of the provider's X-TIMESTAMP; from 300 s on it is too much");
        // Some give back the X-TIMESTAMP that they were asked with.
        let echoed = skew("finpay", &exchange(Some(400_000), Some(0))).unwrap();
        assert_eq!(echoed.status, Status::Error);
    }

    #[test]
    fn where_nothing_tells_of_a_clock_that_is_said() {
        let untold = skew("finpay", &exchange(None, None)).unwrap();
        assert_eq!((untold.status, untold.detail.contains("not compared")), (Status::Ok, true));
        let unanswered = TokenExchange { http_status: None, ..exchange(None, None) };
        assert_eq!(skew("finpay", &unanswered), None);
    }

    #[test]
    fn name_connection_and_tls_are_told_apart() {
        let all = [NotSentReason::Dns, NotSentReason::Connect, NotSentReason::ConnectTimeout, NotSentReason::Tls];
        let failures = all.map(|why| TokenFailure::Unreachable { why, detail: "detail".to_owned() });
        let mut said: Vec<_> = failures.iter().map(|failure| (words(failure), hint(failure, "host"))).collect();
        let count = said.len();
        said.sort();
        said.dedup();
        assert_eq!(said.len(), count, "{said:?}");
    }
}
