//! The provider: takes a request through the door, its service, the fault it meets, and writes it down.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, PoisonError, RwLock};

use hyper::{HeaderMap, Method};

use crate::answer::Answer;
use crate::case::Case;
use crate::config::{Behaviour, FaultLevel, LaneFault, SimConfig};
use crate::door::{self, Knock, Mounted};
use crate::fault::{Act, Fault};
use crate::ledger::Ledger;
use crate::log::{Logged, RequestLog};
use crate::magic;
use crate::play::{LateOrder, Play, Reply, Wire, perform};
use crate::random;
use crate::refusal::Refusal;
use crate::report::{Effect, RequestRecord};
use crate::request::{Customer, Service};
use crate::script::{Script, Seen as SeenByScript};
use crate::seen::{ExternalNo, Seen};
use crate::signature::sha256;
use crate::tokens::Tokens;

/// Everything the provider knows.
#[derive(Debug)]
pub(crate) struct Provider {
    pub(crate) mounts: Vec<Mounted>,
    pub(crate) ledger: Ledger,
    pub(crate) script: Script,
    pub(crate) tokens: Tokens,
    pub(crate) log: RequestLog,
    pub(crate) counts: Counts,
    pub(crate) seen: Seen,
    behaviour: RwLock<Arc<Behaviour>>,
    /// Inquiries for magic numbers that name no reference.
    pub(crate) nameless: [AtomicU32; 100],
}

/// Counters of requests.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) requests: AtomicU64,
    pub(crate) top_ups: AtomicU64,
    pub(crate) refused: AtomicU64,
    pub(crate) redirects: AtomicU64,
    pub(crate) pending_effects: AtomicU64,
    pub(crate) in_flight: AtomicU64,
    pub(crate) max_in_flight: AtomicU64,
}

/// One request, read to its end.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Arrived<'a> {
    pub(crate) method: &'a Method,
    pub(crate) path: &'a str,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) body: &'a [u8],
}

/// A request inside, on its way through its service.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Call<'a> {
    pub(crate) mount: &'a Mounted,
    pub(crate) service: Service,
    pub(crate) behaviour: &'a Behaviour,
    pub(crate) external: ExternalNo,
    pub(crate) now_ms: i64,
}

impl Call<'_> {
    pub(crate) const fn digits(&self) -> u8 {
        self.service.digits(self.mount.personality)
    }

    pub(crate) const fn index(&self) -> usize {
        self.mount.index
    }
}

/// What a service decided.
#[derive(Debug)]
pub(crate) struct Decided<'a> {
    pub(crate) act: Act,
    pub(crate) answer: Answer<'a>,
    pub(crate) effect: Effect,
    pub(crate) reference: Option<&'a str>,
    /// A top-up that takes effect later, with its delay in milliseconds.
    pub(crate) late: Option<LateOrder>,
}

impl Provider {
    /// A provider of these mounts; the error says what of the configuration cannot be played.
    pub(crate) fn new(config: SimConfig) -> Result<Self, String> {
        let SimConfig { mounts, behaviour, request_log, external_id_memory } = config;
        if mounts.is_empty() || mounts.len() > 16 {
            return Err("1 to 16 mounts".into());
        }
        let mounts: Vec<Mounted> = mounts
            .into_iter()
            .enumerate()
            .map(|(index, mount)| Mounted::new(index, mount))
            .collect::<Result<_, _>>()?;
        for (index, mount) in mounts.iter().enumerate() {
            if mounts[..index].iter().any(|earlier| earlier.name == mount.name) {
                return Err(format!("two mounts are called {}", mount.name));
            }
        }
        let provider = Self {
            ledger: Ledger::new(mounts.len()),
            mounts,
            script: Script::default(),
            tokens: Tokens::new(),
            log: RequestLog::new(request_log),
            counts: Counts::default(),
            seen: Seen::new(external_id_memory),
            behaviour: RwLock::default(),
            nameless: [const { AtomicU32::new(0) }; 100],
        };
        provider.set_behaviour(behaviour)?;
        Ok(provider)
    }

