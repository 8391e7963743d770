//! Pages as a PDF file (ISO 32000-1) that is written page by page.

use super::{Code, Layout, page::Canvas};
use flate2::{Compression, write::ZlibEncoder};
use std::{
    fmt::Write as _,
    io::{self, Write},
};

/// Points in a millimetre.
const POINTS: f64 = 72.0 / 25.4;
/// The objects that stand in every file; those of pages follow.
const CATALOG: usize = 1;
const PAGES: usize = 2;
const REGULAR: usize = 3;
const BOLD: usize = 4;

/// A file that grows by pages. Nothing of it is a PDF before [`Pdf::finish`].
#[derive(Debug)]
pub(super) struct Pdf<W> {
    out: W,
    layout: Layout,
    written: u64,
    /// Where each object begins; 0 for one that is not written yet.
    offsets: Vec<u64>,
    pages: Vec<usize>,
}

impl<W: Write> Pdf<W> {
    pub(super) fn new(out: W, layout: Layout) -> io::Result<Self> {
        let mut pdf = Self { out, layout, written: 0, offsets: vec![0; BOLD], pages: Vec::new() };
        // ISO 32000-1 s7.5.2: bytes above 127 in a comment say that the file is binary.
        pdf.raw(b"%PDF-1.4\n%\xE2\xE3\xCF\xD3\n")?;
        for (number, font) in [(REGULAR, "Courier"), (BOLD, "Courier-Bold")] {
            let font = format!("<</Type/Font/Subtype/Type1/BaseFont/{font}/Encoding/WinAnsiEncoding>>");
            pdf.object(number, font.as_bytes())?;
        }
        Ok(pdf)
    }

    /// Adds a page, from [`PdfPage::finish`].
    pub(super) fn page(&mut self, compressed: &[u8]) -> io::Result<()> {
        let content = self.next_object();
        let mut object = format!("<</Length {}/Filter/FlateDecode>>stream\n", compressed.len()).into_bytes();
        object.extend_from_slice(compressed);
        object.extend(b"\nendstream");
        self.object(content, &object)?;
        let page = self.next_object();
        let (width, height) = (self.layout.width * POINTS, self.layout.height * POINTS);
        let object = format!(
            "<</Type/Page/Parent {PAGES} 0 R/MediaBox[0 0 {width:.2} {height:.2}]/Contents {content} 0 R\
             /Resources<</Font<</R {REGULAR} 0 R/B {BOLD} 0 R>>>>>>"
        );
        self.object(page, object.as_bytes())?;
        self.pages.push(page);
        Ok(())
    }

    /// Writes what makes a file of it.
    pub(super) fn finish(mut self) -> io::Result<W> {
        let mut kids = String::new();
        for page in &self.pages {
            let _ = write!(kids, "{page} 0 R ");
        }
        let pages = format!("<</Type/Pages/Count {}/Kids[{}]>>", self.pages.len(), kids.trim_end());
        self.object(PAGES, pages.as_bytes())?;
        self.object(CATALOG, format!("<</Type/Catalog/Pages {PAGES} 0 R>>").as_bytes())?;
        let (start, size) = (self.written, self.offsets.len() + 1);
        let mut table = format!("xref\n0 {size}\n0000000000 65535 f \n");
        for offset in &self.offsets {
            let _ = writeln!(table, "{offset:010} 00000 n ");
        }
        let _ = write!(table, "trailer\n<</Size {size}/Root {CATALOG} 0 R>>\nstartxref\n{start}\n%%EOF\n");
        self.raw(table.as_bytes())?;
        self.out.flush()?;
        Ok(self.out)
    }

    fn next_object(&mut self) -> usize {
        self.offsets.push(0);
        self.offsets.len()
    }

    fn object(&mut self, number: usize, content: &[u8]) -> io::Result<()> {
        if let Some(offset) = self.offsets.get_mut(number - 1) {
            *offset = self.written;
        }
        self.raw(format!("{number} 0 obj\n").as_bytes())?;
        self.raw(content)?;
        self.raw(b"\nendobj\n")
    }

    fn raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.written += bytes.len() as u64;
        self.out.write_all(bytes)
    }
}

/// The drawing operators of a page (ISO 32000-1 annex A).
#[derive(Debug)]
pub(super) struct PdfPage {
    height: f64,
    text: String,
}

impl PdfPage {
    pub(super) fn new(layout: &Layout) -> Self {
        Self { height: layout.height, text: String::new() }
    }

    /// The operators, compressed. What the best compression would save costs several times as long as drawing.
    pub(super) fn finish(self) -> io::Result<Vec<u8>> {
        let mut compressed = ZlibEncoder::new(Vec::new(), Compression::fast());
        compressed.write_all(self.text.as_bytes())?;
        compressed.finish()
    }
}

impl Canvas for PdfPage {
    fn code(&mut self, x: f64, y: f64, size: f64, code: &Code) {
        let scale = size * POINTS / code.width().max(1) as f64;
        let (x, y) = (x * POINTS, (self.height - y) * POINTS);
        // One unit a module, downwards. Writing into a string does not fail.
        let _ = writeln!(self.text, "q {scale:.5} 0 0 -{scale:.5} {x:.3} {y:.3} cm");
        for (x, y, length) in code.runs() {
            let _ = writeln!(self.text, "{x} {y} {length} 1 re");
        }
        self.text.push_str("f Q\n");
    }

    fn text(&mut self, x: f64, y: f64, height: f64, bold: bool, text: &str) {
        let (font, height) = (if bold { 'B' } else { 'R' }, height * POINTS);
        let (x, y) = (x * POINTS, (self.height - y) * POINTS);
        let _ = write!(self.text, "BT /{font} {height:.2} Tf {x:.3} {y:.3} Td (");
        for c in text.chars() {
            match c {
                '(' | ')' | '\\' => self.text.extend(['\\', c]),
                ' '..='~' => self.text.push(c),
                _ => self.text.push('?'),
            }
        }
        self.text.push_str(") Tj ET\n");
    }
}
