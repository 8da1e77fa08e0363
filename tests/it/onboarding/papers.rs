//! Files: what is taken, what is not, who gets them and how.

use chrono::TimeDelta;
use poem::http::Method;
use rotunda::{
    jobs::{handlers, schedule::TidyFiles},
    kernel::ids::{Entropy, Id, PaperId},
    queue::Job,
};

use super::{LICENCE, PDF, PNG};
use crate::support::people::{People, text};

fn jpeg() -> Vec<u8> {
    // Start, one frame of 1 × 1 dots, end.
    let mut bytes = vec![0xff, 0xd8, 0xff, 0xc0, 0, 11, 8, 0, 1, 0, 1, 1, 1, 0x11, 0];
    bytes.extend([0xff, 0xd9]);
    bytes
}

fn webp() -> Vec<u8> {
    let mut body = b"WEBPVP8X".to_vec();
    body.extend(10_u32.to_le_bytes());
    body.extend([0; 10]);
    let mut bytes = b"RIFF".to_vec();
    bytes.extend(u32::try_from(body.len()).unwrap().to_le_bytes());
    bytes.extend(body);
    bytes
}

/// A picture that says that it has so many dots.
fn flood() -> Vec<u8> {
    let mut bytes = PNG.to_vec();
    bytes[16..24].copy_from_slice(&[0, 0, 0xff, 0xff, 0, 0, 0xff, 0xff]);
    bytes
}

