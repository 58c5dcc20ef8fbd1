//! The texts that must go wherever the programs go.

/// Name and text of our own licences and notices.
pub(crate) const TEXTS: [(&str, &str); 4] = [
    ("LICENSE", include_str!("../../LICENSE")),
    ("LICENSE-APACHE", include_str!("../../LICENSE-APACHE")),
    ("LICENSE-MIT", include_str!("../../LICENSE-MIT")),
    ("THIRD-PARTY-NOTICES.md", include_str!("../../THIRD-PARTY-NOTICES.md")),
];

/// What Microsoft ships with ONNX Runtime, if it lies beside the library, and what it is called in a bundle.
pub(crate) const RUNTIME_TEXTS: [(&str, &str); 2] =
    [("LICENSE", "onnxruntime-LICENSE"), ("ThirdPartyNotices.txt", "onnxruntime-ThirdPartyNotices.txt")];
