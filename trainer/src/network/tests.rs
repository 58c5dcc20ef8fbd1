//! What every architecture has to do, checked of every entry of [`ARCHITECTURES`].

use super::*;
use crate::data::STEMS;
use crate::export::{self, parity};
use crate::transform::Transform;
use std::sync::Arc;
use tch::{Device, Kind, Tensor, nn};

/// Settings that make each architecture small, causal or not.
const CASES: &[&str] = &[
    "band-gru:width=10,hidden=6,layers=2,decoder=7,dropout=0.2",
    "band-gru:width=10,hidden=6,layers=1,decoder=7,complex=true",
    "band-gru:width=10,hidden=6,layers=2,decoder=7,attention=0+4",
    "band-gru:width=10,hidden=6,layers=2,decoder=7,attention=3+2,look_ahead=2",
    "first:channels=4+6+8+8,projection_len=12,hidden_len=10,num_layers=2",
    "first:channels=4+6+8+8,projection_len=12,hidden_len=10,num_layers=2,causal=false",
    "unet:n_blocks=3,internal_channels=3,n_internal_layers=2",
    "unet:block=tfc,n_blocks=5,internal_channels=3,n_internal_layers=3,kernel_size_t=2",
    "unet:block=tdf,n_blocks=3,internal_channels=3,bn_factor=0,bias=true",
    "unet:block=tdc,n_blocks=3,internal_channels=3,n_internal_layers=2,complex=true,last_activation=tanh",
    "unet:block=tdc-rnn,n_blocks=3,internal_channels=3,n_internal_layers=2,activation=tanh",
    "x-umx:hidden_size=6,nb_layers=2",
    "x-umx-causal:hidden_size=6,nb_layers=2",
    "umx:hidden_size=6,nb_layers=1,unidirectional=true,bandwidth=10000",
    "cdae:outer=6,inner=5",
    "cdae:outer=6,inner=5,form=offline",
    "cdae-causal:outer=6,inner=5",
    "cdae-lstm:hidden=6,layers=2",
    "cdae-lstm:hidden=6,causal=false",
    "gain:start=-0.5",
];

/// A transform that the network of a case takes.
fn transform_of(case: &str) -> &'static str {
    if ["band-", "unet", "umx", "x-umx"].iter().any(|name| case.starts_with(name)) { "stft:512:128" } else { "mel-32" }
}

struct Case {
    name: &'static str,
    transform: Arc<Transform>,
    vs: nn::VarStore,
    network: Box<dyn Network>,
}

impl Case {
    fn new(name: &'static str) -> Self {
        tch::manual_seed(3);
        let transform = Arc::new(Transform::new(transform_of(name)).unwrap());
        let vs = nn::VarStore::new(Device::Cpu);
        let config: NetworkConfig = name.parse().unwrap();
        let mut network = config.build(&vs.root(), &transform).unwrap();
        network.set_statistics(&random_inputs(&*network, &transform, 2, 8));
        // Statistics of the batch norms that are not those of the start.
        for seed in 0..3 {
            let inputs = random_inputs(&*network, &transform, 2, 8);
            let _ = network.forward(&inputs, &network.zero_state(2), Mode::Train { dropout_seed: seed });
        }
        Case { name, transform, vs, network }
    }

    fn inputs(&self, batch_size: i64, num_slices: i64) -> Tensor {
        random_inputs(&*self.network, &self.transform, batch_size, num_slices)
    }

    fn masks(&self, inputs: &Tensor) -> Tensor {
        self.go_on(inputs, &self.network.zero_state(inputs.size()[0])).0
    }

    fn go_on(&self, inputs: &Tensor, state: &State) -> (Tensor, State) {
        tch::no_grad(|| self.network.forward(inputs, state, Mode::Apply))
    }
}

fn random_inputs(network: &dyn Network, transform: &Transform, batch_size: i64, num_slices: i64) -> Tensor {
    let shape = [
        batch_size,
        num_slices,
        (network.input_channels().len() * network.input_kind().num_planes()) as i64,
        network.layout().num_positions(transform) as i64,
    ];
    let values = Tensor::randn(shape, (Kind::Float, Device::Cpu));
    if network.layout() == Layout::Coefs && network.input_kind() == InputKind::Magnitude {
        values.abs()
    } else {
        values
    }
}

fn largest_difference(a: &Tensor, b: &Tensor) -> f64 {
    (a - b).abs().max().double_value(&[])
}

#[test]
fn every_architecture_is_tested() {
    for architecture in ARCHITECTURES {
        let tested = CASES.iter().any(|case| case.parse::<NetworkConfig>().unwrap().architecture == architecture.name);
        assert!(tested, "{} has no case", architecture.name);
    }
}

