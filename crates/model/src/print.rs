//! A state's print: 128 bits by which it is known again.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hash, Hasher};

/// The states by their prints.
pub(crate) type Prints = HashMap<u128, u32, BuildHasherDefault<Kept>>;

/// The print of anything that hashes. Two of a billion states have the same with a chance of 10⁻²¹.
pub(crate) fn print_of(value: &impl Hash) -> u128 {
    let mut printer = Printer([0x243f_6a88_85a3_08d3, 0x1319_8a2e_0370_7344]);
    value.hash(&mut printer);
    // Once more, so that what was hashed last is spread as well.
    printer.write_u64(0xa409_3822_299f_31d0);
    u128::from(printer.0[0]) << 64 | u128::from(printer.0[1])
}

/// Two independent lanes of multiply and fold. `DefaultHasher` twice over took half of an exploration's time.
struct Printer([u64; 2]);

impl Hasher for Printer {
    fn finish(&self) -> u64 {
        self.0[0]
    }

    fn write(&mut self, bytes: &[u8]) {
        for part in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..part.len()].copy_from_slice(part);
            self.write_u64(u64::from_le_bytes(word));
        }
    }

    fn write_u8(&mut self, number: u8) {
        self.write_u64(number.into());
    }

    fn write_u32(&mut self, number: u32) {
        self.write_u64(number.into());
    }

    fn write_u64(&mut self, number: u64) {
        let [first, second] = &mut self.0;
        *first = folded(*first ^ number, 0x9e37_79b9_7f4a_7c15);
        *second = folded(second.rotate_left(23) ^ number, 0xd6e8_feb8_6659_fd93);
    }

    fn write_i64(&mut self, number: i64) {
        self.write_u64(number.cast_unsigned());
    }

    fn write_usize(&mut self, number: usize) {
        self.write_u64(number as u64);
    }

    fn write_isize(&mut self, number: isize) {
        self.write_i64(number as i64);
    }
}

/// Both halves of the product, so that every bit of it depends on every bit of `word`; never stuck at zero.
fn folded(word: u64, by: u64) -> u64 {
    let product = u128::from(word) * u128::from(by);
    let [low, high] = [product & u128::from(u64::MAX), product >> 64];
    u64::try_from(low ^ high).unwrap_or(0).wrapping_add(by)
}

/// A print is spread already.
#[derive(Default)]
pub(crate) struct Kept(u64);

impl Hasher for Kept {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        let mut word = [0; 8];
        let part = &bytes[..bytes.len().min(8)];
        word[..part.len()].copy_from_slice(part);
        self.0 ^= u64::from_le_bytes(word);
    }
}
