//! A model's ONNX graph, opened once per process and shared by all streams, and the memory of one stream.

mod check;
mod parts;
mod state;

pub(crate) use parts::{GraphParts, PartState, SliceValues};
pub use state::NetworkState;
use state::States;

use crate::{DenormalsAreZero, Runtime, SeparatorError};
use check::{check, make_plan};
use models::Model;
use ort::{
    AsPointer,
    environment::Environment,
    session::{Session, builder::GraphOptimizationLevel},
    sys::OrtValue,
    value::Tensor,
};
use slicqt::Plan;
use std::{
    ffi::{CString, c_char},
    iter, ptr,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

/// A model, its transform and its ONNX session: everything that streams share. Nothing in it changes.
pub struct Graph {
    model: Model,
    plan: Arc<Plan>,
    session: Session,
    /// Sessions for its parts are opened later.
    environment: Environment,
    /// Opened when a file is first separated by several threads; None inside if the graph cannot be cut.
    parts: Mutex<Option<Option<Arc<GraphParts>>>>,
    provider: Provider,
    /// Held during a run, for providers that are not concurrent.
    one_at_a_time: Mutex<()>,
    /// Names of the input, then of the states that go in.
    input_names: Names,
    /// Names of the output, then of the states that come out.
    output_names: Names,
}

/// What computes the graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Provider {
    Cpu,
}

impl Provider {
    /// Whether several threads may run one session at once.
    fn is_concurrent(self) -> bool {
        match self {
            Provider::Cpu => true,
        }
    }
}

/// One graph that is open or being opened; others that need the same one wait for it.
type Slot = Arc<Mutex<Weak<Graph>>>;

/// The graphs that are open in this process, with the model that each was opened for.
static OPEN: Mutex<Vec<(Model, Provider, Slot)>> = Mutex::new(Vec::new());

impl Graph {
    /// Opens the graph of a model, checks it (its hash, what it holds, and against the manifest), and warms it up if it is
    /// for live streams. If a graph with the same hash and manifest is open in this process, that one is returned.
    ///
    /// # Errors
    /// [`SeparatorError::Model`] names the file that is not the model's graph, or the field on which manifest, transform
    /// and graph disagree;
    /// [`SeparatorError::Graph`] if ONNX Runtime refuses the graph.
    ///
    /// # Realtime
    /// Worker only: reads a file, allocates, waits for others that open the same.
    pub fn open(runtime: &Runtime, model: &Model) -> Result<Arc<Graph>, SeparatorError> {
        let provider = Provider::Cpu;
        let slot = slot_of(model, provider);
        // Only callers that need the same graph wait while it is opened.
        let mut graph = lock(&slot);
        if let Some(graph) = graph.upgrade() {
            return Ok(graph);
        }
        let opened = Arc::new(Graph::open_anew(runtime, model, provider)?);
        // The first run allocates what later runs reuse. Files can wait for that.
        if model.manifest.offline.is_none() {
            opened.make_state()?.run()?;
        }
        *graph = Arc::downgrade(&opened);
        Ok(opened)
    }

    fn open_anew(runtime: &Runtime, model: &Model, provider: Provider) -> Result<Graph, SeparatorError> {
        let plan = make_plan(model)?;
        // ONNX Runtime gets the bytes that were checked, and not the file, which may be another by then. It copies them.
        let graph = model.read_graph()?;
        let num_threads = if model.manifest.offline.is_some() { runtime.num_file_threads() } else { 1 };
        let session = open_session(&runtime.environment, graph.as_ref(), num_threads);
        drop(graph);
        let session = session.map_err(|error| graph_error(model, error))?;
        check(&session, model)?;
        let m = &model.manifest;
        let names = |first, others: Vec<&String>| {
            Names::new(iter::once(first).chain(others).map(String::as_str))
                .map_err(|name| model.field_error("states", "names without NUL characters", format!("{name:?}")))
        };
        Ok(Graph {
            input_names: names(&m.input.name, m.states.iter().map(|state| &state.input).collect())?,
            output_names: names(&m.output.name, m.states.iter().map(|state| &state.output).collect())?,
            model: model.clone(),
            plan,
            session,
            environment: runtime.environment.clone(),
            parts: Mutex::new(None),
            provider,
            one_at_a_time: Mutex::new(()),
        })
    }

    /// The model that it belongs to.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// The model's transform.
    pub fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    /// The memory of a new stream.
    ///
    /// # Errors
    /// [`SeparatorError::Graph`] if ONNX Runtime makes no tensors.
    ///
    /// # Realtime
    /// Not safe: allocates.
    pub fn make_state(self: &Arc<Self>) -> Result<NetworkState, SeparatorError> {
        NetworkState::new(self)
    }

    fn zeros(&self, shape: &[usize]) -> Result<Tensor<f32>, SeparatorError> {
        let zeros = vec![0f32; shape.iter().product()];
        Tensor::from_array((shape, zeros)).map_err(|error| graph_error(&self.model, error))
    }

