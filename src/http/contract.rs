//! What the API's description promises, kept where requests come in: which addresses there are,
//! which methods and parameters they take, and what a body must look like. Requests are held
//! against the description itself, so that it cannot say one thing and the server do another.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use poem::{
    Request,
    http::{HeaderValue, Method},
};
use serde_json::Value;

use super::{
    codes,
    problem::{Fault, Problem},
    schema::{Schemas, describe},
};

/// One parameter of an operation.
#[derive(Debug, Clone)]
struct Parameter {
    name: String,
    place: String,
    schema: Value,
}

/// One operation: a method at an address.
#[derive(Debug)]
pub struct Route {
    /// The address with its parameters in braces, for logs and figures.
    pub template: String,
    method: Method,
    parameters: Vec<Parameter>,
    body: Option<Value>,
    schemas: Arc<Schemas>,
}

/// Every operation of the API.
#[derive(Debug, Default)]
pub struct Contract {
    routes: Vec<Arc<Route>>,
    /// The routes that a path can mean, by their [`branch`], in the order of the document.
    branches: HashMap<String, Vec<Arc<Route>>>,
}

impl Contract {
    /// From the OpenAPI document, as it is published.
    pub fn new(document: &Value) -> Self {
        let schemas = Arc::new(Schemas::new(document));
        let mut routes = Vec::new();
        let paths = document.get("paths").and_then(Value::as_object);
        for (template, item) in paths.into_iter().flatten() {
            for (method, operation) in item.as_object().into_iter().flatten() {
                let Ok(method) = method.to_ascii_uppercase().parse() else {
                    continue;
                };
                let body = operation.pointer("/requestBody/content/application~1json/schema");
                routes.push(Arc::new(Route {
                    template: template.clone(),
                    method,
                    parameters: parameters(operation),
                    body: body.cloned(),
                    schemas: Arc::clone(&schemas),
                }));
            }
        }
        let mut branches: HashMap<String, Vec<Arc<Route>>> = HashMap::new();
        for route in &routes {
            let branch = branches.entry(branch(&route.template).to_owned());
            branch.or_default().push(Arc::clone(route));
        }
        Self { routes, branches }
    }

    /// The operation that a request means.
    pub fn find(&self, method: &Method, path: &str) -> Option<&Arc<Route>> {
        let method = match *method {
            Method::HEAD => &Method::GET,
            _ => method,
        };
        let template = self.template(path)?;
        let mut routes = self.branches.get(branch(path))?.iter();
        routes.find(|route| route.method == *method && route.template == template)
    }

    /// The address that a path means. Where two have its form, the one without a parameter at the
    /// first place in which they differ: the document lists it first, as `{` comes after letters.
    fn template(&self, path: &str) -> Option<&str> {
        let routes = self.branches.get(branch(path))?.iter();
        let mut templates = routes.map(|route| route.template.as_str());
        templates.find(|template| matches(template, path))
    }

    /// The methods that an address takes, for the header Allow.
    pub fn allow(&self, path: &str) -> HeaderValue {
        let template = self.template(path);
        let mut methods: BTreeSet<&str> = self
            .routes
            .iter()
            .filter(|route| Some(route.template.as_str()) == template)
            .map(|route| route.method.as_str())
            .collect();
        // What is not in the document (health, descriptions) is for reading only.
        if methods.is_empty() || methods.contains("GET") {
            methods.extend(["GET", "HEAD"]);
        }
        let methods = methods.into_iter().collect::<Vec<_>>().join(", ");
        HeaderValue::try_from(methods).unwrap_or(HeaderValue::from_static("GET"))
    }
}

impl Route {
    /// The name of a parameter in the path, by its place.
    pub fn path_parameter(&self, place: usize) -> Option<&str> {
        let mut names = self
            .template
            .split('/')
            .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
        names.nth(place)
    }

    /// What a parameter may be, in words.
    pub fn expected(&self, name: &str) -> Option<String> {
        let found = self
            .parameters
            .iter()
            .find(|parameter| parameter.name.eq_ignore_ascii_case(name))?;
        Some(describe(&found.schema))
    }

