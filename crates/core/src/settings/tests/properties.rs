//! What holds for any text.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::{attempt, from, from_all, plain};
use crate::settings::{Settings, Source, keys};

/// Texts made of what values files are made of, so that many of them parse.
fn yaml_like() -> impl Strategy<Value = String> {
    let pieces = prop::sample::select(vec![
        "backup",
        "minio",
        "enabled",
        "stackGraph",
        "accessKey",
        "global",
        "lifeboat",
        ": ",
        ":",
        "\n",
        "\n  ",
        "\n    ",
        "- ",
        "[",
        "]",
        "{",
        "}",
        ",",
        "\"",
        "'",
        "&a ",
        "*a",
        "<<: ",
        "!!str ",
        "|",
        ">-",
        "#",
        "---",
        "...",
        "?",
        "true",
        "no",
        "5",
        "~",
        "\t",
        "%",
        "é",
        "\u{feff}",
        "\\",
        "\\x",
        "0 3 * * *",
        "\r\n",
    ]);
    prop::collection::vec(pieces, 0..40).prop_map(|pieces| pieces.concat())
}

/// One valid way to say each key that is not secret.
fn assignments() -> Vec<&'static str> {
    vec![
        "backup.enabled=true",
        "backup.enabled=false",
        "global.backup.enabled=true",
        "backup.storage.backend.s3.region=eu-1",
        "backup.stackGraph.s3Prefix=/a b/c",
        "backup.stackGraph.bucketName=mine.1",
        "backup.stackGraph.scheduled.schedule=1 2 * * *",
        "backup.stackGraph.scheduled.backupRetentionTimeDelta=weeks = 2",
        "backup.elasticsearch.scheduled.indices={a: b,c\"d,é}",
        "backup.elasticsearch.scheduled.snapshotRetentionMinCount=0",
        "victoria-metrics-0.backup.enabled=true",
        "victoria-metrics-0.backup.scheduled.schedule=* * * * *",
        "victoria-metrics-1.backup.scheduled.hourly=2 * * * *",
        "victoria-metrics-1.backup.scheduled.daily=3 4 * * *",
        "victoria-metrics-1.restore.enabled=true",
        "lifeboat.timeZone=Europe/Amsterdam",
        "lifeboat.gateway.volume=no",
        "lifeboat.stackgraph.path=/a #b: c",
        "lifeboat.stackgraph.memory=1Gi",
        "lifeboat.gateway.listen=[::1]:80",
    ]
}

/// Takes the shown values as values files, one for each key, secrets left out.
fn read_again(settings: &Settings) -> Settings {
    let shown = settings
        .effective()
        .iter()
        .filter(|entry| !keys::get(entry.path).is_secret());
    let sources: Vec<_> = shown
        .map(|entry| Source {
            name: "shown.yaml".to_owned(),
            text: nested(entry.path, &entry.value),
        })
        .collect();
    Settings::from_values(&sources, &[], &BTreeMap::new()).unwrap()
}

/// Writes `a.b: value` as Helm wants it.
fn nested(path: &str, value: &str) -> String {
    let segments: Vec<_> = path.split('.').collect();
    let keys: Vec<_> = segments
        .iter()
        .enumerate()
        .map(|(depth, segment)| format!("{}{segment}:", "  ".repeat(depth)))
        .collect();
    format!("{} {value}\n", keys.join("\n"))
}

proptest! {
    #[test]
    fn no_text_makes_reading_panic(text in any::<String>()) {
        let _settings = attempt(&text);
    }

    #[test]
    fn no_values_like_text_makes_reading_panic(text in yaml_like()) {
        if let Err(errors) = attempt(&text) {
            prop_assert!(errors.iter().count() > 0);
            prop_assert!(!errors.to_string().is_empty());
        }
    }

    #[test]
    fn no_set_argument_makes_reading_panic(text in r"[a-c.=,\[\]{}\\0-9]{0,24}") {
        let _settings = from_all(&["a: {b: [1]}"], &[&text], &[]);
    }

    #[test]
    fn every_text_under_foreign_keys_is_ignored(text in "[a-zA-Z0-9 ]{0,12}", number in any::<i64>()) {
        let values = format!("other: '{text}'\nserver: {{a: {number}, b: ['{text}']}}\nminio: {{resources: {{x: '{text}'}}}}\n");
        prop_assert_eq!(plain(&from(&values)), plain(&from("")));
    }

    #[test]
    fn the_order_of_unrelated_sections_does_not_matter(order in Just(vec![
        "backup: {enabled: true}\n",
        "minio: {persistence: {enabled: true}}\n",
        "victoria-metrics-0: {backup: {enabled: true}}\n",
        "lifeboat: {timeZone: UTC}\n",
        "unrelated: [1, 2]\n",
    ]).prop_shuffle()) {
        let sorted = from("backup: {enabled: true}\nminio: {persistence: {enabled: true}}\nvictoria-metrics-0: {backup: {enabled: true}}\nlifeboat: {timeZone: UTC}\n");
        prop_assert_eq!(plain(&from(&order.concat())), plain(&sorted));
    }

    #[test]
    fn what_is_shown_reads_back_to_the_same_settings(
        mut said in prop::sample::subsequence(assignments(), 0..=assignments().len()),
        storage in prop::sample::select(vec!["pvc", "s3", "azure"]),
        chosen in any::<bool>(),
    ) {
        let storage = format!("backup.storage.backend.{storage}.enabled={chosen}");
        said.push(&storage);
        let settings = from_all(&[], &said, &[]).unwrap();
        prop_assert_eq!(plain(&read_again(&settings)), plain(&settings));
    }

    #[test]
    fn a_misspelt_key_is_always_refused_with_a_suggestion(index in any::<prop::sample::Index>(), cut in any::<prop::sample::Index>()) {
        let known: Vec<_> = keys::all().filter(|key| key.is_read()).map(|key| key.path).collect();
        let path = known[index.index(known.len())];
        let (section, name) = path.rsplit_once('.').unwrap();
        let mut misspelt: Vec<char> = name.chars().collect();
        misspelt.remove(cut.index(misspelt.len()));
        let misspelt: String = misspelt.into_iter().collect();
        let argument = format!("{section}.{misspelt}=1");
        let errors = from_all(&[], &[&argument], &[]).unwrap_err().to_string();
        prop_assert!(errors.contains("unknown key") && errors.contains("did you mean"), "{}", errors);
    }
}
