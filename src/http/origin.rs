//! From where a request comes, in short: enough to count what fails, and for people to know their own
//! sessions again.

use std::{
    net::{IpAddr, Ipv6Addr},
    sync::Arc,
};

use poem::{
    Addr, Request, RequestBody,
    http::{HeaderName, header},
};
use poem_openapi::{ApiExtractor, ApiExtractorType, ExtractParamOptions};

use super::visit::Visit;
use crate::{
    authz::actor::{Door, Whence},
    identity::signin::Origin,
    kernel::text::printable,
};

/// The most letters of what a browser says of itself that are kept.
const LONGEST_AGENT: usize = 200;

/// Where a proxy says who asked it; each adds an address at the end.
static FORWARDED: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Browsers by what they say of themselves; the first that is found, for most name several.
const BROWSERS: [(&str, &str); 8] = [
    ("MicroMessenger/", "WeChat"),
    ("Edg/", "Edge"),
    ("OPR/", "Opera"),
    ("Firefox/", "Firefox"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
    ("curl/", "curl"),
    ("python", "Python"),
];

/// Systems likewise.
const SYSTEMS: [(&str, &str); 7] = [
    ("HarmonyOS", "HarmonyOS"),
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Windows", "Windows"),
    ("Mac OS X", "macOS"),
    ("Linux", "Linux"),
];

/// From where an operation is asked for, in short: an argument of one that keeps it.
#[derive(Debug)]
pub struct FromWhere(pub String);

impl<'a> ApiExtractor<'a> for FromWhere {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::PoemExtractor];
    type ParamType = ();
    type ParamRawType = ();

    async fn from_request(
        request: &'a Request,
        _body: &mut RequestBody,
        _options: ExtractParamOptions<()>,
    ) -> poem::Result<Self> {
        let behind_proxy = Visit::of(request).is_some_and(|visit| visit.app.config.behind_proxy);
        std::future::ready(Ok(Self(of(request, behind_proxy).short()))).await
    }
}

/// From where a request comes. `behind_proxy` says whether the last address of `X-Forwarded-For` is
/// a proxy's word; without one anybody could write it.
pub fn of(request: &Request, behind_proxy: bool) -> Origin {
    Origin {
        address: address(request, behind_proxy).unwrap_or_else(|| "-".to_owned()),
        device: device(agent(request).unwrap_or_default()),
    }
}

/// The same for the audit, which keeps more of the browser, and the request.
pub fn whence(request: &Request, visit: &Visit) -> Arc<Whence> {
    let agent = agent(request).map(|agent| {
        let letters = agent.chars().filter(|letter| printable(*letter));
        letters.take(LONGEST_AGENT).collect()
    });
    let door = match visit.route {
        Some(_) => Door::Api,
        None => Door::Page,
    };
    Arc::new(Whence {
        door,
        address: address(request, visit.app.config.behind_proxy),
        agent,
        request: Some(visit.request_id.clone()),
    })
}

fn agent(request: &Request) -> Option<&str> {
    request.headers().get(header::USER_AGENT)?.to_str().ok()
}

fn address(request: &Request, behind_proxy: bool) -> Option<String> {
    let peer = match &request.remote_addr().0 {
        Addr::SocketAddr(address) => Some(address.ip()),
        _ => None,
    };
    let said = request.headers().get_all(&FORWARDED).iter().next_back();
    let said = said.and_then(|list| list.to_str().ok()?.rsplit(',').next()?.trim().parse().ok());
    let address = if behind_proxy { said.or(peer) } else { peer };
    address.map(household)
}

/// An address, of IPv6 the part that one household has.
fn household(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            format!("{}/64", Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
    }
}

fn device(agent: &str) -> String {
    let find = |table: &[(&str, &'static str)]| {
        let found = table.iter().find(|(part, _)| agent.contains(part));
        found.map(|(_, name)| *name)
    };
    match (find(&BROWSERS), find(&SYSTEMS)) {
        (Some(browser), Some(system)) => format!("{browser}, {system}"),
        (Some(one), None) | (None, Some(one)) => one.to_owned(),
        (None, None) => "-".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use poem::{
        Body, RequestParts,
        http::{self, uri::Scheme},
        web::{LocalAddr, RemoteAddr},
    };

    use super::*;

    fn request(peer: &str, forwarded: &str) -> Request {
        let peer: SocketAddr = peer.parse().unwrap();
        let agent = "Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0";
        let head = http::Request::builder()
            .header("x-forwarded-for", forwarded)
            .header("user-agent", agent);
        let (head, ()) = head.body(()).unwrap().into_parts();
        let (local, remote) = (LocalAddr::default(), RemoteAddr(Addr::SocketAddr(peer)));
        let head = RequestParts::from((head, local, remote, Scheme::HTTP));
        Request::from_parts(head, Body::empty())
    }

    #[test]
    fn what_a_stranger_writes_is_believed_of_a_proxy_alone() {
        let request = request("203.0.113.7:443", "198.51.100.1, 192.0.2.9");
        assert_eq!(of(&request, false).address, "203.0.113.7");
        assert_eq!(of(&request, true).address, "192.0.2.9");
        assert_eq!(of(&request, true).device, "Firefox, Linux");
    }

    #[test]
    fn neighbours_in_one_household_are_one() {
        let at = |text: &str| household(text.parse().unwrap());
        assert_eq!(at("2001:db8:1:2:3:4:5:6"), at("2001:db8:1:2:ffff::1"));
        assert_ne!(at("2001:db8:1:2::1"), at("2001:db8:1:3::1"));
        assert_eq!(at("::ffff:192.0.2.9"), "192.0.2.9");
    }
}
