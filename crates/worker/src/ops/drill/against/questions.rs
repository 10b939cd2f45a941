//! The questions, in an order that asks what costs nothing first.

use std::time::Duration;

use engine::{Answer, Event, StatusAnswer};
use snap_client::{Token, TokenFailure};
use snap_core::{InquiryMode, PartnerReferenceNo, Service, Timestamp};
use tokio::time::{Instant, sleep};

use super::asker::{Asker, Known};
use super::report::{Holds, Item};
use crate::provider::Reading;

/// A top-up's status is looked at for so long.
const STATUS_LIMIT: Duration = Duration::from_secs(60);
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(8);
/// `Date` has whole seconds; beyond this a signature's time begins to be in danger.
const SKEW_NOTICED: Duration = Duration::from_secs(30);
/// An `X-TIMESTAMP` that a provider which looks at it should not like.
const STALE: Duration = Duration::from_secs(15 * 60);

/// Asks them all, as far as the answers let it.
pub(super) async fn ask_all(asker: &Asker<'_>) -> Vec<Item> {
    let mut items = Vec::new();
    let token = match asker.client.token(asker.clock.wall()).await {
        Ok(token) => token,
        Err(failure) => {
            items.push(Item::new("token", Holds::No, failure.to_string()).hint(hint_of_token(&failure)));
            return items;
        }
    };
    items.push(Item::new("token", Holds::Yes, "given"));
    items.push(asker.own_clock());
    items.push(asker.second_token(&token).await);
    // A token request may make the earlier token void: from here on the newest one.
    let token = match asker.client.token(asker.clock.wall()).await {
        Ok(token) => token,
        Err(failure) => {
            items.push(Item::new("token", Holds::No, failure.to_string()).hint(hint_of_token(&failure)));
            return items;
        }
    };
    items.push(asker.unknown_reference(&token).await);
    items.push(asker.used_number(&token).await);
    items.push(asker.stale_time(&token).await);
    let reference = asker.reference();
    let at = asker.clock.wall();
    let (item, known) = asker.inquiry(&token, &reference, at).await;
    items.push(item);
    let Some(known) = known else { return items };
    let (item, first) = asker.top_up(&token, &reference, at, &known).await;
    items.push(item);
    let Some(first) = first else { return items };
    items.extend(asker.late_status(&token, &reference, &first).await);
    if is_taken(&first) {
        items.push(asker.repeat(&token, &reference, at, &known, &first).await);
    }
    items
}

const fn hint_of_token(failure: &TokenFailure) -> &'static str {
    match failure {
        TokenFailure::Refused { .. } => "look at client_key and private_key, and at this machine's clock",
        TokenFailure::Unreachable { .. } => {
            "look at the URL, the network, and whether the provider lets this address in"
        }
        TokenFailure::Unusable { .. } | TokenFailure::Trouble { .. } => "look at the URL and at paths.token",
    }
}

/// Whether the top-up was paid or accepted.
const fn is_taken(reading: &Reading) -> bool {
    matches!(reading.event, Event::TopUp(Answer::Paid | Answer::Accepted))
}

