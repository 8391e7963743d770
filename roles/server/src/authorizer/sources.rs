//! What Landfall itself knows of a device: its certificate, who made it, what an operator said, how its credential stands.

use crate::{World, registrar::CertificateRecord};
use landfall_assurance::{Fact, Kind};
use landfall_lifecycle::{
    network::{Birth, DomainDevice},
    verification::{Credential, Standing, standing},
};
use landfall_policy::Value;
use landfall_store::ReadError;
use landfall_types::{DeviceId, Record, Time};

/// So much is read at a time.
const PART: usize = 500;

/// What the records say of every device.
pub(super) fn all(world: &World) -> Result<Vec<Fact>, ReadError> {
    let (mut facts, mut after) = (Vec::new(), None::<String>);
    loop {
        let part = world.store.scan::<DomainDevice>(after.as_deref(), PART)?;
        let Some(last) = part.last() else { return Ok(facts) };
        after = Some(last.record.key());
        for found in part {
            facts.extend(of(world, &found.record)?);
        }
    }
}

/// What they say of that device.
pub(super) fn of_device(world: &World, device: &DeviceId) -> Result<Vec<Fact>, ReadError> {
    match world.store.find::<DomainDevice>(device.as_str())? {
        Some(found) => of(world, &found.record),
        None => Ok(Vec::new()),
    }
}

fn of(world: &World, device: &DomainDevice) -> Result<Vec<Fact>, ReadError> {
    let now = world.clock.now();
    let mut facts = of_record(device, now);
    let certificates = CertificateRecord::of_device(&world.store, &device.identity.device)?;
    let latest = certificates.iter().max_by_key(|found| found.issued.at);
    let credential = latest.map(|found| Credential {
        not_before: found.issued.at,
        not_after: found.issued.not_after,
        revoked: found.revoked.is_some(),
    });
    let standing = standing(device, credential, now);
    let (word, expires) = match standing {
        Standing::Good | Standing::RenewalDue => ("good", credential.map(|credential| credential.not_after)),
        Standing::Expired => ("expired", None),
        Standing::Out if credential.is_some_and(|credential| credential.revoked) => ("revoked", None),
        // By Wi-Fi Easy Connect it has a connector instead.
        Standing::Out if device.configuration.is_some() && device.state.is_inside() => ("good", None),
        Standing::Out => ("none", None),
    };
    let tell = |kind, value: Value, source: &str| fact(&device.identity.device, kind, value, source, now);
    facts.push(Fact { expires, ..tell(Kind::Credential, word.into(), "network credentials") });
    if let Some(found) = latest {
        facts.push(tell(Kind::LdevidHardwareBacked, found.hardware_backed.into(), "network credentials"));
    }
    Ok(facts)
}

/// What the record of a device says, which its exchanges have verified.
pub(crate) fn of_record(device: &DomainDevice, now: Time) -> Vec<Fact> {
    let identity = &device.identity;
    let tell = |kind, value: Value, source: &str| fact(&identity.device, kind, value, source, now);
    let mut facts = Vec::new();
    match &identity.birth {
        Birth::IDevId { hardware_backed, .. } => {
            let proven = tell(Kind::IdentityProven, true.into(), "IDevID");
            facts.push(Fact { issuer: identity.birth.key(), ..proven });
            facts.push(tell(Kind::HardwareBacked, (*hardware_backed).into(), "IDevID"));
            // Whoever has that certificate has the key of a device of that model, by its manufacturer's word.
            facts.push(tell(Kind::TypeBound, identity.model.is_some().into(), "IDevID"));
        }
        Birth::Bootstrapping { .. } => {
            let proven = tell(Kind::IdentityProven, true.into(), "bootstrapping key");
            facts.push(Fact { issuer: identity.birth.key(), ..proven });
            facts.push(tell(Kind::ProvenanceKnown, true.into(), "device book"));
            facts.push(tell(Kind::TypeBound, identity.model.is_some().into(), "device book"));
            // Its owner has put it into the book.
            facts.push(tell(Kind::DeviceTrusted, true.into(), "device book"));
            facts.push(tell(Kind::ManufacturerTrusted, true.into(), "device book"));
        }
    }
    // The operator names in the settings whose devices may come.
    if identity.vendor.is_some() {
        facts.push(tell(Kind::ManufacturerTrusted, true.into(), "vendors in the settings"));
    }
    if let Some(model) = &identity.model {
        let vendor = identity.vendor.as_ref().map_or("unknown", |vendor| vendor.as_str());
        facts.push(tell(Kind::DeviceType, format!("{vendor}/{model}").into(), "IDevID"));
    }
    if let Some(approval) = device.approval() {
        let said = tell(Kind::DeviceTrusted, approval.approved.into(), "operator");
        facts.push(Fact { at: approval.at, ..said });
    }
    if device.voucher.is_some() {
        facts.extend(of_voucher(&identity.device, now));
    }
    facts
}

/// What a voucher says that the registrar has verified (RFC 8995 s5.6).
pub(crate) fn of_voucher(device: &DeviceId, now: Time) -> [Fact; 2] {
    [
        fact(device, Kind::Owner, "this domain".into(), "voucher", now),
        fact(device, Kind::ProvenanceKnown, true.into(), "voucher", now),
    ]
}

/// Where the network has put a device, and whether what it is to communicate with is known there.
pub(crate) fn of_place(device: &DeviceId, segment: &str, intent: bool, now: Time) -> Vec<Fact> {
    vec![
        fact(device, Kind::Segment, segment.into(), "enforcer", now),
        fact(device, Kind::IntentKnown, intent.into(), "enforcer", now),
    ]
}

fn fact(device: &DeviceId, kind: Kind, value: Value, source: &str, at: Time) -> Fact {
    let (subject, source) = (device.clone(), source.to_owned());
    Fact { subject, kind, value, source, issuer: None, at, expires: None, verifier: "records".into() }
}
