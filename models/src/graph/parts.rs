//! A graph cut into parts that run one after the other, each on its own: so several slices of a file can be in the network
//! at a time, each in another part of it.
//!
//! The parts hold the nodes and weights of the whole as they are, byte for byte. A state goes in and comes out of one and
//! the same part: the next slice may enter a part as soon as the slice before has left it.

use super::wire::{Malformed, Reader, Value};
use crate::onnx::value_info_bytes;
use prost::encoding::{WireType, encode_key, encode_varint};
use std::{
    collections::{BTreeSet, HashMap},
    ops::Range,
};

/// A graph in parts: see [`split_graph`].
pub struct GraphParts<'a> {
    /// Everything of the model but its graph, encoded.
    model_fields: Vec<u8>,
    /// Declarations of the whole graph's inputs and outputs.
    declared: HashMap<&'a str, &'a [u8]>,
    weights: HashMap<&'a str, &'a [u8]>,
    nodes: Vec<Node<'a>>,
    parts: Vec<GraphPart>,
}

/// One part of a graph.
pub struct GraphPart {
    nodes: Range<usize>,
    /// Values that it takes: inputs of the whole graph, and outputs of earlier parts.
    pub inputs: Vec<String>,
    /// Values that it makes: outputs of the whole graph, and what later parts take.
    pub outputs: Vec<String>,
}

struct Node<'a> {
    bytes: &'a [u8],
    inputs: Vec<&'a str>,
    outputs: Vec<&'a str>,
    is_identity: bool,
}

/// Cuts a graph that [`check_graph`](super::check_graph) has passed into at most `num_parts` parts with about as many
/// operations each. `states` are the names of what goes in and comes out of every state. None if a node holds a graph of
/// its own.
pub fn split_graph<'a>(bytes: &'a [u8], states: &[(&str, &str)], num_parts: usize) -> Option<GraphParts<'a>> {
    let mut parts = read_model(bytes).ok()??;
    parts.nodes = identities_first(parts.nodes);
    let uses = Uses::of(&parts.nodes);
    let num_nodes = parts.nodes.len();
    // Operations cost very different times, but parts of the models at hand come out within a factor of 2.5.
    let mut cuts = vec![0];
    for cut_idx in 1..num_parts {
        let target = num_nodes * cut_idx / num_parts;
        let is_possible = |place: &usize| states.iter().all(|state| uses.is_on_one_side(state, *place));
        let last = *cuts.last()?;
        let nearest = (last + 1..num_nodes).filter(is_possible).min_by_key(|place| place.abs_diff(target));
        cuts.extend(nearest);
    }
    cuts.push(num_nodes);
    let all = cuts.windows(2).map(|range| parts.part(range[0]..range[1], &uses));
    // Operations that nothing uses may fill a part.
    parts.parts = all.filter(|part| !part.outputs.is_empty()).collect();
    Some(parts)
}

impl<'a> GraphParts<'a> {
    /// The parts, in the order in which they run.
    pub fn parts(&self) -> &[GraphPart] {
        &self.parts
    }

    /// The ONNX model of a part, encoded. `shape_of` gives the shapes of the values that come from earlier parts, which
    /// must be f32.
    ///
    /// # Panics
    /// If it gives none.
    pub fn model(&self, part: &GraphPart, shape_of: &dyn Fn(&str) -> Option<Vec<i64>>) -> Vec<u8> {
        let mut graph = Vec::new();
        let nodes = &self.nodes[part.nodes.clone()];
        nodes.iter().for_each(|node| put(&mut graph, 1, node.bytes));
        put(&mut graph, 2, b"part");
        let used: BTreeSet<&str> = nodes.iter().flat_map(|node| node.inputs.iter().copied()).collect();
        used.iter().filter_map(|name| self.weights.get(name)).for_each(|bytes| put(&mut graph, 5, bytes));
        for name in &part.inputs {
            match self.declared.get(name.as_str()) {
                Some(bytes) => put(&mut graph, 11, bytes),
                None => {
                    let shape = shape_of(name).expect("a value of an earlier part");
                    put(&mut graph, 11, &value_info_bytes(name, Some(&shape)));
                }
            }
        }
        for name in &part.outputs {
            match self.declared.get(name.as_str()) {
                Some(bytes) => put(&mut graph, 12, bytes),
                // Type and shape are inferred.
                None => put(&mut graph, 12, &value_info_bytes(name, None)),
            }
        }
        let mut model = self.model_fields.clone();
        put(&mut model, 7, &graph);
        model
    }

    fn part(&self, nodes: Range<usize>, uses: &Uses) -> GraphPart {
        let mut part = GraphPart { nodes: nodes.clone(), inputs: Vec::new(), outputs: Vec::new() };
        for node in &self.nodes[nodes.clone()] {
            for name in node.inputs.iter().filter(|name| !name.is_empty() && !self.weights.contains_key(*name)) {
                let is_from_here = uses.maker.get(name).is_some_and(|maker| nodes.contains(maker));
                if !is_from_here && !part.inputs.iter().any(|known| known == name) {
                    part.inputs.push((*name).to_owned());
                }
            }
            for name in node.outputs.iter().filter(|name| !name.is_empty()) {
                let is_used_later = uses.last_use.get(name).is_some_and(|&last| last >= nodes.end);
                if is_used_later || self.declared.contains_key(name) {
                    part.outputs.push((*name).to_owned());
                }
            }
        }
        part
    }
}

