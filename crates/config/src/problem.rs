//! What is wrong with a config file: all of it at once, each with its line, what was expected and what to do.

use crate::document::{Document, Span};
use miette::{
    GraphicalReportHandler, GraphicalTheme, LabeledSpan, MietteDiagnostic, MietteError, MietteSpanContents, Severity, SourceCode,
    SourceSpan, SpanContents,
};
use serde::{Serialize, Serializer};
use std::{fmt, sync::Arc};

/// One thing that is wrong, or that somebody should look at.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Problem {
    pub level: Level,
    /// Stable, for programs: `unknown_key`, `missing_key`, `wrong_type` …
    pub code: &'static str,
    /// Place in the file as keys: `flows.orders.to`. Empty for the whole file.
    pub path: String,
    /// Both counted from 1.
    pub line: usize,
    pub column: usize,
    /// Bytes of the file.
    pub span: Span,
    /// What is wrong and what was expected; never the value of a secret.
    pub message: String,
    /// All that would be valid here, where that is a list.
    pub choices: Vec<String>,
    /// The choice that was probably meant.
    pub nearest: Option<String>,
    /// What to do.
    pub hint: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    Error,
    Warning,
}

/// The problems of one file, in the order of the file. Displays each with the line it is about.
#[derive(Clone)]
pub struct Problems {
    pub list: Vec<Problem>,
    source: Arc<Shown>,
}

/// The file as reports show it: the whole line that a problem is in, and no other.
struct Shown {
    name: String,
    text: String,
}

impl SourceCode for Shown {
    fn read_span<'a>(
        &'a self,
        span: &SourceSpan,
        before: usize,
        after: usize,
    ) -> Result<Box<dyn SpanContents<'a> + 'a>, MietteError> {
        let (mut start, mut end) = (span.offset(), span.offset() + span.len());
        if before > 0 || after > 0 {
            start = self.text.get(..start).and_then(|it| it.rfind('\n')).map_or(0, |it| it + 1);
            end = self.text.get(end..).and_then(|it| it.find('\n')).map_or(self.text.len(), |it| end + it);
        }
        let lines = self.text.read_span(&(start, end - start).into(), 0, 0)?;
        Ok(Box::new(MietteSpanContents::new_named(
            self.name.clone(),
            lines.data(),
            *lines.span(),
            lines.line(),
            lines.column(),
            lines.line_count(),
        )))
    }
}

/// More than this many are counted and not shown: the first ones explain the rest.
const SHOWN: usize = 50;
/// A longer list of choices is cut in the hint; `--json` has all.
const CHOICES_SHOWN: usize = 16;

impl Problems {
    pub(crate) fn new(document: &Document, mut list: Vec<Problem>) -> Self {
        list.sort_by_key(|it| (it.span.start, it.span.end));
        list.dedup();
        Self { list, source: Arc::new(Shown { name: document.file_name.clone(), text: document.shown_text() }) }
    }

    pub fn file_name(&self) -> &str {
        &self.source.name
    }

    pub fn errors(&self) -> usize {
        self.list.iter().filter(|it| it.level == Level::Error).count()
    }

    /// The text for people; with colour for a terminal.
    pub fn report(&self, colour: bool) -> String {
        let mut out = String::new();
        for problem in self.list.iter().take(SHOWN) {
            self.render(&mut out, problem, colour);
        }
        let (errors, warnings) = (self.errors(), self.list.len() - self.errors());
        if self.list.len() > SHOWN {
            out.push_str(&format!("  the first {SHOWN} are shown\n\n"));
        }
        out.push_str(&format!("{}: {}", self.file_name(), count(errors, "error")));
        if warnings > 0 {
            out.push_str(&format!(", {}", count(warnings, "warning")));
        }
        out.push('\n');
        out
    }

