//! Losses in time: gradients against finite differences, both ways of the inverse against each other, and values that
//! can be told beforehand.

use super::kernels::Signals;
use super::sums::all_sums;
use super::time::{STFT_LENS, Sums, time_loss};
use super::*;
use crate::batch::combinations::parts;
use crate::batch::example::ExampleMaker;
use crate::data::Known;
use crate::inverse::{Kernels, StemSum, TensorInverse};
use crate::network::{Channel, InputKind};
use crate::precision::with_precision;
use crate::transform::grid::Grid;
use crate::transform::num_whole_samples;
use num_complex::Complex;
use rand::{Rng, SeedableRng, rngs::StdRng};
use slicqt::{Design, Plan, Scale};

const EACH: [TimeLoss; 5] = [TimeLoss::Sdr, TimeLoss::SiSdr, TimeLoss::WeightedSdr, TimeLoss::L1, TimeLoss::Stft];
const KNOWN: [Known; 3] = [Known::All, Known::BassInOther, Known::VocalsOnly];
const S: usize = 4;

/// A small transform of few bins; windows reach over DC and Nyquist.
fn small_design() -> Design {
    Design::new(Scale::Mel, 10, 400.0, 44_100.0)
}

/// A problem in f64: masks to a loss, by the kernels and by tensors.
struct Problem {
    transform: Transform,
    kernels: Kernels<f64>,
    tensors: TensorInverse,
    /// `[B]`, each `[slice][channel][coef]`.
    mix: Vec<Vec<Complex<f64>>>,
    masks: Vec<f64>,
    /// `[B][stem][channel][sample]`
    stems: Vec<Vec<[Vec<f64>; 2]>>,
    num_samples: usize,
    layout: Layout,
}

impl Problem {
    fn new(design: &Design, layout: Layout) -> Self {
        let transform = Transform::of_design("small", design.clone()).unwrap();
        let plan = Plan::<f64>::new(design).unwrap();
        let mut rng = StdRng::seed_from_u64(2);
        let num_samples = num_whole_samples(&plan, S);
        let mut noise = |len: usize| -> Vec<f64> { (0..len).map(|_| rng.random_range(-1.0..1.0)).collect() };
        let mut stems: Vec<Vec<[Vec<f64>; 2]>> =
            KNOWN.iter().map(|_| (0..4).map(|_| [noise(num_samples + 3), noise(num_samples + 3)]).collect()).collect();
        // What is not known apart comes in other.
        for (stems, known) in stems.iter_mut().zip(KNOWN) {
            for part in parts(known) {
                part[..part.len() - 1].iter().for_each(|stem| stems[*stem].iter_mut().for_each(|c| c.fill(0.0)));
            }
        }
        let mix = KNOWN.map(|_| {
            let channels = [0, 1].map(|_| slicqt::forward_whole(&plan, &noise(S * plan.hop_len())));
            let slice = |s: usize| s * plan.num_coefs()..(s + 1) * plan.num_coefs();
            (0..S).flat_map(|s| [&channels[0][slice(s)], &channels[1][slice(s)]].concat()).collect()
        });
        let masks = (0..KNOWN.len() * S * 8 * layout.num_positions(&transform)).map(|_| rng.random()).collect();
        let tensors = TensorInverse::new(&transform, layout, (Kind::Double, Device::Cpu)).unwrap();
        let kernels = Kernels::new(plan, &Grid::new(&transform.plan), layout);
        Problem { transform, kernels, tensors, mix: mix.into(), masks, stems, num_samples, layout }
    }

    /// What the estimates of a loss by the kernels are of.
    fn sums(kind: TimeLoss, over: Over) -> Vec<StemSum> {
        all_sums(&KNOWN, if kind == TimeLoss::Stft { over } else { Over::Stems })
    }

