//! Breadth first through every state that can be reached, so that the first violation found is one of the shortest.

use std::fmt;

use crate::moves::{Kind, Move};
use crate::print::{Prints, print_of};
use crate::property::Property;
use crate::system::System;
use crate::world::World;

/// How far to go.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Steps from the beginning.
    pub depth: u32,
    /// States.
    pub states: usize,
}

impl Limits {
    /// As far as there is anything.
    pub const NONE: Self = Self { depth: u32::MAX, states: u32::MAX as usize };
}

/// What an exploration found.
#[derive(Clone, Debug)]
pub struct Found {
    /// Different states.
    pub states: usize,
    /// Moves that were tried, those into known states too.
    pub transitions: u64,
    /// Steps of the longest of the shortest ways to a state.
    pub depth: u32,
    /// There is no state beyond these.
    pub exhausted: bool,
    /// States in which all has come to rest.
    pub resting: usize,
    /// The first violation.
    pub violation: Option<Violation>,
}

/// A property that does not hold, and how it comes about.
#[derive(Clone, Debug)]
pub struct Violation {
    /// Which.
    pub property: Property,
    /// One of the shortest ways, each step with the world after it.
    pub trace: Vec<(Move, World)>,
    /// Where the way goes on in a circle: the step it comes back to.
    pub back_to: Option<usize>,
}

/// A state that was found, by how it was reached first.
struct Node {
    parent: u32,
    by: Move,
}

struct Search<'a> {
    system: &'a System,
    properties: &'a [Property],
    nodes: Vec<Node>,
    known: Prints,
    /// From a state to one that follows without further faults.
    ordinary: Vec<(u32, u32)>,
    /// States that nothing ordinary follows, and that are not at rest.
    stuck: Vec<u32>,
}

impl System {
    /// Explores for violations of `properties`; stops at the first.
    pub fn explore(&self, properties: &[Property], limits: Limits) -> Found {
        Search {
            system: self,
            properties,
            nodes: Vec::new(),
            known: Prints::default(),
            ordinary: Vec::new(),
            stuck: Vec::new(),
        }
        .run(limits)
    }
}

