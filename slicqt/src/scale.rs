//! Frequency scales.

use std::{f64::consts::LN_2, fmt};

/// Frequency scale on which the bands are equally spaced.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Scale {
    /// Bark: `z = 6 asinh(f / 600)`.
    Bark,
    /// Mel: `z = 2595 log10(f / 700 + 1)`.
    Mel,
    /// Constant-Q: `z = log2 f`, this many bands per octave.
    ConstantQ,
    /// Variable-Q: `z = log2(f + gamma)`. Bandwidths grow as `f + gamma`: constant well below gamma, constant-Q above.
    VariableQ {
        /// Where constant bandwidth goes over into constant Q, in Hz; 0 is constant-Q.
        gamma_hz: f64,
    },
    /// Linear: `z = f`, all bands equally wide.
    Linear,
}

impl Scale {
    pub(crate) fn units_at(self, f_hz: f64) -> f64 {
        match self {
            Scale::Bark => 6.0 * (f_hz / 600.0).asinh(),
            Scale::Mel => 2595.0 * (f_hz / 700.0 + 1.0).log10(),
            Scale::ConstantQ => f_hz.log2(),
            Scale::VariableQ { gamma_hz } => (f_hz + gamma_hz).log2(),
            Scale::Linear => f_hz,
        }
    }

    pub(crate) fn hz_at(self, z: f64) -> f64 {
        match self {
            Scale::Bark => 600.0 * (z / 6.0).sinh(),
            Scale::Mel => 700.0 * (10f64.powf(z / 2595.0) - 1.0),
            Scale::ConstantQ => z.exp2(),
            Scale::VariableQ { gamma_hz } => z.exp2() - gamma_hz,
            Scale::Linear => z,
        }
    }

    /// Derivative of frequency by `z`, in Hz per unit of the scale.
    pub(crate) fn hz_per_unit(self, f_hz: f64) -> f64 {
        match self {
            Scale::Bark => f_hz.hypot(600.0) / 6.0,
            Scale::Mel => (f_hz + 700.0) * std::f64::consts::LN_10 / 2595.0,
            Scale::ConstantQ => f_hz * LN_2,
            Scale::VariableQ { gamma_hz } => (f_hz + gamma_hz) * LN_2,
            Scale::Linear => 1.0,
        }
    }
}

/// As in the text of a [`Design`](crate::Design): `bark`, `mel`, `cq`, `vq(GAMMA)`, `linear`.
impl fmt::Display for Scale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Scale::Bark => f.write_str("bark"),
            Scale::Mel => f.write_str("mel"),
            Scale::ConstantQ => f.write_str("cq"),
            Scale::VariableQ { gamma_hz } => write!(f, "vq({gamma_hz})"),
            Scale::Linear => f.write_str("linear"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inverse_and_derivative_belong_to_the_scale() {
        for scale in [Scale::Bark, Scale::Mel, Scale::ConstantQ, Scale::VariableQ { gamma_hz: 30.0 }, Scale::Linear] {
            for f_hz in [5.0, 32.9, 440.0, 9000.0, 40_000.0] {
                let z = scale.units_at(f_hz);
                assert!((scale.hz_at(z) / f_hz - 1.0).abs() < 1e-12, "{scale} {f_hz}");
                let step = 1e-4 * z;
                let slope = (scale.hz_at(z + step) - scale.hz_at(z - step)) / (2.0 * step);
                assert!((slope / scale.hz_per_unit(f_hz) - 1.0).abs() < 1e-5, "{scale} {f_hz}: {slope}");
            }
        }
    }
}
