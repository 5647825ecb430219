//! Listings of a container.
//!
//! The service goes on only from markers of its own, not from a name. So the marker that led to each page is remembered,
//! and a page after some name begins there. After a restart, or for a name that was never at the end of a page, the service
//! is asked to begin at the name, which newer versions of it can; where it cannot, the listing is read from its beginning:
//! one call for 5,000 names.

use super::Azure;
use super::container;
use super::listing::{Asked, Item, MOST};
use super::markers::Spot;
use super::name::{self, decode, encode, encode_prefix, is_hidden};
use crate::backend::Error;
use crate::backend::listing::{Entry, ListQuery, Page};

/// The one delimiter by which the service rolls up as S3 does, however names are escaped.
const SLASH: &str = "/";

impl Azure {
    pub(super) async fn list_objects(
        &self,
        bucket: &str,
        query: &ListQuery,
    ) -> Result<Page, Error> {
        container::check(bucket)?;
        let delimiter = query.delimiter.as_deref().filter(|text| *text == SLASH);
        let mut collector = Collector::new(query);
        let asked = Asked {
            prefix: encode_prefix(&query.prefix),
            delimiter: delimiter.map(|_| SLASH),
            ..Asked::default()
        };
        let spot_of = |after: &str| Spot {
            bucket: bucket.to_owned(),
            prefix: asked.prefix.clone(),
            delimiter: asked.delimiter,
            after: after.to_owned(),
        };
        let begun = query.after.as_deref().map(|after| {
            let marker = self.markers.find(&spot_of(after));
            (marker, encode(after))
        });
        let remember = |after: &str, marker: &str| {
            self.markers.remember(spot_of(after), marker.to_owned());
        };
        let mut from = asked.clone();
        let mut remembered = true;
        if let Some((marker, name)) = begun {
            remembered = marker.is_some();
            from.start = Some(name);
            from.marker = marker;
        }
        let mut first = true;
        loop {
            // Where nothing is remembered much may have to be skipped: as much as possible at a time.
            let skipping = !remembered && collector.entries.is_empty();
            from.limit = if skipping { MOST } else { collector.room() };
            let chunk = match self.chunk(bucket, &from).await {
                Ok(chunk) => chunk,
                // A marker that is not good any more, or a service that cannot begin at a name.
                Err(failure) if first && from.is_late() && failure.is_not_understood() => {
                    from = asked.clone();
                    remembered = false;
                    first = false;
                    continue;
                }
                Err(failure) => return Err(failure.about_bucket(bucket)),
            };
            first = false;
            let more = collector.take(chunk.items);
            if let (Some(last), Some(led_here)) = (collector.last(), from.marker.as_deref())
                && more == More::Here
            {
                remember(last, led_here);
            }
            if more == More::Here {
                return Ok(collector.page(true));
            }
            let Some(next) = chunk.next else {
                return Ok(collector.page(false));
            };
            if collector.room() == 0 {
                if let Some(last) = collector.last() {
                    remember(last, &next);
                }
                return Ok(collector.page(true));
            }
            from.start = None;
            from.marker = Some(next);
        }
    }

    /// Whether a container holds an object.
    pub(super) async fn holds_objects(&self, bucket: &str) -> Result<bool, Error> {
        let query = ListQuery {
            limit: 1,
            ..ListQuery::default()
        };
        Ok(!self.list_objects(bucket, &query).await?.entries.is_empty())
    }
}

/// Whether an answer holds more than fits on the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum More {
    Here,
    NotHere,
}

/// Makes a page of what the service lists.
struct Collector<'a> {
    query: &'a ListQuery,
    /// The name of what the page begins after.
    after: Option<String>,
    entries: Vec<Entry>,
}

impl<'a> Collector<'a> {
    fn new(query: &'a ListQuery) -> Self {
        Self {
            query,
            after: query.after.as_deref().map(encode),
            entries: Vec::new(),
        }
    }

    fn room(&self) -> usize {
        self.query.limit.saturating_sub(self.entries.len())
    }

    fn last(&self) -> Option<&str> {
        self.entries.last().map(Entry::name)
    }

    fn page(self, truncated: bool) -> Page {
        Page {
            entries: self.entries,
            truncated,
        }
    }

