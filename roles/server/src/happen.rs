//! What an operator does to a device, whichever way it came in, and what follows: its certificates are revoked, its other
//! credentials deleted, the voucher that was fetched ahead for it forgotten.

use crate::{
    World,
    admin::ApiError,
    registrar::{CertificateRecord, device::Tracked},
};
use landfall_lifecycle::{
    device::{DeviceEvent, Effect},
    network::{CERTIFICATE_LOG, CREDENTIAL_LOG, NetworkCredential, Revocation},
};
use landfall_types::{Changes, DeviceId, record::Unwritable};

/// More credentials than a device ever has.
const MOST: usize = 1000;

/// Makes it happen, in one commit. Says whether certificates were revoked, so that a new list is due.
pub(crate) async fn happen(world: &World, id: &DeviceId, event: DeviceEvent) -> Result<bool, ApiError> {
    let now = world.clock.now();
    let device = &mut world.store.snapshot(|store| Tracked::find(store, id))?.ok_or_else(|| ApiError::not_found(id))?;
    let effects = device.step(event, now).map_err(ApiError::conflict)?;
    let mut changes = device.take_changes().map_err(ApiError::internal)?;
    let mut revoked = false;
    for effect in effects {
        match effect {
            Effect::RevokeCertificates { by, why } => {
                let revocation = Revocation { at: now, by, why };
                let certificates = revocations(world, device, &revocation)?;
                revoked = !certificates.is_empty();
                changes = changes.and(certificates).and(deletions(world, device, &revocation)?);
            }
            Effect::ForgetVoucher => {
                let key = device.device.identity.device.to_string();
                changes = changes.delete::<landfall_brski::registrar::PrefetchedVoucher>(key);
            }
            Effect::AskOperator | Effect::Alert(_) => {}
        }
    }
    world.store.commit(changes).await?;
    world.authorizer.look_again(id);
    Ok(revoked)
}

fn revocations(world: &World, device: &Tracked, revocation: &Revocation) -> Result<Changes, ApiError> {
    let found = CertificateRecord::of_device(&world.store, &device.device.identity.device)?;
    let good = found.into_iter().filter(|found| found.revoked.is_none());
    let changes = good.map(|found| {
        let record = CertificateRecord { revoked: Some(revocation.clone()), ..found.record };
        Changes::new().put_if(&record, found.version)?.append(CERTIFICATE_LOG, &record.log_entry())
    });
    together(changes)
}

fn deletions(world: &World, device: &Tracked, revocation: &Revocation) -> Result<Changes, ApiError> {
    let id = device.device.identity.device.as_str();
    let found = world.store.find_by::<NetworkCredential>(NetworkCredential::BY_DEVICE, id, MOST)?;
    let good = found.into_iter().filter(|found| found.deleted.is_none());
    let changes = good.map(|found| {
        let record = found.record.deleted(revocation.clone());
        Changes::new().put_if(&record, found.version)?.append(CREDENTIAL_LOG, &record.log_entry())
    });
    together(changes)
}

fn together(changes: impl Iterator<Item = Result<Changes, Unwritable>>) -> Result<Changes, ApiError> {
    let changes: Vec<Changes> = changes.collect::<Result<_, Unwritable>>()?;
    Ok(changes.into_iter().fold(Changes::new(), Changes::and))
}
