//! The commands that are used here (TPM 2.0 Library part 3), each a function.
//!
//! They are spoken directly, without a library between: there are few, their form is fixed for good, and so the program
//! needs nothing installed to be built or to run.

use crate::{
    Tcti,
    code::Code,
    public::{ECDSA, NULL, SHA256, SHA384},
    transport::Connection,
    wire::Writer,
};
use landfall_element::{ElementError, Trouble};
use landfall_pki::Algorithm;
use landfall_types::{
    Redacted,
    octets::{Malformed, Reader},
};
use std::{collections::BTreeMap, thread, time::Duration};

/// Handles that are always there (part 2, s7.4).
pub(crate) const OWNER: u32 = 0x4000_0001;
pub(crate) const ENDORSEMENT: u32 = 0x4000_000b;
const NOTHING: u32 = 0x4000_0007;
const PASSWORD: u32 = 0x4000_0009;

const NO_SESSIONS: u16 = 0x8001;
const SESSIONS: u16 = 0x8002;
const CONTINUE_SESSION: u8 = 1;
const POLICY_SESSION: u8 = 1;
const TRIAL_SESSION: u8 = 3;
const HASH_CHECK: u16 = 0x8024;

/// NV attributes (part 2, s13.4): its owner writes and reads it, everyone reads it, and guessing at it locks nothing.
const NV_CERTIFICATE: u32 = 1 << 1 | 1 << 17 | 1 << 18 | 1 << 25;
/// What fits into the buffers of the smallest TPMs (TPM_PT_NV_BUFFER_MAX).
const NV_STEP: u16 = 512;
/// Certificates are smaller.
const NV_LARGEST: u16 = 8192;

const PATIENCE: u32 = 20;

/// How a command is authorized.
#[derive(Clone, Copy)]
pub(crate) enum Auth<'a> {
    /// By the authorization value of the handle that it goes with.
    Value(&'a [u8]),
    /// By a policy session.
    Policy(u32),
}

/// A TPM for the length of one operation.
pub(crate) struct Tpm(Connection);

/// What a loaded object is made from again: its public and its wrapped private area.
#[derive(Clone, Debug)]
pub(crate) struct Blob {
    pub(crate) public: Vec<u8>,
    pub(crate) private: Vec<u8>,
}

/// A failure, while its code may still be of interest.
pub(crate) enum Failed {
    Code(Code, &'static str),
    Element(ElementError),
}

impl From<Malformed> for Failed {
    fn from(error: Malformed) -> Self {
        Self::Element(ElementError::hardware(Trouble::Failed, error.to_string()))
    }
}

impl From<ElementError> for Failed {
    fn from(error: ElementError) -> Self {
        Self::Element(error)
    }
}

impl From<Failed> for ElementError {
    fn from(failed: Failed) -> Self {
        match failed {
            Failed::Code(code, command) => code.error(command),
            Failed::Element(error) => error,
        }
    }
}

impl Tpm {
    pub(crate) fn open(tcti: &Tcti) -> Result<Self, ElementError> {
        Connection::open(tcti).map(Self)
    }

    /// Makes a primary key; always the same one for one template and one seed.
    pub(crate) fn create_primary(
        &mut self,
        hierarchy: u32,
        auth: &[u8],
        template: &[u8],
    ) -> Result<(u32, Vec<u8>), Failed> {
        let parameters = creation(&[], &[], template);
        let answer = self.run("TPM2_CreatePrimary", 0x131, &[hierarchy], &[Auth::Value(auth)], &parameters, true)?;
        let public = Reader::new("an answer", &answer.parameters).sized()?.to_vec();
        Ok((answer.handle, public))
    }

    pub(crate) fn create(&mut self, parent: u32, auth: &[u8], secret: &[u8], template: &[u8]) -> Result<Blob, Failed> {
        let parameters = creation(auth, secret, template);
        let answer = self.run("TPM2_Create", 0x153, &[parent], &[Auth::Value(&[])], &parameters, false)?;
        let mut reader = Reader::new("an answer", &answer.parameters);
        let private = reader.sized()?.to_vec();
        Ok(Blob { private, public: reader.sized()?.to_vec() })
    }

    pub(crate) fn load(&mut self, parent: u32, blob: &Blob) -> Result<u32, Failed> {
        let parameters = Writer::default().sized(&blob.private).sized(&blob.public).done();
        let answer = self.run("TPM2_Load", 0x157, &[parent], &[Auth::Value(&[])], &parameters, true)?;
        Ok(answer.handle)
    }

