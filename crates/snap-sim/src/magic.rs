//! Magic customer numbers: `62811000000NN` (`0811000000NN`) meets behaviour NN, at both personalities.
//!
//! A fault hits the first so many requests of its service for one `partnerReferenceNo`; after that all goes well,
//! so that a job can come to its end. Midtrans' inquiry names no reference: there every second inquiry for the
//! number is hit. Numbers that are not in the table behave like any other customer.

use crate::case::Case;
use crate::fault::{Act, Fault, Latest};
use crate::request::{Customer, Service};

const FIRST: Customer = 6_281_100_000_000;

/// One line of the table.
#[derive(Debug)]
pub(crate) struct Magic {
    pub(crate) number: u8,
    pub(crate) what: &'static str,
    service: Service,
    act: Act,
    /// How many requests of a reference meet it.
    times: u32,
    /// What the top-up meets where the fault itself is one of the status inquiry: its answer gets lost.
    top_up: Act,
}

const ALWAYS: u32 = u32::MAX;

const fn line(number: u8, what: &'static str, service: Service, act: Act, times: u32) -> Magic {
    Magic { number, what, service, act, times, top_up: Act::NONE }
}

const fn top_up(number: u8, what: &'static str, act: Act) -> Magic {
    line(number, what, Service::TopUp, act, 1)
}

const fn inquiry(number: u8, what: &'static str, act: Act, times: u32) -> Magic {
    line(number, what, Service::Inquiry, act, times)
}

const fn status(number: u8, what: &'static str, act: Act, times: u32) -> Magic {
    Magic { top_up: Act::after(Fault::Fin), ..line(number, what, Service::Status, act, times) }
}

const fn after(fault: Fault) -> Act {
    Act::after(fault)
}

const fn before(fault: Fault) -> Act {
    Act::before(fault)
}

const fn refuse(http: u16, case: u8) -> Act {
    Act::refuse(http, case)
}

const fn answer_after(http: u16, case: u8) -> Act {
    Act::after(Fault::Answer(Case::new(http, case)))
}

const LATE_429: Fault = Fault::LateAnswer(Case::new(429, 0));

