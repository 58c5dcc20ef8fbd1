//! Reconstruction, and the stream against the whole signal.

use rand::{Rng, SeedableRng, rngs::StdRng};
use slicqt::{Design, OverlapAdd, Plan, Sample, Slicer, forward_whole, inverse_whole};

fn noise<T: Sample>(num_samples: usize, seed: u64) -> Vec<T> {
    let mut rng = StdRng::seed_from_u64(seed);
    (0..num_samples).map(|_| T::from_f64(rng.random_range(-1.0..1.0)).unwrap()).collect()
}

/// Plucked chords over a kick: tonal, transient, and loud at the low end.
fn music<T: Sample>(num_samples: usize) -> Vec<T> {
    let sine = |f: f64, t: f64| (2.0 * std::f64::consts::PI * f * t).sin();
    (0..num_samples)
        .map(|n| {
            let t = n as f64 / 44_100.0;
            let beat = t % 0.5;
            let chord: f64 = [110.0, 277.2, 329.6, 1318.5].iter().map(|f| sine(*f, t)).sum();
            let kick = sine(45.0 + 90.0 * (-30.0 * beat).exp(), beat) * (-8.0 * beat).exp();
            T::from_f64(0.15 * chord * (-3.0 * beat).exp() + 0.5 * kick).unwrap()
        })
        .collect()
}

fn snr_db<T: Sample>(reference: &[T], estimate: &[T]) -> f64 {
    let (mut signal, mut error) = (0.0, 0.0);
    for (r, e) in reference.iter().zip(estimate) {
        signal += r.to_f64().unwrap().powi(2);
        error += (*r - *e).to_f64().unwrap().powi(2);
    }
    10.0 * (signal / error).log10()
}

fn reconstructs<T: Sample>(at_least_db: f64) {
    for design in [Design::bark_262(), Design::mel_32()] {
        let plan = Plan::<T>::new(&design).unwrap();
        for num_samples in [1, 1000, plan.hop_len(), 100_000] {
            for (name, signal) in [("noise", noise::<T>(num_samples, 1)), ("music", music(num_samples))] {
                let signal = if num_samples == 1 { vec![T::one()] } else { signal };
                let back = inverse_whole(&plan, &forward_whole(&plan, &signal), num_samples);
                assert_eq!(back.len(), num_samples);
                let snr = snr_db(&signal, &back);
                eprintln!("{design} {name}, {num_samples} samples: {snr:.1} dB");
                assert!(snr >= at_least_db, "{design} {name} {num_samples}: {snr} dB");
            }
        }
    }
}

#[test]
fn reconstructs_in_f32() {
    reconstructs::<f32>(125.0);
}

#[test]
fn reconstructs_in_f64() {
    reconstructs::<f64>(290.0);
}

/// Hops out of a live stream (any blocks in, hops assembled as a host would deliver them) equal the whole signal.
#[test]
fn stream_is_the_whole_signal_bit_for_bit() {
    for design in [Design::bark_262(), Design::mel_32()] {
        let plan = Plan::<f32>::new(&design).unwrap();
        let hop_len = plan.hop_len();
        let signal = noise::<f32>(5 * hop_len + 321, 2);
        let whole_coefs = forward_whole(&plan, &signal);
        let whole = inverse_whole(&plan, &whole_coefs, signal.len());

        for seed in 0..3 {
            let mut rng = StdRng::seed_from_u64(seed);
            let (mut slicer, mut overlap_add) = (Slicer::new(&plan), OverlapAdd::new(&plan));
            let (mut slice, mut coefs, mut scratch) = (plan.make_slice(), plan.make_coefs(), plan.make_scratch());
            let (mut hop, mut hop_out) = (Vec::new(), vec![f32::NAN; hop_len]);
            let (mut out, mut stream_coefs) = (Vec::new(), Vec::new());
            let mut rest = &signal[..];
            while out.len() < signal.len() + hop_len {
                let block_len = rng.random_range(0..2 * hop_len).min(rest.len());
                let (block, after) = rest.split_at(block_len);
                rest = after;
                hop.extend_from_slice(block);
                if rest.is_empty() {
                    hop.resize(hop.len().next_multiple_of(hop_len) + 2 * hop_len, 0.0); // flush
                }
                while hop.len() >= hop_len {
                    slicer.slice_into(&plan, &hop[..hop_len], &mut slice);
                    hop.drain(..hop_len);
                    coefs.fill(slicqt::Complex::new(f32::NAN, f32::NAN));
                    plan.forward_into(&slice, &mut coefs, &mut scratch);
                    stream_coefs.extend_from_slice(&coefs);
                    slice.fill(f32::NAN);
                    plan.inverse_into(&coefs, &mut slice, &mut scratch);
                    overlap_add.add_into(&slice, &mut hop_out);
                    out.extend_from_slice(&hop_out);
                }
            }
            assert_eq!(stream_coefs[..whole_coefs.len()], whole_coefs);
            assert_eq!(out[hop_len..hop_len + signal.len()], whole, "the stream lags by one hop, and by nothing else");
        }
    }
}

#[test]
fn reset_equals_new() {
    let plan = Plan::<f32>::new(&Design::mel_32()).unwrap();
    let signal = noise::<f32>(3 * plan.hop_len(), 3);
    let (mut slicer, mut overlap_add) = (Slicer::new(&plan), OverlapAdd::new(&plan));
    let run = |slicer: &mut Slicer, overlap_add: &mut OverlapAdd| {
        let (mut slice, mut out) = (plan.make_slice(), vec![0.0; signal.len()]);
        for (hop, out) in signal.chunks(plan.hop_len()).zip(out.chunks_mut(plan.hop_len())) {
            slicer.slice_into(&plan, hop, &mut slice);
            overlap_add.add_into(&slice, out);
        }
        out
    };
    let new = run(&mut slicer, &mut overlap_add);
    assert_ne!(new, run(&mut slicer, &mut overlap_add), "the state matters");
    slicer.reset();
    overlap_add.reset();
    assert_eq!(new, run(&mut slicer, &mut overlap_add));
}

/// The energy weights turn coefficient energy into sample energy (the trainer's loss rests on that).
#[test]
fn energy_weights_follow_parseval() {
    for design in [Design::bark_262(), Design::mel_32()] {
        let plan = Plan::<f64>::new(&design).unwrap();
        let slice = noise::<f64>(plan.slice_len(), 4);
        let (mut coefs, mut scratch) = (plan.make_coefs(), plan.make_scratch());
        plan.forward_into(&slice, &mut coefs, &mut scratch);
        let energy: f64 = coefs.iter().zip(plan.coef_energy_weights()).map(|(c, w)| c.norm_sqr() * *w as f64).sum();
        let expected: f64 = slice.iter().map(|x| x * x).sum();
        assert!((energy / expected - 1.0).abs() < 0.1, "{energy} against {expected}");
    }
}

#[test]
fn wrong_designs_are_refused_with_the_numbers() {
    let error = |design: Design| Plan::<f32>::new(&design).err().expect("refused").to_string();
    let bark = |num_bands, fmin_hz, rate| Design::new(slicqt::Scale::Bark, num_bands, fmin_hz, rate);
    assert!(error(bark(262, 30_000.0, 44_100.0)).contains("30000 Hz"));
    assert!(error(bark(262, 32.9, f64::NAN)).contains("NaN"));
    assert!(error(bark(2, 32.9, 44_100.0)).contains("at least 4, got 2"));
}
