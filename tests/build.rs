//! Lets `tests/realtime_safety` define allocation and locks for the plugin's library too.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "linux") {
        println!("cargo::rustc-link-arg-tests=-rdynamic");
    }
}
