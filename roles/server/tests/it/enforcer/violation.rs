//! What the kernel tells of what it dropped.

use super::names::{Ground, device};
use landfall_server::{admin::view::ViolationView, observe::AUDIT_LOG};
use std::{sync::atomic::Ordering, time::Duration};

impl Ground {
    /// The violation that is told of next, once it is.
    async fn violation(&self, is_it: impl Fn(&ViolationView) -> bool) -> ViolationView {
        let look = async {
            loop {
                if let Some(found) = self.enforcer.violations().await.violations.into_iter().find(&is_it) {
                    return found;
                }
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), look).await.expect("what was dropped is told of")
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_dropped_is_told_with_who_did_what_and_why() {
    let Some(ground) = Ground::new().await else { return };
    ground.admit(1).await;
    assert!(!ground.arrives(1, "198.51.100.8", 0, false));
    let told = ground.violation(|one| one.peer == "198.51.100.8").await;
    assert_eq!(told.device.as_deref(), Some("D-1"));
    assert_eq!((told.port.as_str(), told.direction.as_str()), ("lan1", "from-device"));
    assert_eq!((told.protocol, told.peer_port), (Some(17), Some(5000)));
    assert_eq!(told.why, "no entry permits it");

    // The other way, to a device that never asked for it.
    ground.services[0].send_to(b"words", "192.168.30.10:5000").unwrap();
    let told = ground.violation(|one| one.direction == "to-device" && one.protocol == Some(17)).await;
    assert_eq!((told.peer_port, told.device.as_deref()), (Some(5000), Some("D-1")));

    // Another resolver, though its file would have it.
    assert_eq!(ground.dig(1, "cloud.thing.example").await.0, "NOERROR");
    assert!(!ground.arrives(1, "198.51.100.7", 1, false));
    let told = ground.violation(|one| one.peer_port == Some(53)).await;
    assert_eq!(told.why, "another resolver than the network's");

    // Somebody else at its port.
    ground.hosts.set("device1", "link set eth0 address 02:00:00:00:00:77");
    let _ = ground.devices[0].send_to(b"words", "192.168.30.1:5000");
    let told = ground.violation(|one| one.why.starts_with("02:00:00:00:00:77")).await;
    assert_eq!(told.port, "lan1");

    // Each is in the audit once.
    ground.world.recorder.flush().await;
    let entries = ground.world.store.log(AUDIT_LOG, 0, 1000).unwrap();
    let dropped = entries.iter().filter(|entry| entry.entry["action"] == "packet-dropped");
    assert!(dropped.count() >= 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_frame_is_counted_and_noise_is_bounded() {
    let Some(ground) = Ground::new().await else { return };
    ground.admit(1).await;
    ground.enforcer.check().await.unwrap();
    let before = ground.enforcer.violations_of(&device(1)).await.unwrap();
    for port in 6000..8000 {
        ground.devices[0].send_to(b"words", ("198.51.100.8", port)).unwrap();
    }
    ground.enforcer.check().await.unwrap();
    let counted = ground.enforcer.violations_of(&device(1)).await.unwrap() - before;
    assert!((2000..2100).contains(&counted), "{counted}");
    let told = ground.enforcer.violations().await;
    let of_device = told.dropped.iter().find(|one| one.port == "lan1").unwrap();
    assert!(of_device.from_device >= 2000 && of_device.device.as_deref() == Some("D-1"));
    assert!(told.violations.len() <= 40, "{}", told.violations.len());
    // What a minute ago was is no more of the last minute; and who comes anew begins anew.
    ground.seconds.fetch_add(61, Ordering::Relaxed);
    ground.enforcer.check().await.unwrap();
    let late = ground.enforcer.violations_of(&device(1)).await.unwrap();
    assert!(late < 100, "{late}");
    assert!(ground.enforcer.put_out(&device(1)).await);
    assert_eq!(ground.enforcer.violations_of(&device(1)).await, None);
    ground.admit(1).await;
    let now = ground.enforcer.violations().await.dropped;
    assert!(now.iter().find(|one| one.port == "lan1").unwrap().from_device < 100);
}
