//! `[registrar]`: BRSKI and EST on one listener, and the vendors whose devices may come.

use super::{CsrWish, IdentitySettings, LimitsSettings, Span};
use landfall_attest::Tier;
use landfall_brski::registrar::SerialField;
use landfall_policy::{Policy, Verdict, acceptance::Acceptance};
use landfall_types::VendorId;
use serde::{Deserialize, Serialize};
use std::{net::SocketAddr, path::PathBuf};

/// `[registrar]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct RegistrarSettings {
    /// Where pledges and their proxies reach it.
    pub listen: SocketAddr,
    /// The registrar's certificate, for TLS and for voucher requests (RFC 8995 s5.5: id-kp-cmcRA).
    pub identity: IdentitySettings,
    /// The domain's issuing CA, which signs LDevIDs.
    pub authority: IdentitySettings,
    /// What devices get and must ask for.
    pub enrolment: EnrolmentSettings,
    /// Whether proxies and pledges are told of it, by multicast DNS (RFC 8995 appendix B) and GRASP (s4.3).
    pub announce: bool,
    /// The network interfaces that it announces itself on; empty means all but loopback.
    pub interfaces: Vec<String>,
    /// Whether the manufacturer's audit log is fetched and judged before a voucher is passed on (RFC 8995 s5.8.3).
    pub check_audit_log: bool,
    /// How long a device waits before it asks again while a person decides.
    pub retry_after: Span,
    /// How long to wait for a MASA.
    pub masa_timeout: Span,
    /// How often the revocation list is made anew.
    pub crl_every: Span,
    /// Where the revocation list is for whoever checks LDevIDs, as they will say (RFC 5280 s4.2.1.13): an address of
    /// http, since fetching it by https would need certificates to be checked in turn.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub crl_url: Option<String>,
    /// Where the registrar itself serves the list by plain HTTP, at the path of `crl-url`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub crl_listen: Option<SocketAddr>,
    /// What the listener bears.
    pub limits: LimitsSettings,
    /// Whether devices have to show what software they run, and what is good.
    pub attestation: AttestationSettings,
    /// Who may join.
    pub acceptance: Acceptance,
    /// Rules of the operator's own, in the place of `acceptance`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<Policy>,
    /// Whose devices may come.
    pub vendor: Vec<VendorSettings>,
}

impl Default for RegistrarSettings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([0u16; 8], 8443)),
            identity: IdentitySettings::at("domain/registrar.pem"),
            authority: IdentitySettings::at("domain/issuing.pem"),
            enrolment: EnrolmentSettings::default(),
            announce: true,
            interfaces: Vec::new(),
            check_audit_log: true,
            retry_after: Span::seconds(30),
            masa_timeout: Span::seconds(20),
            crl_every: Span::days(1),
            crl_url: None,
            crl_listen: None,
            limits: LimitsSettings::default(),
            attestation: AttestationSettings::default(),
            acceptance: Acceptance { others: Verdict::Ask, ..Acceptance::default() },
            policy: None,
            vendor: Vec::new(),
        }
    }
}

/// `[registrar.enrolment]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct EnrolmentSettings {
    /// How long an LDevID is good for.
    pub lifetime: Span,
    /// The labels of RFC 7030 s3.2.2 that are answered beside the bare paths.
    pub labels: Vec<String>,
    /// What a certificate request has to hold (RFC 8995 s5.9.2, RFC 8951 s4).
    pub csrattrs: Vec<CsrWish>,
    /// Whether keys are made for devices that ask (RFC 7030 s4.4).
    pub server_keygen: bool,
    /// Whether a certificate request must be bound to its TLS connection (RFC 7030 s3.5).
    pub require_binding: bool,
}

impl Default for EnrolmentSettings {
    fn default() -> Self {
        Self {
            lifetime: Span::days(90),
            labels: Vec::new(),
            csrattrs: vec![CsrWish::serial_number()],
            server_keygen: false,
            require_binding: false,
        }
    }
}

