//! Sets and maps that mostly have one member, of which there is one for each of thousands of apps: one member takes no memory of
//! its own, and the work for one of many does not grow with their number.

use std::borrow::Borrow;
use std::collections::{BTreeMap, BTreeSet};
use std::iter::{Chain, Flatten};
use std::{mem, option, slice};

/// A set.
#[derive(Debug, Clone, Default)]
pub(crate) enum Few<T> {
    #[default]
    None,
    One(T),
    #[expect(
        clippy::box_collection,
        reason = "it is rare, and not to take room in all the others"
    )]
    More(Box<BTreeSet<T>>),
}

impl<T: Ord> Few<T> {
    pub(crate) fn is_empty(&self) -> bool {
        match self {
            Self::None => true,
            Self::One(_) => false,
            Self::More(members) => members.is_empty(),
        }
    }

    pub(crate) fn insert(&mut self, member: T) {
        *self = match mem::take(self) {
            Self::None => Self::One(member),
            Self::One(only) if only == member => Self::One(only),
            Self::One(only) => Self::More(Box::new(BTreeSet::from([only, member]))),
            Self::More(mut members) => {
                members.insert(member);
                Self::More(members)
            }
        };
    }

    pub(crate) fn remove(&mut self, member: &T) {
        match self {
            Self::One(only) if only == member => *self = Self::None,
            Self::None | Self::One(_) => {}
            Self::More(members) => {
                members.remove(member);
                if members.len() == 1 {
                    *self = members.pop_first().map_or(Self::None, Self::One);
                }
            }
        }
    }

    /// The least.
    pub(crate) fn first(&self) -> Option<&T> {
        self.iter().next()
    }

    /// In order.
    pub(crate) fn iter(&self) -> Members<'_, T> {
        let (one, more) = match self {
            Self::None => (&[][..], None),
            Self::One(only) => (slice::from_ref(only), None),
            Self::More(members) => (&[][..], Some(&**members)),
        };
        one.iter().chain(more.into_iter().flatten())
    }
}

/// The members of a [`Few`].
pub(crate) type Members<'a, T> = Chain<slice::Iter<'a, T>, Flatten<option::IntoIter<&'a BTreeSet<T>>>>;

impl<'a, T: Ord> IntoIterator for &'a Few<T> {
    type Item = &'a T;
    type IntoIter = Members<'a, T>;

    fn into_iter(self) -> Members<'a, T> {
        self.iter()
    }
}

/// A map.
#[derive(Debug, Clone, Default)]
pub(crate) enum FewKeys<K, V> {
    #[default]
    None,
    One(K, V),
    #[expect(
        clippy::box_collection,
        reason = "it is rare, and not to take room in all the others"
    )]
    More(Box<BTreeMap<K, V>>),
}

impl<K: Ord, V> FewKeys<K, V> {
    pub(crate) fn is_empty(&self) -> bool {
        match self {
            Self::None => true,
            Self::One(..) => false,
            Self::More(entries) => entries.is_empty(),
        }
    }

    pub(crate) fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        match self {
            Self::One(only, value) if (*only).borrow() == key => Some(value),
            Self::None | Self::One(..) => None,
            Self::More(entries) => entries.get(key),
        }
    }

    pub(crate) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        match self {
            Self::One(only, value) if only == key => Some(value),
            Self::None | Self::One(..) => None,
            Self::More(entries) => entries.get_mut(key),
        }
    }

    /// Gives what was there.
    pub(crate) fn insert(&mut self, key: K, value: V) -> Option<V> {
        match mem::take(self) {
            Self::None => {
                *self = Self::One(key, value);
                None
            }
            Self::One(only, before) if only == key => {
                *self = Self::One(key, value);
                Some(before)
            }
            Self::One(only, before) => {
                *self = Self::More(Box::new(BTreeMap::from([(only, before), (key, value)])));
                None
            }
            Self::More(mut entries) => {
                let before = entries.insert(key, value);
                *self = Self::More(entries);
                before
            }
        }
    }

    pub(crate) fn remove<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        match mem::take(self) {
            Self::One(only, value) if only.borrow() == key => Some(value),
            Self::More(mut entries) => {
                let removed = entries.remove(key);
                *self = match entries.len() {
                    1 => entries
                        .pop_first()
                        .map_or(Self::None, |(key, value)| Self::One(key, value)),
                    _ => Self::More(entries),
                };
                removed
            }
            other => {
                *self = other;
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_is_the_same_whatever_it_is_kept_in() {
        let mut few = Few::default();
        assert!(few.is_empty() && few.first().is_none());
        for member in [2, 2, 1, 3] {
            few.insert(member);
        }
        assert_eq!(few.iter().collect::<Vec<_>>(), [&1, &2, &3]);
        for gone in [9, 1, 3] {
            few.remove(&gone);
        }
        assert!(matches!(few, Few::One(2)));
        few.remove(&1);
        assert_eq!(few.first(), Some(&2));
        few.remove(&2);
        assert!(few.is_empty());
    }

    #[test]
    fn a_map_is_the_same_whatever_it_is_kept_in() {
        let mut few = FewKeys::default();
        assert_eq!(few.insert("a".to_owned(), 1), None);
        assert_eq!(few.insert("a".to_owned(), 2), Some(1));
        assert_eq!(few.insert("b".to_owned(), 3), None);
        assert_eq!(
            (few.get("a"), few.get("b"), few.get("c")),
            (Some(&2), Some(&3), None)
        );
        assert_eq!(few.remove("c"), None);
        assert_eq!(few.remove("a"), Some(2));
        assert_eq!(few.remove("a"), None);
        assert!(matches!(few, FewKeys::One(..)) && few.get_mut(&"b".to_owned()) == Some(&mut 3));
        assert_eq!(few.remove("b"), Some(3));
        assert!(few.is_empty());
    }
}
