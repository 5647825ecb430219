//! What is made of the answers of four engines.

mod catalog;
mod expire;
mod indices;
mod paused;
mod refusals;
mod repository;
mod restore;
mod room;
