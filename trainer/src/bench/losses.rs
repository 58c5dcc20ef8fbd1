//! What losses cost, measured: training steps with each set of losses in turn, on examples of noise.

use super::operations;
use crate::batch::Batch;
use crate::batch::example::{Contents, ExampleMaker};
use crate::data::Known;
use crate::layers::tape;
use crate::loss::{InverseKind, LossWeights, Objective};
use crate::network::{Mode, NetworkConfig};
use crate::record::recipe::Recipe;
use crate::run::Adam;
use crate::transform::Transform;
use anyhow::Result;
use rand::{Rng, SeedableRng, rngs::StdRng};
use std::{sync::Arc, time::Instant};
use tch::{Device, nn};

/// Seconds of an example.
const EXAMPLE_S: f64 = 4.0;

/// What `--help` says after the options.
pub const HELP: &str = "\
Steps with each set of losses take turns; medians of one run are compared. With OMP_WAIT_POLICY=passive threads that
wait take no processor time, so that the CPU ratio holds on a busy machine too.

Examples:
  OMP_WAIT_POLICY=passive cargo run --release -p trainer -- bench-losses
  cargo run --release -p trainer -- bench-losses --transform mel-32 --losses mse=1+sdr=0.01 --losses mse=1+l1=0.1";

/// Arguments of `trainer bench-losses`.
#[derive(clap::Args)]
pub struct BenchArgs {
    /// Network and its settings, NAME or NAME:KEY=VALUE,...
    #[arg(long, default_value = "first")]
    network: NetworkConfig,
    /// Transform
    #[arg(long, default_value = "bark-262")]
    transform: String,
    /// Losses to measure beside the default ones (may be given several times), NAME=WEIGHT+NAME=WEIGHT+...
    #[arg(long)]
    losses: Vec<String>,
    /// Slices of a batch
    #[arg(long, default_value_t = 128)]
    batch_slices: usize,
    /// Steps with each set of losses
    #[arg(long, default_value_t = 7)]
    rounds: usize,
    /// Invert with tensor operations instead of the CPU's kernels
    #[arg(long)]
    tensors: bool,
    /// Compute on the CPU even if CUDA is there
    #[arg(long)]
    cpu: bool,
}

/// Prints a line for each set of losses.
///
/// # Errors
/// If network, transform or losses cannot be made.
pub fn bench_losses(args: &BenchArgs) -> Result<()> {
    let device = if args.cpu { Device::Cpu } else { crate::cuda::best_device() };
    let transform = Arc::new(Transform::new(&args.transform)?);
    let mut all = vec![LossWeights::default()];
    let given = if args.losses.is_empty() {
        ["sdr-stems", "sdr", "si-sdr", "wsdr", "l1-stems", "l1", "mr-stft-stems", "mr-stft"]
            .map(|name| format!("{}+{name}=0.01", default_losses()))
            .to_vec()
    } else {
        args.losses.clone()
    };
    for losses in given {
        all.push(losses.replace('+', ",").parse().map_err(anyhow::Error::msg)?);
    }
    let kind = if args.tensors || device != Device::Cpu { InverseKind::Tensors } else { InverseKind::Kernels };
    let case = |losses| Ok((losses, Case::new(args, losses, &transform, device, kind)?));
    let mut cases = all.iter().map(case).collect::<Result<Vec<_>>>()?;
    for round in 0..=args.rounds {
        for (_, case) in &mut cases {
            case.measure(device, round > 0)?; // the first round warms up
        }
        // Forwards and backwards in turn, so that no case always comes after the same other one.
        cases.reverse();
    }
    println!(
        "{} on {}, {:?}, {} threads, inverse by {kind:?}; medians of {} rounds in turn",
        args.network,
        args.transform,
        device,
        tch::get_num_threads(),
        args.rounds
    );
    println!(
        "{:38} {:>8} {:>8} {:>8} {:>12} {:>6} {:>9} {:>10}",
        "losses", "batch s", "step s", "CPU s", "x real time", "ratio", "CPU ratio", "operations"
    );
    if args.rounds.is_multiple_of(2) {
        cases.reverse();
    }
    // Last, as counting takes time.
    for (_, case) in &mut cases {
        let (done, num_operations) = operations::count(|| case.measure(device, false));
        done?;
        case.num_operations = num_operations;
    }
    let (_, base) = &cases[0];
    let (base_s, base_cpu_s) = (median(&base.step_s), median(&base.cpu_s));
    for (losses, case) in &cases {
        let (batch_s, step_s, cpu_s) = (median(&case.batch_s), median(&case.step_s), median(&case.cpu_s));
        println!(
            "{:38} {batch_s:8.3} {step_s:8.3} {cpu_s:8.3} {:12.1} {:6.2} {:9.2} {:10}",
            losses.to_string(),
            case.audio_s / step_s,
            step_s / base_s,
            cpu_s / base_cpu_s,
            case.num_operations
        );
    }
    println!("batch: mixing and transforming on one thread; step and CPU: one step, on the clock and on all threads;");
    println!("operations: of libtorch in a step, optimizer included; a GPU launches every one by itself;");
    println!("CPU ratio: batch and step together, in processor time, which other programs disturb less");
    Ok(())
}

