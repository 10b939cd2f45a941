//! What a call of a port is, and which point of a job's way a fault hits there.

use snap_core::Service;
use testbed::matrix::{Fault as Column, Point};

use crate::plan::{What, When};
use crate::provider::Said;

/// What a call of a port does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    Connect,
    Deliver,
    Ack,
    Publish,
    Token,
    Inquiry,
    TopUp,
    Status,
    Accept,
    Refuse,
    Record,
    Mark,
    Recover,
    Claim,
    /// A replay plan is written, or a step of one.
    Plan,
    Step,
    /// Another command of the store.
    Write,
}

/// What was last heard of the job from its provider, as far as it was heard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Heard {
    #[default]
    Nothing,
    /// The account.
    Account,
    /// It is not over.
    Open,
    /// It does not know the reference; so often in a row.
    NotFound(u32),
    /// It is over.
    End,
    /// Something was asked, and the answer was lost or is of no use.
    Unclear,
}

impl Heard {
    /// With an answer that arrived as it was said; `is_late`: after the quiet period of the last top-up.
    pub(crate) fn then(self, service: Service, (http, body): &Said, is_late: bool) -> Self {
        let latest = body["latestTransactionStatus"].as_str();
        match (service, http, latest) {
            (Service::AccountInquiry, 200, _) => Self::Account,
            (Service::TopUp, 202, _) | (_, 200, Some("03")) => Self::Open,
            (Service::AccountInquiry, 404, _) | (Service::TopUp, 200 | 403, _) | (_, 200, Some("00" | "06")) => {
                Self::End
            }
            (_, 404, _) | (_, 200, Some("07")) => match self {
                // Before the end of the quiet period it proves nothing.
                Self::NotFound(times) if is_late => Self::NotFound(times + 1),
                _ => Self::NotFound(1),
            },
            _ => Self::Unclear,
        }
    }
}

/// The column of the matrix for the way in which a request's answer fails.
pub(crate) const fn column_of_error(kind: u8, when: When) -> Option<Column> {
    let kind = if matches!(when, When::After) { kind % 11 } else { kind % 9 };
    Some(match (when, kind) {
        (When::Before, 2) | (When::After, 1) => Column::Timeout,
        (When::Before, 1 | 3 | 6 | 8) | (When::After, 0 | 3) => Column::Reset,
        (When::Before, 4) => Column::Unauthorized,
        (When::Before, 5) => Column::TooMany,
        (When::Before, 7) | (When::After, 8) => Column::Conflict,
        (When::After, _) => Column::Garbage,
        (When::Before | When::Within, _) => return None,
    })
}

impl Op {
    /// The command of the store that is done with this type.
    pub(crate) fn of_write(name: &str) -> Self {
        let kinds = [
            ("accept::Prepared", Self::Accept),
            ("dead_letters::Refusal", Self::Refuse),
            ("record::Prepared", Self::Record),
            ("Vec<outbox::types::OutcomeId>", Self::Mark),
            ("claim::Change", Self::Recover),
            ("replay_acts::Part", Self::Plan),
            ("replay_steps::", Self::Step),
            ("(alloc::string::String, snap_core::timestamp::Timestamp, i64)", Self::Claim),
        ];
        kinds.iter().find(|(part, _)| name.contains(part)).map_or(Self::Write, |(_, op)| *op)
    }

    pub(crate) const fn of_service(service: Service) -> Self {
        match service {
            Service::AccessToken => Self::Token,
            Service::AccountInquiry => Self::Inquiry,
            Service::TopUp => Self::TopUp,
            Service::TopUpStatus | Service::TransferStatus => Self::Status,
        }
    }

    pub(crate) const fn is_of_provider(self) -> bool {
        matches!(self, Self::Token | Self::Inquiry | Self::TopUp | Self::Status)
    }

    /// Not of the store.
    pub(crate) const fn is_outside(self) -> bool {
        self.is_of_provider() || self.is_of_broker()
    }

    pub(crate) const fn is_of_broker(self) -> bool {
        matches!(self, Self::Connect | Self::Deliver | Self::Ack | Self::Publish)
    }

