//! The proof of the books: everything that must hold, asked of the live mall.
//!
//! Each check is one statement over whole tables, so it sees one moment of a mall at work, and it
//! computes its side of the comparison anew from what was written down when it happened: balances
//! from transfers, statements from the period's lines, accounts' ids from what they are. A check is
//! a text and not a compiled query, because all of them are run in the same two ways; the tests run
//! every one of them on sound books and on books broken on purpose.
//!
//! Source: domain.md, "What must hold, always".

mod credit;
mod ledger;
mod periods;
mod settlements;
mod stripe;
mod trades;
mod walls;

use uuid::Uuid;

use crate::{
    audit::{self, Finding},
    authz::{action::VerifyBooks, grant::Grant},
    db::{Error, tx::ReadTx},
    kernel::ids::encode,
};

/// Something that must hold, and whether it does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// Its name: "wallet-available".
    pub name: &'static str,
    /// What must hold.
    pub what: &'static str,
    /// Whether it does.
    pub holds: bool,
    /// Where it does not: at most 20 places, each naming the ids in question.
    pub findings: Vec<String>,
    /// In how many places it does not.
    pub broken: i64,
    /// How many places were looked at.
    pub counted: i64,
}

/// A check before it is asked: two statements over the same rows, one finding each, null where the
/// row is as it should be.
struct Question {
    name: &'static str,
    what: &'static str,
    count: &'static str,
    examples: &'static str,
}

/// Makes a [`Question`] of a query of one column, the finding.
macro_rules! question {
    ($name:literal, $what:literal, $($sql:expr),+ $(,)?) => {
        crate::reports::proof::Question {
            name: $name,
            what: $what,
            count: concat!(
                "select count(*), count(finding) from (", $($sql),+, ") as looked (finding)"
            ),
            examples: concat!(
                "select finding from (", $($sql),+, ") as looked (finding) ",
                "where finding is not null order by finding limit 20"
            ),
        }
    };
}
use question;

/// What the accounts of a kind hold, by owner.
macro_rules! held_by_owner {
    ($kind:literal) => {
        concat!(
            "(select owner_id, sum(amount) as points from (
                select account.owner_id, transfer.amount
                from transfer
                join account on account.account_id = transfer.to_account
                where account.kind = '",
            $kind,
            "'
                union all
                select account.owner_id, -transfer.amount
                from transfer
                join account on account.account_id = transfer.from_account
                where account.kind = '",
            $kind,
            "') as side
            group by owner_id)"
        )
    };
}
use held_by_owner;

/// Asks every question of the mall, in the order of domain.md.
///
/// # Errors
/// [`Error::Unavailable`]. Books that do not add up are no error but findings.
pub async fn prove(tx: &mut ReadTx, _grant: &Grant<VerifyBooks>) -> Result<Vec<Check>, Error> {
    // Whole tables take longer than a request may.
    sqlx::raw_sql("set local statement_timeout = '15min'")
        .execute(tx.conn())
        .await?;
    let all = [
        ledger::QUESTIONS,
        ledger::LOT_QUESTIONS,
        trades::QUESTIONS,
        settlements::QUESTIONS,
        periods::QUESTIONS,
        credit::QUESTIONS,
        stripe::QUESTIONS,
        walls::QUESTIONS,
    ];
    let mut checks = Vec::new();
    for question in all.into_iter().flatten() {
        checks.push(ask(tx, question).await?);
    }
    checks.push(audited(tx).await?);
    Ok(checks)
}

/// Asks only the questions about walls: for whoever tries them as well.
///
/// # Errors
/// [`Error::Unavailable`].
pub(super) async fn walls(tx: &mut ReadTx) -> Result<Vec<Check>, Error> {
    let mut checks = Vec::new();
    for question in walls::QUESTIONS {
        checks.push(ask(tx, question).await?);
    }
    Ok(checks)
}

/// What no question in SQL can ask: whether the audit's chain holds.
async fn audited(tx: &mut ReadTx) -> Result<Check, Error> {
    let verified = audit::verify(tx, None).await?;
    // That the house is late with its seals is no fault of the books.
    let broken = verified.broken.as_ref();
    let broken = broken.filter(|broken| !matches!(broken, Finding::Unsealed(..)));
    let finding = broken.map(|broken| {
        let entry = broken.entry().map(|entry| format!(", {entry}"));
        let (what, number) = (broken.as_str(), broken.number());
        format!("{what} at {number}{}", entry.unwrap_or_default())
    });
    Ok(Check {
        name: "audit-chain",
        what: "every act that was written down is still what it was, and none is missing",
        counted: verified.sealed,
        holds: finding.is_none(),
        broken: i64::from(finding.is_some()),
        findings: finding.into_iter().collect(),
    })
}

async fn ask(tx: &mut ReadTx, question: &Question) -> Result<Check, Error> {
    let (counted, broken): (i64, i64) = sqlx::query_as(question.count).fetch_one(tx.conn()).await?;
    let findings: Vec<String> = if broken > 0 {
        sqlx::query_scalar(question.examples)
            .fetch_all(tx.conn())
            .await?
    } else {
        Vec::new()
    };
    Ok(Check {
        name: question.name,
        what: question.what,
        holds: broken == 0,
        findings: findings.iter().map(|finding| public(finding)).collect(),
        broken,
        counted,
    })
}

/// A finding with its ids, `mem:` and a uuid, in their public form.
fn public(finding: &str) -> String {
    let words = finding.split(' ').map(|word| {
        let id = word.split_once(':');
        match id.and_then(|(prefix, id)| Some((prefix, id.parse::<Uuid>().ok()?))) {
            Some((prefix, id)) => format!("{prefix}_{}", encode(id.as_u128())),
            None => word.to_owned(),
        }
    });
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_name_ids_as_everybody_else_does() {
        assert_eq!(
            public("mem:0188bac7-4afa-78aa-bc3b-bd1eef28d881 has 5, a:b"),
            "mem_01h2xcejqtf2nbrexx3vqjhp41 has 5, a:b"
        );
    }
}
