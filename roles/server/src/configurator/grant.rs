//! What a device gets: for each network that it is for, a configuration object, and what is kept of it.

use super::{Network, authorize::Expected, certify::Certified};
use crate::World;
use base64::{Engine, engine::general_purpose::STANDARD};
use landfall_dpp::{
    Curve, NetRole, Status,
    config::{Akms, ConfigObject, ConfigRequest, Credential, Discovery},
    connector::Group,
    exchange::{Facts, Grant},
};
use landfall_lifecycle::network::{NetworkCredential, SharedSecret};
use landfall_types::{Fault, Fingerprint, Record, Redacted, Refusal, Time};

const SECTION: &str = "DPP s6.4.3";
/// Characters of a password, each of five random bits.
const PASSWORD: usize = 32;

/// What comes of a request.
pub(super) enum Made {
    /// It gets this; each grant with what is kept of it.
    Given(Vec<(Grant, Kept)>),
    /// It has to send a certificate request first.
    NeedsCsr,
    /// This request has to be certified first.
    NeedsCertificate(Vec<u8>),
    /// It has to make a key on that curve first.
    NeedsKey(Curve),
    /// It is a configurator, and asks for our keys.
    AsksForKeys,
}

/// What is kept of a grant.
pub(super) struct Kept {
    pub(super) credential: NetworkCredential,
    /// Whether the configurator puts a connector into it.
    pub(super) with_connector: bool,
}

/// A refusal and what the device is told.
pub(super) type Refused = (Status, Refusal);

fn refused(check: &'static str, why: impl Into<String>) -> Refused {
    (Status::ConfigureFailure, Refusal::new(Fault::Denied, check, SECTION, why))
}

/// What `device` gets for what it asks, with the certificate for its key if there is one.
pub(super) fn make(
    device: &Expected,
    asked: &Facts,
    certificate: Option<&Certified>,
    world: &World,
    now: Time,
) -> Result<Made, Refused> {
    let role = role(device, &asked.request)?;
    if role == NetRole::Configurator {
        return Ok(Made::AsksForKeys);
    }
    let mut networks = networks(device, asked, &role)?;
    if asked.peer.version < 2 {
        // DPP s6.4.3.1: release 1 takes one.
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
        match &asked.csr {
            None => return Ok(Made::NeedsCsr),
            Some(csr) if certificate.is_none() => return Ok(Made::NeedsCertificate(csr.clone())),
            Some(_) => {}
        }
    }
    let given = networks.into_iter().map(|joined| give(device, asked, joined, &role, certificate, world, now));
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
        NetRole::Sta | NetRole::Ap | NetRole::Configurator => Ok(request.net_role.clone()),
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
        // DPP s4.5.3: release 1 knows single methods only.
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
    (network, akm): (&Network, Akms),
    role: &NetRole,
    certificate: Option<&Certified>,
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
    let certificate = certificate.filter(|_| akm.dot1x);
    credential.enterprise = certificate.map(|certified| certified.enterprise(network));
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
        certificate: certificate.map(|certified| certified.record.key()),
        deleted: None,
    };
    let with_connector = !groups.is_empty();
    let object = ConfigObject::infra(Discovery::from(network.ssid.as_str()), credential);
    Ok((Grant { object, groups, expiry }, Kept { credential: kept, with_connector }))
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
