//! The sites over a real socket: raw requests, because a client library would tidy up the paths first.

use std::{fs, net::SocketAddr, os::unix::fs::symlink, path::Path};

use axum::routing::get;
use berth_jobs::ids::AccountId;
use jiff::Timestamp;
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

use super::*;
use crate::gateways::panels::{
    AccountRef, CreateSpec, Panel as _,
    site::{SiteConfig, SitePanel},
};

struct World {
    dir: TempDir,
    panel: SitePanel,
    alice: AccountRef,
    addr: SocketAddr,
    server: JoinHandle<()>,
}

impl Drop for World {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// An API with one route, and Alice's site.
async fn world() -> World {
    let dir = TempDir::new().unwrap();
    let url = "http://{username}.localhost/".to_owned();
    let (sites_dir, backups_dir) = (dir.path().to_owned(), dir.path().join(".backups"));
    let panel = SitePanel::new(SiteConfig { sites_dir, backups_dir, url });
    let alice =
        AccountRef { account_id: AccountId::new(), username: "alice".to_owned(), remote_id: None, domain: None };
    let spec = CreateSpec {
        account: alice.clone(),
        password: String::new().into(),
        package: "small".to_owned(),
        owner_email: String::new(),
        configuration: serde_json::Value::Null,
        addons: serde_json::Value::Null,
        intended_at: Timestamp::UNIX_EPOCH,
    };
    panel.ensure_created(&spec).await.unwrap();
    let api = Router::new().route("/healthz", get(|| async { "the api" }).post(|| async { "the api" }));
    let app = Sites::new(vec![dir.path().to_owned()], "localhost").before(api);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    #[expect(clippy::disallowed_methods, reason = "the server of one test, stopped with it")]
    let server = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    World { dir, panel, alice, addr, server }
}

struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl World {
    fn files(&self) -> std::path::PathBuf {
        self.dir.path().join("alice/public_html")
    }

    async fn raw(&self, request: &str) -> Answer {
        let mut stream = TcpStream::connect(self.addr).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).await.unwrap();
        let text = String::from_utf8(bytes).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Answer { status, head: head.to_ascii_lowercase(), body: body.to_owned() }
    }

    async fn send(&self, method: &str, host: &str, path: &str, more: &str) -> Answer {
        let request = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{more}\r\n");
        self.raw(&request).await
    }

    async fn get(&self, host: &str, path: &str) -> Answer {
        self.send("GET", host, path, "").await
    }
}

fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

#[tokio::test]
async fn a_site_is_served_to_its_host_however_that_is_written() {
    let world = world().await;

    for host in ["alice.localhost", "ALICE.LocalHost:8080", "alice.localhost.", "alice.localhost.:80"] {
        let answer = world.get(host, "/").await;

        assert_eq!(answer.status, 200, "{host}");
        assert!(answer.body.contains("<h1>http://alice.localhost/</h1>"), "{host}");
        assert!(answer.head.contains("content-type: text/html"), "{}", answer.head);
        assert!(answer.head.contains("x-content-type-options: nosniff"), "{}", answer.head);
    }
}

#[tokio::test]
async fn every_other_host_reaches_the_api_and_no_site_does() {
    let world = world().await;

    for host in ["localhost", "localhost:80", "127.0.0.1", "alice.example", "[::1]:80"] {
        let answer = world.get(host, "/healthz").await;
        assert_eq!((answer.status, answer.body.as_str()), (200, "the api"), "{host}");
        assert_eq!(world.get(host, "/index.html").await.status, 404, "{host}");
    }
    for host in ["alice.localhost", "nobody.localhost", "a.b.localhost", "-.localhost", ".log.localhost", ".localhost"]
    {
        let answer = world.get(host, "/healthz").await;
        assert_eq!(answer.status, 404, "{host}");
        assert!(answer.head.contains("x-content-type-options: nosniff"), "{host}");
    }
    let two = world.send("GET", "localhost", "/healthz", "Host: alice.localhost\r\n").await;
    assert_eq!(two.status, 400);
}

