//! `worker explain …`

use clap::Args;
use snap_core::Service;

/// Arguments of `worker explain`.
#[derive(Clone, Debug, Args)]
pub struct ExplainArgs {
    /// Seven digits, HTTP status and case (403 14), HTTP status, latestTransactionStatus, or a reason's word
    #[arg(value_name = "CODE", required = true, num_args = 1..=2)]
    pub code: Vec<String>,
    /// As the answer of this service: 37 inquiry, 38 top-up, 39 or 36 status, 73 token
    #[arg(long, value_name = "SERVICE", value_parser = service)]
    pub service: Option<Service>,
    /// By this provider's rules: one of the configuration, or a built-in profile
    #[arg(long, value_name = "NAME")]
    pub provider: Option<String>,
}

fn service(text: &str) -> Result<Service, String> {
    let digits: u8 = text.parse().map_err(|_no_number| "not a service of two digits".to_owned())?;
    Service::try_from(digits).map_err(|error| error.to_string())
}
