//! Writing a topology payload, in the agent's spelling, element by element.

use std::io::{self, Write};

use serde::Serialize;

/// How much a payload holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) components: u64,
    pub(crate) relations: u64,
}

/// A payload whose components are being written. All of them come before the relations.
pub(crate) struct Components<W> {
    sink: W,
    counts: Counts,
}

/// A payload whose relations are being written.
pub(crate) struct Relations<W> {
    sink: W,
    counts: Counts,
}

#[derive(Serialize)]
struct Component<'a, D> {
    id: &'a str,
    #[serde(rename = "type")]
    kind: &'a str,
    data: &'a D,
}

#[derive(Serialize)]
struct Relation<'a, D> {
    source_id: &'a str,
    target_id: &'a str,
    #[serde(rename = "type")]
    kind: &'a str,
    data: &'a D,
}

impl<W: Write> Components<W> {
    /// Starts a payload that comes from `source`, such as a package index.
    pub(crate) fn start(mut sink: W, source: &str) -> io::Result<Self> {
        sink.write_all(b"{\"instance\":{\"type\":\"lifeboat-demo\",\"url\":")?;
        serde_json::to_writer(&mut sink, source)?;
        sink.write_all(b"},\"components\":[")?;
        let counts = Counts::default();
        Ok(Self { sink, counts })
    }

    pub(crate) fn add(&mut self, id: &str, kind: &str, data: &impl Serialize) -> io::Result<()> {
        separate(&mut self.sink, self.counts.components)?;
        serde_json::to_writer(&mut self.sink, &Component { id, kind, data })?;
        self.counts.components += 1;
        Ok(())
    }

    pub(crate) fn then(mut self) -> io::Result<Relations<W>> {
        self.sink.write_all(b"\n],\"relations\":[")?;
        Ok(Relations {
            sink: self.sink,
            counts: self.counts,
        })
    }
}

impl<W: Write> Relations<W> {
    pub(crate) fn add(
        &mut self,
        (source_id, target_id): (&str, &str),
        kind: &str,
        data: &impl Serialize,
    ) -> io::Result<()> {
        let relation = Relation {
            source_id,
            target_id,
            kind,
            data,
        };
        separate(&mut self.sink, self.counts.relations)?;
        serde_json::to_writer(&mut self.sink, &relation)?;
        self.counts.relations += 1;
        Ok(())
    }

    pub(crate) fn finish(mut self) -> io::Result<Counts> {
        self.sink.write_all(b"\n]}\n")?;
        self.sink.flush()?;
        Ok(self.counts)
    }
}

/// One element a line, so that a person can look into the file.
fn separate(sink: &mut impl Write, before: u64) -> io::Result<()> {
    sink.write_all(if before == 0 { b"\n" } else { b",\n" })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn is_the_payload_of_an_agent() {
        let mut bytes = Vec::new();
        let mut components = Components::start(&mut bytes, "a \"quoted\" source").unwrap();
        components
            .add("urn:a", "host", &json!({"name": "a"}))
            .unwrap();
        components
            .add("urn:b", "host", &json!({"name": "b"}))
            .unwrap();
        let mut relations = components.then().unwrap();
        relations
            .add(("urn:a", "urn:b"), "runs", &json!({}))
            .unwrap();
        let counts = relations.finish().unwrap();
        assert_eq!((counts.components, counts.relations), (2, 1));
        insta::assert_snapshot!(String::from_utf8(bytes).unwrap(), @r#"
        {"instance":{"type":"lifeboat-demo","url":"a \"quoted\" source"},"components":[
        {"id":"urn:a","type":"host","data":{"name":"a"}},
        {"id":"urn:b","type":"host","data":{"name":"b"}}
        ],"relations":[
        {"source_id":"urn:a","target_id":"urn:b","type":"runs","data":{}}
        ]}
        "#);
    }

    #[test]
    fn an_empty_payload_is_still_a_payload() {
        let mut bytes = Vec::new();
        let relations = Components::start(&mut bytes, "nothing").unwrap().then();
        relations.unwrap().finish().unwrap();
        let value: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(value["components"], json!([]));
        assert_eq!(value["relations"], json!([]));
    }
}
