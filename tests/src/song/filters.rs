//! Two-pole filters (Robert Bristow-Johnson, "Audio EQ Cookbook").

use std::f64::consts::TAU;

/// A biquad in transposed direct form II.
pub struct Biquad {
    /// b0 b1 b2 a1 a2, normalised to a0 = 1.
    coefs: [f64; 5],
    state: [f64; 2],
}

impl Biquad {
    pub fn low_pass(hz: f64, q: f64, rate: f64) -> Biquad {
        let (cos, alpha) = angle(hz, q, rate);
        Biquad::new([(1.0 - cos) / 2.0, 1.0 - cos, (1.0 - cos) / 2.0], cos, alpha)
    }

    pub fn high_pass(hz: f64, q: f64, rate: f64) -> Biquad {
        let (cos, alpha) = angle(hz, q, rate);
        Biquad::new([(1.0 + cos) / 2.0, -1.0 - cos, (1.0 + cos) / 2.0], cos, alpha)
    }

    /// Peak gain 1.
    pub fn band_pass(hz: f64, q: f64, rate: f64) -> Biquad {
        let (cos, alpha) = angle(hz, q, rate);
        Biquad::new([alpha, 0.0, -alpha], cos, alpha)
    }

    /// Takes over the coefficients of `other` and keeps the state, so that a filter can move while it sounds.
    pub fn retune(&mut self, other: Biquad) {
        self.coefs = other.coefs;
    }

    pub fn filter(&mut self, x: f64) -> f64 {
        let [b0, b1, b2, a1, a2] = self.coefs;
        let y = b0 * x + self.state[0];
        self.state = [b1 * x - a1 * y + self.state[1], b2 * x - a2 * y];
        y
    }

    fn new(b: [f64; 3], cos: f64, alpha: f64) -> Biquad {
        let a0 = 1.0 + alpha;
        Biquad { coefs: [b[0] / a0, b[1] / a0, b[2] / a0, -2.0 * cos / a0, (1.0 - alpha) / a0], state: [0.0; 2] }
    }
}

fn angle(hz: f64, q: f64, rate: f64) -> (f64, f64) {
    let w = TAU * hz.min(0.45 * rate) / rate;
    (w.cos(), w.sin() / (2.0 * q))
}
