//! More connections than there is room for, of peers that say nothing, or half of something.

use super::{
    device::{Device, Link},
    ground::{CONNECTOR, Ground},
};
use landfall_dpp::tcp;
use landfall_testkit::{current_test, skip};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::time::Duration;
use tokio::time::timeout;

/// The configurator's settings with these limits.
async fn ground(limits: &str) -> (Ground, Device) {
    let (ground, device) =
        (Ground::with(&format!("[configurator.limits]\n{limits}\n{CONNECTOR}")).await, Device::new(1));
    ground.own(&device).await;
    (ground, device)
}

/// Connections of peers that say nothing, that begin a frame and never end it, and that nobody knows.
async fn crowd(ground: &Ground, number: u64) -> Vec<Link> {
    let mut links = Vec::new();
    for n in 0..number {
        let mut link = Link::to(ground.address).await;
        match n % 3 {
            0 => {}
            1 => link.bytes(&[&[0, 0, 0x0f, 0xff, 9][..], &[0x50; 2000]].concat()).await,
            _ => link.send(&Device::new(1_000 + n).announcement()).await,
        }
        links.push(link);
    }
    links
}

async fn is_closed(link: &mut Link) -> bool {
    timeout(Duration::from_secs(60), link.next()).await.expect("it is closed").is_none()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_gets_in_however_many_wait() {
    let (ground, device) = ground("connections = 64\nfirst = \"1h\"\nidle = \"1h\"").await;
    let mut links = crowd(&ground, 300).await;
    assert!(device.chirp(ground.address).await.expect("it is answered").done.is_ok());
    assert_eq!(ground.shown(&device).await.state, "connected");
    // Who waited longest has made room, of every kind; who came last still waits.
    for link in &mut links[..200] {
        assert!(is_closed(link).await);
    }
    let known = Device::new(2);
    ground.own(&known).await;
    assert!(links[299].is_silent_to(&Device::new(3).announcement(), &known).await);
    ground.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_says_nothing_is_not_waited_for() {
    let (ground, device) = ground("first = \"1s\"\nidle = \"1h\"").await;
    let mut spoke = Link::to(ground.address).await;
    spoke.send(&Device::new(2).announcement()).await;
    for begun in [&[][..], &[0], &[0, 0, 0, 43], &tcp::encode(&device.announcement())[..46]] {
        let mut link = Link::to(ground.address).await;
        link.bytes(begun).await;
        assert!(is_closed(&mut link).await, "{begun:?}");
    }
    assert!(spoke.is_silent_to(&Device::new(3).announcement(), &device).await, "who spoke has more time");
    ground.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_has_no_long_frames() {
    let (ground, device) = ground("first = \"1h\"\nidle = \"1h\"").await;
    for length in [0_u32, 4097, 65_535, u32::MAX] {
        let mut link = Link::to(ground.address).await;
        link.bytes(&length.to_be_bytes()).await;
        assert!(is_closed(&mut link).await, "{length}");
    }
    assert!(device.chirp(ground.address).await.unwrap().done.is_ok());
    ground.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_may_wait() {
    const CROWD: u64 = 10_000;
    // Both ends of each connection, but for those that make room, and some for everything else.
    let wanted = CROWD + 8_960 + 900;
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_some_and(|current| current < wanted) {
        let maximum = limit.maximum.map(|maximum| maximum.max(wanted));
        if let Err(why) = setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum }) {
            return skip(&current_test(), &format!("{wanted} files cannot be open at a time: {why}"));
        }
    }
    let (ground, device) = ground("first = \"1h\"\nidle = \"1h\"").await;
    let links = crowd(&ground, CROWD).await;
    assert!(device.chirp(ground.address).await.expect("it is answered").done.is_ok());
    assert_eq!(ground.shown(&device).await.state, "connected");
    drop(links);
    ground.stop().await;
}
