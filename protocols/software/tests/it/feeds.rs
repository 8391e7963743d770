//! Feeds in their published forms, and such as must not be believed.

use super::sample::{EPSS, feed, kev, lines, now, nvd, osv};
use landfall_software::{Feed, FeedKind};
use landfall_types::{Fault, Refusal};
use std::time::Duration;

fn refused(kind: FeedKind, bytes: &[u8]) -> Refusal {
    Feed::read(kind, bytes).unwrap_err()
}

#[test]
fn each_says_as_of_when_it_is_and_how_much() {
    for (kind, issued, records) in [
        (FeedKind::Osv, "2026-11-21T08:00:00Z", 4),
        (FeedKind::Nvd, "2026-11-22T08:00:00.123Z", 3),
        (FeedKind::Kev, "2026-11-21T15:00:00Z", 1),
        (FeedKind::Epss, "2026-11-22T12:55:00Z", 2),
    ] {
        let feed = feed(kind);
        assert_eq!((feed.issued.to_string().as_str(), feed.records()), (issued, records), "{kind}");
    }
}

#[test]
fn osv_comes_as_one_record_as_a_list_or_one_a_line() {
    let records = osv();
    let one = records[0].to_string();
    let pretty = serde_json::to_string_pretty(&records[0]).unwrap();
    let list = serde_json::to_string(&records).unwrap();
    for (text, count) in [(one, 1), (pretty, 1), (list, 4)] {
        assert_eq!(Feed::read(FeedKind::Osv, text.as_bytes()).unwrap().records(), count);
    }
    let mut broken = lines(&records);
    broken.extend_from_slice(b"{\"id\":1}\n");
    refused(FeedKind::Osv, &broken);
}

#[test]
fn what_is_broken_or_empty_is_refused() {
    for kind in FeedKind::ALL {
        for text in ["", "{}", "[]", "<html>", "null"] {
            assert_eq!(refused(kind, text.as_bytes()).fault, Fault::Malformed, "{kind} {text}");
        }
    }
    let mut document = nvd();
    document["version"] = "1.1".into();
    assert_eq!(refused(FeedKind::Nvd, document.to_string().as_bytes()).fault, Fault::Incompatible);
    let mut document = nvd();
    document["timestamp"] = "yesterday".into();
    refused(FeedKind::Nvd, document.to_string().as_bytes());
    let mut document = kev();
    document["count"] = 2.into();
    assert!(refused(FeedKind::Kev, document.to_string().as_bytes()).detail.contains("number"));
    for wrong in [
        EPSS.replace('#', ""),
        EPSS.replace("score_date", "date"),
        EPSS.replace("0.51297", "1.5"),
        EPSS.replace("cve,epss", "a,b"),
    ] {
        refused(FeedKind::Epss, wrong.as_bytes());
    }
    let mut record = osv()[0].clone();
    record["modified"] = "now".into();
    refused(FeedKind::Osv, record.to_string().as_bytes());
}

#[test]
fn a_feed_from_the_future_rolled_back_or_shrunk_replaces_nothing() {
    let feed = feed(FeedKind::Osv);
    feed.may_replace(None, now()).unwrap();
    feed.may_replace(Some(&feed.edition()), now()).unwrap();
    let refused = |earlier, at| feed.may_replace(earlier, at).unwrap_err().check;
    assert_eq!(refused(None, feed.issued - Duration::from_secs(25 * 3600)), "feed-future");
    let mut later = feed.edition();
    later.issued = later.issued + Duration::from_secs(1);
    assert_eq!(refused(Some(&later), now()), "feed-rollback");
    let mut larger = feed.edition();
    larger.records = 2 * feed.records() + 1;
    assert_eq!(refused(Some(&larger), now()), "feed-shrunk");
}