    pub(crate) fn context_save(&mut self, object: u32) -> Result<Vec<u8>, Failed> {
        Ok(self.run("TPM2_ContextSave", 0x162, &[object], &[], &[], false)?.parameters)
    }

    pub(crate) fn context_load(&mut self, context: &[u8]) -> Result<u32, Failed> {
        Ok(self.run("TPM2_ContextLoad", 0x161, &[], &[], context, true)?.handle)
    }

    /// Removes a loaded object or a session. That it could not be is of no matter to what was done with it.
    pub(crate) fn flush(&mut self, handle: u32) {
        let _ = self.run("TPM2_FlushContext", 0x165, &[], &[], &handle.to_be_bytes(), false);
    }

    pub(crate) fn read_public(&mut self, object: u32) -> Result<Vec<u8>, Failed> {
        let answer = self.run("TPM2_ReadPublic", 0x173, &[object], &[], &[], false)?;
        Ok(Reader::new("an answer", &answer.parameters).sized()?.to_vec())
    }

    /// r and s of an ECDSA signature.
    pub(crate) fn sign(
        &mut self,
        key: u32,
        auth: &[u8],
        algorithm: Algorithm,
        digest: &[u8],
    ) -> Result<(Vec<u8>, Vec<u8>), Failed> {
        let hash = if algorithm == Algorithm::EcdsaP384 { SHA384 } else { SHA256 };
        // A digest that was not made by the TPM may be signed by a key that is not restricted: no ticket is needed.
        let parameters = Writer::default().sized(digest).u16(ECDSA).u16(hash).u16(HASH_CHECK).u32(NOTHING).sized(&[]);
        let answer = self.run("TPM2_Sign", 0x15d, &[key], &[Auth::Value(auth)], &parameters.done(), false)?;
        Ok(signature(&answer.parameters)?)
    }

    /// The x coordinate of the private key times the point.
    pub(crate) fn ecdh_zgen(&mut self, key: u32, auth: &[u8], x: &[u8], y: &[u8]) -> Result<Redacted<Vec<u8>>, Failed> {
        let point = Writer::default().sized(x).sized(y).done();
        let parameters = Writer::default().sized(&point).done();
        let answer = self.run("TPM2_ECDH_ZGen", 0x154, &[key], &[Auth::Value(auth)], &parameters, false)?;
        let parameters = Redacted::new(answer.parameters);
        let point = Reader::new("an answer", parameters.expose()).sized()?;
        Ok(Redacted::new(Reader::new("an answer", point).sized()?.to_vec()))
    }

    pub(crate) fn unseal(&mut self, object: u32, auth: Auth<'_>) -> Result<Redacted<Vec<u8>>, Failed> {
        let answer = self.run("TPM2_Unseal", 0x15e, &[object], &[auth], &[], false)?;
        let parameters = Redacted::new(answer.parameters);
        Ok(Redacted::new(Reader::new("an answer", parameters.expose()).sized()?.to_vec()))
    }

    /// The TPM's statement that it holds `object`, signed by `signer`: the statement, and r and s.
    #[expect(clippy::type_complexity, reason = "two numbers and what they sign")]
    pub(crate) fn certify(
        &mut self,
        object: u32,
        auth: &[u8],
        signer: u32,
        challenge: &[u8],
    ) -> Result<(Vec<u8>, (Vec<u8>, Vec<u8>)), Failed> {
        let parameters = Writer::default().sized(challenge).u16(NULL).done();
        let auths = [Auth::Value(auth), Auth::Value(&[])];
        let answer = self.run("TPM2_Certify", 0x148, &[object, signer], &auths, &parameters, false)?;
        let mut reader = Reader::new("an answer", &answer.parameters);
        let statement = reader.sized()?.to_vec();
        Ok((statement, signature(reader.rest())?))
    }

    /// Opens a credential that was made for `object` and the endorsement key `endorsement`.
    pub(crate) fn activate_credential(
        &mut self,
        object: u32,
        endorsement: u32,
        policy: u32,
        credential: &[u8],
        secret: &[u8],
    ) -> Result<Redacted<Vec<u8>>, Failed> {
        let parameters = Writer::default().sized(credential).sized(secret).done();
        let auths = [Auth::Value(&[]), Auth::Policy(policy)];
        let answer = self.run("TPM2_ActivateCredential", 0x147, &[object, endorsement], &auths, &parameters, false)?;
        let parameters = Redacted::new(answer.parameters);
        Ok(Redacted::new(Reader::new("an answer", parameters.expose()).sized()?.to_vec()))
    }

