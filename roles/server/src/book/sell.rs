//! Sales between tenants, and what a tenant hears of its book.

use super::{
    Book, BookError, Entry,
    register::{Writing, not_there},
};
use landfall_lifecycle::transfer::{
    Arrival, Basis, Bootstrapping, Held, Ownership, SUPPLY_LOG, Sale, SupplyEvent, Tenant, Via,
};
use landfall_types::{Fault, Fingerprint, OwnerId, Record, Refusal, Time};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;

/// How often a sale is tried anew when others write the same records.
const ATTEMPTS: usize = 16;

/// Devices that change hands.
#[derive(Clone, Debug)]
pub struct Selling<'a> {
    /// Who has them.
    pub from: &'a OwnerId,
    /// Who is to have them: a tenant.
    pub to: &'a OwnerId,
    /// The number of the order or invoice, the seller's own.
    pub order: &'a str,
    /// The devices by serial number or by the hash of their key; at most [`super::AT_ONCE`].
    pub devices: &'a [String],
    /// When.
    pub at: Time,
}

/// Something that a tenant hears of its book.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct News {
    /// Its number; the next question is for what comes after it.
    pub number: u64,
    /// Whether the tenant holds the device.
    pub held: bool,
    /// The hash of the device's bootstrapping key.
    #[serde(rename = "bootstrapHash")]
    pub bootstrap_hash: Fingerprint,
    /// The device.
    #[serde(flatten)]
    pub entry: Entry,
}

impl Book<'_> {
    /// Moves devices from the seller's book into the buyer's, and is durable when it returns; what becomes of each, in
    /// their order. To say the same sale again changes nothing.
    pub async fn sell(&self, selling: &Selling<'_>) -> Result<Vec<Result<(), Refusal>>, BookError> {
        for _ in 1..ATTEMPTS {
            let (changes, sold) = self.selling(selling)?;
            match self.store().commit(changes).await {
                Err(why) if why.is_conflict() => {}
                done => return done.map(|_| sold).map_err(Into::into),
            }
        }
        Err(BookError::Busy)
    }

    #[allow(clippy::type_complexity, reason = "what is to be written, and what to say of it")]
    fn selling(&self, selling: &Selling<'_>) -> Result<(landfall_types::Changes, Vec<Result<(), Refusal>>), BookError> {
        let Selling { from, to, order, devices, at } = *selling;
        if from == to || self.store().find::<Tenant>(to.as_str())?.is_none() {
            let refusal = Refusal::new(Fault::Denied, "sale-buyer", SECTION, format!("{to} cannot buy here"));
            return Ok((landfall_types::Changes::new(), devices.iter().map(|_| Err(refusal.clone())).collect()));
        }
        // Two sellers may use one number.
        let id = format!("{}{order}", Bootstrapping::keys_of(from));
        let known = self.store().find::<Sale>(&id)?;
        let mut sale = known.as_ref().map_or_else(
            || Sale { id, at, buyer: to.clone(), seller: Some(from.clone()), devices: Vec::new() },
            |known| known.record.clone(),
        );
        if sale.buyer != *to {
            let detail = format!("the order {order} was of {}", sale.buyer);
            let refusal = Refusal::new(Fault::Denied, "sale-order", SECTION, detail);
            return Ok((landfall_types::Changes::new(), devices.iter().map(|_| Err(refusal.clone())).collect()));
        }
        let (mut seller, mut buyer) = (Writing::begin(self.store(), from)?, Writing::begin(self.store(), to)?);
        let (mut sold, mut seen) = (Vec::with_capacity(devices.len()), HashSet::new());
        for name in devices {
            let device = match self.named(from, name)? {
                Ok(device) => device,
                Err(refusal) => {
                    sold.push(Err(refusal));
                    continue;
                }
            };
            let (ownership, version) = seller.ownership(&device)?;
            if !seen.insert(device.bootstrap_hash) || is_done(&ownership, &sale) {
                sold.push(Ok(()));
                continue;
            }
            if device.state != Held::Held {
                sold.push(Err(not_there("it was sold, given up or struck off before")));
                continue;
            }
            sale.devices.push(ownership.device.clone());
            let (Ok(ownership), Some(version)) = (ownership.sold(&sale), version) else {
                sale.devices.pop();
                sold.push(Err(not_there("no such device is in the book")));
                continue;
            };
            let event = SupplyEvent::Sold {
                bootstrap_hash: device.bootstrap_hash,
                from: from.clone(),
                to: to.clone(),
                sale: order.to_owned(),
                at,
            };
            seller.write(|changes| changes.put_if(&ownership, version)?.append(SUPPLY_LOG, &event))?;
            seller.put(&device.released(at), Some(device.version))?;
            let moved = device.moved_to(to.clone(), Via::Sale, at);
            let before = self.store().find::<Bootstrapping>(&moved.key())?.map(|before| before.version);
            buyer.put(&moved, before)?;
            sold.push(Ok(()));
        }
        let mut changes = seller.finish()?.and(buyer.finish()?);
        // What an order is of, the ownerships say; the order itself is kept so that its number means one buyer.
        if known.is_none() && !sale.devices.is_empty() {
            changes = changes.insert(&Sale { devices: Vec::new(), ..sale })?;
        }
        Ok((changes, sold))
    }

    /// Up to `limit` things that changed in the book of `tenant`, after the one with the number `after`.
    pub fn news(&self, tenant: &OwnerId, after: u64, limit: usize) -> Result<Vec<News>, BookError> {
        let arrivals = self.store().scan::<Arrival>(Some(&Arrival::key_of(tenant, after)), limit)?;
        let mut news = Vec::with_capacity(arrivals.len());
        // Behind the tenant's last arrival stand those of the next.
        for arrival in arrivals.into_iter().filter(|arrival| arrival.tenant == *tenant) {
            let Some(device) = self.by_bootstrap(tenant, &arrival.bootstrap_hash)? else { continue };
            news.push(News {
                number: arrival.number,
                held: device.state == Held::Held,
                bootstrap_hash: device.bootstrap_hash,
                entry: Entry::from(&device.record),
            });
        }
        Ok(news)
    }
}

const SECTION: &str = "NIST SP 1800-36B s4.2";

/// Whether this very sale has been made, whoever has the device now.
fn is_done(ownership: &Ownership, sale: &Sale) -> bool {
    let done = Basis::Sale { owner: sale.buyer.clone(), sale: sale.id.clone() };
    let holding = ownership.holding.as_ref().map(|holding| &holding.basis);
    holding.into_iter().chain(ownership.history.iter().map(|past| &past.basis)).any(|basis| *basis == done)
}
