//! What all feeds together know, found by the names of packages and products.

use crate::{
    cpe::Cpe,
    feed::{Affected, Content, Event, Feed, FeedKind, Package, Range, Vulnerability},
    purl::Purl,
    sbom::Component,
    severity::Tenths,
    version::Scheme,
};
use landfall_types::Time;
use std::{
    cmp::Ordering,
    collections::{BTreeMap, BTreeSet, HashMap},
};

/// All feeds together.
#[derive(Clone, Debug, Default)]
pub struct Catalogue {
    vulnerabilities: Vec<Vulnerability>,
    /// Places in `vulnerabilities` by what is affected.
    packages: HashMap<Key, Vec<u32>>,
    /// The same by each of their names.
    names: HashMap<String, Vec<u32>>,
    ecosystems: BTreeSet<String>,
    /// The oldest edition of each kind.
    issued: BTreeMap<FeedKind, Time>,
    exploited: BTreeSet<String>,
    likely: BTreeMap<String, u16>,
}

/// An ecosystem and a name in it, or a product; in small letters, since publishers do not agree.
type Key = (String, String);

/// What stands for products of the NVD.
const PRODUCTS: &str = "cpe";

/// That a component has a vulnerability.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Hit<'a> {
    pub(crate) vulnerability: &'a Vulnerability,
    /// Whether the versions could not be compared.
    pub(crate) uncertain: bool,
    /// The first version in which it is mended, as far as the feed tells.
    pub(crate) fixed: Option<&'a str>,
}

impl Catalogue {
    /// One that knows what these feeds say.
    pub fn of(feeds: impl IntoIterator<Item = Feed>) -> Self {
        let mut catalogue = Self::default();
        feeds.into_iter().for_each(|feed| catalogue.add(feed));
        catalogue
    }

    /// Adds what a feed says.
    pub fn add(&mut self, feed: Feed) {
        let oldest = self.issued.entry(feed.kind).or_insert(feed.issued);
        *oldest = feed.issued.min(*oldest);
        match feed.content {
            Content::Exploited(names) => self.exploited.extend(names),
            Content::Likely(scores) => self.likely.extend(scores),
            Content::Vulnerabilities(all) => {
                let kind = Some(feed.kind);
                all.into_iter().for_each(|one| self.insert(Vulnerability { feed: kind, ..one }));
            }
        }
    }

    /// As of when the oldest feed is that says anything of what is wrong; None without any such feed.
    pub fn oldest(&self) -> Option<Time> {
        self.issued.iter().filter(|(kind, _)| **kind != FeedKind::Epss).map(|(_, issued)| *issued).min()
    }

    /// Whether there is a feed of that kind.
    pub fn has(&self, kind: FeedKind) -> bool {
        self.issued.contains_key(&kind)
    }

    /// How many vulnerabilities are known.
    pub const fn len(&self) -> usize {
        self.vulnerabilities.len()
    }

    /// Whether none is.
    pub const fn is_empty(&self) -> bool {
        self.vulnerabilities.is_empty()
    }

    fn insert(&mut self, one: Vulnerability) {
        let Ok(place) = u32::try_from(self.vulnerabilities.len()) else { return };
        for affected in &one.affected {
            if let Package::Of { ecosystem, .. } = &affected.package
                && !self.ecosystems.contains(ecosystem)
            {
                self.ecosystems.insert(ecosystem.clone());
            }
            let places = self.packages.entry(key(&affected.package)).or_default();
            if places.last() != Some(&place) {
                places.push(place);
            }
        }
        for name in std::iter::once(&one.id).chain(&one.aliases) {
            self.names.entry(name.clone()).or_default().push(place);
        }
        self.vulnerabilities.push(one);
    }

    /// Whether anything at all could be found for that component: if not, that nothing was found means nothing.
    pub(crate) fn covers(&self, component: &Component) -> bool {
        let by_package =
            component.purl.as_ref().and_then(names).is_some_and(|named| self.ecosystems.contains(named.ecosystem));
        by_package || (self.has(FeedKind::Nvd) && products(component).next().is_some())
    }

