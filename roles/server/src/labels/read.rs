//! Codes in pictures of labels.

use std::fmt;

/// Larger pictures are looked at in this size too: a sharp code is found faster, and a grainy one at all.
const COMFORTABLE: usize = 1_600;

/// How bright each dot of a picture is, row by row from the top, 255 for white.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    width: usize,
    height: usize,
    dots: Vec<u8>,
}

/// Why a picture says nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unreadable {
    /// There is no code in it.
    Nothing,
    /// There is one, which is damaged or out of focus.
    Damaged(String),
}

impl Picture {
    /// A picture of that width in dots; nothing unless its rows are whole.
    pub fn new(width: usize, dots: Vec<u8>) -> Option<Self> {
        let height = dots.len().checked_div(width)?;
        (height > 0 && dots.len() == width * height).then_some(Self { width, height, dots })
    }

    /// Its width in dots.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Its dots, row by row.
    pub fn dots(&self) -> &[u8] {
        &self.dots
    }

    /// The texts of the codes in it (ISO/IEC 18004), at least one.
    ///
    /// # Errors
    /// If there is none that can be read.
    pub fn texts(&self) -> Result<Vec<String>, Unreadable> {
        let times = self.width.max(self.height).div_ceil(COMFORTABLE);
        let smaller = (times > 1).then(|| self.smaller(times));
        let mut why = Unreadable::Nothing;
        for picture in smaller.iter().chain([self]) {
            let mut prepared = rqrr::PreparedImage::prepare_from_greyscale(picture.width, picture.height, |x, y| {
                picture.dots.get(y * picture.width + x).copied().unwrap_or(u8::MAX)
            });
            let mut found = Vec::new();
            for grid in prepared.detect_grids() {
                match grid.decode() {
                    Ok((_, text)) => found.push(text),
                    Err(error) => why = Unreadable::Damaged(error.to_string()),
                }
            }
            if !found.is_empty() {
                return Ok(found);
            }
        }
        Err(why)
    }

    /// As many times smaller, each dot the mean of those in its place.
    fn smaller(&self, times: usize) -> Self {
        let (width, height) = (self.width / times, self.height / times);
        let mean = |x: usize, y: usize| {
            let rows = (y * times..(y + 1) * times).map(|row| row * self.width + x * times);
            let dots = rows.filter_map(|start| self.dots.get(start..start + times)).flatten();
            (dots.map(|dot| usize::from(*dot)).sum::<usize>() / (times * times)) as u8
        };
        let dots = (0..height).flat_map(|y| (0..width).map(move |x| (x, y))).map(|(x, y)| mean(x, y)).collect();
        Self { width, height, dots }
    }
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("there is no QR code in it"),
            Self::Damaged(why) => write!(f, "the QR code in it cannot be read: {why}"),
        }
    }
}

impl std::error::Error for Unreadable {}
