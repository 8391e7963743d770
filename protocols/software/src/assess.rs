//! What a list of components, the feeds and what is said about both amount to.

use crate::{
    bounds,
    catalogue::Catalogue,
    feed::FeedKind,
    sbom::{Component, Sbom},
    severity::Tenths,
    vex::{Statement, Status},
};
use landfall_types::Time;
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

/// What it amounts to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assessment {
    /// Whether anything is known of what the device runs: components that can be asked about.
    pub is_known: bool,
    /// The worst that is left. None if it cannot be told: nothing is known of the device, or no feed speaks of what it runs.
    pub score: Option<Tenths>,
    /// Vulnerabilities that are known to be exploited, whatever anybody says of them. None without a list of such.
    pub exploited: Option<Vec<String>>,
    /// How old the oldest feed is on which this rests. None without feeds.
    pub feed_age: Option<Duration>,
    /// Each vulnerability in each component, the worst first; those that do not count are among them, with the reason.
    pub findings: Vec<Finding>,
    /// How many components there are.
    pub components: usize,
    /// Software about which nothing can be asked, as it names neither package nor product. The first of them.
    pub unidentified: Vec<String>,
    /// Packages of which no feed speaks. The first of them.
    pub uncovered: Vec<String>,
}

/// A vulnerability in a component.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Its name, the CVE's where it has one.
    pub id: String,
    /// Its other names.
    pub aliases: Vec<String>,
    /// In what.
    pub component: String,
    /// How bad it is.
    pub score: Tenths,
    /// Whether nobody says how bad it is, so that it counts as the worst.
    pub is_unscored: bool,
    /// Whether the versions could not be compared, so that it counts.
    pub is_uncertain: bool,
    /// Whether it is known to be exploited.
    pub is_exploited: bool,
    /// How likely it is to be exploited in the next 30 days, in thousandths (EPSS).
    pub likely: Option<u16>,
    /// The first version of the component in which it is mended, if a feed tells.
    pub fixed: Option<String>,
    /// The feeds that tell of it; none if only the list's author does.
    pub by: Vec<FeedKind>,
    /// Why it does not count, if somebody said so.
    pub excused: Option<Excuse>,
}

/// Why a vulnerability does not count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Excuse {
    /// What is the case.
    pub status: Status,
    /// Why.
    pub why: Option<String>,
}

/// Holds what a device consists of against what is known. `statements` are those of others than the list's author.
pub fn assess(sbom: Option<&Sbom>, catalogue: &Catalogue, statements: &[Statement], now: Time) -> Assessment {
    let feed_age = catalogue.oldest().map(|oldest| now.since(oldest));
    let has_feed = catalogue.has(FeedKind::Osv) || catalogue.has(FeedKind::Nvd);
    let nothing = Sbom::default();
    let sbom = sbom.unwrap_or(&nothing);
    let is_known = sbom.identified().next().is_some();

    let first = |components: &mut dyn Iterator<Item = &Component>| -> Vec<String> {
        components.take(bounds::NAMED).map(Component::title).collect()
    };
    let software = || sbom.components.iter().filter(|component| component.is_software);
    let unidentified = first(&mut software().filter(|component| !component.is_identified()));
    let uncovered = first(&mut software().filter(|one| one.is_identified() && !catalogue.covers(one)));

    let said: Vec<&Statement> = sbom.statements.iter().chain(statements).collect();
    let mut findings = Vec::new();
    for component in sbom.root.iter().chain(&sbom.components) {
        found(sbom, component, catalogue, &said, &mut findings);
    }
    findings.sort_by(|a, b| {
        let key = |one: &Finding| {
            (one.excused.is_some() && !one.is_exploited, std::cmp::Reverse((one.is_exploited, one.score)))
        };
        key(a).cmp(&key(b)).then_with(|| (&a.id, &a.component).cmp(&(&b.id, &b.component)))
    });

    let left = || findings.iter().filter(|finding| finding.excused.is_none());
    let worst = left().map(|finding| finding.score).max().unwrap_or(Tenths::NONE);
    // A vulnerability that was found is no less there because something else could not be looked for. But that none was
    // found, or none worse, says nothing as long as there is software of which no feed speaks.
    let score = (is_known && has_feed && (uncovered.is_empty() || worst == Tenths::WORST)).then_some(worst);
    // That somebody does exploit it is seen; that it cannot be in this product is said. Whether the word counts for more is for the
    // policy to say, by the vulnerability's name.
    let exploited = (is_known && catalogue.has(FeedKind::Kev)).then(|| {
        let exploited = findings.iter().filter(|finding| finding.is_exploited);
        let mut names: Vec<String> = exploited.map(|finding| finding.id.clone()).collect();
        names.sort();
        names.dedup();
        names
    });
    let components = sbom.components.len();
    Assessment { is_known, score, exploited, feed_age, findings, components, unidentified, uncovered }
}

