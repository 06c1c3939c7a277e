//! Grammars in llama.cpp's notation, GBNF, rewritten in Lark.
//!
//! Lark tells terminals, which a lexer finds greedily, from rules. A rule that leads to no recursion is regular and becomes
//! a terminal as a whole; in the others the literals and classes are terminals of their own.
//!
//! Source: the description of the notation in llama.cpp's `grammars/README.md`.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
};

/// Rules of a grammar at most: each is looked at once for each that leads to it.
const MOST_RULES: usize = 4096;
/// Parentheses inside one another at most.
const DEEPEST: usize = 64;

/// What a rule derives.
#[derive(Clone, Debug, PartialEq)]
enum Node {
    /// Exactly this text.
    Literal(String),
    /// A character, as a regular expression.
    Class(String),
    Rule(String),
    Sequence(Vec<Node>),
    Choice(Vec<Node>),
    /// So many times at least and at most.
    Repeat(Box<Node>, u32, Option<u32>),
}

type Rules = BTreeMap<String, Node>;

/// The grammar `gbnf` in Lark.
///
/// # Errors
/// What is wrong with it, and in which line.
pub(super) fn to_lark(gbnf: &str) -> Result<String, String> {
    let rules = Parser { text: gbnf, at: 0, depth: 0 }.rules()?;
    for name in rules.values().flat_map(Node::references).chain([&"root".to_owned()]) {
        if !rules.contains_key(name) {
            return Err(format!("there is no rule `{name}`"));
        }
    }
    let regular = regular(&rules);
    let written: BTreeMap<&str, String> = (0..)
        .zip(rules.keys())
        .map(|(i, name)| (name.as_str(), if regular.contains(name) { format!("T{i}") } else { format!("r{i}") }))
        .collect();
    let mut lark = format!("start: {}\n", written["root"]);
    for (name, node) in &rules {
        lark.extend([&written[name.as_str()], ": "]);
        node.write(&written, &mut lark);
        lark.push('\n');
    }
    Ok(lark)
}

/// The rules that lead to no recursion.
fn regular(rules: &Rules) -> BTreeSet<&String> {
    let mut regular = BTreeSet::new();
    loop {
        let n = regular.len();
        for (name, node) in rules {
            if node.references().into_iter().all(|name| regular.contains(name)) {
                regular.insert(name);
            }
        }
        if regular.len() == n {
            return regular;
        }
    }
}

impl Node {
    /// The names of rules in it.
    fn references(&self) -> Vec<&String> {
        match self {
            Node::Literal(_) | Node::Class(_) => Vec::new(),
            Node::Rule(name) => vec![name],
            Node::Sequence(nodes) | Node::Choice(nodes) => nodes.iter().flat_map(Node::references).collect(),
            Node::Repeat(node, ..) => node.references(),
        }
    }

    /// Appends it in Lark, where rules are called as in `names`.
    fn write(&self, names: &BTreeMap<&str, String>, lark: &mut String) {
        let mut list = |nodes: &[Node], between: &str| {
            lark.push('(');
            for (i, node) in nodes.iter().enumerate() {
                lark.push_str(if i == 0 { "" } else { between });
                node.write(names, lark);
            }
            lark.push_str(if nodes.is_empty() { "\"\")" } else { ")" });
        };
        match self {
            Node::Literal(text) => lark.push_str(&serde_json::Value::from(text.as_str()).to_string()),
            Node::Class(regex) => lark.extend(["/", regex, "/"]),
            Node::Rule(name) => lark.push_str(&names[name.as_str()]),
            Node::Sequence(nodes) => list(nodes, " "),
            Node::Choice(nodes) => list(nodes, " | "),
            Node::Repeat(node, least, most) => {
                list(std::slice::from_ref(node), "");
                lark.push_str(&match (least, most) {
                    (0, None) => "*".into(),
                    (1, None) => "+".into(),
                    (0, Some(1)) => "?".into(),
                    (least, None) => format!("{{{least},}}"),
                    (least, Some(most)) => format!("{{{least},{most}}}"),
                });
            }
        }
    }
}

struct Parser<'a> {
    text: &'a str,
    /// Bytes read.
    at: usize,
    /// Open parentheses.
    depth: usize,
}

