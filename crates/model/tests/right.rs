//! The system as it is: nothing is found, and everything that can happen was looked at.

use std::time::Instant;

use model::property::Property;
use model::scenes;
use model::system::System;

#[expect(clippy::print_stdout, reason = "the figures belong to the result")]
fn explored(name: &str) {
    let (scene, limits) = scenes::default().into_iter().find(|(scene, _)| scene.name == name).expect("a scene");
    let began = Instant::now();
    let found = System::new(scene.clone(), None).explore(&scene.properties(), limits);
    if let Some(violation) = &found.violation {
        panic!("{violation}");
    }
    println!(
        "{name}: {} states, {} transitions, depth {}, {} at rest, {:?}",
        found.states,
        found.transitions,
        found.depth,
        found.resting,
        began.elapsed()
    );
    assert!(found.resting > 0, "something comes to rest");
    assert_eq!(found.exhausted, limits.depth == u32::MAX, "to its end, or to its limit");
    assert!(scene.properties().contains(&Property::CreditedOnce));
}

macro_rules! scenes {
    ($($test:ident: $name:literal,)*) => {
        $(#[test] fn $test() { explored($name); })*

        #[test]
        fn every_scene_is_explored() {
            let names: Vec<_> = scenes::default().into_iter().map(|(scene, _)| scene.name).collect();
            assert_eq!(names, [$($name),*]);
        }
    };
}

scenes! {
    m1_m2_m4_one_worker_that_dies_at_any_moment: "worker",
    m9_a_lane_that_comes_to_stand: "lane",
    m4_a_provider_that_forgets: "window",
    m3_an_original_that_arrives_beside_the_next_attempt: "overdue",
    m6_operators_at_any_moment: "operators",
    m10_two_workers_on_one_store: "two",
    m12_from_the_broker_to_the_broker: "edges",
    m12_a_store_that_is_put_back: "restored",
    m12_a_store_that_is_put_back_and_replayed: "restored and replayed",
    m16_a_worker_that_stands_still_for_any_length: "waits",
    m14_a_configuration_that_names_another_account: "accounts",
    m14_a_store_that_is_put_back_under_another_account: "restored elsewhere",
    m15_answers_that_are_anothers: "astray",
}
