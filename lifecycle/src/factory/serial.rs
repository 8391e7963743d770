//! Serial numbers: a prefix, a counter, a check character; given out in ranges, so that two stations never use one.

use landfall_types::{Record, SerialNumber};
use serde::{Deserialize, Serialize};

/// How the serial numbers of a product line look: `AC` and eight digits give `AC00000012K`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SerialScheme {
    /// What they begin with: capital letters, digits and hyphens, at most 32.
    pub prefix: String,
    /// How many digits the counter has: 1 to 18.
    pub digits: u8,
}

/// Serial numbers that follow each other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SerialRange {
    /// How they look.
    pub scheme: SerialScheme,
    /// The counter of the first.
    pub first: u64,
    /// How many there are.
    pub count: u64,
}

/// The next counter that has not been given out, one record per prefix.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SerialCounter {
    /// How the serial numbers look.
    pub scheme: SerialScheme,
    /// The next counter.
    pub next: u64,
}

/// A serial number that cannot be made or is not one of ours.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadSerial {
    /// The scheme itself is unusable.
    #[error("the serial number scheme is unusable: {0}")]
    Scheme(&'static str),
    /// All numbers of the scheme are used up.
    #[error("serial numbers with the prefix {prefix:?} and {digits} digits are used up")]
    UsedUp {
        /// The prefix.
        prefix: String,
        /// The digits.
        digits: u8,
    },
    /// The text does not have the scheme's form.
    #[error("the serial number does not have the form of this product line")]
    Form,
    /// Its check character is wrong: it was mistyped.
    #[error("the serial number was mistyped: its check character is wrong")]
    Check,
}

impl SerialScheme {
    /// Checks that the scheme can be used.
    pub fn check(&self) -> Result<(), BadSerial> {
        let allowed = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '-';
        if !self.prefix.chars().all(allowed) {
            return Err(BadSerial::Scheme("its prefix may hold capital letters, digits and hyphens only"));
        }
        if self.prefix.len() > 32 {
            return Err(BadSerial::Scheme("its prefix is longer than 32 characters"));
        }
        if !(1..=18).contains(&self.digits) {
            return Err(BadSerial::Scheme("its counter must have 1 to 18 digits"));
        }
        Ok(())
    }

    /// The serial number with that counter.
    pub fn serial(&self, counter: u64) -> Result<SerialNumber, BadSerial> {
        self.check()?;
        if counter >= self.capacity() {
            return Err(self.used_up());
        }
        let body = format!("{}{counter:0width$}", self.prefix, width = usize::from(self.digits));
        format!("{body}{}", check_character(&body)).parse().map_err(|_| BadSerial::Form)
    }

    /// The counter of a serial number of this scheme.
    pub fn counter(&self, serial: &SerialNumber) -> Result<u64, BadSerial> {
        self.check()?;
        let text = serial.as_str();
        let (body, check) =
            text.char_indices().next_back().map(|(at, c)| (text.split_at(at).0, c)).ok_or(BadSerial::Form)?;
        let digits = body.strip_prefix(&self.prefix).filter(|digits| digits.len() == usize::from(self.digits));
        let digits = digits.filter(|digits| digits.bytes().all(|b| b.is_ascii_digit())).ok_or(BadSerial::Form)?;
        if check != check_character(body) {
            return Err(BadSerial::Check);
        }
        digits.parse().map_err(|_| BadSerial::Form)
    }

    fn capacity(&self) -> u64 {
        10u64.saturating_pow(u32::from(self.digits))
    }

    fn used_up(&self) -> BadSerial {
        BadSerial::UsedUp { prefix: self.prefix.clone(), digits: self.digits }
    }
}

/// ISO/IEC 7064 MOD 37,36 over letters and digits: finds every mistyped character and nearly every swap of neighbours.
fn check_character(body: &str) -> char {
    let values = body.chars().filter_map(|c| c.to_digit(36));
    let product = values.fold(36, |product, value| {
        let sum = (product + value) % 36;
        (if sum == 0 { 36 } else { sum }) * 2 % 37
    });
    char::from_digit((37 - product) % 36, 36).map_or('?', |c| c.to_ascii_uppercase())
}

impl SerialRange {
    /// The serial numbers of the range, in order.
    pub fn serials(&self) -> impl Iterator<Item = Result<SerialNumber, BadSerial>> + '_ {
        (self.first..self.first.saturating_add(self.count)).map(|counter| self.scheme.serial(counter))
    }

    /// The part of the range from its `skip`th number on, of at most `count` numbers.
    #[must_use]
    pub fn part(&self, skip: u64, count: u64) -> Self {
        let skip = skip.min(self.count);
        Self {
            scheme: self.scheme.clone(),
            first: self.first.saturating_add(skip),
            count: count.min(self.count - skip),
        }
    }
}

impl SerialRange {
    /// Whether a serial number is in both.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.scheme.prefix == other.scheme.prefix
            && self.first < other.first.saturating_add(other.count)
            && other.first < self.first.saturating_add(self.count)
    }
}

impl SerialCounter {
    /// The counter of a product line that has not begun.
    pub const fn new(scheme: SerialScheme) -> Self {
        Self { scheme, next: 1 }
    }

    /// Sets `count` numbers aside. The range may be used once the returned counter is committed over this one.
    pub fn allocate(&self, count: u64) -> Result<(SerialRange, Self), BadSerial> {
        self.scheme.check()?;
        let next = self.next.checked_add(count).filter(|next| *next <= self.scheme.capacity());
        let next = next.ok_or_else(|| self.scheme.used_up())?;
        let range = SerialRange { scheme: self.scheme.clone(), first: self.next, count };
        Ok((range, Self { scheme: self.scheme.clone(), next }))
    }

    /// Sets `count` numbers from `first` on aside, of which nobody may have any; what is before them stays free for
    /// whoever names it.
    pub fn allocate_from(&self, first: u64, count: u64) -> Result<(SerialRange, Self), BadSerial> {
        let (range, after) = Self { scheme: self.scheme.clone(), next: first }.allocate(count)?;
        Ok((range, Self { next: after.next.max(self.next), ..after }))
    }
}

impl Record for SerialCounter {
    const COLLECTION: &'static str = "factory-serial-counter";

    fn key(&self) -> String {
        self.scheme.prefix.clone()
    }
}
