//! The transform against direct O(N^2) sums, written from the formulas and from nothing that a plan knows.

use crate::support;
use rand::{Rng, SeedableRng, rngs::StdRng};
use slicqt::{Complex, Design, Plan, Scale};
use std::f64::consts::{LN_2, LN_10, PI};

const SCALES: [Scale; 5] =
    [Scale::Bark, Scale::Mel, Scale::ConstantQ, Scale::VariableQ { gamma_hz: 200.0 }, Scale::Linear];

/// A frame on the FFT grid of one slice.
struct Direct {
    len: usize,
    /// `[bin]`
    positions: Vec<usize>,
    /// `[bin][k + M/2]`
    windows: Vec<Vec<f64>>,
    /// `[n mod len]`: `e^(2 pi i n / len)`
    turns: Vec<Complex<f64>>,
}

fn blackman_harris(k: f64, m: f64) -> f64 {
    let a = 2.0 * PI * k / m;
    0.35872 + 0.48832 * a.cos() + 0.14128 * (2.0 * a).cos() + 0.01168 * (3.0 * a).cos()
}

/// The next multiple of 4 that is a product of primes up to 13.
fn smooth(min: usize) -> usize {
    let rest = |n: usize| {
        [2, 3, 5, 7, 11, 13].iter().fold(n, |n, p| (0..20).fold(n, |n, _| if n % p == 0 { n / p } else { n }))
    };
    (min.div_ceil(4)..).map(|n| 4 * n).find(|n| rest(*n) == 1).unwrap()
}

/// Frequency at `z` and derivative of frequency by `z`.
fn on_scale(scale: Scale, z: f64) -> (f64, f64) {
    match scale {
        Scale::Bark => (600.0 * (z / 6.0).sinh(), 100.0 * (z / 6.0).cosh()),
        Scale::Mel => (700.0 * ((z * LN_10 / 2595.0).exp() - 1.0), 700.0 * LN_10 / 2595.0 * (z * LN_10 / 2595.0).exp()),
        Scale::ConstantQ => (z.exp2(), LN_2 * z.exp2()),
        Scale::VariableQ { gamma_hz } => (z.exp2() - gamma_hz, LN_2 * z.exp2()),
        Scale::Linear => (z, 1.0),
    }
}

fn z_of(scale: Scale, f: f64) -> f64 {
    match scale {
        Scale::Bark => 6.0 * (f / 600.0).asinh(),
        Scale::Mel => 2595.0 * (1.0 + f / 700.0).log10(),
        Scale::ConstantQ => f.log2(),
        Scale::VariableQ { gamma_hz } => (f + gamma_hz).log2(),
        Scale::Linear => f,
    }
}

impl Direct {
    fn new(len: usize, positions: Vec<usize>, windows: Vec<Vec<f64>>) -> Self {
        let turns = (0..len).map(|n| Complex::from_polar(1.0, 2.0 * PI * n as f64 / len as f64)).collect();
        Direct { len, positions, windows, turns }
    }

    /// The bins of a scale, as Velasco et al. 2011 and the published code have them; `None` where no slice was given
    /// and the shortest is longer than `max_len`.
    fn of_scale(scale: Scale, num_bands: usize, fmin: f64, fmax: f64, rate: f64, slice: Option<usize>) -> Self {
        let step = (z_of(scale, fmax) - z_of(scale, fmin)) / (num_bands - 1) as f64;
        // (frequency, width in Hz)
        let bands: Vec<(f64, f64)> = (0..num_bands)
            .map(|b| {
                let (f, slope) = on_scale(scale, z_of(scale, fmin) + b as f64 * step);
                (f, 2.0 * slope * step)
            })
            .collect();
        let shortest = bands.iter().map(|(_, width)| 8.0 * rate / width).fold(0.0, f64::max).ceil() as usize;
        let len = slice.unwrap_or(smooth(shortest.max(16)));
        let bands: Vec<(f64, f64)> = bands.into_iter().filter(|(f, _)| *f < rate / 2.0 * (1.0 - 1e-9)).collect();
        let n = bands.len();
        let grid = |f: f64| (len as f64 / rate * f) as f32 as f64;
        let pos: Vec<f64> = [0.0]
            .into_iter()
            .chain(bands.iter().map(|b| grid(b.0)))
            .chain([grid(rate / 2.0), grid(rate - bands[n - 1].0)])
            .collect();
        let m: Vec<usize> = (0..=n + 1)
            .map(|j| {
                let width = match j {
                    0 => 2.0 * pos[1],
                    j if j == 1 || j == n => len as f64 / rate * bands[j - 1].1,
                    j => pos[j + 1] - pos[j - 1],
                };
                smooth((4 * (width / 4.0).round_ties_even() as usize).max(16))
            })
            .collect();
        let windows = (0..=n + 1)
            .map(|j| {
                let neighbour = if j == 0 { m[1] } else { m[n] };
                let points = -(m[j] as i64) / 2..m[j] as i64 / 2;
                if (j == 0 || j == n + 1) && m[j] > neighbour {
                    let flat = (m[j] - neighbour) as f64 / 2.0;
                    let slope = |k: f64| 0.5 + 0.5 * (2.0 * PI * (k - flat) / neighbour as f64).cos();
                    points.map(|k| (k as f64).abs()).map(|k| if k <= flat { 1.0 } else { slope(k) }).collect()
                } else {
                    points.map(|k| blackman_harris(k as f64, m[j] as f64)).collect()
                }
            })
            .collect();
        Direct::new(len, (0..=n + 1).map(|j| 2 * (pos[j] / 2.0).round_ties_even() as usize).collect(), windows)
    }

