//! Which apps are shown, as the address of the page says it.

use serde::Deserialize;
use url::form_urlencoded::Serializer;

use super::PATH;
use crate::control::{AppState, AppStatus};

/// What the query of the address may say.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    /// Only apps whose name, reference, address or sites have this text, in whatever case.
    pub(super) q: String,
    /// Only apps in this state.
    pub(super) state: Option<AppState>,
    /// The part of the table, from 0.
    pub(super) page: usize,
    /// This app instead of the table.
    pub(super) app: Option<String>,
}

impl Asked {
    /// Whether the text is somewhere in what is known of the app.
    pub(super) fn finds(&self, id: &str, app: &AppStatus) -> bool {
        let wanted = self.q.trim().to_lowercase();
        let texts = [Some(id), app.reference.as_deref(), app.address.as_deref()];
        let sites = app.sites.iter().map(String::as_str);
        wanted.is_empty()
            || texts
                .into_iter()
                .flatten()
                .chain(sites)
                .any(|text| text.to_lowercase().contains(&wanted))
    }

    /// The same text with another state, from the beginning.
    pub(super) fn with_state(&self, state: Option<AppState>) -> Self {
        Self {
            q: self.q.clone(),
            state,
            ..Self::default()
        }
    }

    pub(super) fn with_page(&self, page: usize) -> Self {
        Self { page, ..self.clone() }
    }

    /// One app, from which [`list`](Self::list) leads back.
    pub(super) fn with_app(&self, id: &str) -> Self {
        Self {
            app: Some(id.to_owned()),
            ..self.clone()
        }
    }

    pub(super) fn list(&self) -> Self {
        Self {
            app: None,
            ..self.clone()
        }
    }

    /// The address that asks for this.
    pub(super) fn href(&self) -> String {
        let mut query = Serializer::new(String::new());
        if let Some(app) = &self.app {
            query.append_pair("app", app);
        }
        if !self.q.is_empty() {
            query.append_pair("q", &self.q);
        }
        if let Some(state) = self.state {
            query.append_pair("state", state.as_str());
        }
        if self.page > 0 {
            query.append_pair("page", &self.page.to_string());
        }
        match query.finish() {
            query if query.is_empty() => PATH.to_owned(),
            query => format!("{PATH}?{query}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::extract::Query;

    use super::*;

    #[test]
    fn an_address_reads_back_as_it_is_written() {
        for asked in [
            Asked::default(),
            Asked {
                q: "a&b=c <d>".into(),
                state: Some(AppState::Failed),
                page: 3,
                app: Some("é/ü?".into()),
            },
        ] {
            let Query(read) = Query::<Asked>::try_from_uri(&asked.href().parse().unwrap()).unwrap();
            assert_eq!(read, asked);
        }
    }
}
