//! The provider's side: a ledger that pays whatever reaches it, and plain answers in both providers' words.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use snap_core::Service;

use crate::scenario::Customer;
use crate::world::millis;

/// A top-up that is not credited at once takes so long, in milliseconds.
const SETTLES_AFTER: i64 = 20_000;
/// A reference is forgotten so long after its top-up has come to its end: the `uniqueness_window` of the run's configuration.
pub(crate) const REMEMBERS_FOR: Duration = Duration::from_secs(6 * 3600);

/// A request as it arrives.
#[derive(Clone, Debug)]
pub(crate) struct Order {
    pub(crate) provider: String,
    /// The provider's account whose credentials it bears.
    pub(crate) account: usize,
    pub(crate) service: Service,
    pub(crate) external_id: String,
    pub(crate) body: Vec<u8>,
}

/// A request that left the worker, whether it arrived or not.
#[derive(Clone, Debug)]
pub(crate) struct Left {
    pub(crate) external_id: String,
    /// True time, in Unix milliseconds.
    pub(crate) at: i64,
    /// What was wrong with its leaving, by what was stored then.
    pub(crate) objection: Option<String>,
}

/// An answer: HTTP status and body.
pub(crate) type Said = (u16, Value);

/// What an account knows of a reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Known {
    Not,
    Open,
    Paid,
    Failed,
}

/// Money that moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Credit {
    pub(crate) customer: String,
    pub(crate) amount: String,
}

#[derive(Debug, Default)]
struct Entry {
    credits: Vec<Credit>,
    /// When what was accepted shows its end, in Unix milliseconds, and whether it is one of success.
    settles: Option<(i64, bool)>,
    amount: String,
    number: String,
}

/// What providers know.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// By account and reference.
    entries: BTreeMap<(usize, String), Entry>,
    /// Requests that left, in order.
    pub(crate) left: Vec<Left>,
    /// Requests on their way: when they arrive, their number, and what they are.
    flights: Vec<(i64, u64, Order)>,
    landed: BTreeMap<u64, Said>,
    numbers: u64,
}

impl Ledger {
    /// A request leaves, to arrive at `arrives`; its number, to ask for the answer by.
    pub(crate) fn leave(&mut self, order: Order, now: i64, arrives: Option<i64>, objection: Option<String>) -> u64 {
        self.numbers += 1;
        self.left.push(Left { external_id: order.external_id.clone(), at: now, objection });
        if let Some(at) = arrives {
            self.flights.push((at, self.numbers, order));
        }
        self.numbers
    }

    /// Lets arrive whatever is due.
    pub(crate) fn settle(&mut self, now: i64) {
        self.flights.sort_by_key(|(at, number, _)| (*at, *number));
        while self.flights.first().is_some_and(|(at, ..)| *at <= now) {
            let (at, number, order) = self.flights.remove(0);
            let said = self.take(&order, at);
            self.landed.insert(number, said);
        }
    }

    pub(crate) fn answer(&mut self, number: u64) -> Option<Said> {
        self.landed.remove(&number)
    }

    pub(crate) fn is_quiet(&self) -> bool {
        self.flights.is_empty()
    }

    /// From whichever account.
    pub(crate) fn credits(&self, reference: &str) -> Vec<Credit> {
        let is_its = |(key, _): &(&(usize, String), &Entry)| key.1 == reference;
        self.entries.iter().filter(is_its).flat_map(|(_, entry)| entry.credits.clone()).collect()
    }

    /// What a status inquiry of a reference would be told now.
    pub(crate) fn known(&self, account: usize, reference: &str, now: i64) -> Known {
        let entry = self.entries.get(&(account, reference.to_owned()));
        match entry.and_then(|entry| entry.settles).filter(|(at, _)| now - at < millis(REMEMBERS_FOR)) {
            None => Known::Not,
            Some((at, _)) if now < at => Known::Open,
            Some((_, true)) => Known::Paid,
            Some((_, false)) => Known::Failed,
        }
    }

    /// References that were ever paid.
    pub(crate) fn paid(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().filter(|(_, entry)| !entry.credits.is_empty()).map(|((_, reference), _)| reference.as_str())
    }

    fn take(&mut self, order: &Order, now: i64) -> Said {
        match order.service {
            Service::AccountInquiry => self.inquiry(order),
            Service::TopUp => self.top_up(order, now),
            Service::TopUpStatus | Service::TransferStatus => self.status(order, now),
            Service::AccessToken => refusal(400, 73, 0),
        }
    }

