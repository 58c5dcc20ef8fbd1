//! Examples of equal length as tensors.

pub mod combinations;
pub mod draw;
#[cfg(test)]
mod draw_tests;
pub mod example;
pub mod forms;
pub mod loader;

use example::Example;
use forms::Forms;
use num_complex::Complex;
use std::sync::Arc;
use tch::{Device, Kind, Tensor};

/// One batch: B examples of S slices.
pub struct Batch {
    /// `[B][S][input][position]`, see [`crate::network::Network`].
    pub inputs: Tensor,
    /// Targets as quadratic forms.
    pub forms: Forms,
    /// What losses in time and of coefficients compare; none unless they were asked for.
    pub waveforms: Option<Arc<Waveforms>>,
    /// B, the number of examples.
    pub batch_size: i64,
}

/// Mixes as coefficients, and stems as samples or coefficients, as the examples hold them; always on the CPU. What no loss
/// asked for is empty.
pub struct Waveforms {
    /// `[B]`, each `[slice][channel][coef]`.
    pub mix: Vec<Vec<Complex<f32>>>,
    /// `[B]`, each `[stem][channel][sample]`, see [`Example::targets`].
    pub targets: Vec<Vec<[Vec<f32>; 2]>>,
    /// `[B]`, each `[slice][part][channel][coef]`, see [`Example::parts`].
    pub parts: Vec<Vec<Complex<f32>>>,
}

impl Batch {
    /// Stacks examples of `num_slices` slices and the same contents.
    pub fn new(examples: Vec<Example>, num_slices: usize) -> Self {
        let (b, s) = (examples.len() as i64, num_slices as i64);
        let stack = |values: fn(&Example) -> &Vec<f32>, shape: &[i64]| {
            let all: Vec<f32> = examples.iter().flat_map(|e| values(e).iter().copied()).collect();
            (!all.is_empty()).then(|| {
                let positions = all.len() as i64 / (b * s * shape.iter().product::<i64>());
                Tensor::from_slice(&all).reshape([&[b, s], shape, &[positions]].concat())
            })
        };
        let positions = examples[0].diagonal.len() / (2 * num_slices);
        let num_inputs = (examples[0].inputs.len() / (num_slices * positions)) as i64;
        let mask_planes = (examples[0].linear.len() / (4 * num_slices * positions)) as i64;
        let known: Vec<_> = examples.iter().map(|e| e.known.expect("made by an ExampleMaker")).collect();
        let expected = "every example holds it";
        let forms = Forms {
            diagonal: stack(|e| &e.diagonal, &[1, 2]).expect(expected),
            neighbour: stack(|e| &e.neighbour, &[1, 2]),
            linear: stack(|e| &e.linear, &[4, mask_planes]).expect(expected),
            magnitude_linear: stack(|e| &e.magnitude_linear, &[4, 2]),
            constant: stack(|e| &e.constant, &[]).expect(expected).reshape([b, s]),
            known,
        };
        let inputs = stack(|e| &e.inputs, &[num_inputs]).expect(expected);
        let waveforms = examples.iter().any(|e| !e.mix.is_empty()).then(|| {
            let mut waveforms = Waveforms { mix: Vec::new(), targets: Vec::new(), parts: Vec::new() };
            for Example { mix, targets, parts, .. } in examples {
                waveforms.mix.push(mix);
                waveforms.targets.push(targets);
                waveforms.parts.push(parts);
            }
            Arc::new(waveforms)
        });
        Batch { inputs, forms, waveforms, batch_size: b }
    }

    /// S, the slices of each example.
    pub fn num_slices(&self) -> i64 {
        self.inputs.size()[1]
    }

    /// The batch on another device.
    pub fn to_device(&self, device: Device) -> Batch {
        Batch {
            inputs: self.inputs.to_kind(Kind::Float).to_device(device),
            forms: self.forms.to_device(device),
            waveforms: self.waveforms.clone(),
            batch_size: self.batch_size,
        }
    }
}
