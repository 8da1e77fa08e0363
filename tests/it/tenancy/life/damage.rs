//! Archives that are not what was written.

use std::{fs, os::unix::fs::PermissionsExt};

use rotunda::{
    app::life::{self, LifeError},
    db::{
        archive::{ArchiveError, PackError},
        tenants::Status,
    },
    kernel::{ids::Entropy, time::Clock},
};

use super::{Elsewhere, Folder, export, import, wish};
use crate::{
    support::{NOON, instant, outside::Server},
    tenancy::places::{SHEET, Shopping},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_flipped_byte_anywhere_and_a_missing_end_are_found() {
    let server = Server::open(4, Clock::fixed(instant(NOON)), Entropy::System).await;
    let mall = server.mall(&SHEET.to_string()).await;
    let folder = Folder::new();
    let (file, other) = (folder.file("whole.tar"), folder.file("other.tar"));
    let written = export(&server.app, &mall, &file).await;
    let read = life::inspect(&file).await.unwrap();
    assert_eq!(read, written, "what is read is what was written");
    let whole = fs::read(&file).unwrap();
    let damaged = async |bytes: &[u8]| {
        fs::write(&other, bytes).unwrap();
        match life::inspect(&other).await {
            Err(LifeError::Archive(ArchiveError::Pack(PackError::Damaged { place, .. }))) => place,
            other => panic!("{:?}", other.map(|_| "is whole")),
        }
    };
    // Every byte of the first two members' headers, and one in so many of all others.
    let places = (0..1_536)
        .step_by(5)
        .chain((1_536..whole.len()).step_by(199));
    for at in places.chain([whole.len() - 1, whole.len() - 1_000]) {
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << (at % 8);
        damaged(&bytes).await;
    }
    for length in [
        0,
        1,
        511,
        512,
        700,
        whole.len() / 2,
        whole.len() - 1_024,
        whole.len() - 1,
    ] {
        damaged(&whole[..length]).await;
    }
    damaged(&[&whole[..], b"x"].concat()).await;

    // It is said where.
    let name = b"tables/member.000001.csv.gz";
    let at = whole
        .windows(name.len())
        .position(|part| part == name)
        .unwrap();
    let mut bytes = whole.clone();
    bytes[at + 512 + 30] ^= 4;
    assert_eq!(damaged(&bytes).await, "tables/member.000001.csv.gz");
    // And nothing comes of it: no mall, no schema, and the short name is free.
    let there = Elsewhere::open(&Clock::fixed(instant(NOON)), None).await;
    let refused = import(&there.server.app, &other, None).await;
    assert!(matches!(refused, Err(LifeError::Archive(_))), "{refused:?}");
    let known = there.server.app.db.tenant_of_slug(mall.slug.as_str()).await;
    assert!(known.unwrap().is_none());
    assert_eq!(
        import(&there.server.app, &file, None).await.unwrap().broken,
        [""; 0]
    );
    there.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_that_is_killed_leaves_the_short_name_to_the_next_one() {
    let clock = Clock::fixed(instant(NOON));
    let server = Server::open(4, clock.clone(), Entropy::System).await;
    let mall = Shopping::open(&server, "main").await;
    for receipt in ["1", "2", "3"] {
        server
            .post(mall.till(), "/v1/purchases", &mall.purchase(receipt))
            .await;
    }
    let folder = Folder::new();
    let file = folder.file("mall.tar");
    export(&server.app, &mall.tenant, &file).await;
    let there = Elsewhere::open(&clock, None).await;
    let (db, slug) = (&there.server.app.db, mall.tenant.slug.as_str());
    for fatal in [1, 20, 40] {
        let reached = tokio::sync::Notify::new();
        let tell = |progress: rotunda::db::archive::Progress| {
            if progress.of.0 >= fatal {
                reached.notify_one();
            }
        };
        let wish = wish(&file, None);
        tokio::select! {
            biased;
            () = reached.notified() => {}
            ended = life::import(&there.server.app, &wish, tell) => panic!("{ended:?}"),
        }
        // No host means it, no manifest makes something else of it, and it cannot be suspended.
        let left = db.tenant_of_slug(slug).await.unwrap().unwrap();
        assert_eq!((left.status, left.hosts.len()), (Status::Arriving, 0));
        let manifest = SHEET.to_string().replace("SLUG", slug);
        let path = folder.file("mall.toml");
        fs::write(&path, manifest).unwrap();
        let refused = rotunda::cli::tenant::apply(&there.server.app, &path).await;
        assert!(refused.unwrap_err().to_string().contains("arriving"));
    }
    let restored = import(&there.server.app, &file, None).await.unwrap();
    assert_eq!(
        (restored.tenant.status, restored.broken.len()),
        (Status::Active, 0)
    );
    let again = import(&there.server.app, &file, None).await;
    assert!(
        matches!(&again, Err(LifeError::Archive(ArchiveError::Taken(taken))) if taken == slug),
        "{again:?}"
    );
    there.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_overwrites_nothing_and_leaves_nothing_half() {
    let server = Server::open(4, Clock::fixed(instant(NOON)), Entropy::System).await;
    let mall = Shopping::open(&server, "main").await;
    let folder = Folder::new();
    let file = folder.file("mall.tar");
    fs::write(&file, "mine").unwrap();
    let refused = life::export(&server.app, &mall.tenant.slug, &file, |_| ()).await;
    let exists = |error: &LifeError| {
        matches!(
            error,
            LifeError::Archive(ArchiveError::Pack(PackError::Exists(_)))
        )
    };
    assert!(exists(&refused.unwrap_err()));
    assert_eq!(fs::read(&file).unwrap(), b"mine");
    fs::remove_file(&file).unwrap();

    // Broken off in the middle.
    let reached = tokio::sync::Notify::new();
    tokio::select! {
        biased;
        () = reached.notified() => {}
        ended = life::export(&server.app, &mall.tenant.slug, &file, |progress| {
            if progress.of.0 == 7 {
                reached.notify_one();
            }
        }) => panic!("{ended:?}"),
    }
    for _ in 0..100 {
        if folder.names().is_empty() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert_eq!(folder.names(), [""; 0]);
    // Whoever asks next on any connection gets an answer to that, and not the rest of a table.
    for _ in 0..12 {
        let known = server
            .app
            .db
            .tenant_of_slug(mall.tenant.slug.as_str())
            .await;
        assert_eq!(known.unwrap().unwrap().id, mall.tenant.id);
    }

    // A folder that is not there, and then one that is.
    let nowhere = folder.file("no/mall.tar");
    let refused = life::export(&server.app, &mall.tenant.slug, &nowhere, |_| ()).await;
    assert!(matches!(
        refused,
        Err(LifeError::Archive(ArchiveError::Pack(
            PackError::Write { .. }
        )))
    ));
    // What a process that was killed has left is in nobody's way.
    fs::write(folder.file("mall.tar.part"), "half").unwrap();
    export(&server.app, &mall.tenant, &file).await;
    assert_eq!(folder.names(), ["mall.tar"]);
    assert_eq!(
        fs::metadata(&file).unwrap().permissions().mode() & 0o777,
        0o600
    );
}
