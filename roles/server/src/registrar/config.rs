//! How a registrar is set up.

use super::{CrlUrl, Masas, Registrar};
use crate::{
    Identity, RoleError, World,
    attestation::{Own, Verifier},
    identity,
    revocation::CrlFiles,
    settings::{CsrWish, IdentitySettings, RegistrarSettings, Settings, VendorSettings},
};
use landfall_brski::{
    est::{
        self,
        csrattrs::{CsrAttrs, Wish},
    },
    registrar::{self, Vendor, Vendors},
    voucher::SealOptions,
};
use landfall_net::{discovery::Interface, http::Limits};
use landfall_pki::{Algorithm, Anchors, Authority, KeyKind, oid};
use landfall_policy::Policy;
use std::{
    collections::HashMap,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{Arc, RwLock},
    time::Duration,
};

/// How a registrar is set up: everything opened and loaded.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where pledges and their proxies reach it.
    pub listen: SocketAddr,
    /// The interfaces on which it announces itself, if it does.
    pub announce: Option<Vec<Interface>>,
    /// The registrar's certificate, for TLS and for voucher requests.
    pub identity: Identity,
    /// The domain's issuing CA: its file holds the path to the root.
    pub authority: Identity,
    /// Whose devices may come.
    pub vendors: Vec<VendorConfig>,
    /// Who may join.
    pub policy: Policy,
    /// How devices are enrolled.
    pub est: EstConfig,
    /// Whether the MASA's audit log is judged before a voucher is handed out.
    pub check_history: bool,
    /// When a pledge that waits is to come back.
    pub retry_after: Duration,
    /// How long a MASA may take.
    pub masa_timeout: Duration,
    /// How often the revocation list is made anew.
    pub crl_every: Duration,
    /// Where those who check LDevIDs find it, if LDevIDs say so.
    pub crl_url: Option<CrlUrl>,
    /// Where it is served by plain HTTP, if it is.
    pub crl_listen: Option<SocketAddr>,
    /// What the listener bears.
    pub limits: Limits,
    /// Whether devices show evidence, and what is good.
    pub verifier: Option<Arc<Verifier>>,
    /// By which TPM the registrar shows them what it runs itself.
    pub own: Option<Arc<Own>>,
}

/// A vendor, and how its MASA is recognised.
#[derive(Clone, Debug)]
pub struct VendorConfig {
    /// The vendor.
    pub vendor: Vendor,
    /// What its MASA's TLS certificate leads to.
    pub masa_anchors: Anchors,
    /// As whom the MASA sees us in TLS.
    pub masa_client: MasaClient,
    /// The files of its revocation lists.
    pub crls: CrlFiles,
}

/// What a MASA is shown in TLS (RFC 8995 s5.4). The voucher request itself is the registrar's in any case.
#[derive(Clone, Debug, Default)]
pub enum MasaClient {
    /// The registrar's certificate.
    #[default]
    Registrar,
    /// A certificate that is for this MASA, as its operator may have given one.
    Own(Identity),
    /// None.
    Nobody,
}

/// How devices are enrolled.
#[derive(Clone, Debug)]
pub struct EstConfig {
    /// How long an LDevID lasts.
    pub lifetime: Duration,
    /// The labels that are answered beside the bare paths.
    pub labels: Vec<String>,
    /// What a certificate request has to hold.
    pub csrattrs: CsrAttrs,
    /// Whether keys are made for devices that ask.
    pub server_keygen: bool,
    /// Whether a request must be bound to its connection.
    pub require_binding: bool,
}

impl Config {
    /// What `registrar` means in `settings`, with every file that it names opened.
    pub fn from_settings(registrar: &RegistrarSettings, settings: &Settings, world: &World) -> Result<Self, RoleError> {
        let resolve = |path: &Path| settings.resolve(path);
        let identity = |of: &IdentitySettings| Identity::load(of, resolve, world.element.as_ref());
        let interfaces = || {
            Interface::select(&registrar.interfaces).map_err(RoleError::while_("the interfaces (registrar.interfaces)"))
        };
        let enrolment = &registrar.enrolment;
        let verifier = Verifier::open(&registrar.attestation, resolve, &identity(&registrar.identity)?)?.map(Arc::new);
        Ok(Self {
            listen: registrar.listen,
            announce: registrar.announce.then(interfaces).transpose()?,
            identity: identity(&registrar.identity)?,
            authority: identity(&registrar.authority)?,
            vendors: registrar.vendor.iter().map(|of| vendor_of(of, resolve, identity)).collect::<Result<_, _>>()?,
            policy: registrar.policy.clone().unwrap_or_else(|| registrar.acceptance.policy()),
            est: EstConfig {
                lifetime: enrolment.lifetime.duration(),
                labels: enrolment.labels.clone(),
                csrattrs: CsrAttrs(enrolment.csrattrs.iter().map(CsrWish::wish).collect()),
                server_keygen: enrolment.server_keygen,
                require_binding: enrolment.require_binding,
            },
            check_history: registrar.check_audit_log,
            retry_after: registrar.retry_after.duration(),
            masa_timeout: registrar.masa_timeout.duration(),
            crl_every: registrar.crl_every.duration(),
            crl_url: registrar.crl_url.as_deref().map(str::parse).transpose()?,
            crl_listen: registrar.crl_listen,
            limits: (&registrar.limits).into(),
            verifier,
            own: Own::open(&registrar.attestation, resolve)?.map(Arc::new),
        })
    }

