//! What people and services assert of devices: credentials issued, taken in, and taken back.

use crate::{
    admin::{Connection, private_key},
    inspect,
    output::{Answer, Output, Table, counted},
};
use anyhow::{Context, bail, ensure};
use clap::Subcommand;
use landfall_assurance::Kind;
use landfall_claims::{
    Claim, ClaimKind, Credential,
    credential::{Entry, Subject},
    identifier::fingerprint_of,
    status::StatusList,
};
use landfall_pki::{CertificateSerial, PublicKey, Signer};
use landfall_server::admin::{
    escape,
    view::{Count, CredentialBrought, CredentialShown, CredentialTaken, CredentialWithdrawn, Examined},
};
use landfall_software::Tenths;
use landfall_types::{Fingerprint, Time};
use serde_json::json;
use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

const CREDENTIALS: &str = "/v1/verification/credentials";
const DAY: Duration = Duration::from_secs(86_400);

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Takes in a credential (W3C VC 2.0 as a JWT), or its issuer's list of which are revoked.
    Add {
        /// The file.
        file: PathBuf,
    },
    /// Shows the credentials, and whether each of them counts.
    List,
    /// Takes a credential back at once, whoever has issued it: what it said of trust speaks against its subject then.
    Revoke {
        /// Its id.
        id: String,
        /// Why, for the record.
        #[arg(long, default_value = "")]
        reason: String,
    },
    /// Issues a credential, signed with a key in a file, and writes it out.
    Issue(Box<Issue>),
    /// Issues a list of which credentials are revoked (W3C Bitstring Status List), and writes it out.
    StatusList {
        /// The issuer's private key, PKCS#8 in PEM.
        #[arg(long)]
        key: PathBuf,
        /// The URL by which credentials name the list.
        #[arg(long)]
        id: String,
        /// The place of a credential that is revoked; may be repeated.
        #[arg(long, value_name = "NUMBER")]
        revoke: Vec<u64>,
        /// The list before this one: what is revoked in it stays so.
        #[arg(long, value_name = "FILE")]
        before: Option<PathBuf>,
        /// For how many days it holds; credentials that name it hold no longer.
        #[arg(long, default_value_t = 30)]
        days: u32,
    },
}

#[derive(Debug, clap::Args)]
pub(super) struct Issue {
    /// What is asserted: manufacturer-trust, device-trust, type-binding, ownership, test-result, vulnerability or retraction.
    #[arg(value_parser = kind)]
    claim: ClaimKind,
    /// The issuer's private key, PKCS#8 in PEM.
    #[arg(long)]
    key: PathBuf,
    /// The device: a file with its certificate or public key, the SHA-256 of that key, or its name at the server.
    #[arg(long)]
    device: Option<String>,
    /// The manufacturer: a file with the certificate or public key of its authority, or the SHA-256 of that key.
    #[arg(long)]
    manufacturer: Option<String>,
    /// The type of device: manufacturer and model, acme/lamp.
    #[arg(long = "type", value_name = "TYPE")]
    device_type: Option<String>,
    /// The owner: a file with a certificate or public key, or the SHA-256 of that key.
    #[arg(long)]
    owner: Option<String>,
    /// The name of the test's certificate.
    #[arg(long)]
    certificate: Option<String>,
    /// The vulnerability's name: CVE-2026-1234.
    #[arg(long)]
    vulnerability: Option<String>,
    /// How bad it is, from 0.0 to 10.0.
    #[arg(long)]
    score: Option<f64>,
    /// The id of the credential that is taken back.
    #[arg(long)]
    credential: Option<String>,
    /// For how many days it holds.
    #[arg(long, default_value_t = 365)]
    days: u32,
    /// The URL of the list that says whether it is revoked.
    #[arg(long, value_name = "URL", requires = "status_number")]
    status_list: Option<String>,
    /// Its place in that list.
    #[arg(long, value_name = "NUMBER", requires = "status_list")]
    status_number: Option<u64>,
}

