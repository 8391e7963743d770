//! Codes and pages as PNG, black on white.

use super::{
    Code, Layout,
    code::QUIET,
    page::{Canvas, PITCH},
};
use font8x8::legacy::BASIC_LEGACY;
use png::{BitDepth, ColorType, Encoder, PixelDimensions, Unit};
use std::io;

/// Dots in a millimetre: 300 to the inch.
const DOTS: f64 = 300.0 / 25.4;
/// Dots of a module in a single picture.
const MODULE: usize = 8;

/// A code alone.
pub(super) fn picture(code: &Code) -> io::Result<Vec<u8>> {
    let size = (code.width() + 2 * QUIET) * MODULE;
    let mut dots = Dots::new(size, size);
    dots.code(QUIET * MODULE, QUIET * MODULE, MODULE, code);
    dots.encode()
}

/// A page.
#[derive(Debug)]
pub(super) struct PngPage(Dots);

impl PngPage {
    pub(super) fn new(layout: &Layout) -> Self {
        Self(Dots::new(dots(layout.width), dots(layout.height)))
    }

    pub(super) fn finish(self) -> io::Result<Vec<u8>> {
        self.0.encode()
    }
}

impl Canvas for PngPage {
    /// Every module gets the same number of whole dots, so the code may become a little smaller.
    fn code(&mut self, x: f64, y: f64, size: f64, code: &Code) {
        let module = (dots(size) / code.width().max(1)).max(1);
        let inset = dots(size).saturating_sub(module * code.width()) / 2;
        self.0.code(dots(x) + inset, dots(y) + inset, module, code);
    }

    fn text(&mut self, x: f64, y: f64, height: f64, _bold: bool, text: &str) {
        let (width, height_dots) = (dots(height * PITCH).max(1), dots(height).max(1));
        let top = dots(y).saturating_sub(height_dots);
        for (number, c) in text.chars().enumerate() {
            let glyph = BASIC_LEGACY.get(if c.is_ascii() { c as usize } else { '?' as usize }).unwrap_or(&[0; 8]);
            let left = dots(x + number as f64 * height * PITCH);
            for (dy, dx) in (0..height_dots).flat_map(|dy| (0..width).map(move |dx| (dy, dx))) {
                let row = glyph.get(dy * 8 / height_dots).copied().unwrap_or(0);
                if (row >> (dx * 8 / width)) & 1 == 1 {
                    self.0.set(left + dx, top + dy);
                }
            }
        }
    }
}

fn dots(millimetres: f64) -> usize {
    (millimetres * DOTS).round().max(0.0) as usize
}

/// A picture of one bit a dot; a set bit is white.
#[derive(Debug)]
struct Dots {
    width: usize,
    height: usize,
    bits: Vec<u8>,
}

impl Dots {
    fn new(width: usize, height: usize) -> Self {
        Self { width, height, bits: vec![0xFF; width.div_ceil(8) * height] }
    }

    /// Makes a dot black; one outside the picture is left out.
    fn set(&mut self, x: usize, y: usize) {
        if x < self.width
            && let Some(byte) = self.bits.get_mut(y * self.width.div_ceil(8) + x / 8)
        {
            *byte &= !(0x80 >> (x % 8));
        }
    }

    fn code(&mut self, left: usize, top: usize, module: usize, code: &Code) {
        for (x, y, length) in code.runs() {
            for dy in 0..module {
                for dx in 0..length * module {
                    self.set(left + x * module + dx, top + y * module + dy);
                }
            }
        }
    }

    fn encode(&self) -> io::Result<Vec<u8>> {
        let mut file = Vec::new();
        let side = |length: usize| u32::try_from(length).map_err(io::Error::other);
        let mut encoder = Encoder::new(&mut file, side(self.width)?, side(self.height)?);
        encoder.set_color(ColorType::Grayscale);
        encoder.set_depth(BitDepth::One);
        let per_metre = (DOTS * 1000.0) as u32;
        encoder.set_pixel_dims(Some(PixelDimensions { xppu: per_metre, yppu: per_metre, unit: Unit::Meter }));
        let mut writer = encoder.write_header().map_err(io::Error::other)?;
        writer.write_image_data(&self.bits).map_err(io::Error::other)?;
        writer.finish().map_err(io::Error::other)?;
        Ok(file)
    }
}
