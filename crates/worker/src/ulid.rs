//! Ids of events and dead letters: 26 characters that sort by time. Pure: time and randomness come in.

use snap_core::Timestamp;

/// Crockford's base 32: no I, L, O, U.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const LEN: usize = 26;
const RANDOM_BITS: u32 = 80;

/// A ULID: 48 bits of milliseconds, then the lower 80 bits of `random`. Times before 1970 count as 1970.
///
/// Source: <https://github.com/ulid/spec>.
pub fn ulid(at: Timestamp, random: u128) -> String {
    const MILLIS_MASK: u64 = (1 << 48) - 1;
    const RANDOM_MASK: u128 = (1 << RANDOM_BITS) - 1;
    let millis = u64::try_from(at.as_millis()).unwrap_or(0) & MILLIS_MASK;
    let bits = u128::from(millis) << RANDOM_BITS | random & RANDOM_MASK;
    let digit = |place: usize| char::from(ALPHABET[usize::try_from(bits >> (5 * place) & 31).unwrap_or(0)]);
    (0..LEN).rev().map(digit).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_example_of_the_specification() {
        // 01ARZ3NDEKTSV4RRFFQ69G5FAV: 1469922850259 ms.
        let random = 0xD676_4C61_EFB9_9302_BD5B_u128;
        assert_eq!(ulid(Timestamp::from_millis(1_469_922_850_259), random), "01ARZ3NDEKTSV4RRFFQ69G5FAV");
    }

    #[test]
    fn it_always_has_26_characters() {
        for (millis, random) in [(0, 0), (-1, 1), (i64::MAX, u128::MAX), ((1 << 48) - 1, u128::MAX)] {
            let id = ulid(Timestamp::from_millis(millis), random);
            assert_eq!(id.len(), LEN, "{id}");
            assert!(id.bytes().all(|byte| ALPHABET.contains(&byte)), "{id}");
        }
        assert_eq!(ulid(Timestamp::from_millis((1 << 48) - 1), u128::MAX), "7ZZZZZZZZZZZZZZZZZZZZZZZZZ");
    }

    #[test]
    fn later_ids_sort_later_whatever_the_randomness() {
        let id = |at: u32| ulid(Timestamp::from_millis(i64::from(at) * 37), u128::MAX / (u128::from(at) + 1));
        let ids: Vec<_> = (0..200).map(id).collect();
        assert!(ids.is_sorted());
    }
}
