//! The history of attribute writes and reads, and whether one order explains it.
//!
//! Each key has one writer, which writes the numbers 1, 2, 3 and so on, each once, and goes on when it has an answer
//! or gave up waiting. A write without an answer may take effect at any later time, or never. The order in which
//! writes took effect is that of the committed log.

use std::collections::BTreeMap;

/// What is known of one key.
#[derive(Debug, Clone, Default)]
struct Key {
    /// The last number that was sent.
    sent: u64,
    /// Numbers that were acknowledged, in order.
    acknowledged: Vec<u64>,
    /// Numbers as the log has them, in order.
    committed: Vec<u64>,
}

impl Key {
    /// Where in the log this number took effect first.
    fn place(&self, number: u64) -> Option<usize> {
        self.committed.iter().position(|committed| *committed == number)
    }
}

/// A read under way: what was acknowledged before it began must show in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    key: String,
    after: u64,
}

/// The history of all keys.
#[derive(Debug, Clone, Default)]
pub struct Writes {
    keys: BTreeMap<String, Key>,
    /// Reads that ended, with what they gave: judged once the log is known that far.
    reads: Vec<(Reading, u64)>,
}

impl Writes {
    /// The next number of a key is sent.
    pub fn send(&mut self, key: &str) -> u64 {
        let key = self.keys.entry(key.to_owned()).or_default();
        key.sent += 1;
        key.sent
    }

    /// A number was acknowledged.
    pub fn acknowledge(&mut self, key: &str, number: u64) {
        self.keys.entry(key.to_owned()).or_default().acknowledged.push(number);
    }

    /// A read begins.
    #[must_use]
    pub fn begin_read(&self, key: &str) -> Reading {
        let after = self.keys.get(key).and_then(|key| key.acknowledged.last().copied());
        Reading { key: key.to_owned(), after: after.unwrap_or(0) }
    }

    /// It ended with this number; 0 for nothing.
    pub fn end_read(&mut self, reading: Reading, number: u64) {
        self.reads.push((reading, number));
    }

    /// The committed log sets an attribute.
    ///
    /// # Errors
    /// A number that nobody sent.
    pub fn commit(&mut self, key: &str, value: &str) -> Result<(), String> {
        let sent = self.keys.get(key).map_or(0, |key| key.sent);
        match value.parse() {
            Ok(number) if number <= sent => {
                self.keys.entry(key.to_owned()).or_default().committed.push(number);
                Ok(())
            }
            _ => Err(format!("{key} = {value} was committed and never sent")),
        }
    }

    /// Judges everything so far. The log must be known up to everything that was acknowledged.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn judge(&mut self) -> Result<(), String> {
        for (name, key) in &self.keys {
            let mut last = None;
            for number in &key.acknowledged {
                let Some(place) = key.place(*number) else {
                    return Err(format!("{name} = {number} was acknowledged and is lost"));
                };
                if last.is_some_and(|last| place < last) {
                    return Err(format!("{name} = {number} took effect before an earlier write"));
                }
                last = Some(place);
            }
        }
        for (reading, number) in std::mem::take(&mut self.reads) {
            let Some(key) = self.keys.get(&reading.key) else { continue };
            let needed = key.place(reading.after);
            let seen = match number {
                0 => None,
                number => match key.committed.iter().rposition(|committed| *committed == number) {
                    None => {
                        return Err(format!("{} was read as {number}, not committed", reading.key));
                    }
                    seen => seen,
                },
            };
            if seen < needed {
                return Err(format!(
                    "{} was read as {number} after {} was acknowledged",
                    reading.key, reading.after
                ));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Writes;

    fn written(numbers: u64) -> Writes {
        let mut writes = Writes::default();
        assert_eq!((0..numbers).map(|_| writes.send("a")).last(), Some(numbers));
        writes
    }

    #[test]
    fn a_lost_write_is_found() {
        let mut writes = written(2);
        writes.acknowledge("a", 1);
        writes.acknowledge("a", 2);
        writes.commit("a", "1").unwrap();
        assert!(writes.judge().unwrap_err().contains("lost"));
        writes.commit("a", "2").unwrap();
        assert_eq!(writes.judge(), Ok(()));
    }

    #[test]
    fn writes_in_another_order_are_found_unless_nobody_was_told() {
        let mut writes = written(2);
        writes.commit("a", "2").unwrap();
        writes.commit("a", "1").unwrap();
        writes.acknowledge("a", 2);
        assert_eq!(writes.judge(), Ok(()), "the first had no answer and may take effect late");
        let mut writes = written(2);
        writes.acknowledge("a", 1);
        writes.acknowledge("a", 2);
        writes.commit("a", "2").unwrap();
        writes.commit("a", "1").unwrap();
        assert!(writes.judge().unwrap_err().contains("before an earlier write"));
    }

    #[test]
    fn a_stale_read_is_found() {
        let mut writes = written(2);
        writes.acknowledge("a", 1);
        writes.commit("a", "1").unwrap();
        writes.acknowledge("a", 2);
        writes.commit("a", "2").unwrap();
        let reading = writes.begin_read("a");
        writes.end_read(reading, 1);
        assert!(writes.judge().unwrap_err().contains("after 2 was acknowledged"));
        let reading = writes.begin_read("a");
        writes.end_read(reading, 2);
        assert_eq!(writes.judge(), Ok(()));
        assert!(writes.commit("a", "3").is_err(), "nobody sent it");
    }
}