fn default_losses() -> String {
    LossWeights::default().to_string().replace(',', "+")
}

/// A network in training with one set of losses.
struct Case<'a> {
    network: Box<dyn crate::network::Network>,
    objective: Objective,
    adam: Adam,
    maker: ExampleMaker<'a>,
    num_slices: usize,
    batch_size: usize,
    hop_len: usize,
    audio_s: f64,
    batch_s: Vec<f64>,
    step_s: Vec<f64>,
    /// Of batch and step.
    cpu_s: Vec<f64>,
    num_operations: u64,
}

impl<'a> Case<'a> {
    fn new(
        args: &BenchArgs,
        losses: &LossWeights,
        transform: &'a Arc<Transform>,
        device: Device,
        kind: InverseKind,
    ) -> Result<Self> {
        tch::manual_seed(1);
        let vs = nn::VarStore::new(device);
        let network = args.network.build(&vs.root(), transform)?;
        let objective = Objective::with_inverse(losses.clone(), transform, network.layout(), device, kind)?;
        let contents: Contents = objective.contents(&*network);
        let hop_len = transform.plan.hop_len();
        let num_slices = (EXAMPLE_S * 44_100.0 / hop_len as f64).round() as usize;
        let batch_size = (args.batch_slices / num_slices).max(1);
        Ok(Case {
            adam: Adam::new(&vs),
            network,
            objective,
            maker: ExampleMaker::new(transform, contents),
            num_slices,
            batch_size,
            hop_len,
            audio_s: (num_slices * batch_size * hop_len) as f64 / 44_100.0,
            batch_s: vec![],
            step_s: vec![],
            cpu_s: vec![],
            num_operations: 0,
        })
    }

    fn measure(&mut self, device: Device, counts: bool) -> Result<()> {
        let mut rng = StdRng::seed_from_u64(self.step_s.len() as u64);
        let num_samples = self.num_slices * self.hop_len;
        let stems: Vec<[Vec<f32>; 2]> = (0..4)
            .map(|_| std::array::from_fn(|_| (0..num_samples).map(|_| rng.random_range(-0.3..0.3)).collect()))
            .collect();
        let stems = vec![stems; self.batch_size];
        let (start, cpu_start) = (Instant::now(), cpu_s());
        let examples =
            stems.into_iter().map(|stems| self.maker.transform(stems, self.num_slices, Known::All)).collect();
        let batch = Batch::new(examples, self.num_slices);
        let batch_s = start.elapsed().as_secs_f64();
        let start = Instant::now();
        let batch = batch.to_device(device);
        let mode = Mode::Train { dropout_seed: self.step_s.len() as u64 };
        let (losses, tape) = tape::record(|| self.objective.losses_of(&*self.network, &batch, mode));
        self.adam.gather(&losses.total, 1.0, tape);
        let norm = self.adam.apply(1e-4, &Recipe::default());
        anyhow::ensure!(norm.is_finite(), "a gradient of norm {norm}");
        if counts {
            self.batch_s.push(batch_s);
            self.step_s.push(start.elapsed().as_secs_f64());
            self.cpu_s.push(cpu_s() - cpu_start);
        }
        Ok(())
    }
}

/// Processor time of all threads so far.
#[cfg(unix)]
fn cpu_s() -> f64 {
    // SAFETY: all zeros are a valid `rusage`, and `getrusage` writes nothing else.
    let usage = unsafe {
        let mut usage = std::mem::zeroed::<libc::rusage>();
        libc::getrusage(libc::RUSAGE_SELF, &mut usage);
        usage
    };
    let seconds = |t: libc::timeval| t.tv_sec as f64 + t.tv_usec as f64 * 1e-6;
    seconds(usage.ru_utime) + seconds(usage.ru_stime)
}

/// Not measured here.
#[cfg(not(unix))]
fn cpu_s() -> f64 {
    f64::NAN
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}
