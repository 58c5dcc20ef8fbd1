//! `cargo bench -p slicqt`: one slice, one channel, forward and inverse, beside the bare real FFT of a slice.

use divan::Bencher;
use slicqt::{Design, Plan};

fn main() {
    divan::main();
}

fn design(name: &str) -> Design {
    if name == "bark-262" { Design::bark_262() } else { Design::mel_32() }
}

#[divan::bench(args = ["bark-262", "mel-32"])]
fn forward(bencher: Bencher, name: &str) {
    let plan = Plan::<f32>::new(&design(name)).unwrap();
    let (slice, mut coefs, mut scratch) = (vec![0.1; plan.slice_len()], plan.make_coefs(), plan.make_scratch());
    bencher.bench_local(|| plan.forward_into(divan::black_box(&slice), &mut coefs, &mut scratch));
}

#[divan::bench(args = ["bark-262", "mel-32"])]
fn inverse(bencher: Bencher, name: &str) {
    let plan = Plan::<f32>::new(&design(name)).unwrap();
    let (mut slice, coefs, mut scratch) = (plan.make_slice(), plan.make_coefs(), plan.make_scratch());
    bencher.bench_local(|| plan.inverse_into(divan::black_box(&coefs), &mut slice, &mut scratch));
}

#[divan::bench(args = ["bark-262", "mel-32"])]
fn bare_real_fft(bencher: Bencher, name: &str) {
    let plan = Plan::<f32>::new(&design(name)).unwrap();
    let fft = realfft::RealFftPlanner::<f32>::new().plan_fft_forward(plan.slice_len());
    let (mut input, mut output, mut scratch) = (fft.make_input_vec(), fft.make_output_vec(), fft.make_scratch_vec());
    bencher.bench_local(|| fft.process_with_scratch(&mut input, &mut output, &mut scratch).unwrap());
}
