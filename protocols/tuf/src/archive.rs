//! A bundle in one file: an archive as tar makes it (POSIX.1-2017 pax, ustar interchange format; and GNU tar's own).

use crate::{Source, TARGETS};
use landfall_types::{Fault, Refusal};
use std::collections::BTreeMap;

const BLOCK: usize = 512;
/// The longest path in one.
const PATH: usize = 1024;

/// The files of an archive, by their paths in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Archive<'a>(BTreeMap<String, &'a [u8]>);

impl<'a> Archive<'a> {
    /// Reads an archive; folders are passed over.
    ///
    /// # Errors
    /// If it is cut off or damaged, has a file twice, too many, or something in it that is neither file nor folder.
    pub fn read(bytes: &'a [u8]) -> Result<Self, Refusal> {
        let (mut files, mut rest, mut long) = (BTreeMap::new(), bytes, None::<String>);
        loop {
            let Some((header, after)) = rest.split_at_checked(BLOCK) else { return Err(damaged("it is cut off")) };
            if header.iter().all(|byte| *byte == 0) {
                return Ok(Self(files));
            }
            let header = Header::read(header)?;
            let (content, after) = after.split_at_checked(header.size).ok_or_else(|| damaged("it is cut off"))?;
            let padding = header.size.next_multiple_of(BLOCK) - header.size;
            rest = after.get(padding..).ok_or_else(|| damaged("it is cut off"))?;
            match header.kind {
                b'L' => long = Some(text(content)?),
                // pax: what follows is said of the next file, or of all; times and owners are nothing to us, names would be.
                b'x' | b'g' if says_path(content) => return Err(damaged("a path in it is in the way of pax")),
                b'x' | b'g' | b'5' => {}
                b'0' | 0 => {
                    let path = long.take().unwrap_or(header.path);
                    let path = path.trim_start_matches("./").to_owned();
                    if path.is_empty() || path.len() > PATH {
                        return Err(damaged("a file in it has no path, or a long one"));
                    }
                    // The metadata of a bundle is a handful of files.
                    if files.len() > 2 * TARGETS {
                        return Err(damaged("it has too many files"));
                    }
                    if files.insert(path, content).is_some() {
                        return Err(damaged("a file is in it twice"));
                    }
                }
                _ => return Err(damaged("it has something in it that is neither file nor folder")),
            }
        }
    }

    /// Writes an archive of these files; None if a path is too long for one.
    pub fn write(files: &BTreeMap<String, Vec<u8>>) -> Option<Vec<u8>> {
        let mut archive = Vec::new();
        for (path, content) in files {
            archive.extend(Header::write(path, content.len())?);
            archive.extend_from_slice(content);
            archive.resize(archive.len().next_multiple_of(BLOCK), 0);
        }
        archive.resize(archive.len() + 2 * BLOCK, 0);
        Some(archive)
    }
}

/// Metadata stands at the top, or in a folder of its own, as publishers have it on the web.
impl Source for Archive<'_> {
    fn file(&self, path: &str, longest: u64) -> Option<Vec<u8>> {
        let found = self.0.get(path).or_else(|| self.0.get(&format!("metadata/{path}")))?;
        u64::try_from(found.len()).is_ok_and(|length| length <= longest).then(|| found.to_vec())
    }
}

struct Header {
    path: String,
    size: usize,
    kind: u8,
}

impl Header {
    fn read(block: &[u8]) -> Result<Self, Refusal> {
        let part = |from: usize, length: usize| block.get(from..from + length).unwrap_or_default();
        let sum = number(part(148, 8)).ok_or_else(|| damaged("a header in it has no sum"))?;
        // The sum is that of all octets, its own counted as spaces.
        let counted: usize = block.iter().map(|byte| usize::from(*byte)).sum();
        let own: usize = part(148, 8).iter().map(|byte| usize::from(*byte)).sum();
        if counted - own + 8 * usize::from(b' ') != sum {
            return Err(damaged("a header in it is damaged"));
        }
        let size = number(part(124, 12)).ok_or_else(|| damaged("a file in it has no length"))?;
        let (name, prefix) = (text(part(0, 100))?, text(part(345, 155)));
        // GNU tar has other things in the place of the prefix.
        let is_posix = part(257, 6) == b"ustar\0";
        let path = match prefix {
            Ok(prefix) if is_posix && !prefix.is_empty() => format!("{prefix}/{name}"),
            _ => name,
        };
        Ok(Self { path, size, kind: part(156, 1).first().copied().unwrap_or_default() })
    }

    fn write(path: &str, size: usize) -> Option<[u8; BLOCK]> {
        let fits = |at: usize| at <= 155 && path.len() - at - 1 <= 100;
        let (prefix, name) = match path.len() <= 100 {
            true => ("", path),
            false => {
                let at = path.match_indices('/').map(|(at, _)| at).find(|at| fits(*at))?;
                (path.get(..at)?, path.get(at + 1..)?)
            }
        };
        let mut block = [0; BLOCK];
        let mut put = |at: usize, text: &[u8]| {
            block.iter_mut().skip(at).zip(text).for_each(|(place, byte)| *place = *byte);
        };
        put(0, name.as_bytes());
        put(100, b"0000644\0");
        put(108, b"0000000\0");
        put(116, b"0000000\0");
        put(124, format!("{size:011o}\0").as_bytes());
        put(136, b"00000000000\0");
        put(148, b"        ");
        put(156, b"0");
        put(257, b"ustar\x0000");
        put(345, prefix.as_bytes());
        let sum: usize = block.iter().map(|byte| usize::from(*byte)).sum();
        let sum = format!("{sum:06o}\0 ");
        block.iter_mut().skip(148).zip(sum.as_bytes()).for_each(|(place, byte)| *place = *byte);
        Some(block)
    }
}

/// Up to the first octet of nothing.
fn text(field: &[u8]) -> Result<String, Refusal> {
    let field = field.split(|byte| *byte == 0).next().unwrap_or_default();
    std::str::from_utf8(field).map(str::to_owned).map_err(|_| damaged("a name in it is not UTF-8"))
}

/// Octal, with spaces or octets of nothing around it.
fn number(field: &[u8]) -> Option<usize> {
    let digits = std::str::from_utf8(field).ok()?.trim_matches(['\0', ' ']);
    usize::from_str_radix(digits, 8).ok()
}

/// pax records are `LENGTH NAME=VALUE\n`.
fn says_path(records: &[u8]) -> bool {
    records.windows(6).any(|part| matches!(part, b" path=")) || records.windows(6).any(|part| matches!(part, b" size="))
}

fn damaged(why: &str) -> Refusal {
    Refusal::new(Fault::Malformed, "bundle-archive", "POSIX.1-2017 pax, ustar Interchange Format", why)
}
