//! The loop as a whole, on a small network and songs of noise.

use crate::adam::Adam;
use crate::augment::Augmentation;
use crate::average::Average;
use crate::batch::Batch;
use crate::checkpoint::{self, Checkpoint, RunState};
use crate::data::DataConfig;
use crate::draw::Drawing;
use crate::example::{Contents, ExampleMaker};
use crate::loader::{BatchConfig, Loader, make_batch};
use crate::loss::Objective;
use crate::network::{Layout, Network};
use crate::songs::Song;
use crate::stem::Stem;
use crate::stems::{Known, Shares};
use crate::train;
use crate::transform::Transform;
use rand::{Rng, SeedableRng, rngs::StdRng};
use std::sync::Arc;
use tch::{Device, Tensor, nn};

fn batch_config() -> BatchConfig {
    let drawing = Drawing { shares: Shares([0.5, 0.3, 0.2]), augmentation: Augmentation::default() };
    BatchConfig { num_slices: 120, chunk_s: (0.5, 1.0), drawing, seed: 11 }
}

fn songs() -> Vec<Song> {
    let mut rng = StdRng::seed_from_u64(1);
    let num_samples = 3 * 44_100;
    let mut stem = || {
        let mut frame = |_| [rng.random_range(-0.3..0.3), rng.random_range(-0.3..0.3)];
        Some(Arc::new(Stem::from_samples(&(0..num_samples).map(&mut frame).collect::<Vec<_>>())))
    };
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
        network: "first:channels=4+6+8+8,projection_len=12,hidden_len=10,num_layers=2".parse().unwrap(),
        loss: Default::default(),
        transform: "mel-32".into(),
        total_steps: 100,
        step: 0,
        audio_s: 0.0,
        wall_s: 0.0,
        best_sdr_db: None,
        learning_rate: 1e-3,
        batch_slices: 120,
        seed: 11,
        data: vec![],
    }
}

fn config(run: RunState) -> train::TrainConfig {
    let (data, drawing, out) = (DataConfig::default(), batch_config().drawing, "unused".into());
    train::TrainConfig { data, published: None, drawing, out, run, epoch_steps: 1, num_workers: 1, device: Device::Cpu }
}

fn transform() -> Arc<Transform> {
    Arc::new(Transform::new("mel-32").unwrap())
}

fn network_of(vs: &nn::VarStore, transform: &Arc<Transform>) -> Box<dyn Network> {
    run_state().network.build(&vs.root(), transform).unwrap()
}

fn maker<'a>(transform: &'a Transform, network: &dyn Network) -> ExampleMaker<'a> {
    ExampleMaker::new(transform, Contents::of(network))
}

fn steps(network: &dyn Network, adam: &mut Adam, config: &mut train::TrainConfig, batches: &[Batch]) -> Vec<f64> {
    let objective = Objective::new(Default::default(), &transform(), Layout::Grid, Device::Cpu).unwrap();
    batches
        .iter()
        .map(|batch| {
            let loss = train::train_step(network, &objective, adam, batch, config).unwrap().0;
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
    let transform = transform();
    let songs = songs();
    let network = network_of(&nn::VarStore::new(Device::Cpu), &transform);
    let mut maker = maker(&transform, &*network);
    let batches: Vec<Batch> =
        (0..6).map(|i| make_batch(&songs, &transform, &mut maker, batch_config(), i).unwrap()).collect();

    tch::manual_seed(2);
    let vs = nn::VarStore::new(Device::Cpu);
    let network = network_of(&vs, &transform);
    let averaged_vs = nn::VarStore::new(Device::Cpu);
    network_of(&averaged_vs, &transform);
    let mut average = Average::new(&vs, &averaged_vs);
    let (mut adam, mut config) = (Adam::new(&vs), config(run_state()));
    steps(&*network, &mut adam, &mut config, &batches[..3]);
    average.update(3);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("last.safetensors");
    checkpoint::save(&path, &vs, &average, &adam, &config.run).unwrap();
    let losses = steps(&*network, &mut adam, &mut config, &batches[3..]);
    average.update(6);

    tch::manual_seed(99);
    let resumed_vs = nn::VarStore::new(Device::Cpu);
    let resumed = network_of(&resumed_vs, &transform);
    let mut adam = Adam::new(&resumed_vs);
    let resumed_averaged_vs = nn::VarStore::new(Device::Cpu);
    network_of(&resumed_averaged_vs, &transform);
    let mut average = Average::new(&resumed_vs, &resumed_averaged_vs);
    let checkpoint = Checkpoint::open(&path).unwrap();
    checkpoint.restore(&resumed_vs, &mut average, &mut adam).unwrap();
    config.run = checkpoint.state.clone();
    assert_eq!(losses, steps(&*resumed, &mut adam, &mut config, &batches[3..]));
    average.update(6);
    assert_eq!(values(&vs), values(&resumed_vs));
    assert_eq!(values(&averaged_vs), values(&resumed_averaged_vs));
    assert_ne!(values(&vs), values(&averaged_vs));
}

#[test]
fn batches_depend_on_seed_and_index_alone() {
    let transform = transform();
    let songs = songs();
    let contents = Contents::of(&*network_of(&nn::VarStore::new(Device::Cpu), &transform));
    let features = |batch: &Batch| Vec::<f32>::try_from(batch.inputs.reshape([-1])).unwrap();
    let from_threads = |first: u64, num_workers: usize, num_batches: usize| -> Vec<Vec<f32>> {
        std::thread::scope(|scope| {
            let mut loader = Loader::start(scope, &songs, &transform, &contents, batch_config(), first, num_workers);
            (0..num_batches).map(|_| features(&loader.next().unwrap())).collect()
        })
    };
    let one = from_threads(0, 1, 4);
    assert_eq!(one, from_threads(0, 3, 4));
    assert_eq!(one[2..], from_threads(2, 2, 2));
    assert_ne!(one[0], one[1]);
}

#[test]
fn a_gradient_that_is_no_number_stops_the_run_and_spoils_nothing() {
    let transform = transform();
    let vs = nn::VarStore::new(Device::Cpu);
    let network = network_of(&vs, &transform);
    let mut batch = make_batch(&songs(), &transform, &mut maker(&transform, &*network), batch_config(), 0).unwrap();
    let objective = Objective::new(Default::default(), &transform, Layout::Grid, Device::Cpu).unwrap();
    let (mut adam, config) = (Adam::new(&vs), config(run_state()));
    batch.forms.linear = &batch.forms.linear * f64::NAN;
    let trained =
        |vs: &nn::VarStore| values(vs).into_iter().filter(|(n, _)| !n.contains("running")).collect::<Vec<_>>();
    let before = trained(&vs);
    let error = train::train_step(&*network, &objective, &mut adam, &batch, &config).unwrap_err().to_string();
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
