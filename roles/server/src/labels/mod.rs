//! QR codes of bootstrapping URIs (DPP s5.2): single pictures, sheets of labels to print, and what cameras see of them.
//!
//! A [`Sheets`] takes labels one by one, draws some pages of them at once on all cores, and writes those, so a hundred
//! thousand labels need no more memory than some hundred. PDF and SVG hold the code as shapes, PNG at 300 dots per inch.

mod code;
mod page;
mod pdf;
mod png;
mod read;
mod sheets;
mod svg;

pub use code::{Code, TooLong};
pub use page::Layout;
pub use read::{Picture, Unreadable};
pub use sheets::Sheets;

use std::{io, path::Path};

/// What stands on one label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// The bootstrapping URI, as QR code and for people who have to type it.
    pub uri: String,
    /// The serial number.
    pub serial_number: String,
    /// The model.
    pub model: String,
}

/// How pictures and sheets are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Scalable Vector Graphics; sheets are one file a page.
    Svg,
    /// Portable Network Graphics; sheets are one file a page.
    Png,
    /// Portable Document Format; sheets are one file. Single pictures have no such form.
    Pdf,
}

impl Format {
    /// The format that the name of the file `path` asks for.
    pub fn of(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
            "svg" => Some(Self::Svg),
            "png" => Some(Self::Png),
            "pdf" => Some(Self::Pdf),
            _ => None,
        }
    }
}

/// The picture of a code alone, with the quiet zone that it needs around it (ISO/IEC 18004 s6.3.8).
pub fn picture(code: &Code, format: Format) -> io::Result<Vec<u8>> {
    match format {
        Format::Svg => Ok(svg::picture(code).into_bytes()),
        Format::Png => png::picture(code),
        Format::Pdf => Err(io::Error::new(io::ErrorKind::Unsupported, "a single picture is SVG or PNG")),
    }
}
