//! Where devices are inside, kept so that they can be put out after a restart too.

use super::{Access, client::Client};
use crate::{
    enforcer::{Plug, picture::Mac},
    settings::PlaceSettings,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use landfall_eap::radius::{Attributes, Kind, Place, Ticket};
use landfall_store::{Committing, ReadError, Store};
use landfall_types::{Changes, DeviceId, Fingerprint, Record, Refusal, Time};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// A device is at so many places at the most: one of them moves, the others have been left without a word.
const MOST: usize = 64;
/// Most devices are at one place: what is read beyond is another's.
const FEW: usize = 2;

/// One place at which a device was let in. Another authentication at the same place makes another one of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Session {
    /// What it is known by here.
    pub(super) id: String,
    /// Which device.
    pub device: DeviceId,
    /// By what it came in.
    pub by: Shown,
    /// The access point, by its name in the settings.
    pub client: String,
    /// From where the access point asked.
    pub from: IpAddr,
    /// What names the session (RFC 5176 s3): attributes, in base64.
    pub(super) named: String,
    /// What tells this place from others of the same device.
    pub(super) spot: String,
    /// What the access point calls the session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// Its VLAN there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vlan: Option<String>,
    /// The filter that is applied to it there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<String>,
    /// Whether it is at a port of this machine.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_here: bool,
    /// Since when.
    pub since: Time,
    /// Until when, unless it shows itself again.
    pub until: Time,
    /// What the access point was told in vain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owed: Option<Owed>,
}

/// By what a device came in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Shown {
    /// The certificate with that SHA-256.
    Certificate(Fingerprint),
    /// A password of its own for that network.
    Password(String),
    /// Its manufacturer's certificate, by a permission with that key: somebody else owns it.
    Guest(String),
}

/// An order that an access point has not carried out yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Owed {
    /// How often it was given.
    pub tries: u32,
    /// When it is given again.
    pub again: Time,
}

/// What an access point asks for a device.
#[derive(Clone, Debug)]
pub(super) struct Asking {
    pub(super) client: String,
    from: IpAddr,
    named: Attributes,
    spot: String,
    session: Option<String>,
    /// Where the device is, if that may be a port of this machine.
    pub(super) plug: Option<Plug>,
}

impl Asking {
    pub(super) fn of(client: &Client, ticket: &Ticket, attributes: &Attributes) -> Self {
        let from = ticket.from().ip();
        Self { plug: Plug::of(from, attributes), ..Self::elsewhere(client, from, attributes) }
    }

    /// The same at no port of this machine, whatever it says.
    pub(super) fn elsewhere(client: &Client, from: IpAddr, attributes: &Attributes) -> Self {
        let take = |kinds: &[Kind]| {
            kinds.iter().fold(Attributes::default(), |taken, kind| taken.with_all_of(*kind, attributes))
        };
        let who = [Kind::NAS_IDENTIFIER, Kind::NAS_IP_ADDRESS, Kind::NAS_IPV6_ADDRESS, Kind::CALLING_STATION_ID];
        let spot = match attributes.text(Kind::CALLING_STATION_ID) {
            Some(_) => take(&who),
            None => take(&[&who[..], &[Kind::NAS_PORT, Kind::NAS_PORT_ID]].concat()),
        };
        Self {
            client: client.name.clone(),
            from,
            named: take(&[&who[..], &[Kind::ACCT_SESSION_ID]].concat()),
            spot: format!("{} {from} {}", client.name, STANDARD.encode(spot.to_bytes())),
            session: attributes.text(Kind::ACCT_SESSION_ID),
            plug: None,
        }
    }
}

impl Session {
    /// The index by access point, and what that calls it.
    const BY_NAME: &'static str = "name";
    /// The index by permission.
    const BY_GUEST: &'static str = "guest";
    /// The index by when something is to be done about it, in seconds since 1970.
    const BY_DUE: &'static str = "due";

    pub(super) fn begun(
        asking: Asking,
        device: &DeviceId,
        by: Shown,
        place: &Place,
        is_here: bool,
        (since, until): (Time, Time),
    ) -> Self {
        let named = STANDARD.encode(asking.named.to_bytes());
        let Asking { client, from, spot, session, .. } = asking;
        let device = device.clone();
        let mut random = [0; 8];
        // Ids only have to differ: two sessions with the same one would be one record.
        let _ = aws_lc_rs::rand::fill(&mut random);
        Self {
            id: format!("{:016x}", u64::from_be_bytes(random)),
            device,
            by,
            client,
            from,
            named,
            spot,
            session,
            vlan: place.vlan.clone(),
            filter: place.filter.clone(),
            is_here,
            since,
            until,
            owed: None,
        }
    }

