//! Connections of devices elsewhere that this machine routes, as its own kernel tells of them (connection tracking). What devices at
//! its ports do the rules of `flows` tell sooner, and also of what does not come through.
//!
//! Whose a connection is says the address at either end: which interface has it the kernel has asked on its links (ARP, neighbour
//! discovery), and which device has the interface says a session of access.

use super::{Enforcer, collect::Begun, picture::Mac};
use crate::admin::view::ConnectionsView;
use landfall_behaviour::Flow;
use landfall_nft::{
    KernelError,
    tracked::{Event, Heard, Tracked},
};
use landfall_types::{DeviceId, Time};
use serde_json::json;
use std::{
    collections::{HashMap, hash_map::Entry},
    net::IpAddr,
    sync::PoisonError,
    time::Duration,
};

/// Of both versions of IP; beside the tables of the bridges, where connections are not tracked.
const FAMILY: &str = "inet";
const TABLE: &str = "landfall-connections";
/// How often it is looked who is where: when somebody is not known, and anyway. And whether the rule is there.
const AGAIN: Duration = Duration::from_secs(10);
const ANYWAY: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_secs(1);

/// What is known meanwhile.
#[derive(Default)]
struct Desk {
    begun: Begun,
    devices: HashMap<IpAddr, (DeviceId, Time)>,
    looked: Option<Time>,
}