    /// The value by the kernels, and the gradient `[B][S][stem][channel][position]` where it is asked for.
    fn by_kernels(&self, masks: &[f64], kind: TimeLoss, over: Over, with_gradient: bool) -> (f64, Vec<f64>) {
        let mix: Vec<&[Complex<f64>]> = self.mix.iter().map(Vec::as_slice).collect();
        let sums = Self::sums(kind, over);
        let estimates = self.kernels.samples(&mix, masks, S, &sums);
        let signals = Signals::new(sums, &KNOWN, estimates, &self.stems, self.num_samples);
        let judgement = signals.judge(kind, over, 1.0, &[256, 64]);
        if !with_gradient {
            return (judgement.value, vec![]);
        }
        (judgement.value, self.kernels.mask_gradient(&mix, S, &signals.sums, |i, c, out| (judgement.add)(i, c, out)))
    }

    /// The same, by torch alone.
    fn by_tensors(&self, kind: TimeLoss, over: Over) -> (f64, Vec<f64>) {
        let b = KNOWN.len() as i64;
        let options = (Kind::Double, Device::Cpu);
        let masks = Tensor::from_slice(&self.masks).reshape([b, S as i64, 4, 2, -1]).set_requires_grad(true);
        let mix = self.mix.concat();
        let parts = |part: fn(&Complex<f64>) -> f64| Tensor::from_slice(&mix.iter().map(part).collect::<Vec<_>>());
        let mix = Tensor::complex(&parts(|c| c.re), &parts(|c| c.im)).reshape([b, S as i64, 1, 2, -1]);
        let channels = self.stems.iter().flatten().flatten();
        let targets: Vec<f64> = channels.flat_map(|channel| &channel[..self.num_samples]).copied().collect();
        let targets = Tensor::from_slice(&targets).reshape([b, 4, 2, -1]);
        let sums = Sums::new(&all_sums(&KNOWN, over), KNOWN.len(), options);
        let samples = self.tensors.samples(&mix, &masks, &self.transform);
        let loss = time_loss(kind, &samples, &targets, &sums, &[256, 64]);
        let gradient = Tensor::run_backward(&[&loss], &[&masks], false, false).remove(0);
        (loss.double_value(&[]), gradient.contiguous().flatten(0, -1).try_into().unwrap())
    }
}

#[test]
fn gradients_are_those_of_finite_differences() {
    const STEP: f64 = 1e-7;
    let plain = Design::stft(512, 256, 44_100.0);
    for (design, layout) in [(small_design(), Layout::Grid), (small_design(), Layout::Coefs), (plain, Layout::Coefs)] {
        let problem = Problem::new(&design, layout);
        assert_eq!(problem.layout, layout);
        let mut rng = StdRng::seed_from_u64(4);
        for kind in EACH {
            for over in [Over::Combinations, Over::Stems] {
                let (value, gradient) = problem.by_kernels(&problem.masks, kind, over, true);
                let (tensor_value, tensor_gradient) = problem.by_tensors(kind, over);
                assert!((value / tensor_value - 1.0).abs() < 1e-10, "{kind:?}: {value} and {tensor_value}");
                let size = gradient.iter().fold(0.0, |m: f64, g| m.max(g.abs()));
                for (a, b) in gradient.iter().zip(&tensor_gradient) {
                    assert!((a - b).abs() < 1e-9 * size, "{kind:?} {over:?}: {a} and {b}");
                }
                for _ in 0..3 {
                    let direction: Vec<f64> = gradient.iter().map(|_| rng.random_range(-1.0..1.0)).collect();
                    let moved = |step: f64| -> f64 {
                        let masks: Vec<f64> = problem.masks.iter().zip(&direction).map(|(m, d)| m + step * d).collect();
                        problem.by_kernels(&masks, kind, over, false).0
                    };
                    let expected = (moved(STEP) - moved(-STEP)) / (2.0 * STEP);
                    let got: f64 = gradient.iter().zip(&direction).map(|(g, d)| g * d).sum();
                    let scale = expected.abs().max(size);
                    assert!((got - expected).abs() < 3e-5 * scale, "{kind:?} {over:?}: {got} against {expected}");
                }
            }
        }
    }
}

