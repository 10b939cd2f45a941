//! What a provider's answers say of our wall clock: their `Date` is a witness (M17).

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use snap_core::Timestamp;
use tokio::sync::OnceCell;

/// By more than this our clock is wrong, where the provider's is right. `Date` has whole seconds.
const TOO_FAR: Duration = Duration::from_secs(60);
/// So many answers in a row have to say so, once the clocks have agreed.
const ANSWERS: u32 = 3;
/// While all that waits waits for its clock, a provider is asked for it so often.
const ASK_EVERY: Duration = Duration::from_secs(8);
/// A `Date` that does not go on for so long is a copy out of some cache.
const FROZEN: Duration = Duration::from_secs(5);

/// What is known of our clock from one provider's answers.
#[derive(Debug, Default)]
pub struct Witness {
    heard: Mutex<Heard>,
    /// The same as [`Heard::doubted_since`], for who asks at every step of a job.
    is_doubted: AtomicBool,
    /// It was asked for, where a decision came before the first answer.
    pub(crate) first: OnceCell<()>,
}

#[derive(Debug, Default)]
struct Heard {
    /// The last `Date`, and when it was first heard.
    date: Option<(Timestamp, Timestamp)>,
    /// The clocks have agreed before: one answer is no reason to doubt ours.
    has_agreed: bool,
    offset: Option<Offset>,
    /// Answers in a row by which our clock is wrong in one direction.
    wrong: u32,
    doubted_since: Option<Timestamp>,
    /// When it was last asked for its time alone.
    asked: Option<Timestamp>,
}

/// How far our clock is ahead of the provider's, in whole seconds; below zero it is behind.
type Offset = i64;

/// What an answer changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Change {
    /// The offset, in seconds, where it is another one now.
    pub(crate) offset: Option<Offset>,
    /// Whether the clock came to be doubted, or is believed again.
    pub(crate) doubted: Option<bool>,
}

impl Witness {
    /// An answer with this `Date` came at `wall`, and was asked for so long before.
    pub(crate) fn heard(&self, date: Timestamp, wall: Timestamp, elapsed: Duration) -> Change {
        let mut heard = self.locked();
        let change = heard.note(date, wall, elapsed);
        if let Some(doubted) = change.doubted {
            self.is_doubted.store(doubted, Ordering::Relaxed);
        }
        change
    }

    /// Whether the provider may be asked for its time now, for no other sake: while nothing else is asked of it, and not often.
    pub(crate) fn may_be_asked(&self, now: Timestamp) -> bool {
        let mut heard = self.locked();
        let is_due = heard.asked.is_none_or(|asked| now.since(asked) >= ASK_EVERY);
        if is_due {
            heard.asked = Some(now);
        }
        is_due
    }

    /// Whether an answer has told its time.
    pub fn has_heard(&self) -> bool {
        self.locked().date.is_some()
    }

    /// Whether the provider says that our wall clock is wrong.
    pub fn is_doubted(&self) -> bool {
        self.is_doubted.load(Ordering::Relaxed)
    }

    /// Since when, by that clock, and by how many seconds it is ahead of the provider's.
    pub fn doubt(&self) -> Option<(Timestamp, Offset)> {
        let heard = self.locked();
        heard.doubted_since.zip(heard.offset)
    }

    fn locked(&self) -> std::sync::MutexGuard<'_, Heard> {
        self.heard.lock().expect("nothing panics while it holds what was heard")
    }
}

impl Heard {
    fn note(&mut self, date: Timestamp, wall: Timestamp, elapsed: Duration) -> Change {
        let offset = offset(date, wall, elapsed);
        let is_too_far = offset.unsigned_abs() > TOO_FAR.as_secs();
        match self.date {
            Some((last, since)) if is_too_far && date <= last => {
                // Within one second it is the same; for longer it is no witness.
                let is_frozen = wall.since(since) > FROZEN;
                if is_frozen {
                    self.wrong = 0;
                }
                let ends = is_frozen && self.doubted_since.take().is_some();
                return Change { offset: None, doubted: ends.then_some(false) };
            }
            _ => self.date = Some((date, wall)),
        }
        self.wrong = match is_too_far {
            true if self.wrong > 0 && self.offset.map(Offset::signum) == Some(offset.signum()) => {
                self.wrong.saturating_add(1)
            }
            true => 1,
            false => 0,
        };
        let changed = self.offset != Some(offset);
        self.offset = Some(offset);
        self.has_agreed |= !is_too_far;
        let enough = if self.has_agreed { ANSWERS } else { 1 };
        let doubted = match (self.doubted_since, self.wrong) {
            (None, wrong) if wrong >= enough => Some(true),
            (Some(_), 0) => Some(false),
            _ => None,
        };
        match doubted {
            Some(true) => self.doubted_since = Some(wall),
            Some(false) => self.doubted_since = None,
            None => {}
        }
        Change { offset: changed.then_some(offset), doubted }
    }
}

