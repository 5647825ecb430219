//! Volumes that other programs wrote: real ones of real servers, which must show what their servers showed, and made ones
//! for what cannot be brought about with a server.

mod made;
mod real;
