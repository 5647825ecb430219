//! Snapshot Management, as the documentation of OpenSearch describes its requests.

use serde_json::{Value, json};

use super::{Policy, Said, State, acknowledged, refused};

pub(super) fn answer(state: &mut State, method: &str, target: &str, body: Value) -> Option<Said> {
    let rest = target.strip_prefix("/_plugins/_sm/policies")?;
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    let path = path.trim_start_matches('/');
    if path.is_empty() {
        let policies: Vec<Value> = state
            .policies
            .iter()
            .map(|(name, policy)| described(name, policy))
            .collect();
        let total = policies.len();
        return Some((200, json!({"policies": policies, "total_policies": total})));
    }
    let (name, action) = path.split_once('/').unwrap_or((path, ""));
    let found = state.policies.get_mut(name);
    Some(match (method, action, found) {
        ("POST", "", Some(_)) => refused(
            409,
            "version_conflict_engine_exception",
            &format!("[{name}-sm-policy]: version conflict, document already exists"),
        ),
        ("POST", "", None) => put(state, name, body, 201),
        ("PUT", "", found) => {
            let expected = found.map_or(0, |policy| policy.version);
            if query == format!("if_seq_no={expected}&if_primary_term=1") {
                put(state, name, body, 200)
            } else {
                refused(
                    409,
                    "version_conflict_engine_exception",
                    &format!("[{name}-sm-policy]: version conflict, current [{expected}]"),
                )
            }
        }
        (_, _, None) => refused(
            404,
            "status_exception",
            "Snapshot management policy not found",
        ),
        ("GET", "", Some(policy)) => (200, described(name, policy)),
        ("GET", "_explain", Some(policy)) => {
            let mut explained = json!({"name": name, "enabled": policy.body["enabled"], "policy_seq_no": policy.version, "policy_primary_term": 1});
            for (field, value) in policy.runs.as_object().into_iter().flatten() {
                explained[field] = value.clone();
            }
            (200, json!({"policies": [explained]}))
        }
        ("POST", "_start" | "_stop", Some(policy)) => {
            policy.body["enabled"] = json!(action == "_start");
            policy.version += 1;
            acknowledged()
        }
        ("DELETE", "", Some(_)) => {
            state.policies.remove(name);
            (
                200,
                json!({"_index": ".opendistro-ism-config", "_id": format!("{name}-sm-policy"), "result": "deleted"}),
            )
        }
        _ => (
            400,
            json!({"error": format!("no handler found for uri [{target}] and method [{method}]")}),
        ),
    })
}

fn described(name: &str, policy: &Policy) -> Value {
    let mut body = policy.body.clone();
    body["name"] = json!(name);
    body["schema_version"] = json!(21);
    json!({"_id": format!("{name}-sm-policy"), "_version": policy.version, "_seq_no": policy.version, "_primary_term": 1, "sm_policy": body})
}

fn put(state: &mut State, name: &str, mut body: Value, status: u16) -> Said {
    let condition = &body["deletion"]["condition"];
    let [least, most] = ["min_count", "max_count"].map(|field| condition[field].as_u64());
    let problem = if body["snapshot_config"]["repository"].as_str().is_none() {
        "Must provide the repository in snapshot config."
    } else if least == Some(0) {
        "min_count should be bigger than 0."
    } else if most.is_some_and(|most| Some(most) <= least) {
        "max_count should be bigger than min_count."
    } else if !fields(&body, "creation") || !fields(&body, "deletion") {
        "Next execution time from the creation schedule is null, please provide a valid cron expression."
    } else {
        ""
    };
    if !problem.is_empty() {
        return refused(400, "illegal_argument_exception", problem);
    }
    if body["enabled"].is_null() {
        body["enabled"] = json!(true);
    }
    let before = state.policies.get(name);
    let version = before.map_or(7, |before| before.version + 1);
    let runs = before.map_or(Value::Null, |before| before.runs.clone());
    let policy = Policy {
        body,
        version,
        runs,
    };
    let said = described(name, &policy);
    state.policies.insert(name.to_owned(), policy);
    (status, said)
}

/// Whether the schedule has five fields.
fn fields(body: &Value, part: &str) -> bool {
    let expression = body[part]["schedule"]["cron"]["expression"].as_str();
    expression.is_some_and(|text| text.split(' ').count() == 5)
}
