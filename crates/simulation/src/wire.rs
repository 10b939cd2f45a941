//! The provider's port: a request takes its time, may be lost on either way, and may arrive when nobody waits any more.

use std::time::Duration;

use serde_json::json;
use snap_client::{
    Answered, BoxFuture, By, Bytes, Fuse, NotSentReason, Reply, Request, Silence, UsedConnection, Way, Wire,
};
use snap_core::{PartnerReferenceNo, Service, Timestamp};
use tokio::time::Instant;

use crate::mistake::Mistake;
use crate::op::{Heard, Op};
use crate::plan::When;
use crate::provider::{Order, Said, digest, reference, refusal};
use crate::scenario::Outage;
use crate::world::{AGREE_MS, Struck, World, millis};

/// As configured.
pub(crate) const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
/// As configured: what arrives, arrives well before its end.
pub(crate) const QUIET_PERIOD: Duration = Duration::from_secs(60);
/// By default.
pub(crate) const SEND_WITHIN: Duration = Duration::from_secs(5);
/// One way.
const WAY: Duration = Duration::from_millis(20);
/// From when on a late request arrives.
const LATE: Duration = Duration::from_secs(3);

/// The wire to one provider.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) world: World,
    pub(crate) provider: &'static str,
    /// The account whose credentials the process has.
    pub(crate) account: usize,
}

/// What becomes of a request on its way there.
enum There {
    /// It arrives after this.
    Arrives(Duration),
    /// It never does, and the provider's side says this at once.
    Stopped(Said),
    /// It is lost; where the duration is there it arrives when nobody waits any more.
    Lost(Option<Duration>),
    /// It did not leave.
    Stays,
    /// The wire says that it did not leave. It did.
    LeavesUnseen,
}

impl Wire for Line {
    fn transaction<'a>(
        &'a self,
        service: Service,
        request: Request<Bytes>,
        _now: Timestamp,
        way: Way<'a>,
    ) -> BoxFuture<'a, (Reply, UsedConnection)> {
        let external_id = request.headers().get("x-external-id").and_then(|id| id.to_str().ok()).unwrap_or_default();
        let (provider, external_id) = (self.provider.to_owned(), external_id.to_owned());
        let account = self.account;
        let mut order = Order { provider, account, service, external_id, body: request.into_body().to_vec() };
        match self.world.state().mistake {
            Mistake::AnotherNumber => order.external_id.push('0'),
            Mistake::AnotherBody => order.body.push(b' '),
            _ => {}
        }
        Box::pin(async move {
            let reply = match way.by {
                By::Behind(_) => self.behind(&order).await,
                By::Any | By::New => self.transact(order, way.fuse).await,
            };
            (reply, UsedConnection::none())
        })
    }

    fn token(&self, _request: Request<Bytes>, _now: Timestamp) -> BoxFuture<'_, (Reply, Option<Timestamp>)> {
        Box::pin(self.grant())
    }

    fn close_idle(&self) {}
}

impl Line {
    async fn grant(&self) -> (Reply, Option<Timestamp>) {
        let started = Instant::now();
        let call = self.world.call(Op::Token).await;
        let struck = self.world.strike(call, When::Before).await;
        if struck.dies_in_flight {
            self.world.die().await;
        }
        if let Some(kind) = struck.error {
            let reply = match kind % 5 {
                0 => not_sent(started),
                1 => silent(Silence::Timeout, started),
                2 => self.answered((503, json!("Service Unavailable")), started),
                3 => self.answered(refusal(401, 73, 0), started),
                _ => self.answered(refusal(429, 73, 0), started),
            };
            let date = if let Reply::Answered(answered) = &reply { answered.date } else { None };
            return (reply, date);
        }
        tokio::time::sleep(struck.delay.min(REQUEST_TIMEOUT) + WAY).await;
        let lives = self.world.state().token_lives;
        let granted = json!({
            "responseCode": "2007300", "responseMessage": "Successful",
            "accessToken": format!("token-{}", call.number), "tokenType": "Bearer", "expiresIn": lives,
        });
        match self.world.strike(call, When::After).await.error {
            Some(_) => (silent(Silence::Reset, started), None),
            None => (self.answered((200, granted), started), self.date()),
        }
    }

    /// Behind a refusal that was another's comes the top-up's own answer; there is no other connection to ask by.
    async fn behind(&self, order: &Order) -> Reply {
        let started = Instant::now();
        tokio::time::sleep(WAY * 2).await;
        let own = self.world.state().own_answers.remove(&reference(order));
        own.map_or_else(|| not_sent(started), |own| self.answered(own, started))
    }

