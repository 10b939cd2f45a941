//! What a provider's answers say of our wall clock: their `Date` is a witness (M17).

use std::sync::Mutex;
use std::time::Duration;

use snap_core::Timestamp;

/// By more than this our clock is wrong, where the provider's is right. `Date` has whole seconds.
const TOO_FAR: Duration = Duration::from_secs(60);
/// So many answers in a row have to say so.
const ANSWERS: u32 = 3;

/// What is known of our clock from one provider's answers.
#[derive(Debug, Default)]
pub struct Witness(Mutex<Heard>);

#[derive(Debug, Default)]
struct Heard {
    /// The last `Date`: one that does not go on is a copy out of some cache, and no witness.
    date: Option<Timestamp>,
    offset: Option<Offset>,
    /// Answers in a row by which our clock is wrong in one direction.
    wrong: u32,
    doubted_since: Option<Timestamp>,
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
        let offset = offset(date, wall, elapsed);
        let is_too_far = offset.unsigned_abs() > TOO_FAR.as_secs();
        let goes_on = heard.date.is_none_or(|last| date > last);
        heard.date = Some(heard.date.map_or(date, |last| last.max(date)));
        if is_too_far && !goes_on {
            return Change::default();
        }
        heard.wrong = match is_too_far {
            true if heard.wrong > 0 && heard.offset.map(Offset::signum) == Some(offset.signum()) => {
                heard.wrong.saturating_add(1)
            }
            true => 1,
            false => 0,
        };
        let changed = heard.offset != Some(offset);
        heard.offset = Some(offset);
        let doubted = match (heard.doubted_since, heard.wrong) {
            (None, ANSWERS..) => Some(true),
            (Some(_), 0) => Some(false),
            _ => None,
        };
        match doubted {
            Some(true) => heard.doubted_since = Some(wall),
            // A clock that was put right may be behind what was heard before.
            Some(false) => (heard.doubted_since, heard.date) = (None, Some(date)),
            None => {}
        }
        Change { offset: changed.then_some(offset), doubted }
    }

    /// Whether the provider says that our wall clock is wrong.
    pub fn is_doubted(&self) -> bool {
        self.locked().doubted_since.is_some()
    }

    /// Since when, by that clock, and by how many seconds it is ahead of the provider's.
    pub fn doubt(&self) -> Option<(Timestamp, Offset)> {
        let heard = self.locked();
        heard.doubted_since.zip(heard.offset)
    }

    fn locked(&self) -> std::sync::MutexGuard<'_, Heard> {
        self.0.lock().expect("nothing panics while it holds what was heard")
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

    /// Answers of a provider whose clock is ahead by this, a second apart.
    fn hear(witness: &Witness, ahead: i64, seconds: std::ops::Range<i64>) -> Vec<Change> {
        seconds.map(|second| witness.heard(at(second * 1000 + ahead), at(second * 1000), CALL)).collect()
    }

    #[test]
    fn m17_three_answers_in_a_row_doubt_the_clock_and_one_that_agrees_ends_it() {
        for ahead in [2 * MINUTE, -2 * MINUTE] {
            let witness = Witness::default();
            let changes = hear(&witness, ahead, 0..3);
            assert_eq!(changes.map_doubted(), [None, None, Some(true)]);
            assert_eq!(witness.doubt().map(|(_, offset)| offset.signum()), Some(-ahead.signum()));
            assert_eq!(hear(&witness, 0, 3..4).map_doubted(), [Some(false)]);
            assert!(!witness.is_doubted());
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
        for second in 0..9 {
            witness.heard(at(-5 * MINUTE), at(second * 1000), CALL);
        }
        assert!(!witness.is_doubted());
        for round in 0..9 {
            hear(&witness, 5 * MINUTE, round * 10..round * 10 + 2);
            hear(&witness, 0, round * 10 + 2..round * 10 + 3);
            assert!(!witness.is_doubted());
        }
    }

    /// The clock was behind, and is put right.
    #[test]
    fn m17_a_clock_that_was_put_right_is_believed_at_the_next_answer() {
        let witness = Witness::default();
        let three_days = 3 * 24 * 60 * MINUTE;
        let wrong = |second: i64| witness.heard(at(second * 1000), at(second * 1000 + three_days), CALL);
        assert_eq!((0..3).map(wrong).collect::<Vec<_>>().map_doubted(), [None, None, Some(true)]);
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
