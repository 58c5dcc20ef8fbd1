//! Random numbers that only a seed and a name decide about, so that one part of a song can change without the others.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use sha2::{Digest, Sha256};

/// The generator for one purpose. ChaCha8, whose numbers are the same on every platform and in every version.
pub fn rng(seed: u64, purpose: &str) -> ChaCha8Rng {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(&Sha256::new().chain_update(seed.to_le_bytes()).chain_update(purpose).finalize());
    ChaCha8Rng::from_seed(bytes)
}

/// The seed of one song of a collection.
pub fn of_song(seed: u64, song_idx: usize) -> u64 {
    use rand::RngCore;
    rng(seed, &format!("song {song_idx}")).next_u64()
}
