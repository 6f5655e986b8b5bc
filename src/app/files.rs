//! The files of a component (`docs/contract/oci.md §3`).

use std::path::{Component, PathBuf};

use base64::Engine;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use serde::Deserialize;

use super::error::AppError;
use super::locked::ContentRef;
use crate::oci::Digest;

/// Spin writes no padding; others may.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

#[derive(Debug, Clone, Deserialize)]
pub(super) struct RawMount {
    path: String,
    #[serde(flatten)]
    content: ContentRef,
}

/// One file, as the guest sees it below `/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileMount {
    /// Relative, of normal components only.
    pub path: PathBuf,
    pub content: FileContent,
}

/// Where a file's bytes are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileContent {
    Inline(Vec<u8>),
    Stored(Digest),
}

impl RawMount {
    pub(super) fn typed(&self, component: &str) -> Result<FileMount, AppError> {
        let path = safe_path(&self.path)
            .ok_or_else(|| AppError::component(component, format!("invalid file mount `{}`", self.path)))?;
        let content = match &self.content.inline {
            Some(inline) => FileContent::Inline(BASE64.decode(inline).map_err(|_| {
                AppError::component(component, format!("the file `{}` is not base64 text", self.path))
            })?),
            None => FileContent::Stored(self.content.digest(component)?),
        };
        Ok(FileMount { path, content })
    }
}

/// Windows wrote backslashes in archive-mode artifacts. What leaves the directory, or names no file, is `None`.
fn safe_path(text: &str) -> Option<PathBuf> {
    let path = PathBuf::from(text.replace('\\', "/"));
    let normal = path
        .components()
        .all(|component| matches!(component, Component::Normal(_)));
    let drive = text.as_bytes().get(1) == Some(&b':');
    (normal && !drive && path.components().next().is_some()).then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mount(json: &str) -> Result<FileMount, AppError> {
        serde_json::from_str::<RawMount>(json).unwrap().typed("c")
    }

    #[test]
    fn inline_content_wins_over_the_digest_and_may_be_empty_or_padded() {
        let inline = |json| mount(json).unwrap().content;
        assert_eq!(
            inline(r#"{"path":"a","inline":"","digest":"sha256:x"}"#),
            FileContent::Inline(vec![])
        );
        assert_eq!(
            inline(r#"{"path":"a","inline":"dGlueQ"}"#),
            FileContent::Inline(b"tiny".to_vec())
        );
        assert_eq!(
            inline(r#"{"path":"a","inline":"dGlueQ=="}"#),
            FileContent::Inline(b"tiny".to_vec())
        );
    }

    #[test]
    fn backslashes_separate_directories() {
        assert_eq!(
            mount(r#"{"path":"a\\b.txt","inline":""}"#).unwrap().path,
            PathBuf::from("a/b.txt")
        );
    }

    #[test]
    fn a_path_that_leaves_the_directory_is_refused() {
        for path in ["../a", "/a", "a/../../b", "", "C:\\\\a", "."] {
            let error = mount(&format!(r#"{{"path":"{path}","inline":""}}"#)).unwrap_err();
            assert!(error.to_string().contains("invalid file mount"), "{path}");
        }
    }
}
