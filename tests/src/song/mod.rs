//! Half a minute of music, composed and synthesized here: drums, bass, chords and a lead that sings vowels. No
//! samples from elsewhere, so that the demo may show it and the tests know the true stems. The same on every run.

mod bass;
mod chords;
mod drums;
mod filters;
mod reverb;
mod score;
mod voice;

/// Names of the stems, in the order of `Song::stems`.
pub const STEMS: [&str; 4] = ["vocals", "drums", "bass", "other"];

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

/// Adds a tone to `out` from `start_s` on: `tone` gives the sample at a time after the start, in s, and `pan` says where
/// it stands between left (-1) and right (+1).
fn add_tone(
    out: &mut [Vec<f32>; 2],
    rate: f64,
    start_s: f64,
    duration_s: f64,
    pan: f64,
    mut tone: impl FnMut(f64) -> f64,
) {
    let start = (start_s * rate).round() as usize;
    let end = (start + (duration_s * rate) as usize).min(out[0].len());
    // Equal power: the squares of the two gains add up to one.
    let angle = (pan + 1.0) * std::f64::consts::FRAC_PI_4;
    let gains = [angle.cos(), angle.sin()];
    for sample_idx in start..end {
        let value = tone((sample_idx - start) as f64 / rate);
        for (channel, gain) in out.iter_mut().zip(gains) {
            channel[sample_idx] += (value * gain) as f32;
        }
    }
}

/// Noise, the same on every run (SplitMix64 by Sebastiano Vigna, public domain).
struct Noise(u64);

impl Noise {
    /// The next value in -1..1.
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 52) as f64 - 1.0
    }
}

/// The frequency of a MIDI note.
fn note_hz(note: f64) -> f64 {
    440.0 * ((note - 69.0) / 12.0).exp2()
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
