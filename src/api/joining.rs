//! Applications as the API shows them, to whoever applied and to the operator alike.

use std::collections::BTreeMap;

use poem_openapi::{Enum, Object};

use super::words::LetterWord;
use crate::{
    http::wire::{Moment, Prose, Text},
    kernel::{
        ids::{ApplicationId, MerchantId, NewsId, PaperId},
        text::{Email, Language},
    },
    merchants::onboarding::{
        self, Accepted, Application, Event, EventKind, Form, Lack, Paper, PaperKind, Person,
        Question, TextKind, TextVersion, Whole,
    },
};

words! {
    /// How far an application is.
    ApplicationWord = onboarding::State {
        /// It is being filled in.
        Draft,
        /// It was sent in and waits.
        Submitted,
        /// Somebody looks at it.
        UnderReview,
        /// The operator wants to know more.
        InformationAsked,
        /// What was asked was answered.
        Resubmitted,
        /// It is a merchant, which rests until the agreement is accepted.
        Approved,
        /// The agreement is accepted.
        Live,
        /// The operator refused it.
        Rejected,
        /// Whoever applied took it back.
        Withdrawn,
    }
}

words! {
    /// A part of an application.
    FieldWord = onboarding::Field {
        /// The company.
        Company,
        /// Its country and the number of its licence.
        LicenceNumber,
        /// Who speaks for it in law.
        Representative,
        /// The number of that person's identity card.
        RepresentativeId,
        /// Who can be asked.
        Contacts,
        /// What it trades in.
        Categories,
        /// Bank or Stripe.
        Payout,
        /// What it sells.
        Goods,
        /// What it wants to do in the alliance.
        Alliance,
        /// The stores that it brings.
        Stores,
        /// A picture of the licence.
        LicenceFile,
        /// A picture of the identity card.
        IdentityFile,
    }
}

words! {
    /// What is the matter with a part of an application.
    LackWord = Lack {
        /// Nothing was said.
        Missing,
        /// What was said cannot be right.
        Wrong,
    }
}

words! {
    /// What a file of an application is of.
    FileKindWord = PaperKind {
        /// The company's licence.
        Licence,
        /// The representative's identity card.
        Identity,
        /// Anything else.
        Other,
    }
}

words! {
    /// What a text for merchants is for.
    TextKindWord = TextKind {
        /// Read and accepted before one applies.
        Conditions,
        /// Accepted after the approval.
        Agreement,
    }
}

words! {
    /// What happened to an application, or to the merchant that came of it.
    EventWord = EventKind {
        /// It was begun.
        Started,
        /// Its link was asked for again.
        LinkAsked,
        /// It was sent in.
        Submitted,
        /// Somebody looks at it.
        UnderReview,
        /// The operator wants to know more.
        InformationAsked,
        /// What was asked was answered.
        Resubmitted,
        /// It is a merchant.
        Approved,
        /// The agreement was accepted.
        Live,
        /// It was refused.
        Rejected,
        /// It was taken back.
        Withdrawn,
        /// It was begun anew.
        Reopened,
        /// The merchant neither gives nor takes points for now.
        Suspended,
        /// It does again.
        Activated,
        /// The merchant leaves.
        Leaving,
        /// The merchant has left.
        Left,
    }
}

/// Somebody who can be asked about an application.
#[derive(Debug, Clone, Object)]
#[oai(deny_unknown_fields, skip_serializing_if_is_none)]
pub struct ContactPerson {
    /// What they are called.
    name: Text,
    /// What they do there.
    role: Option<Text>,
    /// Their address.
    email: Option<Text>,
    /// Their telephone, as they write it.
    phone: Option<Text>,
}

/// What an application says; what is left out was not said.
#[derive(Debug, Clone, Object)]
#[oai(deny_unknown_fields, skip_serializing_if_is_none)]
pub struct ApplicationForm {
    /// The company, as its licence says.
    company: Option<Text>,
    /// Where it is registered: a code of ISO 3166, such as CN.
    #[oai(validator(pattern = "^[A-Z]{2}$"))]
    country: Option<String>,
    /// The number by which that country knows it; for CN the unified social credit code.
    licence_number: Option<Text>,
    /// Who speaks for it in law.
    representative: Option<Text>,
    /// Who can be asked.
    #[oai(default, validator(max_items = 20))]
    contacts: Vec<ContactPerson>,
    /// What it trades in.
    #[oai(default, validator(max_items = 20))]
    categories: Vec<Text>,
    /// Whose the bank account is.
    bank_holder: Option<Text>,
    /// Which bank.
    bank_name: Option<Text>,
    /// Its account at Stripe (acct_...), in place of a bank's.
    stripe_account: Option<Text>,
    /// What it sells, in words.
    goods: Option<Prose>,
    /// What it wants to do in the alliance: earn, spend or both.
    alliance: Option<Text>,
    /// The stores that it wants to bring, by what they are called.
    #[oai(default, validator(max_items = 20))]
    stores: Vec<Text>,
}