    /// The point of the one job's way that is hit by what happens here; `None`: none that can be named.
    pub(crate) fn point(self, when: When, what: What, heard: Heard, is_dead: bool) -> Option<Point> {
        let before = when == When::Before;
        // What is not about the request itself has hit what comes before it, as long as it has not left.
        let is_of_request = matches!(what, What::Error(_) | What::Delay(_) | What::CrashInFlight);
        let begun = !before || is_of_request;
        let under_way = when == When::Within || before && is_of_request;
        Some(match self {
            Self::Deliver => Point::Delivered,
            Self::Accept | Self::Refuse if before => Point::Delivered,
            Self::Accept => Point::Recording,
            Self::Refuse => Point::Dead,
            Self::Ack if before => Point::Recorded,
            Self::Ack => Point::Acknowledged,
            Self::Recover => Point::Recovering,
            Self::Plan if !before => Point::Replaying,
            Self::Step if before => Point::Replaying,
            Self::Token if heard == Heard::Nothing => Point::Waiting,
            Self::Token if heard == Heard::Account => Point::Inquired,
            Self::Inquiry if !begun => Point::Waiting,
            Self::Inquiry if under_way => Point::InquirySent,
            Self::Inquiry => Point::InquiryAnswered,
            Self::TopUp if !begun => Point::Intended,
            Self::TopUp if under_way => Point::TopUpSent,
            Self::TopUp => Point::TopUpAnswered,
            Self::Status if under_way => Point::StatusSent,
            Self::Status if begun => Point::StatusAnswered,
            Self::Record => return Self::at_record(before, heard),
            Self::Publish if before && matches!(what, What::Error(kind) if kind % 4 == 1) => Point::Returned,
            Self::Publish if is_dead && before => Point::Dead,
            Self::Publish if is_dead => Point::DeadPublished,
            Self::Publish if before => Point::Ended,
            Self::Publish => Point::Published,
            Self::Mark if is_dead && before => Point::DeadPublished,
            Self::Mark if before => Point::Confirmed,
            Self::Mark
            | Self::Token
            | Self::Status
            | Self::Claim
            | Self::Connect
            | Self::Plan
            | Self::Step
            | Self::Write => return None,
        })
    }

    fn at_record(before: bool, heard: Heard) -> Option<Point> {
        match (heard, before) {
            (Heard::Account, true) => Some(Point::Inquired),
            (Heard::Account, false) => Some(Point::Intending),
            // What is recorded then is the next attempt's intent.
            (Heard::NotFound(2..), _) => Some(Point::ProvenUnpaid),
            (Heard::NotFound(_), true) => Some(Point::StatusAnswered),
            (Heard::End, true) => Some(Point::TopUpAnswered),
            (Heard::End, false) => Some(Point::Ended),
            _ => None,
        }
    }

    /// The column of the matrix that this is in.
    pub(crate) fn column(self, what: What, when: When) -> Option<Column> {
        Some(match what {
            What::Crash | What::CrashInFlight | What::Boot | What::Restore | What::Account => Column::Kill,
            What::Stop => Column::Stop,
            What::Freeze(_) => Column::Zombie,
            What::ClockSet(_) | What::Sleep(_) => Column::ClockJump,
            What::DiskFull => Column::DiskFull,
            What::DiskFails => Column::IoError,
            What::Again => Column::Duplicate,
            What::BrokerDown => Column::BrokerDown,
            What::Delay(_) if self.is_of_provider() => Column::Timeout,
            What::Error(_) if self.is_of_broker() => Column::BrokerDown,
            What::Error(3) if self == Self::Token && when == When::Before => Column::Unauthorized,
            What::Error(4) if self == Self::Token && when == When::Before => Column::TooMany,
            What::Error(kind) if self.is_of_provider() && self != Self::Token => return column_of_error(kind, when),
            What::Error(_)
            | What::Delay(_)
            | What::Copy
            | What::Adopt(_)
            | What::Fence
            | What::FileGone
            | What::CheckAsked
            | What::CheckTold => return None,
        })
    }
}
