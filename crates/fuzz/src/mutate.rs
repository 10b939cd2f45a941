//! Inputs like those that are known: cut, doubled, joined, sprinkled with words that the parser knows.

/// A stream of numbers that depends on its seed alone (xorshift64*).
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// The stream of this seed; `of` keeps the streams of different targets apart.
    pub fn new(seed: u64, of: &str) -> Self {
        let mixed = of.bytes().fold(seed ^ 0x9e37_79b9_7f4a_7c15, |mixed, byte| {
            (mixed ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
        Self(mixed | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `limit`, which is at least 1.
    pub fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() >> 33).unwrap_or(0) % limit.max(1)
    }

    fn of<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        items.get(self.below(items.len()))
    }

    fn byte(&mut self) -> u8 {
        self.next().to_le_bytes()[7]
    }

    /// A part of something so long: mostly short.
    fn range(&mut self, len: usize) -> std::ops::Range<usize> {
        let start = self.below(len + 1);
        let longest = if self.below(4) == 0 { len } else { 12 };
        start..(start + self.below(longest + 1)).min(len)
    }
}

/// Longer inputs are cut: nothing under test takes them, and they only cost time.
pub const LONGEST: usize = 80 * 1024;

/// One of `known`, changed in one to five ways. `words` are texts that the parser has a meaning for.
pub fn mutant(dice: &mut Dice, known: &[Vec<u8>], words: &[&str]) -> Vec<u8> {
    let mut bytes = dice.of(known).cloned().unwrap_or_default();
    for _ in 0..=dice.below(5) {
        change(dice, &mut bytes, known, words);
    }
    bytes.truncate(LONGEST);
    bytes
}

fn change(dice: &mut Dice, bytes: &mut Vec<u8>, known: &[Vec<u8>], words: &[&str]) {
    let at = dice.below(bytes.len() + 1);
    match dice.below(12) {
        0 => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 1 << dice.below(8);
            }
        }
        1 => {
            let byte = dice.byte();
            bytes.insert(at, byte);
        }
        2 | 3 => {
            let cut = dice.range(bytes.len());
            bytes.drain(cut);
        }
        4 => {
            let doubled = dice.range(bytes.len());
            let doubled = bytes[doubled].to_vec();
            bytes.splice(at..at, doubled);
        }
        5 | 6 => {
            let word = dice.of(words).map(|word| word.as_bytes().to_vec()).unwrap_or_default();
            bytes.splice(at..at, word);
        }
        7 => {
            let over = dice.range(bytes.len());
            let word = dice.of(words).map(|word| word.as_bytes().to_vec()).unwrap_or_default();
            bytes.splice(over, word);
        }
        8 => change_digit(dice, bytes),
        9 => {
            if let Some(other) = dice.of(known) {
                let part = dice.range(other.len());
                bytes.splice(at..at, other[part].iter().copied());
            }
        }
        10 => swap_tokens(dice, bytes),
        _ => {
            if let Some(&byte) = bytes.get(at) {
                let times = 1 << dice.below(9);
                bytes.splice(at..at, std::iter::repeat_n(byte, times));
            }
        }
    }
}

fn change_digit(dice: &mut Dice, bytes: &mut [u8]) {
    let digits: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at].is_ascii_digit()).collect();
    if let Some(&at) = dice.of(&digits) {
        bytes[at] = b"0123456789"[dice.below(10)];
    }
}

/// Two parts between the signs that JSON, TOML and command lines are built of change places.
fn swap_tokens(dice: &mut Dice, bytes: &mut Vec<u8>) {
    let is_sign = |byte: &u8| b"{}[],:=\n .|/".contains(byte);
    let ends: Vec<usize> = (0..bytes.len()).filter(|at| is_sign(&bytes[*at])).collect();
    let Some(&middle) = dice.of(&ends) else { return };
    let before = ends.iter().rev().find(|end| **end < middle).map_or(0, |end| end + 1);
    let after = ends.iter().find(|end| **end > middle).copied().unwrap_or(bytes.len());
    let swapped = [&bytes[middle + 1..after], &bytes[middle..=middle], &bytes[before..middle]].concat();
    bytes.splice(before..after, swapped);
}
