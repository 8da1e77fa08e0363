//! The API's description and a reader for it, both from this server alone.

use std::{io::Write, sync::Arc};

use flate2::{Compression, write::GzEncoder};
use poem::{
    Request, Response, Route,
    endpoint::make_sync,
    get,
    http::{HeaderName, header},
};

/// The reader is one page with its script and style inside, so that it may load nothing else.
const POLICY: &str = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; \
                      img-src 'self' data:; connect-src 'self'; frame-ancestors 'none'; \
                      base-uri 'none'; form-action 'none'";

/// What the reader's page lacks: the width of a phone, and the dark that a reader may prefer. Turned
/// light and back in hue, its colours keep their meaning.
const HEAD: &str = "\
<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
<meta name=\"color-scheme\" content=\"light dark\">\n\
<style>@media (prefers-color-scheme: dark) {
  html { background: #16181d }
  #ui { filter: invert(0.9) hue-rotate(180deg) }
}</style>\n";

static VARY: HeaderName = header::VARY;

/// The reader's page, plain and compressed.
pub struct Page {
    plain: Arc<str>,
    small: Arc<[u8]>,
}

/// The reader for the document as it is published, from the reader for the raw one.
pub fn page(html: &str, raw: &str, published: &str) -> Page {
    let html = html
        .replace(raw, published.trim_end())
        .replace("<title>Swagger UI</title>", "<title>Rotunda API</title>")
        .replace(
            "<html charset=\"UTF-8\">",
            "<!doctype html>\n<html lang=\"en\">",
        )
        // The first of the page; scripts hold the word too.
        .replacen("<head>", &format!("<head>\n{HEAD}"), 1);
    let mut small = GzEncoder::new(Vec::new(), Compression::best());
    // Writing to memory does not fail; where it did, the page would go out plain.
    let written = small
        .write_all(html.as_bytes())
        .and_then(|()| small.finish());
    Page {
        small: Arc::from(written.unwrap_or_default()),
        plain: Arc::from(html),
    }
}

/// `/openapi.json` and `/docs`, added to `route`.
pub fn routes(route: Route, page: Page, document: Arc<str>) -> Route {
    let document = make_sync(move |_| {
        Response::builder()
            .content_type("application/json")
            .header(header::CACHE_CONTROL, "no-cache")
            .body(document.to_string())
    });
    route.at("/openapi.json", get(document)).at(
        "/docs",
        get(make_sync(move |request| show(&page, &request))),
    )
}

fn show(page: &Page, request: &Request) -> Response {
    let accepted = request.header("accept-encoding").unwrap_or_default();
    let small = accepted.contains("gzip") && !page.small.is_empty();
    let response = Response::builder()
        .content_type("text/html; charset=utf-8")
        .header(header::CONTENT_SECURITY_POLICY, POLICY)
        .header(header::CACHE_CONTROL, "no-cache")
        .header(VARY.clone(), "accept-encoding");
    if small {
        response
            .header(header::CONTENT_ENCODING, "gzip")
            .body(page.small.to_vec())
    } else {
        response.body(page.plain.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api;

    #[test]
    fn what_is_put_into_the_reader_stands_before_its_scripts() {
        let service = api::service();
        let page = page(
            &service.swagger_ui_html(),
            &service.spec(),
            &api::document(),
        );
        let (before, _) = page.plain.split_once("<script").unwrap();
        assert!(before.contains(HEAD) && before.starts_with("\n<!doctype html>"));
        assert_eq!(
            page.plain
                .matches("name=\"viewport\" content=\"width")
                .count(),
            1
        );
    }
}
