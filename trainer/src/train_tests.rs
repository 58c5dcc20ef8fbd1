//! The loop as a whole, on a small network and songs of noise.

use crate::adam::Adam;
use crate::average::Average;
use crate::checkpoint::{self, Checkpoint, RunState};
use crate::example::ExampleMaker;
use crate::grid::Grid;
use crate::loader::{Batch, BatchConfig, Loader, make_batch};
use crate::network::{Network, NetworkConfig};
use crate::songs::Song;
use crate::stems::{Known, Shares};
use crate::{export, parity, train};
use rand::{Rng, SeedableRng, rngs::StdRng};
use slicqt::{Design, Plan};
use tch::{Device, Tensor, nn};

const BATCH: BatchConfig =
    BatchConfig { num_slices: 120, chunk_s: (0.5, 1.0), shares: Shares([0.5, 0.3, 0.2]), seed: 11 };

fn songs() -> Vec<Song> {
    let mut rng = StdRng::seed_from_u64(1);
    let num_samples = 3 * 44_100;
    let mut stem =
        || Some((0..num_samples).map(|_| [rng.random_range(-0.3..0.3), rng.random_range(-0.3..0.3)]).collect());
    let song = |name: &str, stems, known, bass_activity| Song {
        name: name.into(),
        stems,
        known,
        num_samples,
        bass_activity,
        weight: 1.0,
    };
    vec![
        song("full", [stem(), stem(), stem(), stem()], Known::All, 1.0),
        song("no bass", [stem(), stem(), None, stem()], Known::BassInOther, 0.0),
        song("vocals only", [stem(), None, None, stem()], Known::VocalsOnly, 0.0),
    ]
}

fn run_state() -> RunState {
    RunState {
        network: NetworkConfig {
            num_bins: 33,
            channels: [4, 6, 8, 8],
            projection_len: 12,
            hidden_len: 10,
            num_layers: 2,
        },
        transform: "mel-32".into(),
        total_steps: 100,
        step: 0,
        audio_s: 0.0,
        wall_s: 0.0,
        best_sdr_db: None,
        learning_rate: 1e-3,
        batch_slices: BATCH.num_slices,
        seed: BATCH.seed,
        data: vec![],
    }
}

fn config(run: RunState) -> train::TrainConfig {
    let (data, valid, out) = (vec![], vec![], "unused".into());
    train::TrainConfig {
        data,
        valid,
        shares: BATCH.shares,
        out,
        run,
        epoch_steps: 1,
        num_workers: 1,
        device: Device::Cpu,
    }
}

fn steps(network: &Network, adam: &mut Adam, config: &mut train::TrainConfig, batches: &[Batch]) -> Vec<f64> {
    batches
        .iter()
        .map(|batch| {
            let loss = train::train_step(network, adam, batch, config).unwrap().0;
            config.run.step += 1;
            loss
        })
        .collect()
}

fn values(vs: &nn::VarStore) -> Vec<(String, Vec<f32>)> {
    let flat = |t: Tensor| Vec::<f32>::try_from(t.detach().reshape([-1]).to_kind(tch::Kind::Float)).unwrap();
    let mut values: Vec<_> = vs.variables().into_iter().map(|(n, t)| (n, flat(t))).collect();
    values.sort_by(|a, b| a.0.cmp(&b.0));
    values
}

#[test]
fn a_resumed_run_is_the_same_run() {
    tch::set_num_threads(1);
    let plan = Plan::<f32>::new(&Design::mel_32()).unwrap();
    let grid = Grid::new(&plan);
    let songs = songs();
    let mut maker = ExampleMaker::new(&plan, &grid);
    let batches: Vec<Batch> = (0..6).map(|i| make_batch(&songs, &plan, &mut maker, BATCH, i)).collect();

    tch::manual_seed(2);
    let vs = nn::VarStore::new(Device::Cpu);
    let network = Network::new(&vs.root(), &run_state().network);
    let averaged_vs = nn::VarStore::new(Device::Cpu);
    Network::new(&averaged_vs.root(), &run_state().network);
    let mut average = Average::new(&vs, &averaged_vs);
    let (mut adam, mut config) = (Adam::new(&vs), config(run_state()));
    steps(&network, &mut adam, &mut config, &batches[..3]);
    average.update(3);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("last.safetensors");
    checkpoint::save(&path, &vs, &average, &adam, &config.run).unwrap();
    let losses = steps(&network, &mut adam, &mut config, &batches[3..]);
    average.update(6);

    tch::manual_seed(99);
    let resumed_vs = nn::VarStore::new(Device::Cpu);
    let resumed = Network::new(&resumed_vs.root(), &run_state().network);
    let mut adam = Adam::new(&resumed_vs);
    let resumed_averaged_vs = nn::VarStore::new(Device::Cpu);
    Network::new(&resumed_averaged_vs.root(), &run_state().network);
    let mut average = Average::new(&resumed_vs, &resumed_averaged_vs);
    let checkpoint = Checkpoint::open(&path).unwrap();
    checkpoint.restore(&resumed_vs, &mut average, &mut adam).unwrap();
    config.run = checkpoint.state.clone();
    assert_eq!(losses, steps(&resumed, &mut adam, &mut config, &batches[3..]));
    average.update(6);
    assert_eq!(values(&vs), values(&resumed_vs));
    assert_eq!(values(&averaged_vs), values(&resumed_averaged_vs));
    assert_ne!(values(&vs), values(&averaged_vs));
}

