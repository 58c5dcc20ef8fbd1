//! What the host hands to the plugin: streams, parameter changes and the handler of its requests.

use std::cell::UnsafeCell;
use std::ffi::c_void;
use std::sync::Mutex;
use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering};
use vst3::Steinberg::IBStream_::IStreamSeekMode_;
use vst3::Steinberg::Vst::{
    IComponentHandler, IComponentHandler2, IComponentHandler2Trait, IComponentHandlerTrait, IParamValueQueue,
    IParamValueQueueTrait, IParameterChanges, IParameterChangesTrait, ParamID, ParamValue,
};
use vst3::Steinberg::{
    FIDString, IBStream, IBStreamTrait, TBool, int32, int64, kInvalidArgument, kResultFalse, kResultOk, tresult,
};
use vst3::{Class, ComPtr, ComWrapper};

/// A stream in memory.
#[derive(Default)]
pub struct Stream(Mutex<(Vec<u8>, usize)>);

impl Stream {
    /// With `bytes` in it, at their start.
    pub fn new(bytes: &[u8]) -> Stream {
        Stream(Mutex::new((bytes.to_vec(), 0)))
    }

    /// All that is in it.
    pub fn bytes(&self) -> Vec<u8> {
        self.0.lock().expect("no panic while it was held").0.clone()
    }
}

impl Class for Stream {
    type Interfaces = (IBStream,);
}

impl IBStreamTrait for Stream {
    unsafe fn read(&self, buffer: *mut c_void, num_bytes: int32, num_read: *mut int32) -> tresult {
        let mut inner = self.0.lock().expect("no panic while it was held");
        let (bytes, position) = &mut *inner;
        let len = (num_bytes.max(0) as usize).min(bytes.len() - *position);
        // SAFETY: the caller's buffer takes `num_bytes`; `len` is at most that, and so many lie behind the position.
        unsafe { bytes[*position..].as_ptr().copy_to_nonoverlapping(buffer.cast(), len) };
        *position += len;
        if !num_read.is_null() {
            // SAFETY: the caller's variable.
            unsafe { *num_read = len as int32 };
        }
        kResultOk
    }

    unsafe fn write(&self, buffer: *mut c_void, num_bytes: int32, num_written: *mut int32) -> tresult {
        let mut inner = self.0.lock().expect("no panic while it was held");
        let (bytes, position) = &mut *inner;
        // SAFETY: the caller's buffer holds `num_bytes`.
        let new = unsafe { std::slice::from_raw_parts(buffer.cast::<u8>(), num_bytes.max(0) as usize) };
        bytes.truncate(*position);
        bytes.extend_from_slice(new);
        *position = bytes.len();
        if !num_written.is_null() {
            // SAFETY: the caller's variable.
            unsafe { *num_written = num_bytes };
        }
        kResultOk
    }

    unsafe fn seek(&self, offset: int64, mode: int32, result: *mut int64) -> tresult {
        let mut inner = self.0.lock().expect("no panic while it was held");
        let (bytes, position) = &mut *inner;
        let start = match mode as u32 {
            mode if mode == IStreamSeekMode_::kIBSeekSet as u32 => 0,
            mode if mode == IStreamSeekMode_::kIBSeekCur as u32 => *position as int64,
            _ => bytes.len() as int64,
        };
        *position = (start + offset).clamp(0, bytes.len() as int64) as usize;
        if !result.is_null() {
            // SAFETY: the caller's variable.
            unsafe { *result = *position as int64 };
        }
        kResultOk
    }

    unsafe fn tell(&self, position: *mut int64) -> tresult {
        // SAFETY: the caller's variable.
        unsafe { *position = self.0.lock().expect("no panic while it was held").1 as int64 };
        kResultOk
    }
}

/// The points of one parameter within a block. Touched by the audio thread only.
struct Queue {
    id: ParamID,
    /// Sample within the block and normalized value; filled only between two calls of `process()`.
    points: UnsafeCell<Vec<(int32, ParamValue)>>,
}

impl Class for Queue {
    type Interfaces = (IParamValueQueue,);
}

impl IParamValueQueueTrait for Queue {
    unsafe fn getParameterId(&self) -> ParamID {
        self.id
    }

    unsafe fn getPointCount(&self) -> int32 {
        // SAFETY: read and written by the thread that processes, never at once.
        unsafe { (*self.points.get()).len() as int32 }
    }

    unsafe fn getPoint(&self, index: int32, offset: *mut int32, value: *mut ParamValue) -> tresult {
        // SAFETY: as above.
        let points = unsafe { &*self.points.get() };
        match points.get(index as usize) {
            Some(&point) => {
                // SAFETY: the caller's variables.
                unsafe { (*offset, *value) = point };
                kResultOk
            }
            None => kInvalidArgument,
        }
    }

