//! A repository that was never made, told from one that its volume lost.

use serde_json::{Map, Value};

use super::{Registered, Wanted};
use crate::catalog::Repository;
use crate::client::Request;
use crate::drift::text;
use crate::error::Error;

/// Which states of the repository are known. Each change of it makes the next one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct States {
    /// To the cluster, where it is registered and was ever written to. To be asked for before the bucket is looked at.
    pub remembered: Option<Remembered>,
    /// In the bucket, the newest.
    pub stored: Option<u64>,
}

/// What a cluster knows of a repository that it has used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Remembered {
    /// At least.
    pub state: u64,
    /// The cluster found something else in the bucket, and uses the repository no more until it is registered anew.
    pub is_disabled: bool,
}

/// Whether a repository may be begun anew where the bucket lost what the cluster remembers of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    Refused,
    Accepted,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    Kept,
    /// It has to be forgotten first: it was lost, and that was accepted, or the cluster disabled it.
    Forgotten,
}

impl States {
    /// The newest state among the names of objects directly below the base path.
    pub fn newest<'a>(names: impl Iterator<Item = &'a str>) -> Option<u64> {
        let number = |name: &str| name.strip_prefix("index-")?.parse().ok();
        names.filter_map(number).max()
    }

    fn lost(self) -> Option<u64> {
        let remembered = self.remembered?.state;
        (self.stored < Some(remembered)).then_some(remembered)
    }
}

impl Repository<'_> {
    /// The state that the cluster expects the bucket to be in. Nothing where the repository is not registered, or was never read or written.
    pub async fn remembered(&self) -> Result<Option<Remembered>, Error> {
        let path = "_cluster/state/metadata?filter_path=metadata.repositories";
        let asked = Request::get(path, "tell its state");
        match self.client.ask(asked).await {
            Ok(state) => Ok(remembered(&state["metadata"]["repositories"][self.name])),
            // Who may not read it may still use a repository.
            Err(error @ Error::Unauthorized { .. }) => {
                tracing::debug!(%error, "what the cluster remembers is not known");
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// An error where the bucket lost what the cluster remembers of a repository in it.
    pub async fn is_not_lost(&self, wanted: &Wanted, states: States) -> Result<(), Error> {
        let found = self.registered().await?;
        let settings = wanted.settings(self.engine);
        self.permit(found.as_ref(), &settings, states, Loss::Refused)
            .map(drop)
    }

    /// Whether the repository may be configured. What was registered elsewhere is remembered of another place, and says nothing of this one.
    pub(super) fn permit(
        &self,
        found: Option<&Registered>,
        wanted: &Map<String, Value>,
        states: States,
        loss: Loss,
    ) -> Result<Standing, Error> {
        let is_here = found.is_some_and(|found| found.is_at(wanted));
        match (states.lost().filter(|_| is_here), loss) {
            (None, _) => {
                let remembered = states.remembered.filter(|_| is_here);
                let is_disabled = remembered.is_some_and(|remembered| remembered.is_disabled);
                Ok(if is_disabled {
                    Standing::Forgotten
                } else {
                    Standing::Kept
                })
            }
            (Some(_), Loss::Accepted) => Ok(Standing::Forgotten),
            (Some(expected), Loss::Refused) => Err(Error::RepositoryLost {
                repository: self.name.to_owned(),
                found: states.stored,
                expected,
            }),
        }
    }
}

/// A repository that does not hold what was expected is noted as -3. What is pending then is the state that was to be written next, or the one that was looked for.
fn remembered(metadata: &Value) -> Option<Remembered> {
    const DISABLED: i64 = -3;
    let generation = metadata["generation"].as_i64()?;
    let is_disabled = generation == DISABLED;
    let state = if is_disabled {
        metadata["pending_generation"].as_u64()?.saturating_sub(1)
    } else {
        u64::try_from(generation).ok()?
    };
    Some(Remembered { state, is_disabled })
}

impl Registered {
    /// Whether it lies where it should.
    fn is_at(&self, wanted: &Map<String, Value>) -> bool {
        let place = |settings: &Map<String, Value>| {
            ["bucket", "base_path", "endpoint"]
                .map(|name| settings.get(name).map(text).unwrap_or_default())
        };
        place(&self.settings) == place(wanted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(state: u64, is_disabled: bool) -> Remembered {
        Remembered { state, is_disabled }
    }

    #[test]
    fn a_repository_that_lost_its_volume_is_told_from_one_that_never_was() {
        let states = |remembered, stored| States { remembered, stored };
        let three = Some(known(3, false));
        assert_eq!(states(None, None).lost(), None, "never made");
        assert_eq!(states(None, Some(3)).lost(), None, "the cluster lost it");
        assert_eq!(states(three, Some(3)).lost(), None);
        assert_eq!(states(three, Some(4)).lost(), None, "written meanwhile");
        assert_eq!(states(three, None).lost(), Some(3));
        assert_eq!(states(three, Some(2)).lost(), Some(3), "an older copy");
        let names = [
            "index.latest",
            "index-9",
            "index-10",
            "index-x",
            "snap-11.dat",
        ];
        assert_eq!(States::newest(names.into_iter()), Some(10));
    }

    #[test]
    fn a_state_that_was_looked_for_in_vain_is_remembered() {
        let of = |generation: i64| {
            remembered(&serde_json::json!({"generation": generation, "pending_generation": 7}))
        };
        assert_eq!(of(7), Some(known(7, false)));
        assert_eq!(of(-3), Some(known(6, true)));
        for unknown in [-1, -2] {
            assert_eq!(of(unknown), None);
        }
        assert_eq!(remembered(&Value::Null), None);
    }

    #[test]
    fn what_is_remembered_of_another_place_says_nothing_of_this_one() {
        let settings = |bucket: &str, more: Option<(&str, &str)>| {
            let both = [Some(("bucket", bucket)), more].into_iter().flatten();
            both.map(|(name, value)| (name.to_owned(), value.into()))
                .collect::<Map<String, Value>>()
        };
        let found = Registered {
            kind: "s3".to_owned(),
            settings: settings("a", Some(("compress", "true"))),
        };
        assert!(found.is_at(&settings("a", None)));
        assert!(!found.is_at(&settings("b", None)));
        assert!(!found.is_at(&settings("a", Some(("base_path", "below")))));
    }
}
