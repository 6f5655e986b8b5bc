//! What is wrong with an app's certificates and authorities, in one text.

use futures::future::select_all;
use tokio::sync::watch;

use crate::tasks;

type Trouble = watch::Receiver<Option<String>>;

/// One of several. The task behind it ends with its last reader, or with what it reads.
pub(in crate::trigger::http) fn merge(mut troubles: Vec<Trouble>) -> Trouble {
    let (told, merged) = watch::channel(joined(&troubles));
    if troubles.is_empty() {
        return merged;
    }
    tasks::spawn("trouble with TLS", async move {
        loop {
            let changed = troubles.iter_mut().map(|trouble| Box::pin(trouble.changed()));
            tokio::select! {
                (changed, ..) = select_all(changed) => if changed.is_err() { return },
                () = told.closed() => return,
            }
            let trouble = joined(&troubles);
            told.send_if_modified(|told| {
                let is_new = *told != trouble;
                *told = trouble;
                is_new
            });
        }
    });
    merged
}

fn joined(troubles: &[Trouble]) -> Option<String> {
    let texts: Vec<_> = troubles
        .iter()
        .filter_map(|trouble| trouble.borrow().clone())
        .collect();
    (!texts.is_empty()).then(|| texts.join("; "))
}
