//! The text files of the repository, read once, so that every check is a function over text.

use anyhow::{Context as _, Result};
use std::{fs, path::Path};

/// Folders that are no part of the sources: what is built, what git keeps, what a local Spindel wrote.
const SKIPPED: [&str; 3] = [".git", "data", "target"];

#[derive(Clone, Debug)]
pub struct SourceFile {
    /// Relative to the root, with `/`.
    pub path: String,
    pub text: String,
}

#[derive(Clone, Debug, Default)]
pub struct Tree {
    /// Sorted by path.
    pub files: Vec<SourceFile>,
}

impl Tree {
    pub fn read(root: &Path) -> Result<Self> {
        let mut tree = Self::default();
        tree.read_folder(root, "")?;
        tree.files.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(tree)
    }

    fn read_folder(&mut self, root: &Path, folder: &str) -> Result<()> {
        let here = root.join(folder);
        for item in fs::read_dir(&here).with_context(|| format!("cannot list {}", here.display()))? {
            let item = item?;
            let name = item.file_name().to_string_lossy().into_owned();
            if SKIPPED.contains(&name.as_str()) {
                continue;
            }
            let path = if folder.is_empty() { name } else { format!("{folder}/{name}") };
            let kind = item.file_type()?;
            if kind.is_dir() {
                self.read_folder(root, &path)?;
            } else if kind.is_file() {
                // Not text, or gone since the folder was listed: nothing that a check reads.
                if let Ok(text) = fs::read_to_string(item.path()) {
                    self.files.push(SourceFile { path, text });
                }
            }
        }
        Ok(())
    }

    pub fn file(&self, path: &str) -> Option<&SourceFile> {
        self.files.iter().find(|file| file.path == path)
    }

    pub fn has_folder(&self, path: &str) -> bool {
        self.under(path).next().is_some()
    }

    pub fn under<'a>(&'a self, folder: &str) -> impl Iterator<Item = &'a SourceFile> + use<'a> {
        let prefix = format!("{folder}/");
        self.files.iter().filter(move |file| file.path.starts_with(&prefix))
    }

    #[cfg(test)]
    pub fn of(files: &[(&str, &str)]) -> Self {
        let mut files: Vec<_> =
            files.iter().map(|(path, text)| SourceFile { path: (*path).to_owned(), text: (*text).to_owned() }).collect();
        files.sort_by(|a, b| a.path.cmp(&b.path));
        Self { files }
    }
}

impl SourceFile {
    /// The first line for which `is` holds, counted from 1; 1 when there is none.
    pub fn line_where(&self, is: impl Fn(&str) -> bool) -> usize {
        self.text.lines().position(is).map_or(1, |index| index + 1)
    }

    pub fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }
}
