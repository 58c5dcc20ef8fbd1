//! [`super::cdae`] as a graph, one slice per run: per bucket four convolutions, of the four stems at once.

use super::GraphOutput;
use super::cdae::{Cdae, Form, MAX_SEEN};
use super::cdae_bucket::{Bucket, TAPS};
use super::weights::{Weights, constant, constant_as_is};
use anyhow::Result;
use models::onnx::{Attr, GraphBuilder, Value};
use tch::Tensor;

const STEMS: i64 = 4;

/// See [`super::Network::write_graph`].
pub fn write(
    g: &mut GraphBuilder,
    magnitudes: &str,
    states: &[String],
    weights: &Weights,
    network: &Cdae,
) -> Result<GraphOutput> {
    let form = network.form();
    let (mut states, mut next_states) = (states.iter(), Vec::new());
    let mut gate = None;
    if form != Form::Causal {
        let seen = states.next().expect("shaped by zero_state");
        gate = Some(start_gate(g, seen, form));
        let one = g.floats(&[1.0], &[1]);
        let more = g.node("Add", &[seen, &one], &[]);
        let most = g.floats(&[MAX_SEEN as f32], &[1]);
        next_states.push(g.node("Min", &[&more, &most], &[]));
    }
    // All buckets in one split.
    let lens: Vec<i64> = network.buckets.iter().map(|b| b.num_bins * b.num_frames).collect();
    let split = g.ints(&lens, &[lens.len() as i64]);
    let parts = g.nodes("Split", &[&magnitudes.to_owned(), &split], lens.len(), &[("axis", Attr::Int(1))]);
    let mut masks = Vec::new();
    for (i, (bucket, part)) in network.buckets.iter().zip(&parts).enumerate() {
        let num_states = if form == Form::Realtime { 5 } else { 4 };
        let given: Vec<Value> = states.by_ref().take(num_states).cloned().collect();
        let (of_bucket, next) = write_bucket(g, bucket, i, part, &given, gate.as_ref(), weights)?;
        masks.push(of_bucket);
        next_states.extend(next);
    }
    let masks: Vec<&Value> = masks.iter().collect();
    let logits = g.node("Concat", &masks, &[("axis", Attr::Int(1))]);
    Ok(GraphOutput { masks: g.node("Sigmoid", &[&logits], &[]), states: next_states })
}

/// `[1][1][1][2]` 0 for the halves of the present slice that the second convolution has no whole window for yet:
/// `2 seen + f - missing + 1`, within 0..=1.
fn start_gate(g: &mut GraphBuilder, seen: &Value, form: Form) -> Value {
    let two = g.floats(&[2.0], &[1]);
    let offsets: Vec<f32> = (0..2).map(|f| (f + 1 - form.missing_halves()) as f32).collect();
    let offsets = g.floats(&offsets, &[2]);
    let doubled = g.node("Mul", &[seen, &two], &[]);
    let halves = g.node("Add", &[&doubled, &offsets], &[]);
    let (none, all) = (g.floats(&[0.0], &[]), g.floats(&[1.0], &[]));
    let gate = g.node("Clip", &[&halves, &none, &all], &[]);
    let shape = g.ints(&[1, 1, 1, 2], &[4]);
    g.node("Reshape", &[&gate, &shape], &[])
}

