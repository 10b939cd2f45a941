//! Whether a lane's work may go on: M9 without I/O.

use std::time::Duration;

use snap_core::{LaneFault, Service, Timestamp};

/// Failures in a row to reach the provider that pause its lane.
const UNREACHABLE_LIMIT: u32 = 5;
/// Requests in a row refused as wrong that pause the lane: then it is not the jobs.
const WRONG_LIMIT: u32 = 3;

/// What one provider call tells about the lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// The provider answered; nothing is wrong with the lane.
    Fine,
    /// The provider answered that a request was wrong in itself.
    Wrong,
    /// The provider could not be reached.
    Unreachable,
    /// A fault of ours that every job would meet.
    Fault(LaneFault),
    /// It tells nothing (a timeout, an unreadable answer).
    Nothing,
}

/// Why a lane stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// A fault of ours, or the provider is down.
    Fault(LaneFault),
    /// An operator paused it.
    Operator,
}

impl Cause {
    /// The word in metrics, `/readyz` and `provider list`.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Fault(fault) => fault.as_str(),
            Self::Operator => "operator",
        }
    }
}

/// A standing lane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pause {
    /// Why.
    pub cause: Cause,
    /// Since when.
    pub since: Timestamp,
    /// When one job may try; never for an operator's pause.
    pub next_probe: Option<Timestamp>,
    /// The service that met the fault.
    service: Option<Service>,
    probing: bool,
}

/// What a signal changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Nothing.
    None,
    /// The lane stands now.
    Paused,
    /// The lane moves again.
    Resumed,
}

/// The gate of one lane.
#[derive(Debug)]
pub struct Gate {
    pause: Option<Pause>,
    unreachable: u32,
    wrong: u32,
    /// The pause before the next probe; it starts over only when the service that met the fault works again.
    interval: Duration,
    probe_initial: Duration,
    probe_max: Duration,
}

impl Gate {
    /// An open gate that probes after `probe_initial`, doubling to `probe_max`.
    pub fn new(probe_initial: Duration, probe_max: Duration) -> Self {
        Self { pause: None, unreachable: 0, wrong: 0, interval: probe_initial, probe_initial, probe_max }
    }

    /// The pause, where the lane stands.
    pub fn pause(&self) -> Option<&Pause> {
        self.pause.as_ref()
    }

    /// Takes note of what a call of `service` told.
    pub fn observe(&mut self, signal: Signal, service: Service, now: Timestamp) -> Change {
        match signal {
            Signal::Nothing => Change::None,
            Signal::Fine => {
                (self.unreachable, self.wrong) = (0, 0);
                self.reopen(service)
            }
            Signal::Wrong => {
                self.unreachable = 0;
                self.wrong = self.wrong.saturating_add(1);
                if self.wrong >= WRONG_LIMIT {
                    self.close(LaneFault::RequestsRefused, None, now)
                } else {
                    self.reopen(service)
                }
            }
            Signal::Unreachable => {
                self.unreachable = self.unreachable.saturating_add(1);
                if self.unreachable >= UNREACHABLE_LIMIT {
                    self.close(LaneFault::Unreachable, None, now)
                } else {
                    Change::None
                }
            }
            // Without a token no service was met: whichever works next shows that there is one.
            Signal::Fault(fault) => self.close(fault, Some(service).filter(|met| *met != Service::AccessToken), now),
        }
    }

    /// When the next probe is due; `None` while one is under way, or none will be.
    pub fn next_probe(&self) -> Option<Timestamp> {
        self.pause.as_ref().filter(|pause| !pause.probing)?.next_probe
    }

    /// Whether one job may try now; if so, it is the probe until [`Gate::probe_ended`].
    pub fn take_probe(&mut self, now: Timestamp) -> bool {
        match &mut self.pause {
            Some(pause) if !pause.probing && pause.next_probe.is_some_and(|due| due <= now) => {
                pause.probing = true;
                true
            }
            _ => false,
        }
    }

    /// The probe ended. Where the lane still stands, the next one comes after twice the pause.
    pub fn probe_ended(&mut self, now: Timestamp, asked: bool) {
        if let Some(pause) = &mut self.pause
            && pause.probing
        {
            pause.probing = false;
            if asked {
                self.interval = self.interval.saturating_mul(2).min(self.probe_max);
            }
            pause.next_probe = pause.next_probe.map(|_| now.plus(self.interval));
        }
    }

    /// An operator's word. It outranks any fault.
    pub fn operator_paused(&mut self, since: Timestamp) {
        self.pause = Some(Pause { cause: Cause::Operator, since, next_probe: None, service: None, probing: false });
    }

    /// An operator's word.
    pub fn operator_resumed(&mut self) -> Change {
        (self.unreachable, self.wrong) = (0, 0);
        self.interval = self.probe_initial;
        match self.pause.take() {
            Some(_) => Change::Resumed,
            None => Change::None,
        }
    }

    fn close(&mut self, fault: LaneFault, service: Option<Service>, now: Timestamp) -> Change {
        match &mut self.pause {
            // Only an operator lifts an operator's pause, and a probe's failure is no news.
            Some(pause) => {
                if pause.cause != Cause::Operator {
                    pause.cause = Cause::Fault(fault);
                    pause.service = service;
                }
                Change::None
            }
            None => {
                let next_probe = Some(now.plus(self.interval));
                self.pause =
                    Some(Pause { cause: Cause::Fault(fault), since: now, next_probe, service, probing: false });
                Change::Paused
            }
        }
    }