    pub(crate) fn policy_session(&mut self) -> Result<u32, Failed> {
        self.start_session(POLICY_SESSION)
    }

    fn start_session(&mut self, kind: u8) -> Result<u32, Failed> {
        let mut nonce = [0; 32];
        aws_lc_rs::rand::fill(&mut nonce).map_err(|_| ElementError::Crypto("draw a random number"))?;
        let parameters = Writer::default().sized(&nonce).sized(&[]).u8(kind).u16(NULL).u16(SHA256).done();
        Ok(self.run("TPM2_StartAuthSession", 0x176, &[NOTHING, NOTHING], &[], &parameters, true)?.handle)
    }

    /// Satisfies the policy of endorsement keys.
    pub(crate) fn policy_endorsement(&mut self, session: u32, auth: &[u8]) -> Result<(), Failed> {
        let parameters = Writer::default().sized(&[]).sized(&[]).sized(&[]).u32(0).done();
        let handles = [ENDORSEMENT, session];
        self.run("TPM2_PolicySecret", 0x151, &handles, &[Auth::Value(auth)], &parameters, false)?;
        Ok(())
    }

    /// Binds the session to what the PCRs (SHA-256 bank) hold now.
    pub(crate) fn policy_pcr(&mut self, session: u32, pcrs: &[u8]) -> Result<(), Failed> {
        let parameters = Writer::default().sized(&[]).raw(&selection(pcrs)).done();
        self.run("TPM2_PolicyPCR", 0x17f, &[session], &[], &parameters, false)?;
        Ok(())
    }

    /// The policy that the PCRs' content of now fulfils.
    pub(crate) fn pcr_policy(&mut self, pcrs: &[u8]) -> Result<Vec<u8>, Failed> {
        let session = self.start_session(TRIAL_SESSION)?;
        let digest = self.policy_pcr(session, pcrs).and_then(|()| {
            let answer = self.run("TPM2_PolicyGetDigest", 0x189, &[session], &[], &[], false)?;
            Ok(Reader::new("an answer", &answer.parameters).sized()?.to_vec())
        });
        self.flush(session);
        digest
    }

    /// What the PCRs (SHA-256 bank) hold. A TPM tells a few at a time.
    pub(crate) fn pcr_read(&mut self, pcrs: &[u8]) -> Result<BTreeMap<u8, [u8; 32]>, Failed> {
        let mut values = BTreeMap::new();
        let mut left = pcrs.to_vec();
        while !left.is_empty() {
            let answer = self.run("TPM2_PCR_Read", 0x17e, &[], &[], &selection(&left), false)?;
            let mut reader = Reader::new("an answer", &answer.parameters);
            let _counter = reader.u32()?;
            let told = selected(&mut reader)?;
            let count = reader.u32()?;
            if told.is_empty() || usize::try_from(count) != Ok(told.len()) {
                return Err(ElementError::Unsupported("tell of PCRs in the SHA-256 bank").into());
            }
            for pcr in told {
                values.insert(pcr, reader.sized()?.try_into().map_err(|_| reader.bad())?);
            }
            reader.finish()?;
            left.retain(|pcr| !values.contains_key(pcr));
        }
        Ok(values)
    }

    /// Measures `digest` into a PCR.
    pub(crate) fn pcr_extend(&mut self, pcr: u8, digest: &[u8; 32]) -> Result<(), Failed> {
        let parameters = Writer::default().u32(1).u16(SHA256).raw(digest).done();
        self.run("TPM2_PCR_Extend", 0x182, &[u32::from(pcr)], &[Auth::Value(&[])], &parameters, false)?;
        Ok(())
    }

    /// The TPM's statement about what the PCRs hold, signed by `signer`: a TPMS_ATTEST and a TPMT_SIGNATURE.
    pub(crate) fn quote(&mut self, signer: u32, pcrs: &[u8], covered: &[u8]) -> Result<(Vec<u8>, Vec<u8>), Failed> {
        let parameters = Writer::default().sized(covered).u16(NULL).raw(&selection(pcrs)).done();
        let answer = self.run("TPM2_Quote", 0x158, &[signer], &[Auth::Value(&[])], &parameters, false)?;
        let mut reader = Reader::new("an answer", &answer.parameters);
        let statement = reader.sized()?.to_vec();
        signature(reader.rest())?;
        Ok((statement, reader.rest().to_vec()))
    }