#[test]
fn the_look_ahead_is_what_is_said_and_no_more() {
    for case in CASES.iter().copied().map(Case::new) {
        let (num_slices, split) = (9, 5);
        let inputs = case.inputs(2, num_slices);
        let masks = case.masks(&inputs);
        let num_planes = 2 * case.network.output_kind().num_planes() as i64;
        assert_eq!(masks.size()[..4], [2, num_slices, 4, num_planes], "{}", case.name);
        let changed = inputs.copy();
        let _ = changed.narrow(1, split, 1).fill_(3.0);
        let difference =
            |slot: i64| largest_difference(&masks.narrow(1, slot, 1), &case.masks(&changed).narrow(1, slot, 1));
        if case.network.look_ahead() == LookAhead::Unbounded {
            assert!(difference(split - 1) > 0.0, "{}: nothing comes back from later slices", case.name);
            continue;
        }
        for slot in 0..split {
            assert_eq!(difference(slot), 0.0, "{}: slice {split} changed the masks given at {slot}", case.name);
        }
        // The masks given with a slice belong to the slice `look_ahead` before: they must need this one.
        assert!(difference(split) > 1e-6, "{}: the look-ahead is less than it says", case.name);
    }
}

#[test]
fn slices_in_two_calls_are_slices_in_one() {
    for case in CASES.iter().copied().map(Case::new) {
        if case.network.look_ahead() == LookAhead::Unbounded {
            continue;
        }
        let inputs = case.inputs(2, 9);
        let masks = case.masks(&inputs);
        for split in [1, 4] {
            let (first, state) = case.go_on(&inputs.narrow(1, 0, split), &case.network.zero_state(2));
            let rest = inputs.narrow(1, split, 9 - split);
            let (second, _) = case.go_on(&rest, &state);
            let streamed = Tensor::cat(&[first, second], 1);
            assert!(largest_difference(&masks, &streamed) < 2e-6, "{}", case.name);
            if !state.tensors.is_empty() {
                let after = masks.narrow(1, split, 9 - split);
                assert!(largest_difference(&after, &case.masks(&rest)) > 1e-5, "{}: no state matters", case.name);
            }
        }
    }
}

/// Gradients of a sum over the masks of `inputs`, by variable; with our kernels for recurrent layers, or without.
fn gradients(case: &Case, inputs: &Tensor, with_kernels: bool) -> Vec<(String, Tensor)> {
    let loss = || {
        let state = case.network.zero_state(2);
        let (masks, _) = case.network.forward(inputs, &state, Mode::Train { dropout_seed: 1 });
        let target = Tensor::arange(masks.numel() as i64, (Kind::Float, Device::Cpu)).sin().reshape(masks.size());
        (masks - target).square().sum(Kind::Float)
    };
    if with_kernels {
        let (loss, tape) = crate::layers::tape::record(loss);
        tape.backward(&loss);
    } else {
        loss().backward();
    }
    let mut gradients = Vec::new();
    for (name, mut variable) in case.vs.variables() {
        if variable.requires_grad() {
            let gradient = variable.grad();
            gradients.push((name, if gradient.defined() { gradient.copy() } else { Tensor::zeros_like(&variable) }));
            variable.zero_grad();
        }
    }
    gradients.sort_by(|a, b| a.0.cmp(&b.0));
    gradients
}

#[test]
fn every_weight_learns() {
    for case in CASES.iter().copied().map(Case::new) {
        for (name, gradient) in gradients(&case, &case.inputs(2, 8), false) {
            let size = gradient.abs().max().double_value(&[]);
            assert!(size > 0.0 && size.is_finite(), "{}: {name} has a gradient of {size}", case.name);
        }
    }
}

#[test]
fn gradients_by_our_recurrent_kernels_are_those_of_torch() {
    for case in CASES.iter().copied().map(Case::new) {
        let inputs = case.inputs(2, 8);
        let [torch, ours] = [false, true].map(|with_kernels| gradients(&case, &inputs, with_kernels));
        let largest = torch.iter().map(|(_, g)| g.abs().max().double_value(&[])).fold(0.0, f64::max);
        for ((name, torch), (_, ours)) in torch.iter().zip(&ours) {
            let difference = largest_difference(torch, ours);
            assert!(difference < 1e-4 * largest, "{}: {name} {difference} apart", case.name);
        }
    }
}

/// Writes the model of a case and loads it.
fn export_case(case: &Case, block: Option<export::Block>, dir: &std::path::Path) -> anyhow::Result<models::Model> {
    let weights = Weights(case.vs.variables());
    let graph = export::write_graph(&*case.network, &weights, &case.transform, block, &dir.join("model.onnx"))?;
    println!("{}: {} operations", case.name, graph.num_nodes);
    export::manifest("test", "none", case.name, Default::default(), &*case.network, &case.transform, &graph)?
        .write(dir)?;
    Ok(models::Model::load(dir)?)
}

#[test]
fn the_exported_graph_computes_what_the_network_computes() {
    for case in CASES.iter().copied().map(Case::new) {
        let dir = tempfile::tempdir().unwrap();
        let exported = export_case(&case, None, dir.path());
        if case.network.look_ahead() == LookAhead::Unbounded {
            let error = format!("{:#}", exported.err().unwrap());
            assert!(error.contains("causal") && error.contains("--block-slices"), "{error} names no way out");
            continue;
        }
        let worst = parity::check(&*case.network, &case.transform, &exported.unwrap()).unwrap();
        println!("{}: masks within {worst:.1e}", case.name);
        assert!(worst > 0.0, "{}: two implementations that agree in every bit were not compared", case.name);
    }
    assert_eq!(STEMS.len() as i64 * 2, NUM_MASKS);
}

