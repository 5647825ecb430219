//! Shows how far a long command has come: a bar on a terminal, nothing elsewhere.

use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use indicatif::{HumanCount, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use lifeboat_core::progress::Progress;
use tokio::task::JoinHandle;

const REFRESH: Duration = Duration::from_millis(200);

/// What a bar measures by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Measure {
    /// Things that are alike, and what they are called.
    Count(&'static str),
    /// For objects, some of which are a million times as large as others.
    Bytes,
}

/// A bar that follows a [`Progress`] until it is dropped.
pub(crate) struct Bar {
    bar: ProgressBar,
    follower: JoinHandle<()>,
}

impl Bar {
    /// `doing` is what stands before the bar, for example `backup`.
    pub(crate) fn follow(doing: &'static str, measure: Measure, progress: &Arc<Progress>) -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
        bar.set_message(doing);
        draw(&bar, measure, progress);
        // Not before it has its own looks.
        bar.set_draw_target(ProgressDrawTarget::stderr());
        let progress = Arc::clone(progress);
        let shown = bar.clone();
        let follower = tokio::spawn(async move {
            let mut ticks = tokio::time::interval(REFRESH);
            loop {
                ticks.tick().await;
                draw(&shown, measure, &progress);
            }
        });
        Self { bar, follower }
    }
}

fn draw(bar: &ProgressBar, measure: Measure, progress: &Progress) {
    let reading = progress.read();
    let (position, length) = match measure {
        Measure::Count(_) => (reading.elements, reading.total_elements),
        Measure::Bytes => (reading.bytes, reading.total_bytes),
    };
    let known = length > 0;
    let whole = match measure {
        Measure::Count(things) if known => format!(
            "{{msg}} {{wide_bar}} {{human_pos}}/{{human_len}} {things}, {{rate}}, {{prefix}}, {{eta}} left"
        ),
        Measure::Count(things) => {
            format!("{{msg}} {{spinner}} {{human_pos}} {things}, {{rate}}, {{prefix}}, {{elapsed}}")
        }
        Measure::Bytes if known && reading.total_elements + reading.elements == 0 => {
            "{msg} {wide_bar} {binary_bytes}/{binary_total_bytes}, {binary_bytes_per_sec}, {eta} left".to_owned()
        }
        Measure::Bytes if known => {
            "{msg} {wide_bar} {binary_bytes}/{binary_total_bytes}, {binary_bytes_per_sec}, {prefix}, {eta} left".to_owned()
        }
        Measure::Bytes => "{msg} {spinner} {elapsed}".to_owned(),
    };
    if known {
        bar.set_length(length);
    }
    if let Ok(style) = ProgressStyle::with_template(&whole) {
        bar.set_style(style.with_key("rate", rate));
    }
    bar.set_prefix(match measure {
        Measure::Count(_) => lifeboat_core::size::ByteSize(reading.bytes).to_string(),
        Measure::Bytes => format!("{} objects", HumanCount(reading.elements)),
    });
    bar.set_position(position);
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
