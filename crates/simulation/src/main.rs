//! Plays plans, many of them, and tells what was found.

use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use clap::Parser;
use simulation::{Mistake, Plan, Run, Scenario, Swept, play, play_with};

/// Plays the whole worker, on a time of its own, against plans of faults: each seed is one plan, and one run.
///
/// Examples:
///   cargo run --release -p simulation -- --plans 10000
///   cargo run --release -p simulation -- --play 4711        one seed, each call on a line
#[derive(Debug, Parser)]
#[command(verbatim_doc_comment)]
struct Arguments {
    /// Plans to play, one seed after the other.
    #[arg(long, default_value_t = 1000)]
    plans: u64,
    /// The first seed; another each time where it is not given.
    #[arg(long)]
    seed: Option<u64>,
    /// Plays this seed alone, and tells every call.
    #[arg(long, value_name = "SEED")]
    play: Option<u64>,
    /// Plays this scenario alone, without faults, and tells every call.
    #[arg(long, value_name = "NAME")]
    scenario: Option<String>,
    /// Plans at a time.
    #[arg(long, default_value_t = 2)]
    threads: usize,
}

/// What many runs came to.
#[derive(Debug, Default)]
struct Sum {
    swept: Swept,
    calls: u64,
    lives: u64,
    faults: u64,
    time: Duration,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if let Some(name) = &arguments.scenario {
        let Some(scenario) = Scenario::named(name) else {
            let names: Vec<_> = Scenario::all().into_iter().map(|scenario| scenario.name).collect();
            tell(format_args!("no scenario is called {name}\nhint: {}", names.join(", ")));
            return ExitCode::FAILURE;
        };
        return one(&Plan { scenario, faults: Vec::new(), seed: arguments.seed.unwrap_or(0) });
    }
    match arguments.play {
        Some(seed) => one(&Plan::of_seed(seed)),
        None => many(&arguments),
    }
}

fn one(plan: &Plan) -> ExitCode {
    tell(format_args!("{plan}"));
    for message in &plan.scenario.messages {
        tell(format_args!("  {message:?}"));
    }
    let run = play_with(plan, Mistake::None, true);
    for line in &run.lines {
        tell(format_args!("{line}"));
    }
    tell(format_args!(
        "{} calls, {} lives, {:?} of its own time, trace {:016x}",
        run.calls, run.lives, run.took, run.trace
    ));
    verdict(&run.findings)
}

fn many(arguments: &Arguments) -> ExitCode {
    let first = arguments.seed.unwrap_or_else(testbed::random);
    let (next, sum) = (AtomicU64::new(0), Mutex::new(Sum::default()));
    let began = Instant::now();
    tell(format_args!("{} plans from seed {first}", arguments.plans));
    std::thread::scope(|scope| {
        for _ in 0..arguments.threads.max(1) {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= arguments.plans {
                        return;
                    }
                    let plan = Plan::of_seed(first.wrapping_add(number));
                    let run = play(&plan);
                    sum.lock().expect("nothing panics while it adds").add(&plan, &run);
                    if (number + 1).is_multiple_of(10_000) {
                        tell(format_args!("{} plans, {:?}", number + 1, began.elapsed()));
                    }
                }
            });
        }
    });
    let sum = sum.into_inner().expect("nothing panics while it adds");
    let Sum { swept, calls, lives, faults, time } = sum;
    tell(format_args!(
        "{} plans: {calls} calls of ports, {faults} faults, {lives} lives of the process, {} simulated hours, in {:?}",
        swept.runs,
        time.as_secs() / 3600,
        began.elapsed()
    ));
    verdict(&swept.findings)
}

impl Sum {
    fn add(&mut self, plan: &Plan, run: &Run) {
        self.swept.add(plan, run);
        self.calls += run.calls;
        self.lives += u64::from(run.lives);
        self.faults += run.struck.len() as u64;
        self.time += run.took;
    }
}

fn verdict(findings: &[String]) -> ExitCode {
    for finding in findings.iter().take(20) {
        tell(format_args!("FOUND  {finding}"));
    }
    if findings.is_empty() {
        tell(format_args!("nothing found"));
        return ExitCode::SUCCESS;
    }
    tell(format_args!("{} found; hint: --play SEED tells each call of one", findings.len()));
    ExitCode::FAILURE
}

#[expect(clippy::print_stdout, reason = "what it was asked for")]
fn tell(what: std::fmt::Arguments<'_>) {
    println!("{what}");
}
