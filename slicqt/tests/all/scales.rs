//! Every scale: reconstruction, designs as text, refusals.

use crate::support::{self, KINDS, random_design, signals, snr_db};
use rand::{Rng, SeedableRng, rngs::StdRng};
use slicqt::{Complex, Design, DesignError, OverlapAdd, Plan, ResolutionBand, Sample, Scale, Slicer};
use slicqt::{forward_whole, inverse_whole};

/// Random legal designs of every scale, and how many of the drawn ones were refused.
fn for_each_design(num_designs: usize, max_slice_len: usize, mut check: impl FnMut(&str, &Design, &mut StdRng)) {
    for kind in KINDS {
        let mut rng = StdRng::seed_from_u64(7);
        let (mut legal, mut refused) = (0, 0);
        while legal < num_designs {
            let design = random_design(kind, max_slice_len, &mut rng);
            match Plan::<f32>::new(&design) {
                Ok(plan) if plan.slice_len() <= max_slice_len => {
                    legal += 1;
                    check(kind, &design, &mut rng);
                }
                Ok(_) => {}
                Err(_) => refused += 1,
            }
            assert!(refused < 20 * (legal + 5), "{kind}: nearly all designs are refused");
        }
    }
}

fn reconstructs<T: Sample>(num_designs: usize, at_least_db: f64) {
    for_each_design(num_designs, 20_000, |_, design, rng| {
        let plan = Plan::<T>::new(design).unwrap();
        let num_samples = rng.random_range(1..4 * plan.slice_len());
        for (name, signal) in signals::<T>(num_samples, design.sample_rate_hz(), rng) {
            if name == "sine" && num_samples < 8 {
                continue;
            }
            let back = inverse_whole(&plan, &forward_whole(&plan, &signal), num_samples);
            let db = snr_db(&signal, &back);
            assert!(db >= at_least_db, "{design}, {name} of {num_samples} samples: {db} dB");
        }
    });
}

#[test]
fn every_scale_reconstructs_in_f32() {
    reconstructs::<f32>(150, 125.0);
}

#[test]
fn every_scale_reconstructs_in_f64() {
    reconstructs::<f64>(30, 290.0);
}

/// `<v, inverse(c)> = <adjoint(v), c>` for random `v` and `c`.
fn adjoint_fits<T: Sample>(num_designs: usize, tolerance: f64) {
    for_each_design(num_designs, 20_000, |_, design, rng| {
        let plan = Plan::<T>::new(design).unwrap();
        let (mut scratch, mut slice) = (plan.make_scratch(), plan.make_slice());
        let nan = Complex::new(T::nan(), T::nan());
        let mut adjoint = vec![nan; plan.num_coefs()];
        for _ in 0..3 {
            let v: Vec<T> = support::noise(plan.slice_len(), rng);
            let parts: Vec<T> = support::noise(2 * plan.num_coefs(), rng);
            let c: Vec<Complex<T>> = parts.chunks_exact(2).map(|part| Complex::new(part[0], part[1])).collect();
            plan.inverse_into(&c, &mut slice, &mut scratch);
            plan.adjoint_into(&v, &mut adjoint, &mut scratch);
            let (mut of_samples, mut of_coefs, mut energy) = (0.0, 0.0, 0.0);
            for (v, x) in v.iter().zip(&slice) {
                of_samples += v.to_f64().unwrap() * x.to_f64().unwrap();
                energy += x.to_f64().unwrap().powi(2);
            }
            for (a, c) in adjoint.iter().zip(&c) {
                of_coefs += (a.re * c.re + a.im * c.im).to_f64().unwrap();
            }
            let size = (energy * plan.slice_len() as f64 / 3.0).sqrt();
            assert!((of_samples - of_coefs).abs() <= tolerance * size, "{design}: {of_samples} {of_coefs} of {size}");
        }
    });
}

#[test]
fn every_scale_has_its_adjoint() {
    adjoint_fits::<f32>(60, 3e-6);
    adjoint_fits::<f64>(30, 1e-14);
}

#[test]
fn every_scale_streams_what_the_whole_file_has() {
    for_each_design(3, 6_000, |_, design, rng| {
        let plan = Plan::<f32>::new(design).unwrap();
        let (hop_len, delay) = (plan.hop_len(), plan.slice_len() - plan.hop_len());
        let num_hops = 3 + delay / hop_len;
        let signal: Vec<f32> = support::noise(num_hops * hop_len, rng);
        let whole_coefs = forward_whole(&plan, &signal);
        let whole = inverse_whole(&plan, &whole_coefs, signal.len());
        let (mut slicer, mut overlap_add) = (Slicer::new(&plan), OverlapAdd::new(&plan));
        let (mut slice, mut coefs, mut scratch) = (plan.make_slice(), plan.make_coefs(), plan.make_scratch());
        let mut out = vec![f32::NAN; hop_len];
        for _ in ["new", "reset"] {
            for (s, hop) in signal.chunks_exact(hop_len).enumerate() {
                slice.fill(f32::NAN);
                coefs.fill(Complex::new(f32::NAN, f32::NAN));
                slicer.slice_into(&plan, hop, &mut slice);
                plan.forward_into(&slice, &mut coefs, &mut scratch);
                assert_eq!(coefs, whole_coefs[s * plan.num_coefs()..][..plan.num_coefs()], "{design} slice {s}");
                slice.fill(f32::NAN);
                plan.inverse_into(&coefs, &mut slice, &mut scratch);
                overlap_add.add_into(&slice, &mut out);
                if let Some(start) = (s * hop_len).checked_sub(delay) {
                    assert_eq!(out, whole[start..start + hop_len], "{design} hop {s}");
                }
            }
            slicer.reset();
            overlap_add.reset();
        }
    });
}

