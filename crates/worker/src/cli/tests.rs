use clap::Parser as _;
use clap::error::ErrorKind;
use insta::assert_snapshot;
use snap_core::Timestamp;

use super::*;

fn parsed(arguments: &[&str]) -> Result<Cli, clap::Error> {
    Cli::try_parse_from([&["worker"], arguments].concat())
}

fn refused(arguments: &[&str]) -> clap::Error {
    let Err(error) = parsed(arguments) else { panic!("{arguments:?} is accepted") };
    error
}

#[test]
fn clap_finds_no_fault_in_the_commands() {
    Cli::command().debug_assert();
}

#[test]
fn every_command_has_help_with_an_example() {
    let mut root = Cli::command();
    root.build();
    let mut help = format!("{}\n", root.render_long_help());
    let mut add = |path: &str, command: &mut clap::Command| {
        let text = command.render_long_help().to_string();
        let has_subcommands = command.has_subcommands();
        assert!(has_subcommands || text.contains("Examples:"), "worker {path} has no example");
        help.push_str(&format!("\n━━ worker {path} --help\n{text}\n"));
    };
    for command in root.get_subcommands_mut().filter(|command| command.get_name() != "help") {
        let name = command.get_name().to_owned();
        add(&name, command);
        for below in command.get_subcommands_mut().filter(|command| command.get_name() != "help") {
            add(&format!("{name} {}", below.get_name()), below);
        }
    }
    // Our own lines; clap puts what an option can be on the line of the option.
    assert!(help.lines().filter(|line| !line.contains("[possible values")).all(|line| line.chars().count() <= 135));
    assert_snapshot!("help", help);
}

#[test]
fn global_options_stand_before_or_behind_the_command() {
    for arguments in
        [["-c", "a.toml", "-o", "json", "-vv", "jobs", "list"], ["jobs", "list", "-c", "a.toml", "-o", "json", "-vv"]]
    {
        let Cli { global, .. } = parsed(&arguments).unwrap();
        assert_eq!(global.config, Some("a.toml".into()));
        assert_eq!(global.output, Format::Json);
        assert_eq!(global.verbose, 2);
        assert_eq!(global.color, Color::Auto);
    }
}

#[test]
fn filters_of_jobs_are_typed() {
    let arguments = ["jobs", "list", "--state", "dead,unconfirmed", "--customer", "0819-77", "--limit", "5"];
    assert_eq!(refused(&arguments).kind(), ErrorKind::ValueValidation);
    let arguments = ["jobs", "list", "--state", "dead,unconfirmed", "--customer", "081977817902", "--since", "2h"];
    let Command::Jobs(JobsCommand::List(list)) = parsed(&arguments).unwrap().command else { panic!("jobs list") };
    let now = Timestamp::from_millis(10_000_000);
    let filter = list.filter.at(now);
    assert_eq!(filter.states, ["dead", "unconfirmed"]);
    assert_eq!(filter.customer.unwrap().expose(), "6281977817902");
    assert_eq!(filter.since, Some(Timestamp::from_millis(2_800_000)));
    assert_eq!((list.page.limit, list.page.after), (50, None));
    for wrong in [["--state", "done"], ["--since", "yesterday"], ["--limit", "0"], ["--limit", "-1"]] {
        refused(&[&["jobs", "list"][..], &wrong].concat());
    }
}

#[test]
fn filters_of_dead_letters_are_the_contracts_words() {
    for reason in engine::DeadReason::ALL {
        let arguments = ["dlq", "list", "--reason-code", reason.as_str()];
        let Command::Dlq(DlqCommand::List(list)) = parsed(&arguments).unwrap().command else { panic!("dlq list") };
        assert_eq!(list.filter.at(Timestamp::from_millis(0)).reason, Some(reason));
    }
    for money in engine::MoneyState::ALL {
        let arguments = ["dlq", "list", "--money", money.as_str()];
        let Command::Dlq(DlqCommand::List(list)) = parsed(&arguments).unwrap().command else { panic!("dlq list") };
        assert_eq!(list.filter.at(Timestamp::from_millis(0)).money_state, Some(money));
    }
    let arguments = ["dlq", "list", "--group", "-/malformed/-"];
    let Command::Dlq(DlqCommand::List(list)) = parsed(&arguments).unwrap().command else { panic!("dlq list") };
    let group = list.filter.group.unwrap();
    assert_eq!((group.0.provider.as_ref(), group.to_string().as_str()), (None, "-/malformed/-"));
    for wrong in [
        ["--reason-code", "unlucky"],
        ["--money", "gone"],
        ["--code", "40438"],
        ["--code", "4043811x"],
        ["--group", "finpay"],
        ["--group", "finpay/unlucky/-"],
    ] {
        refused(&[&["dlq", "list"][..], &wrong].concat());
    }
}

