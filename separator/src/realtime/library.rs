//! Keeps this library in memory, since a thread of ours may outlive the last instance.

use std::sync::Once;

static PIN: Once = Once::new();

/// From now on the host cannot unload the library that this code is in (a plugin, or the program itself). Threads
/// that open a model or compute a long job are not waited for.
pub(crate) fn pin() {
    PIN.call_once(pin_now);
}

#[cfg(unix)]
fn pin_now() {
    use std::mem::MaybeUninit;

    let mut info = MaybeUninit::<libc::Dl_info>::zeroed();
    let address_in_here = pin as fn() as *const std::ffi::c_void;
    // SAFETY: `info` is writable and as large as `dladdr` expects; any address may be asked for.
    let is_found = unsafe { libc::dladdr(address_in_here, info.as_mut_ptr()) } != 0;
    // SAFETY: all-zero bytes are a valid `Dl_info`, and that is what it is if `dladdr` did not fill it in.
    let info = unsafe { info.assume_init() };
    if is_found && !info.dli_fname.is_null() {
        // SAFETY: the name is a C string that lives as long as the library does. The handle is never closed: that, and
        // RTLD_NODELETE, is what pins it.
        unsafe { libc::dlopen(info.dli_fname, libc::RTLD_NOW | libc::RTLD_NOLOAD | libc::RTLD_NODELETE) };
    }
}

#[cfg(windows)]
fn pin_now() {
    use std::{ffi::c_void, ptr};

    const PIN: u32 = 1;
    const FROM_ADDRESS: u32 = 4;
    #[link(name = "kernel32")]
    unsafe extern "system" {
        fn GetModuleHandleExW(flags: u32, name_or_address: *const c_void, module: *mut *mut c_void) -> i32;
    }
    let address_in_here = pin as fn() as *const c_void;
    let mut module = ptr::null_mut();
    // SAFETY: `module` is writable; with FROM_ADDRESS the name is an address.
    unsafe { GetModuleHandleExW(PIN | FROM_ADDRESS, address_in_here, &mut module) };
}

#[cfg(not(any(unix, windows)))]
fn pin_now() {}