#[test]
fn an_estimate_with_known_errors_has_the_sdr_that_it_should() {
    // One example; residuals are a tenth of each stem, so that every SDR is 20 dB (the softening changes little).
    let targets = Tensor::randn([1, 4, 2, 4000], (Kind::Double, Device::Cpu));
    let noise = Tensor::randn([1, 4, 2, 4000], (Kind::Double, Device::Cpu)) * 0.1;
    let loss = |kind, estimates: &Tensor, over| {
        let sums = Sums::new(&all_sums(&[Known::All], over), 1, (Kind::Double, Device::Cpu));
        time_loss(kind, estimates, &targets, &sums, &STFT_LENS).double_value(&[])
    };
    for over in [Over::Combinations, Over::Stems] {
        let estimates = &targets + &noise;
        assert!((loss(TimeLoss::Sdr, &estimates, over) + 20.0).abs() < 2.0);
        assert!((loss(TimeLoss::SiSdr, &estimates, over) + 20.0).abs() < 2.0);
        // Half as loud: 6 dB of SDR, and no error that SI-SDR would hear.
        let half = &targets * 0.5;
        assert!((loss(TimeLoss::Sdr, &half, over) + 6.02).abs() < 0.1);
        assert!(loss(TimeLoss::SiSdr, &half, over) < -15.0);
        assert!((loss(TimeLoss::WeightedSdr, &targets, over) + 1.0).abs() < 2e-2);
        assert!(loss(TimeLoss::L1, &targets, over).abs() < 1e-9);
        assert!(loss(TimeLoss::Stft, &targets, over).abs() < 0.02);
        assert!(loss(TimeLoss::Stft, &half, over) > 0.5);
    }
}

#[test]
fn a_batch_with_losses_in_time_gives_their_gradient_to_the_masks_either_way() {
    let transform = Arc::new(Transform::new("mel-32").unwrap());
    let weights: LossWeights =
        "mse=1,magnitude-mse=0.5,mask-sum=0.02,sdr=0.1,mr-stft=0.2,l1-stems=0.3".parse().unwrap();
    assert_eq!(weights, weights.to_string().parse().unwrap());
    let mut rng = StdRng::seed_from_u64(8);
    let num_slices = 5;
    let contents = Contents {
        layout: Layout::Grid,
        channels: vec![Channel::Left],
        input_kind: InputKind::Magnitude,
        output_kind: OutputKind::Mask,
        magnitude_forms: true,
        waveforms: true,
        coefs: false,
    };
    let mut maker = ExampleMaker::new(&transform, contents);
    let mut example = |known| {
        let len = num_slices * transform.plan.hop_len();
        let mut channel = || (0..len).map(|_| rng.random_range(-0.5f32..0.5)).collect::<Vec<f32>>();
        let stems: Vec<[Vec<f32>; 2]> = (0..4).map(|_| [channel(), channel()]).collect();
        maker.transform(stems, num_slices, known)
    };
    let batch = Batch::new(vec![example(Known::All), example(Known::BassInOther)], num_slices);
    let shape = [2, num_slices as i64, 4, 2, transform.grid.len() as i64];
    tch::manual_seed(8);
    let masks = Tensor::rand(shape, (Kind::Float, Device::Cpu)).set_requires_grad(true);
    // A look-ahead of two: the first masks belong to no slice, the last slices have no masks.
    let look_ahead = LookAhead::Slices(2);
    // Training draws resolutions and sums by its seed.
    for mode in [Mode::Apply].into_iter().chain((0..3).map(|dropout_seed| Mode::Train { dropout_seed })) {
        let both = [InverseKind::Kernels, InverseKind::Tensors].map(|kind| {
            let objective =
                Objective::with_inverse(weights.clone(), &transform, Layout::Grid, Device::Cpu, kind).unwrap();
            let losses = objective.losses(&masks, look_ahead, &batch, mode);
            let names: Vec<&str> = losses.parts.iter().map(|(name, _)| *name).collect();
            assert_eq!(names, ["mse", "magnitude-mse", "mask-sum", "sdr", "mr-stft", "l1-stems"]);
            let values: Vec<f64> = losses.parts.iter().map(|(_, part)| part.double_value(&[])).collect();
            let sum: f64 = values.iter().zip(&weights.0).map(|(value, (_, weight))| value * weight).sum();
            assert!((losses.total.double_value(&[]) - sum).abs() < 1e-4, "the total is the weighted sum");
            let gradient_of = |losses: Losses| Tensor::run_backward(&[losses.total], &[&masks], false, false).remove(0);
            let gradient = gradient_of(losses);
            assert_eq!(gradient.narrow(1, 0, 2).abs().max().double_value(&[]), 0.0);
            let again = gradient_of(objective.losses(&masks, look_ahead, &batch, mode));
            assert_eq!(gradient, again, "{kind:?}: a run can be repeated bit for bit");
            (gradient, values)
        });
        for (a, b) in both[0].1.iter().zip(&both[1].1) {
            assert!((a - b).abs() < 1e-5 * (1.0 + b.abs()), "{mode:?}: {a} and {b}");
        }
        let size = both[0].0.abs().max().double_value(&[]);
        let difference = (&both[0].0 - &both[1].0).abs().max().double_value(&[]);
        assert!(size > 0.0 && difference < 1e-4 * size, "{mode:?}: {difference} of {size}");
    }
}

