//! The few questions that a backup asks a VictoriaMetrics server.
//!
//! Keys travel in the body of a POST, never in a URL that could be logged.

mod samples;
mod vitals;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use reqwest::header::LOCATION;
use reqwest::{Client, RequestBuilder, Response, StatusCode, redirect};
use serde::Deserialize;
use tokio::sync::Mutex;

use crate::error::Error;

use self::vitals::whole;

pub use self::vitals::Vitals;

/// Making a snapshot flushes memory to disk first, which takes minutes on a large database.
const SNAPSHOT: Duration = Duration::from_mins(15);
const QUESTION: Duration = Duration::from_mins(1);
const MAKE: &str = "make a snapshot";
const KEEP: &str = "keep the label of its backups";

/// The series that holds the label of a backup's version, as the platform's own scripts write it.
pub const GENERATION: &str = "_sts_generation";

/// How a server is reached.
#[derive(Clone, Default)]
pub struct Access {
    /// With scheme and path prefix, without a slash at its end.
    pub url: String,
    pub user: Option<String>,
    pub password: Option<String>,
    /// Of the server's `-snapshotAuthKey`.
    pub snapshot_key: Option<String>,
    /// Of the server's `-forceFlushAuthKey`.
    pub flush_key: Option<String>,
    /// Of the server's `-metricsAuthKey`.
    pub metrics_key: Option<String>,
    /// Certificates to trust beside those of the system, in PEM.
    pub certificates: Vec<u8>,
}

/// Shows no key.
impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access")
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

/// A running server.
#[derive(Debug, Clone)]
pub struct Server {
    instance: String,
    access: Access,
    client: Client,
    /// Held while a snapshot is made. Has its name from then on until it is taken.
    making: Arc<Mutex<Option<String>>>,
    /// Held while a snapshot is deleted.
    deleting: Arc<Mutex<()>>,
}

/// The label that a server keeps, by its latest sample.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    pub label: String,
    /// The time of that sample, in whole milliseconds.
    pub at: Timestamp,
}

#[derive(Deserialize)]
struct SnapshotAnswer {
    status: String,
    snapshot: Option<String>,
    snapshots: Option<Vec<String>>,
    msg: Option<String>,
}

#[derive(Deserialize)]
struct Exported {
    values: Vec<f64>,
    timestamps: Vec<i64>,
}

#[derive(Deserialize)]
struct Data<T> {
    data: T,
}

impl Server {
    /// Prepares the client. Nothing is sent.
    pub fn new(instance: &str, access: Access) -> Result<Self, Error> {
        let mut builder = Client::builder()
            .connect_timeout(Duration::from_secs(5))
            // Elsewhere a `POST` would arrive as a `GET`, and with keys that were not meant for it.
            .redirect(redirect::Policy::none());
        let made = || -> Result<Client, reqwest::Error> {
            if !access.certificates.is_empty() {
                for certificate in reqwest::Certificate::from_pem_bundle(&access.certificates)? {
                    builder = builder.add_root_certificate(certificate);
                }
            }
            builder.build()
        };
        match made() {
            Ok(client) => Ok(Self {
                instance: instance.to_owned(),
                access,
                client,
                making: Arc::default(),
                deleting: Arc::default(),
            }),
            Err(source) => Err(Error::Unreachable {
                instance: instance.to_owned(),
                url: access.url,
                source: source.without_url(),
            }),
        }
    }

    pub fn instance(&self) -> &str {
        &self.instance
    }

    pub fn url(&self) -> &str {
        &self.access.url
    }

    fn request(&self, path: &str) -> RequestBuilder {
        let request = self.client.post(format!("{}{path}", self.access.url));
        match &self.access.user {
            Some(user) => request.basic_auth(user, self.access.password.as_ref()),
            None => request,
        }
    }

    fn unreachable(&self, source: reqwest::Error) -> Error {
        Error::Unreachable {
            instance: self.instance.clone(),
            url: self.access.url.clone(),
            source: source.without_url(),
        }
    }

    /// Returns the body of a good answer.
    async fn ask(
        &self,
        request: RequestBuilder,
        doing: &'static str,
        patience: Duration,
    ) -> Result<String, Error> {
        let answer = self.send(request, doing, patience).await?;
        let body = answer.text().await;
        body.map_err(|source| self.unreachable(source))
    }