#[test]
fn states_are_those_of_the_engine() {
    let states: Vec<_> = JobState::value_variants().iter().map(|state| state.as_str()).collect();
    let words: Vec<_> = JobState::value_variants()
        .iter()
        .filter_map(ValueEnum::to_possible_value)
        .map(|value| value.get_name().to_owned())
        .collect();
    assert_eq!(states, words);
    assert_eq!(states.len(), 8);
}

#[test]
fn a_mistake_ends_with_two_and_help_with_nothing() {
    for arguments in [&[][..], &["jobs"], &["jobs", "lost"], &["run", "--fast"], &["submit"], &["-o", "yaml", "check"]]
    {
        assert_eq!(refused(arguments).exit_code(), 2, "{arguments:?}");
    }
    for arguments in [&["--help"][..], &["--version"], &["jobs", "list", "--help"]] {
        assert_eq!(refused(arguments).exit_code(), 0, "{arguments:?}");
    }
}

#[test]
fn commands_that_are_to_come_are_not_there_yet() {
    for name in ["replay", "plans"] {
        refused(&["dlq", name]);
    }
}

#[test]
fn whoever_changes_something_says_why() {
    let pause = |more: &[&'static str]| [&["provider", "pause", "finpay"], more].concat();
    assert_eq!(refused(&pause(&[])).kind(), ErrorKind::MissingRequiredArgument);
    for wrong in [&["--reason", ""][..], &["--reason", "  "], &["--reason", "a\nb"], &["--reason", "a", "--by", ""]] {
        assert_eq!(refused(&pause(wrong)).exit_code(), 2, "{wrong:?}");
    }
    for right in [&["--dry-run"][..], &["--reason", "a"], &["--reason", "a", "--by", "sari", "--yes"]] {
        parsed(&pause(right)).unwrap();
    }
}

#[test]
fn a_kept_head_is_a_row_and_a_hash() {
    let hash = "9F".repeat(32);
    let arguments = ["audit", "verify", "--head", &format!("412:{hash}")];
    let Command::Audit(AuditCommand::Verify(args)) = parsed(&arguments).unwrap().command else { panic!("verify") };
    assert_eq!(args.head, Some((412, hash.to_lowercase())));
    for wrong in ["412", "412:9f", ":", "x:y"] {
        refused(&["audit", "verify", "--head", wrong]);
    }
}

#[test]
fn help_is_coloured_as_asked_for() {
    let color = |arguments: &[&str]| {
        let arguments: Vec<_> = arguments.iter().map(std::ffi::OsString::from).collect();
        help_color(&arguments)
    };
    assert_eq!(color(&["worker", "--color", "always", "--help"]), clap::ColorChoice::Always);
    assert_eq!(color(&["worker", "--help", "--color=never"]), clap::ColorChoice::Never);
    assert_eq!(color(&["worker", "--color", "--help"]), clap::ColorChoice::Auto);
}

#[test]
fn no_color_and_a_dumb_terminal_are_respected() {
    let environment = |name: &str, value: &str| Environment::from_iter([(name.to_owned(), value.to_owned())]);
    assert_eq!(Color::Auto.unless_unwanted(&environment("NO_COLOR", "1")), Color::Never);
    assert_eq!(Color::Auto.unless_unwanted(&environment("NO_COLOR", "")), Color::Auto);
    assert_eq!(Color::Auto.unless_unwanted(&environment("TERM", "dumb")), Color::Never);
    assert_eq!(Color::Always.unless_unwanted(&environment("NO_COLOR", "1")), Color::Always);
}
