//! Network introduction, in the clear and private: both sides, and each refusal.

use super::{
    curve::{key, random},
    exchange::{Change, list},
    vectors::{octets, vector},
};
use landfall_dpp::{
    Curve, NetRole,
    connector::{Connector, Group, SignedConnector},
    curve::{PrivateKey, PublicKey},
    frame::{Action, AttributeId, AttributeWriter, Frame, FrameType, over_the_air},
    introduction::{Introduced, Own, access_point, access_point::Discovered, pmk, pmkid, station},
};
use landfall_types::{Refusal, Time};
use std::time::Duration;

const NOW: Time = Time::from_unix(1_800_000_000);

/// A device: its network access key and what it shows.
pub(crate) struct Device {
    pub(crate) key: PrivateKey,
    pub(crate) own: Own,
}

pub(crate) fn connector(key: &PrivateKey, group: &str, role: NetRole) -> Connector {
    let groups = vec![Group { id: group.into(), role }];
    Connector { groups, key: key.public().clone(), expiry: None, version: Some(3) }
}

pub(crate) fn sign(csign: &PrivateKey, connector: &Connector) -> SignedConnector {
    let input = connector.signing_input(csign.public());
    SignedConnector::attach(&input, &csign.sign(input.as_bytes()).unwrap()).unwrap()
}

pub(crate) fn device(csign: &PrivateKey, key: PrivateKey, connector: &Connector) -> Device {
    Device { own: Own::new(sign(csign, connector), csign.public().clone(), 3).unwrap(), key }
}

fn plain(csign: &PrivateKey, curve: Curve, seed: u64, role: NetRole) -> Device {
    let key = key(curve, seed);
    let connector = connector(&key, "home", role);
    device(csign, key, &connector)
}

pub(crate) fn action(frame: Frame) -> Action {
    match frame {
        Frame::Action(action) => action,
        Frame::Gas(_) => panic!("an action frame"),
    }
}

/// Why the access point refuses, and what the station makes of the answer.
#[derive(Debug)]
struct Refused {
    why: Refusal,
    told: Option<Refusal>,
}

impl Refused {
    fn silently(why: Refusal) -> Box<Self> {
        Box::new(Self { why, told: None })
    }
}

/// Both sides in the clear; what the station and the access point have then, or the refusal of either.
fn discover(sta: &Device, ap: &Device, now: Time) -> Result<(Introduced, Introduced), Box<Refused>> {
    let (request, waiting) = station::discover(sta.own.clone(), NOW, 1).unwrap();
    match access_point::discovered(&ap.own, now, &action(request)).map_err(Refused::silently)? {
        Discovered::Refused { refusal, response } => {
            Err(Box::new(Refused { why: refusal, told: Some(waiting.answer(now, &action(response)).unwrap_err()) }))
        }
        Discovered::Welcome { pending, response } => {
            let n = ap.key.agree(pending.point()).unwrap();
            let at_ap = pending.agreed(&n);
            let pending = waiting.answer(now, &action(response)).map_err(Refused::silently)?;
            let n = sta.key.agree(pending.point()).unwrap();
            Ok((pending.agreed(&n), at_ap))
        }
    }
}

/// Both sides in private, the update changed by `change`.
fn discover_privately(
    sta: &Device,
    ap: &Device,
    change: impl Fn(Action) -> Action,
) -> Result<(Introduced, Introduced), Refusal> {
    let (query, waiting) = station::query(sta.own.clone(), NOW, 9).unwrap();
    let notify = access_point::queried(&ap.own, NOW, &action(query))?;
    let update = waiting.notified(NOW, &action(notify))?;
    let n = sta.key.agree(update.pending().point()).unwrap();
    let (update, at_station) = update.agreed(&n, &mut random(5)).unwrap();
    let opening = access_point::updated(&ap.own, NOW, &change(action(update)))?;
    let dh = ap.key.agree(opening.point()).unwrap();
    let pending = opening.agreed(NOW, &dh)?;
    let n = ap.key.agree(pending.point()).unwrap();
    Ok((at_station, pending.agreed(&n)))
}

fn same(curve: Curve, (a, b): (Introduced, Introduced)) {
    assert_eq!(a.pmk.expose(), b.pmk.expose());
    assert_eq!(a.pmk.expose().len(), curve.hash_len());
    assert_eq!(a.pmkid, b.pmkid);
    assert_ne!(a.peer.key, b.peer.key);
}

