//! Finding the GPU.

use tch::Device;

/// The first GPU if libtorch can use one, else the CPU.
pub fn best_device() -> Device {
    load_cuda_library();
    Device::cuda_if_available()
}

/// `libtorch_cuda.so` registers itself when it is loaded. Nothing in this program refers to it, so the linker leaves it
/// out, and it must be loaded by hand before libtorch is asked for a GPU. Without a GPU's libraries that fails, and
/// the CPU it is.
#[cfg(target_os = "linux")]
fn load_cuda_library() {
    // SAFETY: the name is a C string; the library's constructors are those that PyTorch runs at every import.
    unsafe { libc::dlopen(c"libtorch_cuda.so".as_ptr(), libc::RTLD_NOW | libc::RTLD_GLOBAL) };
}

#[cfg(not(target_os = "linux"))]
fn load_cuda_library() {}
