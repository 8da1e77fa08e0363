//! The door for machines: `/v1`, its description and the reader for it.
//!
//! Operations stand in files by audience. To add one: write it in its file, add the file's struct
//! to [`Operations`], and look at the document's difference.

#[macro_use]
mod words;

mod account;
mod applicant;
mod docs;
mod document;
mod joining;
mod member;
mod membership;
mod operator;
mod own;
mod pos;
mod webhooks;

use std::sync::Arc;

use poem::{Endpoint, EndpointExt, Response, Route};
use poem_openapi::{LicenseObject, OpenApiService, Tags};

use crate::{
    app::App,
    http::{contract::Contract, health, porch::Porch},
};

/// Everything that `/v1` can do, by audience.
type Operations = (
    OperatorOperations,
    TillOperations,
    (
        member::Redemptions,
        (membership::Membership, own::Own),
        operator::staff::Staff,
        operator::roles::Roles,
        operator::role_changes::RoleChanges,
        account::Account,
        applicant::Applicant,
        operator::adjustments::Adjustments,
    ),
);

type OperatorOperations = (
    operator::keys::Keys,
    MerchantOperations,
    operator::goods::Goods,
    operator::settlements::Settlements,
    operator::agreements::Agreements,
    operator::statements::Statements,
    operator::documents::Documents,
    operator::disputes::Disputes,
    operator::payments::Payments,
    operator::stripe::Stripe,
    operator::credit::Credit,
    operator::liability::Liability,
    operator::messages::Messages,
    operator::books::Books,
    operator::isolation::Isolation,
);

type MerchantOperations = (
    operator::merchants::Merchants,
    operator::applications::Applications,
    operator::contacts::Contacts,
    operator::earn_rates::EarnRates,
    operator::stores::Stores,
    operator::audit::Audit,
);

type TillOperations = (
    pos::members::Members,
    pos::wallets::Wallets,
    pos::purchases::Purchases,
    pos::refunds::Refunds,
    pos::spends::Spends,
    pos::claims::Claims,
    pos::batches::Batches,
);

fn operations() -> Operations {
    let merchants = (
        operator::merchants::Merchants,
        operator::applications::Applications,
        operator::contacts::Contacts,
        operator::earn_rates::EarnRates,
        operator::stores::Stores,
        operator::audit::Audit,
    );
    let operator = (
        operator::keys::Keys,
        merchants,
        operator::goods::Goods,
        operator::settlements::Settlements,
        operator::agreements::Agreements,
        operator::statements::Statements,
        operator::documents::Documents,
        operator::disputes::Disputes,
        operator::payments::Payments,
        operator::stripe::Stripe,
        operator::credit::Credit,
        operator::liability::Liability,
        operator::messages::Messages,
        operator::books::Books,
        operator::isolation::Isolation,
    );
    let till = (
        pos::members::Members,
        pos::wallets::Wallets,
        pos::purchases::Purchases::default(),
        pos::refunds::Refunds::default(),
        pos::spends::Spends::default(),
        pos::claims::Claims,
        pos::batches::Batches,
    );
    let people = (
        member::Redemptions,
        (membership::Membership, own::Own),
        operator::staff::Staff,
        operator::roles::Roles,
        operator::role_changes::RoleChanges,
        account::Account,
        applicant::Applicant,
        operator::adjustments::Adjustments,
    );
    (operator, till, people)
}

/// Whom an operation is for.
#[derive(Debug, Tags)]
enum Group {
    /// For the mall's operator, and for what a merchant may see of it.
    Operator,
    /// For tills.
    Till,
    /// For the people who work here: coming in, and what is one's own.
    Person,
    /// For companies that want to join.
    Applicant,
    /// For members, through the mall's app or at a till.
    Member,
}

fn service() -> OpenApiService<Operations, ()> {
    OpenApiService::new(operations(), "Rotunda", health::VERSION)
        .description(document::ABOUT)
        .license(LicenseObject::new("Apache-2.0").identifier("Apache-2.0"))
        .server("/")
}

/// The API's description as it is published: OpenAPI 3.0 in JSON, ending in a line break.
pub fn document() -> String {
    let mut text =
        serde_json::to_string_pretty(&document::finished(&service().spec())).unwrap_or_default();
    text.push('\n');
    text
}

/// Everything that a server answers, `pages` among it, with the porch around it.
pub fn endpoint(app: &App, pages: Route) -> impl Endpoint<Output = Response> + use<> {
    let service = service();
    let (raw, text) = (service.spec(), document());
    let contract = Contract::new(&document::finished(&raw));
    let reader = docs::page(&service.swagger_ui_html(), &raw, &text);
    let route = pages.nest_no_strip("/v1", service);
    let route = docs::routes(route, reader, Arc::from(text));
    let route = webhooks::routes(app, route);
    let route = health::routes(app, route);
    Porch::new(app.clone(), contract, route.map_to_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where the document is kept, for whoever reviews what changed.
    const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/golden/openapi.json");

    #[test]
    fn the_document_changes_in_nobodys_absence() {
        let document = document();
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(GOLDEN, &document).unwrap();
        }
        let golden = std::fs::read_to_string(GOLDEN).unwrap();
        assert!(
            document == golden,
            "the API's description changed: run with UPDATE_GOLDEN=1 and review {GOLDEN}"
        );
    }

    #[test]
    fn the_document_takes_the_largest_amount() {
        let document: serde_json::Value = serde_json::from_str(&document()).unwrap();
        let schema = &document["components"]["schemas"]["LineIn"]["properties"]["amount"];
        assert_eq!(
            schema["maximum"].as_i64(),
            Some(crate::kernel::points::LARGEST)
        );
    }

    #[test]
    fn every_address_in_the_document_is_found() {
        let document: serde_json::Value = serde_json::from_str(&document()).unwrap();
        let contract = Contract::new(&document);
        for (template, item) in document["paths"].as_object().unwrap() {
            let path = template.replace(['{', '}'], "");
            for method in item.as_object().unwrap().keys() {
                let method = method.to_ascii_uppercase().parse().unwrap();
                let found = contract.find(&method, &path).map(|route| &route.template);
                assert_eq!(found, Some(template), "{method} {path}");
            }
        }
    }

    #[test]
    fn everything_in_the_document_is_explained() {
        let document: serde_json::Value = serde_json::from_str(&document()).unwrap();
        let mut silent = Vec::new();
        for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
            for (field, said) in schema["properties"].as_object().into_iter().flatten() {
                let described = said.get("description").is_some() || said.get("$ref").is_some();
                if !described {
                    silent.push(format!("{name}.{field}"));
                }
            }
        }
        for (path, item) in document["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                if operation["summary"].as_str().is_none_or(str::is_empty) {
                    silent.push(format!("{method} {path}"));
                }
            }
        }
        assert!(silent.is_empty(), "without a word: {silent:?}");
    }
}
