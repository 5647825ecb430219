//! The wish of a person or of Kubernetes that the program should end.

use std::io::Write;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};

use crate::exit::Exit;

/// Signals that come so soon after one are the same wish: `timeout` sends each to the program and to its group.
const ONE_WISH: Duration = Duration::from_secs(1);

/// Resolves at the first SIGINT or SIGTERM that comes after it has begun to wait.
pub(crate) async fn stop_requested() {
    stop_requested_from_now().await;
}

/// The same for signals that come after this call, whenever the waiting begins. Must be called within a runtime.
pub(crate) fn stop_requested_from_now() -> impl Future<Output = ()> {
    let interrupt = signal(SignalKind::interrupt());
    let terminate = signal(SignalKind::terminate());
    async move {
        let (Ok(mut interrupt), Ok(mut terminate)) = (interrupt, terminate) else {
            // Without handlers the default action ends the process, which is what was asked for.
            return std::future::pending().await;
        };
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    }
}

/// Ends the program at the next signal, whatever it is at then. What it began is left as by a SIGKILL.
#[expect(
    clippy::exit,
    reason = "whoever would return from here may wait for a server, or undo for minutes"
)]
pub(crate) fn end_at_the_next() {
    tokio::spawn(async {
        tokio::time::sleep(ONE_WISH).await;
        stop_requested().await;
        let told = "error: given up at another signal\nhint: what was begun was not undone, and is left as a kill leaves it; the next run goes on from there";
        // Nobody is left to tell when stderr is closed.
        writeln!(anstream::stderr(), "{told}").ok();
        std::process::exit(i32::from(Exit::Interrupted.code()));
    });
}
