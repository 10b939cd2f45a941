//! The accounts that attempts were sent to (M14): their names, and what is open at which.

use engine::Account;
use rusqlite::{Connection, params};
use serde::{Deserialize, Serialize};
use snap_core::Timestamp;

use crate::{
    Store, StoreError, Total,
    error::Rejected,
    rows::{self, unreadable},
    task::Room,
    transaction::Transaction,
};

/// An account that a provider's section has named, in words that an operator knows; no secrets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AccountName {
    /// What attempts keep of it.
    #[serde(rename = "account")]
    pub digest: Account,
    /// The provider section.
    pub provider: String,
    /// The section's profile.
    pub profile: String,
    /// The section's address, in its plain spelling.
    pub base_url: String,
    /// `X-PARTNER-ID`.
    pub partner_id: String,
    /// When a worker with it was first started on this store.
    pub first_seen: Timestamp,
    /// The first start of a worker whose section named another one; `None`: it is in use, as far as is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left_at: Option<Timestamp>,
}

impl AccountName {
    /// The accounts that nobody can name: any provider's, for as long as nobody knows.
    #[must_use]
    pub fn unknown(at: Timestamp) -> Self {
        let (provider, profile, base_url, partner_id) = (ANY.to_owned(), String::new(), String::new(), String::new());
        Self {
            digest: Account::from_bytes([0; 8]),
            provider,
            profile,
            base_url,
            partner_id,
            first_seen: at,
            left_at: None,
        }
    }

    /// Whether it is [`Self::unknown`].
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        self.provider == ANY
    }

    /// Whether attempts of this provider may have gone to it at any time after `since`.
    #[must_use]
    pub fn may_have_served(&self, provider: &str, since: Timestamp) -> bool {
        (self.is_unknown() || self.provider == provider) && self.left_at.is_none_or(|left| left > since)
    }
}

/// No section has this name.
const ANY: &str = "*";

/// Jobs of one provider whose money may have moved at one account, and nothing has settled it: in doubt, or before a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenDoubt {
    /// The provider that the jobs name.
    pub provider: String,
    /// The account; `None`: recorded before accounts were.
    pub account: Option<Account>,
    /// How many jobs.
    pub count: u64,
    /// Their amounts.
    pub amount: Total,
}

/// Over the index of what is not final; a record is read for each job that may be in doubt.
const OPEN_DOUBTS: &str = "SELECT s.provider, s.amount, r.engine
     FROM job_states s INDEXED BY jobs_open JOIN job_records r ON r.record_no = s.record_id
     WHERE s.finished_at IS NULL AND (s.state = 'sending' OR s.state = 'unconfirmed' OR s.state = 'dead')";

impl Store {
    /// Notes at a start which accounts the configuration names: all of `names`, and of those noted before the others not any more.
    /// Where nothing of that is new it writes nothing.
    ///
    /// # Errors
    /// Any failure of the store.
    pub async fn note_accounts(&self, names: Vec<AccountName>, now: Timestamp) -> Result<(), StoreError> {
        let noted = self.accounts().await?;
        let is_named = |noted: &AccountName| names.iter().any(|name| is_same(name, noted));
        let left = noted.iter().filter(|noted| noted.left_at.is_none() && !is_named(noted));
        let left: Vec<_> = left.map(|left| AccountName { left_at: Some(now), ..left.clone() }).collect();
        let is_noted = |name: &AccountName| noted.iter().any(|noted| is_same(name, noted) && noted.left_at.is_none());
        let changed: Vec<_> = names.iter().filter(|name| !is_noted(name)).cloned().chain(left).collect();
        self.write_accounts(changed).await
    }

    /// Takes over what somebody else knows of accounts that were in use: of each the latest time.
    ///
    /// # Errors
    /// Any failure of the store.
    pub async fn learn_accounts(&self, names: Vec<AccountName>) -> Result<(), StoreError> {
        let noted = self.accounts().await?;
        let later = |name: AccountName| match noted.iter().find(|noted| is_same(&name, noted)) {
            Some(noted) => {
                let left_at = noted.left_at.zip(name.left_at).map(|(ours, theirs)| ours.max(theirs));
                (left_at != noted.left_at).then_some(AccountName { left_at, ..name })
            }
            None => Some(name),
        };
        self.write_accounts(names.into_iter().filter_map(later).collect()).await
    }

