//! Labels, page after page, into files.

use super::{Code, Format, Label, Layout, pdf::Pdf, png::PngPage, svg::SvgPage};
use std::{
    fs::{self, File},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

/// Sheets of labels in the making. Labels are added one by one; [`Sheets::finish`] completes them.
///
/// A PDF is one file; SVG and PNG are one file a page, numbered if there is more than one. A file gets its name when it
/// is complete, so what has its name can be printed.
#[derive(Debug)]
pub struct Sheets {
    path: PathBuf,
    layout: Layout,
    pages: u64,
    pending: Vec<(Label, Code)>,
    made: Vec<PathBuf>,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Pdf(Box<Pdf<BufWriter<File>>>),
    Svg,
    Png,
}

impl Sheets {
    /// Sheets for `labels` labels in the file `path`, in the format that its name asks for.
    pub fn new(path: &Path, layout: Layout, labels: u64) -> io::Result<Self> {
        let kind = match Format::of(path) {
            Some(Format::Pdf) => {
                Kind::Pdf(Box::new(Pdf::new(BufWriter::new(File::create(unfinished(path))?), layout)?))
            }
            Some(Format::Svg) => Kind::Svg,
            Some(Format::Png) => Kind::Png,
            None => {
                let why = format!("{}: the name of the file must end in .pdf, .svg or .png", path.display());
                return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
            }
        };
        let pages = labels.div_ceil(layout.labels().max(1) as u64);
        Ok(Self { path: path.into(), layout, pages, pending: Vec::new(), made: Vec::new(), kind })
    }

    /// Adds a label, and writes the page that it fills.
    pub fn add(&mut self, label: Label) -> io::Result<()> {
        let code = Code::of(&label.uri).map_err(|why| io::Error::new(io::ErrorKind::InvalidData, why))?;
        self.pending.push((label, code));
        if self.pending.len() >= self.layout.labels() { self.page() } else { Ok(()) }
    }

    /// Writes what is left; the files, in the order of the labels.
    pub fn finish(mut self) -> io::Result<Vec<PathBuf>> {
        if !self.pending.is_empty() {
            self.page()?;
        }
        if let Kind::Pdf(pdf) = self.kind {
            let file = pdf.finish()?.into_inner().map_err(io::IntoInnerError::into_error)?;
            file.sync_all()?;
            fs::rename(unfinished(&self.path), &self.path)?;
            self.made.push(self.path);
        }
        Ok(self.made)
    }

    fn page(&mut self) -> io::Result<()> {
        let (layout, labels) = (self.layout, std::mem::take(&mut self.pending));
        let bytes = match &mut self.kind {
            Kind::Pdf(pdf) => return pdf.page(|page| layout.draw(&labels, page)),
            Kind::Svg => {
                let mut page = SvgPage::new(&layout);
                layout.draw(&labels, &mut page);
                page.finish()
            }
            Kind::Png => {
                let mut page = PngPage::new(&layout);
                layout.draw(&labels, &mut page);
                page.finish()?
            }
        };
        let path = self.numbered();
        let mut file = File::create(unfinished(&path))?;
        file.write_all(&bytes)?;
        file.sync_all()?;
        fs::rename(unfinished(&path), &path)?;
        self.made.push(path);
        Ok(())
    }

    /// The name of the next page's file.
    fn numbered(&self) -> PathBuf {
        if self.pages <= 1 {
            return self.path.clone();
        }
        let text = |part: Option<&std::ffi::OsStr>| part.unwrap_or_default().to_string_lossy().into_owned();
        let digits = self.pages.to_string().len();
        let name = format!("{}-{:0digits$}", text(self.path.file_stem()), self.made.len() + 1);
        self.path.with_file_name(format!("{name}.{}", text(self.path.extension())))
    }
}

/// What a file is called until it is complete.
fn unfinished(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    name.into()
}
