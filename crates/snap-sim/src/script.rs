//! Rules that say which request meets which fault.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{PoisonError, RwLock};

use serde::{Deserialize, Serialize};

use crate::fault::{Act, Fault};
use crate::random::mix;
use crate::request::Customer;

/// One rule of the script. The first rule that matches and fires decides; rules come before magic numbers and random faults.
///
/// Every condition that is left out matches everything.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Rule {
    /// The mount's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// Service digits: 73, 37, 38, 39 or 36.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<u8>,
    /// The whole `partnerReferenceNo`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// How the `partnerReferenceNo` begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference_prefix: Option<String>,
    /// The customer in canonical form, `62…`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer: Option<String>,
    /// Fires from this match on, counted from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nth: Option<u64>,
    /// Fires at most so many times.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u64>,
    /// Fires for so many of a thousand matches, chosen by `seed` and the number of the match.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub permille: Option<u32>,
    /// Seed of `permille`.
    #[serde(default)]
    pub seed: u64,
    /// What happens.
    pub fault: Fault,
    /// Whether a top-up takes effect first; default [`Fault::commits_by_default`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<bool>,
    /// Overrides the fault's configured duration, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delay_ms: Option<u64>,
}

impl Rule {
    /// A rule that matches every request.
    #[must_use]
    pub const fn new(fault: Fault) -> Self {
        Self {
            profile: None,
            service: None,
            reference: None,
            reference_prefix: None,
            customer: None,
            nth: None,
            times: None,
            permille: None,
            seed: 0,
            fault,
            commit: None,
            delay_ms: None,
        }
    }
}

/// A request as the script sees it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seen<'a> {
    pub(crate) profile: &'a str,
    pub(crate) service: u8,
    pub(crate) reference: Option<&'a str>,
    pub(crate) customer: Option<Customer>,
}

/// The rules in force.
#[derive(Debug, Default)]
pub(crate) struct Script {
    rules: RwLock<Vec<Numbered>>,
    /// Spares requests the lock while there is no rule.
    count: AtomicUsize,
    last_id: AtomicU64,
}

#[derive(Debug)]
struct Numbered {
    id: u64,
    rule: Rule,
    customer: Option<Customer>,
    matched: AtomicU64,
    fired: AtomicU64,
}

/// A rule with its number and how often it was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RuleReport {
    /// Its number, to take it away by.
    pub id: u64,
    /// How many requests matched.
    pub matched: u64,
    /// How many of them met the fault.
    pub fired: u64,
    /// The rule.
    #[serde(flatten)]
    pub rule: Rule,
}

impl Script {
    pub(crate) fn add(&self, rule: Rule) -> u64 {
        let id = self.last_id.fetch_add(1, Relaxed) + 1;
        let mut rules = self.rules.write().unwrap_or_else(PoisonError::into_inner);
        // A customer that is no number matches nobody.
        let customer = rule.customer.as_ref().map(|customer| customer.parse().unwrap_or(Customer::MAX));
        rules.push(Numbered { id, rule, customer, matched: AtomicU64::new(0), fired: AtomicU64::new(0) });
        self.count.store(rules.len(), Relaxed);
        id
    }

    /// Takes one rule away; whether it was there.
    pub(crate) fn remove(&self, id: u64) -> bool {
        let mut rules = self.rules.write().unwrap_or_else(PoisonError::into_inner);
        let before = rules.len();
        rules.retain(|numbered| numbered.id != id);
        self.count.store(rules.len(), Relaxed);
        rules.len() < before
    }

    pub(crate) fn clear(&self) {
        let mut rules = self.rules.write().unwrap_or_else(PoisonError::into_inner);
        rules.clear();
        self.count.store(0, Relaxed);
    }

    pub(crate) fn reports(&self) -> Vec<RuleReport> {
        let rules = self.rules.read().unwrap_or_else(PoisonError::into_inner);
        rules
            .iter()
            .map(|numbered| RuleReport {
                id: numbered.id,
                matched: numbered.matched.load(Relaxed),
                fired: numbered.fired.load(Relaxed),
                rule: numbered.rule.clone(),
            })
            .collect()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.count.load(Relaxed) == 0
    }

    /// What the first rule says that matches and fires.
    pub(crate) fn act(&self, seen: &Seen<'_>) -> Option<Act> {
        if self.is_empty() {
            return None;
        }
        let rules = self.rules.read().unwrap_or_else(PoisonError::into_inner);
        rules.iter().find(|numbered| numbered.matches(seen) && numbered.fires()).map(|numbered| numbered.rule.act())
    }
}

impl Rule {
    fn act(&self) -> Act {
        Act {
            fault: self.fault,
            commit: self.commit.unwrap_or(self.fault.commits_by_default()),
            delay_ms: self.delay_ms,
        }
    }
}

