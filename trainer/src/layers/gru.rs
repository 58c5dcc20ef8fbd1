//! The recurrence of GRUs over a batch, forwards and backwards, in one pass over the numbers a step; products by torch.
//!
//! With gates `a_r, a_z, a_n` of the input and `s_r, s_z, s_n` of the state: `r = sigmoid(a_r + s_r)`,
//! `z = sigmoid(a_z + s_z)`, `n = tanh(a_n + r s_n)`, `h' = n + z (h - n)`.

use super::Gru;
use tch::{Kind, Tensor};

/// A GRU, and from which end of the sequence it runs.
#[derive(Clone, Copy)]
pub struct Direction<'a> {
    pub layer: &'a Gru,
    pub is_backward: bool,
}

/// What the way back needs.
pub struct Recorded {
    passes: Vec<Pass>,
}

struct Pass {
    from_state: Tensor,
    state_bias: Tensor,
    is_backward: bool,
    /// `[T][R][r z n s_n]`, each `[hidden]`.
    kept: Tensor,
}

/// Runs all directions over `gates` `[T][R][direction * 3 * hidden]`: `[T][R][direction * hidden]`.
pub fn forward(gates: &Tensor, directions: &[Direction<'_>]) -> (Tensor, Recorded) {
    let gates = gates.contiguous();
    let (num_steps, num_rows) = (gates.size()[0], gates.size()[1]);
    let hidden = directions[0].layer.hidden();
    let num_directions = directions.len() as i64;
    let options = (Kind::Float, gates.device());
    let y = Tensor::empty([num_steps, num_rows, num_directions * hidden], options);
    let (h_len, in_stride, out_stride) =
        (hidden as usize, 3 * (hidden * num_directions) as usize, (hidden * num_directions) as usize);
    let mut passes = Vec::new();
    for (i, direction) in directions.iter().enumerate() {
        let layer = direction.layer;
        let kept = Tensor::empty([num_steps, num_rows, 4 * hidden], options);
        let of_state = Tensor::empty([num_rows, 3 * hidden], options);
        let (weight, bias) = (layer.from_state.detach().transpose(0, 1), layer.state_bias.detach());
        let state = Tensor::zeros([num_rows, hidden], options);
        for step in order(num_steps, direction.is_backward) {
            let _ = bias.addmm_out(&of_state, &state, &weight);
            let step_len = num_rows as usize;
            let at = step as usize * step_len;
            // SAFETY: all tensors are contiguous, of f32, on the CPU, of the sizes above, and no two of those that are
            // written to are the same.
            let rows = unsafe {
                StepForward {
                    gates: slice(&gates, at * in_stride, step_len * in_stride),
                    of_state: slice(&of_state, 0, step_len * 3 * h_len),
                    state: slice_mut(&state, 0, step_len * h_len),
                    kept: slice_mut(&kept, at * 4 * h_len, step_len * 4 * h_len),
                    y: slice_mut(&y, at * out_stride, step_len * out_stride),
                    h_len,
                    in_offset: i * 3 * h_len,
                    in_stride,
                    out_offset: i * h_len,
                    out_stride,
                }
            };
            run(rows);
        }
        passes.push(Pass {
            from_state: layer.from_state.shallow_clone(),
            state_bias: layer.state_bias.shallow_clone(),
            is_backward: direction.is_backward,
            kept,
        });
    }
    (y, Recorded { passes })
}

impl Recorded {
    /// From the gradient by the output `y` to that by the gates of the input, and by weights: `(weight, gradient)`.
    pub fn backward(self, y: &Tensor, gradient: &Tensor) -> (Tensor, Vec<(Tensor, Tensor)>) {
        let (y, gradient) = (y.contiguous(), gradient.contiguous());
        let (num_steps, num_rows) = (y.size()[0], y.size()[1]);
        let hidden = y.size()[2] / self.passes.len() as i64;
        let options = (Kind::Float, y.device());
        let by_gates = Tensor::empty([num_steps, num_rows, 3 * y.size()[2]], options);
        let (h_len, out_stride) = (hidden as usize, y.size()[2] as usize);
        let in_stride = 3 * out_stride;
        let mut by_weights = Vec::new();
        for (i, pass) in self.passes.into_iter().enumerate() {
            let by_state_gates = Tensor::empty([num_steps, num_rows, 3 * hidden], options);
            let carried = Tensor::zeros([num_rows, hidden], options);
            let weight = pass.from_state.detach();
            // The state before every step, as rows under each other, for the product at the end.
            let before = Tensor::zeros([num_steps, num_rows, hidden], options);
            let own = y.narrow(2, (i * h_len) as i64, hidden);
            let (late, early) = if pass.is_backward { (0, 1) } else { (1, 0) };
            before.narrow(0, late, num_steps - 1).copy_(&own.narrow(0, early, num_steps - 1));
            for step in order(num_steps, !pass.is_backward) {
                let step_len = num_rows as usize;
                let at = step as usize * step_len;
                // SAFETY: as in `forward`.
                let rows = unsafe {
                    StepBackward {
                        kept: slice(&pass.kept, at * 4 * h_len, step_len * 4 * h_len),
                        before: slice(&before, at * h_len, step_len * h_len),
                        gradient: slice(&gradient, at * out_stride, step_len * out_stride),
                        carried: slice_mut(&carried, 0, step_len * h_len),
                        by_gates: slice_mut(&by_gates, at * in_stride, step_len * in_stride),
                        by_state_gates: slice_mut(&by_state_gates, at * 3 * h_len, step_len * 3 * h_len),
                        h_len,
                        in_offset: i * 3 * h_len,
                        in_stride,
                        out_offset: i * h_len,
                        out_stride,
                    }
                };
                run(rows);
                let of_step = by_state_gates.select(0, step);
                let _ = carried.addmm_out(&carried, &of_step, &weight);
            }
            let flat = by_state_gates.reshape([-1, 3 * hidden]);
            by_weights.push((pass.state_bias, flat.sum_dim_intlist([0].as_slice(), false, Kind::Float)));
            by_weights.push((pass.from_state, flat.transpose(0, 1).matmul(&before.reshape([-1, hidden]))));
        }
        (by_gates, by_weights)
    }
}

fn order(num_steps: i64, is_backward: bool) -> impl Iterator<Item = i64> {
    (0..num_steps).map(move |step| if is_backward { num_steps - 1 - step } else { step })
}

/// # Safety
/// The tensor is contiguous, of f32, on the CPU, has so many values, and nobody writes to them meanwhile.
unsafe fn slice(tensor: &Tensor, start: usize, len: usize) -> &[f32] {
    // SAFETY: see above.
    unsafe { std::slice::from_raw_parts(tensor.data_ptr().cast::<f32>().add(start), len) }
}

/// # Safety
/// As [`slice`], and nobody else reads or writes the values meanwhile.
#[expect(clippy::mut_from_ref, reason = "tensors are handles")]
unsafe fn slice_mut(tensor: &Tensor, start: usize, len: usize) -> &mut [f32] {
    // SAFETY: see above.
    unsafe { std::slice::from_raw_parts_mut(tensor.data_ptr().cast::<f32>().add(start), len) }
}

/// One step, all rows.
struct StepForward<'a> {
    gates: &'a [f32],
    of_state: &'a [f32],
    state: &'a mut [f32],
    kept: &'a mut [f32],
    y: &'a mut [f32],
    h_len: usize,
    in_offset: usize,
    in_stride: usize,
    out_offset: usize,
    out_stride: usize,
}

