//! What wpa_supplicant and hostapd can be asked to do of Wi-Fi Easy Connect.

use super::{Event, Peer};
use anyhow::{Context, Result, bail};
use landfall_dpp::Curve;
use std::{
    fmt::{self, Display, Write},
    net::SocketAddr,
    time::Duration,
};

/// The number by which a peer knows a bootstrapping key, its own or another's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BootstrapId(u32);

/// The number by which a peer knows one of its configurators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConfiguratorId(u32);

/// What a party is in an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It hands out the configuration.
    Configurator,
    /// It is configured.
    Enrollee,
    /// It may be both, and leaves it to the other side.
    Either,
}

/// What an enrollee becomes in its network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NetRole {
    /// A station.
    #[default]
    Sta,
    /// An access point.
    Ap,
    /// Another configurator.
    Configurator,
}

/// How members of a network authenticate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Akm {
    /// By connectors.
    Dpp,
    /// By a pre-shared key.
    Psk,
    /// By a password.
    Sae,
    /// By password or pre-shared key.
    PskSae,
    /// By connectors, or a password for those who have none.
    DppSae,
    /// By any of the three.
    DppPskSae,
    /// By certificates.
    Dot1x,
}

/// A configuration object that a peer as configurator hands out.
#[derive(Clone, Debug)]
pub struct Configuration {
    /// To whom: the peer gives it to enrollees that ask for this.
    pub net_role: NetRole,
    /// How the enrollee will authenticate.
    pub akm: Akm,
    /// The network's name.
    pub ssid: String,
    /// 8 to 63 characters, with those that have a password.
    pub pass: Option<String>,
    /// The group of the connector.
    pub group: Option<String>,
    /// When the connector expires, in seconds since 1970.
    pub expiry: Option<i64>,
    /// With certificates: base64 of the CSR attributes, without which the peer does not ask for a request.
    pub csr_attributes: Option<String>,
}

impl Configuration {
    /// For a station, without anything that is optional.
    pub fn sta(akm: Akm, ssid: &str) -> Self {
        Self {
            net_role: NetRole::Sta,
            akm,
            ssid: ssid.into(),
            pass: None,
            group: None,
            expiry: None,
            csr_attributes: None,
        }
    }

    /// The same with that password.
    pub fn pass(self, pass: &str) -> Self {
        Self { pass: Some(pass.into()), ..self }
    }

    /// For an access point instead.
    pub fn ap(self) -> Self {
        Self { net_role: NetRole::Ap, ..self }
    }
}

impl Display for Configuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, " conf={}-{} ssid={}", self.net_role, self.akm, hex::encode(&self.ssid))?;
        let pass = self.pass.as_ref().map(hex::encode);
        let expiry = self.expiry.map(|expiry| expiry.to_string());
        let (group, csr) = (self.group.clone(), self.csr_attributes.clone());
        let optional = [("pass", pass), ("group_id", group), ("expiry", expiry), ("csrattrs", csr)];
        optional.iter().try_for_each(|(key, value)| match value {
            Some(value) => write!(f, " {key}={value}"),
            None => Ok(()),
        })
    }
}

/// How a peer begins an authentication.
#[derive(Clone, Debug)]
pub struct AuthInit {
    /// With whom.
    pub peer: BootstrapId,
    /// Its own key; without one it makes a key, which nobody can know.
    pub own: Option<BootstrapId>,
    /// What it is.
    pub role: Role,
    /// What it wants to become, as an enrollee.
    pub net_role: NetRole,
    /// Where the other side listens. Over the air without.
    pub to: Option<SocketAddr>,
    /// What it hands out as configurator, two at most.
    pub configurations: Vec<Configuration>,
    /// Which of its configurators does.
    pub configurator: Option<ConfiguratorId>,
    /// Whether it wants to hear if the enrollee found the network.
    pub connection_status: bool,
}

impl AuthInit {
    /// Begins as an enrollee.
    pub const fn enrollee(peer: BootstrapId) -> Self {
        Self {
            peer,
            own: None,
            role: Role::Enrollee,
            net_role: NetRole::Sta,
            to: None,
            configurations: Vec::new(),
            configurator: None,
            connection_status: false,
        }
    }