impl Parser<'_> {
    fn rules(&mut self) -> Result<Rules, String> {
        let mut rules = Rules::new();
        self.skip(true);
        while self.peek().is_some() {
            let name = self.name()?;
            self.skip(false);
            self.expect("::=")?;
            self.skip(true);
            let node = self.choice()?;
            if !matches!(self.peek(), None | Some('\r' | '\n')) {
                return Err(self.unexpected("the end of the rule"));
            }
            self.skip(true);
            if rules.insert(name.clone(), node).is_some() {
                return Err(format!("the rule `{name}` is there twice"));
            }
            if rules.len() > MOST_RULES {
                return Err(format!("more than {MOST_RULES} rules"));
            }
        }
        Ok(rules)
    }

    fn choice(&mut self) -> Result<Node, String> {
        let mut choices = vec![self.sequence()?];
        while self.take('|') {
            self.skip(true);
            choices.push(self.sequence()?);
        }
        Ok(Node::Choice(choices))
    }

    fn sequence(&mut self) -> Result<Node, String> {
        let mut nodes = Vec::new();
        loop {
            let node = match self.peek() {
                Some('"') => self.literal()?,
                Some('[') => self.class()?,
                Some('(') => self.group()?,
                Some('.') if self.take('.') => Node::Class(r"[\x{0}-\x{10FFFF}]".into()),
                Some(c) if is_name(c) => Node::Rule(self.name()?),
                _ => return Ok(Node::Sequence(nodes)),
            };
            let node = self.repeated(node)?;
            nodes.push(node);
            self.skip(self.depth > 0);
        }
    }

    fn group(&mut self) -> Result<Node, String> {
        self.expect("(")?;
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(format!("more than {DEEPEST} parentheses inside one another"));
        }
        self.skip(true);
        let node = self.choice()?;
        self.expect(")")?;
        self.depth -= 1;
        Ok(node)
    }

    fn repeated(&mut self, mut node: Node) -> Result<Node, String> {
        loop {
            let (least, most) = match self.peek() {
                Some('*') if self.take('*') => (0, None),
                Some('+') if self.take('+') => (1, None),
                Some('?') if self.take('?') => (0, Some(1)),
                Some('{') => self.counts()?,
                _ => return Ok(node),
            };
            // One on top of another would pile up as deep as the text is long.
            node = match node {
                Node::Repeat(..) => return Err(self.unexpected("one repetition only")),
                node => Node::Repeat(Box::new(node), least, most),
            };
        }
    }

    /// `{n}`, `{n,}` or `{n,m}`.
    fn counts(&mut self) -> Result<(u32, Option<u32>), String> {
        self.expect("{")?;
        let least = self.number()?;
        let most = match self.take(',') {
            false => Some(least),
            true if self.peek() == Some('}') => None,
            true => Some(self.number()?),
        };
        self.expect("}")?;
        if most.is_some_and(|most| most < least) {
            return Err(self.unexpected("the greater number last"));
        }
        Ok((least, most))
    }

    fn number(&mut self) -> Result<u32, String> {
        let digits = self.while_true(|c| c.is_ascii_digit());
        digits.parse().map_err(|_| self.unexpected("a number"))
    }

    fn literal(&mut self) -> Result<Node, String> {
        self.expect("\"")?;
        let mut text = String::new();
        while !self.take('"') {
            text.push(self.character()?);
        }
        Ok(Node::Literal(text))
    }

    fn class(&mut self) -> Result<Node, String> {
        self.expect("[")?;
        let mut regex = String::from(if self.take('^') { "[^" } else { "[" });
        let n_before = regex.len();
        while !self.take(']') {
            let first = self.character()?;
            let is_range = self.rest().starts_with('-') && !self.rest().starts_with("-]");
            let last = if is_range && self.take('-') { self.character()? } else { first };
            if last < first {
                return Err(self.unexpected("a range of characters that ascends"));
            }
            let _ = write!(regex, r"\x{{{:X}}}-\x{{{:X}}}", first as u32, last as u32);
        }
        if regex.len() == n_before {
            return Err(self.unexpected("characters in the class"));
        }
        regex.push(']');
        Ok(Node::Class(regex))
    }

    /// A character of a literal or class, which a backslash may write.
    fn character(&mut self) -> Result<char, String> {
        let c = self.next().ok_or_else(|| self.unexpected("a character"))?;
        if c != '\\' {
            return Ok(c);
        }
        let escape = self.next().ok_or_else(|| self.unexpected("a character after `\\`"))?;
        let n_digits = match escape {
            'n' => return Ok('\n'),
            'r' => return Ok('\r'),
            't' => return Ok('\t'),
            '\\' | '"' | '[' | ']' | '-' | '^' => return Ok(escape),
            'x' => 2,
            'u' => 4,
            'U' => 8,
            _ => return Err(self.unexpected("one of n, r, t, \\, \", [, ], x, u, U after `\\`")),
        };
        let digits = self.rest().get(..n_digits).unwrap_or_default();
        let code = u32::from_str_radix(digits, 16).ok().and_then(char::from_u32);
        self.at += digits.len();
        code.ok_or_else(|| self.unexpected("the number of a character"))
    }

    fn name(&mut self) -> Result<String, String> {
        match self.while_true(is_name) {
            "" => Err(self.unexpected("the name of a rule")),
            name => Ok(name.to_owned()),
        }
    }

    /// Passes spaces and comments, and line breaks if `lines`.
    fn skip(&mut self, lines: bool) {
        loop {
            self.while_true(|c| matches!(c, ' ' | '\t') || (lines && matches!(c, '\r' | '\n')));
            if self.peek() != Some('#') {
                return;
            }
            self.while_true(|c| !matches!(c, '\r' | '\n'));
        }
    }

    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        Some(c)
    }

    fn take(&mut self, c: char) -> bool {
        let is_next = self.peek() == Some(c);
        self.at += if is_next { c.len_utf8() } else { 0 };
        is_next
    }

    fn expect(&mut self, text: &str) -> Result<(), String> {
        if !self.rest().starts_with(text) {
            return Err(self.unexpected(&format!("`{text}`")));
        }
        self.at += text.len();
        Ok(())
    }

    fn while_true(&mut self, fits: impl Fn(char) -> bool) -> &str {
        let start = self.at;
        let rest = &self.text[start..];
        self.at += rest.find(|c| !fits(c)).unwrap_or(rest.len());
        &self.text[start..self.at]
    }

    fn unexpected(&self, expected: &str) -> String {
        let line = self.text[..self.at].lines().count().max(1);
        match self.peek() {
            Some(c) => format!("line {line}: found `{}`, expected {expected}", c.escape_debug()),
            None => format!("line {line}: found the end, expected {expected}"),
        }
    }
}

fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_without_recursion_become_terminals() {
        let gbnf = "root ::= list | word # either\nlist ::= \"(\" root (\n \",\" root )* \")\"\nword ::= [a-z\\]]+ [^\\n]{2,3} .? |\n";
        let expected = concat!(
            "start: r1\n",
            "r0: ((\"(\" r1 (((\",\" r1)))* \")\"))\n",
            "r1: ((r0) | (T2))\n",
            "T2: (((/[\\x{61}-\\x{7A}\\x{5D}-\\x{5D}]/)+ (/[^\\x{A}-\\x{A}]/){2,3} (/[\\x{0}-\\x{10FFFF}]/)?) | (\"\"))\n",
        );
        assert_eq!(to_lark(gbnf).as_deref(), Ok(expected));
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        for (gbnf, expected) in [
            ("", "there is no rule `root`"),
            ("root ::= a", "there is no rule `a`"),
            ("root ::= \"a\"\nroot ::= \"b\"", "the rule `root` is there twice"),
            ("root ::= \"a\n\"\nb = c", "line 3: found `=`, expected `::=`"),
            ("root ::= (\"a\"", "line 1: found the end, expected `)`"),
            ("root ::= \"a", "line 1: found the end, expected a character"),
            ("root ::= []", "line 1: found the end, expected characters in the class"),
            ("root ::= [z-a]", "line 1: found `]`, expected a range of characters that ascends"),
            ("root ::= \"\\q\"", "line 1: found `\\\"`, expected one of n, r, t, \\, \", [, ], x, u, U after `\\`"),
            ("root ::= \"a\"{3,2}", "line 1: found the end, expected the greater number last"),
        ] {
            assert_eq!(to_lark(gbnf), Err(expected.to_owned()), "{gbnf}");
        }
        assert!(to_lark(&format!("root ::= {}", "(".repeat(1000))).is_err());
    }
}