    /// What names it (RFC 5176 s3).
    pub(super) fn named(&self) -> Result<Attributes, Refusal> {
        Attributes::parse(&STANDARD.decode(&self.named).unwrap_or_default())
    }

    /// The address of the device's interface, if the access point has told it (RFC 3580 s3.21).
    pub(crate) fn mac(&self) -> Option<Mac> {
        self.named().ok()?.text(Kind::CALLING_STATION_ID)?.parse().ok()
    }

    /// Whether a device in that place is where it is to be.
    pub(super) fn is_in(&self, place: &Place) -> bool {
        (&self.vlan, &self.filter) == (&place.vlan, &place.filter)
    }

    /// Every one of a device.
    pub(crate) fn of_device(store: &Store, device: &DeviceId) -> Result<Vec<Self>, ReadError> {
        let (mut sessions, mut after) = (Vec::new(), key(device, ""));
        loop {
            let page = store.scan::<Self>(Some(&after), FEW)?;
            let is_last = page.len() < FEW || page.iter().any(|found| found.device != *device);
            sessions.extend(page.into_iter().map(|found| found.record).take_while(|found| found.device == *device));
            match sessions.last() {
                Some(last) if !is_last && sessions.len() < MOST => after = last.key(),
                _ => return Ok(sessions),
            }
        }
    }

    /// Every one at an access point.
    fn at_client(store: &Store, client: &str, from: IpAddr) -> Result<Vec<Self>, ReadError> {
        let all = name_value(client, from, "");
        let (mut sessions, mut after) = (Vec::new(), (all.clone(), String::new()));
        loop {
            let page = store.scan_index::<Self>(Self::BY_NAME, Some((&after.0, &after.1)), MOST)?;
            let is_last = page.len() < MOST;
            for (name, found) in page {
                if !name.starts_with(&all) {
                    return Ok(sessions);
                }
                after = (name, found.key());
                sessions.push(found.record);
            }
            if is_last {
                return Ok(sessions);
            }
        }
    }

    /// Every one of a device that somebody else owns.
    pub(super) fn of_guest(store: &Store, permit: &str) -> Result<Vec<Self>, ReadError> {
        records(store, Self::BY_GUEST, permit, MOST)
    }

    /// Those about which something is to be done at `now`.
    pub(super) fn due(store: &Store, now: Time, most: usize) -> Result<Vec<Self>, ReadError> {
        let found = store.scan_index::<Self>(Self::BY_DUE, None, most)?;
        let is_due = |session: &Self| session.is_due(now);
        Ok(found.into_iter().map(|(_, found)| found.record).take_while(is_due).collect())
    }

    /// When something is to be done about it if nothing happens until then.
    fn due_at(&self) -> Time {
        self.owed.as_ref().map_or(self.until + super::GRACE, |owed| owed.again)
    }

    pub(super) fn is_due(&self, now: Time) -> bool {
        self.due_at() <= now
    }
}

/// The sessions of a device stand together. No id has a control character in it.
fn key(device: &DeviceId, id: &str) -> String {
    format!("{device}\n{id}")
}

fn name_value(client: &str, from: IpAddr, session: &str) -> String {
    format!("{client}\n{from}\n{session}")
}

impl Record for Session {
    const COLLECTION: &'static str = "access-session";

    fn key(&self) -> String {
        key(&self.device, &self.id)
    }

    fn indexes(&self) -> Vec<(&'static str, String)> {
        let name = self.session.as_deref().unwrap_or_default();
        let always = [
            (Self::BY_NAME, name_value(&self.client, self.from, name)),
            (Self::BY_DUE, format!("{:016}", self.due_at().as_unix_millis())),
        ];
        let guest = match &self.by {
            Shown::Guest(permit) => Some((Self::BY_GUEST, permit.clone())),
            _ => None,
        };
        always.into_iter().chain(guest).collect()
    }
}

fn records(store: &Store, index: &str, value: &str, most: usize) -> Result<Vec<Session>, ReadError> {
    Ok(store.find_by::<Session>(index, value, most)?.into_iter().map(|found| found.record).collect())
}

/// A session that is to be remembered.
#[derive(Debug)]
pub(super) enum Kept {
    /// It is on its way to the disk.
    Underway(Committing),
    /// It is written instead of what is remembered of that place: the device is there as before until it is let in anew.
    Instead(Changes),
}

