//! What is wrong with settings that can be read: files that are missing, keys that do not fit, addresses that clash.

use super::{CertificateSettings, EstSettings, IdentitySettings, Settings};
use crate::{
    external_ca::ExternalCa,
    identity::{Identity, certificates},
    registrar::CrlUrl,
    revocation,
};
use landfall_element::SecureElement;
use landfall_pki::{Certificate, oid};
use landfall_types::Time;
use serde::Serialize;
use std::{collections::HashMap, fmt, net::SocketAddr, path::Path};

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The dotted key.
    pub key: String,
    /// What is wrong, and where it is known what to do.
    pub why: String,
}

impl Problem {
    /// What is wrong with `key`.
    pub fn new(key: impl Into<String>, why: impl fmt::Display) -> Self {
        Self { key: key.into(), why: why.to_string() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.key, self.why)
    }
}

/// Everything that would keep the roles of `settings` from starting, in the order of the file. Nothing is made or
/// changed.
pub fn check(settings: &Settings) -> Vec<Problem> {
    let mut check = Check { settings, element: None, problems: Vec::new() };
    check.keys();
    check.store();
    check.admin();
    check.masa();
    check.supply_chain();
    check.registrar();
    check.configurator();
    check.access();
    check.enforcer();
    check.authorizer();
    check.listeners();
    check.problems
}

struct Check<'a> {
    settings: &'a Settings,
    element: Option<std::sync::Arc<dyn SecureElement>>,
    problems: Vec<Problem>,
}

