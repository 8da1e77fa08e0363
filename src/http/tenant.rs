//! Which mall is meant: the Host header says it.

use std::sync::Arc;

use poem::{Request, http::header};

use super::{codes, problem::Problem};
use crate::{
    app::App,
    db::tenants::{Status, Tenant},
};

/// The longest host that can be one.
const LONGEST: usize = 253;

/// The mall that a request means.
///
/// # Errors
/// `host-missing`, `unknown-mall`, `mall-suspended`, `mall-moving`, `database-unavailable`.
pub async fn of(app: &App, request: &Request) -> Result<Arc<Tenant>, Problem> {
    let host = host_of(request)?;
    let found = app.tenant_of_host(&host).await;
    let tenant = found
        .map_err(|error| Problem::from(&*error))?
        .ok_or_else(|| Problem::of(&codes::UNKNOWN_MALL))?;
    match tenant.status {
        Status::Active => Ok(tenant),
        Status::Opening | Status::Suspended | Status::Arriving | Status::Leaving | Status::Gone => {
            Err(Problem::of(&codes::MALL_SUSPENDED).retry_after(60))
        }
        Status::Moving => Err(Problem::of(&codes::MALL_MOVING).retry_after(2)),
    }
}

/// The host without port and final dot, in lower case.
fn host_of(request: &Request) -> Result<String, Problem> {
    let missing = || Problem::of(&codes::HOST_MISSING);
    // An absolute address in the request's first line goes before the header (RFC 9112, 3.2.2).
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let header = hosts.next().and_then(|host| host.to_str().ok());
    let header = header.filter(|_| hosts.next().is_none());
    let authority = request.original_uri().authority();
    let named = authority.map(poem::http::uri::Authority::as_str).or(header);
    let named = named.ok_or_else(missing)?;
    let host = without_port(named.trim())
        .trim_end_matches('.')
        .to_ascii_lowercase();
    match host.len() {
        0 => Err(missing()),
        1..=LONGEST => Ok(host),
        _ => Err(Problem::of(&codes::UNKNOWN_MALL)),
    }
}

fn without_port(host: &str) -> &str {
    // An IPv6 address keeps its colons within brackets.
    let after_address = host.find(']').unwrap_or(0);
    match host.rfind(':') {
        Some(colon) if colon >= after_address => host.get(..colon).unwrap_or(host),
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_compared_without_port_case_and_final_dot() {
        for (header, host) in [
            ("Demo.localhost:8080", "demo.localhost"),
            ("demo.localhost.", "demo.localhost"),
            ("127.0.0.1", "127.0.0.1"),
            ("[::1]:8080", "[::1]"),
            ("[::1]", "[::1]"),
        ] {
            let request = Request::builder().header("host", header).finish();
            assert_eq!(host_of(&request).unwrap(), host);
        }
        let none = Request::builder().finish();
        assert_eq!(host_of(&none).unwrap_err().kind(), &codes::HOST_MISSING);
        let two = Request::builder()
            .header("host", "a")
            .header("host", "b")
            .finish();
        assert_eq!(host_of(&two).unwrap_err().kind(), &codes::HOST_MISSING);
    }
}
