//! From samples of full scale 1.0 to integers.

/// Rounds, clips and counts; at 16 bit also dithers, if wanted.
#[derive(Debug, Clone)]
pub(crate) struct Quantizer {
    full_scale: f64,
    is_dithered: bool,
    state: u64,
    num_clipped: u64,
}

impl Quantizer {
    pub fn new(num_bits: u16, is_dithered: bool) -> Quantizer {
        // The same noise in every run: equal inputs give equal files.
        Quantizer { full_scale: f64::from(1u32 << (num_bits - 1)), is_dithered, state: 0x9e37_79b9, num_clipped: 0 }
    }

    /// Exact silence stays silence.
    pub fn quantize(&mut self, x: f32) -> i32 {
        let scaled = f64::from(x) * self.full_scale;
        let noise = if self.is_dithered && x != 0.0 { self.triangular() } else { 0.0 };
        let rounded = (scaled + noise).round();
        let clipped = rounded.clamp(-self.full_scale, self.full_scale - 1.0);
        // What only the noise pushes over the edge was no clipping.
        self.num_clipped += u64::from(
            clipped != rounded && scaled.round() != scaled.round().clamp(-self.full_scale, self.full_scale - 1.0),
        );
        clipped as i32
    }

    pub fn num_clipped(&self) -> u64 {
        self.num_clipped
    }

    /// Noise of triangular distribution in -1..1 (Lipshitz, Wannamaker and Vanderkooy 1992): the error of rounding no
    /// longer depends on the sound.
    fn triangular(&mut self) -> f64 {
        self.uniform() - self.uniform()
    }

    /// xorshift64*, 0..1.
    fn uniform(&mut self) -> f64 {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        (self.state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 40) as f64 / (1u64 << 24) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A tone of a third of a step vanishes by rounding; dithered, it is still there in the mean.
    #[test]
    fn dither_keeps_what_is_smaller_than_a_step() {
        let small = 1.0 / (3.0 * 32_768.0);
        let mean = |mut quantizer: Quantizer| {
            (0..100_000).map(|_| f64::from(quantizer.quantize(small))).sum::<f64>() / 100_000.0
        };
        assert_eq!(mean(Quantizer::new(16, false)), 0.0);
        let dithered = mean(Quantizer::new(16, true));
        assert!((dithered - 1.0 / 3.0).abs() < 0.01, "{dithered}");
        let mut quantizer = Quantizer::new(16, true);
        assert!((0..1000).all(|_| quantizer.quantize(0.0) == 0));
        assert_eq!((quantizer.quantize(2.0), quantizer.num_clipped()), (32_767, 1));
    }
}
