//! Lists of devices whose keys come from elsewhere. One that is rejected does not keep the others from being made.

use super::{Answer, Output, counted, proof, write};
use anyhow::{Context, bail};
use landfall_element::files;
use landfall_lifecycle::factory::Product;
use landfall_pki::Certificate;
use landfall_server::factory::{Factory, FactoryError};
use landfall_types::{DeviceBundle, Model, Redacted, SerialNumber};
use std::{
    fs,
    path::{Path, PathBuf},
};

pub(super) fn adopt(factory: &Factory, list: &Path, anchors: &[PathBuf], model: &Model) -> anyhow::Result<Done> {
    let anchors = proof::verifier(anchors)?.makers;
    let pem = fs::read_to_string(list).with_context(|| format!("reading {}", list.display()))?;
    let all = Certificate::chain_from_pem(&pem).with_context(|| format!("reading {}", list.display()))?;
    let (above, devices): (Vec<_>, Vec<_>) = all.into_iter().partition(Certificate::is_ca);
    let mut done = Done::default();
    for idevid in &devices {
        done.add(|| idevid.subject(), factory.adopt(model, idevid, &above, &anchors))?;
    }
    Ok(done)
}

pub(super) fn derive(factory: &Factory, product: &Product, seeds: &Path) -> anyhow::Result<Done> {
    let seeds = if seeds.as_os_str() == "-" { Path::new("/dev/stdin") } else { seeds };
    if files::is_on_disk(seeds)? {
        bail!(
            "{}: seeds lie there in clear, for whoever gets hold of the disk. Pass them through a pipe from whatever opens their \
             envelope, such as `openssl cms -decrypt`, and destroy the file",
            seeds.display()
        );
    }
    let text = fs::read_to_string(seeds).with_context(|| format!("reading {}", seeds.display()))?;
    let text = Redacted::new(text);
    let lines = (1..).zip(text.expose().lines()).filter(|(_, line)| !line.trim().is_empty());
    let mut done = Done::default();
    for (number, line) in lines {
        // Nothing of the line is repeated: it holds a seed.
        let Some((serial, seed)) = line.split_once(',') else { bail!("line {number} is not SERIAL,SEED") };
        let serial: SerialNumber = serial.trim().parse().with_context(|| format!("line {number}"))?;
        let Ok(seed) = hex::decode(seed.trim()) else { bail!("line {number}: the seed is not hexadecimal") };
        let seed = Redacted::new(seed);
        done.add(|| format!("line {number}"), factory.derive(product, serial, &seed))?;
    }
    Ok(done)
}

/// What became of a list.
#[derive(Default)]
pub(super) struct Done {
    bundles: Vec<DeviceBundle>,
    rejected: Vec<String>,
}

impl Done {
    /// Goes on after a device that was rejected, which is on record; what else fails ends it.
    fn add(&mut self, what: impl Fn() -> String, made: Result<DeviceBundle, FactoryError>) -> anyhow::Result<()> {
        match made {
            Ok(bundle) => self.bundles.push(bundle),
            Err(why) if why.is_rejection() => self.rejected.push(format!("{}: {why}", what())),
            Err(why) => return Err(why).with_context(what),
        }
        Ok(())
    }
}

pub(super) fn hand_out(done: &Done, folder: &Path, output: &Output) -> anyhow::Result<Answer> {
    let Done { bundles, rejected } = done;
    fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    for bundle in bundles {
        let name: String = bundle
            .serial_number
            .as_str()
            .chars()
            .map(|c| if c.is_alphanumeric() || c == '-' { c } else { '_' })
            .collect();
        write(&folder.join(format!("{name}.json")), serde_json::to_string_pretty(bundle)?.as_bytes())?;
    }
    let count = u64::try_from(bundles.len()).unwrap_or(u64::MAX);
    output.show_as(&serde_json::json!({ "devices": count, "rejected": rejected }), || {
        let rejected: Vec<String> = rejected.iter().map(|one| format!("\nrejected: {one}")).collect();
        format!("{}, bundles in {}{}", counted(count, "device"), folder.display(), rejected.concat())
    })?;
    Ok(rejected.is_empty().into())
}
