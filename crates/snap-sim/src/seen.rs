//! The external ids that were used.

use std::collections::HashSet;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::{Mutex, PoisonError};

const SHARDS: usize = 16;

/// An external id with its mount in one number: a leading 1, the digits, and the mount on top.
pub(crate) type ExternalNo = u128;

const MOUNT: u128 = 10_u128.pow(37);

/// The number of up to 36 digits at a mount; the mount is below 30.
pub(crate) fn external_no(mount: usize, digits: &str) -> ExternalNo {
    let with_mark = digits.bytes().fold(1_u128, |number, byte| number * 10 + u128::from(byte - b'0'));
    with_mark + mount as u128 * MOUNT
}

/// The digits again.
pub(crate) fn external_digits(number: ExternalNo) -> String {
    (number % MOUNT).to_string().split_off(1)
}

/// Remembers which external ids were used, in O(1) and, if so wished, in bounded memory.
#[derive(Debug)]
pub(crate) struct Seen {
    shards: Box<[Mutex<Shard>]>,
    hasher: RandomState,
    /// Ids in one generation of one shard; two generations are kept.
    generation: usize,
}

#[derive(Debug, Default)]
struct Shard {
    young: HashSet<ExternalNo>,
    old: HashSet<ExternalNo>,
}

impl Seen {
    /// Remembers at least half of `memory` ids; all of them where it is 0.
    pub(crate) fn new(memory: usize) -> Self {
        let generation = if memory == 0 { usize::MAX } else { (memory / (2 * SHARDS)).max(1) };
        Self { shards: (0..SHARDS).map(|_| Mutex::default()).collect(), hasher: RandomState::new(), generation }
    }

    /// Whether this id is new; it is not any more.
    pub(crate) fn is_new(&self, id: ExternalNo) -> bool {
        let at = usize::try_from(self.hasher.hash_one(id) >> 60).unwrap_or(0) % SHARDS;
        let mut shard = self.shards[at].lock().unwrap_or_else(PoisonError::into_inner);
        if shard.old.contains(&id) || !shard.young.insert(id) {
            return false;
        }
        if shard.young.len() >= self.generation {
            shard.old = std::mem::take(&mut shard.young);
        }
        true
    }

    /// Forgets all.
    pub(crate) fn clear(&self) {
        for shard in &self.shards {
            *shard.lock().unwrap_or_else(PoisonError::into_inner) = Shard::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_new_once_and_at_each_mount() {
        let seen = Seen::new(0);
        assert!(seen.is_new(external_no(0, "0012")));
        assert!(!seen.is_new(external_no(0, "0012")));
        assert!(seen.is_new(external_no(1, "0012")));
        assert!(seen.is_new(external_no(0, "12")));
        assert!(seen.is_new(external_no(0, &"9".repeat(36))));
        assert!(seen.is_new(external_no(29, &"9".repeat(36))));
        assert_eq!(external_digits(external_no(3, "0012")), "0012");
    }

    #[test]
    fn bounded_memory_keeps_the_newest() {
        let seen = Seen::new(64 * SHARDS);
        for id in 0..100_000_u128 {
            assert!(seen.is_new(id));
        }
        let kept: usize = seen
            .shards
            .iter()
            .map(|shard| {
                let shard = shard.lock().unwrap();
                shard.young.len() + shard.old.len()
            })
            .sum();
        assert!(kept <= 64 * SHARDS);
        assert!(!seen.is_new(99_999));
    }
}
