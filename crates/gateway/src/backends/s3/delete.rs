//! Removing one object or many.

use std::collections::BTreeMap;

use futures::{StreamExt as _, stream};
use reqwest::Method;

use super::call::{Call, Repeat};
use super::client::Client;
use super::headers;
use super::refusal::{Refusal, Subject};
use crate::backend::condition::{EtagMatch, WriteCondition};
use crate::backend::options::{DeleteOptions, Deleted, Marker};
use crate::backend::{Error, ObjectPath};
use crate::backends::xml::{self, Element};

const DELETING: &str = "deleting objects";
/// How many objects are removed at a time where one request cannot name them all.
const PARALLEL: usize = 16;
/// The most objects of one request.
const BATCH: usize = 1000;

type Target = (ObjectPath, DeleteOptions);

impl Client {
    pub(super) async fn delete(
        &self,
        path: &ObjectPath,
        options: &DeleteOptions,
    ) -> Result<Deleted, Error> {
        let unconditional = options.condition == WriteCondition::None;
        let repeat = if unconditional {
            Repeat::Safely
        } else {
            Repeat::IfRefused
        };
        let call = Call::object(DELETING, Method::DELETE, path)
            .repeat(repeat)
            .query_if("versionId", options.version.as_deref())
            .relayed(&options.relayed)?
            .condition(&options.condition)?;
        match self.ask(call).await {
            Ok(answer) => Ok(Deleted {
                version: headers::version(&answer.headers),
                marker: marker(
                    headers::text(&answer.headers, "x-amz-delete-marker") == Some("true"),
                ),
            }),
            // Some stores say that there was nothing to delete.
            Err(Error::NoSuchKey { .. }) if unconditional => Ok(Deleted::default()),
            Err(error) => Err(error),
        }
    }

    pub(super) async fn delete_many(&self, objects: Vec<Target>) -> Vec<Result<Deleted, Error>> {
        let mut outcomes: Vec<Option<Result<Deleted, Error>>> =
            objects.iter().map(|_| None).collect();
        let (listed, alone): (Vec<_>, Vec<_>) = objects
            .into_iter()
            .enumerate()
            .partition(|(_, target)| can_be_listed(target));
        for batch in listed.chunks(BATCH) {
            let targets: Vec<_> = batch.iter().map(|(_, target)| target).collect();
            for ((place, _), outcome) in batch.iter().zip(self.delete_listed(&targets).await) {
                outcomes[*place] = Some(outcome);
            }
        }
        let single =
            stream::iter(alone)
                .map(|(place, (path, options))| async move {
                    (place, self.delete(&path, &options).await)
                })
                .buffer_unordered(PARALLEL)
                .collect::<Vec<_>>()
                .await;
        for (place, outcome) in single {
            outcomes[place] = Some(outcome);
        }
        outcomes
            .into_iter()
            .map(|outcome| outcome.unwrap_or_else(|| Err(untold())))
            .collect()
    }

    /// Removes up to 1,000 objects of one bucket with one request.
    async fn delete_listed(&self, targets: &[&Target]) -> Vec<Result<Deleted, Error>> {
        match self.ask_to_delete(targets).await {
            Ok(document) => {
                let said = Said::by(&document);
                targets.iter().map(|target| said.of(target)).collect()
            }
            Err(error) => targets.iter().map(|_| Err(again(&error))).collect(),
        }
    }

    async fn ask_to_delete(&self, targets: &[&Target]) -> Result<Element, Error> {
        let Some((first, options)) = targets.first() else {
            return Ok(Element::default());
        };
        let conditional = targets
            .iter()
            .any(|(_, options)| options.condition != WriteCondition::None);
        let repeat = if conditional {
            Repeat::IfRefused
        } else {
            Repeat::Safely
        };
        let call = Call::bucket(DELETING, Method::POST, first.bucket())
            .repeat(repeat)
            .query("delete", "")
            .relayed(&options.relayed)?
            .document(listed(targets))?;
        let (_, document) = self.document(call).await?;
        Ok(document)
    }
}

/// Whether XML carries the key to the store and back, and the condition is one that a list can state.
fn can_be_listed((path, options): &Target) -> bool {
    let plain = !path
        .key()
        .chars()
        .any(|character| character.is_control() || matches!(character, '\u{fffe}' | '\u{ffff}'));
    let stated = matches!(
        options.condition,
        WriteCondition::None | WriteCondition::Matches(EtagMatch::Exactly(_))
    );
    plain && stated
}

fn listed(targets: &[&Target]) -> String {
    let mut document = String::from("<Delete>");
    for (path, options) in targets {
        document.push_str("<Object>");
        xml::write(&mut document, "Key", path.key());
        if let Some(version) = &options.version {
            xml::write(&mut document, "VersionId", version);
        }
        if let WriteCondition::Matches(EtagMatch::Exactly(etag)) = &options.condition {
            xml::write(&mut document, "ETag", &headers::quoted(etag));
        }
        document.push_str("</Object>");
    }
    document.push_str("</Delete>");
    document
}

