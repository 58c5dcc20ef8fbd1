//! The mean absolute error of complex coefficients of a plain STFT: `sum w |M X - Y| / sum w |X|`, over the parts that are
//! known apart, with the modulus of the complex difference. A stem that is known to be silent has `Y = 0`, and what is
//! left of it counts in full, however soft it is; a squared error would forgive it.
//!
//! It needs no inverse: like the losses of samples, it is computed on worker threads, value and gradient in one pass, and
//! by tensors on a GPU.

use crate::batch::Waveforms;
use crate::batch::combinations::parts;
use crate::data::Known;
use crate::workers;
use num_complex::Complex;
use slicqt::Sample;
use tch::{Device, Kind, Tensor};

/// Softer mixes than that are taken to have this sum of moduli.
const FLOOR: f64 = 1e-2;
/// Added to squared moduli under the root in tensors, whose gradient at 0 would be none.
const TINY: f64 = 1e-24;

/// Coefficients of a batch, `[B]`: mixes, each `[slice][channel][coef]`, and parts, each `[slice][part][channel][coef]`.
pub struct Coefs<'a, T> {
    /// What is known of the stems of each example.
    pub known: &'a [Known],
    pub mix: &'a [Vec<Complex<T>>],
    pub parts: &'a [Vec<Complex<T>>],
    /// `[coef]` How often a coefficient counts: twice, but once at DC and Nyquist.
    pub weights: &'a [f32],
    /// Slices that are judged, from the first on.
    pub num_slices: usize,
}

/// The loss of `masks` `[B][slice][stem][plane][coef]`, flat, and its gradient by them.
pub fn judge<T: Sample>(masks: &[T], coefs: &Coefs<'_, T>) -> (f64, Vec<T>) {
    let (num_examples, num_coefs) = (coefs.known.len(), coefs.weights.len());
    let slice_len = masks.len() / (num_examples * coefs.num_slices);
    let num_planes = slice_len / (4 * num_coefs);
    let scales: Vec<f64> = (0..num_examples).map(|example| scale(coefs, example)).collect();
    let mut gradient = vec![T::zero(); masks.len()];
    // Summed up in order, so that a run can be repeated bit for bit.
    let mut errors = vec![0.0; num_examples * coefs.num_slices];
    let items = gradient.chunks_mut(slice_len).zip(&mut errors).zip(masks.chunks(slice_len)).enumerate();
    workers::for_each(
        items,
        || (),
        |(), (at, ((gradient, error), masks))| {
            let (example, slice) = (at / coefs.num_slices, at % coefs.num_slices);
            let parts = parts(coefs.known[example]);
            let share = T::from(scales[example] / parts.len() as f64).unwrap_or(T::zero());
            for channel in 0..2 {
                let mix = &coefs.mix[example][(slice * 2 + channel) * num_coefs..][..num_coefs];
                for (part_idx, stems) in parts.iter().enumerate() {
                    let row = (slice * parts.len() + part_idx) * 2 + channel;
                    let truth = &coefs.parts[example][row * num_coefs..][..num_coefs];
                    let plane =
                        |stem: usize, half: usize| (stem * num_planes + channel * (num_planes / 2) + half) * num_coefs;
                    let mut sum = T::zero();
                    if num_planes == 2 && stems.len() == 1 {
                        // The usual case, without branches.
                        let at = plane(stems[0], 0);
                        let (masks, out) = (&masks[at..at + num_coefs], &mut gradient[at..at + num_coefs]);
                        let each = masks.iter().zip(out).zip(mix).zip(truth).zip(coefs.weights);
                        for ((((m, out), x), y), w) in each {
                            let (re, im) = (*m * x.re - y.re, *m * x.im - y.im);
                            let modulus = (re * re + im * im).sqrt();
                            let w = T::from(*w).unwrap_or(T::zero());
                            sum = sum + w * modulus;
                            let slope = if modulus > T::zero() { (re * x.re + im * x.im) / modulus } else { T::zero() };
                            *out = share * w * slope;
                        }
                    } else {
                        for i in 0..num_coefs {
                            let total = |half: usize| {
                                stems.iter().fold(T::zero(), |sum, stem| sum + masks[plane(*stem, half) + i])
                            };
                            let mask = Complex::new(total(0), if num_planes == 4 { total(1) } else { T::zero() });
                            let residual = mask * mix[i] - truth[i];
                            let modulus = residual.norm_sqr().sqrt();
                            let w = T::from(coefs.weights[i]).unwrap_or(T::zero());
                            sum = sum + w * modulus;
                            if modulus > T::zero() {
                                // By the real part, and by the imaginary part of the mask.
                                let slope = residual.conj() * mix[i] * (share * w / modulus);
                                for stem in *stems {
                                    gradient[plane(*stem, 0) + i] = slope.re;
                                    if num_planes == 4 {
                                        gradient[plane(*stem, 1) + i] = T::zero() - slope.im;
                                    }
                                }
                            }
                        }
                    }
                    *error += sum.to_f64().unwrap_or(f64::NAN) * scales[example] / parts.len() as f64;
                }
            }
        },
    );
    (errors.iter().sum(), gradient)
}

