//! Rust source to the paths that it names: comments and strings skipped, `use` trees unfolded.

/// A source file.
pub struct File {
    /// From the root of the crate: `src/repo/writer.rs`.
    pub path: String,
    /// Its module: `repo`, `writer`; `main` for the binary, empty for the library's root.
    pub module: Vec<String>,
    /// Every path and every macro that it names.
    pub mentions: Vec<Mention>,
}

/// A path somewhere in a file.
pub struct Mention {
    pub line: usize,
    /// As written, `use` trees unfolded: `crate`, `repo`, `Writer`.
    pub segments: Vec<String>,
    /// The module around it.
    pub module: Vec<String>,
    pub is_test: bool,
    pub kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Path,
    Use,
    PublicUse,
    Macro,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Token {
    Word(String),
    /// `::`
    Colons,
    Other(char),
}

struct Placed {
    token: Token,
    line: usize,
}

impl Placed {
    fn is(&self, letter: char) -> bool {
        self.token == Token::Other(letter)
    }

    fn word(&self) -> Option<&str> {
        match &self.token {
            Token::Word(word) => Some(word),
            Token::Colons | Token::Other(_) => None,
        }
    }
}

impl File {
    pub fn read(path: &str, text: &str) -> Self {
        let parts: Vec<&str> = path.trim_start_matches("src/").trim_end_matches(".rs").split('/').collect();
        let is_test = parts.contains(&"tests");
        let root_or_folder = |part: &&str| *part == "lib" || *part == "mod";
        let module: Vec<String> =
            parts.iter().copied().filter(|part| !root_or_folder(part)).map(str::to_owned).collect();
        let mentions = Reader { tokens: tokens(text), at: 0, modules: vec![], depth: 0, tests: vec![], found: vec![] }
            .read(&module, is_test);
        Self { path: path.to_owned(), module, mentions }
    }
}

/// Walks over the tokens and collects what is named.
struct Reader {
    tokens: Vec<Placed>,
    at: usize,
    /// Inline modules that are open, each with the depth of its braces.
    modules: Vec<(String, usize)>,
    depth: usize,
    /// Depths of the test items that are open.
    tests: Vec<usize>,
    found: Vec<Mention>,
}

impl Reader {
    fn read(mut self, file_module: &[String], is_test_file: bool) -> Vec<Mention> {
        while self.at < self.tokens.len() {
            let start = self.found.len();
            self.step();
            let inner = self.modules.iter().map(|(name, _)| name.clone());
            let module: Vec<String> = file_module.iter().cloned().chain(inner).collect();
            for mention in &mut self.found[start..] {
                mention.module.clone_from(&module);
                mention.is_test = is_test_file || !self.tests.is_empty();
            }
        }
        self.found
    }

    fn peek(&self, ahead: usize) -> Option<&Placed> {
        self.tokens.get(self.at + ahead)
    }

    fn word(&self, ahead: usize) -> Option<&str> {
        self.peek(ahead).and_then(Placed::word)
    }

    fn is(&self, ahead: usize, letter: char) -> bool {
        self.peek(ahead).is_some_and(|placed| placed.is(letter))
    }

    fn step(&mut self) {
        if self.is(0, '#') && self.is(1, '[') && self.word(2) == Some("cfg") {
            self.cfg();
        } else if self.word(0) == Some("use") {
            self.use_tree();
        } else if self.word(0) == Some("mod") && self.is(2, '{') {
            self.modules.push((self.word(1).unwrap_or_default().to_owned(), self.depth + 1));
            self.at += 2;
        } else if self.word(0).is_some() {
            self.path();
        } else {
            self.braces();
            self.at += 1;
        }
    }

    fn braces(&mut self) {
        if self.is(0, '{') {
            self.depth += 1;
        } else if self.is(0, '}') {
            self.depth = self.depth.saturating_sub(1);
            self.modules.retain(|&(_, depth)| depth <= self.depth);
            if self.tests.last() == Some(&self.depth) {
                self.tests.pop();
            }
        } else if self.is(0, ';') && self.tests.last() == Some(&self.depth) {
            self.tests.pop();
        }
    }

    /// `#[cfg(test)]`, `#[cfg(all(test, …))]`: the next item at this depth is a test's.
    fn cfg(&mut self) {
        let (mut words, mut open) = (vec![], 0);
        self.at += 1;
        while let Some(placed) = self.peek(0) {
            open += i32::from(placed.is('[')) - i32::from(placed.is(']'));
            words.extend(placed.word().map(str::to_owned));
            self.at += 1;
            if open == 0 {
                break;
            }
        }
        let has = |wanted: &str| words.iter().any(|word| word == wanted);
        if has("test") && !has("not") && !has("any") && self.tests.last() != Some(&self.depth) {
            self.tests.push(self.depth);
        }
    }

    /// `a::b::c`, or a macro's name with its `!`.
    fn path(&mut self) {
        let (line, mut segments) = (self.tokens[self.at].line, vec![]);
        while let Some(word) = self.word(0) {
            segments.push(word.to_owned());
            self.at += 1;
            if !(self.peek(0).is_some_and(|placed| placed.token == Token::Colons) && self.word(1).is_some()) {
                break;
            }
            self.at += 1;
        }
        let is_macro = self.is(0, '!') && !self.is(1, '=');
        self.push(line, segments, if is_macro { Kind::Macro } else { Kind::Path });
    }