fn plain(text: Option<Text>) -> String {
    text.map_or_else(String::new, |text| text.as_str().to_owned())
}

fn given(text: &str) -> Option<Text> {
    (!text.is_empty()).then(|| Text::from(text))
}

impl From<ApplicationForm> for Form {
    fn from(said: ApplicationForm) -> Self {
        let lines = |texts: Vec<Text>| texts.iter().map(|one| one.as_str().to_owned()).collect();
        let person = |one: ContactPerson| Person {
            name: one.name.as_str().to_owned(),
            role: plain(one.role),
            email: plain(one.email),
            phone: plain(one.phone),
        };
        Self {
            company: plain(said.company),
            country: said.country.unwrap_or_default(),
            licence_number: plain(said.licence_number),
            representative: plain(said.representative),
            contacts: said.contacts.into_iter().map(person).collect(),
            categories: lines(said.categories),
            bank_holder: plain(said.bank_holder),
            bank_name: plain(said.bank_name),
            stripe_account: plain(said.stripe_account),
            goods: said.goods.map_or_else(String::new, |goods| goods.0),
            alliance: plain(said.alliance),
            stores: lines(said.stores),
        }
    }
}

impl From<Form> for ApplicationForm {
    fn from(form: Form) -> Self {
        let lines = |texts: Vec<String>| texts.iter().map(|one| Text::from(one.as_str())).collect();
        let person = |one: Person| ContactPerson {
            name: Text::from(one.name.as_str()),
            role: given(&one.role),
            email: given(&one.email),
            phone: given(&one.phone),
        };
        Self {
            company: given(&form.company),
            country: (!form.country.is_empty()).then_some(form.country),
            licence_number: given(&form.licence_number),
            representative: given(&form.representative),
            contacts: form.contacts.into_iter().map(person).collect(),
            categories: lines(form.categories),
            bank_holder: given(&form.bank_holder),
            bank_name: given(&form.bank_name),
            stripe_account: given(&form.stripe_account),
            goods: (!form.goods.is_empty()).then_some(Prose(form.goods)),
            alliance: given(&form.alliance),
            stores: lines(form.stores),
        }
    }
}

/// That a text was accepted.
#[derive(Debug, Clone, Object)]
#[oai(rename = "TextAcceptance")]
struct AcceptedOut {
    /// Which version.
    version: i32,
    /// Its SHA-256.
    digest: String,
    /// When.
    accepted_at: Moment,
    /// By whom.
    accepted_by: String,
    /// From where, in short.
    accepted_from: String,
}

impl From<Accepted> for AcceptedOut {
    fn from(accepted: Accepted) -> Self {
        Self {
            version: accepted.version,
            digest: accepted.digest,
            accepted_at: Moment(accepted.at),
            accepted_by: accepted.by,
            accepted_from: accepted.from,
        }
    }
}

/// A version of a text for merchants.
#[derive(Debug, Clone, Object)]
#[oai(rename = "MerchantText", skip_serializing_if_is_none)]
pub struct TextOut {
    /// What it is for.
    kind: TextKindWord,
    /// Its number; 0 is the product's own.
    version: i32,
    /// SHA-256 over kind, version and texts: by it the text is accepted.
    digest: String,
    /// By language.
    texts: BTreeMap<String, String>,
    /// When the operator wrote it.
    created_at: Option<Moment>,
    /// Who did.
    created_by: Option<String>,
}

impl From<TextVersion> for TextOut {
    fn from(text: TextVersion) -> Self {
        Self {
            kind: text.kind.into(),
            version: text.version,
            digest: text.digest,
            texts: text.texts,
            created_at: text.created_at.map(Moment),
            created_by: text.created_by,
        }
    }
}

/// A question of the operator's.
#[derive(Debug, Clone, Object)]
#[oai(rename = "ApplicationQuestion")]
struct QuestionOut {
    /// About which part.
    field: String,
    /// What is to be known.
    note: String,
}

impl From<Question> for QuestionOut {
    fn from(question: Question) -> Self {
        let Question { field, note } = question;
        Self { field, note }
    }
}

/// A part of an application that is not as it has to be.
#[derive(Debug, Clone, Object)]
#[oai(rename = "ApplicationLack")]
struct LackOut {
    /// Which part.
    field: FieldWord,
    /// What is the matter with it.
    lack: LackWord,
}

/// A file of an application.
#[derive(Debug, Clone, Object)]
#[oai(rename = "ApplicationFile")]
pub struct FileOut {
    /// Its id.
    file_id: PaperId,
    /// What it is of.
    kind: FileKindWord,
    /// What its sender called it.
    name: String,
    /// What it is, by its content.
    media_type: String,
    /// How many bytes.
    size: i64,
    /// SHA-256 of the bytes.
    digest: String,
    /// When it came.
    created_at: Moment,
}