impl Check<'_> {
    fn wrong(&mut self, key: impl Into<String>, why: impl fmt::Display) {
        self.problems.push(Problem::new(key, why));
    }

    fn keys(&mut self) {
        match crate::open::existing_element(self.settings) {
            Ok(element) => self.element = Some(element),
            Err(why) => self.wrong("keys", why),
        }
    }

    fn store(&mut self) {
        if let Err(why) = crate::open::StoreUrl::parse(&self.settings.store.url) {
            self.wrong("store.url", why);
        }
    }

    fn admin(&mut self) {
        let admin = &self.settings.admin;
        if admin.listen.is_none() {
            return;
        }
        match &admin.identity {
            Some(identity) => self.identity("admin.identity", identity, |_| None),
            None => self.wrong("admin.identity", "is needed to listen on an address"),
        }
        match &admin.operator_anchors {
            Some(path) => self.anchors("admin.operator-anchors", path),
            None => self.wrong("admin.operator-anchors", "is needed to know operators from others"),
        }
    }

    fn masa(&mut self) {
        let Some(masa) = &self.settings.masa else { return };
        self.identity("masa.identity", &masa.identity, |_| None);
        self.identity("masa.voucher-signer", &masa.voucher_signer, |_| None);
        for (index, path) in masa.idevid_anchors.iter().enumerate() {
            self.anchors(&format!("masa.idevid-anchors[{index}]"), path);
        }
        for (index, path) in masa.customer_anchors.iter().enumerate() {
            self.anchors(&format!("masa.customer-anchors[{index}]"), path);
        }
        for (index, path) in masa.customer_crls.iter().enumerate() {
            self.crl(&format!("masa.customer-crls[{index}]"), path);
        }
        if masa.idevid_anchors.is_empty() {
            self.wrong("masa.idevid-anchors", "is empty, so no device would get a voucher");
        }
    }

    fn supply_chain(&mut self) {
        if let Some(service) = &self.settings.supply_chain {
            self.identity("supply-chain.identity", &service.identity, |_| None);
        }
        for (index, intake) in self.settings.intake.iter().enumerate() {
            let key = format!("intake[{index}]");
            for (at, path) in intake.anchors.iter().enumerate() {
                self.anchors(&format!("{key}.anchors[{at}]"), path);
            }
            if intake.anchors.is_empty() {
                self.wrong(format!("{key}.anchors"), "is empty, so no service would be believed");
            }
            match (&intake.identity, &intake.token_file) {
                (Some(identity), _) => self.identity(&format!("{key}.identity"), identity, |_| None),
                (None, Some(path)) if self.settings.resolve(path).is_file() => {}
                (None, Some(_)) => self.wrong(format!("{key}.token-file"), "is not there"),
                (None, None) => self.wrong(format!("{key}.identity"), "or token-file is needed to be known there"),
            }
        }
    }

    fn registrar(&mut self) {
        let Some(registrar) = &self.settings.registrar else { return };
        self.identity("registrar.identity", &registrar.identity, |certificate| {
            (!certificate.has_eku(oid::CMC_RA)).then_some("does not name id-kp-cmcRA, so no MASA would answer it")
        });
        self.identity("registrar.authority", &registrar.authority, |certificate| {
            (!certificate.is_ca()).then_some("is no CA, so it cannot issue LDevIDs")
        });
        if registrar.limits.request.duration() <= registrar.masa_timeout.duration() * 2 {
            let why = "must be longer than twice registrar.masa-timeout: a device is answered after its MASA was asked \
                       for a voucher and an audit log";
            self.wrong("registrar.limits.request", why);
        }
        if let Some(Err(why)) = registrar.crl_url.as_deref().map(str::parse::<CrlUrl>) {
            self.wrong("registrar.crl-url", why.why);
        }
        if registrar.vendor.is_empty() {
            self.wrong("registrar.vendor", "names nobody, so no device may come; add a [[registrar.vendor]]");
        }
        if let Some(policy) = &registrar.policy {
            for set in policy.missing_sets() {
                self.wrong("registrar.policy", format_args!("a rule names the set {set:?}, which is not there"));
            }
        }
        let mut seen = HashMap::new();
        for (index, vendor) in registrar.vendor.iter().enumerate() {
            let key = format!("registrar.vendor[{index}]");
            if let Some(first) = seen.insert(&vendor.id, index) {
                self.wrong(format!("{key}.id"), format_args!("{} is also vendor[{first}]", vendor.id));
            }
            if vendor.anchors.is_empty() {
                self.wrong(format!("{key}.anchors"), "is empty, so none of its devices may come");
            }
            if let Some(identity) = &vendor.masa_identity {
                self.identity(&format!("{key}.masa-identity"), identity, |_| None);
                if vendor.masa_anonymous {
                    self.wrong(format!("{key}.masa-anonymous"), "and masa-identity exclude each other");
                }
            }
            for (at, path) in vendor.crls.iter().enumerate() {
                self.crl(&format!("{key}.crls[{at}]"), path);
            }
            let lists = [
                ("anchors", &vendor.anchors),
                ("masa-anchors", &vendor.masa_anchors),
                ("voucher-anchors", &vendor.voucher_anchors),
            ];
            for (name, paths) in lists {
                for (at, path) in paths.iter().enumerate() {
                    self.anchors(&format!("{key}.{name}[{at}]"), path);
                }
            }
        }
    }

    fn configurator(&mut self) {
        let Some(configurator) = &self.settings.configurator else { return };
        let mut seen = HashMap::new();
        for (index, tenant) in configurator.tenants().enumerate() {
            let key = match index.checked_sub(1) {
                None => "configurator".to_owned(),
                Some(index) => format!("configurator.hosted[{index}]"),
            };
            if let Some(first) = seen.insert(tenant.id.clone(), key.clone()) {
                self.wrong(&key, format_args!("has the tenant {} of {first}", tenant.id));
            }
            if tenant.id.as_str().len() > crate::configurator::LONGEST_TENANT {
                self.wrong(&key, format_args!("the name of the tenant {} is too long", tenant.id));
            }
            self.networks(&key, &tenant);
        }
    }

    fn access(&mut self) {
        let Some(access) = &self.settings.access else { return };
        self.identity("access.identity", &access.identity, |certificate| {
            certificate.is_ca().then_some("is a CA; devices take a server's certificate only")
        });
        for (at, path) in access.anchors.iter().enumerate() {
            self.anchors(&format!("access.anchors[{at}]"), path);
        }
        if access.client.is_empty() {
            self.wrong("access.client", "is empty, so no access point is answered");
        }
        for (at, client) in access.client.iter().enumerate() {
            let key = format!("access.client[{at}]");
            if let Err(why) = crate::access::Client::load(client, self.settings) {
                self.wrong(format!("{key}.secret-file"), why);
            }
            let by_certificate = !client.certificate_names.is_empty() || !client.certificate_fingerprints.is_empty();
            if by_certificate && access.radsec.is_none() {
                self.wrong(
                    format!("{key}.certificate-names"),
                    "is for RADIUS over TLS, for which there is no [access.radsec]",
                );
            }
            if client.addresses.is_empty() != client.secret_file.as_os_str().is_empty() {
                self.wrong(format!("{key}.addresses"), "and secret-file go together");
            }
            if client.token_file.is_some() && access.web.is_none() {
                self.wrong(format!("{key}.token-file"), "is for HTTP, for which there is no [access.web]");
            }
            if client.addresses.is_empty() && !by_certificate && client.token_file.is_none() {
                self.wrong(&key, "is known by nothing: by addresses and secret-file, certificate-names or token-file");
            }
        }
        for (at, path) in access.radsec.iter().flat_map(|radsec| &radsec.anchors).enumerate() {
            self.anchors(&format!("access.radsec.anchors[{at}]"), path);
        }
    }

    fn authorizer(&mut self) {
        let Some(authorizer) = &self.settings.authorizer else { return };
        let element = self.element.clone();
        if let Err(why) = crate::authorizer::Config::from_settings(authorizer, self.settings, element.as_deref()) {
            self.wrong("authorizer", why);
        }
        if let Some(questions) = &authorizer.questions {
            self.identity("authorizer.questions.identity", &questions.identity, |_| None);
            for (at, path) in questions.anchors.iter().enumerate() {
                self.anchors(&format!("authorizer.questions.anchors[{at}]"), path);
            }
            if questions.anchors.is_empty() {
                self.wrong("authorizer.questions.anchors", "is empty, so nobody could ask");
            }
        }
        if let Err(why) = crate::deny::Config::from_settings(&authorizer.deny_lists, self.settings) {
            self.wrong(why.what, why.why);
        }
        if let Err(why) = crate::authorizer::Publications::check(&authorizer.sboms) {
            self.wrong(why.what, why.why);
        }
        if let Err(why) = crate::authorizer::StatusLists::from_settings(authorizer, self.settings) {
            self.wrong(why.what, why.why);
        }
        if let Err(why) = crate::signals::Config::from_settings(&authorizer.signals, self.settings, element.as_deref())
        {
            self.wrong(why.what, why.why);
        }
        let assets =
            authorizer.assets.as_ref().map(|assets| crate::assets::Config::from_settings(assets, self.settings));
        if let Some(Err(why)) = assets {
            self.wrong(why.what, why.why);
        }
        if authorizer.valid.duration().is_zero() {
            self.wrong("authorizer.valid", "is nothing, so no decision would ever count");
        }
        if authorizer.brake.share > 100 {
            self.wrong("authorizer.brake.share", "is more than all");
        }
    }

    fn enforcer(&mut self) {
        let Some(enforcer) = &self.settings.enforcer else { return };
        let (picture, ..) = crate::enforcer::read(enforcer, self.settings, &mut self.problems);
        if let Err(why) = landfall_nft::Kernel::new(enforcer.namespace.as_deref()) {
            self.wrong("enforcer", why);
        }
        let Some(access) = &self.settings.access else { return };
        for segment in &picture.segments {
            if let Some(vlan) = segment.vlan.as_ref().filter(|vlan| !access.has_place_in(vlan)) {
                let name = &segment.name;
                self.wrong("enforcer.segment", format_args!("no access.place or quarantine has {name}'s VLAN, {vlan}"));
            }
        }
    }

    fn networks(&mut self, key: &str, tenant: &super::TenantSettings) {
        if tenant.network.is_empty() {
            self.wrong(format!("{key}.network"), "is empty, so no device can be configured");
        }
        if let Some(policy) = &tenant.policy {
            for set in policy.missing_sets() {
                self.wrong(format!("{key}.policy"), format_args!("a rule names the set {set:?}, which is not there"));
            }
        }
        if tenant.network.iter().any(|network| network.kind.0.dot1x) {
            let CertificateSettings { authority, est, .. } = &tenant.certificates;
            match est {
                Some(est) => self.external_ca(&format!("{key}.certificates.est"), est),
                None => self.identity(&format!("{key}.certificates.authority"), authority, |certificate| {
                    (!certificate.is_ca()).then_some("is no CA, so it cannot issue certificates")
                }),
            }
        }
        let mut seen = HashMap::new();
        for (index, network) in tenant.network.iter().enumerate() {
            let key = format!("{key}.network[{index}]");
            if network.ssid.is_empty() || network.ssid.len() > 32 {
                self.wrong(format!("{key}.ssid"), "has not 1 to 32 octets");
            }
            if let Some(first) = seen.insert(&network.ssid, index) {
                self.wrong(format!("{key}.ssid"), format_args!("is also that of network[{first}]"));
            }
            if let Some(path) = &network.eap_anchor {
                self.anchors(&format!("{key}.eap-anchor"), path);
            }
        }
    }

    fn external_ca(&mut self, key: &str, est: &EstSettings) {
        let before = self.problems.len();
        for (name, paths) in [("anchors", &est.anchors), ("issuers", &est.issuers)] {
            for (at, path) in paths.iter().enumerate() {
                self.anchors(&format!("{key}.{name}[{at}]"), path);
            }
        }
        if est.anchors.is_empty() {
            self.wrong(format!("{key}.anchors"), "is empty, so no server would be believed");
        }
        if let Some(identity) = &est.identity {
            self.identity(&format!("{key}.identity"), identity, |_| None);
        }
        if let Some(element) = self.element.clone().filter(|_| self.problems.len() == before)
            && let Err(why) = ExternalCa::load(est, self.settings, element.as_ref())
        {
            self.wrong(key, why);
        }
    }

    /// Two listeners on one port cannot both start.
    fn listeners(&mut self) {
        let settings = self.settings;
        let metrics = match settings.metrics.listen.as_str() {
            "" => None,
            listen => listen.parse::<SocketAddr>().map_err(|why| self.wrong("metrics.listen", why)).ok(),
        };
        let all = [
            ("metrics.listen", metrics),
            ("admin.listen", settings.admin.listen),
            ("masa.listen", settings.masa.as_ref().map(|role| role.listen)),
            ("supply-chain.listen", settings.supply_chain.as_ref().map(|role| role.listen)),
            ("registrar.listen", settings.registrar.as_ref().map(|role| role.listen)),
            ("proxy.listen", settings.proxy.as_ref().map(|role| role.listen)),
            ("access.radsec.listen", settings.access.as_ref().and_then(|it| Some(it.radsec.as_ref()?.listen))),
            ("authorizer.signals.listen", settings.authorizer.as_ref().and_then(|role| role.signals.listen)),
            (
                "authorizer.questions.listen",
                settings.authorizer.as_ref().and_then(|it| Some(it.questions.as_ref()?.listen)),
            ),
            ("access.web.listen", settings.access.as_ref().and_then(|it| Some(it.web.as_ref()?.listen))),
            ("configurator.listen", settings.configurator.as_ref().map(|role| role.listen)),
        ];
        let mut taken = HashMap::new();
        for (key, address) in all.into_iter().filter_map(|(key, address)| Some((key, address?))) {
            if address.port() == 0 {
                continue;
            }
            if let Some(other) = taken.insert(address.port(), key) {
                self.wrong(key, format_args!("has the port of {other}"));
            }
        }
    }

    /// The certificate has its key, is valid now, and is fit for what it is for: `unfit` says why not.
    fn identity(
        &mut self,
        key: &str,
        identity: &IdentitySettings,
        unfit: impl Fn(&Certificate) -> Option<&'static str>,
    ) {
        let resolve = |path: &Path| self.settings.resolve(path);
        let result = match &self.element {
            Some(element) => Identity::load(identity, resolve, element.as_ref()).map(|identity| identity.chain),
            None => certificates(&resolve(&identity.certificate)),
        };
        let leaf = match result {
            Ok(chain) => chain.into_iter().next(),
            Err(why) => return self.wrong(key, why),
        };
        let Some(leaf) = leaf else { return };
        let now = Time::now();
        if now < leaf.not_before() || leaf.not_after() < now {
            let why = format!("is valid from {} to {} only", leaf.not_before(), leaf.not_after());
            self.wrong(format!("{key}.certificate"), why);
        }
        if let Some(why) = unfit(&leaf) {
            self.wrong(format!("{key}.certificate"), why);
        }
    }

    /// With a list that is out of date, no certificate of its issuer is accepted.
    fn crl(&mut self, key: &str, path: &Path) {
        match revocation::read(&self.settings.resolve(path)) {
            Ok(list) if list.is_current(Time::now()) => {}
            Ok(_) => self.wrong(key, "is out of date; fetch the current one"),
            Err(why) => self.wrong(key, why),
        }
    }

    fn anchors(&mut self, key: &str, path: &Path) {
        if let Err(why) = certificates(&self.settings.resolve(path)) {
            self.wrong(key, why);
        }
    }
}
