//! Half a minute of music, composed and synthesized here: drums, bass, chords and a lead that sings vowels. No
//! samples from elsewhere, so that the demo may show it and the tests know the true stems. The same on every run.

mod bass;
mod chords;
mod drums;
mod score;
mod voice;

use synth::tone::{Noise, add_tone, note_hz};

/// Names of the stems, in the order of `Song::stems`.
pub use base::STEMS;

/// How loud each stem stands in the mix, as a mixing engineer would set the faders.
const MIX_GAINS: [f32; 4] = [2.4, 1.0, 0.65, 1.8];

/// A song whose stems are known.
pub struct Song {
    /// Of all stems.
    pub sample_rate_hz: u32,
    /// `[stem][channel][sample]`, in the order of `STEMS`; all of one length.
    pub stems: [[Vec<f32>; 2]; 4],
}

impl Song {
    /// The sum of the stems: `[channel][sample]`.
    ///
    /// # Realtime
    /// Not safe: allocates.
    pub fn mix(&self) -> [Vec<f32>; 2] {
        std::array::from_fn(|channel_idx| {
            let num_samples = self.stems[0][channel_idx].len();
            (0..num_samples).map(|i| self.stems.iter().map(|stem| stem[channel_idx][i]).sum()).collect()
        })
    }
}

/// Composes the song at `sample_rate_hz`.
///
/// # Realtime
/// Not safe: allocates, and takes about a second.
pub fn compose(sample_rate_hz: u32) -> Song {
    let rate = f64::from(sample_rate_hz);
    let mut stems = [voice::sing(rate), drums::play(rate), bass::play(rate), chords::play(rate)];
    for (stem, gain) in stems.iter_mut().zip(MIX_GAINS) {
        stem.iter_mut().flatten().for_each(|sample| *sample *= gain);
    }
    let mut peak = 0.0f32;
    for channel_idx in 0..2 {
        for sample_idx in 0..stems[0][channel_idx].len() {
            peak = peak.max(stems.iter().map(|stem| stem[channel_idx][sample_idx]).sum::<f32>().abs());
        }
    }
    let gain = 0.8 / peak;
    for sample in stems.iter_mut().flatten().flatten() {
        *sample *= gain;
    }
    Song { sample_rate_hz, stems }
}

/// Silence of the song's length.
fn silence(rate: f64) -> [Vec<f32>; 2] {
    let num_samples = (score::DURATION_S * rate).round() as usize;
    [vec![0.0; num_samples], vec![0.0; num_samples]]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_song_is_the_same_each_time_and_every_stem_is_heard() {
        let song = compose(22_050);
        assert_eq!(song.stems, compose(22_050).stems);
        let num_samples = song.stems[0][0].len();
        assert_eq!(num_samples, 30 * 22_050);
        for (name, stem) in STEMS.iter().zip(&song.stems) {
            for channel in stem {
                assert_eq!(channel.len(), num_samples);
                let power = channel.iter().map(|x| f64::from(x * x)).sum::<f64>() / num_samples as f64;
                let level_db = 10.0 * power.log10();
                assert!((-40.0..-10.0).contains(&level_db), "{name}: {level_db:.1} dB");
            }
        }
        let peak = song.mix().iter().flatten().fold(0.0f32, |peak, x| peak.max(x.abs()));
        assert!((0.79..0.81).contains(&peak), "{peak}");
    }
}
