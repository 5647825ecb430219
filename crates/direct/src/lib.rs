//! Files that are written past the page cache: whether a file system lets them be, and memory that it can be done from.
//!
//! For what is written once, in large pieces, and hardly read again soon. The cache would cost a copy, pages and, in a container, the memory
//! that the program is given. A crate of its own because the gateway and the client of buckets, which know nothing of each other, both write so.

mod handle;
mod memory;

pub use self::handle::{BLOCK, enter, is_aligned, is_possible, leave, reserve};
pub use self::memory::Memory;