    /// Begins as a configurator that hands out `configurations`.
    pub fn configurator(peer: BootstrapId, by: ConfiguratorId, configurations: &[Configuration]) -> Self {
        let configurations = configurations.to_vec();
        Self { role: Role::Configurator, configurator: Some(by), configurations, ..Self::enrollee(peer) }
    }

    /// Over TCP, to that address.
    pub fn to(self, address: SocketAddr) -> Self {
        Self { to: Some(address), ..self }
    }

    /// With that bootstrapping key, which the other side may know: then both are authenticated.
    pub fn own(self, own: BootstrapId) -> Self {
        Self { own: Some(own), ..self }
    }
}

impl Display for AuthInit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DPP_AUTH_INIT peer={} role={} netrole={}", self.peer, self.role, self.net_role)?;
        if let Some(own) = self.own {
            write!(f, " own={own}")?;
        }
        if let Some(to) = self.to {
            // Without neg_freq hostap looks for a channel in common, and has none without a radio.
            write!(f, " tcp_addr={} tcp_port={} neg_freq=2412", to.ip(), to.port())?;
        }
        write!(f, "{}", handed_out(self.configurator, &self.configurations))?;
        match self.connection_status {
            true => write!(f, " conn_status=1"),
            false => Ok(()),
        }
    }
}

fn handed_out(by: Option<ConfiguratorId>, configurations: &[Configuration]) -> String {
    let objects: Vec<String> = configurations.iter().map(Configuration::to_string).collect();
    // hostap reads the configurator from the whole line, and each object from its part between the separators.
    let mut line = objects.join(" @CONF-OBJ-SEP@");
    if let Some(by) = by {
        let _ = write!(line, " configurator={by}");
    }
    line
}

/// A code that two parties share, from which PKEX makes bootstrapping keys known.
#[derive(Clone, Debug)]
pub struct Pkex {
    /// The peer's own bootstrapping key.
    pub own: BootstrapId,
    /// What the code is known by, if it is.
    pub identifier: Option<String>,
    /// The code.
    pub code: String,
    /// As which the peer begins, and goes on to authenticate; without, it waits for the other side.
    pub begin: Option<Role>,
    /// What the peer hands out as configurator.
    pub handed_out: Option<(ConfiguratorId, Configuration)>,
}

impl Peer {
    /// A new configurator, with a signing key of its own, or with that one: hex of an ECPrivateKey in DER.
    pub async fn configurator_add(&mut self, curve: Curve, key: Option<&str>) -> Result<ConfiguratorId> {
        let key = key.map(|key| format!(" key={key}")).unwrap_or_default();
        Ok(ConfiguratorId(self.number(&format!("DPP_CONFIGURATOR_ADD curve={}{key}", curve.name())).await?))
    }

    /// The private signing key of a configurator: hex of an ECPrivateKey in DER.
    pub async fn configurator_key(&mut self, id: ConfiguratorId) -> Result<String> {
        self.request(&format!("DPP_CONFIGURATOR_GET_KEY {id}")).await
    }

    /// Makes a bootstrapping key, or takes that one (hex of an ECPrivateKey in DER). `more` may add channel, address or
    /// information: `chan=81/1 mac=020000000100`.
    pub async fn bootstrap_gen(&mut self, curve: Curve, key: Option<&str>, more: &str) -> Result<BootstrapId> {
        let key = key.map(|key| format!(" key={key}")).unwrap_or_default();
        Ok(BootstrapId(
            self.number(&format!("DPP_BOOTSTRAP_GEN type=qrcode curve={}{key} {more}", curve.name())).await?,
        ))
    }

    /// The same for PKEX.
    pub async fn bootstrap_gen_pkex(&mut self, curve: Curve) -> Result<BootstrapId> {
        Ok(BootstrapId(self.number(&format!("DPP_BOOTSTRAP_GEN type=pkex curve={}", curve.name())).await?))
    }

