//! A certificate in parts, so that one part can be changed: what no profile would make.

use landfall_pki::{Certificate, Oid, PkiError, Signer, extension::Extension};

#[derive(Clone)]
pub(crate) struct Draft {
    pub(crate) version: Vec<u8>,
    pub(crate) serial: Vec<u8>,
    pub(crate) issuer: Vec<u8>,
    /// DER of the two dates.
    pub(crate) validity: [Vec<u8>; 2],
    pub(crate) subject: Vec<u8>,
    pub(crate) spki: Vec<u8>,
    pub(crate) extensions: Vec<Extension>,
}

pub(crate) fn tlv(tag: u8, value: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    match value.len() {
        short @ 0..=127 => out.push(short as u8),
        long => {
            out.push(0x82);
            out.extend((long as u16).to_be_bytes());
            // Minimal, as DER asks.
            if long < 256 {
                out[1] = 0x81;
                out.remove(2);
            }
        }
    }
    out.extend(value);
    out
}

pub(crate) fn utc(text: &str) -> Vec<u8> {
    tlv(0x17, text.as_bytes())
}

impl Draft {
    pub(crate) fn of(certificate: &Certificate) -> Self {
        let decoded = <x509_cert::Certificate as der::Decode>::from_der(certificate.der()).unwrap();
        let validity = decoded.tbs_certificate().validity();
        let date = |time: x509_cert::time::Time| der::Encode::to_der(&time).unwrap();
        Self {
            version: vec![0xa0, 3, 2, 1, 2],
            serial: certificate.serial().to_vec(),
            issuer: certificate.issuer_der().to_vec(),
            validity: [date(validity.not_before), date(validity.not_after)],
            subject: certificate.subject_der().to_vec(),
            spki: certificate.public_key().spki_der().to_vec(),
            extensions: certificate.extensions().to_vec(),
        }
    }

    pub(crate) fn extension(&mut self, oid: Oid) -> &mut Extension {
        self.extensions.iter_mut().find(|e| e.oid == oid).unwrap()
    }

    pub(crate) fn without(mut self, oid: Oid) -> Self {
        self.extensions.retain(|e| e.oid != oid);
        self
    }

    pub(crate) fn with(self, extension: Extension) -> Self {
        let mut draft = self.without(extension.oid);
        draft.extensions.push(extension);
        draft
    }

    pub(crate) fn sign(&self, signer: &dyn Signer) -> Result<Certificate, PkiError> {
        let algorithm = der::Encode::to_der(&signer.algorithm().identifier()).unwrap();
        let extension = |e: &Extension| {
            let critical: &[u8] = if e.critical { &[1, 1, 0xff] } else { &[] };
            tlv(0x30, &[&tlv(6, e.oid.as_bytes())[..], critical, &tlv(4, &e.value)].concat())
        };
        let extensions: Vec<u8> = self.extensions.iter().flat_map(extension).collect();
        let extensions = tlv(0xa3, &tlv(0x30, &extensions));
        let tbs = [
            &self.version[..],
            &tlv(2, &self.serial),
            &algorithm,
            &self.issuer,
            &tlv(0x30, &self.validity.concat()),
            &self.subject,
            &self.spki,
            &extensions,
        ];
        let tbs = tlv(0x30, &tbs.concat());
        let signature = [&[0][..], &signer.sign(&tbs).unwrap()].concat();
        Certificate::from_der(&tlv(0x30, &[&tbs[..], &algorithm, &tlv(3, &signature)].concat()))
    }
}
