//! `rotunda tenant move`.

use serde_json::{Value, json};

use super::registry;
use crate::{
    app::App,
    cli::{Exit, Failure, Output},
    db::{
        error::Error,
        moving::{MoveError, Step},
    },
    kernel::text::Slug,
};

/// Moves a mall, or takes a move back where `to` is none.
pub(super) async fn run(
    app: &App,
    slug: &Slug,
    to: Option<&Slug>,
    dev: bool,
    output: Output,
) -> Result<(Value, String), Failure> {
    let grant = registry(app)?;
    let name = slug.as_str();
    let Some(to) = to.map(Slug::as_str) else {
        let tidied = app.db.cancel_move(&grant, slug).await?;
        if !tidied {
            output.say("The copy could not be taken away; the next move there does it.");
        }
        let json = json!({ "slug": name, "moved": false, "cancelled": true });
        return Ok((json, format!("{name}: stays where it was")));
    };
    durable(app, to, dev).await?;
    let tell = async |step| output.say(&format!("{name}: {}", words(&step, to)));
    match app.db.move_tenant(&grant, slug, to, tell).await {
        Ok(()) => {
            let json = json!({ "slug": name, "moved": true, "target": to });
            Ok((json, format!("{name}: lives on {to}")))
        }
        Err(error @ MoveError::AlreadyThere { .. }) => {
            let json = json!({ "slug": name, "moved": false, "target": to });
            Ok((json, error.to_string()))
        }
        Err(error) => Err(error.into()),
    }
}

/// That the destination keeps what it has confirmed: the old tables go away.
async fn durable(app: &App, to: &str, dev: bool) -> Result<(), Failure> {
    let off = app.db.not_durable_at(to).await?;
    if off.is_empty() || dev {
        return Ok(());
    }
    let message = format!(
        "{to} has {} switched off and may lose what it has confirmed: switch it on, or say --dev",
        off.join(", ")
    );
    Err(Failure::new(Exit::Refused, message))
}

fn words(step: &Step, to: &str) -> String {
    match step {
        Step::Announced => "tills answer 503 from now on; waiting for what is under way".to_owned(),
        Step::Closed => "nobody writes any more; copying".to_owned(),
        Step::Copied {
            table,
            rows,
            of: (number, all),
        } => format!("[{number}/{all}] {table}: {rows} rows"),
        Step::Compared => "the copy is the same, row by row".to_owned(),
        Step::Switched => format!("answers again, on {to}"),
        Step::Cleared => "the old place is empty".to_owned(),
    }
}

impl From<MoveError> for Failure {
    fn from(error: MoveError) -> Self {
        let exit = match &error {
            MoveError::UnknownTenant(_)
            | MoveError::NotMoving(_)
            | MoveError::Db(Error::UnknownTarget(_)) => Exit::NotFound,
            MoveError::Busy(_) => Exit::Unavailable,
            MoveError::Underway { .. }
            | MoveError::Switched { .. }
            | MoveError::Opening(_)
            | MoveError::AlreadyThere { .. } => Exit::Refused,
            MoveError::Foreign { .. } | MoveError::Differs(_) => Exit::Failed,
            MoveError::Db(_) => {
                let MoveError::Db(error) = error else {
                    return Self::other(error);
                };
                return error.into();
            }
        };
        Self::new(exit, error.to_string())
    }
}
