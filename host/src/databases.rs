//! MariaDB: a database and a user an account. Root signs in by the socket; statements go in by standard input, and hold
//! nothing but proved names and passwords that were made here.

use std::{fs::File, io::Read as _, path::Path, time::Duration};

use crate::{
    config::Config,
    failure::{Failure, OrFail as _},
    files,
    homes::{DATABASE_INI, Homes},
    names::Username,
    programs::{Owner, Program},
    users::Login,
};

const PASSWORD_LEN: usize = 32;
const CONNECTIONS: u32 = 30;
const CUSTOMER_READS: u32 = 0o640;
/// A dump may be as large as the customer's disk.
const LONG: Duration = Duration::from_secs(3_600);

pub(crate) struct Databases<'a> {
    config: &'a Config,
}

/// What bears an account's name in MariaDB.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) user: Option<Login>,
    pub(crate) databases: Vec<String>,
}

impl Found {
    pub(crate) fn is_nothing(&self) -> bool {
        self.user.is_none() && self.databases.is_empty()
    }

    pub(crate) fn is(&self, name: &Username, login: Login) -> bool {
        self.user == Some(login) && self.databases.contains(&main_of(name))
    }
}

/// The database that every account has. The customer may make more that begin with the name and `_`.
pub(crate) fn main_of(name: &Username) -> String {
    format!("{name}_main")
}

impl<'a> Databases<'a> {
    pub(crate) fn new(config: &'a Config) -> Self {
        Self { config }
    }

