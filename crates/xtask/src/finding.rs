//! One thing that is not as it should be: where, what, and what to do.

use std::fmt;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// Relative to the root of the repository.
    pub file: String,
    /// Counted from 1.
    pub line: usize,
    pub problem: String,
    pub remedy: String,
}

impl Finding {
    pub fn new(file: impl Into<String>, line: usize, problem: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { file: file.into(), line, problem: problem.into(), remedy: remedy.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}\n    hint: {}", self.file, self.line, self.problem, self.remedy)
    }
}
