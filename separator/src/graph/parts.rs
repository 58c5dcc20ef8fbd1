//! The same graph as a chain of sessions, so that several slices of a file are in it at a time.

use super::{Graph, Names, Pointers, States, graph_error, open_session, run_session};
use crate::SeparatorError;
use models::graph::split_graph;
use ort::{
    AsPointer,
    session::Session,
    sys::OrtValue,
    value::{Tensor, TensorElementType, ValueType},
};
use std::{collections::HashMap, sync::Arc};

/// So many parts at most: each costs a run and copies what later parts take.
const MAX_PARTS: usize = 4;
/// Where [`SliceValues`] have what goes into the whole graph and what comes out.
const INPUT: usize = 0;
const OUTPUT: usize = 1;

/// A graph in parts that give together, run one after the other, the bits of the whole.
pub(crate) struct GraphParts {
    parts: Vec<Part>,
    /// Of the values of a slice: the input, the output, and what parts hand on.
    shapes: Vec<Vec<usize>>,
}

struct Part {
    session: Session,
    /// Values, then states.
    input_names: Names,
    output_names: Names,
    /// Indices of values.
    inputs: Vec<usize>,
    outputs: Vec<usize>,
    /// Indices of the manifest's states.
    states: Vec<usize>,
}

/// One slice's input, output, and the values that parts hand on.
pub(crate) struct SliceValues(Vec<Tensor<f32>>);

/// The recurrent states of one stream in one part.
pub(crate) struct PartState {
    graph: Arc<Graph>,
    parts: Arc<GraphParts>,
    part_idx: usize,
    states: States,
    values_in: Pointers<OrtValue>,
    values_out: Pointers<OrtValue>,
}

impl GraphParts {
    /// None if the graph cannot be cut.
    pub fn open(graph: &Graph) -> Result<Option<GraphParts>, SeparatorError> {
        let model = &graph.model;
        let m = &model.manifest;
        let bytes = model.read_graph()?;
        let states: Vec<(&str, &str)> = m.states.iter().map(|s| (s.input.as_str(), s.output.as_str())).collect();
        let Some(split) = split_graph(bytes.as_ref(), &states, MAX_PARTS) else { return Ok(None) };

        let mut values = HashMap::from([(m.input.name.clone(), INPUT), (m.output.name.clone(), OUTPUT)]);
        let mut shapes = vec![m.input.shape.clone(), m.output.shape.clone()];
        let mut parts = Vec::new();
        for part in split.parts() {
            let shape_of = |name: &str| Some(shapes[*values.get(name)?].iter().map(|&len| len as i64).collect());
            let session = open_session(&graph.environment, &split.model(part, &shape_of), 1);
            let session = session.map_err(|error| graph_error(model, error))?;
            let is_state = |name: &String| states.iter().any(|(input, output)| input == name || output == name);
            for name in part.outputs.iter().filter(|name| !is_state(name) && **name != m.output.name) {
                let Some(shape) = shape_of_output(&session, name) else { return Ok(None) };
                values.insert(name.clone(), shapes.len());
                shapes.push(shape);
            }
            let of_values = |names: &[String]| -> Vec<String> {
                names.iter().filter(|name| values.contains_key(*name)).cloned().collect()
            };
            let (inputs, outputs) = (of_values(&part.inputs), of_values(&part.outputs));
            let states: Vec<usize> =
                (0..m.states.len()).filter(|&s| part.outputs.contains(&m.states[s].output)).collect();
            let with_states = |values: &[String], name: fn(&models::StateSpec) -> &String| {
                let states = states.iter().map(|&s| name(&m.states[s]));
                Names::new(values.iter().chain(states).map(String::as_str))
                    .map_err(|name| model.field_error("states", "names without NUL characters", format!("{name:?}")))
            };
            // A state that nothing looks at is no input of its part.
            if !states.iter().all(|&s| part.inputs.contains(&m.states[s].input)) {
                return Ok(None);
            }
            parts.push(Part {
                input_names: with_states(&inputs, |state| &state.input)?,
                output_names: with_states(&outputs, |state| &state.output)?,
                inputs: inputs.iter().map(|name| values[name]).collect(),
                outputs: outputs.iter().map(|name| values[name]).collect(),
                states,
                session,
            });
        }
        Ok(Some(GraphParts { parts, shapes }))
    }
}

