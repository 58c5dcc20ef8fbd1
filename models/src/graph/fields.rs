//! The messages of onnx.proto3, as far as a check must know them: field numbers from there.

/// A message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Model,
    OperatorSet,
    Graph,
    Node,
    Attribute,
    Tensor,
    ValueInfo,
    Type,
    TensorType,
    Shape,
    Dimension,
    Annotation,
    /// Key and value.
    Entry,
}

/// What a field means to the check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    Message(Kind),
    Text,
    /// One number or several.
    Number,
    /// Lengths of a tensor.
    Dims,
    /// Values of a tensor.
    Data,
    OpType,
    /// Of an operator.
    Domain,
    DataLocation,
    /// What is expected instead, and what this is.
    Refused(&'static str, &'static str),
    /// Of a later version of ONNX, which this ONNX Runtime skips as well.
    Unknown,
}

pub(super) const WITHIN: &str = "weights within the graph's file (onnx.save_model with save_as_external_data=False)";
const DENSE: &str = "dense tensors";
const TENSORS: &str = "tensors as inputs, outputs and values";
const PLAIN: &str = "a graph of plain operators (inline its functions when exporting)";

pub(super) fn field(kind: Kind, number: u32) -> Field {
    use Field::{Data, DataLocation, Dims, Domain, Message, Number, OpType, Refused, Text, Unknown};
    match (kind, number) {
        (Kind::Model, 1 | 5) => Number,
        (Kind::Model, 2 | 3 | 4 | 6) => Text,
        (Kind::Model, 7) => Message(Kind::Graph),
        (Kind::Model, 8) => Message(Kind::OperatorSet),
        (Kind::Model, 14) => Message(Kind::Entry),
        (Kind::Model, 20) => Refused("a graph for inference", "one with instructions for training"),
        // Functions that call functions twice each are 2^n operations in n lines.
        (Kind::Model, 25) => Refused(PLAIN, "one with functions of its own"),
        (Kind::Model, 26) | (Kind::Node, 10) => Refused("a graph for one device", "one with a plan for several"),
        (Kind::OperatorSet, 1) => Text,
        (Kind::OperatorSet, 2) => Number,

        (Kind::Graph, 1) => Message(Kind::Node),
        (Kind::Graph, 2 | 10) => Text,
        (Kind::Graph, 5) => Message(Kind::Tensor),
        (Kind::Graph, 11..=13) => Message(Kind::ValueInfo),
        (Kind::Graph, 14) => Message(Kind::Annotation),
        // A few bytes of it become a dense tensor of any size.
        (Kind::Graph, 15) | (Kind::Attribute, 22 | 23) => Refused(DENSE, "a sparse one"),
        (Kind::Graph, 16) | (Kind::Node, 9) | (Kind::Tensor, 16) | (Kind::ValueInfo, 4) => Message(Kind::Entry),

        (Kind::Node, 1..=3 | 6 | 8) => Text,
        (Kind::Node, 4) => OpType,
        (Kind::Node, 5) => Message(Kind::Attribute),
        (Kind::Node, 7) => Domain,

        (Kind::Attribute, 1 | 4 | 9 | 13 | 21) => Text,
        (Kind::Attribute, 2 | 3 | 7 | 8 | 20) => Number,
        (Kind::Attribute, 5 | 10) => Message(Kind::Tensor),
        (Kind::Attribute, 6 | 11) => Message(Kind::Graph),
        (Kind::Attribute, 14 | 15) => Message(Kind::Type),

        (Kind::Tensor, 1) => Dims,
        (Kind::Tensor, 2) => Number,
        (Kind::Tensor, 3) => Refused("whole tensors", "a segment of one"),
        (Kind::Tensor, 4..=7 | 9..=11) => Data,
        (Kind::Tensor, 8 | 12) => Text,
        (Kind::Tensor, 13) => Refused(WITHIN, "a tensor in another file"),
        (Kind::Tensor, 14) => DataLocation,

        (Kind::ValueInfo, 1 | 3) => Text,
        (Kind::ValueInfo, 2) => Message(Kind::Type),
        (Kind::Type, 1) => Message(Kind::TensorType),
        (Kind::Type, 4 | 5 | 7 | 8 | 9) => Refused(TENSORS, "a sequence, map or option"),
        (Kind::Type, 6) => Text,
        (Kind::TensorType, 1) => Number,
        (Kind::TensorType, 2) => Message(Kind::Shape),
        (Kind::Shape, 1) => Message(Kind::Dimension),
        (Kind::Dimension, 1) => Number,
        (Kind::Dimension, 2 | 3) => Text,
        (Kind::Annotation, 1) | (Kind::Entry, 1 | 2) => Text,
        (Kind::Annotation, 2) => Message(Kind::Entry),
        _ => Unknown,
    }
}
