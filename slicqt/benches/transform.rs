//! `cargo bench -p slicqt`: what a slice costs, beside its bare FFTs. For ratios of one run, taken in turns, see
//! `cargo run --release -p slicqt --example cost`.

mod bare_ffts;

use bare_ffts::{BareFfts, coef, sample};
use divan::{Bencher, black_box, counter::ItemsCount};
use slicqt::{Design, OverlapAdd, Plan, Slicer};

const DESIGNS: [&str; 2] = ["bark-262", "mel-32"];

fn main() {
    divan::main();
}

fn design(name: &str) -> Design {
    match name {
        "bark-262" => Design::bark_262(),
        _ => Design::mel_32(),
    }
}

fn plan(name: &str) -> Plan<f32> {
    Plan::new(&design(name)).expect("published designs are valid")
}

#[divan::bench(args = DESIGNS)]
fn a_bare_forward(bencher: Bencher, name: &str) {
    let mut bare = BareFfts::new(&plan(name));
    bare.refill();
    // In place and over and over, so the numbers overflow; that takes no longer.
    bencher.bench_local(|| bare.forward());
}

#[divan::bench(args = DESIGNS)]
fn b_forward(bencher: Bencher, name: &str) {
    let plan = plan(name);
    let slice: Vec<f32> = (0..plan.slice_len()).map(sample).collect();
    let (mut coefs, mut scratch) = (plan.make_coefs(), plan.make_scratch());
    bencher.bench_local(|| plan.forward_into(black_box(&slice), &mut coefs, &mut scratch));
}

#[divan::bench(args = DESIGNS)]
fn c_bare_inverse(bencher: Bencher, name: &str) {
    let mut bare = BareFfts::new(&plan(name));
    bare.refill();
    bencher.bench_local(|| bare.inverse());
}

#[divan::bench(args = DESIGNS)]
fn d_inverse(bencher: Bencher, name: &str) {
    let plan = plan(name);
    let coefs: Vec<_> = (0..plan.num_coefs()).map(coef).collect();
    let (mut slice, mut scratch) = (plan.make_slice(), plan.make_scratch());
    bencher.bench_local(|| plan.inverse_into(black_box(&coefs), &mut slice, &mut scratch));
}

/// A hop of two channels, with slicing; items are samples per channel.
#[divan::bench(args = DESIGNS)]
fn e_forward_2_channels(bencher: Bencher, name: &str) {
    let plan = plan(name);
    let hop: Vec<f32> = (0..plan.hop_len()).map(sample).collect();
    let mut slicers = [Slicer::new(&plan), Slicer::new(&plan)];
    let (mut slice, mut coefs, mut scratch) = (plan.make_slice(), plan.make_coefs(), plan.make_scratch());
    bencher.counter(ItemsCount::new(plan.hop_len())).bench_local(|| {
        for slicer in &mut slicers {
            slicer.slice_into(&plan, black_box(&hop), &mut slice);
            plan.forward_into(&slice, &mut coefs, &mut scratch);
        }
    });
}

/// A hop of four stems of two channels, with overlap-add; items are samples per channel.
#[divan::bench(args = DESIGNS)]
fn f_inverse_4_stems_of_2_channels(bencher: Bencher, name: &str) {
    let plan = plan(name);
    let coefs: Vec<_> = (0..plan.num_coefs()).map(coef).collect();
    let mut overlap_adds: Vec<_> = (0..8).map(|_| OverlapAdd::new(&plan)).collect();
    let (mut slice, mut hop, mut scratch) = (plan.make_slice(), vec![0.0; plan.hop_len()], plan.make_scratch());
    bencher.counter(ItemsCount::new(plan.hop_len())).bench_local(|| {
        for overlap_add in &mut overlap_adds {
            plan.inverse_into(black_box(&coefs), &mut slice, &mut scratch);
            overlap_add.add_into(&slice, &mut hop);
        }
    });
}

#[divan::bench(args = DESIGNS)]
fn g_plan(name: &str) -> Plan<f32> {
    plan(name)
}