#[tokio::test]
async fn an_unknown_site_has_a_page_that_says_so() {
    let answer = world().await.get("nobody.localhost", "/").await;

    assert_eq!(answer.status, 404);
    assert!(answer.body.contains(NO_SITE), "{}", answer.body);
}

#[tokio::test]
async fn no_path_leads_out_of_a_site() {
    let world = world().await;
    write(&world.files().join(".env"), "SECRET");
    write(&world.files().join(".git/config"), "SECRET");
    write(&world.dir.path().join("secret.txt"), "SECRET");
    write(&world.files().join("sub/index.html"), "fine");

    for path in [
        "/../account.json",
        "/%2e%2e/account.json",
        "/..%2faccount.json",
        "/%2e%2e%2faccount.json",
        "/.%2e/account.json",
        "/sub/../../account.json",
        "/sub/%2e%2e/%2e%2e/account.json",
        "/..%5caccount.json",
        "/%252e%252e/account.json",
        "//../account.json",
        "/..;/account.json",
        "/../../secret.txt",
        "/%2e%2e/%2e%2e/secret.txt",
        "/account.json",
        "/public_html/../account.json",
        "/.env",
        "/%2eenv",
        "/.git/config",
        "/sub/..%00/",
        "/index.html%00.txt",
        "/%c0%ae%c0%ae/account.json",
        "/%ff",
        "/%zz",
        "/.",
        "/..",
        "/./",
        "//",
        "//sub",
        "/index.html/",
    ] {
        let answer = world.get("alice.localhost", path).await;

        assert!([400, 404].contains(&answer.status), "{path}: {}", answer.head);
        assert!(!answer.body.contains("SECRET") && !answer.body.contains("account_id"), "{path}");
        assert!(!answer.head.contains("location:"), "{path}");
    }
    assert_eq!(world.get("alice.localhost", "/sub/").await.body, "fine");
}

#[tokio::test]
async fn a_link_is_followed_inside_a_site_and_not_out_of_it() {
    let world = world().await;
    let files = world.files();
    write(&files.join("real/page.html"), "inside");
    write(&files.join(".hidden"), "SECRET");
    symlink("real/page.html", files.join("inside.html")).unwrap();
    symlink("../account.json", files.join("out.json")).unwrap();
    symlink("/etc", files.join("etc")).unwrap();
    symlink(".hidden", files.join("shown")).unwrap();
    symlink("loop", files.join("loop")).unwrap();
    fs::create_dir(files.join("dir")).unwrap();
    symlink("../../account.json", files.join("dir/index.html")).unwrap();

    assert_eq!(world.get("alice.localhost", "/inside.html").await.body, "inside");
    for path in ["/out.json", "/etc/passwd", "/etc", "/etc/", "/shown", "/loop", "/dir/", "/dir"] {
        let answer = world.get("alice.localhost", path).await;

        assert_eq!(answer.status, 404, "{path}: {}", answer.body);
    }
}

#[tokio::test]
async fn an_account_whose_files_are_a_link_is_not_served() {
    let world = world().await;
    fs::remove_dir_all(world.files()).unwrap();
    symlink("/etc", world.files()).unwrap();

    assert_eq!(world.get("alice.localhost", "/passwd").await.status, 404);
}

#[tokio::test]
async fn a_directory_redirects_to_its_slash_and_shows_its_index() {
    let world = world().await;
    write(&world.files().join("blog/index.html"), "blog");
    fs::create_dir(world.files().join("empty")).unwrap();

    let redirect = world.get("alice.localhost", "/blog?page=2").await;

    assert_eq!(redirect.status, 307);
    assert!(redirect.head.contains("location: /blog/?page=2"), "{}", redirect.head);
    assert_eq!(world.get("alice.localhost", "/blog/").await.body, "blog");
    assert_eq!(world.get("alice.localhost", "/empty/").await.status, 404);
}

