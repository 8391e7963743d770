//! Labels, page after page, into files.

use super::{
    Code, Format, Label, Layout,
    pdf::{Pdf, PdfPage},
    png::PngPage,
    svg::SvgPage,
};
use std::{
    fs::{self, File},
    io::{self, BufWriter, Write},
    num::NonZero,
    path::{Path, PathBuf},
    thread,
};

/// So many labels are drawn at once, by all cores together.
const AT_ONCE: usize = 768;

/// Sheets of labels in the making. Labels are added one by one; [`Sheets::finish`] completes them.
///
/// A PDF is one file; SVG and PNG are one file a page, numbered if there is more than one. A file gets its name when it
/// is complete, so what has its name can be printed.
#[derive(Debug)]
pub struct Sheets {
    path: PathBuf,
    layout: Layout,
    pages: u64,
    pending: Vec<Label>,
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

    /// Adds a label; now and then, what has come together is drawn and written.
    ///
    /// # Errors
    /// If it cannot be written, or a URI is longer than a code can hold.
    pub fn add(&mut self, label: Label) -> io::Result<()> {
        self.pending.push(label);
        let whole_pages = AT_ONCE.next_multiple_of(self.layout.labels().max(1));
        if self.pending.len() >= whole_pages { self.write() } else { Ok(()) }
    }

    /// Writes what is left; the files, in the order of the labels.
    pub fn finish(mut self) -> io::Result<Vec<PathBuf>> {
        self.write()?;
        if let Kind::Pdf(pdf) = self.kind {
            let file = pdf.finish()?.into_inner().map_err(io::IntoInnerError::into_error)?;
            file.sync_all()?;
            fs::rename(unfinished(&self.path), &self.path)?;
            self.made.push(self.path);
        }
        Ok(self.made)
    }

    fn write(&mut self) -> io::Result<()> {
        let labels = std::mem::take(&mut self.pending);
        let pages: Vec<_> = labels.chunks(self.layout.labels().max(1)).collect();
        let cores = thread::available_parallelism().map_or(1, NonZero::get);
        let this = &*self;
        let drawn = thread::scope(|scope| {
            let begun: Vec<_> = pages
                .chunks(pages.len().div_ceil(cores).max(1))
                .map(|part| scope.spawn(move || part.iter().map(|labels| this.drawn(labels)).collect()))
                .collect();
            let died = |_| Err(io::Error::other("a thread that drew labels died"));
            begun.into_iter().map(|part| part.join().unwrap_or_else(died)).collect::<io::Result<Vec<Vec<_>>>>()
        });
        drawn?.iter().flatten().try_for_each(|page| self.page(page))
    }

    /// A page in the form in which it is written.
    fn drawn(&self, labels: &[Label]) -> io::Result<Vec<u8>> {
        let too_long = |why| io::Error::new(io::ErrorKind::InvalidData, why);
        let labels = labels.iter().map(|label| Ok((label, Code::of(&label.uri).map_err(too_long)?)));
        let labels = labels.collect::<io::Result<Vec<_>>>()?;
        match &self.kind {
            Kind::Pdf(_) => {
                let mut page = PdfPage::new(&self.layout);
                self.layout.draw(&labels, &mut page);
                page.finish()
            }
            Kind::Svg => {
                let mut page = SvgPage::new(&self.layout);
                self.layout.draw(&labels, &mut page);
                Ok(page.finish())
            }
            Kind::Png => {
                let mut page = PngPage::new(&self.layout);
                self.layout.draw(&labels, &mut page);
                page.finish()
            }
        }
    }

    fn page(&mut self, page: &[u8]) -> io::Result<()> {
        if let Kind::Pdf(pdf) = &mut self.kind {
            return pdf.page(page);
        }
        let path = self.numbered();
        let mut file = File::create(unfinished(&path))?;
        file.write_all(page)?;
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
