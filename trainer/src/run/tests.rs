//! The loop as a whole, on a small network and songs of noise.

use crate::augment::Augmentation;
use crate::batch::Batch;
use crate::batch::draw::Drawing;
use crate::batch::example::{Contents, ExampleMaker};
use crate::batch::loader::{BatchConfig, Loader, make_batch};
use crate::data::Song;
use crate::data::Stem;
use crate::data::{Known, Shares};
use crate::network::Network;
use crate::precision::Precision;
use crate::record::RunState;
use crate::record::history::Sums;
use crate::record::recipe::Recipe;
use crate::run::checkpoint::Checkpoint;
use crate::run::session::Session;
use crate::transform::Transform;
use rand::{Rng, SeedableRng, rngs::StdRng};
use std::sync::Arc;
use tch::{Device, nn};

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
        minutes: None,
        clock_s: 0.0,
        judging_s: 0.0,
        step: 0,
        audio_s: 0.0,
        wall_s: 0.0,
        best_sdr_db: None,
        learning_rate: 1e-3,
        batch_slices: 120,
        seed: 11,
        data: vec![],
        recipe: Recipe::default(),
        last_learning_rate: 0.0,
        history: vec![],
        sums: Sums::default(),
    }
}

fn transform() -> Arc<Transform> {
    Arc::new(Transform::new("mel-32").unwrap())
}

fn network_of(vs: &nn::VarStore, transform: &Arc<Transform>) -> Box<dyn Network> {
    run_state().network.build(&vs.root(), transform).unwrap()
}

fn session(checkpoint: Option<&Checkpoint>) -> Session {
    // With losses that threads compute, and that draw from the step's seed.
    let loss = "mse=1,mask-sum=0.02,sdr=0.01,mr-stft=0.01,l1=0.1".parse().unwrap();
    let new = || RunState { loss, ..run_state() };
    let run = checkpoint.map_or_else(new, |checkpoint| checkpoint.state.clone());
    Session::new(run, checkpoint, Device::Cpu).unwrap()
}

fn losses(session: &mut Session, batches: &[Batch]) -> Vec<f64> {
    batches.iter().map(|batch| session.step(std::slice::from_ref(batch)).unwrap().total()).collect()
}

#[test]
fn a_resumed_run_is_the_same_run() {
    tch::set_num_threads(1);
    let mut whole = session(None);
    whole.set_statistics(&songs(), batch_config()).unwrap();
    let (transform, songs, contents) = (whole.transform.clone(), songs(), whole.contents());
    let mut maker = ExampleMaker::new(&transform, contents);
    let batches: Vec<Batch> =
        (0..6).map(|i| make_batch(&songs, &transform, &mut maker, batch_config(), i).unwrap()).collect();
    losses(&mut whole, &batches[..3]);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("last.safetensors");
    whole.max_file_len = Some(10_000);
    whole.save(&path).unwrap();
    assert!(!path.exists(), "not in parts");
    let mut resumed = session(Some(&Checkpoint::open(&path).unwrap()));
    assert_eq!(whole.values(), resumed.values());
    assert_eq!(losses(&mut whole, &batches[3..]), losses(&mut resumed, &batches[3..]));
    assert_eq!(whole.values(), resumed.values());
    assert_eq!(whole.run, resumed.run);
}

