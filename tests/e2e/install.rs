//! `tests/install`, beside an apt of the test's own.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

/// An `apt-get` that answers its n-th call with the n-th of these: what it prints, and its exit code.
fn install(answers: &[(&str, i32)], package: &str) -> (Output, usize) {
    let dir = tempfile::tempdir().unwrap();
    for (number, (text, code)) in answers.iter().enumerate() {
        std::fs::write(dir.path().join(number.to_string()), format!("echo '{text}'; exit {code}\n")).unwrap();
    }
    let calls = dir.path().join("calls");
    let stub = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, format!("#!/bin/bash\n{text}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    };
    stub(
        "apt-get",
        &format!("cd {}; n=$(wc -l < calls 2>/dev/null || echo 0); echo \"$*\" >> calls; . ./$n", dir.path().display()),
    );
    stub("id", "echo 0");
    let path = format!("{}:{}", dir.path().display(), env!("PATH"));
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/install");
    let mut command = Command::new(script);
    command.arg(package).env("PATH", path).env("INSTALL_LOCK_PAUSE", "0.01");
    let policy = dir.path().join("policy-rc.d");
    let output = command.env("INSTALL_POLICY", &policy).output().unwrap();
    assert!(!policy.exists(), "services stay kept from starting");
    let called = std::fs::read_to_string(calls).unwrap_or_default().lines().count();
    (output, called)
}

const HELD: &str = "E: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 4711 (unattended-upgr)";
const LISTS: &str = "E: Unable to lock directory /var/lib/apt/lists/";

#[test]
fn an_installation_waits_while_another_program_holds_apt_s_lock() {
    let (output, called) = install(&[(LISTS, 100), (LISTS, 100), ("", 0), (HELD, 100), ("done", 0)], "strace");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(called, 5);
    let told = String::from_utf8_lossy(&output.stdout);
    assert_eq!(told.matches("another program holds apt's lock; waiting for it").count(), 1, "{told}");
}

#[test]
fn what_is_not_a_lock_ends_an_installation_at_once_with_a_hint() {
    let (output, called) = install(&[("", 0), ("E: Unable to locate package stracce", 100)], "stracce");
    assert_eq!((output.status.code(), called), (Some(1), 2));
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains("stracce could not be installed") && told.contains("\nhint: install the package"), "{told}");
}

#[test]
fn a_lock_that_is_never_given_back_ends_an_installation_too() {
    let held = vec![(LISTS, 100); 130];
    let (output, called) = install(&held, "strace");
    assert_eq!((output.status.code(), called), (Some(1), 121));
    assert!(String::from_utf8_lossy(&output.stderr).contains("has held apt's lock for ten minutes"));
}
