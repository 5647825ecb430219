//! Indices and data streams of a cluster: which there are, and how they go.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::Value;

use crate::client::{Client, Repeat, Request, list, segment};
use crate::error::Error;
use crate::snapshot::number;

/// Bytes of a request line that servers take at least, less what stands around the names.
const LINE: usize = 3_500;

/// An index, or a backing index of a data stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Index {
    pub name: String,
    pub status: Status,
    pub health: Option<String>,
    pub primaries: u64,
    /// All copies of them, also those that no node has.
    #[serde(skip)]
    pub shards: u64,
    /// Of its primaries; none of a closed index.
    pub documents: Option<u64>,
    /// Bytes of all copies.
    pub size: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    Open,
    Closed,
}

/// A data stream and the indices behind it, the one that is written to last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Stream {
    pub name: String,
    pub indices: Vec<String>,
}

/// Another name of an index or of a data stream, which no index can have beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alias {
    pub name: String,
    /// What it stands for.
    pub of: String,
}

impl Index {
    fn read(value: &Value) -> Option<Self> {
        let text = |name: &str| value[name].as_str().map(str::to_owned);
        let known = |name: &str| value[name].as_str().and_then(|text| text.parse().ok());
        Some(Self {
            name: text("index")?,
            status: if value["status"] == "close" {
                Status::Closed
            } else {
                Status::Open
            },
            health: text("health"),
            primaries: number(&value["pri"]),
            shards: number(&value["pri"]).saturating_mul(number(&value["rep"]).saturating_add(1)),
            documents: known("docs.count"),
            size: known("store.size"),
        })
    }
}

/// All indices of the cluster by name, hidden and closed ones too.
pub async fn all(client: &Client) -> Result<Vec<Index>, Error> {
    let path = "_cat/indices?format=json&bytes=b&expand_wildcards=all&h=index,status,health,pri,rep,docs.count,store.size";
    let doing = "list its indices";
    let answer = client.ask(Request::get(path, doing)).await?;
    let Some(found) = answer.as_array() else {
        return Err(Error::Strange {
            doing: doing.to_owned(),
            reply: crate::answer::short(&answer.to_string()).to_owned(),
        });
    };
    Ok(read_all(found))
}

fn read_all(found: &[Value]) -> Vec<Index> {
    let mut indices: Vec<Index> = found.iter().filter_map(Index::read).collect();
    indices.sort_by(|a, b| a.name.cmp(&b.name));
    indices
}

/// All data streams. None where the server has no such thing.
pub async fn streams(client: &Client) -> Result<Vec<Stream>, Error> {
    let doing = "list its data streams";
    let asked = Request::get("_data_stream", doing);
    let answer = match client.ask(asked).await {
        Ok(answer) => answer,
        Err(Error::Refused { refusal, .. }) if matches!(refusal.status, 400 | 404 | 405) => {
            return Ok(Vec::new());
        }
        Err(error) => return Err(error),
    };
    Ok(read_streams(&answer))
}

fn read_streams(answer: &Value) -> Vec<Stream> {
    let all = answer["data_streams"].as_array();
    let streams = all.into_iter().flatten().filter_map(|stream| {
        let indices = stream["indices"].as_array()?;
        let names = indices
            .iter()
            .filter_map(|index| index["index_name"].as_str());
        Some(Stream {
            name: stream["name"].as_str()?.to_owned(),
            indices: names.map(str::to_owned).collect(),
        })
    });
    streams.collect()
}

/// All aliases, once for each index that they stand for. None where the cluster does not tell who asks.
pub async fn aliases(client: &Client) -> Result<Vec<Alias>, Error> {
    let path = "_cat/aliases?format=json&expand_wildcards=all&h=alias,index";
    match client.ask(Request::get(path, "list its aliases")).await {
        Ok(answer) => Ok(read_aliases(&answer)),
        Err(error @ (Error::Unauthorized { .. } | Error::Refused { .. })) => {
            tracing::warn!(%error, "aliases are not known, and may be in the way of a restore");
            Ok(Vec::new())
        }
        Err(error) => Err(error),
    }
}

