//! Connectors: what a configurator says of a device's key, signed (DPP s4.2, s4.3).

use crate::{
    bounds,
    curve::PublicKey,
    json::{self, JsonError, Object},
    jwk::Jwk,
    jws::{self, Jws},
    net_role::NetRole,
    status::Status,
};
use landfall_types::{Fault, Refusal, Time};
use serde_json::{Map, Value};

const SECTION: &str = "DPP s4.2.2";

/// The device whose key this is may be introduced, in these groups and roles, until then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connector {
    /// Where it may be what; at least one.
    pub groups: Vec<Group>,
    /// The network access key.
    pub key: PublicKey,
    /// When it ends, in whole seconds; never if there is none.
    pub expiry: Option<Time>,
    /// The release that the device spoke; from release 3 on.
    pub version: Option<u8>,
}

/// A role in a group.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Group {
    /// The group; `*` is all of them.
    pub id: String,
    /// The role in it.
    pub role: NetRole,
}

impl Group {
    /// The id that stands for every group.
    pub const ANY: &'static str = "*";

    /// A role in every group.
    pub fn any(role: NetRole) -> Self {
        Self { id: Self::ANY.into(), role }
    }

    fn meets(&self, other: &Self) -> bool {
        self.id == other.id || self.id == Self::ANY || other.id == Self::ANY
    }
}

/// Why a connector is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConnectorError {
    /// The signed object is not one.
    #[error("{field} {why}")]
    Jws {
        /// Which part.
        field: &'static str,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A member is missing or wrong.
    #[error(transparent)]
    Json(#[from] JsonError),
    /// Another key signed it.
    #[error("kid names another C-sign key")]
    OtherSigner,
    /// The signature is wrong.
    #[error("the signature is not that of the C-sign key")]
    Signature,
    /// It is over.
    #[error("it expired at {0}")]
    Expired(Time),
    /// The network access key is not the one that it has to be.
    #[error("netAccessKey is not the key that was proved")]
    OtherKey,
    /// The network access keys are on different curves.
    #[error("netAccessKey is on another curve than the own one")]
    OtherCurve,
    /// No group with complementary roles.
    #[error("no group in common with roles that fit together")]
    NoMatch,
}

impl ConnectorError {
    /// What the peer is told (DPP s6.6.2).
    pub const fn status(&self) -> Status {
        match self {
            Self::OtherSigner | Self::NoMatch => Status::NoMatch,
            Self::Jws { .. }
            | Self::Json(_)
            | Self::Signature
            | Self::Expired(_)
            | Self::OtherKey
            | Self::OtherCurve => Status::InvalidConnector,
        }
    }

    /// The same as a refusal.
    pub fn refusal(&self) -> Refusal {
        let (check, fault, section, field) = match self {
            Self::Jws { field, .. } => ("dpp-connector-jws", Fault::Malformed, "DPP s4.2.1", *field),
            Self::Json(error) => ("dpp-connector-member", Fault::Malformed, error.section, error.field),
            Self::OtherSigner => ("dpp-connector-csign", Fault::Peer, "DPP s4.2.1", "kid"),
            Self::Signature => ("dpp-connector-signature", Fault::Peer, "DPP s4.2.1.1", "JWS signature"),
            Self::Expired(_) => ("dpp-connector-expiry", Fault::Denied, "DPP s4.2.2", "expiry"),
            Self::OtherKey => ("dpp-connector-key", Fault::Peer, "DPP s6.4.3.2", "netAccessKey"),
            Self::OtherCurve => ("dpp-connector-curve", Fault::Incompatible, "DPP s6.6.2", "netAccessKey"),
            Self::NoMatch => ("dpp-connector-groups", Fault::Denied, "DPP s6.6.2", "groups"),
        };
        Refusal::new(fault, check, section, self.to_string()).field(field)
    }
}

impl From<ConnectorError> for Refusal {
    fn from(error: ConnectorError) -> Self {
        error.refusal()
    }
}

impl Connector {
    /// What the C-sign key has to sign: ASCII. The signature goes to [`SignedConnector::attach`].
    pub fn signing_input(&self, csign: &PublicKey) -> String {
        jws::signing_input(&json::write(self.members()), csign)
    }

    /// Whether it holds at `now`.
    ///
    /// # Errors
    /// If it is over.
    pub fn in_force(&self, now: Time) -> Result<(), ConnectorError> {
        match self.expiry {
            Some(expiry) if expiry.as_unix() < now.as_unix() => Err(ConnectorError::Expired(expiry)),
            _ => Ok(()),
        }
    }

    /// Whether it is about `key`, as it has to be when it comes in a configuration (DPP s6.4.3.2).
    ///
    /// # Errors
    /// If it is about another key.
    pub fn is_about(&self, key: &PublicKey) -> Result<(), ConnectorError> {
        match self.key == *key {
            true => Ok(()),
            false => Err(ConnectorError::OtherKey),
        }
    }

    /// Whether the device of this connector and that of `peer` can be introduced (DPP s6.6.2).
    ///
    /// # Errors
    /// If no group of both has complementary roles, or their keys are on different curves.
    pub fn matches(&self, peer: &Self) -> Result<(), ConnectorError> {
        self.meets(peer, NetRole::complements)?;
        match self.key.curve() == peer.key.curve() {
            true => Ok(()),
            false => Err(ConnectorError::OtherCurve),
        }
    }

    /// Whether `configurator` is one that may reconfigure the device of this connector (DPP s6.5.4).
    ///
    /// # Errors
    /// If it has the role of a configurator in none of the groups, or its key is on another curve.
    pub fn may_be_reconfigured_by(&self, configurator: &Self) -> Result<(), ConnectorError> {
        self.meets(configurator, |_, role| *role == NetRole::Configurator)?;
        match self.key.curve() == configurator.key.curve() {
            true => Ok(()),
            false => Err(ConnectorError::OtherCurve),
        }
    }

    fn meets(&self, peer: &Self, fit: impl Fn(&NetRole, &NetRole) -> bool) -> Result<(), ConnectorError> {
        let mut pairs = self.groups.iter().flat_map(|own| peer.groups.iter().map(move |other| (own, other)));
        match pairs.any(|(own, other)| own.meets(other) && fit(&own.role, &other.role)) {
            true => Ok(()),
            false => Err(ConnectorError::NoMatch),
        }
    }

    fn parse(payload: &[u8]) -> Result<Self, ConnectorError> {
        let mut payload = Object::parse(payload, bounds::CONNECTOR, "JWS payload", SECTION)?;
        let groups = payload.array("groups", bounds::GROUPS)?.unwrap_or_default();
        if groups.is_empty() {
            return Err(payload.error("groups", "is missing or empty").into());
        }
        let groups = groups.into_iter().map(Group::from_value).collect::<Result<_, _>>()?;
        let mut key = payload.object("netAccessKey")?.ok_or_else(|| payload.error("netAccessKey", "is missing"))?;
        let expiry = match payload.text("expiry", bounds::NAME)? {
            None => None,
            Some(text) => {
                Some(parse_expiry(&text).ok_or_else(|| payload.error("expiry", "is not a date and time of ISO 8601"))?)
            }
        };
        let version = match payload.number("version")?.map(u8::try_from) {
            None => None,
            Some(Ok(version)) => Some(version),
            Some(Err(_)) => return Err(payload.error("version", "is not the number of a release").into()),
        };
        Ok(Self { groups, key: Jwk::read(&mut key)?.key, expiry, version })
    }

    fn members(&self) -> Map<String, Value> {
        let mut members = Map::new();
        members.insert("groups".into(), self.groups.iter().map(Group::to_value).collect());
        members.insert("netAccessKey".into(), Jwk::of(self.key.clone()).to_value());
        if let Some(expiry) = self.expiry {
            members.insert("expiry".into(), Time::from_unix(expiry.as_unix()).to_string().into());
        }
        if let Some(version) = self.version {
            members.insert("version".into(), version.into());
        }
        members
    }
}

impl Group {
    fn from_value(value: Value) -> Result<Self, JsonError> {
        let mut group = Object::of(value, "groups", SECTION)?;
        Ok(Self {
            id: group.need_text("groupId", bounds::NAME)?,
            role: group.need_text("netRole", bounds::NAME)?.into(),
        })
    }

    fn to_value(&self) -> Value {
        let mut members = Map::new();
        members.insert("groupId".into(), self.id.as_str().into());
        members.insert("netRole".into(), self.role.as_str().into());
        Value::Object(members)
    }
}

/// `YYYY-MM-DDTHH:MM:SS`, then nothing or `Z` for UTC, `±hh` or `±hh:mm` (ISO 8601; DPP s4.2.2).
fn parse_expiry(text: &str) -> Option<Time> {
    let (stamp, zone) = text.split_at_checked(19)?;
    let zone = match (zone.as_bytes(), zone.len()) {
        ([], _) | (b"Z", _) => "Z".to_owned(),
        ([b'+' | b'-', ..], 3) => format!("{zone}:00"),
        ([b'+' | b'-', ..], 6) => zone.to_owned(),
        _ => return None,
    };
    // RFC 3339 would take a lower-case t.
    match stamp.as_bytes().get(10) {
        Some(b'T') => format!("{stamp}{zone}").parse().ok(),
        _ => None,
    }
}

/// A connector with its signature, in the compact form that devices show each other. Taken apart, not believed:
/// [`Self::verify`] says whether it may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedConnector {
    jws: Jws,
    connector: Connector,
}