impl Asker<'_> {
    /// By the `Date` header of the token's answer.
    fn own_clock(&self) -> Item {
        const QUESTION: &str = "clock";
        let exchanges = self.client.take_token_exchanges();
        let Some((exchange, date)) = exchanges.iter().find_map(|exchange| Some((exchange, exchange.date?))) else {
            return Item::new(QUESTION, Holds::Told, "the provider tells no Date");
        };
        let skew = exchange.started.since(date).max(date.since(exchange.started.plus(exchange.elapsed)));
        match skew.as_secs() {
            0 | 1 => Item::new(QUESTION, Holds::Yes, "agrees with the provider's"),
            seconds if skew < SKEW_NOTICED => Item::new(QUESTION, Holds::Yes, format!("{seconds} s apart")),
            seconds => Item::new(QUESTION, Holds::No, format!("{seconds} s apart"))
                .hint("let this machine's clock follow a time server: X-TIMESTAMP is signed"),
        }
    }

    async fn second_token(&self, first: &Token) -> Item {
        const QUESTION: &str = "another token";
        match self.client.refresh_token(first, self.clock.wall()).await {
            Err(failure) => Item::new(QUESTION, Holds::No, failure.to_string())
                .hint("a token that is refused is replaced at once: a provider that gives none then stops the lane"),
            Ok(_) => {
                let read = self.status(first, &self.reference(), None).await;
                let detail = match read.token_refused {
                    Some(_) => "given; the earlier one is void from then on",
                    None => "given; the earlier one is still good",
                };
                Item::new(QUESTION, Holds::Yes, detail)
            }
        }
    }

    /// "Not found" has to be told apart from everything else: it is half of the proof that nothing was paid.
    pub(super) async fn unknown_reference(&self, token: &Token) -> Item {
        const QUESTION: &str = "status of an unknown reference";
        let read = self.status(token, &self.reference(), None).await;
        match read.event {
            Event::Checked { answer: StatusAnswer::NotFound, .. } => {
                let form = match read.http_status {
                    Some(200) => "by latestTransactionStatus 07",
                    _ => "by its response code",
                };
                Item::new(QUESTION, Holds::Yes, format!("not found, {form}: {}", said(&read)))
            }
            _ => Item::new(QUESTION, Holds::No, format!("not told as not found: {}", said(&read)))
                .hint("a top-up that never arrived would stay in doubt until give_up_after, then need a person"),
        }
    }

    async fn used_number(&self, token: &Token) -> Item {
        let (reference, number) = (self.reference(), self.number());
        self.status_as(token, &reference, None, &number, self.clock.wall()).await;
        let again = self.status_as(token, &reference, None, &number, self.clock.wall()).await;
        let answered = matches!(again.event, Event::Checked { answer: StatusAnswer::NotFound, .. });
        let word = if answered { "answered all the same" } else { "refused" };
        Item::new("an X-EXTERNAL-ID once more", Holds::Told, format!("{word}: {}", said(&again)))
    }

    async fn stale_time(&self, token: &Token) -> Item {
        let now = self.clock.wall();
        let at = Timestamp::from_millis(now.as_millis() - i64::try_from(STALE.as_millis()).unwrap_or(0));
        let read = self.status_as(token, &self.reference(), None, &self.number(), at).await;
        let answered = matches!(read.event, Event::Checked { answer: StatusAnswer::NotFound, .. });
        let word = if answered { "answered: the provider does not look at it" } else { "refused" };
        Item::new("an X-TIMESTAMP 15 minutes old", Holds::Told, format!("{word}: {}", said(&read)))
    }

    /// Nothing where a top-up cannot follow.
    async fn inquiry(&self, token: &Token, reference: &PartnerReferenceNo, at: Timestamp) -> (Item, Option<Known>) {
        const QUESTION: &str = "account inquiry";
        if self.profile.inquiry == InquiryMode::Never {
            return (Item::new(QUESTION, Holds::Told, "the profile makes none"), Some(Known::default()));
        }
        let nothing = Known::default();
        let body = match self.profile.account_inquiry_request(&self.details(reference, at, &nothing)) {
            Ok(request) => request.to_body(),
            Err(error) => return (Item::new(QUESTION, Holds::No, error.to_string()), None),
        };
        let service = Service::AccountInquiry;
        let read = self.call(token, service, &self.number(), body, reference, self.clock.wall()).await;
        match read.event.clone() {
            Event::Inquired { min, max, .. }
                if min.is_some_and(|min| self.test.amount < min) || max.is_some_and(|max| self.test.amount > max) =>
            {
                let item = Item::new(QUESTION, Holds::Unclear, "the amount is out of the range that it tells");
                (item.hint("try another --amount"), None)
            }
            Event::Inquired { customer_name, fee, .. } => {
                let fee_told = if fee.is_some() { "a fee" } else { "no fee" };
                let item = Item::new(QUESTION, Holds::Yes, format!("a name and {fee_told}: {}", said(&read)));
                (item, Some(Known { customer_name, fee }))
            }
            Event::InquiryRefused => {
                let item = Item::new(QUESTION, Holds::Unclear, format!("this number is refused: {}", said(&read)));
                (item.hint("name a test number of the sandbox with --customer"), None)
            }
            _ => (Item::new(QUESTION, Holds::No, format!("not as it should be: {}", said(&read))), None),
        }
    }

    /// Nothing where none was sent.
    async fn top_up(
        &self,
        token: &Token,
        reference: &PartnerReferenceNo,
        at: Timestamp,
        known: &Known,
    ) -> (Item, Option<Reading>) {
        const QUESTION: &str = "top-up";
        let body = match self.profile.top_up_request(&self.details(reference, at, known)) {
            Ok(request) => request.to_body(),
            Err(error) => return (Item::new(QUESTION, Holds::No, error.to_string()), None),
        };
        let read = self.call(token, Service::TopUp, &self.number(), body, reference, self.clock.wall()).await;
        let item = match &read.event {
            Event::TopUp(Answer::Paid) => Item::new(QUESTION, Holds::Yes, format!("paid: {}", said(&read))),
            Event::TopUp(Answer::Accepted) => Item::new(QUESTION, Holds::Yes, format!("accepted: {}", said(&read))),
            Event::TopUp(Answer::Refused) => Item::new(QUESTION, Holds::Unclear, format!("refused: {}", said(&read)))
                .hint("name a test number and an amount that the sandbox pays"),
            _ => Item::new(QUESTION, Holds::No, format!("neither paid nor accepted: {}", said(&read))),
        };
        (item, Some(read))
    }

    /// When the top-up shows, and when its end does.
    async fn late_status(&self, token: &Token, reference: &PartnerReferenceNo, first: &Reading) -> Vec<Item> {
        const SHOWS: &str = "status after the top-up";
        let quiet = self.profile.defaults.quiet_period;
        let reference_no = first.fields.as_ref().and_then(|fields| fields.reference_no.as_deref());
        let (start, mut pause) = (Instant::now(), FIRST_PAUSE);
        let mut items = Vec::new();
        let mut last = None;
        while start.elapsed() < STATUS_LIMIT {
            let read = self.status(token, reference, reference_no).await;
            let Event::Checked { answer, .. } = &read.event else { break };
            let is_found = !matches!(answer, StatusAnswer::NotFound | StatusAnswer::Nothing(_));
            if is_found && items.is_empty() {
                let after = start.elapsed();
                let detail = format!("found after {} ms: {}", after.as_millis(), said(&read));
                let holds = if after < quiet { Holds::Yes } else { Holds::No };
                let item = Item::new(SHOWS, holds, detail);
                items.push(if holds == Holds::Yes { item } else { item.hint("status.quiet_period must be longer") });
            }
            let is_over = is_found && !matches!(answer, StatusAnswer::Pending);
            last = Some(read);
            if is_over || (!is_taken(first) && items.is_empty() && start.elapsed() > LONGEST_PAUSE) {
                break;
            }
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        let Some(last) = last else { return items };
        if items.is_empty() {
            let holds = if is_taken(first) { Holds::No } else { Holds::Told };
            let detail = format!("not found for {} s: {}", start.elapsed().as_secs(), said(&last));
            items.push(Item::new(SHOWS, holds, detail));
            return items;
        }
        items.push(match &last.event {
            Event::Checked { answer: StatusAnswer::Paid { .. }, .. } => {
                Item::new("its end", Holds::Yes, format!("paid after {} ms", start.elapsed().as_millis()))
            }
            Event::Checked { answer: StatusAnswer::Pending, .. } => {
                let detail = format!("still pending after {} s", start.elapsed().as_secs());
                Item::new("its end", Holds::Unclear, detail).hint("some sandboxes settle only by hand")
            }
            _ => {
                let holds = if matches!(first.event, Event::TopUp(Answer::Paid)) { Holds::No } else { Holds::Unclear };
                Item::new("its end", holds, format!("not paid: {}", said(&last)))
            }
        });
        items
    }

    /// The same top-up once more: same reference, same content, new number.
    async fn repeat(
        &self,
        token: &Token,
        reference: &PartnerReferenceNo,
        at: Timestamp,
        known: &Known,
        first: &Reading,
    ) -> Item {
        const QUESTION: &str = "the same reference once more";
        const ONLY_US: &str = "the worker never sends a reference again that may be paid; nothing else protects here";
        let body = match self.profile.top_up_request(&self.details(reference, at, known)) {
            Ok(request) => request.to_body(),
            Err(error) => return Item::new(QUESTION, Holds::No, error.to_string()),
        };
        let read = self.call(token, Service::TopUp, &self.number(), body, reference, self.clock.wall()).await;
        let number = |read: &Reading| read.fields.as_ref().and_then(|fields| fields.reference_no.clone());
        match &read.event {
            Event::TopUp(Answer::Duplicate) => {
                Item::new(QUESTION, Holds::Yes, format!("refused as known: {}", said(&read)))
            }
            Event::TopUp(Answer::Paid | Answer::Accepted) if number(first) != number(&read) => {
                let detail = format!("PAID AGAIN, under another referenceNo: {}", said(&read));
                Item::new(QUESTION, Holds::No, detail).hint(ONLY_US)
            }
            Event::TopUp(Answer::Paid | Answer::Accepted) => {
                let detail = format!("the same answer: told again, or paid again ({})", said(&read));
                Item::new(QUESTION, Holds::Unclear, detail).hint("look at the test number's balance at the provider")
            }
            _ => Item::new(QUESTION, Holds::No, format!("answered in no way that tells it is known: {}", said(&read)))
                .hint(ONLY_US),
        }
    }
}

/// What was answered, in its own words as far as they are no one's data.
fn said(read: &Reading) -> String {
    let code = read.code.map(|code| code.to_string());
    let http = read.http_status.map(|status| format!("HTTP {status}"));
    let known = [http, code, read.detail.clone()].into_iter().flatten().collect::<Vec<_>>().join(" ");
    if known.is_empty() { "no answer".to_owned() } else { known }
}
