//! The model: one top-up, and everything that may go wrong around it, in every order.
//!
//! The engine is the real one: [`engine::apply`] and [`engine::next_step`] decide here as they do in the worker. What is
//! around them is small and written down here once more, at its worst: a store with versions ([`world`]), one or two worker
//! processes that drive, die and come back ([`effects`]), a provider that pays again whatever reaches it ([`provider`]), a
//! broker, and operators. [`search`] goes breadth first through every state that can be reached and judges each by what
//! the provider did and by notes of an onlooker ([`known`]), not by what the engine thinks of itself ([`property`]).
//!
//! Time is relative ([`mod@time`]), so a scene has finitely many states, and most are explored to the end: any number of
//! crashes, lost answers, late arrivals and operators' actions, at any moment. Then it is also known that everything comes
//! to rest: what follows without further faults has no circle and no end elsewhere.
//!
//! That the search finds anything at all is shown by mistakes that are planted one at a time ([`mistake`]), and by taking
//! away what is assumed of the provider ([`scene::Assumption`]).
//!
//! The search is our own, some 250 lines, and not `stateright`'s: its "eventually" looks at single paths, and by its own
//! documentation misses circles and paths that join; the one property that needs the whole graph is the one we could not
//! have had from it.

pub mod custody;
pub mod effects;
pub mod known;
pub mod mistake;
pub mod moves;
mod print;
mod process;
pub mod property;
pub mod provider;
pub mod scene;
pub mod scenes;
pub mod search;
pub mod system;
pub mod time;
pub mod world;
