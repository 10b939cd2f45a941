//! The books: who was paid, by which request, how often.
//!
//! Every call is O(1) and holds one shard's lock for a moment; only the reports walk through everything.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

use crate::config::RepeatPolicy;
use crate::fault::Latest;
use crate::report::{Credit, Effect, ReferenceReport};
use crate::request::Customer;
use crate::seen::{ExternalNo, external_digits};

const SHARDS: usize = 16;

/// What an accepted top-up will come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Paid,
    Failed,
    Cancelled,
    Refunded,
    Forever,
    Lost,
}

/// A top-up that took effect or was accepted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Executed {
    pub(crate) fate: Fate,
    /// Whether it was answered with 202.
    pub(crate) pending: bool,
    /// From when on the end shows, in Unix milliseconds.
    pub(crate) settles_ms: i64,
    /// The provider's own number.
    pub(crate) number: u64,
    pub(crate) customer: Customer,
    pub(crate) amount: u64,
    pub(crate) external: ExternalNo,
}

impl Executed {
    /// What a status inquiry says at this time.
    pub(crate) fn latest(&self, now_ms: i64) -> Latest {
        if now_ms < self.settles_ms {
            return Latest::Pending;
        }
        match self.fate {
            Fate::Paid => Latest::Success,
            Fate::Failed => Latest::Failed,
            Fate::Cancelled => Latest::Cancelled,
            Fate::Refunded => Latest::Refunded,
            Fate::Forever => Latest::Pending,
            Fate::Lost => Latest::NotFound,
        }
    }
}

/// What the inquiry of a reference told, as small as it can be kept.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Quote {
    /// Which of the customers' names.
    pub(crate) name: u8,
    pub(crate) fee: Fee,
}

/// The fee an inquiry told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fee {
    NotTold,
    None,
    Some,
}

/// All that is known of one reference at one mount.
#[derive(Debug, Default)]
pub(crate) struct Entry {
    pub(crate) quote: Option<Quote>,
    pub(crate) executed: Option<Executed>,
    /// Customer of the first top-up request, also of one without effect.
    pub(crate) asked_for: Option<Customer>,
    pub(crate) inquiries: u32,
    pub(crate) top_ups: u32,
    pub(crate) statuses: u32,
    /// Status inquiries that still do not find it.
    pub(crate) hidden: u32,
    credits: Vec<CreditRow>,
}

#[derive(Debug, Clone, Copy)]
struct CreditRow {
    at_ms: i64,
    customer: Customer,
    amount: u64,
    external: ExternalNo,
}

/// A top-up request about to take effect.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Order {
    pub(crate) customer: Customer,
    pub(crate) amount: u64,
    pub(crate) external: ExternalNo,
    pub(crate) now_ms: i64,
    pub(crate) fate: Fate,
    /// Whether the answer is 202.
    pub(crate) pending: bool,
    pub(crate) settles_ms: i64,
}

/// What became of an [`Order`].
#[derive(Debug, Clone, Copy)]
pub(crate) enum Booked {
    /// It took effect.
    New(Executed),
    /// The reference was known and another credit was made.
    Again(Executed),
    /// The reference was known: the earlier answer is due.
    Known(Executed),
    /// The reference was known with another amount or customer.
    Inconsistent,
    /// The reference was known and is refused.
    Duplicate,
}

impl Booked {
    pub(crate) const fn effect(&self) -> Effect {
        match self {
            Self::New(Executed { pending: false, .. }) => Effect::Credited,
            Self::New(_) => Effect::Accepted,
            Self::Again(_) => Effect::CreditedAgain,
            Self::Known(_) | Self::Inconsistent | Self::Duplicate => Effect::Repeated,
        }
    }
}

/// A part of one mount's references.
type Shard = HashMap<Box<str>, Entry>;

/// The books of all mounts.
#[derive(Debug)]
pub(crate) struct Ledger {
    shards: Box<[Mutex<Shard>]>,
    hasher: RandomState,
    serial: AtomicU64,
    totals: Totals,
}

/// Running totals.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    pub(crate) credits: AtomicU64,
    pub(crate) doubles: AtomicU64,
    pub(crate) reversed: AtomicU64,
    pub(crate) amount: AtomicU64,
    pub(crate) references: AtomicU64,
}

impl Ledger {
    pub(crate) fn new(mounts: usize) -> Self {
        Self {
            shards: (0..mounts * SHARDS).map(|_| Mutex::default()).collect(),
            hasher: RandomState::new(),
            serial: AtomicU64::new(1),
            totals: Totals::default(),
        }
    }

    pub(crate) const fn totals(&self) -> &Totals {
        &self.totals
    }