    /// Shows that MariaDB answers.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        match self.execute("select 1;\n") {
            Ok(_) => Ok(()),
            Err(failed) => Err(Failure::misconfigured(failed.refusal().message)),
        }
    }

    pub(crate) fn find(&self, name: &Username) -> Result<Found, Failure> {
        let printed = self.execute(&format!(
            "select concat('user ', coalesce(json_value(Priv, '$.account_locked'), '0')) from mysql.global_priv \
             where User = '{name}';\n\
             select concat('database ', schema_name) from information_schema.schemata \
             where schema_name like '{name}\\_%' or schema_name = '{name}';\n"
        ))?;
        let mut found = Found { user: None, databases: Vec::new() };
        for line in printed.lines() {
            match line.split_once(' ') {
                Some(("user", locked)) => {
                    found.user = Some(if ["1", "true"].contains(&locked) { Login::Shut } else { Login::Open });
                }
                Some(("database", database)) => found.databases.push(database.to_owned()),
                Some(_) | None => return Err(Failure::transient("mariadb answered something strange")),
            }
        }
        Ok(found)
    }

    /// Makes database and user, with the password that is in the customer's home, or a new one.
    pub(crate) fn ensure(&self, name: &Username, owner: Owner, login: Login) -> Result<(), Failure> {
        let kept = self.password(name)?;
        if kept.is_some() && self.find(name)?.is(name, login) {
            return Ok(());
        }
        let password = kept.map_or_else(new_password, Ok)?;
        self.set(name, owner, &password, login)
    }

    pub(crate) fn set(&self, name: &Username, owner: Owner, password: &str, login: Login) -> Result<(), Failure> {
        let main = main_of(name);
        let path = self.ini(name);
        let text = format!(
            "[client]\nuser={name}\npassword={password}\nsocket={}\n[berth]\ndatabase={main}\n",
            self.config.mariadb.socket.display()
        );
        if files::read(&path).or_fail("the database's password could not be read")? != Some(text.clone().into_bytes()) {
            files::write_for(&path, text.as_bytes(), CUSTOMER_READS, Some(owner.gid))
                .or_fail("the database's password could not be kept")?;
        }
        let lock = lock_of(login);
        // `if not exists` keeps an old password: it is always set as well.
        let statements = format!(
            "create database if not exists `{main}` character set utf8mb4;\n\
             create user if not exists '{name}'@'localhost' identified by '{password}' account lock;\n\
             alter user '{name}'@'localhost' identified by '{password}' with max_user_connections {CONNECTIONS};\n\
             grant all privileges on `{name}\\_%`.* to '{name}'@'localhost';\n\
             alter user '{name}'@'localhost' account {lock};\n"
        );
        self.program().input(statements).secret(password).run().map(drop)
    }

    /// Lets the user in, or shuts it out and ends its connections.
    pub(crate) fn set_login(&self, name: &Username, login: Login) -> Result<(), Failure> {
        self.execute(&format!("alter user '{name}'@'localhost' account {};\n", lock_of(login)))?;
        match login {
            Login::Open => Ok(()),
            Login::Shut => self.execute(&format!("kill user '{name}'@'localhost';\n")).map(drop),
        }
    }

    /// Empties the account's databases.
    pub(crate) fn empty(&self, name: &Username) -> Result<(), Failure> {
        let drops = self.drops(name)?;
        self.execute(&format!("{drops}create database `{}` character set utf8mb4;\n", main_of(name))).map(drop)
    }

    pub(crate) fn delete(&self, name: &Username) -> Result<(), Failure> {
        let drops = self.drops(name)?;
        self.execute(&format!(
            "create user if not exists '{name}'@'localhost' account lock;\n\
             alter user '{name}'@'localhost' account lock;\n\
             kill user '{name}'@'localhost';\n\
             {drops}drop user if exists '{name}'@'localhost';\n"
        ))
        .map(drop)
    }

    fn drops(&self, name: &Username) -> Result<String, Failure> {
        let prefix = format!("{name}_");
        let databases = self.find(name)?.databases.into_iter().filter(|database| database.starts_with(&prefix));
        // The customer chose what follows the prefix.
        Ok(databases.map(|database| format!("drop database if exists `{}`;\n", database.replace('`', "``"))).collect())
    }

    /// The statements that make the account's databases anew.
    pub(crate) fn dump<T: Send>(
        &self,
        name: &Username,
        keep: impl FnOnce(&mut std::process::ChildStdout) -> std::io::Result<T> + Send,
    ) -> Result<T, Failure> {
        let prefix = format!("{name}_");
        let databases = self.find(name)?.databases.into_iter().filter(|database| database.starts_with(&prefix));
        Program::new(&self.config.mariadb.dump)
            .arg("--no-defaults")
            .arg(format!("--socket={}", self.config.mariadb.socket.display()))
            .args(["--single-transaction", "--routines", "--events", "--triggers", "--hex-blob", "--databases", "--"])
            .args(databases)
            .patience(LONG)
            .stream(keep)
    }

    /// Runs the statements of a dump as the customer, with the customer's rights: a customer had a hand in them.
    pub(crate) fn load(
        &self,
        name: &Username,
        owner: Owner,
        from: impl std::io::Read + Send + 'static,
    ) -> Result<(), Failure> {
        Program::as_customer(owner, &self.config.mariadb.client)
            .arg(format!("--defaults-file={}", self.ini(name).display()))
            .args(["--batch", "--binary-mode"])
            .input_from(from)
            .patience(LONG)
            .run()
            .map(drop)
    }

    /// The password in the customer's home.
    pub(crate) fn password(&self, name: &Username) -> Result<Option<String>, Failure> {
        let text = files::read(&self.ini(name)).or_fail("the database's password could not be read")?;
        Ok(text.as_deref().and_then(password_in))
    }

    fn ini(&self, name: &Username) -> std::path::PathBuf {
        Homes::new(self.config).of(name).join(DATABASE_INI)
    }

    /// Runs statements without secrets.
    fn execute(&self, statements: &str) -> Result<String, Failure> {
        self.program().input(statements).run()
    }

    fn program(&self) -> Program {
        Program::new(&self.config.mariadb.client)
            .arg("--no-defaults")
            .arg(format!("--socket={}", self.config.mariadb.socket.display()))
            .args(["--user=root", "--batch", "--skip-column-names"])
    }
}

/// The password in a `database.ini`.
pub(crate) fn password_in(text: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(text).ok()?;
    let password = text.lines().find_map(|line| line.strip_prefix("password="))?;
    let made_here = password.len() == PASSWORD_LEN && password.bytes().all(|byte| byte.is_ascii_alphanumeric());
    made_here.then(|| password.to_owned())
}

fn lock_of(login: Login) -> &'static str {
    match login {
        Login::Open => "unlock",
        Login::Shut => "lock",
    }
}

fn new_password() -> Result<String, Failure> {
    random_text(PASSWORD_LEN)
}

/// Letters and digits from the kernel's random bytes.
pub(crate) fn random_text(len: usize) -> Result<String, Failure> {
    const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let mut bytes = vec![0; len];
    File::open(Path::new("/dev/urandom"))
        .and_then(|mut random| random.read_exact(&mut bytes))
        .or_fail("the kernel gave no random bytes")?;
    let letter = |byte: &u8| LETTERS.get(usize::from(byte % 32)).copied().unwrap_or(b'a');
    Ok(bytes.iter().map(letter).map(char::from).collect())
}