/// The header was written at some moment of the call, and its second had begun.
fn offset(date: Timestamp, wall: Timestamp, elapsed: Duration) -> Offset {
    let (earliest, latest) = (wall.minus(elapsed), wall);
    let until = date.plus(Duration::from_secs(1));
    let seconds = |span: Duration| Offset::try_from(span.as_secs()).unwrap_or(Offset::MAX);
    if date > latest {
        -seconds(date.since(latest))
    } else if until < earliest {
        seconds(earliest.since(until))
    } else {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60_000;
    const CALL: Duration = Duration::from_millis(40);

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(1_795_316_400_000 + millis)
    }

    /// Answers a second apart, while our clock is ahead by this.
    fn hear(witness: &Witness, ahead: i64, seconds: std::ops::Range<i64>) -> Vec<Change> {
        seconds.map(|second| witness.heard(at(second * 1000), at(second * 1000 + ahead), CALL)).collect()
    }

    #[test]
    fn m17_three_answers_in_a_row_doubt_the_clock_and_one_that_agrees_ends_it() {
        for ahead in [2 * MINUTE, -2 * MINUTE] {
            let witness = Witness::default();
            hear(&witness, 0, 0..1);
            assert_eq!(hear(&witness, ahead, 1..4).map_doubted(), [None, None, Some(true)]);
            assert_eq!(witness.doubt().map(|(_, offset)| offset.signum()), Some(ahead.signum()));
            assert_eq!(hear(&witness, 0, 4..5).map_doubted(), [Some(false)]);
            // Of a clock that has never agreed one answer is enough: what it would decide cannot be taken back.
            let at_the_start = Witness::default();
            assert_eq!(hear(&at_the_start, ahead, 0..3).map_doubted(), [Some(true), None, None]);
            assert_eq!(hear(&at_the_start, 0, 3..4).map_doubted(), [Some(false)]);
        }
    }

    #[test]
    fn m17_a_minute_a_slow_call_and_whole_seconds_are_no_doubt() {
        let witness = Witness::default();
        hear(&witness, MINUTE, 0..9);
        assert!(!witness.is_doubted());
        for second in 10..20 {
            let change = witness.heard(at(second * 1000 - 90_000), at(second * 1000), Duration::from_secs(100));
            assert_eq!(change.offset, (second == 10).then_some(0), "it was written at some moment of the call");
        }
        let begun = witness.heard(at(29_000), at(29_999), Duration::ZERO);
        assert_eq!((begun.offset, witness.is_doubted()), (None, false));
    }

    /// Something in front of the provider answers with a stored header; and one answer among others is wrong.
    #[test]
    fn m17_a_date_that_does_not_go_on_and_one_among_others_are_no_witness() {
        let witness = Witness::default();
        let frozen = |second: i64| witness.heard(at(-5 * MINUTE), at(second * 1000), CALL).doubted;
        assert_eq!([0, 1, 5, 6, 7].map(frozen), [Some(true), None, None, Some(false), None]);
        for round in 0..9 {
            hear(&witness, 0, round * 10..round * 10 + 1);
            hear(&witness, 5 * MINUTE, round * 10 + 1..round * 10 + 3);
            assert!(!witness.is_doubted());
        }
    }

    /// The clock was behind, and is put right.
    #[test]
    fn m17_a_clock_that_was_put_right_is_believed_at_the_next_answer() {
        let witness = Witness::default();
        let three_days = 3 * 24 * 60 * MINUTE;
        let wrong = |second: i64| witness.heard(at(second * 1000), at(second * 1000 + three_days), CALL);
        assert_eq!((0..3).map(wrong).collect::<Vec<_>>().map_doubted(), [Some(true), None, None]);
        assert_eq!(hear(&witness, 0, 3..4).map_doubted(), [Some(false)]);
    }

    trait Doubted {
        fn map_doubted(self) -> Vec<Option<bool>>;
    }

    impl Doubted for Vec<Change> {
        fn map_doubted(self) -> Vec<Option<bool>> {
            self.into_iter().map(|change| change.doubted).collect()
        }
    }
}
