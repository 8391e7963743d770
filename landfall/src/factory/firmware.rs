//! Firmware that devices take by themselves: releases in bundles that the manufacturer signs (TUF).

use crate::{
    admin::private_key,
    output::{Answer, Output},
};
use anyhow::Context;
use clap::Subcommand;
use landfall_pki::{Signer, SoftwareKey};
use landfall_tuf::{
    Archive,
    firmware::Release,
    publish::{self, Target},
};
use landfall_types::{Model, Time};
use serde_json::json;
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

const DAY: Duration = Duration::from_secs(86_400);

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Writes the root: which keys sign releases, and how many of them must. Devices are made with it.
    Root {
        /// A private key, PKCS#8 in PEM, Ed25519 or on P-256; may be repeated.
        #[arg(long = "key", value_name = "FILE", required = true)]
        keys: Vec<PathBuf>,
        /// How many of the keys must sign.
        #[arg(long, default_value_t = 1)]
        threshold: usize,
        /// The number of the root. One that replaces another has the next, goes into each bundle, and devices follow it.
        #[arg(long, default_value_t = 1)]
        number: u64,
        /// A key of the root that it replaces, as many as must sign by that; may be repeated.
        #[arg(long = "before", value_name = "FILE")]
        before: Vec<PathBuf>,
        /// For how many days it holds.
        #[arg(long, default_value_t = 3650)]
        days: u32,
        /// The file to write.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Puts a release into a bundle and signs it: an archive that devices read, or that is unpacked where a web server finds it.
    Publish {
        /// The image.
        image: PathBuf,
        /// What the manufacturer calls itself: `[update] vendor` of its devices.
        #[arg(long)]
        vendor: String,
        /// The model that it is for.
        #[arg(long)]
        model: Model,
        /// What the release is called.
        #[arg(long = "release", value_name = "TEXT")]
        called: String,
        /// Higher than that of any release before it: no device goes back. Without it, the number of the bundle.
        #[arg(long, value_name = "NUMBER")]
        sequence: Option<u64>,
        /// A private key, as many as must sign; may be repeated.
        #[arg(long = "key", value_name = "FILE", required = true)]
        keys: Vec<PathBuf>,
        /// Roots that have replaced the one that devices were made with, in order; may be repeated.
        #[arg(long = "root", value_name = "FILE")]
        roots: Vec<PathBuf>,
        /// The number of the bundle: higher than that of the last one; without it, the seconds of the clock.
        #[arg(long)]
        number: Option<u64>,
        /// For how many days it holds: devices take nothing from an older one, so it is signed anew before.
        #[arg(long, default_value_t = 30)]
        days: u32,
        /// The archive to write.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
}

pub(super) fn run(verb: &Verb, output: &Output) -> anyhow::Result<Answer> {
    match verb {
        Verb::Root { keys, threshold, number, before, days, out } => {
            let (keys, before) = (read(keys)?, read(before)?);
            let until = Time::now() + DAY * *days;
            let root = publish::root_of(&signers(&keys), *threshold, *number, until, &signers(&before))?;
            write(out, &root)?;
            output.show_as(&json!({ "root": out, "number": number }), || {
                format!("{} is root {number}, by which {threshold} of {} keys must sign", out.display(), keys.len())
            })?;
        }
        Verb::Publish { image, vendor, model, called, sequence, keys, roots, number, days, out } => {
            let now = Time::now();
            let number = number.unwrap_or_else(|| now.since(Time::from_unix(0)).as_secs());
            let name = image.file_name().and_then(|name| name.to_str());
            let name = format!("{model}/{}", name.with_context(|| format!("{} is no file", image.display()))?);
            let release = Release {
                vendor: vendor.clone(),
                model: model.to_string(),
                version: called.clone(),
                sequence: sequence.unwrap_or(number),
            };
            let content = fs::read(image).with_context(|| format!("reading {}", image.display()))?;
            let files = BTreeMap::from([(name, Target { content, custom: Some(release.custom()) })]);
            let keys = read(keys)?;
            let mut bundle = publish::bundle_of(&signers(&keys), number, now + DAY * *days, &files)?;
            for (path, number) in roots.iter().zip(2..) {
                let root = fs::read(path).with_context(|| format!("reading {}", path.display()))?;
                bundle.insert(format!("{number}.root.json"), root);
            }
            write(out, &Archive::write(&bundle).context("a name is too long for an archive")?)?;
            output.show_as(&json!({ "bundle": out, "number": number, "release": release }), || {
                format!("{} is bundle {number} with {model} {called}, and holds for {days} days", out.display())
            })?;
        }
    }
    Ok(Answer::Yes)
}

fn read(paths: &[PathBuf]) -> anyhow::Result<Vec<SoftwareKey>> {
    paths.iter().map(|path| private_key(path)).collect()
}

fn signers(keys: &[SoftwareKey]) -> Vec<&dyn Signer> {
    keys.iter().map(|key| key as &dyn Signer).collect()
}

fn write(path: &Path, content: &[u8]) -> anyhow::Result<()> {
    fs::write(path, content).with_context(|| format!("writing {}", path.display()))
}
