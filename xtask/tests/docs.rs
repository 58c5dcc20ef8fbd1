//! The documentation holds together: links lead somewhere, and the book has every page.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}

fn pages() -> Vec<PathBuf> {
    let mut pages = Vec::new();
    let mut dirs = vec![root()];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(&dir).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            let is_ours = !name.starts_with('.') && !["target", "vendor", "runs", "work"].contains(&name.as_str());
            if path.is_dir() && is_ours {
                dirs.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                pages.push(path);
            }
        }
    }
    pages
}

/// Text without code, in which brackets are no links.
fn prose(page: &Path) -> String {
    let mut is_code = false;
    let text = fs::read_to_string(page).unwrap();
    let lines = text.lines().filter(|line| {
        let is_fence = line.trim_start().starts_with("```");
        is_code ^= is_fence;
        !is_code && !is_fence
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn links(text: &str) -> Vec<String> {
    text.split("](").skip(1).filter_map(|rest| Some(rest.split_once(')')?.0.to_owned())).collect()
}

/// As GitHub and mdBook make them of headings.
fn anchors(page: &Path) -> HashSet<String> {
    let headings = prose(page).lines().filter(|line| line.starts_with('#')).map(str::to_lowercase).collect::<Vec<_>>();
    let anchor = |heading: &String| {
        let text = heading.trim_start_matches('#').trim();
        let kept = text.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect()
    };
    headings.iter().map(anchor).collect()
}

#[test]
fn links_lead_somewhere() {
    let mut broken = Vec::new();
    let mut num_links = 0;
    for page in pages() {
        for link in links(&prose(&page)) {
            if link.contains("://") || link.starts_with("mailto:") {
                continue;
            }
            num_links += 1;
            let (path, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let target = if path.is_empty() { page.clone() } else { page.parent().unwrap().join(path) };
            let is_there = target.exists() && (anchor.is_empty() || anchors(&target).contains(anchor));
            // Some checkouts have no shared data beside them.
            if !is_there && !path.contains("../shared") {
                broken.push(format!("{}: {link}", page.display()));
            }
        }
    }
    assert!(num_links > 30, "only {num_links} links found");
    assert!(broken.is_empty(), "broken links:\n{}", broken.join("\n"));
}

/// mdBook has nothing outside of `docs/`: a link to there would be dead in the book.
#[test]
fn pages_of_the_book_link_to_each_other_only() {
    for entry in fs::read_dir(root().join("docs")).unwrap() {
        let page = entry.unwrap().path();
        if page.extension().is_some_and(|extension| extension == "md") {
            let outside: Vec<String> = links(&prose(&page)).into_iter().filter(|link| link.contains("../")).collect();
            assert!(outside.is_empty(), "{}: {outside:?}", page.display());
        }
    }
}

#[test]
fn the_book_has_every_page() {
    let docs = root().join("docs");
    let listed = links(&fs::read_to_string(docs.join("SUMMARY.md")).unwrap());
    for entry in fs::read_dir(&docs).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if name.ends_with(".md") && name != "SUMMARY.md" {
            assert!(listed.contains(&name), "docs/SUMMARY.md does not list {name}");
        }
    }
}