impl Graph {
    /// Room for what the parts make of one slice.
    ///
    /// # Panics
    /// If the parts are not open.
    pub(crate) fn make_slice_values(&self) -> Result<SliceValues, SeparatorError> {
        let parts = self.parts()?.expect("a graph that was cut");
        parts.shapes.iter().map(|shape| self.zeros(shape)).collect::<Result<_, _>>().map(SliceValues)
    }
}

/// None unless it is an f32 tensor of a fixed shape.
fn shape_of_output(session: &Session, name: &str) -> Option<Vec<usize>> {
    let outlet = session.outputs().iter().find(|outlet| outlet.name() == name)?;
    match outlet.dtype() {
        ValueType::Tensor { ty: TensorElementType::Float32, shape, .. } => {
            shape.iter().map(|&len| usize::try_from(len).ok()).collect()
        }
        _ => None,
    }
}

impl SliceValues {
    /// As [`NetworkState::input_mut`](super::NetworkState::input_mut).
    pub fn input_mut(&mut self) -> &mut [f32] {
        self.0[INPUT].extract_tensor_mut().1
    }

    /// As [`NetworkState::output`](super::NetworkState::output).
    pub fn output(&self) -> &[f32] {
        self.0[OUTPUT].extract_tensor().1
    }

    pub fn output_mut(&mut self) -> &mut [f32] {
        self.0[OUTPUT].extract_tensor_mut().1
    }
}

impl PartState {
    /// The memory of a new stream in every part of a graph; None if it cannot be cut.
    pub fn of_all(graph: &Arc<Graph>) -> Result<Option<Vec<PartState>>, SeparatorError> {
        let Some(parts) = graph.parts()? else { return Ok(None) };
        let of_part = |part_idx: usize| {
            let states = parts.parts[part_idx].states.clone();
            Ok(PartState {
                graph: graph.clone(),
                parts: parts.clone(),
                part_idx,
                states: States::new(graph, states)?,
                values_in: Pointers(Vec::new()),
                values_out: Pointers(Vec::new()),
            })
        };
        (0..parts.parts.len()).map(of_part).collect::<Result<_, _>>().map(Some)
    }

    /// As [`NetworkState::is_settled`](super::NetworkState::is_settled), of this part.
    pub fn is_settled(&self) -> bool {
        self.states.is_settled()
    }

    /// As [`NetworkState::end`](super::NetworkState::end).
    pub fn end(&mut self) {
        self.states.end(&self.graph);
    }

    /// As [`NetworkState::reset`](super::NetworkState::reset).
    pub fn reset(&mut self) {
        self.states.reset();
    }

    /// Takes a slice through this part.
    pub fn run(&mut self, values: &mut SliceValues) -> Result<(), SeparatorError> {
        let part = &self.parts.parts[self.part_idx];
        self.values_in.0.clear();
        self.values_out.0.clear();
        self.values_in.0.extend(part.inputs.iter().map(|&idx| values.0[idx].ptr().cast_mut()));
        self.values_out.0.extend(part.outputs.iter().map(|&idx| values.0[idx].ptr().cast_mut()));
        self.states.push_pointers(&mut self.values_in, &mut self.values_out);
        let (inputs, outputs) = (&self.values_in.0, &mut self.values_out.0);
        run_session(&part.session, (&part.input_names, inputs), (&part.output_names, outputs))
            .map_err(|error| graph_error(&self.graph.model, error))?;
        self.states.swap();
        Ok(())
    }
}
