//! The folders that hosts and the plugin expect, from stand-ins for what was built.

use bundler::{BundleError, Bundles, Platform, PluginFolders, bundle_for, install};
use models::{ModelError, sha256_file};
use std::{
    fs,
    path::{Path, PathBuf},
};
use tempfile::TempDir;

const LINUX: Platform = Platform::Linux("x86_64");
const LICENCES: [&str; 7] = [
    "DEPENDENCIES.txt",
    "LICENSE",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "THIRD-PARTY-NOTICES.md",
    "onnxruntime-LICENSE",
    "onnxruntime-ThirdPartyNotices.txt",
];

/// A temporary folder with everything that the bundler reads.
struct Ingredients {
    dir: TempDir,
}

impl Ingredients {
    fn new() -> Self {
        let ingredients = Ingredients { dir: tempfile::tempdir().unwrap() };
        for (file, text) in [
            ("release/libunbraid_plugin.so", "plugin for Linux"),
            ("release/libunbraid_plugin.dylib", "plugin for macOS"),
            ("release/unbraid_plugin.dll", "plugin for Windows"),
            ("release/unbraid", "program"),
            ("release/unbraid.exe", "program for Windows"),
            ("release/unbraid-play", "player"),
            ("release/unbraid-standalone", "standalone"),
            ("release/unbraid-play.exe", "player for Windows"),
            ("release/unbraid-standalone.exe", "standalone for Windows"),
            ("onnxruntime/libonnxruntime.so.1.28.0", "ONNX Runtime"),
            ("onnxruntime/LICENSE", "of ONNX Runtime"),
            ("onnxruntime/ThirdPartyNotices.txt", "of ONNX Runtime, too"),
            ("models/src/lib.rs", "not a model"),
            ("models/Cargo.toml", "not a model either"),
            // The smallest graphs: field 7 of a model, with nothing in it, and with a name (field 2).
            ("models/first/model.onnx", ":\0"),
            ("models/first/CARD.md", "a card"),
            ("models/first/training.log", "not for users"),
            ("models/plain/model.onnx", ":\x07\x12\x05plain"),
        ] {
            let path = ingredients.path(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        for name in ["first", "plain"] {
            let (sha256, _) = sha256_file(&ingredients.path(&format!("models/{name}/model.onnx"))).unwrap();
            let manifest = MANIFEST.replace("NAME", name).replace("HASH", &sha256);
            fs::write(ingredients.path(&format!("models/{name}/manifest.toml")), manifest).unwrap();
        }
        ingredients
    }

    fn path(&self, path: &str) -> PathBuf {
        self.dir.path().join(path)
    }

    fn bundle(&self, platform: Platform) -> Result<Bundles, BundleError> {
        let library = self.path("onnxruntime/libonnxruntime.so.1.28.0");
        bundle_for(platform, &self.path("release"), &library, &self.path("models"), "licences", &self.path("out"))
    }

    /// All files below `out/`, sorted, without the licences; `resources` are the folders that must have those.
    fn files(&self, resources: &[&str]) -> Vec<String> {
        let out = self.path("out");
        let mut files = Vec::new();
        collect(&out, &out, &mut files);
        for folder in resources {
            for licence in LICENCES {
                let file = format!("{folder}/licences/{licence}");
                assert!(files.contains(&file), "{file} is missing");
            }
        }
        files.retain(|file| !file.contains("/licences/"));
        files.sort();
        files
    }
}

fn collect(root: &Path, dir: &Path, files: &mut Vec<String>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(root, &path, files);
        } else {
            files.push(path.strip_prefix(root).unwrap().to_str().unwrap().replace('\\', "/"));
        }
    }
}

/// `files` in `folder`, and the models in `resources`.
fn expected(parts: &[(&str, &[&str], &str)]) -> Vec<String> {
    let models = [
        "models/first/CARD.md",
        "models/first/manifest.toml",
        "models/first/model.onnx",
        "models/plain/manifest.toml",
        "models/plain/model.onnx",
    ];
    let mut all = Vec::new();
    for (folder, files, resources) in parts {
        all.extend(files.iter().map(|file| format!("{folder}/{file}")));
        all.extend(models.iter().map(|file| format!("{resources}/{file}")));
    }
    all.sort();
    all
}