    fn render(&self, out: &mut String, problem: &Problem, colour: bool) {
        let mut theme = if colour { GraphicalTheme::unicode() } else { GraphicalTheme::none() };
        theme.characters.error = format!("error[{}]:", problem.code);
        theme.characters.warning = format!("warning[{}]:", problem.code);
        let severity = match problem.level {
            Level::Error => Severity::Error,
            Level::Warning => Severity::Warning,
        };
        let length = problem.span.end - problem.span.start;
        let report =
            miette::Report::new(MietteDiagnostic::new(&problem.message).with_severity(severity).with_label(LabeledSpan::new(
                None,
                problem.span.start,
                length,
            )))
            .with_source_code(self.source.clone());
        let handler = GraphicalReportHandler::new_themed(theme).with_context_lines(1).with_wrap_lines(false).with_links(false);
        if handler.render_report(out, report.as_ref()).is_err() {
            out.push_str(&problem.message);
            out.push('\n');
        }
        if let Some(hint) = problem.advice() {
            out.push_str(&format!("  hint: {hint}\n"));
        }
        out.push('\n');
    }
}

impl Problem {
    /// One line that says what to do: the hint, the nearest choice, the choices.
    pub fn advice(&self) -> Option<String> {
        let mut parts: Vec<String> = self.hint.iter().cloned().collect();
        parts.extend(self.nearest.iter().map(|it| format!("did you mean `{it}`?")));
        if !self.choices.is_empty() {
            let shown = self.choices.iter().take(CHOICES_SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
            let more = if self.choices.len() > CHOICES_SHOWN { ", …" } else { "" };
            parts.push(format!("valid here: {shown}{more}"));
        }
        if parts.is_empty() { None } else { Some(parts.join("; ").replace("?;", "?")) }
    }
}

fn count(number: usize, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.report(false))
    }
}

impl fmt::Debug for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Problems {}

impl Serialize for Problems {
    /// `{"file": …, "problems": […]}`
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Wire<'a> {
            file: &'a str,
            problems: &'a [Problem],
        }
        Wire { file: self.file_name(), problems: &self.list }.serialize(serializer)
    }
}

/// A value that does not fit, before it is known where it stands.
#[derive(Debug, Default)]
pub(crate) struct Misfit {
    pub code: &'static str,
    pub message: String,
    pub choices: Vec<String>,
    pub nearest: Option<String>,
    pub hint: Option<String>,
}

impl Misfit {
    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), ..Self::default() }
    }

    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// What would be valid; the one that `given` is nearest to is offered.
    pub fn choices<T: Into<String>>(mut self, given: &str, choices: impl IntoIterator<Item = T>) -> Self {
        self.choices = choices.into_iter().map(Into::into).collect();
        self.nearest = nearest(given, &self.choices);
        self
    }
}

/// The choice that is most like what was written, when one is like it at all.
fn nearest(given: &str, choices: &[String]) -> Option<String> {
    // The measure takes time by the product of the lengths.
    if given.len() > 200 {
        return None;
    }
    let given = given.to_lowercase();
    let likeness = |choice: &String| strsim::jaro_winkler(&given, &choice.to_lowercase());
    let best = choices.iter().max_by(|a, b| likeness(a).total_cmp(&likeness(b)))?;
    (likeness(best) >= 0.8).then(|| best.clone())
}

/// Collects problems while the file is read.
pub(crate) struct Findings<'a> {
    pub document: &'a Document,
    pub list: Vec<Problem>,
}

impl<'a> Findings<'a> {
    pub fn new(document: &'a Document) -> Self {
        Self { document, list: Vec::new() }
    }

    pub fn error(&mut self, path: &str, span: &Span, misfit: Misfit) {
        self.list.push(self.document.problem(Level::Error, path, span, misfit));
    }

    pub fn warning(&mut self, path: &str, span: &Span, misfit: Misfit) {
        self.list.push(self.document.problem(Level::Warning, path, span, misfit));
    }

    pub fn errors(&self) -> usize {
        self.list.iter().filter(|it| it.level == Level::Error).count()
    }
}