    /// Reads another's bootstrapping URI.
    pub async fn qr_code(&mut self, uri: &str) -> Result<BootstrapId> {
        Ok(BootstrapId(self.number(&format!("DPP_QR_CODE {uri}")).await?))
    }

    /// The URI of a bootstrapping key.
    pub async fn uri(&mut self, id: BootstrapId) -> Result<String> {
        self.request(&format!("DPP_BOOTSTRAP_GET_URI {id}")).await
    }

    /// The SHA-256 of a bootstrapping key in hex, as `dpp_controller` in hostapd's settings wants it.
    pub async fn key_hash(&mut self, id: BootstrapId) -> Result<String> {
        let info = self.request(&format!("DPP_BOOTSTRAP_INFO {id}")).await?;
        let hash = info.lines().find_map(|line| line.strip_prefix("pkhash="));
        Ok(hash.context("there is no pkhash")?.to_owned())
    }

    /// Forgets all bootstrapping keys and configurators.
    pub async fn forget(&mut self) -> Result<()> {
        self.request("DPP_BOOTSTRAP_REMOVE *").await?;
        self.request("DPP_CONFIGURATOR_REMOVE *").await.map(drop)
    }

    /// Listens for others over TCP, on every address; `mutual` wants to know the initiator's key too. What is handed out
    /// has to be said before: [`Peer::hand_out`].
    pub async fn controller_start(&mut self, port: u16, role: Role, mutual: bool) -> Result<()> {
        let mutual = if mutual { " qr=mutual" } else { "" };
        self.request(&format!("DPP_CONTROLLER_START tcp_port={port} role={role}{mutual}")).await.map(drop)
    }

    /// Listens no longer.
    pub async fn controller_stop(&mut self) -> Result<()> {
        self.request("DPP_CONTROLLER_STOP").await.map(drop)
    }

    /// What is handed out to those who begin, by which configurator.
    pub async fn hand_out(&mut self, by: ConfiguratorId, configurations: &[Configuration]) -> Result<()> {
        // The blank before the first parameter is part of the value.
        let line = handed_out(Some(by), configurations);
        self.request(&format!("SET dpp_configurator_params {line}")).await.map(drop)
    }

    /// Begins an authentication.
    pub async fn auth_init(&mut self, how: &AuthInit) -> Result<()> {
        self.request(&how.to_string()).await.map(drop)
    }

    /// Listens for others over the air, on that frequency in MHz.
    pub async fn listen(&mut self, frequency: u16, role: Role) -> Result<()> {
        self.request(&format!("DPP_LISTEN {frequency} role={role}")).await.map(drop)
    }

    /// Announces its presence over the air, in so many rounds.
    pub async fn chirp(&mut self, own: BootstrapId, rounds: u32) -> Result<()> {
        self.request(&format!("DPP_CHIRP own={own} iter={rounds}")).await.map(drop)
    }

    /// Announces itself over the air, in so many rounds, to the configurator that it has the network with that id from.
    pub async fn reconfigure(&mut self, network: &str, rounds: u32) -> Result<()> {
        // It would join the network again meanwhile, and then protect what the access point takes only unprotected.
        self.request("DISCONNECT").await?;
        self.request(&format!("DPP_RECONFIG {network} iter={rounds}")).await.map(drop)
    }

    /// Announces no longer.
    pub async fn stop_chirp(&mut self) -> Result<()> {
        self.request("DPP_STOP_CHIRP").await.map(drop)
    }

    /// Takes part in PKEX.
    pub async fn pkex_add(&mut self, pkex: &Pkex) -> Result<()> {
        let mut line = format!("DPP_PKEX_ADD own={}", pkex.own);
        if let Some(identifier) = &pkex.identifier {
            let _ = write!(line, " identifier={identifier}");
        }
        if let Some(role) = pkex.begin {
            let _ = write!(line, " init=1 role={role}");
        }
        if let Some((by, configuration)) = &pkex.handed_out {
            line += &handed_out(Some(*by), std::slice::from_ref(configuration));
        }
        // The code is what stands between `code=` and the end of the line.
        self.request(&format!("{line} code={}", pkex.code)).await.map(drop)
    }

