//! One order, from the request to the certificate (RFC 8555 §7.4).

use std::sync::Arc;
use std::time::Duration;

use instant_acme::{
    Account, AuthorizationStatus, ChallengeType, Error, Identifier, NewOrder, Order, OrderStatus, RetryPolicy,
};

use super::challenges::Challenges;
use super::error::OrderError;
use crate::net::AcmeChallenge;

/// How an order is asked after: authorities look at a challenge within seconds, and take some more to sign.
const ASK_AGAIN: RetryPolicy = RetryPolicy::new()
    .initial_delay(Duration::from_millis(250))
    .backoff(1.5)
    .timeout(Duration::from_secs(120));
/// What an authority says of an account that it does not have.
const NO_SUCH_ACCOUNT: &str = "urn:ietf:params:acme:error:accountDoesNotExist";

/// What is ordered, and where.
pub(super) struct Wanted<'a> {
    pub(super) name: &'a str,
    pub(super) directory: &'a str,
    pub(super) challenge: AcmeChallenge,
    pub(super) challenges: &'a Arc<Challenges>,
}

impl Wanted<'_> {
    /// The key and the chain, as one PEM text.
    pub(super) async fn order(&self, account: &Account) -> Result<String, OrderError> {
        let error = |source| self.failed(source);
        let identifiers = [Identifier::Dns(self.name.to_owned())];
        let order = account.new_order(&NewOrder::new(&identifiers)).await;
        let mut order = order.map_err(error)?;
        // Answered until the authority has made up its mind.
        let mut offered = Vec::new();
        let mut authorizations = order.authorizations();
        while let Some(authorization) = authorizations.next().await {
            let mut authorization = authorization.map_err(error)?;
            // Shown in an order before this one, and still believed.
            if authorization.status == AuthorizationStatus::Valid {
                continue;
            }
            let types = authorization.challenges.iter().map(|challenge| &challenge.r#type);
            let types: Vec<_> = types.map(|kind| format!("{kind:?}")).collect();
            let Some(mut challenge) = authorization.challenge(self.kind()) else {
                return Err(OrderError::NotOffered {
                    directory: self.directory.to_owned(),
                    wanted: self.challenge.name(),
                    offered: types.join(", "),
                });
            };
            let key = challenge.key_authorization();
            offered.push(match self.challenge {
                AcmeChallenge::TlsAlpn01 => self.challenges.offer_handshake(self.name, &key)?,
                AcmeChallenge::Http01 => self.challenges.offer_request(&challenge.token, &key),
            });
            challenge.set_ready().await.map_err(error)?;
        }
        match order.poll_ready(&ASK_AGAIN).await {
            Ok(OrderStatus::Ready) => {}
            Ok(_) | Err(Error::Api(_)) => return Err(self.not_ours(&mut order).await),
            Err(source) => return Err(self.failed(source)),
        }
        drop(offered);
        let key = order.finalize().await.map_err(error)?;
        let chain = order.poll_certificate(&ASK_AGAIN).await.map_err(error)?;
        Ok(format!("{}\n{chain}", key.trim_end()))
    }

    fn kind(&self) -> ChallengeType {
        match self.challenge {
            AcmeChallenge::TlsAlpn01 => ChallengeType::TlsAlpn01,
            AcmeChallenge::Http01 => ChallengeType::Http01,
        }
    }

    fn failed(&self, source: Error) -> OrderError {
        OrderError::Directory {
            directory: self.directory.to_owned(),
            source,
        }
    }

    /// What the authority saw instead of the answer.
    async fn not_ours(&self, order: &mut Order) -> OrderError {
        let mut reasons = Vec::new();
        let mut authorizations = order.authorizations();
        while let Some(Ok(mut authorization)) = authorizations.next().await {
            let Ok(state) = authorization.refresh().await else {
                continue;
            };
            let problems = state
                .challenges
                .iter()
                .filter_map(|challenge| challenge.error.as_ref());
            reasons.extend(problems.map(|problem| match &problem.detail {
                Some(detail) => detail.clone(),
                None => problem.to_string(),
            }));
        }
        if reasons.is_empty() {
            reasons.push("it gave no reason".to_owned());
        }
        OrderError::NotOurs {
            directory: self.directory.to_owned(),
            reason: reasons.join("; "),
        }
    }
}

impl OrderError {
    /// Whether the account is one that the authority does not have.
    pub(super) fn is_of_the_account(&self) -> bool {
        match self {
            Self::Directory {
                source: Error::Api(problem),
                ..
            } => problem.r#type.as_deref() == Some(NO_SUCH_ACCOUNT),
            _ => false,
        }
    }
}