#[tokio::test]
async fn a_page_that_was_not_changed_is_not_sent_again() {
    let world = world().await;
    let first = world.get("alice.localhost", "/").await;
    let etag = first.head.lines().find_map(|line| line.strip_prefix("etag: ")).unwrap();

    let again = world.send("GET", "alice.localhost", "/", &format!("If-None-Match: {etag}\r\n")).await;

    assert_eq!((again.status, again.body.as_str()), (304, ""));
}

#[tokio::test]
async fn head_sends_no_body_and_other_methods_are_refused() {
    let world = world().await;

    let head = world.send("HEAD", "alice.localhost", "/", "").await;
    let missing = world.send("HEAD", "alice.localhost", "/missing", "").await;

    assert_eq!((head.status, head.body.as_str()), (200, ""));
    assert_eq!((missing.status, missing.body.as_str()), (404, ""));
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"] {
        let answer = world.send(method, "alice.localhost", "/healthz", "Content-Length: 0\r\n").await;
        assert_eq!(answer.status, 405, "{method}");
        assert!(answer.head.contains("allow: get, head"), "{method}");
    }
}

#[tokio::test]
async fn a_suspended_site_answers_503_until_it_is_active_again() {
    let world = world().await;

    world.panel.ensure_suspended(&world.alice, "non_payment").await.unwrap();
    let suspended = world.get("alice.localhost", "/").await;
    world.panel.ensure_active(&world.alice).await.unwrap();
    let active = world.get("alice.localhost", "/").await;
    world.panel.ensure_absent(&world.alice).await.unwrap();
    let absent = world.get("alice.localhost", "/").await;

    assert_eq!(suspended.status, 503);
    assert!(suspended.head.contains("cache-control: no-store"), "{}", suspended.head);
    assert!(!suspended.head.contains("retry-after"), "nobody knows when: {}", suspended.head);
    assert!(suspended.body.contains(SUSPENDED), "{}", suspended.body);
    assert_eq!(active.status, 200);
    assert_eq!(absent.status, 404);
}

#[tokio::test]
async fn a_suspended_site_shows_nothing_of_its_owners_nor_why_it_is_away() {
    let world = world().await;
    write(&world.files().join("page.html"), "SECRET");
    let etag = world.get("alice.localhost", "/page.html").await;
    let etag = etag.head.lines().find_map(|line| line.strip_prefix("etag: ")).unwrap().to_owned();

    for reason in ["non_payment", "abuse", "dispute"] {
        world.panel.ensure_suspended(&world.alice, reason).await.unwrap();
        for (path, more) in [
            ("/", String::new()),
            ("/page.html", String::new()),
            ("/page.html", format!("If-None-Match: {etag}\r\n")),
            ("/page.html", "Range: bytes=0-3\r\n".to_owned()),
            ("/missing", String::new()),
            ("/../account.json", String::new()),
        ] {
            let answer = world.send("GET", "alice.localhost", path, &more).await;

            assert_eq!(answer.status, 503, "{path} {more}");
            let said = format!("{} {}", answer.head, answer.body).to_lowercase();
            for word in [reason, "payment", "paid", "suspended", "alice", "secret", "small", "etag"] {
                assert!(!said.contains(word), "{path} {more}: {word}: {said}");
            }
        }
    }
}

#[tokio::test]
async fn an_absolute_target_chooses_the_site() {
    let world = world().await;

    let answer =
        world.raw("GET http://alice.localhost/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await;

    assert_eq!(answer.status, 200);
    assert!(answer.body.contains("alice"));
}

#[tokio::test]
async fn a_disk_that_is_away_takes_no_site_of_another_one_with_it() {
    let world = world().await;
    let away = world.dir.path().join("away");
    std::fs::write(&away, "").unwrap();
    let dirs = [away, world.dir.path().to_owned()];
    let look = |name: &str| find(&dirs, &SiteName::parse(name).unwrap(), path::Wanted::parse("/"));

    assert!(matches!(look("alice"), Ok(super::Answer::From(_))));
    assert!(look("nobody").is_err(), "whether there is such a site is not known while a disk is away");
}
