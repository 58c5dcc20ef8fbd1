//! The CDAE against the published program (golden data made with random weights) and the published counts.

use super::{ARCHITECTURE, Cdae, PUBLISHED_STEMS};
use crate::network::{Mode, Network, num_parameters, parse};
use crate::transform::Transform;
use std::{collections::HashMap, path::PathBuf};
use tch::{Device, Tensor, nn};

fn network(transform: &Transform) -> (nn::VarStore, Cdae) {
    let vs = nn::VarStore::new(Device::Cpu);
    let settings = (ARCHITECTURE.defaults)(transform);
    let network = Cdae::new(&vs.root(), parse(&settings).unwrap(), transform);
    (vs, network)
}

#[test]
fn sizes_are_those_of_the_published_network() {
    for (name, parameters, megamacs) in [("mel-32", 3_488_834, 8.84), ("bark-262", 15_010_446, 136.2)] {
        let transform = Transform::new(name).unwrap();
        let (vs, network) = network(&transform);
        // The published count holds the statistics of the inputs too.
        let statistics = 2 * transform.plan.num_bins();
        assert_eq!(num_parameters(&vs) + statistics, parameters, "{name}");
        let macs = network.macs_per_slice() as f64 / 1e6;
        assert!((macs / megamacs - 1.0).abs() < 2e-3, "{name}: {macs} M, published {megamacs} M");
    }
}

#[test]
fn masks_are_those_of_the_published_program() {
    let golden = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/golden"));
    if !golden.is_dir() {
        println!("skipped: {} is not there", golden.display());
        return;
    }
    let read = |name: &str| -> HashMap<String, Tensor> {
        Tensor::read_safetensors(golden.join(name)).unwrap().into_iter().collect()
    };
    let io = read("tiny_rt_random_io.safetensors");
    let transform = Transform::new("mel-32").unwrap();
    let (_vs, mut network) = network(&transform);
    network.load_published(&read("tiny_rt_random_state.safetensors")).unwrap();

    let (mut inputs, mut expected) = (Vec::new(), Vec::new());
    for bucket in 0..transform.plan.buckets().len() {
        // [channel][bin][slice][frame][re, im] to [slice][channel][coef]
        let x = io[&format!("x{bucket:02}")].square().sum_dim_intlist([-1].as_slice(), false, None).sqrt();
        inputs.push(x.permute([2, 0, 1, 3]).flatten(2, 3));
        // [stem][channel][bin][slice][frame], in the published order of stems
        let mask =
            io[&format!("mask{bucket:02}")].index_select(0, &Tensor::from_slice(&PUBLISHED_STEMS.map(|i| i as i64)));
        expected.push(mask.permute([3, 0, 1, 2, 4]).flatten(3, 4));
    }
    let (inputs, expected) = (Tensor::cat(&inputs, 2).unsqueeze(0), Tensor::cat(&expected, 3).unsqueeze(0));
    let worst = |masks: &Tensor, expected: &Tensor| (masks - expected).abs().max().double_value(&[]);
    let whole = tch::no_grad(|| network.whole_masks(&inputs));
    let difference = worst(&whole, &expected);
    println!("whole: masks within {difference:.1e}");
    assert!(difference < 5e-6, "{difference}");

    // As a stream they come two slices later, and the last two do not come.
    let (streamed, _) = tch::no_grad(|| network.forward(&inputs, &network.zero_state(1), Mode::Apply));
    let num_slices = inputs.size()[1] - 2;
    let difference = worst(&streamed.narrow(1, 2, num_slices), &expected.narrow(1, 0, num_slices));
    println!("streamed: masks within {difference:.1e}");
    assert!(difference < 9e-6, "{difference}");
}

#[test]
fn a_tensor_that_is_missing_is_named() {
    let transform = Transform::new("mel-32").unwrap();
    let (_vs, mut network) = network(&transform);
    let error = network.load_published(&HashMap::new()).unwrap_err().to_string();
    assert!(error.contains("sliced_umx.0.cdaes.1.0.weight"), "{error}");
}
