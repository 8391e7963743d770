//! MUD files for those who write them: a new one, whether it is right, and its signature.

use crate::{
    admin::{certificates, private_key},
    inspect,
    output::{Answer, Output},
};
use anyhow::{Context, bail};
use clap::Subcommand;
use landfall_mud::{
    MudUrl,
    draft::{Contact, Draft},
    learn,
    packet::Mac,
    read,
    signature::{self, Expected},
};
use landfall_pki::{Anchors, Signer};
use landfall_types::{Refusal, Time};
use std::{
    fs::{self, OpenOptions},
    io::{Read, Write},
    path::{Path, PathBuf},
};

/// The longest capture that is read, in bytes.
const CAPTURE: u64 = 1 << 28;

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Begins a file from a few words: with whom the device speaks, and who speaks with it.
    ///
    /// CONTACT is NAME:PORT/tcp or NAME:PORT/udp, where NAME is a DNS name, local, same-manufacturer, my-controller, or a class
    /// of controllers such as `[urn:ietf:params:mud:ntp]`.
    New {
        /// Where the file will be, which is what devices tell.
        #[arg(long)]
        url: MudUrl,
        /// What the device is, in up to 60 characters.
        #[arg(long, value_name = "TEXT")]
        systeminfo: String,
        /// Who makes it.
        #[arg(long, value_name = "NAME")]
        manufacturer: Option<String>,
        /// Its model.
        #[arg(long)]
        model: Option<String>,
        /// With whom the device begins to speak; may be repeated.
        #[arg(long, value_name = "CONTACT")]
        to: Vec<Contact>,
        /// Who begins to speak with the device; may be repeated.
        #[arg(long, value_name = "CONTACT")]
        from: Vec<Contact>,
        /// The file to write; it must not be there.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Learns a draft from what a device was seen to do: a capture by tcpdump or Wireshark, of Ethernet, best of its whole life from
    /// the first start on. Read it, take out what should not be, and sign it.
    Learn {
        /// The capture: pcap or pcapng.
        capture: PathBuf,
        /// The address of the device's interface, such as 02:00:00:00:00:07.
        #[arg(long, value_name = "MAC")]
        device: String,
        /// Where the file will be.
        #[arg(long)]
        url: MudUrl,
        /// What the device is, in up to 60 characters.
        #[arg(long, value_name = "TEXT")]
        systeminfo: String,
        /// Who makes it.
        #[arg(long, value_name = "NAME")]
        manufacturer: Option<String>,
        /// Its model.
        #[arg(long)]
        model: Option<String>,
        /// The file to write; it must not be there.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Says what is not as RFC 8520 wants it, and with whom the device may speak. Exit status 1 if anything is not.
    Check {
        /// The MUD file.
        file: PathBuf,
        #[command(flatten)]
        signed: Signed,
    },
    /// Signs a file that is as RFC 8520 wants it: what is put beside it, in CMS.
    Sign {
        /// The MUD file.
        file: PathBuf,
        /// The signer's certificate in PEM, then those up to its authority.
        #[arg(long, value_name = "FILE")]
        certificate: PathBuf,
        /// Its private key, PKCS#8 in PEM.
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
        /// The signature to write; it must not be there.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
}

/// A signature, and who may have made it.
#[derive(Debug, clap::Args)]
pub(super) struct Signed {
    /// Its signature.
    #[arg(long, value_name = "FILE", requires = "anchors")]
    signature: Option<PathBuf>,
    /// Authorities whose signers are believed, in PEM; may be repeated.
    #[arg(long = "anchor", value_name = "FILE")]
    anchors: Vec<PathBuf>,
    /// The subject of the only one who may sign, as devices' certificates name it: `CN=Lamps MUD signer`.
    #[arg(long, value_name = "NAME")]
    signer: Option<String>,
}

pub(super) fn run(verb: &Verb, output: &Output) -> anyhow::Result<Answer> {
    match verb {
        Verb::New { url, systeminfo, manufacturer, model, to, from, out } => {
            let draft = Draft {
                url: url.clone(),
                systeminfo: systeminfo.clone(),
                manufacturer: manufacturer.clone(),
                model: model.clone(),
                last_update: Time::now(),
                to: to.clone(),
                from: from.clone(),
            };
            let text = draft.write();
            conforming(text.as_bytes())?;
            write_new(out, text.as_bytes())?;
            output.show_as(&serde_json::json!({ "file": out }), || {
                format!("{}: go on with it, check it, and sign it", out.display())
            })?;
            Ok(Answer::Yes)
        }
        Verb::Learn { capture, device, url, systeminfo, manufacturer, model, out } => {
            let device: Mac =
                device.parse().map_err(|_| anyhow::anyhow!("{device:?} is no address of an interface"))?;
            let draft = Draft {
                url: url.clone(),
                systeminfo: systeminfo.clone(),
                manufacturer: manufacturer.clone(),
                model: model.clone(),
                last_update: Time::now(),
                to: Vec::new(),
                from: Vec::new(),
            };
            learn(capture, device, draft, out, output)
        }
        Verb::Check { file, signed } => check(file, signed, output),
        Verb::Sign { file, certificate, key, out } => {
            let bytes = inspect::read(file)?;
            conforming(&bytes)?;
            let (chain, key) = (certificates(certificate)?, private_key(key)?);
            if chain.first().is_none_or(|signer| signer.public_key() != key.public_key()) {
                bail!("the key is not that of the first certificate in {}", certificate.display());
            }
            write_new(out, &signature::sign(&bytes, &chain, &key, Time::now())?)?;
            output.show_as(&serde_json::json!({ "signature": out }), || {
                format!("{}: put it beside the file, where its mud-signature says", out.display())
            })?;
            Ok(Answer::Yes)
        }
    }
}

fn learn(capture: &Path, device: Mac, draft: Draft, out: &Path, output: &Output) -> anyhow::Result<Answer> {
    let unread = || format!("reading {}", capture.display());
    let mut bytes = Vec::new();
    let most = CAPTURE.saturating_add(1);
    fs::File::open(capture).and_then(|file| file.take(most).read_to_end(&mut bytes)).with_context(unread)?;
    if bytes.len() as u64 > CAPTURE {
        bail!("{} has more than {CAPTURE} bytes; `editcap -c` cuts it", capture.display());
    }
    let learnt = learn::learn(&bytes, device, draft).map_err(|why| anyhow::anyhow!("{}: {why}", capture.display()))?;
    write_new(out, learnt.draft.write().as_bytes())?;
    let nameless: Vec<String> = learnt.nameless.iter().map(ToString::to_string).collect();
    let told = serde_json::json!({
        "file": out, "frames": learnt.frames, "packets": learnt.packets.len(),
        "to": learnt.draft.to.len(), "from": learnt.draft.from.len(), "nameless": nameless,
    });
    output.show_as(&told, || {
        let (frames, packets) = (learnt.frames, learnt.packets.len());
        let mut text =
            format!("{}: permits all {frames} frames of the device ({packets} different ones)\n", out.display());
        if !nameless.is_empty() {
            text.push_str(&format!(
                "no answer gave these a name, and they may be others tomorrow: {}\n",
                nameless.join(", ")
            ));
        }
        text + "read it, take out what should not be, and sign it"
    })?;
    Ok(Answer::Yes)
}

fn check(file: &Path, signed: &Signed, output: &Output) -> anyhow::Result<Answer> {
    let bytes = inspect::read(file)?;
    let mut report = inspect::mud_file(&bytes);
    if let Some(path) = &signed.signature {
        let mut anchors = Anchors::new();
        for path in &signed.anchors {
            certificates(path)?.into_iter().for_each(|anchor| anchors.add(anchor));
        }
        let expected = Expected { anchors, signer: signed.signer.clone(), intermediates: Vec::new() };
        match signature::verify(&bytes, &inspect::read(path)?, &expected, Time::now()) {
            Ok(signed) => report.field("signed by", signed.signer.subject()),
            Err(why) => report.refuse(&why),
        }
    }
    output.show_as(&report, || format!("{}: {report}", file.display()))?;
    Ok((report.is_right() && read(&bytes).is_ok_and(|(_, found)| found.conforms())).into())
}

/// What nobody would read otherwise than its author meant it.
pub(crate) fn conforming(bytes: &[u8]) -> anyhow::Result<()> {
    let (_, found) = read(bytes).map_err(|why: Refusal| anyhow::anyhow!("{why}"))?;
    match found.findings().iter().find(|_| !found.conforms()) {
        Some(first) => bail!("{first}; `landfall application mud check` tells all that is not as it should be"),
        None => Ok(()),
    }
}

pub(crate) fn write_new(path: &Path, content: &[u8]) -> anyhow::Result<()> {
    let file = OpenOptions::new().write(true).create_new(true).open(path);
    let written = file.and_then(|mut file| {
        file.write_all(content).and_then(|()| file.sync_all()).inspect_err(|_| {
            // Half a file is worse than none.
            let _ = fs::remove_file(path);
        })
    });
    written.with_context(|| format!("writing {}", path.display()))
}