    /// The next number of the provider's own.
    pub(crate) fn next_number(&self) -> u64 {
        self.serial.fetch_add(1, Relaxed)
    }

    /// Looks at or changes what is known of a reference; the closure must not come back here.
    pub(crate) fn with<T>(&self, mount: usize, reference: &str, act: impl FnOnce(&mut Entry) -> T) -> T {
        let shard = self.shard(mount, reference);
        let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = shard.get_mut(reference) {
            return act(entry);
        }
        act(shard.entry(reference.into()).or_default())
    }

    /// Like [`Ledger::with`], for a reference that may be unknown and stays so.
    pub(crate) fn with_known<T>(&self, mount: usize, reference: &str, act: impl FnOnce(&mut Entry) -> T) -> Option<T> {
        let shard = self.shard(mount, reference);
        let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
        shard.get_mut(reference).map(act)
    }

    fn shard(&self, mount: usize, reference: &str) -> &Mutex<Shard> {
        let at = usize::try_from(self.hasher.hash_one(reference) >> 60).unwrap_or(0) % SHARDS;
        &self.shards[mount * SHARDS + at]
    }

    /// Books an order under the entry's lock.
    pub(crate) fn book(&self, entry: &mut Entry, order: &Order, policy: RepeatPolicy) -> Booked {
        let Some(earlier) = entry.executed else {
            let executed = Executed {
                fate: order.fate,
                pending: order.pending,
                settles_ms: order.settles_ms,
                number: self.next_number(),
                customer: order.customer,
                amount: order.amount,
                external: order.external,
            };
            entry.executed = Some(executed);
            match order.fate {
                Fate::Paid => self.credit(entry, order),
                Fate::Refunded => {
                    entry.credit(order);
                    self.totals.reversed.fetch_add(1, Relaxed);
                }
                Fate::Failed | Fate::Cancelled | Fate::Forever | Fate::Lost => {}
            }
            return Booked::New(executed);
        };
        match policy {
            RepeatPolicy::PayAgain => {
                self.credit(entry, order);
                // Another transaction of the provider's, which has a number of its own.
                let again = Executed { number: self.next_number(), ..earlier };
                entry.executed = Some(again);
                Booked::Again(again)
            }
            RepeatPolicy::Reject => Booked::Duplicate,
            RepeatPolicy::Echo if earlier.amount == order.amount && earlier.customer == order.customer => {
                Booked::Known(earlier)
            }
            RepeatPolicy::Echo => Booked::Inconsistent,
        }
    }

    fn credit(&self, entry: &mut Entry, order: &Order) {
        entry.credit(order);
        self.totals.credits.fetch_add(1, Relaxed);
        self.totals.amount.fetch_add(order.amount, Relaxed);
        if entry.standing_credits() > 1 {
            self.totals.doubles.fetch_add(1, Relaxed);
        }
    }

    /// Standing credits of a reference over all mounts.
    pub(crate) fn credits_of(&self, reference: &str) -> u64 {
        let mounts = self.shards.len() / SHARDS;
        (0..mounts).filter_map(|mount| self.with_known(mount, reference, |entry| entry.standing_credits())).sum()
    }

    /// What is known of one reference at one mount.
    pub(crate) fn report(&self, mount: usize, name: &str, reference: &str, now_ms: i64) -> Option<ReferenceReport> {
        self.with_known(mount, reference, |entry| entry.report(name, reference, now_ms))
    }

    /// What is known of every reference at one mount, as far as `keep` wants it and up to `limit`.
    pub(crate) fn reports(
        &self,
        mount: usize,
        name: &str,
        now_ms: i64,
        limit: usize,
        keep: impl Fn(&Entry) -> bool,
    ) -> Vec<ReferenceReport> {
        let mut reports = Vec::new();
        for shard in &self.shards[mount * SHARDS..(mount + 1) * SHARDS] {
            let shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            for (reference, entry) in shard.iter().filter(|(_, entry)| keep(entry)) {
                if reports.len() >= limit {
                    return reports;
                }
                reports.push(entry.report(name, reference, now_ms));
            }
        }
        reports
    }

    /// Forgets all.
    pub(crate) fn clear(&self) {
        for shard in &self.shards {
            shard.lock().unwrap_or_else(PoisonError::into_inner).clear();
        }
        let Totals { credits, doubles, reversed, amount, references } = &self.totals;
        for total in [credits, doubles, reversed, amount, references] {
            total.store(0, Relaxed);
        }
    }
}

impl CreditRow {
    const fn of(order: &Order) -> Self {
        Self { at_ms: order.now_ms, customer: order.customer, amount: order.amount, external: order.external }
    }
}

