//! From a key, or a session's token, in a header to the right to do one thing.

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

use super::{
    codes, origin,
    problem::{Permission, Problem},
    tenant,
    visit::Visit,
};
use crate::{
    app::{App, Mall},
    authz::{
        action::{Action, Authenticate, SignIn},
        actor::{Actor, Principal, Whence},
        grant::Grant,
    },
    db::{Db, tenants::Tenant},
    identity::{IdentityError, Presence, Recognised, Seen, signin::Origin},
    kernel::{ids::MemberSessionId, text::Language},
    merchants::onboarding::{OnboardingError, news},
    texts::text,
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
    /// The key or token that was shown.
    presented: SecretString,
    /// The session, where it is no machine's.
    presence: Option<Presence>,
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
        let known = recognised(app, &self.tenant, revision, &self.presented).await?;
        let grant = allow::<A>(app, &known.principal)?;
        let (now, then) = (&grant, &self.grant);
        let same = now.actor() == then.actor()
            && now.reach() == then.reach()
            && now.stores() == then.stores();
        if !same {
            return Err(Problem::of(&codes::NOT_ALLOWED));
        }
        self.mall_at(revision).await
    }

    /// Says that what requests are admitted by was changed here, so that this server looks again at
    /// once.
    pub async fn changed(&self) {
        self.visit.app.is_stale(self.tenant.id, self.revision).await;
    }

    /// The session of whoever works here and asks.
    ///
    /// # Errors
    /// `not-allowed` for a machine and for a member.
    pub fn session(&self) -> Result<Seen, Problem> {
        match self.presence {
            Some(Presence::Staff(seen)) => Ok(seen),
            _ => Err(Problem::of(&codes::NOT_ALLOWED)),
        }
    }

    /// The session of the member who asks.
    ///
    /// # Errors
    /// `not-allowed` for anybody else.
    pub fn membership(&self) -> Result<MemberSessionId, Problem> {
        match self.presence {
            Some(Presence::Member { id, .. }) => Ok(id),
            _ => Err(Problem::of(&codes::NOT_ALLOWED)),
        }
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
                description: Some(
                    "A key of this mall, the token of somebody's session, of a member's, or the one of an \
                     application's link: `Authorization: Bearer rk_live_…`, `… rs_…`, `… rm_…`, `… ra_…`.",
                ),
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
    // Nothing of what a lane does is audited: what a till does is in the ledger, with its actor.
    let whence = if checked {
        origin::whence(request, &visit)
    } else {
        Arc::default()
    };
    let caller = admit_with(visit, tenant, revision, presented, whence).await?;
    if let Some(route) = &caller.visit.route {
        route.check_query(request)?;
    }
    Ok(caller)
}

/// Whoever shows this, where the policy lets them do `A`.
async fn admit_with<A: Action>(
    visit: Arc<Visit>,
    tenant: Arc<Tenant>,
    revision: i64,
    presented: SecretString,
    whence: Arc<Whence>,
) -> Result<Caller<A>, Problem> {
    let app = &visit.app;
    let Recognised {
        principal,
        presence,
    } = recognised(app, &tenant, revision, &presented).await?;
    let principal = principal.coming(whence);
    Span::current().record("actor", tracing::field::display(principal.actor));
    let limited = presence.is_some_and(|one| one.is_limited());
    let grant = match allow(app, &principal) {
        Err(_) if limited => return Err(Problem::of(&codes::SECOND_FACTOR_NEEDED)),
        other => other?,
    };
    Ok(Caller {
        grant,
        tenant,
        visit,
        revision,
        presented,
        presence,
    })
}

/// Whoever shows this token of a session beside a request that names no key: for pages, which keep it
/// in a cookie.
///
/// # Errors
/// As [`admit`].
pub async fn admit_session<A: Action>(
    request: &Request,
    token: SecretString,
) -> Result<Caller<A>, Problem> {
    let visit = Visit::of(request).ok_or_else(|| Problem::of(&codes::INTERNAL_ERROR))?;
    let tenant = tenant::of(&visit.app, request).await?;
    Span::current().record("tenant.id", tracing::field::display(tenant.id));
    let revision = revision(&visit.app, &tenant, true).await?;
    let whence = origin::whence(request, &visit);
    admit_with(visit, tenant, revision, token, whence).await
}

/// Somebody of whom nothing is known yet, at the door of one mall: for coming in.
#[derive(Debug)]
pub struct Stranger {
    /// The right to try.
    pub grant: Grant<SignIn>,
    /// The mall.
    pub tenant: Arc<Tenant>,
    /// The request.
    pub visit: Arc<Visit>,
    /// From where it comes.
    pub origin: Origin,
}