    /// Returns a good answer, whose body is still to come, within the same `patience`.
    async fn send(
        &self,
        request: RequestBuilder,
        doing: &'static str,
        patience: Duration,
    ) -> Result<Response, Error> {
        let answer = request.timeout(patience).send().await;
        let answer = answer.map_err(|source| self.unreachable(source))?;
        let status = answer.status();
        if status.is_success() {
            return Ok(answer);
        }
        let to = answer.headers().get(LOCATION).cloned();
        let body = answer.text().await;
        let body = body.map_err(|source| self.unreachable(source))?;
        let (instance, url) = (self.instance.clone(), self.access.url.clone());
        if status.is_redirection() {
            let to = to.as_ref().and_then(|to| to.to_str().ok());
            // What follows may repeat a key.
            let to = to.and_then(|to| to.split('?').next());
            let to = short(to.unwrap_or_default()).to_owned();
            return Err(Error::Redirected {
                instance,
                url,
                doing,
                to,
            });
        }
        // With no more room than `-storage.minFreeDiskSpaceBytes` (seen with 1.79.5, 1.112.0 and 1.145.0).
        if status == StatusCode::SERVICE_UNAVAILABLE && body.contains("read-only mode") {
            return Err(self.read_only(doing));
        }
        let reply = format!("{status}: {}", short(&body));
        let about_keys = body.contains("authKey") || body.contains("AuthKey");
        if status == StatusCode::UNAUTHORIZED || status == StatusCode::FORBIDDEN || about_keys {
            return Err(Error::Unauthorized {
                instance,
                url,
                doing,
                reply,
            });
        }
        Err(Error::Refused {
            instance,
            url,
            doing,
            reply,
        })
    }

    fn read_only(&self, doing: &'static str) -> Error {
        Error::ReadOnly {
            instance: self.instance.clone(),
            url: self.access.url.clone(),
            doing,
        }
    }

    fn strange(&self, doing: &'static str, reply: &str) -> Error {
        Error::Strange {
            instance: self.instance.clone(),
            url: self.access.url.clone(),
            doing,
            reply: short(reply).to_owned(),
        }
    }

    async fn snapshot_call(
        &self,
        path: &str,
        doing: &'static str,
        form: &[(&str, &str)],
    ) -> Result<SnapshotAnswer, Error> {
        let mut form = form.to_vec();
        if let Some(key) = &self.access.snapshot_key {
            form.push(("authKey", key));
        }
        let body = self
            .ask(self.request(path).form(&form), doing, SNAPSHOT)
            .await?;
        let answer: SnapshotAnswer =
            serde_json::from_str(&body).map_err(|_| self.strange(doing, &body))?;
        if answer.status == "ok" {
            return Ok(answer);
        }
        Err(Error::Refused {
            instance: self.instance.clone(),
            url: self.access.url.clone(),
            doing,
            reply: answer.msg.unwrap_or(answer.status),
        })
    }

    /// Makes a snapshot and returns its name. It stays until it is deleted by that name. Once begun it goes on although nobody waits for it any more, as
    /// the server does: then [`made_snapshot`](Self::made_snapshot) knows it.
    pub async fn create_snapshot(&self) -> Result<String, Error> {
        let mut making = Arc::clone(&self.making).lock_owned().await;
        let server = self.clone();
        let creation = tokio::spawn(async move {
            let name = server.create_now().await?;
            *making = Some(name.clone());
            Ok(name)
        });
        match creation.await {
            Ok(made) => made,
            Err(error) => Err(self.strange(MAKE, &error.to_string())),
        }
    }

    async fn create_now(&self) -> Result<String, Error> {
        let answer = self.snapshot_call("/snapshot/create", MAKE, &[]).await?;
        match answer.snapshot {
            Some(name) if is_snapshot_name(&name) => Ok(name),
            other => Err(self.strange(MAKE, &other.unwrap_or_default())),
        }
    }

    /// Takes the name of the snapshot that was made last, and waits for one that is being made.
    pub async fn made_snapshot(&self) -> Option<String> {
        if self.making.try_lock().is_err() {
            tracing::info!("waiting for the snapshot that the server is making, to delete it");
        }
        self.making.lock().await.take()
    }

    pub async fn snapshots(&self) -> Result<Vec<String>, Error> {
        let answer = self
            .snapshot_call("/snapshot/list", "list its snapshots", &[])
            .await?;
        Ok(answer.snapshots.unwrap_or_default())
    }

    /// Deletes a snapshot. One that is not there is no failure. Once begun it goes on although nobody waits for it any more, and the next deletion begins
    /// after it: a server that is told to delete one snapshot twice at the same time ends with a panic (seen with 1.112.0 and 1.145.0). From another
    /// process only the term of a lease keeps the second apart.
    pub async fn delete_snapshot(&self, name: &str) -> Result<(), Error> {
        let (server, name) = (self.clone(), name.to_owned());
        let deletion = tokio::spawn(async move {
            let _alone = server.deleting.lock().await;
            server.delete_now(&name).await
        });
        match deletion.await {
            Ok(deleted) => deleted,
            Err(error) => Err(self.strange("delete a snapshot", &error.to_string())),
        }
    }

