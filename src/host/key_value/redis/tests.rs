//! What needs no server.

use super::*;

#[test]
fn a_prefix_is_matched_literally() {
    assert_eq!(pattern("shop:default:"), r"shop:default:*");
    assert_eq!(pattern(r"a*?[b]^c-\:l:"), r"a\*\?\[b\]\^c\-\\:l:*");
}

#[test]
fn a_url_has_one_connection() {
    let servers = Servers::default();
    let url = Secret::new("redis://h:1");
    let one = servers.store(&url, "shop", "default").unwrap();
    let other = servers.store(&url, "blog", "cache").unwrap();
    assert!(Arc::ptr_eq(&one.server, &other.server));
    let third = servers
        .store(&Secret::new("redis://h:2"), "shop", "default")
        .unwrap();
    assert!(!Arc::ptr_eq(&one.server, &third.server));
    assert!(
        servers
            .store(&Secret::new("http://h"), "shop", "default")
            .is_err()
    );
}
