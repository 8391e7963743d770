//! Operating classes with their channels, and lists of them (DPP s5.2.1, s6.4.5.2).

use crate::bounds;
use std::fmt::Write;

/// A channel in a global operating class (IEEE 802.11 annex E, table E-4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Channel {
    /// The operating class.
    pub class: u8,
    /// The channel's number.
    pub channel: u8,
}

impl Channel {
    /// The value of a Channel attribute.
    pub const fn to_bytes(self) -> [u8; 2] {
        [self.class, self.channel]
    }

    /// Reads the value of a Channel attribute.
    pub const fn from_bytes([class, channel]: [u8; 2]) -> Self {
        Self { class, channel }
    }
}

/// Reads `81/1,6,115/36`: a class that is not written is that of the channel before. Numbers that no class or channel
/// has are passed over, as the specification asks (DPP s5.2.1).
pub(crate) fn parse_list(text: &str) -> Result<Vec<Channel>, &'static str> {
    let mut channels = Vec::new();
    let mut class = None;
    for item in text.split(',') {
        let channel = match item.split_once('/') {
            Some((number, channel)) => {
                class = Some(parse_number(number)?);
                channel
            }
            None => item,
        };
        let class = class.ok_or("has a channel before any operating class")?;
        let channel = parse_number(channel)?;
        if let (Ok(class @ 1..), Ok(channel @ 1..)) = (u8::try_from(class), u8::try_from(channel)) {
            channels.push(Channel { class, channel });
        }
        if channels.len() > bounds::CHANNELS {
            return Err("has too many channels");
        }
    }
    Ok(channels)
}

fn parse_number(digits: &str) -> Result<u16, &'static str> {
    match digits.len() {
        1..=3 if digits.bytes().all(|digit| digit.is_ascii_digit()) => digits.parse().map_err(|_| "has no number"),
        _ => Err("has a class or channel that is not one to three digits"),
    }
}

/// Writes a list in its short form.
pub(crate) fn write_list(channels: &[Channel]) -> String {
    let mut text = String::new();
    let mut class = None;
    for channel in channels {
        let comma = if text.is_empty() { "" } else { "," };
        // Writing to a string cannot fail.
        let _ = match class == Some(channel.class) {
            true => write!(text, "{comma}{}", channel.channel),
            false => write!(text, "{comma}{}/{}", channel.class, channel.channel),
        };
        class = Some(channel.class);
    }
    text
}
