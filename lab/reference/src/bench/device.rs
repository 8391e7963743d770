//! What the measured devices do.

use super::ground::Ground;
use anyhow::{Context, Result, anyhow, bail, ensure};
use landfall_brski::{
    est::client::{self, Answer},
    pledge::Progress,
};
use landfall_device::{Agent, Outcome};
use landfall_net::{
    http::{ClientLimits, Connection, Endpoint},
    tls::{ClientTls, TlsIdentity},
};
use landfall_pki::{Algorithm, Anchors, Certificate, CsrRequest, PathPolicy, Signer, SoftwareKey, oid, validate};
use landfall_types::Time;
use std::{fs, sync::Arc};
use tokio::sync::Notify;

/// A device that has left the factory, and has taken in what the factory gave it.
#[derive(Debug)]
pub struct Device {
    /// Its agent.
    pub agent: Agent,
    /// Its birth credential.
    pub birth: TlsIdentity,
}

/// Onboards one device; anything but a credential reported to the registrar is an error.
pub async fn onboard(agent: &Agent) -> Result<()> {
    match agent.onboard(Some(1), None, &mut |_| ()).await? {
        Outcome::Onboarded(done) if done.reported => Ok(()),
        Outcome::Onboarded(_) => bail!("onboarded, but the registrar could not be told"),
        Outcome::Refused(refusal) => Err(anyhow!("{refusal}")),
    }
}

/// Gets a voucher and reports on it; there the device goes away.
pub async fn take_voucher(agent: &Agent) -> Result<()> {
    let told = Arc::new(Notify::new());
    let tells = told.clone();
    let mut watch = move |progress: &Progress| {
        if matches!(progress, Progress::Reported { what: "voucher_status", success: true }) {
            tells.notify_one();
        }
    };
    tokio::select! {
        biased;
        () = told.notified() => Ok(()),
        outcome = agent.onboard(Some(1), None, &mut watch) => match outcome? {
            Outcome::Onboarded(_) => bail!("the device was onboarded before it reported on its voucher"),
            Outcome::Refused(refusal) => Err(anyhow!("{refusal}")),
        },
    }
}

/// The domain's root, which a device with a voucher trusts.
pub fn anchors(ground: &Ground) -> Result<Anchors> {
    let root = fs::read_to_string(ground.domain_folder().join("root.pem")).context("the domain's root")?;
    Ok(Anchors::of([Certificate::from_pem(&root)?]))
}

/// Enrols a device that has its voucher: EST over a connection with the IDevID (RFC 8995 s5.9). Gives its certificate with
/// the CAs between it and the root, and its key.
pub async fn enrol(device: &Device, ground: &Ground, trusted: &Anchors) -> Result<(Vec<Certificate>, SoftwareKey)> {
    let tls = ClientTls::anchored(trusted.clone(), vec![oid::CMC_RA], Some(&device.birth))?;
    let endpoint = Endpoint::from(ground.registrar);
    let mut connection = Connection::open(&endpoint, Some(&tls), ClientLimits::default()).await?;
    let authorities = client::read_cacerts(&connection.send(client::cacerts(None)).await?)?;
    client::read_csrattrs(&connection.send(client::csrattrs(None)).await?)?;
    let key = SoftwareKey::generate(Algorithm::EcdsaP256)?;
    let idevid = device.birth.chain.first().context("a device without an IDevID")?;
    let request = CsrRequest::new(idevid.subject_name()).prepare(key.public_key(), key.algorithm())?;
    let signature = key.sign(request.to_be_signed())?;
    let request = client::enroll(None, &request.sign(&signature)?);
    match client::read_enrolled(&connection.send(request).await?, key.public_key())? {
        Answer::Granted(enrolled) => {
            let path = validate(&enrolled.certificate, &authorities, trusted, &PathPolicy::at(Time::now()))?;
            let (_, chain) = path.chain.split_last().context("a path of nothing")?;
            ensure!(!chain.is_empty(), "the certificate is its own anchor");
            Ok((chain.to_vec(), key))
        }
        Answer::Later(_) => bail!("the registrar asked for patience"),
    }
}
