//! One job on one axis: what the broker brought, what the store knows, what the provider was asked, what was told.

use engine::Account;
use outbox::{AccountName, Attempt, ClosedAs, DeadLetter, HistoryEntry, KnownJob, Outcome, Timeline};
use serde::Serialize;
use serde_json::Value;
use snap_core::{Service, Timestamp};

use crate::output::{Cell, Column, Table, Tone, age, moment, time_of_day};

/// Something that happened to a job.
#[derive(Debug, Serialize)]
pub(super) struct Entry {
    /// When, RFC 3339.
    at: String,
    #[serde(flatten)]
    what: What,
    #[serde(skip)]
    time: Timestamp,
}

#[derive(Debug, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case", rename_all_fields = "camelCase")]
enum What {
    Accepted {
        message_id: Option<String>,
    },
    Event {
        event: String,
        detail: Option<String>,
    },
    Request {
        no: u32,
        service: u8,
        external_id: String,
        /// To whom it was sent, where it can move money.
        #[serde(skip_serializing_if = "Option::is_none")]
        account: Option<AccountEntry>,
        /// Null: nobody knows how it ended, so it was perhaps sent.
        ended_at: Option<String>,
        duration_ms: Option<u64>,
        http_status: Option<u16>,
        response_code: Option<String>,
        class: Option<String>,
        detail: Option<String>,
    },
    DeadLetter {
        dead_letter_id: String,
        reason: &'static str,
        money_state: &'static str,
        response_code: Option<String>,
        detail: String,
    },
    Outcome {
        #[serde(rename = "type")]
        event_type: String,
        event_id: String,
        /// Null: it waits in the outbox.
        published_at: Option<String>,
    },
    DeadLetterClosed {
        dead_letter_id: String,
        closed_as: &'static str,
    },
}

/// The account that an attempt was sent to.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct AccountEntry {
    digest: String,
    /// Null, as the rest: its name was never noted.
    profile: Option<String>,
    base_url: Option<String>,
    partner_id: Option<String>,
}

impl AccountEntry {
    fn of(account: Account, names: &[AccountName]) -> Self {
        let name = names.iter().find(|name| name.digest == account);
        Self {
            digest: account.to_string(),
            profile: name.map(|name| name.profile.clone()),
            base_url: name.map(|name| name.base_url.clone()),
            partner_id: name.map(|name| name.partner_id.clone()),
        }
    }

    fn told(&self) -> String {
        match (&self.base_url, &self.partner_id) {
            (Some(base_url), Some(partner_id)) => format!("to {base_url} as partner {partner_id}"),
            _ => format!("to account {}", self.digest),
        }
    }
}

/// Everything that happened to a job, the oldest first. Where several things have one time, the cause stands first.
pub(super) fn entries(timeline: &Timeline, names: &[AccountName]) -> Vec<Entry> {
    let mut entries: Vec<Entry> = timeline.history.iter().map(event).collect();
    for attempt in &timeline.attempts {
        let request = request(attempt, names);
        // The intent is on disk before its request leaves; every other event of that time follows from the answer.
        let is_before = |entry: &Entry| match &entry.what {
            _ if entry.time != request.time => entry.time < request.time,
            What::Event { event, .. } => attempt.service.moves_money() && event == "send_started",
            _ => true,
        };
        let place = entries.iter().rposition(is_before).map_or(0, |place| place + 1);
        entries.insert(place, request);
    }
    let letters = timeline.dead_letters.iter().map(dead_letter);
    let closed = timeline.dead_letters.iter().filter_map(closed);
    for entry in letters.chain(timeline.outcomes.iter().map(outcome)).chain(closed) {
        let place = entries.iter().rposition(|before| before.time <= entry.time).map_or(0, |place| place + 1);
        entries.insert(place, entry);
    }
    let message_id = match &timeline.job {
        KnownJob::Whole(job) => job.carried.message_id.clone(),
        KnownJob::Tombstone(_) => None,
    };
    entries.insert(0, Entry::new(timeline.job.accepted_at(), What::Accepted { message_id }));
    entries
}

impl Entry {
    fn new(at: Timestamp, what: What) -> Self {
        Self { at: at.to_rfc3339(), what, time: at }
    }
}

fn event(entry: &HistoryEntry) -> Entry {
    let detail = match &entry.detail {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        Value::Object(members) => Some(members.iter().map(member).collect::<Vec<_>>().join(", ")),
        other => Some(other.to_string()),
    };
    Entry::new(entry.at, What::Event { event: entry.event.to_string(), detail })
}

fn member((name, value): (&String, &Value)) -> String {
    match value {
        Value::String(text) if name == "detail" => text.clone(),
        Value::String(text) => format!("{name} {text}"),
        other => format!("{name} {other}"),
    }
}

fn request(attempt: &Attempt, names: &[AccountName]) -> Entry {
    let end = attempt.end.as_ref();
    let took = end.map(|end| end.ended_at.since(attempt.started_at).as_millis());
    let what = What::Request {
        no: attempt.no,
        service: attempt.service.code(),
        external_id: attempt.external_id.to_string(),
        account: attempt.account.map(|account| AccountEntry::of(account, names)),
        ended_at: end.map(|end| end.ended_at.to_rfc3339()),
        duration_ms: took.map(|took| u64::try_from(took).unwrap_or(u64::MAX)),
        http_status: end.and_then(|end| end.http_status),
        response_code: end.and_then(|end| end.response_code.clone()),
        class: end.and_then(|end| end.class.as_ref().map(ToString::to_string)),
        detail: end.and_then(|end| end.detail.clone()),
    };
    Entry::new(attempt.started_at, what)
}

