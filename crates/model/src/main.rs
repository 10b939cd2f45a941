//! The explorations from the command line, with larger numbers than a test run has time for.

use std::io::Write as _;
use std::process::ExitCode;
use std::time::Instant;

use model::custody;
use model::scene::Scene;
use model::scenes;
use model::search::Limits;
use model::system::System;

const USAGE: &str = "\
model [--long] [--only NAME] [--depth N] [--states N]
  --long        the larger scenes, each up to its limit
  --only NAME   one scene
  --depth N     no further than N steps from the beginning
  --states N    no more states than that (a million take some 150 MB)
";

/// As many states as the larger scenes are given, unless told otherwise.
const STATES: usize = 12_000_000;

/// What is explored.
struct Wanted {
    long: bool,
    only: Option<String>,
    limits: Limits,
}

fn main() -> ExitCode {
    let mut out = std::io::stdout();
    let told = match wanted(std::env::args().skip(1)) {
        Ok(wanted) => explore(&wanted, &mut out),
        Err(what) => writeln!(out, "{what}\nhint: {USAGE}").map(|()| false),
    };
    match told {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) | Err(_) => ExitCode::FAILURE,
    }
}

fn wanted(mut arguments: impl Iterator<Item = String>) -> Result<Wanted, String> {
    let mut wanted = Wanted { long: false, only: None, limits: Limits::NONE };
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or_else(|| format!("{argument} needs a value"));
        let number = |value: String| value.parse::<u32>().map_err(|error| format!("{value} is no number: {error}"));
        match argument.as_str() {
            "--long" => wanted.long = true,
            "--only" => wanted.only = Some(value()?),
            "--depth" => wanted.limits.depth = number(value()?)?,
            "--states" => wanted.limits.states = number(value()?)? as usize,
            other => return Err(format!("{other} is not understood")),
        }
    }
    Ok(wanted)
}

/// False where something was found, or nothing was looked at.
fn explore(wanted: &Wanted, out: &mut impl std::io::Write) -> std::io::Result<bool> {
    let states = if wanted.limits.states == Limits::NONE.states { STATES } else { wanted.limits.states };
    let all: Vec<(Scene, Limits)> = if wanted.long {
        scenes::long().into_iter().map(|scene| (scene, Limits { states, ..wanted.limits })).collect()
    } else {
        let least = |limits: Limits| Limits {
            depth: limits.depth.min(wanted.limits.depth),
            states: limits.states.min(wanted.limits.states),
        };
        scenes::default().into_iter().map(|(scene, limits)| (scene, least(limits))).collect()
    };
    let chosen = all.into_iter().filter(|(scene, _)| wanted.only.as_ref().is_none_or(|only| only == scene.name));
    let (mut looked, mut sound) = (false, true);
    for (scene, limits) in chosen {
        looked = true;
        let began = Instant::now();
        let properties = scene.properties();
        let found = System::new(scene.clone(), None).explore(&properties, limits);
        let end = if found.exhausted { "to the end" } else { "to its limit" };
        writeln!(out, "{}: {}", scene.name, scene.about)?;
        writeln!(
            out,
            "  {} states, {} transitions, depth {}, {end}; {} at rest; {} properties; {:.1?}",
            found.states,
            found.transitions,
            found.depth,
            found.resting,
            properties.len(),
            began.elapsed()
        )?;
        if let Some(violation) = &found.violation {
            sound = false;
            writeln!(out, "{violation}")?;
        }
    }
    if wanted.only.as_ref().is_none_or(|only| only == "custody") {
        looked = true;
        let began = Instant::now();
        let explored = custody::explore(None);
        sound &= explored.paid_twice.is_none();
        writeln!(out, "custody: two stores on one namespace, frozen, cut off, killed, adopted")?;
        let (states, transitions) = (explored.states, explored.transitions);
        writeln!(out, "  {states} states, {transitions} transitions, to the end; {:.1?}", began.elapsed())?;
        if let Some(way) = explored.paid_twice {
            writeln!(out, "paid twice: {way:?}")?;
        }
    }
    Ok(looked && sound)
}
