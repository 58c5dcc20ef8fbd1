//! How fast a network learns on this machine.

use super::operations;
use crate::batch::loader::Loader;
use crate::data::Data;
use crate::options::TrainArgs;
use crate::run::session::Session;
use anyhow::Result;
use std::time::Instant;

/// Steps that are not counted.
const WARM_UP_STEPS: usize = 3;

/// Options of `trainer bench`: those of `train`, of which --steps is the number of steps that are measured.
#[derive(clap::Args)]
pub struct ThroughputArgs {
    /// Steps to measure
    #[arg(long = "measure", default_value_t = 20, value_name = "STEPS")]
    num_steps: usize,
    #[command(flatten)]
    train: TrainArgs,
}

/// Prints medians over steps: seconds of audio per second, the share of time spent waiting, and where the rest goes.
///
/// # Errors
/// If there is nothing to train on, or the network cannot be made.
pub fn measure_throughput(args: &ThroughputArgs) -> Result<()> {
    let config = args.train.config()?;
    let data = Data::open(&config.data, &config.out)?;
    let mut session = Session::new(config.run.clone(), None, config.device)?;
    session.set_statistics(&data.train, config.batch_config())?;
    println!("{:?}, {} worker(s), {}", config.device, config.num_workers, session.size());
    let (transform, contents) = (session.transform.clone(), session.contents());
    let hop_s = transform.plan.hop_len() as f64 / 44_100.0;
    let (mut step_s, mut waiting_s, mut audio_s) = (Vec::new(), Vec::new(), Vec::new());
    let (wall_s, num_operations) = std::thread::scope(|scope| {
        let batches = config.batch_config();
        let mut loader = Loader::start(scope, &data.train, &transform, &contents, batches, 0, config.num_workers);
        let mut start = Instant::now();
        for i in 0..WARM_UP_STEPS + args.num_steps {
            if i == WARM_UP_STEPS {
                start = Instant::now();
            }
            let asked = Instant::now();
            let batch = loader.next()?;
            let waited_s = asked.elapsed().as_secs_f64();
            let asked = Instant::now();
            session.step(std::slice::from_ref(&batch))?;
            if i >= WARM_UP_STEPS {
                step_s.push(asked.elapsed().as_secs_f64());
                waiting_s.push(waited_s);
                audio_s.push((batch.batch_size * batch.num_slices()) as f64 * hop_s);
            }
        }
        let wall_s = start.elapsed().as_secs_f64();
        // Last, as counting takes time.
        let batch = loader.next()?;
        let (done, num_operations) = operations::count(|| session.step(std::slice::from_ref(&batch)));
        done?;
        Ok::<(f64, u64), anyhow::Error>((wall_s, num_operations))
    })?;
    let (audio_total_s, waiting_total_s): (f64, f64) = (audio_s.iter().sum(), waiting_s.iter().sum());
    println!("audio per second: {:.1} s over {} steps", audio_total_s / wall_s, args.num_steps);
    println!("waiting for batches: {:.1} % of the time", 100.0 * waiting_total_s / wall_s);
    println!("a step: {:.1} ms for {:.1} s of audio (medians)", 1e3 * median(step_s), median(audio_s));
    println!("operations of libtorch in a step: {num_operations} (a GPU launches every one by itself)");
    Ok(())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