/// What the error of one coefficient counts.
fn scale<T: Sample>(coefs: &Coefs<'_, T>, example: usize) -> f64 {
    let num_coefs = coefs.weights.len();
    let mix = coefs.mix[example][..coefs.num_slices * 2 * num_coefs].chunks(num_coefs);
    let modulus = |(x, w): (&Complex<T>, &f32)| f64::from(*w) * x.norm_sqr().to_f64().unwrap_or(f64::NAN).sqrt();
    let sum: f64 = mix.map(|row| row.iter().zip(coefs.weights).map(modulus).sum::<f64>()).sum();
    1.0 / (sum.max(FLOOR) * coefs.known.len() as f64)
}

/// The same of a batch by worker threads: a scalar with the gradient by `masks` `[B][S][stem][plane][coef]`.
pub fn by_kernels(masks: &Tensor, known: &[Known], waveforms: &Waveforms, weights: &[f32]) -> Tensor {
    let of_batch: Vec<f32> =
        crate::precision::to_cpu(&masks.detach()).reshape([-1]).try_into().expect("a flat f32 tensor");
    let num_slices = masks.size()[1] as usize;
    let coefs = Coefs { known, mix: &waveforms.mix, parts: &waveforms.parts, weights, num_slices };
    let (value, gradient) = judge(&of_batch, &coefs);
    // Has the gradient by the masks; the value comes after.
    let surrogate = masks.reshape([-1]).dot(&Tensor::from_slice(&gradient).to_device(masks.device()));
    &surrogate - surrogate.detach() + value
}

