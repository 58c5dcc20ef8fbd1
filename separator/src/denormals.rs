//! Denormal numbers are treated as zero while the network and the transforms run: on some processors they are a
//! hundred times slower, and music fades out through them.

use std::marker::PhantomData;

/// While it lives, denormals are zero on this thread; afterwards they are what they were.
pub struct DenormalsAreZero {
    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
    previous: arch::Control,
    /// The setting belongs to the thread.
    not_send: PhantomData<*const ()>,
}

#[cfg(target_arch = "x86_64")]
mod arch {
    use std::arch::asm;

    pub type Control = u32;
    /// MXCSR: flush to zero (bit 15), denormals are zero (bit 6).
    pub const DENORMALS_ARE_ZERO: Control = 1 << 15 | 1 << 6;

    pub fn read() -> Control {
        let mut control: Control = 0;
        // SAFETY: stores the 32 bits of MXCSR in a local variable.
        unsafe { asm!("stmxcsr [{}]", in(reg) &mut control, options(nostack, preserves_flags)) };
        control
    }

    pub fn write(control: Control) {
        // SAFETY: `control` comes from `read`, with at most the two documented bits changed; no exception is unmasked.
        unsafe { asm!("ldmxcsr [{}]", in(reg) &control, options(nostack, preserves_flags, readonly)) };
    }
}

#[cfg(target_arch = "aarch64")]
mod arch {
    use std::arch::asm;

    pub type Control = u64;
    /// FPCR: flush to zero (bit 24).
    pub const DENORMALS_ARE_ZERO: Control = 1 << 24;

    pub fn read() -> Control {
        let control: Control;
        // SAFETY: reads a register.
        unsafe { asm!("mrs {}, fpcr", out(reg) control, options(nomem, nostack, preserves_flags)) };
        control
    }

    pub fn write(control: Control) {
        // SAFETY: `control` comes from `read`, with at most the documented bit changed.
        unsafe { asm!("msr fpcr, {}", in(reg) control, options(nomem, nostack, preserves_flags)) };
    }
}

impl DenormalsAreZero {
    /// Denormals are zero from now on.
    ///
    /// # Realtime
    /// Safe: two instructions.
    #[allow(clippy::new_without_default)] // a guard that comes out of `default()` is easily dropped at once
    pub fn new() -> Self {
        #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
        {
            let previous = arch::read();
            arch::write(previous | arch::DENORMALS_ARE_ZERO);
            DenormalsAreZero { previous, not_send: PhantomData }
        }
        #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
        DenormalsAreZero { not_send: PhantomData }
    }
}

impl Drop for DenormalsAreZero {
    fn drop(&mut self) {
        #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
        arch::write(self.previous);
        let _ = self.not_send;
    }
}

#[cfg(all(test, any(target_arch = "x86_64", target_arch = "aarch64")))]
mod tests {
    use super::*;
    use std::hint::black_box;

    #[test]
    fn denormals_are_zero_while_it_lives() {
        let halve = || black_box(f32::MIN_POSITIVE) * black_box(0.5);
        assert!(halve() > 0.0);
        let guard = DenormalsAreZero::new();
        assert_eq!(halve(), 0.0);
        drop(guard);
        assert!(halve() > 0.0);
    }
}
