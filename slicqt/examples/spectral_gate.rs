//! A streaming spectral effect to start from: a gate that silences, at each frequency on its own, what is weaker than a
//! threshold. Reads and writes wav, hop by hop, as a plugin would.
//!
//! ```text
//! cargo run --release -p slicqt --example spectral_gate -- IN.wav OUT.wav [THRESHOLD_DB [DESIGN]]
//! ```
//!
//! To make an effect of your own, replace `Gate::process`.

use hound::{SampleFormat, WavReader, WavSpec, WavWriter};
use slicqt::{Complex, Design, OverlapAdd, Plan, Slicer, Timing};
use std::error::Error;

/// The effect: everything between the forward and the inverse transform.
struct Gate {
    threshold: f32,
}

impl Gate {
    /// Changes the coefficients `[bin][frame]` of one slice of one channel in place.
    fn process(&mut self, plan: &Plan, coefs: &mut [Complex<f32>]) {
        for bin in plan.bins() {
            // A sine of amplitude 1 at the centre of a bin has about this magnitude.
            let full_scale = plan.slice_len() as f32 / (4.0 * bin.num_frames as f32);
            for c in &mut coefs[bin.coef_offset..bin.coef_offset + bin.num_frames] {
                // A Wiener-like curve: 1 far above the threshold, 0 far below, no clicks between.
                let power = (c.norm() / full_scale).powi(2);
                *c *= power / (power + self.threshold.powi(2));
            }
        }
    }
}

/// One channel's way through the transform. The plan is shared; all memory is allocated here, once.
struct Channel {
    slicer: Slicer,
    overlap_add: OverlapAdd,
    slice: Vec<f32>,
    coefs: Vec<Complex<f32>>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [input, output, rest @ ..] = args.as_slice() else {
        return Err("usage: spectral_gate IN.wav OUT.wav [THRESHOLD_DB [DESIGN]]".into());
    };
    let threshold_db: f32 = rest.first().map_or(Ok(-50.0), |db| db.parse())?;
    let mut reader = WavReader::open(input)?;
    let spec = reader.spec();
    let num_channels = spec.channels as usize;
    let samples: Vec<f32> = match spec.sample_format {
        SampleFormat::Float => reader.samples::<f32>().collect::<Result<_, _>>()?,
        SampleFormat::Int => {
            let full_scale = (1i64 << (spec.bits_per_sample - 1)) as f32;
            reader.samples::<i32>().map(|x| x.map(|x| x as f32 / full_scale)).collect::<Result<_, _>>()?
        }
    };

    let default = format!("bark:96:50:rate={}", spec.sample_rate);
    let design: Design = rest.get(1).unwrap_or(&default).parse()?;
    let plan = Plan::<f32>::new(&design)?;
    let timing = Timing::Early;
    let mut scratch = plan.make_scratch();
    let mut channels: Vec<Channel> = (0..num_channels)
        .map(|_| Channel {
            slicer: Slicer::with_timing(&plan, timing),
            overlap_add: OverlapAdd::with_timing(&plan, timing),
            slice: plan.make_slice(),
            coefs: plan.make_coefs(),
        })
        .collect();
    let mut gate = Gate { threshold: 10f32.powf(threshold_db / 20.0) };

    // What comes out is `delay` samples late: feed as much silence after the end, drop as much at the beginning.
    let (hop_len, delay) = (plan.hop_len(), plan.delay_samples(timing));
    let num_samples = samples.len() / num_channels;
    let spec = WavSpec { bits_per_sample: 32, sample_format: SampleFormat::Float, ..spec };
    let mut writer = WavWriter::create(output, spec)?;
    let (mut hop, mut hops_out) = (vec![0.0; hop_len], vec![vec![0.0; hop_len]; num_channels]);
    for start in (0..num_samples + delay).step_by(hop_len) {
        for (c, channel) in channels.iter_mut().enumerate() {
            for (i, x) in hop.iter_mut().enumerate() {
                *x = samples.get((start + i) * num_channels + c).copied().unwrap_or(0.0);
            }
            channel.slicer.slice_into(&plan, &hop, &mut channel.slice);
            plan.forward_into(&channel.slice, &mut channel.coefs, &mut scratch);
            gate.process(&plan, &mut channel.coefs);
            plan.inverse_into(&channel.coefs, &mut channel.slice, &mut scratch);
            channel.overlap_add.add_into(&channel.slice, &mut hops_out[c]);
        }
        for i in 0..hop_len {
            if (delay..num_samples + delay).contains(&(start + i)) {
                hops_out.iter().try_for_each(|out| writer.write_sample(out[i]))?;
            }
        }
    }
    writer.finalize()?;
    println!(
        "{design}: {} bins, hops of {hop_len} samples, latency {} samples ({:.1} ms)",
        plan.num_bins(),
        hop_len + delay,
        (hop_len + delay) as f64 * 1000.0 / design.sample_rate_hz()
    );
    Ok(())
}