impl Step for StepForward<'_> {
    #[inline(always)]
    fn run(self) {
        let len = self.h_len;
        let rows = self.state.chunks_exact_mut(len).zip(self.of_state.chunks_exact(3 * len));
        let rows = rows.zip(self.kept.chunks_exact_mut(4 * len));
        let rows = rows.zip(self.gates.chunks_exact(self.in_stride).zip(self.y.chunks_exact_mut(self.out_stride)));
        for (((state, of_state), kept), (gates, y)) in rows {
            let (a_r, a) = gates[self.in_offset..][..3 * len].split_at(len);
            let (a_z, a_n) = a.split_at(len);
            let (s_r, s) = of_state.split_at(len);
            let (s_z, s_n) = s.split_at(len);
            let (r, kept) = kept.split_at_mut(len);
            let (z, kept) = kept.split_at_mut(len);
            let (n, kept_s) = kept.split_at_mut(len);
            let y = &mut y[self.out_offset..][..len];
            let mut start = 0;
            while start < len {
                let inputs = [a_r, a_z, a_n, s_r, s_z, s_n, &*state];
                if start + WIDTH <= len {
                    let [new_r, new_z, new_n, new_s, new_h] = forward_block::<WIDTH>(inputs, start);
                    store(&mut [r, z, n, kept_s, state], [new_r, new_z, new_n, new_s, new_h], start);
                    y[start..start + WIDTH].copy_from_slice(&new_h);
                    start += WIDTH;
                } else {
                    let [new_r, new_z, new_n, new_s, new_h] = forward_block::<1>(inputs, start);
                    store(&mut [r, z, n, kept_s, state], [new_r, new_z, new_n, new_s, new_h], start);
                    y[start] = new_h[0];
                    start += 1;
                }
            }
        }
    }
}