    /// Asks for the object in a form that another TPM, or nobody's, takes in. What was made to stay is refused.
    pub(crate) fn duplicate(&mut self, object: u32) -> Result<(), Failed> {
        let session = self.policy_session()?;
        let parameters = Writer::default().sized(&[]).u16(NULL).done();
        let handles = [object, NOTHING];
        let asked = self.run("TPM2_Duplicate", 0x14b, &handles, &[Auth::Policy(session)], &parameters, false);
        self.flush(session);
        asked.map(drop)
    }

    /// Makes a loaded object persistent, or removes a persistent one.
    pub(crate) fn evict_control(&mut self, auth: &[u8], object: u32, persistent: u32) -> Result<(), Failed> {
        let auths = [Auth::Value(auth)];
        self.run("TPM2_EvictControl", 0x120, &[OWNER, object], &auths, &persistent.to_be_bytes(), false)?;
        Ok(())
    }

    /// What an NV index holds; `None` if there is no such index.
    pub(crate) fn nv_read(&mut self, index: u32) -> Result<Option<Vec<u8>>, Failed> {
        let public = match self.run("TPM2_NV_ReadPublic", 0x169, &[index], &[], &[], false) {
            Err(Failed::Code(code, _)) if code.is_missing() => return Ok(None),
            public => public?.parameters,
        };
        let mut reader = Reader::new("an NV index", Reader::new("an NV index", &public).sized()?);
        reader.take(10)?;
        reader.sized()?;
        let size = reader.u16()?.min(NV_LARGEST);
        let mut content = Vec::new();
        while let Some(left) =
            u16::try_from(content.len()).ok().and_then(|done| size.checked_sub(done)).filter(|n| *n > 0)
        {
            let step = left.min(NV_STEP);
            let parameters = Writer::default().u16(step).u16(size - left).done();
            let answer = self.run("TPM2_NV_Read", 0x14e, &[index, index], &[Auth::Value(&[])], &parameters, false)?;
            let part = Reader::new("an answer", &answer.parameters).sized()?;
            if part.is_empty() {
                return Err(Malformed("an NV index").into());
            }
            content.extend_from_slice(part);
        }
        Ok(Some(content))
    }

    /// Puts `content` into an NV index of the owner's, in the place of what was there.
    pub(crate) fn nv_write(&mut self, owner: &[u8], index: u32, content: &[u8]) -> Result<(), Failed> {
        let size = u16::try_from(content.len()).ok().filter(|size| *size <= NV_LARGEST);
        let size = size.ok_or(ElementError::Unsupported("keep so much in NV"))?;
        let auth = [Auth::Value(owner)];
        let public = Writer::default().u32(index).u16(SHA256).u32(NV_CERTIFICATE).sized(&[]).u16(size).done();
        let define = Writer::default().sized(&[]).sized(&public).done();
        match self.run("TPM2_NV_DefineSpace", 0x12a, &[OWNER], &auth, &define, false) {
            Err(Failed::Code(Code::NV_DEFINED, _)) => {
                self.run("TPM2_NV_UndefineSpace", 0x122, &[OWNER, index], &auth, &[], false)?;
                self.run("TPM2_NV_DefineSpace", 0x12a, &[OWNER], &auth, &define, false)?;
            }
            defined => drop(defined?),
        }
        let mut offset = 0;
        for part in content.chunks(NV_STEP.into()) {
            let parameters = Writer::default().sized(part).u16(offset).done();
            self.run("TPM2_NV_Write", 0x137, &[OWNER, index], &auth, &parameters, false)?;
            offset += u16::try_from(part.len()).unwrap_or(NV_STEP);
        }
        Ok(())
    }

