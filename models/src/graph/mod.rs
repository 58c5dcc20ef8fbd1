//! What a graph's file may hold, told before ONNX Runtime sees it: one walk over the protocol buffer (onnx.proto3), in
//! place, without allocating.
//!
//! Refused is what would leave the file (weights in other files, which no checksum covers), what could run for ever or
//! grow without bound (loops, functions that call functions, sparse tensors, operators that are not ONNX's own), and
//! more of anything than [`limits`](crate::limits) allows. What remains ONNX Runtime checks by itself.

mod fields;
mod parts;
mod wire;

pub use parts::{GraphPart, GraphParts, split_graph};

use crate::limits::{MAX_GRAPH_DEPTH, MAX_GRAPH_FIELDS, MAX_GRAPH_NODES, MAX_GRAPH_TENSORS, MAX_GRAPH_VALUES};
use fields::{Field, Kind};
use wire::{Reader, Value};

/// What a walk has counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GraphFacts {
    /// Operations, those in graphs within the graph included.
    pub num_nodes: usize,
    /// Tensors of weights and constants.
    pub num_tensors: usize,
    /// Values of these tensors.
    pub num_values: usize,
}

/// Why a graph is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GraphRefusal {
    /// What is expected of a graph.
    pub expected: String,
    /// What is there.
    pub actual: String,
}

fn refuse<T>(expected: impl Into<String>, actual: impl Into<String>) -> Result<T, GraphRefusal> {
    Err(GraphRefusal { expected: expected.into(), actual: actual.into() })
}

/// Checks the contents of a graph's file.
///
/// # Errors
/// [`GraphRefusal`] says what was expected and what is there.
pub fn check_graph(bytes: &[u8]) -> Result<GraphFacts, GraphRefusal> {
    let mut walk = Walk::default();
    walk.message(Kind::Model, bytes, 0)?;
    match walk.num_graphs {
        0 => refuse("an ONNX model", format!("{} bytes without a graph", bytes.len())),
        _ => Ok(walk.facts),
    }
}

#[derive(Default)]
struct Walk {
    facts: GraphFacts,
    num_graphs: usize,
    num_fields: usize,
}

/// What was seen of a tensor.
struct Tensor {
    num_values: Option<usize>,
    /// Bytes of all fields that can hold values.
    num_bytes: usize,
}

impl Walk {
    /// `depth` is the number of graphs around this message.
    fn message(&mut self, kind: Kind, bytes: &[u8], depth: usize) -> Result<(), GraphRefusal> {
        let depth = self.enter(kind, depth)?;
        let mut tensor = Tensor { num_values: Some(1), num_bytes: 0 };
        let mut reader = Reader::new(bytes);
        while let Some((number, value)) = reader.next_field().map_err(damaged)? {
            self.num_fields += 1;
            at_most("fields", MAX_GRAPH_FIELDS, self.num_fields)?;
            match (fields::field(kind, number), value) {
                (Field::Message(kind), Value::Bytes(bytes)) => self.message(kind, bytes, depth)?,
                (Field::Refused(expected, actual), _) => return refuse(expected, actual),
                (Field::OpType, Value::Bytes(name)) => check_op(name)?,
                (Field::Domain, Value::Bytes(domain)) => check_domain(domain)?,
                (Field::DataLocation, Value::Number(0)) => {}
                (Field::DataLocation, _) => return refuse(fields::WITHIN, "a tensor whose data lie elsewhere"),
                (Field::Dims, Value::Number(len)) => tensor.extend(len)?,
                (Field::Dims, Value::Bytes(packed)) => {
                    let mut reader = Reader::new(packed);
                    while !reader.is_at_end() {
                        tensor.extend(reader.varint().map_err(damaged)?)?;
                    }
                }
                (Field::Data, Value::Bytes(data)) => tensor.num_bytes += data.len(),
                // Repeated numbers one by one, which is legal and long.
                (Field::Data, Value::Number(_)) => tensor.num_bytes += 8,
                (Field::Text, Value::Bytes(_)) | (Field::Number, Value::Number(_)) | (Field::Unknown, _) => {}
                (Field::Number, Value::Bytes(_)) => {}
                (_, value) => return damaged_field(kind, number, value),
            }
        }
        if kind == Kind::Tensor { self.count_values(&tensor) } else { Ok(()) }
    }

