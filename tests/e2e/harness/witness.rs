//! Where a job was at the end of a trace: from what its process wrote, synced, said and heard, and nothing else.
//!
//! For a process with one job under way: a commit is then that job's.

use testbed::matrix::Point;
use testbed::power::{Call, Moment, Recording};

/// A frame of `basic.ack`: its size, class and method.
const ACK: &[u8] = &[0, 0, 0, 13, 0, 60, 0, 80];
/// Class and method of `basic.ack`, as a confirm of the broker.
const CONFIRM: &[u8] = &[0, 60, 0, 80];
/// Class and method of `basic.consume`.
const CONSUME: &[u8] = &[0, 60, 0, 20];
/// What a status inquiry about what the provider does not know is answered.
const NOT_FOUND: &[u8] = b"\"latestTransactionStatus\":\"07\"";

/// What a trace tells of one job.
pub(crate) struct Witness<'a> {
    reference: &'a [u8],
    at: Option<Point>,
    /// The connection of the request that is under way.
    call: Option<&'a str>,
    /// The connection on which its event was published.
    published: Option<&'a str>,
    consuming: bool,
    moving: bool,
    recorded: bool,
    acknowledged: bool,
    confirmed: bool,
    not_found: usize,
    asked: usize,
    ended: Option<Point>,
}

impl<'a> Witness<'a> {
    /// Hears the whole recording.
    pub(crate) fn of(recording: &'a Recording, reference: &'a str) -> Self {
        let mut witness = Self {
            reference: reference.as_bytes(),
            at: None,
            call: None,
            published: None,
            consuming: false,
            moving: false,
            recorded: false,
            acknowledged: false,
            confirmed: false,
            not_found: 0,
            asked: 0,
            ended: None,
        };
        for moment in &recording.moments {
            match *moment {
                Moment::Began(op) => witness.begins(&recording.ops[op].call),
                Moment::Ended(op) => witness.ended(&recording.ops[op].call),
            }
        }
        witness
    }

    /// Where the job was; besides, whether it was not acknowledged yet. Empty: nowhere, or where nobody can tell.
    /// [`Point::ProvenUnpaid`] means that it may be: whether the second "not found" came late enough the engine knows.
    pub(crate) fn points(&self) -> Vec<Point> {
        let unacknowledged = (self.recorded && !self.acknowledged).then_some(Point::Recorded);
        let at = match self.at {
            // What comes next has begun nowhere.
            Some(Point::Recorded) if self.acknowledged => Some(Point::Waiting),
            at => at,
        };
        let mut points: Vec<Point> = at.into_iter().chain(unacknowledged).collect();
        points.dedup();
        points
    }

    /// How many status inquiries have left.
    pub(crate) const fn asked(&self) -> usize {
        self.asked
    }

    /// Whether the process has begun to consume: before that it looks after what the last one left.
    pub(crate) const fn is_consuming(&self) -> bool {
        self.consuming
    }

    /// Whether the WAL is being moved into the file.
    pub(crate) const fn is_moving(&self) -> bool {
        self.moving
    }

    fn begins(&mut self, call: &Call) {
        self.moving |= matches!(call, Call::Write { file, .. } if file.ends_with(".db"));
        if self.at == Some(Point::InquiryAnswered) && is_to_the_wal(call) {
            self.at = Some(Point::Inquired);
        }
    }

    fn ended(&mut self, call: &'a Call) {
        match call {
            Call::Heard { from, bytes } => self.heard(from, bytes),
            Call::Said { to, bytes } if to.contains("socket:") => self.said(to, bytes),
            Call::Write { bytes, .. } if is_to_the_wal(call) => self.wrote(bytes),
            Call::Sync { file } if file.ends_with("-wal") => self.synced(),
            Call::Sync { file } if file.ends_with(".db") => self.moving = false,
            _ => {}
        }
    }

