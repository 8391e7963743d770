//! Talking to the manufacturers' MASAs, and knowing which of them answer (SP 1800-36B 6.2.1).

use super::{MasaClient, VendorConfig};
use crate::{Identity, RoleError};
use landfall_brski::registrar::{MasaEndpoint, MasaUnreachable};
use landfall_net::{
    http::{ClientLimits, Endpoint, Pool},
    tls::ClientTls,
};
use landfall_types::{
    Time, VendorId,
    http::{Request, Response},
};
use std::{
    collections::{BTreeMap, HashMap},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// The MASAs of all vendors.
#[derive(Debug)]
pub struct Masas {
    pool: Pool,
    timeout: Duration,
    tls: HashMap<VendorId, ClientTls>,
    states: Mutex<BTreeMap<VendorId, MasaState>>,
}

/// What is known of one vendor's MASA.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MasaState {
    /// Where it was last looked for.
    pub address: Option<String>,
    /// Since when it answers, or does not; nothing before it was asked.
    pub since: Option<Time>,
    /// Why it did not answer the last time.
    pub error: Option<String>,
}

impl Masas {
    pub(super) fn new(identity: &Identity, vendors: &[VendorConfig], timeout: Duration) -> Result<Self, RoleError> {
        let limits = ClientLimits { exchange: timeout, ..ClientLimits::default() };
        let registrar = identity.clone().into();
        let mut tls = HashMap::new();
        let mut states = BTreeMap::new();
        for VendorConfig { vendor, masa_anchors, masa_client, .. } in vendors {
            // RFC 8995 s5.4: the MASA is recognised by name, below the vendor's anchors; it recognises us by the
            // certificate that is meant for it, if any is.
            let own = match masa_client {
                MasaClient::Registrar => Some(&registrar),
                MasaClient::Own(own) => Some(&own.clone().into()),
                MasaClient::Nobody => None,
            };
            let client = ClientTls::named(masa_anchors.clone(), own)
                .map_err(RoleError::while_(format!("the MASA of vendor {}", vendor.id)))?;
            tls.insert(vendor.id.clone(), client);
            let address = vendor.masa.as_ref().map(ToString::to_string);
            states.insert(vendor.id.clone(), MasaState { address, ..MasaState::default() });
        }
        Ok(Self { pool: Pool::new(limits), timeout, tls, states: Mutex::new(states) })
    }

    /// What is known of each vendor's MASA.
    pub fn states(&self) -> BTreeMap<VendorId, MasaState> {
        self.lock().clone()
    }

    /// Sends `request` to the MASA at `masa`, following one redirect (RFC 8995 s5.6), all within the
    /// time that a MASA may take.
    pub(super) async fn ask(
        &self,
        vendor: &VendorId,
        masa: &MasaEndpoint,
        request: Request,
        now: Time,
    ) -> Result<Response, MasaUnreachable> {
        let answer = tokio::time::timeout(self.timeout, self.send_on(vendor, masa, request)).await;
        let answer = answer.unwrap_or_else(|_| Err(MasaUnreachable("it took too long".into())));
        self.note(vendor, masa, answer.as_ref().err(), now);
        answer
    }

    async fn send_on(
        &self,
        vendor: &VendorId,
        masa: &MasaEndpoint,
        request: Request,
    ) -> Result<Response, MasaUnreachable> {
        let answer = self.send(vendor, masa, request.clone()).await;
        match redirect(masa, &answer) {
            Some((other, path)) => {
                tracing::info!(%vendor, %masa, %other, "redirected");
                self.send(vendor, &other, Request { path, ..request }).await
            }
            None => answer,
        }
    }

    async fn send(
        &self,
        vendor: &VendorId,
        masa: &MasaEndpoint,
        request: Request,
    ) -> Result<Response, MasaUnreachable> {
        let tls = self.tls.get(vendor).ok_or_else(|| MasaUnreachable(format!("vendor {vendor} is not configured")))?;
        let endpoint: Endpoint = masa.authority().parse().map_err(|why| MasaUnreachable(format!("{why}")))?;
        self.pool.send(&endpoint, Some(tls), request).await.map_err(|why| MasaUnreachable(why.to_string()))
    }

    fn note(&self, vendor: &VendorId, masa: &MasaEndpoint, error: Option<&MasaUnreachable>, now: Time) {
        let mut states = self.lock();
        let state = states.entry(vendor.clone()).or_default();
        let error = error.map(|why| why.0.clone());
        if state.since.is_none() || state.error.is_some() != error.is_some() {
            state.since = Some(now);
            match &error {
                Some(why) => tracing::warn!(%vendor, %masa, why, "the MASA cannot be reached"),
                None => tracing::info!(%vendor, %masa, "the MASA answers"),
            }
        }
        state.address = Some(masa.to_string());
        state.error = error;
        metrics::gauge!("landfall_masa_up", "vendor" => vendor.to_string()).set(if state.error.is_none() {
            1.0
        } else {
            0.0
        });
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<VendorId, MasaState>> {
        self.states.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where an answer sends us, if it does; only to https, which is the only scheme that an endpoint has.
fn redirect(masa: &MasaEndpoint, answer: &Result<Response, MasaUnreachable>) -> Option<(MasaEndpoint, String)> {
    let response = answer.as_ref().ok().filter(|response| matches!(response.status, 301 | 302 | 307 | 308))?;
    let location = response.headers.first("location")?;
    if let Some(path) = masa.path_here(location) {
        return Some((masa.clone(), path));
    }
    let other: MasaEndpoint = location.parse().ok()?;
    let path = other.path("");
    Some((other, path))
}