    /// Runs one command. Waits a little while the TPM says that it is busy, and starts it if nobody has.
    fn run(
        &mut self,
        name: &'static str,
        code: u32,
        handles: &[u32],
        auths: &[Auth<'_>],
        parameters: &[u8],
        makes_handle: bool,
    ) -> Result<Answer, Failed> {
        let command = Redacted::new(command(code, handles, auths, parameters));
        for _ in 0..PATIENCE {
            let answer = Redacted::new(self.0.exchange(command.expose())?);
            match Answer::read(answer.expose(), makes_handle)? {
                Ok(answer) => return Ok(answer),
                Err(code) if code.is_busy() => thread::sleep(Duration::from_millis(50)),
                Err(Code::INITIALIZE) => {
                    // TPM2_Startup(TPM_SU_CLEAR); if it fails, so does the command again.
                    self.0.exchange(&Writer::default().u16(NO_SESSIONS).u32(12).u32(0x144).u16(0).done())?;
                }
                Err(code) => return Err(Failed::Code(code, name)),
            }
        }
        Err(ElementError::hardware(Trouble::Failed, format!("{name}: it stays busy")).into())
    }
}

/// A TPML_PCR_SELECTION of the SHA-256 bank.
fn selection(pcrs: &[u8]) -> Vec<u8> {
    let mut bits = [0u8; 3];
    for pcr in pcrs {
        if let Some(octet) = bits.get_mut(usize::from(pcr / 8)) {
            *octet |= 1 << (pcr % 8);
        }
    }
    Writer::default().u32(1).u16(SHA256).u8(3).raw(&bits).done()
}

/// The PCRs of the SHA-256 bank in a TPML_PCR_SELECTION.
fn selected(reader: &mut Reader<'_>) -> Result<Vec<u8>, Malformed> {
    let mut chosen = Vec::new();
    for _ in 0..reader.u32()?.min(16) {
        let bank = reader.u16()?;
        let length = reader.take(1)?.first().copied().unwrap_or_default();
        for (octet, bits) in (0u8..).zip(reader.take(length.into())?) {
            let numbers = (0..8u8).filter(|bit| bank == SHA256 && octet < 3 && bits & (1 << bit) != 0);
            chosen.extend(numbers.map(|bit| octet * 8 + bit));
        }
    }
    Ok(chosen)
}

fn creation(auth: &[u8], secret: &[u8], template: &[u8]) -> Vec<u8> {
    let sensitive = Writer::default().sized(auth).sized(secret).done();
    Writer::default().sized(&sensitive).sized(template).sized(&[]).u32(0).done()
}

fn command(code: u32, handles: &[u32], auths: &[Auth<'_>], parameters: &[u8]) -> Vec<u8> {
    let mut body = Writer::default();
    for handle in handles {
        body = body.u32(*handle);
    }
    if !auths.is_empty() {
        let mut area = Writer::default();
        for auth in auths {
            let (session, value) = match auth {
                Auth::Value(value) => (PASSWORD, *value),
                Auth::Policy(session) => (*session, &[][..]),
            };
            area = area.u32(session).sized(&[]).u8(CONTINUE_SESSION).sized(value);
        }
        let area = area.done();
        body = body.u32(u32::try_from(area.len()).unwrap_or(u32::MAX)).raw(&area);
    }
    let body = body.raw(parameters).done();
    let size = u32::try_from(body.len() + 10).unwrap_or(u32::MAX);
    Writer::default().u16(if auths.is_empty() { NO_SESSIONS } else { SESSIONS }).u32(size).u32(code).raw(&body).done()
}

pub(crate) fn is_answer(octets: &[u8]) -> bool {
    let mut read = false;
    for makes_handle in [false, true] {
        if let Ok(answer) = Answer::read(octets, makes_handle) {
            read = true;
            let _ = answer.map(|answer| signature(&answer.parameters));
        }
    }
    read
}

struct Answer {
    handle: u32,
    parameters: Vec<u8>,
}

impl Answer {
    fn read(answer: &[u8], makes_handle: bool) -> Result<Result<Self, Code>, Malformed> {
        let mut reader = Reader::new("an answer", answer);
        let (tag, size, code) = (reader.u16()?, reader.u32()?, reader.u32()?);
        if usize::try_from(size) != Ok(answer.len()) {
            return Err(reader.bad());
        }
        if code != 0 {
            return Ok(Err(Code::of(code)));
        }
        let handle = if makes_handle { reader.u32()? } else { 0 };
        let parameters = match tag {
            SESSIONS => {
                let length = reader.u32()?;
                reader.take(usize::try_from(length).map_err(|_| reader.bad())?)?
            }
            _ => reader.rest(),
        };
        Ok(Ok(Self { handle, parameters: parameters.to_vec() }))
    }
}

/// r and s of a TPMT_SIGNATURE by ECDSA.
fn signature(bytes: &[u8]) -> Result<(Vec<u8>, Vec<u8>), Malformed> {
    let mut reader = Reader::new("a signature", bytes);
    if reader.u16()? != ECDSA {
        return Err(reader.bad());
    }
    reader.u16()?;
    let (r, s) = (reader.sized()?.to_vec(), reader.sized()?.to_vec());
    reader.finish()?;
    Ok((r, s))
}
