//! Key names on a server that several apps share.

/// What comes before every key of a label: `<app>:<label>:`. A `:` or `%` inside a name is written as in URLs, so that
/// no two pairs of names give the same prefix, and none gives the beginning of another's.
pub(super) fn prefix(app: &str, label: &str) -> String {
    format!("{}:{}:", escape(app), escape(label))
}

fn escape(name: &str) -> String {
    name.replace('%', "%25").replace(':', "%3A")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_names_are_readable() {
        assert_eq!(prefix("shop", "default"), "shop:default:");
    }

    #[test]
    fn no_two_pairs_of_names_share_keys() {
        let names = ["", "a", "b", "a:b", ":", "%", "%3A", "a:", "%25"];
        let pairs: Vec<_> = names
            .iter()
            .flat_map(|app| names.iter().map(move |label| (app, label)))
            .collect();
        for one in &pairs {
            for other in &pairs {
                let (one_prefix, other_prefix) = (prefix(one.0, one.1), prefix(other.0, other.1));
                assert_eq!(
                    one_prefix.starts_with(&other_prefix),
                    one == other,
                    "{one:?} {other:?}"
                );
            }
        }
    }
}
