//! What the admin API shows and takes. These shapes are its contract: docs/openapi.json is made from them.

use crate::RoleName;
use landfall_types::{Outcome, Process, Time};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Which part of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Part {
    /// Only what comes after this key: the `next` of the part before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// At most this many, 100 if it is not said, never more than 1000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// Only those in this state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
}

impl Part {
    /// How many to give.
    pub fn limit(&self) -> usize {
        self.limit.unwrap_or(100).clamp(1, 1000)
    }
}

/// Part of a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// What to ask for `after` to get the next part; absent at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

impl<T> Page<T> {
    /// A part of at most `limit` items; if it is full, there may be more after its last.
    pub fn of(items: Vec<T>, limit: usize, key: impl Fn(&T) -> String) -> Self {
        let next = (items.len() >= limit).then(|| items.last().map(key)).flatten();
        Self { items, next }
    }
}

/// The server, and what it depends on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Status {
    /// The program's version.
    pub version: String,
    /// When it started.
    #[schema(value_type = String, format = DateTime)]
    pub since: Time,
    /// The roles that run here.
    pub roles: Vec<RoleStatus>,
    /// What is not ready; empty when all is well.
    pub not_ready: Vec<String>,
    /// The servers elsewhere that roles here need.
    pub dependencies: Vec<Dependency>,
}

/// A role that runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RoleStatus {
    /// Which.
    pub role: RoleName,
    /// Where it listens.
    pub address: String,
}

/// A server elsewhere that a role here needs, and what follows if it is away (SP 1800-36B 6.2.1).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Dependency {
    /// Who needs it.
    pub role: RoleName,
    /// What is needed: `masa`.
    pub needs: String,
    /// The manufacturer whose it is.
    pub vendor: String,
    /// Where it was last looked for.
    pub address: String,
    /// Whether it answered the last time: unknown until it was asked.
    pub state: Reachability,
    /// Since when that is so.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub since: Option<Time>,
    /// What went wrong the last time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// How many devices can join without it, since vouchers for them were fetched ahead.
    pub vouchers_ahead: u64,
    /// What follows if it is away, in words.
    pub consequence: String,
}

/// Whether a server answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Reachability {
    /// It has not been asked.
    #[default]
    Unknown,
    /// It answered.
    Up,
    /// It did not.
    Down,
}

/// A device of this domain, or one that wanted to be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Device {
    /// Its id here: the issuing key of its IDevID, and its serial number; or its tenant and its bootstrapping key.
    pub id: String,
    /// Its serial number.
    pub serial_number: String,
    /// In whose device book it is, if it came by Wi-Fi Easy Connect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// Its manufacturer, as the operator calls it; empty if it is not known.
    pub vendor: String,
    /// Its model, if it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// How far it is.
    pub state: String,
    /// Since when.
    #[schema(value_type = String, format = DateTime)]
    pub since: Time,
    /// When it last asked for something.
    #[schema(value_type = String, format = DateTime)]
    pub last_asked: Time,
    /// Why it is in that state.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<String>,
    /// What it was configured with by Wi-Fi Easy Connect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub configuration: Option<Configuration>,
    /// Its certificates of this domain, the newest last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub certificates: Vec<IssuedCertificate>,
    /// What it told of itself, the newest last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub telemetry: Vec<Telemetry>,
}

/// A configuration by Wi-Fi Easy Connect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Configuration {
    /// When it was given.
    #[schema(value_type = String, format = DateTime)]
    pub at: Time,
    /// For which networks, the best first.
    pub networks: Vec<String>,
    /// What the device is in them: `sta` or `ap`.
    pub role: String,
    /// Whether the device authenticated the network. If not, it took whoever had its bootstrapping key: the resurrecting
    /// duckling (SP 1800-36B 6.1.2).
    pub network_authenticated: bool,
    /// When the first of its connectors ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expires: Option<Time>,
    /// Where its description is (RFC 8520), if it said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mud_url: Option<String>,
    /// What others put into its request, under their names.
    #[serde(default, skip_serializing_if = "serde_json::Map::is_empty")]
    #[schema(value_type = Object)]
    pub others: serde_json::Map<String, serde_json::Value>,
}

/// The configurator, as one tenant has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ConfiguratorView {
    /// Whose it is.
    pub tenant: String,
    /// Its bootstrapping keys, one a curve: devices that have one can authenticate the network.
    pub keys: Vec<BootstrapKey>,
    /// The ids of the keys that signed connectors, the present one last (DPP s4.2).
    pub signers: Vec<String>,
    /// Its networks, the best first.
    pub networks: Vec<NetworkView>,
}

/// A bootstrapping key of a configurator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BootstrapKey {
    /// Its curve.
    pub curve: String,
    /// Its bootstrapping URI.
    pub uri: String,
    /// The SHA-256 of its SubjectPublicKeyInfo, in hexadecimal.
    pub hash: String,
}

