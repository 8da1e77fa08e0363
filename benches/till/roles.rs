//! Servers that ours is measured against. They listen with our own accept loop, as processes of
//! their own; this program plays them when its first argument says so.

use std::{fmt::Write, str::FromStr, sync::Arc};

use poem::{Endpoint, Request, Response, endpoint::make, http::StatusCode};
use rotunda::{app::App, http::listen};
use sqlx::{
    PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};

use super::{mall::Mall, naive, site::Site, site::open_app};

/// `select 1` for each request, through the pool that our requests take their connections from.
pub const SELECT_ONE: &str = "--select-one";

/// A purchase as one would write it first: see [`naive`].
pub const NAIVE: &str = "--naive";

/// Connections of the naive server: one for each client.
const NAIVE_CONNECTIONS: u32 = 32;

/// Plays the role that the first argument names, for ever; none: returns.
pub async fn play(first: Option<&str>) {
    let Some(role @ (SELECT_ONE | NAIVE)) = first else {
        return;
    };
    let url = std::env::var("DATABASE_URL").unwrap();
    let app = open_app(url.clone()).await;
    if role == SELECT_ONE {
        let asked = app.clone();
        let endpoint = make(move |_| {
            let app = asked.clone();
            async move {
                app.db.ping().await.unwrap();
                Ok::<_, poem::Error>(Response::builder().body("1"))
            }
        });
        return serve(&app, endpoint).await;
    }
    let options = PgConnectOptions::from_str(&url)
        .unwrap()
        .options([("search_path", naive::SCHEMA)]);
    let pool = PgPoolOptions::new()
        .max_connections(NAIVE_CONNECTIONS)
        .test_before_acquire(false)
        .connect_lazy_with(options);
    let endpoint = make(move |request: Request| {
        let pool = pool.clone();
        async move { Ok::<_, poem::Error>(purchase(&pool, request).await) }
    });
    serve(&app, endpoint).await;
}

async fn serve(app: &App, endpoint: impl Endpoint<Output = Response> + 'static) {
    let listener = listen::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = listener.local_addr().unwrap();
    eprintln!("address={address}");
    listen::serve(app, listener, endpoint, std::future::pending()).await;
}

async fn purchase(pool: &PgPool, mut request: Request) -> Response {
    let key = request.header("idempotency-key").unwrap().to_owned();
    let body = request.take_body().into_bytes().await.unwrap();
    match naive::record(pool, &key, &body).await {
        Ok(answer) => Response::builder()
            .status(StatusCode::CREATED)
            .content_type("application/json")
            .body(answer),
        Err(error) => Response::builder()
            .status(StatusCode::INTERNAL_SERVER_ERROR)
            .body(error.to_string()),
    }
}

/// The naive server's tables: a mall's own, with their columns and indexes and its wallets.
pub async fn prepare_naive(site: &Site, mall: &Arc<Mall>) {
    let (from, to) = (&mall.schema, naive::SCHEMA);
    let mut sql = format!("create schema {to};");
    for table in naive::TABLES {
        write!(
            sql,
            "create table {to}.{table} (like {from}.{table} including all);"
        )
        .unwrap();
    }
    write!(
        sql,
        "insert into {to}.wallet select * from {from}.wallet; analyze {to}.wallet"
    )
    .unwrap();
    site.execute(&sql).await;
}