    fn enter(&mut self, kind: Kind, depth: usize) -> Result<usize, GraphRefusal> {
        match kind {
            Kind::Graph => {
                self.num_graphs += 1;
                at_most("graphs within graphs", MAX_GRAPH_DEPTH, depth)?;
                return Ok(depth + 1);
            }
            Kind::Node => {
                self.facts.num_nodes += 1;
                at_most("operations", MAX_GRAPH_NODES, self.facts.num_nodes)?;
            }
            Kind::Tensor => {
                self.facts.num_tensors += 1;
                at_most("tensors", MAX_GRAPH_TENSORS, self.facts.num_tensors)?;
            }
            _ => {}
        }
        Ok(depth)
    }

    /// ONNX Runtime makes room for the values that a tensor announces, so they must be there.
    fn count_values(&mut self, tensor: &Tensor) -> Result<(), GraphRefusal> {
        // Two values of four bits to a byte are the most; nothing else has less than a byte.
        let max = 2 * tensor.num_bytes;
        match tensor.num_values {
            Some(num_values) if num_values <= max => {
                self.facts.num_values += num_values;
                at_most("values of weights and constants", MAX_GRAPH_VALUES, self.facts.num_values)
            }
            num_values => refuse(
                "tensors that hold the values that they announce",
                format!(
                    "one of {} values in {} bytes",
                    num_values.map_or("more than 2^64".to_owned(), |num| num.to_string()),
                    tensor.num_bytes
                ),
            ),
        }
    }
}

impl Tensor {
    fn extend(&mut self, len: u64) -> Result<(), GraphRefusal> {
        let Some(len) = i64::try_from(len).ok().and_then(|len| usize::try_from(len).ok()) else {
            return refuse("lengths of at least 0", format!("a tensor of length {}", len as i64));
        };
        self.num_values = self.num_values.and_then(|num_values| num_values.checked_mul(len));
        Ok(())
    }
}

fn at_most(what: &str, max: usize, actual: usize) -> Result<(), GraphRefusal> {
    if actual <= max { Ok(()) } else { refuse(format!("at most {max} {what}"), "more") }
}

fn damaged(problem: wire::Malformed) -> GraphRefusal {
    GraphRefusal { expected: "an ONNX model".to_owned(), actual: problem.to_string() }
}

fn damaged_field(kind: Kind, number: u32, value: Value) -> Result<(), GraphRefusal> {
    let form = if let Value::Bytes(_) = value { "bytes" } else { "a number" };
    refuse("an ONNX model", format!("field {number} of a {kind:?} that is {form}"))
}

fn check_op(name: &[u8]) -> Result<(), GraphRefusal> {
    match name {
        // Its number of rounds can be anything, also without end, and the worker would never come back.
        b"Loop" => refuse("operations that end (unroll the loop when exporting)", "a Loop"),
        // Texts lie outside of the memory that is bounded, and two of them joined are twice as long.
        b"StringConcat" | b"StringSplit" | b"StringNormalizer" | b"RegexFullMatch" | b"TfIdfVectorizer" => {
            refuse("operations on numbers", format!("a {}", String::from_utf8_lossy(name)))
        }
        _ => Ok(()),
    }
}

fn check_domain(domain: &[u8]) -> Result<(), GraphRefusal> {
    match domain {
        b"" | b"ai.onnx" => Ok(()),
        _ => {
            let domain = String::from_utf8_lossy(&domain[..domain.len().min(60)]);
            refuse("operators of ONNX itself (ai.onnx)", format!("one of {domain:?}"))
        }
    }
}
