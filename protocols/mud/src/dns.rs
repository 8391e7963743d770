//! Messages of DNS (RFC 1035), as far as one between a device and a resolver has to understand them: one question, and the
//! addresses in its answer, by whatever aliases they are reached.
//!
//! What is told to a device is written anew from what was understood here, so that nobody understands more of it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Types of records.
pub mod kind {
    /// An address of version 4.
    pub const A: u16 = 1;
    /// An alias.
    pub const CNAME: u16 = 5;
    /// An address of version 6 (RFC 3596).
    pub const AAAA: u16 = 28;
    /// What the asker can take (RFC 6891).
    pub const OPT: u16 = 41;
    /// How to reach a service, with addresses of its own (RFC 9460).
    pub const SVCB: u16 = 64;
    /// The same for HTTPS.
    pub const HTTPS: u16 = 65;
    /// From here on: not a type of records, but a wish (RFC 6895 s3.1).
    pub const WISHES: std::ops::RangeInclusive<u16> = 128..=255;
}

/// What became of a question (RFC 1035 s4.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Code {
    /// Answered.
    Good = 0,
    /// It could not be understood.
    Malformed = 1,
    /// The resolver could not do it.
    Failed = 2,
    /// There is no such name.
    NoSuchName = 3,
    /// Such questions are not answered.
    NotImplemented = 4,
    /// The asker may not ask this.
    Refused = 5,
}

impl Code {
    /// The word for it, for a metric label.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Malformed => "malformed",
            Self::Failed => "failed",
            Self::NoSuchName => "no-such-name",
            Self::NotImplemented => "not-implemented",
            Self::Refused => "refused",
        }
    }
}

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Question {
    /// The name, in small letters, without the dot at its end.
    pub name: String,
    /// The type of records.
    pub kind: u16,
}

/// A question as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// Its number.
    pub id: u16,
    /// What is asked.
    pub question: Question,
    /// The same in the asker's own octets: many check that they come back as they were.
    asked: Vec<u8>,
    /// How long an answer in one datagram may be, if the asker says so (RFC 6891 s6.2.3).
    room: Option<u16>,
    wants_recursion: bool,
}

/// What a resolver says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// What became of the question; codes without a name here are kept as they are.
    pub code: u8,
    /// Whether it was cut, and is to be asked for by TCP.
    pub is_cut: bool,
    /// The names by which the addresses are reached, after the one that was asked.
    pub aliases: Vec<String>,
    /// The addresses.
    pub addresses: Vec<IpAddr>,
    /// For how long all of this holds, in seconds.
    pub seconds: u32,
}

/// The longest message that is read or written.
pub const LONGEST: usize = 4096;
const HEADER: usize = 12;
/// RFC 1035 s4.2.1: what every asker takes.
const USUAL_ROOM: u16 = 512;
/// What we take in one datagram ourselves: no network cuts it in two.
const OUR_ROOM: u16 = 1232;
const RECORDS: usize = 256;
const ALIASES: usize = 16;
const INTERNET: u16 = 1;
const TO_FIRST_NAME: [u8; 2] = [0xc0, 12];

impl Query {
    /// Reads a question.
    ///
    /// # Errors
    /// With what is to be answered, if the message can be answered at all.
    pub fn read(message: &[u8]) -> Result<Self, Option<Vec<u8>>> {
        let mut reader = Reader { all: message, at: 0 };
        let (Some(id), Some(flags)) = (reader.number(), reader.number()) else { return Err(None) };
        // What is itself an answer is not answered, or two resolvers would never stop.
        if flags & 0x8000 != 0 {
            return Err(None);
        }
        let code = if flags & 0x7800 != 0 { Code::NotImplemented } else { Code::Malformed };
        let again = 0x80 | (flags >> 8) as u8 & 0x79;
        let refusal = Some([&id.to_be_bytes()[..], &[again, code as u8], &[0; 8]].concat());
        let is_question = flags & 0x7800 == 0 && message.len() <= LONGEST;
        let query = is_question.then(|| Self::after_flags(id, flags, &mut reader)).flatten();
        query.ok_or(refusal)
    }

    fn after_flags(id: u16, flags: u16, reader: &mut Reader<'_>) -> Option<Self> {
        let counts = [reader.number()?, reader.number()?, reader.number()?, reader.number()?];
        let [1, 0, 0, others] = counts else { return None };
        let name = reader.name()?;
        let (kind, class) = (reader.number()?, reader.number()?);
        let asked = reader.all.get(HEADER..reader.at)?.to_vec();
        // The name of a first question stands there in full.
        if class != INTERNET || asked.len() != name.len() + if name.is_empty() { 5 } else { 6 } {
            return None;
        }
        let mut room = None;
        for _ in 0..others.min(4) {
            let record = reader.record()?;
            if record.kind == kind::OPT {
                room = Some(record.class.max(USUAL_ROOM));
            }
        }
        Some(Self { id, question: Question { name, kind }, asked, room, wants_recursion: flags & 0x0100 != 0 })
    }