    async fn transact(&self, order: Order, fuse: Fuse<'_>) -> Reply {
        let (started, service, name) = (Instant::now(), order.service, reference(&order));
        // Its intent was committed just now.
        let intent = self.world.state().now();
        let call = self.world.call(Op::of_service(service)).await;
        let struck = self.world.strike(call, When::Before).await;
        let there = self.way_there(service, struck);
        if let Some(detail) = fuse()
            && self.world.state().mistake != Mistake::NoFuse
        {
            return Reply::NotSent { why: NotSentReason::Stale, detail, elapsed: started.elapsed() };
        }
        if !matches!(there, There::Arrives(_)) || service == Service::TopUp {
            self.world.state().heard = Heard::Unclear;
        }
        let objection = if service == Service::TopUp { self.objection(&order, intent).await } else { None };
        let number = {
            let mut state = self.world.state();
            let now = state.now();
            if service == Service::TopUp {
                state.top_up_left = now;
            }
            match &there {
                There::Stays => return not_sent(started),
                There::Stopped(_) | There::Lost(None) => state.ledger.leave(order, now, None, objection),
                There::Lost(Some(after)) | There::Arrives(after) => {
                    let at = now + millis(*after);
                    let others = state.namespace.others_send_from(state.mistake);
                    let is_beside = service == Service::TopUp && others.is_some_and(|others| at > others);
                    let beside = is_beside.then(|| {
                        format!("a top-up of {} arrived when another store may have sent it already", reference(&order))
                    });
                    let objection = objection.or(beside);
                    state.ledger.leave(order, now, Some(at), objection)
                }
                There::LeavesUnseen => state.ledger.leave(order, now, Some(now), objection),
            }
        };
        if struck.dies_in_flight {
            self.world.die().await;
        }
        // What may go wrong meanwhile is not about the request.
        self.world.strike(call, When::Within).await;
        let said = match there {
            There::Stopped(said) => said,
            There::Lost(None) => {
                tokio::time::sleep(WAY).await;
                return silent(Silence::Reset, started);
            }
            There::LeavesUnseen | There::Stays => return not_sent(started),
            There::Lost(Some(_)) => return self.runs_out(started).await,
            There::Arrives(after) if after + WAY >= REQUEST_TIMEOUT => return self.runs_out(started).await,
            There::Arrives(after) => {
                tokio::time::sleep(after).await;
                let mut state = self.world.state();
                let now = state.now();
                state.ledger.settle(now);
                // It arrived in the same instant, or before.
                state.ledger.answer(number).unwrap_or_else(|| refusal(500, service.code(), 0))
            }
        };
        self.way_back(call, (service, &name), said, started).await
    }

    /// What is wrong with a top-up that leaves now: by what is committed in this instant, it must be on disk with its number and
    /// its body, and its job must not have ended.
    async fn objection(&self, order: &Order, intent: i64) -> Option<String> {
        let store = self.world.state().store.clone()?;
        let name = reference(order);
        let (now, not_after) = {
            let state = self.world.state();
            (state.now(), state.not_after.get(&name).copied())
        };
        let age = now - intent;
        if not_after.is_some_and(|not_after| now > not_after + AGREE_MS) {
            return Some(format!("a top-up of {name} left after its notAfter"));
        }
        if age > millis(SEND_WITHIN) {
            return Some(format!("a top-up of {name} left {age} ms after its intent"));
        }
        let key = PartnerReferenceNo::parse(&name).ok()?;
        let Ok(timeline) = store.timeline(&key).await else { return Some("the store cannot be read".to_owned()) };
        let Some(timeline) = timeline else {
            return Some(format!("a top-up of {name} left, and there is no such job"));
        };
        let state = timeline.job.state();
        if state != "sending" {
            return Some(format!("a top-up of {name} left while its job was {state}"));
        }
        let attempt = timeline.attempts.iter().find(|attempt| attempt.external_id.as_str() == order.external_id);
        match attempt {
            None => Some(format!("a top-up of {name} left, and no attempt of it was recorded")),
            Some(attempt) if attempt.body_sha256.as_ref() != Some(&digest(order)) => {
                Some(format!("a top-up of {name} left with another body than recorded"))
            }
            Some(_) => None,
        }
    }

    fn way_there(&self, service: Service, struck: Struck) -> There {
        let mut state = self.world.state();
        let code = service.code();
        let lateness = |state: &mut crate::world::State| match state.mistake {
            Mistake::LaterThanQuiet => QUIET_PERIOD * 4,
            _ if state.may_be_late => state.span(LATE, QUIET_PERIOD / 2),
            _ => LATE,
        };
        if struck.dies_in_flight {
            return There::Lost(Some(lateness(&mut state)));
        }
        match (state.outage(), service) {
            (Outage::None, _) | (_, Service::AccountInquiry) => {}
            (Outage::AnswersLost, Service::TopUp) => return There::Lost(Some(WAY)),
            (Outage::RequestsLost, Service::TopUp) => return There::Lost(None),
            _ => return There::Stopped((200, json!("<html>we are working on it</html>"))),
        }
        match struck.error.map(|kind| kind % 9) {
            None => There::Arrives(WAY + struck.delay.min(QUIET_PERIOD / 2)),
            Some(0) if state.mistake == Mistake::NotSentIsALie => There::LeavesUnseen,
            Some(0) => There::Stays,
            Some(1) => There::Lost(None),
            Some(2) => There::Lost(Some(lateness(&mut state))),
            Some(3) => There::Stopped((503, json!("Service Unavailable"))),
            Some(4) => There::Stopped(refusal(401, code, 1)),
            Some(5) => There::Stopped(refusal(429, code, 0)),
            Some(6) => There::Stopped(refusal(500, code, 0)),
            Some(7) => {
                state.lied = true;
                There::Stopped(refusal(409, code, 1))
            }
            Some(_) => There::Stopped(refusal(504, code, 0)),
        }
    }