#[test]
fn linux() {
    let ingredients = Ingredients::new();
    let bundles = ingredients.bundle(LINUX).unwrap();
    let resources = "vst3/Unbraid.vst3/Contents/Resources";
    let files = ingredients.files(&["clap/Unbraid", resources, "cli"]);
    let library = "libunbraid_onnxruntime.so";
    let expected = expected(&[
        ("clap/Unbraid", &["Unbraid.clap", library], "clap/Unbraid"),
        ("vst3/Unbraid.vst3/Contents", &["x86_64-linux/Unbraid.so", "Resources/libunbraid_onnxruntime.so"], resources),
        ("cli", &["unbraid", "unbraid-play", "unbraid-standalone", library], "cli"),
    ]);
    assert_eq!(files, expected);
    assert_eq!(fs::read_to_string(&bundles.clap).unwrap(), "plugin for Linux");
    assert_eq!(fs::read_to_string(bundles.vst3.join("Contents/x86_64-linux/Unbraid.so")).unwrap(), "plugin for Linux");
    assert_eq!(fs::read_to_string(&bundles.cli).unwrap(), "program");
    assert_eq!(fs::read_to_string(ingredients.path("out/cli").join(library)).unwrap(), "ONNX Runtime");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        for program in [&bundles.clap, &bundles.cli] {
            assert_eq!(fs::metadata(program).unwrap().permissions().mode() & 0o777, 0o755);
        }
    }
}

#[test]
fn macos() {
    let ingredients = Ingredients::new();
    let bundles = ingredients.bundle(Platform::MacOs).unwrap();
    assert_eq!(bundles.clap, ingredients.path("out/clap/Unbraid.clap"));
    let (clap, vst3) = ("clap/Unbraid.clap/Contents", "vst3/Unbraid.vst3/Contents");
    let (clap_resources, vst3_resources) = (format!("{clap}/Resources"), format!("{vst3}/Resources"));
    let bundle_files = ["Info.plist", "PkgInfo", "MacOS/Unbraid", "Resources/libunbraid_onnxruntime.dylib"];
    assert_eq!(
        ingredients.files(&[&clap_resources, &vst3_resources, "cli"]),
        expected(&[
            (clap, &bundle_files, &clap_resources),
            (vst3, &bundle_files, &vst3_resources),
            ("cli", &["unbraid", "unbraid-play", "unbraid-standalone", "libunbraid_onnxruntime.dylib"], "cli"),
        ])
    );
}

#[test]
fn windows() {
    let ingredients = Ingredients::new();
    ingredients.bundle(Platform::Windows("x86_64")).unwrap();
    let (vst3, resources) = ("vst3/Unbraid.vst3/Contents", "vst3/Unbraid.vst3/Contents/Resources");
    let library = "unbraid_onnxruntime.dll";
    assert_eq!(
        ingredients.files(&["clap/Unbraid", resources, "cli"]),
        expected(&[
            ("clap/Unbraid", &["Unbraid.clap", library], "clap/Unbraid"),
            (vst3, &["x86_64-win/Unbraid.vst3", "Resources/unbraid_onnxruntime.dll"], resources),
            ("cli", &["unbraid.exe", "unbraid-play.exe", "unbraid-standalone.exe", library], "cli"),
        ])
    );
}

#[test]
fn what_was_there_is_replaced_and_its_neighbours_stay() {
    let ingredients = Ingredients::new();
    for file in ["out/cli/stale", "out/cli.part/half", "out/cli.old/older", "out/mine.txt"] {
        fs::create_dir_all(ingredients.path(file).parent().unwrap()).unwrap();
        fs::write(ingredients.path(file), "").unwrap();
    }
    ingredients.bundle(LINUX).unwrap();
    ingredients.bundle(LINUX).unwrap();
    assert!(!ingredients.path("out/cli/stale").exists());
    assert!(!ingredients.path("out/cli.part").exists() && !ingredients.path("out/cli.old").exists());
    assert!(ingredients.path("out/mine.txt").exists() && ingredients.path("out/cli/unbraid").exists());
}