    fn reopen(&mut self, service: Service) -> Change {
        let Some(pause) = &self.pause else {
            if service.moves_money() {
                self.interval = self.probe_initial;
            }
            return Change::None;
        };
        // An account inquiry that works says nothing about a deposit that is empty: the job that probes goes on to its
        // top-up, and the lane moves when that works. A status inquiry is let pass, or doubts would never be settled.
        let same = pause.service.is_none_or(|met| met == service);
        if pause.cause == Cause::Operator || !(same || service.asks_status()) {
            return Change::None;
        }
        if same {
            self.interval = self.probe_initial;
        }
        self.pause = None;
        Change::Resumed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millis(ms)
    }

    fn gate() -> Gate {
        Gate::new(Duration::from_millis(100), Duration::from_millis(300))
    }

    #[test]
    fn m9_a_fault_of_ours_pauses_at_once_and_the_first_good_answer_resumes() {
        let mut gate = gate();
        assert_eq!(gate.observe(Signal::Fault(LaneFault::InsufficientFunds), Service::TopUp, at(0)), Change::Paused);
        assert_eq!(gate.pause().map(|pause| pause.cause.as_str()), Some("insufficient_funds"));
        assert!(!gate.take_probe(at(99)));
        assert!(gate.take_probe(at(100)));
        assert!(!gate.take_probe(at(100)), "one job probes");
        assert_eq!(gate.observe(Signal::Fine, Service::TopUp, at(110)), Change::Resumed);
        assert!(gate.pause().is_none());
    }

    #[test]
    fn m9_probes_come_at_doubling_pauses_up_to_the_longest() {
        let mut gate = gate();
        gate.observe(Signal::Fault(LaneFault::Unauthorized), Service::TopUp, at(0));
        let mut now = 100;
        for next in [200, 300, 300] {
            assert!(gate.take_probe(at(now)));
            gate.observe(Signal::Fault(LaneFault::Unauthorized), Service::TopUp, at(now));
            gate.probe_ended(at(now), true);
            assert!(!gate.take_probe(at(now + next - 1)));
            now += next;
        }
    }

    #[test]
    fn m9_five_failures_in_a_row_to_reach_the_provider_pause_the_lane() {
        let mut gate = gate();
        for _ in 0..4 {
            assert_eq!(gate.observe(Signal::Unreachable, Service::TopUp, at(0)), Change::None);
        }
        gate.observe(Signal::Fine, Service::TopUp, at(0));
        for _ in 0..4 {
            assert_eq!(gate.observe(Signal::Unreachable, Service::TopUp, at(0)), Change::None);
        }
        assert_eq!(gate.observe(Signal::Unreachable, Service::TopUp, at(0)), Change::Paused);
    }

    #[test]
    fn m9_three_jobs_in_a_row_refused_as_wrong_pause_the_lane() {
        let mut gate = gate();
        assert_eq!(gate.observe(Signal::Wrong, Service::TopUp, at(0)), Change::None);
        assert_eq!(gate.observe(Signal::Wrong, Service::TopUp, at(0)), Change::None);
        assert_eq!(gate.observe(Signal::Wrong, Service::TopUp, at(0)), Change::Paused);
    }

    #[test]
    fn m9_only_an_operator_lifts_an_operators_pause() {
        let mut gate = gate();
        gate.operator_paused(at(0));
        assert_eq!(gate.observe(Signal::Fine, Service::TopUp, at(1)), Change::None);
        assert_eq!(gate.observe(Signal::Fault(LaneFault::Unreachable), Service::TopUp, at(1)), Change::None);
        assert!(!gate.take_probe(at(1_000_000)));
        assert_eq!(gate.pause().map(|pause| pause.cause.clone()), Some(Cause::Operator));
        assert_eq!(gate.operator_resumed(), Change::Resumed);
    }

    #[test]
    fn m9_an_inquiry_that_works_does_not_reopen_a_lane_whose_top_ups_fail() {
        let mut gate = gate();
        gate.observe(Signal::Fault(LaneFault::InsufficientFunds), Service::TopUp, at(0));
        assert!(gate.take_probe(at(100)));
        assert_eq!(gate.observe(Signal::Fine, Service::AccountInquiry, at(101)), Change::None);
        assert_eq!(gate.observe(Signal::Fine, Service::TopUp, at(102)), Change::Resumed);
    }

    #[test]
    fn m9_a_lane_that_a_status_inquiry_reopened_goes_on_doubling_its_pauses() {
        let mut gate = gate();
        gate.observe(Signal::Fault(LaneFault::InsufficientFunds), Service::TopUp, at(0));
        assert!(gate.take_probe(at(100)));
        gate.observe(Signal::Fault(LaneFault::InsufficientFunds), Service::TopUp, at(100));
        gate.probe_ended(at(100), true);
        assert_eq!(gate.observe(Signal::Fine, Service::TopUpStatus, at(110)), Change::Resumed);
        gate.observe(Signal::Fault(LaneFault::InsufficientFunds), Service::TopUp, at(120));
        assert!(!gate.take_probe(at(319)));
        assert!(gate.take_probe(at(320)), "200 ms, not 100");
    }

    #[test]
    fn m9_a_lane_without_a_token_reopens_at_the_first_call_that_works() {
        let mut gate = gate();
        gate.observe(Signal::Fault(LaneFault::TokenRefused), Service::AccessToken, at(0));
        assert_eq!(gate.observe(Signal::Fine, Service::AccountInquiry, at(1)), Change::Resumed);
    }
}