#[test]
fn keys_and_frames_are_those_of_the_vectors() {
    let Some(values) = vector("/network_introduction") else { return };
    let csign = PublicKey::from_spki(&octets(&values["csign_spki_der"])).unwrap();
    let read = |side: &str| {
        let key = PrivateKey::from_pkcs8(&octets(&values[side]["netaccesskey_der"])).unwrap();
        let connector = SignedConnector::parse(values[side]["connector"].as_str().unwrap()).unwrap();
        Device { own: Own::new(connector, csign.clone(), 1).unwrap(), key }
    };
    let (sta, ap) = (read("sta"), read("ap"));
    let (request, waiting) = station::discover(sta.own.clone(), NOW, 1).unwrap();
    assert_eq!(over_the_air(&request), octets(&values["peer_discovery_request_frame_body"]));
    let Discovered::Welcome { pending, response } = access_point::discovered(&ap.own, NOW, &action(request)).unwrap()
    else {
        panic!("the station is welcome")
    };
    assert_eq!(over_the_air(&response), octets(&values["peer_discovery_response_frame_body"]));
    let n = ap.key.agree(pending.point()).unwrap();
    assert_eq!(n.expose(), &octets(&values["N_x"]));
    let at_ap = pending.agreed(&n);
    assert_eq!(at_ap.pmk.expose(), octets(&values["PMK"]));
    assert_eq!(at_ap.pmkid.to_vec(), octets(&values["PMKID"]));
    let pending = waiting.answer(NOW, &action(response)).unwrap();
    let n = sta.key.agree(pending.point()).unwrap();
    same(Curve::P256, (pending.agreed(&n), at_ap));
    assert_eq!(pmk(Curve::P256, n.expose()).expose(), octets(&values["PMK"]));
    assert_eq!(pmkid(sta.own.key(), ap.own.key()), pmkid(ap.own.key(), sta.own.key()));
}

#[test]
fn both_forms_work_on_every_curve() {
    for curve in Curve::ALL {
        let csign = key(Curve::P256, 1);
        let (sta, ap) = (plain(&csign, curve, 2, NetRole::Sta), plain(&csign, curve, 3, NetRole::Ap));
        same(curve, discover(&sta, &ap, NOW).unwrap());
        same(curve, discover_privately(&sta, &ap, |update| update).unwrap());
    }
}

#[test]
fn a_private_introduction_shows_no_connector_of_the_station() {
    let csign = key(Curve::P256, 1);
    let (sta, ap) = (plain(&csign, Curve::P256, 2, NetRole::Sta), plain(&csign, Curve::P256, 3, NetRole::Ap));
    let text = sta.own.connector().as_str().to_owned();
    discover_privately(&sta, &ap, |update| {
        assert!(!update.attributes.windows(text.len()).any(|window| window == text.as_bytes()));
        update
    })
    .unwrap();
}

/// One thing changed at the station: what the access point says to it, and why.
#[test]
fn an_access_point_refuses_whoever_is_not_of_its_network() {
    let (csign, other) = (key(Curve::P256, 1), key(Curve::P256, 9));
    let ap = plain(&csign, Curve::P256, 3, NetRole::Ap);
    let change = |change: &dyn Fn(&mut Connector)| {
        let key = key(Curve::P256, 2);
        let mut connector = connector(&key, "home", NetRole::Sta);
        change(&mut connector);
        device(&csign, key, &connector)
    };
    let cases: [(Device, &str, &str); 6] = [
        (plain(&other, Curve::P256, 2, NetRole::Sta), "dpp-connector-csign", "STATUS_NO_MATCH"),
        (change(&|connector| connector.groups[0].id = "work".into()), "dpp-connector-groups", "STATUS_NO_MATCH"),
        (change(&|connector| connector.groups[0].role = NetRole::Ap), "dpp-connector-groups", "STATUS_NO_MATCH"),
        (plain(&csign, Curve::P384, 2, NetRole::Sta), "dpp-connector-curve", "STATUS_INVALID_CONNECTOR"),
        (
            change(&|connector| connector.expiry = Some(NOW + Duration::from_secs(10))),
            "dpp-connector-expiry",
            "STATUS_INVALID_CONNECTOR",
        ),
        (change(&|connector| connector.groups[0].id = "*".into()), "", ""),
    ];
    for (sta, check, status) in cases {
        match discover(&sta, &ap, NOW + Duration::from_secs(20)) {
            Ok(_) => assert_eq!(check, ""),
            Err(refused) => {
                let Refused { why, told } = *refused;
                assert_eq!(why.check, check);
                assert!(told.unwrap().detail.contains(status), "{check}");
            }
        }
    }
}