#[test]
fn what_is_missing_is_named_and_what_was_there_stays() {
    let ingredients = Ingredients::new();
    ingredients.bundle(LINUX).unwrap();
    for (missing, advice) in [
        ("release/libunbraid_plugin.so", "cargo build --release -p plugin"),
        ("release/unbraid", "cargo build --release -p cli"),
        ("release/unbraid-play", "cargo build --release -p player"),
        ("onnxruntime/libonnxruntime.so.1.28.0", "cargo xtask setup"),
    ] {
        let (path, away) = (ingredients.path(missing), ingredients.path("away"));
        fs::rename(&path, &away).unwrap();
        let message = ingredients.bundle(LINUX).unwrap_err().to_string();
        assert!(message.contains(path.to_str().unwrap()) && message.contains(advice), "{message}");
        fs::rename(&away, &path).unwrap();
    }
    assert!(ingredients.path("out/clap/Unbraid/Unbraid.clap").exists());
}

#[test]
fn a_damaged_model_is_not_shipped() {
    let ingredients = Ingredients::new();
    fs::write(ingredients.path("models/first/model.onnx"), "half a gra").unwrap();
    match ingredients.bundle(LINUX) {
        Err(BundleError::Model(ModelError::Checksum { path, .. })) => {
            assert_eq!(path, ingredients.path("models/first/model.onnx"));
        }
        other => panic!("{other:?}"),
    }
    assert!(!ingredients.path("out").exists());
}

#[test]
fn without_a_model_there_is_no_bundle() {
    let ingredients = Ingredients::new();
    for name in ["first", "plain"] {
        fs::remove_dir_all(ingredients.path("models").join(name)).unwrap();
    }
    assert!(matches!(ingredients.bundle(LINUX), Err(BundleError::NoModel { .. })));
    fs::remove_dir_all(ingredients.path("models")).unwrap();
    assert!(matches!(ingredients.bundle(LINUX), Err(BundleError::File { .. })));
}

const MANIFEST: &str = r#"
format = 2
name = "NAME"
licence = "CC0-1.0"
stems = ["vocals", "drums", "bass", "other"]
sample_rate_hz = 44100
hop_len = 1008
look_ahead_slices = 0
[transform]
design = "mel-32"
slice_len = 2016
transition_len = 504
num_coefs = 2156
[graph]
file = "model.onnx"
sha256 = "HASH"
[input]
name = "magnitudes"
channels = ["left", "right"]
shape = [2, 2156]
[output]
name = "masks"
shape = [4, 2, 2156]
[training]
"#;

#[test]
fn plugins_go_where_hosts_look_and_replace_what_was_there() {
    let ingredients = Ingredients::new();
    for platform in [LINUX, Platform::MacOs, Platform::Windows("x86_64")] {
        let home = ingredients.path("home");
        let folders = PluginFolders::of_user(platform, &home, None);
        let expected = match platform {
            Platform::Linux(_) => [".clap", ".vst3"],
            Platform::MacOs => ["Library/Audio/Plug-Ins/CLAP", "Library/Audio/Plug-Ins/VST3"],
            Platform::Windows(_) => ["AppData/Local/Programs/Common/CLAP", "AppData/Local/Programs/Common/VST3"],
        };
        assert_eq!([&folders.clap, &folders.vst3], expected.map(|folder| home.join(folder)).each_ref());
        ingredients.bundle(platform).unwrap();
        let old = folders.vst3.join("Unbraid.vst3/Contents/old");
        fs::create_dir_all(old.parent().unwrap()).unwrap();
        fs::write(&old, "of an older version").unwrap();
        let neighbour = folders.vst3.join("Other.vst3");
        fs::write(&neighbour, "of somebody else").unwrap();
        let [clap, vst3] = install(platform, &ingredients.path("out"), &folders).unwrap();
        let all = |root: &Path| {
            let mut files = Vec::new();
            collect(root, root, &mut files);
            files.sort();
            files
        };
        let clap_name = clap.file_name().unwrap();
        assert_eq!(all(&clap), all(&ingredients.path("out/clap").join(clap_name)));
        assert_eq!(all(&vst3), all(&ingredients.path("out/vst3/Unbraid.vst3")));
        assert!(!old.exists() && neighbour.is_file() && !all(&vst3).is_empty());
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            if platform == LINUX {
                let mode = fs::metadata(clap.join("Unbraid.clap")).unwrap().permissions().mode();
                assert_eq!(mode & 0o111, 0o111);
            }
        }
    }
    let folders = PluginFolders::of_user(Platform::Windows("x86_64"), Path::new("home"), Some(Path::new("local")));
    assert_eq!(folders.clap, Path::new("local/Programs/Common/CLAP"));
}
