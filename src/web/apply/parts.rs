//! The parts of an application on its page: what is said, and the files.

use maud::{Markup, html};

use crate::{
    kernel::text::Language,
    merchants::{
        Alliance,
        onboarding::{PaperKind, Person, Whole},
    },
    texts::{text, text_with},
    web::Knock,
};

/// A field of one line with its label.
fn entry(language: Language, id: &str, label: &str, value: &str) -> Markup {
    html! {
        div {
            label for=(id) { (text(language, label)) }
            input id=(id) name=(id) type="text" maxlength="200" value=(value);
        }
    }
}

/// A field whose value is not shown again.
fn secret(language: Language, id: &str, label: &str, masked: Option<&str>) -> Markup {
    html! {
        div {
            label for=(id) { (text(language, label)) }
            input id=(id) name=(id) type="text" maxlength="64" autocomplete="off";
            @if let Some(masked) = masked {
                p.hint { (text_with(language, "apply-masked", &[("end", masked)])) }
            }
        }
    }
}

fn area(language: Language, id: &str, label: &str, hint: Option<&str>, value: &str) -> Markup {
    html! {
        label for=(id) { (text(language, label)) }
        textarea id=(id) name=(id) maxlength="4000" rows="3" { (value) }
        @if let Some(hint) = hint { p.hint { (text(language, hint)) } }
    }
}

/// Every part of the application on one page.
pub(super) fn form(knock: &Knock, token: &str, whole: &Whole) -> Markup {
    let (application, form) = (&whole.application, &whole.application.form);
    let language = application.language;
    let word = |key: &str| text(language, key);
    let country = if form.country.is_empty() {
        "CN"
    } else {
        &form.country
    };
    html! {
        form method="post" action="/apply/application" {
            (knock.seal())
            input type="hidden" name="token" value=(token);
            fieldset {
                legend { (word("apply-part-company")) }
                (entry(language, "company", "apply-field-company", &form.company))
                div.fields {
                    (entry(language, "country", "apply-country", country))
                    (entry(language, "licence", "apply-field-licence-number", &form.licence_number))
                }
                div.fields {
                    (entry(language, "representative", "apply-field-representative",
                           &form.representative))
                    (secret(language, "identity", "apply-field-representative-id",
                            whole.representative_id.as_deref()))
                }
            }
            fieldset {
                legend { (word("apply-field-contacts")) }
                @for number in 0..form.contacts.len().saturating_add(1) {
                    (contact(language, number, form.contacts.get(number)))
                }
            }
            fieldset {
                legend { (word("apply-part-trade")) }
                (area(language, "categories", "apply-field-categories", Some("apply-one-a-line"),
                      &form.categories.join("\n")))
                (area(language, "goods", "apply-field-goods", None, &form.goods))
                (area(language, "stores", "apply-field-stores", Some("apply-one-a-line"),
                      &form.stores.join("\n")))
                label for="alliance" { (word("apply-field-alliance")) }
                select #alliance name="alliance" {
                    @for one in [Alliance::Both, Alliance::Earn, Alliance::Spend] {
                        option value=(one.as_str()) selected[form.alliance == one.as_str()] {
                            (word(&format!("apply-alliance-{}", one.as_str())))
                        }
                    }
                }
            }
            (payout(whole))
            label for="language" { (word("apply-language")) }
            select #language name="language" {
                @for one in Language::ALL {
                    option value=(one.tag()) lang=(one.tag()) selected[one == language] {
                        (text(one, "web-language-own"))
                    }
                }
            }
            div.actions {
                button type="submit" name="do" value="submit" { (word("apply-submit")) }
                button.second type="submit" name="do" value="save" { (word("apply-save")) }
            }
        }
    }
}

/// Where the company is paid.
fn payout(whole: &Whole) -> Markup {
    let (language, form) = (whole.application.language, &whole.application.form);
    html! {
        fieldset {
            legend { (text(language, "apply-field-payout")) }
            div.fields {
                (entry(language, "holder", "apply-bank-holder", &form.bank_holder))
                (entry(language, "bank", "apply-bank-name", &form.bank_name))
                (secret(language, "account", "apply-bank-account",
                        whole.bank_account.as_deref()))
            }
            (entry(language, "stripe", "apply-stripe", &form.stripe_account))
        }
    }
}

fn contact(language: Language, number: usize, person: Option<&Person>) -> Markup {
    let part = |name: &str, value: Option<&String>| {
        let id = format!("contact-{number}-{name}");
        let label = format!("apply-contact-{name}");
        entry(language, &id, &label, value.map_or("", String::as_str))
    };
    html! {
        div.fields {
            (part("name", person.map(|one| &one.name)))
            (part("role", person.map(|one| &one.role)))
            (part("email", person.map(|one| &one.email)))
            (part("phone", person.map(|one| &one.phone)))
        }
    }
}

pub(super) fn papers(knock: &Knock, token: &str, whole: &Whole, open: bool) -> Markup {
    let language = whole.application.language;
    let word = |key: &str| text(language, key);
    html! {
        h2 { (word("apply-files")) }
        @if whole.papers.is_empty() { p { (word("apply-no-files")) } }
        @for paper in &whole.papers {
            form method="post" action="/apply/application" {
                (knock.seal())
                input type="hidden" name="token" value=(token);
                input type="hidden" name="file" value=(paper.id);
                p {
                    (word(&format!("apply-file-{}", paper.kind.as_str()))) ": "
                    a href={ "/apply/file?token=" (token) "&file=" (paper.id) } { (paper.name) } " "
                    @if open {
                        button.plain type="submit" name="do" value="remove" { (word("apply-remove")) }
                    }
                }
            }
        }
        @if open {
            form method="post" action="/apply/files" enctype="multipart/form-data" {
                (knock.seal())
                input type="hidden" name="token" value=(token);
                div.fields {
                    div {
                        label for="kind" { (word("apply-file-kind")) }
                        select #kind name="kind" {
                            @for kind in PaperKind::ALL {
                                option value=(kind.as_str()) {
                                    (word(&format!("apply-file-{}", kind.as_str())))
                                }
                            }
                        }
                    }
                    div {
                        label for="file" { (word("apply-file")) }
                        input #file name="file" type="file" required
                            accept=".pdf,.png,.jpg,.jpeg,.webp";
                    }
                }
                p.hint { (word("apply-file-hint")) }
                button.second type="submit" { (word("apply-send-file")) }
            }
        }
    }
}
