//! `rotunda settle dispute`: objections to lines of statements.

use clap::{Subcommand, ValueEnum};
use serde_json::{Value, json};

use super::{CommandError, course::at};
use crate::{
    app::App,
    authz::{
        action::{DecideDispute, ReadDisputes},
        actor::Principal,
    },
    cli::{Failure, Output},
    kernel::{
        ids::DisputeId,
        money::{Currency, decimal},
        page::{MOST, Slice},
        text::{Name, Slug},
    },
    settlement::disputes::{self, Dispute, DisputeError, DisputeState, Outcome},
};

/// What can be done with disputes.
#[derive(Debug, Subcommand)]
pub enum DisputeCommand {
    /// List them, the newest first.
    #[command(
        after_help = "Examples:\n  rotunda settle dispute list --tenant demo\n  \
        rotunda settle dispute list --tenant demo --state open --json"
    )]
    List {
        /// The mall's short name.
        #[arg(long)]
        tenant: Slug,
        /// Only those of this state.
        #[arg(long)]
        state: Option<StateWord>,
    },
    /// Decide one, for good.
    #[command(
        after_help = "Examples:\n  rotunda settle dispute decide --tenant demo \
        dsp_01h2xcejqtf2nbrexx3vqjhp41 --outcome upheld --note 'rung up twice'\n  \
        rotunda settle dispute decide --tenant demo dsp_01h2xcejqtf2nbrexx3vqjhp41 \
        --outcome rejected --note 'the receipt is right' --json"
    )]
    Decide {
        /// The mall's short name.
        #[arg(long)]
        tenant: Slug,
        /// The dispute's id.
        dispute: DisputeId,
        /// Whether the objection holds.
        #[arg(long)]
        outcome: OutcomeWord,
        /// Why, in your words.
        #[arg(long)]
        note: Name,
    },
}

/// How far a dispute is.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum StateWord {
    /// Nobody has decided.
    Open,
    /// The line does not hold.
    Upheld,
    /// The line holds.
    Rejected,
}

/// What is decided.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum OutcomeWord {
    /// The line does not hold: who would pay for it does not.
    Upheld,
    /// The line holds.
    Rejected,
}

impl From<StateWord> for DisputeState {
    fn from(word: StateWord) -> Self {
        match word {
            StateWord::Open => Self::Open,
            StateWord::Upheld => Self::Upheld,
            StateWord::Rejected => Self::Rejected,
        }
    }
}

impl From<OutcomeWord> for Outcome {
    fn from(word: OutcomeWord) -> Self {
        match word {
            OutcomeWord::Upheld => Self::Upheld,
            OutcomeWord::Rejected => Self::Rejected,
        }
    }
}

/// Does one of them.
pub(super) async fn run(app: &App, command: DisputeCommand, output: Output) -> Result<(), Failure> {
    app.db.prepare().await?;
    match command {
        DisputeCommand::List { tenant, state } => list(app, &tenant, state, output).await,
        DisputeCommand::Decide {
            tenant,
            dispute,
            outcome,
            note,
        } => {
            let mall = app.mall_of(tenant.as_str()).await?;
            let act = async {
                let who = Principal::platform(Some(mall.tenant.id));
                let grant = app.policy.allow::<DecideDispute>(&who)?;
                let mut tx = app.db.write(&grant).await.map_err(DisputeError::Db)?;
                let (outcome, note) = (outcome.into(), note.as_str());
                let decided = disputes::decide(&mut tx, &grant, dispute, outcome, note).await?;
                tx.commit().await.map_err(DisputeError::Db)?;
                Ok::<_, CommandError>(decided)
            };
            tell(&act.await?, mall.tenant.currency, output)
        }
    }
}

async fn list(
    app: &App,
    tenant: &Slug,
    state: Option<StateWord>,
    output: Output,
) -> Result<(), Failure> {
    let mall = app.mall_of(tenant.as_str()).await?;
    let who = Principal::platform(Some(mall.tenant.id));
    let grant = app.policy.allow::<ReadDisputes>(&who)?;
    let mut slice = Slice {
        limit: MOST,
        after: None,
    };
    loop {
        let mut tx = app.db.read(&grant).await?;
        let page = disputes::list(&mut tx, &grant, state.map(Into::into), &slice).await;
        let page = page.map_err(CommandError::from)?;
        for dispute in &page.items {
            tell(dispute, mall.tenant.currency, output)?;
        }
        match page.next {
            Some(next) => slice.after = Some(next),
            None => return Ok(()),
        }
    }
}

/// One dispute, as JSON or on a line.
fn tell(dispute: &Dispute, currency: Currency, output: Output) -> Result<(), Failure> {
    output.data(&document(dispute, currency), || {
        let Dispute {
            id, period, reason, ..
        } = dispute;
        let amount = decimal(dispute.amount, currency.places());
        let (state, by) = (dispute.state.as_str(), at(dispute.decide_by));
        format!(
            "{id}  {period}  {amount:>12} {}  {state:8}  by {by}  {reason}",
            currency.code()
        )
    })
}

fn document(dispute: &Dispute, currency: Currency) -> Value {
    let decision = dispute.decision.as_ref();
    json!({
        "object": "dispute",
        "id": dispute.id.to_string(),
        "settlement_id": dispute.settlement.to_string(),
        "period": dispute.period.to_string(),
        "merchant_id": dispute.merchant.to_string(),
        "journal_id": dispute.journal.to_string(),
        "line": dispute.line,
        "payer_merchant_id": dispute.payer.to_string(),
        "receiver_merchant_id": dispute.receiver.to_string(),
        "amount": dispute.amount,
        "returned": dispute.returned,
        "currency": currency.code(),
        "reason": dispute.reason,
        "state": dispute.state.as_str(),
        "held": dispute.held,
        "raised_at": at(dispute.raised_at),
        "decide_by": at(dispute.decide_by),
        "decided_at": decision.map(|decision| at(decision.decided_at)),
        "note": decision.map(|decision| decision.note.clone()),
    })
}
