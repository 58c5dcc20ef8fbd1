//! Stems that are computed already, by their place in the song.

use separator::Stereo;
use std::sync::{
    OnceLock,
    atomic::{AtomicI64, AtomicU32, AtomicU64, Ordering, fence},
};

/// Samples of a chunk.
pub const CHUNK_LEN: usize = 4096;
/// Numbers for each sample: four stems, two channels.
const NUM_PLANES: usize = 8;
/// Memory for stems, in bytes: six minutes at 44.1 kHz. In longer songs stems are computed again when they are needed.
const BUDGET: usize = 512 << 20;

/// Chunks of stems. One thread writes, the audio thread reads what is there; neither waits for the other.
pub struct StemStore {
    /// `[chunk % num_slots]`
    slots: Vec<OnceLock<Slot>>,
}

struct Slot {
    /// Which chunk is in it; -1 while it changes.
    chunk_idx: AtomicI64,
    /// With which settings it was computed.
    version: AtomicU64,
    /// `[stem][channel][sample]`, f32 bits: a reader that is overtaken throws away what it has read.
    samples: Box<[AtomicU32]>,
}

impl Default for StemStore {
    fn default() -> Self {
        StemStore::with_num_slots(BUDGET / (4 * NUM_PLANES * CHUNK_LEN))
    }
}

impl StemStore {
    /// Room for so many chunks.
    pub fn with_num_slots(num_slots: usize) -> Self {
        StemStore { slots: (0..num_slots.max(4)).map(|_| OnceLock::new()).collect() }
    }

    /// So many chunks can be there at once, if they follow each other.
    pub fn num_slots(&self) -> i64 {
        self.slots.len() as i64
    }

    /// Whether a chunk is there.
    ///
    /// # Realtime
    /// Safe.
    pub fn has(&self, chunk_idx: i64) -> bool {
        let slot = self.slot(chunk_idx).get();
        slot.is_some_and(|slot| slot.chunk_idx.load(Ordering::Acquire) == chunk_idx)
    }

    /// Whether a chunk of this version is there; older ones are played until then.
    pub fn has_version(&self, chunk_idx: i64, version: u64) -> bool {
        let slot = self.slot(chunk_idx).get();
        self.has(chunk_idx) && slot.is_some_and(|slot| slot.version.load(Ordering::Relaxed) == version)
    }

    fn slot(&self, chunk_idx: i64) -> &OnceLock<Slot> {
        &self.slots[chunk_idx.rem_euclid(self.slots.len() as i64) as usize]
    }

    /// Puts a chunk in, `[stem][channel][sample]`; what was there in its place is gone.
    pub fn write(&self, chunk_idx: i64, version: u64, stems: &[Stereo; 4]) {
        let new = || Slot {
            chunk_idx: AtomicI64::new(-1),
            version: AtomicU64::new(0),
            samples: (0..NUM_PLANES * CHUNK_LEN).map(|_| AtomicU32::new(0)).collect(),
        };
        let slot = self.slot(chunk_idx).get_or_init(new);
        slot.chunk_idx.store(-1, Ordering::Relaxed);
        fence(Ordering::Release);
        for (plane, samples) in slot.samples.chunks_exact(CHUNK_LEN).zip(stems.iter().flatten()) {
            assert_eq!(samples.len(), CHUNK_LEN, "a chunk");
            plane.iter().zip(samples).for_each(|(place, x)| place.store(x.to_bits(), Ordering::Relaxed));
        }
        slot.version.store(version, Ordering::Relaxed);
        slot.chunk_idx.store(chunk_idx, Ordering::Release);
    }

    /// Reads a part of a chunk that begins at `offset`, `[stem][channel][sample]`. False if it is not there.
    ///
    /// # Realtime
    /// Safe: no allocation, no lock, no system call.
    pub fn read_into(&self, chunk_idx: i64, offset: usize, stems: &mut [[&mut [f32]; 2]; 4]) -> bool {
        let Some(slot) = self.slot(chunk_idx).get() else { return false };
        if slot.chunk_idx.load(Ordering::Acquire) != chunk_idx {
            return false;
        }
        for (plane, out) in slot.samples.chunks_exact(CHUNK_LEN).zip(stems.iter_mut().flatten()) {
            let places = &plane[offset..offset + out.len()];
            out.iter_mut().zip(places).for_each(|(x, place)| *x = f32::from_bits(place.load(Ordering::Relaxed)));
        }
        fence(Ordering::Acquire);
        slot.chunk_idx.load(Ordering::Relaxed) == chunk_idx
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{sync::Arc, thread};

    fn chunk(value: f32) -> [Stereo; 4] {
        std::array::from_fn(|stem| {
            [0, 1].map(|channel| vec![value + 0.25 * stem as f32 + 0.125 * channel as f32; CHUNK_LEN])
        })
    }

    fn read(store: &StemStore, chunk_idx: i64, len: usize) -> Option<[Stereo; 4]> {
        let mut out = [(); 4].map(|()| [vec![f32::NAN; len], vec![f32::NAN; len]]);
        let mut stems = out.each_mut().map(|stem| stem.each_mut().map(Vec::as_mut_slice));
        store.read_into(chunk_idx, 100, &mut stems).then_some(out)
    }

    #[test]
    fn chunks_come_back_and_newer_ones_take_their_places() {
        let store = StemStore::with_num_slots(8);
        assert!(!store.has(3) && read(&store, 3, 1).is_none());
        store.write(3, 7, &chunk(1.0));
        let stems = read(&store, 3, 50).unwrap();
        assert!(stems[2][1].iter().all(|&x| x == 1.625) && stems[0][0].len() == 50);
        store.write(11, 7, &chunk(2.0));
        assert!(!store.has(3) && store.has(11) && read(&store, 3, 1).is_none());
        assert!(store.has_version(11, 7) && !store.has_version(11, 8) && !store.has_version(3, 7));
    }

    #[test]
    fn a_chunk_is_whole_or_missing() {
        let store = Arc::new(StemStore::with_num_slots(4));
        let writer = {
            let store = store.clone();
            thread::spawn(move || (0..3000).for_each(|idx| store.write(4 * idx, 1, &chunk(idx as f32))))
        };
        let mut num_read = 0;
        while !writer.is_finished() {
            for idx in 0..3000 {
                if let Some(stems) = read(&store, 4 * idx, 500) {
                    assert!(stems[0][0].iter().all(|&x| x == idx as f32), "{idx}: {}", stems[0][0][0]);
                    num_read += 1;
                }
            }
        }
        writer.join().unwrap();
        assert!(read(&store, 4 * 2999, 1).is_some() && num_read + 1 > 0);
    }
}
