//! From an answer and a fault to what goes over the wire.

use std::time::Duration;

use crate::answer::Answer;
use crate::case::Case;
use crate::clock;
use crate::config::Behaviour;
use crate::fault::{Act, Fault};
use crate::ledger::Order;

/// Between an answer and its copy: long enough for the next request to have left.
const TWICE_AFTER: Duration = Duration::from_millis(12);

/// How a request is answered.
#[derive(Debug)]
pub(crate) enum Play {
    /// By an HTTP answer in order.
    Reply(Reply),
    /// By taking the connection away from HTTP.
    Wire(Wire),
    /// By an HTTP answer in order, and by a second one in the wrong place.
    Twice(Reply, Stray),
}

/// A second answer to a request, which comes when the next one of its service has come.
#[derive(Debug)]
pub(crate) struct Stray {
    pub(crate) service: u8,
    answer: Reply,
    /// Before the own answer of the request that it comes to.
    pause: Duration,
}

impl Stray {
    /// It, and then the request's own answer.
    pub(crate) fn before(&self, own: &Reply) -> Wire {
        Wire::Goes { first: self.answer.whole(), when: When::After(self.pause), then: own.whole() }
    }
}

/// An HTTP answer.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) http: u16,
    pub(crate) content_type: &'static str,
    pub(crate) extra: Option<(&'static str, String)>,
    pub(crate) body: Vec<u8>,
}

/// What is done to a connection.
#[derive(Debug)]
pub(crate) enum Wire {
    /// Nothing for this long, unless the client goes first; then FIN.
    Silence(Duration),
    /// As [`Wire::Silence`]; `after` the client has gone, the order is booked.
    Late { hang: Duration, after: Duration, order: LateOrder },
    /// RST.
    Rst,
    /// These bytes, then FIN.
    Bytes(Vec<u8>),
    /// `quick` at once, `slow` byte by byte, then FIN.
    Drip { quick: Vec<u8>, slow: Vec<u8>, pause: Duration, hang: Duration },
    /// `first`, then `again` over and over.
    Endless { first: Vec<u8>, again: Vec<u8>, hang: Duration },
    /// `first` at once, `then` when it is time; after that HTTP goes on.
    Goes { first: Vec<u8>, when: When, then: Vec<u8> },
}

/// When more bytes follow.
#[derive(Debug, Clone, Copy)]
pub(crate) enum When {
    /// After this.
    After(Duration),
    /// As soon as the next request has begun to arrive.
    NextRequest,
}

/// A top-up that takes effect later.
#[derive(Debug)]
pub(crate) struct LateOrder {
    pub(crate) mount: usize,
    pub(crate) reference: String,
    pub(crate) order: Order,
}

impl Reply {
    pub(crate) const fn json(http: u16, body: Vec<u8>) -> Self {
        Self { http, content_type: "application/json", extra: None, body }
    }

    pub(crate) fn of(answer: &Answer<'_>) -> Self {
        Self::json(answer.http, answer.to_json())
    }

    /// An HTML page of a proxy.
    pub(crate) fn page(http: u16, title: &str) -> Self {
        Self {
            http,
            content_type: "text/html",
            extra: None,
            body: format!("<html><head><title>{http} {title}</title></head><body><center><h1>{http} {title}</h1></center><hr><center>nginx</center></body></html>\r\n").into_bytes(),
        }
    }

    /// The head as bytes, up to and with the empty line.
    fn head(&self, length: &str) -> Vec<u8> {
        format!("HTTP/1.1 {} Simulated\r\ncontent-type: {}\r\n{length}\r\n\r\n", self.http, self.content_type)
            .into_bytes()
    }

    fn announced_head(&self) -> Vec<u8> {
        self.head(&format!("content-length: {}", self.body.len()))
    }

    fn whole(&self) -> Vec<u8> {
        [self.announced_head(), self.body.clone()].concat()
    }
}

