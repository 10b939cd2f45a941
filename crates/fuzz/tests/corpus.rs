//! The committed corpus, and a bounded number of mutants of it, through every target.

use fuzz::mutate::Dice;
use fuzz::search::search;
use fuzz::{TARGETS, Target, corpus};

/// Gives the corpus of a target and mutants of it to its check. `FUZZ_SEED` and `FUZZ_TIMES` choose another run.
#[expect(clippy::print_stdout, reason = "the figures of a run, for who asks for them")]
fn holds(name: &str) {
    let number = |name: &str, usual: u64| testbed::setting(name).map_or(usual, |text| text.parse().expect("a number"));
    let Target { check, words, times, .. } =
        *TARGETS.iter().find(|target| target.name == name).expect("it is a target");
    let (seed, times) = (number("FUZZ_SEED", 1), number("FUZZ_TIMES", times));
    let known: Vec<Vec<u8>> = corpus::read(name).expect("a corpus").into_iter().map(|(_, input)| input).collect();
    assert!(known.len() >= 10, "{name} has a corpus of {}", known.len());
    match search(check, &known, words, Dice::new(seed, name), times) {
        Ok(done) => println!("{name}: {done} inputs, {} of them committed; FUZZ_SEED={seed}", known.len()),
        Err(found) => panic!(
            "{found}\nhint: FUZZ_SEED={seed} FUZZ_TIMES={times} cargo test -p fuzz --test corpus {name}; \
             keep the input in {}",
            corpus::folder(name).display()
        ),
    }
}

macro_rules! targets {
    ($($name:ident),*) => {
        $(#[test] fn $name() { holds(stringify!($name)); })*

        #[test]
        fn every_target_is_here() {
            assert_eq!(TARGETS.map(|target| target.name), [$(stringify!($name)),*]);
        }
    };
}

targets!(
    amount, phone, ids, timestamp, message, top_up, status, inquiry, token, config, headers, symmetric, asymmetric,
    keys, cli
);
