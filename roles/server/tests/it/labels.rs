//! QR pictures and sheets of labels; a real reader reads them.

use crate::book::uri;
use landfall_server::labels::{Code, Format, Label, Layout, Picture, Sheets, Unreadable, picture};
use landfall_testkit::{Rng, tool};
use std::{collections::BTreeSet, fs, path::Path, process::Command};

fn label(number: u8) -> Label {
    Label {
        uri: uri(number, Some(&format!("SN=KT-{number} model=T-1"))).to_string(),
        serial_number: format!("KT-{number} (a\\b) <&>"),
        model: "T-1 \u{e9}".into(),
    }
}

/// What zbarimg reads in a picture, if it is here.
fn read(picture: &Path) -> Option<BTreeSet<String>> {
    let output = Command::new(tool("zbarimg")?).args(["--quiet", "--raw"]).arg(picture).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    Some(String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect())
}

fn sheets(path: &Path, layout: Layout, count: u8) -> Vec<std::path::PathBuf> {
    let mut sheets = Sheets::new(path, layout, u64::from(count)).unwrap();
    (1..=count).try_for_each(|number| sheets.add(label(number))).unwrap();
    sheets.finish().unwrap()
}

fn uris(numbers: std::ops::RangeInclusive<u8>) -> BTreeSet<String> {
    numbers.map(|number| label(number).uri).collect()
}

#[test]
fn a_reader_reads_single_pictures() {
    let folder = tempfile::tempdir().unwrap();
    let uri = label(1).uri;
    let code = Code::of(&uri).unwrap();
    let path = folder.path().join("code.png");
    fs::write(&path, picture(&code, Format::Png).unwrap()).unwrap();
    if let Some(found) = read(&path) {
        assert_eq!(found, BTreeSet::from([uri]));
    }
    let svg = String::from_utf8(picture(&code, Format::Svg).unwrap()).unwrap();
    assert!(svg.starts_with("<svg") && svg.ends_with("</svg>\n"));
    assert!(picture(&code, Format::Pdf).is_err());
    assert!(Code::of(&"x".repeat(4096)).is_err());
}

/// What our own reader reads in a picture of ours, however much of it is damaged.
#[test]
fn codes_are_read_or_refused_and_nothing_else() {
    let uri = label(1).uri;
    let mut reader = png::Decoder::new(std::io::Cursor::new(picture(&Code::of(&uri).unwrap(), Format::Png).unwrap()));
    reader.set_transformations(png::Transformations::normalize_to_color8());
    let mut reader = reader.read_info().unwrap();
    let mut dots = vec![0; reader.output_buffer_size().unwrap()];
    let width = reader.next_frame(&mut dots).unwrap().width as usize;
    let read = |width, dots: &[u8]| Picture::new(width, dots.to_vec()).map(|picture| picture.texts());
    assert_eq!(read(width, &dots), Some(Ok(vec![uri.clone()])));
    assert_eq!(read(width, &vec![255; dots.len()]), Some(Err(Unreadable::Nothing)));
    for (width, dots) in [(0, dots.as_slice()), (width, &dots[1..]), (usize::MAX, &dots), (width, &[])] {
        assert_eq!(read(width, dots), None);
    }
    let mut rng = Rng::new(7);
    for _ in 0..200 {
        let mut damaged = dots.clone();
        for _ in 0..rng.below(40) {
            let (start, length) = (rng.below(dots.len() as u64) as usize, rng.below(2_000) as usize);
            let end = dots.len().min(start + length);
            damaged[start..end].fill(rng.next() as u8);
        }
        // The code corrects a part of it; what it says is then what it said.
        if let Some(Ok(texts)) = read(width, &damaged) {
            assert!(texts.iter().all(|text| *text == uri), "{texts:?}");
        }
        // Of another width it says nothing, and does no harm.
        read(1 + rng.below(3_000) as usize, &damaged);
    }
}

#[test]
fn a_reader_reads_every_label_of_a_sheet() {
    let folder = tempfile::tempdir().unwrap();
    let pages = sheets(&folder.path().join("labels.png"), Layout::A4_24, 30);
    let names: Vec<_> = pages.iter().map(|page| page.file_name().unwrap().to_str().unwrap()).collect();
    assert_eq!(names, ["labels-1.png", "labels-2.png"]);
    for (page, numbers) in pages.iter().zip([1..=24, 25..=30]) {
        if let Some(found) = read(page) {
            assert_eq!(found, uris(numbers));
        }
    }
    let single = sheets(&folder.path().join("one.svg"), Layout::SINGLE, 1);
    assert_eq!(single, [folder.path().join("one.svg")]);
    let svg = fs::read_to_string(&single[0]).unwrap();
    assert!(svg.contains("KT-1 (a\\b) &lt;&amp;"), "{svg}");
}

#[test]
fn a_reader_reads_every_page_of_a_pdf() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("labels.pdf");
    assert_eq!(sheets(&path, Layout::LETTER_24, 30), std::slice::from_ref(&path));
    let bytes = fs::read(&path).unwrap();
    assert!(bytes.starts_with(b"%PDF-1.4") && bytes.ends_with(b"%%EOF\n"));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing unfinished is left");
    let Some(pdftoppm) = tool("pdftoppm") else { return };
    let picture = folder.path().join("page");
    let output = Command::new(pdftoppm).args(["-png", "-r", "300"]).arg(&path).arg(&picture).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    for (page, numbers) in [("page-1.png", 1..=24), ("page-2.png", 25..=30)] {
        if let Some(found) = read(&folder.path().join(page)) {
            assert_eq!(found, uris(numbers));
        }
    }
}

/// More than are drawn at once: each stands on its page, and one that does not fit into a code is an error.
#[test]
fn labels_keep_their_order_however_many_there_are() {
    const COUNT: usize = 800;
    let folder = tempfile::tempdir().unwrap();
    let numbered = |number: usize| Label { serial_number: format!("KT-{number:05}"), ..label(1) };
    let mut sheets = Sheets::new(&folder.path().join("labels.svg"), Layout::A4_24, COUNT as u64).unwrap();
    (0..COUNT).try_for_each(|number| sheets.add(numbered(number))).unwrap();
    let pages = sheets.finish().unwrap();
    assert_eq!(pages.len(), COUNT.div_ceil(24));
    let text: String = pages.iter().map(|page| fs::read_to_string(page).unwrap()).collect();
    let places: Vec<_> = (0..COUNT).map(|number| text.find(&numbered(number).serial_number).unwrap()).collect();
    assert!(places.is_sorted());

    let mut sheets = Sheets::new(&folder.path().join("labels.pdf"), Layout::A4_24, 2).unwrap();
    sheets.add(label(1)).unwrap();
    let added = sheets.add(Label { uri: "x".repeat(4096), ..label(2) });
    assert!(added.and_then(|()| sheets.finish()).is_err());
    assert!(!folder.path().join("labels.pdf").exists());
}

#[test]
fn a_name_that_says_no_format_is_refused() {
    for name in ["labels", "labels.doc", "labels.pdf.gz"] {
        assert!(Sheets::new(Path::new(name), Layout::A4_24, 1).is_err(), "{name}");
    }
}