    fn heard(&mut self, from: &str, bytes: &[u8]) {
        let answered = |sent| match sent {
            Some(Point::InquirySent) => Some(Point::InquiryAnswered),
            Some(Point::TopUpSent) => Some(Point::TopUpAnswered),
            Some(Point::StatusSent) => Some(Point::StatusAnswered),
            _ => None,
        };
        if self.call == Some(from) && bytes.starts_with(b"HTTP/1.") {
            self.not_found += usize::from(has(bytes, NOT_FOUND));
            self.at = answered(self.at).or(self.at);
        } else if self.at.is_none() && !self.recorded && has(bytes, self.reference) {
            self.at = Some(Point::Delivered);
        } else if self.published == Some(from) && has(bytes, CONFIRM) {
            self.confirmed = true;
            if self.at == Some(Point::Published) {
                self.at = Some(Point::Confirmed);
            }
        }
    }

    fn said(&mut self, to: &'a str, bytes: &[u8]) {
        let requests: [(&[u8], Point); 3] = [
            (b"/account-inquiry HTTP", Point::InquirySent),
            (b"/topup HTTP", Point::TopUpSent),
            (b"/topup-status HTTP", Point::StatusSent),
        ];
        if let Some((_, sent)) = requests.iter().find(|(path, _)| has(bytes, path)) {
            (self.at, self.call) = (Some(*sent), Some(to));
            self.asked += usize::from(*sent == Point::StatusSent);
        }
        self.consuming |= has(bytes, CONSUME);
        self.acknowledged |= self.recorded && has(bytes, ACK);
        if has(bytes, self.reference) && has(bytes, b"topup.") {
            let published = match self.at {
                Some(Point::Ended) => Some(Point::Published),
                Some(Point::Dead) => Some(Point::DeadPublished),
                _ => None,
            };
            if published.is_some() {
                (self.at, self.published) = (published, Some(to));
            }
        }
    }

    fn wrote(&mut self, page: &[u8]) {
        match self.at {
            Some(Point::Delivered) if has(page, self.reference) => self.at = Some(Point::Recording),
            Some(Point::Inquired) => self.at = Some(Point::Intending),
            Some(Point::TopUpAnswered | Point::StatusAnswered) if has(page, self.reference) => {
                let told = |kind: &[u8]| has(page, kind);
                if told(b"topup.dead_lettered") {
                    self.ended = Some(Point::Dead);
                } else if told(b"topup.succeeded") {
                    self.ended = Some(Point::Ended);
                }
            }
            _ => {}
        }
    }

    fn synced(&mut self) {
        self.at = match self.at {
            Some(Point::Recording) => {
                self.recorded = true;
                Some(Point::Recorded)
            }
            Some(Point::Intending) => Some(Point::Intended),
            Some(Point::TopUpAnswered | Point::StatusAnswered) if self.ended.is_some() => self.ended,
            Some(Point::ProvenUnpaid | Point::StatusAnswered) if self.not_found >= 2 => Some(Point::ProvenUnpaid),
            // Whether the answer, or that there was none, is what was committed, nobody can tell from here.
            Some(Point::TopUpSent | Point::TopUpAnswered | Point::StatusAnswered | Point::Confirmed) => None,
            Some(Point::DeadPublished) if self.confirmed => None,
            at => at,
        };
    }
}

/// A page, or the head of one.
fn is_to_the_wal(call: &Call) -> bool {
    matches!(call, Call::Write { file, .. } if file.ends_with("-wal"))
}