/// Carries a fault out on the answer that would be given. Returns the code that was answered, where there is one.
pub(crate) fn perform(act: Act, mut answer: Answer<'_>, service: u8, behaviour: &Behaviour) -> (Play, Option<String>) {
    let hang = act.delay_ms.map_or(behaviour.hang, Duration::from_millis);
    let pause = behaviour.drip;
    answer.spoil(act.fault, service);
    let code = answer.response_code.clone();
    let refusal = |case: Case| {
        let answer = Answer::of(case, service);
        (Reply::of(&answer), answer.response_code)
    };
    let wire = |wire| (Play::Wire(wire), None);
    match act.fault {
        Fault::Timeout | Fault::LateCommit => wire(Wire::Silence(hang)),
        Fault::Rst => wire(Wire::Rst),
        Fault::Fin | Fault::LateVisibility => wire(Wire::Bytes(Vec::new())),
        Fault::NotHttp => wire(Wire::Bytes(b"SSH-2.0-OpenSSH_9.2\r\n\x00\xff\xfe garbage\r\n\r\n".to_vec())),
        Fault::DripHeaders => {
            let reply = Reply::of(&answer);
            let slow = [reply.announced_head(), reply.body].concat();
            (Play::Wire(Wire::Drip { quick: Vec::new(), slow, pause, hang }), code)
        }
        Fault::DripBody => {
            let reply = Reply::of(&answer);
            let quick = reply.announced_head();
            (Play::Wire(Wire::Drip { quick, slow: reply.body, pause, hang }), code)
        }
        Fault::EndlessHeaders => wire(Wire::Endless {
            first: b"HTTP/1.1 200 OK\r\n".to_vec(),
            again: b"x-more: and more and more and more and more and more\r\n".repeat(64),
            hang,
        }),
        Fault::EndlessBody => {
            let reply = Reply::of(&answer);
            let mut first = reply.head("transfer-encoding: chunked");
            // A valid beginning whose end never comes.
            let beginning = &reply.body[..reply.body.len() - 1];
            first.extend(format!("{:x}\r\n", beginning.len() + 6).into_bytes());
            first.extend(beginning);
            first.extend(b",\"a\":\"\r\n");
            let again = [b"1000\r\n".as_slice(), &[b'a'; 4096], b"\r\n"].concat();
            (Play::Wire(Wire::Endless { first, again, hang }), code)
        }
        Fault::TruncatedBody => {
            let reply = Reply::of(&answer);
            let half = &reply.body[..reply.body.len() / 2];
            let bytes = [reply.announced_head().as_slice(), half].concat();
            (Play::Wire(Wire::Bytes(bytes)), code)
        }
        Fault::Answer(case) => {
            let (reply, code) = refusal(case);
            (Play::Reply(reply), code)
        }
        Fault::RateLimited | Fault::RateLimitedNoHint => {
            let (mut reply, code) = refusal(Case::new(429, 0));
            if act.fault == Fault::RateLimited {
                let seconds = act.delay_ms.unwrap_or(1000).div_ceil(1000);
                reply.extra = Some(("retry-after", seconds.to_string()));
            }
            (Play::Reply(reply), code)
        }
        Fault::AnsweredTwice => {
            let first = Reply::of(&answer).whole();
            let when = When::After(act.delay_ms.map_or(TWICE_AFTER, Duration::from_millis));
            (Play::Wire(Wire::Goes { then: first.clone(), first, when }), code)
        }
        Fault::LateAnswer(case) => {
            let (late, code) = refusal(case);
            let first = Reply::page(504, "Gateway Time-out").whole();
            (Play::Wire(Wire::Goes { first, when: When::NextRequest, then: late.whole() }), code)
        }
        Fault::SecondAnswer(case) => {
            let pause = act.delay_ms.map_or(TWICE_AFTER, Duration::from_millis);
            let stray = Stray { service, answer: refusal(case).0, pause };
            (Play::Twice(Reply::of(&answer), stray), code)
        }
        Fault::InterimAnswer => {
            let interim = b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n".to_vec();
            let then = Reply::of(&answer).whole();
            (Play::Wire(Wire::Goes { first: interim, when: When::After(Duration::ZERO), then }), code)
        }
        Fault::SurplusByte => {
            let first = [Reply::of(&answer).whole(), vec![b' ']].concat();
            (Play::Wire(Wire::Goes { first, when: When::After(Duration::ZERO), then: Vec::new() }), code)
        }
        Fault::BadGateway => (Play::Reply(Reply::page(502, "Bad Gateway")), None),
        Fault::Redirect => {
            let mut reply = Reply::page(307, "Temporary Redirect");
            reply.extra = Some(("location", "/_sim/redirected".into()));
            (Play::Reply(reply), None)
        }
        Fault::HttpDisagrees if act.commit => {
            answer.http = 500;
            (Play::Reply(Reply::of(&answer)), code)
        }
        Fault::HttpDisagrees => {
            let (mut reply, code) = refusal(Case::new(403, 15));
            reply.http = 200;
            (Play::Reply(reply), code)
        }
        Fault::EmptyBody => (Play::Reply(Reply::json(200, Vec::new())), None),
        Fault::GarbageJson => (Play::Reply(Reply::json(200, b"{\"responseCode\": 2003800; ]\xff".to_vec())), None),
        // Without commit a spoilt success would be a lie about nothing, which is what these are for.
        Fault::None
        | Fault::HugeBody
        | Fault::PendingThenSuccess
        | Fault::PendingThenFailed
        | Fault::PendingThenCancelled
        | Fault::PendingThenRefunded
        | Fault::PendingForever
        | Fault::PendingThenLost
        | Fault::ForeignService
        | Fault::AmountMismatch
        | Fault::ReferenceMismatch
        | Fault::UnknownCode
        | Fault::MissingCode
        | Fault::AmountOutOfRange
        | Fault::WithoutFee
        | Fault::Report(_)
        | Fault::InProgress(_)
        | Fault::LaggingReplica => (Play::Reply(Reply::of(&answer)), code),
    }
}

/// `X-TIMESTAMP` of an answer.
pub(crate) fn timestamp(behaviour: &Behaviour) -> [u8; 25] {
    clock::to_snap(clock::now_ms().saturating_add(behaviour.clock_ahead_ms))
}
