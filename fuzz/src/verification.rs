//! What others say of devices and their software, and records of what devices do.

use landfall_behaviour::{DenyList, DenyLists, Format, deny, ipfix::Exporter};
use landfall_claims::{
    Credential, Receiver,
    poll::{Answer, Poll},
    status::StatusList,
};
use landfall_nft::{told, tracked};
use landfall_pki::Jws;
use landfall_software::{Catalogue, Feed, FeedKind, Purl, Sbom, assess, sbom as lists, version::Scheme, vex as words};
use landfall_tuf::{Archive, Source, Trust};
use landfall_types::Time;

/// When it is.
const NOW: Time = Time::from_unix(1_795_392_000);

fn text(data: &[u8]) -> Option<&str> {
    std::str::from_utf8(data).ok()
}

/// A compact JWS.
pub fn jws(data: &[u8]) -> bool {
    text(data).is_some_and(|text| Jws::parse(text, 10_000).is_ok())
}

/// A credential, with its signature.
pub fn credential(data: &[u8]) -> bool {
    let Some(Ok(credential)) = text(data).map(Credential::read) else { return false };
    assert!(credential.unsigned().is_ok());
    true
}

/// A security event; nobody's signature is believed, so only the form is looked at.
pub fn security_event(data: &[u8]) -> bool {
    let Some(text) = text(data) else { return false };
    let refusal = Receiver::new("us".into()).read(text, NOW).err();
    refusal.is_some_and(|refusal| refusal.check == "event-issuer")
}

/// What a receiver of security events asks.
pub fn event_poll(data: &[u8]) -> bool {
    let Ok(poll) = Poll::read(data) else { return false };
    assert_eq!(Poll::read(poll.to_json().as_bytes()), Ok(poll), "what is written is read as the same");
    true
}

/// What it is answered.
pub fn event_answer(data: &[u8]) -> bool {
    let Ok(answer) = Answer::read(data) else { return false };
    assert_eq!(Answer::read(answer.to_json().as_bytes()), Ok(answer), "what is written is read as the same");
    true
}

/// A list of revoked credentials, with its signature.
pub fn status_list(data: &[u8]) -> bool {
    let Some(Ok(list)) = text(data).map(StatusList::read) else { return false };
    assert!(list.is_set(0).is_some() && list.is_set(u64::MAX).is_none());
    true
}

/// The root of a publisher of bundles.
pub fn bundle_root(data: &[u8]) -> bool {
    Trust::pin(data).is_ok()
}

/// A bundle in one file.
pub fn bundle_archive(data: &[u8]) -> bool {
    let Ok(archive) = Archive::read(data) else { return false };
    assert!(archive.file("timestamp.json", 16).is_none_or(|content| content.len() <= 16));
    true
}

/// A package URL.
pub fn purl(data: &[u8]) -> bool {
    let Some(Ok(purl)) = text(data).map(str::parse::<Purl>) else { return false };
    let again: Result<Purl, _> = purl.to_string().parse();
    assert!(purl.to_string().len() > 1024 || again == Ok(purl), "what is written is read as the same");
    true
}

/// A list of components, held against nothing.
pub fn sbom(data: &[u8]) -> bool {
    let Ok(list) = lists::read(data) else { return false };
    let assessment = assess(Some(&list), &Catalogue::default(), &[], NOW);
    assert_eq!(assessment.components, list.components.len());
    true
}

/// What somebody says of vulnerabilities.
pub fn vex(data: &[u8]) -> bool {
    let Ok(said) = words::read(data) else { return false };
    let nothing = Sbom::default();
    assert!(said.iter().all(|one| !one.concerns(&nothing, &Default::default())));
    true
}

fn feed(kind: FeedKind, data: &[u8]) -> bool {
    let Ok(feed) = Feed::read(kind, data) else { return false };
    assert!(feed.records() > 0);
    let list = lists::read(br#"{"bomFormat":"CycloneDX","specVersion":"1.6","components":[{"name":"x","version":"1.6.0","purl":"pkg:cargo/smallvec@1.6.0"},{"name":"busybox","version":"1.35.0","purl":"pkg:generic/busybox@1.35.0"}]}"#);
    let assessment = assess(list.as_ref().ok(), &Catalogue::of([feed]), &[], NOW);
    assert!(assessment.findings.iter().all(|finding| finding.score.get() <= 100));
    true
}

/// Records of Open Source Vulnerabilities.
pub fn osv(data: &[u8]) -> bool {
    feed(FeedKind::Osv, data)
}

/// An answer of the National Vulnerability Database.
pub fn nvd(data: &[u8]) -> bool {
    feed(FeedKind::Nvd, data)
}

/// CISA's catalogue.
pub fn kev(data: &[u8]) -> bool {
    feed(FeedKind::Kev, data)
}

/// FIRST's predictions.
pub fn epss(data: &[u8]) -> bool {
    feed(FeedKind::Epss, data)
}

/// Two versions, one a line: both ways round they must be told alike.
pub fn versions(data: &[u8]) -> bool {
    let Some((a, b)) = text(data).and_then(|text| text.split_once('\n')) else { return false };
    let schemes = [Scheme::Semver, Scheme::Debian, Scheme::Pep440, Scheme::Generic];
    let told = schemes.map(|scheme| {
        let order = scheme.compare(a, b);
        assert_eq!(order.map(std::cmp::Ordering::reverse), scheme.compare(b, a), "{scheme:?} {a:?} {b:?}");
        order.is_some()
    });
    told.contains(&true)
}

fn list(format: Format, data: &[u8]) -> bool {
    let Ok(list) = DenyList::read(format, data, NOW) else { return false };
    let lists = DenyLists::of([("all", &list)]);
    for (entry, until) in &list.entries {
        let found = match entry {
            deny::Entry::Prefix(address, _) => lists.address(*address, NOW),
            deny::Entry::Name(name) => lists.name(name, NOW),
        };
        assert!(found.is_some() || until.is_some(), "{entry} is found again");
    }
    true
}

/// One entry a line.
pub fn deny_plain(data: &[u8]) -> bool {
    list(Format::Plain, data)
}

/// Columns.
pub fn deny_csv(data: &[u8]) -> bool {
    list(Format::Csv, data)
}

/// A bundle of indicators.
pub fn deny_stix(data: &[u8]) -> bool {
    list(Format::Stix, data)
}

/// A TAXII server's answer.
pub fn deny_taxii(data: &[u8]) -> bool {
    list(Format::Taxii, data)
}

/// An indicator's pattern.
pub fn pattern(data: &[u8]) -> bool {
    text(data).is_some_and(|text| deny::pattern::entries(text).is_ok())
}

/// What the kernel hands out of connection tracking.
pub fn conntrack(data: &[u8]) -> bool {
    !tracked::events(data).is_empty()
}

/// What it hands out of packets.
pub fn nflog(data: &[u8]) -> bool {
    !told::packets(data).is_empty()
}

/// A message of a router, twice, so that templates are known.
pub fn ipfix(data: &[u8]) -> bool {
    let mut exporter = Exporter::by_udp(std::time::Duration::from_secs(60));
    let (first, second) = (exporter.message(data, NOW), exporter.message(data, NOW));
    first.is_ok() && second.is_ok()
}
