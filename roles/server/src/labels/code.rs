//! A QR code as squares.

use fast_qr::{ECL, Mode, QRBuilder};

/// How many light modules a code needs around it.
pub(super) const QUIET: usize = 4;

/// A QR code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Code {
    width: usize,
    dark: Vec<bool>,
}

/// The text is longer than a QR code can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} characters do not fit into a QR code")]
pub struct TooLong(usize);

impl Code {
    /// The code of `text`, readable with 15 % of it damaged (level M).
    pub fn of(text: &str) -> Result<Self, TooLong> {
        // Octets: the small letters of keys in base64 have no shorter form (ISO/IEC 18004 s7.4).
        let code = QRBuilder::new(text).mode(Mode::Byte).ecl(ECL::M).build().map_err(|_| TooLong(text.len()))?;
        let rows = code.data.chunks(code.size.max(1)).take(code.size);
        Ok(Self { width: code.size, dark: rows.flatten().map(|module| module.value()).collect() })
    }

    /// How many modules it is wide and high.
    pub const fn width(&self) -> usize {
        self.width
    }

    /// The code in characters for a terminal with light text on a dark ground, two rows of modules a line.
    pub fn text(&self) -> String {
        let side = self.width + 2 * QUIET;
        let inside = |at: usize| at.checked_sub(QUIET).filter(|at| *at < self.width);
        let light = |row, column| match (inside(row), inside(column)) {
            (Some(row), Some(column)) => !self.dark.get(row * self.width + column).copied().unwrap_or_default(),
            _ => row < side,
        };
        let mut text = String::new();
        for row in (0..side).step_by(2) {
            text.extend((0..side).map(|column| match (light(row, column), light(row + 1, column)) {
                (true, true) => '█',
                (true, false) => '▀',
                (false, true) => '▄',
                (false, false) => ' ',
            }));
            text.push('\n');
        }
        text
    }

    /// Each stretch of dark modules: its column, its row, its length.
    pub(super) fn runs(&self) -> impl Iterator<Item = (usize, usize, usize)> + '_ {
        self.dark.chunks(self.width.max(1)).enumerate().flat_map(|(row, modules)| {
            let mut column = 0;
            modules.chunk_by(|a, b| a == b).filter_map(move |run| {
                let start = column;
                column += run.len();
                run.first().is_some_and(|dark| *dark).then_some((start, row, run.len()))
            })
        })
    }
}
