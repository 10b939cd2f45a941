//! To whom attempts are sent (M14): the account of a provider section, its name, and what is in doubt at other ones.

use engine::Account;
use outbox::{AccountName, OpenDoubt, Reconcile, Store, StoreError};
use sha2::{Digest as _, Sha256};
use snap_core::Timestamp;
use tracing::warn;

use crate::config::{Config, ProviderConfig};
use crate::custody::Custody;
use crate::full::until_written;
use crate::output::{counted, rupiah};

pub(crate) mod forgotten;

/// The account that a section names: profile, address, partner and client key. Its secrets may change, and so may its paths and
/// its name: the account stays the same.
#[must_use]
pub(crate) fn of(provider: &ProviderConfig) -> Account {
    let mut digest = Sha256::new();
    let base_url = plain(&provider.base_url);
    for part in [provider.profile.name.as_str(), &base_url, &provider.partner_id, &provider.client_key] {
        digest.update(part.as_bytes());
        digest.update([0]);
    }
    let (first, _) =
        digest.finalize().as_slice().split_first_chunk().map(|(first, rest)| (*first, rest.len())).expect("32 bytes");
    Account::from_bytes(first)
}

/// Its name, for people.
fn name(provider: &ProviderConfig, first_seen: Timestamp) -> AccountName {
    AccountName {
        digest: of(provider),
        provider: provider.name.clone(),
        profile: provider.profile.name.clone(),
        base_url: plain(&provider.base_url),
        partner_id: provider.partner_id.clone(),
        first_seen,
        left_at: None,
    }
}

fn plain(base_url: &str) -> String {
    // It was checked when the configuration was read.
    snap_client::plain_base_url(base_url).unwrap_or_else(|_unusable| base_url.to_owned())
}

/// An account in one line; by its digest alone where its name was never noted.
pub(crate) fn words(account: Account, names: &[AccountName]) -> String {
    match names.iter().find(|name| name.digest == account) {
        Some(AccountName { profile, base_url, partner_id, .. }) => {
            format!("{base_url} as partner {partner_id} (profile {profile}, account {account})")
        }
        None => format!("account {account}"),
    }
}

/// What is in doubt at an account that its provider's section does not name now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stray {
    /// What is in doubt.
    pub(crate) doubt: OpenDoubt,
    /// The account, in words.
    pub(crate) account: String,
    /// What the section names now, in words; none where there is no such section any more.
    pub(crate) now: Option<String>,
    /// Another section that names the account.
    pub(crate) elsewhere: Option<String>,
}

impl Stray {
    /// What it is, for people.
    pub(crate) fn told(&self) -> String {
        let (count, amount) = (counted(self.doubt.count, "job"), rupiah(self.doubt.amount.minor()));
        let provider = &self.doubt.provider;
        let now = match &self.now {
            Some(now) => format!("the section names {now} now"),
            None => "there is no such section now".to_owned(),
        };
        format!(
            "{count} of {provider} ({amount}) may have been paid by {}; {now}, whose answers prove nothing about that",
            self.account
        )
    }

    /// What to do.
    pub(crate) fn hint(&self) -> String {
        match &self.elsewhere {
            Some(section) => format!(
                "section {section} names that account: `worker dlq check` asks it once they are dead letters `other_account`"
            ),
            None => "put the old section back under its name until they are settled, or under another provider name, where `worker dlq \
                     check` asks it"
                .to_owned(),
        }
    }
}

/// What is in doubt at accounts that are not asked any more; nothing is asked for it.
pub(crate) async fn strays(store: &Store, config: &Config) -> Result<Vec<Stray>, StoreError> {
    let doubts = store.open_doubts().await?;
    if doubts.is_empty() {
        return Ok(Vec::new());
    }
    let names = store.accounts().await?;
    let now = |provider: &str| config.providers.get(provider);
    let stray = |doubt: OpenDoubt| {
        let account = doubt.account?;
        let section = now(&doubt.provider);
        if section.is_some_and(|section| of(section) == account) {
            return None;
        }
        let elsewhere = config.providers.values().find(|section| of(section) == account);
        Some(Stray {
            account: words(account, &names),
            now: section.map(|section| words(of(section), &[name(section, doubt_time())])),
            elsewhere: elsewhere.map(|section| section.name.clone()),
            doubt,
        })
    };
    Ok(doubts.into_iter().filter_map(stray).collect())
}

/// A name that is told and not noted has no time.
const fn doubt_time() -> Timestamp {
    Timestamp::from_millis(0)
}

/// Notes the accounts of the configuration, and tells what is in doubt at other ones, before anything is asked.
///
/// # Errors
/// Any failure of the store.
pub(crate) async fn at_start(store: &Store, config: &Config, now: Timestamp) -> Result<(), StoreError> {
    let names: Vec<AccountName> = config.providers.values().map(|provider| name(provider, now)).collect();
    until_written(store, || store.note_accounts(names.clone(), now)).await?;
    for stray in strays(store, config).await? {
        warn!(
            provider = stray.doubt.provider,
            jobs = stray.doubt.count,
            amount = %stray.doubt.amount,
            account = stray.account,
            hint = stray.hint(),
            "jobs are in doubt at an account that is not configured any more; they are not asked about at another one"
        );
    }
    Ok(())
}

/// Tells, before anything is asked, where what the store has forgotten may have been sent to another account. Where there is a
/// broker its witness may know of more.
///
/// # Errors
/// Any failure of the store.
pub(crate) async fn forgotten_at_start(
    store: &Store,
    custody: &Custody,
    config: &Config,
    mark: Option<&Reconcile>,
    has_broker: bool,
) -> Result<(), StoreError> {
    let (noted, since) = (store.accounts().await?, forgotten::since(mark));
    if !has_broker {
        custody.knows_others(forgotten::others_were_used(&noted, &forgotten::named(config), since));
    }
    if mark.is_none() {
        return Ok(());
    }
    for elsewhere in forgotten::elsewhere(store, config, &noted, since).await? {
        warn!(provider = elsewhere.provider, hint = forgotten::Elsewhere::hint(), "{}", elsewhere.told());
    }
    Ok(())
}

#[cfg(test)]
mod tests;
