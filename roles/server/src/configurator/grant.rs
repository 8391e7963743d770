//! What a device gets: for each network that it is for, a configuration object, and what is kept of it.

use super::{Network, authorize::Expected};
use crate::World;
use base64::{Engine, engine::general_purpose::STANDARD};
use landfall_brski::est::{Operation, binding::Linked, server};
use landfall_dpp::{
    Curve, NetRole, Status,
    config::{Akms, ConfigObject, ConfigRequest, Credential, Discovery, Enterprise},
    connector::Group,
    exchange::{Facts, Grant},
};
use landfall_lifecycle::network::{NetworkCredential, SharedSecret};
use landfall_pki::{
    Authority, Certificate, CertificateSerial, Csr, Name, Validity, cms::certs_only, oid, profile::Ldevid,
};
use landfall_types::{Fault, Fingerprint, Redacted, Refusal, Time};
use std::time::Duration;

const SECTION: &str = "DPP s6.4.3";
/// Clocks differ: what is issued now is good for whoever is a little behind.
const BACKDATE: Duration = Duration::from_secs(300);
/// Characters of a password, each of five random bits.
const PASSWORD: usize = 32;

/// What comes of a request.
pub(super) enum Made {
    /// It gets this; each grant with what is kept of it.
    Given(Vec<(Grant, Kept)>),
    /// It has to send a certificate request first.
    NeedsCsr,
    /// It has to make a key on that curve first.
    NeedsKey(Curve),
}

/// What is kept of a grant.
pub(super) struct Kept {
    pub(super) credential: NetworkCredential,
    pub(super) certificate: Option<server::Issued>,
    /// Whether the configurator puts a connector into it.
    pub(super) with_connector: bool,
}

/// A refusal and what the device is told.
pub(super) type Refused = (Status, Refusal);

fn refused(check: &'static str, why: impl Into<String>) -> Refused {
    (Status::ConfigureFailure, Refusal::new(Fault::Denied, check, SECTION, why))
}

/// What `device` gets for what it asks.
pub(super) fn make(device: &Expected, asked: &Facts, world: &World, now: Time) -> Result<Made, Refused> {
    let role = role(device, &asked.request)?;
    let mut networks = networks(device, asked, &role)?;
    if asked.peer.version < 2 {
        // DPP s6.4.3.2: release 1 takes one.
        networks.truncate(1);
    }
    if networks.iter().any(|(_, akm)| akm.dot1x) {
        if asked.key.curve() != Curve::P256 && asked.key.curve() != Curve::P384 {
            let curve = asked.key.curve();
            return match asked.peer.version {
                3.. => Ok(Made::NeedsKey(Curve::P256)),
                _ => Err(refused("certificate-key", format!("certificates cannot be issued for keys on {curve}"))),
            };
        }
        if asked.csr.is_none() {
            return Ok(Made::NeedsCsr);
        }
    }
    let given = networks.into_iter().map(|(network, akm)| give(device, asked, network, akm, &role, world, now));
    given.collect::<Result<_, _>>().map(Made::Given)
}

/// DPP s6.4.2: what it wants to be must be what its owner has it down for; nobody becomes an access point unasked.
fn role(device: &Expected, request: &ConfigRequest) -> Result<NetRole, Refused> {
    let owner_says = device.entry.role.map_or("sta", |role| role.as_str());
    let wanted = request.net_role.as_str();
    match &request.net_role {
        _ if wanted != owner_says => Err(refused(
            "network-role",
            format!("it asks to be {wanted:?}, and its owner has it down as {owner_says:?}"),
        )),
        NetRole::Sta | NetRole::Ap => Ok(request.net_role.clone()),
        _ => Err(refused("network-role", format!("nothing is given to one that asks to be {wanted:?}"))),
    }
}

