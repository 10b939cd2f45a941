//! What every command takes that changes something.

use clap::Args;

/// Who changes something, why, and whether they are asked once more.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Acting")]
pub struct ActArgs {
    /// Why; it stands in the audit trail
    #[arg(long, value_name = "TEXT", required_unless_present = "dry_run", value_parser = words)]
    pub reason: Option<String>,
    /// Who [default: the login name]
    #[arg(long, value_name = "NAME", value_parser = words)]
    pub by: Option<String>,
    /// Do not ask
    #[arg(long)]
    pub yes: bool,
    /// Show what it would touch, and touch nothing
    #[arg(long)]
    pub dry_run: bool,
}

fn words(text: &str) -> Result<String, String> {
    let text = text.trim();
    match text {
        "" => Err("must not be empty".to_owned()),
        text if text.contains(char::is_control) => Err("must be one line".to_owned()),
        text => Ok(text.to_owned()),
    }
}