fn kind(text: &str) -> Result<ClaimKind, String> {
    let names = || ClaimKind::ALL.map(ClaimKind::name).join(", ");
    let found = ClaimKind::ALL.into_iter().find(|kind| kind.name() == text);
    found.ok_or_else(|| format!("it is none of {}", names()))
}

pub(super) fn run(connection: &Connection, verb: &Verb, output: &Output) -> anyhow::Result<Answer> {
    match verb {
        Verb::Add { file } => {
            let jwt = String::from_utf8(inspect::read(file)?).context("a credential is text")?;
            add(connection, jwt, output)
        }
        Verb::List => list(connection, output),
        Verb::Revoke { id, reason } => {
            let which = CredentialWithdrawn { id: id.clone(), reason: reason.clone() };
            let path = format!("{CREDENTIALS}/revoke");
            let revoked: Count = connection.ask(output, "revoking", async |client| client.post(&path, &which).await)?;
            output.show_as(&revoked, || format!("{id} is taken back"))?;
            Ok(Answer::Yes)
        }
        Verb::Issue(issue) => {
            let signer = private_key(&issue.key)?;
            let now = Time::now();
            let status = issue.status_list.clone().zip(issue.status_number);
            let credential = Credential {
                id: fresh_id()?,
                issuer: signer.public_key().clone(),
                claim: claim(issue, connection, output)?,
                valid_from: now,
                valid_until: Some(now + DAY * issue.days),
                status: status.map(|(list, index)| Entry { list, index, is_suspension: false }),
            };
            let jwt = credential.issue(&signer)?;
            output.show_as(&json!({ "id": credential.id, "jwt": jwt }), || jwt.clone())?;
            Ok(Answer::Yes)
        }
        Verb::StatusList { key, id, revoke, before, days } => {
            status_list(key, id, revoke, before.as_deref(), *days, output)
        }
    }
}

fn add(connection: &Connection, jwt: String, output: &Output) -> anyhow::Result<Answer> {
    let brought = CredentialBrought { jwt };
    let taken: CredentialTaken =
        connection.ask(output, "verifying", async |client| client.post(CREDENTIALS, &brought).await)?;
    output.show_as(&taken, || match (&taken.credential, &taken.status_list) {
        (Some(it), _) => {
            let of = counted(taken.devices, "device");
            format!("{} by {}: {} of {}; it is of {of} here", it.id, it.issuer_name, it.claim, it.about)
        }
        (None, Some(url)) => format!("the status list {url} is taken in"),
        (None, None) => "nothing was taken in".into(),
    })?;
    Ok(Answer::Yes)
}

fn list(connection: &Connection, output: &Output) -> anyhow::Result<Answer> {
    let all: Vec<CredentialShown> = connection.ask(output, "asking", async |client| client.get(CREDENTIALS).await)?;
    output.show_as(&all, || {
        let columns = ["id", "claim", "of", "says", "by", "as", "until", "counts"];
        let mut table = Table::new(&columns, "there is no credential");
        for CredentialShown { report: it } in &all {
            table.row([
                it.id.clone(),
                it.claim.clone(),
                it.about.clone(),
                it.says.clone().unwrap_or_default(),
                it.issuer_name.clone(),
                it.role.clone().unwrap_or_default(),
                it.expires.map_or_else(|| "-".into(), |at| at.to_string()),
                it.refused.as_ref().map_or_else(|| "yes".into(), |(check, why)| format!("no: {check}: {why}")),
            ]);
        }
        table.to_string()
    })?;
    Ok(Answer::Yes)
}

