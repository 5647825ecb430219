//! The SDK for Java in version 1, with the calls that Elasticsearch makes up to 8.18.

use lifeboat_testkit::maven::AWS_SDK_1;

use super::{Ran, java};
use crate::world::World;

pub(super) fn finds_what_elasticsearch_8_counts_on(world: &World) -> Ran {
    java::run(world, AWS_SDK_1, "SdkV1.java")
}
