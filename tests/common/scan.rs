//! Which top-level modules of the crate a Rust source refers to.

use std::collections::BTreeSet;

/// The words, `::` and other punctuation of a source, without comments and literals.
pub fn tokens(text: &str) -> Vec<String> {
    let mut found = vec![];
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if let Some(length) = aside(rest) {
            rest = &rest[length..];
            continue;
        }
        let word = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        let sign = if rest.starts_with("::") { 2 } else { c.len_utf8() };
        let (token, behind) = rest.split_at(if word > 0 { word } else { sign });
        if !c.is_whitespace() {
            found.push(token.to_string());
        }
        rest = behind;
    }
    found
}

/// The length of the comment or literal that `text` starts with, if it does.
fn aside(text: &str) -> Option<usize> {
    match text.as_bytes() {
        [b'/', b'/', ..] => Some(text.find('\n').unwrap_or(text.len())),
        [b'/', b'*', ..] => Some(comment(text)),
        [b'"', ..] => Some(text_in_quotes(text)),
        [b'\'', ..] => Some(letter(text)),
        [b'r' | b'b' | b'c', ..] => prefixed(text),
        _ => None,
    }
}

/// The length of a comment, which may be nested.
fn comment(text: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    loop {
        match &text.as_bytes()[at..] {
            [b'/', b'*', ..] => (depth, at) = (depth + 1, at + 2),
            [b'*', b'/', ..] if depth == 1 => return at + 2,
            [b'*', b'/', ..] => (depth, at) = (depth - 1, at + 2),
            [] => return at,
            _ => at += 1,
        }
    }
}

/// The length of `"…"`, with backslash escapes.
fn text_in_quotes(text: &str) -> usize {
    let mut escaped = false;
    for (i, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return i + 1,
            _ => {}
        }
    }
    text.len()
}

/// The length of `'a'` or `'
/// '`, or of the quote that starts a lifetime.
fn letter(text: &str) -> usize {
    let mut letters = text.char_indices().skip(1);
    match (letters.next(), letters.next()) {
        (Some((_, '\\')), Some((i, c))) => {
            let end = i + c.len_utf8();
            end + text[end..].find('\'').map_or(0, |close| close + 1)
        }
        (Some(_), Some((i, '\''))) => i + 1,
        _ => 1,
    }
}

/// The length of `r"…"`, `r#"…"#`, `b"…"`, `b'…'`, `br"…"`, `c"…"`; `None` for an identifier.
fn prefixed(text: &str) -> Option<usize> {
    let quote = text.find(['"', '\'', '#'])?;
    let raw = match &text[..quote] {
        "b" | "c" => false,
        "r" | "br" | "cr" => true,
        _ => return None,
    };
    let marks = text[quote..].chars().take_while(|&c| c == '#').count();
    let open = quote + marks;
    match (raw, text[open..].chars().next()?) {
        (true, '"') => {
            let close = format!("\"{}", "#".repeat(marks));
            let inside = open + 1;
            Some(text[inside..].find(&close).map_or(text.len(), |end| inside + end + close.len()))
        }
        (false, '"') => Some(open + text_in_quotes(&text[open..])),
        (false, '\'') => Some(open + letter(&text[open..])),
        _ => None,
    }
}

/// Names that a module `depth` levels below the root imports from the root, by `crate::`, `gradscope::` or a chain of `super::`;
/// `*` if it imports the root itself.
pub fn used(text: &str, depth: usize) -> BTreeSet<String> {
    let tokens = tokens(text);
    let at = |i: usize| tokens.get(i).map_or("", String::as_str);
    let (mut found, mut open) = (BTreeSet::new(), vec![]);
    for i in 0..tokens.len() {
        let inner = open.iter().filter(|module| **module).count();
        match at(i) {
            "{" => open.push(i >= 2 && at(i - 2) == "mod"),
            "}" => drop(open.pop()),
            "crate" | "super" | "self" | "gradscope" if ["::", "as"].contains(&at(i + 1)) && !within(&tokens, i) => {
                tree(&tokens, i, depth + inner, &mut found);
            }
            _ => {}
        }
    }
    found
}

/// Whether a word is inside a path, which is parsed from its start.
fn within(tokens: &[String], i: usize) -> bool {
    let word = |t: &String| t.starts_with(|c: char| c.is_alphanumeric() || c == '_');
    i >= 2 && tokens[i - 1] == "::" && word(&tokens[i - 2]) && tokens[i - 2] != "use"
}

/// Parses a path with its groups starting at `i`, `level` modules below the root; returns its end.
fn tree(tokens: &[String], mut i: usize, mut level: usize, found: &mut BTreeSet<String>) -> usize {
    loop {
        let Some(token) = tokens.get(i) else { return i };
        let next = tokens.get(i + 1).map_or("", String::as_str);
        match token.as_str() {
            "crate" | "gradscope" => level = 0,
            "super" => level = level.saturating_sub(1),
            "self" => {}
            "{" => return group(tokens, i + 1, level, found),
            name => {
                if level == 0 {
                    found.insert(name.to_string());
                }
                level += 1;
            }
        }
        if level == 0 && (next == "as" || (token == "self" && next != "::")) {
            found.insert("*".into());
        }
        if next != "::" {
            return i + 1;
        }
        i += 2;
    }
}

/// Parses the paths of `{a, b::c}`, starting after the brace.
fn group(tokens: &[String], mut i: usize, level: usize, found: &mut BTreeSet<String>) -> usize {
    while let Some(token) = tokens.get(i) {
        match token.as_str() {
            "}" => return i + 1,
            "," => i += 1,
            "as" => i += 2,
            _ => i = tree(tokens, i, level, found),
        }
    }
    i
}
