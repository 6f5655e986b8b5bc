//! Which app may have which hosts and paths of which address: first come, first served.
//!
//! An app claims what its newest valid file asks for, whether it runs yet or not; it gets all of it, or waits. The work for
//! one app grows with the number of claims that are in conflict with its own, and not with the number of apps.

use std::collections::{BTreeSet, HashMap};

use super::claim::{ByAddress, Claim, Spot};
use super::few::{Few, FewKeys};
use super::meeting::Meetings;
use crate::manifest::{Address, AppId, AppSpec};
use crate::net::Location;

/// When an app made its claim, and which app: older claims first.
type Turn = (u64, AppId);

/// All claims.
#[derive(Debug, Clone, Default)]
pub(crate) struct Claims {
    apps: HashMap<AppId, Made>,
    granted: Index,
    waiting: Index,
    turns: u64,
    /// Where the daemon has certificates, so that every app speaks TLS.
    tls_addresses: Vec<Address>,
}

#[derive(Debug, Clone)]
struct Made {
    claim: Claim,
    turn: u64,
    /// A claim that has been granted stays granted until it is given up: a running app never loses its place.
    granted: bool,
}

/// Claims by what they can be in conflict about.
#[derive(Debug, Clone, Default)]
struct Index {
    addresses: ByAddress<AtAddress>,
}

#[derive(Debug, Clone, Default)]
struct AtAddress {
    locations: FewKeys<Location, Few<Turn>>,
    /// All of them, by how they are met.
    meetings: Meetings<Turn>,
}

/// Whose claims may be granted after another was given up: see [`Claims::settle`].
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Touched(pub(crate) Vec<AppId>);

impl Claims {
    pub(crate) fn new(tls_addresses: Vec<Address>) -> Self {
        Self {
            tls_addresses,
            ..Self::default()
        }
    }

    /// What the file of an app asks for here.
    pub(crate) fn of(&self, spec: &AppSpec) -> Claim {
        Claim::of(spec).with_tls_at(&self.tls_addresses)
    }

    /// The same claim as that of `id`, if they are equal, so that it is held once.
    pub(crate) fn shared(&self, id: &AppId, claim: Claim) -> Claim {
        match self.apps.get(id) {
            Some(made) if made.claim == claim => made.claim.clone(),
            _ => claim,
        }
    }

    /// Gives up what `id` claims.
    pub(crate) fn release(&mut self, id: &AppId) -> Touched {
        let Some(made) = self.apps.remove(id) else {
            return Touched::default();
        };
        let turn = (made.turn, id.clone());
        if !made.granted {
            self.waiting.remove(&made.claim, &turn);
            return Touched::default();
        }
        self.granted.remove(&made.claim, &turn);
        let touched: BTreeSet<&Turn> = self.waiting.conflicting(&made.claim).flatten().collect();
        Touched(touched.into_iter().map(|(_, id)| id.clone()).collect())
    }

    /// Whether `id` claims exactly this.
    pub(crate) fn claims(&self, id: &AppId, claim: &Claim) -> bool {
        self.apps.get(id).is_some_and(|made| made.claim == *claim)
    }

    /// Puts `id` at the end of every queue that it has to stand in. What it claimed before must have been released.
    pub(crate) fn claim(&mut self, id: &AppId, claim: Claim) {
        self.turns += 1;
        self.waiting.add(&claim, &(self.turns, id.clone()));
        let made = Made {
            claim,
            turn: self.turns,
            granted: false,
        };
        self.apps.insert(id.clone(), made);
    }

    /// Grants what can be granted of the claims of these apps: new ones, and those that a release has touched.
    pub(crate) fn settle<'a>(&mut self, ids: impl IntoIterator<Item = &'a AppId>) {
        let made = |id: &AppId| self.apps.get(id).map(|made| (made.turn, id.clone()));
        let turns: BTreeSet<Turn> = ids.into_iter().filter_map(made).collect();
        for turn in turns {
            let Some(made) = self.apps.get_mut(&turn.1).filter(|made| !made.granted) else {
                continue;
            };
            if self.granted.conflicting(&made.claim).next().is_none() {
                self.waiting.remove(&made.claim, &turn);
                self.granted.add(&made.claim, &turn);
                made.granted = true;
            }
        }
    }

    /// Who holds what `id` claims; `None`: `id` itself.
    pub(crate) fn blocked_by(&self, id: &AppId) -> Option<&AppId> {
        self.holder(id, &self.apps.get(id)?.claim)
    }

    /// Who else has been granted something that is in conflict with this.
    pub(crate) fn holder(&self, id: &AppId, claim: &Claim) -> Option<&AppId> {
        let conflicting = self.granted.conflicting(claim);
        let others = conflicting.filter_map(|turns| turns.iter().find(|(_, other)| other != id));
        others.min().map(|(_, id)| id)
    }

    /// Who has been granted exactly this.
    pub(crate) fn granted(&self, spot: &Spot) -> Option<&AppId> {
        let at_address = self.granted.addresses.get(&spot.address)?;
        let turns = at_address.locations.get(&spot.location)?;
        turns.first().map(|(_, id)| id)
    }

    /// In which of its claims `id` is in conflict with `holder`, and with which of that one's.
    pub(crate) fn contested(&self, id: &AppId, holder: &AppId) -> Option<(&Spot, &Spot)> {
        let spots = |id: &AppId| self.apps.get(id).map(|made| made.claim.spots());
        let (own, theirs) = (spots(id)?, spots(holder)?);
        let mut pairs = own
            .iter()
            .flat_map(|own| theirs.iter().map(move |other| (own, other)));
        pairs.find(|(own, other)| own.conflicts_with(other))
    }
}

