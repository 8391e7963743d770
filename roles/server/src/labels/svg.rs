//! Codes and pages as SVG.

use super::{
    Code, Layout,
    code::QUIET,
    page::{Canvas, PITCH},
};
use std::fmt::Write;

/// A code alone, one unit a module.
pub(super) fn picture(code: &Code) -> String {
    let size = code.width() + 2 * QUIET;
    let path = path(code);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {size} {size}\" shape-rendering=\"crispEdges\">\n\
         <rect width=\"{size}\" height=\"{size}\" fill=\"#fff\"/>\n\
         <path transform=\"translate({QUIET} {QUIET})\" d=\"{path}\"/>\n</svg>\n"
    )
}

/// A page.
#[derive(Debug)]
pub(super) struct SvgPage {
    text: String,
}

impl SvgPage {
    pub(super) fn new(layout: &Layout) -> Self {
        let Layout { width, height, .. } = layout;
        let text = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}mm\" height=\"{height}mm\" \
             viewBox=\"0 0 {width} {height}\" font-family=\"monospace\" xml:space=\"preserve\">\n\
             <rect width=\"{width}\" height=\"{height}\" fill=\"#fff\"/>\n"
        );
        Self { text }
    }

    pub(super) fn finish(mut self) -> Vec<u8> {
        self.text.push_str("</svg>\n");
        self.text.into_bytes()
    }
}

impl Canvas for SvgPage {
    fn code(&mut self, x: f64, y: f64, size: f64, code: &Code) {
        let (scale, path) = (size / code.width().max(1) as f64, path(code));
        // Writing into a string does not fail.
        let _ = writeln!(
            self.text,
            "<path shape-rendering=\"crispEdges\" transform=\"translate({x:.3} {y:.3}) scale({scale:.5})\" d=\"{path}\"/>"
        );
    }

    fn text(&mut self, x: f64, y: f64, height: f64, bold: bool, text: &str) {
        let (weight, length) = (if bold { "bold" } else { "normal" }, text.chars().count() as f64 * height * PITCH);
        let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        let _ = writeln!(
            self.text,
            "<text x=\"{x:.3}\" y=\"{y:.3}\" font-size=\"{height}\" font-weight=\"{weight}\" \
             textLength=\"{length:.3}\" lengthAdjust=\"spacingAndGlyphs\">{text}</text>"
        );
    }
}

fn path(code: &Code) -> String {
    let mut path = String::new();
    for (x, y, length) in code.runs() {
        let _ = write!(path, "M{x} {y}h{length}v1h-{length}z");
    }
    path
}