    /// Refuses a query with parameters that the operation does not take, or one twice.
    ///
    /// # Errors
    /// `unknown-parameter`, `repeated-parameter`.
    pub fn check_query(&self, request: &Request) -> Result<(), Problem> {
        let given: Vec<(String, String)> = request.params().unwrap_or_default();
        let mut seen = BTreeSet::new();
        for (name, _) in &given {
            let known = self
                .parameters
                .iter()
                .any(|parameter| parameter.place == "query" && parameter.name == *name);
            if !known {
                let problem = Problem::of(&codes::UNKNOWN_PARAMETER);
                return Err(problem.param(shortened(name)));
            }
            if !seen.insert(name) {
                return Err(Problem::of(&codes::REPEATED_PARAMETER).param(name));
            }
        }
        Ok(())
    }

    /// What is wrong with a body; empty where nothing is.
    pub fn check_body(&self, body: &Value) -> Vec<Fault> {
        self.body
            .as_ref()
            .map_or_else(Vec::new, |schema| self.schemas.check(schema, body))
    }
}

fn parameters(operation: &Value) -> Vec<Parameter> {
    let given = operation.get("parameters").and_then(Value::as_array);
    let text = |value: &Value, name: &str| Some(value.get(name)?.as_str()?.to_owned());
    given
        .into_iter()
        .flatten()
        .filter_map(|parameter| {
            Some(Parameter {
                name: text(parameter, "name")?,
                place: text(parameter, "in")?,
                schema: parameter.get("schema")?.clone(),
            })
        })
        .collect()
}

/// How a path begins, up to its third slash: `/v1/purchases` of `/v1/purchases/{purchase_id}`. No
/// template has a parameter there, so that this is the same for a template and for what it means.
fn branch(path: &str) -> &str {
    let third = path.match_indices('/').nth(2);
    third
        .and_then(|(place, _)| path.get(..place))
        .unwrap_or(path)
}

/// Whether a path has a template's form.
fn matches(template: &str, path: &str) -> bool {
    let mut parts = path.split('/');
    let fits = template.split('/').all(|wanted| {
        parts
            .next()
            .is_some_and(|part| part == wanted || (wanted.starts_with('{') && !part.is_empty()))
    });
    fits && parts.next().is_none()
}

/// A name that a stranger chose, cut to a length that an answer can carry.
fn shortened(name: &str) -> String {
    name.chars()
        .filter(|letter| !letter.is_control())
        .take(64)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn contract() -> Contract {
        let limit = json!({"name": "limit", "in": "query",
                           "schema": {"type": "integer", "minimum": 1, "maximum": 100}});
        Contract::new(&json!({"paths": {
            "/v1/keys": {"get": {"parameters": [limit]}, "post": {}},
            "/v1/keys/search": {"post": {}},
            "/v1/keys/{key_id}": {"get": {}},
            "/v1/keys/{key_id}/revocation": {"post": {}},
        }}))
    }

    #[test]
    fn addresses_know_their_methods_and_their_parameters_names() {
        let contract = contract();
        assert_eq!(contract.allow("/v1/keys"), "GET, HEAD, POST");
        assert_eq!(contract.allow("/v1/keys/x/revocation"), "POST");
        assert_eq!(contract.allow("/healthz"), "GET, HEAD");
        assert_eq!(contract.allow("/v1/keys/x"), "GET, HEAD");
        assert_eq!(contract.allow("/v1/keys/search"), "POST");
        assert!(contract.find(&Method::GET, "/v1/keys/search").is_none());
        let route = contract
            .find(&Method::POST, "/v1/keys/x/revocation")
            .unwrap();
        assert_eq!(route.path_parameter(0), Some("key_id"));
        assert!(contract.find(&Method::POST, "/v1/keys/").is_none());
        assert!(
            contract
                .find(&Method::POST, "/v1/keys//revocation")
                .is_none()
        );
        let list = contract.find(&Method::HEAD, "/v1/keys").unwrap();
        assert_eq!(
            list.expected("limit").as_deref(),
            Some("a whole number from 1 to 100")
        );
    }

    #[test]
    fn a_misspelt_and_a_repeated_parameter_are_refused() {
        let contract = contract();
        let route = contract.find(&Method::GET, "/v1/keys").unwrap();
        let ask = |uri: &'static str| {
            let request = Request::builder().uri_str(uri).finish();
            route
                .check_query(&request)
                .map_err(|problem| problem.kind().code)
        };
        assert_eq!(ask("/v1/keys?limit=3"), Ok(()));
        assert_eq!(ask("/v1/keys?limt=3"), Err("unknown-parameter"));
        assert_eq!(ask("/v1/keys?limit=3&limit=4"), Err("repeated-parameter"));
    }
}
