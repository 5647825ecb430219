//! Whether a server finds samples: not only that it has them.
//!
//! A server that is too old for an index counts the samples and finds none of them. Names and labels do not tell: indexes are by day, so a series that came in
//! today stands for one that was there this morning.

use std::time::Duration;

use jiff::Timestamp;

use super::{Data, GENERATION, QUESTION, Server};
use crate::error::Error;

const DOING: &str = "look for samples";
/// In which some sample of a server that was fed lies.
const WINDOW: Duration = Duration::from_mins(5);
/// Names that are tried one by one before all at once: each costs the server what a chart of it does.
const NAMES: usize = 10;
/// The selector of all series.
const ALL: &str = "{__name__!=\"\"}";

impl Server {
    /// Whether the server finds any sample of this moment or the five minutes before. Asks for few series, and reads no more than the first that comes.
    pub async fn has_samples(&self, at: Timestamp) -> Result<bool, Error> {
        // Backups by label keep a sample of this series just before their snapshot.
        if self.exports_any(&named(GENERATION), &window(at)).await? {
            return Ok(true);
        }
        for name in self.names_of_the_day(at).await? {
            if self.exports_any(&named(&name), &window(at)).await? {
                return Ok(true);
            }
        }
        self.exports_any(ALL, &window(at)).await
    }

    /// Whether the server finds any sample from `first` to `last`. That may cost it what a chart of all its series does.
    pub async fn has_samples_between(
        &self,
        first: Timestamp,
        last: Timestamp,
    ) -> Result<bool, Error> {
        let (begin, _) = window(first);
        let (_, end) = window(last);
        let window = (begin, end);
        Ok(self.exports_any(&named(GENERATION), &window).await?
            || self.exports_any(ALL, &window).await?)
    }

    /// Some names of series that had a sample on the day of this moment.
    async fn names_of_the_day(&self, at: Timestamp) -> Result<Vec<String>, Error> {
        let (start, end) = window(at);
        let limit = NAMES.to_string();
        let form = [("start", &start[..]), ("end", &end), ("limit", &limit)];
        let request = self.request("/api/v1/label/__name__/values").form(&form);
        let body = self.ask(request, DOING, QUESTION).await?;
        let mut found: Data<Vec<String>> =
            serde_json::from_str(&body).map_err(|_| self.strange(DOING, &body))?;
        found.data.truncate(NAMES);
        Ok(found.data)
    }

    async fn exports_any(
        &self,
        selector: &str,
        (start, end): &(String, String),
    ) -> Result<bool, Error> {
        let form = [
            ("match[]", selector),
            ("start", start),
            ("end", end),
            ("max_rows_per_line", "1"),
            ("reduce_mem_usage", "1"),
        ];
        let request = self.request("/api/v1/export").form(&form);
        let mut answer = self.send(request, DOING, QUESTION).await?;
        while let Some(bytes) = answer
            .chunk()
            .await
            .map_err(|source| self.unreachable(source))?
        {
            if !bytes.trim_ascii().is_empty() {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Beginning and end in seconds. The end is a millisecond later, which a server that reckons in fractions may cut off.
fn window(at: Timestamp) -> (String, String) {
    let end = at.as_millisecond() + 1;
    let begin = at.as_second() - WINDOW.as_secs().cast_signed();
    let end = format!("{}.{:03}", end.div_euclid(1000), end.rem_euclid(1000));
    (begin.max(0).to_string(), end)
}

/// The selector of all series of a name, whatever characters it has.
fn named(name: &str) -> String {
    format!("{{__name__={}}}", serde_json::Value::from(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_ends_with_the_moment_and_begins_within_time() {
        let at = |text: &str| window(text.parse().unwrap());
        let wanted = ("1800000000".to_owned(), "1800000300.124".to_owned());
        assert_eq!(at("2027-01-15T08:05:00.123Z"), wanted);
        assert_eq!(at("1970-01-01T00:00:02.999Z").0, "0");
        assert_eq!(at("1970-01-01T00:00:02.999Z").1, "3.000");
        assert_eq!(named("a\"b"), "{__name__=\"a\\\"b\"}");
    }
}