impl Enforcer {
    /// What connection tracking has told, if it is listened to.
    pub fn connections(&self) -> Option<ConnectionsView> {
        *self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has the kernel track connections, and begins to listen.
    ///
    /// # Errors
    /// If the kernel does not take the rule, or does not tell.
    pub(super) async fn track(&self) -> std::io::Result<Tracked> {
        self.watch_connections().await.map_err(std::io::Error::other)?;
        let ear = self.kernel.tracked()?;
        self.connections.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_default();
        Ok(ear)
    }

    /// Looks at connections, if that is wanted, for as long as it is polled.
    pub(super) async fn follow_connections(&self, mut ear: Option<Tracked>) {
        while let Some(hearing) = ear {
            self.hear_connections(hearing).await;
            tracing::error!(role = "enforcer", "the kernel does not tell of connections any more, and is asked again");
            ear = loop {
                tokio::time::sleep(PAUSE).await;
                if let Ok(ear) = self.track().await {
                    break Some(ear);
                }
            };
        }
    }

    async fn hear_connections(&self, mut ear: Tracked) {
        let (mut desk, mut tick) = (Desk::default(), tokio::time::interval(ANYWAY));
        loop {
            tokio::select! {
                heard = ear.next() => match heard {
                    Some(Heard::Event(event)) => self.connection(&mut desk, &event).await,
                    Some(Heard::Missed(missed)) => self.lost("missed", missed, |it| it.missed += missed),
                    Some(Heard::Overrun) => self.lost("overrun", 1, |it| it.overruns += 1),
                    None => return,
                },
                _ = tick.tick() => if let Err(why) = self.watch_connections().await {
                    tracing::error!(role = "enforcer", %why, "the kernel could not be told to track connections");
                }
            }
            self.tell_unusual().await;
        }
    }

    /// Connections are tracked where a rule looks at what becomes of them; this one does nothing else.
    async fn watch_connections(&self) -> Result<(), KernelError> {
        if self.kernel.table(FAMILY, TABLE).await?.is_some() {
            return Ok(());
        }
        let chain = json!({ "family": FAMILY, "table": TABLE, "name": "forward", "type": "filter", "hook": "forward", "prio": 0, "policy": "accept" });
        let state = json!({ "match": { "op": "in", "left": { "ct": { "key": "state" } }, "right": "new" } });
        let commands = [
            json!({ "add": { "table": { "family": FAMILY, "name": TABLE } } }),
            json!({ "add": { "chain": chain } }),
            json!({ "add": { "rule": { "family": FAMILY, "table": TABLE, "chain": "forward", "expr": [state] } } }),
        ];
        self.kernel.apply(&commands).await
    }

    async fn connection(&self, desk: &mut Desk, event: &Event) {
        let now = self.world.clock.now();
        let is_known = [event.source, event.answerer].iter().any(|address| desk.devices.contains_key(address));
        if desk.looked.is_none_or(|looked| now.since(looked) >= if is_known { ANYWAY } else { AGAIN }) {
            match self.look_where(now).await {
                Ok(devices) => desk.devices = devices,
                Err(why) => tracing::error!(role = "enforcer", why, "it cannot be read whose connections are"),
            }
            desk.looked = Some(now);
        }
        let flow = Flow {
            source_port: event.source_port,
            sent: event.sent,
            received: event.received,
            answered: Some(event.is_answered),
            ended: event.is_over,
            ..Flow::between(event.source, event.destination, event.protocol, event.port, now)
        };
        let (beginner, answerer) = (desk.device(event.source, now), desk.device(event.answerer, now));
        let what = if beginner.is_none() && answerer.is_none() { "nobodys" } else { "flow" };
        self.count_connections(what, 1, |it| {
            it.events += 1;
            match what {
                "flow" => it.flows += 1,
                _ => it.nobodys += 1,
            }
        });
        if let Some(device) = answerer {
            // Somebody else has begun it: what the device has sent counts, and nothing else.
            let Some(flows) = self.flows.as_ref().filter(|_| event.is_over) else { return };
            let turned = Flow { answered: None, ..flow.clone().turned() };
            self.judge(&mut *flows.lock().await, &device, &turned, |_| true).await;
        }
        if let Some(device) = beginner {
            self.own_connection(desk, &device, flow).await;
        }
    }

    /// A connection that a device has begun.
    async fn own_connection(&self, desk: &mut Desk, device: &DeviceId, flow: Flow) {
        let Some(flows) = &self.flows else { return };
        let key = (device.clone(), flow.destination, flow.protocol, flow.source_port, flow.port);
        // One that is over and of which nobody has told that it began has begun now.
        let is_first = desk.begun.insert(key, flow.start) || !flow.ended;
        let mut flows = flows.lock().await;
        if is_first && super::collect::is_one(&flow) {
            let begun = Flow { sent: 0, received: 0, answered: None, ended: false, ..flow.clone() };
            self.judge(&mut flows, device, &begun, |_| true).await;
        }
        if flow.ended {
            let answered = flow.answered.filter(|_| super::collect::is_one(&flow));
            self.judge(&mut flows, device, &Flow { answered, ..flow }, |_| true).await;
        }
    }

    /// Which device elsewhere has which address, and until when. An address that two have is nobody's.
    async fn look_where(&self, now: Time) -> Result<HashMap<IpAddr, (DeviceId, Time)>, String> {
        let sessions = self.elsewhere(now).map_err(|why| why.to_string())?;
        let neighbours = self.kernel.neighbourhood().await.map_err(|why| why.to_string())?;
        let mut owners: HashMap<IpAddr, Option<Mac>> = HashMap::new();
        for (address, mac) in neighbours {
            let mac = Mac::from(mac);
            match owners.entry(address) {
                Entry::Vacant(entry) => drop(entry.insert(Some(mac))),
                Entry::Occupied(mut entry) if *entry.get() != Some(mac) => drop(entry.insert(None)),
                Entry::Occupied(_) => {}
            }
        }
        let device = |(address, mac): (IpAddr, Option<Mac>)| Some((address, sessions.get(&mac?)?.clone()));
        Ok(owners.into_iter().filter_map(device).collect())
    }

    fn lost(&self, what: &'static str, many: u64, change: impl FnOnce(&mut ConnectionsView)) {
        let before = self.connections().unwrap_or_default();
        if before.missed == 0 && before.overruns == 0 {
            tracing::warn!(role = "enforcer", what, "events of connections were lost, and others may be");
        }
        self.count_connections(what, many, change);
    }

    fn count_connections(&self, what: &'static str, many: u64, change: impl FnOnce(&mut ConnectionsView)) {
        change(self.connections.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_default());
        metrics::counter!("landfall_conntrack_told_total", "what" => what).increment(many);
    }
}

impl Desk {
    fn device(&self, address: IpAddr, now: Time) -> Option<DeviceId> {
        self.devices.get(&address).filter(|(_, until)| now < *until).map(|(device, _)| device.clone())
    }
}
