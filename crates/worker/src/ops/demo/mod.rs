//! `worker demo`: the main job on real input with nothing installed.

mod feed;
mod jobs;
mod play;
mod stage;
mod verdict;
