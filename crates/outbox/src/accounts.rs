//! The accounts that attempts were sent to (M14): their names, and what is open at which.

use engine::Account;
use rusqlite::{Connection, params};
use snap_core::Timestamp;

use crate::{
    Store, StoreError, Total,
    error::Rejected,
    rows::{self, unreadable},
    task::Room,
    transaction::Transaction,
};

/// An account in words that an operator knows; no secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountName {
    /// What attempts keep of it.
    pub digest: Account,
    /// The provider section that named it first.
    pub provider: String,
    /// The section's profile.
    pub profile: String,
    /// The section's address, in its plain spelling.
    pub base_url: String,
    /// `X-PARTNER-ID`.
    pub partner_id: String,
    /// When a worker with it was first started on this store.
    pub first_seen: Timestamp,
}

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
    /// Notes the names of accounts that are not noted yet; without any it writes nothing.
    ///
    /// # Errors
    /// Any failure of the store.
    pub async fn note_accounts(&self, names: Vec<AccountName>) -> Result<(), StoreError> {
        let noted = self.accounts().await?;
        let new: Vec<AccountName> =
            names.into_iter().filter(|name| noted.iter().all(|noted| noted.digest != name.digest)).collect();
        if new.is_empty() {
            return Ok(());
        }
        self.write(Room::Reserved, new, |transaction, new| note(transaction, new)).await.map(|_| ())
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

fn note(transaction: &Transaction<'_>, new: &[AccountName]) -> Result<(), Rejected> {
    let mut insert = transaction.prepare_cached(
        "INSERT INTO accounts (digest, provider, profile, base_url, partner_id, first_seen)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO NOTHING",
    )?;
    for name in new {
        let AccountName { digest, provider, profile, base_url, partner_id, first_seen } = name;
        let digest = digest.to_string();
        insert.execute(params![digest, provider, profile, base_url, partner_id, first_seen.as_millis()])?;
    }
    Ok(())
}

fn all(connection: &Connection) -> Result<Vec<AccountName>, Rejected> {
    let mut statement = connection
        .prepare_cached("SELECT digest, provider, profile, base_url, partner_id, first_seen FROM accounts")?;
    let rows = statement.query([])?;
    let mut all = rows::collect(rows, |row| {
        let digest: String = row.get(0)?;
        Ok(AccountName {
            digest: Account::parse(&digest).ok_or_else(|| unreadable("accounts", "a digest"))?,
            provider: row.get(1)?,
            profile: row.get(2)?,
            base_url: row.get(3)?,
            partner_id: row.get(4)?,
            first_seen: Timestamp::from_millis(row.get(5)?),
        })
    })?;
    all.sort_by_key(|name| (name.first_seen, name.digest));
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