    fn inquiry(&mut self, order: &Order) -> Said {
        let body = parsed(order);
        let number = text(&body, "customerNumber");
        if Customer::of(number) == Customer::Unknown {
            return refusal(404, 37, 11);
        }
        self.numbers += 1;
        let mut answer = json!({
            "responseCode": "2003700", "responseMessage": "Successful",
            "referenceNo": format!("37{:018}", self.numbers),
            "customerNumber": number, "customerName": "bu** sa****o",
        });
        if order.provider == "finpay" {
            answer["partnerReferenceNo"] = body["partnerReferenceNo"].clone();
            answer["minAmount"] = json!({ "value": "1000.00", "currency": "IDR" });
            answer["maxAmount"] = json!({ "value": "20000000.00", "currency": "IDR" });
            answer["amount"] = body["amount"].clone();
            answer["feeAmount"] = json!({ "value": "0.00", "currency": "IDR" });
        }
        (200, answer)
    }

    /// Whatever reaches it is paid, however often it was before.
    fn top_up(&mut self, order: &Order, now: i64) -> Said {
        let body = parsed(order);
        let (number, amount) = (text(&body, "customerNumber"), text(&body["amount"], "value"));
        let customer = Customer::of(number);
        if customer == Customer::Refused {
            return refusal(403, 38, 15);
        }
        self.numbers += 1;
        let later = customer != Customer::Good || order.provider == "midtrans";
        let entry = self.entries.entry((order.account, reference(order))).or_default();
        entry.number = format!("38{:018}", self.numbers);
        amount.clone_into(&mut entry.amount);
        entry.settles = Some((now + if later { SETTLES_AFTER } else { 0 }, customer.is_paid()));
        if customer.is_paid() {
            entry.credits.push(Credit { customer: canonical(number), amount: amount.to_owned() });
        }
        let (http, code) = if later { (202, "2023800") } else { (200, "2003800") };
        let mut answer = json!({
            "responseCode": code, "responseMessage": "Successful",
            "partnerReferenceNo": body["partnerReferenceNo"], "referenceNo": entry.number, "customerNumber": number,
        });
        if order.provider == "finpay" {
            answer["amount"] = body["amount"].clone();
        }
        (http, answer)
    }

    fn status(&self, order: &Order, now: i64) -> Said {
        let body = parsed(order);
        let service = order.service.code();
        let name = reference(order);
        let latest = match self.known(order.account, &name, now) {
            Known::Not if order.provider == "midtrans" => return refusal(404, service, 1),
            Known::Not => return self.told(&body, service, "07", "0", ""),
            Known::Open => "03",
            Known::Paid => "00",
            Known::Failed => "06",
        };
        let entry = &self.entries[&(order.account, name)];
        self.told(&body, service, latest, &entry.amount, &entry.number)
    }

    #[expect(clippy::unused_self, reason = "it reads as an answer of the provider")]
    fn told(&self, body: &Value, service: u8, latest: &str, amount: &str, number: &str) -> Said {
        let answer = json!({
            "responseCode": format!("200{service:02}00"), "responseMessage": "Successful",
            "originalPartnerReferenceNo": body["originalPartnerReferenceNo"], "originalReferenceNo": number,
            "serviceCode": "38", "amount": { "value": amount, "currency": "IDR" },
            "latestTransactionStatus": latest, "transactionStatusDesc": "as it is",
        });
        (200, answer)
    }
}

/// A refusal in SNAP's words.
pub(crate) fn refusal(http: u16, service: u8, case: u8) -> Said {
    (http, json!({ "responseCode": format!("{http}{service:02}{case:02}"), "responseMessage": "No" }))
}

/// `62…`, however it was written.
pub(crate) fn canonical(number: &str) -> String {
    let digits = number.trim_start_matches('+');
    digits.strip_prefix('0').map_or_else(|| digits.to_owned(), |rest| format!("62{rest}"))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn parsed(order: &Order) -> Value {
    serde_json::from_slice(&order.body).unwrap_or_default()
}

/// SHA-256 of the body, in hex.
pub(crate) fn digest(order: &Order) -> String {
    hex(&Sha256::digest(&order.body))
}

/// The reference that it is about.
pub(crate) fn reference(order: &Order) -> String {
    let body = parsed(order);
    let name = match order.service {
        Service::TopUpStatus | Service::TransferStatus => "originalPartnerReferenceNo",
        _ => "partnerReferenceNo",
    };
    text(&body, name).to_owned()
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}
