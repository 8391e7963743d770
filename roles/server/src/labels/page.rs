//! Where everything stands on a page, whatever the page is written as.

use super::{Code, Label, code::QUIET};

/// What a page can be asked to draw. Lengths are millimetres, from the upper left corner.
pub(super) trait Canvas {
    /// A code whose dark part is `size` wide and high.
    fn code(&mut self, x: f64, y: f64, size: f64, code: &Code);
    /// A line of text in a fixed pitch of 0.6 times its height, standing on `y`.
    fn text(&mut self, x: f64, y: f64, height: f64, bold: bool, text: &str);
}

/// How a character's width follows from its height, in all fixed-pitch fonts that are used here.
pub(super) const PITCH: f64 = 0.6;

/// The page and the labels on it, in millimetres.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Layout {
    /// The page's width.
    pub width: f64,
    /// The page's height.
    pub height: f64,
    /// How many labels stand side by side.
    pub columns: usize,
    /// How many rows of labels there are.
    pub rows: usize,
    /// How far the labels' grid is from the edges at the left and right.
    pub side: f64,
    /// How far it is from the edges at the top and bottom.
    pub top: f64,
}

impl Layout {
    /// A4 with 24 labels of 70 by 37 mm.
    pub const A4_24: Self = Self { width: 210.0, height: 297.0, columns: 3, rows: 8, side: 0.0, top: 0.5 };
    /// US letter with 24 labels.
    pub const LETTER_24: Self = Self { width: 215.9, height: 279.4, columns: 3, rows: 8, side: 2.95, top: 0.5 };
    /// One label of 70 by 37 mm a page, as label printers take them.
    pub const SINGLE: Self = Self { width: 70.0, height: 37.0, columns: 1, rows: 1, side: 0.0, top: 0.0 };

    /// How many labels a page has.
    pub const fn labels(&self) -> usize {
        self.columns * self.rows
    }

    /// Draws a page of labels.
    pub(super) fn draw(&self, labels: &[(&Label, Code)], canvas: &mut impl Canvas) {
        let width = (self.width - 2.0 * self.side) / self.columns as f64;
        let height = (self.height - 2.0 * self.top) / self.rows as f64;
        for (number, (label, code)) in labels.iter().enumerate() {
            let x = self.side + width * (number % self.columns) as f64;
            let y = self.top + height * (number / self.columns) as f64;
            draw(label, code, canvas, x, y, width, height);
        }
    }
}

/// One label: the code at the left, what people read at its right.
fn draw(label: &Label, code: &Code, canvas: &mut impl Canvas, x: f64, y: f64, width: f64, height: f64) {
    const MARGIN: f64 = 1.5;
    let square = (height - 2.0 * MARGIN).min(width / 2.0);
    let module = square / (code.width() + 2 * QUIET) as f64;
    let quiet = module * QUIET as f64;
    let above = (height - square) / 2.0;
    canvas.code(x + MARGIN + quiet, y + above + quiet, square - 2.0 * quiet, code);

    let left = x + MARGIN + square + 0.5;
    let column = x + width - MARGIN - left;
    let mut line = Line { canvas, left, column, y: y + above + quiet, end: y + height - MARGIN };
    line.wrapped(3.2, true, &label.serial_number, 2);
    line.wrapped(2.6, false, &label.model, 2);
    line.y += 1.0;
    line.wrapped(1.7, false, &label.uri, usize::MAX);
}

/// Lines of text in a column.
struct Line<'a, C> {
    canvas: &'a mut C,
    left: f64,
    column: f64,
    y: f64,
    end: f64,
}

impl<C: Canvas> Line<'_, C> {
    /// Writes `text` on as many lines as it needs, at most `lines`, and none below the label's end.
    fn wrapped(&mut self, height: f64, bold: bool, text: &str, lines: usize) {
        let per_line = ((self.column / (height * PITCH)) as usize).max(1);
        let characters: Vec<char> = text.chars().collect();
        for line in characters.chunks(per_line).take(lines) {
            if self.y + height > self.end {
                return;
            }
            self.y += height;
            self.canvas.text(self.left, self.y, height, bold, &line.iter().collect::<String>());
            self.y += height * 0.2;
        }
    }
}
