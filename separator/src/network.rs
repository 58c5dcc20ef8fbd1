//! The ONNX graph: opened, checked against the manifest, run, with its memory of the past.

use crate::{Runtime, SeparatorError};
use models::Model;
use ort::{
    session::{Session, SessionInputValue, builder::GraphOptimizationLevel},
    value::{DynValue, Outlet, Tensor, TensorElementType, TensorRef, ValueType},
};
use std::{borrow::Cow, path::PathBuf};

/// A network and its state. Each instance has its own session: ONNX Runtime shares weights between sessions only
/// when they are handed over one by one from outside the graph.
pub struct Network {
    session: Session,
    path: PathBuf,
    input_name: String,
    input_shape: Vec<usize>,
    output_name: String,
    states: Vec<State>,
}

struct State {
    input_name: String,
    output_name: String,
    zeros: DynValue,
    /// None after a reset.
    value: Option<DynValue>,
    /// What it becomes when the input has ended, if that means anything to the network.
    at_end: Option<Vec<f32>>,
    shape: Vec<usize>,
}

impl Network {
    /// Opens the graph of a model, checks it against the manifest, and warms it up if it is for live streams.
    ///
    /// # Errors
    /// [`SeparatorError::Graph`] if ONNX Runtime refuses the graph; a manifest error names the field that disagrees.
    ///
    /// # Realtime
    /// Worker only: reads a file, allocates.
    pub fn open(runtime: &Runtime, model: &Model) -> Result<Self, SeparatorError> {
        let path = model.onnx_path();
        let graph_error = |error: ort::Error| SeparatorError::Graph { path: path.clone(), message: error.to_string() };
        let session = open_session(runtime, model).map_err(graph_error)?;
        check(&session, model)?;
        let manifest = &model.manifest;
        let states = manifest.states.iter().map(|state| {
            let num_values = state.shape.iter().product();
            let zeros = Tensor::from_array((state.shape.clone(), vec![0f32; num_values]))?.into_dyn();
            Ok(State {
                input_name: state.input.clone(),
                output_name: state.output.clone(),
                zeros,
                value: None,
                at_end: manifest.at_end.get(&state.input).cloned(),
                shape: state.shape.clone(),
            })
        });
        let states = states.collect::<ort::Result<_>>().map_err(graph_error)?;
        let mut network = Network {
            session,
            input_name: manifest.input.name.clone(),
            input_shape: manifest.input.shape.clone(),
            output_name: manifest.output.name.clone(),
            states,
            path,
        };
        // The first run allocates what later runs reuse. Files can wait for that.
        if manifest.offline.is_none() {
            let magnitudes = vec![0.0; manifest.input.shape.iter().product()];
            let mut masks = vec![0.0; manifest.output.shape.iter().product()];
            network.run_into(&magnitudes, &mut masks)?;
            network.reset();
        }
        Ok(network)
    }

    /// Magnitudes `[channel][coef]` of one slice in, masks `[stem][left, right][coef]` out; of a block of slices, if the
    /// model takes blocks.
    ///
    /// # Realtime
    /// Worker only: ONNX Runtime allocates.
    pub fn run_into(&mut self, magnitudes: &[f32], masks: &mut [f32]) -> Result<(), SeparatorError> {
        let result = self.try_run_into(magnitudes, masks);
        result.map_err(|error| SeparatorError::Graph { path: self.path.clone(), message: error.to_string() })
    }

    fn try_run_into(&mut self, magnitudes: &[f32], masks: &mut [f32]) -> ort::Result<()> {
        let mut inputs: Vec<(Cow<str>, SessionInputValue)> = Vec::with_capacity(1 + self.states.len());
        let magnitudes = TensorRef::from_array_view((self.input_shape.as_slice(), magnitudes))?;
        inputs.push((self.input_name.as_str().into(), magnitudes.into()));
        for state in &self.states {
            let value = state.value.as_ref().unwrap_or(&state.zeros);
            inputs.push((state.input_name.as_str().into(), value.into()));
        }
        let mut outputs = self.session.run(inputs)?;
        masks.copy_from_slice(outputs[self.output_name.as_str()].try_extract_tensor::<f32>()?.1);
        for state in &mut self.states {
            state.value = outputs.remove(&state.output_name);
        }
        Ok(())
    }

    /// Tells the network that nothing follows: what it looks ahead to now is the end.
    ///
    /// # Errors
    /// [`SeparatorError::Graph`] if ONNX Runtime gives no memory.
    ///
    /// # Realtime
    /// Worker only: allocates.
    pub fn end(&mut self) -> Result<(), SeparatorError> {
        for state in &mut self.states {
            if let Some(values) = &state.at_end {
                let tensor = Tensor::from_array((state.shape.clone(), values.clone()));
                let tensor = tensor
                    .map_err(|error| SeparatorError::Graph { path: self.path.clone(), message: error.to_string() })?;
                state.value = Some(tensor.into_dyn());
            }
        }
        Ok(())
    }

    /// Forgets the past.
    pub fn reset(&mut self) {
        for state in &mut self.states {
            state.value = None;
        }
    }
}

fn open_session(runtime: &Runtime, model: &Model) -> ort::Result<Session> {
    Session::builder(&runtime.environment)?
        .with_optimization_level(GraphOptimizationLevel::All)?
        .with_intra_threads(1)?
        .with_inter_threads(1)?
        .with_parallel_execution(false)?
        .with_intra_op_spinning(false)?
        .with_inter_op_spinning(false)?
        .with_flush_to_zero()?
        .commit_from_file(model.onnx_path())
}

/// Everything that goes in and out of the graph must be in the manifest, and the other way round.
fn check(session: &Session, model: &Model) -> Result<(), SeparatorError> {
    let m = &model.manifest;
    let mut inputs = vec![("input".to_string(), &m.input.name, &m.input.shape)];
    let mut outputs = vec![("output".to_string(), &m.output.name, &m.output.shape)];
    for state in &m.states {
        inputs.push((format!("states.{}", state.input), &state.input, &state.shape));
        outputs.push((format!("states.{}", state.output), &state.output, &state.shape));
    }
    check_side(model, "inputs", &inputs, session.inputs())?;
    check_side(model, "outputs", &outputs, session.outputs())
}

fn check_side(
    model: &Model,
    side: &str,
    manifest: &[(String, &String, &Vec<usize>)],
    graph: &[Outlet],
) -> Result<(), SeparatorError> {
    let names: Vec<&str> = graph.iter().map(Outlet::name).collect();
    for (field, name, shape) in manifest {
        let Some(outlet) = graph.iter().find(|outlet| outlet.name() == *name) else {
            let expected = format!("one of the graph's {side} {names:?}");
            return Err(model.field_error(format!("{field}.name"), expected, name).into());
        };
        let expected = format!("the graph's {}", outlet.dtype());
        let fits = match outlet.dtype() {
            ValueType::Tensor { ty: TensorElementType::Float32, shape: dims, .. } => {
                dims.iter().copied().eq(shape.iter().map(|&len| len as i64))
            }
            _ => false,
        };
        if !fits {
            return Err(model.field_error(format!("{field}.shape"), expected, format!("f32 {shape:?}")).into());
        }
    }
    match names.iter().find(|name| !manifest.iter().any(|(_, known, _)| known == *name)) {
        Some(unknown) => {
            let expected = format!("the graph's {side} {names:?}");
            let actual = format!("nothing about '{unknown}'");
            Err(model.field_error("states", expected, actual).into())
        }
        None => Ok(()),
    }
}
