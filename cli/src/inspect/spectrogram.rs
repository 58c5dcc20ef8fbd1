//! The ragged spectrogram: every coefficient as the rectangle of time and frequency that it stands for.

use slicqt::{Complex, Plan, Scratch, Slicer};

use super::axes::Axes;

/// Takes a song sample by sample and keeps, for every bin and every column of pixels, the loudest coefficient.
///
/// Slices overlap by half, each faded in and out, so time is covered twice. What is drawn is the *sum* of the two
/// coefficients of the overlapping slices: frame `M/2 + m` of a slice and frame `m` of the next lie at one time, the
/// bins' positions are even so the slices' phases agree, and the slicing windows add up to one. The sum is the
/// coefficient of the transform without slices (Holighaus et al. 2013, section III), but for the little that wraps
/// round a slice's ends; so a steady tone is drawn steady, and no slice shows. The slices of a plain STFT are drawn as
/// they are, each for one hop about its middle.
///
/// Where several coefficients meet in a pixel, the loudest is seen, at any zoom.
pub struct Spectrogram<'a> {
    plan: &'a Plan,
    sample_rate_hz: f64,
    axes: Axes,
    slicer: Slicer,
    hop: Vec<f32>,
    slice: Vec<f32>,
    /// Of the newest slice and the one before.
    coefs: [Vec<Complex<f32>>; 2],
    scratch: Scratch,
    /// Samples pushed so far.
    position: usize,
    /// The first sample that matters to the picture; a multiple of the hop.
    first_sample: usize,
    /// `[bin]`, magnitude to amplitude of a sine.
    scales: Vec<f32>,
    /// `[bin][column]`, the largest squared amplitude.
    powers: Vec<f32>,
    is_summed: bool,
}