/// Numbers that are computed side by side. The compiler makes vectors of loops over arrays of a fixed length, and not of the
/// same loops over slices.
const WIDTH: usize = 16;

#[inline(always)]
fn load<const L: usize>(values: &[f32], start: usize) -> [f32; L] {
    let mut block = [0.0; L];
    block.copy_from_slice(&values[start..start + L]);
    block
}

#[inline(always)]
fn store<const L: usize, const N: usize>(values: &mut [&mut [f32]; N], blocks: [[f32; L]; N], start: usize) {
    for (values, block) in values.iter_mut().zip(&blocks) {
        values[start..start + L].copy_from_slice(block);
    }
}

/// `r z n s_n h` of `a_r a_z a_n s_r s_z s_n h`.
#[inline(always)]
fn forward_block<const L: usize>(inputs: [&[f32]; 7], start: usize) -> [[f32; L]; 5] {
    let [a_r, a_z, a_n, s_r, s_z, s_n, h]: [[f32; L]; 7] = inputs.map(|values| load(values, start));
    let (mut r, mut z, mut n, mut new) = ([0.0; L], [0.0; L], [0.0; L], [0.0; L]);
    for i in 0..L {
        r[i] = sigmoid(a_r[i] + s_r[i]);
    }
    for i in 0..L {
        z[i] = sigmoid(a_z[i] + s_z[i]);
    }
    for i in 0..L {
        n[i] = tanh(a_n[i] + r[i] * s_n[i]);
    }
    for i in 0..L {
        new[i] = n[i] + z[i] * (h[i] - n[i]);
    }
    [r, z, n, s_n, new]
}

/// What comes from later and goes on to before, and the gradients by `a_r a_z a_n s_n`, of `r z n s_n h` and those by `h'`
/// from outside and from later.
#[inline(always)]
fn backward_block<const L: usize>(inputs: [&[f32]; 7], start: usize) -> [[f32; L]; 5] {
    let [r, z, n, s_n, before, gradient, carried]: [[f32; L]; 7] = inputs.map(|values| load(values, start));
    let (mut d_r, mut d_z, mut d_n, mut d_s, mut on) = ([0.0; L], [0.0; L], [0.0; L], [0.0; L], [0.0; L]);
    for i in 0..L {
        let by_h = gradient[i] + carried[i];
        d_n[i] = by_h * (1.0 - z[i]) * (1.0 - n[i] * n[i]);
        d_z[i] = by_h * (before[i] - n[i]) * z[i] * (1.0 - z[i]);
        d_r[i] = d_n[i] * s_n[i] * r[i] * (1.0 - r[i]);
        d_s[i] = d_n[i] * r[i];
        on[i] = by_h * z[i];
    }
    [on, d_r, d_z, d_n, d_s]
}

/// One step back, all rows; `carried` is what comes from the steps that are later in its direction, and, still without the
/// product with the weights, what goes on to the one before.
struct StepBackward<'a> {
    kept: &'a [f32],
    before: &'a [f32],
    gradient: &'a [f32],
    carried: &'a mut [f32],
    by_gates: &'a mut [f32],
    by_state_gates: &'a mut [f32],
    h_len: usize,
    in_offset: usize,
    in_stride: usize,
    out_offset: usize,
    out_stride: usize,
}