    async fn way_back(
        &self,
        call: crate::world::Call,
        (service, name): (Service, &str),
        said: Said,
        started: Instant,
    ) -> Reply {
        let struck = self.world.strike(call, When::After).await;
        {
            let mut state = self.world.state();
            let whole = struck.error.is_none() && started.elapsed() + struck.delay + WAY < REQUEST_TIMEOUT;
            let is_late = state.now() - state.top_up_left >= millis(QUIET_PERIOD);
            state.heard = if whole { state.heard.then(service, &said, is_late) } else { Heard::Unclear };
        }
        tokio::time::sleep(struck.delay.min(REQUEST_TIMEOUT) + WAY).await;
        if started.elapsed() >= REQUEST_TIMEOUT {
            return silent(Silence::Timeout, started);
        }
        let Some(kind) = struck.error else { return self.answered(said, started) };
        let (http, mut body) = said;
        match kind % 11 {
            0 => silent(Silence::Reset, started),
            1 => self.runs_out(started).await,
            2 => self.answered((200, json!("<html>busy</html>")), started),
            3 => self.answered((504, json!("Gateway Timeout")), started),
            4 => silent(Silence::Truncated, started),
            5 => silent(Silence::TooLarge, started),
            6 => {
                // Of another service.
                if let Some(body) = body.as_object_mut() {
                    body.insert("responseCode".to_owned(), json!("2007700"));
                }
                self.answered((200, body), started)
            }
            7 => {
                // The line says otherwise.
                self.answered((if http == 200 { 500 } else { 200 }, body), started)
            }
            8 => self.answered(refusal(409, service.code(), 1), started),
            10 if service == Service::TopUp => {
                // A second answer to the top-up before, which names nothing: this one's own comes behind it.
                let may_be_earlier = {
                    let mut state = self.world.state();
                    state.own_answers.insert(name.to_owned(), (http, body));
                    state.mistake != Mistake::NoHistory
                };
                match self.answered(refusal(429, 38, 0), started) {
                    Reply::Answered(answered) => Reply::Answered(Answered { may_be_earlier, ..answered }),
                    other => other,
                }
            }
            kind => self.answered(astray(service, kind, &(http, body)), started),
        }
    }

    /// The provider's time, in whole seconds.
    fn date(&self) -> Option<Timestamp> {
        let state = self.world.state();
        let now = state.now();
        let is_told = !matches!(state.mistake, Mistake::NoDate | Mistake::NewestTime);
        is_told.then(|| Timestamp::from_millis(now - now % 1000))
    }

    fn answered(&self, (http_status, body): Said, started: Instant) -> Reply {
        let body = Bytes::from(body.to_string());
        let (retry_after, date, elapsed) = (None, self.date(), started.elapsed());
        let (surplus, may_be_earlier) = (false, false);
        Reply::Answered(Answered { http_status, body, surplus, may_be_earlier, retry_after, date, elapsed })
    }

    /// Nothing comes back by the end of the call.
    async fn runs_out(&self, started: Instant) -> Reply {
        tokio::time::sleep_until(started + REQUEST_TIMEOUT).await;
        self.world.alive().await;
        silent(Silence::Timeout, started)
    }
}

/// What another request was answered, or what shows no more than that the top-up is known (M15, M2).
fn astray(service: Service, kind: u8, said: &Said) -> Said {
    let anothers = |(http, mut body): Said| {
        for name in ["partnerReferenceNo", "originalPartnerReferenceNo"] {
            body[name] = json!("another-top-up");
        }
        (http, body)
    };
    let is_known = said.0 == 200 && matches!(said.1["latestTransactionStatus"].as_str(), Some("00" | "03" | "06"));
    match (service, kind) {
        (Service::TopUp, _) => anothers(refusal(404, 38, 11)),
        (Service::TopUpStatus | Service::TransferStatus, 9) => anothers(refusal(404, service.code(), 1)),
        (Service::TopUpStatus | Service::TransferStatus, _) if is_known => refusal(202, service.code(), 0),
        // An inquiry need not name its reference: a proxy's page.
        _ => (200, json!("<html>busy</html>")),
    }
}

fn not_sent(started: Instant) -> Reply {
    Reply::NotSent { why: NotSentReason::Connect, detail: "refused".to_owned(), elapsed: started.elapsed() }
}

fn silent(why: Silence, started: Instant) -> Reply {
    Reply::Silent { why, detail: "by plan".to_owned(), http_status: None, elapsed: started.elapsed() }
}
