//! Who owns a device, and who did.

use super::{Customer, Sale};
use landfall_types::{DeviceId, DomainId, Fault, OwnerId, Record, Refusal, SerialNumber, Time};
use serde::{Deserialize, Serialize};

/// Why a change of ownership is refused: the guide's section on transfer.
const SECTION: &str = "NIST SP 1800-36B s4.2";

/// The ownership of one device. A device without this record has never been sold and never had a voucher.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Ownership {
    /// The device.
    pub device: DeviceId,
    /// Its serial number, for people.
    pub serial_number: SerialNumber,
    /// Who has it now; nobody if it is unsold or was released.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holding: Option<Holding>,
    /// Who had it before, the earliest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<Past>,
    /// How many vouchers were issued for it, to anyone.
    pub vouchers: u64,
    /// The vouchers without a nonce that were issued to former owners, who could take it over with them whenever it is
    /// reset (RFC 8995 s11.1).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nonceless: Vec<NoncelessVoucher>,
}

/// Who has a device, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Holding {
    /// On what the ownership rests.
    pub basis: Basis,
    /// Since when.
    pub since: Time,
}

/// On what an ownership rests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "by", rename_all = "kebab-case")]
pub enum Basis {
    /// A sale.
    Sale {
        /// Who bought it.
        owner: OwnerId,
        /// The sale.
        sale: String,
    },
    /// Having been the first to register its bootstrapping key: its manufacturer, or whoever scanned it.
    Registered {
        /// Who did.
        owner: OwnerId,
    },
    /// Having been the first to ask.
    FirstUse {
        /// The domain that asked.
        domain: DomainId,
    },
}

/// A former owner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Past {
    /// On what its ownership rested.
    pub basis: Basis,
    /// Since when.
    pub since: Time,
    /// Until when.
    pub until: Time,
}

/// A voucher without a nonce that may still be in somebody's hands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct NoncelessVoucher {
    /// The domain that has it.
    pub domain: DomainId,
    /// When it was issued.
    pub issued: Time,
    /// When it expires, if ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Time>,
}

impl Ownership {
    /// The check that refuses to register what another tenant has.
    pub const UNCLAIMED: &'static str = "bootstrapping-unclaimed";

    /// A device that has not been sold.
    pub const fn unsold(device: DeviceId, serial_number: SerialNumber) -> Self {
        Self { device, serial_number, holding: None, history: Vec::new(), vouchers: 0, nonceless: Vec::new() }
    }

    /// The owner by the sales records, or by having registered the device.
    pub fn owner(&self) -> Option<&OwnerId> {
        match &self.holding.as_ref()?.basis {
            Basis::Sale { owner, .. } | Basis::Registered { owner } => Some(owner),
            Basis::FirstUse { .. } => None,
        }
    }

    /// After `owner` has registered the device's bootstrapping key. It becomes the owner if nobody is; if it is already,
    /// nothing changes; what another has, it does not get.
    pub fn registered(mut self, owner: &OwnerId, now: Time) -> Result<Self, Refusal> {
        match self.owner() {
            Some(other) if other == owner => {}
            // Who the other is, is not said: tenants never learn of each other.
            Some(_) => {
                let detail = format!("{} belongs to another tenant", self.serial_number);
                return Err(refused(Self::UNCLAIMED, detail));
            }
            None => self.hold(Basis::Registered { owner: owner.clone() }, now),
        }
        Ok(self)
    }

    /// After `sale`, which must include this device. The manufacturer sells what nobody bought before, even if somebody
    /// was the first to ask for it; an owner sells what it owns.
    pub fn sold(mut self, sale: &Sale) -> Result<Self, Refusal> {
        if !sale.devices.contains(&self.device) {
            return Err(refused("sale-device", format!("the sale {} is not of {}", sale.id, self.serial_number)));
        }
        match (&sale.seller, self.owner()) {
            (None, Some(owner)) => {
                let detail = format!("{} belongs to {owner}, who must release or sell it", self.serial_number);
                return Err(refused("sale-of-sold-device", detail));
            }
            (Some(seller), owner) if owner != Some(seller) => {
                return Err(refused("sale-by-owner", format!("{} does not belong to {seller}", self.serial_number)));
            }
            _ => {}
        }
        self.hold(Basis::Sale { owner: sale.buyer.clone(), sale: sale.id.clone() }, sale.at);
        Ok(self)
    }

    /// After its owner has let it go: the next voucher is for the next owner, and none for the old one any more.
    ///
    /// `by` is the owner who says so, or none if the manufacturer does on its behalf.
    pub fn released(mut self, by: Option<&Customer>, now: Time) -> Result<Self, Refusal> {
        let Some(holding) = &self.holding else {
            return Err(refused("release-owned", format!("{} belongs to nobody", self.serial_number)));
        };
        let is_holder = |customer: &Customer| match &holding.basis {
            Basis::Sale { owner, .. } | Basis::Registered { owner } => *owner == customer.owner,
            Basis::FirstUse { domain } => customer.domains.contains(domain),
        };
        if let Some(other) = by.filter(|customer| !is_holder(customer)) {
            return Err(refused(
                "release-by-owner",
                format!("{} is not the owner's to release: {}", self.serial_number, other.owner),
            ));
        }
        self.end_holding(now);
        Ok(self)
    }

    /// The vouchers without a nonce that are still good at `now` in other domains than `domain`: their holders could
    /// take the device over.
    pub fn foreign_nonceless(&self, domain: &DomainId, now: Time) -> impl Iterator<Item = &NoncelessVoucher> {
        let still_good = move |voucher: &&NoncelessVoucher| voucher.expires.is_none_or(|expires| now < expires);
        self.nonceless.iter().filter(move |voucher| voucher.domain != *domain).filter(still_good)
    }

    /// Gives the device to a new holder; the one before, if there was one, becomes history.
    pub(super) fn hold(&mut self, basis: Basis, since: Time) {
        self.end_holding(since);
        self.holding = Some(Holding { basis, since });
    }

    fn end_holding(&mut self, until: Time) {
        if let Some(Holding { basis, since }) = self.holding.take() {
            self.history.push(Past { basis, since, until });
        }
    }
}

fn refused(check: &'static str, detail: String) -> Refusal {
    Refusal::new(Fault::Denied, check, SECTION, detail)
}

impl Record for Ownership {
    const COLLECTION: &'static str = "ownership";

    fn key(&self) -> String {
        self.device.to_string()
    }
}
