//! Listings: pages of the store, put together to those that are asked for.

use std::borrow::Cow;

use jiff::Timestamp;
use percent_encoding::percent_decode_str;
use reqwest::Method;

use super::call::Call;
use super::client::{Client, unreadable};
use super::headers;
use super::objects::{checksum_of, time_of};
use crate::backend::listing::{Entry, ListQuery, Page};
use crate::backend::{Attributes, Error, ObjectInfo};
use crate::backends::xml::{Element, Malformed};

const LISTING: &str = "listing objects";
/// The most entries of one answer.
const PAGE: usize = 1000;
/// Sorts after all that follows in a key; only itself can follow it.
const LAST: char = char::MAX;

impl Client {
    pub(super) async fn list(&self, bucket: &str, query: &ListQuery) -> Result<Page, Error> {
        let mut page = Page::default();
        let mut token: Option<String> = None;
        loop {
            let missing = query.limit.saturating_sub(page.entries.len());
            let call = Call::bucket(LISTING, Method::GET, bucket)
                .query("list-type", "2")
                .query("encoding-type", "url")
                .query("max-keys", missing.clamp(1, PAGE).to_string())
                .query("prefix", query.prefix.as_str())
                .query_if("delimiter", query.delimiter.as_deref())
                .query_if("start-after", start(query).filter(|_| token.is_none()))
                .query_if("continuation-token", token.as_deref());
            let (_, document) = self.document(call).await?;
            let entries = read(&document).map_err(|error| unreadable(LISTING, error))?;
            let after = query.after.as_deref().unwrap_or_default();
            page.entries
                .extend(entries.into_iter().filter(|entry| entry.name() > after));
            let next = document.text("NextContinuationToken");
            let next = next
                .filter(|_| document.flag("IsTruncated"))
                .map(str::to_owned);
            page.truncated = page.entries.len() > query.limit || next.is_some();
            // A token that leads nowhere would be followed forever.
            if page.entries.len() >= query.limit || next.is_none() || next == token {
                break;
            }
            token = next;
        }
        page.entries.truncate(query.limit);
        Ok(page)
    }
}

/// Where the store has to begin. After a common prefix, nothing of what it stands for is to be listed again.
fn start(query: &ListQuery) -> Option<String> {
    let after = query.after.as_deref()?;
    let rolled_up = query.delimiter.as_deref().and_then(|delimiter| {
        let rest = after.strip_prefix(query.prefix.as_str())?;
        let end = query.prefix.len() + rest.find(delimiter)? + delimiter.len();
        Some(format!("{}{LAST}", &after[..end]))
    });
    Some(rolled_up.unwrap_or_else(|| after.to_owned()))
}

/// Entries of one answer, in byte order.
fn read(document: &Element) -> Result<Vec<Entry>, Malformed> {
    let text = decoder(document);
    let mut entries = Vec::new();
    for object in document.all("Contents") {
        let info = ObjectInfo {
            size: object.parsed("Size")?.ok_or(Malformed("Size"))?,
            etag: headers::unquoted(object.text("ETag").unwrap_or_default()),
            modified: time_of(object, "LastModified").unwrap_or(Timestamp::UNIX_EPOCH),
            attributes: Attributes::default(),
            checksum: checksum_of(object),
            parts: None,
            version: None,
            relayed: headers::storage_class(object.text("StorageClass")),
        };
        let key = text(object.required("Key")?)?;
        entries.push(Entry::Object { key, info });
    }
    for prefix in document.all("CommonPrefixes") {
        entries.push(Entry::Prefix(text(prefix.required("Prefix")?)?));
    }
    entries.sort_by(|one, other| one.name().cmp(other.name()));
    Ok(entries)
}

/// How names in a document are read: encoded, if the store says that it did so.
pub(super) fn decoder(document: &Element) -> fn(&str) -> Result<String, Malformed> {
    match document.text("EncodingType") {
        Some(encoding) if encoding.eq_ignore_ascii_case("url") => decode,
        _ => |text| Ok(text.to_owned()),
    }
}

/// A blank is `%20` for some and `+` for others, who then write a plus as `%2B`; so do all.
fn decode(text: &str) -> Result<String, Malformed> {
    let text = text.replace('+', " ");
    percent_decode_str(&text)
        .decode_utf8()
        .map(Cow::into_owned)
        .map_err(|_| Malformed("Key"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn query(prefix: &str, delimiter: Option<&str>, after: &str) -> ListQuery {
        ListQuery {
            prefix: prefix.to_owned(),
            delimiter: delimiter.map(str::to_owned),
            after: Some(after.to_owned()),
            limit: 10,
        }
    }

    #[test]
    fn a_page_after_a_common_prefix_begins_behind_all_of_it() {
        let start = |prefix, delimiter, after| start(&query(prefix, delimiter, after)).unwrap();
        assert_eq!(start("", None, "a/b"), "a/b");
        assert_eq!(start("", Some("/"), "a"), "a");
        assert_eq!(start("", Some("/"), "a/"), "a/\u{10ffff}");
        assert_eq!(start("a/", Some("/"), "a/b"), "a/b");
        assert_eq!(start("a/", Some("/"), "a/b/c"), "a/b/\u{10ffff}");
        assert_eq!(start("b", Some("/"), "a/"), "a/");
    }

    #[test]
    fn entries_come_in_order_and_decoded() {
        let document = Element::parse(
            "<ListBucketResult><EncodingType>url</EncodingType><Contents><Key>b%20c%2Bd</Key><Size>3</Size>\
             <LastModified>2026-08-01T03:00:00.123Z</LastModified><ETag>\"e\"</ETag><StorageClass>GLACIER</StorageClass></Contents>\
             <CommonPrefixes><Prefix>a/</Prefix></CommonPrefixes><CommonPrefixes><Prefix>%C3%A9/</Prefix></CommonPrefixes>\
             </ListBucketResult>"
                .as_bytes(),
        );
        let entries = read(&document.unwrap()).unwrap();
        let names: Vec<_> = entries.iter().map(Entry::name).collect();
        assert_eq!(names, ["a/", "b c+d", "é/"]);
        let Entry::Object { info, .. } = &entries[1] else {
            panic!("an object");
        };
        assert_eq!((info.size, info.etag.as_str()), (3, "e"));
        assert_eq!(info.relayed.get("x-amz-storage-class"), Some("GLACIER"));
    }

    #[test]
    fn names_are_taken_as_they_are_where_the_store_does_not_encode() {
        let document =
            Element::parse(b"<R><Contents><Key>a+%41</Key><Size>0</Size></Contents></R>");
        let entries = read(&document.unwrap()).unwrap();
        assert_eq!(entries[0].name(), "a+%41");
    }

    proptest! {
        #[test]
        fn any_names_are_read_or_refused(key in "([+%]|[0-9A-F]|\\PC){0,12}", size in "[0-9-]{0,22}") {
            let mut document = "<R><EncodingType>url</EncodingType><Contents>".to_owned();
            crate::backends::xml::write(&mut document, "Key", &key);
            crate::backends::xml::write(&mut document, "Size", &size);
            document.push_str("</Contents></R>");
            drop(read(&Element::parse(document.as_bytes()).unwrap()));
        }
    }
}