#[test]
fn batches_depend_on_seed_and_index_alone() {
    let plan = Plan::<f32>::new(&Design::mel_32()).unwrap();
    let grid = Grid::new(&plan);
    let songs = songs();
    let features = |batch: &Batch| Vec::<f32>::try_from(batch.features.reshape([-1])).unwrap();
    let from_threads = |first: u64, num_workers: usize, num_batches: usize| -> Vec<Vec<f32>> {
        std::thread::scope(|scope| {
            let mut loader = Loader::start(scope, &songs, &plan, &grid, BATCH, first, num_workers);
            (0..num_batches).map(|_| features(&loader.next())).collect()
        })
    };
    let one = from_threads(0, 1, 4);
    assert_eq!(one, from_threads(0, 3, 4));
    assert_eq!(one[2..], from_threads(2, 2, 2));
    assert_ne!(one[0], one[1]);
}

#[test]
fn a_gradient_that_is_no_number_stops_the_run_and_spoils_nothing() {
    let plan = Plan::<f32>::new(&Design::mel_32()).unwrap();
    let grid = Grid::new(&plan);
    let mut batch = make_batch(&songs(), &plan, &mut ExampleMaker::new(&plan, &grid), BATCH, 0);
    let vs = nn::VarStore::new(Device::Cpu);
    let network = Network::new(&vs.root(), &run_state().network);
    let (mut adam, config) = (Adam::new(&vs), config(run_state()));
    batch.forms.linear = &batch.forms.linear * f64::NAN;
    let trained =
        |vs: &nn::VarStore| values(vs).into_iter().filter(|(n, _)| !n.contains("running")).collect::<Vec<_>>();
    let before = trained(&vs);
    let error = train::train_step(&network, &mut adam, &batch, &config).unwrap_err().to_string();
    assert!(error.contains("not a number"), "{error}");
    assert_eq!(before, trained(&vs));
}

#[test]
fn a_damaged_checkpoint_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("last.safetensors");
    std::fs::write(&path, b"half a fi").unwrap();
    assert!(format!("{:#}", Checkpoint::open(&path).err().unwrap()).contains("last.safetensors"));
}

#[test]
fn the_exported_graph_computes_what_the_network_computes() {
    let plan = Plan::<f32>::new(&Design::mel_32()).unwrap();
    let grid = Grid::new(&plan);
    tch::manual_seed(4);
    let vs = nn::VarStore::new(Device::Cpu);
    let network = Network::new(&vs.root(), &run_state().network);
    let mut adam = Adam::new(&vs);
    // A few steps, so that the batch norms have statistics of their own to fold.
    let mut maker = ExampleMaker::new(&plan, &grid);
    let batches: Vec<Batch> = (0..4).map(|i| make_batch(&songs(), &plan, &mut maker, BATCH, i)).collect();
    let mut config = config(run_state());
    steps(&network, &mut adam, &mut config, &batches);
    let averaged_vs = nn::VarStore::new(Device::Cpu);
    Network::new(&averaged_vs.root(), &run_state().network);
    let average = Average::new(&vs, &averaged_vs);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("last.safetensors");
    checkpoint::save(&path, &vs, &average, &adam, &config.run).unwrap();
    let checkpoint = Checkpoint::open(&path).unwrap();

    let graph = dir.path().join("model.onnx");
    export::write_graph(&checkpoint, &plan, &grid, &graph).unwrap();
    let manifest = export::manifest("test", "none", &checkpoint.state, &Design::mel_32(), &plan, &graph).unwrap();
    manifest.write(dir.path()).unwrap();
    let model = models::Model::load(dir.path()).unwrap();
    let worst = parity::check(&checkpoint, &plan, &grid, &model).unwrap();
    assert!(worst > 0.0, "two implementations that agree in every bit were not compared");
}