/// What is told of one vulnerability of a component, by whomever.
#[derive(Default)]
struct Told {
    names: Vec<String>,
    score: Option<Tenths>,
    is_uncertain: bool,
    fixed: Option<String>,
    by: BTreeSet<FeedKind>,
}

/// The vulnerabilities of one component: one finding for each, under however many names the feeds know it.
fn found(sbom: &Sbom, component: &Component, catalogue: &Catalogue, said: &[&Statement], into: &mut Vec<Finding>) {
    let mut own: BTreeMap<String, Told> = BTreeMap::new();
    let mut add = |names: Vec<String>, told: Told| {
        let Some(id) = title(&names) else { return };
        let entry = own.entry(id).or_insert(Told { is_uncertain: true, ..Told::default() });
        entry.names.extend(names);
        entry.score = entry.score.max(told.score);
        entry.is_uncertain &= told.is_uncertain;
        entry.fixed = entry.fixed.take().or(told.fixed);
        entry.by.extend(told.by);
    };
    for hit in catalogue.hits(component) {
        let one = hit.vulnerability;
        let names = std::iter::once(&one.id).chain(&one.aliases).cloned().collect();
        let (score, is_uncertain, fixed) = (one.score, hit.uncertain, hit.fixed.map(str::to_owned));
        add(names, Told { score, is_uncertain, fixed, by: one.feed.into_iter().collect(), ..Told::default() });
    }
    for admitted in &sbom.admitted {
        let is = |reference: &String| !reference.is_empty() && *reference == component.reference;
        if admitted.components.iter().any(is) {
            add(admitted.names.clone(), Told { score: admitted.score, ..Told::default() });
        }
    }
    for (id, Told { names, score: own_score, is_uncertain, fixed, by }) in own {
        let mut names: Vec<&str> =
            names.iter().flat_map(|name| std::iter::once(name.as_str()).chain(catalogue.aliases(name))).collect();
        names.sort_unstable();
        names.dedup();
        let score = own_score.max(catalogue.score(&names));
        into.push(Finding {
            component: component.title(),
            score: score.unwrap_or(Tenths::WORST),
            is_unscored: score.is_none(),
            is_uncertain,
            is_exploited: catalogue.is_exploited(&names),
            likely: catalogue.likely(&names),
            fixed,
            by: by.into_iter().collect(),
            excused: excuse(sbom, component, &names, said),
            aliases: names.iter().filter(|name| **name != id).map(|name| (*name).to_owned()).collect(),
            id,
        });
    }
}

/// The name that most know it by.
fn title(names: &[String]) -> Option<String> {
    names.iter().filter(|name| name.starts_with("CVE-")).min().or_else(|| names.first()).cloned()
}

/// The newest word on it, if that says that it does not count. Of two words of one time the graver is taken.
fn excuse(sbom: &Sbom, component: &Component, names: &[&str], said: &[&Statement]) -> Option<Excuse> {
    let about = said.iter().filter(|one| one.is_about(names) && one.concerns(sbom, component));
    let last = about.max_by_key(|one| (one.at, one.status.counts()))?;
    (!last.status.counts()).then(|| Excuse { status: last.status, why: last.why.clone() })
}
