//! What a store has forgotten (M12, M13) may have been sent to any account that its provider's section named in that time
//! (M14): of which providers that may be another one than is asked now.

use std::collections::BTreeSet;

use engine::Account;
use outbox::{AccountName, Reconcile, Store, StoreError, Total};
use snap_core::Timestamp;

use super::{name, of, words};
use crate::config::Config;
use crate::output::{counted, rupiah};

/// The longest list that a witness carries; of what is more nobody knows.
const TOLD_MAX: usize = 64;

/// The accounts that the sections name now, by provider.
#[must_use]
pub(crate) fn named(config: &Config) -> Vec<(String, Account)> {
    config.providers.values().map(|section| (section.name.clone(), of(section))).collect()
}

/// The providers of which another account may have been in use since then.
#[must_use]
pub(crate) fn others_were_used(
    noted: &[AccountName],
    named: &[(String, Account)],
    since: Timestamp,
) -> BTreeSet<String> {
    let by_another = |(provider, account): &&(String, Account)| {
        noted.iter().any(|noted| noted.digest != *account && noted.may_have_served(provider, since))
    };
    named.iter().filter(by_another).map(|(provider, _)| provider.clone()).collect()
}

/// From when on something may be forgotten.
#[must_use]
pub(crate) fn since(mark: Option<&Reconcile>) -> Timestamp {
    mark.map_or(Timestamp::from_millis(0), Reconcile::unknown_since)
}

/// What a witness tells of the accounts in use.
#[must_use]
pub(crate) fn told(mut noted: Vec<AccountName>, now: Timestamp) -> Vec<AccountName> {
    if noted.len() > TOLD_MAX {
        noted = noted.split_off(noted.len() + 1 - TOLD_MAX);
        noted.push(AccountName::unknown(now));
    }
    noted
}

/// A provider whose forgotten attempts may have gone to another account than its section names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Elsewhere {
    /// The provider.
    pub(crate) provider: String,
    /// What its section names, in words.
    now: String,
    /// The others, in words.
    others: Vec<String>,
    /// Jobs of the provider that are open or before a person, and their amounts.
    jobs: u64,
    amount: Total,
}

impl Elsewhere {
    /// What it is, for people.
    pub(crate) fn told(&self) -> String {
        let Self { provider, now, others, jobs, amount } = self;
        format!(
            "what the store has forgotten of {provider} may have been sent to {}; the section names {now}, whose \"not found\" proves \
             nothing about that: {} of {provider} ({}), and every key that the store does not know, end before a person as \
             other_account where it does not know them",
            others.join(" and "),
            counted(*jobs, "job"),
            rupiah(amount.minor())
        )
    }

    /// What to do.
    pub(crate) fn hint() -> &'static str {
        "put the old section back under its name until the asking is over, or under another provider name, where `worker dlq check` asks it; \
         what neither knows was not paid: `worker dlq discard`, and publish it under a new key"
    }
}

/// Of which providers that may be so, by what these accounts are known to have been in use.
///
/// # Errors
/// Any failure to read.
pub(crate) async fn elsewhere(
    store: &Store,
    config: &Config,
    noted: &[AccountName],
    since: Timestamp,
) -> Result<Vec<Elsewhere>, StoreError> {
    let others = others_were_used(noted, &named(config), since);
    let mut found = Vec::new();
    for section in config.providers.values().filter(|section| others.contains(&section.name)) {
        let present = of(section);
        let is_other = |noted: &&AccountName| noted.digest != present && noted.may_have_served(&section.name, since);
        let totals = store.open_totals().await?;
        let open = totals.iter().filter(|total| total.provider == section.name);
        let (jobs, amount) =
            open.fold((0, Total::default()), |(jobs, amount), total| (jobs + total.count, amount.plus(total.amount)));
        found.push(Elsewhere {
            provider: section.name.clone(),
            now: words(present, &[name(section, since)]),
            others: noted.iter().filter(is_other).map(|other| other_in_words(other, noted)).collect(),
            jobs,
            amount,
        });
    }
    Ok(found)
}

/// In words, what beside the present accounts was in use, of the providers that `only` names.
pub(crate) fn others_in_words(
    noted: &[AccountName],
    named: &[(String, Account)],
    since: Timestamp,
    only: &BTreeSet<String>,
) -> String {
    let of_provider = |(provider, account): &(String, Account)| {
        let is_other = |noted: &&AccountName| noted.digest != *account && noted.may_have_served(provider, since);
        let others: Vec<_> = noted.iter().filter(is_other).map(|other| other_in_words(other, noted)).collect();
        format!("{provider}: {}", others.join(" and "))
    };
    let lines: Vec<_> = named.iter().filter(|(provider, _)| only.contains(provider)).map(of_provider).collect();
    lines.join("; ")
}

fn other_in_words(other: &AccountName, noted: &[AccountName]) -> String {
    if other.is_unknown() { "accounts that nobody knows of".to_owned() } else { words(other.digest, noted) }
}

#[cfg(test)]
mod tests;