    /// The same graph in parts, which are opened by the first call; None if it cannot be cut.
    fn parts(&self) -> Result<Option<Arc<GraphParts>>, SeparatorError> {
        let mut parts = lock(&self.parts);
        if let Some(parts) = &*parts {
            return Ok(parts.clone());
        }
        let opened = GraphParts::open(self)?.map(Arc::new);
        Ok(parts.insert(opened).clone())
    }

    /// Runs the session on the values of one stream, in the order of the names.
    fn run(&self, inputs: &[*mut OrtValue], outputs: &mut [*mut OrtValue]) -> ort::Result<()> {
        let _one = (!self.provider.is_concurrent()).then(|| lock(&self.one_at_a_time));
        run_session(&self.session, (&self.input_names, inputs), (&self.output_names, outputs))
    }
}

/// Runs a session on the values of one stream, in the order of the names.
fn run_session(
    session: &Session,
    (input_names, inputs): (&Names, &[*mut OrtValue]),
    (output_names, outputs): (&Names, &mut [*mut OrtValue]),
) -> ort::Result<()> {
    assert!(inputs.len() == input_names.pointers.0.len() && outputs.len() == output_names.pointers.0.len());
    // SAFETY: all pointers are alive and as many as there are names; the values belong to one stream, which is
    // borrowed exclusively. Several threads may be in `Run` of one session: ONNX Runtime documents it so (a session is
    // stateless; its arena and its table of memory patterns have locks), for execution providers that say so of
    // themselves, as that for CPUs does. `ort` takes its session by `&mut` because others do not; those are locked
    // by `Graph::run`. That concurrent runs give the bits of single ones is tested.
    let status = unsafe {
        (ort::api().Run)(
            session.ptr().cast_mut(),
            ptr::null(),
            input_names.pointers.0.as_ptr().cast(),
            inputs.as_ptr().cast(),
            inputs.len(),
            output_names.pointers.0.as_ptr().cast(),
            outputs.len(),
            outputs.as_mut_ptr(),
        )
    };
    // SAFETY: the status is what `Run` has just returned.
    unsafe { ort::Error::result_from_status(status) }
}

/// C strings, and the array of pointers to them that ONNX Runtime takes.
struct Names {
    pointers: Pointers<c_char>,
    _strings: Vec<CString>,
}

impl Names {
    /// # Errors
    /// The name that cannot be a C string.
    fn new<'a>(names: impl Iterator<Item = &'a str>) -> Result<Self, &'a str> {
        let strings = names.map(|name| CString::new(name).map_err(|_| name)).collect::<Result<Vec<_>, _>>()?;
        Ok(Names {
            pointers: Pointers(strings.iter().map(|name| name.as_ptr().cast_mut()).collect()),
            _strings: strings,
        })
    }
}

/// Pointers to what lies beside them in the same struct.
struct Pointers<T>(Vec<*mut T>);

// SAFETY: names are never written to; values are read and written in `NetworkState::run` only, which borrows the state
// exclusively, and ONNX Runtime's tensors in host memory belong to no thread.
unsafe impl<T> Send for Pointers<T> {}
// SAFETY: as above.
unsafe impl<T> Sync for Pointers<T> {}

fn slot_of(model: &Model, provider: Provider) -> Slot {
    let mut open = lock(&OPEN);
    // Slots with another owner are being opened, or about to be.
    open.retain(|(_, _, slot)| Arc::strong_count(slot) > 1 || lock(slot).strong_count() > 0);
    // The manifest holds the graph's hash, and everything else that the graph is used by.
    let known = open.iter().find(|(known, of, _)| known.manifest == model.manifest && *of == provider);
    if let Some((_, _, slot)) = known {
        return slot.clone();
    }
    let slot = Slot::default();
    open.push((model.clone(), provider, slot.clone()));
    slot
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn graph_error(model: &Model, error: ort::Error) -> SeparatorError {
    SeparatorError::Graph { path: model.onnx_path(), message: error.to_string() }
}

/// A session that computes on the thread that runs it, and on `num_threads - 1` threads of its own. Denormals are the
/// business of the thread that runs it ([`NetworkState::run`]). The other threads need ONNX Runtime's own setting, which
/// would also change the thread that opens the first session, for good.
fn open_session(environment: &Environment, graph: &[u8], num_threads: usize) -> ort::Result<Session> {
    let mut builder = Session::builder(environment)?;
    let _restored = (num_threads > 1).then(DenormalsAreZero::new);
    if num_threads > 1 {
        builder = builder.with_flush_to_zero()?;
    }
    builder
        .with_optimization_level(GraphOptimizationLevel::All)?
        .with_intra_threads(num_threads)?
        .with_inter_threads(1)?
        .with_parallel_execution(false)?
        .with_intra_op_spinning(false)?
        .with_inter_op_spinning(false)?
        // Its memory is bounded where it runs, and not where constants are folded.
        .with_disabled_optimizers("ConstantFolding")?
        .with_env_allocators()?
        .with_device_allocated_initializers()?
        .commit_from_memory(graph)
}
