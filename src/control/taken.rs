//! In which words it is told that another app has what an app claims.

use std::path::Path;

use super::claim::Spot;
use super::meeting::Meeting;
use crate::manifest::AppId;

/// An app, for [`taken`].
pub(crate) fn named(app: &AppId, file: &Path) -> String {
    format!("app {app} ({})", file.display())
}

/// `contested` is what the app claims, and what stands in its way (see [`Claims::contested`](super::claims::Claims::contested)).
pub(crate) fn taken(contested: Option<(&Spot, &Spot)>, holder: &str) -> String {
    let held = format!("held by {holder}");
    let free = "it starts by itself when that is free";
    let Some((own, theirs)) = contested else {
        return format!("its address is {held}; {free}");
    };
    let (address, location) = (&own.address, own.location.to_string());
    if *address != theirs.address {
        let other = &theirs.address;
        return format!(
            "address {address} can't be open beside {other}, which is {held}; {free}, and shares an address that is written in the same way"
        );
    }
    if own.location != theirs.location && !own.can_be_met_beside(theirs) {
        return match (&own.meeting, &theirs.meeting) {
            (Meeting::Secure { client_ca: own_ca }, Meeting::Secure { client_ca }) => {
                let host = own.location.host.as_ref();
                let host = host.map_or_else(|| "every host".to_owned(), ToString::to_string);
                let (held_by, asked) = (demanded(client_ca.as_deref()), demanded(own_ca.as_deref()));
                format!(
                    "clients of {host} at address {address} are met with {held_by} for what is {held}, and not at the same time with {asked}, since TLS knows no paths; {free}, and shares the host if both have the same \"client_ca\" in \"tls\", written in the same way"
                )
            }
            (own, _) => {
                let (other, one) = match own.is_secure() {
                    true => ("plain http", "TLS"),
                    false => ("TLS", "plain http"),
                };
                format!(
                    "address {address} speaks {other} for what is {held}, and can't speak {one} too; {free}, and shares the address if both have \"tls\" or neither"
                )
            }
        };
    }
    let share = "with a \"host\" or \"path\" of its own it shares the address";
    match location.as_str() {
        "" => format!("address {address} is {held}; {free}, and {share}"),
        location => format!("{location} at address {address} is {held}; {free}, and {share}"),
    }
}

/// What clients have to show.
fn demanded(client_ca: Option<&Path>) -> String {
    client_ca.map_or_else(
        || "no \"client_ca\"".to_owned(),
        |file| format!("the \"client_ca\" {}", file.display()),
    )
}