    async fn write_accounts(&self, changed: Vec<AccountName>) -> Result<(), StoreError> {
        if changed.is_empty() {
            return Ok(());
        }
        self.write(Room::Reserved, changed, |transaction, changed| note(transaction, changed)).await.map(|_| ())
    }

    /// Every account that a worker on this store was ever started with.
    ///
    /// # Errors
    /// Any failure to read.
    pub async fn accounts(&self) -> Result<Vec<AccountName>, StoreError> {
        self.read(all).await
    }

    /// What is in doubt, by provider and account. Its cost grows with what is in doubt or before a person.
    ///
    /// # Errors
    /// Any failure to read.
    pub async fn open_doubts(&self) -> Result<Vec<OpenDoubt>, StoreError> {
        self.read(doubts).await
    }
}

fn is_same(one: &AccountName, other: &AccountName) -> bool {
    (one.digest, &one.provider) == (other.digest, &other.provider)
}

fn note(transaction: &Transaction<'_>, changed: &[AccountName]) -> Result<(), Rejected> {
    let mut upsert = transaction.prepare_cached(
        "INSERT INTO accounts (provider, digest, profile, base_url, partner_id, first_seen, left_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT DO UPDATE SET left_at = excluded.left_at",
    )?;
    for name in changed {
        let AccountName { digest, provider, profile, base_url, partner_id, first_seen, left_at } = name;
        let (digest, left_at) = (digest.to_string(), left_at.map(Timestamp::as_millis));
        upsert.execute(params![provider, digest, profile, base_url, partner_id, first_seen.as_millis(), left_at])?;
    }
    Ok(())
}

fn all(connection: &Connection) -> Result<Vec<AccountName>, Rejected> {
    let mut statement = connection
        .prepare_cached("SELECT provider, digest, profile, base_url, partner_id, first_seen, left_at FROM accounts")?;
    let rows = statement.query([])?;
    let mut all = rows::collect(rows, |row| {
        let digest: String = row.get(1)?;
        let left_at: Option<i64> = row.get(6)?;
        Ok(AccountName {
            provider: row.get(0)?,
            digest: Account::parse(&digest).ok_or_else(|| unreadable("accounts", "a digest"))?,
            profile: row.get(2)?,
            base_url: row.get(3)?,
            partner_id: row.get(4)?,
            first_seen: Timestamp::from_millis(row.get(5)?),
            left_at: left_at.map(Timestamp::from_millis),
        })
    })?;
    all.sort_by(|one, other| {
        (one.first_seen, one.digest, &one.provider).cmp(&(other.first_seen, other.digest, &other.provider))
    });
    Ok(all)
}

fn doubts(connection: &Connection) -> Result<Vec<OpenDoubt>, Rejected> {
    let mut statement = connection.prepare_cached(OPEN_DOUBTS)?;
    let mut rows = statement.query([])?;
    let mut doubts: Vec<OpenDoubt> = Vec::new();
    while let Some(row) = rows.next()? {
        let engine = row.get_ref(2)?.as_str().unwrap_or_default();
        // One that cannot be read is told by whoever reads the job itself.
        let Ok(job) = serde_json::from_str::<engine::Job>(engine) else { continue };
        if job.evidence.money != engine::MoneyState::MaybeSent {
            continue;
        }
        let (provider, account) = (row.get_ref(0)?.as_str().unwrap_or_default(), job.evidence.account);
        let amount = Total::from_minor(row.get::<_, i64>(1)?.unsigned_abs().into());
        match doubts.iter_mut().find(|doubt| doubt.account == account && doubt.provider == provider) {
            Some(doubt) => {
                doubt.count += 1;
                doubt.amount = doubt.amount.plus(amount);
            }
            None => doubts.push(OpenDoubt { provider: provider.to_owned(), account, count: 1, amount }),
        }
    }
    doubts.sort_by(|one, other| (&one.provider, one.account).cmp(&(&other.provider, other.account)));
    Ok(doubts)
}