impl Numbered {
    fn matches(&self, seen: &Seen<'_>) -> bool {
        let rule = &self.rule;
        rule.profile.as_deref().is_none_or(|profile| profile == seen.profile)
            && rule.service.is_none_or(|service| service == seen.service)
            && (rule.reference.is_none() || rule.reference.as_deref() == seen.reference)
            && rule
                .reference_prefix
                .as_deref()
                .is_none_or(|prefix| seen.reference.is_some_and(|reference| reference.starts_with(prefix)))
            && (self.customer.is_none() || self.customer == seen.customer)
    }

    /// Counts a match and says whether the rule fires at it.
    fn fires(&self) -> bool {
        let nth = self.matched.fetch_add(1, Relaxed) + 1;
        if nth < self.rule.nth.unwrap_or(1) {
            return false;
        }
        if let Some(permille) = self.rule.permille
            && mix(self.rule.seed ^ mix(nth)) % 1000 >= u64::from(permille)
        {
            return false;
        }
        match self.rule.times {
            None => {
                self.fired.fetch_add(1, Relaxed);
                true
            }
            Some(times) => {
                self.fired.fetch_update(Relaxed, Relaxed, |fired| (fired < times).then_some(fired + 1)).is_ok()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEEN: Seen<'static> =
        Seen { profile: "finpay", service: 38, reference: Some("R-1"), customer: Some(6_281_234_567_890) };

    fn fires(script: &Script, seen: &Seen<'_>, requests: usize) -> Vec<bool> {
        (0..requests).map(|_| script.act(seen).is_some()).collect()
    }

    #[test]
    fn a_rule_fires_from_the_nth_match_so_many_times() {
        let script = Script::default();
        script.add(Rule { nth: Some(2), times: Some(2), ..Rule::new(Fault::Rst) });
        assert_eq!(fires(&script, &SEEN, 5), [false, true, true, false, false]);
        assert_eq!((script.reports()[0].matched, script.reports()[0].fired), (5, 2));
    }

    #[test]
    fn every_condition_has_to_match() {
        let hit = [
            Rule { profile: Some("finpay".into()), ..Rule::new(Fault::Rst) },
            Rule { service: Some(38), ..Rule::new(Fault::Rst) },
            Rule { reference: Some("R-1".into()), ..Rule::new(Fault::Rst) },
            Rule { reference_prefix: Some("R-".into()), ..Rule::new(Fault::Rst) },
            Rule { customer: Some("6281234567890".into()), ..Rule::new(Fault::Rst) },
        ];
        let miss = [
            Rule { profile: Some("midtrans".into()), ..Rule::new(Fault::Rst) },
            Rule { service: Some(37), ..Rule::new(Fault::Rst) },
            Rule { reference: Some("R-".into()), ..Rule::new(Fault::Rst) },
            Rule { reference_prefix: Some("S".into()), ..Rule::new(Fault::Rst) },
            Rule { customer: Some("081234567890".into()), ..Rule::new(Fault::Rst) },
            Rule { customer: Some("who".into()), ..Rule::new(Fault::Rst) },
        ];
        for (rules, expected) in [(hit.to_vec(), true), (miss.to_vec(), false)] {
            for rule in rules {
                let script = Script::default();
                script.add(rule.clone());
                assert_eq!(script.act(&SEEN).is_some(), expected, "{rule:?}");
            }
        }
    }

    #[test]
    fn a_share_of_the_matches_is_chosen_by_the_seed() {
        let count = |seed| {
            let script = Script::default();
            script.add(Rule { permille: Some(250), seed, ..Rule::new(Fault::Rst) });
            fires(&script, &SEEN, 1000)
        };
        assert_eq!(count(1), count(1));
        assert_ne!(count(1), count(2));
        let fired = count(1).iter().filter(|&&fired| fired).count();
        assert!((180..320).contains(&fired), "{fired}");
    }

    #[test]
    fn the_first_rule_that_fires_decides_and_a_removed_one_is_silent() {
        let script = Script::default();
        let first = script.add(Rule { times: Some(1), ..Rule::new(Fault::Rst) });
        script.add(Rule::new(Fault::Fin));
        assert_eq!(script.act(&SEEN).map(|act| act.fault), Some(Fault::Rst));
        assert_eq!(script.act(&SEEN).map(|act| act.fault), Some(Fault::Fin));
        assert!(script.remove(first));
        assert!(!script.remove(first));
        script.clear();
        assert_eq!(script.act(&SEEN), None);
    }

    #[test]
    fn a_rule_is_written_in_json() {
        let rule: Rule =
            serde_json::from_str(r#"{"service":38,"nth":2,"fault":{"answer":"403xx14"},"delayMs":5}"#).unwrap();
        assert_eq!(
            rule.act(),
            Act { fault: Fault::Answer(crate::Case::new(403, 14)), commit: false, delay_ms: Some(5) }
        );
        let rule: Rule = serde_json::from_str(r#"{"fault":"timeout","commit":false}"#).unwrap();
        assert_eq!(rule.act(), Act::before(Fault::Timeout));
        assert!(serde_json::from_str::<Rule>(r#"{"fault":"timeout","servise":38}"#).is_err());
        assert!(serde_json::from_str::<Rule>(r#"{"fault":{"report":"03"}}"#).is_ok());
    }
}