    /// Hands a certificate to the enrollee that asked for it by the event `DPP-CSR`: base64 of a certs-only PKCS #7.
    pub async fn ca_set_cert_bag(&mut self, asked: &Event, cert_bag: &str) -> Result<()> {
        self.ca_set(asked, "certBag", cert_bag).await
    }

    /// Hands over what goes with the certificate, before it: `caCert`, `trustedEapServerName`, or the `status` of a refusal.
    pub async fn ca_set(&mut self, asked: &Event, name: &str, value: &str) -> Result<()> {
        let peer = asked.field("peer").context("the event names no peer")?;
        self.request(&format!("DPP_CA_SET peer={peer} name={name} value={value}")).await.map(drop)
    }

    /// Waits until an enrollee's configuration has come, and gives what the peer says of it.
    pub async fn configured(&mut self, limit: Duration) -> Result<Configured> {
        let begun =
            self.event(&["DPP-CONF-RECEIVED", "DPP-CONF-FAILED", "DPP-FAIL", "DPP-NOT-COMPATIBLE"], limit).await?;
        if begun.name != "DPP-CONF-RECEIVED" {
            bail!("{} {}", begun.name, begun.text);
        }
        // The events of one configuration come in a burst, and nothing says that it is over.
        let mut said = Vec::new();
        let patience = Duration::from_millis(300);
        while let Some(event) = self.next(tokio::time::Instant::now() + patience).await? {
            self.passed.push(event.clone());
            said.push(event);
        }
        Ok(Configured(said))
    }

    async fn number(&mut self, request: &str) -> Result<u32> {
        let answer = self.request(request).await?;
        answer.parse().with_context(|| format!("{:?} is no number", answer))
    }
}

/// What an enrollee says of the configuration that it received.
#[derive(Clone, Debug)]
pub struct Configured(Vec<Event>);

impl Configured {
    /// How it will authenticate: `dpp`, `psk`, `sae`, `dot1x`.
    pub fn akm(&self) -> Option<&str> {
        self.text("DPP-CONFOBJ-AKM")
    }

    /// The network's name.
    pub fn ssid(&self) -> Option<&str> {
        self.text("DPP-CONFOBJ-SSID")
    }

    /// The password.
    pub fn pass(&self) -> Option<String> {
        let octets = hex::decode(self.text("DPP-CONFOBJ-PASS")?).ok()?;
        String::from_utf8(octets).ok()
    }

    /// The connector.
    pub fn connector(&self) -> Option<&str> {
        self.text("DPP-CONNECTOR")
    }

    /// The configurator's signing key: hex of a SubjectPublicKeyInfo.
    pub fn c_sign_key(&self) -> Option<&str> {
        self.text("DPP-C-SIGN-KEY")
    }

    /// The key that hides the enrollee when it is reconfigured.
    pub fn pp_key(&self) -> Option<&str> {
        self.text("DPP-PP-KEY")
    }

    /// The enrollee's private key, hex of an ECPrivateKey, and what follows it when it expires.
    pub fn net_access_key(&self) -> Option<&str> {
        self.text("DPP-NET-ACCESS-KEY")?.split(' ').next()
    }

    /// Its certificate: base64 of a certs-only PKCS #7.
    pub fn cert_bag(&self) -> Option<&str> {
        self.text("DPP-CERTBAG")
    }

    /// The text of the first event of that name.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|event| event.name == name).map(|event| event.text.as_str())
    }

    /// All that was said, in order.
    pub fn events(&self) -> &[Event] {
        &self.0
    }
}

impl Display for BootstrapId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Display for ConfiguratorId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Configurator => "configurator",
            Self::Enrollee => "enrollee",
            Self::Either => "either",
        })
    }
}

impl Display for NetRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sta => "sta",
            Self::Ap => "ap",
            Self::Configurator => "configurator",
        })
    }
}

impl Display for Akm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Dpp => "dpp",
            Self::Psk => "psk",
            Self::Sae => "sae",
            Self::PskSae => "psk+sae",
            Self::DppSae => "dpp+sae",
            Self::DppPskSae => "dpp+psk+sae",
            Self::Dot1x => "dot1x",
        })
    }
}
