//! A design in numbers.

use std::fmt::Write as _;

use slicqt::Design;

use super::design_figure::buckets;
use super::latency::live_latency_samples;
use super::profile::Profile;

/// Everything that follows from a design, its buckets, and its bins.
pub fn table(design: &Design, profile: &Profile) -> String {
    let plan = &profile.plan;
    let (rate, slice_len, hop_len) = (profile.sample_rate_hz, plan.slice_len(), plan.hop_len());
    let ms = |samples: usize| 1000.0 * samples as f64 / rate;
    let latency = live_latency_samples(plan);
    let mut text = format!("{design} at {rate} Hz\n\n");
    let mut fact = |name: &str, value: String| {
        let _ = writeln!(text, "  {name:28} {value}");
    };
    fact("slice", format!("{slice_len} samples, {:.1} ms", ms(slice_len)));
    fact("transition of the window", format!("{} samples, {:.1} ms", plan.transition_len(), ms(plan.transition_len())));
    fact("hop", format!("{hop_len} samples, {:.1} ms", ms(hop_len)));
    fact("bins, DC and Nyquist counted", format!("{} in {}", plan.num_bins(), buckets(plan.buckets().len())));
    let per_s = plan.num_coefs() as f64 * rate / hop_len as f64;
    fact("complex coefficients", format!("{} per slice, {per_s:.0} per second and channel", plan.num_coefs()));
    fact("redundancy", format!("{:.2} real numbers per sample", 2.0 * plan.num_coefs() as f64 / hop_len as f64));
    let wait = slice_len - hop_len;
    fact("look-ahead of slices", format!("{wait} samples, {:.1} ms, after the hop of {:.1} ms", ms(wait), ms(hop_len)));
    fact("latency of the live path", format!("{latency} samples, {:.1} ms", ms(latency)));
    let conditioning = profile.conditioning();
    let db = 10.0 * conditioning.log10();
    fact("frame diagonal, max by min", format!("{conditioning:.4} ({db:.1} dB)"));

    let _ = writeln!(text, "\n  bucket  bins       Hz of its bins          frames  time step ms");
    for (bucket_idx, bucket) in plan.buckets().iter().enumerate() {
        let last = bucket.first_bin + bucket.num_bins - 1;
        let _ = writeln!(
            text,
            "  {bucket_idx:6}  {:9}  {:9.1} to {:9.1}  {:6}  {:12.3}",
            if last == bucket.first_bin { last.to_string() } else { format!("{}-{last}", bucket.first_bin) },
            profile.frequency_hz(bucket.first_bin),
            profile.frequency_hz(last),
            bucket.num_frames,
            profile.step_ms(bucket.num_frames)
        );
    }

    let _ = writeln!(text, "\n  bin  designed Hz  position  as computed Hz        Q  width Hz  frames  time step ms");
    for (bin_idx, bin) in plan.bins().iter().enumerate() {
        let _ = writeln!(
            text,
            "  {bin_idx:3}  {:11.2}  {:8}  {:14.2}  {:7.3}  {:8.1}  {:6}  {:12.3}",
            bin.frequency_hz,
            bin.position,
            profile.frequency_hz(bin_idx),
            profile.q(bin_idx),
            bin.num_frames as f64 * profile.hz_per_step(),
            bin.num_frames,
            profile.step_ms(bin.num_frames)
        );
    }
    text
}
