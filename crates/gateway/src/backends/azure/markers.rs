//! Where the pages of listings begin, as the service names such places. A memory and no more: without it a page costs
//! more calls, and is the same.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

/// How many places are remembered.
const REMEMBERED: usize = 4096;

/// Where the page after a name begins, by listing and name.
#[derive(Debug, Default)]
pub(super) struct Markers(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    markers: HashMap<Spot, String>,
    oldest_first: VecDeque<Spot>,
}

/// A place in a listing.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Spot {
    pub(super) bucket: String,
    /// As it is asked for.
    pub(super) prefix: String,
    pub(super) delimiter: Option<&'static str>,
    /// The last entry of the page before.
    pub(super) after: String,
}

impl Markers {
    pub(super) fn find(&self, spot: &Spot) -> Option<String> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.markers.get(spot).cloned()
    }

    pub(super) fn remember(&self, spot: Spot, marker: String) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.markers.insert(spot.clone(), marker).is_none() {
            known.oldest_first.push_back(spot);
        }
        if known.oldest_first.len() > REMEMBERED
            && let Some(oldest) = known.oldest_first.pop_front()
        {
            known.markers.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_so_many_places_are_remembered() {
        let markers = Markers::default();
        let spot = |after: usize| Spot {
            bucket: "b".to_owned(),
            prefix: String::new(),
            delimiter: None,
            after: after.to_string(),
        };
        for after in 0..=REMEMBERED {
            markers.remember(spot(after), "m".to_owned());
        }
        assert_eq!(markers.find(&spot(0)), None);
        assert_eq!(markers.find(&spot(REMEMBERED)).as_deref(), Some("m"));
    }
}
