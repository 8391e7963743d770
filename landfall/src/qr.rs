//! Reads QR codes in pictures from cameras and files.

use anyhow::{Context, bail};
use image::{ImageReader, Limits, imageops::FilterType};
use std::{io::Cursor, path::Path};

/// The widest and highest picture that is looked at: no camera takes larger ones.
const LARGEST: u32 = 20_000;
/// What a picture may need in memory when it is unpacked.
const MEMORY: u64 = 512 * 1024 * 1024;
/// Larger pictures are looked at in this size too: a sharp code is found faster, and a grainy one at all.
const COMFORTABLE: u32 = 1_600;

/// The texts of the codes in the picture (PNG or JPEG) at `path`; an error if there is none.
pub(crate) fn read(path: &Path) -> anyhow::Result<Vec<String>> {
    let bytes = std::fs::read(path).with_context(|| format!("reading {}", path.display()))?;
    decode(&bytes).with_context(|| format!("reading {}", path.display()))
}

/// The texts of the codes in a picture that was read already.
pub(crate) fn decode(bytes: &[u8]) -> anyhow::Result<Vec<String>> {
    let mut reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format()?;
    let mut limits = Limits::default();
    limits.max_image_width = Some(LARGEST);
    limits.max_image_height = Some(LARGEST);
    limits.max_alloc = Some(MEMORY);
    reader.limits(limits);
    let picture = reader.decode().context("it is no picture in PNG or JPEG")?;
    let larger = picture.width().max(picture.height()) > COMFORTABLE;
    let smaller = larger.then(|| picture.resize(COMFORTABLE, COMFORTABLE, FilterType::Triangle));
    let mut damaged = None;
    for picture in smaller.into_iter().chain([picture]) {
        let mut prepared = rqrr::PreparedImage::prepare(picture.into_luma8());
        let mut found = Vec::new();
        for grid in prepared.detect_grids() {
            match grid.decode() {
                Ok((_, text)) => found.push(text),
                Err(why) => damaged = Some(why),
            }
        }
        if !found.is_empty() {
            return Ok(found);
        }
    }
    match damaged {
        Some(why) => bail!("the QR code in it cannot be read: {why}"),
        None => bail!("there is no QR code in it"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;
    use image::{DynamicImage, ImageFormat, imageops};
    use landfall_server::labels::{Code, Format, picture};

    const URI: &str = "DPP:C:81/1;I:SN=KT0000019;K:MDkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDIgADM2206avxHJaHXgLMkq/24e0rsrfMP9K1Tm8gx+ovP0I=;;";

    fn bytes(picture: &DynamicImage, format: ImageFormat) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        picture.write_to(&mut bytes, format).unwrap();
        bytes.into_inner()
    }

    #[test]
    fn a_code_is_found_however_it_was_photographed() {
        let png = picture(&Code::of(URI).unwrap(), Format::Png).unwrap();
        assert_eq!(decode(&png).unwrap(), [URI]);
        let flat = image::load_from_memory(&png).unwrap().into_luma8();
        let turned = DynamicImage::ImageLuma8(imageops::rotate90(&flat));
        assert_eq!(decode(&bytes(&turned, ImageFormat::Jpeg)).unwrap(), [URI]);
        // In a corner of a large grey picture, as a camera takes it.
        let mut photograph = image::GrayImage::from_pixel(3000, 2000, image::Luma([170]));
        imageops::overlay(&mut photograph, &imageops::rotate180(&flat), 1700, 900);
        let photograph = DynamicImage::ImageLuma8(imageops::blur(&photograph, 1.5));
        assert_eq!(decode(&bytes(&photograph, ImageFormat::Jpeg)).unwrap(), [URI]);
    }

    #[test]
    fn what_holds_no_code_is_refused() {
        let empty = DynamicImage::ImageLuma8(image::GrayImage::from_pixel(100, 100, image::Luma([255])));
        let mut png = bytes(&empty, ImageFormat::Png);
        assert!(decode(&png).unwrap_err().to_string().contains("no QR code"));
        png.truncate(40);
        for bad in [png.as_slice(), b"", b"GIF89a", b"DPP:K:;;"] {
            assert!(decode(bad).is_err());
        }
    }
}