    /// A question of our own.
    pub fn new(id: u16, question: Question) -> Option<Self> {
        let mut asked = Vec::new();
        write_name(&mut asked, &question.name)?;
        asked.extend(question.kind.to_be_bytes());
        asked.extend(INTERNET.to_be_bytes());
        Some(Self { id, question, asked, room: Some(OUR_ROOM), wants_recursion: true })
    }

    /// Its octets.
    pub fn write(&self) -> Vec<u8> {
        let flags = if self.wants_recursion { 0x0100_u16 } else { 0 };
        let mut message = self.head(flags, 0, &self.asked);
        self.end(&mut message, None);
        message
    }

    /// Says no, or that there is nothing. Where the asker can take it, it hears that this is a matter of policy (RFC 8914 s4.16).
    pub fn decline(&self, code: Code) -> Vec<u8> {
        let mut message = self.head(self.flags(code as u8), 0, &self.asked);
        let is_policy = matches!(code, Code::Refused | Code::NoSuchName);
        self.end(&mut message, is_policy.then_some([0, 15, 0, 2, 0, 15]));
        message
    }

    /// Tells what was found out, in as many octets as fit: a datagram that is too short says that it was cut.
    pub fn tell(&self, answer: &Answer, by_datagram: bool) -> Vec<u8> {
        let mut records = Vec::new();
        let mut count = 0_u16;
        let mut owner = TO_FIRST_NAME.to_vec();
        let mut add = |owner: &[u8], kind: u16, data: &[u8]| {
            let length = u16::try_from(data.len()).unwrap_or(u16::MAX);
            records.extend_from_slice(owner);
            records.extend(kind.to_be_bytes());
            records.extend(INTERNET.to_be_bytes());
            records.extend(answer.seconds.to_be_bytes());
            records.extend(length.to_be_bytes());
            records.extend_from_slice(data);
            count = count.saturating_add(1);
        };
        for alias in &answer.aliases {
            let mut target = Vec::new();
            if write_name(&mut target, alias).is_none() {
                return self.decline(Code::Failed);
            }
            add(&owner, kind::CNAME, &target);
            owner = target;
        }
        for address in &answer.addresses {
            match address {
                IpAddr::V4(address) => add(&owner, kind::A, &address.octets()),
                IpAddr::V6(address) => add(&owner, kind::AAAA, &address.octets()),
            }
        }
        let room = if by_datagram { self.room.unwrap_or(USUAL_ROOM).min(OUR_ROOM).into() } else { LONGEST * 2 };
        let fits = HEADER + self.asked.len() + records.len() + 11 <= room;
        let flags = self.flags(answer.code) | if fits { 0 } else { 0x0200 };
        let mut message = self.head(flags, if fits { count } else { 0 }, &self.asked);
        if fits {
            message.extend(records);
        }
        self.end(&mut message, None);
        message
    }

    /// Hands on a resolver's answer to this question that is about other things than addresses; nothing if it is none.
    pub fn hand_on(&self, message: &[u8], by_datagram: bool) -> Option<Vec<u8>> {
        let room = if by_datagram { self.room.unwrap_or(USUAL_ROOM).into() } else { usize::from(u16::MAX) };
        let rest = message.get(HEADER + self.asked.len()..)?;
        if message.len() > room {
            return Some(self.head(self.flags(0) | 0x0200, 0, &self.asked));
        }
        Some([&self.id.to_be_bytes(), message.get(2..HEADER)?, &self.asked, rest].concat())
    }

    fn flags(&self, code: u8) -> u16 {
        0x8080 | u16::from(code & 0x0f) | if self.wants_recursion { 0x0100 } else { 0 }
    }

    fn head(&self, flags: u16, answers: u16, asked: &[u8]) -> Vec<u8> {
        let others = u16::from(self.room.is_some());
        let numbers = [self.id, flags, 1, answers, 0, others].map(u16::to_be_bytes);
        [&numbers.concat(), asked].concat()
    }

    fn end(&self, message: &mut Vec<u8>, why: Option<[u8; 6]>) {
        if self.room.is_some() {
            message.push(0);
            message.extend([kind::OPT, OUR_ROOM, 0, 0].map(u16::to_be_bytes).concat());
            let why = why.as_ref().map(<[u8; 6]>::as_slice).unwrap_or_default();
            message.extend(u16::try_from(why.len()).unwrap_or_default().to_be_bytes());
            message.extend_from_slice(why);
        }
    }
}

impl Answer {
    /// Nothing of that kind.
    pub const fn nothing() -> Self {
        Self { code: 0, is_cut: false, aliases: Vec::new(), addresses: Vec::new(), seconds: 0 }
    }

