//! Spleeter as a graph: a block of slices in, the masks of all stems out.
//!
//! Every U-Net sees the magnitudes `x` of the lowest bins, `[channel][slice][bin]`, and gives `y_j = s_j x`, s a sigmoid.
//! The masks are `(y_j^2 + e/J) / (sum_k y_k^2 + e)`, e = 1e-10, J stems; above the bins that the networks see they are
//! the mean of the same slice, channel and stem over those bins (Spleeter's `mask_extension: average`).

use super::unet::{Conv, DEPTH, KERNEL, LAST_KERNEL, Level, UNet};
use crate::{
    cdae::BatchNorm,
    onnx::{Attr, GraphBuilder, Value},
};
use std::{io, path::Path};

const MASK_EPSILON: f32 = 1e-10;
const BATCH_NORM_EPSILON: f32 = 1e-3;
const LEAK: f32 = 0.2;

/// What the graph takes at a time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BlockShape {
    /// Slices of a block; 64 must divide it, since the network halves it six times.
    pub num_slices: usize,
    /// Bins that the networks see, likewise.
    pub num_bins: usize,
    /// Coefficients of a slice: all bins.
    pub num_coefs: usize,
}

/// Writes the graph: input `magnitudes` `[slice][channel][coef]`, output `masks` `[slice][stem][channel][coef]`.
/// Returns its number of operations.
///
/// # Panics
/// If 64 divides not both of slices and bins, or there are more bins than coefficients.
pub(crate) fn write(networks: &[UNet], shape: BlockShape, path: &Path) -> io::Result<usize> {
    let halved = 1 << DEPTH;
    assert!(shape.num_slices.is_multiple_of(halved) && shape.num_bins.is_multiple_of(halved), "{shape:?}");
    assert!(shape.num_bins <= shape.num_coefs, "{shape:?}");
    let mut block = BlockGraph { graph: GraphBuilder::default() };
    let x = block.magnitudes(shape);
    let outputs: Vec<Value> = networks.iter().map(|network| block.network(network, &x)).collect();
    let masks = block.masks(&outputs, shape);
    let dims = [shape.num_slices, networks.len(), 2, shape.num_coefs].map(|len| len as i64);
    block.graph.output(&masks, "masks", &dims);
    let num_nodes = block.graph.num_nodes();
    block.graph.write(path)?;
    Ok(num_nodes)
}

struct BlockGraph {
    graph: GraphBuilder,
}

impl BlockGraph {
    /// `[1][channel][slice][bin]` of the lowest bins.
    fn magnitudes(&mut self, shape: BlockShape) -> Value {
        let g = &mut self.graph;
        let magnitudes = g.input("magnitudes", &[shape.num_slices as i64, 2, shape.num_coefs as i64]);
        let (start, end) = (g.ints(&[0], &[1]), g.ints(&[shape.num_bins as i64], &[1]));
        let (bin_axis, new_axis) = (g.ints(&[2], &[1]), g.ints(&[0], &[1]));
        let lowest = g.node("Slice", &[&magnitudes, &start, &end, &bin_axis], &[]);
        let by_channel = g.node("Transpose", &[&lowest], &[("perm", Attr::Ints(vec![1, 0, 2]))]);
        g.node("Unsqueeze", &[&by_channel, &new_axis], &[])
    }