/// The networks that are for this device, with how it joins each.
fn networks<'a>(device: &'a Expected, asked: &Facts, role: &NetRole) -> Result<Vec<(&'a Network, Akms)>, Refused> {
    let model = device.identity.model.as_ref();
    let all = device.tenant.networks.iter();
    let fitting: Vec<_> = all.filter(|network| network.is_for(model)).collect();
    if fitting.is_empty() {
        return Err(refused("network-for-device", "no network is for devices of its model"));
    }
    let trusted = |network: &&Network| asked.peer.we_proved || network.takes_ducklings();
    let trusting: Vec<_> = fitting.into_iter().filter(trusted).collect();
    if trusting.is_empty() {
        let why = "every network for it wants to be authenticated by the device, which does not know the configurator";
        return Err(refused("mutual-authentication", why));
    }
    let joined: Vec<_> =
        trusting.into_iter().filter_map(|network| Some((network, methods(network, device, asked, role)?))).collect();
    match joined.is_empty() {
        true => Err(refused("network-methods", "it can join no network that is for it in the way that it is joined")),
        false => Ok(joined),
    }
}

/// How this device joins the network; not at all if nothing fits both.
fn methods(network: &Network, device: &Expected, asked: &Facts, role: &NetRole) -> Option<Akms> {
    let mut akm = network.akm;
    if *role == NetRole::Ap {
        // What each station has for itself, no access point can have from here: those get it by `ap-config`.
        (akm.psk, akm.sae, akm.dot1x) = (false, false, false);
    }
    // IEEE 802.11 s12.4.3: an access point knows whose password it is by its identifier or by the sender's address.
    akm.sae &= device.mac.is_some() || takes_identifiers(asked);
    if asked.peer.version < 2 {
        // DPP s4.4: release 1 knows single methods only.
        let order = [(akm.dpp, Akms::DPP), (akm.sae, Akms::SAE), (akm.psk, Akms::PSK), (akm.dot1x, Akms::DOT1X)];
        return order.into_iter().find_map(|(has, single)| has.then_some(single));
    }
    (!akm.is_empty()).then_some(akm)
}

fn takes_identifiers(asked: &Facts) -> bool {
    let capabilities = asked.request.capabilities.unwrap_or(0);
    asked.peer.version >= 3 && capabilities & ConfigRequest::SAE_PASSWORD_ID != 0
}

fn give(
    device: &Expected,
    asked: &Facts,
    network: &Network,
    akm: Akms,
    role: &NetRole,
    world: &World,
    now: Time,
) -> Result<(Grant, Kept), Refused> {
    let backend = |why: String| (Status::ConfigureFailure, Refusal::new(Fault::Backend, "credential", SECTION, why));
    let mut credential = Credential { akm, ..Credential::default() };
    let id = device.identity.device.clone();
    let key = landfall_dpp::crypto::sha256(&[&asked.key.spki()]);
    let secret = akm.is_personal().then(|| {
        let password = password();
        let identifier = (akm.sae && takes_identifiers(asked)).then(|| identifier(&key));
        let name = super::credential::name_in_vault(&NetworkCredential::key_of(&id, &network.ssid));
        let vault = world.element.vault().ok_or_else(|| backend("the element seals nothing".into()))?;
        let sealed = vault.seal(&name, password.expose()).map_err(|why| backend(why.to_string()))?;
        credential.passphrase = Some(String::from_utf8_lossy(password.expose()).into_owned().into());
        credential.password_id.clone_from(&identifier);
        let mac = device.mac.map(|mac| mac.map(|octet| format!("{octet:02x}")).join(":"));
        Ok::<_, Refused>(SharedSecret { sealed: STANDARD.encode(sealed), identifier, mac })
    });
    let secret = secret.transpose()?;
    let certificate = match (&asked.csr, &device.tenant.authority) {
        (Some(csr), Some(authority)) if akm.dot1x => {
            let issued = certify(device, csr, authority, now).map_err(|why| backend(why.to_string()))?;
            credential.enterprise = Some(enterprise(network, &issued, authority));
            Some(issued)
        }
        _ if akm.dot1x => return Err(backend("there is nobody to issue certificates".into())),
        _ => None,
    };
    let model = device.identity.model.as_ref();
    let groups = network.groups_for(model).map(|id| Group { id: id.to_owned(), role: role.clone() });
    // From release 2 on, what is not a connector goes with one, by which the device can be reconfigured (DPP s6.6).
    let groups: Vec<_> = if akm.dpp || asked.peer.version >= 2 { groups.collect() } else { Vec::new() };
    if akm.dpp && groups.is_empty() {
        return Err(refused("network-groups", format!("no group of {:?} is for devices of its model", network.ssid)));
    }
    let expiry = network.expires.filter(|_| !groups.is_empty()).map(|lasts| now + lasts);
    let kept = NetworkCredential {
        device: id,
        network: network.ssid.clone(),
        methods: akm.to_string(),
        issued: now,
        key,
        former: None,
        connector: None,
        expires: expiry,
        secret,
        certificate: certificate.as_ref().map(|issued| issued.serial.clone()),
        deleted: None,
    };
    let with_connector = !groups.is_empty();
    let object = ConfigObject::infra(Discovery::from(network.ssid.as_str()), credential);
    Ok((Grant { object, groups, expiry }, Kept { credential: kept, certificate, with_connector }))
}