/// What an answer says of each object, by key.
struct Said<'a> {
    deleted: BTreeMap<&'a str, Vec<&'a Element>>,
    failed: BTreeMap<&'a str, Vec<&'a Element>>,
}

impl<'a> Said<'a> {
    fn by(document: &'a Element) -> Self {
        let by_key = |name: &'static str| {
            let mut found: BTreeMap<_, Vec<_>> = BTreeMap::new();
            for element in document.all(name) {
                found
                    .entry(element.text("Key").unwrap_or_default())
                    .or_default()
                    .push(element);
            }
            found
        };
        Self {
            deleted: by_key("Deleted"),
            failed: by_key("Error"),
        }
    }

    fn of(&self, (path, options): &Target) -> Result<Deleted, Error> {
        let find = |found: &BTreeMap<&str, Vec<&'a Element>>| {
            let elements = found.get(path.key())?;
            let mut elements = elements.iter().copied();
            match options.version.as_deref() {
                None => elements.next(),
                Some(wanted) => elements.find(|element| {
                    element
                        .text("VersionId")
                        .is_none_or(|found| found == wanted)
                }),
            }
        };
        if let Some(deleted) = find(&self.deleted) {
            let marked = deleted.flag("DeleteMarker");
            let version = if marked {
                "DeleteMarkerVersionId"
            } else {
                "VersionId"
            };
            return Ok(Deleted {
                version: deleted.text(version).map(str::to_owned),
                marker: marker(marked),
            });
        }
        let failed = find(&self.failed).ok_or_else(untold)?;
        let subject = Subject {
            bucket: path.bucket(),
            key: Some(path.key()),
            upload: None,
            version: options.version.as_deref(),
        };
        match Refusal::late(failed).into_error(subject) {
            Error::NoSuchKey { .. } if options.condition == WriteCondition::None => {
                Ok(Deleted::default())
            }
            error => Err(error),
        }
    }
}

fn marker(marked: bool) -> Marker {
    if marked { Marker::Yes } else { Marker::No }
}

/// Whether the object is still there is not known.
fn untold() -> Error {
    Error::Unreachable {
        action: DELETING,
        source: "the store said nothing of this object".into(),
    }
}

/// The same error, for the next object of a request that failed as a whole.
fn again(error: &Error) -> Error {
    match error {
        Error::NoSuchBucket { bucket } => Error::NoSuchBucket {
            bucket: bucket.clone(),
        },
        Error::Upstream {
            status,
            code,
            message,
        } => Error::Upstream {
            status: *status,
            code: code.clone(),
            message: message.clone(),
        },
        other => Error::Unreachable {
            action: DELETING,
            source: other.to_string().into(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(key: &str, version: Option<&str>) -> Target {
        let options = DeleteOptions {
            version: version.map(str::to_owned),
            ..DeleteOptions::default()
        };
        (ObjectPath::new("bucket", key).unwrap(), options)
    }

    #[test]
    fn every_object_gets_what_the_answer_says_of_it() {
        let document = Element::parse(
            b"<DeleteResult><Deleted><Key>a&amp;b</Key></Deleted>\
              <Deleted><Key>m</Key><DeleteMarker>true</DeleteMarker><DeleteMarkerVersionId>7</DeleteMarkerVersionId></Deleted>\
              <Deleted><Key>v</Key><VersionId>2</VersionId></Deleted>\
              <Error><Key>v</Key><VersionId>1</VersionId><Code>AccessDenied</Code><Message>locked</Message></Error>\
              <Error><Key>gone</Key><Code>NoSuchKey</Code></Error></DeleteResult>",
        )
        .unwrap();
        let said = Said::by(&document);
        let of = |key, version| said.of(&target(key, version));
        assert_eq!(of("a&b", None).unwrap(), Deleted::default());
        let marked = of("m", None).unwrap();
        assert_eq!(
            (marked.marker, marked.version.as_deref()),
            (Marker::Yes, Some("7"))
        );
        assert_eq!(of("v", Some("2")).unwrap().version.as_deref(), Some("2"));
        assert!(
            matches!(of("v", Some("1")), Err(Error::Upstream { code, .. }) if code == "AccessDenied")
        );
        assert!(of("gone", None).is_ok());
        assert!(matches!(of("other", None), Err(Error::Unreachable { .. })));
    }

    #[test]
    fn keys_that_xml_would_change_are_removed_alone() {
        for key in ["a\rb", "a\nb", "\u{1}", "\u{ffff}"] {
            assert!(!can_be_listed(&target(key, None)), "{key:?}");
        }
        assert!(can_be_listed(&target(" é<&\u{10ffff}", None)));
    }
}
