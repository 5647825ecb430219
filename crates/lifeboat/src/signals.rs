//! The wish of a person or of Kubernetes that the program should end.

use tokio::signal::unix::{SignalKind, signal};

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