/// `[registrar.attestation]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct AttestationSettings {
    /// Whether evidence is asked for. It is then a fact for the policy, and kept.
    pub ask: bool,
    /// How good it has to be for a certificate: `affirming`, or `warning` for devices without a TPM too. Without it, evidence
    /// decides nothing by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub require: Option<Tier>,
    /// The files with signed reference values. They are read anew each time, so that those of an update can be put there
    /// before it is rolled out.
    pub reference_values: Vec<PathBuf>,
    /// The certificates or public keys, in PEM, of those who may say what good software looks like.
    pub signers: Vec<PathBuf>,
    /// How long a result is to be believed.
    pub result_life: Span,
    /// How long a device may take to answer a nonce.
    pub nonce_life: Span,
    /// The TPM by which the registrar shows devices what software it runs itself, if it does: `tpm:device:/dev/tpmrm0`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub own_tpm: Option<String>,
    /// The folder for that TPM's keys.
    pub own_keys: PathBuf,
    /// The PCRs that it quotes.
    pub own_pcrs: Vec<u8>,
    /// The event log of what was measured into them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub own_event_log: Option<PathBuf>,
    /// A folder for what was shown and what came of it, for whoever wants to check it with other tools.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub evidence: Option<PathBuf>,
}

impl Default for AttestationSettings {
    fn default() -> Self {
        Self {
            ask: false,
            require: None,
            reference_values: Vec::new(),
            signers: Vec::new(),
            result_life: Span::days(1),
            nonce_life: Span::seconds(600),
            own_tpm: None,
            own_keys: "attestation-keys".into(),
            own_pcrs: (0..=9).collect(),
            own_event_log: None,
            evidence: None,
        }
    }
}

/// `[[registrar.vendor]]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct VendorSettings {
    /// What the operator calls it.
    pub id: VendorId,
    /// The PEM files of those who issue its IDevIDs.
    pub anchors: Vec<PathBuf>,
    /// The MASA's address, where the one in the IDevID is not to be used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub masa: Option<String>,
    /// Who issued the MASA's TLS certificate; without it, the system's public authorities are not asked either: the
    /// vendor's own `anchors` are.
    #[serde(default)]
    pub masa_anchors: Vec<PathBuf>,
    /// The certificate that its MASA is shown in TLS, where that is not to be the registrar's (RFC 8995 s5.4): one that
    /// the MASA's operator gave, say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub masa_identity: Option<IdentitySettings>,
    /// Whether its MASA is shown no certificate in TLS at all. It sees the registrar's in the voucher request.
    #[serde(default)]
    pub masa_anonymous: bool,
    /// Who issued the certificate that vouchers are signed with; without it, `anchors`.
    #[serde(default)]
    pub voucher_anchors: Vec<PathBuf>,
    /// Where to look for the serial number if the subject has no serialNumber: common-name or dns-name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial_fallback: Option<SerialField>,
    /// Whether an IDevID past its end is taken all the same (RFC 8995 s2.6.2).
    #[serde(default)]
    pub ignore_idevid_expiry: bool,
    /// Revocation lists of its CAs (RFC 8995 s5.3): files in PEM or DER, read again when they change. Once such a list is
    /// overdue, no IDevID below its issuer is accepted.
    #[serde(default)]
    pub crls: Vec<PathBuf>,
    /// Whether RSA keys of 1024 bits are taken in the CAs above its IDevIDs. TLS itself takes no such device key.
    #[serde(default)]
    pub legacy_rsa: bool,
}

impl VendorSettings {
    /// A vendor whose IDevIDs, MASA and vouchers lead to the same anchors.
    pub fn new(id: VendorId, anchors: PathBuf) -> Self {
        Self {
            id,
            anchors: vec![anchors],
            masa: None,
            masa_anchors: Vec::new(),
            masa_identity: None,
            masa_anonymous: false,
            voucher_anchors: Vec::new(),
            serial_fallback: None,
            ignore_idevid_expiry: false,
            crls: Vec::new(),
            legacy_rsa: false,
        }
    }
}