#[test]
fn designs_and_their_texts_are_one() {
    for_each_design(20, 100_000, |kind, design, _| {
        let text = design.to_string();
        assert!(text.starts_with(kind), "{text}");
        assert_eq!(text.parse::<Design>().as_ref(), Ok(design), "{text}");
    });
    let texts = [
        ("bark-262", Design::bark_262()),
        ("mel-32", Design::mel_32()),
        ("cq:96:32.7", Design::new(Scale::ConstantQ, 96, 32.7, 44_100.0)),
        (
            "vq(30):96:32.7-16000:slice=65536:transition=1024:rate=48000",
            Design::new(Scale::VariableQ { gamma_hz: 30.0 }, 96, 32.7, 48_000.0)
                .with_fmax_hz(16_000.0)
                .with_slice_len(65_536)
                .with_transition_len(1024),
        ),
        ("stft:4096:1024", Design::stft(4096, 1024, 44_100.0)),
        (
            "mr:300=8192,22050=1024",
            Design::multi_resolution(
                &[
                    ResolutionBand { up_to_hz: 300.0, window_len: 8192 },
                    ResolutionBand { up_to_hz: 22_050.0, window_len: 1024 },
                ],
                44_100.0,
            ),
        ),
    ];
    for (text, design) in texts {
        assert_eq!(text.parse().as_ref(), Ok(&design));
        assert_eq!(design.to_string(), text);
    }
    for (text, names) in [
        ("bark", "SCALE:BANDS:FMIN"),
        ("bork:32:50", "got \"bork\""),
        ("mel:32", "SCALE:BANDS:FMIN"),
        ("mel:x:50", "got \"x\""),
        ("mel:32:50-", "a frequency in Hz"),
        ("mel:32:50:hop=3", "got \"hop=3\""),
        ("mr:300", "HZ=WINDOW"),
        ("stft:4096", "stft:FFT:HOP"),
        ("vq:32:50", "got \"vq\""),
        ("", "got \"\""),
    ] {
        let error = text.parse::<Design>().expect_err(text).to_string();
        assert!(error.contains(names), "{text}: {error}");
    }
}

#[test]
fn buckets_of_special_designs() {
    let plan = Plan::<f32>::new(&"stft:4096:1024".parse().unwrap()).unwrap();
    assert_eq!((plan.hop_len(), plan.slice_len(), plan.num_bins(), plan.buckets().len()), (1024, 4096, 2049, 1));
    let plan = Plan::<f32>::new(&"mr:300=8192,3000=2048,22050=512".parse().unwrap()).unwrap();
    let frames: Vec<usize> = plan.buckets().iter().map(|bucket| bucket.num_frames).collect();
    assert_eq!(frames, [16, 64, 256], "one bucket per range");
}

/// The STFT that X-UMX and Spleeter use (4096, 1024, periodic Hann), by its definition.
#[test]
fn stft_is_the_usual_one() {
    let plan = Plan::<f64>::new(&Design::stft(64, 16, 44_100.0)).unwrap();
    let mut rng = StdRng::seed_from_u64(3);
    let signal: Vec<f64> = support::noise(200, &mut rng);
    let coefs = forward_whole(&plan, &signal);
    for (s, coefs) in coefs.chunks_exact(33).enumerate() {
        for (k, c) in coefs.iter().enumerate() {
            let mut sum = Complex::new(0.0, 0.0);
            for n in 0..64 {
                let a = 2.0 * std::f64::consts::PI / 64.0;
                let x = ((s + 1) * 16 + n).checked_sub(64).and_then(|t| signal.get(t)).copied().unwrap_or(0.0);
                sum += Complex::from_polar(x * (0.5 - 0.5 * (a * n as f64).cos()), -a * (k * n) as f64);
            }
            assert!((sum - c).norm() < 1e-12, "slice {s} bin {k}");
        }
    }
}

