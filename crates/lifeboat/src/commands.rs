//! One file per command: its arguments, whose comments are the help, and one function.

pub(crate) mod completions;
pub(crate) mod docs;
pub(crate) mod elasticsearch;
pub(crate) mod gateway;
pub(crate) mod settings;
pub(crate) mod stackgraph;
pub(crate) mod victoria_metrics;