impl Search<'_> {
    fn run(mut self, limits: Limits) -> Found {
        let mut found = Found { states: 0, transitions: 0, depth: 0, exhausted: false, resting: 0, violation: None };
        let first = World::first(&self.system.scene);
        self.known.insert(print_of(&first), 0);
        self.nodes.push(Node { parent: 0, by: Move::Tick });
        let mut level = vec![(0_u32, first)];
        while !level.is_empty() && found.depth < limits.depth && self.nodes.len() < limits.states {
            let mut next = Vec::new();
            for (number, world) in level {
                if let Some((property, by)) = self.expand(number, &world, &mut next, &mut found) {
                    found.states = self.nodes.len();
                    found.violation = Some(self.violation(property, number, Some(by)));
                    return found;
                }
            }
            found.depth += u32::from(!next.is_empty());
            level = next;
        }
        found.exhausted = level.is_empty();
        found.states = self.nodes.len();
        if self.properties.contains(&Property::ComesToRest) {
            found.violation = self.unrest();
        }
        found
    }

    /// Everything that can follow `world`; the first violation where there is one.
    fn expand(
        &mut self,
        number: u32,
        world: &World,
        next: &mut Vec<(u32, World)>,
        found: &mut Found,
    ) -> Option<(Property, Move)> {
        let mut moves = Vec::with_capacity(32);
        self.system.moves(world, &mut moves);
        let rests = world.at_rest();
        found.resting += usize::from(rests);
        let prompt = moves.iter().any(|by| by.kind() == Kind::Prompt);
        let before = self.ordinary.len();
        for by in moves {
            let (after, broken) = self.system.after(world, by);
            found.transitions += 1;
            if let Some(property) = broken.any_of(self.properties) {
                return Some((property, by));
            }
            let fresh = u32::try_from(self.nodes.len()).expect("fewer states than u32 counts");
            let place = *self.known.entry(print_of(&after)).or_insert(fresh);
            if place == fresh {
                self.nodes.push(Node { parent: number, by });
                next.push((fresh, after));
            }
            let follows = match by.kind() {
                Kind::Prompt | Kind::Possible => true,
                Kind::Time => !prompt,
                Kind::Fault => false,
            };
            if follows && !rests {
                self.ordinary.push((number, place));
            }
        }
        if !rests && self.ordinary.len() == before {
            self.stuck.push(number);
        }
        None
    }

    /// A circle of ordinary steps, or an end of them that is not at rest.
    fn unrest(&self) -> Option<Violation> {
        if let Some(stuck) = self.stuck.first() {
            return Some(self.violation(Property::ComesToRest, *stuck, None));
        }
        // States from which every ordinary way ends are taken away, from the ends on; what is left leads into circles.
        let mut out = vec![0_u32; self.nodes.len()];
        let mut starts = vec![0_u32; self.nodes.len() + 1];
        for (from, to) in &self.ordinary {
            out[*from as usize] += 1;
            starts[*to as usize + 1] += 1;
        }
        for place in 1..starts.len() {
            starts[place] += starts[place - 1];
        }
        let mut filled = starts.clone();
        let mut into = vec![0_u32; self.ordinary.len()];
        for (from, to) in &self.ordinary {
            into[filled[*to as usize] as usize] = *from;
            filled[*to as usize] += 1;
        }
        let mut ended: Vec<usize> = (0..out.len()).filter(|node| out[*node] == 0).collect();
        while let Some(node) = ended.pop() {
            for from in &into[starts[node] as usize..starts[node + 1] as usize] {
                out[*from as usize] -= 1;
                if out[*from as usize] == 0 {
                    ended.push(*from as usize);
                }
            }
        }
        let first = out.iter().position(|left| *left > 0)?;
        Some(self.circle(u32::try_from(first).expect("fewer states than u32 counts"), &out))
    }

    /// The way into a circle, and once round.
    fn circle(&self, first: u32, left: &[u32]) -> Violation {
        let mut way = vec![first];
        let back_to = loop {
            let here = *way.last().expect("it begins with one");
            let goes_on = |(from, to): &&(u32, u32)| *from == here && left[*to as usize] > 0;
            let next = self.ordinary.iter().find(goes_on).expect("it leads into a circle").1;
            if let Some(place) = way.iter().position(|node| *node == next) {
                way.push(next);
                break place;
            }
            way.push(next);
        };
        let mut violation = self.violation(Property::ComesToRest, first, None);
        let begins = violation.trace.len();
        let mut world =
            violation.trace.last().map_or_else(|| World::first(&self.system.scene), |(_, world)| world.clone());
        for node in &way[1..] {
            let mut moves = Vec::new();
            self.system.moves(&world, &mut moves);
            let step = moves.into_iter().map(|by| (by, self.system.after(&world, by).0));
            let (by, after) = step
                .into_iter()
                .find(|(_, after)| self.known.get(&print_of(after)) == Some(node))
                .expect("the step was taken before");
            violation.trace.push((by, after.clone()));
            world = after;
        }
        violation.back_to = Some(begins + back_to);
        violation
    }

    /// How `number` was reached, and one step further.
    fn violation(&self, property: Property, number: u32, last: Option<Move>) -> Violation {
        let mut steps: Vec<Move> = last.into_iter().collect();
        let mut here = number;
        while here != 0 {
            let node = &self.nodes[here as usize];
            steps.push(node.by);
            here = node.parent;
        }
        steps.reverse();
        let mut world = World::first(&self.system.scene);
        let trace = steps
            .into_iter()
            .map(|by| {
                world = self.system.after(&world, by).0;
                (by, world.clone())
            })
            .collect();
        Violation { property, trace, back_to: None }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:?} does not hold after {} steps:", self.property, self.trace.len())?;
        for (number, (by, world)) in (1..).zip(&self.trace) {
            writeln!(f, "{number:>4}. {by:?}")?;
            writeln!(f, "      {world}")?;
        }
        match self.back_to {
            Some(step) => writeln!(f, "      and so on from step {step}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.store.row {
            None => write!(f, "store: nothing")?,
            Some(row) => {
                let job = &row.known.job;
                write!(f, "store: {}, {}", job.state.name(), job.evidence.money.as_str())?;
                if let Some(due) = row.due {
                    write!(f, ", due {:+}", crate::time::after_now(due.0))?;
                }
            }
        }
        for (name, process) in ["A", "B"].iter().zip(&self.processes) {
            if let Some(drive) = &process.drive {
                let stale = if drive.fresh { "" } else { " stale" };
                write!(f, "; {name}{stale}: {} {:?}", drive.known.job.state.name(), drive.phase)?;
            }
        }
        let provider = &self.provider;
        write!(f, "; provider: {:?}, {} credited", provider.entry, provider.credits)?;
        match provider.wires.len() {
            0 => Ok(()),
            wires => write!(f, ", {wires} on the way"),
        }
    }
}