/// The same by tensors, on the device of `masks`.
pub fn by_tensors(masks: &Tensor, known: &[Known], waveforms: &Waveforms, weights: &[f32]) -> Tensor {
    let (device, size) = (masks.device(), masks.size());
    let (num_slices, num_planes, num_coefs) = (size[1], size[3], size[4]);
    let stack = |rows: Vec<Vec<Complex<f32>>>, shape: &[i64]| {
        let rows = rows.iter().map(|row| {
            let flat: Vec<f32> = row.iter().flat_map(|c| [c.re, c.im]).collect();
            // [slice][...][channel][part of the number][coef]
            Tensor::from_slice(&flat).reshape([shape, &[2, num_coefs, 2]].concat()).transpose(-1, -2)
        });
        Tensor::stack(&rows.collect::<Vec<_>>(), 0).to_device(device).narrow(1, 0, num_slices)
    };
    // Examples of fewer parts than four get silent ones, with masks of 0.
    let padded = waveforms.parts.iter().zip(known).map(|(coefs, known)| {
        let (len, num_parts) = (2 * num_coefs as usize, parts(*known).len());
        let slices = coefs.chunks(num_parts * len);
        slices.flat_map(|slice| (0..4 * len).map(|i| slice.get(i).copied().unwrap_or_default())).collect()
    });
    let truth = stack(padded.collect(), &[-1, 4]);
    let mix = stack(waveforms.mix.clone(), &[-1, 1]);
    let mut chosen = vec![0.0f32; known.len() * 16];
    for (example, known) in known.iter().enumerate() {
        for (part, stems) in parts(*known).iter().enumerate() {
            stems.iter().for_each(|stem| chosen[(example * 4 + part) * 4 + stem] = 1.0);
        }
    }
    let chosen = Tensor::from_slice(&chosen).reshape([-1, 1, 4, 4]).to_device(device);
    let masks = chosen.matmul(&masks.flatten(3, 4)).unflatten(3, [2, num_planes / 2, num_coefs].as_slice());
    let part = |t: &Tensor, part: i64| t.select(4, part);
    let (x_re, x_im) = (part(&mix, 0), part(&mix, 1));
    let m_re = part(&masks, 0);
    let (mut re, mut im) = (&m_re * &x_re, &m_re * &x_im);
    if num_planes == 4 {
        let m_im = part(&masks, 1);
        re -= &m_im * &x_im;
        im += &m_im * &x_re;
    }
    let error = ((re - part(&truth, 0)).square() + (im - part(&truth, 1)).square() + TINY).sqrt();
    let weights = Tensor::from_slice(weights).to_device(device);
    let over = [1i64, 2, 3, 4];
    let sum = |t: Tensor| (t * &weights).sum_dim_intlist(over.as_slice(), false, Kind::Float);
    let num_parts: Vec<f32> = known.iter().map(|known| parts(*known).len() as f32).collect();
    let scales =
        sum((x_re.square() + x_im.square()).sqrt()).clamp_min(FLOOR) * Tensor::from_slice(&num_parts).to_device(device);
    (sum(error) / scales).mean(Kind::Float)
}