#[test]
fn a_station_refuses_whoever_is_not_of_its_network() {
    let (csign, other) = (key(Curve::P256, 1), key(Curve::P256, 9));
    let sta = plain(&csign, Curve::P256, 2, NetRole::Sta);
    let impostor = plain(&other, Curve::P256, 3, NetRole::Ap);
    let refusal = discover_privately(&sta, &impostor, |update| update).unwrap_err();
    assert_eq!(refusal.check, "dpp-connector-csign");
    // In the clear, an impostor that welcomes everyone.
    let (_, waiting) = station::discover(sta.own.clone(), NOW, 1).unwrap();
    let answer = |transaction, status, connector: &str| {
        let mut frame = AttributeWriter::new();
        frame.put_u8(AttributeId::TransactionId, transaction);
        frame.put_u8(AttributeId::Status, status);
        frame.put(AttributeId::Connector, connector.as_bytes());
        frame.put_u8(AttributeId::ProtocolVersion, 3);
        Action { kind: FrameType::PeerDiscoveryResponse, attributes: frame.into_bytes() }
    };
    let ap = plain(&csign, Curve::P256, 3, NetRole::Ap);
    let (good, bad) = (ap.own.connector().as_str(), impostor.own.connector().as_str());
    assert!(waiting.answer(NOW, &answer(1, 0, good)).is_ok());
    assert_eq!(waiting.answer(NOW, &answer(1, 0, bad)).unwrap_err().check, "dpp-connector-csign");
    assert_eq!(waiting.answer(NOW, &answer(2, 0, good)).unwrap_err().check, "dpp-transaction");
    assert_eq!(waiting.answer(NOW, &answer(1, 8, good)).unwrap_err().check, "dpp-status");
    assert_eq!(waiting.answer(NOW, &answer(1, 0, "")).unwrap_err().check, "dpp-connector-jws");
}

/// The signed version and the one in the clear differ when somebody between takes a feature out.
#[test]
fn a_lowered_version_is_refused() {
    let csign = key(Curve::P256, 1);
    let (sta, ap) = (plain(&csign, Curve::P256, 2, NetRole::Sta), plain(&csign, Curve::P256, 3, NetRole::Ap));
    let (request, _) = station::discover(sta.own.clone(), NOW, 1).unwrap();
    let good = action(request);
    for said in [None, Some(2)] {
        let mut frame = AttributeWriter::new();
        frame.put_u8(AttributeId::TransactionId, 1);
        frame.put(AttributeId::Connector, sta.own.connector().as_str().as_bytes());
        if let Some(said) = said {
            frame.put_u8(AttributeId::ProtocolVersion, said);
        }
        let request = Action { kind: good.kind, attributes: frame.into_bytes() };
        let Discovered::Refused { refusal, .. } = access_point::discovered(&ap.own, NOW, &request).unwrap() else {
            panic!("it is refused")
        };
        assert_eq!(refusal.check, "dpp-introduction-version");
    }
    assert!(matches!(access_point::discovered(&ap.own, NOW, &good).unwrap(), Discovered::Welcome { .. }));
}

#[test]
fn an_update_for_another_access_point_or_changed_does_not_open() {
    let csign = key(Curve::P256, 1);
    let sta = plain(&csign, Curve::P256, 2, NetRole::Sta);
    let (ap, other) = (plain(&csign, Curve::P256, 3, NetRole::Ap), plain(&csign, Curve::P256, 4, NetRole::Ap));
    let refusal = discover_privately(&sta, &ap, |mut update| {
        *update.attributes.last_mut().unwrap() ^= 1;
        update
    });
    assert_eq!(refusal.unwrap_err().check, "dpp-unwrap");
    let refusal = discover_privately(&sta, &ap, |mut update| {
        update.attributes.truncate(5);
        update
    });
    assert_eq!(refusal.unwrap_err().check, "dpp-attribute-missing");
    let kept = std::cell::RefCell::new(None);
    discover_privately(&sta, &ap, |update| {
        *kept.borrow_mut() = Some(update.clone());
        update
    })
    .unwrap();
    let opening = access_point::updated(&other.own, NOW, &kept.into_inner().unwrap()).unwrap();
    let dh = other.key.agree(opening.point()).unwrap();
    assert_eq!(opening.agreed(NOW, &dh).unwrap_err().check, "dpp-unwrap");
}