    fn turn(&self, n: i64) -> Complex<f64> {
        self.turns[n.rem_euclid(self.len as i64) as usize]
    }

    fn sign(&self, j: usize) -> f64 {
        if self.positions[j].is_multiple_of(4) { 1.0 } else { -1.0 }
    }

    fn is_band(&self, j: usize) -> bool {
        j != 0 && j != self.positions.len() - 1
    }

    /// `X(q)` for every point that a window reaches; `[bin][frame]`.
    fn forward(&self, slice: &[f64]) -> Vec<Complex<f64>> {
        let spectrum: Vec<Complex<f64>> = (0..self.len as i64)
            .map(|q| slice.iter().enumerate().map(|(n, x)| self.turn(-q * n as i64) * x).sum())
            .collect();
        let mut coefs = Vec::new();
        for (j, window) in self.windows.iter().enumerate() {
            let m = window.len() as i64;
            for frame in 0..m {
                let sum: Complex<f64> = (-m / 2..m / 2)
                    .map(|k| {
                        let q = (self.positions[j] as i64 + k).rem_euclid(self.len as i64);
                        let turn = Complex::from_polar(1.0, 2.0 * PI * (k * frame).rem_euclid(m) as f64 / m as f64);
                        spectrum[q as usize] * turn * window[(k + m / 2) as usize]
                    })
                    .sum();
                coefs.push(sum * self.sign(j) / m as f64);
            }
        }
        coefs
    }

    /// `sum M_j g_j(q - p_j)^2` over the bins and the mirrors of the bands.
    fn diagonal(&self) -> Vec<f64> {
        let mut diagonal = vec![0.0; self.len];
        for (j, window) in self.windows.iter().enumerate() {
            for (i, g) in window.iter().enumerate() {
                let q = self.positions[j] as i64 + i as i64 - window.len() as i64 / 2;
                let energy = window.len() as f64 * g * g;
                diagonal[q.rem_euclid(self.len as i64) as usize] += energy;
                if self.is_band(j) {
                    diagonal[(-q).rem_euclid(self.len as i64) as usize] += energy;
                }
            }
        }
        diagonal
    }

    /// The slice of `coefs` by windows divided by `diagonal`: the inverse with the frame's diagonal, the adjoint (see
    /// [`Direct::weights`]) divided by the slice length with ones.
    fn synthesize(&self, coefs: &[Complex<f64>], diagonal: &[f64]) -> Vec<f64> {
        let mut spectrum = vec![Complex::new(0.0, 0.0); self.len];
        let mut offset = 0;
        for (j, window) in self.windows.iter().enumerate() {
            let m = window.len() as i64;
            let frames = &coefs[offset..offset + m as usize];
            offset += m as usize;
            for k in -m / 2..m / 2 {
                let sum: Complex<f64> = frames
                    .iter()
                    .enumerate()
                    .map(|(frame, c)| {
                        c * Complex::from_polar(1.0, -2.0 * PI * (k * frame as i64).rem_euclid(m) as f64 / m as f64)
                    })
                    .sum();
                let q = (self.positions[j] as i64 + k).rem_euclid(self.len as i64) as usize;
                let value = sum * self.sign(j) * m as f64 * window[(k + m / 2) as usize] / diagonal[q];
                spectrum[q] += value;
                if self.is_band(j) {
                    spectrum[(self.len - q) % self.len] += value.conj();
                }
            }
        }
        (0..self.len as i64)
            .map(|n| spectrum.iter().enumerate().map(|(q, y)| (self.turn(q as i64 * n) * y).re).sum::<f64>())
            .map(|x| x / self.len as f64)
            .collect()
    }