fn joined(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn thirty_bad_files_are_refused_whatever_they_are_called() {
    let mall = People::open().await;
    let token = mall.applicant("lin@lantern.example").await;
    let zip: &[u8] = b"PK\x03\x04\x14\x00\x00\x00\x08\x00";
    let html: &[u8] = b"<!DOCTYPE html><html><script>alert(1)</script></html>";
    let svg: &[u8] = b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>";
    let bad: Vec<(&str, Vec<u8>)> = vec![
        ("a.pdf", html.to_vec()),
        ("b.pdf", joined(&[b"\xef\xbb\xbf", html])),
        ("c.png", svg.to_vec()),
        ("d.svg", joined(&[b"<?xml version='1.0'?>", svg])),
        ("e.pdf", zip.to_vec()),
        ("f.docx", joined(&[zip, &[0; 200]])),
        ("g.png", joined(&[PNG, zip])),
        ("h.png", joined(&[PNG, html])),
        ("i.jpg", joined(&[&jpeg(), zip])),
        ("j.jpg", joined(&[&jpeg(), html])),
        ("k.webp", joined(&[&webp(), html])),
        ("l.pdf", joined(&[PDF, zip])),
        ("m.pdf", joined(&[PDF, html])),
        ("n.pdf", joined(&[zip, PDF])),
        ("o.pdf", joined(&[html, PDF])),
        ("p.png", PNG[..40].to_vec()),
        ("q.jpg", jpeg()[..10].to_vec()),
        ("r.pdf", PDF[..30].to_vec()),
        ("s.webp", webp()[..20].to_vec()),
        ("t.png", flood()),
        (
            "u.pdf",
            joined(&[b"%PDF-1.4\n<</S/JavaScript/JS(app.alert(1))>>\n%%EOF"]),
        ),
        (
            "v.pdf",
            joined(&[b"%PDF-1.4\n<</S/Launch/F(cmd.exe)>>\n%%EOF"]),
        ),
        (
            "w.pdf",
            joined(&[b"%PDF-1.4\n<</Type/EmbeddedFile>>\n%%EOF"]),
        ),
        ("x.gif", b"GIF89a\x01\x00\x01\x00\x00\x00\x00;".to_vec()),
        ("y.exe", joined(&[b"MZ\x90\x00\x03", &[0; 100]])),
        ("z.gz", b"\x1f\x8b\x08\x00\x00\x00\x00\x00".to_vec()),
        ("1.pdf", b"just words".to_vec()),
        ("2.tif", b"II*\x00\x08\x00\x00\x00".to_vec()),
        ("3.sh", b"#!/bin/sh\nrm -rf /\n".to_vec()),
        ("4.png", vec![0; 1000]),
        (
            "5.heic",
            b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00".to_vec(),
        ),
        ("6.pdf", b"%PDF".to_vec()),
    ];
    for (name, bytes) in &bad {
        let answer = mall.sends(&token, "other", name, bytes).await;
        let said = (answer.status, answer.code());
        assert_eq!(
            said,
            (409, "file-refused".to_owned()),
            "{name}: {}",
            answer.body
        );
    }
    let empty = mall.sends(&token, "other", "e.pdf", b"").await;
    assert!(matches!(empty.status, 400 | 409), "{}", empty.body);
    let mut large = PDF.to_vec();
    large.splice(20..20, vec![b' '; 256 << 10]);
    let answer = mall.sends(&token, "other", "l.pdf", &large).await;
    assert_eq!(
        (answer.status, answer.code()),
        (409, "file-refused".to_owned())
    );
    large.splice(20..20, vec![b' '; 64 << 10]);
    let answer = mall.sends(&token, "other", "l.pdf", &large).await;
    assert_eq!(
        (answer.status, answer.code()),
        (413, "body-too-large".to_owned())
    );
    let own = mall.server.get(mall.at(&token), "/v1/application").await;
    assert_eq!(own["files"].as_array().unwrap().len(), 0, "{own}");
    for (name, bytes) in [
        ("a.pdf", PDF),
        ("b.png", PNG),
        ("c.jpg", &jpeg()),
        ("d.webp", &webp()),
    ] {
        let answer = mall.sends(&token, "other", name, bytes).await;
        assert_eq!(answer.status, 200, "{name}: {}", answer.body);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_goes_to_who_has_the_right_as_it_came_and_is_nothing_to_anybody_else() {
    let mall = People::open().await;
    let auditor = mall
        .server
        .key(&mall.front.tenant, "operator.auditor", None)
        .await;
    let support = mall
        .server
        .key(&mall.front.tenant, "operator.support", None)
        .await;
    let (token, id) = mall.applied("lin@lantern.example", LICENCE).await;
    let other = mall.applicant("mallory@other.example").await;
    let own = mall.server.get(mall.at(&token), "/v1/application").await;
    let file = text(&own["files"][0]["file_id"]);
    let theirs = format!("/v1/merchant-applications/{id}/files/{file}");
    let mine = format!("/v1/application/files/{file}");
    for (who, path) in [(&token, &mine), (&auditor, &theirs)] {
        let answer = mall
            .server
            .ask(mall.at(who), &Method::GET, path, None)
            .await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        assert_eq!(answer.headers["content-type"], "image/png");
        assert_eq!(answer.headers["x-content-type-options"], "nosniff");
        let policy = answer.headers["content-security-policy"].to_str().unwrap();
        assert_eq!(policy, "sandbox; default-src 'none'");
        let kept = answer.headers["content-disposition"].to_str().unwrap();
        assert!(
            kept.starts_with("attachment; filename=\"scan.png\""),
            "{kept}"
        );
        assert_eq!(answer.headers["cache-control"], "private, no-store");
    }
    let digest = own["files"][0]["digest"].as_str().unwrap();
    assert_eq!(digest.len(), 64);
    let refused = |answer: crate::support::outside::Answer| (answer.status, answer.code());
    let ask = async |who: &str, path: &str| {
        mall.server
            .ask(mall.at(who), &Method::GET, path, None)
            .await
    };
    assert_eq!(
        refused(ask(&other, &mine).await),
        (404, "unknown-file".to_owned())
    );
    assert_eq!(
        refused(ask(&support, &theirs).await),
        (403, "not-allowed".to_owned())
    );
    assert_eq!(
        refused(ask(&token, &theirs).await),
        (403, "not-allowed".to_owned())
    );
    let nobodys = mall
        .server
        .ask(mall.stranger(), &Method::GET, &mine, None)
        .await;
    assert_eq!(nobodys.status, 401);
    // Another application's id before it, or another mall.
    let own = mall.server.get(mall.at(&other), "/v1/application").await;
    let wrong = text(&own["application"]["application_id"]);
    let path = format!("/v1/merchant-applications/{wrong}/files/{file}");
    assert_eq!(
        refused(ask(&auditor, &path).await),
        (404, "unknown-file".to_owned())
    );
    let foreign = People::open().await;
    assert_eq!(
        foreign.asks(&token, &mine).await,
        (401, "unknown-key".to_owned())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_is_text_alone_and_the_same_bytes_are_one_file() {
    let mall = People::open().await;
    let token = mall.applicant("lin@lantern.example").await;
    for (kind, given, kept) in [
        ("licence", "..%2F..%2Fetc%2Fpasswd", "passwd.png"),
        ("identity", "C%3A%5CWindows%5Ca.exe", "a.png"),
        ("other", "%E6%89%A7%E7%85%A7.html", "执照.png"),
    ] {
        let answer = mall.sends(&token, kind, given, PNG).await;
        assert_eq!(answer.json()["name"], kept, "{}", answer.body);
        let again = mall.sends(&token, kind, "twice.png", PNG).await;
        assert_eq!(answer.json()["file_id"], again.json()["file_id"]);
    }
    let own = mall.server.get(mall.at(&token), "/v1/application").await;
    assert_eq!(own["files"].as_array().unwrap().len(), 3);
    let names = mall
        .server
        .app
        .files
        .list(mall.front.tenant.id)
        .await
        .unwrap();
    assert_eq!(names.len(), 3, "under ids, and nothing beside");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_no_row_is_tidied_away_a_day_later_and_nothing_else() {
    let mall = People::open().await;
    let (app, tenant) = (&mall.server.app, mall.front.tenant.id);
    let (token, _) = mall.applied("lin@lantern.example", LICENCE).await;
    let manager = mall
        .server
        .key(&mall.front.tenant, "operator.merchant-manager", None)
        .await;
    let own = mall.server.get(mall.at(&token), "/v1/application").await;
    let id = text(&own["application"]["application_id"]);
    // One that was written just before a crash, one a moment ago, and one that was removed.
    let day = TimeDelta::days(1);
    let crashed: PaperId = Id::new(mall.clock.now(), &Entropy::System);
    app.files.put(tenant, crashed, PNG.to_vec()).await.unwrap();
    let ask = serde_json::json!({"questions": [{"field": "licence_file", "note": "Too dark"}]});
    mall.decides(&manager, &id, "questions", &ask).await;
    let gone = text(&own["files"][0]["file_id"]);
    let path = format!("/v1/application/files/{gone}/removal");
    let removed = mall.does(&token, &path, &serde_json::Value::Null).await;
    assert_eq!(
        removed.json()["files"].as_array().unwrap().len(),
        1,
        "{}",
        removed.body
    );
    mall.clock
        .set(mall.clock.now() + day + TimeDelta::seconds(1));
    let young: PaperId = Id::new(mall.clock.now(), &Entropy::System);
    app.files.put(tenant, young, PNG.to_vec()).await.unwrap();
    let tools = super::letters::tools(&mall, rotunda::gateway::mail::Mailer::Off);
    let job = serde_json::json!({"day": "2026-03-03"});
    let kept: PaperId = text(&own["files"][1]["file_id"]).parse().unwrap();
    // It may get its row yet until it is a day old.
    for (later, stay) in [
        (day - TimeDelta::seconds(1), vec![kept, young]),
        (TimeDelta::zero(), vec![kept, young]),
        (TimeDelta::seconds(2), vec![kept]),
    ] {
        mall.clock.set(mall.clock.now() + later);
        let went = handlers(&tools)
            .run(tenant, TidyFiles::NAME, job.clone())
            .await;
        assert_eq!(went, rotunda::queue::worker::Outcome::Done);
        let mut left = app.files.list(tenant).await.unwrap();
        left.sort_unstable();
        assert_eq!(left, stay);
    }
}
