//! What the service lists, as it answers.

use reqwest::Method;

use super::Azure;
use super::blob::{Blob, CONTENT_HEADERS, http_date, md5_of};
use super::call::Call;
use super::failure::Failure;
use super::name;
use crate::backend::Error;
use crate::backends::xml::Element;

/// The most names of one answer.
pub(super) const MOST: usize = 5000;

/// One entry of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Item {
    /// Of the blob, or what the names begin with that the entry stands for.
    pub(super) name: String,
    /// Nothing if it stands for several.
    pub(super) blob: Option<Blob>,
}

/// Some of a listing, in the order of the service.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Chunk {
    pub(super) items: Vec<Item>,
    /// Leads to what follows.
    pub(super) next: Option<String>,
}

/// What to ask the service for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) prefix: String,
    pub(super) delimiter: Option<&'static str>,
    pub(super) marker: Option<String>,
    /// A name to begin at, if the service can.
    pub(super) start: Option<String>,
    pub(super) limit: usize,
}

impl Asked {
    /// Whether it does not begin at the beginning.
    pub(super) fn is_late(&self) -> bool {
        self.marker.is_some() || self.start.is_some()
    }
}

impl Azure {
    /// Asks for some of a listing.
    pub(super) async fn chunk(&self, bucket: &str, asked: &Asked) -> Result<Chunk, Failure> {
        let mut call = Call::new(Method::GET, "listing")
            .container(bucket)
            .query("restype", "container")
            .query("comp", "list")
            .query("include", "metadata")
            .query("maxresults", asked.limit.clamp(1, MOST).to_string());
        if !asked.prefix.is_empty() {
            call = call.query("prefix", &asked.prefix);
        }
        if let Some(delimiter) = asked.delimiter {
            call = call.query("delimiter", delimiter);
        }
        match (&asked.marker, &asked.start) {
            (Some(marker), _) => call = call.query("marker", marker),
            (None, Some(start)) => call = call.query("startFrom", start),
            (None, None) => {}
        }
        Ok(read(&self.client.document(&call).await?))
    }

    /// Returns all blobs of the gateway's own below a place.
    pub(super) async fn hidden(&self, bucket: &str, place: &str) -> Result<Vec<Item>, Error> {
        let mut asked = Asked {
            prefix: format!("{}{place}", name::HOME),
            limit: MOST,
            ..Asked::default()
        };
        let mut found = Vec::new();
        loop {
            let chunk = self
                .chunk(bucket, &asked)
                .await
                .map_err(|failure| failure.about_bucket(bucket))?;
            found.extend(chunk.items);
            match chunk.next {
                Some(next) => asked.marker = Some(next),
                None => return Ok(found),
            }
        }
    }
}

/// Reads an answer.
fn read(root: &Element) -> Chunk {
    let listed = root.child("Blobs").map_or(&[][..], Element::children);
    let mut items: Vec<_> = listed
        .iter()
        .filter_map(|element| {
            let name = element.child("Name")?.content().ok()?.into_owned();
            let blob = match element.name() {
                "Blob" => Some(blob(element)?),
                "BlobPrefix" => None,
                _ => return None,
            };
            Some(Item { name, blob })
        })
        .collect();
    // Blobs and what stands for several may come one after the other.
    items.sort_by(|one, other| name::order(&one.name, &other.name));
    Chunk {
        items,
        next: root.text("NextMarker").map(str::to_owned),
    }
}

pub(super) fn blob(element: &Element) -> Option<Blob> {
    let properties = element.child("Properties")?;
    let text = |name: &str| properties.text(name);
    let content = CONTENT_HEADERS
        .into_iter()
        .filter_map(|(name, listed)| Some((name.to_owned(), text(listed)?.to_owned())))
        .collect();
    let metadata = element.child("Metadata").map_or(&[][..], Element::children);
    Some(Blob {
        size: text("Content-Length")?.parse().ok()?,
        tag: text("Etag")?.to_owned(),
        modified: http_date(text("Last-Modified")?)?,
        content,
        md5: text("Content-MD5").and_then(md5_of),
        metadata: metadata
            .iter()
            .filter_map(|entry| {
                let value = entry.content().ok()?.into_owned();
                Some((entry.name().to_ascii_lowercase(), value))
            })
            .collect(),
        leased: text("LeaseStatus") == Some("locked"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_with_metadata_and_prefixes() {
        let document = br"<EnumerationResults><Blobs>
            <Blob><Name> b</Name><Properties><Last-Modified>Wed, 25 Nov 2026 08:32:28 GMT</Last-Modified><Etag>0x1</Etag>
            <Content-Length>5</Content-Length><Content-Type>text/plain</Content-Type><Content-MD5>XUFAKrxLKna5cZ2REBfFkg==</Content-MD5>
            <LeaseStatus>unlocked</LeaseStatus></Properties><Metadata><Mtime>1</Mtime></Metadata></Blob>
            <BlobPrefix><Name> a/</Name></BlobPrefix></Blobs><NextMarker>2!x</NextMarker></EnumerationResults>";
        let chunk = read(&Element::parse(document).unwrap());
        assert_eq!(chunk.next.as_deref(), Some("2!x"));
        let [prefix, item] = chunk.items.as_slice() else {
            panic!("two items");
        };
        assert_eq!((prefix.name.as_str(), &prefix.blob), (" a/", &None));
        let info = item.blob.as_ref().unwrap().info();
        assert_eq!(item.name, " b");
        assert_eq!(info.etag, "5d41402abc4b2a76b9719d911017c592");
        assert_eq!(info.attributes.user["mtime"], "1");
        assert_eq!(info.attributes.headers["content-type"], "text/plain");
    }
}
