//! Which manufacturers' devices may come, and which device this is.

use super::MasaEndpoint;
use crate::TlsPeer;
use landfall_pki::{Anchors, Certificate, Crls, PathPolicy, SignatureMemo, oid, validate};
use landfall_types::{DeviceId, Fault, Model, Refusal, SerialNumber, Time, VendorId};
use std::sync::Arc;

/// A manufacturer, as the owner of the network has configured it.
///
/// A device is this vendor's because its IDevID chains to one of these anchors, never because of a name in it.
#[derive(Clone, Debug)]
pub struct Vendor {
    /// What the owner calls it.
    pub id: VendorId,
    /// What its IDevIDs chain to.
    pub idevid_anchors: Anchors,
    /// Revocation lists of its CAs (RFC 8995 s5.3 asks for the usual path checks).
    pub idevid_crls: Crls,
    /// Whether RSA keys of 1024 bits pass, as some old manufacturers' CAs have them.
    pub legacy_rsa: bool,
    /// Whether IDevIDs are good after their notAfter: real ones expire while the device lives on (RFC 8995 s2.6.2).
    pub ignore_idevid_expiry: bool,
    /// Where to look for the serial number if the subject has no serialNumber (RFC 8995 s2.3.1).
    pub serial_fallback: Option<SerialField>,
    /// Its MASA, in place of what its IDevIDs say (RFC 8995 s5.4).
    pub masa: Option<MasaEndpoint>,
    /// What its MASA's voucher-signing certificates chain to; without any, vouchers are checked for all but that.
    pub voucher_anchors: Anchors,
}

/// A field of an IDevID that some manufacturers keep the serial number in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SerialField {
    /// The subject's commonName.
    CommonName,
    /// The first dNSName of subjectAltName.
    DnsName,
}

impl SerialField {
    fn read(self, idevid: &Certificate) -> Option<SerialNumber> {
        match self {
            Self::CommonName => idevid.common_name(),
            Self::DnsName => idevid.dns_names().into_iter().next(),
        }
        .and_then(|text| text.parse().ok())
    }
}

impl Vendor {
    fn serial(&self, idevid: &Certificate) -> Option<SerialNumber> {
        idevid.subject_serial_number().or_else(|| self.serial_fallback?.read(idevid))
    }

    /// The MASA for this IDevID: the vendor's setting, else what the IDevID says (RFC 8995 s2.8).
    pub fn masa_for(&self, idevid: &Certificate) -> Result<MasaEndpoint, Refusal> {
        match (&self.masa, idevid.masa_url()) {
            (Some(masa), _) => Ok(masa.clone()),
            // A vendor's setting puts it right, so to the pledge it is a denial for now.
            (None, Some(url)) => url.parse().map_err(|why| Refusal { fault: Fault::Denied, ..why }),
            (None, None) => Err(Refusal::new(
                Fault::Denied,
                "masa-unknown",
                "RFC 8995 s2.8",
                format!("the IDevID names no MASA and vendor {} has none configured", self.id),
            )
            .field("id-pe-masa-url")),
        }
    }
}

/// The vendors that a registrar knows.
#[derive(Clone, Debug)]
pub struct Vendors {
    all: Vec<Arc<Vendor>>,
    /// A vendor's CAs are the same for all its devices, so their signatures are checked once.
    memo: Arc<SignatureMemo>,
}

/// A pledge whose IDevID has been believed.
#[derive(Clone, Debug)]
pub struct Pledge {
    /// What it is called in our records.
    pub device: DeviceId,
    /// Its serial number, read from the IDevID.
    pub serial: SerialNumber,
    /// Its model, as far as its IDevID tells.
    pub model: Option<Model>,
    /// Whose it is.
    pub vendor: Arc<Vendor>,
    /// Its IDevID.
    pub idevid: Certificate,
    /// The IDevID and what leads from it to the vendor's anchor.
    pub chain: Vec<Certificate>,
}

