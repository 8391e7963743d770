//! What is on deny lists now, as whoever watches devices has it before him.

use super::record::ListRecord;
use landfall_behaviour::{DenyLists, deny::Entry};
use landfall_types::Time;
use std::{collections::BTreeSet, net::IpAddr, sync::Arc, time::Duration};
use tokio::sync::watch;

/// What is on deny lists at a time.
#[derive(Debug, Default)]
pub struct InForce {
    /// For looking things up.
    pub lists: DenyLists,
    /// Every address and prefix that holds, none of them within another.
    pub prefixes: BTreeSet<(IpAddr, u8)>,
    /// Until when a device that nobody saw in contact with anything was in contact with nothing; nothing if there is no list, or one
    /// is missing or too old.
    pub watched: Option<Time>,
    /// For how long a contact speaks against a device.
    pub remember: Duration,
}

/// Where deny lists are handed from who keeps them to who watches. Clones are the same place.
#[derive(Clone, Debug)]
pub struct Denied(Arc<watch::Sender<Arc<InForce>>>);

impl Default for Denied {
    fn default() -> Self {
        Self(Arc::new(watch::channel(Arc::default()).0))
    }
}

impl Denied {
    pub(super) fn put(&self, in_force: InForce) {
        self.0.send_replace(Arc::new(in_force));
    }

    /// What holds now.
    pub fn now(&self) -> Arc<InForce> {
        self.0.borrow().clone()
    }

    /// What holds now, and whatever will.
    pub fn follow(&self) -> watch::Receiver<Arc<InForce>> {
        self.0.subscribe()
    }
}

impl InForce {
    pub(super) fn of<'a>(
        records: impl Iterator<Item = &'a ListRecord>,
        watched: Option<Time>,
        remember: Duration,
        now: Time,
    ) -> Self {
        let lists: Vec<_> = records.map(|record| (record.name.as_str(), record.list())).collect();
        let entries = lists.iter().flat_map(|(_, list)| &list.entries);
        let holds = entries.filter(|(_, until)| until.is_none_or(|until| now < until)).map(|(entry, _)| entry);
        let prefixes: BTreeSet<(IpAddr, u8)> = holds
            .filter_map(|entry| match entry {
                Entry::Prefix(address, bits) => Some((*address, *bits)),
                Entry::Name(_) => None,
            })
            .collect();
        let lists = DenyLists::of(lists.iter().map(|(name, list)| (*name, list)));
        Self { lists, prefixes: outermost(prefixes), watched, remember }
    }
}

/// Without those that are within others: sorted, whatever is within a prefix follows it.
fn outermost(prefixes: BTreeSet<(IpAddr, u8)>) -> BTreeSet<(IpAddr, u8)> {
    let mut last: Option<(IpAddr, u8)> = None;
    let is_outer = |prefix: &(IpAddr, u8)| {
        let is_within = last.is_some_and(|last| has(last, prefix.0));
        if !is_within {
            last = Some(*prefix);
        }
        !is_within
    };
    prefixes.into_iter().filter(is_outer).collect()
}

fn has((first, bits): (IpAddr, u8), address: IpAddr) -> bool {
    match (first, address) {
        (IpAddr::V4(first), IpAddr::V4(address)) => {
            (u32::from(first) ^ u32::from(address)).checked_shr(32 - u32::from(bits.min(32))).unwrap_or(0) == 0
        }
        (IpAddr::V6(first), IpAddr::V6(address)) => {
            (u128::from(first) ^ u128::from(address)).checked_shr(128 - u32::from(bits.min(128))).unwrap_or(0) == 0
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_within_another_prefix_is_not_told_twice() {
        let read = |text: &str| {
            let (address, bits) = text.split_once('/').unwrap();
            (address.parse::<IpAddr>().unwrap(), bits.parse::<u8>().unwrap())
        };
        let all = [
            "198.51.100.0/24",
            "198.51.100.0/25",
            "198.51.100.7/32",
            "198.51.101.0/32",
            "2001:db8::/32",
            "2001:db8::1/128",
        ];
        let left = ["198.51.100.0/24", "198.51.101.0/32", "2001:db8::/32"];
        assert_eq!(outermost(all.map(read).into()), left.map(read).into());
    }
}
