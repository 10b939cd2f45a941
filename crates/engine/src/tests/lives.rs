//! Random lives: the real `apply` and `next_step` together, against a provider that loses, delays and refuses, with
//! crashes between and after every recorded event.

use proptest::prelude::*;

use super::*;
use crate::{MoneyState, Step, next_step};

/// What the provider does with one request, and what we see of it.
#[derive(Clone, Copy, Debug)]
enum Fate {
    Paid,
    PaidSilently,
    Lost,
    /// It takes effect after we gave up on it, within the quiet period.
    Late,
    Refused,
    Wrong,
    NotSent,
    Accepted,
    OurFault,
}

#[derive(Clone, Copy, Debug)]
enum StatusFate {
    Truth,
    Nothing,
    Held,
}

fn fates() -> impl Strategy<Value = (Vec<Fate>, Vec<StatusFate>, Vec<bool>)> {
    use Fate::*;
    let fate = prop::sample::select(vec![
        Paid,
        PaidSilently,
        PaidSilently,
        Lost,
        Lost,
        Lost,
        Late,
        Refused,
        Wrong,
        NotSent,
        Accepted,
        OurFault,
    ]);
    let status =
        prop::sample::select(vec![StatusFate::Truth, StatusFate::Truth, StatusFate::Nothing, StatusFate::Held]);
    (
        prop::collection::vec(fate, 12),
        prop::collection::vec(status, 40),
        prop::collection::vec(prop::bool::weighted(0.2), 200),
    )
}

#[derive(Default)]
struct Provider {
    credits: u32,
    late: Option<Timestamp>,
}

impl Provider {
    fn settle(&mut self, now: Timestamp) {
        if self.late.is_some_and(|late| late <= now) {
            self.late = None;
            self.credits += 1; // it pays again whatever it has seen: only our own care protects
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, ..ProptestConfig::default() })]

    #[test]
    fn no_life_pays_twice_and_every_life_comes_to_rest((fates, statuses, crashes) in fates()) {
        let policy = policy();
        let (mut job, mut provider) = (fresh(), Provider::default());
        let (mut now, mut fates, mut statuses) = (at(1), fates.into_iter(), statuses.into_iter());
        let mut crashes = crashes.into_iter();
        let mut in_flight: Option<Fate> = None;
        for steps in 0.. {
            prop_assert!(steps < 2000, "this life does not end: {job:?}");
            provider.settle(now);
            prop_assert!(provider.credits <= 1);
            if crashes.next().unwrap_or(false) {
                in_flight = None;
                job = apply(&job, &policy, &Event::Restarted, now, Jitter::NONE).unwrap_or(job);
                now = now.plus(SECOND);
                continue;
            }
            let event = if let Some(fate) = in_flight.take() {
                now = now.plus(2 * SECOND);
                Event::TopUp(match fate {
                    Fate::Paid => Answer::Paid,
                    Fate::PaidSilently | Fate::Lost | Fate::Late => Answer::Unknown,
                    Fate::Refused => Answer::Refused,
                    Fate::Wrong => Answer::Wrong,
                    Fate::NotSent => Answer::NotExecuted { sent: false, retry: COUNTED },
                    Fate::OurFault => Answer::NotExecuted { sent: true, retry: Retry::Free },
                    Fate::Accepted => Answer::Accepted,
                })
            } else {
                match next_step(&job, &policy, now) {
                    Step::Rest => break,
                    Step::WaitUntil(due) => {
                        prop_assert!(due > now);
                        now = due;
                        continue;
                    }
                    Step::Inquire => inquired(),
                    Step::Expire => Event::Expired,
                    Step::OtherAccount => Event::OtherAccount,
                    Step::Send => {
                        // The intent is recorded; then the request leaves, and a crash may hide what became of it.
                        let fate = fates.next().unwrap_or(Fate::Paid);
                        match fate {
                            Fate::Paid | Fate::PaidSilently | Fate::Accepted => provider.credits += 1,
                            Fate::Late => provider.late = Some(now.plus(599 * SECOND)),
                            _ => {}
                        }
                        in_flight = Some(fate);
                        Event::SendStarted
                    }
                    Step::CheckStatus => {
                        let answer = match statuses.next().unwrap_or(StatusFate::Truth) {
                            StatusFate::Truth if provider.credits > 0 => StatusAnswer::Paid { amount_seen: true },
                            StatusFate::Truth => StatusAnswer::NotFound,
                            StatusFate::Nothing => StatusAnswer::Nothing(COUNTED),
                            StatusFate::Held => StatusAnswer::Nothing(Retry::Free),
                        };
                        Event::Checked { asked_at: now, answer }
                    }
                }
            };
            job = apply(&job, &policy, &event, now, Jitter::NONE).expect("a step leads to a legal event");
            now = now.plus(SECOND);
        }
        provider.settle(at(10_000_000));
        match job.state {
            State::Succeeded => prop_assert_eq!(provider.credits, 1),
            State::Rejected { .. } => prop_assert_eq!(provider.credits, 0),
            State::Dead { .. } => if provider.credits > 0 {
                prop_assert_eq!(job.evidence.money, MoneyState::MaybeSent);
            },
            _ => prop_assert!(false, "at rest in {:?}", job.state),
        }
    }
}
