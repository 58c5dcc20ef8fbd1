//! How exactly each scale reconstructs: random legal designs, each with noise, a sine, an impulse and music.
//!
//! ```text
//! cargo run --release -p slicqt --example scales [DESIGNS_PER_SCALE [SEED]]
//! ```

#[path = "../tests/all/support.rs"]
mod support;

use rand::{SeedableRng, rngs::StdRng};
use slicqt::{Design, Plan, Sample, forward_whole, inverse_whole};

fn main() {
    let mut args = std::env::args().skip(1).map(|arg| arg.parse::<u64>().expect("whole numbers"));
    let (num_designs, seed) = (args.next().unwrap_or(40), args.next().unwrap_or(1));
    println!("{:8} {:>7} {:>7} {:>9} {:>9}  worst design in f32", "scale", "designs", "refused", "f32 dB", "f64 dB");
    for kind in support::KINDS {
        let mut rng = StdRng::seed_from_u64(seed);
        let (mut legal, mut refused) = (0, 0);
        let (mut worst_f32, mut worst_f64, mut worst_design) = (f64::INFINITY, f64::INFINITY, String::new());
        while legal < num_designs {
            let design = support::random_design(kind, 16_384, &mut rng);
            let (Ok(f32_plan), Ok(f64_plan)) = (Plan::<f32>::new(&design), Plan::<f64>::new(&design)) else {
                refused += 1;
                continue;
            };
            if f32_plan.slice_len() > 40_000 {
                continue;
            }
            legal += 1;
            let db = worst_db(&f32_plan, &design, &mut rng);
            if db < worst_f32 {
                (worst_f32, worst_design) = (db, format!("{design}, slices of {}", f32_plan.slice_len()));
            }
            worst_f64 = worst_f64.min(worst_db(&f64_plan, &design, &mut rng));
        }
        println!("{kind:8} {legal:7} {refused:7} {worst_f32:9.1} {worst_f64:9.1}  {worst_design}");
    }
}

fn worst_db<T: Sample>(plan: &Plan<T>, design: &Design, rng: &mut StdRng) -> f64 {
    let num_samples = 3 * plan.slice_len() + 17;
    let signals = support::signals::<T>(num_samples, design.sample_rate_hz(), rng);
    let db = |(_, signal): &(&str, Vec<T>)| {
        support::snr_db(signal, &inverse_whole(plan, &forward_whole(plan, signal), num_samples))
    };
    signals.iter().map(db).fold(f64::INFINITY, f64::min)
}