#[test]
fn the_graph_of_a_block_computes_what_the_network_computes() {
    let mut num_compared = 0;
    for case in CASES.iter().copied().map(Case::new) {
        let dir = tempfile::tempdir().unwrap();
        let block = export::Block { num_slices: 13, margin_slices: 2 };
        let model = match export_case(&case, Some(block), dir.path()) {
            Ok(model) => model,
            Err(error) => {
                let error = format!("{error:#}");
                assert!(error.contains("no graph for blocks"), "{}: {error}", case.name);
                continue;
            }
        };
        let worst = parity::check(&*case.network, &case.transform, &model).unwrap();
        println!("{}: masks of a block within {worst:.1e}", case.name);
        num_compared += 1;
    }
    assert!(num_compared >= 12, "{num_compared}");
}

#[test]
fn settings_are_checked_by_name_and_survive_a_round_trip() {
    let transform = Transform::new("mel-32").unwrap();
    for case in CASES {
        let config: NetworkConfig = case.parse().unwrap();
        let complete = config.complete(&transform).unwrap();
        assert_eq!(complete, complete.to_string().parse().unwrap());
        let json = serde_json::to_string(&complete).unwrap();
        assert_eq!(complete, serde_json::from_str(&json).unwrap());
    }
    let error = |text: &str| {
        let config: NetworkConfig = text.parse().unwrap();
        format!("{:#}", config.complete(&transform).unwrap_err())
    };
    assert!(error("frist").contains("first"));
    assert!(error("first:hiden_len=3").contains("hidden_len"));
    assert!("first:causal".parse::<NetworkConfig>().is_err());
    // A checkpoint from before there were several.
    let old = r#"{"num_bins":33,"channels":[4,6,8,8],"projection_len":12,"hidden_len":10,"num_layers":2}"#;
    let old: NetworkConfig = serde_json::from_str(old).unwrap();
    assert_eq!(
        old.complete(&transform).unwrap(),
        CASES[4].parse::<NetworkConfig>().unwrap().complete(&transform).unwrap()
    );
}

/// From samples to samples: what validation scores is what the plugin plays.
#[test]
fn the_engine_plays_what_validation_hears() {
    let library = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/onnxruntime");
    let library = separator::find_runtime(&[library.into()]).unwrap();
    let runtime = Arc::new(separator::Runtime::load(&library).unwrap());
    for case in CASES.iter().copied().map(Case::new) {
        let dir = tempfile::tempdir().unwrap();
        let Ok(model) = export_case(&case, None, dir.path()) else {
            continue; // not to be streamed
        };
        let mut pipeline = separator::Pipeline::new(&runtime, &model).unwrap();
        let hop_len = pipeline.hop_len();
        let num_samples = 14 * hop_len;
        let noise = Tensor::randn([4, num_samples as i64, 2], (Kind::Float, Device::Cpu)) * 0.1;
        let stem = |i: i64| -> Vec<[f32; 2]> {
            let flat: Vec<f32> = noise.select(0, i).reshape([-1]).try_into().unwrap();
            flat.chunks_exact(2).map(|frame| [frame[0], frame[1]]).collect()
        };
        let stems = [0, 1, 2, 3].map(|i| Some(stem(i)));
        let song = crate::data::WholeSong { stems, known: crate::data::Known::All, num_samples };
        let mut expected = vec![[vec![0f32; num_samples], vec![0f32; num_samples]]; 4];
        let mut heard = |stem: usize, channel: usize, start: usize, samples: &[f32]| {
            let end = num_samples.min(start + samples.len());
            expected[stem][channel][start..end].copy_from_slice(&samples[..end - start]);
        };
        crate::run::validate::separate_and_score(&*case.network, &case.transform, &song, Device::Cpu, &mut heard);

        let mut out = vec![[vec![0f32; hop_len], vec![0f32; hop_len]]; 4];
        let num_late = pipeline.delay_samples() / hop_len;
        let mix = |at: usize, channel: usize| -> f32 {
            song.stems.iter().flatten().map(|stem| stem.get(at).map_or(0.0, |frame| frame[channel])).sum()
        };
        let (mut worst, mut loudest) = (0f32, 0f32);
        for k in 0..14 + num_late {
            let hop = [0, 1].map(|channel| (0..hop_len).map(|i| mix(k * hop_len + i, channel)).collect::<Vec<_>>());
            pipeline.process_hop([&hop[0], &hop[1]], &mut out).unwrap();
            let Some(start) = k.checked_sub(num_late).map(|k| k * hop_len) else { continue };
            for (out, expected) in out.iter().flatten().zip(expected.iter().flatten()) {
                for (a, b) in out.iter().zip(&expected[start..start + hop_len]) {
                    (worst, loudest) = (worst.max((a - b).abs()), loudest.max(b.abs()));
                }
            }
        }
        assert!(worst < 1e-4, "{}: samples {worst} apart", case.name);
        assert!(loudest > 0.05, "{}: stems of silence, {loudest}", case.name);
    }
}