    unsafe fn addPoint(&self, _: int32, _: ParamValue, _: *mut int32) -> tresult {
        kResultFalse
    }
}

/// The parameter changes of one block, for all parameters; memory for them is there from the start.
pub struct Changes {
    queues: Vec<(ComWrapper<Queue>, ComPtr<IParamValueQueue>)>,
    /// Indices of the queues that are not empty.
    filled: UnsafeCell<Vec<usize>>,
}

impl Changes {
    /// For the parameters of these ids.
    pub fn new(ids: impl Iterator<Item = ParamID>) -> Changes {
        let queue = |id| {
            let queue = ComWrapper::new(Queue { id, points: UnsafeCell::new(Vec::with_capacity(4096)) });
            let pointer = queue.to_com_ptr::<IParamValueQueue>().expect("the class has this interface");
            (queue, pointer)
        };
        let queues: Vec<_> = ids.map(queue).collect();
        let filled = UnsafeCell::new(Vec::with_capacity(queues.len()));
        Changes { queues, filled }
    }

    /// Replaces what is in it by `changes`: parameter, sample within the block, normalized value.
    pub(super) fn set(&self, changes: impl Iterator<Item = (ParamID, usize, f64)>) {
        // SAFETY: called by the thread that processes, between two calls of `process()`.
        let filled = unsafe { &mut *self.filled.get() };
        // SAFETY: as above.
        let points = |queue_idx: usize| unsafe { &mut *self.queues[queue_idx].0.points.get() };
        filled.drain(..).for_each(|queue_idx| points(queue_idx).clear());
        for (id, offset, value) in changes {
            let queue_idx =
                self.queues.iter().position(|(queue, _)| queue.id == id).expect("a parameter of this plugin");
            if !filled.contains(&queue_idx) {
                filled.push(queue_idx);
            }
            points(queue_idx).push((offset as int32, value));
        }
    }
}

impl Class for Changes {
    type Interfaces = (IParameterChanges,);
}

impl IParameterChangesTrait for Changes {
    unsafe fn getParameterCount(&self) -> int32 {
        // SAFETY: read and written by the thread that processes, never at once.
        unsafe { (*self.filled.get()).len() as int32 }
    }

    unsafe fn getParameterData(&self, index: int32) -> *mut IParamValueQueue {
        // SAFETY: as above.
        let filled = unsafe { &*self.filled.get() };
        filled.get(index as usize).map_or(std::ptr::null_mut(), |&queue_idx| self.queues[queue_idx].1.as_ptr())
    }

    unsafe fn addParameterData(&self, _: *const ParamID, _: *mut int32) -> *mut IParamValueQueue {
        std::ptr::null_mut()
    }
}

/// Hears what the plugin asks of its host.
#[derive(Default)]
pub struct Handler {
    restart_flags: AtomicI32,
    num_dirty: AtomicUsize,
}

impl Handler {
    /// All restart flags that were asked for since the last call.
    pub fn take_restart_flags(&self) -> i32 {
        self.restart_flags.swap(0, Ordering::AcqRel)
    }

    /// How often the plugin has said that its state is another one.
    pub fn num_dirty(&self) -> usize {
        self.num_dirty.load(Ordering::Acquire)
    }
}

impl Class for Handler {
    type Interfaces = (IComponentHandler, IComponentHandler2);
}

impl IComponentHandlerTrait for Handler {
    unsafe fn beginEdit(&self, _: ParamID) -> tresult {
        kResultOk
    }

    unsafe fn performEdit(&self, _: ParamID, _: ParamValue) -> tresult {
        kResultOk
    }

    unsafe fn endEdit(&self, _: ParamID) -> tresult {
        kResultOk
    }

    unsafe fn restartComponent(&self, flags: int32) -> tresult {
        self.restart_flags.fetch_or(flags, Ordering::AcqRel);
        kResultOk
    }
}

impl IComponentHandler2Trait for Handler {
    unsafe fn setDirty(&self, state: TBool) -> tresult {
        self.num_dirty.fetch_add(usize::from(state != 0), Ordering::AcqRel);
        kResultOk
    }

    unsafe fn requestOpenEditor(&self, _: FIDString) -> tresult {
        kResultFalse
    }

    unsafe fn startGroupEdit(&self) -> tresult {
        kResultOk
    }

    unsafe fn finishGroupEdit(&self) -> tresult {
        kResultOk
    }
}
