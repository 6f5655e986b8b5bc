//! What is not believed at once: a text that is no JSON (perhaps half-written), and a file that is gone (perhaps to be
//! written anew). Pure: time is an argument.

use std::collections::HashMap;
use std::time::{Duration, Instant};

/// How long doubtful news must stand before they are believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// No event for so long: a text that is no JSON is a mistake, not a half-written file.
    pub quiet: Duration,
    /// However busy the file is, after this the mistake is reported.
    pub longest: Duration,
    /// A file that is gone for so long is deleted, not about to be written anew.
    pub absence: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Patience {
            quiet: Duration::from_millis(300),
            longest: Duration::from_secs(2),
            absence: Duration::from_millis(250),
        }
    }
}

/// Why a file is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Doubt {
    /// It is there, but perhaps only half.
    Unfinished,
    /// It is not there.
    Missing,
}

#[derive(Debug)]
struct Doubted {
    doubt: Doubt,
    since: Instant,
    until: Instant,
}

/// The files in doubt, by name.
#[derive(Debug)]
pub(crate) struct Settling {
    patience: Patience,
    files: HashMap<String, Doubted>,
}

impl Settling {
    pub(crate) fn new(patience: Patience) -> Settling {
        Settling {
            patience,
            files: HashMap::new(),
        }
    }

    /// The file is being written, or was found in half. Each call is a sign of life, and extends the wait.
    pub(crate) fn unfinished(&mut self, name: &str, now: Instant) {
        let since = match self.files.get(name) {
            Some(known) if known.doubt == Doubt::Unfinished => known.since,
            _ => now,
        };
        let until = (now + self.patience.quiet).min(since + self.patience.longest);
        let doubted = Doubted {
            doubt: Doubt::Unfinished,
            since,
            until,
        };
        self.files.insert(name.to_owned(), doubted);
    }

    /// The file was looked for and not found. Further calls do not extend the wait.
    pub(crate) fn missing(&mut self, name: &str, now: Instant) {
        if self
            .files
            .get(name)
            .is_some_and(|known| known.doubt == Doubt::Missing)
        {
            return;
        }
        let until = now + self.patience.absence;
        let doubted = Doubted {
            doubt: Doubt::Missing,
            since: now,
            until,
        };
        self.files.insert(name.to_owned(), doubted);
    }

    /// The file is beyond doubt.
    pub(crate) fn clear(&mut self, name: &str) {
        self.files.remove(name);
    }

    /// Those that have been missed for less than the grace.
    pub(crate) fn missed(&self) -> impl Iterator<Item = &str> {
        let missing = self
            .files
            .iter()
            .filter(|(_, doubted)| doubted.doubt == Doubt::Missing);
        missing.map(|(name, _)| name.as_str())
    }

    /// Takes out what has been in doubt for long enough, by name.
    pub(crate) fn due(&mut self, now: Instant) -> Vec<(String, Doubt)> {
        let mut due: Vec<_> = self
            .files
            .extract_if(|_, doubted| doubted.until <= now)
            .map(|(name, doubted)| (name, doubted.doubt))
            .collect();
        due.sort_by(|a, b| a.0.cmp(&b.0));
        due
    }

    /// When to ask for what is due.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.files.values().map(|doubted| doubted.until).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn each_write_extends_the_wait_up_to_the_longest() {
        let start = Instant::now();
        let mut settling = Settling::new(Patience::default());
        settling.unfinished("a", start);
        settling.unfinished("a", start + 200 * MS);
        assert_eq!(settling.due(start + 400 * MS), []);
        for step in 2..20 {
            settling.unfinished("a", start + step * 100 * MS);
        }
        assert_eq!(settling.next(), Some(start + 2000 * MS));
        assert_eq!(
            settling.due(start + 2000 * MS),
            [("a".to_owned(), Doubt::Unfinished)]
        );
        assert_eq!(settling.next(), None);
    }

    #[test]
    fn an_absence_is_believed_after_its_grace_however_often_it_is_noticed() {
        let start = Instant::now();
        let mut settling = Settling::new(Patience::default());
        settling.missing("a", start);
        settling.missing("a", start + 200 * MS);
        assert_eq!(settling.missed().collect::<Vec<_>>(), ["a"]);
        assert_eq!(settling.due(start + 250 * MS), [("a".to_owned(), Doubt::Missing)]);
    }

    #[test]
    fn a_file_that_comes_back_is_no_longer_missed() {
        let start = Instant::now();
        let mut settling = Settling::new(Patience::default());
        settling.missing("a", start);
        settling.unfinished("a", start + MS);
        assert_eq!(settling.missed().count(), 0);
        settling.clear("a");
        assert_eq!(settling.next(), None);
    }
}
