//! Random choices that a seed repeats: SplitMix64, the same everywhere.

use standfast_protocol::digest::Digest;

/// The variable that changes the seed of a random test.
pub const SEED_VARIABLE: &str = "STANDFAST_SEED";

/// A source of random choices.
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// Starts from `STANDFAST_SEED`, or from this seed; returns the seed too, for messages.
    ///
    /// # Panics
    ///
    /// When the variable is no number.
    pub fn seeded(seed: u64) -> (u64, Self) {
        let seed = std::env::var(SEED_VARIABLE).map_or(seed, |text| text.parse().expect("a seed is a number"));
        (seed, Self(seed))
    }

    /// Starts from exactly this seed, whatever the variable says: one of many within a test.
    pub fn of(seed: u64) -> Self {
        Self(seed)
    }

    /// Returns the next 64 bits.
    pub fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Returns a number below `end`, which is not 0.
    pub fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.roll() % end as u64).expect("it is below a usize")
    }

    /// True once in `n` times.
    pub fn once_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    /// Returns one of these, of which there is at least one.
    pub fn pick<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> &'a T {
        from[self.below(from.len())]
    }

    /// Returns a digest of nothing in particular.
    pub fn digest(&mut self) -> Digest {
        Digest::of(&self.roll().to_be_bytes())
    }
}
