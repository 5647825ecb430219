//! The program as its user meets it: real processes, a real gateway, a real store.

mod bad_input;
mod damage;
mod disk_full;
mod holders;
mod kill_gateway;
mod kill_stackgraph;
mod stackgraph;
mod wire;
mod world;
