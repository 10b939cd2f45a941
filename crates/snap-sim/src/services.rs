//! What each service does with a request that is in order.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use crate::answer::{Answer, Money, Seconds};
use crate::case::Case;
use crate::config::{LaneFault, Personality};
use crate::fault::{Act, Fault, Latest};
use crate::fields::Fields;
use crate::ledger::{Booked, Executed, Fate, Fee, Order, Quote, reference_no};
use crate::play::LateOrder;
use crate::provider::{Call, Decided, Provider, lane_fault};
use crate::refusal::Refusal;
use crate::report::Effect;
use crate::request::{self, Customer, Inquiry, StatusInquiry, TopUp};
use crate::seen::external_digits;

/// Names of customers; some with characters that a careless serialiser or a too careful one would change.
const NAMES: [&str; 8] = [
    "sa**m",
    "bu** sa****o",
    "si** am***h",
    "de** pu***i",
    "ag** wi****a",
    "D'A**a / R**",
    "Zoë \"Z\" O**",
    "<an**> & bu**",
];

fn quote_of(customer: Customer, act: Act) -> Quote {
    let fee = match act.fault {
        Fault::WithoutFee => Fee::NotTold,
        _ if customer % 10 == 5 => Fee::Some,
        _ => Fee::None,
    };
    Quote { name: u8::try_from(customer / 10 % NAMES.len() as u128).unwrap_or(0), fee }
}

impl Quote {
    const fn name(self) -> &'static str {
        NAMES[self.name as usize]
    }

    const fn fee(self) -> Option<&'static str> {
        match self.fee {
            Fee::NotTold => None,
            Fee::None => Some("0.00"),
            Fee::Some => Some("1500.00"),
        }
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

