//! Writing a graph: the few messages of ONNX's protocol buffers that it takes (onnx.proto3, field numbers from there),
//! and a builder that names values for us. The trainer exports with it, and tests make small graphs with it.

use prost::Message;
use std::{io, path::Path};

/// ONNX's `TensorProto.DataType`.
const FLOAT: i32 = 1;
const INT64: i32 = 7;

#[derive(Clone, PartialEq, Message)]
struct ModelProto {
    #[prost(int64, tag = "1")]
    ir_version: i64,
    #[prost(string, tag = "2")]
    producer_name: String,
    #[prost(message, optional, tag = "7")]
    graph: Option<GraphProto>,
    #[prost(message, repeated, tag = "8")]
    opset_import: Vec<OperatorSet>,
}

#[derive(Clone, PartialEq, Message)]
struct OperatorSet {
    #[prost(string, tag = "1")]
    domain: String,
    #[prost(int64, tag = "2")]
    version: i64,
}

#[derive(Clone, PartialEq, Message)]
struct GraphProto {
    #[prost(message, repeated, tag = "1")]
    node: Vec<Node>,
    #[prost(string, tag = "2")]
    name: String,
    #[prost(message, repeated, tag = "5")]
    initializer: Vec<TensorData>,
    #[prost(message, repeated, tag = "11")]
    input: Vec<ValueInfo>,
    #[prost(message, repeated, tag = "12")]
    output: Vec<ValueInfo>,
}

#[derive(Clone, PartialEq, Message)]
struct Node {
    #[prost(string, repeated, tag = "1")]
    input: Vec<String>,
    #[prost(string, repeated, tag = "2")]
    output: Vec<String>,
    #[prost(string, tag = "3")]
    name: String,
    #[prost(string, tag = "4")]
    op_type: String,
    #[prost(message, repeated, tag = "5")]
    attribute: Vec<Attribute>,
}

#[derive(Clone, PartialEq, Message)]
struct Attribute {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(float, tag = "2")]
    f: f32,
    #[prost(int64, tag = "3")]
    i: i64,
    #[prost(bytes = "vec", tag = "4")]
    s: Vec<u8>,
    #[prost(int64, repeated, tag = "8")]
    ints: Vec<i64>,
    /// 1 = float, 2 = int, 3 = string, 7 = ints.
    #[prost(int32, tag = "20")]
    kind: i32,
}

#[derive(Clone, PartialEq, Message)]
struct TensorData {
    #[prost(int64, repeated, tag = "1")]
    dims: Vec<i64>,
    #[prost(int32, tag = "2")]
    data_type: i32,
    #[prost(string, tag = "8")]
    name: String,
    #[prost(bytes = "vec", tag = "9")]
    raw_data: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct ValueInfo {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, optional, tag = "2")]
    kind: Option<ValueKind>,
}

#[derive(Clone, PartialEq, Message)]
struct ValueKind {
    #[prost(message, optional, tag = "1")]
    tensor: Option<TensorKind>,
}

#[derive(Clone, PartialEq, Message)]
struct TensorKind {
    #[prost(int32, tag = "1")]
    elem_type: i32,
    #[prost(message, optional, tag = "2")]
    shape: Option<Shape>,
}

#[derive(Clone, PartialEq, Message)]
struct Shape {
    #[prost(message, repeated, tag = "1")]
    dim: Vec<Dim>,
}

#[derive(Clone, PartialEq, Message)]
struct Dim {
    #[prost(int64, tag = "1")]
    value: i64,
}

/// A value of the graph, by name.
pub type Value = String;

/// Builds a graph node by node.
#[derive(Default)]
pub struct GraphBuilder {
    graph: GraphProto,
}

impl GraphBuilder {
    /// Declares an f32 input.
    pub fn input(&mut self, name: &str, shape: &[i64]) -> Value {
        self.graph.input.push(value_info(name, shape));
        name.to_owned()
    }

    /// Gives a value its name as an f32 output.
    pub fn output(&mut self, value: &Value, name: &str, shape: &[i64]) {
        self.graph.output.push(value_info(name, shape));
        self.push("Identity", std::slice::from_ref(value), vec![name.to_owned()], &[]);
    }

