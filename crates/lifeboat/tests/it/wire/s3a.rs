//! S3A of Hadoop, the file system that StackGraph keeps its data in.

use lifeboat_testkit::maven::HADOOP_S3A;

use super::{Ran, java};
use crate::world::World;

pub(super) fn keeps_a_file_system(world: &World) -> Ran {
    java::run(world, HADOOP_S3A, "S3a.java")
}