    /// `[coef]` `mu_j M_j^2`: mu is 2 for bands, which stand for their mirrors too, and 1 for DC and Nyquist. In the
    /// product `<a, b> = sum_c weight_c Re(a_c conj(b_c))` the adjoint of the transform is synthesis with the analysis
    /// windows, and the dual windows are the canonical ones.
    fn weights(&self) -> Vec<f64> {
        let of_bin = |(j, window): (usize, &Vec<f64>)| {
            let m = window.len();
            vec![if self.is_band(j) { 2.0 } else { 1.0 } * (m * m) as f64; m]
        };
        self.windows.iter().enumerate().flat_map(of_bin).collect()
    }
}

fn random_coefs(num_coefs: usize, rng: &mut StdRng) -> Vec<Complex<f64>> {
    let mut number = || rng.random_range(-1.0..1.0);
    (0..num_coefs).map(|_| Complex::new(number(), number())).collect()
}

fn assert_near(actual: &[f64], expected: &[f64], tolerance: f64, what: &str) {
    assert_eq!(actual.len(), expected.len(), "{what}");
    let peak = expected.iter().fold(0.0, |a: f64, x| a.max(x.abs()));
    for (i, (a, e)) in actual.iter().zip(expected).enumerate() {
        assert!((a - e).abs() <= tolerance * peak, "{what} at {i}: {a}, expected {e} (peak {peak})");
    }
}

