//! `landfall verification attest`: what good software looks like, and what was made of what devices showed.

use crate::{
    inspect,
    output::{Answer, Output},
};
use anyhow::{Context as _, bail};
use clap::Subcommand;
use landfall_attest::{
    Ear, EventLog, ReferenceValues, Release, Tier, corim,
    log::{IPL, event},
};
use landfall_pki::{PublicKey, SoftwareKey, pem};
use landfall_types::{Fingerprint, Redacted, Time};
use std::{
    fs,
    path::{Path, PathBuf},
};

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Adds a release to a file of reference values, which is made if it is not there.
    Add {
        /// The file.
        values: PathBuf,
        /// The manufacturer, by the name that the domain has for it.
        #[arg(long)]
        vendor: String,
        /// The model.
        #[arg(long)]
        model: String,
        /// The version of the firmware.
        #[arg(long)]
        firmware: String,
        /// A file that is measured into a PCR: `PCR=FILE`; may be repeated, in the order in which they are measured.
        #[arg(long, value_name = "PCR=FILE", value_parser = measured)]
        image: Vec<(u8, PathBuf)>,
        /// The event log of a device that runs it; its PCRs are taken over.
        #[arg(long, value_name = "FILE")]
        event_log: Option<PathBuf>,
        /// The firmware of devices without a TPM.
        #[arg(long, value_name = "FILE")]
        software: Option<PathBuf>,
        /// From when on it is good.
        #[arg(long)]
        from: Option<Time>,
        /// Until when; that of the release before ends here, and both are good meanwhile.
        #[arg(long)]
        until: Option<Time>,
        /// It must not be used any more.
        #[arg(long)]
        withdrawn: bool,
    },
    /// Signs a file of reference values; what comes out is for the registrar.
    Sign {
        /// The file.
        values: PathBuf,
        /// The private key, PKCS#8 in PEM, on P-256 or P-384.
        #[arg(long)]
        key: PathBuf,
    },
    /// Says which releases are known by signed reference values.
    List {
        /// The files.
        #[arg(required = true)]
        values: Vec<PathBuf>,
    },
    /// Checks an attestation result or reference values against the key that may sign them: yes if it did, and a result is
    /// affirming and not too old.
    Verify {
        /// The file.
        file: PathBuf,
        /// Whose signature counts: certificates or public keys in PEM.
        #[arg(long, required = true, value_name = "FILE")]
        by: Vec<PathBuf>,
        /// The time at which it has to be good; now if not given.
        #[arg(long)]
        at: Option<Time>,
    },
    /// Says what evidence, a quote, an event log or a result holds.
    Show {
        /// The file.
        file: PathBuf,
    },
}

fn measured(text: &str) -> Result<(u8, PathBuf), String> {
    let (pcr, path) = text.split_once('=').ok_or("it is PCR=FILE")?;
    let pcr = pcr.parse().ok().filter(|pcr| *pcr < 24).ok_or("there are PCRs 0 to 23")?;
    Ok((pcr, path.into()))
}

pub(crate) fn run(verb: &Verb, output: &Output) -> anyhow::Result<Answer> {
    match verb {
        Verb::Add { values, .. } => {
            let known = added(verb, values)?;
            let text = serde_json::to_string_pretty(&known)? + "\n";
            fs::write(values, &text).with_context(|| values.display().to_string())?;
            output.show_as(&known, || format!("{} has {} releases\n", values.display(), known.releases.len()))?;
        }
        Verb::Sign { values, key } => {
            let known = ReferenceValues::from_json(&inspect::read(values)?)?;
            let signed = known.sign(&private_key(key)?)?;
            output.show_as(&signed, || format!("{signed}\n"))?;
        }
        Verb::List { values } => {
            let read = |path: &PathBuf| Ok(ReferenceValues::read(&text(path)?)?);
            let known: Vec<ReferenceValues> = values.iter().map(read).collect::<anyhow::Result<_>>()?;
            output.show_as(&known, || known.iter().map(listed).collect())?;
        }
        Verb::Verify { file, by, at } => return verify(file, by, at.unwrap_or_else(Time::now), output),
        Verb::Show { file } => return inspect::show(file, output),
    }
    Ok(Answer::Yes)
}

