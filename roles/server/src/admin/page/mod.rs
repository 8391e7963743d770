//! A page for the browser of an operator: a device is taken into the book by its code (SP 1800-36B appendix D, the gateway in
//! a house). It does nothing that the API does not, and is for those whom the API lets in.

use super::Console;
use axum::{
    Router,
    extract::Request,
    http::{HeaderValue, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
    routing::get,
};
use std::sync::Arc;

/// Nothing from elsewhere, and in no frame of somebody else's.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The page and its parts.
pub(super) fn routes() -> Router<Arc<Console>> {
    Router::new()
        .route("/", get(|| async { part("text/html; charset=utf-8", include_str!("page.html")) }))
        .route("/page.js", get(|| async { part("text/javascript; charset=utf-8", include_str!("page.js")) }))
        .route("/page.css", get(|| async { part("text/css; charset=utf-8", include_str!("page.css")) }))
}

fn part(kind: &'static str, content: &'static str) -> impl IntoResponse {
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    (headers, content)
}

/// A browser shows the operator's certificate to whatever page asks it to come here, so what another site's page asks for is
/// refused (W3C Fetch Metadata: Sec-Fetch-Site). Other programs say nothing of a site.
pub(super) async fn refuse_other_sites(request: Request, next: Next) -> Response {
    let site = request.headers().get("sec-fetch-site").map(HeaderValue::as_bytes);
    match site {
        None | Some(b"same-origin" | b"none") => next.run(request).await,
        Some(_) => (StatusCode::FORBIDDEN, "another site's page has no business here").into_response(),
    }
}