impl From<Paper> for FileOut {
    fn from(paper: Paper) -> Self {
        Self {
            file_id: paper.id,
            kind: paper.kind.into(),
            name: paper.name,
            media_type: paper.media.as_str().to_owned(),
            size: paper.size,
            digest: paper.digest,
            created_at: Moment(paper.created_at),
        }
    }
}

/// Something that happened to an application.
#[derive(Debug, Clone, Object)]
#[oai(rename = "ApplicationEvent", skip_serializing_if_is_none)]
struct EventOut {
    /// Its id; the letter's `Message-ID` begins with it.
    event_id: NewsId,
    /// Its number within the application.
    number: i32,
    /// What.
    kind: EventWord,
    /// Who did it.
    actor: String,
    /// From where, in short, where it was whoever applied.
    origin: Option<String>,
    /// Why.
    reason: Option<String>,
    /// When.
    happened_at: Moment,
    /// What became of the letter about it.
    letter: LetterWord,
    /// Why the letter did not go.
    problem: Option<String>,
}

impl From<Event> for EventOut {
    fn from(event: Event) -> Self {
        Self {
            event_id: event.id,
            number: event.number,
            kind: event.kind.into(),
            actor: event.actor,
            origin: event.origin,
            reason: event.reason,
            happened_at: Moment(event.happened_at),
            letter: LetterWord::of(&event.mail),
            problem: event.problem,
        }
    }
}

/// An application in a list.
#[derive(Debug, Clone, Object)]
#[oai(rename = "ApplicationSummary", skip_serializing_if_is_none)]
pub struct SummaryOut {
    /// Its id, which opens nothing.
    application_id: ApplicationId,
    /// How far it is.
    state: ApplicationWord,
    /// Where letters go.
    email: Email,
    /// In which language they are written.
    language: Language,
    /// The company, if it was said.
    company: Option<Text>,
    /// The merchant that it became.
    merchant_id: Option<MerchantId>,
    /// When it was begun.
    created_at: Moment,
    /// When something about it changed.
    changed_at: Moment,
    /// When it was sent in, the last time.
    submitted_at: Option<Moment>,
}

impl From<Application> for SummaryOut {
    fn from(application: Application) -> Self {
        Self {
            application_id: application.id,
            state: application.state.into(),
            company: given(&application.form.company),
            email: application.email,
            language: application.language,
            merchant_id: application.merchant,
            created_at: Moment(application.created_at),
            changed_at: Moment(application.changed_at),
            submitted_at: application.submitted_at.map(Moment),
        }
    }
}

/// An application with everything that belongs to it.
#[derive(Debug, Clone, Object)]
#[oai(rename = "Application", skip_serializing_if_is_none)]
pub struct WholeOut {
    /// The application, in short.
    application: SummaryOut,
    /// What it says.
    form: ApplicationForm,
    /// The end of the number of the representative's identity card, behind stars.
    representative_id: Option<String>,
    /// The end of the number of the bank account, behind stars.
    bank_account: Option<String>,
    /// What it lacks before it can be sent in.
    lacks: Vec<LackOut>,
    /// What the operator wants to know besides.
    questions: Vec<QuestionOut>,
    /// Why it was asked or refused.
    reason: Option<String>,
    /// The conditions as they were accepted.
    conditions: AcceptedOut,
    /// The agreement, since the approval.
    agreement: Option<TextOut>,
    /// The agreement as it was accepted.
    agreed: Option<AcceptedOut>,
    /// When it was decided.
    decided_at: Option<Moment>,
    /// By whom.
    decided_by: Option<String>,
    /// Its files.
    files: Vec<FileOut>,
    /// What happened, the first first; the last hundred.
    events: Vec<EventOut>,
}

impl From<Whole> for WholeOut {
    fn from(whole: Whole) -> Self {
        let application = whole.application;
        let (decided_at, decided_by) = application.decided.clone().unzip();
        let lack = |(field, lack): (onboarding::Field, Lack)| LackOut {
            field: field.into(),
            lack: lack.into(),
        };
        Self {
            form: application.form.clone().into(),
            questions: application.asked.iter().cloned().map(Into::into).collect(),
            reason: application.reason.clone(),
            conditions: application.conditions.clone().into(),
            agreed: application.agreed.clone().map(Into::into),
            application: application.into(),
            representative_id: whole.representative_id,
            bank_account: whole.bank_account,
            lacks: whole.lacks.into_iter().map(lack).collect(),
            agreement: whole.agreement.map(Into::into),
            decided_at: decided_at.map(Moment),
            decided_by,
            files: whole.papers.into_iter().map(Into::into).collect(),
            events: whole.events.into_iter().map(Into::into).collect(),
        }
    }
}