fn added(verb: &Verb, path: &Path) -> anyhow::Result<ReferenceValues> {
    let Verb::Add { vendor, model, firmware, image, event_log, software, from, until, withdrawn, .. } = verb else {
        bail!("nothing is added");
    };
    let mut known = match path.exists() {
        true => ReferenceValues::from_json(&inspect::read(path)?)?,
        false => ReferenceValues::new(vendor, model, Time::now(), Vec::new()),
    };
    if (&known.vendor, &known.model) != (vendor, model) {
        bail!("{} is about {}/{}", path.display(), known.vendor, known.model);
    }
    let mut log = match event_log {
        Some(path) => EventLog::read(&inspect::read(path)?)?,
        None => EventLog::default(),
    };
    for (pcr, path) in image {
        log.events.push(event(*pcr, IPL, &inspect::read(path)?, &path.display().to_string()));
    }
    let pcrs: std::collections::BTreeSet<u8> = log.events.iter().map(|event| event.pcr).collect();
    let hash = |path: &PathBuf| anyhow::Ok(Fingerprint(event(0, IPL, &inspect::read(path)?, "").digest));
    known.releases.retain(|release| release.firmware != *firmware);
    known.releases.push(Release {
        firmware: firmware.clone(),
        from: *from,
        until: *until,
        withdrawn: *withdrawn,
        pcrs: log.replay(pcrs).into_iter().map(|(pcr, value)| (pcr, Fingerprint(value))).collect(),
        software: software.as_ref().map(hash).transpose()?,
        ..Release::default()
    });
    known.issued = Time::now();
    // Read again, so that what could not be used is not written.
    Ok(ReferenceValues::from_json(&serde_json::to_vec(&known)?)?)
}

fn listed(known: &ReferenceValues) -> String {
    let head = format!("{}/{}, issued {}\n", known.vendor, known.model, known.issued);
    let line = |release: &Release| {
        let mut line = format!("  {}", release.firmware);
        release.from.iter().for_each(|from| line.push_str(&format!("  from {from}")));
        release.until.iter().for_each(|until| line.push_str(&format!("  until {until}")));
        let holds = if release.holds(Time::now()) { "good now" } else { "not good now" };
        format!("{line}  {holds}\n")
    };
    head + &known.releases.iter().map(line).collect::<String>()
}

fn verify(file: &Path, by: &[PathBuf], at: Time, output: &Output) -> anyhow::Result<Answer> {
    let keys: Vec<PublicKey> = by.iter().map(|path| public_key(path)).collect::<anyhow::Result<_>>()?;
    let content = inspect::read(file)?;
    if corim::is_signed(&content) {
        return match corim::verify(&content, &keys, at) {
            Ok(known) => {
                output.show_as(&known, || known.iter().map(listed).collect())?;
                Ok(Answer::Yes)
            }
            Err(refusal) => {
                output.show_as(&refusal, || format!("{refusal}\n"))?;
                Ok(Answer::No)
            }
        };
    }
    let text = text(file)?;
    if let Ok(known) = ReferenceValues::verify(&text, &keys) {
        output.show_as(&known, || listed(&known))?;
        return Ok(Answer::Yes);
    }
    match Ear::verify(&text, &keys, at) {
        Ok(ear) => {
            let value = serde_json::json!({ "device": ear.subject, "tier": ear.tier, "until": ear.expires });
            output.show_as(&value, || format!("{} is {} until {}\n", ear.subject, ear.tier, ear.expires))?;
            Ok((ear.tier == Tier::Affirming).into())
        }
        Err(refusal) => {
            output.show_as(&refusal, || format!("{refusal}\n"))?;
            Ok(Answer::No)
        }
    }
}

fn text(path: &Path) -> anyhow::Result<String> {
    String::from_utf8(inspect::read(path)?).with_context(|| format!("{} is no text", path.display()))
}

fn private_key(path: &Path) -> anyhow::Result<SoftwareKey> {
    let content = Redacted::new(text(path)?);
    let blocks = pem::decode(content.expose())?;
    let block = blocks.iter().find(|block| block.label == "PRIVATE KEY");
    let block = block.with_context(|| format!("{} holds no private key in PKCS#8", path.display()))?;
    Ok(SoftwareKey::from_pkcs8_der(&block.der)?)
}

fn public_key(path: &Path) -> anyhow::Result<PublicKey> {
    PublicKey::from_pem(&text(path)?).with_context(|| format!("reading {}", path.display()))
}