impl Entry {
    fn credit(&mut self, order: &Order) {
        // Nearly every reference has one credit: room for exactly that.
        self.credits.reserve_exact(1);
        self.credits.push(CreditRow::of(order));
    }

    fn is_reversed(&self) -> bool {
        matches!(self.executed, Some(Executed { fate: Fate::Refunded, .. }))
    }

    /// Credits that were not taken back.
    pub(crate) fn standing_credits(&self) -> u64 {
        (self.credits.len() as u64).saturating_sub(u64::from(self.is_reversed()))
    }

    fn report(&self, profile: &str, reference: &str, now_ms: i64) -> ReferenceReport {
        ReferenceReport {
            profile: profile.into(),
            reference: reference.into(),
            reference_no: self.executed.map(|executed| reference_no(executed.number)),
            status: self.executed.map_or(Latest::NotFound, |executed| executed.latest(now_ms)),
            inquiries: self.inquiries,
            top_ups: self.top_ups,
            status_inquiries: self.statuses,
            reversed: self.is_reversed(),
            credits: self.credits.iter().map(CreditRow::report).collect(),
        }
    }
}

impl CreditRow {
    fn report(&self) -> Credit {
        Credit {
            at_ms: self.at_ms,
            customer: self.customer.to_string(),
            amount: rupiah(self.amount),
            external_id: external_digits(self.external),
        }
    }
}

/// The provider's own number as it is written.
pub(crate) fn reference_no(number: u64) -> String {
    format!("22{number:014}")
}

/// Minor units as `10000.00`.
pub(crate) fn rupiah(minor: u64) -> String {
    format!("{}.{:02}", minor / 100, minor % 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(amount: u64, fate: Fate) -> Order {
        Order {
            customer: 6_281_234_567_890,
            amount,
            external: crate::seen::external_no(0, "7"),
            now_ms: 5,
            fate,
            pending: false,
            settles_ms: 0,
        }
    }

    fn book(ledger: &Ledger, order: &Order, policy: RepeatPolicy) -> Booked {
        ledger.with(0, "R", |entry| ledger.book(entry, order, policy))
    }

    fn total(counter: &AtomicU64) -> u64 {
        counter.load(Relaxed)
    }

    #[test]
    fn a_repeat_is_rejected_echoed_or_paid_again() {
        let ledger = Ledger::new(1);
        assert!(matches!(book(&ledger, &order(100, Fate::Paid), RepeatPolicy::Reject), Booked::New(_)));
        assert!(matches!(book(&ledger, &order(100, Fate::Paid), RepeatPolicy::Reject), Booked::Duplicate));
        assert!(matches!(book(&ledger, &order(100, Fate::Paid), RepeatPolicy::Echo), Booked::Known(_)));
        assert!(matches!(book(&ledger, &order(200, Fate::Paid), RepeatPolicy::Echo), Booked::Inconsistent));
        assert_eq!(ledger.credits_of("R"), 1);
        let again = book(&ledger, &order(100, Fate::Paid), RepeatPolicy::PayAgain);
        assert!(matches!(again, Booked::Again(Executed { number: 2, .. })), "another transaction: {again:?}");
        assert_eq!(ledger.credits_of("R"), 2);
        assert_eq!(total(&ledger.totals.credits), 2);
        assert_eq!(total(&ledger.totals.doubles), 1);
        assert_eq!(total(&ledger.totals.amount), 200);
        ledger.clear();
        assert_eq!(ledger.credits_of("R"), 0);
        assert_eq!(total(&ledger.totals.credits), 0);
    }

    #[test]
    fn a_refunded_credit_does_not_stand() {
        let ledger = Ledger::new(1);
        book(&ledger, &order(100, Fate::Refunded), RepeatPolicy::Reject);
        assert_eq!(ledger.credits_of("R"), 0);
        assert_eq!(total(&ledger.totals.reversed), 1);
        let report = ledger.report(0, "finpay", "R", 10).unwrap();
        assert!(report.reversed);
        assert_eq!(report.credits.len(), 1);
        assert_eq!(report.status, Latest::Refunded);
    }

    #[test]
    fn a_credit_counts_when_it_is_accepted_and_shows_when_it_settles() {
        let ledger = Ledger::new(1);
        let order = Order { settles_ms: 100, pending: true, ..order(100, Fate::Paid) };
        book(&ledger, &order, RepeatPolicy::Reject);
        assert_eq!(ledger.credits_of("R"), 1);
        assert_eq!(ledger.report(0, "x", "R", 99).unwrap().status, Latest::Pending);
        assert_eq!(ledger.report(0, "x", "R", 100).unwrap().status, Latest::Success);
    }
}