impl Provider {
    /// Service 73.
    pub(crate) fn token<'a>(&self, call: &Call<'_>, fields: &'a Fields<'a>) -> Result<Decided<'a>, Refusal> {
        if fields.grant_type.required("grantType", 32)? != "client_credentials" {
            return Err(Refusal::format("grantType"));
        }
        match lane_fault(&call.behaviour.lane_faults, &call.mount.name) {
            Some(LaneFault::TokenRefused) => return Ok(Decided::plain(Answer::of(Case::new(401, 0), 73))),
            Some(LaneFault::TokenFailing) => return Ok(Decided::plain(Answer::of(Case::new(500, 0), 73))),
            _ => {}
        }
        let serial = self.tokens.next_serial();
        let attempt = u32::try_from(serial % 0x1_0000_0000).unwrap_or(0);
        let act = self.choose(&Call { external: serial.into(), ..*call }, None, None, attempt);
        let lifetime_ms = millis(call.behaviour.token_lifetime);
        // Rounded up, so that a token of less than a second still names one.
        let seconds = lifetime_ms.saturating_add(999) / 1000;
        let answer = Answer {
            access_token: Some(self.tokens.issue(call.index(), serial, call.now_ms, lifetime_ms)),
            token_type: Some("Bearer"),
            expires_in: Some(if call.behaviour.expires_in_number {
                Seconds::Number(seconds)
            } else {
                Seconds::Text(seconds.to_string())
            }),
            ..Answer::success(73).with_message("Successful")
        };
        Ok(Decided { act, ..Decided::plain(answer) })
    }

    /// Service 37.
    pub(crate) fn inquiry<'a>(&self, call: &Call<'_>, fields: &'a Fields<'a>) -> Result<Decided<'a>, Refusal> {
        let asked = request::inquiry(fields, call.mount.personality)?;
        if asked.amount == 0 {
            return Err(Refusal::invalid_amount());
        }
        let (act, quote) = match asked.reference {
            Some(reference) => self.ledger.with(call.index(), reference, |entry| {
                let attempt = entry.inquiries;
                entry.inquiries += 1;
                let act = self.choose(call, Some(reference), Some(asked.customer), attempt);
                let quote = quote_of(asked.customer, act);
                entry.quote = Some(quote);
                (act, quote)
            }),
            None => {
                let attempt = self.nameless_attempt(asked.customer);
                let act = self.choose(call, None, Some(asked.customer), attempt);
                (act, quote_of(asked.customer, act))
            }
        };
        Ok(Decided {
            act,
            reference: asked.reference,
            ..Decided::plain(inquiry_answer(self.ledger.next_number(), call, &asked, quote, act))
        })
    }

    /// Service 38.
    pub(crate) fn top_up<'a>(&self, call: &Call<'_>, fields: &'a Fields<'a>) -> Result<Decided<'a>, Refusal> {
        let asked = request::top_up(fields, call.mount.personality)?;
        if asked.amount < call.behaviour.min_amount.max(1) {
            return Err(Refusal::invalid_amount());
        }
        if asked.amount > call.behaviour.max_amount {
            return Err(Refusal::amount_limit());
        }
        self.ledger.with(call.index(), asked.reference, |entry| {
            let attempt = entry.top_ups;
            entry.top_ups += 1;
            if attempt == 0 {
                entry.asked_for = Some(asked.customer);
                self.ledger.totals().references.fetch_add(1, Relaxed);
            }
            if let Some(quote) = entry.quote {
                is_as_quoted(&asked, quote)?;
            }
            let act = self.choose(call, Some(asked.reference), Some(asked.customer), attempt);
            let order = order_of(call, &asked, act);
            let mut decided = Decided { act, reference: Some(asked.reference), ..Decided::plain(Answer::default()) };
            if act.fault == Fault::LateCommit {
                decided.effect = Effect::Late;
                decided.late = Some(LateOrder { mount: call.index(), reference: asked.reference.into(), order });
            } else if act.commit {
                let booked = self.ledger.book(entry, &order, call.behaviour.repeat_policy);
                if act.fault == Fault::LateVisibility && matches!(booked, Booked::New(_)) {
                    entry.hidden = call.behaviour.hidden_inquiries;
                }
                decided.effect = booked.effect();
                decided.answer = booked_answer(call, &asked, booked);
            } else {
                decided.answer = accepted_answer(call, &asked, self.ledger.next_number(), order.pending);
            }
            Ok(decided)
        })
    }

    /// Services 39 and 36.
    pub(crate) fn status<'a>(&self, call: &Call<'_>, fields: &'a Fields<'a>) -> Result<Decided<'a>, Refusal> {
        let asked = request::status(fields, call.mount.personality)?;
        self.ledger.with(call.index(), asked.reference, |entry| {
            let attempt = entry.statuses;
            entry.statuses += 1;
            let act = self.choose(call, Some(asked.reference), entry.asked_for, attempt);
            let mut visible = entry.executed;
            if entry.hidden > 0 && act.fault == Fault::None {
                entry.hidden -= 1;
                visible = None;
            }
            if let (Some(executed), Some(number)) = (visible, asked.reference_no)
                && reference_no(executed.number) != number
            {
                return Err(Refusal::inconsistent());
            }
            let shown = match act.fault {
                Fault::LaggingReplica if attempt == 0 => Fault::InProgress(Latest::Missing),
                Fault::LaggingReplica => Fault::Report(Latest::NotFound),
                fault => fault,
            };
            let latest = match shown {
                Fault::Report(latest) | Fault::InProgress(latest) => latest,
                _ => visible.map_or(Latest::NotFound, |executed| executed.latest(call.now_ms)),
            };
            Ok(Decided {
                act,
                reference: Some(asked.reference),
                ..Decided::plain(status_answer(call, &asked, visible, latest, shown))
            })
        })
    }
}

/// Name and fee have to come from the inquiry byte for byte, where there was one.
fn is_as_quoted(asked: &TopUp<'_>, quote: Quote) -> Result<(), Refusal> {
    if asked.name != quote.name() {
        return Err(Refusal::format("customerName"));
    }
    match (asked.fee, quote.fee()) {
        (Some(fee), Some(quoted)) if fee != quoted => Err(Refusal::format("feeAmount")),
        _ => Ok(()),
    }
}

fn order_of(call: &Call<'_>, asked: &TopUp<'_>, act: Act) -> Order {
    let fate = match act.fault {
        Fault::PendingThenSuccess => Some(Fate::Paid),
        Fault::PendingThenFailed => Some(Fate::Failed),
        Fault::PendingThenCancelled => Some(Fate::Cancelled),
        Fault::PendingThenRefunded => Some(Fate::Refunded),
        Fault::PendingForever => Some(Fate::Forever),
        Fault::PendingThenLost => Some(Fate::Lost),
        _ => None,
    };
    let pending = fate.is_some() || call.mount.personality == Personality::Midtrans;
    let settle_ms = match (fate, act.delay_ms) {
        _ if !pending => 0,
        (Some(_), Some(delay_ms)) => i64::try_from(delay_ms).unwrap_or(i64::MAX),
        _ => millis(call.behaviour.settle),
    };
    Order {
        customer: asked.customer,
        amount: asked.amount,
        external: call.external,
        now_ms: call.now_ms,
        fate: fate.unwrap_or(Fate::Paid),
        pending,
        settles_ms: call.now_ms.saturating_add(settle_ms),
    }
}