impl Step for StepBackward<'_> {
    #[inline(always)]
    fn run(self) {
        let len = self.h_len;
        let rows = self.kept.chunks_exact(4 * len).zip(self.before.chunks_exact(len));
        let rows = rows.zip(self.gradient.chunks_exact(self.out_stride).zip(self.carried.chunks_exact_mut(len)));
        let outs = self.by_gates.chunks_exact_mut(self.in_stride).zip(self.by_state_gates.chunks_exact_mut(3 * len));
        for (((kept, before), (gradient, carried)), (by_gates, by_state)) in rows.zip(outs) {
            let gradient = &gradient[self.out_offset..][..len];
            let (r, kept) = kept.split_at(len);
            let (z, kept) = kept.split_at(len);
            let (n, s_n) = kept.split_at(len);
            let (by_r, by) = by_gates[self.in_offset..][..3 * len].split_at_mut(len);
            let (by_z, by_n) = by.split_at_mut(len);
            let (state_r, state) = by_state.split_at_mut(len);
            let (state_z, state_n) = state.split_at_mut(len);
            let mut start = 0;
            while start < len {
                let inputs = [r, z, n, s_n, before, gradient, &*carried];
                if start + WIDTH <= len {
                    let [on, d_r, d_z, d_n, d_s] = backward_block::<WIDTH>(inputs, start);
                    store(&mut [carried, by_r, by_z, by_n], [on, d_r, d_z, d_n], start);
                    store(&mut [state_r, state_z, state_n], [d_r, d_z, d_s], start);
                    start += WIDTH;
                } else {
                    let [on, d_r, d_z, d_n, d_s] = backward_block::<1>(inputs, start);
                    store(&mut [carried, by_r, by_z, by_n], [on, d_r, d_z, d_n], start);
                    store(&mut [state_r, state_z, state_n], [d_r, d_z, d_s], start);
                    start += 1;
                }
            }
        }
    }
}

/// `2^x / 2^round(x)` and so on: the exponential to within 2e-7 of itself (Taylor's series of degree 6 on +-ln 2 / 2), in
/// operations that exist for vectors.
#[inline(always)]
fn exp(x: f32) -> f32 {
    let clamped = x.clamp(-80.0, 80.0);
    // What is no number is clamped to one by vector instructions; this keeps it.
    let none = if x.is_nan() { f32::NAN } else { 0.0 };
    let clamped = if x.is_nan() { 0.0 } else { clamped };
    let power = (clamped * std::f32::consts::LOG2_E).round_ties_even();
    let rest = power.mul_add(-0.693_359_4, clamped);
    let rest = power.mul_add(2.121_944_4e-4, rest);
    let series = [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0];
    let value = series.iter().fold(0.0f32, |sum, c| sum.mul_add(rest, *c));
    // SAFETY: within +-116.
    let bits = (unsafe { power.to_int_unchecked::<i32>() } + 127) << 23;
    value * f32::from_bits(bits as u32) + none
}

#[inline(always)]
fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

#[inline(always)]
fn tanh(x: f32) -> f32 {
    2.0 * sigmoid(2.0 * x) - 1.0
}

/// Numbers of one step. `run` must be inlined all the way into the functions below, or it is compiled without their vectors,
/// ten times as slow.
trait Step {
    fn run(self);
}

/// Runs a step with the widest vectors that the machine has.
fn run<S: Step>(step: S) {
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512vl") {
            // SAFETY: it is there; FMA and AVX2 are part of it.
            return unsafe { run_avx512(step) };
        }
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            // SAFETY: they are there.
            return unsafe { run_avx2(step) };
        }
    }
    step.run();
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512vl,avx2,fma")]
unsafe fn run_avx512<S: Step>(step: S) {
    step.run();
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
unsafe fn run_avx2<S: Step>(step: S) {
    step.run();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_those_of_the_library() {
        let mut worst = [0.0f64; 2];
        for i in -40_000..=40_000 {
            let x = i as f32 * 5e-4;
            let exact = f64::from(x);
            worst[0] = worst[0].max((f64::from(sigmoid(x)) - 1.0 / (1.0 + (-exact).exp())).abs());
            worst[1] = worst[1].max((f64::from(tanh(x)) - exact.tanh()).abs());
        }
        assert!(worst.iter().all(|error| *error < 4e-7), "{worst:?}");
        assert!(sigmoid(f32::NAN).is_nan() && tanh(f32::NAN).is_nan());
        assert_eq!((sigmoid(1e30), tanh(-1e30)), (1.0, -1.0));
    }
}
