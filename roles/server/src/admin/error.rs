//! What the admin API says when the answer is no.

use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use landfall_store::{CommitError, ReadError};
use serde::{Deserialize, Serialize};
use std::fmt;

/// An error of the admin API: a status, and a body that says what is wrong and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiError {
    /// The status: 404 not found, 409 not in this state, 422 not understood, 503 that role does not run here.
    pub status: StatusCode,
    /// The body.
    pub body: Problem,
}

/// The body of an error.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Problem {
    /// What is wrong, in words.
    pub error: String,
}

impl ApiError {
    /// An error with that status.
    pub fn new(status: StatusCode, error: impl fmt::Display) -> Self {
        Self { status, body: Problem { error: error.to_string() } }
    }

    /// There is no such thing.
    pub fn not_found(what: impl fmt::Display) -> Self {
        Self::new(StatusCode::NOT_FOUND, format_args!("there is no {what}"))
    }

    /// It exists, and its state does not allow that.
    pub fn conflict(why: impl fmt::Display) -> Self {
        Self::new(StatusCode::CONFLICT, why)
    }

    /// The request says something that cannot be meant.
    pub fn invalid(why: impl fmt::Display) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, why)
    }

    /// The role that could answer does not run in this server.
    pub fn no_role(role: crate::RoleName) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, format_args!("the role {role} does not run in this server"))
    }

    /// Another server that was needed did not answer as it should.
    pub fn upstream(why: impl fmt::Display) -> Self {
        Self::new(StatusCode::BAD_GATEWAY, why)
    }

    /// Something on our side failed.
    pub fn internal(why: impl fmt::Display) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, why)
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        (self.status, Json(self.body)).into_response()
    }
}

impl From<ReadError> for ApiError {
    fn from(why: ReadError) -> Self {
        Self::internal(why)
    }
}

impl From<landfall_types::record::Unwritable> for ApiError {
    fn from(why: landfall_types::record::Unwritable) -> Self {
        Self::internal(why)
    }
}

impl From<CommitError> for ApiError {
    fn from(why: CommitError) -> Self {
        match why.is_conflict() {
            true => Self::conflict(why),
            false => Self::internal(why),
        }
    }
}