impl SignedConnector {
    /// Takes the compact form apart and reads what it says.
    ///
    /// # Errors
    /// If it is not a signed connector.
    pub fn parse(text: &str) -> Result<Self, ConnectorError> {
        let jws = Jws::parse(text)?;
        Ok(Self { connector: Connector::parse(&jws.payload)?, jws })
    }

    /// Puts the raw signature (r, then s) under what [`Connector::signing_input`] returned.
    ///
    /// # Errors
    /// If the two do not make a signed connector.
    pub fn attach(signing_input: &str, signature: &[u8]) -> Result<Self, ConnectorError> {
        Self::parse(&jws::attach(signing_input, signature))
    }

    /// The compact form, octet for octet as it came.
    pub fn as_str(&self) -> &str {
        &self.jws.text
    }

    /// The name of the C-sign key that is said to have signed.
    pub fn kid(&self) -> &str {
        &self.jws.kid
    }

    /// The algorithm of the signature.
    pub const fn algorithm(&self) -> &'static str {
        self.jws.curve.jws_algorithm()
    }

    /// What it says, whoever says so.
    pub const fn unverified(&self) -> &Connector {
        &self.connector
    }

    /// What it says, if `csign` signed it, in force or not: a device whose connector is over may still show it to be
    /// reconfigured (DPP s6.5.4).
    ///
    /// # Errors
    /// If another key signed it, or nobody.
    pub fn verify_signature(&self, csign: &PublicKey) -> Result<&Connector, ConnectorError> {
        self.jws.verify(csign).map(|()| &self.connector)
    }

    /// What it says, if `csign` signed it and it is in force at `now`.
    ///
    /// # Errors
    /// If another key signed it, or nobody, or it is over.
    pub fn verify(&self, csign: &PublicKey, now: Time) -> Result<&Connector, ConnectorError> {
        let connector = self.verify_signature(csign)?;
        connector.in_force(now).map(|()| connector)
    }
}