fn outcome(outcome: &Outcome) -> Entry {
    let what = What::Outcome {
        event_type: outcome.event_type.clone(),
        event_id: outcome.event_id.clone(),
        published_at: outcome.published_at.map(Timestamp::to_rfc3339),
    };
    Entry::new(outcome.created_at, what)
}

fn dead_letter(letter: &DeadLetter) -> Entry {
    let what = What::DeadLetter {
        dead_letter_id: letter.id.to_string(),
        reason: letter.reason.as_str(),
        money_state: letter.money_state.as_str(),
        response_code: letter.response_code.clone(),
        detail: letter.detail.clone(),
    };
    Entry::new(letter.dead_at, what)
}

fn closed(letter: &DeadLetter) -> Option<Entry> {
    let (at, how) = letter.closed?;
    let what = What::DeadLetterClosed { dead_letter_id: letter.id.to_string(), closed_as: closed_word(how) };
    Some(Entry::new(at, what))
}

/// How a dead letter was closed, in one word.
pub(super) const fn closed_word(closed: ClosedAs) -> &'static str {
    match closed {
        ClosedAs::Replayed => "replayed",
        ClosedAs::Succeeded => "succeeded",
        ClosedAs::Rejected => "rejected",
        ClosedAs::Discarded => "discarded",
        ClosedAs::Superseded => "superseded",
    }
}

/// The entries for people: the date stands where it changes.
pub(super) fn table(entries: &[Entry]) -> Table {
    let mut table = Table::new([Column::right("TIME"), Column::left("WHAT"), Column::right("TOOK"), Column::left("")]);
    let mut date = String::new();
    for entry in entries {
        let at = entry.time;
        let day = moment(at).get(..10).unwrap_or_default().to_owned();
        let time = if day == date { time_of_day(at) } else { format!("{day} {}", time_of_day(at)) };
        date = day;
        let (what, took, more) = entry.what.cells();
        table.row([Cell::new(time), what, took, more]);
    }
    table
}

impl What {
    fn cells(&self) -> (Cell, Cell, Cell) {
        let nothing = || Cell::new("");
        match self {
            Self::Accepted { message_id } => {
                let from = message_id.as_ref().map(|id| format!("message {id}"));
                (Cell::new("accepted"), nothing(), Cell::new(from.unwrap_or_default()))
            }
            Self::Event { event, detail } => {
                (Cell::new(event), nothing(), Cell::new(detail.as_deref().unwrap_or_default()))
            }
            Self::Request {
                service,
                external_id,
                account,
                duration_ms,
                http_status,
                response_code,
                class,
                detail,
                ..
            } => {
                let name = Service::from_code(*service).map_or("request", asked);
                let what = Cell::toned(format!("{service} {name}"), Tone::Strong);
                let took = duration_ms.map_or_else(nothing, |took| Cell::new(milliseconds(took)));
                let http = http_status.map(|status| status.to_string());
                let known = [http.as_deref(), response_code.as_deref(), class.as_deref(), detail.as_deref()];
                let mut end = known.into_iter().flatten().collect::<Vec<_>>().join(" ");
                if duration_ms.is_none() {
                    end.push_str("no end is known: perhaps sent");
                }
                let tone = class.as_deref().map_or(Tone::Notice, tone_of_class);
                let id = Cell::toned(format!("X-EXTERNAL-ID {external_id}"), Tone::Faint);
                let end = Cell::toned(end, tone).below(id);
                let end = match account {
                    Some(account) => end.below(Cell::toned(account.told(), Tone::Faint)),
                    None => end,
                };
                (what, took, end)
            }
            Self::DeadLetter { dead_letter_id, reason, money_state, response_code, detail } => {
                let code = response_code.as_ref().map(|code| format!(", {code}")).unwrap_or_default();
                let why = Cell::toned(format!("{reason}, {money_state}{code}"), Tone::Bad);
                let more = why.below(Cell::new(detail)).below(Cell::toned(dead_letter_id, Tone::Faint));
                (Cell::toned("dead letter", Tone::Bad), nothing(), more)
            }
            Self::Outcome { event_type, event_id, published_at } => {
                let published = published_at.as_ref().map_or("waits in the outbox", |_| "published");
                let more = Cell::new(published).below(Cell::toned(event_id, Tone::Faint));
                (Cell::new(event_type), nothing(), more)
            }
            Self::DeadLetterClosed { dead_letter_id, closed_as } => {
                let more = Cell::new(*closed_as).below(Cell::toned(dead_letter_id, Tone::Faint));
                (Cell::new("dead letter closed"), nothing(), more)
            }
        }
    }
}

fn milliseconds(took: u64) -> String {
    if took < 10_000 { format!("{took}ms") } else { age(std::time::Duration::from_millis(took)) }
}

/// A service in one word.
pub(super) const fn asked(service: Service) -> &'static str {
    match service {
        Service::AccountInquiry => "inquiry",
        Service::TopUp => "top-up",
        Service::TopUpStatus | Service::TransferStatus => "status",
        Service::AccessToken => "token",
    }
}

fn tone_of_class(class: &str) -> Tone {
    match class {
        "success" => Tone::Good,
        "business_reject" | "config_error" => Tone::Bad,
        _ => Tone::Notice,
    }
}
