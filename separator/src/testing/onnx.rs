//! As much of ONNX's protocol buffers as a tiny graph needs. Field numbers: onnx.proto of ONNX 1.17, IR version 8.

use prost::Message;

#[derive(Message)]
struct ModelProto {
    #[prost(int64, tag = "1")]
    ir_version: i64,
    #[prost(string, tag = "2")]
    producer_name: String,
    #[prost(message, optional, tag = "7")]
    graph: Option<GraphProto>,
    #[prost(message, repeated, tag = "8")]
    opset_import: Vec<OperatorSetIdProto>,
}

#[derive(Message)]
struct OperatorSetIdProto {
    #[prost(int64, tag = "2")]
    version: i64,
}

#[derive(Message)]
struct GraphProto {
    #[prost(message, repeated, tag = "1")]
    node: Vec<NodeProto>,
    #[prost(string, tag = "2")]
    name: String,
    #[prost(message, repeated, tag = "5")]
    initializer: Vec<TensorProto>,
    #[prost(message, repeated, tag = "11")]
    input: Vec<ValueInfoProto>,
    #[prost(message, repeated, tag = "12")]
    output: Vec<ValueInfoProto>,
}

#[derive(Message)]
struct NodeProto {
    #[prost(string, repeated, tag = "1")]
    input: Vec<String>,
    #[prost(string, repeated, tag = "2")]
    output: Vec<String>,
    #[prost(string, tag = "4")]
    op_type: String,
}

#[derive(Message)]
struct TensorProto {
    #[prost(int64, repeated, packed = "false", tag = "1")]
    dims: Vec<i64>,
    #[prost(int32, tag = "2")]
    data_type: i32,
    #[prost(string, tag = "8")]
    name: String,
    #[prost(bytes = "vec", tag = "9")]
    raw_data: Vec<u8>,
}

#[derive(Message)]
struct ValueInfoProto {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, optional, tag = "2")]
    r#type: Option<TypeProto>,
}

#[derive(Message)]
struct TypeProto {
    #[prost(message, optional, tag = "1")]
    tensor_type: Option<TensorTypeProto>,
}

#[derive(Message)]
struct TensorTypeProto {
    #[prost(int32, tag = "1")]
    elem_type: i32,
    #[prost(message, optional, tag = "2")]
    shape: Option<ShapeProto>,
}

#[derive(Message)]
struct ShapeProto {
    #[prost(message, repeated, tag = "1")]
    dim: Vec<DimensionProto>,
}

#[derive(Message)]
struct DimensionProto {
    #[prost(int64, tag = "1")]
    dim_value: i64,
}

const FLOAT: i32 = 1;
const INT64: i32 = 7;

/// Collects the parts of a graph; all of its inputs and outputs are f32.
pub(super) struct GraphBuilder(GraphProto);

impl GraphBuilder {
    pub fn new() -> Self {
        GraphBuilder(GraphProto { name: "test".into(), ..Default::default() })
    }

    pub fn input(&mut self, name: &str, shape: &[usize]) {
        self.0.input.push(value_info(name, shape));
    }

    pub fn output(&mut self, name: &str, shape: &[usize]) {
        self.0.output.push(value_info(name, shape));
    }

    pub fn constant(&mut self, name: &str, shape: &[usize], values: &[f32]) {
        let raw_data = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.push_constant(name, FLOAT, shape, raw_data);
    }

    pub fn constant_i64(&mut self, name: &str, values: &[i64]) {
        let raw_data = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.push_constant(name, INT64, &[values.len()], raw_data);
    }

    fn push_constant(&mut self, name: &str, data_type: i32, shape: &[usize], raw_data: Vec<u8>) {
        let dims = shape.iter().map(|&len| len as i64).collect();
        self.0.initializer.push(TensorProto { dims, data_type, name: name.into(), raw_data });
    }

    /// A node without attributes and with one output.
    pub fn node(&mut self, op_type: &str, inputs: &[&str], output: &str) {
        self.0.node.push(NodeProto {
            input: inputs.iter().map(|name| name.to_string()).collect(),
            output: vec![output.into()],
            op_type: op_type.into(),
        });
    }

    pub fn into_bytes(self) -> Vec<u8> {
        let opset_import = vec![OperatorSetIdProto { version: 17 }];
        ModelProto { ir_version: 8, producer_name: "unbraid tests".into(), graph: Some(self.0), opset_import }
            .encode_to_vec()
    }
}

fn value_info(name: &str, shape: &[usize]) -> ValueInfoProto {
    let dim = shape.iter().map(|&len| DimensionProto { dim_value: len as i64 }).collect();
    let tensor_type = TensorTypeProto { elem_type: FLOAT, shape: Some(ShapeProto { dim }) };
    ValueInfoProto { name: name.into(), r#type: Some(TypeProto { tensor_type: Some(tensor_type) }) }
}
