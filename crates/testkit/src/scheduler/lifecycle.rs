//! Snapshot lifecycle management, as the reference of Elasticsearch describes its requests.

use serde_json::{Value, json};

use super::{Policy, Said, State, acknowledged, refused};

/// So often it says that it is stopping.
const STOPPING: u32 = 2;

pub(super) fn answer(state: &mut State, method: &str, target: &str, body: Value) -> Option<Said> {
    let path = target.split('?').next()?.strip_prefix("/_slm/")?;
    Some(match (method, path.split_once('/')) {
        ("GET", None) if path == "status" => {
            let mode = match (state.is_stopped, state.stopping) {
                (false, _) => "RUNNING",
                (true, 0) => "STOPPED",
                (true, _) => "STOPPING",
            };
            state.stopping = state.stopping.saturating_sub(1);
            (200, json!({"operation_mode": mode}))
        }
        ("POST", None) if path == "stop" => {
            if !state.is_stopped {
                (state.is_stopped, state.stopping) = (true, STOPPING);
            }
            acknowledged()
        }
        ("POST", None) if path == "start" => {
            state.is_stopped = false;
            acknowledged()
        }
        ("GET", None) if path == "policy" => {
            let all = state.policies.iter();
            let all = all.map(|(name, policy)| (name.clone(), described(policy)));
            (200, Value::Object(all.collect()))
        }
        ("PUT", Some(("policy", name))) => put(state, name, body),
        ("GET", Some(("policy", name))) => match state.policies.get(name) {
            Some(policy) => (200, json!({name: described(policy)})),
            None => missing(name),
        },
        ("DELETE", Some(("policy", name))) => match state.policies.remove(name) {
            Some(_) => acknowledged(),
            None => missing(name),
        },
        _ => (
            405,
            json!({"error": format!("Incorrect HTTP method for uri [{target}] and method [{method}]"), "status": 405}),
        ),
    })
}

fn described(policy: &Policy) -> Value {
    let mut item = json!({
        "version": policy.version,
        "modified_date_millis": 1_795_400_777_210_u64,
        "policy": policy.body,
        "next_execution_millis": 1_795_500_000_000_u64,
        "stats": {"snapshots_taken": 0, "snapshots_failed": 0, "snapshots_deleted": 0, "snapshot_deletion_failures": 0},
    });
    for (name, value) in policy.runs.as_object().into_iter().flatten() {
        item[name] = value.clone();
    }
    item
}

fn put(state: &mut State, name: &str, body: Value) -> Said {
    let missing = ["name", "schedule", "repository"]
        .into_iter()
        .find(|field| !body[*field].is_string());
    if let Some(field) = missing {
        let reason = format!("Required [{field}]");
        return refused(400, "x_content_parse_exception", &reason);
    }
    let retention = &body["retention"];
    let count = |field: &str| retention[field].as_u64();
    if count("min_count") > count("max_count") {
        let reason = format!(
            "minimum snapshot count {} cannot be larger than maximum snapshot count {}",
            count("min_count").unwrap_or(0),
            count("max_count").unwrap_or(0)
        );
        return refused(400, "illegal_argument_exception", &reason);
    }
    let before = state.policies.get(name);
    let version = before.map_or(1, |before| before.version + 1);
    let runs = before.map_or(Value::Null, |before| before.runs.clone());
    let policy = Policy {
        body,
        version,
        runs,
    };
    state.policies.insert(name.to_owned(), policy);
    acknowledged()
}

fn missing(name: &str) -> Said {
    let reason = format!("snapshot lifecycle policy or policies [{name}] not found");
    refused(404, "resource_not_found_exception", &reason)
}
