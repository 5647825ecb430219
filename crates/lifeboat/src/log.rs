//! Log lines on stderr: plain on a terminal, JSON where nobody watches and a collector reads.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// Starts logging. `quiet` leaves errors, each `verbose` adds a level.
pub(crate) fn start(quiet: bool, verbose: u8) {
    let level = match (quiet, verbose) {
        (true, _) => "error",
        (false, 0) => {
            "warn,lifeboat_gateway=info,s3s::ops=off,s3s::http::de=off,hyper::proto::h1::conn=error"
        }
        (false, 1) => "info,lifeboat_gateway::access=debug",
        // The protocol layer would say there which signature it expected.
        (false, _) => "debug,s3s::ops::signature=info",
    };
    let builder = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(level))
        .with_writer(std::io::stderr);
    if std::io::stderr().is_terminal() {
        builder.with_target(false).init();
    } else {
        builder.json().flatten_event(true).init();
    }
}