fn inquiry_answer<'a>(number: u64, call: &Call<'_>, asked: &Inquiry<'a>, quote: Quote, act: Act) -> Answer<'a> {
    let out_of_range = act.fault == Fault::AmountOutOfRange;
    let answer = Answer {
        asked: asked.amount,
        reference_no: Some(format!("62{number:019}")),
        customer_name: Some(quote.name()),
        ..Answer::success(37)
    };
    match call.mount.personality {
        Personality::Midtrans if out_of_range => Answer::of(Case::new(403, 2), 37),
        Personality::Midtrans => Answer { customer_number: Some(asked.number.into()), ..answer },
        Personality::Finpay => {
            let min = if out_of_range { asked.amount.saturating_add(100) } else { call.behaviour.min_amount };
            Answer {
                partner_reference_no: asked.reference.map(Into::into),
                customer_number: Some(masked(asked.number).into()),
                min_amount: Some(Money::minor(min)),
                max_amount: Some(Money::minor(call.behaviour.max_amount.max(min))),
                amount: Some(Money::minor(asked.amount)),
                fee_amount: quote.fee().map(Money::text),
                fee_type: Some("Admin fee"),
                ..answer
            }
        }
    }
}

/// `XXXXXXXX7902`.
fn masked(number: &str) -> String {
    let tail = &number[number.len().saturating_sub(4)..];
    format!("{tail:X>width$}", width = number.len())
}

/// 200 or 202 to a top-up.
fn accepted_answer<'a>(call: &Call<'_>, asked: &TopUp<'a>, number: u64, pending: bool) -> Answer<'a> {
    let answer = if pending { Answer::of(Case::new(202, 0), 38) } else { Answer::success(38) };
    Answer {
        asked: asked.amount,
        reference_no: Some(reference_no(number)),
        partner_reference_no: Some(asked.reference.into()),
        customer_number: Some(asked.number.into()),
        amount: (call.mount.personality == Personality::Finpay).then(|| Money::minor(asked.amount)),
        ..answer
    }
}

fn booked_answer<'a>(call: &Call<'_>, asked: &TopUp<'a>, booked: Booked) -> Answer<'a> {
    match booked {
        Booked::New(executed) | Booked::Again(executed) => {
            accepted_answer(call, asked, executed.number, executed.pending)
        }
        // DANA's way: an earlier failure answers 500 00 again.
        Booked::Known(Executed { fate: Fate::Failed | Fate::Cancelled, .. }) => Answer::of(Case::new(500, 0), 38),
        Booked::Known(executed) => accepted_answer(call, asked, executed.number, executed.pending),
        Booked::Inconsistent => Answer::of(Case::new(404, 18), 38),
        Booked::Duplicate => Answer::of(Case::new(409, 1), 38),
    }
}

fn status_answer<'a>(
    call: &Call<'_>,
    asked: &StatusInquiry<'a>,
    executed: Option<Executed>,
    latest: Latest,
    shown: Fault,
) -> Answer<'a> {
    let digits = call.digits();
    let in_progress = matches!(shown, Fault::InProgress(_));
    let is_found = latest != Latest::NotFound;
    if !is_found && !in_progress && call.mount.personality == Personality::Midtrans {
        return Answer::of(Case::new(404, 1), digits);
    }
    let executed = executed.filter(|_| is_found);
    let amount = match executed {
        Some(executed) => Money::minor(executed.amount),
        // Without decimals, as Finpay writes it (FIN-STAT).
        None => Money::text("0"),
    };
    Answer {
        asked: executed.map_or(0, |executed| executed.amount),
        original_partner_reference_no: Some(asked.reference.into()),
        original_reference_no: Some(executed.map_or_else(String::new, |executed| reference_no(executed.number))),
        original_external_id: asked
            .external_id
            .map(str::to_owned)
            .or_else(|| executed.map(|executed| external_digits(executed.external))),
        service_code: Some("38"),
        amount: Some(amount),
        latest_transaction_status: Some(latest.digits()).filter(|digits| !digits.is_empty()),
        transaction_status_desc: Some(latest.description()).filter(|words| !words.is_empty()),
        ..if in_progress { Answer::of(Case::new(202, 0), digits) } else { Answer::success(digits) }
    }
}