impl<'a> Spectrogram<'a> {
    /// A picture of silence.
    pub fn new(plan: &'a Plan, sample_rate_hz: f64, axes: Axes) -> Spectrogram<'a> {
        let (hop_len, slice_len) = (plan.hop_len(), plan.slice_len());
        let is_summed = 2 * hop_len == slice_len && plan.bins().iter().all(|bin| bin.num_frames % 4 == 0);
        let start_hop = (axes.time_s[0] * sample_rate_hz / hop_len as f64) as usize;
        Spectrogram {
            slicer: Slicer::new(plan),
            hop: Vec::with_capacity(hop_len),
            slice: plan.make_slice(),
            coefs: [plan.make_coefs(), plan.make_coefs()],
            scratch: plan.make_scratch(),
            position: 0,
            // Two slices ahead of the picture, so that nothing in it misses its past.
            first_sample: start_hop.saturating_sub(2 * slice_len.div_ceil(hop_len)) * hop_len,
            scales: scales(plan, is_summed),
            powers: vec![0.0; plan.num_bins() * axes.width],
            plan,
            sample_rate_hz,
            axes,
            is_summed,
        }
    }

    /// Adds the next samples of the song; call it from the song's first sample on.
    pub fn push(&mut self, samples: &[f32]) {
        let skipped = self.first_sample.saturating_sub(self.position).min(samples.len());
        self.position += skipped;
        for sample in &samples[skipped..] {
            self.hop.push(*sample);
            self.position += 1;
            if self.hop.len() == self.plan.hop_len() {
                self.add_slice();
                self.hop.clear();
            }
        }
    }

    /// Ends the song: what the last slices still lack is silence.
    pub fn finish(mut self) -> Raster {
        let missing = self.plan.hop_len() - self.hop.len() + 2 * self.plan.slice_len();
        self.push(&vec![0.0; missing]);
        let (plan, axes) = (self.plan, self.axes);
        let mut powers = vec![0.0f32; axes.width * axes.height];
        for (bin_idx, columns) in self.powers.chunks_exact(axes.width).enumerate() {
            let [low_hz, high_hz] = edges_hz(plan, bin_idx, self.sample_rate_hz);
            for row in axes.rows(low_hz, high_hz) {
                let row = &mut powers[row * axes.width..][..axes.width];
                row.iter_mut().zip(columns).for_each(|(pixel, power)| *pixel = pixel.max(*power));
            }
        }
        Raster { axes, powers }
    }

    /// Transforms the slice that the full hop completes, and draws the frames that it completes.
    fn add_slice(&mut self) {
        let plan = self.plan;
        self.coefs.swap(0, 1);
        self.slicer.slice_into(plan, &self.hop, &mut self.slice);
        let [newest, previous] = &mut self.coefs;
        plan.forward_into(&self.slice, newest, &mut self.scratch);
        let slice_start = self.position as f64 - plan.slice_len() as f64;
        for (bin_idx, (bin, scale)) in plan.bins().iter().zip(&self.scales).enumerate() {
            let columns = &mut self.powers[bin_idx * self.axes.width..][..self.axes.width];
            let step = plan.slice_len() as f64 / bin.num_frames as f64;
            let newest = &newest[bin.coef_offset..][..bin.num_frames];
            let mut draw = |middle: f64, width: f64, coef: Complex<f32>| {
                let from_s = (slice_start + middle - width / 2.0) / self.sample_rate_hz;
                let power = (coef * scale).norm_sqr();
                for column in self.axes.columns(from_s, from_s + width / self.sample_rate_hz) {
                    columns[column] = columns[column].max(power);
                }
            };
            if self.is_summed {
                let half = bin.num_frames / 2;
                let previous = &previous[bin.coef_offset..][half..bin.num_frames];
                for (frame_idx, (a, b)) in previous.iter().zip(newest).enumerate() {
                    draw(frame_idx as f64 * step, step, a + b);
                }
            } else {
                let width = plan.hop_len() as f64 / bin.num_frames as f64;
                for (frame_idx, c) in newest.iter().enumerate() {
                    draw((frame_idx as f64 + 0.5) * step, width, *c);
                }
            }
        }
    }
}

/// From the middle between a bin and the one below to the middle between it and the one above, where their windows
/// cross. The DC bin begins at 0 Hz, the Nyquist bin ends at half the rate.
pub fn edges_hz(plan: &Plan, bin_idx: usize, sample_rate_hz: f64) -> [f64; 2] {
    let bins = plan.bins();
    let hz = |idx: usize| bins[idx].position as f64 * sample_rate_hz / plan.slice_len() as f64;
    let low = if bin_idx == 0 { 0.0 } else { (hz(bin_idx - 1) + hz(bin_idx)) / 2.0 };
    let high = if bin_idx + 1 == bins.len() { sample_rate_hz / 2.0 } else { (hz(bin_idx) + hz(bin_idx + 1)) / 2.0 };
    [low, high]
}

/// Factors that turn a coefficient's magnitude into the amplitude of the sine that it comes from. Of the sliced
/// transform a sine of amplitude A gives `A L / (2 M)` once the slices are summed; of an STFT `A / 2` times the sum of
/// its window, which the DC bin shows. DC and Nyquist have no mirror image that takes the other half.
fn scales(plan: &Plan, is_summed: bool) -> Vec<f32> {
    let last = plan.num_bins() - 1;
    let window_sum = {
        let (mut slicer, mut slice) = (Slicer::new(plan), plan.make_slice());
        for _ in 0..plan.slice_len().div_ceil(plan.hop_len()) {
            slicer.slice_into(plan, &vec![1.0; plan.hop_len()], &mut slice);
        }
        let mut coefs = plan.make_coefs();
        plan.forward_into(&slice, &mut coefs, &mut plan.make_scratch());
        coefs[0].norm()
    };
    let of_bin = |(bin_idx, bin): (usize, &slicqt::Bin)| {
        let sides = if bin_idx == 0 || bin_idx == last { 1.0 } else { 2.0 };
        if is_summed { sides * bin.num_frames as f32 / plan.slice_len() as f32 } else { sides / window_sum }
    };
    plan.bins().iter().enumerate().map(of_bin).collect()
}

/// A finished picture, before colours.
pub struct Raster {
    axes: Axes,
    /// `[row][column]` from the top left, squared amplitudes: a full-scale sine is 1.
    powers: Vec<f32>,
}

impl Raster {
    /// Level of a pixel against a full-scale sine.
    pub fn level_db(&self, row: usize, column: usize) -> f32 {
        10.0 * self.powers[row * self.axes.width + column].max(1e-30).log10()
    }

    /// The highest level, -300 dB if there is only silence.
    pub fn max_db(&self) -> f32 {
        10.0 * self.powers.iter().copied().fold(1e-30, f32::max).log10()
    }
}

#[cfg(test)]
mod tests;
