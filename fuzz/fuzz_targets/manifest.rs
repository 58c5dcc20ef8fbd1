//! Reading and validating a manifest: `cargo +nightly fuzz run manifest`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = dir.path().join(models::MANIFEST_FILE);
    std::fs::write(&path, bytes).expect("a file");
    if let Ok(manifest) = models::Manifest::read(&path) {
        let _ = manifest.validate(dir.path());
    }
});