#[test]
fn wrong_designs_are_refused_with_rule_and_numbers() {
    let nan = f64::NAN;
    let bark = |num_bands, fmin, rate| Design::new(Scale::Bark, num_bands, fmin, rate);
    let mr = |bands: &[(f64, usize)]| {
        let bands: Vec<_> =
            bands.iter().map(|&(up_to_hz, window_len)| ResolutionBand { up_to_hz, window_len }).collect();
        Design::multi_resolution(&bands, 44_100.0)
    };
    let cases: Vec<(Design, &[&str])> = vec![
        (bark(262, 30_000.0, 44_100.0), &["below half the sample rate (22050 Hz)", "30000 Hz"]),
        (bark(262, 0.0, 44_100.0), &["lowest frequency", "got 0 Hz"]),
        (bark(262, nan, 44_100.0), &["lowest frequency", "NaN"]),
        (bark(262, 32.9, nan), &["sample rate", "NaN"]),
        (bark(262, 32.9, -1.0), &["sample rate", "-1"]),
        (bark(262, 32.9, f64::INFINITY), &["sample rate", "inf"]),
        (bark(2, 32.9, 44_100.0), &["at least 4, got 2"]),
        (bark(usize::MAX, 32.9, 44_100.0), &["number of bands", "at most"]),
        (bark(262, 32.9, 44_100.0).with_fmax_hz(20.0), &["highest frequency", "(32.9 Hz)", "got 20 Hz"]),
        (bark(262, 32.9, 44_100.0).with_fmax_hz(23_000.0), &["22050 Hz", "got 23000 Hz"]),
        (bark(262, 32.9, 44_100.0).with_fmax_hz(nan), &["highest frequency", "NaN"]),
        (bark(262, 32.9, 44_100.0).with_slice_len(9000), &["Q ", "at least 180", "got 9000"]),
        (bark(262, 32.9, 44_100.0).with_slice_len(18_062), &["multiple of 4", "18062"]),
        (bark(262, 32.9, 44_100.0).with_slice_len(4 * 7879), &["prime factor above 13", "31516", "31680"]),
        (bark(262, 32.9, 44_100.0).with_slice_len(usize::MAX - 3), &["slice length", "at most 4194304"]),
        (Design::mel_32().with_transition_len(7), &["even number", "1008", "got 7"]),
        (Design::mel_32().with_transition_len(1010), &["half the slice (1008 samples)", "got 1010"]),
        (Design::mel_32().with_transition_len(0), &["got 0"]),
        (Design::new(Scale::ConstantQ, 10_000, 20.0, 44_100.0), &["slice length", "at most 4194304"]),
        (Design::new(Scale::VariableQ { gamma_hz: -5.0 }, 96, 20.0, 44_100.0), &["gamma", "-5"]),
        (Design::new(Scale::VariableQ { gamma_hz: nan }, 96, 20.0, 44_100.0), &["gamma", "NaN"]),
        (Design::new(Scale::Linear, 1_000_000, 20.0, 44_100.0), &["at most"]),
        (mr(&[]), &["at least one band"]),
        (mr(&[(300.0, 4096)]), &["band 0", "reach half the sample rate (22050 Hz)", "got 300"]),
        (mr(&[(300.0, 4096), (200.0, 1024), (22_050.0, 64)]), &["band 1", "above 300 Hz", "got 200"]),
        (mr(&[(30_000.0, 4096), (40_000.0, 64)]), &["band 0", "below half the sample rate", "got 30000"]),
        (mr(&[(300.0, 4096), (22_050.0, 0)]), &["band 1", "at least 8 samples", "got 0"]),
        (mr(&[(50.0, 512), (22_050.0, 4096)]), &["band 0", "room for one bin", "got 50"]),
        (mr(&[(nan, 512), (22_050.0, 4096)]), &["band 0", "NaN"]),
        (mr(&[(22_050.0, usize::MAX)]), &["slice length", "at most"]),
        (mr(&[(22_050.0, 4096)]).with_slice_len(4096), &["at least 117", "got 4096"]),
        (Design::stft(4095, 1024, 44_100.0), &["FFT length", "even", "4095"]),
        (Design::stft(0, 0, 44_100.0), &["FFT length", "got 0"]),
        (Design::stft(4096, 1000, 44_100.0), &["divisor", "4096", "got 1000"]),
        (Design::stft(4096, 4096, 44_100.0), &["at most half of it (2048)", "got 4096"]),
        (Design::stft(4096, 0, 44_100.0), &["hop", "got 0"]),
        (Design::stft(1 << 40, 1 << 20, 44_100.0), &["FFT length", "at most"]),
        (Design::stft(4096, 1024, 44_100.0).with_slice_len(8192), &["slice length", "8192"]),
        (Design::stft(4096, 1024, nan), &["sample rate", "NaN"]),
    ];
    for (design, names) in cases {
        let error: DesignError = Plan::<f32>::new(&design).err().unwrap_or_else(|| panic!("{design} is legal"));
        let message = error.to_string();
        assert!(names.iter().all(|name| message.contains(name)), "{design}: {message} must name {names:?}");
    }
}