    fn take(&mut self, items: Vec<Item>) -> More {
        for item in items {
            let Some(entry) = self.entry(item) else {
                continue;
            };
            if self.room() == 0 {
                return More::Here;
            }
            self.entries.push(entry);
        }
        More::NotHere
    }

    /// Returns what an item adds to the page, if it does.
    fn entry(&self, item: Item) -> Option<Entry> {
        if is_hidden(&item.name) || self.is_before(&item.name) {
            return None;
        }
        let key = decode(&item.name);
        let rest = key.strip_prefix(&self.query.prefix)?;
        let rolled = self.query.delimiter.as_deref().and_then(|delimiter| {
            let end = rest.find(delimiter)? + delimiter.len();
            Some(key[..self.query.prefix.len() + end].to_owned())
        });
        match (rolled, item.blob) {
            (Some(prefix), _) => {
                let known = self.last() == Some(&prefix) || self.is_before(&encode(&prefix));
                (!known).then_some(Entry::Prefix(prefix))
            }
            (None, Some(blob)) => Some(Entry::Object {
                key,
                info: blob.info(),
            }),
            (None, None) => None,
        }
    }

    fn is_before(&self, name: &str) -> bool {
        self.after
            .as_deref()
            .is_some_and(|after| name::order(name, after).is_le())
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::btree_set;
    use proptest::prelude::*;

    use super::super::listing::blob;
    use super::*;
    use crate::backends::xml::Element;

    fn items(keys: &[String]) -> Vec<Item> {
        let mut items: Vec<_> = keys
            .iter()
            .map(|key| Item {
                name: encode(key),
                blob: blob(
                    &Element::parse(
                        b"<Blob><Properties><Content-Length>1</Content-Length><Etag>0x1</Etag>\
                        <Last-Modified>Wed, 25 Nov 2026 08:32:28 GMT</Last-Modified></Properties></Blob>",
                    )
                    .unwrap(),
                ),
            })
            .collect();
        items.sort_by(|one, other| name::order(&one.name, &other.name));
        items
    }

    /// Lists page by page, as a client does.
    fn paged(items: &[Item], query: &ListQuery) -> Vec<String> {
        let mut query = query.clone();
        let mut names = Vec::new();
        loop {
            let mut collector = Collector::new(&query);
            let more = collector.take(items.to_vec());
            let page = collector.page(more == More::Here);
            names.extend(page.entries.iter().map(|entry| entry.name().to_owned()));
            if !page.truncated {
                return names;
            }
            query.after = names.last().cloned();
        }
    }

    proptest! {
        #[test]
        fn every_key_is_listed_once_whatever_the_pages(
            keys in btree_set("[a-c./!~\\\\:é😀\u{fffd}]{1,5}", 0..12),
            prefix in "[a-c./]{0,2}",
            delimiter in prop::option::of("[/:.]"),
            limit in 1_usize..4,
        ) {
            let keys: Vec<_> = keys.into_iter().collect();
            let query = ListQuery { prefix: prefix.clone(), delimiter: delimiter.clone(), after: None, limit };
            let mut found = paged(&items(&keys), &query);
            let mut expected: Vec<_> = keys
                .iter()
                .filter(|key| key.starts_with(&prefix))
                .map(|key| match &delimiter {
                    Some(delimiter) => match key[prefix.len()..].find(delimiter.as_str()) {
                        Some(at) => key[..prefix.len() + at + delimiter.len()].to_owned(),
                        None => key.clone(),
                    },
                    None => key.clone(),
                })
                .collect();
            expected.sort();
            expected.dedup();
            found.sort();
            prop_assert_eq!(found, expected);
        }
    }

    #[test]
    fn what_is_the_gateways_own_is_not_listed() {
        let mut all = items(&["a".to_owned()]);
        for hidden in [".lifeboat/uploads/x", "minio.sys.tmp/y", ".lifeboat/"] {
            all.push(Item {
                name: hidden.to_owned(),
                blob: None,
            });
        }
        let query = ListQuery {
            limit: 10,
            ..ListQuery::default()
        };
        assert_eq!(paged(&all, &query), ["a"]);
    }
}
