//! The explorations: small ones that every test run goes through to their ends, and the same with larger numbers.

use crate::scene::{Memory, Scene};
use crate::search::Limits;

/// What a plain test run explores. Each is exhausted, but where its limits say otherwise.
pub fn default() -> Vec<(Scene, Limits)> {
    let small = Scene { crashes: true, quiet: 2, give_up: 3, ..Scene::PLAIN };
    let instant = Scene { quiet: 1, timeout: 0, ..small.clone() };
    let whole = |scene: Scene| (scene, Limits::NONE);
    vec![
        whole(Scene {
            name: "worker",
            about: "one worker that dies at any moment, every answer, every delay",
            crashes: true,
            odd_answers: true,
            denies: true,
            ..Scene::PLAIN
        }),
        whole(Scene {
            name: "lane",
            about: "an inquiry first, a lane that comes to stand, `notAfter`",
            inquiry: true,
            pauses: true,
            not_after: Some(3),
            ..small.clone()
        }),
        whole(Scene {
            name: "window",
            about: "a provider that forgets references",
            forgets: true,
            window: 6,
            ..small.clone()
        }),
        whole(Scene {
            name: "overdue",
            about: "a provider that pays a reference once, and requests that arrive beside the next attempt",
            memory: Memory::Remembers,
            crashes: true,
            ..Scene::PLAIN
        }),
        whole(Scene {
            name: "operators",
            about: "operators who check, replay, discard and restore at any moment",
            operators: true,
            odd_answers: true,
            timeout: 0,
            ..small.clone()
        }),
        whole(Scene { name: "two", about: "two workers on one store without a lock", two: true, ..instant.clone() }),
        whole(Scene {
            name: "edges",
            about: "deliveries that repeat, events whose confirm is lost, from the broker to the broker",
            edges: true,
            copies: 1,
            quiet: 2,
            ..instant.clone()
        }),
        whole(Scene {
            name: "restored",
            about: "a store that is put back from an older copy; five faults in a life",
            restores: true,
            faults: Some(5),
            attempts: 1,
            window: 3,
            ..instant.clone()
        }),
        whole(Scene {
            name: "restored and replayed",
            about: "a dead letter in a store that is put back, a provider that forgets references; four faults or replays",
            restores: true,
            died: true,
            operators: true,
            forgets: true,
            faults: Some(4),
            attempts: 1,
            window: 2,
            ..instant.clone()
        }),
        whole(Scene {
            name: "waits",
            about: "two workers on one store, of which one stands still for any length; one fault in a life: the second",
            two: true,
            waits: true,
            quiet: 2,
            give_up: 3,
            faults: Some(1),
            ..instant.clone()
        }),
        whole(Scene {
            name: "accounts",
            about: "a configuration that names another account, and the first again; operators",
            accounts: true,
            operators: true,
            faults: Some(5),
            ..instant.clone()
        }),
        whole(Scene {
            name: "restored elsewhere",
            about: "a store that is put back, and a configuration that names another account; four faults in a life",
            restores: true,
            accounts: true,
            faults: Some(4),
            attempts: 1,
            window: 3,
            ..instant.clone()
        }),
        whole(Scene {
            name: "astray",
            about: "answers that are another request's, and a provider that shows to know a top-up and denies it later",
            astray: true,
            denies: true,
            ..small
        }),
    ]
}

/// The same with longer periods, more attempts and more that happens in one life.
pub fn long() -> Vec<Scene> {
    let base = Scene { crashes: true, ..Scene::PLAIN };
    let everything = Scene { odd_answers: true, denies: true, inquiry: true, pauses: true, ..base.clone() };
    let rename = |scene: Scene| match scene.name {
        "worker" => Scene { attempts: 3, inquiry: true, pauses: true, not_after: Some(4), ..scene },
        "lane" => Scene { quiet: 3, give_up: 4, odd_answers: true, denies: true, ..scene },
        "window" => Scene { quiet: 3, give_up: 4, window: 8, odd_answers: true, ..scene },
        "overdue" => Scene { attempts: 3, inquiry: true, pauses: true, ..scene },
        "operators" => Scene { denies: true, inquiry: true, timeout: 1, ..scene },
        "two" => Scene { quiet: 2, timeout: 1, ..scene },
        "edges" => Scene { copies: 2, pauses: true, odd_answers: true, ..scene },
        "restored" => Scene { faults: None, window: 4, ..scene },
        "astray" => Scene { quiet: 3, give_up: 4, odd_answers: true, inquiry: true, ..scene },
        "waits" => Scene { faults: Some(2), send_within: 1, ..scene },
        "accounts" => Scene { faults: Some(7), odd_answers: true, ..scene },
        _ => Scene { faults: Some(5), ..scene },
    };
    let mut all: Vec<Scene> = default().into_iter().map(|(scene, _)| rename(scene)).collect();
    all.push(Scene {
        name: "all at once",
        about: "one worker with all of it but restores",
        operators: true,
        forgets: true,
        ..everything
    });
    all
}
