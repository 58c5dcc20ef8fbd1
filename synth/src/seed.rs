//! Random numbers that only a seed and a name decide about, so that one part of a song can change without the others.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// The generator for one purpose. ChaCha8, whose numbers are the same on every platform and in every version.
pub fn rng(seed: u64, purpose: &str) -> ChaCha8Rng {
    ChaCha8Rng::from_seed(base::sha256_digest(&[&seed.to_le_bytes(), purpose.as_bytes()].concat()))
}

/// The seed of one song of a collection.
pub fn of_song(seed: u64, song_idx: usize) -> u64 {
    use rand::RngCore;
    rng(seed, &format!("song {song_idx}")).next_u64()
}
