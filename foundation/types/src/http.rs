//! HTTP as data: a core takes and gives these, so HTTPS, CoAPS and a simulator can share it.

/// A request method; the protocols here need no other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Read.
    Get,
    /// Send.
    Post,
    /// Change a part (RFC 5789). No core asks for it, so each answers with 405.
    Patch,
    /// Anything else, which every core answers with 405.
    Other,
}

/// Header fields, in order, with names in lower case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers(Vec<(String, String)>);

impl Headers {
    /// The first value of `name` (any case).
    pub fn first(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// Every value of `name` (any case).
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// Adds a field.
    pub fn add(&mut self, name: &str, value: impl Into<String>) {
        self.0.push((name.to_ascii_lowercase(), value.into()));
    }

    /// All fields.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

/// A request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// What to do.
    pub method: Method,
    /// The path, without host and query: `/.well-known/brski/requestvoucher`.
    pub path: String,
    /// Header fields.
    pub headers: Headers,
    /// The body.
    pub body: Vec<u8>,
}

impl Request {
    /// A GET of `path`.
    pub fn get(path: &str) -> Self {
        Self { method: Method::Get, path: path.into(), headers: Headers::default(), body: Vec::new() }
    }

    /// A POST of `body` to `path`.
    pub fn post(path: &str, content_type: &str, body: Vec<u8>) -> Self {
        let mut headers = Headers::default();
        headers.add("content-type", content_type);
        Self { method: Method::Post, path: path.into(), headers, body }
    }

    /// A PATCH of `path` by `body`.
    pub fn patch(path: &str, content_type: &str, body: Vec<u8>) -> Self {
        Self { method: Method::Patch, ..Self::post(path, content_type, body) }
    }

    /// The same with an `Accept` field.
    #[must_use]
    pub fn accept(mut self, media_type: &str) -> Self {
        self.headers.add("accept", media_type);
        self
    }
}

/// A response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// Header fields.
    pub headers: Headers,
    /// The body.
    pub body: Vec<u8>,
}

impl Response {
    /// A response without a body.
    pub fn new(status: u16) -> Self {
        Self { status, headers: Headers::default(), body: Vec::new() }
    }

    /// A response with a body.
    pub fn with(status: u16, content_type: &str, body: Vec<u8>) -> Self {
        let mut response = Self::new(status);
        response.headers.add("content-type", content_type);
        response.body = body;
        response
    }

    /// A short message for people, as RFC 8995 s5.6 and RFC 8951 s5 ask of errors: text/plain in UTF-8.
    pub fn text(status: u16, message: &str) -> Self {
        Self::with(status, "text/plain; charset=utf-8", message.as_bytes().to_vec())
    }

    /// The same with another header field.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.add(name, value);
        self
    }
}

/// The media type of a header value, in lower case and without its parameters (RFC 9110 s8.3.1).
pub fn essence(content_type: &str) -> String {
    content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// Whether `offered` satisfies an `Accept` list (RFC 9110 s12.5.1); an absent list accepts everything.
pub fn accepts(headers: &Headers, offered: &str) -> bool {
    let offered = essence(offered);
    let family = offered.split('/').next().unwrap_or_default();
    let mut asked = false;
    for range in headers.all("accept").flat_map(|value| value.split(',')) {
        asked = true;
        let refused = range.split(';').skip(1).any(|parameter| {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            name.trim().eq_ignore_ascii_case("q") && value.trim().parse::<f32>().is_ok_and(|q| q == 0.0)
        });
        let range = essence(range);
        let matches = range == "*/*" || range == offered || range.strip_suffix("/*") == Some(family);
        if matches && !refused {
            return true;
        }
    }
    !asked
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accept(list: &str) -> Headers {
        Request::get("/").accept(list).headers
    }

    #[test]
    fn accept_lists() {
        let voucher = "application/voucher-cms+json";
        assert!(accepts(&Headers::default(), voucher));
        assert!(accepts(&accept("application/voucher-cms+json"), voucher));
        assert!(accepts(&accept("text/html, application/*;q=0.5"), voucher));
        assert!(accepts(&accept("*/*"), voucher));
        assert!(!accepts(&accept("application/voucher-jws+json"), voucher));
        assert!(!accepts(&accept("application/voucher-cms+json;q=0"), voucher));
    }
}
