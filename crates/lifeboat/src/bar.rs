//! Shows how far a long command has come: a bar on a terminal, nothing elsewhere.

use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use indicatif::{HumanCount, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
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
        "{msg} {wide_bar} {human_pos}/{human_len} elements, {rate}, {prefix}, {eta} left"
    } else {
        "{msg} {spinner} {human_pos} elements, {rate}, {prefix}, {elapsed}"
    };
    if let Ok(style) = ProgressStyle::with_template(whole) {
        bar.set_style(style.with_key("rate", rate));
    }
    bar.set_prefix(lifeboat_core::size::ByteSize(reading.bytes).to_string());
    bar.set_position(reading.elements);
    bar.tick();
}

fn rate(state: &ProgressState, out: &mut dyn Write) {
    // Where the line cannot be formatted there is no bar either.
    write!(out, "{}/s", HumanCount(whole(state.per_sec()))).ok();
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a rate for people; a float beyond the range becomes its end"
)]
fn whole(rate: f64) -> u64 {
    rate.round() as u64
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.follower.abort();
        self.bar.finish_and_clear();
    }
}