/// A network that devices are configured for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NetworkView {
    /// Its name on the air.
    pub ssid: String,
    /// How it is joined.
    pub kind: String,
}

/// A device that got no answer, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Unanswered {
    /// Whose access point or device it was, if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// Its serial number, or the hash that it announced.
    pub device: String,
    /// The address from which it came.
    pub from: String,
    /// Which check it failed.
    pub check: String,
    /// Why, in words.
    pub why: String,
    /// When first.
    #[schema(value_type = String, format = DateTime)]
    pub first: Time,
    /// When last.
    #[schema(value_type = String, format = DateTime)]
    pub last: Time,
    /// How often.
    pub count: u64,
}

/// Which device to reach out to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Reach {
    /// Whose; the owner of the service if it is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// Its serial number, or the SHA-256 of its bootstrapping key.
    pub device: String,
    /// Host and port of an access point that listens, where the device's URI names no host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

/// Whose key that signs connectors is followed by a new one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Rotation {
    /// Whose; the owner of the service if it is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
}

/// An access point that is to relay for the configurator and to serve its networks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NewAccessPoint {
    /// Whose; the owner of the service if it is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// Its name, for people.
    pub name: String,
    /// Its wireless interface.
    pub interface: String,
    /// The address at which it reaches the configurator.
    pub controller: String,
    /// The address and port of its RADIUS server, for networks with 802.1X.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub radius: Option<String>,
    /// How many days its connectors last, if they end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub days: Option<u32>,
    /// The folder in which the files will be.
    pub folder: String,
}

/// A file for an access point. It holds secrets that nobody is to see.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AccessPointFile {
    /// Its name.
    pub name: String,
    /// What stands in it.
    pub content: String,
}

impl std::fmt::Debug for AccessPointFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "AccessPointFile({:?})", self.name)
    }
}

/// A certificate that this domain issued.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct IssuedCertificate {
    /// Its serial number in hexadecimal.
    pub serial: String,
    /// Whose it is.
    pub device: String,
    /// Its subject.
    pub subject: String,
    /// When it begins.
    #[schema(value_type = String, format = DateTime)]
    pub not_before: Time,
    /// When it ends.
    #[schema(value_type = String, format = DateTime)]
    pub not_after: Time,
    /// When it was revoked, if it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub revoked: Option<Time>,
    /// The certificate itself.
    pub pem: String,
}

/// A status report of a device (RFC 8995 s5.7, s5.9.4).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Telemetry {
    /// When it came.
    #[schema(value_type = String, format = DateTime)]
    pub at: Time,
    /// What about: `voucher` or `enrolment`.
    pub about: String,
    /// Whether the device was content.
    pub ok: bool,
    /// Why not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Whether it came over a connection made with the certificate issued here.
    pub with_new_certificate: bool,
}

/// A decision of an operator, or why there is one to take.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Note {
    /// Why, for the record.
    #[serde(default)]
    pub reason: String,
}

/// A voucher fetched ahead.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StoredVoucher {
    /// For which device.
    pub device: String,
    /// Its serial number.
    pub serial_number: String,
    /// Whose device it is.
    pub vendor: String,
    /// When it was fetched.
    #[schema(value_type = String, format = DateTime)]
    pub fetched: Time,
    /// Until when it is good.
    #[schema(value_type = String, format = DateTime)]
    pub expires: Time,
}

/// Which vouchers to fetch ahead.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Prefetch {
    /// Whose devices.
    pub vendor: String,
    /// Which.
    pub serial_numbers: Vec<String>,
    /// The certificate, in PEM, of the CA that issued their IDevIDs.
    pub issuer_certificate: String,
    /// Where their MASA is, if the settings do not say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub masa: Option<String>,
}

/// What came of one of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Prefetched {
    /// Which device.
    pub serial_number: String,
    /// The voucher.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub voucher: Option<StoredVoucher>,
    /// Why there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// An entry of a hash-chained log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct LogLine {
    /// Its number, from 1.
    pub seq: u64,
    /// What was written.
    #[schema(value_type = Object)]
    pub entry: serde_json::Value,
    /// SHA-256 of the entry before it, its number and itself, in hexadecimal.
    pub hash: String,
}

/// Whether a log is as it was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LogVerified {
    /// The log.
    pub log: String,
    /// Whether every hash is right.
    pub intact: bool,
    /// How many entries it has.
    pub entries: u64,
    /// The hash of its last entry. Keep it elsewhere, and a log that was written anew as a whole can be told too.
    pub head: String,
    /// What is wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// The end of an exchange, as the audit keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuditEvent {
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub at: Time,
    /// The guide's process.
    #[schema(value_type = String)]
    pub process: Process,
    /// The role.
    pub role: String,
    /// What was done.
    pub action: String,
    /// The device.
    pub device: String,
    /// How it ended: `done`, `pending`, or the refusal.
    #[schema(value_type = Object)]
    pub outcome: Outcome,
}

