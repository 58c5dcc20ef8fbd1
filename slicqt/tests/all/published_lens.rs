//! Designs with the lengths that xumx-sliCQ-V2 gives them ([`Design::with_published_lens`]).

use crate::support::{noise, snr_db};
use rand::{Rng, SeedableRng, rngs::StdRng};
use slicqt::{Design, Plan, Scale, forward_whole, inverse_whole};
use std::f64::consts::LN_10;

const RATE_HZ: f64 = 44_100.0;

/// Frequency of a band, and its derivative by the band's index.
fn band(scale: Scale, num_bands: usize, fmin_hz: f64, b: usize) -> (f64, f64) {
    let at = |z_min: f64, z_max: f64| {
        let step = (z_max - z_min) / (num_bands - 1) as f64;
        (z_min + b as f64 * step, step)
    };
    match scale {
        Scale::Bark => {
            let (z, step) = at(6.0 * (fmin_hz / 600.0).asinh(), 6.0 * (RATE_HZ / 1200.0).asinh());
            (600.0 * (z / 6.0).sinh(), 100.0 * (z / 6.0).cosh() * step)
        }
        _ => {
            let mel = |f: f64| 2595.0 * (1.0 + f / 700.0).log10();
            let (z, step) = at(mel(fmin_hz), mel(RATE_HZ / 2.0));
            let growth = (z * LN_10 / 2595.0).exp();
            (700.0 * (growth - 1.0), 700.0 * LN_10 / 2595.0 * growth * step)
        }
    }
}

#[test]
fn slices_and_bins_are_any_multiple_of_4() {
    let mut rng = StdRng::seed_from_u64(8);
    let mut num_rough = 0;
    for _ in 0..40 {
        let scale = if rng.random() { Scale::Bark } else { Scale::Mel };
        let (num_bands, fmin_hz) = (rng.random_range(12..200), rng.random_range(40.0..400.0f64).round());
        let design = Design::new(scale, num_bands, fmin_hz, RATE_HZ).with_published_lens();
        let plan = Plan::<f32>::new(&design).unwrap();
        // L = max 8 sr Q / f, Q = f / 2f'; M_k = pos_(k+1) - pos_(k-1) for the bands between, 4 round(M / 4).
        let bands: Vec<(f64, f64)> = (0..num_bands).map(|b| band(scale, num_bands, fmin_hz, b)).collect();
        let needed = bands.iter().map(|(_, slope)| 4.0 * RATE_HZ / slope).fold(0f64, f64::max);
        assert_eq!(plan.slice_len(), (needed.ceil() as usize).next_multiple_of(4), "{design}");
        let position = |b: usize| plan.slice_len() as f64 / RATE_HZ * bands[b].0;
        for b in 1..num_bands - 2 {
            let width = (position(b + 1) - position(b - 1)) / 4.0;
            let num_frames = plan.bins()[b + 1].num_frames;
            // A width halfway between two lengths may be rounded either way: positions are f32.
            let is_one = |width: f64| num_frames == (4.0 * width.round_ties_even()).max(16.0) as usize;
            assert!(is_one(width - 1e-3) || is_one(width + 1e-3), "{design}, band {b}: {num_frames} for {width}");
        }
        num_rough += usize::from(Design::next_slice_len(plan.slice_len()) != plan.slice_len());
        let x: Vec<f32> = noise(2 * plan.slice_len(), &mut rng);
        let back = inverse_whole(&plan, &forward_whole(&plan, &x), x.len());
        let snr = snr_db(&x, &back);
        assert!(snr > 115.0, "{design}: {snr:.1} dB");
    }
    assert!(num_rough > 20, "{num_rough} slices have a large prime factor: the rule matters");
}

#[test]
fn text_and_the_published_designs() {
    let design = Design::new(Scale::Bark, 100, 40.0, 48_000.0).with_published_lens();
    assert!(design.has_published_lens());
    assert_eq!(design.to_string(), "bark:100:40:lens=published:rate=48000");
    assert_eq!(design.to_string().parse::<Design>().unwrap(), design);
    assert_ne!(design, Design::new(Scale::Bark, 100, 40.0, 48_000.0));
    // These have them anyway.
    assert_eq!(Design::mel_32().with_published_lens(), Design::mel_32());
    assert_eq!("bark:262:32.9:lens=published".parse::<Design>().unwrap(), Design::bark_262());
    // A plain STFT has no such choice.
    assert_eq!(Design::stft(2048, 512, 44_100.0).with_published_lens(), Design::stft(2048, 512, 44_100.0));
    let error = "mel:40:80:lens=smooth".parse::<Design>().unwrap_err().to_string();
    assert!(error.contains("lens=published") && error.contains("lens=smooth"), "{error}");
}
