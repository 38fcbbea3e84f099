//! Rust source without its comments and its test modules, line for line: what the rules about code look at.

/// Blanks out comments, and everything from a `#[cfg(test)]` module on; line numbers stay.
pub fn code_only(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let mut rest = without_test_module(source);
    while let Some(first) = rest.chars().next() {
        let (length, keep) = match rest {
            _ if rest.starts_with("//") => (rest.find('\n').unwrap_or(rest.len()), false),
            _ if rest.starts_with("/*") => (block_comment(rest), false),
            _ if first == '"' => (text(rest), true),
            _ if is_raw_text(rest) && !out.ends_with(is_word) => (raw_text(rest), true),
            _ if first == '\'' => (character(rest), true),
            _ => (first.len_utf8(), true),
        };
        let (piece, after) = rest.split_at(length);
        if keep {
            out.push_str(piece);
        } else {
            out.extend(piece.chars().filter(|it| *it == '\n'));
        }
        rest = after;
    }
    out
}

/// Test modules stand last in their file.
fn without_test_module(source: &str) -> &str {
    let mut at = 0;
    while let Some(found) = source[at..].find("#[cfg(test)]") {
        let start = at + found;
        let after = &source[start..];
        let is_module = after
            .lines()
            .skip(1)
            .map(str::trim_start)
            .find(|line| !line.starts_with("#["))
            .is_some_and(|line| line.starts_with("mod ") && line.ends_with('{'));
        if is_module {
            return &source[..start];
        }
        at = start + 1;
    }
    source
}

fn is_word(it: char) -> bool {
    it.is_alphanumeric() || it == '_'
}

/// Block comments nest.
fn block_comment(rest: &str) -> usize {
    let (mut depth, mut at) = (0usize, 0);
    while at < rest.len() {
        if rest[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if rest[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += rest[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    rest.len()
}

fn text(rest: &str) -> usize {
    let mut escaped = false;
    for (at, it) in rest.char_indices().skip(1) {
        match it {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

fn is_raw_text(rest: &str) -> bool {
    rest.strip_prefix('r').is_some_and(|after| after.trim_start_matches('#').starts_with('"') && !after.starts_with("#["))
}

fn raw_text(rest: &str) -> usize {
    let hashes = rest[1..].chars().take_while(|it| *it == '#').count();
    let end = format!("\"{}", "#".repeat(hashes));
    let start = 1 + hashes + 1;
    rest[start..].find(&end).map_or(rest.len(), |at| start + at + end.len())
}

/// A character literal, or the quote alone when it begins a lifetime.
fn character(rest: &str) -> usize {
    let mut chars = rest.char_indices().skip(1);
    match (chars.next(), chars.next()) {
        (Some((_, '\\')), Some((at, escaped))) => {
            let after = at + escaped.len_utf8();
            rest[after..].find('\'').map_or(1, |end| after + end + 1)
        }
        (Some(_), Some((at, '\''))) => at + 1,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_go_and_code_stays() {
        let source = "//! doc\nlet a = \"// text\"; // note\n/* one /* two */ */let b = 'x';\n";
        assert_eq!(code_only(source), "\nlet a = \"// text\"; \nlet b = 'x';\n");
    }

    #[test]
    fn quotes_lifetimes_and_raw_text_do_not_confuse_it() {
        let source = "fn f<'a>(x: &'a str) -> char { '\"' } // c\nlet r = r#\"a \" // b\"#; let q = '\\''; // d\n";
        assert_eq!(code_only(source), "fn f<'a>(x: &'a str) -> char { '\"' } \nlet r = r#\"a \" // b\"#; let q = '\\''; \n");
    }

    #[test]
    fn a_test_module_is_cut_off() {
        let source = "fn a() {}\n#[cfg(test)]\nfn b() {}\n#[cfg(test)]\n#[allow(x)]\nmod tests {\n  fn c() {}\n}\n";
        assert_eq!(code_only(source), "fn a() {}\n#[cfg(test)]\nfn b() {}\n");
    }
}
