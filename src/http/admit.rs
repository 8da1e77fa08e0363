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
        let mall = self.visit.app.mall(&self.tenant).await;
        mall.map_err(|error| Problem::from(&*error))
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
        Ok(admit(request).await?)
    }
}

/// Finds mall and key, asks the policy, and holds the query against the API's description.
///
/// # Errors
/// `unknown-mall`, `mall-suspended`, `mall-moving`, `missing-key`, `unknown-key`, `not-allowed`,
/// `unknown-parameter`, `database-unavailable`.
pub async fn admit<A: Action>(request: &Request) -> Result<Caller<A>, Problem> {
    let visit = Visit::of(request).ok_or_else(|| Problem::of(&codes::INTERNAL_ERROR))?;
    let tenant = tenant::of(&visit.app, request).await?;
    Span::current().record("tenant.id", tracing::field::display(tenant.id));
    let principal = recognise(&visit.app, &tenant, request).await?;
    Span::current().record("actor", tracing::field::display(principal.actor));
    let grant = visit
        .app
        .policy
        .allow::<A>(&principal)
        .map_err(|_| Problem::of(&codes::NOT_ALLOWED))?;
    if let Some(route) = &visit.route {
        route.check_query(request)?;
    }
    Ok(Caller {
        grant,
        tenant,
        visit,
    })
}

/// Who shows the key of this request.
async fn recognise(app: &App, tenant: &Tenant, request: &Request) -> Result<Principal, Problem> {
    let presented = bearer(request)
        .ok_or_else(|| challenge(Problem::of(&codes::MISSING_KEY), "Bearer realm=\"rotunda\""))?;
    let grant = app
        .policy
        .allow::<Authenticate>(&Principal::anonymous(tenant.id))
        .map_err(|_| Problem::of(&codes::NOT_ALLOWED))?;
    let known = app.principal_of(&grant, tenant.id, presented).await;
    known.map_err(|error| match &*error {
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