    /// The vulnerabilities that a component has.
    pub(crate) fn hits(&self, component: &Component) -> Vec<Hit<'_>> {
        let mut found: BTreeMap<u32, (bool, Option<&str>)> = BTreeMap::new();
        let mut ask = |key: &Key, version: &str, applies: &dyn Fn(&Affected) -> Option<bool>| {
            for place in self.packages.get(key).into_iter().flatten() {
                let Some(one) = usize::try_from(*place).ok().and_then(|place| self.vulnerabilities.get(place)) else {
                    continue;
                };
                for affected in &one.affected {
                    if let Some(certain) = applies(affected) {
                        let (uncertain, fixed) = found.entry(*place).or_insert((true, None));
                        *uncertain &= !certain;
                        *fixed = fixed.or_else(|| mended(affected, version));
                    }
                }
            }
        };
        if let Some((purl, named)) = component.purl.as_ref().and_then(|purl| Some((purl, names(purl)?))) {
            let (ecosystem, release) = (named.ecosystem, release(purl));
            for (name, version) in named.packages {
                let version = version.unwrap_or_else(|| component.version.clone());
                let key = (ecosystem.to_owned(), name.to_lowercase());
                ask(&key, &version, &|affected| match &affected.package {
                    Package::Of { ecosystem: own, release: known, name: called } => {
                        let meant = own == ecosystem && called.to_lowercase() == key.1;
                        let there = meant && same_release(known.as_deref(), release);
                        there.then(|| is_affected(affected, Scheme::of(ecosystem), &version)).flatten()
                    }
                    Package::Cpe(_) => None,
                });
            }
        }
        for product in products(component) {
            let key = (PRODUCTS.to_owned(), product.product.clone());
            ask(&key, &component.version, &|affected| match &affected.package {
                Package::Cpe(cpe) if cpe.may_be(&product) => is_affected(affected, Scheme::Generic, &component.version),
                _ => None,
            });
        }
        let hit = |(place, (uncertain, fixed))| {
            let place = usize::try_from(place).ok()?;
            Some(Hit { vulnerability: self.vulnerabilities.get(place)?, uncertain, fixed })
        };
        found.into_iter().filter_map(hit).collect()
    }

    /// The worst that anybody says of a vulnerability by one of these names.
    pub(crate) fn score(&self, names: &[&str]) -> Option<Tenths> {
        let places = names.iter().filter_map(|name| self.names.get(*name)).flatten();
        let ones = places.filter_map(|place| self.vulnerabilities.get(usize::try_from(*place).ok()?));
        ones.filter_map(|one| one.score).max()
    }

    /// The other names that records give to it.
    pub(crate) fn aliases<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> + use<'a> {
        let places = self.names.get(name).map(Vec::as_slice).unwrap_or_default();
        let ones = places.iter().filter_map(|place| self.vulnerabilities.get(usize::try_from(*place).ok()?));
        ones.flat_map(|one| std::iter::once(&*one.id).chain(one.aliases.iter().map(String::as_str)))
    }

    pub(crate) fn is_exploited(&self, names: &[&str]) -> bool {
        names.iter().any(|name| self.exploited.contains(*name))
    }

    pub(crate) fn likely(&self, names: &[&str]) -> Option<u16> {
        names.iter().filter_map(|name| self.likely.get(*name)).max().copied()
    }
}

fn key(package: &Package) -> Key {
    match package {
        Package::Of { ecosystem, name, .. } => (ecosystem.clone(), name.to_lowercase()),
        Package::Cpe(cpe) => (PRODUCTS.to_owned(), cpe.product.clone()),
    }
}

/// What a package is called in the OSV schema.
struct Named {
    ecosystem: &'static str,
    /// Its names there, with a version where that is another's.
    packages: Vec<(String, Option<String>)>,
}

fn names(purl: &Purl) -> Option<Named> {
    let joined = |with: &str| match purl.namespace.is_empty() {
        true => purl.name.clone(),
        false => format!("{}{with}{}", purl.namespace, purl.name),
    };
    let (ecosystem, name) = match (purl.kind.as_str(), purl.namespace.as_str()) {
        ("npm", _) => ("npm", joined("/")),
        ("pypi", _) => ("PyPI", purl.name.clone()),
        ("cargo", _) => ("crates.io", purl.name.clone()),
        ("golang", _) => ("Go", joined("/")),
        ("maven", _) => ("Maven", joined(":")),
        ("nuget", _) => ("NuGet", purl.name.clone()),
        ("gem", _) => ("RubyGems", purl.name.clone()),
        ("composer", _) => ("Packagist", joined("/")),
        ("hex", _) => ("Hex", purl.name.clone()),
        ("pub", _) => ("Pub", purl.name.clone()),
        ("deb", "ubuntu") => ("Ubuntu", purl.name.clone()),
        ("deb", _) => ("Debian", purl.name.clone()),
        ("apk", "wolfi") => ("Wolfi", purl.name.clone()),
        ("apk", "chainguard") => ("Chainguard", purl.name.clone()),
        ("apk", _) => ("Alpine", purl.name.clone()),
        ("rpm", "almalinux") => ("AlmaLinux", purl.name.clone()),
        ("rpm", "rocky" | "rocky-linux" | "rockylinux") => ("Rocky Linux", purl.name.clone()),
        ("rpm", "opensuse") => ("openSUSE", purl.name.clone()),
        ("rpm", "suse") => ("SUSE", purl.name.clone()),
        ("rpm", "redhat") => ("Red Hat", purl.name.clone()),
        _ => return None,
    };
    let mut packages = vec![(name, None)];
    // Distributions write of the sources; what a binary package was made from stands beside it: `upstream=openssl@3.0.1`.
    if let Some(source) = purl.qualifier("upstream") {
        let (name, version) = match source.rsplit_once('@') {
            Some((name, version)) => (name, Some(version.to_owned())),
            None => (source, None),
        };
        packages.push((name.trim_end_matches(".src.rpm").to_owned(), version));
    }
    Some(Named { ecosystem, packages })
}

