//! The licences of every crate that goes into the programs, as one text.

use crate::process::cargo;
use crate::workspace;
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// Packages whose programs and libraries are shipped.
const SHIPPED: [&str; 3] = ["plugin", "cli", "player"];

/// Terms that allow what we do: sources need not be given away, and nothing else is asked for but the text.
const ALLOWED: [&str; 19] = [
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MIT-0",
    "MPL-2.0",
    "NCSA",
    "OFL-1.1",
    "Ubuntu-font-1.0",
    "Unicode-3.0",
    "Unlicense",
    "WTFPL",
    "Zlib",
];

/// A crate that is shipped.
struct Dependency {
    name: String,
    version: String,
    licence: String,
    authors: Vec<String>,
    address: String,
    /// Texts that lie in it.
    texts: Vec<String>,
}

/// Names, versions, licences and authors of all crates that are linked on this system, and the texts that lie in them, each
/// text once.
pub fn text() -> Result<String> {
    let dependencies = dependencies()?;
    let refused: Vec<String> = dependencies
        .iter()
        .filter(|dependency| !is_allowed(&dependency.licence))
        .map(|dependency| format!("{} {}: {}", dependency.name, dependency.version, dependency.licence))
        .collect();
    if !refused.is_empty() {
        bail!("these crates are under terms that xtask/src/licences.rs does not know:\n  {}", refused.join("\n  "));
    }
    Ok(write(&dependencies))
}

