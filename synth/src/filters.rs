//! Two-pole filters (Robert Bristow-Johnson, "Audio EQ Cookbook").

use std::f64::consts::TAU;

/// A biquad in transposed direct form II.
pub struct Biquad {
    /// b0 b1 b2 a1 a2, normalized to a0 = 1.
    coefs: [f64; 5],
    state: [f64; 2],
}

impl Biquad {
    /// 12 dB per octave above `hz`.
    pub fn low_pass(hz: f64, q: f64, rate: f64) -> Biquad {
        let (cos, alpha) = angle(hz, q, rate);
        Biquad::new([(1.0 - cos) / 2.0, 1.0 - cos, (1.0 - cos) / 2.0], cos, alpha)
    }

    /// 12 dB per octave below `hz`.
    pub fn high_pass(hz: f64, q: f64, rate: f64) -> Biquad {
        let (cos, alpha) = angle(hz, q, rate);
        Biquad::new([(1.0 + cos) / 2.0, -1.0 - cos, (1.0 + cos) / 2.0], cos, alpha)
    }

    /// Peak gain 1.
    pub fn band_pass(hz: f64, q: f64, rate: f64) -> Biquad {
        let (cos, alpha) = angle(hz, q, rate);
        Biquad::new([alpha, 0.0, -alpha], cos, alpha)
    }

    /// `gain_db` at and around `hz`; a broad bump is one with `q` below 1.
    pub fn bell(hz: f64, q: f64, gain_db: f64, rate: f64) -> Biquad {
        let (cos, alpha) = angle(hz, q, rate);
        let a = 10f64.powf(gain_db / 40.0);
        let a0 = 1.0 + alpha / a;
        let b = [1.0 + alpha * a, -2.0 * cos, 1.0 - alpha * a];
        Biquad { coefs: [b[0] / a0, b[1] / a0, b[2] / a0, -2.0 * cos / a0, (1.0 - alpha / a) / a0], state: [0.0; 2] }
    }

    /// `gain_db` below `hz`, 0 dB above.
    pub fn low_shelf(hz: f64, gain_db: f64, rate: f64) -> Biquad {
        Biquad::shelf(hz, gain_db, rate, 1.0)
    }

    /// `gain_db` above `hz`, 0 dB below.
    pub fn high_shelf(hz: f64, gain_db: f64, rate: f64) -> Biquad {
        Biquad::shelf(hz, gain_db, rate, -1.0)
    }

    /// The cookbook's two shelves are mirror images: the sign of every cosine tells them apart.
    fn shelf(hz: f64, gain_db: f64, rate: f64, sign: f64) -> Biquad {
        let (cos, alpha) = angle(hz, std::f64::consts::FRAC_1_SQRT_2, rate);
        let a = 10f64.powf(gain_db / 40.0);
        let (cos, root) = (sign * cos, 2.0 * a.sqrt() * alpha);
        let b0 = a * ((a + 1.0) - (a - 1.0) * cos + root);
        let b1 = sign * 2.0 * a * ((a - 1.0) - (a + 1.0) * cos);
        let b2 = a * ((a + 1.0) - (a - 1.0) * cos - root);
        let a0 = (a + 1.0) + (a - 1.0) * cos + root;
        let a1 = sign * -2.0 * ((a - 1.0) + (a + 1.0) * cos);
        let a2 = (a + 1.0) + (a - 1.0) * cos - root;
        Biquad { coefs: [b0 / a0, b1 / a0, b2 / a0, a1 / a0, a2 / a0], state: [0.0; 2] }
    }

    /// Takes over the coefficients of `other` and keeps the state, so that a filter can move while it sounds.
    pub fn retune(&mut self, other: Biquad) {
        self.coefs = other.coefs;
    }

    /// The next sample.
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