/// A customer: an owner whose registrars are recognised.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NewCustomer {
    /// Its name in the sales records.
    pub owner: String,
    /// Certificates of its domain, in PEM: of the CA that its registrars lead to, or of a registrar.
    pub certificates: Vec<String>,
    /// Whether it may have vouchers without a nonce, to fetch them ahead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nonceless: Option<bool>,
}

/// A customer that is known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CustomerView {
    /// Its name in the sales records.
    pub owner: String,
    /// The SHA-256 of each certificate that it is recognised by.
    pub certificates: Vec<String>,
    /// Whether it may have vouchers without a nonce.
    pub nonceless: bool,
}

/// A sale of devices to an owner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NewSale {
    /// The devices sold, by serial number.
    pub serial_numbers: Vec<String>,
    /// Who bought them: a customer that is known.
    pub owner: String,
    /// Who sold them, if it is not the manufacturer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seller: Option<String>,
    /// The number of the order or invoice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<String>,
}

/// Who owns a device, as its manufacturer knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Ownership {
    /// The device.
    pub device: String,
    /// Its serial number.
    pub serial_number: String,
    /// Who owns it by the sales records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// Since when that is so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub since: Option<Time>,
    /// On what the ownership rests; absent while nobody has the device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub basis: Option<String>,
    /// How many vouchers were issued for it.
    pub vouchers: u64,
    /// How many owners it had before.
    pub former_owners: u64,
}

/// Devices whose owner gives them up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Resale {
    /// Which devices, by serial number.
    pub serial_numbers: Vec<String>,
    /// The owner who says so; without it, the manufacturer does on its behalf.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

/// A device that was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MadeDevice {
    /// Its serial number.
    pub serial_number: String,
    /// Its id.
    pub device: String,
    /// Its model.
    pub model: String,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    pub made: Time,
    /// Why it was struck off, if it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub void: Option<String>,
}

/// What was done to how many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Count {
    /// How many.
    pub count: u64,
}

/// Serial numbers, each of which was done something to or not.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PerDevice {
    /// Done.
    pub done: Vec<String>,
    /// Not done, and why.
    pub failed: Vec<Failure>,
}

/// One that failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Failure {
    /// The serial number.
    pub serial_number: String,
    /// Why.
    pub error: String,
}

/// A tenant of the supply chain service, to be made known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NewTenant {
    /// Its name.
    pub tenant: String,
    /// Certificates in PEM by which its clients are known; the first in each counts.
    #[serde(default)]
    pub certificates: Vec<String>,
    /// Whether a new token is made for it.
    #[serde(default)]
    pub token: bool,
    /// Whether the tokens that were made before are of no use any more.
    #[serde(default)]
    pub revoke_tokens: bool,
}

/// A tenant of the supply chain service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TenantView {
    /// Its name.
    pub tenant: String,
    /// The SHA-256 of certificates by which its clients are known.
    pub certificates: Vec<String>,
    /// How many tokens it has.
    pub tokens: u64,
    /// The token that was made just now: it is not kept and never shown again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
}

/// Which part of a tenant's book.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct BookPart {
    /// Whose book; the only owner's if it is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// Only what comes after this key: the `next` of the part before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// At most this many, 100 if it is not said, never more than 1000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
}

/// A device in a book.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BookDevice {
    /// The SHA-256 of its bootstrapping key.
    pub bootstrap_hash: String,
    /// Its serial number, if it was told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial_number: Option<String>,
    /// Its model, if it was told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Its bootstrapping URI.
    pub uri: String,
    /// What it is to become in the network, if that was told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// The hash of the only configurator's key that it takes, if it takes no other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub takes_only: Option<String>,
    /// When it came into the book.
    #[schema(value_type = String, format = DateTime)]
    pub received: Time,
    /// How it came into the book.
    pub via: String,
    /// Whether the tenant holds it still.
    pub held: bool,
}

/// Devices for a book.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct NewDevices {
    /// Whose book; the only owner's if it is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// How they come: `qr`, `uri`, `nfc` or `file`.
    pub via: String,
    /// The devices, each with its `dppUri` and, if it is known, `dppRole`, `serialNumber`, `model`, `device`.
    #[schema(value_type = Vec<Object>)]
    pub devices: Vec<serde_json::Value>,
}

/// What became of devices for a book.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DevicesAdded {
    /// Those that are in the book.
    pub devices: Vec<BookDevice>,
    /// Those that are not; they are called by their place in the list, from 0 on.
    pub failed: Vec<Failure>,
}

/// Devices to be taken out of a book.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DevicesReleased {
    /// Whose book; the only owner's if it is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// Serial numbers or hashes of keys.
    pub devices: Vec<String>,
}
