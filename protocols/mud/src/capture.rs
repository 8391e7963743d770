//! Frames of a capture, as tcpdump and Wireshark write them: pcap (draft-ietf-opsawg-pcap) and pcapng
//! (draft-ietf-opsawg-pcapng), of Ethernet.

use landfall_types::{Fault, Refusal};

/// Ethernet, among the types of links.
const ETHERNET: u16 = 1;
/// More interfaces than a capture has.
const INTERFACES: usize = 1024;

/// The frames of a capture that is in memory, as far as it is sound.
#[derive(Clone, Debug)]
pub struct Frames<'a> {
    rest: &'a [u8],
    form: Form,
}

#[derive(Clone, Debug)]
enum Form {
    Pcap {
        is_big: bool,
    },
    /// For each interface, whether it is Ethernet.
    Pcapng {
        is_big: bool,
        interfaces: Vec<bool>,
    },
}

impl<'a> Frames<'a> {
    /// Those of a file.
    ///
    /// # Errors
    /// If it is no capture, or one of another kind of link.
    pub fn of(file: &'a [u8]) -> Result<Self, Refusal> {
        const PCAPNG: [u8; 4] = [0x0a, 0x0d, 0x0d, 0x0a];
        match file.first_chunk() {
            Some(&PCAPNG) => Ok(Self { rest: file, form: Form::Pcapng { is_big: false, interfaces: Vec::new() } }),
            // In microseconds or nanoseconds, and with the bytes of whoever wrote it.
            Some([0xa1, 0xb2, 0xc3, 0xd4] | [0xa1, 0xb2, 0x3c, 0x4d]) => Self::pcap(file, true),
            Some([0xd4, 0xc3, 0xb2, 0xa1] | [0x4d, 0x3c, 0xb2, 0xa1]) => Self::pcap(file, false),
            _ => Err(refuse("it is neither pcap nor pcapng")),
        }
    }

    fn pcap(file: &'a [u8], is_big: bool) -> Result<Self, Refusal> {
        let (head, rest) = file.split_at_checked(24).ok_or_else(|| refuse("it ends in its header"))?;
        let link = head.get(20..).and_then(|link| number(link, is_big)).unwrap_or_default();
        // The upper bits say whether checksums are there.
        if link & 0xffff != u32::from(ETHERNET) {
            return Err(refuse("it is not of Ethernet"));
        }
        Ok(Self { rest, form: Form::Pcap { is_big } })
    }
}

impl<'a> Iterator for Frames<'a> {
    type Item = Result<&'a [u8], Refusal>;
    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if self.rest.is_empty() {
                return None;
            }
            let step = match &mut self.form {
                Form::Pcap { is_big } => record(self.rest, *is_big).map(|(frame, rest)| (Some(frame), rest)),
                Form::Pcapng { is_big, interfaces } => block(self.rest, is_big, interfaces),
            };
            match step {
                Some((Some(frame), rest)) => {
                    self.rest = rest;
                    return Some(Ok(frame));
                }
                Some((None, rest)) => self.rest = rest,
                None => {
                    self.rest = &[];
                    return Some(Err(refuse("it ends in the middle of a frame, or has lengths that cannot be")));
                }
            }
        }
    }
}

fn record(bytes: &[u8], is_big: bool) -> Option<(&[u8], &[u8])> {
    let (head, rest) = bytes.split_at_checked(16)?;
    rest.split_at_checked(usize::try_from(number(head.get(8..)?, is_big)?).ok()?)
}

/// One block of pcapng: the frame in it, if there is one, and what follows.
fn block<'a>(bytes: &'a [u8], is_big: &mut bool, interfaces: &mut Vec<bool>) -> Option<(Option<&'a [u8]>, &'a [u8])> {
    const SECTION: u32 = 0x0a0d_0d0a;
    const INTERFACE: u32 = 1;
    const SIMPLE: u32 = 3;
    const ENHANCED: u32 = 6;
    let is_section = bytes.get(..4)? == SECTION.to_be_bytes();
    if is_section {
        *is_big = bytes.get(8..12)? == [0x1a, 0x2b, 0x3c, 0x4d];
        interfaces.clear();
    }
    let (kind, length) = (number(bytes, *is_big)?, usize::try_from(number(bytes.get(4..)?, *is_big)?).ok()?);
    if length < 12 || length % 4 != 0 {
        return None;
    }
    let (block, rest) = bytes.split_at_checked(length)?;
    let body = block.get(8..length - 4)?;
    let frame = match kind {
        _ if is_section => None,
        INTERFACE => {
            let [a, b] = *body.first_chunk()?;
            let link = if *is_big { u16::from_be_bytes([a, b]) } else { u16::from_le_bytes([a, b]) };
            if interfaces.len() >= INTERFACES {
                return None;
            }
            interfaces.push(link == ETHERNET);
            None
        }
        ENHANCED => {
            let length = usize::try_from(number(body.get(12..)?, *is_big)?).ok()?;
            let frame = body.get(20..)?.get(..length)?;
            let interface = usize::try_from(number(body, *is_big)?).ok()?;
            interfaces.get(interface)?.then_some(frame)
        }
        SIMPLE => {
            let length = usize::try_from(number(body, *is_big)?).ok()?;
            let frame = body.get(4..)?;
            interfaces.first()?.then_some(frame.get(..length).unwrap_or(frame))
        }
        _ => None,
    };
    Some((frame, rest))
}

fn number(bytes: &[u8], is_big: bool) -> Option<u32> {
    let bytes = *bytes.first_chunk()?;
    Some(if is_big { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) })
}

fn refuse(why: &str) -> Refusal {
    Refusal::new(Fault::Malformed, "capture-form", "draft-ietf-opsawg-pcapng", why.to_owned())
}