impl Index {
    fn add(&mut self, claim: &Claim, turn: &Turn) {
        for spot in claim.spots() {
            let add = |at_address: &mut AtAddress| {
                at_address.meetings.add(spot, turn);
                match at_address.locations.get_mut(&spot.location) {
                    Some(turns) => turns.insert(turn.clone()),
                    None => {
                        let first = Few::One(turn.clone());
                        at_address.locations.insert(spot.location.clone(), first);
                    }
                }
            };
            self.addresses.change(&spot.address, add, |_| false);
        }
    }

    fn remove(&mut self, claim: &Claim, turn: &Turn) {
        for spot in claim.spots() {
            let remove = |at_address: &mut AtAddress| {
                at_address.meetings.remove(spot, turn);
                if let Some(turns) = at_address.locations.get_mut(&spot.location) {
                    turns.remove(turn);
                    if turns.is_empty() {
                        at_address.locations.remove(&spot.location);
                    }
                }
            };
            let empty = |at_address: &AtAddress| at_address.locations.is_empty();
            self.addresses.change(&spot.address, remove, empty);
        }
    }

    /// In sets of one or more, each app perhaps in several of them.
    fn conflicting<'a>(&'a self, claim: &Claim) -> impl Iterator<Item = &'a Few<Turn>> {
        claim.spots().iter().flat_map(move |spot| {
            let same = self.addresses.get(&spot.address);
            let location = same.and_then(|at_address| at_address.locations.get(&spot.location));
            let otherwise = same
                .into_iter()
                .flat_map(|at_address| at_address.meetings.against(spot));
            let beside = self.addresses.beside(&spot.address);
            let beside = beside.flat_map(|at_address| at_address.meetings.each());
            let all = location.into_iter().chain(otherwise).chain(beside);
            all.filter(|turns| !turns.is_empty())
        })
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::manifest::parse_app;

    fn id(name: &str) -> AppId {
        AppId::new(name)
    }

    /// From an address, and more members of an app file.
    fn claim_of(members: &str) -> Claim {
        let (address, more) = members.split_once(' ').unwrap_or((members, ""));
        let text = format!("{{\"reference\": \"a/b\", \"address\": \"{address}\" {more}}}");
        Claim::of(&parse_app(&text, Path::new("/a.json")).unwrap())
    }

    fn claim(claims: &mut Claims, name: &str, members: &str) {
        claims.claim(&id(name), claim_of(members));
        claims.settle([&id(name)]);
    }

    fn release(claims: &mut Claims, name: &str) -> Vec<AppId> {
        let touched = claims.release(&id(name)).0;
        claims.settle(&touched);
        touched
    }

    fn holder<'c>(claims: &'c Claims, name: &str) -> Option<&'c str> {
        claims.blocked_by(&id(name)).map(AppId::as_str)
    }

    #[test]
    fn the_second_claim_waits_for_the_first_and_gets_it_when_it_is_released() {
        let mut claims = Claims::default();
        claim(&mut claims, "a", "127.0.0.1:80");
        claim(&mut claims, "b", "127.0.0.1:80");
        claim(&mut claims, "c", "127.0.0.1:80");
        assert_eq!(holder(&claims, "a"), None);
        assert_eq!(holder(&claims, "b"), Some("a"));
        release(&mut claims, "a");
        assert_eq!(holder(&claims, "b"), None);
        assert_eq!(holder(&claims, "c"), Some("b"));
    }

    #[test]
    fn a_wildcard_waits_for_all_and_takes_nothing_from_those_who_came_later() {
        let mut claims = Claims::default();
        claim(&mut claims, "a", "127.0.0.1:80");
        claim(&mut claims, "wide", "0.0.0.0:80");
        claim(&mut claims, "late", "127.0.0.2:80");
        assert_eq!(
            holder(&claims, "late"),
            None,
            "only waiting claims are in its way"
        );
        release(&mut claims, "a");
        assert_eq!(holder(&claims, "wide"), Some("late"));
        release(&mut claims, "late");
        assert_eq!(holder(&claims, "wide"), None);
    }

    #[test]
    fn swapped_addresses_are_granted_once_both_have_been_released() {
        let mut claims = Claims::default();
        claim(&mut claims, "a", "unix:one");
        claim(&mut claims, "b", "unix:two");
        claims.release(&id("a"));
        claim(&mut claims, "a", "unix:two");
        assert_eq!(holder(&claims, "a"), Some("b"));
        let touched = claims.release(&id("b"));
        assert_eq!(touched, Touched(vec![id("a")]));
        claim(&mut claims, "b", "unix:one");
        claims.settle([&id("a")]);
        assert_eq!(holder(&claims, "a"), None);
        assert_eq!(holder(&claims, "b"), None);
    }

    #[test]
    fn port_0_is_free_for_everyone() {
        let mut claims = Claims::default();
        claim(&mut claims, "a", "127.0.0.1:0");
        claim(&mut claims, "b", "127.0.0.1:0");
        assert_eq!(holder(&claims, "b"), None);
    }

    #[test]
    fn one_address_is_shared_by_different_hosts_and_paths() {
        let mut claims = Claims::default();
        claim(&mut claims, "shop", r#"127.0.0.1:80 , "host": "shop.example""#);
        claim(
            &mut claims,
            "cart",
            r#"127.0.0.1:80 , "host": "shop.example", "path": "/cart""#,
        );
        claim(&mut claims, "all", r#"127.0.0.1:80 , "host": "*.example""#);
        claim(&mut claims, "rest", "127.0.0.1:80");
        for name in ["shop", "cart", "all", "rest"] {
            assert_eq!(holder(&claims, name), None, "{name}");
        }
        claim(
            &mut claims,
            "again",
            r#"127.0.0.1:80 , "host": ["new.example", "SHOP.example"]"#,
        );
        assert_eq!(holder(&claims, "again"), Some("shop"));
        let contested = claims.contested(&id("again"), &id("shop")).unwrap();
        assert_eq!(contested.0.location.to_string(), "shop.example");
        assert_eq!(release(&mut claims, "cart"), [], "nobody waits for it");
        assert_eq!(release(&mut claims, "shop"), [id("again")]);
        assert_eq!(holder(&claims, "again"), None);
    }

    #[test]
    fn a_wider_address_waits_for_all_apps_of_the_narrow_one() {
        let mut claims = Claims::default();
        claim(&mut claims, "a", r#"127.0.0.1:80 , "path": "/a""#);
        claim(&mut claims, "b", r#"127.0.0.1:80 , "path": "/b""#);
        claim(&mut claims, "wide", r#"0.0.0.0:80 , "path": "/c""#);
        assert_eq!(release(&mut claims, "a"), [id("wide")]);
        assert_eq!(holder(&claims, "wide"), Some("b"));
        release(&mut claims, "b");
        assert_eq!(holder(&claims, "wide"), None);
    }

    #[test]
    fn an_address_speaks_tls_for_all_its_apps_or_for_none() {
        let tls = r#""tls": {"cert": "c", "key": "k"}"#;
        let mut claims = Claims::default();
        claim(&mut claims, "a", &format!(r#"0.0.0.0:443 , "host": "a", {tls}"#));
        claim(&mut claims, "b", r#"0.0.0.0:443 , "host": "b""#);
        assert_eq!(holder(&claims, "b"), Some("a"));
        // Both change their minds.
        release(&mut claims, "a");
        claim(&mut claims, "a", r#"0.0.0.0:443 , "host": "a""#);
        assert_eq!((holder(&claims, "a"), holder(&claims, "b")), (None, None));
        let from = r#""tls": {"cert": "c", "key": "k", "redirect_from": "0.0.0.0:443"}"#;
        claim(
            &mut claims,
            "c",
            &format!(r#"0.0.0.0:8443 , "host": "c", {from}"#),
        );
        assert_eq!(holder(&claims, "c"), None, "what is sent on comes by plain http");
        claim(
            &mut claims,
            "d",
            &format!(r#"0.0.0.0:9443 , "host": "a", {from}"#),
        );
        assert_eq!(holder(&claims, "d"), Some("a"));

        let spec = r#"{"reference": "a/b", "address": "0.0.0.0:443", "host": "b"}"#;
        let plain = parse_app(spec, Path::new("/a.json")).unwrap();
        let mut claims = Claims::new([plain.address.clone()].into());
        claim(&mut claims, "a", &format!(r#"0.0.0.0:443 , "host": "a", {tls}"#));
        let plain = claims.of(&plain);
        claims.claim(&id("b"), plain);
        claims.settle([&id("b")]);
        assert_eq!(holder(&claims, "b"), None, "the daemon's certificate is for it");
    }

    #[test]
    fn the_daemons_certificate_is_for_every_address_that_cant_be_open_beside_its_own() {
        let at = |address: &str| crate::manifest::Address::parse(address, Path::new("")).unwrap();
        let claims = Claims::new(vec![at("0.0.0.0:443"), at("127.0.0.1:8443")]);
        for (address, secure) in [
            ("0.0.0.0:443", true),
            ("[::]:443", true),
            ("192.0.2.1:443", true),
            ("name.example:443", true),
            ("[::1]:443", false),
            ("0.0.0.0:80", false),
            ("[::]:8443", true),
            ("localhost:8443", true),
            ("127.0.0.2:8443", false),
        ] {
            let spec = format!("{{\"reference\": \"a/b\", \"address\": \"{address}\"}}");
            let claim = claims.of(&parse_app(&spec, Path::new("/a.json")).unwrap());
            assert_eq!(claim.spots()[0].meeting.is_secure(), secure, "{address}");
        }
    }

    #[test]
    fn a_host_demands_the_same_certificates_of_clients_for_all_its_paths() {
        let tls = |client_ca: &str| format!(r#""tls": {{"cert": "c", "key": "k"{client_ca}}}"#);
        let (none, one, two) = (
            tls(""),
            tls(r#", "client_ca": "1""#),
            tls(r#", "client_ca": "2""#),
        );
        let at =
            |host: &str, path: &str, tls: &str| format!(r#"0.0.0.0:443 , {host} "path": "{path}", {tls}"#);
        let shop = r#""host": "shop.example","#;
        let mut claims = Claims::default();
        claim(&mut claims, "a", &at(shop, "/a", &one));
        claim(&mut claims, "b", &at(shop, "/b", &one));
        claim(&mut claims, "two", &at(shop, "/c", &two));
        claim(&mut claims, "none", &at(shop, "/d", &none));
        for (name, expected) in [("a", None), ("b", None), ("two", Some("a")), ("none", Some("a"))] {
            assert_eq!(holder(&claims, name), expected, "{name}");
        }
        let contested = claims.contested(&id("two"), &id("a")).unwrap();
        assert!(!contested.0.can_be_met_beside(contested.1));
        // Other hosts are other handshakes, and so is another address.
        claim(
            &mut claims,
            "wildcard",
            &at(r#""host": "*.shop.example","#, "/", &two),
        );
        claim(&mut claims, "any", &at("", "/", &none));
        claim(&mut claims, "elsewhere", &format!("0.0.0.0:8443 , {shop} {two}"));
        for name in ["wildcard", "any", "elsewhere"] {
            assert_eq!(holder(&claims, name), None, "{name}");
        }
        claim(&mut claims, "any-two", &at("", "/x", &two));
        assert_eq!(holder(&claims, "any-two"), Some("any"));
        // Only when the last one has gone is there room, for the older one.
        assert_eq!(release(&mut claims, "a"), [id("two"), id("none")]);
        assert_eq!(holder(&claims, "two"), Some("b"));
        release(&mut claims, "b");
        assert_eq!(
            (holder(&claims, "two"), holder(&claims, "none")),
            (None, Some("two"))
        );
        release(&mut claims, "two");
        assert_eq!(holder(&claims, "none"), None);
    }

    #[test]
    fn of_those_who_wait_the_oldest_is_first_whatever_else_they_claim() {
        let mut claims = Claims::default();
        claim(&mut claims, "holder", r#"127.0.0.1:80 , "host": "a""#);
        claim(&mut claims, "z-old", r#"127.0.0.1:80 , "host": ["a", "b"]"#);
        claim(&mut claims, "a-new", r#"127.0.0.1:80 , "host": ["a", "c"]"#);
        claim(&mut claims, "free", r#"127.0.0.1:80 , "host": "c""#);
        assert_eq!(
            holder(&claims, "free"),
            None,
            "only granted claims are in its way"
        );
        release(&mut claims, "free");
        release(&mut claims, "holder");
        assert_eq!(holder(&claims, "z-old"), None);
        assert_eq!(holder(&claims, "a-new"), Some("z-old"));
    }
}