    pub(crate) fn behaviour(&self) -> Arc<Behaviour> {
        Arc::clone(&self.behaviour.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Behaves like this from the next request on; lane faults of unknown mounts are refused.
    pub(crate) fn set_behaviour(&self, behaviour: Behaviour) -> Result<(), String> {
        let unknown = behaviour
            .lane_faults
            .keys()
            .find(|name| *name != "*" && self.mounts.iter().all(|mount| mount.name != **name));
        if let Some(unknown) = unknown {
            return Err(format!("no mount is called {unknown}"));
        }
        for mount in &self.mounts {
            let lane = lane_fault(&behaviour.lane_faults, &mount.name);
            if matches!(lane, Some(LaneFault::TokenRefused | LaneFault::TokenFailing)) {
                self.tokens.revoke(mount.index);
            }
        }
        *self.behaviour.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(behaviour);
        Ok(())
    }

    /// Where a path leads.
    pub(crate) fn route(&self, path: &str) -> Option<(&Mounted, Service)> {
        let (mount, rest) = match (path.strip_prefix("/v1.0/"), &self.mounts[..]) {
            (Some(rest), [only]) => (only, rest),
            _ => {
                let (name, rest) = path.strip_prefix('/')?.split_once('/')?;
                let mount = self.mounts.iter().find(|mount| mount.name == name)?;
                (mount, rest.strip_prefix("v1.0/")?)
            }
        };
        let status = match mount.personality {
            crate::Personality::Finpay => "emoney/topup-status",
            crate::Personality::Midtrans => "transfer/status",
        };
        let service = match rest {
            "access-token/b2b" => Service::Token,
            "emoney/account-inquiry" => Service::Inquiry,
            "emoney/topup" => Service::TopUp,
            _ if rest == status => Service::Status,
            _ => return None,
        };
        Some((mount, service))
    }

    /// Answers one request to a service.
    pub(crate) fn handle(
        &self,
        mount: &Mounted,
        service: Service,
        behaviour: &Behaviour,
        arrived: &Arrived<'_>,
    ) -> Play {
        self.counts.requests.fetch_add(1, Relaxed);
        if service == Service::TopUp {
            self.counts.top_ups.fetch_add(1, Relaxed);
        }
        let digits = service.digits(mount.personality);
        let lane = lane_fault(&behaviour.lane_faults, &mount.name);
        match lane {
            Some(LaneFault::Down) => return Play::Wire(Wire::Rst),
            Some(LaneFault::Unavailable) => return Play::Reply(Reply::page(503, "Service Temporarily Unavailable")),
            _ => {}
        }
        if arrived.method != Method::POST {
            return Play::Reply(Reply::of(&Answer::of(Case::new(405, 0), digits)));
        }
        let body_sha256 = sha256(arrived.body);
        let now_ms = door::now_ms(behaviour);
        let knock = Knock { path: arrived.path, headers: arrived.headers, body_sha256: &body_sha256, now_ms };
        let call = |external| Call { mount, service, behaviour, external, now_ms };

        let fields = crate::fields::Fields::read(arrived.body);
        let decided = match service {
            Service::Token => mount
                .admit_token_request(&knock)
                .and_then(|()| self.token(&call(0), fields.as_ref().map_err(|refusal| *refusal)?)),
            Service::Inquiry | Service::TopUp | Service::Status => {
                mount.admit(&knock, &self.tokens, &self.seen).and_then(|external| {
                    if let Some(case) = lane.filter(|lane| lane.hits(service)).and_then(LaneFault::case) {
                        return Ok(Decided::plain(Answer::of(case, digits)));
                    }
                    let fields = fields.as_ref().map_err(|refusal| *refusal)?;
                    match service {
                        Service::Inquiry => self.inquiry(&call(external), fields),
                        Service::TopUp => self.top_up(&call(external), fields),
                        Service::Token | Service::Status => self.status(&call(external), fields),
                    }
                })
            }
        };
        let decided = decided.unwrap_or_else(|refusal| self.refused(refusal, digits));
        let Decided { act, answer, effect, reference, late } = decided;
        let (mut play, code) = perform(act, answer, digits, behaviour);
        if let (Play::Wire(Wire::Silence(hang)), Some(order)) = (&play, late) {
            let after = act.delay_ms.map_or(behaviour.late_commit, std::time::Duration::from_millis);
            // The rule's delay is that of the commit; the connection is kept as always.
            let hang = if act.delay_ms.is_some() { behaviour.hang } else { *hang };
            play = Play::Wire(Wire::Late { hang, after, order });
        }
        if self.log.is_on() {
            let external_id = arrived.headers.get("x-external-id");
            self.log.push(Logged {
                mount: mount.index,
                body_sha256,
                record: RequestRecord {
                    at_ms: now_ms,
                    profile: String::new(),
                    service: digits,
                    reference: reference.map(str::to_owned),
                    external_id: external_id.and_then(|id| id.to_str().ok()).map(str::to_owned),
                    body_sha256: String::new(),
                    effect,
                    code,
                    fault: (act.fault != Fault::None).then_some(act.fault),
                },
            });
        }
        play
    }

    fn refused(&self, refusal: Refusal, digits: u8) -> Decided<'static> {
        self.counts.refused.fetch_add(1, Relaxed);
        Decided::plain(Answer::of(refusal.case, digits).with_message(refusal.message()))
    }

    /// Which fault a request meets: the script's, the customer's, or a random one.
    pub(crate) fn choose(
        &self,
        call: &Call<'_>,
        reference: Option<&str>,
        customer: Option<Customer>,
        attempt: u32,
    ) -> Act {
        let seen = SeenByScript { profile: &call.mount.name, service: call.digits(), reference, customer };
        if let Some(act) = self.script.act(&seen) {
            return act;
        }
        let behaviour = call.behaviour;
        if behaviour.magic_numbers
            && let Some(number) = customer.and_then(magic::number)
        {
            return magic::act(number, call.service, attempt).unwrap_or(Act::NONE);
        }
        if behaviour.faults == FaultLevel::None {
            return Act::NONE;
        }
        let (key, attempt) = match reference {
            Some(reference) => (random::hash(reference.as_bytes()), attempt),
            // Nothing tells a repeated inquiry: half as many faults keep eight in a row out of the question.
            None if call.service == Service::Inquiry => {
                let key = random::hash(&call.external.to_le_bytes());
                (key, if key & 1 == 0 { attempt } else { u32::MAX })
            }
            None => (random::hash(&call.external.to_le_bytes()), attempt),
        };
        random::draw(behaviour.faults, behaviour.seed, call.service, key, attempt)
    }

    /// Which inquiry for this customer this is, where no reference tells: 0 and 1 in turns.
    pub(crate) fn nameless_attempt(&self, customer: Customer) -> u32 {
        magic::number(customer).map_or(0, |number| self.nameless[usize::from(number)].fetch_add(1, Relaxed) % 2)
    }

    /// A late commit takes effect.
    pub(crate) fn book_late(&self, late: &LateOrder) {
        let behaviour = self.behaviour();
        let now_ms = door::now_ms(&behaviour);
        let order = crate::ledger::Order { now_ms, settles_ms: now_ms, ..late.order };
        self.ledger.with(late.mount, &late.reference, |entry| self.ledger.book(entry, &order, behaviour.repeat_policy));
    }
}

impl<'a> Decided<'a> {
    /// An answer without fault and effect.
    pub(crate) const fn plain(answer: Answer<'a>) -> Self {
        Self { act: Act::NONE, answer, effect: Effect::None, reference: None, late: None }
    }
}

impl LaneFault {
    /// Whether it hits this transaction.
    const fn hits(&self, service: Service) -> bool {
        match self {
            Self::DepositEmpty | Self::MerchantLimit => matches!(service, Service::TopUp),
            _ => true,
        }
    }
}

/// The lane fault of a mount.
pub(crate) fn lane_fault(faults: &BTreeMap<String, LaneFault>, name: &str) -> Option<LaneFault> {
    if faults.is_empty() {
        return None;
    }
    faults.get(name).or_else(|| faults.get("*")).copied()
}
