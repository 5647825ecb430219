//! A repository that was never made, told from one that its volume lost.

use crate::catalog::Repository;
use crate::client::Request;
use crate::error::Error;

/// Which states of the repository are known. Each change of it makes the next one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct States {
    /// To the cluster, where it is registered and was ever written to. To be asked for before the bucket is looked at.
    pub remembered: Option<u64>,
    /// In the bucket, the newest.
    pub stored: Option<u64>,
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
    /// And that was accepted.
    Lost,
}

impl States {
    /// The newest state among the names of objects directly below the base path.
    pub fn newest<'a>(names: impl Iterator<Item = &'a str>) -> Option<u64> {
        let number = |name: &str| name.strip_prefix("index-")?.parse().ok();
        names.filter_map(number).max()
    }

    fn lost(self) -> Option<u64> {
        let remembered = self.remembered?;
        (self.stored < Some(remembered)).then_some(remembered)
    }
}

impl Repository<'_> {
    /// The state that the cluster expects the bucket to be in. Nothing where the repository is not registered, or was never read or written.
    pub async fn remembered(&self) -> Result<Option<u64>, Error> {
        let path = "_cluster/state/metadata?filter_path=metadata.repositories";
        let asked = Request::get(path, "tell its state");
        match self.client.ask(asked).await {
            Ok(state) => Ok(state["metadata"]["repositories"][self.name]["generation"].as_u64()),
            // Who may not read it may still use a repository.
            Err(error @ Error::Unauthorized { .. }) => {
                tracing::debug!(%error, "what the cluster remembers is not known");
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Whether the repository may be configured.
    pub(super) fn permit(&self, states: States, loss: Loss) -> Result<Standing, Error> {
        match (states.lost(), loss) {
            (None, _) => Ok(Standing::Kept),
            (Some(_), Loss::Accepted) => Ok(Standing::Lost),
            (Some(expected), Loss::Refused) => Err(Error::RepositoryLost {
                repository: self.name.to_owned(),
                found: states.stored,
                expected,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_that_lost_its_volume_is_told_from_one_that_never_was() {
        let states = |remembered, stored| States { remembered, stored };
        assert_eq!(states(None, None).lost(), None, "never made");
        assert_eq!(states(None, Some(3)).lost(), None, "the cluster lost it");
        assert_eq!(states(Some(3), Some(3)).lost(), None);
        assert_eq!(states(Some(3), Some(4)).lost(), None, "written meanwhile");
        assert_eq!(states(Some(3), None).lost(), Some(3));
        assert_eq!(states(Some(3), Some(2)).lost(), Some(3), "an older copy");
        let names = [
            "index.latest",
            "index-9",
            "index-10",
            "index-x",
            "snap-11.dat",
        ];
        assert_eq!(States::newest(names.into_iter()), Some(10));
    }
}