impl Kept {
    /// Resolves when it is durable.
    pub(super) async fn durable(self, store: &Store) -> Result<(), String> {
        let written = match self {
            Self::Underway(written) => written,
            Self::Instead(changes) => store.commit(changes),
        };
        written.await.map(drop).map_err(|why| why.to_string())
    }
}

impl Access {
    /// Remembers where a device is let in, instead of what was remembered of that place: before its access point is told.
    pub(super) async fn keep(&self, session: &Session) -> Result<(), String> {
        self.begin_to_keep(session)?.durable(&self.world.store).await
    }

    /// The same, on its way when this returns if nothing is remembered of that place.
    pub(super) fn begin_to_keep(&self, session: &Session) -> Result<Kept, String> {
        let store = &self.world.store;
        let mut held = Session::of_device(store, &session.device).map_err(|why| why.to_string())?;
        held.sort_by_key(|held| held.since);
        let excess = (held.len() + 1).saturating_sub(MOST);
        let gone = held.iter().enumerate().filter(|(at, held)| *at < excess || held.spot == session.spot);
        let changes = gone.fold(Changes::new(), |changes, (_, held)| changes.delete::<Session>(held.key()));
        let is_first = changes.is_empty();
        let changes = changes.put(session).map_err(|why| why.to_string())?;
        Ok(match is_first {
            true => Kept::Underway(store.commit(changes)),
            false => Kept::Instead(changes),
        })
    }

    /// Has it forgotten what access points say that is over.
    pub(super) fn ended(&self, client: &Client, from: IpAddr, usage: &super::usage::Usage) -> Changes {
        let store = &self.world.store;
        let found = match &usage.session {
            Some(session) if usage.is_end() => {
                records(store, Session::BY_NAME, &name_value(&client.name, from, session), MOST)
            }
            _ if usage.is_end_of_all() => {
                // Behind one address there may be several.
                let is_its = |session: &Session| {
                    session.named().is_ok_and(|named| named.text(Kind::NAS_IDENTIFIER) == usage.access_point)
                };
                Session::at_client(store, &client.name, from).map(|found| found.into_iter().filter(is_its).collect())
            }
            _ => Ok(Vec::new()),
        };
        // What cannot be read now is forgotten when it is due.
        found.unwrap_or_default().iter().fold(Changes::new(), |changes, it| changes.delete::<Session>(it.key()))
    }
}

/// A place as access points are told of it.
pub(super) fn told(place: &PlaceSettings) -> Place {
    let seconds = |span: crate::settings::Span| u32::try_from(span.duration().as_secs()).unwrap_or(u32::MAX);
    Place { vlan: place.vlan.clone(), filter: place.filter.clone(), session_timeout: place.reauthenticate.map(seconds) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use landfall_eap::radius::Secret;
    use landfall_types::Redacted;

    fn session(client: &str, from: &str, device: &str, number: usize) -> Session {
        let client =
            Client::new(client, vec![from.parse().unwrap()], Secret::new(Redacted::new(b"s".into())).unwrap(), None);
        let attributes = Attributes::default().with(Kind::ACCT_SESSION_ID, &*format!("session {number}"));
        let asking = Asking::elsewhere(&client, from.parse().unwrap(), &attributes);
        let by = Shown::Password("Home".into());
        let device = device.parse().unwrap();
        Session::begun(asking, &device, by, &Place::default(), false, (Time::from_unix(1), Time::from_unix(2)))
    }

    #[tokio::test]
    async fn sessions_are_found_by_access_point_and_by_device_and_no_others() {
        let store = Store::memory();
        let mut changes = Changes::new();
        let here = "127.0.0.1";
        for number in 0..150 {
            changes = changes.put(&session("ap", here, &format!("device-{number}"), number)).unwrap();
        }
        for (client, from, device) in [("ap", "127.0.0.2", "one"), ("ap 2", here, "one/2"), ("ao", here, "one 2")] {
            changes = changes.put(&session(client, from, device, 0)).unwrap();
        }
        store.commit(changes).await.unwrap();
        let at = |client, from: &str| Session::at_client(&store, client, from.parse().unwrap()).unwrap().len();
        assert_eq!((at("ap", here), at("ap", "127.0.0.2"), at("ap 2", here), at("ap", "127.0.0.3")), (150, 1, 1, 0));
        let of = |device: &str| Session::of_device(&store, &device.parse().unwrap()).unwrap();
        assert_eq!((of("one").len(), of("one/2").len(), of("device-1").len(), of("device").len()), (1, 1, 1, 0));
    }
}