    async fn delete_now(&self, name: &str) -> Result<(), Error> {
        let form = [("snapshot", name)];
        match self
            .snapshot_call("/snapshot/delete", "delete a snapshot", &form)
            .await
        {
            Ok(_) => Ok(()),
            Err(Error::Refused { reply, .. }) if reply.contains("cannot find snapshot") => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Makes what was just written visible to queries and snapshots. A server that refuses is left alone: what it holds back
    /// is found out by counting.
    pub async fn flush(&self) {
        let mut form = Vec::new();
        if let Some(key) = &self.access.flush_key {
            form.push(("authKey", key.as_str()));
        }
        let request = self.request("/internal/force_flush").form(&form);
        if let Err(error) = self.ask(request, "flush", QUESTION).await {
            tracing::info!(%error, "the server was not asked to flush");
        }
    }

    pub async fn vitals(&self) -> Result<Vitals, Error> {
        let request = match &self.access.metrics_key {
            Some(key) => self.request("/metrics").form(&[("authKey", key)]),
            None => self.get("/metrics"),
        };
        let text = self.ask(request, "tell its metrics", QUESTION).await?;
        Ok(Vitals::parse(&text))
    }

    fn get(&self, path: &str) -> RequestBuilder {
        let request = self.client.get(format!("{}{path}", self.access.url));
        match &self.access.user {
            Some(user) => request.basic_auth(user, self.access.password.as_ref()),
            None => request,
        }
    }

    /// Returns how many time series the server knows, where it tells.
    pub async fn series(&self) -> Option<u64> {
        let asked = self.ask(
            self.get("/api/v1/series/count"),
            "count its series",
            QUESTION,
        );
        let body = asked.await.ok()?;
        let counted: Data<Vec<u64>> = serde_json::from_str(&body).ok()?;
        counted.data.first().copied()
    }

    /// Returns the label of the version that backups of this server belong to, if it has one.
    pub async fn generation(&self, now: Timestamp) -> Result<Option<Kept>, Error> {
        let doing = "tell the label of its backups";
        // From the beginning of time, for an old label counts as well, to beyond now: the server's own clock is up to a second late, and one of another machine may
        // be more.
        let end = (now.as_second() + 86_400).to_string();
        let form = [("match[]", GENERATION), ("start", "0"), ("end", &end)];
        let request = self.request("/api/v1/export").form(&form);
        let body = self.ask(request, doing, QUESTION).await?;
        let mut last: Option<(i64, f64)> = None;
        for line in body.lines().filter(|line| !line.trim().is_empty()) {
            let series: Exported =
                serde_json::from_str(line).map_err(|_| self.strange(doing, line))?;
            for (time, value) in series.timestamps.into_iter().zip(series.values) {
                if last.is_none_or(|(latest, _)| time >= latest) {
                    last = Some((time, value));
                }
            }
        }
        match last {
            None => Ok(None),
            Some((time, value)) => match (label(value), Timestamp::from_millisecond(time)) {
                (Some(label), Ok(at)) => Ok(Some(Kept { label, at })),
                _ => Err(self.strange(doing, &value.to_string())),
            },
        }
    }

    /// Keeps the label in the server. One that takes no samples, for want of room, answers with [`Error::ReadOnly`]; it still makes snapshots.
    pub async fn keep_generation(&self, label: &str, at: Timestamp) -> Result<(), Error> {
        let doing = KEEP;
        let sample = format!("{GENERATION} {label} {}\n", at.as_millisecond());
        let request = self.request("/api/v1/import/prometheus").body(sample);
        self.ask(request, doing, QUESTION).await.map(drop)
    }

    /// What [`keep_generation`](Self::keep_generation) would come to, by what the server said of itself.
    pub fn would_keep_generation(&self, vitals: &Vitals) -> Result<(), Error> {
        if vitals.is_read_only {
            return Err(self.read_only(KEEP));
        }
        Ok(())
    }

    /// Succeeds once the server has opened its data: before, it does not listen.
    pub async fn is_healthy(&self) -> Result<(), Error> {
        self.ask(self.get("/health"), "say that it is well", QUESTION)
            .await
            .map(drop)
    }
}

/// `20231128160000`, as the value of a sample.
fn label(value: f64) -> Option<String> {
    let label = whole(value)?.to_string();
    (label.len() == 14).then_some(label)
}

/// 14 digits, a dash, hexadecimal digits.
pub fn is_snapshot_name(name: &str) -> bool {
    name.split_once('-').is_some_and(|(time, id)| {
        time.len() == 14
            && time.bytes().all(|byte| byte.is_ascii_digit())
            && !id.is_empty()
            && id.bytes().all(|byte| byte.is_ascii_hexdigit())
    })
}

/// The beginning of an answer: enough to know what it is about.
fn short(text: &str) -> &str {
    let text = text.trim();
    &text[..text.floor_char_boundary(200)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_labels_are_told_from_others() {
        assert!(is_snapshot_name("20261125160344-18EB5542ECADBC09"));
        for name in [
            "",
            "2026-1A",
            "20261125160344",
            "20261125160344-",
            "20261125160344-../x",
        ] {
            assert!(!is_snapshot_name(name), "{name}");
        }
        assert_eq!(
            label(20_231_128_160_000.0).as_deref(),
            Some("20231128160000")
        );
        for value in [0.0, -1.0, 1.5, f64::NAN, f64::INFINITY, 2e15] {
            assert_eq!(label(value), None, "{value}");
        }
    }
}
