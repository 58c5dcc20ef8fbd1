//! Whether graph, transform and manifest agree.

use crate::SeparatorError;
use models::Model;
use ort::{
    session::Session,
    value::{Outlet, TensorElementType, ValueType},
};
use slicqt::Plan;
use std::sync::Arc;

/// The transform of a model, if it is what the manifest says.
pub(super) fn make_plan(model: &Model) -> Result<Arc<Plan>, SeparatorError> {
    let m = &model.manifest;
    let plan = Plan::new(&m.transform.design)
        .map_err(|error| model.field_error("transform.design", "a transform that can be inverted", error))?;
    let facts = [
        ("transform.slice_len", plan.slice_len(), m.transform.slice_len),
        ("hop_len", plan.hop_len(), m.hop_len),
        ("transform.transition_len", plan.transition_len(), m.transform.transition_len),
        ("transform.num_coefs", plan.num_coefs(), m.transform.num_coefs),
    ];
    match facts.iter().find(|(_, expected, actual)| expected != actual) {
        Some((field, expected, actual)) => Err(model.field_error(*field, expected, actual).into()),
        None => Ok(Arc::new(plan)),
    }
}

/// Everything that goes in and out of the graph must be in the manifest, and the other way round.
pub(super) fn check(session: &Session, model: &Model) -> Result<(), SeparatorError> {
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
