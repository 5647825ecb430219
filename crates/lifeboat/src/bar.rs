//! Shows how far a long command has come: a bar on a terminal, nothing elsewhere.

use std::sync::Arc;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use lifeboat_core::progress::Progress;
use tokio::task::JoinHandle;

const REFRESH: Duration = Duration::from_millis(200);

/// A bar that follows a [`Progress`] until it is dropped.
pub(crate) struct Bar {
    bar: ProgressBar,
    follower: JoinHandle<()>,
}

impl Bar {
    /// `doing` is what stands before the bar, for example `backup`.
    pub(crate) fn follow(doing: &'static str, progress: &Arc<Progress>) -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        bar.set_message(doing);
        let progress = Arc::clone(progress);
        let shown = bar.clone();
        let follower = tokio::spawn(async move {
            let mut ticks = tokio::time::interval(REFRESH);
            loop {
                ticks.tick().await;
                draw(&shown, &progress);
            }
        });
        Self { bar, follower }
    }
}

fn draw(bar: &ProgressBar, progress: &Progress) {
    let reading = progress.read();
    let whole = if reading.total_elements > 0 {
        bar.set_length(reading.total_elements);
        "{msg} {wide_bar} {human_pos}/{human_len} elements, {per_sec}, {prefix}, {eta} left"
    } else {
        "{msg} {spinner} {human_pos} elements, {per_sec}, {prefix}, {elapsed}"
    };
    if let Ok(style) = ProgressStyle::with_template(whole) {
        bar.set_style(style);
    }
    bar.set_prefix(lifeboat_core::size::ByteSize(reading.bytes).to_string());
    bar.set_position(reading.elements);
    bar.tick();
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.follower.abort();
        self.bar.finish_and_clear();
    }
}