#[test]
fn losses_are_computed_in_32_bits_whatever_the_network_does() {
    let transform = Arc::new(Transform::new("mel-32").unwrap());
    let weights: LossWeights = "mse=1,sdr=0.1,mr-stft=0.1".parse().unwrap();
    let contents = Contents {
        layout: Layout::Grid,
        channels: vec![Channel::Left],
        input_kind: InputKind::Magnitude,
        output_kind: OutputKind::Mask,
        magnitude_forms: false,
        waveforms: true,
        coefs: false,
    };
    let num_slices = 5;
    let mut rng = StdRng::seed_from_u64(9);
    let mut channel = || (0..num_slices * transform.plan.hop_len()).map(|_| rng.random_range(-0.5f32..0.5)).collect();
    let stems = (0..4).map(|_| [channel(), channel()]).collect();
    let example = ExampleMaker::new(&transform, contents).transform(stems, num_slices, Known::All);
    let batch = Batch::new(vec![example], num_slices);
    tch::manual_seed(9);
    let shape = [1, num_slices as i64, 4, 2, transform.grid.len() as i64];
    let masks = Tensor::rand(shape, (Kind::Float, Device::Cpu));
    for kind in [InverseKind::Kernels, InverseKind::Tensors] {
        let objective = Objective::with_inverse(weights.clone(), &transform, Layout::Grid, Device::Cpu, kind).unwrap();
        let values = |bf16: bool| -> Vec<f64> {
            let mode = Mode::Train { dropout_seed: 0 };
            let (losses, product) = with_precision(bf16, Device::Cpu, || {
                let losses = objective.losses(&masks, LookAhead::Slices(0), &batch, mode);
                (losses, masks.flatten(0, 3).matmul(&masks.flatten(0, 3).transpose(0, 1)))
            });
            assert_eq!(product.kind(), if bf16 { Kind::BFloat16 } else { Kind::Float }, "16 bits again afterwards");
            losses.parts.iter().map(|(_, part)| part.double_value(&[])).collect()
        };
        assert_eq!(values(false), values(true));
    }
}

#[test]
fn an_unknown_loss_or_weight_is_named() {
    assert!("mse=1,sdrr=2".parse::<LossWeights>().unwrap_err().contains("si-sdr"));
    assert!("mse=zero".parse::<LossWeights>().unwrap_err().contains("mse"));
    assert!("mse=-1".parse::<LossWeights>().is_err());
}
