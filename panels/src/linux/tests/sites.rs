//! What a customer has: a site, PHP and a database of their own, SFTP, and nobody else's.

use secrecy::ExposeSecret as _;

use super::{
    machine::{Machine, await_that, host, processes_of},
    *,
};

/// Prints whatever PHP says of an attempt to read a file.
fn reading(path: &std::path::Path) -> String {
    format!("echo @file_get_contents('{}') === false ? 'refused' : 'read';", path.display())
}

fn uid_of(username: &str) -> u32 {
    nix::unistd::User::from_name(username).unwrap().unwrap().uid.as_raw()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_customers_php_is_the_customer_and_sees_nobody_else() {
    let Some(machine) = Machine::start() else { return };
    let panel = machine.panel();
    let (alice, made) = created(&panel, "alice").await;
    created(&panel, "mallory").await;
    machine.write("alice", "secret.php", "<?php /* secret */ echo 'alice';");
    let secret = machine.home("alice").join("public_html/secret.php");

    let front = machine.get(&host("alice"), "/");
    let uid = machine.php("alice", "echo posix_geteuid(), ' ', implode(',', posix_getgroups());");
    let seen = [secret.clone(), machine.home("alice").join("database.ini"), "/etc/passwd".into()]
        .map(|path| machine.php("mallory", &reading(&path)));
    let own = machine.php("mallory", &reading(&machine.home("mallory").join("database.ini")));
    let ran = machine.php("mallory", "echo function_exists('system') ? 'there' : 'not there';");
    machine.php("mallory", &format!("@unlink('a.txt'); symlink('{}', 'a.txt');", secret.display()));
    let linked = std::os::unix::fs::symlink(&secret, machine.home("mallory").join("public_html/b.txt"));
    let by_link = machine.get(&host("mallory"), "/b.txt");

    assert_eq!((front.status, front.body.contains("Nothing here yet")), (200, true), "{}", front.body);
    assert_eq!(made.site_url.as_deref().map(|url| url.starts_with("http://alice.linux.test:")), Some(true));
    assert_eq!(uid.split(' ').next(), Some(uid_of("alice").to_string().as_str()));
    assert!(uid_of("alice") >= 40_000);
    assert_eq!(seen, ["refused", "refused", "refused"]);
    assert_eq!(own, "read");
    assert_eq!(ran, "not there");
    linked.unwrap();
    assert!(!by_link.body.contains("secret"), "{} {}", by_link.status, by_link.body);
    assert_eq!(machine.get(&host("alice"), "/.git/config").status, 404);
    assert_eq!(machine.get(&host("nobody"), "/").status, 0, "a name of nobody's is answered by nobody's site");
    assert!(panel.usage(&alice.account).await.unwrap().disk_bytes > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_customer_by_sftp_is_in_a_jail_and_another_password_opens_nothing() {
    let Some(machine) = Machine::start() else { return };
    let panel = machine.panel();
    let (spec, _) = created(&panel, "jailed").await;
    let password = spec.password.expose_secret();

    let upload = machine.sftp("jailed", password, "put /etc/hostname up.txt\nls -1 /\n");
    let outside = machine.sftp("jailed", password, "get /etc/passwd /dev/null\n");
    let upwards = machine.sftp("jailed", password, "cd /../../..\nls -1\n");
    let write_home = machine.sftp("jailed", password, "put /etc/hostname /up.txt\n");
    let wrong = machine.sftp("jailed", "not-the-password", "ls\n");
    let served = machine.get(&host("jailed"), "/up.txt");
    at_once(panel.set_password(&spec.account, &"another-Pass-word1".to_owned().into()).await);
    let old = machine.sftp("jailed", password, "ls\n");
    let new = machine.sftp("jailed", "another-Pass-word1", "ls\n");

    let listed = String::from_utf8_lossy(&upload.stdout).into_owned();
    assert!(upload.status.success(), "{}", String::from_utf8_lossy(&upload.stderr));
    assert!(listed.contains("/public_html\n") && !listed.contains("/etc\n"), "{listed}");
    assert!(!outside.status.success());
    let upwards = String::from_utf8_lossy(&upwards.stdout).into_owned();
    assert!(upwards.contains("public_html\n") && !upwards.contains("etc\n"), "{upwards}");
    assert!(!write_home.status.success(), "the home is root's");
    assert!(!wrong.status.success());
    assert_eq!(served.status, 200, "what was uploaded is served");
    assert!(!old.status.success() && new.status.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_opens_to_its_own_site_only() {
    let Some(machine) = Machine::start() else { return };
    let panel = machine.panel();
    created(&panel, "dbown").await;
    created(&panel, "dbother").await;
    let connect = |as_user: &str, password: &str| {
        format!(
            "mysqli_report(MYSQLI_REPORT_OFF); $ini = parse_ini_file('{}');\
             $db = @new mysqli('localhost', {as_user}, {password}, '');\
             if ($db->connect_errno) {{ exit('refused'); }}\
             $db->query('create table if not exists dbown_main.t (n int)');\
             $db->query('insert into dbown_main.t values (1)');\
             echo $db->affected_rows > 0 ? 'written' : 'denied';",
            machine.home("dbown").join("database.ini").display()
        )
    };

    let own = machine.php("dbown", &connect("$ini['user']", "$ini['password']"));
    let wrong = machine.php("dbown", &connect("'dbown'", "'guessed'"));
    let root = machine.php("dbown", &connect("'root'", "''"));
    let others = connect("$ini['user']", "$ini['password']").replace("/dbown/", "/dbother/");
    let other = machine.php("dbother", &others);

    assert_eq!([own, wrong, root, other], ["written", "refused", "refused", "denied"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspended_customer_is_shut_out_everywhere_and_back_as_before() {
    let Some(machine) = Machine::start() else { return };
    let panel = machine.panel();
    let (spec, _) = created(&panel, "lapsed").await;
    let password = spec.password.expose_secret();
    machine.write(
        "lapsed",
        "long.php",
        "<?php ignore_user_abort(true); file_put_contents('began', ''); while (true) usleep(1000);",
    );
    let page = std::thread::scope(|scope| {
        let page = scope.spawn(|| machine.get(&host("lapsed"), "/long.php"));
        await_that("the page runs", || machine.home("lapsed").join("public_html/began").exists());

        tokio::task::block_in_place(|| {
            tokio::runtime::Handle::current().block_on(async {
                at_once(panel.ensure_suspended(&spec.account, "non_payment").await);
            });
        });
        page.join().unwrap()
    });

    assert_ne!(page.status, 200, "what ran was ended");
    let shut = machine.get(&host("lapsed"), "/");
    assert_eq!(shut.status, 503);
    assert!(!shut.body.contains("non_payment"), "why is nobody's business");
    assert_eq!(processes_of(uid_of("lapsed")), 0);
    assert!(!machine.sftp("lapsed", password, "ls\n").status.success());
    assert_eq!(
        machine.sql("select json_value(Priv, '$.account_locked') from mysql.global_priv where User = 'lapsed'"),
        "1"
    );
    at_once(panel.set_password(&spec.account, &"another-Pass-word1".to_owned().into()).await);
    assert!(!machine.sftp("lapsed", "another-Pass-word1", "ls\n").status.success(), "a new password lifts nothing");

    at_once(panel.ensure_active(&spec.account).await);

    assert_eq!(machine.get(&host("lapsed"), "/").status, 200);
    assert!(machine.sftp("lapsed", "another-Pass-word1", "ls\n").status.success());
    assert_eq!(machine.php("lapsed", "echo 'runs';"), "runs");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_customer_leaves_nothing_and_a_package_sets_the_pool() {
    let Some(machine) = Machine::start() else { return };
    let panel = machine.panel();
    let mut wanted = spec("leaver");
    wanted.account.domain = Some("leaver-shop.example".to_owned());
    at_once(panel.ensure_created(&wanted).await);
    let uid = uid_of("leaver");
    assert_eq!(machine.get("www.leaver-shop.example", "/").status, 200);
    at_once(panel.ensure_package(&wanted.account, "large").await);
    assert_eq!(machine.php("leaver", "echo ini_get('memory_limit');"), "256M");
    machine.php("leaver", "$ini = parse_ini_file('../database.ini'); $db = new mysqli('localhost', $ini['user'], $ini['password']); $db->query('create database leaver_more');");
    machine.write(
        "leaver",
        "long.php",
        "<?php ignore_user_abort(true); file_put_contents('began', ''); while (true) usleep(1000);",
    );
    let traces = machine.traces("leaver");
    std::thread::scope(|scope| {
        scope.spawn(|| machine.get(&host("leaver"), "/long.php"));
        await_that("the page runs", || machine.home("leaver").join("public_html/began").exists());

        tokio::task::block_in_place(|| {
            tokio::runtime::Handle::current().block_on(async {
                at_once(panel.ensure_absent(&wanted.account).await);
            });
        });
    });

    assert!(traces.len() >= 12, "{traces:?}");
    assert_eq!(machine.traces("leaver"), Vec::<String>::new());
    assert_eq!(processes_of(uid), 0);
    assert_eq!(machine.get("leaver-shop.example", "/").status, 0);
}

/// php-fpm calls its own section `global`.
#[tokio::test(flavor = "multi_thread")]
async fn a_customer_may_be_called_as_a_section_of_a_daemons_file() {
    let Some(machine) = Machine::start() else { return };

    created(&machine.panel(), "global").await;

    assert_eq!(machine.php("global", "echo 'runs';"), "runs");
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_accounts_at_once_take_a_few_reloads() {
    let Some(machine) = Machine::start() else { return };
    // As many workers, each with a panel of its own.
    let panels: Vec<_> = (0..4).map(|_| machine.panel()).collect();
    let specs: Vec<_> = (0..20).map(|n| spec(&format!("crowd{n}"))).collect();
    let before = machine.reloads();

    let creates = specs.iter().enumerate().map(|(n, spec)| panels[n % panels.len()].ensure_created(spec));
    let answers = futures::future::join_all(creates).await;

    let after = machine.reloads();
    assert!(answers.into_iter().map(at_once).all(|created| !created.adopted));
    for n in 0..20 {
        assert_eq!(machine.get(&host(&format!("crowd{n}")), "/").status, 200, "{n}");
    }
    let (nginx, php) = (after.0 - before.0, after.1 - before.1);
    eprintln!("20 accounts: {nginx} reloads of nginx, {php} of php-fpm");
    assert!((1..=5).contains(&nginx) && (1..=5).contains(&php), "{nginx} {php}");
}

/// Not a test: prints what an account takes.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "measures, and shows nothing else"]
async fn what_an_account_takes() {
    let Some(machine) = Machine::start() else { return };
    let panel = machine.panel();
    for package in ["small", "wordpress"] {
        let mut wanted = spec(&format!("timed{}", package.len()));
        wanted.package = package.to_owned();
        let account = &wanted.account;
        let backup = BackupRef::new(account.account_id, 1);
        let mut lines = Vec::new();
        let mut began = std::time::Instant::now();
        let mut lap = |what: &str| {
            lines.push(format!("{what} {:?}", began.elapsed()));
            began = std::time::Instant::now();
        };
        at_once(panel.ensure_created(&wanted).await);
        lap("create");
        at_once(panel.ensure_created(&wanted).await);
        lap("create again");
        panel.observe(account).await.unwrap();
        lap("observe");
        at_once(panel.ensure_suspended(account, "non_payment").await);
        lap("suspend");
        at_once(panel.ensure_active(account).await);
        lap("activate");
        at_once(panel.ensure_package(account, "large").await);
        lap("package");
        at_once(panel.set_password(account, &wanted.password).await);
        lap("password");
        panel.usage(account).await.unwrap();
        lap("usage");
        at_once(panel.ensure_backup(account, &backup).await);
        lap("backup");
        at_once(panel.ensure_restored(account, &backup).await);
        lap("restore");
        at_once(panel.ensure_absent(account).await);
        lap("remove");
        eprintln!("{package}: {}", lines.join(", "));
    }
}
