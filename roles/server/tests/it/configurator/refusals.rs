//! Devices that get no answer, or nothing: each case changes one thing of one that goes well.

use super::{
    device::{Device, Link},
    ground::{CONNECTOR, Ground},
};
use landfall_dpp::{
    Curve, NetRole, Uri,
    curve::PublicKey,
    exchange::Mutual,
    frame::{Action, AttributeId, AttributeWriter, Frame, FrameType},
};
use landfall_lifecycle::transfer::{DppRole, Held};
use landfall_server::admin::view::{AuditEvent, Page};
use landfall_types::{Outcome, Time};

/// A configurator, and a device that it knows and answers.
async fn ground(more: &str) -> (Ground, Device) {
    let (ground, known) = (Ground::with(more).await, Device::new(900_000));
    ground.own(&known).await;
    (ground, known)
}

/// The device gets no answer while another one does; the operator hears why.
async fn silent(ground: &Ground, device: &Device, known: &Device) -> String {
    let mut link = Link::to(ground.address).await;
    assert!(link.is_silent_to(&device.announcement(), known).await);
    ground.refusal().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_is_in_no_book() {
    let (ground, known) = ground(CONNECTOR).await;
    assert_eq!(silent(&ground, &Device::new(1), &known).await, "bootstrapping-known");
    ground.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_was_sold() {
    let (ground, known) = ground(CONNECTOR).await;
    let device = Device::new(1);
    ground.enter(&device, "home", |entry| entry.state = Held::Released { at: Time::now() }).await;
    assert_eq!(silent(&ground, &device, &known).await, "bootstrapping-held");
    ground.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_the_policy_refuses() {
    let policy = "[configurator.acceptance]\nserials = [\"D-900000\"]\nothers = \"deny\"\n";
    let (ground, known) = ground(&format!("{policy}{CONNECTOR}")).await;
    let device = Device::new(1);
    ground.own(&device).await;
    assert_eq!(silent(&ground, &device, &known).await, "policy-denied");
    assert_eq!(ground.shown(&device).await.state, "refused");
    ground.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_waits_for_a_person_comes_in_once_one_has_said_so() {
    let policy = "[configurator.acceptance]\nserials = [\"D-900000\"]\nothers = \"ask\"\n";
    let (ground, known) = ground(&format!("{policy}{CONNECTOR}")).await;
    let device = Device::new(1);
    ground.own(&device).await;
    assert_eq!(silent(&ground, &device, &known).await, "approval-awaited");
    assert_eq!(ground.shown(&device).await.state, "awaiting-approval");
    ground.judge(&device, "approve").await;
    assert!(device.chirp(ground.address).await.unwrap().done.is_ok());
    assert_eq!(ground.shown(&device).await.state, "connected");
    let audit: Page<AuditEvent> = ground.client.get("/v1/audit?limit=1000").await.unwrap();
    let pending = audit.items.iter().filter(|event| event.outcome == Outcome::Pending).count();
    assert_eq!(pending, 1);
    ground.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_was_thrown_out() {
    let (ground, known) = ground(CONNECTOR).await;
    let device = Device::new(1);
    ground.own(&device).await;
    device.chirp(ground.address).await.unwrap();
    ground.judge(&device, "revoke").await;
    let ground = ground.restarted().await;
    assert_eq!(silent(&ground, &device, &known).await, "policy-denied");
    ground.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_takes_another_configurator_only() {
    let (ground, known) = ground(CONNECTOR).await;
    let device = Device::new(1);
    ground.enter(&device, "home", |entry| entry.configurator = Some(known.key.public().bootstrap_hash())).await;
    assert_eq!(silent(&ground, &device, &known).await, "configurator-of-device");
    ground.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_tenants_device_is_not_seen() {
    let hosted = "[[configurator.hosted]]\nid = \"neighbour\"\nrelays = [\"192.0.2.0/24\"]\n\
                  [[configurator.hosted.network]]\nssid = \"Neighbour\"\nkind = \"connector\"\n";
    let (ground, known) = ground(&format!("{CONNECTOR}{hosted}")).await;
    let device = Device::new(1);
    ground.enter(&device, "neighbour", |_| {}).await;
    // The access points on loopback are not the neighbour's, and its book is not looked into.
    assert_eq!(silent(&ground, &device, &known).await, "bootstrapping-known");
    let unanswered = ground.unanswered().await.remove(0);
    assert_eq!((unanswered.tenant.as_deref(), unanswered.device.len()), (Some("home"), 64));
    assert!(ground.record(&device, "neighbour").is_none() && ground.record(&device, "home").is_none());
    ground.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_tenants_on_one_address_each_get_their_own() {
    let hosted = "[[configurator.hosted]]\nid = \"neighbour\"\n\
                  [[configurator.hosted.network]]\nssid = \"Neighbour\"\nkind = \"connector\"\n";
    let (ground, known) = ground(&format!("{CONNECTOR}{hosted}")).await;
    let device = Device::new(1);
    ground.enter(&device, "neighbour", |_| {}).await;
    let onboarded = device.chirp(ground.address).await.unwrap();
    assert_eq!(onboarded.object().discovery.ssid, b"Neighbour");
    assert!(ground.record(&device, "home").is_none());
    assert_eq!(ground.record(&device, "neighbour").unwrap().identity.tenant().unwrap().as_str(), "neighbour");
    // A device in two books belongs to nobody.
    let shared = Device::new(2);
    for tenant in ["home", "neighbour"] {
        ground.enter(&shared, tenant, |_| {}).await;
    }
    assert_eq!(silent(&ground, &shared, &known).await, "bootstrapping-one-tenant");
    ground.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_does_not_authenticate_a_network_that_wants_it() {
    let mutual = "[[configurator.network]]\nssid = \"Home\"\nkind = \"connector\"\nmutual = \"required\"\n";
    let ground = Ground::with(mutual).await;
    let device = Device::new(1);
    ground.own(&device).await;
    assert!(device.chirp(ground.address).await.is_none());
    assert_ne!(ground.record(&device, "home").map(|device| device.state.to_string()).as_deref(), Some("enrolled"));
    ground.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_wants_another_network_gets_nothing_of_a_trusting_one() {
    // One network takes ducklings, the other does not: a duckling gets the first only.
    let networks = "[[configurator.network]]\nssid = \"Vault\"\nkind = \"connector\"\nmutual = \"required\"\n\
                    [[configurator.network]]\nssid = \"Home\"\nkind = \"connector\"\n";
    let ground = Ground::with(networks).await;
    let device = Device::new(1);
    ground.own(&device).await;
    let onboarded = device.chirp(ground.address).await.unwrap();
    let ssids: Vec<_> = onboarded.received.objects.iter().map(|object| object.discovery.ssid.clone()).collect();
    assert_eq!(ssids, [b"Home".to_vec()]);
    ground.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_wants_to_be_what_it_is_not() {
    let ground = Ground::new().await;
    for (number, wanted, owner_says) in [
        (1, NetRole::Ap, Some(DppRole::Sta)),
        (2, NetRole::Sta, Some(DppRole::Ap)),
        (3, NetRole::Ap, None),
        (4, NetRole::Configurator, Some(DppRole::Sta)),
    ] {
        let mut device = Device::new(number);
        device.request.net_role = wanted;
        ground.enter(&device, "home", |entry| entry.role = owner_says).await;
        assert!(device.chirp(ground.address).await.is_none(), "{number}");
        assert!(ground.record(&device, "home").is_none_or(|device| device.configuration.is_none()));
    }
    assert_eq!(ground.audited().await, ["network-role"; 4]);
    ground.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_that_knows_our_key_gets_no_answer() {
    let (ground, known) = ground(CONNECTOR).await;
    let key = own_key(&ground).await;
    let stranger = Device::new(1);
    let mut link = Link::to(ground.address).await;
    let request = |initiator: Option<&PublicKey>, responder: &PublicKey| {
        let mut attributes = AttributeWriter::new();
        attributes.put(AttributeId::ResponderBootstrapHash, &responder.bootstrap_hash().0);
        if let Some(initiator) = initiator {
            attributes.put(AttributeId::InitiatorBootstrapHash, &initiator.bootstrap_hash().0);
        }
        attributes.put(AttributeId::InitiatorProtocolKey, &stranger.key.public().to_wire());
        attributes.put(AttributeId::WrappedData, &[0; 40]);
        Frame::from(Action { kind: FrameType::AuthenticationRequest, attributes: attributes.into_bytes() })
    };
    let frame = request(Some(stranger.key.public()), &key);
    assert!(link.is_silent_to(&frame, &known).await);
    assert_eq!(ground.refusal().await, "bootstrapping-known");
    let ground = ground.restarted().await;
    // Another's key, and no key of its own.
    for (frame, check) in
        [(request(Some(known.key.public()), stranger.key.public()), "configurator-key"), (request(None, &key), "")]
    {
        let mut link = Link::to(ground.address).await;
        // Its own exchange was given up with the connection.
        link.send(&frame).await;
        drop(link);
        let found = async {
            loop {
                let unanswered = ground.unanswered().await;
                if unanswered.iter().any(|one| check.is_empty() || one.check == check) {
                    return;
                }
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(60), found).await.unwrap();
    }
    ground.stop().await;
}

async fn own_key(ground: &Ground) -> PublicKey {
    let view = ground.view().await;
    let key = view.keys.iter().find(|key| key.curve == Curve::P256.name()).unwrap();
    key.uri.parse::<Uri>().unwrap().key
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_has_the_key_of_another_configurator() {
    let ground = Ground::with(&format!("[configurator.limits]\nresponse = \"1s\"\nidle = \"1s\"\n{CONNECTOR}")).await;
    let other = Device::new(2);
    let device = Device { knows: Some(other.key.public().clone()), mutual: Mutual::Required, ..Device::new(1) };
    ground.own(&device).await;
    assert!(device.chirp(ground.address).await.is_none());
    assert!(ground.record(&device, "home").is_none_or(|device| device.configuration.is_none()));
    ground.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nonsense_ends_its_own_connection_only() {
    let (ground, known) = ground(CONNECTOR).await;
    for bytes in [&[0, 0, 0, 0][..], &[0xff; 8], &[0, 1, 0, 1]] {
        let mut link = Link::to(ground.address).await;
        link.bytes(bytes).await;
        assert!(link.next().await.is_none(), "{bytes:?}");
    }
    // A frame of another kind is passed over.
    let mut link = Link::to(ground.address).await;
    link.bytes(&[0, 0, 0, 3, 1, 2, 3]).await;
    assert!(link.is_silent_to(&Device::new(1).announcement(), &known).await);
    // Frames that begin nothing.
    let odd = Frame::from(Action { kind: FrameType::ConfigurationResult, attributes: Vec::new() });
    let empty = Frame::from(Action { kind: FrameType::PresenceAnnouncement, attributes: Vec::new() });
    drop(link);
    for (number, frame) in [(7, odd), (8, empty)] {
        let (next, mut link) = (Device::new(number), Link::to(ground.address).await);
        ground.own(&next).await;
        assert!(link.is_silent_to(&frame, &next).await);
    }
    ground.stop().await;
}
