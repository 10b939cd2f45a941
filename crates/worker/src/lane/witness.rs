//! What a provider's answers say of our wall clock: their `Date` is a witness (M17).

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
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

/// No answer has told its time yet.
const NOTHING: i64 = i64::MIN;

/// What is known of our clock from one provider's answers.
#[derive(Debug)]
pub struct Witness {
    heard: Mutex<Heard>,
    /// How far the wall clock was ahead of the counted one at the last answer that said something, in milliseconds.
    gap_ms: AtomicI64,
    /// The same as [`Heard::doubted_since`], for who asks at every step of a job.
    is_doubted: AtomicBool,
    /// It was asked for, where a decision came before the first answer.
    pub(crate) first: OnceCell<()>,
}

#[derive(Debug, Default)]
struct Heard {
    /// The last `Date`, and when it was first heard, by the clock that counts.
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
    /// Whether it is a word about the clock as it is now: not the second of an answer before, heard again.
    says_something: bool,
}

impl Default for Witness {
    fn default() -> Self {
        Self {
            heard: Mutex::default(),
            gap_ms: AtomicI64::new(NOTHING),
            is_doubted: AtomicBool::new(false),
            first: OnceCell::new(),
        }
    }
}

/// The same moment by the wall clock, and by the one that counts what has passed and that nobody can set.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    pub(crate) wall: Timestamp,
    pub(crate) counted: Timestamp,
}

impl Moment {
    const fn gap_ms(self) -> i64 {
        self.wall.as_millis().saturating_sub(self.counted.as_millis())
    }
}

impl Witness {
    /// An answer with this `Date` came at this moment, and was asked for so long before.
    pub(crate) fn heard(&self, date: Timestamp, moment: Moment, elapsed: Duration) -> Change {
        let mut heard = self.locked();
        if self.was_set_before(moment) {
            // It is another clock now: that the one before agreed says nothing of it.
            heard.has_agreed = false;
        }
        let change = heard.note(date, moment, elapsed);
        if change.says_something {
            self.gap_ms.store(moment.gap_ms(), Ordering::Relaxed);
        }
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

    /// Whether the provider says so, or the wall clock was set since it last told its time: then nobody has said yet that it is
    /// right.
    pub(crate) fn is_doubted_at(&self, moment: Moment) -> bool {
        self.is_doubted() || self.was_set_before(moment)
    }

    /// Whether the wall clock was set since the last answer.
    fn was_set_before(&self, moment: Moment) -> bool {
        let heard = self.gap_ms.load(Ordering::Relaxed);
        heard != NOTHING && heard.saturating_sub(moment.gap_ms()).unsigned_abs() > TOO_FAR.as_secs() * 1000
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
    fn note(&mut self, date: Timestamp, Moment { wall, counted }: Moment, elapsed: Duration) -> Change {
        let offset = offset(date, wall, elapsed);
        let is_too_far = offset.unsigned_abs() > TOO_FAR.as_secs();
        match self.date {
            Some((last, since)) if is_too_far && date <= last => {
                // Within one second it is the same; for longer it is no witness.
                let is_frozen = counted.since(since) > FROZEN;
                if is_frozen {
                    self.wrong = 0;
                }
                let ends = is_frozen && self.doubted_since.take().is_some();
                return Change { offset: None, doubted: ends.then_some(false), says_something: is_frozen };
            }
            _ => self.date = Some((date, counted)),
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
        Change { offset: changed.then_some(offset), doubted, says_something: true }
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

    fn heard(witness: &Witness, date: Timestamp, wall: Timestamp, elapsed: Duration) -> Change {
        witness.heard(date, Moment { wall, counted: wall }, elapsed)
    }

    /// Answers a second apart, while our clock is ahead by this.
    fn hear(witness: &Witness, ahead: i64, seconds: std::ops::Range<i64>) -> Vec<Change> {
        seconds.map(|second| heard(witness, at(second * 1000), at(second * 1000 + ahead), CALL)).collect()
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
            let change = heard(&witness, at(second * 1000 - 90_000), at(second * 1000), Duration::from_secs(100));
            assert_eq!(change.offset, (second == 10).then_some(0), "it was written at some moment of the call");
        }
        let begun = heard(&witness, at(29_000), at(29_999), Duration::ZERO);
        assert_eq!((begun.offset, witness.is_doubted()), (None, false));
    }

    /// The clock is set while the process runs: it is doubted until the provider has told its time, and one answer is enough.
    #[test]
    fn m17_a_clock_that_was_set_is_doubted_until_an_answer_agrees_with_it() {
        let moment = |millis: i64, ahead: i64| Moment { wall: at(millis + ahead), counted: at(millis) };
        for ahead in [63_000, -63_000, 72 * 60 * MINUTE] {
            let witness = Witness::default();
            assert!(!witness.is_doubted_at(moment(0, ahead)), "nothing is known of it yet");
            witness.heard(at(0), moment(0, 0), CALL);
            assert!(!witness.is_doubted_at(moment(90_000, 0)) && !witness.is_doubted_at(moment(90_000, 59_000)));
            assert!(witness.is_doubted_at(moment(90_000, ahead)));
            // It is wrong. In the second of the answer before nothing new is told.
            witness.heard(at(0), moment(500, ahead), CALL);
            assert!(witness.is_doubted_at(moment(600, ahead)));
            let change = witness.heard(at(91_000), moment(91_000, ahead), CALL);
            assert_eq!(change.doubted, Some(true), "one answer is enough");
            assert!(witness.is_doubted_at(moment(92_000, ahead)));
            // It is put right.
            assert!(witness.is_doubted_at(moment(93_000, 0)));
            witness.heard(at(94_000), moment(94_000, 0), CALL);
            assert!(!witness.is_doubted_at(moment(95_000, 0)));
        }
    }

    /// Something in front of the provider answers with a stored header; and one answer among others is wrong.
    #[test]
    fn m17_a_date_that_does_not_go_on_and_one_among_others_are_no_witness() {
        let witness = Witness::default();
        let frozen = |second: i64| heard(&witness, at(-5 * MINUTE), at(second * 1000), CALL).doubted;
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
        let wrong = |second: i64| heard(&witness, at(second * 1000), at(second * 1000 + three_days), CALL);
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
