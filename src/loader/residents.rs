//! Whose code is mapped for now: those that have been used of late, and no more than the process may have.
//!
//! Mapped code costs a descriptor and several of the process's mappings, and both are counted by the kernel. What nobody has
//! used for a while is given up, and mapped again when it is asked for. What was asked for again and again is waited for longer.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use crate::{machine, tasks};

/// How long code stays mapped at least after its last use: mapping it again takes less than a millisecond.
const IDLE: Duration = Duration::from_secs(5);
/// How long it stays for each second that lies between its first use and its last, and at most: what is asked for every few seconds would
/// otherwise be mapped each time.
const IDLE_PER_USE: u32 = 4;
const MAX_IDLE: Duration = Duration::from_secs(60);
/// How often idle ones are looked for.
const SWEEP: Duration = Duration::from_secs(2);
/// So many have left that their memory is given back although others are leaving still.
const MANY: usize = 1024;
/// One descriptor in this many is for mapped code in any case: the others are for sockets.
const DESCRIPTORS_EACH: usize = 3;
/// One in this many is left free by code that has more than that.
const FREE_DESCRIPTORS: usize = 8;
/// One mapping in this many: code has three, and instances have the others.
const MAPPINGS_EACH: usize = 8;
/// So many are few.
const FEW: usize = 256;
/// Of so many, the one that has not been used for the longest time makes room for another.
const SAMPLE: usize = 8;

/// Something that holds code while it is used.
pub trait Resident: Send + Sync {
    fn last_use(&self) -> Instant;
    /// Lets go of the code; it ends when the last of its instances does.
    fn leave(&self);
}

/// All residents of the process. A cheap handle.
#[derive(Clone)]
pub struct Residents {
    shared: Arc<Mutex<State>>,
    most: usize,
    descriptors: Descriptors,
}

/// What the process may have of descriptors.
#[derive(Clone, Copy)]
struct Descriptors {
    limit: usize,
}

impl Descriptors {
    /// For mapped code, however many others want.
    fn sure(self) -> usize {
        self.limit / DESCRIPTORS_EACH
    }

    /// Whether code may have more than that.
    fn are_free(self) -> bool {
        // To list them would take long, with every component that is mapped.
        machine::counted_descriptors()
            .is_some_and(|used| (used as usize).saturating_add(self.limit / FREE_DESCRIPTORS) < self.limit)
    }
}

#[derive(Default)]
struct State {
    residents: Vec<Entry>,
    /// Where the next sample begins.
    hand: usize,
}

struct Entry {
    since: Instant,
    resident: Weak<dyn Resident>,
}

impl Entry {
    /// Whether nobody has used it for so long that nobody is expected to.
    fn is_idle(&self, last_use: Instant) -> bool {
        let used = last_use.saturating_duration_since(self.since);
        last_use.elapsed() >= (used * IDLE_PER_USE).clamp(IDLE, MAX_IDLE)
    }
}

impl Default for Residents {
    /// As many as the process's limits allow for.
    fn default() -> Self {
        let limit = machine::max_descriptors().map_or(usize::MAX, |most| most as usize);
        Self::at_most(machine::max_mappings() / MAPPINGS_EACH, Descriptors { limit })
    }
}

impl Residents {
    /// For what costs nothing but memory.
    pub fn any_number() -> Self {
        Self::at_most(usize::MAX, Descriptors { limit: usize::MAX })
    }

    /// Whether they are so few that one more is no matter.
    pub fn are_few(&self) -> bool {
        self.lock().residents.len() < FEW
    }

    fn at_most(most: usize, descriptors: Descriptors) -> Self {
        Self {
            shared: Arc::default(),
            most: most.max(1),
            descriptors,
        }
    }

    /// How many of so many are too many.
    fn superfluous(&self, count: usize) -> usize {
        let sure = self.descriptors.sure().clamp(1, self.most);
        let most = match count <= sure || self.descriptors.are_free() {
            true => self.most,
            false => sure,
        };
        count.saturating_sub(most)
    }

    /// One more, which was not there before. Another may have to leave.
    pub fn add(&self, resident: Weak<dyn Resident>) {
        let leaving = {
            let mut state = self.lock();
            let leaving = match self.superfluous(state.residents.len() + 1) {
                0 => None,
                _ => state.take_oldest(),
            };
            state.residents.push(Entry {
                since: Instant::now(),
                resident,
            });
            leaving
        };
        if let Some(leaving) = leaving.and_then(|leaving| leaving.upgrade()) {
            leaving.leave();
        }
    }

