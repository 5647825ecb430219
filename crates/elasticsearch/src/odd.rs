//! Answers as no server gives them, for property tests: good ones in which anything stands where something else should.

use proptest::prelude::*;
use serde_json::{Value, json};

/// A good answer, with any of its values, or whole branches, replaced.
pub(crate) fn answer(good: &Value) -> impl Strategy<Value = Value> + use<> {
    let good = good.clone();
    prop::collection::vec((any::<prop::sample::Index>(), value()), 0..6).prop_map(move |changes| {
        let mut answer = good.clone();
        for (at, odd) in changes {
            let mut at = at.index(count(&answer));
            replace(&mut answer, &mut at, &odd);
        }
        answer
    })
}

/// What stands in no documentation.
fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(|number| json!(number)),
        Just(json!(u64::MAX)),
        Just(json!(u64::MAX.to_string())),
        "\\PC{0,12}".prop_map(Value::from),
        Just(json!([])),
        Just(json!({})),
        Just(json!([[{"": []}], null])),
    ]
}

fn count(value: &Value) -> usize {
    1 + match value {
        Value::Array(all) => all.iter().map(count).sum(),
        Value::Object(all) => all.values().map(count).sum(),
        _ => 0,
    }
}

/// Replaces the value that is reached after so many others.
fn replace(value: &mut Value, at: &mut usize, odd: &Value) -> bool {
    if *at == 0 {
        value.clone_from(odd);
        return true;
    }
    *at -= 1;
    match value {
        Value::Array(all) => all.iter_mut().any(|inner| replace(inner, at, odd)),
        Value::Object(all) => all.values_mut().any(|inner| replace(inner, at, odd)),
        _ => false,
    }
}
