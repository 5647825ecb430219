//! Snapshot lifecycle management of Elasticsearch. Its schedules are in UTC, and its retention runs at a time of its own.

use serde_json::{Value, json};

use super::{Manager, Policy, Run, Untranslatable, Wanted, age, is_unknown_route, moment};
use crate::client::{Client, Repeat, Request, segment};
use crate::engine::Engine;
use crate::error::Error;

pub(super) const COMPARED: [&str; 10] = [
    "name",
    "schedule",
    "repository",
    "config.indices",
    "config.ignore_unavailable",
    "config.include_global_state",
    "config.partial",
    "retention.expire_after",
    "retention.min_count",
    "retention.max_count",
];

pub(super) fn translate(wanted: &Wanted<'_>) -> Result<Value, Untranslatable> {
    if wanted.schedule.has_nearest_weekday() {
        return Err(Untranslatable {
            setting: "schedule",
            value: wanted.schedule.to_string(),
            manager: Manager::Lifecycle,
            reason: "its own reading of `W` gives days that have passed, or none; name the days"
                .to_owned(),
        });
    }
    Ok(json!({
        "name": wanted.template.0,
        "schedule": wanted.schedule.to_string(),
        "repository": wanted.repository,
        "config": {
            "indices": wanted.indices,
            "ignore_unavailable": false,
            "include_global_state": false,
        },
        "retention": {
            "expire_after": age(wanted, Manager::Lifecycle)?,
            "min_count": wanted.min_count,
            "max_count": wanted.max_count,
        },
    }))
}

fn path(name: &str) -> String {
    format!("_slm/policy/{}", segment(name))
}

pub(super) async fn find(
    client: &Client,
    engine: Engine,
    name: &str,
) -> Result<Option<Policy>, Error> {
    let is_running = match is_running(client).await {
        Err(error) if is_unknown_route(&error) => {
            return Err(Error::NoManager {
                engine: engine.to_string(),
                manager: Manager::Lifecycle,
            });
        }
        other => other?,
    };
    let doing = format!("describe the policy `{name}`");
    match client.ask(Request::get(path(name), doing)).await {
        Ok(answer) => Ok(read(&answer[name], is_running)),
        Err(Error::Refused { refusal, .. }) if refusal.is("resource_not_found_exception") => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

fn read(item: &Value, is_running: bool) -> Option<Policy> {
    let body = item.get("policy")?.clone();
    let run = |name: &str| {
        let run = item.get(name).filter(|run| run.is_object())?;
        Some(Run {
            snapshot: run["snapshot_name"].as_str().map(str::to_owned),
            at: moment(&run["time"]),
            reason: run["details"].as_str().map(plain),
        })
    };
    Some(Policy {
        is_running,
        next: moment(&item["next_execution_millis"]),
        last_success: run("last_success"),
        last_failure: run("last_failure"),
        in_progress: item["in_progress"]["name"].as_str().map(str::to_owned),
        body,
        revision: String::new(),
    })
}

/// The details of a failure are an exception, written as JSON in a text.
fn plain(details: &str) -> String {
    let reason = serde_json::from_str::<Value>(details)
        .ok()
        .and_then(|parsed| parsed["reason"].as_str().map(str::to_owned));
    let reason = reason.unwrap_or_else(|| details.to_owned());
    crate::answer::short(&reason).to_owned()
}

pub(super) async fn put(client: &Client, name: &str, body: Value) -> Result<(), Error> {
    let doing = format!("install the policy `{name}`");
    let request = Request::put(path(name), doing, Repeat::Safe).body(body);
    client.ask(request).await.map(drop)
}

pub(super) async fn remove(client: &Client, name: &str) -> Result<(), Error> {
    let doing = format!("remove the policy `{name}`");
    let request = Request::delete(path(name), doing, Repeat::Safe);
    match client.ask(request).await {
        Err(Error::Refused { refusal, .. }) if refusal.is("resource_not_found_exception") => Ok(()),
        other => other.map(drop),
    }
}

/// Whether policies are carried out.
pub(super) async fn is_running(client: &Client) -> Result<bool, Error> {
    Ok(mode(client).await? == "RUNNING")
}

/// Whether there is anything to carry out, and it is.
pub(super) async fn is_at_work(client: &Client) -> Result<bool, Error> {
    if !is_running(client).await? {
        return Ok(false);
    }
    let policies = client.ask(Request::get("_slm/policy", "list its policies"));
    let policies = policies.await?;
    Ok(policies.as_object().is_some_and(|all| !all.is_empty()))
}

/// `RUNNING`, `STOPPING` or `STOPPED`.
pub(super) async fn mode(client: &Client) -> Result<String, Error> {
    let doing = "tell the state of snapshot lifecycle management";
    let answer = client.ask(Request::get("_slm/status", doing)).await?;
    Ok(answer["operation_mode"]
        .as_str()
        .unwrap_or_default()
        .to_owned())
}

pub(super) async fn start(client: &Client) -> Result<(), Error> {
    say(client, "start").await
}

pub(super) async fn stop(client: &Client) -> Result<(), Error> {
    say(client, "stop").await
}

async fn say(client: &Client, what: &str) -> Result<(), Error> {
    let doing = format!("{what} snapshot lifecycle management");
    let request = Request::post(format!("_slm/{what}"), doing, Repeat::Safe);
    client.ask(request).await.map(drop)
}