    /// Has idle ones leave, and those whose descriptors others want, for ever.
    pub async fn keep_tidy(self) {
        let mut left = 0;
        loop {
            tokio::time::sleep(SWEEP).await;
            let leaving = self.take_idle();
            let quiet = leaving.is_empty();
            if !quiet {
                left += leaving.len();
                // Unmapping takes the kernel a while. A panic has been logged.
                let _ =
                    tokio::task::spawn_blocking(move || leaving.iter().for_each(|idle| idle.leave())).await;
            }
            if left > 0 && (quiet || left >= MANY) {
                left = 0;
                tasks::give_back_memory();
            }
        }
    }

    fn take_idle(&self) -> Vec<Arc<dyn Resident>> {
        let mut leaving = Vec::new();
        let mut state = self.lock();
        state.residents.retain(|entry| match entry.resident.upgrade() {
            Some(resident) if !entry.is_idle(resident.last_use()) => true,
            Some(resident) => {
                leaving.push(resident);
                false
            }
            None => false,
        });
        for _ in 0..self.superfluous(state.residents.len()) {
            leaving.extend(state.take_oldest().and_then(|oldest| oldest.upgrade()));
        }
        leaving
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it is held.
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Of a few: the order of all would cost each request.
    fn take_oldest(&mut self) -> Option<Weak<dyn Resident>> {
        let count = self.residents.len();
        let sample = (0..SAMPLE.min(count)).map(|offset| (self.hand + offset) % count);
        // One that is no more is older than all others.
        let age = |index: &usize| {
            let resident = self.residents[*index].resident.upgrade();
            resident.map_or(Duration::MAX, |resident| resident.last_use().elapsed())
        };
        let oldest = sample.max_by_key(age)?;
        self.hand = (self.hand + SAMPLE) % count;
        Some(self.residents.swap_remove(oldest).resident)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    struct Used {
        last_use: Instant,
        left: AtomicBool,
    }

    impl Used {
        fn ago(seconds: u64) -> Arc<Self> {
            Arc::new(Self {
                last_use: Instant::now() - Duration::from_secs(seconds),
                left: AtomicBool::new(false),
            })
        }

        fn has_left(&self) -> bool {
            self.left.load(Ordering::Relaxed)
        }
    }

    impl Resident for Used {
        fn last_use(&self) -> Instant {
            self.last_use
        }

        fn leave(&self) {
            self.left.store(true, Ordering::Relaxed);
        }
    }

    fn weak(used: &Arc<Used>) -> Weak<dyn Resident> {
        Arc::downgrade(used) as Weak<dyn Resident>
    }

    const NO_LIMIT: Descriptors = Descriptors { limit: usize::MAX };

    #[test]
    fn the_least_recently_used_makes_room() {
        let residents = Residents::at_most(2, NO_LIMIT);
        let (old, new, newest) = (Used::ago(5), Used::ago(1), Used::ago(0));
        for used in [&new, &old, &newest] {
            residents.add(weak(used));
        }
        assert!(old.has_left() && !new.has_left() && !newest.has_left());
    }

    #[test]
    fn those_that_are_idle_leave_and_are_not_looked_at_again() {
        let residents = Residents::at_most(10, NO_LIMIT);
        let (idle, busy) = (Used::ago(60), Used::ago(0));
        residents.add(weak(&idle));
        residents.add(weak(&busy));
        residents.add(weak(&Used::ago(0)));
        assert_eq!(residents.take_idle().len(), 1);
        assert_eq!(residents.take_idle().len(), 0);
        assert_eq!(residents.lock().residents.len(), 1);
    }

    #[test]
    fn descriptors_that_are_free_are_for_code_as_well() {
        let residents = |limit| Residents::at_most(10, Descriptors { limit });
        // Any process has as many.
        let few = residents(DESCRIPTORS_EACH);
        assert_eq!([1, 2, 5].map(|count| few.superfluous(count)), [0, 1, 4]);
        let many = residents(1 << 40);
        assert_eq!([10, 11].map(|count| many.superfluous(count)), [0, 1]);
        let busy = [0; 5].map(Used::ago);
        for used in &busy {
            let (since, resident) = (Instant::now(), weak(used));
            few.lock().residents.push(Entry { since, resident });
        }
        assert_eq!(few.take_idle().len(), 4);
    }

    #[test]
    fn what_was_used_for_longer_is_waited_for_longer() {
        let is_idle = |first: u64, last: u64| {
            let ago = |seconds| Instant::now() - Duration::from_secs(seconds);
            let resident: Weak<dyn Resident> = weak(&Used::ago(0));
            let since = ago(first);
            Entry { since, resident }.is_idle(ago(last))
        };
        assert!(is_idle(6, 6) && !is_idle(4, 4));
        assert!(!is_idle(20, 15) && is_idle(27, 22));
        assert!(!is_idle(1000, 55) && is_idle(1000, 65));
    }
}
