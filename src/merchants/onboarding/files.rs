//! The files of an application: what may be one, told by its content and never by its name. Pure but
//! for the use cases at the end.
//!
//! The bytes are written to the store for files first, and the row after them, so that no row is
//! without its file. What was written and got no row is tidied a day later ([`strays`]).

pub(super) mod store;

use chrono::TimeDelta;
use sha2::{Digest, Sha256};
use thiserror::Error;

use super::{Application, OnboardingError, own, store as applications};
use crate::{
    authz::{
        action::{CarryTenant, ReadApplications, SendNews, UseApplication},
        grant::Grant,
    },
    db::tx::{ReadTx, Tx},
    kernel::{
        ids::{ApplicationId, PaperId},
        page::hex,
        text::printable,
        time::Instant,
    },
};

/// The most files of one application, those that were removed counted too.
pub const MOST_FILES: i64 = 40;

/// The most dots of a picture: 25 million.
const MOST_DOTS: usize = 25_000_000;

/// The longest name of a file, in characters.
const LONGEST_NAME: usize = 120;

/// How old something in the store must be before it is tidied away, so that no row comes after it.
const STRAY_AFTER: TimeDelta = TimeDelta::days(1);

/// What a file is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PaperKind {
    /// The company's licence.
    Licence,
    /// The representative's identity card.
    Identity,
    /// Anything else.
    Other,
}

impl PaperKind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Licence, Self::Identity, Self::Other];

    /// As the table and the API write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Licence => "licence",
            Self::Identity => "identity",
            Self::Other => "other",
        }
    }

    /// The kind of that name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

/// A file, without its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paper {
    /// Its id, by which the store for files knows it.
    pub id: PaperId,
    /// Whose.
    pub application: ApplicationId,
    /// What it is of.
    pub kind: PaperKind,
    /// What the sender called it.
    pub name: String,
    /// What it is, by its content.
    pub media: Media,
    /// How many bytes.
    pub size: i64,
    /// SHA-256, 64 hexadecimal digits.
    pub digest: String,
    /// When it came.
    pub created_at: Instant,
}

/// What a file may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Media {
    /// A document.
    Pdf,
    /// A picture.
    Png,
    /// A photograph.
    Jpeg,
    /// A picture or a photograph.
    Webp,
}

impl Media {
    const ALL: [Self; 4] = [Self::Pdf, Self::Png, Self::Jpeg, Self::Webp];

    /// The media type.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pdf => "application/pdf",
            Self::Png => "image/png",
            Self::Jpeg => "image/jpeg",
            Self::Webp => "image/webp",
        }
    }

    /// The ending of a file's name.
    const fn ending(self) -> &'static str {
        match self {
            Self::Pdf => "pdf",
            Self::Png => "png",
            Self::Jpeg => "jpg",
            Self::Webp => "webp",
        }
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|media| media.as_str() == text)
    }
}

/// Why something is not taken as a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum FileFault {
    /// No bytes.
    #[error("the file is empty")]
    Empty,
    /// More than the settings allow, in bytes.
    #[error("the file is larger than {0} bytes")]
    TooLarge(usize),
    /// Not of the few kinds that are taken, whatever it is called.
    #[error("the file is no PDF, PNG, JPEG or WebP: what it is called does not count")]
    Kind,
    /// It begins as one kind and does not end as that, or has something behind its end.
    #[error("the file is broken off, or something else is hidden in it")]
    Hybrid,
    /// A document that does something when it is opened.
    #[error("the document holds a program or other files")]
    Active,
    /// A picture of more dots than anybody needs.
    #[error("the picture has more than 25 million dots")]
    TooManyDots,
}

/// What these bytes are.
///
/// # Errors
/// [`FileFault`].
pub fn examine(bytes: &[u8], largest: usize) -> Result<Media, FileFault> {
    if bytes.is_empty() {
        return Err(FileFault::Empty);
    }
    if bytes.len() > largest {
        return Err(FileFault::TooLarge(largest));
    }
    let known = infer::get(bytes).ok_or(FileFault::Kind)?;
    let media = Media::parse(known.mime_type()).ok_or(FileFault::Kind)?;
    if !is_whole(media, bytes) {
        return Err(FileFault::Hybrid);
    }
    if media == Media::Pdf {
        const ACTIVE: [&[u8]; 4] = [b"/JavaScript", b"/Launch", b"/EmbeddedFile", b"/RichMedia"];
        let holds = |word: &&[u8]| bytes.windows(word.len()).any(|part| part == *word);
        if ACTIVE.iter().any(holds) {
            return Err(FileFault::Active);
        }
        return Ok(media);
    }
    let size = imagesize::blob_size(bytes).map_err(|_| FileFault::Hybrid)?;
    match size.width.checked_mul(size.height) {
        Some(1..=MOST_DOTS) => Ok(media),
        _ => Err(FileFault::TooManyDots),
    }
}

/// Whether it begins and ends as its kind does: what is behind the end would be another file in the
/// same bytes.
fn is_whole(media: Media, bytes: &[u8]) -> bool {
    match media {
        Media::Pdf => {
            let end = bytes.trim_ascii_end();
            bytes.starts_with(b"%PDF-") && end.ends_with(b"%%EOF")
        }
        Media::Png => bytes.ends_with(b"\0\0\0\0IEND\xae\x42\x60\x82"),
        Media::Jpeg => bytes.starts_with(b"\xff\xd8\xff") && bytes.ends_with(b"\xff\xd9"),
        Media::Webp => {
            let said = bytes.get(4..8).and_then(|four| four.try_into().ok());
            let said = said.map(u32::from_le_bytes).map(usize::try_from);
            matches!(said, Some(Ok(length)) if length.checked_add(8) == Some(bytes.len()))
        }
    }
}

