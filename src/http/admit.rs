//! From a key in a header to the right to do one thing.

use std::sync::Arc;

use poem::{
    Request, RequestBody,
    http::{HeaderValue, header},
};
use poem_openapi::{
    ApiExtractor, ApiExtractorType, ExtractParamOptions,
    registry::{MetaSecurityScheme, Registry},
};
use secrecy::{ExposeSecret, SecretString};
use tracing::Span;

use super::{codes, problem::Problem, tenant, visit::Visit};
use crate::{
    app::{App, Mall},
    authz::{
        action::{Action, Authenticate},
        actor::{Actor, Principal},
        grant::Grant,
    },
    db::{Db, tenants::Tenant},
    identity::IdentityError,
};

/// The name of the security scheme in the API's description.
const SCHEME: &str = "ApiKey";

/// Somebody who may do `A` in one mall. The first argument of every operation.
#[derive(Debug)]
pub struct Caller<A: Action> {
    /// The right.
    pub grant: Grant<A>,
    /// The mall.
    pub tenant: Arc<Tenant>,
    /// The request.
    pub visit: Arc<Visit>,
    /// The revision of the mall's settings by which it was admitted.
    revision: i64,
    /// The key that was shown.
    presented: SecretString,
}

impl<A: Action> Caller<A> {
    /// The application.
    pub fn app(&self) -> &App {
        &self.visit.app
    }

    /// The database.
    pub fn db(&self) -> &Db {
        &self.visit.app.db
    }

    /// The mall with its programme.
    ///
    /// # Errors
    /// `database-unavailable`.
    pub async fn mall(&self) -> Result<Arc<Mall>, Problem> {
        self.mall_at(self.revision).await
    }

    async fn mall_at(&self, revision: i64) -> Result<Arc<Mall>, Problem> {
        let mall = self.visit.app.mall(&self.tenant, revision).await;
        mall.map_err(|error| Problem::from(&*error))
    }

    /// The mall as it is now, after what was remembered of it at `stale` proved to be that, if this
    /// key still opens it in the same way.
    ///
    /// # Errors
    /// `unknown-key`, `not-allowed`, `database-unavailable`.
    pub async fn mall_now(&self, stale: i64) -> Result<Arc<Mall>, Problem> {
        let app = &self.visit.app;
        app.is_stale(self.tenant.id, stale).await;
        let revision = revision(app, &self.tenant, true).await?;
        let principal = principal(app, &self.tenant, revision, &self.presented).await?;
        let grant = allow::<A>(app, &principal)?;
        if grant.actor() != self.grant.actor() || grant.reach() != self.grant.reach() {
            return Err(Problem::of(&codes::NOT_ALLOWED));
        }
        self.mall_at(revision).await
    }

    /// Who asks.
    pub fn actor(&self) -> Actor {
        self.grant.actor()
    }
}

impl<'a, A: Action> ApiExtractor<'a> for Caller<A> {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::SecurityScheme];
    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        registry.create_security_scheme(
            SCHEME,
            MetaSecurityScheme {
                ty: "http",
                description: Some("A key of this mall: `Authorization: Bearer rk_live_…`."),
                name: None,
                key_in: None,
                scheme: Some("bearer"),
                bearer_format: Some("rk_live_…"),
                flows: None,
                openid_connect_url: None,
            },
        );
    }

    fn security_schemes() -> Vec<&'static str> {
        vec![SCHEME]
    }

    async fn from_request(
        request: &'a Request,
        _body: &mut RequestBody,
        _options: ExtractParamOptions<()>,
    ) -> poem::Result<Self> {
        Ok(admit(request, true).await?)
    }
}

/// The same for what goes through a lane: what this server remembers of mall and key is taken as it
/// was last seen, and the lane's transaction is not opened where it does not hold any more.
#[derive(Debug)]
pub struct Hasty<A: Action>(pub Caller<A>);

impl<'a, A: Action> ApiExtractor<'a> for Hasty<A> {
    const TYPES: &'static [ApiExtractorType] = Caller::<A>::TYPES;
    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        Caller::<A>::register(registry);
    }

    fn security_schemes() -> Vec<&'static str> {
        Caller::<A>::security_schemes()
    }

    async fn from_request(
        request: &'a Request,
        _body: &mut RequestBody,
        _options: ExtractParamOptions<()>,
    ) -> poem::Result<Self> {
        Ok(Self(admit(request, false).await?))
    }
}

/// Finds mall and key, asks the policy, and holds the query against the API's description. If
/// `checked`, by what the mall's settings were a moment ago; else by what they were last.
///
/// # Errors
/// `unknown-mall`, `mall-suspended`, `mall-moving`, `missing-key`, `unknown-key`, `not-allowed`,
/// `unknown-parameter`, `database-unavailable`.
pub async fn admit<A: Action>(request: &Request, checked: bool) -> Result<Caller<A>, Problem> {
    let visit = Visit::of(request).ok_or_else(|| Problem::of(&codes::INTERNAL_ERROR))?;
    let app = &visit.app;
    let tenant = tenant::of(app, request).await?;
    Span::current().record("tenant.id", tracing::field::display(tenant.id));
    let presented = bearer(request)
        .ok_or_else(|| challenge(Problem::of(&codes::MISSING_KEY), "Bearer realm=\"rotunda\""))?;
    let presented = SecretString::from(presented);
    let revision = revision(app, &tenant, checked).await?;
    let principal = principal(app, &tenant, revision, &presented).await?;
    Span::current().record("actor", tracing::field::display(principal.actor));
    let grant = allow(app, &principal)?;
    if let Some(route) = &visit.route {
        route.check_query(request)?;
    }
    Ok(Caller {
        grant,
        tenant,
        visit,
        revision,
        presented,
    })
}

async fn revision(app: &App, tenant: &Tenant, checked: bool) -> Result<i64, Problem> {
    let revision = app.revision(tenant.id, checked).await;
    revision.map_err(|error| Problem::from(&*error))
}

fn allow<A: Action>(app: &App, principal: &Principal) -> Result<Grant<A>, Problem> {
    let allowed = app.policy.allow(principal);
    allowed.map_err(|_| Problem::of(&codes::NOT_ALLOWED))
}

/// Who shows this key.
async fn principal(
    app: &App,
    tenant: &Tenant,
    revision: i64,
    presented: &SecretString,
) -> Result<Principal, Problem> {
    let grant = allow::<Authenticate>(app, &Principal::anonymous(tenant.id))?;
    let presented = presented.expose_secret();
    let known = app.principal_of(&grant, tenant.id, revision, presented);
    known.await.map_err(|error| match &*error {
        IdentityError::Db(error) => Problem::from(error),
        _ => challenge(
            Problem::of(&codes::UNKNOWN_KEY),
            "Bearer realm=\"rotunda\", error=\"invalid_token\"",
        ),
    })
}

fn challenge(problem: Problem, value: &'static str) -> Problem {
    problem.header(header::WWW_AUTHENTICATE, HeaderValue::from_static(value))
}

/// What follows "Bearer" in the one Authorization header.
fn bearer(request: &Request) -> Option<&str> {
    let mut given = request.headers().get_all(header::AUTHORIZATION).iter();
    let (only, None) = (given.next()?, given.next()) else {
        return None;
    };
    let (scheme, key) = only.to_str().ok()?.split_once(' ')?;
    let key = key.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !key.is_empty()).then_some(key)
}