    /// A constant of f32.
    ///
    /// # Panics
    /// If `values` do not fill `shape`.
    pub fn floats(&mut self, values: &[f32], shape: &[i64]) -> Value {
        assert_eq!(values.len() as i64, shape.iter().product::<i64>(), "values must fill the shape");
        self.constant(FLOAT, values.iter().flat_map(|v| v.to_le_bytes()).collect(), shape)
    }

    /// A constant of i64.
    ///
    /// # Panics
    /// If `values` do not fill `shape`.
    pub fn ints(&mut self, values: &[i64], shape: &[i64]) -> Value {
        assert_eq!(values.len() as i64, shape.iter().product::<i64>(), "values must fill the shape");
        self.constant(INT64, values.iter().flat_map(|v| v.to_le_bytes()).collect(), shape)
    }

    /// One operation with one result.
    pub fn node(&mut self, op_type: &str, inputs: &[&Value], attributes: &[(&str, Attr)]) -> Value {
        self.nodes(op_type, inputs, 1, attributes).remove(0)
    }

    /// One operation with several results. An empty name leaves an optional input out.
    pub fn nodes(
        &mut self,
        op_type: &str,
        inputs: &[&Value],
        num_outputs: usize,
        attributes: &[(&str, Attr)],
    ) -> Vec<Value> {
        let id = self.graph.node.len();
        let outputs: Vec<Value> = (0..num_outputs).map(|i| format!("{op_type}_{id}_{i}")).collect();
        let inputs: Vec<Value> = inputs.iter().map(|v| (*v).clone()).collect();
        self.push(op_type, &inputs, outputs.clone(), attributes);
        outputs
    }

    /// Number of operations.
    pub fn num_nodes(&self) -> usize {
        self.graph.node.len()
    }

    /// Writes the model (opset 17), replacing what is there in one step.
    ///
    /// # Errors
    /// As the file system has them.
    pub fn write(self, path: &Path) -> io::Result<()> {
        let model = ModelProto {
            ir_version: 8,
            producer_name: "unbraid".to_owned(),
            graph: Some(GraphProto { name: "unbraid".to_owned(), ..self.graph }),
            opset_import: vec![OperatorSet { domain: String::new(), version: 17 }],
        };
        base::write_whole(path, model.encode_to_vec())
    }

    fn constant(&mut self, data_type: i32, raw_data: Vec<u8>, shape: &[i64]) -> Value {
        let name = format!("constant_{}", self.graph.initializer.len());
        self.graph.initializer.push(TensorData { dims: shape.to_vec(), data_type, name: name.clone(), raw_data });
        name
    }

    fn push(&mut self, op_type: &str, inputs: &[Value], outputs: Vec<Value>, attributes: &[(&str, Attr)]) {
        self.graph.node.push(Node {
            input: inputs.to_vec(),
            output: outputs,
            name: format!("{op_type}_{}", self.graph.node.len()),
            op_type: op_type.to_owned(),
            attribute: attributes
                .iter()
                .map(|(name, value)| {
                    let named = Attribute { name: (*name).to_owned(), ..Attribute::default() };
                    match value {
                        Attr::Float(f) => Attribute { f: *f, kind: 1, ..named },
                        Attr::Int(i) => Attribute { i: *i, kind: 2, ..named },
                        Attr::Text(text) => Attribute { s: text.clone().into_bytes(), kind: 3, ..named },
                        Attr::Ints(ints) => Attribute { ints: ints.clone(), kind: 7, ..named },
                    }
                })
                .collect(),
        });
    }
}

/// Value of an attribute.
pub enum Attr {
    /// A number.
    Float(f32),
    /// An integer.
    Int(i64),
    /// A word.
    Text(String),
    /// Several.
    Ints(Vec<i64>),
}

fn value_info(name: &str, shape: &[i64]) -> ValueInfo {
    let shape = Shape { dim: shape.iter().map(|value| Dim { value: *value }).collect() };
    let tensor = TensorKind { elem_type: FLOAT, shape: Some(shape) };
    ValueInfo { name: name.to_owned(), kind: Some(ValueKind { tensor: Some(tensor) }) }
}

/// The declaration of an f32 value, encoded; without a shape its name alone.
pub(crate) fn value_info_bytes(name: &str, shape: Option<&[i64]>) -> Vec<u8> {
    match shape {
        Some(shape) => value_info(name, shape).encode_to_vec(),
        None => ValueInfo { name: name.to_owned(), kind: None }.encode_to_vec(),
    }
}