    pub(super) fn registrar(self, world: World) -> Result<Registrar, RoleError> {
        let masas = Masas::new(&self.identity, &self.vendors, self.masa_timeout)?;
        let vendors = Vendors::new(self.vendors.iter().map(|vendor| vendor.vendor.clone()));
        let issuer = authority(&self.authority)?;
        let core = registrar::Config {
            certificate: self.identity.certificate()?.clone(),
            // RFC 8995 s5.5: what may be pinned. The root goes along: a voucher without nonce pins the highest.
            chain: above(&self.identity, &issuer),
            vendors: vendors.clone(),
            seal: SealOptions::default(),
            retry_after: self.retry_after,
            check_history: self.check_history,
        };
        let mut est = self.est_core(&issuer, &vendors);
        if self.verifier.is_some() {
            // draft-ietf-lamps-csr-attestation: a CA that wants evidence says so in its CSR attributes.
            est.csrattrs.0.push(Wish::Oid(oid::KEY_ATTESTATION));
        }
        let est = Arc::new(est);
        let labels = self.est.labels.iter().cloned().chain([String::new()]);
        let est: HashMap<_, _> = labels.map(|label| (label, est.clone())).collect();
        Ok(Registrar {
            world,
            core: Arc::new(core),
            vendors: Arc::new(vendors),
            masas,
            identity: self.identity,
            authority: self.authority,
            issuer,
            est,
            policy: RwLock::new(Arc::new(self.policy)),
            verifier: self.verifier,
            own: self.own,
            crl: RwLock::default(),
            crl_every: self.crl_every,
        })
    }

    fn est_core(&self, issuer: &Authority, vendors: &Vendors) -> est::server::Config {
        let mut cacerts: Vec<_> = std::iter::once(&issuer.certificate).chain(&issuer.chain).cloned().collect();
        // RFC 7030 s4.1.3: the root stands first for whoever reads only one.
        cacerts.reverse();
        est::server::Config {
            authority: issuer.clone(),
            domain_anchors: Anchors::of([issuer.certificate.clone()]),
            cacerts,
            vendors: vendors.clone(),
            csrattrs: self.est.csrattrs.clone(),
            keys: vec![KeyKind::P256, KeyKind::P384, KeyKind::Ed25519, KeyKind::Rsa { bits: 2048 }],
            require_binding: self.est.require_binding,
            purposes: vec![oid::CLIENT_AUTH],
            dns_suffixes: Vec::new(),
            organization: issuer.certificate.subject_name().attribute(oid::ORGANIZATION),
            lifetime: self.est.lifetime,
            backdate: Duration::from_secs(300),
            voucher_max_age: Duration::from_secs(24 * 60 * 60),
            expired_grace: Duration::ZERO,
            retry_after: self.retry_after,
            crl_url: self.crl_url.as_ref().map(ToString::to_string),
            server_keygen: self.est.server_keygen.then_some(Algorithm::EcdsaP256),
        }
    }
}

fn authority(identity: &Identity) -> Result<Authority, RoleError> {
    let certificate = identity.certificate()?.clone();
    Ok(Authority { certificate, chain: identity.chain.iter().skip(1).cloned().collect() })
}

/// What stands above the registrar's certificate, the root included.
fn above(identity: &Identity, issuer: &Authority) -> Vec<landfall_pki::Certificate> {
    let mut chain: Vec<_> = identity.chain.iter().skip(1).cloned().collect();
    chain.extend(issuer.chain.iter().filter(|ca| !identity.chain.contains(ca)).cloned());
    chain
}

fn vendor_of(
    vendor: &VendorSettings,
    resolve: impl Fn(&Path) -> PathBuf,
    identity: impl Fn(&IdentitySettings) -> Result<Identity, RoleError>,
) -> Result<VendorConfig, RoleError> {
    let anchors = |paths: &[PathBuf]| identity::anchors(paths, &resolve);
    let idevid_anchors = anchors(&vendor.anchors)?;
    let or_idevid = |found: Anchors| if found.is_empty() { idevid_anchors.clone() } else { found };
    let masa = vendor.masa.as_deref().map(str::parse).transpose();
    let crls = CrlFiles::open(vendor.crls.iter().map(|path| resolve(path)))?;
    Ok(VendorConfig {
        masa_anchors: or_idevid(anchors(&vendor.masa_anchors)?),
        masa_client: match &vendor.masa_identity {
            _ if vendor.masa_anonymous => MasaClient::Nobody,
            Some(own) => MasaClient::Own(identity(own)?),
            None => MasaClient::Registrar,
        },
        vendor: Vendor {
            id: vendor.id.clone(),
            ignore_idevid_expiry: vendor.ignore_idevid_expiry,
            serial_fallback: vendor.serial_fallback,
            masa: masa.map_err(RoleError::while_(format!("the MASA of vendor {}", vendor.id)))?,
            voucher_anchors: or_idevid(anchors(&vendor.voucher_anchors)?),
            idevid_anchors,
            idevid_crls: crls.lists(),
            legacy_rsa: vendor.legacy_rsa,
        },
        crls,
    })
}
