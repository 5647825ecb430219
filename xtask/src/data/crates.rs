//! The dependency graph of this workspace, from `cargo metadata`.
//!
//! Packages are components; each way in which one package needs another is a relation, so that a crate
//! needed both for building and for running has two to the same target.

use std::collections::HashMap;
use std::io::{BufRead, Write};
use std::process::Stdio;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::payload::{Components, Counts};
use crate::cargo;

/// Runs `cargo metadata` and writes what it says as a payload.
pub(crate) fn write(sink: impl Write) -> Result<Counts> {
    let host = host()?;
    let output = cargo::cargo(&["metadata", "--format-version=1", "--locked"])
        // Otherwise the crates of all other platforms would be fetched.
        .args(["--filter-platform", &host])
        .stderr(Stdio::inherit())
        .output()
        .context("cannot run cargo")?;
    convert(&output.stdout, sink)
}

fn host() -> Result<String> {
    let output = cargo::command("rustc").arg("-vV").output()?;
    output
        .stdout
        .lines()
        .map_while(Result::ok)
        .find_map(|line| Some(line.strip_prefix("host: ")?.to_owned()))
        .context("rustc does not name its host")
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    resolve: Resolve,
}

/// A package, with the fields that go into its component as they are. People are left out.
#[derive(Deserialize, Serialize)]
struct Package {
    #[serde(skip_serializing)]
    id: String,
    name: String,
    version: String,
    /// The registry; none for the workspace's own.
    source: Option<String>,
    license: Option<String>,
    description: Option<String>,
    edition: Option<String>,
    rust_version: Option<String>,
    repository: Option<String>,
    links: Option<String>,
    #[serde(default)]
    categories: Vec<String>,
    #[serde(default)]
    keywords: Vec<String>,
    #[serde(default)]
    features: HashMap<String, Vec<String>>,
}

#[derive(Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    deps: Vec<Dependency>,
    #[serde(default)]
    features: Vec<String>,
}

#[derive(Deserialize)]
struct Dependency {
    /// As the code of the dependent names it.
    name: String,
    pkg: String,
    #[serde(default)]
    dep_kinds: Vec<Kind>,
}

#[derive(Deserialize)]
struct Kind {
    kind: Option<String>,
    target: Option<String>,
}

#[derive(Serialize)]
struct ComponentData<'a> {
    #[serde(flatten)]
    package: &'a Package,
    enabled: &'a [String],
}

#[derive(Serialize)]
struct RelationData<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<&'a str>,
}

fn convert(metadata: &[u8], sink: impl Write) -> Result<Counts> {
    let metadata: Metadata =
        serde_json::from_slice(metadata).context("cannot read what cargo metadata printed")?;
    let urns: HashMap<&str, String> = metadata
        .packages
        .iter()
        .map(|package| (package.id.as_str(), urn(package)))
        .collect();
    let nodes: HashMap<&str, &Node> = metadata
        .resolve
        .nodes
        .iter()
        .map(|node| (node.id.as_str(), node))
        .collect();

    let mut components = Components::start(sink, "cargo metadata")?;
    for package in &metadata.packages {
        let enabled = nodes
            .get(package.id.as_str())
            .map_or(&[][..], |node| &node.features);
        let data = ComponentData { package, enabled };
        components.add(&urns[package.id.as_str()], "crate", &data)?;
    }
    let mut relations = components.then()?;
    for node in &metadata.resolve.nodes {
        for dependency in &node.deps {
            let ends = urns
                .get(node.id.as_str())
                .zip(urns.get(dependency.pkg.as_str()));
            let Some((source, target)) = ends else {
                continue;
            };
            for kind in &dependency.dep_kinds {
                let data = RelationData {
                    name: &dependency.name,
                    target: kind.target.as_deref(),
                };
                relations.add((source, target), relation(kind), &data)?;
            }
        }
    }
    Ok(relations.finish()?)
}

/// Names and versions are unique in one lock file for each source; cargo's own ids hold paths of this machine.
fn urn(package: &Package) -> String {
    let origin = if package.source.is_some() {
        "registry"
    } else {
        "workspace"
    };
    format!("urn:cargo:/{origin}/{}@{}", package.name, package.version)
}

fn relation(kind: &Kind) -> &'static str {
    match kind.kind.as_deref() {
        Some("build") => "builds-with",
        Some("dev") => "tests-with",
        _ => "depends-on",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn converted(metadata: &Value) -> Result<Value> {
        let mut bytes = Vec::new();
        convert(metadata.to_string().as_bytes(), &mut bytes)?;
        Ok(serde_json::from_slice(&bytes)?)
    }

    #[test]
    fn a_crate_needed_in_two_ways_has_two_relations() {
        let payload = converted(&json!({
            "packages": [
                {"id": "path+file:///home/a#own@0.1.0", "name": "own", "version": "0.1.0", "source": null,
                 "authors": ["somebody"], "manifest_path": "/home/a/Cargo.toml"},
                {"id": "registry#cc@1.0.0", "name": "cc", "version": "1.0.0", "source": "registry", "license": "MIT"},
            ],
            "resolve": {"nodes": [
                {"id": "path+file:///home/a#own@0.1.0", "features": ["default"], "deps": [
                    {"name": "cc", "pkg": "registry#cc@1.0.0", "dep_kinds": [
                        {"kind": null, "target": null}, {"kind": "build", "target": "cfg(unix)"}]},
                    {"name": "gone", "pkg": "registry#gone@1.0.0", "dep_kinds": [{"kind": null, "target": null}]},
                ]},
                {"id": "registry#cc@1.0.0", "deps": []},
            ]},
        }))
        .unwrap();
        assert_eq!(
            payload["relations"],
            json!([
                {"source_id": "urn:cargo:/workspace/own@0.1.0", "target_id": "urn:cargo:/registry/cc@1.0.0",
                 "type": "depends-on", "data": {"name": "cc"}},
                {"source_id": "urn:cargo:/workspace/own@0.1.0", "target_id": "urn:cargo:/registry/cc@1.0.0",
                 "type": "builds-with", "data": {"name": "cc", "target": "cfg(unix)"}},
            ])
        );
        assert_eq!(
            payload["components"][0]["data"]["enabled"],
            json!(["default"])
        );
        assert_eq!(payload["components"][1]["data"]["license"], json!("MIT"));
        let text = payload.to_string();
        assert!(
            !text.contains("/home/a") && !text.contains("somebody"),
            "{text}"
        );
    }

    #[test]
    fn metadata_without_a_resolution_is_refused() {
        assert!(converted(&json!({"packages": [], "resolve": null})).is_err());
        assert!(convert(b"", Vec::new()).is_err());
    }

    #[test]
    fn reads_the_metadata_of_this_workspace() {
        let counts = write(std::io::sink()).unwrap();
        assert!(counts.components > 20, "{counts:?}");
        assert!(counts.relations > counts.components, "{counts:?}");
    }
}
