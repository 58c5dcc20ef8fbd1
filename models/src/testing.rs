//! Damage for tests: seeded mutations of good files, so that a failure can be had again from its number.

/// A source of mutations.
#[derive(Clone, Debug)]
pub struct Mutator {
    state: u64,
}

/// What numbers are tried in texts.
const EXTREMES: [&str; 24] = [
    "0",
    "-1",
    "1",
    "2",
    "3",
    "16",
    "17",
    "64",
    "255",
    "65536",
    "16777217",
    "4294967295",
    "4294967296",
    "1099511627776",
    "9223372036854775807",
    "-9223372036854775808",
    "18446744073709551616",
    "0.5",
    "1e308",
    "1e-320",
    "nan",
    "inf",
    "-inf",
    "\"\"",
];

/// What is tried in bytes: lengths, numbers and ends of protocol buffers and pickles.
const TOKENS: [&[u8]; 12] = [
    &[0],
    &[0xff; 4],
    &[0xff; 10],
    &[0x7f],
    &[0x80, 0x80, 0x80, 0x80, 0x10],
    &[0xff, 0xff, 0xff, 0xff, 0x07],
    &[0x3a, 0x00],
    &[0x2a, 0x00],
    b"Loop",
    b".",
    b"\x85R",
    b"h\x00",
];

impl Mutator {
    /// The mutations of this number.
    pub fn new(seed: u64) -> Self {
        // Neighbouring seeds must not begin alike.
        let mut mutator = Mutator { state: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1 };
        mutator.next();
        mutator.next();
        mutator
    }

    /// xorshift64*.
    fn next(&mut self) -> u64 {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        self.state.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `len`, or 0 if that is 0.
    pub fn below(&mut self, len: usize) -> usize {
        if len == 0 { 0 } else { ((self.next() >> 16) % len as u64) as usize }
    }

    /// One to four changes of bytes: bits flipped, bytes set, a stretch removed, repeated, moved or cut off, tokens put in.
    pub fn bytes(&mut self, good: &[u8]) -> Vec<u8> {
        let mut bytes = good.to_vec();
        // Half of them keep the length, and so the nesting of what is within: those come further.
        let keeps_len = self.below(2) == 0;
        for _ in 0..1 + self.below(if keeps_len { 2 } else { 4 }) {
            let kind = if keeps_len { self.below(3) } else { self.below(8) };
            self.change(&mut bytes, kind);
        }
        bytes
    }

    fn change(&mut self, bytes: &mut Vec<u8>, kind: usize) {
        if bytes.is_empty() {
            return;
        }
        let at = self.below(bytes.len());
        let len = 1 + self.below(32.min(bytes.len() - at));
        match kind {
            0 | 1 => bytes[at] ^= 1 << self.below(8),
            2 => bytes[at] = self.next() as u8,
            3 => drop(bytes.drain(at..at + len)),
            4 => {
                let stretch = bytes[at..at + len].to_vec();
                let times = 1 + self.below(4);
                (0..times).for_each(|_| drop(bytes.splice(at..at, stretch.iter().copied())));
            }
            5 => {
                let stretch: Vec<u8> = bytes.drain(at..at + len).collect();
                let to = self.below(bytes.len() + 1);
                bytes.splice(to..to, stretch);
            }
            6 => {
                let token = TOKENS[self.below(TOKENS.len())];
                let end = if self.below(2) == 0 { at } else { (at + token.len()).min(bytes.len()) };
                bytes.splice(at..end, token.iter().copied());
            }
            // Rarely: what is cut off is refused early.
            _ => {
                if self.below(4) == 0 {
                    bytes.truncate(at);
                }
            }
        }
    }

    /// One to four changes of a text of lines: numbers become extremes, lines are removed, repeated or exchanged; or any
    /// change of its bytes.
    pub fn text(&mut self, good: &str) -> Vec<u8> {
        if self.below(4) == 0 {
            return self.bytes(good.as_bytes());
        }
        let mut lines: Vec<String> = good.lines().map(str::to_owned).collect();
        for _ in 0..1 + self.below(3) {
            let (at, other) = (self.below(lines.len()), self.below(lines.len()));
            match self.below(8) {
                0 if lines.len() > 1 => drop(lines.remove(at)),
                1 => lines.insert(other, lines[at].clone()),
                2 => lines.swap(at, other),
                _ => self.change_number(&mut lines, at),
            }
        }
        lines.join("\n").into_bytes()
    }

    /// In the first line from `at` on that has one.
    fn change_number(&mut self, lines: &mut [String], at: usize) {
        let has_digit = |line: &String| line.contains(|c: char| c.is_ascii_digit());
        let num_lines = lines.len();
        let Some(at) = (0..num_lines).map(|i| (at + i) % num_lines).find(|&i| has_digit(&lines[i])) else { return };
        let line = &lines[at];
        let starts: Vec<usize> = line
            .char_indices()
            .filter(|&(i, c)| c.is_ascii_digit() && !line[..i].ends_with(|c: char| c.is_ascii_digit()))
            .map(|(i, _)| i)
            .collect();
        let start = starts[self.below(starts.len())];
        let end = line[start..].find(|c: char| !c.is_ascii_digit()).map_or(line.len(), |len| start + len);
        let near = line[start..end].parse::<u64>().ok().map(|number| match self.below(4) {
            0 => number.wrapping_add(1),
            1 => number.wrapping_sub(1),
            2 => number.saturating_mul(2),
            _ => number / 2,
        });
        let extreme = EXTREMES[self.below(EXTREMES.len())];
        let new = near.filter(|_| self.below(3) == 0).map_or(extreme.to_owned(), |near| near.to_string());
        lines[at].replace_range(start..end, &new);
    }
}
