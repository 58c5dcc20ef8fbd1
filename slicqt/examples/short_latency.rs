//! What the shorter latency of `Timing::Trimmed` costs when coefficients are changed: a stem is masked out of a mix with the
//! ideal ratio mask, and what is left out at the ends of slices is compared with what came out.
//!
//! ```text
//! ffmpeg -i vocals.ogg -ac 1 vocals.wav; ... cargo run --release -p slicqt --example short_latency -- STEM.wav REST.wav [SECONDS]
//! ```

use hound::WavReader;
use slicqt::{Complex, Design, OverlapAdd, Plan, Slicer, Timing};
use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [stem, rest, more @ ..] = args.as_slice() else {
        return Err("usage: short_latency STEM.wav REST.wav [SECONDS]".into());
    };
    let seconds: f64 = more.first().map_or(Ok(30.0), |s| s.parse())?;
    let (stem, rest) = (read(stem, seconds)?, read(rest, seconds)?);
    println!(
        "{:10} {:8} {:>13} {:>9} {:>10} {:>13}",
        "design", "timing", "delay+hop ms", "SDR dB", "change dB", "unchanged dB"
    );
    for design in [Design::bark_262(), Design::mel_32()] {
        let plan = Plan::<f32>::new(&design)?;
        let early = masked(&plan, &stem, &rest, Timing::Early, true);
        for timing in [Timing::Early, Timing::Trimmed] {
            let (delay, out) = (plan.delay_samples(timing), masked(&plan, &stem, &rest, timing, true));
            let mix: Vec<f32> = stem.iter().zip(&rest).map(|(a, b)| a + b).collect();
            let unchanged = masked(&plan, &stem, &rest, timing, false);
            println!(
                "{:10} {:8} {:13.1} {:9.2} {:10.1} {:13.1}",
                design.to_string(),
                format!("{timing:?}"),
                (plan.hop_len() + delay) as f64 / 44.1,
                sdr_db(&stem, &out, plan.slice_len()),
                -sdr_db(&early, &out, plan.slice_len()),
                sdr_db(&mix, &unchanged, plan.slice_len()),
            );
        }
    }
    Ok(())
}

/// The stem out of the mix by `|stem| / (|stem| + |rest|)`, without the delay; or the mix itself.
fn masked(plan: &Plan, stem: &[f32], rest: &[f32], timing: Timing, mask: bool) -> Vec<f32> {
    let (hop_len, delay) = (plan.hop_len(), plan.delay_samples(timing));
    let mut slicers = [Slicer::with_timing(plan, timing), Slicer::with_timing(plan, timing)];
    let mut overlap_add = OverlapAdd::with_timing(plan, timing);
    let (mut slice, mut coefs, mut scratch) =
        (plan.make_slice(), [plan.make_coefs(), plan.make_coefs()], plan.make_scratch());
    let mut out = Vec::new();
    let (mut hop, mut hop_out) = (vec![0.0; hop_len], vec![0.0; hop_len]);
    for start in (0..stem.len() + delay).step_by(hop_len) {
        for ((slicer, coefs), signal) in slicers.iter_mut().zip(&mut coefs).zip([stem, rest]) {
            for (i, x) in hop.iter_mut().enumerate() {
                *x = signal.get(start + i).copied().unwrap_or(0.0);
            }
            slicer.slice_into(plan, &hop, &mut slice);
            plan.forward_into(&slice, coefs, &mut scratch);
        }
        let [of_stem, of_rest] = &mut coefs;
        for (a, b) in of_stem.iter_mut().zip(of_rest.iter()) {
            let (stem, rest): (Complex<f32>, Complex<f32>) = (*a, *b);
            let ratio = if mask { stem.norm() / (stem.norm() + rest.norm()).max(1e-12) } else { 1.0 };
            *a = (stem + rest) * ratio;
        }
        plan.inverse_into(of_stem, &mut slice, &mut scratch);
        overlap_add.add_into(&slice, &mut hop_out);
        out.extend_from_slice(&hop_out);
    }
    out[delay..delay + stem.len()].to_vec()
}

/// Energy of the reference by energy of the difference, without the first slice.
fn sdr_db(reference: &[f32], estimate: &[f32], skip: usize) -> f64 {
    let (mut signal, mut error) = (0.0, 0.0);
    for (r, e) in reference.iter().zip(estimate).skip(skip) {
        signal += (*r as f64).powi(2);
        error += (*r as f64 - *e as f64).powi(2);
    }
    10.0 * (signal / error).log10()
}

/// The first channel of a 16-bit wav.
fn read(path: &str, seconds: f64) -> Result<Vec<f32>, Box<dyn Error>> {
    let mut reader = WavReader::open(path)?;
    let (num_channels, len) = (reader.spec().channels as usize, (seconds * reader.spec().sample_rate as f64) as usize);
    let samples = reader.samples::<i16>().step_by(num_channels).take(len);
    Ok(samples.map(|x| x.map(|x| x as f32 / 32_768.0)).collect::<Result<_, _>>()?)
}
