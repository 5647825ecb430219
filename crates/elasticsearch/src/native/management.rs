//! Snapshot Management of OpenSearch. It names snapshots after the policy, counts failed ones like others, and stops each policy by itself.

use serde_json::{Value, json};

use super::{Manager, Policy, Run, Untranslatable, Wanted, age, is_unknown_route, moment};
use crate::client::{Client, Repeat, Request, segment};
use crate::engine::Engine;
use crate::error::Error;
use crate::snapshot::number;

const POLICIES: &str = "_plugins/_sm/policies";

pub(super) const COMPARED: [&str; 14] = [
    "creation.schedule.cron.expression",
    "creation.schedule.cron.timezone",
    "deletion.schedule.cron.expression",
    "deletion.schedule.cron.timezone",
    "deletion.condition.max_age",
    "deletion.condition.min_count",
    "deletion.condition.max_count",
    "snapshot_config.repository",
    "snapshot_config.indices",
    "snapshot_config.ignore_unavailable",
    "snapshot_config.include_global_state",
    "snapshot_config.partial",
    "snapshot_config.date_format",
    "snapshot_config.date_format_timezone",
];

pub(super) fn translate(wanted: &Wanted<'_>) -> Result<Value, Untranslatable> {
    let cannot = |setting: &'static str, value: &dyn ToString, reason: String| Untranslatable {
        setting,
        value: value.to_string(),
        manager: Manager::Management,
        reason,
    };
    let expression = wanted
        .schedule
        .to_unix()
        .map_err(|reason| cannot("schedule", wanted.schedule, reason.to_string()))?;
    let (written, template) = wanted.template;
    let dated = template.dated().ok_or_else(|| {
        let reason = format!(
            "names are the policy's, `-`, and the date; write `<{}-{{now{{yyyyMMdd-HHmm}}}}>`",
            wanted.name
        );
        cannot("snapshotNameTemplate", &written, reason)
    })?;
    if dated.prefix != wanted.name {
        let reason = format!(
            "snapshots are named after their policy; set `snapshotPolicyName` to `{}`, or begin the template with `{}-`",
            dated.prefix, wanted.name
        );
        return Err(cannot("snapshotNameTemplate", &written, reason));
    }
    if wanted.max_count <= wanted.min_count {
        let reason = format!(
            "it has to be more than the {} that always stay",
            wanted.min_count
        );
        return Err(cannot(
            "snapshotRetentionMaxCount",
            &wanted.max_count,
            reason,
        ));
    }
    let schedule = json!({"cron": {"expression": expression, "timezone": "UTC"}});
    Ok(json!({
        "description": "Telemetry, as the values of Lifeboat have it",
        "creation": {"schedule": schedule},
        "deletion": {
            "schedule": schedule,
            "condition": {
                "max_age": age(wanted, Manager::Management)?,
                "min_count": wanted.min_count,
                "max_count": wanted.max_count,
            },
        },
        "snapshot_config": {
            "repository": wanted.repository,
            "indices": wanted.indices.join(","),
            "ignore_unavailable": false,
            "include_global_state": false,
            "date_format": dated.format,
            "date_format_timezone": dated.zone.unwrap_or("UTC"),
        },
    }))
}

fn path(name: &str) -> String {
    format!("{POLICIES}/{}", segment(name))
}

pub(super) async fn find(
    client: &Client,
    engine: Engine,
    name: &str,
) -> Result<Option<Policy>, Error> {
    let doing = format!("describe the policy `{name}`");
    let answer = match client.ask(Request::get(path(name), doing)).await {
        Ok(answer) => answer,
        Err(error) if is_unknown_route(&error) => {
            return Err(Error::NoManager {
                engine: engine.to_string(),
                manager: Manager::Management,
            });
        }
        Err(Error::Refused { refusal, .. }) if refusal.status == 404 => return Ok(None),
        Err(error) => return Err(error),
    };
    let doing = format!("explain the policy `{name}`");
    let explained = Request::get(format!("{}/_explain", path(name)), doing);
    let explained = client.ask(explained).await?;
    Ok(read(&answer, &explained["policies"][0]))
}

fn read(answer: &Value, explained: &Value) -> Option<Policy> {
    let body = answer.get("sm_policy")?.clone();
    let creation = &explained["creation"];
    let latest = &creation["latest_execution"];
    let status = latest["status"].as_str().unwrap_or_default();
    let run = |statuses: &[&str]| {
        statuses.contains(&status).then(|| Run {
            snapshot: None,
            at: moment(&latest["end_time"]).or_else(|| moment(&latest["start_time"])),
            reason: ["cause", "message"]
                .iter()
                .find_map(|name| latest["info"][*name].as_str())
                .map(|reason| crate::answer::short(reason).to_owned())
                .filter(|_| status != "SUCCESS"),
        })
    };
    Some(Policy {
        is_running: body["enabled"] != false,
        next: moment(&creation["trigger"]["time"]),
        last_success: run(&["SUCCESS"]),
        last_failure: run(&["FAILED", "RETRYING", "TIME_LIMIT_EXCEEDED"]),
        in_progress: run(&["IN_PROGRESS"]).map(|_| "a snapshot".to_owned()),
        revision: format!(
            "?if_seq_no={}&if_primary_term={}",
            number(&answer["_seq_no"]),
            number(&answer["_primary_term"])
        ),
        body,
    })
}

/// Somebody else's change in between is refused by the server.
pub(super) async fn put(
    client: &Client,
    name: &str,
    mut body: Value,
    found: Option<&Policy>,
) -> Result<(), Error> {
    let doing = format!("install the policy `{name}`");
    body["enabled"] = json!(found.is_none_or(|found| found.is_running));
    let request = match found {
        None => Request::post(path(name), doing, Repeat::Never),
        Some(found) => {
            let path = format!("{}{}", path(name), found.revision);
            Request::put(path, doing, Repeat::Never)
        }
    };
    client.ask(request.body(body)).await.map(drop)
}

pub(super) async fn remove(client: &Client, name: &str) -> Result<(), Error> {
    let doing = format!("remove the policy `{name}`");
    let request = Request::delete(path(name), doing, Repeat::Safe);
    match client.ask(request).await {
        Err(Error::Refused { refusal, .. }) if refusal.status == 404 => Ok(()),
        other => other.map(drop),
    }
}

/// Policies that are carried out.
pub(super) async fn running(client: &Client) -> Result<Vec<String>, Error> {
    let path = format!("{POLICIES}?size=1000");
    let answer = client.ask(Request::get(path, "list its policies")).await?;
    let policies = answer["policies"].as_array();
    let running = policies.into_iter().flatten().filter_map(|policy| {
        let policy = &policy["sm_policy"];
        let name = policy["name"].as_str()?.to_owned();
        (policy["enabled"] != false).then_some(name)
    });
    Ok(running.collect())
}

pub(super) async fn start(client: &Client, name: &str) -> Result<(), Error> {
    say(client, name, "start").await
}

pub(super) async fn stop(client: &Client, name: &str) -> Result<(), Error> {
    say(client, name, "stop").await
}

async fn say(client: &Client, name: &str, what: &str) -> Result<(), Error> {
    let doing = format!("{what} the policy `{name}`");
    let request = Request::post(format!("{}/_{what}", path(name)), doing, Repeat::Safe);
    match client.ask(request).await {
        // Removed meanwhile.
        Err(Error::Refused { refusal, .. }) if refusal.status == 404 => Ok(()),
        other => other.map(drop),
    }
}
