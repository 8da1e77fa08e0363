//! Statements as files: on paper, as a workbook, as a sheet.

use poem_openapi::{
    OpenApi,
    param::{Path, Query},
};

use crate::{
    api::Group,
    authz::action::ReadStatements,
    http::{
        admit::Caller,
        codes,
        problem::Problem,
        reply::{Csv, Download, Media, Pdf, Xlsx},
    },
    kernel::{ids::StatementId, text::Language},
    settlement::{Face, document},
};

/// Operations on files of statements.
#[derive(Debug)]
pub struct Documents;

#[OpenApi(tag = "Group::Operator")]
impl Documents {
    /// Download a statement on paper
    ///
    /// As PDF, A4, to print or to keep: every figure, what the net is made of, and who pays whom once
    /// that is fixed. In `language`, else in the mall's first. The same statement is the same bytes.
    #[oai(
        path = "/v1/statements/:statement_id/statement.pdf",
        method = "get",
        operation_id = "download_statement_pdf"
    )]
    async fn download_statement_pdf(
        &self,
        caller: Caller<ReadStatements>,
        statement_id: Path<StatementId>,
        language: Query<Option<Language>>,
    ) -> Result<Download<Pdf>, Problem> {
        printed(&caller, statement_id.0, language.0, Face::Pdf).await
    }

    /// Download a statement as a workbook
    ///
    /// As XLSX, amounts as numbers: a sheet of facts, figures and payments, and one of what the net is
    /// made of. In `language`, else in the mall's first.
    #[oai(
        path = "/v1/statements/:statement_id/statement.xlsx",
        method = "get",
        operation_id = "download_statement_xlsx"
    )]
    async fn download_statement_xlsx(
        &self,
        caller: Caller<ReadStatements>,
        statement_id: Path<StatementId>,
        language: Query<Option<Language>>,
    ) -> Result<Download<Xlsx>, Problem> {
        printed(&caller, statement_id.0, language.0, Face::Xlsx).await
    }

    /// Download a statement as a sheet
    ///
    /// As comma-separated values in UTF-8, one line for each fact, figure, part of the net and
    /// payment; amounts of money as decimals. In `language`, else in the mall's first.
    #[oai(
        path = "/v1/statements/:statement_id/statement.csv",
        method = "get",
        operation_id = "download_statement_csv"
    )]
    async fn download_statement_csv(
        &self,
        caller: Caller<ReadStatements>,
        statement_id: Path<StatementId>,
        language: Query<Option<Language>>,
    ) -> Result<Download<Csv>, Problem> {
        printed(&caller, statement_id.0, language.0, Face::Csv).await
    }
}

/// Reads the statement, gives the connection back, and prints on a thread that may take its time.
async fn printed<M: Media>(
    caller: &Caller<ReadStatements>,
    id: StatementId,
    language: Option<Language>,
    face: Face,
) -> Result<Download<M>, Problem> {
    let mall = &caller.tenant;
    let language = language.unwrap_or_else(|| mall.language());
    let mut tx = caller.db().read(&caller.grant).await?;
    let document = document::of(&mut tx, &caller.grant, id, mall, language).await?;
    drop(tx);
    let name = document.file_name(face);
    let bytes = tokio::task::spawn_blocking(move || document.print(face))
        .await
        .map_err(|error| Problem::of(&codes::INTERNAL_ERROR).because(error))??;
    Ok(Download::new(name, bytes))
}