    /// Reads what a resolver says to `query`; nothing if it is no answer to it, or not to be understood.
    pub fn read(message: &[u8], query: &Query) -> Option<Self> {
        let mut reader = Reader { all: message, at: 0 };
        let (id, flags) = (reader.number()?, reader.number()?);
        let counts = [reader.number()?, reader.number()?, reader.number()?, reader.number()?];
        let question = Question { name: reader.name()?, kind: reader.number()? };
        let is_ours = id == query.id && flags & 0xf800 == 0x8000 && counts.first() == Some(&1);
        if !is_ours || reader.number()? != INTERNET || question != query.question {
            return None;
        }
        let mut answer = Self { code: (flags & 0x0f) as u8, is_cut: flags & 0x0200 != 0, ..Self::nothing() };
        // What was cut is asked for again.
        if answer.is_cut {
            return Some(answer);
        }
        let [_, count, ..] = counts;
        if usize::from(count) > RECORDS {
            return None;
        }
        let mut records = Vec::new();
        for _ in 0..count {
            records.push(reader.record()?);
        }
        answer.follow(&question, &records);
        Some(answer)
    }

    /// From alias to alias to the addresses, wherever the records stand (RFC 1034 s3.6.2); what does not belong to it is left out.
    fn follow(&mut self, question: &Question, records: &[Record]) {
        let mut name = question.name.clone();
        let (mut seconds, mut is_over) = (u32::MAX, false);
        for _ in 0..=ALIASES {
            let own = records.iter().filter(|record| record.name == name && record.class == INTERNET);
            let mut alias = None;
            for record in own {
                match &record.data {
                    Data::Address(address) if record.kind == question.kind => self.addresses.push(*address),
                    Data::Alias(target) if alias.is_none() => alias = Some(target.clone()),
                    _ => continue,
                }
                seconds = seconds.min(record.seconds);
            }
            match alias {
                Some(target) if self.addresses.is_empty() => {
                    self.aliases.push(target.clone());
                    name = target;
                }
                _ => {
                    is_over = true;
                    break;
                }
            }
        }
        if !is_over {
            *self = Self { code: Code::Failed as u8, ..Self::nothing() };
        }
        self.addresses.sort();
        self.addresses.dedup();
        if seconds != u32::MAX {
            self.seconds = seconds;
        }
    }
}

struct Record {
    name: String,
    kind: u16,
    class: u16,
    seconds: u32,
    data: Data,
}

enum Data {
    Address(IpAddr),
    Alias(String),
    Other,
}

struct Reader<'a> {
    all: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn octets<const N: usize>(&mut self) -> Option<[u8; N]> {
        let octets = self.all.get(self.at..)?.first_chunk()?;
        self.at += N;
        Some(*octets)
    }

    fn number(&mut self) -> Option<u16> {
        self.octets().map(u16::from_be_bytes)
    }

    /// A name of letters, digits, hyphens and underscores (RFC 1035 s4.1.4).
    fn name(&mut self) -> Option<String> {
        let mut name = String::new();
        let (mut at, mut end, mut least) = (self.at, None, self.at);
        loop {
            let length = *self.all.get(at)?;
            match length {
                0 => break,
                1..=63 => {
                    let label = self.all.get(at + 1..)?.get(..usize::from(length))?;
                    if !label.iter().all(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_')) {
                        return None;
                    }
                    if !name.is_empty() {
                        name.push('.');
                    }
                    name.extend(label.iter().map(|octet| char::from(octet.to_ascii_lowercase())));
                    at += 1 + usize::from(length);
                    if name.len() > 253 {
                        return None;
                    }
                }
                0xc0.. => {
                    let to = (usize::from(length & 0x3f) << 8) | usize::from(*self.all.get(at + 1)?);
                    end.get_or_insert(at + 2);
                    // Always further back: so it comes to an end.
                    if to >= least {
                        return None;
                    }
                    (least, at) = (to, to);
                }
                _ => return None,
            }
        }
        self.at = end.unwrap_or(at + 1);
        Some(name)
    }

    fn record(&mut self) -> Option<Record> {
        let name = self.name()?;
        let (kind, class) = (self.number()?, self.number()?);
        let seconds = self.octets().map(u32::from_be_bytes)?;
        let length: usize = self.number()?.into();
        let end = self.at.checked_add(length).filter(|end| *end <= self.all.len())?;
        let data = match (kind, length) {
            (kind::A, 4) => Data::Address(Ipv4Addr::from(self.octets::<4>()?).into()),
            (kind::AAAA, 16) => Data::Address(Ipv6Addr::from(self.octets::<16>()?).into()),
            (kind::A | kind::AAAA, _) => return None,
            (kind::CNAME, _) => Data::Alias(self.name().filter(|_| self.at == end)?),
            _ => Data::Other,
        };
        self.at = end;
        // RFC 2181 s8: what looks negative is nothing.
        let seconds = if seconds > i32::MAX as u32 { 0 } else { seconds };
        Some(Record { name, kind, class, seconds, data })
    }
}

fn write_name(message: &mut Vec<u8>, name: &str) -> Option<()> {
    if name.len() > 253 {
        return None;
    }
    for label in name.split('.').filter(|_| !name.is_empty()) {
        let length = u8::try_from(label.len()).ok().filter(|length| (1..=63).contains(length))?;
        message.push(length);
        message.extend_from_slice(label.as_bytes());
    }
    message.push(0);
    Some(())
}