impl Stranger {
    /// Of a request.
    ///
    /// # Errors
    /// `unknown-mall`, `mall-suspended`, `mall-moving`, `unknown-parameter`, `database-unavailable`.
    pub async fn of(request: &Request) -> Result<Self, Problem> {
        let visit = Visit::of(request).ok_or_else(|| Problem::of(&codes::INTERNAL_ERROR))?;
        let tenant = tenant::of(&visit.app, request).await?;
        Span::current().record("tenant.id", tracing::field::display(tenant.id));
        let nobody = Principal::anonymous(tenant.id).coming(origin::whence(request, &visit));
        let grant = allow::<SignIn>(&visit.app, &nobody)?;
        if let Some(route) = &visit.route {
            route.check_query(request)?;
        }
        Ok(Self {
            grant,
            tenant,
            origin: origin::of(request, visit.app.config.behind_proxy),
            visit,
        })
    }

    /// The application.
    pub fn app(&self) -> &App {
        &self.visit.app
    }

    /// The right to something else that anybody may do.
    ///
    /// # Errors
    /// `not-allowed`.
    pub fn may<A: Action>(&self) -> Result<Grant<A>, Problem> {
        allow(self.app(), &Principal::anonymous(self.tenant.id))
    }
}

impl<'a> ApiExtractor<'a> for Stranger {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::PoemExtractor];
    type ParamType = ();
    type ParamRawType = ();

    async fn from_request(
        request: &'a Request,
        _body: &mut RequestBody,
        _options: ExtractParamOptions<()>,
    ) -> poem::Result<Self> {
        Ok(Self::of(request).await?)
    }
}

async fn revision(app: &App, tenant: &Tenant, checked: bool) -> Result<i64, Problem> {
    let revision = app.revision(tenant.id, checked).await;
    revision.map_err(|error| Problem::from(&*error))
}

fn allow<A: Action>(app: &App, principal: &Principal) -> Result<Grant<A>, Problem> {
    let allowed = app.policy.allow(principal);
    allowed.map_err(|_| missing::<A>(app, principal))
}

/// Says which permission is missing, in words, and which roles have and give it: roles alone, because
/// not everybody may see who works here.
fn missing<A: Action>(app: &App, principal: &Principal) -> Problem {
    let roles = principal.roles();
    let (own, action) = (&principal.own, (A::OBJECT, A::ACT));
    let lacks = app.policy.missing(own, roles, principal.scope, action);
    let words = text(
        Language::En,
        &format!("right-{}-{}", lacks.object, lacks.act),
    );
    let narrowed = principal.stores.named().is_some() && !A::BY_STORE;
    let whose = match (lacks.held_by.as_slice(), lacks.given_by.as_slice()) {
        _ if narrowed => "Nobody who is narrowed to stores has it.".to_owned(),
        ([], _) => "No role of this kind has it.".to_owned(),
        (held, []) => format!("Roles that have it: {}.", held.join(", ")),
        (held, given) => format!(
            "Roles that have it: {}. Ask somebody in the role {} to give you one.",
            held.join(", "),
            given.join(" or ")
        ),
    };
    let detail = format!(
        "This takes the permission `{} {}` ({words}). {whose}",
        lacks.object, lacks.act
    );
    Problem::new(&codes::NOT_ALLOWED, detail).permission(Permission {
        object: lacks.object,
        action: lacks.act,
        held_by: lacks.held_by,
        given_by: lacks.given_by,
    })
}

/// Who shows this key or token.
async fn recognised(
    app: &App,
    tenant: &Tenant,
    revision: i64,
    presented: &SecretString,
) -> Result<Recognised, Problem> {
    let grant = allow::<Authenticate>(app, &Principal::anonymous(tenant.id))?;
    let unknown = || {
        challenge(
            Problem::of(&codes::UNKNOWN_KEY),
            "Bearer realm=\"rotunda\", error=\"invalid_token\"",
        )
    };
    if news::has_form(presented.expose_secret()) {
        let mut tx = app.db.read(&grant).await?;
        let known = news::authenticate(&mut tx, &grant, presented).await;
        return match known {
            Ok(principal) => Ok(Recognised {
                principal,
                presence: None,
            }),
            Err(OnboardingError::Db(error)) => Err(Problem::from(&error)),
            Err(_) => Err(unknown()),
        };
    }
    let presented = presented.expose_secret();
    let known = app.principal_of(&grant, tenant.id, revision, presented);
    known.await.map_err(|error| match &*error {
        IdentityError::Db(error) => Problem::from(error),
        IdentityError::Policy(_) => Problem::of(&codes::INTERNAL_ERROR),
        _ => unknown(),
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
