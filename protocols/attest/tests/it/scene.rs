//! A manufacturer, a device with a TPM made of software, and what is known of its releases.

use landfall_attest::{
    Appraisal, BootState, Challenge, Connection, Device, EventLog, Evidence, Quoted, ReferenceValues, Release,
    appraise,
    log::{self, IPL},
    tpm::{Clock, Pcrs, digest_of},
    verifier::Speaks,
};
use landfall_pki::{Algorithm, Signer, fixed_from_der, oid};
use landfall_testkit::{Identity, Manufacturer, NOW};
use landfall_types::{DeviceId, Fingerprint, Time};
use std::{cell::RefCell, collections::BTreeMap};

pub(super) const NONCE: &[u8] = &[7; 32];
pub(super) const HERE: Connection<'_> = Connection(&[1; 32]);
pub(super) const ELSEWHERE: Connection<'_> = Connection(&[2; 32]);
pub(super) const CLOCK: Clock = Clock { clock: 5000, reset_count: 9, restart_count: 0, safe: true };

pub(super) struct Scene {
    pub(super) maker: Manufacturer,
    pub(super) birth: Identity,
    pub(super) ak: Identity,
    pub(super) log: EventLog,
    pub(super) references: Vec<ReferenceValues>,
    pub(super) before: RefCell<Option<BootState>>,
}

pub(super) fn attestation_key(maker: &Manufacturer, serial: &str) -> Identity {
    maker.device_with(serial, Algorithm::EcdsaP256, |profile| {
        profile.policies = vec![oid::TPM_RESIDENCY, oid::TPM_FIXED, oid::TPM_RESTRICTED];
    })
}

pub(super) fn id(of: &Identity) -> DeviceId {
    let serial = of.certificate.subject_serial_number().unwrap();
    DeviceId::new(&of.certificate.authority_key_id().unwrap(), &serial)
}

pub(super) fn booted(release: &str) -> EventLog {
    let events = vec![
        log::event(0, 8, b"firmware volume", "firmware"),
        log::event(8, IPL, format!("application {release}").as_bytes(), release),
    ];
    EventLog { events, locality: 0 }
}

pub(super) fn release(name: &str) -> Release {
    let pcrs = booted(name).replay([0, 8]);
    Release {
        firmware: name.into(),
        pcrs: pcrs.into_iter().map(|(pcr, value)| (pcr, Fingerprint(value))).collect(),
        software: Some(Fingerprint([5; 32])),
        ..Release::default()
    }
}

impl Scene {
    pub(super) fn new() -> Self {
        let maker = Manufacturer::new();
        let (birth, ak) = (maker.device("LAMP-1"), attestation_key(&maker, "LAMP-1"));
        let releases = vec![release("1.0"), release("2.0")];
        let references = vec![ReferenceValues::new("acme", "lamp", NOW, releases)];
        Self { maker, birth, ak, log: booted("2.0"), references, before: RefCell::default() }
    }

    /// What the device shows in answer to the challenge.
    pub(super) fn quoted(&self) -> Quoted {
        self.quoted_with(&self.challenge(), &self.log.replay([0, 7, 8]), &CLOCK)
    }

    pub(super) fn quoted_with(&self, challenge: &Challenge, pcrs: &Pcrs, clock: &Clock) -> Quoted {
        let statement = statement(challenge.covered(), pcrs, clock);
        Quoted {
            nonce: challenge.nonce().to_vec(),
            signature: signed(&*self.ak.key, &statement),
            statement,
            pcrs: pcrs.clone(),
            log: Some(self.log.write()),
            certificates: self.ak.chain(),
            key: None,
            sbom: None,
        }
    }

    pub(super) fn challenge(&self) -> Challenge {
        Challenge::new(NONCE, HERE).unwrap()
    }

    pub(super) fn appraise(&self, evidence: Evidence) -> Appraisal {
        self.appraise_at(evidence, NOW)
    }

    pub(super) fn appraise_at(&self, evidence: Evidence, now: Time) -> Appraisal {
        // As it comes over the wire.
        let evidence = Evidence::from_cmw(evidence.to_cmw().as_bytes()).unwrap();
        let (device, anchors) = (id(&self.birth), self.maker.device_anchors());
        let device =
            Device { vendor: "acme", model: "lamp", speaks: Speaks::Certified { device: &device, anchors: &anchors } };
        appraise(&evidence, &self.challenge(), &device, &self.references, self.before.borrow().as_ref(), now)
    }

    /// The one check that finds fault.
    pub(super) fn finding(&self, quoted: Quoted) -> String {
        let appraisal = self.appraise(Evidence::Tpm(quoted));
        assert_ne!(appraisal.tier(), landfall_attest::Tier::Affirming);
        assert_eq!(appraisal.findings.len(), 1, "{}", appraisal.why());
        appraisal.findings[0].check.to_string()
    }
}

/// A TPMS_ATTEST with a quote of the SHA-256 bank, as a TPM writes it.
pub(super) fn statement(covered: &[u8], pcrs: &Pcrs, clock: &Clock) -> Vec<u8> {
    let mut bits = [0u8; 3];
    for pcr in pcrs.keys() {
        bits[usize::from(pcr / 8)] |= 1 << (pcr % 8);
    }
    let mut out = vec![0xff, b'T', b'C', b'G', 0x80, 0x18, 0, 2, 0xaa, 0xbb];
    out.extend_from_slice(&u16::try_from(covered.len()).unwrap().to_be_bytes());
    out.extend_from_slice(covered);
    out.extend_from_slice(&clock.clock.to_be_bytes());
    out.extend_from_slice(&clock.reset_count.to_be_bytes());
    out.extend_from_slice(&clock.restart_count.to_be_bytes());
    out.push(u8::from(clock.safe));
    out.extend_from_slice(&[0; 8]);
    out.extend_from_slice(&[0, 0, 0, 1, 0, 0x0b, 3]);
    out.extend_from_slice(&bits);
    out.extend_from_slice(&[0, 32]);
    out.extend_from_slice(&digest_of(pcrs));
    out
}

/// A TPMT_SIGNATURE.
pub(super) fn signed(key: &dyn Signer, message: &[u8]) -> Vec<u8> {
    let fixed = fixed_from_der(Algorithm::EcdsaP256, &key.sign(message).unwrap()).unwrap();
    let (r, s) = fixed.split_at(32);
    [&[0, 0x18, 0, 0x0b, 0, 32][..], r, &[0, 32], s].concat()
}

pub(super) fn zeros(pcrs: &[u8]) -> Pcrs {
    pcrs.iter().map(|pcr| (*pcr, [0; 32])).collect::<BTreeMap<_, _>>()
}