/// 160 random bits in letters and digits: nobody will ever type them.
fn password() -> Redacted<Vec<u8>> {
    const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let mut random = [0; PASSWORD];
    super::keys::random(&mut random);
    let letter = |octet: &u8| ALPHABET.get(usize::from(octet % 32)).copied().unwrap_or(b'a');
    let password = Redacted::new(random.iter().map(letter).collect());
    zeroize::Zeroize::zeroize(&mut random);
    password
}

/// What a password is known by on the air: it tells nothing of the device.
fn identifier(key: &Fingerprint) -> String {
    key.to_string().chars().take(16).collect()
}

/// The network decides what the certificate says; of the request, only its key counts.
fn certify(
    device: &Expected,
    csr: &[u8],
    authority: &crate::Identity,
    now: Time,
) -> Result<server::Issued, landfall_pki::PkiError> {
    let request = Csr::from_der(csr)?;
    let issuer = issuer(authority)?;
    let serial = &device.identity.serial_number;
    let subject = match issuer.certificate.subject_name().attribute(oid::ORGANIZATION) {
        Some(organization) => Name::new().organization(&organization),
        None => Name::new(),
    };
    let profile = Ldevid {
        subject: subject.common_name(serial.as_str()).serial_number(serial),
        alt_names: Vec::new(),
        purposes: vec![oid::CLIENT_AUTH],
        crl_url: None,
    };
    let begin = (now - BACKDATE).max(issuer.certificate.not_before());
    let end = (now + device.tenant.lifetime).min(issuer.certificate.not_after());
    let validity = Validity { not_before: begin, not_after: end };
    let prepared = profile.prepare(&issuer, request.public_key(), CertificateSerial::random()?, validity)?;
    let certificate = prepared.checked()?.issue(authority.signer.as_ref())?;
    Ok(server::Issued {
        serial: certificate.serial_hex(),
        certificate: certificate.der().to_vec(),
        fingerprint: certificate.fingerprint(),
        device: server::Device { id: device.identity.device.clone(), serial: serial.clone() },
        key: certificate.public_key().fingerprint(),
        operation: Operation::SimpleEnroll,
        // It authenticated with its bootstrapping key.
        client: device.entry.bootstrap_hash,
        csr: csr.to_vec(),
        linked: Linked::Proven,
        at: now,
        not_after: end,
    })
}

fn issuer(authority: &crate::Identity) -> Result<Authority, landfall_pki::PkiError> {
    let mut chain = authority.chain.iter().cloned();
    let none = || landfall_pki::PkiError::Misuse("the chain of the authority is empty".into());
    Ok(Authority { certificate: chain.next().ok_or_else(none)?, chain: chain.collect() })
}

/// DPP s4.4.3: the certificate with those above it, and what the EAP server's leads to.
fn enterprise(network: &Network, issued: &server::Issued, authority: &crate::Identity) -> Enterprise {
    let own = Certificate::from_der(&issued.certificate).ok();
    let above = authority.chain.iter().filter(|ca| !ca.is_self_issued()).cloned();
    let bag: Vec<_> = own.into_iter().chain(above).collect();
    let anchor = network.eap_anchor.as_ref().or_else(|| authority.chain.last());
    Enterprise {
        cert_bag: certs_only(&bag),
        ca_cert: anchor.map(|anchor| anchor.der().to_vec()),
        server_name: network.eap_server.clone(),
        eap_methods: vec![Enterprise::EAP_TLS],
    }
}
