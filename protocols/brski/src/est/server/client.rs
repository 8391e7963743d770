//! Who asks for a certificate, and whether it may (RFC 7030 s3.3.2, s3.7).

use super::{Config, Device, Found};
use crate::TlsPeer;
use landfall_pki::{Certificate, PathPolicy, validate};
use landfall_types::{DeviceId, Fault, Refusal, SerialNumber, Time, VendorId};

/// Who asks.
#[derive(Clone, Debug)]
pub enum Client {
    /// A device with its IDevID, to which a voucher has been handed.
    Pledge {
        /// The device.
        device: Device,
        /// Its vendor.
        vendor: VendorId,
        /// Its IDevID.
        idevid: Certificate,
        /// When it was handed the voucher.
        voucher_at: Time,
    },
    /// A device with an LDevID that was issued here.
    Member {
        /// The device.
        device: Device,
        /// Its LDevID.
        ldevid: Certificate,
    },
}

impl Client {
    /// The device.
    pub const fn id(&self) -> &Device {
        let (Self::Pledge { device, .. } | Self::Member { device, .. }) = self;
        device
    }

    /// The device in our records.
    pub const fn device(&self) -> &DeviceId {
        &self.id().id
    }

    /// The device's serial number.
    pub const fn serial(&self) -> &SerialNumber {
        &self.id().serial
    }

    /// The certificate that it authenticated with.
    pub const fn certificate(&self) -> &Certificate {
        match self {
            Self::Pledge { idevid, .. } => idevid,
            Self::Member { ldevid, .. } => ldevid,
        }
    }

    pub(super) const fn word(&self) -> &'static str {
        match self {
            Self::Pledge { .. } => "IDevID",
            Self::Member { .. } => "LDevID",
        }
    }
}

/// A client whose certificate chains to something that is trusted; what is known of it is still to be looked up.
#[derive(Clone, Debug)]
pub(super) enum Authenticated {
    Idevid { device: Device, vendor: VendorId, idevid: Certificate },
    Ldevid { ldevid: Certificate },
}

const S37: &str = "RFC 7030 s3.7";

/// Finds out what the client's certificate is.
pub(super) fn authenticate(config: &Config, peer: Option<&TlsPeer>, now: Time) -> Result<Authenticated, Refusal> {
    let presented = peer.map(|peer| peer.chain.as_slice()).unwrap_or_default();
    let Some((certificate, others)) = presented.split_first() else {
        let detail = "the client authenticated with no certificate";
        return Err(Refusal::new(Fault::Peer, "client-missing", "RFC 7030 s3.3.2", detail));
    };
    // Renewing shortly after the end is a setting, so the end is judged below.
    let policy = PathPolicy::at(now).ignore_leaf_expiry(true).memo(config.vendors.memo());
    // Many clients present their own certificate alone, and what stands above an LDevID is known here.
    let known = [others, std::slice::from_ref(&config.authority.certificate), &config.authority.chain].concat();
    let as_member = match validate(certificate, &known, &config.domain_anchors, &policy) {
        Ok(_) => return within_grace(config, certificate, now),
        Err(why) => why,
    };
    match config.vendors.identify(peer, now) {
        Ok(pledge) => Ok(Authenticated::Idevid {
            device: Device { id: pledge.device, serial: pledge.serial },
            vendor: pledge.vendor.id.clone(),
            idevid: pledge.idevid,
        }),
        Err(as_pledge) => {
            let detail = format!("neither an LDevID of this domain ({as_member}) nor an IDevID ({as_pledge})");
            Err(Refusal::new(Fault::Denied, "client-untrusted", "RFC 7030 s3.3.2", detail))
        }
    }
}

fn within_grace(config: &Config, ldevid: &Certificate, now: Time) -> Result<Authenticated, Refusal> {
    if now > ldevid.not_after() + config.expired_grace {
        let detail = format!("the LDevID ended at {}", ldevid.not_after());
        return Err(Refusal::new(Fault::Denied, "client-expired", S37, detail).field("notAfter"));
    }
    Ok(Authenticated::Ldevid { ldevid: ldevid.clone() })
}

impl Authenticated {
    pub(super) const fn certificate(&self) -> &Certificate {
        match self {
            Self::Idevid { idevid, .. } => idevid,
            Self::Ldevid { ldevid } => ldevid,
        }
    }

    pub(super) const fn pledge(&self) -> Option<&DeviceId> {
        match self {
            Self::Idevid { device, .. } => Some(&device.id),
            Self::Ldevid { .. } => None,
        }
    }

    /// Whether it may enrol, by what is known of it.
    pub(super) fn authorise(self, config: &Config, found: &Found, now: Time) -> Result<Client, Refusal> {
        let refuse = |check, section, detail: String| Err(Refusal::new(Fault::Denied, check, section, detail));
        if found.revoked {
            return refuse("client-revoked", S37, format!("{:?} is revoked", self.certificate().subject()));
        }
        let client = self.recorded(config, found, now)?;
        // RFC 8995 s11.3: devices that begin with the same seed make the same keys, and then cannot be told apart.
        match &found.for_key {
            Some(other) if other.device.id != *client.device() => {
                let detail = format!("the key of {} is that of {}, too", client.serial(), other.device.serial);
                refuse("csr-key-shared", "RFC 8995 s11.3", detail)
            }
            _ => Ok(client),
        }
    }

    fn recorded(self, config: &Config, found: &Found, now: Time) -> Result<Client, Refusal> {
        let refuse = |check, section, detail: String| Err(Refusal::new(Fault::Denied, check, section, detail));
        match self {
            Self::Idevid { device, vendor, idevid } => match found.voucher_at {
                // RFC 8995 s5.8.3: whoever was not handed a voucher is refused every EST action.
                None => refuse("client-voucher", "RFC 8995 s5.9", format!("{} was handed no voucher", device.serial)),
                Some(at) if now > at + config.voucher_max_age => {
                    refuse("client-voucher", "RFC 8995 s5.9", format!("{}'s voucher is of {at}", device.serial))
                }
                Some(voucher_at) => Ok(Client::Pledge { device, vendor, idevid, voucher_at }),
            },
            // Other certificates of the domain, a registrar's for one, must not be turned into devices'.
            Self::Ldevid { ldevid } => match &found.client {
                Some(issued) => Ok(Client::Member { device: issued.device.clone(), ldevid }),
                None => {
                    let detail = format!("{:?} is not on record as a device's", ldevid.subject());
                    refuse("client-unrecorded", S37, detail)
                }
            },
        }
    }
}
