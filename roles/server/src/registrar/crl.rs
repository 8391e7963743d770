//! Revoking, and publishing what was revoked (RFC 5280 s5).

use super::{CRL_PATH, CertificateRecord, CrlRecord, Registrar, nothing_here};
use crate::{RoleError, Shutdown};
use landfall_net::http::{Limits, Server};
use landfall_pki::{CertificateSerial, Crl, CrlRequest, Revoked, crl::Reason};
use landfall_types::{
    Changes, Time,
    http::{Method, Request, Response},
};
use std::{
    fmt,
    net::SocketAddr,
    str::FromStr,
    sync::{Arc, PoisonError},
};
use tokio::net::TcpListener;

/// Where a revocation list is for those who check certificates (RFC 5280 s4.2.1.13, RFC 2585 s3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CrlUrl(String);

impl CrlUrl {
    const SCHEME: &str = "http://";

    /// Its path.
    pub fn path(&self) -> &str {
        let after = self.0.get(Self::SCHEME.len()..).unwrap_or_default();
        after.find('/').and_then(|at| after.get(at..)).unwrap_or("/")
    }
}

impl FromStr for CrlUrl {
    type Err = RoleError;

    /// RFC 5280 s8: to fetch the list by https, the server's certificate would have to be checked, by such a list.
    fn from_str(text: &str) -> Result<Self, RoleError> {
        let wrong = |why| Err(RoleError::new("the address of the revocation list (registrar.crl-url)", why));
        let host = text.strip_prefix(Self::SCHEME).map(|after| after.split('/').next().unwrap_or_default());
        match host {
            None => wrong("does not begin with http://"),
            Some("") => wrong("names no host"),
            _ if text.len() > 512 => wrong("is longer than 512 characters"),
            _ if !text.bytes().all(|byte| byte.is_ascii_graphic()) => wrong("holds what stands in no address"),
            _ if text.contains(['?', '#']) => wrong("holds more than a path"),
            Some(_) => Ok(Self(text.to_owned())),
        }
    }
}

impl fmt::Display for CrlUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Serves the revocation list by plain HTTP, and nothing else: it is signed, and no secret.
#[derive(Debug)]
pub(super) struct Door {
    listener: TcpListener,
    path: String,
    limits: Limits,
}

impl Door {
    pub(super) async fn bind(address: SocketAddr, url: Option<&CrlUrl>, limits: Limits) -> Result<Self, RoleError> {
        let what = format!("listening on {address} (registrar.crl-listen)");
        let listener = TcpListener::bind(address).await.map_err(RoleError::while_(what))?;
        Ok(Self { listener, path: url.map_or(CRL_PATH, CrlUrl::path).to_owned(), limits })
    }

    pub(super) async fn serve(self, registrar: Arc<Registrar>, shutdown: Shutdown) {
        let Self { listener, path, limits } = self;
        let answer = move |request: Request| match request.method {
            _ if request.path != path => nothing_here(),
            Method::Get => registrar.crl_response(),
            _ => {
                let mut refused = Response::new(405);
                refused.headers.add("allow", "GET");
                refused
            }
        };
        let handler = move |request, _from| std::future::ready(answer(request));
        Server::new(listener).limits(limits).run(handler, shutdown.watch()).await;
    }
}

impl Registrar {
    /// The latest list, in DER.
    pub fn crl(&self) -> Option<Arc<[u8]>> {
        self.crl.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn crl_response(&self) -> Response {
        match self.crl() {
            Some(der) => Response::with(200, "application/pkix-crl", der.to_vec()),
            None => Response::new(503),
        }
    }

    /// Makes the list anew, always or only if there is none that is good for a while.
    pub async fn renew_crl(&self, always: bool) -> Result<(), RoleError> {
        const WHAT: &str = "making the revocation list";
        let now = self.world.clock.now();
        let kept = self.world.store.find::<CrlRecord>(CrlRecord::KEY).map_err(RoleError::while_(WHAT))?;
        let old = kept.as_ref().and_then(|kept| Crl::from_pem(&kept.pem).ok());
        if let Some(old) = old.filter(|old| !always && old.is_current(now + self.crl_every)) {
            self.publish(&old);
            return Ok(());
        }
        let crl = self.make_crl(kept.map_or(1, |kept| kept.number + 1), now).await?;
        self.publish(&crl);
        Ok(())
    }

    async fn make_crl(&self, number: u64, now: Time) -> Result<Crl, RoleError> {
        const WHAT: &str = "making the revocation list";
        let store = &self.world.store;
        let revoked = CertificateRecord::all_revoked(store).map_err(RoleError::while_(WHAT))?;
        let request = CrlRequest {
            number,
            this_update: now,
            // Twice as long as the interval, so that one failure to renew it does no harm.
            next_update: now + self.crl_every * 2,
            revoked: revoked
                .iter()
                .filter(|record| record.issued.not_after >= now && record.elsewhere.is_none())
                .filter_map(entry)
                .collect(),
        };
        let prepared = request.prepare(&self.issuer).map_err(RoleError::while_(WHAT))?;
        let crl = prepared.issue(self.authority.signer.as_ref()).map_err(RoleError::while_(WHAT))?;
        let record = CrlRecord { number, pem: crl.to_pem() };
        let changes = Changes::new().put(&record).map_err(RoleError::while_(WHAT))?;
        store.commit(changes).await.map_err(RoleError::while_(WHAT))?;
        Ok(crl)
    }

    fn publish(&self, crl: &Crl) {
        *self.crl.write().unwrap_or_else(PoisonError::into_inner) = Some(crl.der().into());
    }
}

fn entry(record: &CertificateRecord) -> Option<(CertificateSerial, Revoked)> {
    let serial = CertificateSerial::from_bytes(&hex::decode(&record.issued.serial).ok()?).ok()?;
    let at = record.revoked.as_ref()?.at;
    Some((serial, Revoked { at, reason: Reason::PrivilegeWithdrawn }))
}
