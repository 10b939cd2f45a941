//! Random faults, drawn by seed, reference and attempt: the same run meets the same faults, whatever the timing.

use crate::config::FaultLevel;
use crate::fault::{Act, Fault};
use crate::request::Service;

/// SplitMix64's last step: every bit depends on every bit.
///
/// Source: Steele, Lea, Flood, "Fast Splittable Pseudorandom Number Generators" (2014).
pub(crate) const fn mix(number: u64) -> u64 {
    let number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

/// FNV-1a of some bytes.
pub(crate) fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

/// Weights are out of a thousand requests.
type Table = &'static [(u64, Act)];

const fn commit(fault: Fault) -> Act {
    Act::after(fault)
}

const fn refuse(http: u16, case: u8) -> Act {
    Act::refuse(http, case)
}

/// Answers `case` after the top-up took effect.
const fn late_refusal(http: u16, case: u8) -> Act {
    Act { commit: true, ..refuse(http, case) }
}

const SOME_TOP_UP: Table = &[
    (30, commit(Fault::Timeout)),
    (15, Act::before(Fault::Timeout)),
    (30, late_refusal(500, 0)),
    (20, refuse(500, 0)),
    (30, commit(Fault::Rst)),
    (15, Act::before(Fault::Fin)),
    (15, commit(Fault::LateVisibility)),
    (10, late_refusal(409, 1)),
    (10, Act::before(Fault::BadGateway)),
    (20, refuse(401, 1)),
    (15, Act::before(Fault::RateLimitedNoHint)),
    (20, refuse(404, 11)),
    (20, commit(Fault::PendingThenSuccess)),
    (10, commit(Fault::PendingThenFailed)),
];

const WILD_TOP_UP: Table = &[
    (40, commit(Fault::Timeout)),
    (30, Act::before(Fault::Timeout)),
    (20, commit(Fault::LateCommit)),
    (30, commit(Fault::LateVisibility)),
    (25, commit(Fault::Rst)),
    (25, Act::before(Fault::Rst)),
    (25, commit(Fault::Fin)),
    (25, Act::before(Fault::Fin)),
    (10, commit(Fault::NotHttp)),
    (10, Act::before(Fault::NotHttp)),
    (10, commit(Fault::DripHeaders)),
    (10, commit(Fault::DripBody)),
    (3, commit(Fault::EndlessHeaders)),
    (3, commit(Fault::EndlessBody)),
    (10, commit(Fault::HugeBody)),
    (15, commit(Fault::TruncatedBody)),
    (15, commit(Fault::PendingThenSuccess)),
    (15, commit(Fault::PendingThenFailed)),
    (10, commit(Fault::PendingThenCancelled)),
    (5, commit(Fault::PendingThenRefunded)),
    (20, late_refusal(500, 0)),
    (20, refuse(500, 1)),
    (15, late_refusal(504, 0)),
    (15, refuse(504, 0)),
    (15, commit(Fault::BadGateway)),
    (15, Act::before(Fault::BadGateway)),
    (10, late_refusal(409, 0)),
    (10, refuse(409, 0)),
    (10, late_refusal(409, 1)),
    (10, refuse(409, 1)),
    (10, refuse(401, 1)),
    (5, refuse(401, 3)),
    (10, Act::before(Fault::RateLimitedNoHint)),
    (10, refuse(403, 4)),
    (2, refuse(403, 14)),
    (2, refuse(401, 0)),
    (15, refuse(404, 11)),
    (10, refuse(403, 2)),
    (5, refuse(400, 1)),
    (5, Act::before(Fault::Redirect)),
    (10, commit(Fault::HttpDisagrees)),
    (10, Act::before(Fault::HttpDisagrees)),
    (10, commit(Fault::ForeignService)),
    (5, Act::before(Fault::ForeignService)),
    (10, commit(Fault::UnknownCode)),
    (10, commit(Fault::MissingCode)),
    (10, commit(Fault::EmptyBody)),
    (5, Act::before(Fault::EmptyBody)),
    (10, commit(Fault::GarbageJson)),
];

const SOME_READ: Table = &[(15, refuse(500, 0)), (10, commit(Fault::Fin)), (10, refuse(401, 1))];

const WILD_READ: Table = &[
    (30, refuse(500, 0)),
    (20, refuse(504, 0)),
    (20, commit(Fault::Timeout)),
    (20, commit(Fault::Rst)),
    (20, commit(Fault::Fin)),
    (15, refuse(401, 1)),
    (15, commit(Fault::BadGateway)),
    (15, commit(Fault::TruncatedBody)),
    (15, commit(Fault::GarbageJson)),
    (15, commit(Fault::EmptyBody)),
    (10, refuse(409, 0)),
    (10, Act::before(Fault::RateLimitedNoHint)),
    (10, commit(Fault::DripBody)),
];

const WILD_TOKEN: Table = &[(100, refuse(500, 0)), (50, commit(Fault::Fin)), (50, commit(Fault::BadGateway))];

/// The fault of the `attempt`-th request (from 0) of this service for `key`.
pub(crate) fn draw(level: FaultLevel, seed: u64, service: Service, key: u64, attempt: u32) -> Act {
    // After so many requests for one reference all goes well: budgets never run out.
    let (table, last) = match (level, service) {
        (FaultLevel::None, _) | (FaultLevel::Some, Service::Token) => return Act::NONE,
        (FaultLevel::Some, Service::TopUp) => (SOME_TOP_UP, 1),
        (FaultLevel::Some, Service::Inquiry | Service::Status) => (SOME_READ, 1),
        (FaultLevel::Wild, Service::TopUp) => (WILD_TOP_UP, 2),
        (FaultLevel::Wild, Service::Inquiry | Service::Status) => (WILD_READ, 3),
        // Never the first, never two in a row.
        (FaultLevel::Wild, Service::Token) if attempt % 2 == 1 => (WILD_TOKEN, u32::MAX),
        (FaultLevel::Wild, Service::Token) => return Act::NONE,
    };
    if attempt >= last {
        return Act::NONE;
    }
    let service = match service {
        Service::Token => 73,
        Service::Inquiry => 37,
        Service::TopUp => 38,
        Service::Status => 39,
    };
    let mut roll = mix(seed ^ mix(key ^ mix(u64::from(attempt) << 8 | service))) % 1000;
    for &(weight, act) in table {
        if roll < weight {
            return act;
        }
        roll -= weight;
    }
    Act::NONE
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faulty(level: FaultLevel, service: Service, attempt: u32) -> usize {
        (0..10_000_u64).filter(|key| draw(level, 7, service, hash(&key.to_le_bytes()), attempt) != Act::NONE).count()
    }

    #[test]
    fn the_levels_are_as_wild_as_they_say() {
        assert_eq!(faulty(FaultLevel::None, Service::TopUp, 0), 0);
        assert!((2_000..3_200).contains(&faulty(FaultLevel::Some, Service::TopUp, 0)));
        assert_eq!(faulty(FaultLevel::Some, Service::TopUp, 1), 0);
        assert!((5_500..8_500).contains(&faulty(FaultLevel::Wild, Service::TopUp, 0)));
        assert_eq!(faulty(FaultLevel::Wild, Service::TopUp, 2), 0);
        assert_eq!(faulty(FaultLevel::Wild, Service::Status, 3), 0);
        assert_eq!(faulty(FaultLevel::Wild, Service::Token, 0), 0);
        assert!(faulty(FaultLevel::Wild, Service::Token, 1) > 0);
    }

    #[test]
    fn the_same_seed_draws_the_same_faults_and_another_seed_others() {
        let draws = |seed| -> Vec<Act> {
            (0..200).map(|key| draw(FaultLevel::Wild, seed, Service::TopUp, mix(key), 0)).collect()
        };
        assert_eq!(draws(1), draws(1));
        assert_ne!(draws(1), draws(2));
    }

    #[test]
    fn no_table_promises_more_than_a_thousand() {
        for table in [SOME_TOP_UP, WILD_TOP_UP, SOME_READ, WILD_READ, WILD_TOKEN] {
            assert!(table.iter().map(|(weight, _)| weight).sum::<u64>() <= 1000);
        }
    }

    #[test]
    fn nothing_random_stays_for_ever() {
        for table in [SOME_TOP_UP, WILD_TOP_UP, SOME_READ, WILD_READ, WILD_TOKEN] {
            for (_, act) in table {
                assert!(!matches!(act.fault, Fault::PendingForever | Fault::PendingThenLost | Fault::Report(_)));
            }
        }
    }
}
