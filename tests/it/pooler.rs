//! A pooler that hands the server's connection to another client after each transaction stands before the database.

use std::{
    os::unix::fs::PermissionsExt as _,
    process::{Child, Command, Stdio},
};

use tokio::net::{TcpListener, TcpStream};
use uuid::Uuid;

use super::support::{Stack, StackOptions};

/// A private PgBouncer in transaction mode; ended when dropped.
struct PgBouncer {
    process: Child,
    _folder: tempfile::TempDir,
}

impl PgBouncer {
    /// Puts itself between the stack's database and whatever of Berth starts from now on.
    async fn before_database_of(stack: &mut Stack) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let folder = tempfile::tempdir().unwrap();
        // It does not run as root, so another user reads its settings.
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let settings = folder.path().join("pgbouncer.ini");
        let text = format!(
            "[databases]\n\
             berth = host=127.0.0.1 port={} user=berth_app password=app\n\
             [pgbouncer]\n\
             listen_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = any\n\
             pool_mode = transaction\n\
             default_pool_size = 3\n\
             ignore_startup_parameters = extra_float_digits\n",
            stack.postgres.port()
        );
        std::fs::write(&settings, text).unwrap();
        let mut command = Command::new("pgbouncer");
        if std::fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0) {
            command.args(["-u", "nobody"]);
        }
        let process = command.arg(&settings).stderr(Stdio::null()).spawn().expect("PgBouncer is installed");
        let setting = stack.settings.iter_mut().find(|(key, _)| key == "database.url").unwrap();
        let mut url = url::Url::parse(&setting.1).unwrap();
        url.set_port(Some(port)).unwrap();
        setting.1 = url.into();
        stack.until("PgBouncer listens", async || TcpStream::connect(("127.0.0.1", port)).await.is_ok()).await;
        Self { process, _folder: folder }
    }
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PgBouncer on the PATH; bin/test runs it where there is one"]
async fn purchases_become_live_sites_through_a_pooler_in_transaction_mode() {
    let mut stack = Stack::with(StackOptions::default().own_postgres().setting("database.prepared", "false")).await;
    let pooler = PgBouncer::before_database_of(&mut stack).await;
    let berth = stack.start().await;

    for _ in 0..10 {
        let (_, session) = stack.checkout(Uuid::new_v4(), "shared-monthly", 2).await;
        stack.pay(&session).await;
    }
    stack.until_count("select count(*) from berth.orders where phase = 'completed'", 10).await;
    stack.until_idle().await;

    assert_eq!(stack.count("select count(*) from berth.hosting_accounts where phase = 'active'").await, 20);
    let of_the_pooler = "select count(distinct pid) from pg_stat_activity where usename = 'berth_app'";
    assert!(stack.count(of_the_pooler).await <= 3, "all of Berth shares the pooler's three connections");
    stack.audit().await;
    berth.stop().await;
    drop(pooler);
}