/// The release of a distribution: `debian-12` is `12`.
fn release(purl: &Purl) -> Option<&str> {
    let distro = purl.qualifier("distro")?;
    Some(distro.split_once('-').map_or(distro, |(_, release)| release))
}

/// Whether they may be the same release. Words for releases are not known here, so only numbers tell them apart.
fn same_release(known: Option<&str>, own: Option<&str>) -> bool {
    let number = |text: &str| -> Option<Vec<u32>> {
        let text = text.trim_start_matches('v');
        let text = text.split(':').next().unwrap_or_default();
        text.split('.').map(|part| part.parse().ok()).collect()
    };
    match (known.and_then(number), own.and_then(number)) {
        (Some(known), Some(own)) => known.iter().zip(&own).all(|(known, own)| known == own),
        _ => true,
    }
}

/// The products of the NVD that a component may be: what it says itself, or else its name, whoever may make it.
fn products(component: &Component) -> impl Iterator<Item = Cpe> + '_ {
    let own = component.cpe.clone();
    let named = component.purl.as_ref().filter(|purl| own.is_none() && names(purl).is_none());
    let guessed = named.map(|purl| Cpe { part: 'a', vendor: None, product: purl.name.to_lowercase(), version: None });
    own.into_iter().chain(guessed)
}

/// Whether that version is affected, and whether that is certain.
fn is_affected(affected: &Affected, scheme: Scheme, version: &str) -> Option<bool> {
    if version.is_empty() {
        return Some(false);
    }
    let listed =
        affected.versions.iter().any(|one| one == version || scheme.compare(one, version) == Some(Ordering::Equal));
    if listed || (affected.versions.is_empty() && affected.ranges.is_empty()) {
        return Some(true);
    }
    let ordered = || affected.ranges.iter().filter(|range| range.scheme != Scheme::Unordered);
    let told: Vec<Option<bool>> = ordered().map(|range| within(range, version)).collect();
    if told.contains(&Some(true)) {
        return Some(true);
    }
    // OSV schema: versions are listed where a range cannot be evaluated; who is not in the list is not affected.
    let nothing_to_compare = told.is_empty() && affected.versions.is_empty();
    let unclear = told.contains(&None) && affected.versions.is_empty();
    (nothing_to_compare || unclear).then_some(false)
}

/// The first version after that one in which it is mended.
fn mended<'a>(affected: &'a Affected, version: &str) -> Option<&'a str> {
    let ends = affected.ranges.iter().flat_map(|range| {
        range.events.iter().filter_map(move |event| match event {
            Event::Fixed(at) if range.scheme.compare(version, at) == Some(Ordering::Less) => Some((range.scheme, at)),
            _ => None,
        })
    });
    ends.reduce(|(scheme, first), (_, other)| match scheme.compare(other, first) {
        Some(Ordering::Less) => (scheme, other),
        _ => (scheme, first),
    })
    .map(|(_, at)| at.as_str())
}

/// OSV schema, evaluation: a version is affected if the last beginning up to it comes after the last end before it. None if
/// versions cannot be compared.
fn within(range: &Range, version: &str) -> Option<bool> {
    let order = |a: &str, b: &str| match (a == "0", b == "0") {
        (true, true) => Some(Ordering::Equal),
        (true, false) => Some(Ordering::Less),
        (false, true) => Some(Ordering::Greater),
        (false, false) => range.scheme.compare(a, b),
    };
    let (mut begin, mut end): (Option<&str>, Option<&str>) = (None, None);
    for event in &range.events {
        let (at, last, reached): (&str, _, fn(Ordering) -> bool) = match event {
            Event::Introduced(at) => (at, &mut begin, Ordering::is_le),
            Event::Fixed(at) => (at, &mut end, Ordering::is_le),
            Event::LastAffected(at) => (at, &mut end, Ordering::is_lt),
        };
        if !reached(order(at, version)?) {
            continue;
        }
        *last = match *last {
            Some(known) if order(known, at)?.is_ge() => Some(known),
            _ => Some(at),
        };
    }
    match (begin, end) {
        (None, _) => Some(false),
        (Some(_), None) => Some(true),
        (Some(begin), Some(end)) => Some(order(begin, end)?.is_gt()),
    }
}
