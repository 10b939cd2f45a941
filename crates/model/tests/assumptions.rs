//! What the proof rests on is needed: without it the right system pays twice. So these are promises that a provider's
//! profile and a deployment make, not caution.

use model::property::Property;
use model::scene::{Assumption, Memory, Scene};
use model::search::Limits;
use model::system::System;

#[expect(clippy::print_stdout, reason = "the way there is what a reader wants to see")]
fn pays_twice(scene: Scene) {
    let found = System::new(scene, None).explore(&[Property::CreditedOnce], Limits::NONE);
    let violation = found.violation.expect("it pays twice");
    println!("{violation}");
    assert_eq!(violation.trace.last().expect("steps").1.provider.credits, 2);
}

#[test]
fn a_top_up_that_takes_effect_after_the_quiet_period_is_paid_twice() {
    pays_twice(Scene { without: Some(Assumption::NoLaterArrival), ..Scene::PLAIN });
}

#[test]
fn a_credit_that_is_shown_after_the_quiet_period_is_paid_twice() {
    pays_twice(Scene { without: Some(Assumption::NoLaterShowing), ..Scene::PLAIN });
}

#[test]
fn a_process_that_sends_long_after_its_job_was_taken_over_pays_twice() {
    let scene = Scene { two: true, quiet: 1, give_up: 3, timeout: 0, ..Scene::PLAIN };
    pays_twice(Scene { without: Some(Assumption::NoLaterZombie), ..scene });
}

#[test]
fn a_provider_that_remembers_references_pays_once_even_then() {
    let scene = Scene { memory: Memory::Remembers, without: Some(Assumption::NoLaterArrival), ..Scene::PLAIN };
    let found = System::new(scene, None).explore(&[Property::CreditedOnce], Limits::NONE);
    assert!(found.exhausted && found.violation.is_none());
}

#[test]
fn m12_a_key_that_a_restored_store_does_not_know_is_paid_once_while_the_store_asks_first() {
    let scene = Scene { asks_on: true, ..Scene::forgotten_key() };
    let found = System::new(scene, None).explore(&[Property::CreditedOnce], Limits::NONE);
    assert!(found.exhausted && found.violation.is_none());
}

#[test]
fn m12_a_key_that_a_restored_store_does_not_know_is_paid_once_after_the_uniqueness_window_too() {
    // Five faults: a copy may be put back twice.
    let scene = Scene { asks_on: true, forgets: true, faults: Some(5), ..Scene::forgotten_key() };
    let found = System::new(scene, None).explore(&[Property::CreditedOnce], Limits::NONE);
    if let Some(violation) = &found.violation {
        panic!("{violation}");
    }
    assert!(found.exhausted);
}

#[test]
fn m12_a_key_that_a_restored_store_does_not_know_is_paid_twice_after_the_asking_was_ended() {
    pays_twice(Scene { faults: Some(4), ..Scene::forgotten_key() });
}
