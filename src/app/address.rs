//! Where people find a mall's pages: by the settings and the registry, never by what a request said.

use std::net::SocketAddr;

use secrecy::{ExposeSecret, SecretString};

use crate::db::tenants::Tenant;

/// A page that a link leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Page {
    /// Where somebody who was invited chooses a password.
    Invitation,
    /// Where somebody who forgot it does.
    Reset,
    /// Where a company's application is.
    Application,
}

impl Page {
    /// Its path.
    pub const fn path(self) -> &'static str {
        match self {
            Self::Invitation => "/invitation",
            Self::Reset => "/password/reset",
            Self::Application => "/apply/application",
        }
    }
}

/// The address of a mall, without a slash at the end: `base_url` where that is one of its hosts, else
/// its first host in the same manner; without a `base_url`, by TLS, or on `listen` of this machine.
pub fn of(base_url: Option<&str>, listen: Option<SocketAddr>, mall: &Tenant) -> String {
    let host = mall.hosts.first().map_or("localhost", String::as_str);
    let Some(base) = base_url else {
        return match listen {
            Some(at) if at.ip().is_loopback() => format!("http://{host}:{}", at.port()),
            _ => format!("https://{host}"),
        };
    };
    let (scheme, authority) = base.split_once("://").unwrap_or(("https", base));
    let (name, port) = match authority.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|digit| digit.is_ascii_digit()) => {
            (name, format!(":{port}"))
        }
        _ => (authority, String::new()),
    };
    if mall.hosts.iter().any(|own| own == name) {
        return base.to_owned();
    }
    format!("{scheme}://{host}{port}")
}

/// The address of a page with a token, which makes it a secret.
pub fn link(
    base_url: Option<&str>,
    listen: Option<SocketAddr>,
    mall: &Tenant,
    page: Page,
    token: &SecretString,
) -> String {
    let (start, path) = (of(base_url, listen, mall), page.path());
    format!("{start}{path}?token={}", token.expose_secret())
}
