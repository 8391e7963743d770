//! Randomness that can be repeated: the same seed gives the same numbers on every machine.

/// A seeded generator (SplitMix64). For tests only: it hides nothing.
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    /// The generator with that seed. Print the seed when a test fails.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`, and zero if `end` is zero.
    pub const fn below(&mut self, end: u64) -> u64 {
        match self.next().checked_rem(end) {
            Some(number) => number,
            None => 0,
        }
    }

    /// True in so many of a hundred cases.
    pub const fn percent(&mut self, of_a_hundred: u8) -> bool {
        self.below(100) < of_a_hundred as u64
    }

    /// Random bytes.
    pub fn bytes<const N: usize>(&mut self) -> [u8; N] {
        std::array::from_fn(|_| self.next().to_le_bytes()[0])
    }
}
