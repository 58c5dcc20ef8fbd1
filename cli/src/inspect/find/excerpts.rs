//! The stretch of every song on which designs are compared.

use anyhow::{Result, bail};
use audio::{STEM_NAMES, StemFolder};

use crate::progress::{Progress, ProgressKind};

/// Part of a song, all its stems.
pub struct Excerpt {
    pub song: String,
    /// Where it begins.
    pub start_s: f64,
    /// Of the stems that the song has, in the order of [`STEM_NAMES`].
    pub stem_names: Vec<&'static str>,
    /// `[stem][channel][sample]`
    pub stems: Vec<[Vec<f32>; 2]>,
}

/// Reads the songs in `data`, all at `sample_rate_hz`, and keeps `seconds` of each: the stretch, in steps of a second,
/// in which the stem that sounds least compared with its own mean sounds most. So no stem is missing where another
/// stretch has them all. Songs that are shorter are taken whole.
pub fn load(data: &std::path::Path, seconds: f64, sample_rate_hz: u32) -> Result<Vec<Excerpt>> {
    StemFolder::open_all(data)?.iter().map(|song| excerpt(song, seconds, sample_rate_hz)).collect()
}

fn excerpt(song: &StemFolder, seconds: f64, sample_rate_hz: u32) -> Result<Excerpt> {
    let mut reader = song.reader()?;
    if reader.sample_rate_hz() != sample_rate_hz {
        bail!("{}: expected stems at {sample_rate_hz} Hz, got {} Hz", song.dir().display(), reader.sample_rate_hz());
    }
    let stem_idxs: Vec<usize> = (0..STEM_NAMES.len()).filter(|idx| song.file(*idx).is_some()).collect();
    let bar = Progress::new(ProgressKind::Auto).song(&song.name(), reader.num_samples());
    let mut stems: Vec<[Vec<f32>; 2]> = vec![Default::default(); stem_idxs.len()];
    let mut block: [[Vec<f32>; 2]; STEM_NAMES.len()] = Default::default();
    loop {
        let len = reader.read_block(sample_rate_hz as usize, &mut block)?;
        if len == 0 {
            break;
        }
        for (stem, idx) in stems.iter_mut().zip(&stem_idxs) {
            stem.iter_mut().zip(&block[*idx]).for_each(|(all, new)| all.extend(new));
        }
        bar.set_position(stems[0][0].len() as u64);
    }
    bar.finish_and_clear();
    let num_samples = stems[0][0].len();
    if num_samples == 0 {
        bail!("{}: expected stems with sound in them, got 0 samples", song.dir().display());
    }
    let len = ((seconds * f64::from(sample_rate_hz)) as usize).clamp(1, num_samples);
    let start = liveliest(&stems, len, sample_rate_hz as usize);
    for channel in stems.iter_mut().flatten() {
        *channel = channel[start..start + len].to_vec();
    }
    Ok(Excerpt {
        song: song.name(),
        start_s: start as f64 / f64::from(sample_rate_hz),
        stem_names: stem_idxs.into_iter().map(|idx| STEM_NAMES[idx]).collect(),
        stems,
    })
}

/// First sample of the stretch of `len` samples whose least present stem is the most present, in steps of `step`.
fn liveliest(stems: &[[Vec<f32>; 2]], len: usize, step: usize) -> usize {
    // `[stem][sample]`, running sums of energy at multiples of `step`.
    let sums: Vec<Vec<f64>> = stems
        .iter()
        .map(|[left, right]| {
            let mut sum = 0.0;
            let energy = |x: f32| f64::from(x) * f64::from(x);
            let steps = left.chunks(step).zip(right.chunks(step));
            std::iter::once(0.0)
                .chain(steps.map(|(left, right)| {
                    sum += left.iter().chain(right).map(|x| energy(*x)).sum::<f64>();
                    sum
                }))
                .collect()
        })
        .collect();
    let num_samples = stems[0][0].len();
    let presence = |start: &usize| {
        let (from, to) = (start / step, (start + len) / step);
        let share = |sums: &Vec<f64>| match sums.last() {
            Some(total) if *total > 0.0 => (sums[to] - sums[from]) / total,
            _ => f64::INFINITY,
        };
        sums.iter().map(share).fold(f64::INFINITY, f64::min)
    };
    let starts: Vec<usize> = (0..=num_samples - len).step_by(step).collect();
    // The first of equals.
    starts.into_iter().rev().max_by(|a, b| presence(a).total_cmp(&presence(b))).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stretch_with_every_stem_is_taken() {
        let loud = |from: usize, to: usize| (0..1000).map(|i| f32::from(u8::from(i >= from && i < to))).collect();
        let stem = |from, to| [loud(from, to), vec![0.0; 1000]];
        // From 600 on the first stem has 0.4 of its energy and the second half; anywhere else one has less.
        let both = |a: [Vec<f32>; 2], b: [Vec<f32>; 2]| {
            std::array::from_fn(|c| a[c].iter().zip(&b[c]).map(|(a, b)| a + b).collect())
        };
        let stems = [both(stem(100, 300), stem(600, 900)), both(stem(250, 350), stem(600, 700)), stem(0, 0)];
        assert_eq!(liveliest(&stems, 200, 100), 600);
        assert_eq!(liveliest(&stems, 1000, 100), 0);
        assert_eq!(liveliest(&[stem(0, 0)], 200, 100), 0);
    }
}