/// A name as it is kept: one line without folders, with the ending of what the file is.
fn called(name: &str, media: Media) -> String {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let stem = last.rsplit_once('.').map_or(last, |(stem, _)| stem);
    let plain: String = stem
        .chars()
        .filter(|letter| printable(*letter))
        .take(LONGEST_NAME)
        .collect();
    let plain = plain.trim_matches([' ', '.']);
    let stem = if plain.is_empty() { "file" } else { plain };
    format!("{stem}.{}", media.ending())
}

/// A file that was looked at and is to be written: to the store under its id, then as a row.
#[derive(Debug)]
pub struct Arrived {
    /// The file.
    pub paper: Paper,
    /// Whether these very bytes are there already as the same kind: then there is nothing to write.
    pub known: bool,
}

/// Looks at what was sent.
///
/// # Errors
/// [`OnboardingError::File`], [`OnboardingError::Closed`], [`OnboardingError::TooManyFiles`].
pub async fn arrive(
    tx: &mut ReadTx,
    grant: &Grant<UseApplication>,
    kind: PaperKind,
    name: &str,
    bytes: &[u8],
    largest: usize,
) -> Result<Arrived, OnboardingError> {
    let id = own(grant)?;
    let media = examine(bytes, largest)?;
    let application = applications::find(tx, id).await?;
    open(&application.ok_or(OnboardingError::NotFound)?)?;
    let digest = hex(&Sha256::digest(bytes));
    let papers = store::papers(tx, id, MOST_FILES).await?;
    let same = |paper: &&Paper| paper.kind == kind && paper.digest == digest;
    if let Some(paper) = papers.iter().find(same) {
        let (paper, known) = (paper.clone(), true);
        return Ok(Arrived { paper, known });
    }
    if store::count_papers(tx, id).await? >= MOST_FILES {
        return Err(OnboardingError::TooManyFiles);
    }
    let paper = Paper {
        id: tx.new_id(),
        application: id,
        kind,
        name: called(name, media),
        media,
        size: i64::try_from(bytes.len()).unwrap_or(i64::MAX),
        digest,
        created_at: tx.now(),
    };
    let known = false;
    Ok(Arrived { paper, known })
}

/// Writes the row of a file whose bytes are in the store.
///
/// # Errors
/// [`OnboardingError::Closed`].
pub async fn keep(
    tx: &mut Tx,
    grant: &Grant<UseApplication>,
    paper: &Paper,
) -> Result<(), OnboardingError> {
    let application = applications::lock(tx, own(grant)?).await?;
    open(&application.ok_or(OnboardingError::NotFound)?)?;
    if store::count_papers(tx, paper.application).await? >= MOST_FILES {
        return Err(OnboardingError::TooManyFiles);
    }
    Ok(store::insert_paper(tx, paper).await?)
}

/// Takes a file out of one's own application; one that is gone already stays so.
///
/// # Errors
/// [`OnboardingError::NoSuchFile`], [`OnboardingError::Closed`].
pub async fn remove(
    tx: &mut Tx,
    grant: &Grant<UseApplication>,
    id: PaperId,
) -> Result<(), OnboardingError> {
    let application = applications::lock(tx, own(grant)?).await?;
    let application = application.ok_or(OnboardingError::NotFound)?;
    let found = store::paper(tx, id).await?;
    found
        .filter(|paper| paper.application == application.id)
        .ok_or(OnboardingError::NoSuchFile)?;
    open(&application)?;
    Ok(store::remove_paper(tx, id).await?)
}

/// A file of one's own application.
///
/// # Errors
/// [`OnboardingError::NoSuchFile`].
pub async fn own_file(
    tx: &mut ReadTx,
    grant: &Grant<UseApplication>,
    id: PaperId,
) -> Result<Paper, OnboardingError> {
    file_of(tx, own(grant)?, id).await
}

/// A file of an application.
///
/// # Errors
/// [`OnboardingError::NoSuchFile`].
pub async fn file(
    tx: &mut ReadTx,
    _grant: &Grant<ReadApplications>,
    application: ApplicationId,
    id: PaperId,
) -> Result<Paper, OnboardingError> {
    file_of(tx, application, id).await
}

async fn file_of(
    tx: &mut ReadTx,
    application: ApplicationId,
    id: PaperId,
) -> Result<Paper, OnboardingError> {
    let found = store::paper(tx, id).await?;
    found
        .filter(|paper| paper.application == application)
        .ok_or(OnboardingError::NoSuchFile)
}

/// Those of `ids`, as the store for files has them, that are nobody's and old enough to be tidied away.
///
/// # Errors
/// [`OnboardingError::Db`].
pub async fn strays(
    tx: &mut ReadTx,
    _grant: &Grant<SendNews>,
    ids: &[PaperId],
) -> Result<Vec<PaperId>, OnboardingError> {
    // Ids sort by time: what is below was made before then.
    let young: PaperId = crate::kernel::ids::Id::new(tx.now() - STRAY_AFTER, tx.entropy());
    let old: Vec<PaperId> = ids.iter().copied().filter(|id| *id < young).collect();
    let kept = store::kept_papers(tx, &old).await?;
    Ok(old.into_iter().filter(|id| !kept.contains(id)).collect())
}

/// Those of `ids` that are somebody's.
///
/// # Errors
/// [`OnboardingError::Db`].
pub async fn kept(
    tx: &mut ReadTx,
    _grant: &Grant<CarryTenant>,
    ids: &[PaperId],
) -> Result<Vec<PaperId>, OnboardingError> {
    Ok(store::kept_papers(tx, ids).await?)
}

fn open(application: &Application) -> Result<(), OnboardingError> {
    if application.state.is_open() {
        return Ok(());
    }
    Err(OnboardingError::Closed(application.state))
}
