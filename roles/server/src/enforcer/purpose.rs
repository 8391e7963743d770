//! Which file of a manufacturer is for which devices, and who is meant by what files say.

use super::picture::{Picture, Resolvers};
use crate::{
    identity::anchors,
    settings::{EnforcerSettings, IntentSettings, NamesSettings, Problem, Settings, Subnet},
};
use landfall_lifecycle::network::DomainDevice;
use landfall_mud::{Class, Context, Members, Policy, bounds, packet::Prefix, signature};
use landfall_nft::Interface;
use landfall_types::Time;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io::Read,
    net::{IpAddr, SocketAddr},
    path::Path,
    sync::Arc,
};

/// For which devices the files are, in the order of the picture's policies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Purposes {
    intents: Vec<IntentSettings>,
    /// Addresses of hosts that the owner has given names.
    hosts: BTreeMap<String, BTreeSet<IpAddr>>,
}

impl Purposes {
    /// How many of the picture's policies are of the owner's files.
    pub(super) const fn count(&self) -> usize {
        self.intents.len()
    }

    /// What is for a device; the first that fits.
    pub(super) fn of(&self, device: &DomainDevice) -> Option<usize> {
        let identity = &device.identity;
        self.intents.iter().position(|intent| {
            let made_by = |vendor| intent.manufacturers.contains(vendor);
            let is_a = |model| intent.models.contains(model);
            (intent.manufacturers.is_empty() || identity.vendor.as_ref().is_some_and(made_by))
                && (intent.models.is_empty() || identity.model.as_ref().is_some_and(is_a))
        })
    }

    /// The addresses that the owner has given a host.
    pub(super) fn host(&self, name: &str) -> Option<&BTreeSet<IpAddr>> {
        self.hosts.get(name)
    }

    /// Gives the device behind a port the addresses of the hosts that its manufacturer speaks of, and no other ones.
    pub(super) fn tell(&self, picture: &mut Picture, port: &Interface) {
        picture.names.retain(|(at, _), _| at != port);
        let policy = picture.occupants.get(port).and_then(|occupant| picture.intents.get(occupant.intent?)).cloned();
        for class in policy.iter().flat_map(|policy| policy.classes()) {
            let Class::Name(name) = class else { continue };
            if let Some(addresses) = self.hosts.get(name) {
                picture.names.insert((port.clone(), name.clone()), addresses.clone());
            }
        }
    }
}

/// Reads the files, and puts what they say into the picture.
pub(super) fn read(
    enforcer: &EnforcerSettings,
    settings: &Settings,
    picture: &mut Picture,
    problems: &mut Vec<Problem>,
) -> Purposes {
    for (index, intent) in enforcer.intent.iter().enumerate() {
        match policy(intent, settings) {
            Ok(policy) => picture.intents.push(Arc::new(policy)),
            Err((field, why)) => problems.push(Problem::new(format!("enforcer.intent[{index}].{field}"), why)),
        }
    }
    let mut hosts = BTreeMap::new();
    picture.known = Context::new();
    for (name, members) in &enforcer.members {
        let key = format!("enforcer.members.{name:?}");
        let class = class(name);
        let networks: Vec<Prefix> =
            members.iter().filter_map(|subnet: &Subnet| Prefix::new(subnet.first(), subnet.bits())).collect();
        if let Class::Name(name) = class {
            let is_host = |network: &Prefix| *network == Prefix::host(network.first());
            if !networks.iter().all(is_host) {
                problems.push(Problem::new(&key, "is a name, and has addresses only"));
            }
            hosts.insert(name, networks.iter().map(Prefix::first).collect());
        } else {
            picture.known.add(class, Members::of(networks));
        }
    }
    if let Some(names) = &enforcer.names {
        resolvers(names, picture, problems);
    }
    Purposes { intents: enforcer.intent.clone(), hosts }
}

/// RFC 8520 s17.7: who the network's resolvers are.
fn resolvers(names: &NamesSettings, picture: &mut Picture, problems: &mut Vec<Problem>) {
    let own: Vec<IpAddr> = names.listen.iter().map(SocketAddr::ip).collect();
    if own.is_empty() || own.iter().any(IpAddr::is_unspecified) {
        problems.push(Problem::new("enforcer.names.listen", "has to name the addresses that devices ask"));
    }
    if names.upstream.is_empty() {
        problems.push(Problem::new("enforcer.names.upstream", "is empty, so no name could be resolved"));
    }
    let members = Members::of(own.iter().copied().map(Prefix::host));
    picture.known.add(Class::Controller(landfall_mud::policy::DNS.to_owned()), members);
    picture.resolvers = Some(Resolvers { own, others: names.other_resolvers });
}

/// Who is meant: `local-networks`, `my-controller URL`, the URI of a class of controllers, or the name of a host.
fn class(name: &str) -> Class {
    match name.strip_prefix("my-controller ") {
        Some(url) => Class::ControllerOf(url.trim().to_owned()),
        None if name == "local-networks" => Class::LocalNetworks,
        None if name.contains(':') => Class::Controller(name.to_owned()),
        None => Class::Name(name.trim_end_matches('.').to_ascii_lowercase()),
    }
}

fn policy(intent: &IntentSettings, settings: &Settings) -> Result<Policy, (&'static str, String)> {
    let bytes = bounded(&settings.resolve(&intent.file), bounds::FILE).map_err(|why| ("file", why))?;
    match (&intent.signature, intent.anchors.is_empty()) {
        // Without a signature it is the owner's own word.
        (None, true) => {}
        (None, false) => return Err(("signature", "is missing, and there are anchors".into())),
        (Some(_), true) => return Err(("anchors", "are missing, so nobody could have signed it".into())),
        (Some(path), false) => {
            let signed = bounded(&settings.resolve(path), bounds::SIGNATURE).map_err(|why| ("signature", why))?;
            let anchors = anchors(&intent.anchors, |path| settings.resolve(path));
            let anchors = anchors.map_err(|why| ("anchors", why.to_string()))?;
            let expected = signature::Expected { anchors, signer: intent.signer.clone(), intermediates: Vec::new() };
            // RFC 8520 s13.2: what is not signed by whom it should be is not used.
            signature::verify(&bytes, &signed, &expected, Time::now()).map_err(|why| ("signature", why.to_string()))?;
        }
    }
    meaning(&bytes).map_err(|why| ("file", why))
}

/// What a file means that is the owner's own word.
pub(super) fn owners(path: &Path) -> Result<Policy, String> {
    meaning(&bounded(path, bounds::FILE)?)
}

fn meaning(bytes: &[u8]) -> Result<Policy, String> {
    let (file, report) = landfall_mud::read(bytes).map_err(|why| why.to_string())?;
    let policy = Policy::of(&file);
    let (left_out, mended) = (policy.left_out.len(), report.count(landfall_mud::Kind::Mended));
    if left_out + mended > 0 {
        tracing::warn!(role = "enforcer", url = %policy.url, left_out, mended, "a manufacturer's file is not as it should be");
    }
    Ok(policy)
}

fn bounded(path: &Path, most: usize) -> Result<Vec<u8>, String> {
    let unread = |why: std::io::Error| format!("{}: {why}", path.display());
    let mut bytes = Vec::new();
    let most = u64::try_from(most).unwrap_or(u64::MAX);
    File::open(path).map_err(unread)?.take(most + 1).read_to_end(&mut bytes).map_err(unread)?;
    Ok(bytes)
}
