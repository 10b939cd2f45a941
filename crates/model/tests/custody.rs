//! Two stores on one namespace: nothing is paid twice, and each mistake in its custody is found.

use model::custody::{Move, Slip, explore};

#[test]
fn m13_of_two_stores_on_one_namespace_nothing_is_paid_twice() {
    let explored = explore(None);
    assert_eq!(explored.paid_twice, None);
    assert!(explored.states > 10_000, "{} states are all there are", explored.states);
}

/// The shortest way to a second credit, in steps.
fn steps(slip: Slip) -> usize {
    let explored = explore(Some(slip));
    let way = explored.paid_twice.unwrap_or_else(|| panic!("{slip:?} was not found in {} states", explored.states));
    assert!(matches!(way.last(), Some(Move::Arrive(_))), "{way:?}");
    way.len()
}

#[test]
fn m13_m16_each_mistake_in_the_custody_of_a_namespace_is_found() {
    let found = Slip::ALL.map(|slip| (slip, steps(slip)));
    assert_eq!(
        found,
        [
            (Slip::NoMark, 19),
            (Slip::NoFreshness, 28),
            (Slip::NoFuse, 28),
            (Slip::AdoptsWithoutAsking, 22),
            (Slip::QuietFromAdoption, 24),
            (Slip::AsksAboutUnknownKeysOnly, 35),
            (Slip::LooksBeforeTheHold, 29),
            (Slip::AdoptsWithoutTheHold, 28),
        ]
    );
}
