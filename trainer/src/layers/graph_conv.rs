//! Convolutions as nodes, with their batch norms folded in.

use super::Conv;
use super::graph::{GraphOps, GraphValue};
use models::onnx::{Attr, Value};

impl GraphOps<'_> {
    /// `[N][channel][row][column]`, padded by `padding`: rows and columns before, rows and columns after.
    fn conv_node(&mut self, x: &GraphValue, layer: &Conv, padding: [[i64; 2]; 2], out: [i64; 2]) -> GraphValue {
        let shape = layer.shape;
        let num = x.shape[0];
        let positions = num * if shape.is_transposed { x.shape[2] * x.shape[3] } else { out[0] * out[1] };
        self.num_macs += (positions * layer.weight.numel() as i64) as u64;
        let (weight, bias) = layer.folded();
        let (weight, bias) = (self.floats(&weight), bias.map(|bias| self.floats(&bias)));
        let inputs: Vec<&Value> = [Some(&x.name), Some(&weight), bias.as_ref()].into_iter().flatten().collect();
        let attributes = [
            ("kernel_shape", Attr::Ints(shape.kernel.to_vec())),
            ("strides", Attr::Ints(shape.stride.to_vec())),
            ("pads", Attr::Ints(padding.concat())),
        ];
        let op = if shape.is_transposed { "ConvTranspose" } else { "Conv" };
        let name = self.graph.node(op, &inputs, &attributes);
        GraphValue { name, shape: vec![num, shape.channels[1], out[0], out[1]] }
    }

    pub(super) fn write_conv(&mut self, x: &GraphValue, layer: &Conv) -> GraphValue {
        let (channels, rows, columns) = (x.shape[2], x.shape[3], x.shape[4]);
        let x = self.shaped(x, &[self.num_slices, channels, rows, columns]);
        let out = [layer.out_len(0, rows), layer.out_len(1, columns)];
        let y = self.conv_node(&x, layer, [layer.shape.padding; 2], out);
        self.with_tail(&y, &[layer.shape.channels[1], out[0], out[1]])
    }

    pub(super) fn write_conv_in_time(&mut self, x: &GraphValue, layer: &Conv, state: &str) -> GraphValue {
        let (channels, bins) = (x.shape[2], x.shape[3]);
        let (num_before, padding) = (layer.shape.kernel[0] - 1, layer.shape.padding[1]);
        let out = [self.num_slices, layer.out_len(1, bins)];
        if self.num_slices > 1 {
            // The slices as rows, and zeros in place of what is before them.
            let x = self.shaped(x, &[self.num_slices, channels, bins, 1]);
            let x = self.transposed(&x, &[3, 1, 0, 2]);
            let y = self.conv_node(&x, layer, [[num_before, padding], [0, padding]], out);
            let y = self.transposed(&y, &[2, 0, 1, 3]);
            return self.with_tail(&y, &[layer.shape.channels[1], out[1]]);
        }
        let mut x = self.shaped(x, &[1, channels, 1, bins]);
        if num_before > 0 {
            x.name = self.window(&x, 2, num_before, state, [1, channels, num_before * bins]);
            x.shape[2] = num_before + 1;
        }
        let y = self.conv_node(&x, layer, [[0, padding]; 2], out);
        self.with_tail(&y, &[layer.shape.channels[1], out[1]])
    }
}
