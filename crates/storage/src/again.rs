//! A question asked again where its answer broke off.
//!
//! The client asks again by itself until an answer begins. Bodies that break off after that it gives up, but for streams of an object.

use std::error::Error as _;
use std::time::Duration;

use object_store::client::{HttpError, HttpErrorKind};

/// Waits before each further attempt.
const WAITS: [Duration; 3] = [
    Duration::from_millis(100),
    Duration::from_millis(500),
    Duration::from_secs(2),
];

/// Asks until an answer is whole, a few times. For questions that change nothing, or whose second time changes nothing.
pub(crate) async fn ask<T>(
    question: impl AsyncFn() -> object_store::Result<T>,
) -> object_store::Result<T> {
    for wait in WAITS {
        // Boxed, for whoever asks asks much at once.
        match Box::pin(question()).await {
            Err(error) if broke_off(&error) => {
                tracing::debug!(%error, "an answer broke off, asking again");
                tokio::time::sleep(wait).await;
            }
            answer => return answer,
        }
    }
    Box::pin(question()).await
}

/// Whether an answer had begun when its connection ended.
fn broke_off(error: &object_store::Error) -> bool {
    let mut at = error.source();
    while let Some(source) = at {
        if let Some(error) = source.downcast_ref::<HttpError>() {
            return matches!(
                error.kind(),
                HttpErrorKind::Interrupted | HttpErrorKind::Decode | HttpErrorKind::Timeout
            );
        }
        at = source.source();
    }
    false
}