fn dependencies() -> Result<Vec<Dependency>> {
    let host = host_triple()?;
    let output = cargo()
        .args(["metadata", "--format-version", "1", "--locked", "--filter-platform", &host])
        .current_dir(workspace::root())
        .output()
        .context("could not start cargo metadata")?;
    if !output.status.success() {
        bail!("cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    }
    let metadata: Value = serde_json::from_slice(&output.stdout).context("cargo metadata gave no JSON")?;
    let packages: BTreeMap<&str, &Value> =
        list(&metadata["packages"]).iter().filter_map(|package| Some((package["id"].as_str()?, package))).collect();
    let nodes: BTreeMap<&str, &Value> =
        list(&metadata["resolve"]["nodes"]).iter().filter_map(|node| Some((node["id"].as_str()?, node))).collect();
    let is_shipped = |id: &&str| packages[id]["name"].as_str().is_some_and(|name| SHIPPED.contains(&name));
    let members = list(&metadata["workspace_members"]).iter().filter_map(Value::as_str);
    let mut waiting: Vec<&str> = members.filter(is_shipped).collect();
    let mut seen: BTreeSet<&str> = BTreeSet::new();
    while let Some(id) = waiting.pop() {
        if seen.insert(id) {
            let is_linked = |dep: &&Value| list(&dep["dep_kinds"]).iter().any(|kind| kind["kind"].is_null());
            let linked = list(&nodes[id]["deps"]).iter().filter(is_linked);
            // Macros run while it is built, and are not in it.
            waiting.extend(linked.filter_map(|dep| dep["pkg"].as_str()).filter(|id| !is_macro(packages[id])));
        }
    }
    let mut dependencies: Vec<Dependency> =
        seen.into_iter().filter(|id| packages[id]["source"].is_string()).map(|id| read(packages[id])).collect();
    dependencies.sort_by(|a, b| (&a.name, &a.version).cmp(&(&b.name, &b.version)));
    Ok(dependencies)
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn is_macro(package: &Value) -> bool {
    list(&package["targets"]).iter().any(|target| list(&target["kind"]).iter().any(|kind| kind == "proc-macro"))
}

fn host_triple() -> Result<String> {
    let output = std::process::Command::new("rustc").arg("-vV").output().context("could not start rustc")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).context("rustc -vV names no host")
}

fn read(package: &Value) -> Dependency {
    let field = |name: &str| package[name].as_str().unwrap_or_default().to_owned();
    let manifest = field("manifest_path");
    let mut texts = Vec::new();
    if let Some(entries) = Path::new(&manifest).parent().and_then(|dir| fs::read_dir(dir).ok()) {
        let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).filter(|path| is_licence(path)).collect();
        paths.sort();
        texts.extend(paths.into_iter().filter_map(|path| fs::read_to_string(path).ok()));
    }
    Dependency {
        name: field("name"),
        version: field("version"),
        licence: field("license"),
        authors: list(&package["authors"]).iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        address: field("repository"),
        texts,
    }
}

fn is_licence(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    let is_named = ["licen", "copying", "copyright", "notice", "unlicense"].iter().any(|start| name.starts_with(start));
    is_named && path.is_file()
}

/// Whether an SPDX expression can be met by terms of [`ALLOWED`].
fn is_allowed(expression: &str) -> bool {
    // Old manifests write a slash for OR.
    let expression = expression.replace('/', " OR ").replace(['(', ')'], " ");
    let expression = expression.split_whitespace().collect::<Vec<_>>().join(" ");
    // AND binds closer in what crates write, but for (A OR B) AND C, which is stricter than this reading: C must then be
    // allowed with each.
    let is_term = |term: &str| ALLOWED.contains(&term.trim());
    !expression.is_empty()
        && expression.split(" OR ").any(|all| all.split(" AND ").all(is_term))
        && expression.split(" AND ").all(|any| any.split(" OR ").any(is_term))
}

fn write(dependencies: &[Dependency]) -> String {
    let mut text = String::from(
        "Unbraid is built from these crates, among others' work that THIRD-PARTY-NOTICES.md names. Under each stand its\n\
         terms and the numbers of the texts below that lie in it; where none does, the text of its terms stands below\n\
         with another crate.\n\n",
    );
    let mut numbers: BTreeMap<String, usize> = BTreeMap::new();
    let mut texts = Vec::new();
    for dependency in dependencies {
        let Dependency { name, version, licence, authors, address, .. } = dependency;
        text += &format!("{name} {version} ({licence})\n");
        if !authors.is_empty() {
            text += &format!("    {}\n", authors.join(", "));
        }
        if !address.is_empty() {
            text += &format!("    {address}\n");
        }
        let mut used = Vec::new();
        for licence in &dependency.texts {
            // Line ends and spaces do not make another text.
            let key = licence.split_whitespace().collect::<Vec<_>>().join(" ");
            let number = *numbers.entry(key).or_insert_with(|| {
                texts.push(licence.trim_end());
                texts.len()
            });
            used.push(number.to_string());
        }
        if !used.is_empty() {
            text += &format!("    texts: {}\n", used.join(", "));
        }
    }
    for (idx, licence) in texts.iter().enumerate() {
        text += &format!("\n---- text {} ----\n\n{}\n", idx + 1, licence.replace("\r\n", "\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terms_are_read_as_written() {
        for allowed in [
            "MIT",
            "MIT OR Apache-2.0",
            "MIT/Apache-2.0",
            "GPL-3.0 OR MIT",
            "(MIT OR Apache-2.0) AND Unicode-3.0",
            "Apache-2.0 WITH LLVM-exception OR Apache-2.0 OR MIT",
        ] {
            assert!(is_allowed(allowed), "{allowed}");
        }
        for refused in ["", "GPL-3.0-only", "MIT AND GPL-2.0", "AGPL-3.0 OR GPL-3.0", "(MIT OR Zlib) AND GPL-3.0"] {
            assert!(!is_allowed(refused), "{refused}");
        }
    }

    #[test]
    fn every_crate_that_is_shipped_is_named_with_a_text() {
        let text = text().unwrap();
        for name in ["egui ", "ort ", "symphonia ", "cpal ", "rtrb "] {
            assert!(text.lines().any(|line| line.starts_with(name)), "{name}");
        }
        // What only tests, macros and build scripts use is not in it, nor are our own crates.
        for name in ["clack-host ", "serde_derive ", "cc ", "separator "] {
            assert!(!text.lines().any(|line| line.starts_with(name)), "{name}");
        }
        assert!(text.contains("---- text 1 ----") && text.contains("Permission is hereby granted"));
    }
}
