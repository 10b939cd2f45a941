//! The namespace's mark: whose it is, and since when. It is the `alternate-exchange` of the exchange `<namespace>.custodian`: of
//! all that is durable at a broker it is what can be set once only, by whoever comes first, and what a refusal names.
//!
//! `store.<store id>.<since>.<first>`, both times as seconds in hex. Short, and the id first: the broker cuts what it says at
//! 255 bytes. It does not begin with the namespace for the same reason.

use std::fmt;
use std::time::Duration;

use snap_core::Timestamp;

const PREFIX: &str = "store.";
/// A store's id: this many hex digits.
const ID: usize = 16;

/// Whose a namespace is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The store's id.
    pub store: String,
    /// Since when; `None`: what the broker said was cut.
    pub since: Option<Timestamp>,
    /// Since when the namespace has had a custodian: what came before this one may have sent what it does not know.
    pub first: Option<Timestamp>,
}

impl Mark {
    /// A mark of `store` since `now`.
    pub fn new(store: &str, now: Timestamp, first: Timestamp) -> Self {
        Self { store: store.to_owned(), since: Some(whole(now)), first: Some(whole(first)) }
    }

    /// What a mark says; `None`: it is not one of ours.
    pub fn parse(text: &str) -> Option<Self> {
        let (id, rest) = text.strip_prefix(PREFIX)?.split_at_checked(ID)?;
        if !id.bytes().all(|digit| digit.is_ascii_digit() || (b'a'..=b'f').contains(&digit)) {
            return None;
        }
        let mut times = rest.split('.');
        if times.next() != Some("") {
            return None;
        }
        // What was cut has dots at its end, and is no number of eight digits.
        let mut time = || times.next().filter(|text| text.len() == 8).and_then(seconds);
        Some(Self { store: id.to_owned(), since: time(), first: time() })
    }

    /// Whether all of it could be read, so that it can be declared again.
    pub fn is_whole(&self) -> bool {
        self.since.is_some() && self.first.is_some()
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = |at: Option<Timestamp>| at.map_or(0, |at| at.as_millis().div_euclid(1000));
        write!(f, "{PREFIX}{}.{:08x}.{:08x}", self.store, seconds(self.since), seconds(self.first))
    }
}

/// To the second before.
fn whole(at: Timestamp) -> Timestamp {
    let millis = at.as_millis().clamp(0, i64::from(u32::MAX) * 1000);
    Timestamp::from_millis(millis - millis % 1000)
}

fn seconds(hex: &str) -> Option<Timestamp> {
    let seconds = u32::from_str_radix(hex, 16).ok()?;
    Some(Timestamp::from_millis(0).plus(Duration::from_secs(seconds.into())))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0123456789abcdef";

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millis(ms)
    }

    #[test]
    fn m13_a_mark_is_read_as_it_was_written() {
        let mark = Mark::new(ID, at(1_795_316_400_123), at(1_700_000_000_999));
        assert_eq!(mark.to_string(), "store.0123456789abcdef.6b025ab0.6553f100");
        assert_eq!(Mark::parse(&mark.to_string()), Some(mark.clone()));
        assert!(mark.is_whole());
        assert_eq!(mark.since, Some(at(1_795_316_400_000)));
    }

    #[test]
    fn m13_a_mark_that_the_broker_cut_still_names_its_store() {
        for cut in ["store.0123456789abcdef.6b02...", "store.0123456789abcdef...", "store.0123456789abcdef."] {
            let mark = Mark::parse(cut).unwrap();
            assert_eq!((mark.store.as_str(), mark.since, mark.is_whole()), (ID, None, false), "{cut}");
        }
        let since = Mark::parse("store.0123456789abcdef.6b025ab0.6553...").unwrap();
        assert_eq!((since.since, since.first), (Some(at(1_795_316_400_000)), None));
    }

    #[test]
    fn m13_what_is_not_a_mark_is_not_taken_for_one() {
        for other in [
            "",
            "none",
            "topup.unrouted",
            "store.",
            "store.0123",
            "store.0123456789ABCDEF.1.1",
            "store.0123456789abcdef0",
        ] {
            assert_eq!(Mark::parse(other), None, "{other}");
        }
    }
}
