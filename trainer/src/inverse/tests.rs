use super::*;
use crate::transform::Layout;
use crate::transform::Transform;
use crate::transform::grid::Grid;
use num_complex::Complex;
use rand::{Rng, SeedableRng, rngs::StdRng};
use slicqt::{Design, OverlapAdd, Plan, Sample};
use tch::{Device, Kind, Tensor, kind::Element};

const B: usize = 2;
const S: usize = 4;

/// Coefficients of noise, `[B][S][channel][coef]`.
fn random_mix<T: Sample>(plan: &Plan<T>, rng: &mut StdRng) -> Vec<Complex<T>> {
    let cast = |x: f64| T::from_f64(x).unwrap();
    (0..B * 2)
        .map(|_| {
            let signal: Vec<T> = (0..S * plan.hop_len()).map(|_| cast(rng.random_range(-1.0..1.0))).collect();
            slicqt::forward_whole(plan, &signal)[..S * plan.num_coefs()].to_vec()
        })
        .collect::<Vec<_>>()
        .chunks_exact(2)
        .flat_map(|channels| {
            let slice = |c: usize, s: usize| channels[c][s * plan.num_coefs()..(s + 1) * plan.num_coefs()].to_vec();
            (0..S).flat_map(|s| [slice(0, s), slice(1, s)].concat()).collect::<Vec<_>>()
        })
        .collect()
}

/// Samples by the kernels, by tensors, and by `slicqt` itself as a stream, for random masks.
fn three_ways<T: Sample + Element>(design: &Design, layout: Layout, kind: Kind) -> [Vec<f64>; 3] {
    let transform = Transform::of_design("test", design.clone()).unwrap();
    let plan = Plan::<T>::new(design).unwrap();
    let mut rng = StdRng::seed_from_u64(3);
    let mix = random_mix(&plan, &mut rng);
    let positions = layout.num_positions(&transform);
    let masks: Vec<T> = (0..B * S * 8 * positions).map(|_| T::from_f64(rng.random()).unwrap()).collect();
    let (num_coefs, hop_len) = (plan.num_coefs(), plan.hop_len());

    let mut streamed = Vec::new();
    let (mut scratch, mut slice) = (plan.make_scratch(), plan.make_slice());
    for item in 0..B * 8 {
        let (b, stem_channel) = (item / 8, item % 8);
        let mut overlap_add = OverlapAdd::new(&plan);
        for s in 0..S {
            let mut expanded = vec![T::zero(); num_coefs];
            let masks = &masks[((b * S + s) * 8 + stem_channel) * positions..][..positions];
            match layout {
                Layout::Grid => transform.grid.expand_into(masks, &mut expanded),
                Layout::Coefs => expanded.copy_from_slice(masks),
            }
            let mix = &mix[((b * S + s) * 2 + stem_channel % 2) * num_coefs..][..num_coefs];
            let masked: Vec<Complex<T>> = mix.iter().zip(&expanded).map(|(x, m)| *x * *m).collect();
            plan.inverse_into(&masked, &mut slice, &mut scratch);
            let mut hop = vec![T::zero(); hop_len];
            overlap_add.add_into(&slice, &mut hop);
            // Before that, hops lack slices from before the signal.
            if s + 1 >= plan.slice_len() / hop_len {
                streamed.extend(hop);
            }
        }
    }

    let parts = |part: fn(&Complex<T>) -> T| Tensor::from_slice(&mix.iter().map(part).collect::<Vec<T>>());
    let mix_tensor = Tensor::complex(&parts(|c| c.re), &parts(|c| c.im)).reshape([B as i64, S as i64, 1, 2, -1]);
    let mask_tensor = Tensor::from_slice(&masks).reshape([B as i64, S as i64, 4, 2, -1]);
    let tensors = TensorInverse::new(&transform, layout, (kind, Device::Cpu)).unwrap();
    let by_tensors = tensors.samples(&mix_tensor, &mask_tensor, &transform).to_kind(Kind::Double).flatten(0, -1);

    let kernels = Kernels::new(plan, &Grid::new(&transform.plan), layout);
    let mix: Vec<&[Complex<T>]> = mix.chunks_exact(S * 2 * num_coefs).collect();
    let sums: Vec<StemSum> = (0..B * 4).map(|i| StemSum { example: i / 4, stems: vec![i % 4] }).collect();
    let by_kernels = kernels.samples(&mix, &masks, S, &sums);
    // The samples of a sum are the sum of the samples.
    let all = kernels.samples(&mix, &masks, S, &[StemSum { example: 1, stems: vec![0, 2, 3] }]);
    let len = by_kernels.len() / (B * 4);
    for (i, x) in all.iter().enumerate() {
        let stem = |stem: usize| by_kernels[(4 + stem) * len + i].to_f64().unwrap();
        assert!((x.to_f64().unwrap() - stem(0) - stem(2) - stem(3)).abs() < 1e-5);
    }
    let wide = |values: &[T]| values.iter().map(|v| v.to_f64().unwrap()).collect::<Vec<_>>();
    [wide(&by_kernels), Vec::try_from(&by_tensors).unwrap(), wide(&streamed)]
}

fn largest_difference(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

#[test]
fn both_ways_are_the_inverse_transform() {
    let stft = |fft_len, hop_len| Design::stft(fft_len, hop_len, 44_100.0);
    let on_grid = [Layout::Grid, Layout::Coefs].as_slice();
    let sliced = [Design::mel_32(), Design::bark_262()].map(|design| (design, on_grid));
    let plain = [stft(512, 256), stft(512, 128), stft(768, 192)].map(|design| (design, &on_grid[1..]));
    for (design, layouts) in sliced.into_iter().chain(plain) {
        for layout in layouts.iter().copied() {
            let [kernels, tensors, streamed] = three_ways::<f64>(&design, layout, Kind::Double);
            assert!(streamed.iter().map(|x| x.abs()).fold(0.0, f64::max) > 0.1);
            assert!(largest_difference(&kernels, &streamed) < 1e-10);
            assert!(largest_difference(&tensors, &streamed) < 1e-10, "{}", largest_difference(&tensors, &streamed));
        }
        let [kernels, tensors, streamed] = three_ways::<f32>(&design, layouts[0], Kind::Float);
        assert!(largest_difference(&kernels, &streamed) < 1e-5);
        assert!(largest_difference(&tensors, &streamed) < 1e-5, "{}", largest_difference(&tensors, &streamed));
    }
}