#[test]
fn batches_in_parts_make_the_step_of_one() {
    tch::set_num_threads(1);
    // A network whose examples do not see each other (no batch norm), and losses that draw nothing.
    let new = || RunState { network: "gain".parse().unwrap(), transform: "stft:512:128".into(), ..run_state() };
    let [mut whole, mut parts] = [(); 2].map(|()| Session::new(new(), None, Device::Cpu).unwrap());
    assert_eq!(whole.values(), parts.values(), "a network whose start is not random");
    let mut maker = ExampleMaker::new(&whole.transform, whole.contents());
    let mut rng = StdRng::seed_from_u64(3);
    let num_slices = 8;
    let mut example = || {
        let len = num_slices * whole.transform.plan.hop_len();
        let mut channel = || (0..len).map(|_| rng.random_range(-0.5f32..0.5)).collect::<Vec<f32>>();
        let stems = (0..4).map(|_| [channel(), channel()]).collect::<Vec<_>>();
        (stems.clone(), stems)
    };
    let (first, second) = (example(), example());
    let mut make = |stems| maker.transform(stems, num_slices, Known::All);
    let both = Batch::new(vec![make(first.0), make(second.0)], num_slices);
    let apart = [first.1, second.1].map(|stems| Batch::new(vec![make(stems)], num_slices));
    let (one, two) = (whole.step(&[both]).unwrap(), parts.step(&apart).unwrap());
    assert!((one.total() / two.total() - 1.0).abs() < 1e-5, "{} and {}", one.total(), two.total());
    assert!((one.gradient_norm / two.gradient_norm - 1.0).abs() < 1e-4);
    for ((name, one), (_, two)) in whole.values().iter().zip(&parts.values()) {
        // Adam's first step is the sign of the gradient: where that is 0 but for rounding, it may go either way.
        let apart = one.iter().zip(two).filter(|(a, b)| (*a - *b).abs() > 1e-5).count();
        assert!(apart * 100 <= one.len(), "{name}: {apart} of {} differ", one.len());
    }
}

#[test]
fn a_networks_own_losses_are_taken_in_every_precision() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("start.safetensors");
    let of_a_step = |start: &Checkpoint, precision: Precision| -> Vec<(String, f64)> {
        let recipe = Recipe { precision, ..Recipe::default() };
        let run = RunState { recipe, ..start.state.clone() };
        let mut session = Session::new(run, Some(start), Device::Cpu).unwrap();
        let (transform, contents) = (session.transform.clone(), session.contents());
        let mut maker = ExampleMaker::new(&transform, contents);
        let batch = make_batch(&songs(), &transform, &mut maker, batch_config(), 0).unwrap();
        session.step(&[batch]).unwrap().losses
    };
    for network in ["gain", "first:channels=4+6+8+8,projection_len=12,hidden_len=10,num_layers=2"] {
        // The same weights for both: torch's generator is one for all tests that run at the time.
        let run = RunState { network: network.parse().unwrap(), ..run_state() };
        Session::new(run, None, Device::Cpu).unwrap().save(&path).unwrap();
        let start = Checkpoint::open(&path).unwrap();
        let [full, half] = [Precision::F32, Precision::Bf16].map(|precision| of_a_step(&start, precision));
        assert_eq!(full.iter().any(|(name, _)| name == "steepness"), network == "gain", "{full:?}");
        assert_eq!(full.len(), half.len(), "{full:?} and {half:?}");
        for ((name, full), (half_name, half)) in full.iter().zip(&half) {
            assert_eq!(name, half_name);
            assert!((full - half).abs() < 0.02 * full.abs(), "{name}: {full} and {half}");
        }
        // `gain` multiplies no matrices; where there are some, they are in 16 bits.
        assert_eq!(full == half, network == "gain", "{full:?} and {half:?}");
    }
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
    let mut session = session(None);
    let (transform, contents) = (session.transform.clone(), session.contents());
    let mut maker = ExampleMaker::new(&transform, contents);
    let mut batch = make_batch(&songs(), &transform, &mut maker, batch_config(), 0).unwrap();
    batch.forms.linear = &batch.forms.linear * f64::NAN;
    let trained = |session: &Session| {
        session.values().into_iter().filter(|(name, _)| !name.contains("running")).collect::<Vec<_>>()
    };
    let before = trained(&session);
    let error = session.step(&[batch]).unwrap_err().to_string();
    assert!(error.contains("step 0 (batch 0): the loss mse is NaN"), "{error}");
    assert_eq!((before, 0), (trained(&session), session.run.step));
}

#[test]
fn a_damaged_checkpoint_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("last.safetensors");
    std::fs::write(&path, b"half a fi").unwrap();
    assert!(format!("{:#}", Checkpoint::open(&path).err().unwrap()).contains("last.safetensors"));
}
