//! A few seconds of a song that judges, as it is and as it was separated: to be seen and heard in TensorBoard.

use crate::data::{STEMS, WholeSong};

/// Length of the snippet.
const NUM_SAMPLES: usize = 5 * 44_100;

/// The loudest seconds of a song and of its estimates.
pub struct Snippet {
    start: usize,
    /// `[channel][sample]`
    mix: [Vec<f32>; 2],
    /// `[stem][channel][sample]`
    estimates: Vec<[Vec<f32>; 2]>,
}

impl Snippet {
    /// A snippet where most stems sound: it starts where the softest stem is loudest.
    pub fn new(song: &WholeSong) -> Self {
        let starts = (0..song.num_samples.saturating_sub(NUM_SAMPLES).max(1)).step_by(NUM_SAMPLES);
        let softest = |start: &usize| {
            let energy = |stem: &Vec<[f32; 2]>| {
                let end = (start + NUM_SAMPLES).min(stem.len());
                stem[*start..end].iter().step_by(16).map(|[l, r]| l * l + r * r).sum::<f32>()
            };
            song.stems.iter().flatten().map(energy).fold(f32::INFINITY, f32::min)
        };
        let start = starts.max_by(|a, b| softest(a).total_cmp(&softest(b))).unwrap_or(0);
        let num_samples = NUM_SAMPLES.min(song.num_samples);
        let mix = [0, 1].map(|channel| {
            let sum = |i: usize| song.stems.iter().flatten().map(|stem| stem[start + i][channel]).sum();
            (0..num_samples.min(song.num_samples - start)).map(sum).collect::<Vec<f32>>()
        });
        let silence = || [0, 1].map(|_| vec![0.0; mix[0].len()]);
        Snippet { start, estimates: STEMS.map(|_| silence()).into(), mix }
    }

    /// Takes in a piece of an estimate that starts at sample `start` of the song.
    pub fn hear(&mut self, stem: usize, channel: usize, start: usize, samples: &[f32]) {
        let kept = &mut self.estimates[stem][channel];
        let first = self.start.max(start);
        let last = (self.start + kept.len()).min(start + samples.len());
        if first < last {
            kept[first - self.start..last - self.start].copy_from_slice(&samples[first - start..last - start]);
        }
    }

    /// Names and sounds, `[channel][sample]`: the mix and its estimates.
    pub fn sounds(&self) -> Vec<(String, &[Vec<f32>; 2])> {
        let estimates = STEMS.iter().zip(&self.estimates).map(|(name, sound)| (format!("snippet/{name}"), sound));
        [("snippet/mix".to_owned(), &self.mix)].into_iter().chain(estimates).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Known;

    #[test]
    fn pieces_come_together_where_all_stems_sound() {
        let num_samples = 4 * NUM_SAMPLES;
        let loud_from = |from: usize| {
            let sample = |i: usize| if (from..from + NUM_SAMPLES).contains(&i) { [0.5, -0.5] } else { [0.01, 0.0] };
            Some((0..num_samples).map(sample).collect::<Vec<[f32; 2]>>())
        };
        let stems = [(); 4].map(|()| loud_from(2 * NUM_SAMPLES));
        let song = WholeSong { stems, known: Known::All, num_samples };
        let mut snippet = Snippet::new(&song);
        assert_eq!((snippet.start, snippet.mix[1][7]), (2 * NUM_SAMPLES, -2.0));
        for start in (0..num_samples).step_by(1_000) {
            let samples: Vec<f32> = (start..start + 1_000).map(|i| i as f32).collect();
            snippet.hear(2, 1, start, &samples);
        }
        let kept = &snippet.sounds()[3].1[1];
        assert!(kept.iter().enumerate().all(|(i, sample)| *sample == (snippet.start + i) as f32));
    }
}
