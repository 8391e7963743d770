//! Reads QR codes in pictures from cameras and files.

use anyhow::{Context, bail, ensure};
use landfall_server::labels::Picture;
use png::{ColorType, Decoder, Limits, Transformations};
use std::{io::Cursor, path::Path};
use zune_jpeg::{
    JpegDecoder,
    zune_core::{bytestream::ZCursor, colorspace::ColorSpace, options::DecoderOptions},
};

/// The widest and highest picture that is looked at: no camera takes larger ones.
const LARGEST: usize = 20_000;
/// What a picture may need in memory when it is unpacked.
const MEMORY: usize = 512 * 1024 * 1024;
/// The texts of the codes in the picture (PNG or JPEG) at `path`; an error if there is none.
pub(crate) fn read(path: &Path) -> anyhow::Result<Vec<String>> {
    let bytes = std::fs::read(path).with_context(|| format!("reading {}", path.display()))?;
    decode(&bytes).with_context(|| format!("reading {}", path.display()))
}

/// The texts of the codes in a picture that was read already.
pub(crate) fn decode(bytes: &[u8]) -> anyhow::Result<Vec<String>> {
    let picture = unpacked(bytes).context("it is no picture in PNG or JPEG")?;
    Ok(picture.texts()?)
}

fn unpacked(bytes: &[u8]) -> anyhow::Result<Picture> {
    match bytes {
        [0x89, b'P', b'N', b'G', ..] => png(bytes),
        [0xFF, 0xD8, ..] => jpeg(bytes),
        _ => bail!("it begins like neither"),
    }
}

fn png(bytes: &[u8]) -> anyhow::Result<Picture> {
    let mut decoder = Decoder::new_with_limits(Cursor::new(bytes), Limits { bytes: MEMORY });
    decoder.set_transformations(Transformations::normalize_to_color8());
    let mut reader = decoder.read_info()?;
    let mut dots = vec![0; bounded(reader.output_buffer_size())?];
    let frame = reader.next_frame(&mut dots)?;
    ensure!(usize::try_from(frame.width.max(frame.height))? <= LARGEST, "it is larger than {LARGEST} dots");
    let channels = match frame.color_type {
        ColorType::Grayscale => 1,
        ColorType::GrayscaleAlpha => 2,
        ColorType::Rgb | ColorType::Indexed => 3,
        ColorType::Rgba => 4,
    };
    grey(usize::try_from(frame.width)?, channels, dots)
}

fn jpeg(bytes: &[u8]) -> anyhow::Result<Picture> {
    let options = DecoderOptions::new_safe().set_max_width(LARGEST).set_max_height(LARGEST);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    decoder.decode_headers()?;
    // Cameras write how bright dots are apart from their colours.
    let (colours, channels) = match decoder.input_colorspace() {
        Some(ColorSpace::YCbCr | ColorSpace::Luma) => (ColorSpace::Luma, 1),
        _ => (ColorSpace::RGB, 3),
    };
    decoder.set_options(options.jpeg_set_out_colorspace(colours));
    bounded(decoder.output_buffer_size())?;
    let (width, _) = decoder.dimensions().context("it has no size")?;
    let dots = decoder.decode()?;
    grey(width, channels, dots)
}

/// From so many octets a dot: grey, or red, green and blue, with how far each covers the paper under it or without.
fn grey(width: usize, channels: usize, mut dots: Vec<u8>) -> anyhow::Result<Picture> {
    if channels > 1 {
        let bright = |dot: &[u8]| match *dot {
            [grey, cover] => on_paper(u32::from(grey), cover),
            [red, green, blue] => luma(red, green, blue) as u8,
            [red, green, blue, cover] => on_paper(luma(red, green, blue), cover),
            _ => u8::MAX,
        };
        dots = dots.chunks_exact(channels).map(bright).collect();
    }
    Picture::new(width, dots).context("it has not all of its dots")
}

/// How bright a colour is (ITU-R BT.601), at most 255.
const fn luma(red: u8, green: u8, blue: u8) -> u32 {
    (299 * red as u32 + 587 * green as u32 + 114 * blue as u32) / 1000
}

/// What is seen of a dot that covers white paper so far.
const fn on_paper(bright: u32, cover: u8) -> u8 {
    ((bright * cover as u32 + 255 * (255 - cover as u32)) / 255) as u8
}

fn bounded(size: Option<usize>) -> anyhow::Result<usize> {
    size.filter(|size| *size <= MEMORY).context("it is too large")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;
    use landfall_server::labels::{Code, Format, picture};

    const URI: &str = "DPP:C:81/1;I:SN=KT0000019;K:MDkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDIgADM2206avxHJaHXgLMkq/24e0rsrfMP9K1Tm8gx+ovP0I=;;";
    /// The code lies askew in a corner, a little out of focus, on a coloured ground.
    const PHOTOGRAPH: &[u8] = include_bytes!("qr/photograph.jpg");

    fn png(width: usize, color: ColorType, dots: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let height = dots.len() / width / color.samples();
        let mut encoder = png::Encoder::new(&mut bytes, width as u32, height as u32);
        encoder.set_color(color);
        encoder.write_header().unwrap().write_image_data(dots).unwrap();
        bytes
    }

    #[test]
    fn a_code_is_found_however_it_was_photographed() {
        let flat = picture(&Code::of(URI).unwrap(), Format::Png).unwrap();
        assert_eq!(decode(&flat).unwrap(), [URI]);
        let read = unpacked(&flat).unwrap();
        let (width, dots) = (read.width(), read.dots());
        let turned: Vec<_> = dots.iter().rev().copied().collect();
        assert_eq!(decode(&png(width, ColorType::Grayscale, &turned)).unwrap(), [URI]);
        // Printed on what shines through, in each form that has it.
        let grey: Vec<_> = dots.iter().flat_map(|dot| [0, 255 - dot]).collect();
        assert_eq!(decode(&png(width, ColorType::GrayscaleAlpha, &grey)).unwrap(), [URI]);
        let red: Vec<_> = dots.iter().flat_map(|dot| [90, 0, 0, 255 - dot]).collect();
        assert_eq!(decode(&png(width, ColorType::Rgba, &red)).unwrap(), [URI]);
        let green: Vec<_> = dots.iter().flat_map(|dot| [*dot, 80, *dot]).collect();
        assert_eq!(decode(&png(width, ColorType::Rgb, &green)).unwrap(), [URI]);
        assert_eq!(decode(PHOTOGRAPH).unwrap(), [URI]);
    }

    #[test]
    fn what_holds_no_code_is_refused() {
        let mut empty = png(100, ColorType::Grayscale, &[255; 10_000]);
        assert!(decode(&empty).unwrap_err().to_string().contains("no QR code"));
        empty.truncate(40);
        let cut = &PHOTOGRAPH[..200];
        for bad in [empty.as_slice(), cut, b"", b"GIF89a", b"\xFF\xD8\xFF", b"DPP:K:;;"] {
            assert!(decode(bad).is_err());
        }
        // The size is that of the header: of 30,000 dots a side in one of them.
        let mut wide = png(100, ColorType::Grayscale, &[255; 10_000]);
        wide[16..20].copy_from_slice(&30_000_u32.to_be_bytes());
        assert!(decode(&wide).is_err());
        let mut high = PHOTOGRAPH.to_vec();
        let frame = high.windows(2).position(|marker| marker == [0xFF, 0xC0]).unwrap();
        high[frame + 5..frame + 7].copy_from_slice(&30_000_u16.to_be_bytes());
        assert!(format!("{:#}", decode(&high).unwrap_err()).contains("30000"));
    }
}
