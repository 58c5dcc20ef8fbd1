//! Where the plugin was installed: ONNX Runtime and the models lie beside it.

use std::path::{Path, PathBuf};

/// Folders that may hold the ONNX Runtime library and, in `models/`, the models: the plugin's own folder (CLAP on Linux
/// and Windows), and `Contents/Resources` of its bundle (VST3, and everything on macOS). Links are followed as well,
/// since people link plugins into their plugin folder.
///
/// # Realtime
/// Not safe: allocates, reads folders.
pub fn resource_dirs() -> Vec<PathBuf> {
    own_path().map_or_else(Vec::new, |path| dirs_around(&path))
}

fn dirs_around(library: &Path) -> Vec<PathBuf> {
    let mut dirs = Vec::new();
    for path in [Some(library.to_owned()), library.canonicalize().ok()].into_iter().flatten() {
        let dir = path.parent();
        let contents = dir.and_then(Path::parent).filter(|parent| parent.ends_with("Contents"));
        let resources = contents.map(|contents| contents.join("Resources"));
        for dir in [dir.map(Path::to_owned), resources].into_iter().flatten() {
            // A path and what it links to are usually the same.
            if !dirs.contains(&dir) {
                dirs.push(dir);
            }
        }
    }
    dirs
}

/// The file that this code was loaded from.
#[cfg(unix)]
fn own_path() -> Option<PathBuf> {
    use std::{ffi::CStr, ffi::OsStr, mem::MaybeUninit, os::unix::ffi::OsStrExt};

    let mut info = MaybeUninit::<libc::Dl_info>::zeroed();
    let address_in_here = own_path as fn() -> Option<PathBuf> as *const std::ffi::c_void;
    // SAFETY: `info` is writable and as large as `dladdr` expects; any address may be asked for.
    let is_found = unsafe { libc::dladdr(address_in_here, info.as_mut_ptr()) } != 0;
    // SAFETY: all-zero bytes are a valid `Dl_info`, and that is what it is if `dladdr` did not fill it in.
    let info = unsafe { info.assume_init() };
    if !is_found || info.dli_fname.is_null() {
        return None;
    }
    // SAFETY: a non-null `dli_fname` is a C string that lives as long as the library is loaded; it is copied here.
    let name = unsafe { CStr::from_ptr(info.dli_fname) };
    std::path::absolute(OsStr::from_bytes(name.to_bytes())).ok()
}

/// The file that this code was loaded from.
#[cfg(windows)]
fn own_path() -> Option<PathBuf> {
    use std::{ffi::OsString, ffi::c_void, os::windows::ffi::OsStringExt, ptr};

    const FROM_ADDRESS: u32 = 4;
    const UNCHANGED_REFCOUNT: u32 = 2;
    #[link(name = "kernel32")]
    unsafe extern "system" {
        fn GetModuleHandleExW(flags: u32, name_or_address: *const c_void, module: *mut *mut c_void) -> i32;
        fn GetModuleFileNameW(module: *mut c_void, name: *mut u16, capacity: u32) -> u32;
    }

    let address_in_here = own_path as fn() -> Option<PathBuf> as *const c_void;
    let mut module = ptr::null_mut();
    // The longest path that Windows knows.
    let mut name = vec![0_u16; 32_768];
    // SAFETY: `module` is writable; with these flags the name is an address and no reference is counted.
    let is_found = unsafe { GetModuleHandleExW(FROM_ADDRESS | UNCHANGED_REFCOUNT, address_in_here, &mut module) } != 0;
    if !is_found {
        return None;
    }
    // SAFETY: `module` is a loaded module (this one), `name` is writable up to its length.
    let len = unsafe { GetModuleFileNameW(module, name.as_mut_ptr(), name.len() as u32) } as usize;
    (len > 0).then(|| OsString::from_wide(&name[..len]).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_itself() {
        let program = std::env::current_exe().unwrap().canonicalize().unwrap();
        assert_eq!(own_path().unwrap().canonicalize().unwrap(), program);
    }

    #[test]
    fn looks_beside_the_library_and_into_the_bundle() {
        let dirs = dirs_around(Path::new("/p/Unbraid.vst3/Contents/x86_64-linux/Unbraid.so"));
        assert_eq!(
            dirs,
            ["/p/Unbraid.vst3/Contents/x86_64-linux", "/p/Unbraid.vst3/Contents/Resources"].map(PathBuf::from)
        );
    }

    #[test]
    fn looks_nowhere_else_around_a_single_file() {
        assert_eq!(dirs_around(Path::new("/p/Unbraid/Unbraid.clap")), [PathBuf::from("/p/Unbraid")]);
    }

    #[cfg(unix)]
    #[test]
    fn follows_links() {
        let dir = tempfile::tempdir().unwrap();
        let real = dir.path().canonicalize().unwrap().join("real");
        let linked = dir.path().join("clap");
        std::fs::create_dir(&real).unwrap();
        std::fs::create_dir(&linked).unwrap();
        std::fs::write(real.join("Unbraid.clap"), "").unwrap();
        std::os::unix::fs::symlink(real.join("Unbraid.clap"), linked.join("Unbraid.clap")).unwrap();
        let dirs = dirs_around(&linked.join("Unbraid.clap"));
        assert!(dirs.contains(&linked) && dirs.contains(&real), "{dirs:?}");
    }
}
