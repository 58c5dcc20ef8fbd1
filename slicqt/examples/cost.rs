//! What the transform costs, in time and in memory, at both published designs:
//!
//! ```text
//! cargo run --release -p slicqt --example cost
//! ```
//!
//! Times are medians over rounds in which everything takes its turn (three runs, the fastest counts), so that a busy
//! machine slows all of it alike; ratios are medians of the rounds' ratios. Memory is what the allocator hands out, the FFTs' own tables included.

#[path = "../benches/bare_ffts/mod.rs"]
mod bare_ffts;

use bare_ffts::{BareFfts, coef, sample};
use peak_alloc::PeakAlloc;
use slicqt::{Design, DesignError, OverlapAdd, Plan, Slicer};
use std::time::Instant;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

const NUM_ROUNDS: usize = 1000;

const SAMPLE_RATE_HZ: f64 = 44_100.0;

/// Seconds of audio per second of xumx-sliCQ-V2 1.0.0a2 (PyTorch, 1 thread, Xeon at 2.5 GHz).
struct Reference {
    forward_2_channels: f64,
    inverse_4_stems: f64,
}

fn main() -> Result<(), DesignError> {
    report("bark-262", &Design::bark_262(), Reference { forward_2_channels: 97.0, inverse_4_stems: 14.1 })?;
    report("mel-32", &Design::mel_32(), Reference { forward_2_channels: 78.0, inverse_4_stems: 9.0 })
}

fn report(name: &str, design: &Design, reference: Reference) -> Result<(), DesignError> {
    let (plan, plan_bytes) = measured(|| Plan::<f32>::new(design));
    let plan = plan?;
    let plan_us = median((0..20).map(|_| micros(|| drop(Plan::<f32>::new(design)))).collect());
    println!("{name}: slices of {} samples, hops of {}", plan.slice_len(), plan.hop_len());
    println!("  Plan::new                                 {:8.1} ms", plan_us / 1e3);
    memory(&plan, plan_bytes);
    times(&plan, reference);
    println!();
    Ok(())
}

/// What `make` makes, and the bytes that it holds.
fn measured<R>(make: impl FnOnce() -> R) -> (R, usize) {
    let before = ALLOCATOR.current_usage();
    let made = make();
    (made, ALLOCATOR.current_usage() - before)
}

fn memory(plan: &Plan<f32>, plan_bytes: usize) {
    let kib = |bytes: usize| bytes as f64 / 1024.0;
    let (_scratch, scratch_bytes) = measured(|| plan.make_scratch());
    let (_states, states_bytes) = measured(|| (Slicer::new(plan), OverlapAdd::new(plan)));
    let (_slice, slice_bytes) = measured(|| plan.make_slice());
    let (_coefs, coefs_bytes) = measured(|| plan.make_coefs());
    println!("  memory: plan, shared by all               {:8.1} KiB", kib(plan_bytes));
    println!("    scratch, one per thread                 {:8.1} KiB", kib(scratch_bytes));
    println!("    slicer and overlap-add of a channel     {:8.1} KiB", kib(states_bytes));
    println!("    a slice of a channel                    {:8.1} KiB", kib(slice_bytes));
    println!("    its coefficients ({:5})                {:8.1} KiB", plan.num_coefs(), kib(coefs_bytes));
    let stream_bytes = scratch_bytes + states_bytes + slice_bytes + coefs_bytes;
    println!("    a stream of one channel: sum of these   {:8.1} KiB, without the plan", kib(stream_bytes));
}

fn times(plan: &Plan<f32>, reference: Reference) {
    let mut bare = BareFfts::new(plan);
    let slice: Vec<f32> = (0..plan.slice_len()).map(sample).collect();
    let hop = &slice[..plan.hop_len()];
    let coefs: Vec<_> = (0..plan.num_coefs()).map(coef).collect();
    let mut slicers = [Slicer::new(plan), Slicer::new(plan)];
    let mut overlap_adds: Vec<_> = (0..8).map(|_| OverlapAdd::new(plan)).collect();
    let (mut out_slice, mut out_hop) = (plan.make_slice(), vec![0.0; plan.hop_len()]);
    let (mut out_coefs, mut scratch) = (plan.make_coefs(), plan.make_scratch());

    let [mut bare_forward, mut forward, mut forward_2] = [const { Vec::new() }; 3];
    let [mut bare_inverse, mut inverse, mut inverse_8] = [const { Vec::new() }; 3];
    for _ in 0..NUM_ROUNDS {
        bare.refill();
        bare_forward.push(micros(|| bare.forward()));
        forward.push(micros(|| plan.forward_into(&slice, &mut out_coefs, &mut scratch)));
        bare.refill();
        bare_inverse.push(micros(|| bare.inverse()));
        inverse.push(micros(|| plan.inverse_into(&coefs, &mut out_slice, &mut scratch)));
        forward_2.push(micros(|| {
            for slicer in &mut slicers {
                slicer.slice_into(plan, hop, &mut out_slice);
                plan.forward_into(&out_slice, &mut out_coefs, &mut scratch);
            }
        }));
        inverse_8.push(micros(|| {
            for overlap_add in &mut overlap_adds {
                plan.inverse_into(&coefs, &mut out_slice, &mut scratch);
                overlap_add.add_into(&out_slice, &mut out_hop);
            }
        }));
    }

    println!("  one slice of one channel     bare FFTs   transform   ratio (median of {NUM_ROUNDS} rounds)");
    for (what, bare, whole) in [("forward", &bare_forward, &forward), ("inverse", &bare_inverse, &inverse)] {
        let ratios = whole.iter().zip(bare).map(|(whole, bare)| whole / bare).collect();
        let (bare, whole) = (median(bare.clone()), median(whole.clone()));
        println!("    {what:23} {bare:8.1} us {whole:8.1} us   {:.3}", median(ratios));
    }
    let hop_us = 1e6 * plan.hop_len() as f64 / SAMPLE_RATE_HZ;
    println!("  seconds of audio per second, 1 thread       here   reference   times as fast");
    for (what, us, reference) in [
        ("forward, 2 channels", forward_2, reference.forward_2_channels),
        ("inverse, 4 stems of 2 channels", inverse_8, reference.inverse_4_stems),
    ] {
        let here = hop_us / median(us);
        println!("    {what:32} {here:11.0} {reference:11.1} {:12.1}", here / reference);
    }
}

/// The fastest of three runs in a row: the first may have to fetch its tables from far, after the others' turns.
fn micros(mut work: impl FnMut()) -> f64 {
    let run = |_| {
        let start = Instant::now();
        work();
        start.elapsed().as_secs_f64() * 1e6
    };
    (0..3).map(run).fold(f64::INFINITY, f64::min)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