/// Each change to each attribute of each frame ends it on one side or the other.
#[test]
fn no_attribute_may_be_amiss() {
    let csign = key(Curve::P256, 1);
    let (sta, ap) = (plain(&csign, Curve::P256, 2, NetRole::Sta), plain(&csign, Curve::P256, 3, NetRole::Ap));
    let in_the_clear = |change: &mut dyn FnMut(Action) -> Action| {
        let (request, waiting) = station::discover(sta.own.clone(), NOW, 1).unwrap();
        match access_point::discovered(&ap.own, NOW, &change(action(request))) {
            Ok(Discovered::Welcome { response, .. }) => {
                waiting.answer(NOW, &change(action(response))).map(drop).is_ok()
            }
            Ok(Discovered::Refused { .. }) | Err(_) => false,
        }
    };
    let in_private = |change: &mut dyn FnMut(Action) -> Action| {
        let (query, waiting) = station::query(sta.own.clone(), NOW, 9).unwrap();
        let exchange = || -> Result<(), Refusal> {
            let notify = access_point::queried(&ap.own, NOW, &change(action(query)))?;
            let update = waiting.notified(NOW, &change(action(notify)))?;
            let n = sta.key.agree(update.pending().point()).unwrap();
            let (update, _) = update.agreed(&n, &mut random(5)).unwrap();
            let opening = access_point::updated(&ap.own, NOW, &change(action(update)))?;
            let dh = ap.key.agree(opening.point()).unwrap();
            opening.agreed(NOW, &dh).map(drop)
        };
        exchange().is_ok()
    };
    type Passes<'a> = &'a dyn Fn(&mut dyn FnMut(Action) -> Action) -> bool;
    let exchanges: [Passes<'_>; 2] = [&in_the_clear, &in_private];
    for (form, exchange) in exchanges.into_iter().enumerate() {
        let mut frames = Vec::new();
        assert!(exchange(&mut |frame| {
            frames.push(frame.clone());
            frame
        }));
        assert_eq!(frames.len(), [2, 3][form]);
        for (number, good) in frames.iter().enumerate() {
            let attributes = list(&good.attributes);
            let each = (0..attributes.len()).flat_map(|i| {
                [Change::Missing(i), Change::Twice(i), Change::Empty(i), Change::Longer(i), Change::Other(i)]
            });
            let wraps = attributes.last().is_some_and(|(id, _)| *id == u16::from(AttributeId::WrappedData));
            // An access point keeps nothing between query and update; of these, what is wrapped counts, and the version in it.
            let loose = [FrameType::PrivatePeerIntroductionQuery, FrameType::PrivatePeerIntroductionUpdate];
            let counts = |i: usize| attributes[i].0 == u16::from(AttributeId::WrappedData);
            let each = each.filter(|change| match change {
                Change::Other(i) => !loose.contains(&good.kind) || counts(*i),
                _ => true,
            });
            for change in each.chain([Change::Truncated]).chain(wraps.then_some(Change::After)) {
                let mut seen = 0;
                let passed = exchange(&mut |mut frame| {
                    if seen == number {
                        frame.attributes = change.apply(&frame.attributes);
                    }
                    seen += 1;
                    frame
                });
                assert!(!passed, "{:?}: {change:?} went unnoticed", good.kind);
            }
        }
    }
}

#[test]
fn a_device_whose_own_connector_is_over_says_nothing() {
    let csign = key(Curve::P256, 1);
    let late = NOW + Duration::from_secs(20);
    let key = key(Curve::P256, 2);
    let mut over = connector(&key, "home", NetRole::Sta);
    over.expiry = Some(NOW + Duration::from_secs(10));
    let own = device(&csign, key, &over).own;
    assert!(station::discover(own.clone(), NOW, 1).is_ok());
    assert_eq!(station::discover(own.clone(), late, 1).unwrap_err().check, "dpp-connector-expiry");
    assert_eq!(station::query(own, late, 1).unwrap_err().check, "dpp-connector-expiry");
}

#[test]
fn a_connector_of_another_configurator_is_nobodys_own() {
    let (csign, other) = (key(Curve::P256, 1), key(Curve::P256, 9));
    let key = key(Curve::P256, 2);
    let signed = sign(&csign, &connector(&key, "home", NetRole::Sta));
    assert!(Own::new(signed, other.public().clone(), 3).is_err());
}