    /// y of one stem, in the shape of x.
    fn network(&mut self, network: &UNet, x: &Value) -> Value {
        let mut skips = vec![];
        let mut deepest = x.clone();
        for Level { conv, norm } in &network.downs {
            let convolved = self.conv("Conv", &deepest, conv, strided(KERNEL));
            deepest = match norm {
                Some(norm) => {
                    let normed = self.norm(&convolved, norm);
                    self.graph.node("LeakyRelu", &[&normed], &[("alpha", Attr::Float(LEAK))])
                }
                None => convolved.clone(),
            };
            skips.push(convolved);
        }
        let mut risen = skips.pop().expect("there are levels");
        for Level { conv, norm } in &network.ups {
            let convolved = self.conv("ConvTranspose", &risen, conv, strided(KERNEL));
            let positive = self.graph.node("Relu", &[&convolved], &[]);
            let normed = norm.as_ref().map_or(positive.clone(), |norm| self.norm(&positive, norm));
            risen = match skips.pop() {
                Some(skip) => self.graph.node("Concat", &[&skip, &normed], &[("axis", Attr::Int(1))]),
                None => normed,
            };
        }
        let dilated = [
            ("kernel_shape", Attr::Ints(vec![LAST_KERNEL as i64; 2])),
            ("dilations", Attr::Ints(vec![2, 2])),
            ("pads", Attr::Ints(vec![3; 4])),
        ];
        let last = self.conv("Conv", &risen, &network.last, dilated);
        // ONNX Runtime's Sigmoid is off by 1e-8 or so: too much where all stems are near 0 and masks divide them.
        let one = self.graph.floats(&[1.0], &[1]);
        let negative = self.graph.node("Neg", &[&last], &[]);
        let exponential = self.graph.node("Exp", &[&negative], &[]);
        let divisor = self.graph.node("Add", &[&exponential, &one], &[]);
        self.graph.node("Div", &[x, &divisor], &[])
    }

    fn conv(&mut self, op_type: &str, x: &Value, conv: &Conv, attributes: [(&str, Attr); 3]) -> Value {
        let weight = self.graph.floats(&conv.weight, &conv.shape.map(|len| len as i64));
        let bias = self.graph.floats(&conv.bias, &[conv.bias.len() as i64]);
        self.graph.node(op_type, &[x, &weight, &bias], &attributes)
    }

    fn norm(&mut self, x: &Value, norm: &BatchNorm) -> Value {
        let mut constant = |values: &[f32]| self.graph.floats(values, &[values.len() as i64]);
        let [weight, bias, mean, var] = [&norm.weight, &norm.bias, &norm.mean, &norm.var].map(|v| constant(v));
        let epsilon = [("epsilon", Attr::Float(BATCH_NORM_EPSILON))];
        self.graph.node("BatchNormalization", &[x, &weight, &bias, &mean, &var], &epsilon)
    }

    /// `[slice][stem][channel][coef]`
    fn masks(&mut self, outputs: &[Value], shape: BlockShape) -> Value {
        let g = &mut self.graph;
        let epsilon = g.floats(&[MASK_EPSILON], &[1]);
        let epsilon_share = g.floats(&[MASK_EPSILON / outputs.len() as f32], &[1]);
        let squares: Vec<Value> = outputs.iter().map(|y| g.node("Mul", &[y, y], &[])).collect();
        let mut sum = epsilon;
        for square in &squares {
            sum = g.node("Add", &[square, &sum], &[]);
        }
        let num_above = (shape.num_coefs - shape.num_bins) as i64;
        let above = g.ints(&[1, 2, shape.num_slices as i64, num_above], &[4]);
        let mut masks = vec![];
        for square in &squares {
            let numerator = g.node("Add", &[square, &epsilon_share], &[]);
            let mask = g.node("Div", &[&numerator, &sum], &[]);
            let mean = g.node("ReduceMean", &[&mask], &[("axes", Attr::Ints(vec![3]))]);
            let extension = g.node("Expand", &[&mean, &above], &[]);
            masks.push(g.node("Concat", &[&mask, &extension], &[("axis", Attr::Int(3))]));
        }
        let by_stem = g.node("Concat", &masks.iter().collect::<Vec<_>>(), &[("axis", Attr::Int(0))]);
        g.node("Transpose", &[&by_stem], &[("perm", Attr::Ints(vec![2, 0, 1, 3]))])
    }
}

/// Of a convolution that halves frames and bins: one row and column of zeros before, two after. A transposed one drops
/// what it computes there.
fn strided(kernel: usize) -> [(&'static str, Attr); 3] {
    [
        ("kernel_shape", Attr::Ints(vec![kernel as i64; 2])),
        ("strides", Attr::Ints(vec![2, 2])),
        ("pads", Attr::Ints(vec![1, 1, 2, 2])),
    ]
}
