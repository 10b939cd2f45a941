//! Tells the program what it was compiled with: counts of instructions are comparable for the same compilers only.

use std::process::Command;

#[expect(clippy::disallowed_methods, reason = "this is how cargo talks to a build script")]
fn main() {
    let named = |variable: &str, default: &str| std::env::var(variable).unwrap_or_else(|_unset| default.to_owned());
    println!("cargo::rustc-env=GUARD_RUSTC={}", first_line(&named("RUSTC", "rustc")));
    println!("cargo::rustc-env=GUARD_CC={}", first_line(&named("CC", "cc")));
    println!("cargo::rerun-if-env-changed=CC");
    println!("cargo::rerun-if-changed=build.rs");
}

/// The first line of what a compiler says of itself.
fn first_line(program: &str) -> String {
    let said = Command::new(program).arg("--version").output();
    let said = said.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    said.lines().next().unwrap_or("unknown").to_owned()
}