    fn use_tree(&mut self) {
        let before = self.at.checked_sub(1).and_then(|at| self.tokens.get(at));
        let is_public = before.is_some_and(|placed| placed.word() == Some("pub") || placed.is(')'));
        self.at += 1;
        self.branch(&[], if is_public { Kind::PublicUse } else { Kind::Use });
    }

    /// One branch of a `use` tree up to its `,`, `}` or `;`, which is left in place.
    fn branch(&mut self, stem: &[String], kind: Kind) {
        let mut segments = stem.to_vec();
        let mut line = 0;
        while let Some(placed) = self.peek(0) {
            line = placed.line;
            match &placed.token {
                Token::Word(word) if word == "as" => self.at += 2,
                Token::Word(word) => {
                    segments.push(word.clone());
                    self.at += 1;
                }
                Token::Other('{') => return self.group(&segments, kind),
                Token::Other(',' | '}' | ';') => break,
                Token::Other('*') => {
                    segments.push("*".to_owned());
                    self.at += 1;
                }
                Token::Colons | Token::Other(_) => self.at += 1,
            }
        }
        if segments.len() > stem.len() {
            self.push(line, segments, kind);
        }
    }

    fn group(&mut self, stem: &[String], kind: Kind) {
        while !self.is(0, '}') && self.at < self.tokens.len() {
            self.at += 1;
            self.branch(stem, kind);
        }
        self.at += 1;
    }

    fn push(&mut self, line: usize, segments: Vec<String>, kind: Kind) {
        self.found.push(Mention { line, segments, module: vec![], is_test: false, kind });
    }
}

/// The tokens of a text, without comments, texts and letters.
fn tokens(text: &str) -> Vec<Placed> {
    let (mut tokens, mut rest, mut line) = (vec![], text, 1);
    while let Some(letter) = rest.chars().next() {
        let length = skipped(rest).unwrap_or_else(|| {
            let (token, length) = token(rest, letter);
            tokens.extend(token.map(|token| Placed { token, line }));
            length
        });
        let (passed, after) = rest.split_at(length);
        line += passed.matches('\n').count();
        rest = after;
    }
    tokens
}

fn token(rest: &str, letter: char) -> (Option<Token>, usize) {
    let is_word = |letter: char| letter.is_alphanumeric() || letter == '_';
    if letter.is_whitespace() {
        (None, letter.len_utf8())
    } else if rest.starts_with("::") {
        (Some(Token::Colons), 2)
    } else if is_word(letter) {
        let length = rest.find(|letter| !is_word(letter)).unwrap_or(rest.len());
        (Some(Token::Word(rest[..length].to_owned())), length)
    } else {
        (Some(Token::Other(letter)), letter.len_utf8())
    }
}

/// Bytes of a comment, a text or a letter at the start, if there is one.
fn skipped(rest: &str) -> Option<usize> {
    if rest.starts_with("//") {
        return Some(rest.find('\n').unwrap_or(rest.len()));
    }
    if rest.starts_with("/*") {
        return Some(block_comment(rest));
    }
    let prefix = ["br", "cr", "r", "b", "c", ""].into_iter().find(|prefix| {
        let after = rest.strip_prefix(prefix);
        let raw = prefix.ends_with('r');
        after.is_some_and(|after| {
            after.starts_with('"') || (raw && after.trim_start_matches('#').starts_with('"') && after.starts_with('#'))
        })
    });
    match prefix {
        Some(prefix) if prefix.ends_with('r') => Some(raw_text(rest, prefix.len())),
        Some(prefix) => Some(quoted(rest, prefix.len(), '"')),
        None => letter_literal(rest),
    }
}

fn block_comment(rest: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < rest.len() {
        let here = &rest[at..];
        if here.starts_with("/*") {
            depth += 1;
            at += 2;
        } else if here.starts_with("*/") {
            depth -= 1;
            at += 2;
        } else {
            at += here.chars().next().map_or(1, char::len_utf8);
        }
        if depth == 0 {
            break;
        }
    }
    at
}

fn raw_text(rest: &str, prefix: usize) -> usize {
    let hashes = rest[prefix..].bytes().take_while(|&byte| byte == b'#').count();
    let end = format!("\"{}", "#".repeat(hashes));
    let start = prefix + hashes + 1;
    rest[start..].find(&end).map_or(rest.len(), |at| start + at + end.len())
}

fn quoted(rest: &str, prefix: usize, quote: char) -> usize {
    let mut letters = rest.char_indices().skip_while(|&(at, _)| at <= prefix);
    while let Some((at, letter)) = letters.next() {
        if letter == '\\' {
            letters.next();
        } else if letter == quote {
            return at + quote.len_utf8();
        }
    }
    rest.len()
}

/// `'x'` and `'\n'`, but not the lifetime `'x`.
fn letter_literal(rest: &str) -> Option<usize> {
    let body = rest.strip_prefix('\'')?;
    if body.starts_with('\\') {
        return Some(quoted(rest, 0, '\''));
    }
    let letter = body.chars().next()?;
    body[letter.len_utf8()..].starts_with('\'').then_some(letter.len_utf8() + 2)
}
