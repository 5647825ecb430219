//! The SDK for Java in version 2, with the calls of Elasticsearch 9 and OpenSearch 3.

use lifeboat_testkit::maven::AWS_SDK_2;

use super::{Ran, java};
use crate::world::World;

pub(super) fn finds_what_elasticsearch_9_counts_on(world: &World) -> Ran {
    java::run(world, AWS_SDK_2, "SdkV2.java")
}
