//! Who depends on whom, from `cargo metadata`.

use crate::root;
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    process::Command,
};

/// All packages of the workspace and everything they use, by package id.
#[derive(Debug, Default)]
pub(crate) struct Graph(pub(crate) BTreeMap<String, Package>);

/// One package.
#[derive(Clone, Debug, Default)]
pub(crate) struct Package {
    pub(crate) name: String,
    /// Its folder from the workspace's root, for a member: `adapters/store`.
    pub(crate) folder: Option<String>,
    /// The SPDX expression in its manifest.
    pub(crate) licence: Option<String>,
    /// Ids of what it is built with, for use.
    pub(crate) normal: Vec<String>,
    /// Ids of what only its tests use.
    pub(crate) dev: Vec<String>,
}

impl Graph {
    /// The workspace's own graph.
    pub(crate) fn load() -> Result<Self> {
        let arguments = ["metadata", "--format-version=1", "--locked"];
        let output = Command::new("cargo").args(arguments).current_dir(root()).output().context("cargo metadata")?;
        ensure!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
        Ok(Self::read(&serde_json::from_slice(&output.stdout)?))
    }

    fn read(metadata: &Value) -> Self {
        let base = format!("{}/", text(&metadata["workspace_root"]));
        let members: BTreeSet<&str> = items(&metadata["workspace_members"]).map(text).collect();
        let mut graph = Self::default();
        for package in items(&metadata["packages"]) {
            let id = text(&package["id"]);
            let manifest = text(&package["manifest_path"]);
            let folder = manifest.strip_prefix(&base).and_then(|path| path.strip_suffix("/Cargo.toml"));
            let package = Package {
                name: text(&package["name"]).to_owned(),
                folder: folder.filter(|_| members.contains(id)).map(str::to_owned),
                licence: package["license"].as_str().map(str::to_owned),
                ..Package::default()
            };
            graph.0.insert(id.to_owned(), package);
        }
        for node in items(metadata.pointer("/resolve/nodes").unwrap_or(&Value::Null)) {
            let Some(package) = graph.0.get_mut(text(&node["id"])) else { continue };
            for edge in items(&node["deps"]) {
                let to = text(&edge["pkg"]);
                // A kind of null is a normal dependency; a build dependency shapes what is built, so it counts as one.
                let kinds: BTreeSet<&str> = items(&edge["dep_kinds"]).map(|kind| text(&kind["kind"])).collect();
                if kinds.iter().any(|kind| *kind != "dev") {
                    package.normal.push(to.to_owned());
                }
                if kinds.contains("dev") {
                    package.dev.push(to.to_owned());
                }
            }
        }
        graph
    }

    /// The packages of the workspace.
    pub(crate) fn members(&self) -> impl Iterator<Item = (&Package, &str)> {
        self.0.values().filter_map(|package| Some((package, package.folder.as_deref()?)))
    }

    /// The packages with those ids.
    pub(crate) fn of<'a>(&'a self, ids: &'a [String]) -> impl Iterator<Item = &'a Package> {
        ids.iter().filter_map(|id| self.0.get(id))
    }

    /// Everything that `package` is built with, however far down.
    pub(crate) fn reach<'a>(&'a self, package: &'a Package) -> Vec<&'a Package> {
        let (mut seen, mut next) = (BTreeSet::new(), vec![package]);
        let mut reached = Vec::new();
        while let Some(package) = next.pop() {
            for id in &package.normal {
                let Some(found) = self.0.get(id).filter(|_| seen.insert(id)) else { continue };
                reached.push(found);
                next.push(found);
            }
        }
        reached.sort_by(|a, b| a.name.cmp(&b.name));
        reached
    }
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