/// Logits `[stem * 2][bin * frame]` of one bucket, and its next states.
fn write_bucket(
    g: &mut GraphBuilder,
    bucket: &Bucket,
    i: usize,
    magnitudes: &Value,
    given: &[Value],
    gate: Option<&Value>,
    weights: &Weights,
) -> Result<(Value, Vec<Value>)> {
    let (f, m) = (bucket.num_bins, bucket.num_frames);
    let half_len = m / 2;
    let get = |name: &str| weights.get(&format!("bucket.{i}.{name}"));
    let along_outputs = |weight: &Tensor, scale: &Tensor| weight * scale.reshape([-1, 1, 1, 1]);

    let shape = g.ints(&[1, 2, f, m], &[4]);
    let x = g.node("Reshape", &[magnitudes, &shape], &[]);
    let mean = constant(g, get("input_mean")?, &[1, 1, f, 1]);
    let scale = constant(g, get("input_scale")?, &[1, 1, f, 1]);
    let x = g.node("Add", &[&x, &mean], &[]);
    let x = g.node("Mul", &[&x, &scale], &[]);
    let x = g.node("Concat", &[&given[0], &x], &[("axis", Attr::Int(3))]);
    let past_len = bucket.past_len();
    let next_inputs = slice(g, &x, m, m + past_len);

    let (scale, bias) = weights.norm(&format!("bucket.{i}.norm1"))?;
    let halves1 = conv(g, "Conv", &x, &along_outputs(get("conv1")?, &scale), Some(&bias), half_len, 1);
    let halves1 = g.node("Relu", &[&halves1], &[]);
    let before = g.node("Concat", &[&given[1], &halves1], &[("axis", Attr::Int(3))]);
    let next_halves = slice(g, &before, 2, 2 + TAPS - 1);

    let (scale, bias) = weights.norm(&format!("bucket.{i}.norm2"))?;
    let halves2 = conv(g, "Conv", &before, &along_outputs(get("conv2")?, &scale), Some(&bias), 1, STEMS);
    let mut halves2 = g.node("Relu", &[&halves2], &[]);
    if let Some(gate) = gate {
        halves2 = g.node("Mul", &[&halves2, gate], &[]);
    }

    // The batch norm after a transposed convolution scales its outputs, which lie along the second dimension by group.
    let (scale, bias) = weights.norm(&format!("bucket.{i}.norm3"))?;
    let conv3 = get("conv3")?;
    let outer = conv3.size()[1];
    let grouped = conv3.reshape([STEMS, -1, outer, conv3.size()[2], TAPS]) * scale.reshape([STEMS, 1, outer, 1, 1]);
    let sums3 = conv(g, "ConvTranspose", &halves2, &grouped.reshape(conv3.size()), None, 1, STEMS);
    let (sums3, next_sums3) = add_begun(g, &sums3, &given[2], 2, 2 + TAPS - 1, TAPS - 1);
    let bias = constant(g, &bias, &[1, STEMS * outer, 1, 1]);
    let halves3 = g.node("Add", &[&sums3, &bias], &[]);
    let mut halves3 = g.node("Relu", &[&halves3], &[]);
    if let Some(gate) = gate {
        halves3 = g.node("Mul", &[&halves3, gate], &[]);
    }

    let sums4 = conv(g, "ConvTranspose", &halves3, get("conv4")?, None, half_len, STEMS);
    let (sums4, next_sums4) = add_begun(g, &sums4, &given[3], m, m + half_len, half_len);
    let mut next = vec![next_inputs, next_halves, next_sums3, next_sums4];
    let mut sums = sums4;
    if let Some(first_half) = given.get(4) {
        let all = g.node("Concat", &[first_half, &sums], &[("axis", Attr::Int(3))]);
        sums = slice(g, &all, 0, m);
        next.push(slice(g, &all, m, m + half_len));
    }
    let bias = constant(g, get("bias4")?, &[1, STEMS * 2, 1, 1]);
    let logits = g.node("Add", &[&sums, &bias], &[]);
    let shape = g.ints(&[STEMS * 2, f * m], &[2]);
    Ok((g.node("Reshape", &[&logits, &shape], &[]), next))
}

fn conv(
    g: &mut GraphBuilder,
    op: &str,
    x: &Value,
    weight: &Tensor,
    bias: Option<&Tensor>,
    stride: i64,
    groups: i64,
) -> Value {
    let size = weight.size();
    let weight = constant_as_is(g, weight);
    let attributes = [
        ("kernel_shape", Attr::Ints(size[2..].to_vec())),
        ("strides", Attr::Ints(vec![1, stride])),
        ("group", Attr::Int(groups)),
    ];
    match bias {
        Some(bias) => {
            let bias = constant_as_is(g, bias);
            g.node(op, &[x, &weight, &bias], &attributes)
        }
        None => g.node(op, &[x, &weight], &attributes),
    }
}

/// Frames `from..to`.
fn slice(g: &mut GraphBuilder, x: &Value, from: i64, to: i64) -> Value {
    let (from, to, axis) = (g.ints(&[from], &[1]), g.ints(&[to], &[1]), g.ints(&[3], &[1]));
    g.node("Slice", &[x, &from, &to, &axis], &[])
}

/// Adds what was begun to the front of sums of `total` frames; the first `len` of them, and what is begun after them.
fn add_begun(
    g: &mut GraphBuilder,
    sums: &Value,
    begun: &Value,
    len: i64,
    total: i64,
    begun_len: i64,
) -> (Value, Value) {
    let pads = g.ints(&[0, 0, 0, 0, 0, 0, 0, total - begun_len], &[8]);
    let padded = g.node("Pad", &[begun, &pads], &[]);
    let sums = g.node("Add", &[sums, &padded], &[]);
    (slice(g, &sums, 0, len), slice(g, &sums, len, total))
}