/// By threads on the CPU, by tensors elsewhere.
pub fn loss(masks: &Tensor, known: &[Known], waveforms: &Waveforms, weights: &[f32]) -> Tensor {
    match masks.device() {
        Device::Cpu => by_kernels(masks, known, waveforms, weights),
        _ => by_tensors(masks, known, waveforms, weights),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{Rng, SeedableRng, rngs::StdRng};

    const KNOWN: [Known; 3] = [Known::All, Known::BassInOther, Known::VocalsOnly];
    const NUM_SLICES: usize = 3;
    const NUM_COEFS: usize = 9;

    /// Coefficients by example.
    type Rows = Vec<Vec<Complex<f64>>>;

    fn noise(len: usize, rng: &mut StdRng) -> Vec<Complex<f64>> {
        (0..len).map(|_| Complex::new(rng.random_range(-1.0..1.0), rng.random_range(-1.0..1.0))).collect()
    }

    /// Mixes and parts; the first part of every example is silent.
    fn problem(rng: &mut StdRng) -> (Rows, Rows, Vec<f32>) {
        let mix = KNOWN.iter().map(|_| noise(NUM_SLICES * 2 * NUM_COEFS, rng)).collect();
        let parts = KNOWN.iter().map(|known| {
            let num_parts = parts(*known).len();
            let mut coefs = noise(NUM_SLICES * num_parts * 2 * NUM_COEFS, rng);
            coefs.chunks_mut(2 * NUM_COEFS).step_by(num_parts).for_each(|part| part.fill(Complex::ZERO));
            coefs
        });
        let parts = parts.collect();
        let weights = (0..NUM_COEFS).map(|i| if i % (NUM_COEFS - 1) == 0 { 1.0 } else { 2.0 }).collect();
        (mix, parts, weights)
    }

    #[test]
    fn gradients_are_those_of_finite_differences_and_tensors_agree() {
        const STEP: f64 = 1e-6;
        let mut rng = StdRng::seed_from_u64(3);
        let (mix, parts, weights) = problem(&mut rng);
        for num_planes in [2, 4] {
            let coefs = Coefs { known: &KNOWN, mix: &mix, parts: &parts, weights: &weights, num_slices: NUM_SLICES };
            let len = KNOWN.len() * NUM_SLICES * 4 * num_planes * NUM_COEFS;
            let masks: Vec<f64> = (0..len).map(|_| rng.random_range(-0.2..1.0)).collect();
            let (value, gradient) = judge(&masks, &coefs);
            for _ in 0..5 {
                let direction: Vec<f64> = (0..len).map(|_| rng.random_range(-1.0..1.0)).collect();
                let moved = |step: f64| {
                    let masks: Vec<f64> = masks.iter().zip(&direction).map(|(m, d)| m + step * d).collect();
                    judge(&masks, &coefs).0
                };
                let expected = (moved(STEP) - moved(-STEP)) / (2.0 * STEP);
                let got: f64 = gradient.iter().zip(&direction).map(|(g, d)| g * d).sum();
                assert!((got - expected).abs() < 1e-5 * expected.abs().max(0.01), "{got} against {expected}");
            }
            // In single precision, by threads through torch and by tensors.
            let narrow = |rows: &[Vec<Complex<f64>>]| -> Vec<Vec<Complex<f32>>> {
                rows.iter().map(|row| row.iter().map(|c| Complex::new(c.re as f32, c.im as f32)).collect()).collect()
            };
            let waveforms = Waveforms { mix: narrow(&mix), targets: Vec::new(), parts: narrow(&parts) };
            let shape = [3, NUM_SLICES as i64, 4, num_planes as i64, NUM_COEFS as i64];
            let masks: Vec<f32> = masks.iter().map(|m| *m as f32).collect();
            let masks = Tensor::from_slice(&masks).reshape(shape).set_requires_grad(true);
            for (name, loss) in [
                ("kernels", by_kernels(&masks, &KNOWN, &waveforms, &weights)),
                ("tensors", by_tensors(&masks, &KNOWN, &waveforms, &weights)),
            ] {
                assert!((loss.double_value(&[]) / value - 1.0).abs() < 1e-5, "{name}: {loss:?} and {value}");
                let of_torch = Tensor::run_backward(&[&loss], &[&masks], false, false).remove(0);
                let of_torch: Vec<f32> = of_torch.contiguous().reshape([-1]).try_into().unwrap();
                let size = gradient.iter().fold(0.0f64, |size, g| size.max(g.abs()));
                for (a, b) in of_torch.iter().zip(&gradient) {
                    assert!((f64::from(*a) - b).abs() < 1e-4 * size, "{name}: {a} and {b}");
                }
            }
        }
    }

    #[test]
    fn a_silent_stem_costs_what_is_left_of_it_and_nothing_else() {
        let mut rng = StdRng::seed_from_u64(4);
        let mix = [noise(2 * NUM_COEFS, &mut rng)];
        // All of the mix is drums; vocals, bass and other are silent.
        let silence = vec![Complex::ZERO; 2 * NUM_COEFS];
        let parts = [[&silence[..], &mix[0][..], &silence, &silence].concat()];
        let weights = [1.0; NUM_COEFS];
        let coefs = Coefs { known: &[Known::All], mix: &mix, parts: &parts, weights: &weights, num_slices: 1 };
        let masks = |vocals: f64| {
            let of_stem = |value: f64| vec![value; 2 * NUM_COEFS];
            [of_stem(vocals), of_stem(1.0), of_stem(0.0), of_stem(0.0)].concat()
        };
        let (perfect, gradient) = judge(&masks(0.0), &coefs);
        assert_eq!(perfect, 0.0);
        assert!(gradient.iter().all(|g| *g == 0.0));
        for leak in [0.5, 0.05, 0.005] {
            let (value, gradient) = judge(&masks(leak), &coefs);
            assert!((value - leak / 4.0).abs() < 1e-9, "{leak}: {value}");
            // As steep however little is left.
            let steep: f64 = gradient.iter().sum();
            assert!((steep - 0.25).abs() < 1e-9, "{leak}: {steep}");
        }
    }
}