fn read_aliases(answer: &Value) -> Vec<Alias> {
    let all = answer.as_array().into_iter().flatten();
    let aliases = all.filter_map(|one| {
        Some(Alias {
            name: one["alias"].as_str()?.to_owned(),
            of: one["index"].as_str()?.to_owned(),
        })
    });
    aliases.collect()
}

/// The data stream of each index that is behind one.
pub fn behind<'a>(streams: &'a [Stream]) -> BTreeMap<&'a str, &'a Stream> {
    let of = |stream: &'a Stream| {
        let indices = stream.indices.iter();
        indices.map(move |index| (index.as_str(), stream))
    };
    streams.iter().flat_map(of).collect()
}

/// Begins a new index behind a data stream, so that the one before is not written to any more.
pub async fn roll_over(client: &Client, stream: &str) -> Result<String, Error> {
    let doing = format!("roll the data stream `{stream}` over");
    let path = format!("{}/_rollover", segment(stream));
    // Twice would leave an empty index, and do no other harm.
    let request = Request::post(path, doing, Repeat::Safe);
    let answer = client.ask(request).await?;
    Ok(answer["new_index"].as_str().unwrap_or_default().to_owned())
}

/// Deletes indices by their exact names, as many at once as one request holds. `deleted` hears of each batch that is gone.
pub async fn delete(
    client: &Client,
    names: &[String],
    mut deleted: impl FnMut(usize),
) -> Result<(), Error> {
    for batch in batches(names) {
        let doing = format!("delete `{}`", batch.join("`, `"));
        let path = format!("{}?ignore_unavailable=true", list(batch));
        let request = Request::delete(path, doing, Repeat::Safe);
        client.ask(request.patiently()).await?;
        deleted(batch.len());
    }
    Ok(())
}

/// Deletes a data stream and everything behind it.
pub async fn delete_stream(client: &Client, stream: &str) -> Result<(), Error> {
    let doing = format!("delete the data stream `{stream}`");
    let path = format!("_data_stream/{}", segment(stream));
    let request = Request::delete(path, doing, Repeat::Safe);
    match client.ask(request).await {
        Ok(_) => Ok(()),
        Err(Error::Refused { refusal, .. }) if refusal.status == 404 => Ok(()),
        Err(error) => Err(error),
    }
}

/// Which of these names the cluster still has.
pub async fn left(client: &Client, names: &[String]) -> Result<Vec<String>, Error> {
    let there = all(client).await?;
    let there: BTreeSet<String> = there.into_iter().map(|index| index.name).collect();
    let left = names.iter().filter(|name| there.contains(*name));
    Ok(left.cloned().collect())
}

/// Divides names so that each part fits into the first line of a request.
pub(crate) fn batches(names: &[String]) -> Vec<&[String]> {
    let mut batches = Vec::new();
    let mut begin = 0;
    let mut length = 0;
    for (at, name) in names.iter().enumerate() {
        let more = segment(name).len() + 1;
        if at > begin && length + more > LINE {
            batches.push(&names[begin..at]);
            (begin, length) = (at, 0);
        }
        length += more;
    }
    if begin < names.len() {
        batches.push(&names[begin..]);
    }
    batches
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::odd;

    proptest! {
        #[test]
        fn no_answer_panics(
            cat in odd::answer(&json!([{"index": "a", "status": "open", "health": "green", "pri": "1", "docs.count": "5", "store.size": "7"}])),
            aliases in odd::answer(&json!([{"alias": "a", "index": "b"}])),
            streams in odd::answer(&json!({"data_streams": [{"name": "s", "indices": [{"index_name": ".ds-s-000001"}]}]})),
        ) {
            read_all(cat.as_array().map(Vec::as_slice).unwrap_or_default());
            read_streams(&streams);
            read_aliases(&aliases);
        }

        #[test]
        fn batches_hold_all_names_in_order_and_fit(names in prop::collection::vec("[a-z.%é]{1,200}", 0..200)) {
            let batches = batches(&names);
            for batch in &batches {
                prop_assert!(!batch.is_empty());
                prop_assert!(list(batch).len() <= LINE || batch.len() == 1);
            }
            prop_assert_eq!(batches.concat(), names);
        }
    }
}