fn has(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

/// Whether the store may say this of a job that was at this point when its worker was killed. What contradicts the witness
/// is a mistake of the witness, or of the store.
pub(crate) fn may_be(point: Point, state: Option<&str>) -> bool {
    match point {
        Point::Delivered => state.is_none(),
        Point::Recording => matches!(state, None | Some("ready")),
        Point::Waiting | Point::InquirySent | Point::InquiryAnswered | Point::Inquired => state == Some("ready"),
        Point::Recorded => state.is_some(),
        Point::Intending => matches!(state, Some("ready" | "sending" | "unconfirmed")),
        Point::Intended => state == Some("sending"),
        // That there was no answer may be written, and not synced.
        Point::TopUpSent => matches!(state, Some("sending" | "unconfirmed")),
        Point::TopUpAnswered => matches!(state, Some("sending" | "succeeded" | "dead" | "unconfirmed")),
        Point::StatusSent => state == Some("unconfirmed"),
        Point::StatusAnswered => matches!(state, Some("unconfirmed" | "succeeded" | "ready" | "dead")),
        Point::ProvenUnpaid => state == Some("ready"),
        Point::Ended | Point::Published | Point::Confirmed => state == Some("succeeded"),
        Point::Dead | Point::DeadPublished => state == Some("dead"),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use testbed::power::Op;

    use super::*;

    fn said(to: &str, bytes: &[u8]) -> Call {
        Call::Said { to: format!("{to} socket:[1]"), bytes: bytes.to_vec() }
    }

    fn heard(from: &str, bytes: &[u8]) -> Call {
        Call::Heard { from: format!("{from} socket:[1]"), bytes: bytes.to_vec() }
    }

    fn page(bytes: &[u8]) -> Call {
        Call::Write { file: "worker.db-wal".to_owned(), offset: 0, bytes: bytes.to_vec() }
    }

    fn sync() -> Call {
        Call::Sync { file: "worker.db-wal".to_owned() }
    }

    /// The way of a job that succeeds: each call, where the job is when it begins, and where when it has ended.
    fn way() -> Vec<(Call, Option<Point>, Option<Point>)> {
        use Point::{
            Confirmed, Delivered, Ended, Inquired, InquiryAnswered, InquirySent, Intended, Intending, Published,
            Recorded, Recording, TopUpAnswered, TopUpSent, Waiting,
        };
        let at = Some;
        vec![
            (heard("5", b"... r-1 ..."), None, at(Delivered)),
            (page(b"r-1 ready"), at(Delivered), at(Recording)),
            (sync(), at(Recording), at(Recorded)),
            (said("5", &[1, 0, 1, 0, 0, 0, 13, 0, 60, 0, 80, 0]), at(Recorded), at(Waiting)),
            (said("7", b"POST /v1.0/emoney/account-inquiry HTTP/1.1 r-1"), at(Waiting), at(InquirySent)),
            (heard("7", b"HTTP/1.1 200 OK"), at(InquirySent), at(InquiryAnswered)),
            (page(b"r-1 sending"), at(Inquired), at(Intending)),
            (sync(), at(Intending), at(Intended)),
            (said("7", b"POST /v1.0/emoney/topup HTTP/1.1 r-1"), at(Intended), at(TopUpSent)),
            (heard("7", b"HTTP/1.1 200 OK"), at(TopUpSent), at(TopUpAnswered)),
            (page(b"r-1 topup.succeeded"), at(TopUpAnswered), at(TopUpAnswered)),
            (sync(), at(TopUpAnswered), at(Ended)),
            (said("6", b"topup.succeeded r-1"), at(Ended), at(Published)),
            (heard("6", &[1, 0, 1, 0, 0, 0, 13, 0, 60, 0, 80, 0]), at(Published), at(Confirmed)),
            (page(b""), at(Confirmed), at(Confirmed)),
            (sync(), at(Confirmed), None),
        ]
    }

    fn after(calls: &[Call], last_ended: bool) -> Option<Point> {
        let mut moments: Vec<Moment> = (0..calls.len()).flat_map(|op| [Moment::Began(op), Moment::Ended(op)]).collect();
        if !last_ended {
            moments.pop();
        }
        let ops = calls.iter().map(|call| Op { thread: 1, call: call.clone() }).collect();
        Witness::of(&Recording { ops, moments }, "r-1").points().first().copied()
    }

    #[test]
    fn each_call_of_a_jobs_way_moves_it_on_when_it_has_ended() {
        let calls: Vec<Call> = way().into_iter().map(|(call, ..)| call).collect();
        for (count, (call, begun, ended)) in way().into_iter().enumerate() {
            assert_eq!(after(&calls[..=count], false), begun, "{call:?} began");
            assert_eq!(after(&calls[..=count], true), ended, "{call:?} ended");
        }
    }

    #[test]
    fn what_another_job_does_moves_nothing() {
        let others = [heard("5", b"... r-2 ..."), page(b"r-2 ready"), sync(), said("6", b"topup.succeeded r-2")];
        assert_eq!(after(&others, true), None);
    }

    #[test]
    fn a_state_that_contradicts_the_witness_is_seen() {
        assert!(may_be(Point::TopUpSent, Some("sending")) && !may_be(Point::TopUpSent, Some("ready")));
        assert!(may_be(Point::Delivered, None) && !may_be(Point::Delivered, Some("ready")));
        assert!(may_be(Point::Ended, Some("succeeded")) && !may_be(Point::Ended, Some("sending")));
    }
}