impl Vendors {
    /// These vendors.
    pub fn new(vendors: impl IntoIterator<Item = Vendor>) -> Self {
        Self { all: vendors.into_iter().map(Arc::new).collect(), memo: Arc::new(SignatureMemo::new(4096)) }
    }

    /// Where CA signatures that were checked are remembered.
    pub(crate) fn memo(&self) -> Arc<SignatureMemo> {
        Arc::clone(&self.memo)
    }

    /// The vendor with that id.
    pub fn find(&self, id: &VendorId) -> Option<&Arc<Vendor>> {
        self.all.iter().find(|vendor| vendor.id == *id)
    }

    /// Finds out which device is at the other end of a connection, by its IDevID (RFC 8995 s2.3.1, s5.1).
    ///
    /// Refuses a client without a certificate (`idevid-missing`), one that chains to no vendor's anchors
    /// (`idevid-untrusted`), and one without a serial number (`idevid-serial`).
    pub fn identify(&self, peer: Option<&TlsPeer>, at: Time) -> Result<Pledge, Refusal> {
        let presented = peer.map(|peer| peer.chain.as_slice()).unwrap_or_default();
        let Some((idevid, others)) = presented.split_first() else {
            let detail = "the client authenticated with no certificate";
            return Err(Refusal::new(Fault::Peer, "idevid-missing", "RFC 8995 s5.1", detail));
        };
        let mut why = Vec::new();
        for vendor in &self.all {
            match vendor.chain(idevid, others, at, &self.memo) {
                Ok(chain) => return Self::pledge(vendor, idevid, chain),
                Err(refusal) => why.push(format!("{}: {refusal}", vendor.id)),
            }
        }
        why.truncate(4);
        let detail = format!("{:?} is of no configured vendor ({})", idevid.subject(), why.join("; "));
        Err(Refusal::new(Fault::Denied, "idevid-untrusted", "RFC 8995 s5.3", detail))
    }

    fn pledge(vendor: &Arc<Vendor>, idevid: &Certificate, chain: Vec<Certificate>) -> Result<Pledge, Refusal> {
        let serial = vendor.serial(idevid).ok_or_else(|| {
            let detail = format!("{:?} has no serial number", idevid.subject());
            Refusal::new(Fault::Peer, "idevid-serial", "RFC 8995 s2.3.1", detail).field("serialNumber")
        })?;
        // The identifier of the key that really issued it comes first: the one in the IDevID is only a hint.
        let issuer = chain.get(1).map(Certificate::key_id).or_else(|| idevid.authority_key_id()).unwrap_or_default();
        Ok(Pledge {
            device: DeviceId::new(&issuer, &serial),
            model: model(idevid, &serial),
            serial,
            vendor: Arc::clone(vendor),
            idevid: idevid.clone(),
            chain,
        })
    }
}

/// No specification has a field for the model. Manufacturers write it into the common name or the organizational unit,
/// where it is not the serial number that stands there.
fn model(idevid: &Certificate, serial: &SerialNumber) -> Option<Model> {
    let unit = || idevid.subject_name().attribute(oid::ORGANIZATIONAL_UNIT);
    let name = idevid.common_name().filter(|name| name != serial.as_str());
    name.or_else(unit)?.parse().ok()
}

impl Vendor {
    fn chain(
        &self,
        idevid: &Certificate,
        others: &[Certificate],
        at: Time,
        memo: &Arc<SignatureMemo>,
    ) -> Result<Vec<Certificate>, Refusal> {
        let policy = PathPolicy::at(at)
            .ignore_leaf_expiry(self.ignore_idevid_expiry)
            .crls(self.idevid_crls.now().iter().cloned())
            .legacy_rsa(self.legacy_rsa)
            .memo(Arc::clone(memo));
        validate(idevid, others, &self.idevid_anchors, &policy).map(|path| path.chain)
    }
}
