//! A stream of samples on one grid, asked for samples on another.

use super::Kernel;
use std::sync::Arc;

/// Output sample `m` lies at input sample `(m * step + offset) / num_phases`: one channel of a stream, resampled.
pub(crate) struct Resampler {
    kernel: Arc<Kernel>,
    step: i64,
    num_phases: i64,
    offset: i64,
    /// Input samples from `start` on.
    history: Vec<f32>,
    start: i64,
    next_output: i64,
    /// One after the last input sample that is not 0.
    loud_end: i64,
}

impl Resampler {
    /// `max_input_len`: the most samples that are pushed at a time.
    pub fn new(kernel: Arc<Kernel>, step: i64, num_phases: i64, offset: i64, max_input_len: usize) -> Self {
        // Left over between pushes: the kernel's reach, and what the grid's rounding leaves.
        let history =
            Vec::with_capacity(max_input_len + 4 * kernel.half_width() + step as usize / num_phases as usize + 2);
        Resampler { kernel, step, num_phases, offset, history, start: 0, next_output: 0, loud_end: i64::MIN }
    }

    /// Begins in the middle of the stream: the next sample in is `next_input`, the next one out `next_output`;
    /// everything before was silence.
    pub fn restart(&mut self, next_input: i64, next_output: i64) {
        self.next_output = next_output;
        self.start = self.first_needed().min(next_input);
        self.history.clear();
        self.history.resize((next_input - self.start) as usize, 0.0);
        self.loud_end = i64::MIN;
    }

    /// Takes the next input samples.
    pub fn push(&mut self, input: &[f32]) {
        if let Some(last) = input.iter().rposition(|&sample| sample != 0.0) {
            self.loud_end = self.start + (self.history.len() + last + 1) as i64;
        }
        self.history.extend_from_slice(input);
    }

    /// Gives the next output samples.
    ///
    /// # Panics
    /// If they need input that was not pushed yet.
    pub fn pull_into(&mut self, output: &mut [f32]) {
        let position = self.next_output * self.step + self.offset;
        let mut phase = position.rem_euclid(self.num_phases) as usize;
        let mut first = (self.first_needed() - self.start) as usize;
        let num_phases = self.num_phases as usize;
        let (whole_step, phase_step) = (self.step as usize / num_phases, self.step as usize % num_phases);
        // Silence costs nothing.
        let computed = if self.is_silent() { &mut [] } else { &mut *output };
        let num_computed = computed.len();
        for sample in computed {
            let taps = self.kernel.phase(phase);
            *sample = dot(&self.history[first..][..taps.len()], taps);
            (first, phase) = (first + whole_step, phase + phase_step);
            if phase >= num_phases {
                (first, phase) = (first + 1, phase - num_phases);
            }
        }
        output[num_computed..].fill(0.0);
        self.next_output += output.len() as i64;
        let num_done = (self.first_needed() - self.start).clamp(0, self.history.len() as i64);
        self.history.drain(..num_done as usize);
        self.start += num_done;
    }

    /// Whether all that it still needs is silence.
    pub fn is_silent(&self) -> bool {
        self.first_needed() >= self.loud_end
    }

    fn first_needed(&self) -> i64 {
        let position = self.next_output * self.step + self.offset;
        position.div_euclid(self.num_phases) + 1 - self.kernel.half_width() as i64
    }
}

/// Sum of products in eight lanes, which the compiler turns into vector instructions.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [0.0; 8];
    let (a_chunks, b_chunks) = (a.chunks_exact(8), b.chunks_exact(8));
    let rest: f32 = a_chunks.remainder().iter().zip(b_chunks.remainder()).map(|(a, b)| a * b).sum();
    for (a, b) in a_chunks.zip(b_chunks) {
        for ((lane, a), b) in lanes.iter_mut().zip(a).zip(b) {
            *lane += a * b;
        }
    }
    lanes.iter().sum::<f32>() + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A sine at a given frequency, resampled in uneven pieces, against the sine itself on the other grid.
    fn error_db(step: i64, num_phases: i64, frequency: f64) -> f64 {
        let half_width = (39 * step.max(num_phases) / num_phases) as usize;
        let cutoff = 0.5 * (num_phases as f64 / step as f64).min(1.0);
        let kernel = Arc::new(Kernel::new(half_width, num_phases as usize, cutoff));
        let sine = |t: f64| (std::f64::consts::TAU * frequency * t).sin();
        let mut resampler = Resampler::new(kernel, step, num_phases, 0, 1000);
        resampler.restart(0, 0);
        let (mut pushed, mut error, mut m) = (0i64, 0f64, 0i64);
        for piece in [1, 1000, 3, 517, 999, 1000, 1000] {
            let input: Vec<f32> = (pushed..pushed + piece).map(|n| sine(n as f64) as f32).collect();
            resampler.push(&input);
            pushed += piece;
            let ready = (pushed - half_width as i64) * num_phases / step - 1;
            let mut output = vec![f32::NAN; (ready - m).max(0) as usize];
            resampler.pull_into(&mut output);
            for sample in output {
                let position = (m * step) as f64 / num_phases as f64;
                if position > 2.0 * half_width as f64 {
                    error = error.max((f64::from(sample) - sine(position)).abs());
                }
                m += 1;
            }
        }
        assert!(m > 900);
        20.0 * error.log10()
    }

    #[test]
    fn sines_below_the_pass_band_edge_come_out_on_the_other_grid() {
        for (host, model) in [(160, 147), (2, 1), (320, 147), (640, 147), (320, 441), (1, 2)] {
            // In cycles per sample of the lower rate; the pass band ends at 20/44.1.
            for frequency in [0.01, 0.2, 18.0 / 44.1] {
                let low = f64::min(host as f64, model as f64);
                let down = error_db(host, model, frequency * low / host as f64);
                let up = error_db(model, host, frequency * low / model as f64);
                assert!(down.max(up) < -100.0, "{host}:{model}, {frequency}: {down:.1} dB, {up:.1} dB");
            }
        }
    }
}
