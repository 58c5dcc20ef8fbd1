//! The forward pass in bf16: torch's autocast, which `tch` offers on CUDA only and in half precision only.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor};

// Declared in ATen/autocast_mode.h (`at::autocast`), exported by libtorch_cpu. Both enums have one byte:
// c10::DeviceType CPU 0, CUDA 1; c10::ScalarType BFloat16 15.
unsafe extern "C" {
    #[link_name = "_ZN2at8autocast18set_autocast_dtypeEN3c1010DeviceTypeENS1_10ScalarTypeE"]
    fn set_autocast_dtype(device_type: i8, scalar_type: i8);
    #[link_name = "_ZN2at8autocast20set_autocast_enabledEN3c1010DeviceTypeEb"]
    fn set_autocast_enabled(device_type: i8, enabled: bool);
    #[link_name = "_ZN2at8autocast19is_autocast_enabledEN3c1010DeviceTypeE"]
    fn is_autocast_enabled(device_type: i8) -> bool;
    #[link_name = "_ZN2at8autocast11clear_cacheEv"]
    fn clear_cache();
}

/// Number format of the forward pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Precision {
    /// bf16 on GPUs that have it, else f32
    Auto,
    /// 32 bits throughout
    F32,
    /// 16 bits where it does no harm
    Bf16,
}

const BFLOAT16: i8 = 15;

/// Whether the forward pass is to run in bf16 on this device.
pub fn is_bf16(precision: Precision, device: Device) -> bool {
    match precision {
        Precision::F32 => false,
        Precision::Bf16 => device != Device::Mps,
        // Every GPU that the CUDA 13 of this libtorch knows has bf16 (compute capability 7.5 emulates it).
        Precision::Auto => device.is_cuda(),
    }
}

fn device_type(device: Device) -> i8 {
    if device.is_cuda() { 1 } else { 0 }
}

/// Runs `work`, its multiplications in bf16 if asked. What needs 32 bits in it says so with [`in_32_bits`].
pub fn with_precision<T>(bf16: bool, device: Device, work: impl FnOnce() -> T) -> T {
    if !bf16 {
        return work();
    }
    let device_type = device_type(device);
    // SAFETY: these set thread-local switches of libtorch, and the arguments are values of its enums.
    unsafe {
        set_autocast_dtype(device_type, BFLOAT16);
        set_autocast_enabled(device_type, true);
    }
    let result = work();
    // SAFETY: as above; the cache holds copies of weights that the next step will have changed.
    unsafe {
        set_autocast_enabled(device_type, false);
        clear_cache();
    }
    result
}

/// Runs `work` in 32 bits, also within [`with_precision`].
pub fn in_32_bits<T>(device: Device, work: impl FnOnce() -> T) -> T {
    let device_type = device_type(device);
    // SAFETY: a thread-local switch of libtorch is read, and its argument is a value of its enum.
    if !unsafe { is_autocast_enabled(device_type) } {
        return work();
    }
    // SAFETY: the switch is set as above.
    unsafe { set_autocast_enabled(device_type, false) };
    let result = work();
    // SAFETY: as above.
    unsafe { set_autocast_enabled(device_type, true) };
    result
}

/// A tensor in f32 on the CPU.
pub fn to_cpu(tensor: &Tensor) -> Tensor {
    tensor.to_device(Device::Cpu).to_kind(Kind::Float).contiguous()
}