/// Where values are made and used, by the index of the node.
#[derive(Default)]
struct Uses<'a> {
    maker: HashMap<&'a str, usize>,
    first_use: HashMap<&'a str, usize>,
    last_use: HashMap<&'a str, usize>,
}

impl<'a> Uses<'a> {
    fn of(nodes: &[Node<'a>]) -> Self {
        let mut uses = Uses::default();
        for (idx, node) in nodes.iter().enumerate() {
            uses.maker.extend(node.outputs.iter().map(|name| (*name, idx)));
            for name in &node.inputs {
                uses.first_use.entry(name).or_insert(idx);
                uses.last_use.insert(name, idx);
            }
        }
        uses
    }

    /// Whether the uses of a state and what makes the next one lie all before the cut or all behind it.
    fn is_on_one_side(&self, (input, output): &(&str, &str), cut: usize) -> bool {
        let maker = self.maker.get(output).copied().unwrap_or(0);
        let first = self.first_use.get(input).map_or(maker, |&first| first.min(maker));
        let last = self.last_use.get(input).map_or(maker, |&last| last.max(maker));
        last < cut || cut <= first
    }
}

/// Identities move up to right behind what they repeat: exporters put those that name a state's next value at the very
/// end, where they would tie everything before into one part.
fn identities_first(nodes: Vec<Node>) -> Vec<Node> {
    let maker = Uses::of(&nodes).maker;
    let follows = |node: &Node| node.is_identity.then(|| maker.get(node.inputs.first()?).copied()).flatten();
    let mut followers: Vec<Vec<usize>> = vec![Vec::new(); nodes.len()];
    let mut leaders = Vec::new();
    for (idx, node) in nodes.iter().enumerate() {
        match follows(node) {
            Some(leader) => followers[leader].push(idx),
            None => leaders.push(idx),
        }
    }
    let mut order = Vec::with_capacity(nodes.len());
    let mut waiting: Vec<usize> = leaders.into_iter().rev().collect();
    while let Some(idx) = waiting.pop() {
        order.push(idx);
        waiting.extend(followers[idx].iter().rev());
    }
    let mut nodes: Vec<Option<Node>> = nodes.into_iter().map(Some).collect();
    order.into_iter().filter_map(|idx| nodes[idx].take()).collect()
}

/// None if a node holds a graph: its uses of values around it are not looked for.
fn read_model(bytes: &[u8]) -> Result<Option<GraphParts<'_>>, Malformed> {
    let mut read = GraphParts {
        model_fields: Vec::new(),
        declared: HashMap::new(),
        weights: HashMap::new(),
        nodes: Vec::new(),
        parts: Vec::new(),
    };
    let mut reader = Reader::new(bytes);
    while let Some((number, value)) = reader.next_field()? {
        match (number, value) {
            (7, Value::Bytes(graph)) => {
                let mut reader = Reader::new(graph);
                while let Some((number, value)) = reader.next_field()? {
                    let Value::Bytes(bytes) = value else { continue };
                    match number {
                        1 => match read_node(bytes)? {
                            Some(node) => read.nodes.push(node),
                            None => return Ok(None),
                        },
                        5 => drop(read.weights.insert(text_field(bytes, 8)?, bytes)),
                        11 | 12 => drop(read.declared.insert(text_field(bytes, 1)?, bytes)),
                        _ => {}
                    }
                }
            }
            (number, Value::Bytes(bytes)) => put(&mut read.model_fields, number, bytes),
            (number, Value::Number(value)) => {
                encode_key(number, WireType::Varint, &mut read.model_fields);
                encode_varint(value, &mut read.model_fields);
            }
        }
    }
    Ok(Some(read))
}

fn read_node(bytes: &[u8]) -> Result<Option<Node<'_>>, Malformed> {
    let mut node = Node { bytes, inputs: Vec::new(), outputs: Vec::new(), is_identity: false };
    let mut reader = Reader::new(bytes);
    while let Some((number, value)) = reader.next_field()? {
        let Value::Bytes(bytes) = value else { continue };
        match number {
            1 => node.inputs.push(text(bytes)?),
            2 => node.outputs.push(text(bytes)?),
            4 => node.is_identity = bytes == b"Identity",
            5 => {
                let mut attribute = Reader::new(bytes);
                while let Some((number, _)) = attribute.next_field()? {
                    if matches!(number, 6 | 11) {
                        return Ok(None);
                    }
                }
            }
            _ => {}
        }
    }
    Ok(Some(node))
}

fn text_field(message: &[u8], number: u32) -> Result<&str, Malformed> {
    let mut reader = Reader::new(message);
    while let Some((found, value)) = reader.next_field()? {
        if let (true, Value::Bytes(bytes)) = (found == number, value) {
            return text(bytes);
        }
    }
    Ok("")
}

fn text(bytes: &[u8]) -> Result<&str, Malformed> {
    std::str::from_utf8(bytes).map_err(|_| Malformed::Text)
}

fn put(message: &mut Vec<u8>, number: u32, bytes: &[u8]) {
    encode_key(number, WireType::LengthDelimited, message);
    encode_varint(bytes.len() as u64, message);
    message.extend_from_slice(bytes);
}
