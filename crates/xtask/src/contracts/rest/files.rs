//! Descriptions as they lie in a folder: JSON, YAML, or Markdown; plain, packed with gzip, or in a tar archive.

use anyhow::{Context as _, Result};
use serde_json::Value;
use std::{
    fs,
    io::Read as _,
    path::{Path, PathBuf},
};

/// Largest description that is read, unpacked.
const LARGEST: u64 = 512 << 20;
const BLOCK: usize = 512;

/// One description, read.
pub struct Document {
    /// Name of the file, with that of the member where it lay in an archive.
    pub name: String,
    pub content: Content,
}

pub enum Content {
    Data(Value),
    /// Markdown files of one archive, with their names.
    Pages(Vec<(String, String)>),
}

/// All that can be read, by name. What is of another kind (types of a program, raw examples) is passed over.
pub fn read(folder: &Path, skip: &[String]) -> Result<Vec<Document>> {
    let mut paths: Vec<PathBuf> = match fs::read_dir(folder) {
        Ok(items) => items.filter_map(|it| Some(it.ok()?.path())).filter(|it| it.is_file()).collect(),
        Err(_) => return Ok(Vec::new()),
    };
    paths.sort();
    let mut found = Vec::new();
    for path in paths {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if !skip.contains(&name) {
            found.extend(one(&path, &name)?);
        }
    }
    Ok(found)
}

fn one(path: &Path, name: &str) -> Result<Option<Document>> {
    let bare = name.trim_end_matches(".gz");
    let kind = bare.rsplit('.').next().unwrap_or_default();
    if !matches!(kind, "json" | "yaml" | "yml" | "tar") {
        return Ok(None);
    }
    let bytes = bytes(path, name != bare)?;
    let content = match kind {
        "json" => Content::Data(serde_json::from_slice(&bytes).with_context(|| format!("{} is no JSON", path.display()))?),
        "tar" => Content::Pages(pages(&bytes)),
        _ => {
            let text = String::from_utf8(bytes).with_context(|| format!("{} is no text", path.display()))?;
            Content::Data(serde_saphyr::from_str(&text).with_context(|| format!("{} is no YAML", path.display()))?)
        }
    };
    Ok(Some(Document { name: name.to_owned(), content }))
}

fn bytes(path: &Path, packed: bool) -> Result<Vec<u8>> {
    let file = fs::File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut bytes = Vec::new();
    let read = if packed {
        flate2::read::GzDecoder::new(file).take(LARGEST).read_to_end(&mut bytes)
    } else {
        file.take(LARGEST).read_to_end(&mut bytes)
    };
    read.with_context(|| format!("cannot read {}", path.display()))?;
    Ok(bytes)
}

/// Markdown members of a tar archive: a block with name and size, then the content in whole blocks.
fn pages(archive: &[u8]) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(header) = archive.get(at..at + BLOCK).filter(|it| it[0] != 0) {
        let text = |from: usize, length: usize| {
            let field = &header[from..from + length];
            String::from_utf8_lossy(field.split(|it| *it == 0).next().unwrap_or_default()).trim().to_owned()
        };
        let Ok(size) = usize::from_str_radix(&text(124, 12), 8) else { break };
        let name = text(0, 100);
        let content = archive.get(at + BLOCK..at + BLOCK + size).unwrap_or_default();
        if name.ends_with(".md") {
            found.push((name, String::from_utf8_lossy(content).into_owned()));
        }
        at += BLOCK + size.div_ceil(BLOCK) * BLOCK;
    }
    found
}