/// Every magic number.
pub(crate) const TABLE: &[Magic] = &[
    top_up(1, "timeout after commit", after(Fault::Timeout)),
    top_up(2, "timeout before commit", before(Fault::Timeout)),
    top_up(3, "late commit: takes effect after the client has gone", after(Fault::LateCommit)),
    top_up(4, "late visibility: commit, answer lost, status not found once, then 00", after(Fault::LateVisibility)),
    top_up(5, "reset after commit", after(Fault::Rst)),
    top_up(6, "reset before commit", before(Fault::Rst)),
    top_up(7, "closed without answer after commit", after(Fault::Fin)),
    top_up(8, "closed without answer before commit", before(Fault::Fin)),
    top_up(9, "bytes that are no HTTP, after commit", after(Fault::NotHttp)),
    top_up(10, "202, then 00", after(Fault::PendingThenSuccess)),
    top_up(11, "202, then 06", after(Fault::PendingThenFailed)),
    top_up(12, "202, then 05", after(Fault::PendingThenCancelled)),
    top_up(13, "202, then 04 (credited and taken back)", after(Fault::PendingThenRefunded)),
    top_up(14, "202, then 03 for ever", after(Fault::PendingForever)),
    top_up(15, "202, then not found", after(Fault::PendingThenLost)),
    top_up(20, "409 00, no commit", refuse(409, 0)),
    top_up(21, "409 00 after commit", answer_after(409, 0)),
    top_up(22, "409 01, no commit", refuse(409, 1)),
    top_up(23, "409 01 after commit", answer_after(409, 1)),
    top_up(24, "404 18 after commit", answer_after(404, 18)),
    top_up(25, "401 01 once", refuse(401, 1)),
    top_up(26, "401 00 once", refuse(401, 0)),
    line(27, "401 00 always", Service::TopUp, refuse(401, 0), ALWAYS),
    top_up(28, "401 03 once", refuse(401, 3)),
    top_up(30, "403 14 once", refuse(403, 14)),
    top_up(31, "403 01 once", refuse(403, 1)),
    top_up(32, "403 19 once", refuse(403, 19)),
    top_up(33, "403 20 once", refuse(403, 20)),
    top_up(34, "404 08 once", refuse(404, 8)),
    top_up(35, "404 16 once", refuse(404, 16)),
    top_up(36, "429 with Retry-After: 1, once", before(Fault::RateLimited)),
    top_up(37, "429 without Retry-After, once", before(Fault::RateLimitedNoHint)),
    top_up(38, "403 04 once", refuse(403, 4)),
    top_up(39, "403 06 once", refuse(403, 6)),
    top_up(40, "502 with HTML after commit", after(Fault::BadGateway)),
    top_up(41, "502 with HTML before commit", before(Fault::BadGateway)),
    top_up(42, "500 00 after commit", answer_after(500, 0)),
    top_up(43, "500 00 before commit", refuse(500, 0)),
    top_up(44, "504 00 after commit", answer_after(504, 0)),
    top_up(45, "504 00 before commit", refuse(504, 0)),
    top_up(50, "success in the body under HTTP 500, after commit", after(Fault::HttpDisagrees)),
    top_up(51, "refusal in the body under HTTP 200, before commit", before(Fault::HttpDisagrees)),
    top_up(52, "2003900 after commit", after(Fault::ForeignService)),
    top_up(53, "another amount in the answer, after commit", after(Fault::AmountMismatch)),
    top_up(54, "another reference in the answer, after commit", after(Fault::ReferenceMismatch)),
    top_up(55, "unknown code 2003877 after commit", after(Fault::UnknownCode)),
    top_up(56, "no response code, after commit", after(Fault::MissingCode)),
    top_up(57, "empty body after commit", after(Fault::EmptyBody)),
    top_up(58, "garbage in place of JSON, after commit", after(Fault::GarbageJson)),
    top_up(59, "truncated body after commit", after(Fault::TruncatedBody)),
    top_up(60, "head byte by byte, after commit", after(Fault::DripHeaders)),
    top_up(61, "body byte by byte, after commit", after(Fault::DripBody)),
    top_up(62, "endless body after commit", after(Fault::EndlessBody)),
    top_up(63, "body of 96 KiB after commit", after(Fault::HugeBody)),
    top_up(64, "307, no commit", before(Fault::Redirect)),
    top_up(65, "endless head after commit", after(Fault::EndlessHeaders)),
    top_up(66, "2003900, no commit", before(Fault::ForeignService)),
    top_up(67, "HTTP 200 with empty body, no commit", before(Fault::EmptyBody)),
    top_up(68, "answered twice, 12 ms apart, after commit", after(Fault::AnsweredTwice)),
    top_up(69, "504, and when the next request has come a late 429 00; no commit", before(LATE_429)),
    inquiry(70, "inquiry: 404 11", refuse(404, 11), ALWAYS),
    inquiry(71, "inquiry: 403 05 (frozen)", refuse(403, 5), ALWAYS),
    inquiry(72, "inquiry: the amount is out of range", after(Fault::AmountOutOfRange), ALWAYS),
    inquiry(73, "inquiry: no feeAmount", after(Fault::WithoutFee), ALWAYS),
    inquiry(74, "inquiry: 500 00 once", refuse(500, 0), 1),
    inquiry(75, "inquiry: timeout once", after(Fault::Timeout), 1),
    inquiry(76, "inquiry: reset once", after(Fault::Rst), 1),
    inquiry(77, "inquiry: 400 00 always", refuse(400, 0), ALWAYS),
    line(80, "404 11", Service::TopUp, refuse(404, 11), ALWAYS),
    line(81, "403 02", Service::TopUp, refuse(403, 2), ALWAYS),
    line(82, "400 01", Service::TopUp, refuse(400, 1), ALWAYS),
    line(83, "400 02", Service::TopUp, refuse(400, 2), ALWAYS),
    line(84, "403 03", Service::TopUp, refuse(403, 3), ALWAYS),
    line(85, "422 02", Service::TopUp, refuse(422, 2), ALWAYS),
    line(86, "400 00", Service::TopUp, refuse(400, 0), ALWAYS),
    status(90, "answer lost after commit; status: another amount", after(Fault::AmountMismatch), ALWAYS),
    status(91, "answer lost after commit; status: another reference", after(Fault::ReferenceMismatch), ALWAYS),
    status(92, "answer lost after commit; status: 500 00 twice", refuse(500, 0), 2),
    status(93, "answer lost after commit; status: timeout once", after(Fault::Timeout), 1),
    status(94, "answer lost after commit; status: 02 twice, then 00", after(Fault::Report(Latest::Paying)), 2),
    status(95, "answer lost after commit; status: 401 01 once", refuse(401, 1), 1),
    status(96, "answer lost after commit; status: 404 00 twice", refuse(404, 0), 2),
    status(97, "answer lost after commit; status: 202 twice, then 00", after(Fault::InProgress(Latest::Missing)), 2),
    status(98, "answer lost after commit; status: no status twice, then 00", after(Fault::Report(Latest::Missing)), 2),
    status(
        99,
        "answer lost after commit; status: 202 once, then not found for ever",
        after(Fault::LaggingReplica),
        ALWAYS,
    ),
];

/// The magic number of a customer.
pub(crate) fn number(customer: Customer) -> Option<u8> {
    let number = u8::try_from(customer.checked_sub(FIRST)?).ok()?;
    (number < 100).then_some(number)
}

/// What the `attempt`-th request (from 0) of this service meets; nothing where the number has no say in it.
pub(crate) fn act(number: u8, service: Service, attempt: u32) -> Option<Act> {
    let magic = TABLE.iter().find(|magic| magic.number == number)?;
    if service == magic.service {
        return (attempt < magic.times).then_some(magic.act);
    }
    (service == Service::TopUp && attempt == 0 && magic.top_up != Act::NONE).then_some(magic.top_up)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_stands_once_and_in_order() {
        assert!(TABLE.is_sorted_by(|one, next| one.number < next.number));
        assert!(TABLE.iter().all(|magic| magic.number < 100));
    }

    #[test]
    fn a_customer_is_magic_by_the_last_two_digits() {
        assert_eq!(number(6_281_100_000_042), Some(42));
        assert_eq!(number(6_281_100_000_100), None);
        assert_eq!(number(6_281_099_999_999), None);
        assert_eq!(number(62_811), None);
    }

    #[test]
    fn a_fault_hits_as_often_as_the_table_says() {
        assert_eq!(act(1, Service::TopUp, 0), Some(Act::after(Fault::Timeout)));
        assert_eq!(act(1, Service::TopUp, 1), None);
        assert_eq!(act(1, Service::Status, 0), None);
        assert!(act(80, Service::TopUp, 99).is_some());
        assert_eq!(act(92, Service::TopUp, 0), Some(Act::after(Fault::Fin)));
        assert!(act(92, Service::Status, 1).is_some());
        assert_eq!(act(92, Service::Status, 2), None);
    }
}
