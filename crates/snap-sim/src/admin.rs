//! The endpoints of the simulator itself, under `/_sim/`.
//!
//! | request | answer |
//! |---|---|
//! | `GET script` | `{"items":[{"id","matched","fired", …the rule}]}` |
//! | `POST script` one rule or an array | `{"ids":[…]}`, all or nothing |
//! | `DELETE script`, `DELETE script/ID` | `{}` |
//! | `GET ledger?reference=&doubles=true&limit=` | the verdict's fields and `items`, one for each reference |
//! | `GET requests?reference=&service=&limit=` | `{"items":[…]}`, the newest, oldest first |
//! | `GET config`, `POST config` with the fields to change | the whole behaviour |
//! | `POST reset`, `POST revoke-tokens` | `{}` |
//! | `GET magic` | `{"items":[{"customer","what"}]}` |
//!
//! An error is `{"error": "…"}` under 400 or 404. `limit` is 1000 where nothing is said.

use std::sync::atomic::Ordering::Relaxed;

use hyper::Method;
use serde_json::{Map, Value, json};

use crate::answer::Answer;
use crate::config::Behaviour;
use crate::door;
use crate::magic;
use crate::play::Reply;
use crate::provider::Provider;
use crate::report::{ReferenceReport, RequestRecord};
use crate::script::Rule;

/// Most items of a list, where `limit` says nothing.
const LIMIT: usize = 1000;

/// Why a request to an endpoint of the simulator is turned down.
type Turned = (u16, String);

/// Answers one request; `path` is what follows `/_sim/`.
pub(crate) fn answer(provider: &Provider, method: &Method, path: &str, query: Option<&str>, body: &[u8]) -> Reply {
    if path == "redirected" {
        provider.counts.redirects.fetch_add(1, Relaxed);
        return Reply::of(&Answer::success(38));
    }
    let query = Query(query.unwrap_or_default());
    let answered = match (method.as_str(), path) {
        ("GET", "script") => Ok(json!({ "items": provider.script.reports() })),
        ("POST", "script") => add_rules(provider, body),
        ("DELETE", "script") => {
            provider.script.clear();
            Ok(json!({}))
        }
        ("DELETE", path) if path.starts_with("script/") => remove_rule(provider, &path["script/".len()..]),
        ("GET", "ledger") => ledger(provider, &query),
        ("GET", "requests") => requests(provider, &query),
        ("GET", "config") => config(provider),
        ("POST", "config") => set_config(provider, body),
        ("POST", "reset") => {
            provider.reset();
            Ok(json!({}))
        }
        ("POST", "revoke-tokens") => {
            provider.tokens.revoke_all();
            Ok(json!({}))
        }
        ("GET", "magic") => Ok(json!({ "items": magic_numbers() })),
        _ => Err((404, format!("nothing answers {method} /_sim/{path}"))),
    };
    let (http, value) = answered.map_or_else(|(http, error)| (http, json!({ "error": error })), |value| (200, value));
    Reply::json(http, value.to_string().into_bytes())
}

fn unreadable(error: &serde_json::Error) -> Turned {
    (400, error.to_string())
}

fn add_rules(provider: &Provider, body: &[u8]) -> Result<Value, Turned> {
    let value: Value = serde_json::from_slice(body).map_err(|error| unreadable(&error))?;
    let values = match value {
        Value::Array(values) => values,
        value => vec![value],
    };
    let rules: Vec<Rule> =
        values.into_iter().map(serde_json::from_value).collect::<Result<_, _>>().map_err(|error| unreadable(&error))?;
    let ids: Vec<u64> = rules.into_iter().map(|rule| provider.script.add(rule)).collect();
    Ok(json!({ "ids": ids }))
}

fn remove_rule(provider: &Provider, id: &str) -> Result<Value, Turned> {
    match id.parse() {
        Ok(id) if provider.script.remove(id) => Ok(json!({})),
        _ => Err((404, format!("no rule {id}"))),
    }
}

fn ledger(provider: &Provider, query: &Query<'_>) -> Result<Value, Turned> {
    let limit = query.limit()?;
    let doubles_only = query.get("doubles").is_some_and(|value| value == "true");
    let now_ms = door::now_ms(&provider.behaviour());
    let items: Vec<ReferenceReport> = match query.get("reference") {
        Some(reference) => provider.reports_of(&reference, now_ms),
        None => provider.reports(now_ms, limit, doubles_only),
    };
    let mut value = serde_json::to_value(provider.verdict()).map_err(|error| (500, error.to_string()))?;
    value["items"] = json!(items);
    Ok(value)
}

fn requests(provider: &Provider, query: &Query<'_>) -> Result<Value, Turned> {
    let limit = query.limit()?;
    let reference = query.get("reference");
    let service = query.get("service");
    let records: Vec<RequestRecord> = provider
        .requests()
        .into_iter()
        .filter(|record| reference.is_none() || record.reference == reference)
        .filter(|record| service.as_ref().is_none_or(|service| *service == record.service.to_string()))
        .collect();
    // The newest ones, oldest first.
    Ok(json!({ "items": records[records.len().saturating_sub(limit)..] }))
}

fn config(provider: &Provider) -> Result<Value, Turned> {
    serde_json::to_value(&*provider.behaviour()).map_err(|error| (500, error.to_string()))
}

/// Changes what is named and leaves the rest.
fn set_config(provider: &Provider, body: &[u8]) -> Result<Value, Turned> {
    let change: Map<String, Value> = serde_json::from_slice(body).map_err(|error| unreadable(&error))?;
    let mut value = config(provider)?;
    for (name, setting) in change {
        value[name] = setting;
    }
    let behaviour: Behaviour = serde_json::from_value(value).map_err(|error| unreadable(&error))?;
    provider.set_behaviour(behaviour).map_err(|error| (400, error))?;
    config(provider)
}

fn magic_numbers() -> Vec<Value> {
    magic::TABLE
        .iter()
        .map(|magic| json!({ "customer": format!("62811000000{:02}", magic.number), "what": magic.what }))
        .collect()
}

/// The query of a URL.
struct Query<'a>(&'a str);

impl Query<'_> {
    fn get(&self, name: &str) -> Option<String> {
        self.0
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .find(|(key, _)| *key == name)
            .map(|(_, value)| decoded(value))
    }

    fn limit(&self) -> Result<usize, Turned> {
        match self.get("limit") {
            None => Ok(LIMIT),
            Some(limit) => limit.parse().map_err(|_no_number| (400, format!("limit {limit} is no number"))),
        }
    }
}

/// Percent-decoding; what is not well-formed stays as it is.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let escaped = match (first, after) {
            (b'%', [high, low, ..]) => {
                std::str::from_utf8(&[*high, *low]).ok().and_then(|digits| u8::from_str_radix(digits, 16).ok())
            }
            _ => None,
        };
        bytes.push(escaped.unwrap_or(first));
        rest = if escaped.is_some() { &after[2..] } else { after };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_decoded() {
        let query = Query("limit=5&reference=A%2fB%20%zz&x");
        assert_eq!(query.get("reference").as_deref(), Some("A/B %zz"));
        assert_eq!(query.limit(), Ok(5));
        assert_eq!(query.get("x"), None);
        assert!(Query("limit=x").limit().is_err());
    }
}