fn status_list(
    key: &Path,
    id: &str,
    revoke: &[u64],
    before: Option<&Path>,
    days: u32,
    output: &Output,
) -> anyhow::Result<Answer> {
    let (signer, now) = (private_key(key)?, Time::now());
    let mut list = match before {
        None => StatusList::new(id.to_owned(), signer.public_key().clone(), now, None),
        Some(path) => {
            let text = String::from_utf8(inspect::read(path)?).context("a status list is text")?;
            let before = StatusList::read(text.trim())?;
            ensure!(before.id == id, "{} is the list {}", path.display(), before.id);
            before
        }
    };
    (list.valid_from, list.valid_until) = (now, Some(now + DAY * days));
    for number in revoke {
        ensure!(list.set(*number), "the list has no place {number}");
    }
    let jwt = list.issue(&signer)?;
    output.show_as(&json!({ "id": id, "jwt": jwt }), || jwt.clone())?;
    Ok(Answer::Yes)
}

fn claim(issue: &Issue, connection: &Connection, output: &Output) -> anyhow::Result<Claim> {
    let text =
        |value: &Option<String>, name: &str| value.clone().with_context(|| format!("{} needs {name}", issue.claim));
    let key_of = |value: &Option<String>, name: &str| key(&text(value, name)?);
    let device = || {
        let name = text(&issue.device, "--device")?;
        key(&name).or_else(|_| birth_key(&name, connection, output))
    };
    let about = || match (&issue.device, &issue.device_type) {
        (Some(_), None) => device().map(Subject::Device),
        (None, Some(device_type)) => Ok(Subject::Type(device_type.clone())),
        _ => bail!("{} needs --device or --type", issue.claim),
    };
    Ok(match issue.claim {
        ClaimKind::ManufacturerTrust => {
            Claim::ManufacturerTrust { manufacturer: key_of(&issue.manufacturer, "--manufacturer")? }
        }
        ClaimKind::DeviceTrust => Claim::DeviceTrust { device: device()? },
        ClaimKind::TypeBinding => {
            Claim::TypeBinding { device: device()?, device_type: text(&issue.device_type, "--type")? }
        }
        ClaimKind::Ownership => Claim::Ownership { device: device()?, owner: key_of(&issue.owner, "--owner")? },
        ClaimKind::TestResult => {
            Claim::TestResult { subject: about()?, certificate: text(&issue.certificate, "--certificate")? }
        }
        ClaimKind::Vulnerability => {
            let score = issue.score.and_then(Tenths::from_scale).context("vulnerability needs --score, 0.0 to 10.0")?;
            let id = text(&issue.vulnerability, "--vulnerability")?;
            Claim::Vulnerability { subject: about()?, id, score: score.get() }
        }
        ClaimKind::Retraction => Claim::Retraction { credential: text(&issue.credential, "--credential")? },
    })
}

/// A key by its digest, or by a file with it.
fn key(text: &str) -> anyhow::Result<Fingerprint> {
    if let Some(found) = fingerprint_of(text).or_else(|| text.parse().ok()) {
        return Ok(found);
    }
    let pem = fs::read_to_string(text).with_context(|| format!("reading {text}"))?;
    let key = PublicKey::from_pem(&pem).with_context(|| format!("reading {text}"))?;
    Ok(key.fingerprint())
}

/// The key that a device of the server was born with.
fn birth_key(name: &str, connection: &Connection, output: &Output) -> anyhow::Result<Fingerprint> {
    let path = format!("/v1/verification/devices/{}", escape(name));
    let examined: Examined = connection.ask(output, "asking", async |client| client.get(&path).await)?;
    let key = examined.view.dossier.of(Kind::IdentityProven).find_map(|fact| fact.issuer);
    key.with_context(|| format!("the server does not know the key that {name} was born with; give its certificate"))
}

/// RFC 9562 s5.4: a UUID of random bits.
fn fresh_id() -> anyhow::Result<String> {
    let mut bytes = CertificateSerial::random()?.as_bytes().to_vec();
    bytes.resize(16, 0);
    if let (Some(version), Some(variant)) = (bytes.get(6).copied(), bytes.get(8).copied()) {
        bytes.splice(6..7, [version & 0x0f | 0x40]);
        bytes.splice(8..9, [variant & 0x3f | 0x80]);
    }
    let hex = hex::encode(bytes);
    let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
    Ok(format!("urn:uuid:{}-{}-{}-{}-{}", part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32)))
}