fn parts(coefs: &[Complex<f64>]) -> Vec<f64> {
    coefs.iter().flat_map(|c| [c.re, c.im]).collect()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn product(a: &[Complex<f64>], b: &[Complex<f64>], weights: &[f64]) -> f64 {
    a.iter().zip(b).zip(weights).map(|((a, b), w)| w * (a * b.conj()).re).sum()
}

/// Everything that must hold for a plan and its direct sums.
fn check(design: &Design, direct: &Direct, rng: &mut StdRng) {
    let plan = Plan::<f64>::new(design).unwrap();
    let what = design.to_string();
    assert_eq!(plan.slice_len(), direct.len, "{what}");
    let positions: Vec<usize> = plan.bins().iter().map(|bin| bin.position).collect();
    assert_eq!(positions, direct.positions, "{what}");
    let (mut coefs, mut slice, mut scratch) = (plan.make_coefs(), plan.make_slice(), plan.make_scratch());

    // Forward.
    let x: Vec<f64> = support::noise(direct.len, rng);
    plan.forward_into(&x, &mut coefs, &mut scratch);
    assert_near(&parts(&coefs), &parts(&direct.forward(&x)), 1e-12, &format!("{what}: forward"));
    let of_x = coefs.clone();

    // Inverse, of coefficients that belong to no slice: masks make such.
    let c = random_coefs(plan.num_coefs(), rng);
    plan.inverse_into(&c, &mut slice, &mut scratch);
    assert_near(&slice, &direct.synthesize(&c, &direct.diagonal()), 1e-11, &format!("{what}: inverse"));

    // <T x, c> = <x, T* c>, T* the analysis windows' synthesis.
    let weights = direct.weights();
    let adjoint = direct.synthesize(&c, &vec![1.0; direct.len]);
    let left = product(&of_x, &c, &weights);
    let right = direct.len as f64 * x.iter().zip(&adjoint).map(|(x, y)| x * y).sum::<f64>();
    let size = (product(&of_x, &of_x, &weights) * product(&c, &c, &weights)).sqrt();
    assert!((left - right).abs() <= 1e-12 * size, "{what}: adjoint {left} {right} of {size}");

    // <v, inverse(c)> = <a, c>, a the adjoint of the inverse at v; the inverse by direct sums.
    let v: Vec<f64> = support::noise(direct.len, rng);
    plan.adjoint_into(&v, &mut coefs, &mut scratch);
    let by_sums = direct.synthesize(&c, &direct.diagonal());
    let of_samples = dot(&v, &by_sums);
    let of_coefs = dot(&parts(&coefs), &parts(&c));
    let v_size = (dot(&v, &v) * dot(&by_sums, &by_sums)).sqrt();
    assert!((of_samples - of_coefs).abs() <= 1e-11 * v_size, "{what}: {of_samples} {of_coefs} of {v_size}");

    // The inverse is the adjoint's dual: transforming again what it made projects at right angles.
    plan.forward_into(&slice, &mut coefs, &mut scratch);
    let projected = product(&of_x, &coefs, &weights);
    assert!((left - projected).abs() <= 1e-12 * size, "{what}: projection {left} {projected} of {size}");

    // Both are linear.
    let mut sum = vec![Complex::new(0.0, 0.0); c.len()];
    sum.iter_mut().zip(&of_x).zip(&c).for_each(|((sum, a), b)| *sum = 0.25 * a - 3.0 * b);
    let mut of_sum = plan.make_slice();
    plan.inverse_into(&sum, &mut of_sum, &mut scratch);
    let expected: Vec<f64> = x.iter().zip(&slice).map(|(a, b)| 0.25 * a - 3.0 * b).collect();
    assert_near(&of_sum, &expected, 1e-11, &format!("{what}: linear"));
}

#[test]
fn every_small_design_on_a_scale_equals_the_direct_sums() {
    let mut rng = StdRng::seed_from_u64(5);
    let (mut num_checked, mut num_over_dc) = (0, 0);
    for scale in SCALES {
        for num_bands in 4..=12 {
            for fmin in [60.0, 150.0, 400.0, 1000.0] {
                for (fmax, slice_by) in [(4000.0, 1.0), (4000.0, 1.37), (2900.0, 1.0)] {
                    let rate = 8000.0;
                    let mut design = Design::new(scale, num_bands, fmin, rate).with_fmax_hz(fmax);
                    let Ok(plan) = Plan::<f64>::new(&design) else { continue };
                    let mut slice = None;
                    if slice_by > 1.0 {
                        slice = Some(smooth((plan.slice_len() as f64 * slice_by) as usize));
                        design = design.with_slice_len(slice.unwrap());
                    }
                    if plan.slice_len() > 260 || Plan::<f64>::new(&design).is_err() {
                        continue;
                    }
                    let direct = Direct::of_scale(scale, num_bands, fmin, fmax, rate, slice);
                    num_over_dc += (direct.windows[1].len() / 2 > direct.positions[1]) as usize;
                    check(&design, &direct, &mut rng);
                    num_checked += 1;
                }
            }
        }
    }
    eprintln!("{num_checked} designs, in {num_over_dc} of them band 1 reaches below DC");
    assert!(num_checked > 100 && num_over_dc > 10, "{num_checked} designs, {num_over_dc} over DC");
}

#[test]
fn multi_resolution_equals_the_direct_sums() {
    let mut rng = StdRng::seed_from_u64(6);
    for text in ["mr:1000=80,4000=20:rate=8000", "mr:2000=24,4000=64:rate=8000", "mr:500=90,2000=40,4000=12:rate=8000"]
    {
        let design: Design = text.parse().unwrap();
        let plan = Plan::<f64>::new(&design).unwrap();
        let bins = plan.bins();
        // The slopes of a bin reach to its neighbours' neighbours, however wide those are.
        let mut windows = Vec::new();
        let widths: Vec<usize> = bins.iter().map(|bin| bin.num_frames).collect();
        for (j, bin) in bins.iter().enumerate() {
            let m = bin.num_frames;
            let below = if j > 0 { widths[j - 1].min(m) } else { m };
            let above = if j + 1 < bins.len() { widths[j + 1].min(m) } else { m };
            let value = |k: i64| {
                let width = if k < 0 { below } else { above };
                if k.unsigned_abs() as usize > width / 2 { 0.0 } else { blackman_harris(k as f64, width as f64) }
            };
            windows.push((-(m as i64) / 2..m as i64 / 2).map(value).collect());
        }
        let positions = bins.iter().map(|bin| bin.position).collect();
        check(&design, &Direct::new(plan.slice_len(), positions, windows), &mut rng);
    }
}
