//! Captures of a network: the frames of DPP in them, off the air and out of TCP.

mod file;
mod link;
mod stream;

use super::{
    Context, dpp,
    report::{Report, Severity},
};
use file::Packets;
use landfall_dpp::frame::{self, Frame, FrameError};
use link::Carried;
use stream::Streams;

/// At most so many frames are shown.
const SHOWN: usize = 500;

/// What a capture (pcap or pcapng) holds of DPP; `None` if the bytes are no capture.
pub(crate) fn capture(bytes: &[u8], context: &Context) -> Option<Report> {
    let packets = file::packets(bytes)?;
    let mut report = Report::new("a capture of a network");
    let mut found = Found::default();
    let Packets { packets, format, broken } = packets;
    let count = packets.len();
    for (number, packet) in (1..).zip(packets) {
        match link::carried(packet.link, packet.octets) {
            Some(Carried::Air { body, who, spare }) => found.air(number, body, spare, &who, context),
            Some(Carried::Tcp(segment)) => {
                let who = segment.who();
                for read in found.streams.push(&segment) {
                    found.keep(number, &who, read, context);
                }
            }
            None => {}
        }
    }
    report.field("format", format);
    report.field("packets", count);
    report.field("frames of DPP", found.frames);
    report.parts = found.parts;
    if broken {
        report.find(Severity::Warning, "capture", "draft-ietf-opsawg-pcap", "it ends in the middle of a packet");
    }
    for lost in found.streams.lost() {
        let detail = format!("{lost}: some segments are not in the capture, so what follows them was not read");
        report.find(Severity::Notice, "capture-gap", "RFC 9293 s3.4", detail);
    }
    if found.frames > SHOWN {
        let detail = format!("only the first {SHOWN} frames are shown");
        report.find(Severity::Notice, "capture-long", "landfall inspect --help", detail);
    }
    if found.frames == 0 {
        let detail = "no frame of DPP is in it: nothing in Public Action frames, and nothing to or from TCP port 8908";
        report.find(Severity::Warning, "capture-nothing", "DPP s8", detail);
    }
    Some(report)
}

#[derive(Default)]
struct Found {
    streams: Streams,
    frames: usize,
    parts: Vec<super::report::Part>,
}

impl Found {
    /// The body of a management frame, which may still have its checksum of `spare` octets behind it.
    fn air(&mut self, number: usize, body: &[u8], spare: usize, who: &str, context: &Context) {
        let read = match frame::from_the_air(body) {
            Err(FrameError::NotDpp(_)) => return,
            Err(why) => {
                let shorter = body.len().checked_sub(spare).and_then(|end| body.get(..end));
                shorter.filter(|_| spare > 0).and_then(|body| frame::from_the_air(body).ok()).ok_or(why)
            }
            // The attributes of an action frame take all that is there, and a checksum with it.
            Ok(Frame::Action(action)) if spare > 0 && action.attributes().is_err() => {
                let shorter = body.len().checked_sub(spare).and_then(|end| body.get(..end)).unwrap_or(body);
                frame::from_the_air(shorter)
            }
            Ok(frame) => Ok(frame),
        };
        self.keep(number, who, read, context);
    }

    fn keep(&mut self, number: usize, who: &str, read: Result<Frame, FrameError>, context: &Context) {
        self.frames += 1;
        if self.frames > SHOWN {
            return;
        }
        let report = match read {
            Ok(frame) => dpp::frame(&frame, context),
            Err(why) => dpp::broken(&why),
        };
        self.parts.push(super::report::Part { name: format!("packet {number}, {who}"), report });
    }
}
